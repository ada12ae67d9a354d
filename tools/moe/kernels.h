/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arithmetic. Every result is the same bit for bit on every machine: the
 * order of each sum is fixed here, nothing is contracted or reassociated (see
 * the Makefile's flags), and exp, log, sin and cos are our own, because libm's
 * differ with the CPU (it has variants with and without FMA).
 */
#ifndef MOE_KERNELS_H
#define MOE_KERNELS_H

#include "compat.h"

/**
 * struct moe_matrix - weights where the file has them
 * @data: row by row, in the file's type
 * @rows: outputs
 * @cols: inputs; 0 for a vector of @rows elements
 * @bf16: elements are bfloat16 instead of float
 */
struct moe_matrix {
	const void	*data;
	unsigned int	rows;
	unsigned int	cols;
	bool		bf16;
};

double moe_exp(double x);
double moe_log(double x);
void moe_sincos(double x, double *sine, double *cosine);

float moe_dot(const float *a, const float *b, size_t n);

/* @out[rows] = @m * @in[cols] */
void moe_matvec(float *out, const struct moe_matrix *m, const float *in);

/* Row @row of a matrix, or all of a vector, as floats */
void moe_row(float *out, const struct moe_matrix *m, unsigned int row);

/* @out[n] = @in / rms(@in) * @weight; @weight is a vector of @n */
void moe_rmsnorm(float *out, const float *in, const struct moe_matrix *weight,
		 float eps, size_t n);

void moe_softmax(float *x, size_t n);

/* Rotates each head's pairs (i, i + head_dim / 2) by the position's angles */
void moe_rope(float *x, unsigned int heads, unsigned int head_dim,
	      const float *sine, const float *cosine);

/* @gate[n] = silu(@gate) * @up */
void moe_swiglu(float *gate, const float *up, size_t n);

#endif
