/* SPDX-License-Identifier: GPL-2.0 */
/* What a run of inference cost, and what came out */
#ifndef MOE_REPORT_H
#define MOE_REPORT_H

#include <stdio.h>
#include <sys/resource.h>

#include "model.h"

/*
 * One moment of a run: time since its start, how much of it the program itself
 * ran, and page faults since then. The program makes no system calls to speak of
 * while it computes, so what is not user time went to page faults.
 */
struct mark {
	double	seconds;
	double	user_seconds;
	long	majflt;
	long	minflt;
};

/**
 * struct report - figures of a run
 * @start: clock at the start, seconds
 * @usage: resource usage then
 * @loaded: the model is mapped and its header read
 * @first: the first token has been generated
 * @done: all have
 * @prompt_tokens: length of the prompt
 * @tokens: what was generated
 * @nr_tokens: entries of @tokens
 * @logits_hash: FNV-1a of every logit's bits, in order
 * @address: where the model is mapped
 * @rmai: mapped with MAP_RMAI
 * @model_bytes: size of the file
 * @dense_bytes: of it, what every token needs: all but the experts
 * @expert_bytes: size of one expert
 * @experts: how many the model has
 * @experts_touched: how many of them were picked at least once
 * @model: for the hits of each expert
 */
struct report {
	double			start;
	struct rusage		usage;
	struct mark		loaded, first, done;
	unsigned int		prompt_tokens;
	unsigned int		*tokens;
	unsigned int		nr_tokens;
	u64		logits_hash;
	const void		*address;
	bool			rmai;
	u64		model_bytes;
	u64		dense_bytes;
	u64		expert_bytes;
	unsigned int		experts;
	unsigned int		experts_touched;
	const struct moe_model	*model;
};

void report_start(struct report *r);
void report_loaded(struct report *r);
void report_logits(struct report *r, const float *logits, unsigned int n);
void report_token(struct report *r, unsigned int token);
void report_finish(struct report *r, const struct moe_model *m, u64 size);
void report_free(struct report *r);

/* 0, or -1 with errno set */
int report_text(const struct report *r, FILE *out);
int report_json(const struct report *r, FILE *out);

#endif
