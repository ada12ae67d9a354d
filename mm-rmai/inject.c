// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection: messages are lost (debugfs rmai/, see
 * Documentation/fault-injection/fault-injection.rst for the files in each):
 *
 *   lose_request	a request is lost on its way
 *   lose_reply		a request is carried out, and its reply is lost
 *
 * and in each, "types" is a mask of the messages that are meant, by enum rmai_msg_type.
 * On a reliable connection a message that is lost takes the connection with it. The
 * sender of a request repeats it on the next one: so a lost reply makes the other side
 * carry out the same request twice.
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>

#include "internal.h"

static DECLARE_FAULT_ATTR(rmai_lose_request);
static DECLARE_FAULT_ATTR(rmai_lose_reply);
static u64 rmai_lose_types[2] = { ~0ULL, ~0ULL };

/**
 * rmai_msg_lost() - shall this message be lost?
 * @msg: about to be sent
 *
 * Context: any.
 */
bool rmai_msg_lost(const struct rmai_msg *msg)
{
	bool reply = msg->flags & RMAI_MSG_F_REPLY;

	return (READ_ONCE(rmai_lose_types[reply]) & BIT_ULL(msg->type)) &&
	       should_fail(reply ? &rmai_lose_reply : &rmai_lose_request, 1);
}

static int __init rmai_inject_init(void)
{
	struct dentry *top = debugfs_create_dir("rmai", NULL);
	struct dentry *dir;

	dir = fault_create_debugfs_attr("lose_request", top, &rmai_lose_request);
	if (!IS_ERR(dir))
		debugfs_create_x64("types", 0600, dir, &rmai_lose_types[0]);
	dir = fault_create_debugfs_attr("lose_reply", top, &rmai_lose_reply);
	if (!IS_ERR(dir))
		debugfs_create_x64("types", 0600, dir, &rmai_lose_types[1]);
	return 0;
}
late_initcall(rmai_inject_init);
