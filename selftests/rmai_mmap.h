/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For rmai_mmap.c and rmai_mmap_data.c: a region stored on this node ("home"), and one
 * stored on another ("remote", sealed).
 */
#ifndef _RMAI_MMAP_H
#define _RMAI_MMAP_H

#include <sys/uio.h>
#include <sys/wait.h>

#include "rmai_test.h"
#include "../kselftest_harness.h"

#define HOME "t_mmap_home"
#define REMOTE "t_mmap_remote"
#define VMR (64 * KIB)
#define SIZE (10 * VMR + 1696)		/* ends in a page, that ends in a VMR */
#define MAPPED (11 * VMR)

FIXTURE(map) {
	int home, remote;
};

FIXTURE_SETUP(map)
{
	struct rmai_spec spec = { .vmr_size = VMR };
	const char *missing = rmai_missing();

	self->home = -1;
	self->remote = -1;
	if (missing)
		SKIP(return, "%s", missing);
	if (!rmai_is_memory(rmai_self()) || !rmai_remote(0))
		SKIP(return, "this and another node must be memory nodes");
	unlink(rmai_path(HOME));
	unlink(rmai_path(REMOTE));
	spec.nodes[0] = rmai_self();
	self->home = rmai_create(HOME, &spec);
	ASSERT_LE(0, self->home);
	ASSERT_EQ(0, rmai_write_pattern(self->home, 0, SIZE, 1));
	spec.nodes[0] = rmai_remote(0);
	self->remote = rmai_sealed(REMOTE, &spec, SIZE, 2);
	ASSERT_LE(0, self->remote);
}

FIXTURE_TEARDOWN(map)
{
	close(self->home);
	close(self->remote);
	unlink(rmai_path(HOME));
	unlink(rmai_path(REMOTE));
}

#define NAMED(fd, flags) mmap(NULL, MAPPED, PROT_READ, (flags), (fd), 0)

#endif /* _RMAI_MMAP_H */
