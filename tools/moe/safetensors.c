// SPDX-License-Identifier: GPL-2.0
/* Reading safetensors files; see safetensors.h */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "safetensors.h"

static const struct {
	const char	*name;
	unsigned int	size;
} dtypes[ST_NR_DTYPES] = {
	[ST_BOOL] = { "BOOL", 1 },
	[ST_U8] = { "U8", 1 },
	[ST_I8] = { "I8", 1 },
	[ST_F8_E5M2] = { "F8_E5M2", 1 },
	[ST_F8_E4M3] = { "F8_E4M3", 1 },
	[ST_I16] = { "I16", 2 },
	[ST_U16] = { "U16", 2 },
	[ST_F16] = { "F16", 2 },
	[ST_BF16] = { "BF16", 2 },
	[ST_I32] = { "I32", 4 },
	[ST_U32] = { "U32", 4 },
	[ST_F32] = { "F32", 4 },
	[ST_I64] = { "I64", 8 },
	[ST_U64] = { "U64", 8 },
	[ST_F64] = { "F64", 8 },
};

const char *st_dtype_name(enum st_dtype dtype)
{
	return dtypes[dtype].name;
}

unsigned int st_dtype_size(enum st_dtype dtype)
{
	return dtypes[dtype].size;
}

static __printf(2, 3)
int fail(struct st_file *st, const char *fmt, ...)
{
	va_list ap;

	if (st->err[0])
		return -1;
	va_start(ap, fmt);
	vsnprintf(st->err, sizeof(st->err), fmt, ap);
	va_end(ap);
	return -1;
}

/* Room for one more element of @size bytes behind @n; doubles at powers of two */
static void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1) || (n && n < 16))
		return array;
	return realloc(array, (n ? 2 * n : 16) * size);
}

static int parse_meta(struct st_file *st, struct json *j)
{
	unsigned int n = 0;
	struct st_meta *m;
	int more;

	if (st->meta)
		return fail(st, "__metadata__ comes twice");
	if (json_expect(j, '{'))
		return -1;
	while ((more = json_more(j, '}', &n)) > 0) {
		m = grow(st->meta, st->nr_meta, sizeof(*m));
		if (!m)
			return fail(st, "out of memory");
		st->meta = m;
		m += st->nr_meta;
		m->val = NULL;
		m->key = json_string(j);
		if (!m->key)
			return -1;
		st->nr_meta++;
		if (json_expect(j, ':'))
			return -1;
		m->val = json_string(j);
		if (!m->val)
			return -1;
	}
	return more;
}

static int parse_dtype(struct st_file *st, struct json *j, struct st_tensor *t)
{
	char *str = json_string(j);
	int i;

	if (!str)
		return -1;
	for (i = 0; i < ST_NR_DTYPES; i++)
		if (!strcmp(str, dtypes[i].name))
			break;
	if (i == ST_NR_DTYPES)
		fail(st, "tensor %.80s: unknown dtype %.40s", t->name, str);
	else
		t->dtype = i;
	free(str);
	return i == ST_NR_DTYPES ? -1 : 0;
}

static int parse_shape(struct st_file *st, struct json *j, struct st_tensor *t)
{
	unsigned int n = 0;
	int more;

	if (json_expect(j, '['))
		return -1;
	while ((more = json_more(j, ']', &n)) > 0) {
		if (t->ndim == ST_DIMS_MAX)
			return fail(st, "tensor %.80s: more than %d dimensions",
				    t->name, ST_DIMS_MAX);
		if (json_u64(j, &t->shape[t->ndim++]))
			return -1;
	}
	return more;
}

static int parse_offsets(struct json *j, struct st_tensor *t)
{
	if (json_expect(j, '[') || json_u64(j, &t->begin) ||
	    json_expect(j, ',') || json_u64(j, &t->end))
		return -1;
	return json_expect(j, ']');
}

static int parse_tensor(struct st_file *st, struct json *j, struct st_tensor *t)
{
	static const char * const keys[] = { "dtype", "shape", "data_offsets" };
	unsigned int n = 0, seen = 0, k;
	char *key;
	int more;

	if (json_expect(j, '{'))
		return -1;
	while ((more = json_more(j, '}', &n)) > 0) {
		key = json_string(j);
		if (!key)
			return -1;
		for (k = 0; k < 3; k++)
			if (!strcmp(key, keys[k]))
				break;
		if (k == 3)
			fail(st, "tensor %.80s: unknown key %.40s", t->name, key);
		else if (seen & (1u << k))
			fail(st, "tensor %.80s: %s comes twice", t->name, key);
		free(key);
		if (st->err[0] || json_expect(j, ':'))
			return -1;
		seen |= 1u << k;
		if ((k == 0 && parse_dtype(st, j, t)) ||
		    (k == 1 && parse_shape(st, j, t)) ||
		    (k == 2 && parse_offsets(j, t)))
			return -1;
	}
	if (more)
		return -1;
	for (k = 0; k < 3; k++)
		if (!(seen & (1u << k)))
			return fail(st, "tensor %.80s: no %s", t->name, keys[k]);
	return 0;
}

static int parse_header(struct st_file *st, struct json *j)
{
	unsigned int n = 0;
	struct st_tensor *t;
	char *key;
	int more;

	if (json_expect(j, '{'))
		return -1;
	while ((more = json_more(j, '}', &n)) > 0) {
		key = json_string(j);
		if (!key)
			return -1;
		if (!strcmp(key, "__metadata__")) {
			free(key);
			if (json_expect(j, ':') || parse_meta(st, j))
				return -1;
			continue;
		}
		t = grow(st->tensors, st->nr_tensors, sizeof(*t));
		if (!t) {
			free(key);
			return fail(st, "out of memory");
		}
		st->tensors = t;
		t += st->nr_tensors++;
		memset(t, 0, sizeof(*t));
		t->name = key;
		if (json_expect(j, ':') || parse_tensor(st, j, t))
			return -1;
	}
	return more ? -1 : json_end(j);
}

/* Does the shape account for the bytes, and do these lie where they can be read? */
static int check_tensor(struct st_file *st, struct st_tensor *t)
{
	u64 room = st->size - st->data, bytes = dtypes[t->dtype].size;
	unsigned int i;

	for (i = 0; i < t->ndim; i++)
		if (__builtin_mul_overflow(bytes, t->shape[i], &bytes))
			return fail(st, "tensor %.80s: its shape overflows", t->name);
	if (t->begin > t->end || t->end > room)
		return fail(st, "tensor %.80s: bytes %llu..%llu lie outside of the data's %llu",
			    t->name, t->begin,
			    t->end, room);
	if (t->end - t->begin != bytes)
		return fail(st, "tensor %.80s: shape of %llu bytes, but data_offsets span %llu",
			    t->name, bytes,
			    (t->end - t->begin));
	t->begin += st->data;
	t->end += st->data;
	if (t->begin % dtypes[t->dtype].size)
		return fail(st, "tensor %.80s: misaligned for %s at byte %llu",
			    t->name, dtypes[t->dtype].name,
			    t->begin);
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct st_tensor *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct st_tensor *)a)->name,
		      ((const struct st_tensor *)b)->name);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct st_meta *)a)->key,
		      ((const struct st_meta *)b)->key);
}

/* Tensors must tile the data: the format allows neither overlaps nor holes. */
static int check_layout(struct st_file *st)
{
	u64 pos = st->data;
	struct st_tensor *t = st->tensors;
	size_t i;

	if (!st->nr_tensors)
		return fail(st, "no tensors");
	qsort(t, st->nr_tensors, sizeof(*t), by_offset);
	for (i = 0; i < st->nr_tensors; i++) {
		if (t[i].begin < pos)
			return fail(st, "tensors %.80s and %.80s overlap",
				    t[i - 1].name, t[i].name);
		if (t[i].begin > pos)
			return fail(st, "hole of %llu bytes before tensor %.80s",
				    (t[i].begin - pos),
				    t[i].name);
		pos = t[i].end;
	}
	if (pos != st->size)
		return fail(st, "%llu bytes behind the last tensor",
			    (st->size - pos));

	qsort(t, st->nr_tensors, sizeof(*t), by_name);
	for (i = 1; i < st->nr_tensors; i++)
		if (!strcmp(t[i - 1].name, t[i].name))
			return fail(st, "tensor %.80s comes twice", t[i].name);
	if (st->nr_meta)
		qsort(st->meta, st->nr_meta, sizeof(*st->meta), by_key);
	for (i = 1; i < st->nr_meta; i++)
		if (!strcmp(st->meta[i - 1].key, st->meta[i].key))
			return fail(st, "__metadata__ key %.80s comes twice",
				    st->meta[i].key);
	return 0;
}

int st_parse(struct st_file *st, const void *base, u64 size)
{
	const u8 *p = base;
	u64 len = 0;
	struct json j;
	size_t i;

	memset(st, 0, sizeof(*st));
	st->base = base;
	st->size = size;
	if (size < 8)
		return fail(st, "%llu bytes are too short for a safetensors file",
			    size);
	for (i = 0; i < 8; i++)
		len |= (u64)p[i] << (8 * i);
	if (len > ST_HEADER_MAX)
		return fail(st, "header of %llu bytes, must be at most %u",
			    len, ST_HEADER_MAX);
	if (len > size - 8)
		return fail(st, "header of %llu bytes does not fit in a file of %llu",
			    len, size);
	st->data = 8 + len;

	json_init(&j, base + 8, len);
	if (parse_header(st, &j))
		return fail(st, "%s", j.err);
	for (i = 0; i < st->nr_tensors; i++)
		if (check_tensor(st, &st->tensors[i]))
			return -1;
	return check_layout(st);
}

void st_free(struct st_file *st)
{
	size_t i;

	for (i = 0; i < st->nr_tensors; i++)
		free(st->tensors[i].name);
	free(st->tensors);
	for (i = 0; i < st->nr_meta; i++) {
		free(st->meta[i].key);
		free(st->meta[i].val);
	}
	free(st->meta);
	st->tensors = NULL;
	st->meta = NULL;
	st->nr_tensors = 0;
	st->nr_meta = 0;
}

const struct st_tensor *st_find(const struct st_file *st, const char *name)
{
	struct st_tensor key = { .name = (char *)name };

	return bsearch(&key, st->tensors, st->nr_tensors, sizeof(key), by_name);
}

const char *st_meta(const struct st_file *st, const char *key)
{
	struct st_meta want = { .key = (char *)key }, *hit;

	if (!st->nr_meta)
		return NULL;
	hit = bsearch(&want, st->meta, st->nr_meta, sizeof(want), by_key);
	return hit ? hit->val : NULL;
}
