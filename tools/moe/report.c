// SPDX-License-Identifier: GPL-2.0
/* What a run of inference cost, and what came out */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void mark(const struct report *r, struct mark *m)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	m->seconds = now() - r->start;
	m->user_seconds = u.ru_utime.tv_sec - r->usage.ru_utime.tv_sec +
			  (u.ru_utime.tv_usec - r->usage.ru_utime.tv_usec) / 1e6;
	m->majflt = u.ru_majflt - r->usage.ru_majflt;
	m->minflt = u.ru_minflt - r->usage.ru_minflt;
}

void report_start(struct report *r)
{
	memset(r, 0, sizeof(*r));
	r->logits_hash = 0xcbf29ce484222325;
	getrusage(RUSAGE_SELF, &r->usage);
	r->start = now();
}

void report_loaded(struct report *r)
{
	mark(r, &r->loaded);
}

void report_logits(struct report *r, const float *logits, unsigned int n)
{
	u32 bits;
	unsigned int i, b;

	for (i = 0; i < n; i++) {
		memcpy(&bits, &logits[i], sizeof(bits));
		for (b = 0; b < 32; b += 8)
			r->logits_hash = (r->logits_hash ^ (bits >> b & 0xff)) *
					 0x100000001b3;
	}
}

void report_token(struct report *r, unsigned int token)
{
	unsigned int *more;

	/* doubles whenever the count is a power of two */
	if (!(r->nr_tokens & (r->nr_tokens - 1))) {
		more = realloc(r->tokens, sizeof(*more) *
			       (r->nr_tokens ? 2 * r->nr_tokens : 1));
		if (!more) {
			fprintf(stderr, "moe-run: out of memory\n");
			exit(1);
		}
		r->tokens = more;
	}
	r->tokens[r->nr_tokens++] = token;
	if (r->nr_tokens == 1)
		mark(r, &r->first);
}

void report_finish(struct report *r, const struct moe_model *m, u64 size)
{
	unsigned int i, e;

	mark(r, &r->done);
	r->model = m;
	r->model_bytes = size;
	r->expert_bytes = m->expert_bytes;
	r->experts = m->cfg.layers * m->cfg.experts;
	r->dense_bytes = size - r->experts * r->expert_bytes;
	for (i = 0; i < m->cfg.layers; i++)
		for (e = 0; e < m->cfg.experts; e++)
			r->experts_touched += !!m->layers[i].experts[e].hits;
}

void report_free(struct report *r)
{
	free(r->tokens);
}

/* Tokens per second once the first is there */
static double rate(const struct report *r)
{
	double t = r->done.seconds - r->first.seconds;

	return r->nr_tokens > 1 && t > 0 ? (r->nr_tokens - 1) / t : 0;
}

static void put_byte(FILE *out, unsigned int token, bool json)
{
	if (token > 255)
		fprintf(out, "<%u>", token);
	else if (token == '"' || token == '\\')
		fprintf(out, "\\%c", token);
	else if (token >= ' ' && token < 127)
		fputc(token, out);
	else
		fprintf(out, json ? "\\u%04x" : "\\x%02x", token);
}

static int finish(FILE *out)
{
	return fflush(out) || ferror(out) ? -1 : 0;
}

int report_text(const struct report *r, FILE *out)
{
	double mib = 1 << 20;
	unsigned int i;

	fprintf(out, "text              \"");
	for (i = 0; i < r->nr_tokens; i++)
		put_byte(out, r->tokens[i], false);
	fprintf(out, "\"\ntokens            ");
	for (i = 0; i < r->nr_tokens; i++)
		fprintf(out, "%s%u", i ? " " : "", r->tokens[i]);
	fprintf(out, "\nlogits hash       %016llx\n",
		r->logits_hash);
	fprintf(out, "mapped            %s, at %p\n",
		r->rmai ? "MAP_RMAI" : "MAP_SHARED", r->address);
	fprintf(out, "time to 1st token %.3f s, %u tokens of prompt\n",
		r->first.seconds, r->prompt_tokens);
	fprintf(out, "tokens/s          %.2f, %u tokens in %.3f s in all\n",
		rate(r), r->nr_tokens, r->done.seconds);
	fprintf(out, "page faults       %ld major, %ld minor\n",
		r->done.majflt, r->done.minflt);
	fprintf(out, "user time         %.3f s; the rest is faults and waiting\n",
		r->done.user_seconds);
	fprintf(out, "experts touched   %u of %u, %.1f of %.1f MiB\n",
		r->experts_touched, r->experts,
		r->experts_touched * r->expert_bytes / mib,
		r->experts * r->expert_bytes / mib);
	fprintf(out, "other weights     %.1f of the model's %.1f MiB\n",
		r->dense_bytes / mib, r->model_bytes / mib);
	return finish(out);
}

static void put_mark(FILE *out, const char *name, const struct mark *m)
{
	fprintf(out, "  \"%s\": {\"seconds\": %.6f, \"user_seconds\": %.6f, ",
		name, m->seconds, m->user_seconds);
	fprintf(out, "\"majflt\": %ld, \"minflt\": %ld},\n", m->majflt, m->minflt);
}

int report_json(const struct report *r, FILE *out)
{
	const struct moe_config *c = &r->model->cfg;
	unsigned int i, e;

	fprintf(out, "{\n  \"mmap\": \"%s\",\n  \"address\": \"%p\",\n",
		r->rmai ? "rmai" : "local", r->address);
	fprintf(out, "  \"prompt_tokens\": %u,\n  \"generated_tokens\": %u,\n",
		r->prompt_tokens, r->nr_tokens);
	fprintf(out, "  \"tokens\": [");
	for (i = 0; i < r->nr_tokens; i++)
		fprintf(out, "%s%u", i ? ", " : "", r->tokens[i]);
	fprintf(out, "],\n  \"text\": \"");
	for (i = 0; i < r->nr_tokens; i++)
		put_byte(out, r->tokens[i], true);
	fprintf(out, "\",\n  \"logits_hash\": \"%016llx\",\n",
		r->logits_hash);
	put_mark(out, "loaded", &r->loaded);
	put_mark(out, "first_token", &r->first);
	put_mark(out, "done", &r->done);
	fprintf(out, "  \"time_to_first_token_s\": %.6f,\n", r->first.seconds);
	fprintf(out, "  \"tokens_per_s\": %.6f,\n", rate(r));
	fprintf(out, "  \"total_s\": %.6f,\n", r->done.seconds);
	fprintf(out, "  \"user_s\": %.6f,\n", r->done.user_seconds);
	fprintf(out, "  \"majflt\": %ld,\n  \"minflt\": %ld,\n",
		r->done.majflt, r->done.minflt);
	fprintf(out, "  \"model_bytes\": %llu,\n  \"dense_bytes\": %llu,\n",
		r->model_bytes,
		r->dense_bytes);
	fprintf(out, "  \"experts\": %u,\n  \"experts_touched\": %u,\n",
		r->experts, r->experts_touched);
	fprintf(out, "  \"expert_bytes\": %llu,\n  \"expert_bytes_touched\": %llu,\n",
		r->expert_bytes,
		(r->experts_touched * r->expert_bytes));
	fprintf(out, "  \"expert_hits\": [\n");
	for (i = 0; i < c->layers; i++) {
		fprintf(out, "    [");
		for (e = 0; e < c->experts; e++)
			fprintf(out, "%s%llu", e ? ", " : "",
				r->model->layers[i].experts[e].hits);
		fprintf(out, "]%s\n", i + 1 < c->layers ? "," : "");
	}
	fprintf(out, "  ]\n}\n");
	return finish(out);
}
