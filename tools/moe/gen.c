// SPDX-License-Identifier: GPL-2.0
/*
 * moe-gen: writes a Mixtral-like model of random weights as a safetensors file.
 *
 * The weights are scaled as those of a freshly initialised network, so that
 * activations and logits stay sane, and the routers have favourites, as trained
 * ones have: how often an expert is used follows a power law of its rank, about.
 * That is done by a direction of the residual stream (+1 and -1 at random) which
 * every embedding has in common, and of which each router row has as much as the
 * logarithm of its expert's share asks for. All else that reads the stream is
 * blind to it.
 *
 * A tensor's elements depend on the seed and its name alone.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "kernels.h"

/* Data begin on a page, and with them every tensor of whole pages */
#define DATA_ALIGN	4096

struct gen {
	struct moe_config	cfg;
	u64		seed;
	double			skew;	/* exponent of the power law */
	bool			bf16;
	const char		*path;
	FILE			*out;
	float			*common;	/* the common direction */
	u8		*line;		/* a row, as it goes out */
};

static __noreturn __printf(2, 3)
void die(const struct gen *g, const char *fmt, ...)
{
	struct stat sb;
	va_list ap;

	fprintf(stderr, "moe-gen: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	/* leave no half file that looks like a whole one; but never unlink a device */
	if (g->out && !fstat(fileno(g->out), &sb) && S_ISREG(sb.st_mode) &&
	    g->out != stdout)
		unlink(g->path);
	exit(1);
}

/* splitmix64, of Vigna; public domain */
static u64 next(u64 *state)
{
	u64 z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* A stream of its own for each name (FNV-1a) */
static u64 stream(u64 seed, const char *name)
{
	u64 h = 0xcbf29ce484222325;

	for (; *name; name++)
		h = (h ^ (u8)*name) * 0x100000001b3;
	h ^= seed;
	return next(&h);
}

/*
 * About normal, mean 0, variance 1: the sum of four uniform 16-bit numbers,
 * which is an exact integer, so that the result is the same everywhere.
 */
static float normal(u64 *state)
{
	u64 r = next(state);
	int sum = (r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) +
		  (r >> 48);

	/* each has the mean 65535/2 and the variance (65536^2 - 1)/12 */
	return (sum - 131070) * 0.00002642914f;
}

static void put(struct gen *g, const void *buf, size_t len)
{
	if (fwrite(buf, 1, len, g->out) != len)
		die(g, "%s: %s", g->path, strerror(errno));
}

static void put_row(struct gen *g, const float *row, size_t n)
{
	u32 bits;
	size_t i;

	if (!g->bf16) {
		put(g, row, n * sizeof(*row));
		return;
	}
	for (i = 0; i < n; i++) {
		memcpy(&bits, &row[i], sizeof(bits));
		/* to nearest, ties to even; there are no NaNs */
		bits += 0x7fff + (bits >> 16 & 1);
		g->line[2 * i] = bits >> 16;
		g->line[2 * i + 1] = bits >> 24;
	}
	put(g, g->line, 2 * n);
}

/* Expert @e's rank of popularity in a layer: a random permutation of 1 .. n */
static void ranks(struct gen *g, unsigned int layer, unsigned int *rank)
{
	unsigned int n = g->cfg.experts, i, j, swap;
	char name[MOE_NAME_MAX];
	u64 state;

	snprintf(name, sizeof(name), "popularity.%u", layer);
	state = stream(g->seed, name);
	for (i = 0; i < n; i++)
		rank[i] = i + 1;
	for (i = n - 1; i > 0; i--) {
		j = next(&state) % (i + 1);
		swap = rank[i];
		rank[i] = rank[j];
		rank[j] = swap;
	}
}

/* What the elements of a matrix are multiplied with, to keep variances near 1 */
static float scale_of(const struct moe_config *c, enum moe_tensor which,
		      unsigned int cols)
{
	switch (which) {
	case MOE_EMBED:
		return 1;
	case MOE_O:
	case MOE_W2:
		/* they add to the residual stream, twice per layer; see GPT-2 */
		return 1.0f / sqrtf((float)cols * 2 * c->layers) * 2;
	case MOE_LM_HEAD:
		return 2.0f / sqrtf(cols);
	default:
		return 1.0f / sqrtf(cols);
	}
}

static void put_tensor(struct gen *g, enum moe_tensor which, unsigned int layer,
		       unsigned int expert)
{
	const struct moe_config *c = &g->cfg;
	unsigned int rows, cols, rank[MOE_EXPERTS_MAX], r, i;
	char name[MOE_NAME_MAX];
	float *row, scale, along;
	u64 state;

	moe_tensor_name(name, which, layer, expert);
	moe_tensor_shape(c, which, &rows, &cols);
	state = stream(g->seed, name);
	if (!cols) {
		cols = rows;
		rows = 0;
	}
	row = malloc(cols * sizeof(*row));
	if (!row)
		die(g, "out of memory");

	if (!rows) {
		for (i = 0; i < cols; i++)
			row[i] = 1 + 0.1f * normal(&state);
		put_row(g, row, cols);
	}
	if (which == MOE_GATE)
		ranks(g, layer, rank);
	scale = scale_of(c, which, cols);
	for (r = 0; r < rows; r++) {
		for (i = 0; i < cols; i++)
			row[i] = scale * normal(&state);
		along = 0;
		if (which == MOE_EMBED)
			along = 1;
		else if (which == MOE_GATE)
			along = -g->skew * moe_log(rank[r]) * 2 / c->dim;
		else if (which != MOE_O && which != MOE_W2)
			/* for routers only: else some tokens would win always */
			along = -moe_dot(row, g->common, cols) / c->dim;
		for (i = 0; along != 0 && i < cols; i++)
			row[i] += along * g->common[i];
		put_row(g, row, cols);
	}
	free(row);
}

/*
 * All tensors in the file's order: large ones first, so that they stay aligned
 * to pages (holes are not allowed), and an expert's three beside each other.
 */
static void each_tensor(struct gen *g,
			void (*fn)(struct gen *g, enum moe_tensor which,
				   unsigned int layer, unsigned int expert))
{
	const struct moe_config *c = &g->cfg;
	unsigned int l, e;

	fn(g, MOE_EMBED, 0, 0);
	for (l = 0; l < c->layers; l++) {
		fn(g, MOE_Q, l, 0);
		fn(g, MOE_K, l, 0);
		fn(g, MOE_V, l, 0);
		fn(g, MOE_O, l, 0);
		for (e = 0; e < c->experts; e++) {
			fn(g, MOE_W1, l, e);
			fn(g, MOE_W2, l, e);
			fn(g, MOE_W3, l, e);
		}
	}
	fn(g, MOE_LM_HEAD, 0, 0);
	for (l = 0; l < c->layers; l++)
		fn(g, MOE_GATE, l, 0);
	for (l = 0; l < c->layers; l++) {
		fn(g, MOE_INPUT_NORM, l, 0);
		fn(g, MOE_POST_NORM, l, 0);
	}
	fn(g, MOE_NORM, 0, 0);
}

/* The header is built in memory, as its length comes before it */
static struct {
	FILE		*mem;
	u64	pos;
} header;

static void describe(struct gen *g, enum moe_tensor which, unsigned int layer,
		     unsigned int expert)
{
	char name[MOE_NAME_MAX];
	unsigned int rows, cols;
	u64 bytes;

	moe_tensor_name(name, which, layer, expert);
	moe_tensor_shape(&g->cfg, which, &rows, &cols);
	bytes = (u64)rows * (cols ? cols : 1) * (g->bf16 ? 2 : 4);
	fprintf(header.mem, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%u", name,
		g->bf16 ? "BF16" : "F32", rows);
	if (cols)
		fprintf(header.mem, ",%u", cols);
	fprintf(header.mem, "],\"data_offsets\":[%llu,%llu]}",
		header.pos,
		(header.pos + bytes));
	header.pos += bytes;
}

static void put_header(struct gen *g)
{
	u8 le[8];
	char *buf = NULL;
	size_t len = 0, i;
	u64 whole;

	header.mem = open_memstream(&buf, &len);
	if (!header.mem)
		die(g, "out of memory");
	fprintf(header.mem, "{\"__metadata__\":{\"format\":\"pt\",");
	fprintf(header.mem, "\"model_type\":\"mixtral\",\"hidden_act\":\"silu\",");
	for (i = 0; i < moe_nr_config_keys; i++)
		fprintf(header.mem, "\"%s\":\"%u\",", moe_config_keys[i].name,
			*moe_config_field(&g->cfg, &moe_config_keys[i]));
	fprintf(header.mem, "\"rope_theta\":\"%.17g\",", g->cfg.rope_theta);
	fprintf(header.mem, "\"rms_norm_eps\":\"%.17g\",", g->cfg.eps);
	fprintf(header.mem, "\"seed\":\"%llu\"}", g->seed);
	each_tensor(g, describe);
	fputc('}', header.mem);
	/* spaces up to where the data begin, as the format suggests */
	while (!fflush(header.mem) && (len + 8) % DATA_ALIGN)
		fprintf(header.mem, "%*s",
			(int)(DATA_ALIGN - (len + 8) % DATA_ALIGN), "");
	if (fclose(header.mem))
		die(g, "out of memory");

	whole = len;
	for (i = 0; i < 8; i++)
		le[i] = whole >> (8 * i);
	put(g, le, 8);
	put(g, buf, len);
	free(buf);
}

static void generate(struct gen *g)
{
	unsigned int widest = g->cfg.dim > g->cfg.ff ? g->cfg.dim : g->cfg.ff, i;
	u64 state = stream(g->seed, "common");

	g->common = malloc(g->cfg.dim * sizeof(*g->common));
	g->line = malloc(2 * (size_t)widest);
	if (!g->common || !g->line)
		die(g, "out of memory");
	for (i = 0; i < g->cfg.dim; i++)
		g->common[i] = next(&state) & 1 ? 1 : -1;
	put_header(g);
	each_tensor(g, put_tensor);
	free(g->common);
	free(g->line);
}

static const struct option options[] = {
	{ "out", required_argument, NULL, 'o' },
	{ "seed", required_argument, NULL, 's' },
	{ "dim", required_argument, NULL, 'd' },
	{ "layers", required_argument, NULL, 'l' },
	{ "heads", required_argument, NULL, 'a' },
	{ "kv-heads", required_argument, NULL, 'k' },
	{ "experts", required_argument, NULL, 'e' },
	{ "top-k", required_argument, NULL, 't' },
	{ "ff", required_argument, NULL, 'f' },
	{ "vocab", required_argument, NULL, 'v' },
	{ "max-pos", required_argument, NULL, 'm' },
	{ "skew", required_argument, NULL, 'w' },
	{ "dtype", required_argument, NULL, 'y' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void print_help(void)
{
	puts("Usage: moe-gen --out FILE [OPTION...]\n"
	     "Write a mixture-of-experts model of random weights as a safetensors file\n"
	     "(tensor names of Mixtral, config in __metadata__). The same options make\n"
	     "the same bytes on every machine.\n"
	     "\n"
	     "  --out FILE      where to; - is standard output\n"
	     "  --seed N        of the weights (default 1)\n"
	     "  --dim N         width of the residual stream (256)\n"
	     "  --layers N      decoder layers (8)\n"
	     "  --heads N       query heads (8)\n"
	     "  --kv-heads N    key/value heads (4)\n"
	     "  --experts N     experts per layer (16)\n"
	     "  --top-k N       experts that a token visits in a layer (2)\n"
	     "  --ff N          inner width of an expert (384)\n"
	     "  --vocab N       tokens; the first 256 are the bytes (256)\n"
	     "  --max-pos N     longest sequence (2048)\n"
	     "  --skew X        how unevenly experts are used: exponent of a power\n"
	     "                  law, 0 is evenly (1.5)\n"
	     "  --dtype F32|BF16  type of the weights (F32)\n"
	     "  --help          this text\n"
	     "\n"
	     "The default model has 151 MiB, of which 144 are 128 experts.");
}

static u64 to_u64(const struct gen *g, const char *opt, const char *str,
		  u64 max)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(str, &end, 0);
	if (*str < '0' || *str > '9' || *end || errno || v > max)
		die(g, "--%s: \"%s\" is not a number of 0 to %llu", opt, str,
		    max);
	return v;
}

static void parse_args(struct gen *g, int argc, char **argv)
{
	struct moe_config *c = &g->cfg;
	unsigned int *field;
	const char *wrong;
	char *end;
	int opt, i;

	while ((opt = getopt_long(argc, argv, "", options, &i)) != -1) {
		field = NULL;
		switch (opt) {
		case 'o':
			g->path = optarg;
			break;
		case 's':
			g->seed = to_u64(g, "seed", optarg, UINT64_MAX);
			break;
		case 'd':
			field = &c->dim;
			break;
		case 'l':
			field = &c->layers;
			break;
		case 'a':
			field = &c->heads;
			break;
		case 'k':
			field = &c->kv_heads;
			break;
		case 'e':
			field = &c->experts;
			break;
		case 't':
			field = &c->top_k;
			break;
		case 'f':
			field = &c->ff;
			break;
		case 'v':
			field = &c->vocab;
			break;
		case 'm':
			field = &c->max_pos;
			break;
		case 'w':
			g->skew = strtod(optarg, &end);
			if (end == optarg || *end || !(g->skew >= 0 && g->skew <= 10))
				die(g, "--skew: \"%s\" is not a number of 0 to 10",
				    optarg);
			break;
		case 'y':
			if (strcmp(optarg, "F32") && strcmp(optarg, "BF16"))
				die(g, "--dtype: \"%s\" is neither F32 nor BF16",
				    optarg);
			g->bf16 = *optarg == 'B';
			break;
		case 'h':
			print_help();
			exit(0);
		default:
			die(g, "try moe-gen --help");
		}
		if (field)
			*field = to_u64(g, options[i].name, optarg, UINT32_MAX);
	}
	if (optind < argc || !g->path)
		die(g, "%s; try moe-gen --help",
		    g->path ? "takes options only" : "--out is missing");
	wrong = moe_config_check(c);
	if (wrong)
		die(g, "%s", wrong);
}

int main(int argc, char **argv)
{
	struct gen g = {
		.cfg = {
			.dim = 256,
			.layers = 8,
			.heads = 8,
			.kv_heads = 4,
			.experts = 16,
			.top_k = 2,
			.ff = 384,
			.vocab = 256,
			.max_pos = 2048,
			.rope_theta = 1e6,
			.eps = 0.00001,
		},
		.seed = 1,
		.skew = 1.5,
	};

	parse_args(&g, argc, argv);
	if (strcmp(g.path, "-"))
		g.out = fopen(g.path, "w");
	else
		g.out = stdout;
	if (!g.out)
		die(&g, "%s: %s", g.path, strerror(errno));
	generate(&g);
	/* a full disk may say so only now */
	if (fflush(g.out) || (fsync(fileno(g.out)) && errno != EINVAL &&
			      errno != EROFS) || fclose(g.out))
		die(&g, "%s: %s", g.path, strerror(errno));
	return 0;
}
