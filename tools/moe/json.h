/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pull parser for the subset of JSON that a safetensors header uses:
 * objects, arrays, strings and non-negative integers. The input is hostile: it
 * need not be NUL-terminated and nothing is read at or behind @end.
 */
#ifndef MOE_JSON_H
#define MOE_JSON_H

#include "compat.h"

struct json {
	const char	*start;
	const char	*p;
	const char	*end;
	char		err[120];	/* the first error, "" if none */
};

void json_init(struct json *j, const char *buf, u64 len);

/* These return 0, or -1 with @err set. */
int json_expect(struct json *j, char c);
int json_u64(struct json *j, u64 *val);
int json_end(struct json *j);

/* A decoded string without NUL bytes in it, the caller's to free; NULL: error */
char *json_string(struct json *j);

/*
 * Steps over a list whose opening bracket was consumed; *@n counts its elements
 * and begins as 0. 1: an element follows; 0: closed by @close; -1: error.
 */
int json_more(struct json *j, char close, unsigned int *n);

#endif
