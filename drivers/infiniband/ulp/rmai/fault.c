// SPDX-License-Identifier: GPL-2.0
/*
 * RMAI over RDMA: fault injection (debugfs rmai_rdma/, see
 * Documentation/fault-injection/fault-injection.rst for the files in each):
 *
 *   fail_send	a message is refused with -EIO
 *   fail_rdma	an operation that went well is reported as failed, -EIO
 *   fail_reg	a registration fails with -EIO
 *   fail_conn	the connection dies when an operation, or a registration, is started
 *
 * On a reliable connection an operation that the network or the peer fails
 * takes the connection with it: that is fail_conn. fail_rdma and fail_reg
 * stand for what fails on this side of it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/fault-inject.h>

#include "rmai_rdma.h"

static DECLARE_FAULT_ATTR(rmai_rdma_fail_send);
static DECLARE_FAULT_ATTR(rmai_rdma_fail_rdma);
static DECLARE_FAULT_ATTR(rmai_rdma_fail_reg);
static DECLARE_FAULT_ATTR(rmai_rdma_fail_conn);

static const struct {
	const char		*name;
	struct fault_attr	*attr;
} rmai_rdma_faults[RMAI_RDMA_NR_FAULTS] = {
	[RMAI_RDMA_FAIL_SEND] = { "fail_send", &rmai_rdma_fail_send },
	[RMAI_RDMA_FAIL_RDMA] = { "fail_rdma", &rmai_rdma_fail_rdma },
	[RMAI_RDMA_FAIL_REG]  = { "fail_reg", &rmai_rdma_fail_reg },
	[RMAI_RDMA_FAIL_CONN] = { "fail_conn", &rmai_rdma_fail_conn },
};

static struct dentry *rmai_rdma_debugfs;

/**
 * rmai_rdma_fault_init - make the debugfs files
 */
void rmai_rdma_fault_init(void)
{
	struct dentry *dir = debugfs_create_dir("rmai_rdma", NULL);
	unsigned int i;

	for (i = 0; i < RMAI_RDMA_NR_FAULTS; i++)
		fault_create_debugfs_attr(rmai_rdma_faults[i].name, dir,
					  rmai_rdma_faults[i].attr);
	rmai_rdma_debugfs = dir;
}

/**
 * rmai_rdma_fault_exit - remove them
 */
void rmai_rdma_fault_exit(void)
{
	debugfs_remove(rmai_rdma_debugfs);
}

/**
 * rmai_rdma_should_fail - is it time to fail?
 * @fault: what could fail
 *
 * Return: true if it shall
 * Context: any
 */
bool rmai_rdma_should_fail(enum rmai_rdma_fault fault)
{
	return should_fail(rmai_rdma_faults[fault].attr, 1);
}

/**
 * rmai_rdma_inject_loss - lose a connection, if it is time to
 * @conn: connection, in use
 *
 * Context: any
 */
void rmai_rdma_inject_loss(struct rmai_rdma_conn *conn)
{
	if (!rmai_rdma_should_fail(RMAI_RDMA_FAIL_CONN))
		return;
	pr_warn_ratelimited("%s: peer %pISpc: injected loss of the connection\n",
			    conn->xprt->name, &conn->conn.addr);
	rmai_rdma_conn_kill(conn, -ECONNRESET);
}
