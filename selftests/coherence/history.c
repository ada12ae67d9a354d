// SPDX-License-Identifier: GPL-2.0
/*
 * Reads the logs of linear, see history.h.
 */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "history.h"
#include "shared.h"

/* Reads "?" as unknown */
static bool number(const char *s, uint64_t *v)
{
	char *end;

	*v = strtoull(s, &end, 0);
	return end != s && !*end;
}

static void *grow(void *p, size_t nr, size_t *max, size_t size)
{
	if (nr < *max)
		return p;
	*max = *max ? 2 * *max : 1024;
	p = realloc(p, *max * size);
	if (!p)
		die("no memory");
	return p;
}

/* An operation from the words of a line; false: it is none */
static bool parse_op(struct op *op, char **w, int nr)
{
	uint64_t inv, resp;
	bool value;

	memset(op, 0, sizeof(*op));
	if (nr < 5 || !number(w[1], &op->word) || !number(w[nr - 2], &inv))
		return false;
	op->known = number(w[nr - 1], &resp);
	if (!op->known && strcmp(w[nr - 1], "?"))
		return false;
	op->inv = inv;
	op->resp = op->known ? (int64_t)resp : NEVER;
	if (op->resp < op->inv)
		return false;
	if (!strcmp(w[0], "r") && nr == 5) {
		op->kind = OP_READ;
		value = number(w[2], &op->reads);
		return value == op->known;
	}
	if (!strcmp(w[0], "w") && nr == 5) {
		op->kind = OP_WRITE;
		return number(w[2], &op->writes);
	}
	if (!strcmp(w[0], "c") && nr == 7) {
		uint64_t old;

		op->kind = OP_CAS;
		if (!number(w[2], &op->reads) || !number(w[3], &op->writes) ||
		    number(w[4], &old) != op->known)
			return false;
		if (op->known && old != op->reads) {
			op->kind = OP_READ;
			op->reads = old;
			op->writes = 0;
		}
		return true;
	}
	return false;
}

static void clock_path(char *buf, size_t len, const char *log, const char *name)
{
	const char *slash = strrchr(log, '/');

	snprintf(buf, len, "%.*s%s", slash ? (int)(slash + 1 - log) : 0, log, name);
}

/*
 * A machine that stood still, and its clock with it, may load old bytes until it has
 * looked at its leases (memory-model.rst): as if it had begun to when it stopped.
 */
static int64_t began(struct history *h, const struct op *op, const struct clock_log *log)
{
	int64_t inv = clock_before(log, op->inv), stop = -1;

	if (h->stall_ns && op->kind == OP_READ)
		stop = clock_stalled(log, op->inv, h->stall_ns);
	if (stop < 0)
		return inv;
	h->nr_stalled++;
	return stop < inv ? stop : inv;
}

static void widen(struct history *h, struct op *op, const struct clock_log *log, int64_t *widened)
{
	int64_t inv = began(h, op, log);
	int64_t resp = op->known ? clock_after(log, op->resp) : NEVER;

	if (op->known && inv >= 0 && resp != NEVER) {
		int64_t by = (resp - inv) - (op->resp - op->inv);

		widened[h->nr_ops] = by;
		if (by > h->max_widened)
			h->max_widened = by;
	}
	op->inv = inv;
	op->resp = resp;
}

static uint64_t referee;	/* the one of all logs, 0: none so far */

static void open_clock(struct clock_log *log, const char *path, const char *name)
{
	char buf[4096];

	clock_path(buf, sizeof(buf), path, name);
	clock_read(log, buf);
	/* A process that was killed at once has no sample and no operation */
	if (log->id && referee && log->id != referee)
		die("%s: of another referee than others", path);
	if (log->id)
		referee = log->id;
}

static struct proc *new_proc(struct history *h, const char *path, uint32_t id)
{
	struct proc *p;

	if (!id || history_proc(h, id))
		die("%s: a log of process %u, of which there is one already", path, id);
	h->procs = grow(h->procs, h->nr_procs, &h->max_procs, sizeof(*p));
	p = &h->procs[h->nr_procs++];
	*p = (struct proc){ .id = id, .last_inv = -1 };
	return p;
}

static void read_log(struct history *h, const char *path, int64_t **widened, size_t *max_widened)
{
	struct proc *p = NULL;
	FILE *f = fopen(path, "r");
	struct clock_log clock = {};
	char line[512], name[256];
	bool host = false;
	uint32_t seq = 0;

	if (!f)
		die("%s: %s", path, strerror(errno));
	/* A last line without its end was cut off */
	for (int nr = 1; fgets(line, sizeof(line), f) && strchr(line, '\n'); nr++) {
		char *w[8], *save = NULL, copy[sizeof(line)];
		struct op op;
		int n = 0;

		line[strcspn(line, "\n")] = 0;
		memcpy(copy, line, sizeof(copy));
		for (char *t = strtok_r(copy, " ", &save); t && n < 8;
		     t = strtok_r(NULL, " ", &save))
			w[n++] = t;
		if (!n || *w[0] == '#')
			continue;
		if (!strcmp(w[0], "linear")) {
			if (sscanf(line, "linear proc %u clock %255s", &seq, name) != 2)
				die("%s:%d: not the header of a log", path, nr);
			p = new_proc(h, path, seq);
			seq = 0;
			free(clock.samples);
			clock = (struct clock_log){};
			host = !strcmp(name, "host");
			if (!host)
				open_clock(&clock, path, name);
			continue;
		}
		if (!p || p->ended)
			die("%s:%d: an operation outside of a log", path, nr);
		if (!strcmp(w[0], "end")) {
			p->ended = true;
			continue;
		}
		if (!parse_op(&op, w, n))
			die("%s:%d: not an operation: %s", path, nr, line);
		op.proc = p->id;
		op.seq = seq++;
		if (op.writes && op.writes >> 32 == p->id && (uint32_t)op.writes > p->last_n)
			p->last_n = op.writes;
		h->ops = grow(h->ops, h->nr_ops, &h->max_ops, sizeof(op));
		*widened = grow(*widened, h->nr_ops, max_widened, sizeof(**widened));
		(*widened)[h->nr_ops] = 0;
		if (!host)
			widen(h, &op, &clock, *widened);
		if (op.inv > p->last_inv)
			p->last_inv = op.inv;
		h->nr_unknown += !op.known;
		h->ops[h->nr_ops++] = op;
	}
	free(clock.samples);
	fclose(f);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/**
 * history_read() - all logs of a run
 * @h: zero but for @stall_ns; filled in
 * @nr_files: how many
 * @files: their paths
 */
void history_read(struct history *h, int nr_files, char **files)
{
	int64_t *widened = NULL;
	size_t max_widened = 0;

	for (int i = 0; i < nr_files; i++)
		read_log(h, files[i], &widened, &max_widened);
	if (h->nr_ops) {
		qsort(widened, h->nr_ops, sizeof(*widened), by_size);
		h->median_widened = widened[h->nr_ops / 2];
	}
	free(widened);
}

/**
 * history_proc() - who is that?
 * @h: history
 * @id: of a process
 *
 * Return: its log, or NULL.
 */
const struct proc *history_proc(const struct history *h, uint32_t id)
{
	for (size_t i = 0; i < h->nr_procs; i++)
		if (h->procs[i].id == id)
			return &h->procs[i];
	return NULL;
}
