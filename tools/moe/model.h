/* SPDX-License-Identifier: GPL-2.0 */
/* A Mixtral-like model in a mapped safetensors file, and running it */
#ifndef MOE_MODEL_H
#define MOE_MODEL_H

#include <stdio.h>

#include "config.h"
#include "kernels.h"
#include "safetensors.h"

struct moe_expert {
	struct moe_matrix	w1, w2, w3;
	u64		hits;	/* tokens that came here */
};

struct moe_layer {
	struct moe_matrix	input_norm, q, k, v, o, post_norm, gate;
	struct moe_expert	*experts;
};

/**
 * struct moe_model - weights of a model
 * @cfg: its shape
 * @embed: token embeddings, one row per token
 * @norm: the last norm
 * @lm_head: from the residual stream to logits
 * @layers: the decoder layers
 * @expert_bytes: of one expert's three tensors
 * @token_seen: embedding rows that were read
 */
struct moe_model {
	struct moe_config	cfg;
	struct moe_matrix	embed, norm, lm_head;
	struct moe_layer	*layers;
	u64		expert_bytes;
	u8		*token_seen;
};

/*
 * Finds the model in a parsed file, without touching a weight. 0, or -1 with
 * st->err set; moe_model_free() is due in either case.
 */
int moe_model_bind(struct moe_model *m, struct st_file *st);
void moe_model_free(struct moe_model *m);

/* Names the file's bytes that were read, a line "OFFSET LENGTH NAME" each */
int moe_model_touched(const struct moe_model *m, const struct st_file *st,
		      FILE *out);

struct moe_run;

/* State for one sequence of at most @max_tokens; NULL: out of memory */
struct moe_run *moe_run_new(struct moe_model *m, unsigned int max_tokens);
void moe_run_free(struct moe_run *run);

/*
 * Takes the sequence's next token, @token < vocab, and returns the logits of
 * the one after it: vocab floats, good until the next call.
 */
const float *moe_run_step(struct moe_run *run, unsigned int token);

#endif
