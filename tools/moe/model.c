// SPDX-License-Identifier: GPL-2.0
/* Finding a model's tensors in a safetensors file */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static __printf(2, 3)
int fail(struct st_file *st, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(st->err, sizeof(st->err), fmt, ap);
	va_end(ap);
	return -1;
}

static int get_uint(struct st_file *st, const struct moe_config_key *k,
		    unsigned int *val)
{
	const char *str = st_meta(st, k->name);
	unsigned long v;
	char *end;

	if (!str)
		return fail(st, "__metadata__ has no %s", k->name);
	errno = 0;
	v = strtoul(str, &end, 10);
	if (*str < '0' || *str > '9' || *end || errno || v > k->max)
		return fail(st, "__metadata__: %s is \"%.40s\", must be %u to %u",
			    k->name, str, k->min, k->max);
	*val = v;
	return 0;
}

static int get_double(struct st_file *st, const char *key, double *val)
{
	const char *str = st_meta(st, key);
	char *end;

	if (!str)
		return fail(st, "__metadata__ has no %s", key);
	*val = strtod(str, &end);
	if (end == str || *end || !isfinite(*val))
		return fail(st, "__metadata__: %s is \"%.40s\", must be a number",
			    key, str);
	return 0;
}

static int read_config(struct st_file *st, struct moe_config *c)
{
	const char *wrong;
	size_t i;

	for (i = 0; i < moe_nr_config_keys; i++) {
		const struct moe_config_key *k = &moe_config_keys[i];

		if (get_uint(st, k, moe_config_field(c, k)))
			return -1;
	}
	if (get_double(st, "rope_theta", &c->rope_theta) ||
	    get_double(st, "rms_norm_eps", &c->eps))
		return -1;
	wrong = moe_config_check(c);
	return wrong ? fail(st, "__metadata__: %s", wrong) : 0;
}

static int bind(struct st_file *st, const struct moe_config *c,
		struct moe_matrix *m, enum moe_tensor which,
		unsigned int layer, unsigned int expert)
{
	const struct st_tensor *t;
	char name[MOE_NAME_MAX];

	moe_tensor_name(name, which, layer, expert);
	moe_tensor_shape(c, which, &m->rows, &m->cols);
	t = st_find(st, name);
	if (!t)
		return fail(st, "no tensor %s", name);
	if (t->dtype != ST_F32 && t->dtype != ST_BF16)
		return fail(st, "tensor %s: is %s, must be F32 or BF16", name,
			    st_dtype_name(t->dtype));
	if (t->ndim != (m->cols ? 2 : 1) || t->shape[0] != m->rows ||
	    (m->cols && t->shape[1] != m->cols))
		return fail(st, m->cols ? "tensor %s: its shape must be [%u, %u]" :
			    "tensor %s: its shape must be [%u]",
			    name, m->rows, m->cols);
	m->data = st->base + t->begin;
	m->bf16 = t->dtype == ST_BF16;
	return 0;
}

static u64 matrix_bytes(const struct moe_matrix *m)
{
	return (u64)m->rows * (m->cols ? m->cols : 1) * (m->bf16 ? 2 : 4);
}

static int bind_layer(struct moe_model *m, struct st_file *st, unsigned int i)
{
	struct moe_layer *l = &m->layers[i];
	const struct moe_config *c = &m->cfg;
	unsigned int e;

	if (bind(st, c, &l->input_norm, MOE_INPUT_NORM, i, 0) ||
	    bind(st, c, &l->q, MOE_Q, i, 0) || bind(st, c, &l->k, MOE_K, i, 0) ||
	    bind(st, c, &l->v, MOE_V, i, 0) || bind(st, c, &l->o, MOE_O, i, 0) ||
	    bind(st, c, &l->post_norm, MOE_POST_NORM, i, 0) ||
	    bind(st, c, &l->gate, MOE_GATE, i, 0))
		return -1;

	l->experts = calloc(c->experts, sizeof(*l->experts));
	if (!l->experts)
		return fail(st, "out of memory");
	for (e = 0; e < c->experts; e++) {
		struct moe_expert *x = &l->experts[e];

		if (bind(st, c, &x->w1, MOE_W1, i, e) ||
		    bind(st, c, &x->w2, MOE_W2, i, e) ||
		    bind(st, c, &x->w3, MOE_W3, i, e))
			return -1;
		m->expert_bytes = matrix_bytes(&x->w1) + matrix_bytes(&x->w2) +
				  matrix_bytes(&x->w3);
	}
	return 0;
}

int moe_model_bind(struct moe_model *m, struct st_file *st)
{
	unsigned int i;

	memset(m, 0, sizeof(*m));
	if (read_config(st, &m->cfg))
		return -1;
	if (bind(st, &m->cfg, &m->embed, MOE_EMBED, 0, 0) ||
	    bind(st, &m->cfg, &m->norm, MOE_NORM, 0, 0) ||
	    bind(st, &m->cfg, &m->lm_head, MOE_LM_HEAD, 0, 0))
		return -1;
	m->token_seen = calloc(m->cfg.vocab, 1);
	m->layers = calloc(m->cfg.layers, sizeof(*m->layers));
	if (!m->token_seen || !m->layers)
		return fail(st, "out of memory");
	for (i = 0; i < m->cfg.layers; i++)
		if (bind_layer(m, st, i))
			return -1;
	return 0;
}

void moe_model_free(struct moe_model *m)
{
	unsigned int i;

	for (i = 0; m->layers && i < m->cfg.layers; i++)
		free(m->layers[i].experts);
	free(m->layers);
	free(m->token_seen);
}

static void touched(const struct st_file *st, FILE *out, const char *name,
		    const void *data, u64 len)
{
	u64 offset = (const u8 *)data - st->base;

	fprintf(out, "%llu %llu %s\n", offset, len, name);
}

static void matrix_touched(const struct st_file *st, FILE *out,
			   const struct moe_matrix *m, enum moe_tensor which,
			   unsigned int layer, unsigned int expert)
{
	char name[MOE_NAME_MAX];

	moe_tensor_name(name, which, layer, expert);
	touched(st, out, name, m->data, matrix_bytes(m));
}

int moe_model_touched(const struct moe_model *m, const struct st_file *st,
		      FILE *out)
{
	u64 row = matrix_bytes(&m->embed) / m->embed.rows;
	char name[MOE_NAME_MAX];
	unsigned int i, e;

	touched(st, out, "header", st->base, st->data);
	moe_tensor_name(name, MOE_EMBED, 0, 0);
	for (i = 0; i < m->cfg.vocab; i++)
		if (m->token_seen[i])
			touched(st, out, name,
				(const char *)m->embed.data + i * row, row);
	matrix_touched(st, out, &m->norm, MOE_NORM, 0, 0);
	matrix_touched(st, out, &m->lm_head, MOE_LM_HEAD, 0, 0);
	for (i = 0; i < m->cfg.layers; i++) {
		const struct moe_layer *l = &m->layers[i];

		matrix_touched(st, out, &l->input_norm, MOE_INPUT_NORM, i, 0);
		matrix_touched(st, out, &l->q, MOE_Q, i, 0);
		matrix_touched(st, out, &l->k, MOE_K, i, 0);
		matrix_touched(st, out, &l->v, MOE_V, i, 0);
		matrix_touched(st, out, &l->o, MOE_O, i, 0);
		matrix_touched(st, out, &l->post_norm, MOE_POST_NORM, i, 0);
		matrix_touched(st, out, &l->gate, MOE_GATE, i, 0);
		for (e = 0; e < m->cfg.experts; e++) {
			const struct moe_expert *x = &l->experts[e];

			if (!x->hits)
				continue;
			matrix_touched(st, out, &x->w1, MOE_W1, i, e);
			matrix_touched(st, out, &x->w2, MOE_W2, i, e);
			matrix_touched(st, out, &x->w3, MOE_W3, i, e);
		}
	}
	return ferror(out) ? -1 : 0;
}
