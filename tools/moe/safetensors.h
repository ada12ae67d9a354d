/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading safetensors files: 8 bytes of little-endian header length, a JSON
 * header {"__metadata__": {..}, "name": {"dtype", "shape", "data_offsets"}},
 * then the tensors' bytes, which follow each other without holes.
 */
#ifndef MOE_SAFETENSORS_H
#define MOE_SAFETENSORS_H

#include "compat.h"

#define ST_HEADER_MAX	(100u << 20)	/* the format's own limit */
#define ST_DIMS_MAX	8
#define ST_ERR_MAX	320

enum st_dtype {
	ST_BOOL, ST_U8, ST_I8, ST_F8_E5M2, ST_F8_E4M3,
	ST_I16, ST_U16, ST_F16, ST_BF16,
	ST_I32, ST_U32, ST_F32,
	ST_I64, ST_U64, ST_F64,
	ST_NR_DTYPES
};

/**
 * struct st_tensor - one tensor
 * @name: as in the header
 * @dtype: type of the elements
 * @ndim: entries of @shape in use
 * @shape: outermost dimension first
 * @begin: first byte, from the start of the file
 * @end: the byte behind the last
 */
struct st_tensor {
	char		*name;
	enum st_dtype	dtype;
	unsigned int	ndim;
	u64	shape[ST_DIMS_MAX];
	u64	begin;
	u64	end;
};

struct st_meta {
	char	*key;
	char	*val;
};

/**
 * struct st_file - a parsed file
 * @base: its bytes
 * @size: how many
 * @data: offset of the first tensor's bytes, i.e. length of all before them
 * @tensors: sorted by name
 * @nr_tensors: entries of @tensors
 * @meta: __metadata__, sorted by key
 * @nr_meta: entries of @meta
 * @err: why the last call failed
 */
struct st_file {
	const u8	*base;
	u64		size;
	u64		data;
	struct st_tensor	*tensors;
	size_t			nr_tensors;
	struct st_meta		*meta;
	size_t			nr_meta;
	char			err[ST_ERR_MAX];
};

/*
 * Reads the header of a file of @size bytes at @base, which stay the caller's
 * and must outlive @st. Everything in it is checked. 0, or -1 with @st->err set;
 * st_free() is due in either case.
 */
int st_parse(struct st_file *st, const void *base, u64 size);
void st_free(struct st_file *st);

const struct st_tensor *st_find(const struct st_file *st, const char *name);
const char *st_meta(const struct st_file *st, const char *key);
const char *st_dtype_name(enum st_dtype dtype);
unsigned int st_dtype_size(enum st_dtype dtype);

#endif
