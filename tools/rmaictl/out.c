// SPDX-License-Identifier: GPL-2.0
/*
 * Output: messages, tables for people, JSON for programs.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rmaictl.h"

static void *need(void *p)
{
	if (!p) {
		fputs("rmaictl: out of memory\n", stderr);
		exit(EXIT_FAILURE);
	}
	return p;
}

void copy_value(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

int fail(const char *fmt, ...)
{
	struct json_object *obj;
	char *msg;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&msg, fmt, ap);
	va_end(ap);
	if (len < 0)
		need(NULL);
	fflush(stdout);
	fprintf(stderr, "rmaictl %s: %s\n", ctl.name, msg);
	if (ctl.json) {
		obj = need(json_object_new_object());
		add_string(obj, "error", msg);
		print_json(obj);
	}
	free(msg);
	return EXIT_FAILURE;
}

void note(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "rmaictl %s: ", ctl.name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int print_json(struct json_object *obj)
{
	int bad = puts(json_object_to_json_string_ext(obj,
			JSON_C_TO_STRING_PRETTY |
			JSON_C_TO_STRING_NOSLASHESCAPE)) < 0 || fflush(stdout);

	json_object_put(obj);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

void add_string(struct json_object *obj, const char *key, const char *val)
{
	json_object_object_add(obj, key, need(json_object_new_string(val)));
}

void add_u64(struct json_object *obj, const char *key, uint64_t val)
{
	json_object_object_add(obj, key, need(json_object_new_uint64(val)));
}

/* A string: most readers of JSON have doubles for numbers */
void add_hex(struct json_object *obj, const char *key, uint64_t val)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%#llx", (unsigned long long)val);
	add_string(obj, key, buf);
}

void add_bool(struct json_object *obj, const char *key, bool val)
{
	json_object_object_add(obj, key, need(json_object_new_boolean(val)));
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;
	int len;

	t->cells = need(realloc(t->cells, (t->nr + 1) * sizeof(*t->cells)));
	va_start(ap, fmt);
	len = vasprintf(&t->cells[t->nr++], fmt, ap);
	va_end(ap);
	if (len < 0)
		need(NULL);
}

void table_print(struct table *t)
{
	int width[16] = { 0 };
	unsigned int col;
	size_t i;

	for (i = 0; i < t->nr; i++) {
		int len = strlen(t->cells[i]);

		if (len > width[i % t->cols])
			width[i % t->cols] = len;
	}
	for (i = 0; i < t->nr; i++) {
		col = i % t->cols;
		/* Nothing is padded at the end of a line */
		if (col == t->cols - 1 && (!*t->cells[i] || !(t->right & (1U << col))))
			printf("%s\n", t->cells[i]);
		else
			printf("%*s%s", t->right & (1U << col) ? width[col] : -width[col],
			       t->cells[i], col == t->cols - 1 ? "\n" : "  ");
		free(t->cells[i]);
	}
	free(t->cells);
	memset(t, 0, sizeof(*t));
}
