// SPDX-License-Identifier: GPL-2.0
/*
 * Who looks at a mapping of a region from outside: debuggers, /proc, core files; and
 * who wants to be told of its faults and stores: userfaultfd, soft-dirty bits.
 */
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <linux/userfaultfd.h>

#include "rmai_mm.h"

#ifndef UFFDIO_REGISTER_MODE_MINOR
#define UFFDIO_REGISTER_MODE_MINOR	(1 << 2)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1 << 15)
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef PAGEMAP_SCAN
#define PAGE_IS_WRITTEN			(1 << 1)
#define PAGE_IS_FILE			(1 << 2)
#define PAGE_IS_PRESENT			(1 << 3)
struct page_region {
	__u64 start, end, categories;
};

struct pm_scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define PAGEMAP_SCAN			_IOWR('f', 16, struct pm_scan_arg)
#endif

/* Is a page that has not been fetched yet out of reach for who cannot wait? */
static bool absent(enum mm_kind kind)
{
	return kind != MM_HOME;
}

/* A child that maps what we do, and is stopped under ptrace; ends by itself with us */
static pid_t traced(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)))
		return -1;
	return pid;
}

MM_TEST(ptrace)
{
	uint64_t is = rmai_word(2 * VMR / 8, 1), word;
	uint8_t *at = self->p + 2 * VMR;
	pid_t pid;

	pid = traced();
	ASSERT_LT(0, pid);
	if (absent(variant->kind)) {
		/* It cannot wait, and does not wait for ever */
		errno = 0;
		EXPECT_EQ(-1, ptrace(PTRACE_PEEKDATA, pid, at, NULL));
		EXPECT_EQ(EIO, errno);
	}
	/* In memory it is when anybody has touched it */
	EXPECT_EQ(rmai_byte(2 * VMR, 1), self->other[2 * VMR]);
	errno = 0;
	EXPECT_EQ(is, (uint64_t)ptrace(PTRACE_PEEKDATA, pid, at, NULL));
	EXPECT_EQ(0, errno);
	word = ~is;
	if (!self->writable) {
		EXPECT_ERRNO(EIO, ptrace(PTRACE_POKEDATA, pid, at, word));
	} else if (variant->kind != MM_OPEN) {
		EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, pid, at, word));
		EXPECT_EQ(word, (uint64_t)ptrace(PTRACE_PEEKDATA, pid, at, NULL));
		/* A private one gets its own copy, others see the store */
		EXPECT_EQ(self->shared ? (uint8_t)word : (uint8_t)is, self->other[2 * VMR]);
		EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, pid, at, is));
	}
	EXPECT_EQ(0, ptrace(PTRACE_CONT, pid, NULL, 0));
	EXPECT_EQ(0, mm_wait(pid));
}

MM_TEST(proc_mem)
{
	int mem = open("/proc/self/mem", O_RDWR);
	uint64_t off = (uintptr_t)self->p + 3 * VMR;
	uint8_t buf[2 * PAGE], c = 123;

	ASSERT_LE(0, mem);
	if (absent(variant->kind))
		EXPECT_ERRNO(EIO, pread(mem, buf, sizeof(buf), off));
	EXPECT_EQ(rmai_byte(3 * VMR, 1), self->other[3 * VMR]);
	EXPECT_EQ(sizeof(buf), pread(mem, buf, sizeof(buf), off));
	EXPECT_EQ(-1, rmai_wrong(buf, sizeof(buf), 3 * VMR, 1));
	if (!self->writable) {
		EXPECT_ERRNO(EIO, pwrite(mem, &c, 1, off));
	} else {
		self->p[3 * VMR] = c;
		c++;
		EXPECT_EQ(1, pwrite(mem, &c, 1, off));
		EXPECT_EQ(124, self->p[3 * VMR]);
		c = rmai_byte(3 * VMR, 1);
		EXPECT_EQ(1, pwrite(mem, &c, 1, off));
	}
	/* Where a debugger may store in spite of the protection, it makes a copy */
	if (!self->shared) {
		ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ));
		c = 77;
		EXPECT_EQ(1, pwrite(mem, &c, 1, off));
		EXPECT_EQ(77, self->p[3 * VMR]);
		EXPECT_EQ(rmai_byte(3 * VMR, 1), self->other[3 * VMR]);
		c = rmai_byte(3 * VMR, 1);
		EXPECT_EQ(1, pwrite(mem, &c, 1, off));
	}
	close(mem);
}

MM_TEST(process_vm)
{
	static uint8_t buf[2 * VMR];
	struct iovec local = { buf, sizeof(buf) }, remote = { self->p + VMR + 5, sizeof(buf) };
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		for (;;)
			pause();
	/* Waits for what is to be fetched, on the other's behalf */
	EXPECT_EQ(sizeof(buf), process_vm_readv(pid, &local, 1, &remote, 1, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, sizeof(buf), VMR + 5, 1));
	remote.iov_base = self->p + 7 * VMR + 9;
	rmai_fill(buf, sizeof(buf), 7 * VMR + 9, 3);
	if (!self->writable) {
		EXPECT_ERRNO(EFAULT, process_vm_writev(pid, &local, 1, &remote, 1, 0));
	} else {
		EXPECT_EQ(sizeof(buf), process_vm_writev(pid, &local, 1, &remote, 1, 0));
		EXPECT_EQ(-1, rmai_wrong(self->p + 7 * VMR + 9, sizeof(buf), 7 * VMR + 9,
					 self->shared ? 3 : 1));
		memset(buf, 0, sizeof(buf));
		EXPECT_EQ(sizeof(buf), process_vm_readv(pid, &local, 1, &remote, 1, 0));
		EXPECT_EQ(-1, rmai_wrong(buf, sizeof(buf), 7 * VMR + 9, 3));
		if (self->shared)
			rmai_fill(self->p + 7 * VMR + 9, sizeof(buf), 7 * VMR + 9, 1);
	}
	kill(pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, mm_wait(pid));
}

MM_TEST(smaps)
{
	EXPECT_EQ(0, smaps_kb(self->p, "Rss", NULL, 0));
	EXPECT_EQ(rmai_byte(0, 1), self->p[0]);
	/* A fault maps its VMR */
	EXPECT_EQ(VMR / KIB, smaps_kb(self->p, "Rss", NULL, 0));
	EXPECT_EQ(VMR / KIB, smaps_kb(self->p, "Pss", NULL, 0));
	/* A replica is clean, what is stored here is the only copy */
	EXPECT_EQ(variant->kind == MM_HOME ? VMR / KIB : 0,
		  smaps_kb(self->p, "Private_Dirty", NULL, 0));
	EXPECT_EQ(variant->kind == MM_HOME ? 0 : VMR / KIB,
		  smaps_kb(self->p, "Private_Clean", NULL, 0));
	EXPECT_EQ(0, smaps_kb(self->p, "Anonymous", NULL, 0));
	/* Mapped twice: half belongs to each */
	EXPECT_EQ(rmai_byte(0, 1), self->other[0]);
	EXPECT_EQ(VMR / KIB / 2, smaps_kb(self->p, "Pss", NULL, 0));
	mm_store(self, 2);
	EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Size", NULL, 0));
	if (!self->shared)
		EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Anonymous", NULL, 0));
	EXPECT_EQ(0, smaps_kb(self->p, "Swap", NULL, 0));
	EXPECT_EQ(self->shared, mm_vmflag(self->p, " sh"));
	/* Not special in any way: it can be locked, merged, and scanned for access bits */
	EXPECT_FALSE(mm_vmflag(self->p, " de"));
	EXPECT_FALSE(mm_vmflag(self->p, " pf"));
	EXPECT_FALSE(mm_vmflag(self->p, " io"));
}

/* A VMR that lies in two page tables: a fault for each, one fetch */
MM_TEST(smaps_page_tables)
{
	long long vmrs = rmai_stat("fetch_vmrs");
	uint8_t *p;

	munmap(self->other, LEN);
	p = mmap(mm_page_table() + 2 * MIB - VMR / 4, LEN, PROT_READ,
		 MAP_SHARED | MAP_FIXED_NOREPLACE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	self->other = p;
	EXPECT_EQ(rmai_byte(0, 1), p[0]);
	EXPECT_EQ(VMR / KIB / 4, smaps_kb(p, "Rss", NULL, 0));
	EXPECT_EQ(rmai_byte(VMR / 4, 1), p[VMR / 4]);
	/* At home its neighbours may come with it */
	EXPECT_LE(VMR / KIB, smaps_kb(p, "Rss", NULL, 0));
	if (variant->kind != MM_HOME)
		EXPECT_EQ(vmrs + 1, rmai_stat("fetch_vmrs"));
}

MM_TEST(maps)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[512], perm[8];
	int found = 0;

	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %7s", &start, &end, perm) != 3 ||
		    start != (uintptr_t)self->p)
			continue;
		found++;
		EXPECT_EQ(start + LEN, end);
		EXPECT_STREQ(variant->kind == MM_SEALED ? "r--s" :
			     self->shared ? "rw-s" : "rw-p", perm);
		EXPECT_NE(NULL, strstr(line, rmai_path(MM_NAME)));
	}
	EXPECT_EQ(1, found);
	fclose(f);
}

/* Pages of a range that are as the mask says */
static int scan(const void *p, size_t len, uint64_t mask)
{
	struct page_region vec[PAGES];
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .start = (uintptr_t)p, .end = (uintptr_t)p + len,
		.vec = (uintptr_t)vec, .vec_len = PAGES, .category_mask = mask,
		.return_mask = mask,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY), n, i, pages = 0;

	if (fd < 0)
		return -1;
	n = ioctl(fd, PAGEMAP_SCAN, &arg);
	close(fd);
	if (n < 0)
		return -1;
	for (i = 0; i < n; i++)
		pages += (vec[i].end - vec[i].start) / PAGE;
	return pages;
}

MM_TEST(pagemap)
{
	uint64_t e = pagemap_entry(self->p + VMR);

	/* Looking does not fetch */
	EXPECT_EQ(0, e & PM_PRESENT);
	EXPECT_EQ(0, scan(self->p, LEN, PAGE_IS_PRESENT));
	EXPECT_EQ(rmai_byte(VMR, 1), self->p[VMR]);
	e = pagemap_entry(self->p + VMR);
	EXPECT_NE(0, e & PM_PRESENT);
	EXPECT_NE(0, e & PM_FILE);
	EXPECT_NE(0, PM_PFN(e));
	EXPECT_EQ(0, pagemap_entry(self->p) & PM_PRESENT);
	EXPECT_EQ(VMR_PAGES, scan(self->p, LEN, PAGE_IS_PRESENT | PAGE_IS_FILE));
	/* The same page for everybody */
	EXPECT_EQ(rmai_byte(VMR, 1), self->other[VMR]);
	EXPECT_EQ(PM_PFN(e), PM_PFN(pagemap_entry(self->other + VMR)));
	if (!self->shared) {
		mm_store(self, 2);
		EXPECT_EQ(0, pagemap_entry(self->p + VMR) & PM_FILE);
		EXPECT_NE(PM_PFN(e), PM_PFN(pagemap_entry(self->p + VMR)));
	}
}

MM_TEST(numa_maps)
{
	FILE *f = fopen("/proc/self/numa_maps", "r");
	unsigned long start, pages;
	char line[1024], *at;
	bool found = false;

	if (!f)
		SKIP(return, "no CONFIG_NUMA");
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, 1));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx ", &start) != 1 || start != (uintptr_t)self->p)
			continue;
		found = true;
		EXPECT_NE(NULL, strstr(line, rmai_path(MM_NAME)));
		pages = 0;
		for (at = strstr(line, " N"); at; at = strstr(at + 1, " N"))
			pages += strtoul(strchr(at, '=') + 1, NULL, 10);
		EXPECT_EQ(PAGES, pages);
	}
	EXPECT_TRUE(found);
	fclose(f);
}

MM_TEST(soft_dirty)
{
	int i, dirty = 0;

	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, 1));
	if (mm_write_file("/proc/self/clear_refs", "4"))
		SKIP(return, "no /proc/self/clear_refs");
	/* Does the kernel have it at all? */
	if (!mm_vmflag(self->p, " sd")) {
		static uint8_t page[2 * PAGE];

		page[PAGE] = 1;
		if (!(pagemap_entry(page + PAGE) & PM_SOFT_DIRTY))
			SKIP(return, "no CONFIG_MEM_SOFT_DIRTY");
	}
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, 1));
	if (self->writable)
		self->p[2 * VMR + 3 * PAGE] = rmai_byte(2 * VMR + 3 * PAGE, 1);
	for (i = 0; i < PAGES; i++)
		dirty += !!(pagemap_entry(self->p + i * PAGE) & PM_SOFT_DIRTY);
	/* Pages that were stored to, not their VMR */
	EXPECT_EQ(self->writable, dirty);
	if (self->writable)
		EXPECT_NE(0, pagemap_entry(self->p + 2 * VMR + 3 * PAGE) & PM_SOFT_DIRTY);
	mm_store(self, 2);
}

MM_TEST(referenced)
{
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN, 0, 1));
	EXPECT_EQ(LEN / KIB, smaps_kb(self->p, "Referenced", NULL, 0));
	ASSERT_EQ(0, mm_write_file("/proc/self/clear_refs", "1"));
	EXPECT_EQ(0, smaps_kb(self->p, "Referenced", NULL, 0));
	/* That does not flush TLBs, so the next access may not be seen; this does */
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_NONE));
	ASSERT_EQ(0, mprotect(self->p, LEN, self->writable ? RW : PROT_READ));
	EXPECT_EQ(rmai_byte(VMR, 1), self->p[VMR]);
	EXPECT_LT(0, smaps_kb(self->p, "Referenced", NULL, 0));
}

/* Bytes of a mapping that a core file has; -1: it is no core file, or has no such mapping */
static long dumped(const char *core, uint64_t addr, const void *want)
{
	int fd = open(core, O_RDONLY), i;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	long n = -1;
	char c;

	if (fd < 0)
		return -1;
	if (read(fd, &eh, sizeof(eh)) == sizeof(eh) && eh.e_type == ET_CORE) {
		for (i = 0; i < eh.e_phnum && n < 0; i++) {
			if (pread(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)) !=
			    sizeof(ph))
				break;
			if (ph.p_type != PT_LOAD || ph.p_vaddr != addr)
				continue;
			n = ph.p_filesz;
			/* The bytes themselves, if any */
			if (n && (pread(fd, &c, 1, ph.p_offset) != 1 || c != *(char *)want))
				n = -2;
		}
	}
	close(fd);
	return n;
}

MM_TEST(core_dump)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	const char *pattern = "/proc/sys/kernel/core_pattern";
	char was[256] = "", dir[] = "/tmp/rmai-core.XXXXXX", core[128];
	uint8_t first = rmai_byte(0, 1);
	FILE *f = fopen(pattern, "r");
	int dump;
	pid_t pid;

	if (!f)
		SKIP(return, "no core files");
	if (!fgets(was, sizeof(was), f))
		was[0] = 0;
	fclose(f);
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(core, sizeof(core), "%s/core", dir);
	ASSERT_EQ(0, mm_write_file(pattern, core));
	for (dump = 0; dump < 2; dump++) {
		/* Not even when it is here and was asked to be locked; but when asked for */
		pid = fork();
		if (!pid) {
			setrlimit(RLIMIT_CORE, &unlimited);
			/* All kinds of mappings of files, too */
			if (mm_write_file("/proc/self/coredump_filter", "0x3f"))
				_exit(3);
			if (dump ? madvise(self->p, LEN, MADV_DODUMP) : rmai_peek(self->p))
				_exit(1);
			signal(SIGABRT, SIG_DFL);
			kill(getpid(), SIGABRT);
			_exit(2);
		}
		EXPECT_EQ(1000 + SIGABRT, mm_wait(pid));
		EXPECT_EQ(dump ? LEN : 0, dumped(core, (uintptr_t)self->p, &first));
		unlink(core);
	}
	mm_write_file(pattern, was);
	rmdir(dir);
}

static int uffd_open(uint64_t features, uint64_t *have)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	if (fd >= 0 && have)
		*have = api.features;
	return fd;
}

MM_TEST(userfaultfd)
{
	uint64_t modes[] = { UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_MINOR,
			     UFFDIO_REGISTER_MODE_WP }, have = 0;
	struct uffdio_register reg = { .range = { (uintptr_t)self->p, LEN } };
	unsigned int i;
	int fd;

	/* Faults are answered by RMAI alone; the same goes for any file on a disk */
	for (i = 0; i < 3; i++) {
		fd = uffd_open(0, &have);
		if (fd < 0)
			SKIP(return, "no userfaultfd");
		reg.mode = modes[i];
		EXPECT_ERRNO(EINVAL, ioctl(fd, UFFDIO_REGISTER, &reg));
		close(fd);
	}
	EXPECT_RIGHT();
}

MM_TEST(userfaultfd_wp_async)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)self->p, LEN }, .mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = { .range = reg.range, .mode = 1 };
	int fd = uffd_open(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED, NULL);

	if (fd < 0)
		SKIP(return, "no userfaultfd with UFFD_FEATURE_WP_ASYNC");
	/* Stores can be tracked, for the kernel answers those faults itself */
	if (!self->writable) {
		EXPECT_ERRNO(EPERM, ioctl(fd, UFFDIO_REGISTER, &reg));
		close(fd);
		return;
	}
	ASSERT_EQ(0, ioctl(fd, UFFDIO_REGISTER, &reg));
	EXPECT_EQ(-1, rmai_wrong(self->p, LEN / 2, 0, 1));
	ASSERT_EQ(0, ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
	EXPECT_EQ(0, scan(self->p, LEN, PAGE_IS_WRITTEN));
	EXPECT_RIGHT();
	EXPECT_EQ(0, scan(self->p, LEN, PAGE_IS_WRITTEN));
	/* One that was here when it was protected, and one that was not */
	self->p[VMR] = rmai_byte(VMR, 1);
	self->p[9 * VMR] = rmai_byte(9 * VMR, 1);
	EXPECT_EQ(2, scan(self->p, LEN, PAGE_IS_WRITTEN));
	EXPECT_EQ(1, scan(self->p + VMR, PAGE, PAGE_IS_WRITTEN));
	close(fd);
	mm_store(self, 2);
}

TEST_HARNESS_MAIN
