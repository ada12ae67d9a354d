// SPDX-License-Identifier: GPL-2.0
/*
 * Publishing: a sealed region takes the name of another, in one step. It is a
 * rename(2) that replaces, but for three things: the name must stand for the region
 * that the publisher believes it does, the new one gets a generation, and all is done
 * by the node that keeps the name:
 *
 *	claim the name -> generation, from the owner of the new region -> that one's
 *	old name goes -> the name changes -> the old region has lost a name
 *
 * So it does not matter how far the publisher lives. Before the old name has gone an
 * error leaves all as it was; after that nothing can fail but calls that may be made
 * later. If the keeper of the name dies, the name is gone as all of its names are.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/file.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

#define RMAI_OWED_RETRY	HZ

/**
 * struct rmai_owed - what a node has still to be told
 * @list: in rmai_cluster.owed
 * @node: which
 * @id: region that has lost a name (UNREF), or loses @name (UNLINK)
 * @len: bytes of @name; 0: UNREF
 * @name: not terminated
 */
struct rmai_owed {
	struct list_head	list;
	u16			node;
	u64			id;
	u16			len;
	char			name[];
};

/**
 * rmai_owed_alloc() - before what cannot be undone, and has to be told
 * @len: bytes of the name; 0 for rmai_owe_unref()
 *
 * Return: to be owed or freed with kfree(), or NULL.
 */
struct rmai_owed *rmai_owed_alloc(u16 len)
{
	struct rmai_owed *o = kzalloc(struct_size(o, name, len), GFP_KERNEL);

	if (o)
		o->len = len;
	return o;
}

static void rmai_owe(struct rmai_cluster *rc, struct rmai_owed *o)
{
	mutex_lock(&rc->names_lock);
	list_add_tail(&o->list, &rc->owed);
	if (!READ_ONCE(rc->stopping))
		mod_delayed_work(rc->serve_wq, &rc->owed_work, 0);
	mutex_unlock(&rc->names_lock);
}

/**
 * rmai_owe_unref() - tell the owner of a region that it has lost its name
 * @rc: this node, which kept the name
 * @o: from rmai_owed_alloc()
 * @id: region
 *
 * Done by a work item, as often as it takes until the owner, or its next incarnation,
 * has answered.
 */
void rmai_owe_unref(struct rmai_cluster *rc, struct rmai_owed *o, u64 id)
{
	o->node = rmai_id_owner(id);
	o->id = id;
	rmai_owe(rc, o);
}

static int rmai_owed_tell(struct rmai_cluster *rc, const struct rmai_owed *o)
{
	struct rmai_msg *msg;
	int err;

	msg = rmai_msg_alloc(GFP_KERNEL, o->len ? RMAI_MSG_UNLINK : RMAI_MSG_UNREF);
	if (!msg)
		return -ENOMEM;
	if (o->len) {
		msg->name.id = o->id;
		msg->name.flags = RMAI_NAME_RENAMED;
		msg->name.len = o->len;
		memcpy(msg->name.name, o->name, o->len);
	} else {
		msg->id.id = o->id;
	}
	err = rmai_call(rc, o->node, msg);
	kfree(msg);
	return err;
}

/* Has nobody heard it? Then it is owed still */
static bool rmai_owed_unheard(int err)
{
	return err == -EHOSTDOWN || err == -ENOMEM || err == -EBUSY || err == -EINTR;
}

/* Tell it now, or let the work item do it */
static void rmai_owed_settle(struct rmai_cluster *rc, struct rmai_owed *o)
{
	if (rmai_owed_unheard(rmai_owed_tell(rc, o)))
		rmai_owe(rc, o);
	else
		kfree(o);
}

/**
 * rmai_unref() - the same, at once if the owner can be had
 * @rc: this node, which kept the name
 * @o: from rmai_owed_alloc()
 * @id: region
 *
 * Context: may sleep, for the owner.
 */
void rmai_unref(struct rmai_cluster *rc, struct rmai_owed *o, u64 id)
{
	o->node = rmai_id_owner(id);
	o->id = id;
	rmai_owed_settle(rc, o);
}

void rmai_owed_work(struct work_struct *work)
{
	struct rmai_cluster *rc = container_of(work, struct rmai_cluster, owed_work.work);
	struct rmai_owed *o, *next;
	LIST_HEAD(list);
	LIST_HEAD(again);
	int err;

	mutex_lock(&rc->names_lock);
	list_splice_init(&rc->owed, &list);
	mutex_unlock(&rc->names_lock);
	list_for_each_entry_safe(o, next, &list, list) {
		err = rmai_node_up(rc, o->node) ? rmai_owed_tell(rc, o) : -EHOSTDOWN;
		list_del(&o->list);
		if (rmai_owed_unheard(err))
			list_add_tail(&o->list, &again);
		else
			kfree(o);
	}
	if (list_empty(&again))
		return;
	mutex_lock(&rc->names_lock);
	list_splice(&again, &rc->owed);
	if (!READ_ONCE(rc->stopping))
		queue_delayed_work(rc->serve_wq, &rc->owed_work, RMAI_OWED_RETRY);
	mutex_unlock(&rc->names_lock);
}

/**
 * rmai_owed_destroy() - going offline: names of this node end with it
 * @rc: this node; nothing runs any more
 */
void rmai_owed_destroy(struct rmai_cluster *rc)
{
	struct rmai_owed *o, *next;

	list_for_each_entry_safe(o, next, &rc->owed, list)
		kfree(o);
	INIT_LIST_HEAD(&rc->owed);
}

/* For the node that keeps the name */

/* The owner knows whether it is sealed, and gives it its generation */
static int rmai_publish_generation(struct rmai_cluster *rc,
				   const struct rmai_msg_publish *p)
{
	struct rmai_msg *msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_SETATTR);
	int err;

	if (!msg)
		return -ENOMEM;
	msg->setattr.id = p->id;
	msg->setattr.owner_epoch = p->owner_epoch;
	msg->setattr.mask = RMAI_SET_GENERATION;
	msg->setattr.attr.generation = p->generation;
	err = rmai_call(rc, rmai_id_owner(p->id), msg);
	kfree(msg);
	return err;
}

/* Claim the name; a copy of this request, whose connection has broken, may be under way */
static int rmai_publish_claim(struct rmai_cluster *rc, const struct rmai_msg_publish *p)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int err;

	add_wait_queue(&rc->names_wait, &wait);
	for (;;) {
		err = rmai_names_claim(rc, p);
		if (err != -EAGAIN)
			break;
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		wait_woken(&wait, TASK_KILLABLE, MAX_SCHEDULE_TIMEOUT);
	}
	remove_wait_queue(&rc->names_wait, &wait);
	return err;
}

/**
 * rmai_publish_serve() - PUBLISH of a node
 * @rc: this node, which keeps the name
 * @p: request
 * @out: the region that has the name
 *
 * Context: may sleep, for other nodes.
 * Return: 0 (also for a repeat); -EXDEV (the name does not hash to this node), -ENOENT
 * (there is no such name, or the new region has lost its own), -ESTALE (the name
 * stands for another region; or the new one is gone), -EBUSY (somebody else is
 * publishing there), -EINVAL (not sealed, or no region), -EHOSTDOWN (the new one's
 * owner), -ENOMEM, -EINTR (the publisher itself is waiting here, and was killed).
 */
int rmai_publish_serve(struct rmai_cluster *rc, const struct rmai_msg_publish *p,
		       struct rmai_msg_id *out)
{
	struct rmai_owed *from, *unref;
	int err;

	if (!rmai_peer(rc, rmai_id_owner(p->id)) && rmai_id_owner(p->id) != rc->self)
		return -EINVAL;
	if (rmai_name_node(rc, p->name, p->len) != rc->self)
		return -EXDEV;
	out->id = p->id;
	out->owner_epoch = p->owner_epoch;
	from = rmai_owed_alloc(p->from_len);
	unref = rmai_owed_alloc(0);
	err = from && unref ? rmai_publish_claim(rc, p) : -ENOMEM;
	if (err)
		goto out;
	err = rmai_publish_generation(rc, p);
	if (err) {
		rmai_names_settle(rc, p, false);
		goto out;
	}
	from->node = rmai_name_node(rc, p->from, p->from_len);
	from->id = p->id;
	memcpy(from->name, p->from, p->from_len);
	rmai_owed_settle(rc, from);
	rmai_names_settle(rc, p, true);
	rmai_owe_unref(rc, unref, p->old);
	pr_debug("node %u: \"%s\" is region %llx now, generation %u, and was %llx\n",
		 rc->self, p->name, p->id, p->generation, p->old);
	return 0;
out:
	kfree(unref);
	kfree(from);
	return err > 0 ? 0 : err;
}

/* For the publisher */

/**
 * rmai_publish_rename() - ->rename with RMAI_RENAME_PUBLISH
 * @rc: this node
 * @old: name that the new region loses
 * @new: name that it gets
 *
 * Return: see rmai_publish_serve(); -EOVERFLOW: there are no more generations.
 */
int rmai_publish_rename(struct rmai_cluster *rc, struct dentry *old, struct dentry *new)
{
	struct rmai_inode *next = RMAI_I(d_inode(old)), *prev = RMAI_I(d_inode(new));
	struct rmai_msg *msg;
	int err;

	if (READ_ONCE(prev->attr.generation) == U32_MAX)
		return -EOVERFLOW;
	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_PUBLISH);
	if (!msg)
		return -ENOMEM;
	msg->publish.id = next->id;
	msg->publish.owner_epoch = next->attr.owner_epoch;
	msg->publish.old = prev->id;
	msg->publish.generation = READ_ONCE(prev->attr.generation) + 1;
	/* rmai_lookup() has refused longer ones */
	msg->publish.len = new->d_name.len;
	memcpy(msg->publish.name, new->d_name.name, new->d_name.len);
	msg->publish.from_len = old->d_name.len;
	memcpy(msg->publish.from, old->d_name.name, old->d_name.len);
	err = rmai_call(rc, rmai_name_node(rc, msg->publish.name, msg->publish.len), msg);
	kfree(msg);
	if (err)
		return err;
	if (d_inode(new)->i_nlink)
		drop_nlink(d_inode(new));
	/* If this fails, what is known here of its generation is old for a while */
	rmai_inode_refresh(next);
	return 0;
}

/* Is it sealed? This node may not have heard of it yet */
static int rmai_publish_check(struct inode *inode)
{
	struct rmai_inode *ri = RMAI_I(inode);
	int err = 0;

	/* Of a sealed one its generation may have changed; its owner may be away */
	if (!rmai_is_sealed(ri) || rmai_node_up(ri->rc, rmai_id_owner(ri->id)))
		err = rmai_inode_refresh(ri);
	if (!rmai_is_sealed(ri))
		return err ?: -EINVAL;
	return 0;
}

/* The directory is locked: names do not change on this node */
static int rmai_publish_locked(struct file *file, struct dentry *dir,
			       const struct rmai_publish *p, struct inode *expected)
{
	struct dentry *dentry = file->f_path.dentry, *old, *new;
	struct mnt_idmap *idmap = file_mnt_idmap(file);
	const char *name = (const char *)p->name;
	int err;

	/* Of no name, or of none any more */
	if (d_unhashed(dentry) || dentry->d_parent != dir || dentry == dir)
		return -ENOENT;
	old = lookup_one(idmap, dentry->d_name.name, dir, dentry->d_name.len);
	if (IS_ERR(old))
		return PTR_ERR(old);
	new = lookup_one(idmap, name, dir, strlen(name));
	if (IS_ERR(new)) {
		dput(old);
		return PTR_ERR(new);
	}
	err = -ENOENT;
	if (d_inode(old) != file_inode(file) || d_really_is_negative(new))
		goto out;
	err = -EINVAL;
	if (d_inode(new) == d_inode(old))
		goto out;
	err = -ESTALE;
	if (expected && d_inode(new) != expected)
		goto out;
	err = rmai_publish_check(d_inode(new));
	if (!err) {
		struct renamedata rd = {
			.old_mnt_idmap	= idmap,
			.old_dir	= d_inode(dir),
			.old_dentry	= old,
			.new_mnt_idmap	= idmap,
			.new_dir	= d_inode(dir),
			.new_dentry	= new,
			.flags		= RMAI_RENAME_PUBLISH,
		};

		/* Permission is as for rename(2), and checked there */
		err = vfs_rename(&rd);
	}
out:
	dput(new);
	dput(old);
	return err;
}

/**
 * rmai_ioc_publish() - RMAI_IOC_PUBLISH
 * @file: the new region
 * @arg: struct rmai_publish of the caller
 *
 * Return: 0; -EINVAL (arguments; one of the regions is not sealed; both are the same),
 * -EBADF, -EXDEV (of @old), -EROFS, -EACCES, -EPERM (as for rename(2)), -EFAULT, and
 * see rmai_publish_rename().
 */
long rmai_ioc_publish(struct file *file, struct rmai_publish __user *arg)
{
	struct inode *inode = file_inode(file), *expected = NULL;
	struct dentry *dir = inode->i_sb->s_root;
	struct file *old = NULL;
	struct rmai_publish *p;
	int err;

	p = memdup_user(arg, sizeof(*p));
	if (IS_ERR(p))
		return PTR_ERR(p);
	err = -EINVAL;
	if (p->reserved || p->old < -1 || !memchr(p->name, 0, sizeof(p->name)) ||
	    !rmai_wire_name_ok((const char *)p->name, strlen((const char *)p->name)))
		goto out;
	if (p->old >= 0) {
		err = -EBADF;
		old = fget(p->old);
		if (!old)
			goto out;
		err = -EXDEV;
		expected = file_inode(old);
		if (expected->i_sb != inode->i_sb)
			goto out;
	}
	err = rmai_publish_check(inode);
	if (err)
		goto out;
	err = mnt_want_write_file(file);
	if (err)
		goto out;
	lock_rename(dir, dir);
	err = rmai_publish_locked(file, dir, p, expected);
	unlock_rename(dir, dir);
	mnt_drop_write_file(file);
	if (!err && put_user(READ_ONCE(RMAI_I(inode)->attr.generation), &arg->generation))
		err = -EFAULT;
out:
	if (old)
		fput(old);
	kfree(p);
	return err;
}
