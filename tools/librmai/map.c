// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping regions at their address in the cluster.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "librmai.h"

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

void *rmai_map_fd(int fd, int prot, size_t len, off_t off)
{
	return mmap(NULL, len, prot, MAP_SHARED_VALIDATE | MAP_RMAI, fd, off);
}

void *rmai_map(const char *path, int prot, size_t *len)
{
	int fd, err;
	struct stat st;
	void *p;

	fd = open(path, (prot & PROT_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return MAP_FAILED;
	p = MAP_FAILED;
	if (!fstat(fd, &st)) {
		/* mmap() would say EINVAL, which says nothing */
		if (st.st_size)
			p = rmai_map_fd(fd, prot, st.st_size, 0);
		else
			errno = ENODATA;
	}
	if (p != MAP_FAILED && len)
		*len = st.st_size;
	/* The mapping holds the region */
	err = errno;
	close(fd);
	errno = err;
	return p;
}

void *rmai_map_anon(size_t len, uint64_t vmr_size)
{
	int flags = MAP_SHARED_VALIDATE | MAP_ANONYMOUS | MAP_RMAI;

	if (vmr_size) {
		if ((vmr_size & (vmr_size - 1)) || vmr_size < RMAI_VMR_MIN ||
		    vmr_size > RMAI_VMR_MAX) {
			errno = EINVAL;
			return MAP_FAILED;
		}
		flags |= (unsigned int)__builtin_ctzll(vmr_size) << MAP_HUGE_SHIFT;
	}
	return mmap(NULL, len, PROT_READ | PROT_WRITE, flags, -1, 0);
}

void *rmai_attach(void *addr, size_t len, int prot)
{
	return mmap(addr, len, prot, MAP_SHARED_VALIDATE | MAP_ANONYMOUS |
		    MAP_RMAI | MAP_FIXED_NOREPLACE, -1, 0);
}
