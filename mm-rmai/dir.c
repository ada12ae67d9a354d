// SPDX-License-Identifier: GPL-2.0
/*
 * rmaifs: the one directory. Names live on the memory node that they hash to; a
 * lookup asks there every time, so that all nodes see one name space.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/cred.h>
#include <linux/namei.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "internal.h"

/* Attributes older than this are asked for again before they are used for permission */
#define RMAI_ATTR_TIMEO	HZ

static struct rmai_cluster *rmai_dir_rc(const struct inode *dir)
{
	return dir->i_sb->s_fs_info;
}

static struct rmai_msg *rmai_name_msg(u8 type, const struct dentry *dentry)
{
	struct rmai_msg *msg;

	/* rmai_lookup() has refused longer ones */
	if (WARN_ON_ONCE(dentry->d_name.len > RMAI_WIRE_NAME))
		return NULL;
	msg = rmai_msg_alloc(GFP_KERNEL, type);
	if (!msg)
		return NULL;
	msg->name.len = dentry->d_name.len;
	memcpy(msg->name.name, dentry->d_name.name, dentry->d_name.len);
	return msg;
}

static int rmai_call_name(struct rmai_cluster *rc, struct rmai_msg *msg)
{
	return rmai_call(rc, rmai_name_node(rc, msg->name.name, msg->name.len),
			 msg);
}

static int rmai_lookup_id(struct rmai_cluster *rc, const struct dentry *dentry,
			  u64 *id)
{
	struct rmai_msg *msg = rmai_name_msg(RMAI_MSG_LOOKUP, dentry);
	int err;

	if (!msg)
		return -ENOMEM;
	err = rmai_call_name(rc, msg);
	*id = msg->id.id;
	kfree(msg);
	return err;
}

/*
 * A name whose region is gone: what a rename() left when its node died half-way, and
 * the region has lost its other name since. Without this it could not be made again.
 */
static void rmai_forget_name(struct rmai_cluster *rc, const struct dentry *dentry,
			     u64 id)
{
	struct rmai_msg *msg = rmai_name_msg(RMAI_MSG_UNLINK, dentry);

	if (!msg)
		return;
	msg->name.id = id;
	msg->name.flags = RMAI_NAME_RENAMED;
	/* If it fails, the next lookup tries again */
	rmai_call_name(rc, msg);
	kfree(msg);
}

static struct dentry *rmai_lookup(struct inode *dir, struct dentry *dentry,
				  unsigned int flags)
{
	struct rmai_cluster *rc = rmai_dir_rc(dir);
	struct inode *inode = NULL;
	u64 id;
	int err;

	if (dentry->d_name.len > RMAI_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	err = rmai_lookup_id(rc, dentry, &id);
	if (!err) {
		inode = rmai_iget(rc, id);
		if (IS_ERR(inode) && PTR_ERR(inode) == -ESTALE) {
			rmai_forget_name(rc, dentry, id);
			inode = NULL;
		}
	} else if (err != -ENOENT) {
		return ERR_PTR(err);
	}
	return d_splice_alias(inode, dentry);
}

static int rmai_d_revalidate(struct dentry *dentry, unsigned int flags)
{
	struct inode *inode = d_inode(dentry);
	struct rmai_inode *ri;
	u64 id;
	int err;

	if (flags & LOOKUP_RCU)
		return -ECHILD;
	if (IS_ROOT(dentry))
		return 1;
	if (!inode)
		return 0;
	ri = RMAI_I(inode);
	err = rmai_lookup_id(ri->rc, dentry, &id);
	if (err == -ENOENT || (!err && id != ri->id))
		return 0;
	/* One that has lost its last name here may be gone since */
	if (!err && (!inode->i_nlink ||
		     time_after(jiffies, READ_ONCE(ri->attr_time) + RMAI_ATTR_TIMEO)))
		err = rmai_inode_refresh(ri);
	if (err == -ESTALE)
		return 0;
	return err ?: 1;
}

static int rmai_d_delete(const struct dentry *dentry)
{
	/* Negative ones are asked for again anyway */
	return d_really_is_negative(dentry);
}

const struct dentry_operations rmai_dentry_ops = {
	.d_revalidate	= rmai_d_revalidate,
	.d_delete	= rmai_d_delete,
};

/**
 * rmai_create_region() - make a region
 * @rc: membership
 * @msg: CREATE with name (or none) and attr.flags, .size, .vmr_size, .nodes as
 *	wanted; the reply on success
 * @node: owner to be
 * @mode: permission bits
 *
 * Return: 0 or a negative errno, see rmai_owner_create().
 */
int rmai_create_region(struct rmai_cluster *rc, struct rmai_msg *msg, u16 node,
		       umode_t mode)
{
	msg->name.token = get_random_u64();
	msg->name.attr.mode = mode & 07777;
	msg->name.attr.uid = from_kuid(&init_user_ns, current_fsuid());
	msg->name.attr.gid = from_kgid(&init_user_ns, current_fsgid());
	return rmai_call(rc, node, msg);
}

static int rmai_create(struct mnt_idmap *idmap, struct inode *dir,
		       struct dentry *dentry, umode_t mode, bool excl)
{
	struct rmai_cluster *rc = rmai_dir_rc(dir);
	struct rmai_msg *msg = rmai_name_msg(RMAI_MSG_CREATE, dentry);
	struct inode *inode;
	u64 id;
	int err;

	if (!msg)
		return -ENOMEM;
	err = rmai_create_region(rc, msg, rmai_name_node(rc, msg->name.name,
							 msg->name.len), mode);
	if (!err)
		inode = rmai_iget_attr(rc, &msg->attr.attr);
	kfree(msg);
	/* Another node was faster: open(2) without O_EXCL takes its file */
	if (err == -EEXIST && !excl) {
		err = rmai_lookup_id(rc, dentry, &id);
		if (!err)
			inode = rmai_iget(rc, id);
	}
	if (err)
		return err;
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	d_instantiate(dentry, inode);
	return 0;
}

static int rmai_unlink(struct inode *dir, struct dentry *dentry)
{
	struct rmai_cluster *rc = rmai_dir_rc(dir);
	struct rmai_msg *msg = rmai_name_msg(RMAI_MSG_UNLINK, dentry);
	struct inode *inode = d_inode(dentry);
	int err;

	if (!msg)
		return -ENOMEM;
	msg->name.id = RMAI_I(inode)->id;
	err = rmai_call_name(rc, msg);
	kfree(msg);
	/* A repeat after a lost reply finds that it is done */
	if (err == -ENOENT)
		err = 0;
	if (!err && inode->i_nlink)
		drop_nlink(inode);
	return err;
}

/*
 * First the new name, then the old one goes: whoever looks in between sees both,
 * and after a crash in between both are left.
 */
static int rmai_rename(struct mnt_idmap *idmap, struct inode *old_dir,
		       struct dentry *old, struct inode *new_dir,
		       struct dentry *new, unsigned int flags)
{
	struct rmai_cluster *rc = rmai_dir_rc(old_dir);
	struct inode *inode = d_inode(old);
	struct rmai_msg *msg;
	u64 replaced;
	int err;

	if (flags == RMAI_RENAME_PUBLISH)
		return rmai_publish_rename(rc, old, new);
	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	msg = rmai_name_msg(RMAI_MSG_LINK, new);
	if (!msg)
		return -ENOMEM;
	msg->name.id = RMAI_I(inode)->id;
	msg->name.token = RMAI_I(inode)->attr.owner_epoch;
	msg->name.flags = flags & RENAME_NOREPLACE ? RMAI_NAME_EXCL : 0;
	err = rmai_call_name(rc, msg);
	replaced = msg->id.id;
	kfree(msg);
	if (err)
		return err;
	/* Its owner is told by the node that keeps the name */
	if (replaced && d_really_is_positive(new) && d_inode(new)->i_nlink)
		drop_nlink(d_inode(new));
	/* The old name, without what rmai_serve_unlink() does to the region */
	msg = rmai_name_msg(RMAI_MSG_UNLINK, old);
	if (!msg)
		return -ENOMEM;
	msg->name.id = RMAI_I(inode)->id;
	msg->name.flags = RMAI_NAME_RENAMED;
	err = rmai_call_name(rc, msg);
	kfree(msg);
	return err == -ENOENT ? 0 : err;
}

static int rmai_dir_getattr(struct mnt_idmap *idmap, const struct path *path,
			    struct kstat *stat, u32 mask, unsigned int flags)
{
	generic_fillattr(idmap, mask, d_inode(path->dentry), stat);
	return 0;
}

const struct inode_operations rmai_dir_iops = {
	.lookup		= rmai_lookup,
	.create		= rmai_create,
	.unlink		= rmai_unlink,
	.rename		= rmai_rename,
	.getattr	= rmai_dir_getattr,
	.setattr	= simple_setattr,
};

/*
 * readdir: memory node after memory node. The position is 2 + (node << 32 |
 * cookie). Nodes that could not be asked make an error at the end, when all that
 * could be listed has been.
 */
struct rmai_readdir_state {
	int	err;
};

static int rmai_dir_open(struct inode *inode, struct file *file)
{
	file->private_data = kzalloc(sizeof(struct rmai_readdir_state), GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int rmai_dir_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static bool rmai_emit(struct dir_context *ctx, const struct rmai_msg_readdir *rd,
		      u16 node)
{
	const char *name;
	u64 id, cookie;
	size_t pos = 0;
	int len;

	while ((len = rmai_wire_dirent(rd, &pos, &id, &cookie, &name)) > 0) {
		if (!dir_emit(ctx, name, len, id, DT_REG))
			return false;
		ctx->pos = 2 + ((u64)node << 32 | cookie);
	}
	return true;
}

static int rmai_iterate(struct file *file, struct dir_context *ctx)
{
	struct rmai_cluster *rc = rmai_dir_rc(file_inode(file));
	struct rmai_readdir_state *state = file->private_data;
	u16 ids[RMAI_WIRE_NODES], node;
	struct rmai_msg *msg;
	int i, n, err = 0;
	bool more;
	u64 pos;

	if (ctx->pos == 0)
		state->err = 0;
	if (!dir_emit_dots(file, ctx))
		return 0;
	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_READDIR);
	if (!msg)
		return -ENOMEM;
	n = rmai_memory_nodes(rc, ids);
	pos = ctx->pos - 2;
	for (i = 0; i < n; i++) {
		node = ids[i];
		if (node < pos >> 32)
			continue;
		do {
			u64 cookie = 0;

			pos = ctx->pos - 2;
			if (node == pos >> 32)
				cookie = lower_32_bits(pos);
			rmai_msg_init(msg, RMAI_MSG_READDIR);
			msg->readdir.cookie = cookie;
			err = rmai_call(rc, node, msg);
			if (err == -EINTR)
				goto out;
			if (err) {
				state->err = err;
				break;
			}
			if (!rmai_emit(ctx, &msg->readdir, node))
				goto out;
			more = !msg->readdir.eof && msg->readdir.nr;
		} while (more);
		ctx->pos = 2 + ((u64)(node + 1) << 32);
	}
	err = state->err;
	state->err = 0;
out:
	kfree(msg);
	return err;
}

const struct file_operations rmai_dir_fops = {
	.open		= rmai_dir_open,
	.release	= rmai_dir_release,
	.llseek		= generic_file_llseek,
	.read		= generic_read_dir,
	.iterate_shared	= rmai_iterate,
	.fsync		= noop_fsync,
	.unlocked_ioctl	= rmai_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};
