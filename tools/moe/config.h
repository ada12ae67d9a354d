/* SPDX-License-Identifier: GPL-2.0 */
/* The shape of a model, and the names that its tensors have in the file */
#ifndef MOE_CONFIG_H
#define MOE_CONFIG_H

#include "compat.h"

/**
 * struct moe_config - shape of a Mixtral-like model
 * @dim: width of the residual stream (hidden_size)
 * @layers: decoder layers (num_hidden_layers)
 * @heads: query heads (num_attention_heads)
 * @kv_heads: key/value heads, a divisor of @heads (num_key_value_heads)
 * @experts: experts per layer (num_local_experts)
 * @top_k: experts that a token visits per layer (num_experts_per_tok)
 * @ff: inner width of an expert (intermediate_size)
 * @vocab: tokens; the first 256 are the bytes (vocab_size)
 * @max_pos: longest sequence, in tokens (max_position_embeddings)
 * @rope_theta: base of the rotary embedding's wavelengths
 * @eps: of the RMS norms (rms_norm_eps)
 */
struct moe_config {
	unsigned int	dim;
	unsigned int	layers;
	unsigned int	heads;
	unsigned int	kv_heads;
	unsigned int	experts;
	unsigned int	top_k;
	unsigned int	ff;
	unsigned int	vocab;
	unsigned int	max_pos;
	double		rope_theta;
	double		eps;
};

/* Which tensor; those from MOE_INPUT_NORM on exist once per layer or expert */
enum moe_tensor {
	MOE_EMBED, MOE_NORM, MOE_LM_HEAD,
	MOE_INPUT_NORM, MOE_Q, MOE_K, MOE_V, MOE_O, MOE_POST_NORM, MOE_GATE,
	MOE_W1, MOE_W2, MOE_W3,
	MOE_NR_TENSORS
};

#define MOE_NAME_MAX	96
#define MOE_EXPERTS_MAX	1024
#define MOE_TOP_K_MAX	64

/* An integer of the config: its name in __metadata__, place and limits */
struct moe_config_key {
	const char	*name;
	size_t		offset;
	unsigned int	min;
	unsigned int	max;
};

extern const struct moe_config_key moe_config_keys[];
extern const size_t moe_nr_config_keys;

static inline unsigned int *moe_config_field(struct moe_config *c,
					     const struct moe_config_key *k)
{
	return (unsigned int *)((char *)c + k->offset);
}

static inline unsigned int moe_head_dim(const struct moe_config *c)
{
	return c->dim / c->heads;
}

static inline unsigned int moe_kv_dim(const struct moe_config *c)
{
	return moe_head_dim(c) * c->kv_heads;
}

/* NULL if the config makes sense, else what is wrong with it */
const char *moe_config_check(const struct moe_config *c);

/* Name and shape of a tensor; *@cols is 0 for a vector */
void moe_tensor_name(char name[MOE_NAME_MAX], enum moe_tensor which,
		     unsigned int layer, unsigned int expert);
void moe_tensor_shape(const struct moe_config *c, enum moe_tensor which,
		      unsigned int *rows, unsigned int *cols);

#endif
