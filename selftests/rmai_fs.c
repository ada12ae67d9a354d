// SPDX-License-Identifier: GPL-2.0
/*
 * rmaifs as a file system: names, attributes, permissions, and the bytes that
 * read(2), write(2) and their relatives move, against a shadow of the file.
 */
#include <dirent.h>
#include <grp.h>
#include <linux/fs.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "rmai_test.h"
#include "../kselftest_harness.h"

#define NAME "t_fs"
#define OTHER "t_fs_other"

FIXTURE(fs) {
	int fd;
};

FIXTURE_SETUP(fs)
{
	const char *missing = rmai_missing();

	if (missing)
		SKIP(return, "%s", missing);
	unlink(rmai_path(NAME));
	unlink(rmai_path(OTHER));
	self->fd = rmai_create(NAME, NULL);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(fs)
{
	close(self->fd);
	unlink(rmai_path(NAME));
	unlink(rmai_path(OTHER));
}

TEST_F_TIMEOUT(fs, create_unlink, RMAI_TIMEOUT)
{
	struct stat st;

	EXPECT_ERRNO(EEXIST, open(rmai_path(NAME), O_RDWR | O_CREAT | O_EXCL, 0600));
	ASSERT_EQ(0, stat(rmai_path(NAME), &st));
	EXPECT_TRUE(S_ISREG(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(1, st.st_nlink);
	EXPECT_EQ(getuid(), st.st_uid);
	ASSERT_EQ(5, write(self->fd, "hello", 5));
	ASSERT_EQ(0, unlink(rmai_path(NAME)));
	EXPECT_ERRNO(ENOENT, stat(rmai_path(NAME), &st));
	EXPECT_ERRNO(ENOENT, unlink(rmai_path(NAME)));
	EXPECT_ERRNO(ENOENT, open(rmai_path(NAME), O_RDWR));

	/* An unlinked file lives while it is open */
	char buf[8];

	EXPECT_EQ(5, pread(self->fd, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(0, st.st_nlink);

	/* ... and its name is free for another one */
	int fd = rmai_create(NAME, NULL);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, pread(fd, buf, sizeof(buf), 0));
	close(fd);
}

TEST_F_TIMEOUT(fs, names, RMAI_TIMEOUT)
{
	char name[300];
	int fd;

	memset(name, 'n', sizeof(name));
	name[256] = 0;
	EXPECT_ERRNO(ENAMETOOLONG, open(rmai_path(name), O_RDWR | O_CREAT, 0600));
	EXPECT_ERRNO(ENAMETOOLONG, open(rmai_path(name), O_RDWR));
	name[255] = 0;
	fd = open(rmai_path(name), O_RDWR | O_CREAT, 0600);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(0, access(rmai_path(name), F_OK));
	EXPECT_EQ(0, unlink(rmai_path(name)));
	/* Any byte but '/' and NUL */
	fd = open(rmai_path("\x01 \xff\xfe\n"), O_RDWR | O_CREAT, 0600);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(0, unlink(rmai_path("\x01 \xff\xfe\n")));
}

TEST_F_TIMEOUT(fs, only_regular_files, RMAI_TIMEOUT)
{
	EXPECT_ERRNO(EPERM, mkdir(rmai_path(OTHER), 0700));
	EXPECT_ERRNO(EPERM, symlink("x", rmai_path(OTHER)));
	EXPECT_ERRNO(EPERM, link(rmai_path(NAME), rmai_path(OTHER)));
	EXPECT_ERRNO(EPERM, mknod(rmai_path(OTHER), S_IFIFO | 0600, 0));
	EXPECT_ERRNO(EOPNOTSUPP, open(rmai_mnt(), O_TMPFILE | O_RDWR, 0600));
	EXPECT_ERRNO(EINVAL, open(rmai_path(NAME), O_RDWR | O_DIRECT));
	EXPECT_ERRNO(ENOTDIR, rmdir(rmai_path(NAME)));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(self->fd, 0, 0, 4096));
}

static int renameat2_(const char *from, const char *to, unsigned int flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, rmai_path(from), AT_FDCWD,
		       rmai_path(to), flags);
}

TEST_F_TIMEOUT(fs, rename, RMAI_TIMEOUT)
{
	struct stat a, b;
	char buf[8];
	int fd;

	ASSERT_EQ(3, write(self->fd, "one", 3));
	ASSERT_EQ(0, fstat(self->fd, &a));
	ASSERT_EQ(0, rename(rmai_path(NAME), rmai_path(OTHER)));
	EXPECT_ERRNO(ENOENT, stat(rmai_path(NAME), &b));
	ASSERT_EQ(0, stat(rmai_path(OTHER), &b));
	EXPECT_EQ(a.st_ino, b.st_ino);
	EXPECT_EQ(3, b.st_size);
	EXPECT_EQ(1, b.st_nlink);
	EXPECT_ERRNO(ENOENT, rename(rmai_path(NAME), rmai_path(OTHER)));

	/* Onto a file that is open: that one loses its name, not its bytes */
	fd = rmai_create(NAME, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ(3, write(fd, "two", 3));
	EXPECT_ERRNO(EEXIST, renameat2_(NAME, OTHER, RENAME_NOREPLACE));
	EXPECT_ERRNO(EINVAL, renameat2_(NAME, OTHER, RENAME_EXCHANGE));
	ASSERT_EQ(0, rename(rmai_path(NAME), rmai_path(OTHER)));
	EXPECT_ERRNO(ENOENT, stat(rmai_path(NAME), &b));
	EXPECT_EQ(3, pread(self->fd, buf, 3, 0));
	EXPECT_EQ(0, memcmp(buf, "one", 3));
	ASSERT_EQ(0, fstat(self->fd, &b));
	EXPECT_EQ(0, b.st_nlink);
	close(fd);
	fd = open(rmai_path(OTHER), O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(3, read(fd, buf, 3));
	EXPECT_EQ(0, memcmp(buf, "two", 3));
	close(fd);

	/* To a name that is free, and to itself */
	EXPECT_EQ(0, renameat2_(OTHER, NAME, RENAME_NOREPLACE));
	EXPECT_EQ(0, rename(rmai_path(NAME), rmai_path(NAME)));
	EXPECT_EQ(0, access(rmai_path(NAME), F_OK));
	/* Not out of the file system */
	EXPECT_ERRNO(EXDEV, rename(rmai_path(NAME), "/tmp/t_fs"));
}

TEST_F_TIMEOUT(fs, readdir, RMAI_TIMEOUT)
{
	bool seen[300] = {};
	struct dirent *de;
	char name[32];
	int i, n, round;
	DIR *dir;

	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "t_fs_dir_%d", i);
		int fd = rmai_create(name, NULL);

		ASSERT_LE(0, fd);
		close(fd);
	}
	dir = opendir(rmai_mnt());
	ASSERT_NE(NULL, dir);
	for (round = 0; round < 2; round++) {
		memset(seen, 0, sizeof(seen));
		n = 0;
		errno = 0;
		while ((de = readdir(dir))) {
			if (sscanf(de->d_name, "t_fs_dir_%d", &i) != 1)
				continue;
			ASSERT_LE(0, i);
			ASSERT_GT(300, i);
			EXPECT_FALSE(seen[i]) {
				TH_LOG("%s is listed twice", de->d_name);
			}
			EXPECT_EQ(DT_REG, de->d_type);
			seen[i] = true;
			n++;
		}
		EXPECT_EQ(0, errno);
		EXPECT_EQ(300, n);
		rewinddir(dir);
	}
	/* What is there all the time is listed once, whatever else goes */
	memset(seen, 0, sizeof(seen));
	n = 0;
	while ((de = readdir(dir))) {
		if (sscanf(de->d_name, "t_fs_dir_%d", &i) != 1)
			continue;
		ASSERT_FALSE(seen[i]);
		seen[i] = true;
		n++;
		EXPECT_EQ(0, unlink(rmai_path(de->d_name)));
	}
	EXPECT_EQ(300, n);
	closedir(dir);
	EXPECT_EQ(-1, access(rmai_path("t_fs_dir_299"), F_OK));
	TH_LOG("300 names listed twice, and unlinked while listed");
}

TEST_F_TIMEOUT(fs, stat, RMAI_TIMEOUT)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { 1234567890, 987654321 } };
	struct stat before, st;

	ASSERT_EQ(0, fstat(self->fd, &before));
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 9999));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, stat(rmai_path(NAME), &st));
	EXPECT_EQ(10000, st.st_size);
	EXPECT_LE(4096, st.st_blksize);
	EXPECT_TRUE(st.st_mtim.tv_sec > before.st_mtim.tv_sec ||
		    (st.st_mtim.tv_sec == before.st_mtim.tv_sec &&
		     st.st_mtim.tv_nsec > before.st_mtim.tv_nsec));
	ASSERT_EQ(0, futimens(self->fd, times));
	ASSERT_EQ(0, stat(rmai_path(NAME), &st));
	EXPECT_EQ(1234567890, st.st_mtim.tv_sec);
	EXPECT_EQ(987654321, st.st_mtim.tv_nsec);
	ASSERT_EQ(0, chmod(rmai_path(NAME), 0644));
	ASSERT_EQ(0, chown(rmai_path(NAME), 12, 34));
	ASSERT_EQ(0, stat(rmai_path(NAME), &st));
	EXPECT_EQ(0644, st.st_mode & 07777);
	EXPECT_EQ(12, st.st_uid);
	EXPECT_EQ(34, st.st_gid);
}

TEST_F_TIMEOUT(fs, statfs, RMAI_TIMEOUT)
{
	struct statfs before, after;
	double end = rmai_now() + 20;

	ASSERT_EQ(0, statfs(rmai_mnt(), &before));
	EXPECT_EQ(RMAI_SUPER_MAGIC, (unsigned int)before.f_type);
	EXPECT_EQ(4096, before.f_bsize);
	EXPECT_EQ(RMAI_NAME_MAX, before.f_namelen);
	EXPECT_LT(0, before.f_blocks);
	EXPECT_LE(before.f_bfree, before.f_blocks);
	ASSERT_EQ(0, rmai_write_pattern(self->fd, 0, 8 * MIB, 1));
	/* Other nodes tell how full they are with their heartbeat */
	do {
		usleep(50000);
		ASSERT_EQ(0, statfs(rmai_mnt(), &after));
	} while (before.f_bfree - after.f_bfree < 2048 && rmai_now() < end);
	EXPECT_EQ(before.f_blocks, after.f_blocks);
	EXPECT_EQ(2048, before.f_bfree - after.f_bfree);
	TH_LOG("pool: %ld MiB, 8 MiB written take %ld MiB of it", (long)before.f_blocks / 256,
	       (long)(before.f_bfree - after.f_bfree) / 256);
}

/* In a process that is nobody */
static int as_nobody(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(255);
		_exit(fn());
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 254;
	return WEXITSTATUS(status);
}

#define NOT(err, call) ((call) != -1 || errno != (err))

static int nobody(void)
{
	int fd, dir;
	struct rmai_attr attr;

	if (NOT(EACCES, open(rmai_path(NAME), O_RDONLY)))
		return 1;
	if (NOT(EACCES, open(rmai_path(NAME), O_RDWR)))
		return 2;
	/* The directory is sticky */
	if (NOT(EPERM, unlink(rmai_path(NAME))))
		return 3;
	if (NOT(EPERM, rename(rmai_path(NAME), rmai_path(OTHER))))
		return 4;
	if (NOT(EPERM, chmod(rmai_path(NAME), 0777)))
		return 5;
	if (NOT(EACCES, truncate(rmai_path(NAME), 0)))
		return 6;
	fd = open(rmai_path(OTHER), O_RDWR | O_CREAT | O_EXCL, 0640);
	if (fd < 0)
		return 7;
	if (write(fd, "x", 1) != 1 || fchmod(fd, 0600))
		return 8;
	if (NOT(EPERM, fchown(fd, 0, 0)))
		return 9;
	if (rmai_getattr(fd, &attr))
		return 10;
	close(fd);
	if (unlink(rmai_path(OTHER)))
		return 11;
	dir = open(rmai_mnt(), O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		return 12;
	return 0;
}

static int nobody_reads(void)
{
	struct rmai_attr attr = { .mask = RMAI_ATTR_ON_LOSS };
	int fd = open(rmai_path(NAME), O_RDONLY);
	char c;

	if (fd < 0 || read(fd, &c, 1) != 1 || c != 'x')
		return 1;
	if (NOT(EACCES, open(rmai_path(NAME), O_RDWR)))
		return 2;
	if (NOT(EBADF, write(fd, "y", 1)))
		return 3;
	if (NOT(EBADF, ioctl(fd, RMAI_IOC_SETATTR, &attr)))
		return 4;
	if (NOT(EPERM, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)))
		return 5;
	return 0;
}

TEST_F_TIMEOUT(fs, permissions, RMAI_TIMEOUT)
{
	if (getuid())
		SKIP(return, "only root can become somebody else");
	ASSERT_EQ(1, write(self->fd, "x", 1));
	EXPECT_EQ(0, as_nobody(nobody));
	ASSERT_EQ(0, fchmod(self->fd, 0644));
	EXPECT_EQ(0, as_nobody(nobody_reads));
}

TEST_F_TIMEOUT(fs, append, RMAI_TIMEOUT)
{
	int a = open(rmai_path(NAME), O_WRONLY | O_APPEND);
	int b = open(rmai_path(NAME), O_WRONLY | O_APPEND), fd;
	char buf[8];

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	EXPECT_EQ(2, write(a, "ab", 2));
	EXPECT_EQ(2, write(b, "cd", 2));
	EXPECT_EQ(2, write(a, "ef", 2));
	EXPECT_EQ(6, pread(self->fd, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "abcdef", 6));
	close(a);
	close(b);
	/* O_TRUNC takes all, and what is written then has no past */
	fd = open(rmai_path(NAME), O_RDWR | O_TRUNC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, pread(self->fd, buf, sizeof(buf), 0));
	EXPECT_EQ(1, pwrite(fd, "z", 1, 3));
	EXPECT_EQ(4, pread(self->fd, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "\0\0\0z", 4));
	close(fd);
}

TEST_F_TIMEOUT(fs, truncate, RMAI_TIMEOUT)
{
	static uint8_t buf[3 * MIB];
	struct stat st;

	ASSERT_EQ(0, rmai_write_pattern(self->fd, 0, 3 * MIB, 2));
	/* Down into the middle of a page, and up again: the rest reads as zeros */
	ASSERT_EQ(0, ftruncate(self->fd, 2 * MIB + 4321));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(2 * MIB + 4321, st.st_size);
	EXPECT_EQ(0, pread(self->fd, buf, 10, 2 * MIB + 4321));
	ASSERT_EQ(0, ftruncate(self->fd, 3 * MIB));
	ASSERT_EQ(3 * MIB, pread(self->fd, buf, 3 * MIB, 0));
	EXPECT_EQ(-1, rmai_wrong(buf, 2 * MIB + 4321, 0, 2));
	EXPECT_EQ(-1, rmai_not(buf + 2 * MIB + 4321, MIB - 4321, 0));
	ASSERT_EQ(0, truncate(rmai_path(NAME), 0));
	EXPECT_EQ(0, pread(self->fd, buf, 10, 0));
	ASSERT_EQ(0, ftruncate(self->fd, 10));
	EXPECT_EQ(10, pread(self->fd, buf, 10, 0));
	EXPECT_EQ(-1, rmai_not(buf, 10, 0));
	EXPECT_ERRNO(EINVAL, ftruncate(self->fd, -1));
}

TEST_F_TIMEOUT(fs, too_big, RMAI_TIMEOUT)
{
	/* A region has to fit into one node's slice: 512 GiB by default */
	off_t past = 1LL << 60;

	EXPECT_ERRNO(EFBIG, pwrite(self->fd, "x", 1, past));
	EXPECT_ERRNO(EFBIG, ftruncate(self->fd, past));
	EXPECT_EQ(0, pread(self->fd, &past, 1, past));
	/* ... and what has an address, into what is reserved there */
	ASSERT_EQ(0, ftruncate(self->fd, MIB));

	struct rmai_attr attr;
	void *p = mmap(NULL, MIB, PROT_READ, RMAI_FLAGS, self->fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, rmai_getattr(self->fd, &attr));
	ASSERT_LE(MIB, attr.length);
	EXPECT_ERRNO(EFBIG, ftruncate(self->fd, attr.length + 1));
	EXPECT_ERRNO(EFBIG, pwrite(self->fd, "x", 1, attr.length));
	EXPECT_EQ(1, pwrite(self->fd, "x", 1, attr.length - 1));
	munmap(p, MIB);
}

TEST_F_TIMEOUT(fs, holes, RMAI_TIMEOUT)
{
	static uint8_t buf[64 * KIB];
	long long pages = rmai_stat("home_pages");
	uint64_t off;

	/* 1 TiB would not fit; 64 GiB of nothing takes no memory */
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 64ULL << 30));
	ASSERT_EQ(0, fsync(self->fd));
	for (off = 0; off < 64ULL << 30; off += 7ULL << 30) {
		ASSERT_EQ(sizeof(buf), pread(self->fd, buf, sizeof(buf), off + 4095));
		EXPECT_EQ(-1, rmai_not(buf, sizeof(buf), 0));
	}
	ASSERT_EQ(4097, pread(self->fd, buf, sizeof(buf), (64ULL << 30) - 4096));
	EXPECT_EQ(-1, rmai_not(buf, 4096, 0));
	EXPECT_EQ('x', buf[4096]);
	EXPECT_GE(pages + 1, rmai_stat("home_pages"));
	TH_LOG("64 GiB with a byte at the end: %lld page(s)", rmai_stat("home_pages") - pages);
}

/* Some thousand operations at odd offsets, and the same on a shadow in memory */
static void shadow(struct __test_metadata *_metadata, const struct rmai_spec *spec,
		   unsigned int seed, int ops)
{
	const size_t max = MIB;
	uint8_t *sh = calloc(1, max), *buf = malloc(max);
	size_t size = 0, off, len, moved = 0;
	int fd, other, i;
	ssize_t n;

	ASSERT_NE(NULL, sh);
	ASSERT_NE(NULL, buf);
	unlink(rmai_path(OTHER));
	fd = rmai_create(OTHER, spec);
	ASSERT_LE(0, fd);
	other = open(rmai_path(OTHER), O_RDONLY);
	ASSERT_LE(0, other);
	for (i = 0; i < ops; i++) {
		int op = rand_r(&seed) % 10;

		off = rand_r(&seed) % max;
		len = rand_r(&seed) % 3 ? rand_r(&seed) % 20000 : rand_r(&seed) % (max / 2);
		if (off + len > max)
			len = max - off;
		if (op < 5 && len) {
			rmai_fill(buf, len, off, i);
			memcpy(sh + off, buf, len);
			ASSERT_EQ(len, pwrite(fd, buf, len, off));
			if (off + len > size)
				size = off + len;
			moved += len;
		} else if (op < 9) {
			n = pread(i & 1 ? fd : other, buf, len, off);
			ASSERT_EQ(off >= size ? 0 : len < size - off ? len : size - off, n);
			ASSERT_EQ(0, memcmp(buf, sh + off, n)) {
				TH_LOG("operation %d: wrong bytes in %zu at %zu", i, len, off);
			}
			moved += n;
		} else if (rand_r(&seed) % 4 == 0) {
			ASSERT_EQ(0, ftruncate(fd, off));
			if (off < size)
				memset(sh + off, 0, size - off);
			size = off;
		}
	}
	ASSERT_EQ(size, pread(other, buf, max, 0));
	ASSERT_EQ(0, memcmp(buf, sh, size));
	TH_LOG("%d operations, %zu KiB, no byte wrong", ops, moved / 1024);
	close(fd);
	close(other);
	free(sh);
	free(buf);
}

TEST_F_TIMEOUT(fs, shadow_default, RMAI_TIMEOUT)
{
	shadow(_metadata, NULL, 1, 400);
}

TEST_F_TIMEOUT(fs, shadow_here, RMAI_TIMEOUT)
{
	struct rmai_spec spec = { .vmr_size = 64 * KIB, .nodes = { rmai_self() } };

	if (!rmai_is_memory(rmai_self()))
		SKIP(return, "this node is no memory node");
	shadow(_metadata, &spec, 2, 400);
}

TEST_F_TIMEOUT(fs, shadow_striped, RMAI_TIMEOUT)
{
	/* Neither is a power of two, and every operation crosses from node to node */
	struct rmai_spec spec = { .vmr_size = 12 * KIB, .stripe = 36 * KIB };
	int n = 0;

	if (rmai_is_memory(rmai_self()))
		spec.nodes[n++] = rmai_self();
	if (!rmai_remote(0))
		SKIP(return, "no other memory node");
	spec.nodes[n++] = rmai_remote(0);
	spec.nodes[n] = rmai_remote(1);
	shadow(_metadata, &spec, 3, 400);
}

TEST_F_TIMEOUT(fs, sendfile, RMAI_TIMEOUT)
{
	static uint8_t buf[300 * KIB];
	size_t size = 300 * KIB - 77, done = 0;
	char tmp[] = "/tmp/rmai_fs.XXXXXX";
	int file = mkstemp(tmp), out, pipefd[2];
	off_t off = 0;
	loff_t in_off, out_off;
	ssize_t n;

	ASSERT_LE(0, file);
	unlink(tmp);
	rmai_fill(buf, size, 0, 5);
	ASSERT_EQ(size, write(file, buf, size));

	/* In */
	while (done < size) {
		n = sendfile(self->fd, file, &off, size - done);
		ASSERT_LT(0, n);
		done += n;
	}
	memset(buf, 0, sizeof(buf));
	ASSERT_EQ(size, pread(self->fd, buf, sizeof(buf), 0));
	EXPECT_EQ(-1, rmai_wrong(buf, size, 0, 5));

	/* Out */
	ASSERT_EQ(0, ftruncate(file, 0));
	ASSERT_EQ(0, lseek(file, 0, SEEK_SET));
	for (off = 0; (size_t)off < size;) {
		n = sendfile(file, self->fd, &off, size);
		ASSERT_LT(0, n);
	}
	memset(buf, 0, sizeof(buf));
	ASSERT_EQ(size, pread(file, buf, sizeof(buf), 0));
	EXPECT_EQ(-1, rmai_wrong(buf, size, 0, 5));

	/* Region to region, through a pipe and by copy_file_range() */
	out = rmai_create(OTHER, NULL);
	ASSERT_LE(0, out);
	ASSERT_EQ(0, pipe(pipefd));
	for (in_off = 1, out_off = 0; (size_t)in_off < size;) {
		n = splice(self->fd, &in_off, pipefd[1], NULL, 20000, 0);
		ASSERT_LT(0, n);
		while (n > 0) {
			ssize_t m = splice(pipefd[0], NULL, out, &out_off, n, 0);

			ASSERT_LT(0, m);
			n -= m;
		}
	}
	ASSERT_EQ(size - 1, pread(out, buf, sizeof(buf), 0));
	EXPECT_EQ(-1, rmai_wrong(buf, size - 1, 1, 5));
	ASSERT_EQ(0, ftruncate(out, 0));
	for (in_off = 3, out_off = 0; (size_t)in_off < size;) {
		n = copy_file_range(self->fd, &in_off, out, &out_off, size, 0);
		ASSERT_LT(0, n);
	}
	ASSERT_EQ(size - 3, pread(out, buf, sizeof(buf), 0));
	EXPECT_EQ(-1, rmai_wrong(buf, size - 3, 3, 5));
	close(out);
	close(file);
	close(pipefd[0]);
	close(pipefd[1]);
}

TEST_F_TIMEOUT(fs, bad_buffers, RMAI_TIMEOUT)
{
	static uint8_t buf[2 * MIB];
	char *hole = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	ssize_t n;

	ASSERT_NE(MAP_FAILED, hole);
	munmap(hole + PAGE, PAGE);
	EXPECT_ERRNO(EFAULT, pwrite(self->fd, hole + PAGE, 10, 0));
	ASSERT_EQ(0, rmai_write_pattern(self->fd, 0, 2 * MIB, 6));
	EXPECT_ERRNO(EFAULT, pread(self->fd, hole + PAGE, 10, 0));
	/* A buffer that ends too early: as much as fits, or none of it; no byte wrong */
	n = pwrite(self->fd, hole + PAGE - 100, 200, 0);
	EXPECT_TRUE(n == 100 || (n == -1 && errno == EFAULT));
	ASSERT_EQ(2 * MIB, pread(self->fd, buf, 2 * MIB, 0));
	EXPECT_EQ(-1, rmai_wrong(buf + 200, 2 * MIB - 200, 200, 6));
	EXPECT_EQ(-1, rmai_wrong(buf + 100, 100, 100, 6));
	munmap(hole, PAGE);
}

TEST_F_TIMEOUT(fs, pool_full, RMAI_TIMEOUT)
{
	long long pages = rmai_stat("home_pages");
	static uint8_t buf[MIB];
	struct rmai_spec spec = {};
	size_t written = 0;
	struct statfs fs;
	int i, full, fd;
	ssize_t n;

	ASSERT_EQ(0, statfs(rmai_mnt(), &fs));
	if (fs.f_blocks > 1024 * MIB / PAGE)
		SKIP(return, "a pool of %ld MiB: filling it takes too long",
		     (long)fs.f_blocks / 256);
	for (full = 0; full < 2; full++) {
		spec.nodes[0] = full ? rmai_self() : rmai_remote(0);
		if (!rmai_is_memory(spec.nodes[0]))
			continue;
		unlink(rmai_path(OTHER));
		fd = rmai_create(OTHER, &spec);
		ASSERT_LE(0, fd);
		for (i = 0, written = 0; i < 2048; i++) {
			rmai_fill(buf, MIB, i * MIB, 7);
			n = write(fd, buf, MIB);
			if (n < 0)
				break;
			written += n;
			if (n != (ssize_t)MIB)
				i--;
		}
		EXPECT_EQ(-1, n);
		EXPECT_EQ(ENOSPC, errno);
		/* What was written before is there */
		ASSERT_LE(MIB, written);
		ASSERT_EQ(MIB, pread(fd, buf, MIB, written - MIB));
		EXPECT_EQ(-1, rmai_wrong(buf, MIB, written - MIB, 7));
		TH_LOG("node %d took %zu MiB, then ENOSPC", spec.nodes[0], written >> 20);
		/* A store to a mapping has no errno: a page that cannot be had is a signal */
		if (full) {
			int other = rmai_create("t_fs_full", &spec);
			uint8_t *p;

			ASSERT_LE(0, other);
			ASSERT_EQ(0, ftruncate(other, 4 * MIB));
			p = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, RMAI_FLAGS, other, 0);
			ASSERT_NE(MAP_FAILED, p);
			EXPECT_EQ(SIGBUS, rmai_poke(p + 3 * MIB, 1));
			munmap(p, 4 * MIB);
			close(other);
			EXPECT_EQ(0, unlink(rmai_path("t_fs_full")));
		}
		/* ... and the pool is free again when it goes */
		close(fd);
		ASSERT_EQ(0, unlink(rmai_path(OTHER)));
		EXPECT_TRUE(rmai_stat_becomes("home_pages", pages, 20));
	}
}

TEST_HARNESS_MAIN
