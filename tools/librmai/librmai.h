/* SPDX-License-Identifier: GPL-2.0 */
/*
 * librmai: regions of remote shared memory, from user space.
 *
 * A thin layer over mmap(2), ioctl(2) and sysfs. No state, no threads; every
 * function sets errno and returns -1 (MAP_FAILED where it returns memory) as
 * system calls do. See mmap_rmai(2).
 */
#ifndef _LIBRMAI_H
#define _LIBRMAI_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <linux/rmai.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RMAI_SYSFS	"/sys/kernel/mm/rmai"
#define RMAI_CONFIGFS	"/sys/kernel/config/rmai"

/* Mapping (map.c) */

/**
 * rmai_map() - map a whole region at its address in the cluster
 * @path: file of an rmaifs
 * @prot: PROT_READ; with PROT_WRITE only where all of the region is at home
 * @len: set to the region's size, if not NULL
 *
 * Return: its address, the same on every node; MAP_FAILED: see mmap_rmai(2).
 * ENODATA: the region is empty.
 */
void *rmai_map(const char *path, int prot, size_t *len);

/**
 * rmai_map_fd() - the same of an open file
 * @fd: file of an rmaifs
 * @prot: as for rmai_map()
 * @len: bytes, from @off
 * @off: multiple of the page size
 *
 * Return: address of the region in the cluster, plus @off; MAP_FAILED.
 */
void *rmai_map_fd(int fd, int prot, size_t len, off_t off);

/**
 * rmai_map_anon() - make a region without a name, and map it
 * @len: bytes
 * @vmr_size: a power of two, or 0 for the default
 *
 * It is gone once no node has it mapped or open.
 *
 * Return: its address, readable and writable; MAP_FAILED.
 */
void *rmai_map_anon(size_t len, uint64_t vmr_size);

/**
 * rmai_attach() - map what is at an address of the cluster
 * @addr: where another node has it
 * @len: bytes
 * @prot: as for rmai_map()
 *
 * Return: @addr; MAP_FAILED.
 */
void *rmai_attach(void *addr, size_t len, int prot);

/* Attributes (attr.c) */

int rmai_is_region(int fd);	/* 1: a file of an rmaifs, 0: of another, -1 */
int rmai_get_attr(int fd, struct rmai_attr *attr);
/* What attr->mask says; the rest of @attr is filled in */
int rmai_set_attr(int fd, struct rmai_attr *attr);
int rmai_get_stat(int fd, struct rmai_region_stat *stat);
/* No more writes, no other size: from then on it is read without asking */
int rmai_seal(int fd);
/**
 * rmai_publish() - a sealed region takes the place, and the name, of another
 * @fd: the new one; it loses the name that it has
 * @name: of the other one
 * @old: a file descriptor of that: it must still have the name; or -1
 *
 * Return: the new one's generation; -1: see rmaifs(5). ESTALE: @name stands for another
 * region than @old; EBUSY: somebody else is publishing there just now.
 */
int64_t rmai_publish(int fd, const char *name, int old);
/* The hottest, or (from *@first on) the lost, VMRs; how many. @missing: see rmaifs(5) */
int rmai_get_vmrs(int fd, int what, struct rmai_vmr *vmrs, unsigned int nr,
		  uint64_t *first, uint64_t *missing);
/* How many of @nr VMRs were lost, and can be used again, as their homes have them */
int64_t rmai_reset_vmrs(int fd, uint64_t first, uint64_t nr);
/* A file descriptor of the region at @addr; @fd: anything on an rmaifs */
int rmai_open_addr(int fd, const void *addr, int flags);

/* Counters of this node (counters.c) */

struct rmai_counter {
	char		name[32];
	int64_t		value;
};

/**
 * rmai_counters() - all counters, in order of their names
 * @sysfs: NULL: RMAI_SYSFS
 * @list: set to an array, to be freed by the caller
 *
 * Return: how many; -1, ENOENT: this kernel has no RMAI.
 */
int rmai_counters(const char *sysfs, struct rmai_counter **list);

/* One counter; -1 with errno set, or its value with errno 0 */
int64_t rmai_counter(const char *sysfs, const char *name);

/* Mounts (mount.c) */

/**
 * rmai_find_mount() - where an rmaifs is mounted
 * @dir: set to the directory: /rmai if it is one, else the first
 * @size: bytes of @dir
 *
 * Return: 0; -1, ENOENT: none is; ERANGE: @dir is too small.
 */
int rmai_find_mount(char *dir, size_t size);

/* Calls @fn for each mount of an rmaifs, until it returns not 0 */
int rmai_each_mount(int (*fn)(const char *dir, void *arg), void *arg);

/* Sizes (size.c) */

/* "1536", "0x1000", "2M", "1.5GiB"; K, M, G, T are powers of 1024. -1: EINVAL, ERANGE */
int rmai_parse_size(const char *s, uint64_t *bytes);
/* "1536 B", "2 MiB", "1.50 GiB" */
const char *rmai_format_size(uint64_t bytes, char *buf, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* _LIBRMAI_H */
