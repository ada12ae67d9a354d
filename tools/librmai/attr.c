// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes of a region, sealing and publishing it, and what is known of its VMRs.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "librmai.h"

int rmai_is_region(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st))
		return -1;
	return (unsigned long)st.f_type == RMAI_SUPER_MAGIC;
}

int rmai_get_attr(int fd, struct rmai_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	return ioctl(fd, RMAI_IOC_GETATTR, attr);
}

int rmai_set_attr(int fd, struct rmai_attr *attr)
{
	return ioctl(fd, RMAI_IOC_SETATTR, attr);
}

int rmai_get_stat(int fd, struct rmai_region_stat *stat)
{
	memset(stat, 0, sizeof(*stat));
	return ioctl(fd, RMAI_IOC_STAT, stat);
}

int rmai_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
}

int64_t rmai_publish(int fd, const char *name, int old)
{
	struct rmai_publish p = { .old = old };
	size_t len = strlen(name);

	if (len >= sizeof(p.name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(p.name, name, len);
	return ioctl(fd, RMAI_IOC_PUBLISH, &p) ? -1 : (int64_t)p.generation;
}

int rmai_get_vmrs(int fd, int what, struct rmai_vmr *vmrs, unsigned int nr,
		  uint64_t *first, uint64_t *missing)
{
	struct rmai_vmrs v = {
		.vmrs	= (uintptr_t)vmrs,
		.first	= *first,
		.what	= what,
		.nr	= nr,
	};

	if (ioctl(fd, RMAI_IOC_VMRS, &v))
		return -1;
	*first = v.first;
	*missing = v.missing;
	return v.nr;
}

int64_t rmai_reset_vmrs(int fd, uint64_t first, uint64_t nr)
{
	struct rmai_reset r = { .first = first, .nr = nr };

	return ioctl(fd, RMAI_IOC_RESET, &r) ? -1 : (int64_t)r.nr;
}

int rmai_open_addr(int fd, const void *addr, int flags)
{
	struct rmai_open_addr oa = {
		.addr	= (uintptr_t)addr,
		.flags	= flags,
	};

	return ioctl(fd, RMAI_IOC_OPEN_ADDR, &oa);
}
