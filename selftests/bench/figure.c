// SPDX-License-Identifier: GPL-2.0
/*
 * bench-figure add [OPTION...] NAME RUN...: writes NAME.json: a figure that was
 * measured in some runs, its median, and what it must be.
 * bench-figure table DIR: all figures of DIR as a Markdown table.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

static const char * const ops[] = { ">=", "<=", "==" };

static double number(const char *s)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(s, &end);
	if (errno || end == s || *end || !isfinite(v))
		errx(2, "\"%s\" is not a number", s);
	return v;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(const double *runs, int n)
{
	double *sorted = malloc(n * sizeof(*sorted)), v;

	if (!sorted)
		err(1, "memory");
	memcpy(sorted, runs, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	v = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	free(sorted);
	return v;
}

static bool holds(double value, const char *op, double goal)
{
	if (!strcmp(op, ">="))
		return value >= goal;
	if (!strcmp(op, "<="))
		return value <= goal;
	return value == goal;
}

/* Six digits, or all of a count */
static const char *format(double v)
{
	static char text[4][40];
	static unsigned int n;
	char *p = text[n++ % 4];

	if (v == floor(v) && fabs(v) < 1e15)
		snprintf(p, 40, "%.0f", v);
	else
		snprintf(p, 40, fabs(v) < 10 ? "%.3f" : "%.1f", v);
	return p;
}

static json_object *json_number(double v)
{
	char text[40];

	if (v == floor(v) && fabs(v) < 1e15)
		return json_object_new_int64(v);
	snprintf(text, sizeof(text), "%.6g", v);
	return json_object_new_double_s(v, text);
}

static void row(json_object *fig)
{
	json_object *o, *notes, *runs;
	double value, goal;
	const char *op, *mark;
	size_t i;

	json_object_object_get_ex(fig, "value", &o);
	value = json_object_get_double(o);
	json_object_object_get_ex(fig, "goal", &o);
	goal = json_object_get_double(o);
	json_object_object_get_ex(fig, "op", &o);
	op = json_object_get_string(o);
	mark = holds(value, op, goal) ? "ok" : "**MISSED**";
	json_object_object_get_ex(fig, "name", &o);
	printf("| %s | %s ", json_object_get_string(o), format(value));
	json_object_object_get_ex(fig, "unit", &o);
	printf("| %s | %s %s | %s | ", json_object_get_string(o), op, format(goal), mark);
	json_object_object_get_ex(fig, "runs", &runs);
	for (i = 0; i < json_object_array_length(runs); i++)
		printf("%s%s", i ? ", " : "",
		       format(json_object_get_double(json_object_array_get_idx(runs, i))));
	json_object_object_get_ex(fig, "notes", &notes);
	printf(" | %s |\n", json_object_get_string(notes));
}

/* Everything that row() and other readers count on */
static bool is_figure(json_object *fig)
{
	static const struct {
		const char *key;
		enum json_type type;
	} keys[] = {
		{ "name", json_type_string }, { "unit", json_type_string },
		{ "op", json_type_string }, { "runs", json_type_array },
		{ "notes", json_type_string },
	};
	static const char * const numbers[] = { "value", "goal" };
	json_object *o;
	size_t i;

	if (!json_object_is_type(fig, json_type_object))
		return false;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!json_object_object_get_ex(fig, keys[i].key, &o) ||
		    !json_object_is_type(o, keys[i].type))
			return false;
	for (i = 0; i < 2; i++)
		if (!json_object_object_get_ex(fig, numbers[i], &o) ||
		    (!json_object_is_type(o, json_type_double) &&
		     !json_object_is_type(o, json_type_int)))
			return false;
	return true;
}

static int wants_json(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && !strcmp(dot, ".json");
}

static void head(void)
{
	puts("| figure | median | unit | must be | | runs | notes |");
	puts("|---|---:|---|---|---|---|---|");
}

static int table(const char *dir)
{
	struct dirent **list;
	int n, i, rc = 0;

	n = scandir(dir, &list, wants_json, alphasort);
	if (n < 0)
		err(1, "%s", dir);
	head();
	for (i = 0; i < n; i++) {
		char path[4096];
		json_object *fig;

		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		fig = json_object_from_file(path);
		if (is_figure(fig)) {
			row(fig);
		} else {
			warnx("%s is not a figure", path);
			rc = 1;
		}
		json_object_put(fig);
		free(list[i]);
	}
	free(list);
	return rc;
}

static void usage(void)
{
	fputs("usage: bench-figure add [OPTION...] NAME RUN...\n"
	      "       bench-figure table DIR\n"
	      "  --dir DIR     where NAME.json goes (.)\n"
	      "  --unit UNIT   of the value (1)\n"
	      "  --op OP       how value and goal are compared: \">=\", \"<=\" or \"==\"\n"
	      "  --goal GOAL   what must be reached\n"
	      "  --notes TEXT  how it was measured\n"
	      "The value is the median of the runs.\n", stderr);
	exit(2);
}

static int add(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "unit", required_argument, NULL, 'u' },
		{ "op", required_argument, NULL, 'o' },
		{ "goal", required_argument, NULL, 'g' },
		{ "notes", required_argument, NULL, 'n' },
		{ 0 }
	};
	const char *dir = ".", *unit = "1", *op = NULL, *goal = NULL, *notes = "", *name;
	json_object *fig, *array;
	char path[4096], date[40];
	time_t t = time(NULL);
	double *runs;
	int opt, i, n;

	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			dir = optarg;
			break;
		case 'u':
			unit = optarg;
			break;
		case 'o':
			op = optarg;
			break;
		case 'g':
			goal = optarg;
			break;
		case 'n':
			notes = optarg;
			break;
		default:
			usage();
		}
	}
	n = argc - optind - 1;
	if (n < 1 || !op || !goal)
		usage();
	for (i = 0; i < 3 && strcmp(op, ops[i]); i++)
		;
	if (i == 3)
		usage();
	name = argv[optind];
	if (!*name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
		errx(2, "\"%s\" is no name of a figure", name);
	runs = malloc(n * sizeof(*runs));
	fig = json_object_new_object();
	array = json_object_new_array();
	if (!runs || !fig || !array)
		err(1, "memory");
	for (i = 0; i < n; i++) {
		runs[i] = number(argv[optind + 1 + i]);
		json_object_array_add(array, json_number(runs[i]));
	}
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&t));
	json_object_object_add(fig, "name", json_object_new_string(name));
	json_object_object_add(fig, "value", json_number(median(runs, n)));
	json_object_object_add(fig, "unit", json_object_new_string(unit));
	json_object_object_add(fig, "op", json_object_new_string(op));
	json_object_object_add(fig, "goal", json_number(number(goal)));
	json_object_object_add(fig, "runs", array);
	json_object_object_add(fig, "notes", json_object_new_string(notes));
	json_object_object_add(fig, "date", json_object_new_string(date));
	snprintf(path, sizeof(path), "%s/%s.json", dir, name);
	if (json_object_to_file_ext(path, fig, JSON_C_TO_STRING_PRETTY |
				    JSON_C_TO_STRING_NOSLASHESCAPE))
		errx(1, "%s: %s", path, json_util_get_last_err());
	free(runs);
	json_object_put(fig);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "add"))
		return add(argc - 1, argv + 1);
	if (argc == 3 && !strcmp(argv[1], "table"))
		return table(argv[2]);
	usage();
}
