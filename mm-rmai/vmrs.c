// SPDX-License-Identifier: GPL-2.0
/*
 * What users may know of single VMRs of an open region, and do about them: which are
 * fought over, which were lost with their last writer. Each home has its own; whoever
 * asks, asks all of them.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "directory.h"
#include "internal.h"

/* What a home has to say goes into one reply, so that nothing grows with the region */
static_assert(RMAI_VMRS_MAX == RMAI_WIRE_VMRS);

/**
 * rmai_vmrs_serve() - VMRS of a node
 * @rc: this node, a home
 * @req: what is wanted
 * @rep: VMRs
 *
 * Return: 0, or -ESTALE (incarnation of this node).
 */
int rmai_vmrs_serve(struct rmai_cluster *rc, const struct rmai_msg_vmrs *req,
		    struct rmai_msg_vmrs *rep)
{
	struct rmai_inode *ri;

	if (req->home_epoch != rc->epoch)
		return -ESTALE;
	rep->id = req->id;
	rep->owner_epoch = req->owner_epoch;
	rep->home_epoch = req->home_epoch;
	rep->first = req->first;
	rep->what = req->what;
	rep->nr = 0;
	ri = rmai_inode_known(rc, req->id);
	if (ri) {
		rmai_dir_vmrs(ri, rep);
		iput(&ri->vfs);
	}
	return 0;
}

/**
 * rmai_reset_serve() - RESET of a node
 * @rc: this node, a home
 * @req: which VMRs
 * @rep: how many of them were lost
 *
 * Return: 0, -ESTALE (incarnation of this node), -ENOMEM, -EINTR.
 */
int rmai_reset_serve(struct rmai_cluster *rc, const struct rmai_msg_reset *req,
		     struct rmai_msg_reset *rep)
{
	struct rmai_inode *ri;
	int err = 0;

	if (req->home_epoch != rc->epoch)
		return -ESTALE;
	*rep = *req;
	rep->nr = 0;
	ri = rmai_inode_known(rc, req->id);
	if (ri) {
		err = rmai_dir_reset(ri, req->first, req->first + req->nr, &rep->nr);
		iput(&ri->vfs);
	}
	return err;
}

static bool rmai_vmr_before(const struct rmai_vmr *a, const struct rmai_vmr *b, u32 what)
{
	if (what == RMAI_VMRS_LOST)
		return a->vmr < b->vmr;
	return rmai_heat_of(a->moves, a->invs, a->recalls) >
	       rmai_heat_of(b->moves, b->invs, b->recalls);
}

/* Each home has sorted its own; what does not fit goes. Entries of @list after it */
static u32 rmai_vmrs_merge(struct rmai_vmr *list, u32 nr, u32 max,
			   const struct rmai_msg_vmrs *v, u16 home)
{
	struct rmai_vmr new = { .home = home };
	u32 i, j;

	for (i = 0; i < v->nr; i++) {
		new.vmr = v->vmrs[i].vmr;
		new.readers = v->vmrs[i].readers;
		new.writers = v->vmrs[i].writers;
		new.moves = v->vmrs[i].moves;
		new.invs = v->vmrs[i].invs;
		new.recalls = v->vmrs[i].recalls;
		new.owner = v->vmrs[i].owner;
		for (j = nr; j > 0 && rmai_vmr_before(&new, &list[j - 1], v->what); j--) {
			if (j < max)
				list[j] = list[j - 1];
		}
		if (j == max)
			break;
		list[j] = new;
		nr = min(nr + 1, max);
	}
	return nr;
}

static int rmai_vmrs_check(const struct rmai_vmrs *a)
{
	if (!a->nr || a->nr > RMAI_VMRS_MAX || a->missing)
		return -EINVAL;
	if (a->what == RMAI_VMRS_HOT)
		return a->first ? -EINVAL : 0;
	if (a->what != RMAI_VMRS_LOST ||
	    a->first >= RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN)
		return -EINVAL;
	return 0;
}

/**
 * rmai_ioc_vmrs() - RMAI_IOC_VMRS
 * @ri: region
 * @arg: struct rmai_vmrs of the caller
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, -EINTR.
 */
long rmai_ioc_vmrs(struct rmai_inode *ri, struct rmai_vmrs __user *arg)
{
	struct rmai_vmr *list = NULL;
	struct rmai_msg *msg = NULL;
	struct rmai_vmrs a;
	bool more = false;
	u32 nr = 0, got = 0;
	int i, err;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	err = rmai_vmrs_check(&a);
	if (err)
		return err;
	list = kcalloc(a.nr, sizeof(*list), GFP_KERNEL);
	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_VMRS);
	err = list && msg ? 0 : -ENOMEM;
	for (i = 0; i < ri->attr.nr_nodes && !err; i++) {
		u16 home = ri->attr.nodes[i].id;

		rmai_msg_init(msg, RMAI_MSG_VMRS);
		msg->vmrs.id = ri->id;
		msg->vmrs.owner_epoch = ri->attr.owner_epoch;
		msg->vmrs.home_epoch = ri->attr.nodes[i].epoch;
		msg->vmrs.first = a.first;
		msg->vmrs.what = a.what;
		err = rmai_call(ri->rc, home, msg);
		/* What the others know is worth something */
		if (err == -EHOSTDOWN || err == -ESTALE) {
			a.missing |= BIT_ULL(home - 1);
			err = 0;
			continue;
		}
		if (err)
			break;
		got += msg->vmrs.nr;
		more |= msg->vmrs.nr == RMAI_WIRE_VMRS;
		nr = rmai_vmrs_merge(list, nr, a.nr, &msg->vmrs, home);
	}
	if (!err && copy_to_user(u64_to_user_ptr(a.vmrs), list, nr * sizeof(*list)))
		err = -EFAULT;
	a.first = 0;
	if (a.what == RMAI_VMRS_LOST && nr && (more || got > nr))
		a.first = list[nr - 1].vmr + 1;
	a.nr = nr;
	if (!err && copy_to_user(arg, &a, sizeof(a)))
		err = -EFAULT;
	kfree(msg);
	kfree(list);
	return err;
}

/**
 * rmai_ioc_reset() - RMAI_IOC_RESET
 * @file: region, open for writing
 * @arg: struct rmai_reset of the caller
 *
 * Return: 0, -EBADF, -EINVAL, -EFAULT, -ENOMEM, -EINTR, or -EHOSTDOWN, -ESTALE when a
 * home could not be asked; what the others have is reset then.
 */
long rmai_ioc_reset(struct file *file, struct rmai_reset __user *arg)
{
	struct rmai_inode *ri = RMAI_I(file_inode(file));
	u64 limit = RMAI_WIRE_SIZE_LIMIT / RMAI_VMR_MIN;
	struct rmai_reset a;
	struct rmai_msg *msg;
	int i, ret, err = 0;
	u64 done = 0;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.first >= limit || !a.nr || a.nr > limit - a.first)
		return -EINVAL;
	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_RESET);
	if (!msg)
		return -ENOMEM;
	for (i = 0; i < ri->attr.nr_nodes && err != -EINTR; i++) {
		rmai_msg_init(msg, RMAI_MSG_RESET);
		msg->reset.id = ri->id;
		msg->reset.owner_epoch = ri->attr.owner_epoch;
		msg->reset.home_epoch = ri->attr.nodes[i].epoch;
		msg->reset.first = a.first;
		msg->reset.nr = a.nr;
		ret = rmai_call(ri->rc, ri->attr.nodes[i].id, msg);
		if (ret)
			err = ret;
		else
			done += msg->reset.nr;
	}
	kfree(msg);
	a.nr = done;
	if (copy_to_user(arg, &a, sizeof(a)))
		return -EFAULT;
	return err;
}
