// SPDX-License-Identifier: GPL-2.0
/*
 * moe-run: greedy inference with a mixture-of-experts model.
 *
 * Weights stay where mmap() put them and are read when the arithmetic needs
 * them, so an expert that no router picks is never touched. Whether the file is
 * on a disk or in another machine's memory is for the kernel to know.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"
#include "report.h"

/* All that this program knows of RMAI, for headers that do not yet */
#ifndef MAP_RMAI
#define MAP_RMAI	0x800000
#endif

#define PROMPT_MAX	1048576

enum map_mode { MAP_MODE_LOCAL, MAP_MODE_RMAI, MAP_MODE_AUTO };

struct args {
	const char	*model;
	const char	*prompt;
	const char	*stats;
	const char	*logits;
	const char	*touched;
	unsigned int	tokens;
	enum map_mode	mode;
	bool		json;
};

static __noreturn __printf(1, 2)
void die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "moe-run: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* For the signal handler: where the weights are */
static const char *map_base;
static size_t map_len;

static void say(const char *str)
{
	size_t len = strlen(str);

	while (len) {
		ssize_t n = write(STDERR_FILENO, str, len);

		if (n <= 0)
			return;
		str += n;
		len -= n;
	}
}

/* The file was cut short, its disk failed, or a node that held it is gone. */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	const char *addr = info->si_addr;
	char digits[24], *p = digits + sizeof(digits);
	size_t off;

	(void)sig;
	(void)context;
	if (!map_base || addr < map_base || addr >= map_base + map_len) {
		say("moe-run: SIGBUS outside of the model\n");
		_exit(2);
	}
	*--p = '\0';
	off = addr - map_base;
	do {
		p--;
		*p = '0' + off % 10;
		off /= 10;
	} while (off);
	say("moe-run: SIGBUS: the model's data at byte ");
	say(p);
	say(" cannot be had\n");
	_exit(2);
}

static void *map_model(const struct args *a, int fd, size_t len, bool *rmai)
{
	void *p = MAP_FAILED;

	*rmai = a->mode != MAP_MODE_LOCAL;
	if (*rmai)
		p = mmap(NULL, len, PROT_READ, MAP_SHARED_VALIDATE | MAP_RMAI,
			 fd, 0);
	/* another file system, or a kernel that does not know the flag */
	if (a->mode == MAP_MODE_AUTO && p == MAP_FAILED && errno == EOPNOTSUPP)
		*rmai = false;
	if (!*rmai)
		p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED && *rmai && errno == EOPNOTSUPP)
		die("%s: not on an rmaifs, or the kernel has no RMAI", a->model);
	if (p == MAP_FAILED)
		die("%s: mmap: %s", a->model, strerror(errno));
	map_base = p;
	map_len = len;
	return p;
}

static u8 *read_prompt(const char *path, size_t *len)
{
	u8 *buf = malloc(PROMPT_MAX + 1);
	FILE *f = strcmp(path, "-") ? fopen(path, "r") : stdin;

	if (!f)
		die("%s: %s", path, strerror(errno));
	if (!buf)
		die("out of memory");
	*len = fread(buf, 1, PROMPT_MAX + 1, f);
	if (ferror(f))
		die("%s: %s", path, strerror(errno));
	if (f != stdin)
		fclose(f);
	if (!*len)
		die("%s: the prompt is empty", path);
	if (*len > PROMPT_MAX)
		die("%s: the prompt is longer than %u bytes", path, PROMPT_MAX);
	return buf;
}

/* The likeliest token, the lowest of equals */
static unsigned int argmax(const float *logits, unsigned int n)
{
	unsigned int i, top = 0;

	for (i = 1; i < n; i++)
		if (logits[i] > logits[top])
			top = i;
	return top;
}

static void save_logits(const struct args *a, FILE *f, const float *logits,
			unsigned int n)
{
	if (f && fwrite(logits, sizeof(*logits), n, f) != n)
		die("%s: %s", a->logits, strerror(errno));
}

static void infer(const struct args *a, struct moe_model *m,
		  const u8 *prompt, struct report *r)
{
	FILE *f = a->logits ? fopen(a->logits, "w") : NULL;
	unsigned int vocab = m->cfg.vocab, i, token;
	const float *logits = NULL;
	struct moe_run *run;

	if (a->logits && !f)
		die("%s: %s", a->logits, strerror(errno));
	run = moe_run_new(m, r->prompt_tokens + a->tokens);
	if (!run)
		die("out of memory");
	for (i = 0; i < r->prompt_tokens; i++) {
		logits = moe_run_step(run, prompt[i]);
		report_logits(r, logits, vocab);
		save_logits(a, f, logits, vocab);
	}
	for (i = 0; i < a->tokens; i++) {
		token = argmax(logits, vocab);
		report_token(r, token);
		if (i + 1 == a->tokens)
			break;
		logits = moe_run_step(run, token);
		report_logits(r, logits, vocab);
		save_logits(a, f, logits, vocab);
	}
	moe_run_free(run);
	if (f && fclose(f))
		die("%s: %s", a->logits, strerror(errno));
}

static void write_files(const struct args *a, const struct moe_model *m,
			const struct st_file *st, const struct report *r)
{
	FILE *f;

	if (a->stats) {
		f = fopen(a->stats, "w");
		if (!f || report_json(r, f) || fclose(f))
			die("%s: %s", a->stats, strerror(errno));
	}
	if (a->touched) {
		f = fopen(a->touched, "w");
		if (!f || moe_model_touched(m, st, f) || fclose(f))
			die("%s: %s", a->touched, strerror(errno));
	}
}

static const struct option options[] = {
	{ "model", required_argument, NULL, 'm' },
	{ "prompt", required_argument, NULL, 'p' },
	{ "tokens", required_argument, NULL, 'n' },
	{ "mmap", required_argument, NULL, 'M' },
	{ "json", no_argument, NULL, 'j' },
	{ "stats", required_argument, NULL, 's' },
	{ "logits", required_argument, NULL, 'l' },
	{ "touched", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void print_help(void)
{
	puts("Usage: moe-run --model FILE --prompt FILE [OPTION...]\n"
	     "Continue a prompt with a mixture-of-experts model (safetensors file of\n"
	     "Mixtral's tensors with the config in __metadata__; moe-gen writes such).\n"
	     "Bytes are tokens. The same file and prompt give the same tokens everywhere.\n"
	     "\n"
	     "  --model FILE    the weights, which are mapped\n"
	     "  --prompt FILE   the text to continue; - is standard input\n"
	     "  --tokens N      how many tokens to generate (default 32)\n"
	     "  --mmap HOW      local: MAP_SHARED, on any file system (default);\n"
	     "                  rmai: MAP_SHARED_VALIDATE|MAP_RMAI, on rmaifs only;\n"
	     "                  auto: rmai if it works, else local\n"
	     "  --json          print the report as JSON instead of text\n"
	     "  --stats FILE    also write the JSON report to FILE\n"
	     "  --touched FILE  write the byte ranges of the model that were read,\n"
	     "                  \"OFFSET LENGTH TENSOR\" a line\n"
	     "  --logits FILE   write every step's logits as raw floats\n"
	     "  --help          this text\n"
	     "\n"
	     "Exit status: 0; 1: bad usage or input; 2: SIGBUS, data cannot be had.");
}

static void parse_args(struct args *a, int argc, char **argv)
{
	static const char * const modes[] = { "local", "rmai", "auto" };
	unsigned long n;
	char *end;
	int opt, i;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'm':
			a->model = optarg;
			break;
		case 'p':
			a->prompt = optarg;
			break;
		case 'n':
			errno = 0;
			n = strtoul(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end || errno ||
			    !n || n > PROMPT_MAX)
				die("--tokens: \"%s\" is not a number of 1 to %u",
				    optarg, PROMPT_MAX);
			a->tokens = n;
			break;
		case 'M':
			for (i = 0; i < 3; i++)
				if (!strcmp(optarg, modes[i]))
					break;
			if (i == 3)
				die("--mmap: \"%s\" is not local, rmai or auto",
				    optarg);
			a->mode = i;
			break;
		case 'j':
			a->json = true;
			break;
		case 's':
			a->stats = optarg;
			break;
		case 'l':
			a->logits = optarg;
			break;
		case 't':
			a->touched = optarg;
			break;
		case 'h':
			print_help();
			exit(0);
		default:
			die("try moe-run --help");
		}
	}
	if (optind < argc || !a->model || !a->prompt)
		die("%s; try moe-run --help", optind < argc ? "takes options only" :
		    a->model ? "--prompt is missing" : "--model is missing");
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct args a = { .tokens = 32 };
	u8 *prompt;
	struct moe_model m;
	struct report r;
	struct st_file st;
	struct stat sb;
	size_t len;
	void *base;
	int fd;

	parse_args(&a, argc, argv);
	prompt = read_prompt(a.prompt, &len);
	sigaction(SIGBUS, &act, NULL);

	report_start(&r);
	fd = open(a.model, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &sb))
		die("%s: %s", a.model, strerror(errno));
	if (!S_ISREG(sb.st_mode) || !sb.st_size)
		die("%s: %s", a.model, sb.st_size ? "not a regular file" : "empty");
	base = map_model(&a, fd, sb.st_size, &r.rmai);
	close(fd);
	if (st_parse(&st, base, sb.st_size) || moe_model_bind(&m, &st))
		die("%s: %s", a.model, st.err);
	if (len + a.tokens > m.cfg.max_pos)
		die("%zu tokens of prompt and %u to generate are more than the model's %u",
		    len, a.tokens, m.cfg.max_pos);
	r.prompt_tokens = len;
	r.address = base;
	report_loaded(&r);

	infer(&a, &m, prompt, &r);
	report_finish(&r, &m, st.size);
	if (a.json ? report_json(&r, stdout) : report_text(&r, stdout))
		die("standard output: %s", strerror(errno));
	write_files(&a, &m, &st, &r);

	report_free(&r);
	moe_model_free(&m);
	st_free(&st);
	munmap(base, sb.st_size);
	free(prompt);
	return 0;
}
