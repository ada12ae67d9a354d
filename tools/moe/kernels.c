// SPDX-License-Identifier: GPL-2.0
/* The arithmetic of the model; see kernels.h for why nothing here is libm's */
#include <math.h>
#include <string.h>

#include "kernels.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are used where the file has them, and that is little-endian"
#endif

#define LANES	8

static long round_to_long(double x)
{
	return (long)(x < 0 ? x - 0.5 : x + 0.5);
}

static double pow2(int n)
{
	u64 bits = (u64)(n + 1023) << 52;
	double d;

	memcpy(&d, &bits, sizeof(d));
	return d;
}

/* x = n ln 2 + r with |r| <= ln 2 / 2, whose Taylor series ends soon */
double moe_exp(double x)
{
	double r, sum = 1;
	long n;
	int i;

	if (x != x)
		return x;
	if (x < -700)
		return 0;
	if (x > 700)
		x = 700;
	n = round_to_long(x * 1.4426950408889634);
	/* ln 2 in two parts, of which the first times n is exact */
	r = x - n * 0.693147180369123816490;
	r -= n * 0.000000000190821492927058770002;
	for (i = 14; i > 0; i--)
		sum = 1 + sum * r / i;
	return sum * pow2(n);
}

/* Halley's iteration on exp; for constants, so speed is no concern. @x > 0 */
double moe_log(double x)
{
	double y = 0, e;
	int i;

	/* from afar each step moves by 2 at most */
	for (i = 0; i < 100; i++) {
		e = moe_exp(y);
		y += 2 * (x - e) / (x + e);
	}
	return y;
}

/* For |x| up to some 2^20, the longest sequence */
void moe_sincos(double x, double *sine, double *cosine)
{
	double r, r2, s = 1, c = 1;
	long n;
	int i;

	/* to [-pi/4, pi/4]; pi/2 in two parts, as above */
	n = round_to_long(x * 0.63661977236758138);
	r = x - n * 1.57079632673412561417;
	r -= n * 0.0000000000607710050650619224932;
	r2 = r * r;
	for (i = 16; i > 0; i -= 2) {
		s = 1 - s * r2 / (i * (i + 1));
		c = 1 - c * r2 / (i * (i - 1));
	}
	s *= r;
	switch (n & 3) {
	case 0:
		*sine = s;
		*cosine = c;
		break;
	case 1:
		*sine = c;
		*cosine = -s;
		break;
	case 2:
		*sine = -s;
		*cosine = -c;
		break;
	default:
		*sine = -c;
		*cosine = s;
	}
}

static float bf16(u16 v)
{
	u32 bits = (u32)v << 16;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* Lane i sums the elements i, i + 8 ...: an order that SIMD can follow */
static float reduce(const float *lane)
{
	return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
	       ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

float moe_dot(const float *a, const float *b, size_t n)
{
	float lane[LANES] = { 0 };
	size_t i, j;

	for (i = 0; i + LANES <= n; i += LANES)
		for (j = 0; j < LANES; j++)
			lane[j] += a[i + j] * b[i + j];
	for (j = 0; i < n; i++, j++)
		lane[j] += a[i] * b[i];
	return reduce(lane);
}

static float dot_bf16(const u16 *a, const float *b, size_t n)
{
	float lane[LANES] = { 0 };
	size_t i, j;

	for (i = 0; i + LANES <= n; i += LANES)
		for (j = 0; j < LANES; j++)
			lane[j] += bf16(a[i + j]) * b[i + j];
	for (j = 0; i < n; i++, j++)
		lane[j] += bf16(a[i]) * b[i];
	return reduce(lane);
}

void moe_matvec(float *out, const struct moe_matrix *m, const float *in)
{
	size_t cols = m->cols, r;

	if (m->bf16) {
		const u16 *w = m->data;

		for (r = 0; r < m->rows; r++)
			out[r] = dot_bf16(w + r * cols, in, cols);
	} else {
		const float *w = m->data;

		for (r = 0; r < m->rows; r++)
			out[r] = moe_dot(w + r * cols, in, cols);
	}
}

void moe_row(float *out, const struct moe_matrix *m, unsigned int row)
{
	size_t n = m->cols ? m->cols : m->rows, i;

	if (m->bf16) {
		const u16 *w = (const u16 *)m->data + row * n;

		for (i = 0; i < n; i++)
			out[i] = bf16(w[i]);
	} else {
		memcpy(out, (const float *)m->data + row * n, n * sizeof(*out));
	}
}

void moe_rmsnorm(float *out, const float *in, const struct moe_matrix *weight,
		 float eps, size_t n)
{
	float scale = 1.0f / sqrtf(moe_dot(in, in, n) / n + eps);
	size_t i;

	moe_row(out, weight, 0);
	for (i = 0; i < n; i++)
		out[i] *= in[i] * scale;
}

void moe_softmax(float *x, size_t n)
{
	float max = x[0], sum = 0;
	size_t i;

	for (i = 1; i < n; i++)
		if (x[i] > max)
			max = x[i];
	for (i = 0; i < n; i++) {
		x[i] = moe_exp(x[i] - max);
		sum += x[i];
	}
	for (i = 0; i < n; i++)
		x[i] /= sum;
}

void moe_rope(float *x, unsigned int heads, unsigned int head_dim,
	      const float *sine, const float *cosine)
{
	unsigned int half = head_dim / 2, h, i;

	for (h = 0; h < heads; h++, x += head_dim) {
		for (i = 0; i < half; i++) {
			float a = x[i], b = x[i + half];

			x[i] = a * cosine[i] - b * sine[i];
			x[i + half] = b * cosine[i] + a * sine[i];
		}
	}
}

void moe_swiglu(float *gate, const float *up, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		float silu = gate[i] / (1.0f + (float)moe_exp(-gate[i]));

		gate[i] = silu * up[i];
	}
}
