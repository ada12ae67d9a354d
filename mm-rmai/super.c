// SPDX-License-Identifier: GPL-2.0
/*
 * rmaifs: one super block for each membership, made by an internal mount when the
 * node goes online; mounts by users share it. Its inodes are the regions that
 * this node knows, whether opened here or stored here.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "internal.h"

static struct kmem_cache *rmai_inode_cache;
static struct lock_class_key rmai_fetches_key;

#define RMAI_ROOT_INO	1	/* region ids carry a node id in their top byte */

static struct inode *rmai_alloc_inode(struct super_block *sb)
{
	struct rmai_inode *ri = alloc_inode_sb(sb, rmai_inode_cache, GFP_KERNEL);

	if (!ri)
		return NULL;
	ri->rc = sb->s_fs_info;
	ri->id = 0;
	memset(&ri->geom, 0, sizeof(ri->geom));
	memset(&ri->attr, 0, sizeof(ri->attr));
	memset(&ri->stat, 0, sizeof(ri->stat));
	memset(&ri->fetch_auto, 0, sizeof(ri->fetch_auto));
	ri->sealed = false;
	ri->size_dirty = false;
	ri->lost = false;
	ri->freed = false;
	atomic_set(&ri->opens, 0);
	ri->told_open = false;
	ri->counted_open = false;
	ri->frozen = false;
	ri->flags = 0;
	atomic64_set(&ri->home_pages, 0);
	atomic_set(&ri->stores, 0);
	INIT_WORK(&ri->close_work, rmai_inode_close_work);
	xa_init_flags(&ri->fetches, XA_FLAGS_LOCK_IRQ);
	spin_lock_init(&ri->auto_lock);
	/* Taken under the lock of replicas */
	lockdep_set_class(&ri->fetches.xa_lock, &rmai_fetches_key);
	xa_init(&ri->cached);
	INIT_LIST_HEAD(&ri->own[false]);
	INIT_LIST_HEAD(&ri->own[true]);
	atomic_long_set(&ri->isolated, 0);
	ri->prefetch = NULL;
	xa_init(&ri->replicas);
	xa_init(&ri->dirs);
	atomic64_set(&ri->dir_seq, 0);
	ri->keys_gen = 1;
	ri->trunc_from = U64_MAX;
	xa_init(&ri->keys);
	xa_init(&ri->mrs);
	return &ri->vfs;
}

static void rmai_free_inode(struct inode *inode)
{
	kmem_cache_free(rmai_inode_cache, RMAI_I(inode));
}

static void rmai_evict_inode(struct inode *inode)
{
	struct rmai_inode *ri = RMAI_I(inode);

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	rmai_cache_forget(ri);
	rmai_prefetch_destroy(ri);
	rmai_fetches_destroy(ri);
	rmai_replicas_destroy(ri);
	rmai_dir_destroy(ri);
	rmai_keys_destroy(ri);
	xa_destroy(&ri->mrs);
}

/* Also the end of what is stored here, when the node goes offline */
static void rmai_kill_sb(struct super_block *sb)
{
	struct rmai_cluster *rc = sb->s_fs_info;

	/* Not so if the mount that was to keep it could not be made */
	if (rc->sb == sb)
		rmai_home_free_owned(rc, 0, 0);
	rmai_cache_pause();
	kill_anon_super(sb);
	rmai_cache_resume();
}

static int rmai_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct rmai_cluster *rc = dentry->d_sb->s_fs_info;
	u64 total = rc->cfg.pool_bytes;
	u64 used = (u64)atomic64_read(&rc->pool_used) << PAGE_SHIFT;
	int i;

	for (i = 0; i < RMAI_WIRE_NODES; i++) {
		struct rmai_peer *peer = rc->peers[i];

		if (!peer || READ_ONCE(peer->state) != RMAI_PEER_UP)
			continue;
		total += READ_ONCE(peer->pool_total);
		used += READ_ONCE(peer->pool_used);
	}
	buf->f_type = RMAI_SUPER_MAGIC;
	buf->f_bsize = PAGE_SIZE;
	buf->f_blocks = total >> PAGE_SHIFT;
	buf->f_bfree = total > used ? (total - used) >> PAGE_SHIFT : 0;
	buf->f_bavail = buf->f_bfree;
	buf->f_namelen = RMAI_NAME_MAX;
	return 0;
}

static const struct super_operations rmai_super_ops = {
	.alloc_inode	= rmai_alloc_inode,
	.free_inode	= rmai_free_inode,
	.evict_inode	= rmai_evict_inode,
	.drop_inode	= generic_drop_inode,
	.statfs		= rmai_statfs,
};

/**
 * struct rmai_mount_opts - of a mount by a user
 * @mode: of the root directory
 */
struct rmai_mount_opts {
	umode_t	mode;
};

enum { Opt_mode };

static const struct fs_parameter_spec rmai_mount_params[] = {
	fsparam_u32oct("mode", Opt_mode),
	{}
};

static int rmai_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct rmai_mount_opts *opts = fc->fs_private;
	struct fs_parse_result result;
	int opt = fs_parse(fc, rmai_mount_params, param, &result);

	if (opt < 0)
		return opt;
	opts->mode = result.uint_32 & 07777;
	return 0;
}

static int rmai_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct rmai_cluster *rc = sb->s_fs_info;
	struct inode *inode;

	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = RMAI_SUPER_MAGIC;
	sb->s_op = &rmai_super_ops;
	sb->s_d_op = &rmai_dentry_ops;
	sb->s_time_gran = 1;
	sb->s_maxbytes = min_t(u64, rc->space.size, MAX_LFS_FILESIZE);

	inode = new_inode(sb);
	if (!inode)
		return -ENOMEM;
	inode->i_ino = RMAI_ROOT_INO;
	inode->i_mode = S_IFDIR | 01777;
	inode->i_op = &rmai_dir_iops;
	inode->i_fop = &rmai_dir_fops;
	set_nlink(inode, 2);
	simple_inode_init_ts(inode);
	sb->s_root = d_make_root(inode);
	return sb->s_root ? 0 : -ENOMEM;
}

static int rmai_get_tree(struct fs_context *fc)
{
	struct rmai_mount_opts *opts = fc->fs_private;
	struct rmai_cluster *rc;
	int err;

	/* Only rmai_mount_internal() names its membership itself */
	if (fc->s_fs_info)
		return get_tree_keyed(fc, rmai_fill_super, fc->s_fs_info);

	rc = rmai_cluster_get_main();
	if (!rc) {
		errorf(fc, "rmai: this node is offline: see rmaictl join");
		return -ENODEV;
	}
	err = get_tree_keyed(fc, rmai_fill_super, rc);
	if (!err && opts->mode)
		d_inode(fc->root)->i_mode = S_IFDIR | opts->mode;
	rmai_cluster_put(rc);
	return err;
}

static void rmai_free_fc(struct fs_context *fc)
{
	kfree(fc->fs_private);
	/* The super block does not own it */
	fc->s_fs_info = NULL;
}

static const struct fs_context_operations rmai_context_ops = {
	.parse_param	= rmai_parse_param,
	.get_tree	= rmai_get_tree,
	.free		= rmai_free_fc,
};

static int rmai_init_fs_context(struct fs_context *fc)
{
	fc->fs_private = kzalloc(sizeof(struct rmai_mount_opts), GFP_KERNEL);
	if (!fc->fs_private)
		return -ENOMEM;
	fc->ops = &rmai_context_ops;
	return 0;
}

struct file_system_type rmai_fs_type = {
	.owner			= THIS_MODULE,
	.name			= "rmaifs",
	.init_fs_context	= rmai_init_fs_context,
	.parameters		= rmai_mount_params,
	.kill_sb		= rmai_kill_sb,
};

/**
 * rmai_mount_internal() - the mount that keeps a membership's inodes
 * @rc: membership
 *
 * Return: 0 or a negative errno.
 */
int rmai_mount_internal(struct rmai_cluster *rc)
{
	struct fs_context *fc = fs_context_for_mount(&rmai_fs_type, SB_KERNMOUNT);
	struct vfsmount *mnt;

	if (IS_ERR(fc))
		return PTR_ERR(fc);
	fc->s_fs_info = rc;
	mnt = fc_mount(fc);
	put_fs_context(fc);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	rc->mnt = mnt;
	rc->sb = mnt->mnt_sb;
	return 0;
}

static void rmai_inode_init_once(void *p)
{
	struct rmai_inode *ri = p;

	inode_init_once(&ri->vfs);
	spin_lock_init(&ri->attr_lock);
	mutex_init(&ri->open_mutex);
	mutex_init(&ri->mrs_lock);
	init_rwsem(&ri->home_sem);
}

/**
 * rmai_super_init() - at boot
 *
 * Return: 0 or a negative errno.
 */
int __init rmai_super_init(void)
{
	rmai_inode_cache = kmem_cache_create("rmai_inode_cache",
					     sizeof(struct rmai_inode), 0,
					     SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					     rmai_inode_init_once);
	if (!rmai_inode_cache)
		return -ENOMEM;
	return register_filesystem(&rmai_fs_type);
}
