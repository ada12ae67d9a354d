/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the tests of what mm's operations do on regions (mm-interactions.rst): a fixture
 * with a column of its table as variant. After each test the region's bytes must be
 * right: in the mapping under test, in another one, and for read(2).
 */
#ifndef _RMAI_MM_H
#define _RMAI_MM_H

#include <sys/syscall.h>
#include <sys/wait.h>

#include "rmai_test.h"
#include "../kselftest_harness.h"

#define MM_NAME "t_mm"
#define VMR (64 * KIB)
#define VMR_PAGES (VMR / PAGE)
#define VMRS 10ULL
#define LEN (VMRS * VMR)
#define PAGES (LEN / PAGE)
#define RW (PROT_READ | PROT_WRITE)

/* Columns of the table */
enum mm_kind {
	MM_SEALED,	/* sealed, stored elsewhere: replicas */
	MM_HOME,	/* open, stored here */
	MM_OPEN,	/* open, stored elsewhere: coherent replicas */
	MM_PRIVATE,	/* MAP_PRIVATE of a sealed one */
};

FIXTURE(mm) {
	int fd;
	uint8_t *p;		/* the mapping under test; NULL: there is none any more */
	uint8_t *other;		/* a shared one for reading, somewhere else */
	uint64_t seed;		/* of what p shows; 0: no longer one pattern */
	uint64_t file_seed;	/* of what the region holds; 0: likewise */
	bool writable;		/* p is */
	bool shared;
};

FIXTURE_VARIANT(mm) {
	enum mm_kind kind;
};

FIXTURE_VARIANT_ADD(mm, sealed) { .kind = MM_SEALED, };
FIXTURE_VARIANT_ADD(mm, home) { .kind = MM_HOME, };
FIXTURE_VARIANT_ADD(mm, open) { .kind = MM_OPEN, };
FIXTURE_VARIANT_ADD(mm, private) { .kind = MM_PRIVATE, };

/* Can an open region be mapped for writing where it is not stored? */
static inline bool mm_coherent(void)
{
	struct rmai_spec spec = { .vmr_size = VMR, .nodes = { rmai_remote(0) } };
	bool can = false;
	void *p;
	int fd;

	unlink(rmai_path("t_mm_probe"));
	fd = rmai_create("t_mm_probe", &spec);
	if (fd < 0)
		return false;
	if (!ftruncate(fd, VMR)) {
		p = mmap(NULL, VMR, RW, RMAI_FLAGS, fd, 0);
		can = p != MAP_FAILED;
		if (can)
			munmap(p, VMR);
	}
	close(fd);
	unlink(rmai_path("t_mm_probe"));
	return can;
}

/*
 * Where to put a plain mapping: a fault maps its VMR as far as its page table goes, and
 * the next page table begins at + 2 MiB.
 */
static inline uint8_t *mm_page_table(void)
{
	const uintptr_t table = 2 * MIB;
	void *p = mmap(NULL, 2 * table, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return p;	/* where nothing can be mapped */
	munmap(p, 2 * table);
	return (uint8_t *)(((uintptr_t)p + table - 1) & -table);
}

FIXTURE_SETUP(mm)
{
	bool here = variant->kind == MM_HOME, open_ = here || variant->kind == MM_OPEN;
	struct rmai_spec spec = { .vmr_size = VMR };
	const char *missing = rmai_missing();

	self->fd = -1;
	if (missing)
		SKIP(return, "%s", missing);
	if (!rmai_is_memory(rmai_self()) || !rmai_remote(0))
		SKIP(return, "this and another node must be memory nodes");
	if (variant->kind == MM_OPEN && !mm_coherent())
		SKIP(return, "open regions cannot be mapped where they are not stored");
	spec.nodes[0] = here ? rmai_self() : rmai_remote(0);
	unlink(rmai_path(MM_NAME));
	self->fd = rmai_create(MM_NAME, &spec);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, rmai_write_pattern(self->fd, 0, LEN, 1));
	if (!open_)
		ASSERT_EQ(0, rmai_seal(self->fd));
	self->seed = 1;
	self->file_seed = 1;
	self->shared = variant->kind != MM_PRIVATE;
	self->writable = variant->kind != MM_SEALED;
	if (self->shared)
		self->p = mmap(NULL, LEN, self->writable ? RW : PROT_READ, RMAI_FLAGS,
			       self->fd, 0);
	else
		self->p = mmap(NULL, LEN, RW, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->other = mmap(mm_page_table(), LEN, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE,
			   self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->other);
	ASSERT_NE(self->p, self->other);
}

/* What of a test's bytes is wrong, or NULL */
static inline const char *mm_wrong(const FIXTURE_DATA(mm) * self)
{
	static char said[128];
	static uint8_t buf[LEN];
	ssize_t at;

	if (self->p && self->seed) {
		at = rmai_wrong(self->p, LEN, 0, self->seed);
		if (at >= 0) {
			snprintf(said, sizeof(said), "the mapping, byte %zd", at);
			return said;
		}
	}
	if (!self->file_seed)
		return NULL;
	at = rmai_wrong(self->other, LEN, 0, self->file_seed);
	if (at >= 0) {
		snprintf(said, sizeof(said), "another mapping, byte %zd", at);
		return said;
	}
	if (pread(self->fd, buf, LEN, 0) != LEN)
		return "read(2)";
	at = rmai_wrong(buf, LEN, 0, self->file_seed);
	if (at >= 0) {
		snprintf(said, sizeof(said), "the file, byte %zd", at);
		return said;
	}
	return NULL;
}

#define EXPECT_RIGHT()							\
	do {								\
		const char *wrong_ = mm_wrong(self);			\
									\
		EXPECT_EQ(NULL, wrong_) {				\
			TH_LOG("wrong: %s", wrong_);			\
		}							\
	} while (0)

FIXTURE_TEARDOWN(mm)
{
	if (self->fd < 0)
		return;
	EXPECT_RIGHT();
	if (self->p)
		munmap(self->p, LEN);
	munmap(self->other, LEN);
	close(self->fd);
	EXPECT_EQ(0, unlink(rmai_path(MM_NAME)));
}

#define MM_TEST(name) TEST_F_TIMEOUT(mm, name, RMAI_TIMEOUT)

/* Store a pattern through the mapping, if it may be written */
static inline void mm_store(FIXTURE_DATA(mm) * self, uint64_t seed)
{
	if (!self->writable)
		return;
	rmai_fill(self->p, LEN, 0, seed);
	self->seed = seed;
	if (self->shared)
		self->file_seed = seed;
}

/* Pages of a range that are in the page cache; -1: error */
static inline int mm_resident(const void *p, size_t len)
{
	unsigned char vec[PAGES];
	size_t i;
	int n = 0;

	if (len > LEN || mincore((void *)p, len, vec))
		return -1;
	for (i = 0; i < len / PAGE; i++)
		n += vec[i] & 1;
	return n;
}

/* Drop what is cached of the region and not mapped */
static inline void mm_drop(const FIXTURE_DATA(mm) * self)
{
	if (self->p)
		madvise(self->p, LEN, MADV_DONTNEED);
	madvise(self->other, LEN, MADV_DONTNEED);
	posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* A number of a line of /proc/self/smaps, for the mapping at an address; -1: no line */
static inline long smaps_kb(const void *p, const char *field, char *line, size_t len)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool here = false;
	char buf[512];
	long n = -1;

	while (f && n < 0 && fgets(buf, sizeof(buf), f)) {
		if (sscanf(buf, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)p && (uintptr_t)p < end;
		else if (here && !strncmp(buf, field, strlen(field)) &&
			 buf[strlen(field)] == ':')
			n = strtol(buf + strlen(field) + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	if (n >= 0 && line)
		snprintf(line, len, "%s", buf);
	return n;
}

static inline bool mm_vmflag(const void *p, const char *flag)
{
	char line[512] = "";

	return smaps_kb(p, "VmFlags", line, sizeof(line)) >= 0 && strstr(line, flag);
}

/* Mappings of this process that begin within a range */
static inline int mm_vmas(const void *p, size_t len)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[512];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			n += start >= (uintptr_t)p && start < (uintptr_t)p + len;
	if (f)
		fclose(f);
	return n;
}

/* Entry of /proc/self/pagemap; 0 when there is none, or no right to read it */
static inline uint64_t pagemap_entry(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t e = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &e, 8, (uintptr_t)p / PAGE * 8) != 8)
		e = 0;
	close(fd);
	return e;
}

#define PM_PFN(e)	((e) & ((1ULL << 55) - 1))
#define PM_SOFT_DIRTY	(1ULL << 55)
#define PM_FILE		(1ULL << 61)
#define PM_PRESENT	(1ULL << 63)

/* Write a word to a file of the kernel; 0 or -1 and errno */
static inline int mm_write_file(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0)
		return -1;
	if (write(fd, word, strlen(word)) < 0)
		err = errno;
	close(fd);
	errno = err;
	return err ? -1 : 0;
}

/* Exit status of a child, or 1000 + the signal that it died of */
static inline int mm_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#endif /* _RMAI_MM_H */
