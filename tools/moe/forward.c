// SPDX-License-Identifier: GPL-2.0
/* One token through the model: attention with a KV cache, then top-k experts */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/**
 * struct moe_run - one sequence
 * @m: the model
 * @pos: tokens so far
 * @max_tokens: room in the caches
 * @keys: [layer][position][kv_dim]
 * @values: likewise
 * @x: the residual stream
 * @norm: @x normalised, the input of a block
 * @q: queries; also the block's output before it is added to @x
 * @att: attention's output, per head
 * @scores: attention weights over the positions
 * @gate: router's probabilities
 * @h1: inner activations of an expert
 * @h3: likewise, of its other branch
 * @inv_freq: rotary embedding's angular speeds, per pair
 * @sine: of this position's angles
 * @cosine: likewise
 * @logits: the result
 */
struct moe_run {
	struct moe_model	*m;
	unsigned int		pos;
	unsigned int		max_tokens;
	float			*keys;
	float			*values;
	float			*x;
	float			*norm;
	float			*q;
	float			*att;
	float			*scores;
	float			*gate;
	float			*h1;
	float			*h3;
	double			*inv_freq;
	float			*sine;
	float			*cosine;
	float			*logits;
};

struct moe_run *moe_run_new(struct moe_model *m, unsigned int max_tokens)
{
	const struct moe_config *c = &m->cfg;
	unsigned int half = moe_head_dim(c) / 2, i;
	struct moe_run *run = calloc(1, sizeof(*run));
	size_t cache = (size_t)c->layers * max_tokens * moe_kv_dim(c);
	double step;

	if (!run)
		return NULL;
	run->m = m;
	run->max_tokens = max_tokens;
	run->keys = calloc(cache, sizeof(float));
	run->values = calloc(cache, sizeof(float));
	run->x = calloc(c->dim, sizeof(float));
	run->norm = calloc(c->dim, sizeof(float));
	run->q = calloc(c->dim, sizeof(float));
	run->att = calloc(c->dim, sizeof(float));
	run->scores = calloc(max_tokens, sizeof(float));
	run->gate = calloc(c->experts, sizeof(float));
	run->h1 = calloc(c->ff, sizeof(float));
	run->h3 = calloc(c->ff, sizeof(float));
	run->inv_freq = calloc(half, sizeof(double));
	run->sine = calloc(half, sizeof(float));
	run->cosine = calloc(half, sizeof(float));
	run->logits = calloc(c->vocab, sizeof(float));
	if (!run->keys || !run->values || !run->x || !run->norm || !run->q ||
	    !run->att || !run->scores || !run->gate || !run->h1 || !run->h3 ||
	    !run->inv_freq || !run->sine || !run->cosine || !run->logits) {
		moe_run_free(run);
		return NULL;
	}
	/* theta^(-i / half) */
	step = -moe_log(c->rope_theta) / half;
	for (i = 0; i < half; i++)
		run->inv_freq[i] = moe_exp(step * i);
	return run;
}

void moe_run_free(struct moe_run *run)
{
	if (!run)
		return;
	free(run->keys);
	free(run->values);
	free(run->x);
	free(run->norm);
	free(run->q);
	free(run->att);
	free(run->scores);
	free(run->gate);
	free(run->h1);
	free(run->h3);
	free(run->inv_freq);
	free(run->sine);
	free(run->cosine);
	free(run->logits);
	free(run);
}

static void add(float *to, const float *from, float scale, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		to[i] += scale * from[i];
}

/* One query head over all positions so far; each kv head serves several */
static void attend(struct moe_run *run, const float *keys, const float *values,
		   unsigned int head)
{
	const struct moe_config *c = &run->m->cfg;
	unsigned int hd = moe_head_dim(c), kv_dim = moe_kv_dim(c), p;
	size_t kv = (size_t)head / (c->heads / c->kv_heads) * hd;
	const float *q = run->q + (size_t)head * hd;
	float *out = run->att + (size_t)head * hd;
	float scale = 1.0f / sqrtf(hd);

	for (p = 0; p <= run->pos; p++)
		run->scores[p] = scale *
			moe_dot(q, keys + (size_t)p * kv_dim + kv, hd);
	moe_softmax(run->scores, run->pos + 1);
	memset(out, 0, hd * sizeof(*out));
	for (p = 0; p <= run->pos; p++)
		add(out, values + (size_t)p * kv_dim + kv, run->scores[p], hd);
}

static void attention(struct moe_run *run, unsigned int layer)
{
	const struct moe_config *c = &run->m->cfg;
	const struct moe_layer *l = &run->m->layers[layer];
	unsigned int hd = moe_head_dim(c), kv_dim = moe_kv_dim(c), h;
	size_t cache = (size_t)layer * run->max_tokens * kv_dim;
	size_t here = cache + (size_t)run->pos * kv_dim;

	moe_rmsnorm(run->norm, run->x, &l->input_norm, c->eps, c->dim);
	moe_matvec(run->q, &l->q, run->norm);
	moe_matvec(run->keys + here, &l->k, run->norm);
	moe_matvec(run->values + here, &l->v, run->norm);
	moe_rope(run->q, c->heads, hd, run->sine, run->cosine);
	moe_rope(run->keys + here, c->kv_heads, hd, run->sine, run->cosine);
	for (h = 0; h < c->heads; h++)
		attend(run, run->keys + cache, run->values + cache, h);
	moe_matvec(run->q, &l->o, run->att);
	add(run->x, run->q, 1, c->dim);
}

/*
 * The best expert of those not taken (a probability below 0), the lower one of
 * equals. Weights that are not numbers make probabilities that are not, which
 * compare false with all: the first such then stands in.
 */
static unsigned int best(const float *gate, unsigned int n)
{
	unsigned int i, top = 0;

	while (gate[top] < 0)
		top++;
	for (i = top + 1; i < n; i++)
		if (gate[i] > gate[top])
			top = i;
	return top;
}

static void experts(struct moe_run *run, unsigned int layer)
{
	const struct moe_config *c = &run->m->cfg;
	struct moe_layer *l = &run->m->layers[layer];
	unsigned int chosen[MOE_TOP_K_MAX], i;
	float weight[MOE_TOP_K_MAX], sum = 0;

	moe_rmsnorm(run->norm, run->x, &l->post_norm, c->eps, c->dim);
	moe_matvec(run->gate, &l->gate, run->norm);
	moe_softmax(run->gate, c->experts);
	for (i = 0; i < c->top_k; i++) {
		chosen[i] = best(run->gate, c->experts);
		weight[i] = run->gate[chosen[i]];
		run->gate[chosen[i]] = -1;
		sum += weight[i];
	}

	/* only now is it known whose weights are needed */
	for (i = 0; i < c->top_k; i++) {
		struct moe_expert *e = &l->experts[chosen[i]];

		e->hits++;
		moe_matvec(run->h1, &e->w1, run->norm);
		moe_matvec(run->h3, &e->w3, run->norm);
		moe_swiglu(run->h1, run->h3, c->ff);
		moe_matvec(run->q, &e->w2, run->h1);
		add(run->x, run->q, weight[i] / sum, c->dim);
	}
}

const float *moe_run_step(struct moe_run *run, unsigned int token)
{
	struct moe_model *m = run->m;
	const struct moe_config *c = &m->cfg;
	unsigned int i;

	for (i = 0; i < moe_head_dim(c) / 2; i++) {
		double s, k;

		moe_sincos(run->pos * run->inv_freq[i], &s, &k);
		run->sine[i] = s;
		run->cosine[i] = k;
	}
	m->token_seen[token] = 1;
	moe_row(run->x, &m->embed, token);
	for (i = 0; i < c->layers; i++) {
		attention(run, i);
		experts(run, i);
	}
	moe_rmsnorm(run->norm, run->x, &m->norm, c->eps, c->dim);
	moe_matvec(run->logits, &m->lm_head, run->norm);
	run->pos++;
	return run->logits;
}
