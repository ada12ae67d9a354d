// SPDX-License-Identifier: GPL-2.0
/*
 * rmaifs: regions as files: open, attributes, seals, and the page cache's callbacks.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/fadvise.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fsnotify.h>
#include <linux/memfd.h>
#include <linux/migrate.h>
#include <linux/slab.h>
#include <linux/splice.h>

#include "internal.h"

bool is_file_rmai(const struct file *file)
{
	return file->f_op == &rmai_file_fops;
}

static int rmai_file_open(struct inode *inode, struct file *file)
{
	return rmai_region_open(RMAI_I(inode));
}

static int rmai_file_release(struct inode *inode, struct file *file)
{
	rmai_region_close(RMAI_I(inode));
	return 0;
}

/* close(2): others see the new size from now on */
static int rmai_file_flush(struct file *file, fl_owner_t id)
{
	if (!(file->f_mode & FMODE_WRITE))
		return 0;
	return rmai_inode_flush_size(RMAI_I(file_inode(file)));
}

static int rmai_file_fsync(struct file *file, loff_t start, loff_t end,
			   int datasync)
{
	struct rmai_inode *ri = RMAI_I(file_inode(file));
	int err;

	/* What was written with write(2) is at its homes: only stores are to go there */
	err = rmai_grants_put(ri, start, min_t(u64, (u64)end + 1,
					       i_size_read(&ri->vfs)), false);
	return rmai_inode_flush_size(ri) ?: err;
}

/**
 * rmai_file_of() - an open file for a region that this node has opened
 * @inode: region, opened by rmai_region_open() or _opened(); reference consumed
 * @name: for /proc/PID/maps
 * @flags: O_RDWR or O_RDONLY
 *
 * Return: file; on ERR_PTR inode and open are the caller's still.
 */
struct file *rmai_file_of(struct inode *inode, const char *name, int flags)
{
	struct file *file = alloc_file_pseudo(inode, RMAI_I(inode)->rc->mnt, name,
					      flags | O_LARGEFILE, &rmai_file_fops);

	if (!IS_ERR(file))
		file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	return file;
}

static int rmai_getattr(struct mnt_idmap *idmap, const struct path *path,
			struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct rmai_inode *ri = RMAI_I(inode);
	int err;

	if ((flags & AT_STATX_SYNC_TYPE) != AT_STATX_DONT_SYNC) {
		err = rmai_inode_refresh(ri);
		/* An open file of a region that has lost its owner can still be told */
		if (err && err != -ESTALE)
			return err;
	}
	generic_fillattr(idmap, mask, inode, stat);
	stat->blksize = min_t(u64, ri->attr.vmr_size, 1 << 20);
	stat->blocks = DIV_ROUND_UP(stat->size, 512);
	return 0;
}

static int rmai_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			struct iattr *iattr)
{
	struct inode *inode = d_inode(dentry);
	struct rmai_inode *ri = RMAI_I(inode);
	struct rmai_wire_attr *want;
	u32 mask = 0;
	int err;

	err = setattr_prepare(idmap, dentry, iattr);
	/* The owner must know what there is to be cut off */
	if (!err && (iattr->ia_valid & ATTR_SIZE))
		err = rmai_inode_flush_size(ri);
	if (err)
		return err;
	want = kzalloc(sizeof(*want), GFP_KERNEL);
	if (!want)
		return -ENOMEM;
	if (iattr->ia_valid & ATTR_MODE) {
		want->mode = iattr->ia_mode;
		mask |= RMAI_SET_MODE;
	}
	if (iattr->ia_valid & ATTR_UID) {
		want->uid = from_kuid(&init_user_ns, iattr->ia_uid);
		mask |= RMAI_SET_UID;
	}
	if (iattr->ia_valid & ATTR_GID) {
		want->gid = from_kgid(&init_user_ns, iattr->ia_gid);
		mask |= RMAI_SET_GID;
	}
	if (iattr->ia_valid & ATTR_MTIME_SET) {
		want->mtime_ns = timespec64_to_ns(&iattr->ia_mtime);
		mask |= RMAI_SET_MTIME;
	}
	if (iattr->ia_valid & ATTR_SIZE) {
		want->size = iattr->ia_size;
		mask |= RMAI_SET_SIZE;
	}
	if (mask)
		err = rmai_inode_setattr(ri, RMAI_MSG_SETATTR, mask, want);
	kfree(want);
	return err;
}

const struct inode_operations rmai_file_iops = {
	.getattr	= rmai_getattr,
	.setattr	= rmai_setattr,
};

static long rmai_add_seals(struct file *file, unsigned int seals)
{
	struct inode *inode = file_inode(file);
	struct rmai_inode *ri = RMAI_I(inode);
	struct rmai_wire_attr *want;
	long err;

	if (!(file->f_mode & FMODE_WRITE))
		return -EPERM;
	if (seals & ~RMAI_ALL_SEALS)
		return -EINVAL;
	want = kzalloc(sizeof(*want), GFP_KERNEL);
	if (!want)
		return -ENOMEM;
	inode_lock(inode);
	err = rmai_inode_flush_size(ri);
	want->seals = seals;
	if (!err)
		err = rmai_inode_setattr(ri, RMAI_MSG_SEAL, 0, want);
	inode_unlock(inode);
	kfree(want);
	return err;
}

long rmai_fcntl_seals(struct file *file, unsigned int cmd, unsigned int arg)
{
	struct rmai_inode *ri = RMAI_I(file_inode(file));
	int err;

	if (cmd == F_ADD_SEALS)
		return rmai_add_seals(file, arg);
	if (cmd != F_GET_SEALS)
		return -EINVAL;
	err = READ_ONCE(ri->sealed) ? 0 : rmai_inode_refresh(ri);
	return err ?: READ_ONCE(ri->attr.seals);
}

static int rmai_fadvise(struct file *file, loff_t offset, loff_t len, int advice)
{
	struct rmai_inode *ri = RMAI_I(file_inode(file));
	u64 end = (u64)offset + len;
	pgoff_t first, last;

	if (offset < 0 || len < 0)
		return -EINVAL;
	if (!len || end > LLONG_MAX)
		end = LLONG_MAX;
	switch (advice) {
	case POSIX_FADV_NORMAL:
	case POSIX_FADV_SEQUENTIAL:
	case POSIX_FADV_RANDOM:
	case POSIX_FADV_NOREUSE:
		return 0;
	case POSIX_FADV_WILLNEED:
		return rmai_fetch_ahead(ri, offset, end);
	case POSIX_FADV_DONTNEED:
		first = DIV_ROUND_UP((u64)offset, PAGE_SIZE);
		/* Only whole pages, of which the file's last one is */
		if (end >= i_size_read(&ri->vfs))
			last = ULONG_MAX;
		else if (end >> PAGE_SHIFT > first)
			last = (end >> PAGE_SHIFT) - 1;
		else
			return 0;
		rmai_replicas_drop(ri, first, last, true);
		return 0;
	default:
		return -EINVAL;
	}
}

const struct file_operations rmai_file_fops = {
	.owner			= THIS_MODULE,
	.open			= rmai_file_open,
	.release		= rmai_file_release,
	.flush			= rmai_file_flush,
	.fsync			= rmai_file_fsync,
	.llseek			= generic_file_llseek,
	.read_iter		= rmai_read_iter,
	.write_iter		= rmai_write_iter,
	.splice_read		= copy_splice_read,
	.splice_write		= iter_file_splice_write,
	.mmap			= rmai_file_mmap,
	.get_unmapped_area	= rmai_get_unmapped_area,
	.fadvise		= rmai_fadvise,
	.unlocked_ioctl		= rmai_ioctl,
	.compat_ioctl		= compat_ptr_ioctl,
};

static bool rmai_folio(struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	return mapping && mapping->a_ops == &rmai_aops;
}

bool rmai_folio_is_replica(struct folio *folio)
{
	return rmai_folio(folio) && !folio_test_dirty(folio);
}

bool rmai_folio_is_store(struct folio *folio)
{
	return rmai_folio(folio) && folio_test_dirty(folio);
}

#ifdef CONFIG_MIGRATION
/*
 * A locked folio that is not uptodate is one that is being fetched, to those who
 * invalidate: the new one is never to be taken for that. It has its content before
 * anyone can find it.
 */
static int rmai_migrate_folio(struct address_space *mapping, struct folio *dst,
			      struct folio *src, enum migrate_mode mode)
{
	if (folio_test_uptodate(src))
		folio_mark_uptodate(dst);
	else
		folio_clear_uptodate(dst);
	return filemap_migrate_folio(mapping, dst, src, mode);
}
#else
#define rmai_migrate_folio NULL
#endif

const struct address_space_operations rmai_aops = {
	.dirty_folio		= noop_dirty_folio,
	.migrate_folio		= rmai_migrate_folio,
	.error_remove_folio	= rmai_error_remove_folio,
};
