// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes of a region, and sealing it.
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

int rmai_open_addr(int fd, const void *addr, int flags)
{
	struct rmai_open_addr oa = {
		.addr	= (uintptr_t)addr,
		.flags	= flags,
	};

	return ioctl(fd, RMAI_IOC_OPEN_ADDR, &oa);
}
