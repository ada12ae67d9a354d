// SPDX-License-Identifier: GPL-2.0
/* The shape of a model and the names of its tensors (those of Mixtral on HF) */
#include <stdio.h>

#include "config.h"

#define KEY(name, field, min, max) \
	{ name, offsetof(struct moe_config, field), min, max }

/* The limits keep every product of two of these within 64 bits by far. */
const struct moe_config_key moe_config_keys[] = {
	KEY("hidden_size", dim, 2, 65536),
	KEY("num_hidden_layers", layers, 1, 1024),
	KEY("num_attention_heads", heads, 1, 1024),
	KEY("num_key_value_heads", kv_heads, 1, 1024),
	KEY("num_local_experts", experts, 1, MOE_EXPERTS_MAX),
	KEY("num_experts_per_tok", top_k, 1, MOE_TOP_K_MAX),
	KEY("intermediate_size", ff, 1, 1048576),
	KEY("vocab_size", vocab, 256, 1048576),
	KEY("max_position_embeddings", max_pos, 1, 1048576),
};

const size_t moe_nr_config_keys = ARRAY_SIZE(moe_config_keys);

const char *moe_config_check(const struct moe_config *c)
{
	static char msg[96];
	size_t i;

	for (i = 0; i < moe_nr_config_keys; i++) {
		const struct moe_config_key *k = &moe_config_keys[i];
		unsigned int v = *moe_config_field((struct moe_config *)c, k);

		if (v < k->min || v > k->max) {
			snprintf(msg, sizeof(msg), "%s is %u, must be %u to %u",
				 k->name, v, k->min, k->max);
			return msg;
		}
	}
	if (c->dim % c->heads || moe_head_dim(c) % 2)
		return "hidden_size must be an even multiple of num_attention_heads";
	if (c->heads % c->kv_heads)
		return "num_attention_heads must be a multiple of num_key_value_heads";
	if (c->top_k > c->experts)
		return "num_experts_per_tok is more than num_local_experts";
	/* written so that NaN fails too */
	if (!(c->rope_theta > 1 && c->rope_theta < 1e12))
		return "rope_theta must be above 1 and below 1e12";
	if (!(c->eps > 0 && c->eps < 1))
		return "rms_norm_eps must be above 0 and below 1";
	return NULL;
}

void moe_tensor_name(char name[MOE_NAME_MAX], enum moe_tensor which,
		     unsigned int layer, unsigned int expert)
{
	static const char * const names[MOE_NR_TENSORS] = {
		[MOE_EMBED] = "model.embed_tokens.weight",
		[MOE_NORM] = "model.norm.weight",
		[MOE_LM_HEAD] = "lm_head.weight",
		[MOE_INPUT_NORM] = "input_layernorm",
		[MOE_Q] = "self_attn.q_proj",
		[MOE_K] = "self_attn.k_proj",
		[MOE_V] = "self_attn.v_proj",
		[MOE_O] = "self_attn.o_proj",
		[MOE_POST_NORM] = "post_attention_layernorm",
		[MOE_GATE] = "block_sparse_moe.gate",
		[MOE_W1] = "w1",
		[MOE_W2] = "w2",
		[MOE_W3] = "w3",
	};

	if (which < MOE_INPUT_NORM)
		snprintf(name, MOE_NAME_MAX, "%s", names[which]);
	else if (which < MOE_W1)
		snprintf(name, MOE_NAME_MAX, "model.layers.%u.%s.weight",
			 layer, names[which]);
	else
		snprintf(name, MOE_NAME_MAX,
			 "model.layers.%u.block_sparse_moe.experts.%u.%s.weight",
			 layer, expert, names[which]);
}

void moe_tensor_shape(const struct moe_config *c, enum moe_tensor which,
		      unsigned int *rows, unsigned int *cols)
{
	*cols = c->dim;
	switch (which) {
	case MOE_EMBED:
	case MOE_LM_HEAD:
		*rows = c->vocab;
		break;
	case MOE_Q:
	case MOE_O:
		*rows = c->dim;
		break;
	case MOE_K:
	case MOE_V:
		*rows = moe_kv_dim(c);
		break;
	case MOE_GATE:
		*rows = c->experts;
		break;
	case MOE_W1:
	case MOE_W3:
		*rows = c->ff;
		break;
	case MOE_W2:
		*rows = c->dim;
		*cols = c->ff;
		break;
	default:
		*rows = c->dim;
		*cols = 0;
	}
}
