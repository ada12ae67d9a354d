// SPDX-License-Identifier: GPL-2.0
/*
 * ioctl(2) on rmaifs: attributes and counters of a region, opening by address.
 */
#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

static int rmai_ioc_getattr(struct rmai_inode *ri, struct rmai_attr __user *arg)
{
	struct rmai_attr *a;
	int i, err = 0;

	/* Of what is sealed little can change: do not wait for an owner that is away */
	if (!READ_ONCE(ri->sealed) || rmai_node_up(ri->rc, rmai_id_owner(ri->id)))
		err = rmai_inode_refresh(ri);
	if (err && READ_ONCE(ri->sealed) && !rmai_node_up(ri->rc, rmai_id_owner(ri->id)))
		err = 0;
	if (err)
		return err;
	a = kzalloc(sizeof(*a), GFP_KERNEL);
	if (!a)
		return -ENOMEM;
	spin_lock(&ri->attr_lock);
	if ((ri->attr.seals & RMAI_SEALED) == RMAI_SEALED)
		a->flags |= RMAI_REGION_SEALED;
	a->flags |= ri->attr.flags & RMAI_REGION_ANON;
	a->region_id = ri->id;
	a->addr = ri->attr.addr;
	a->length = ri->attr.length;
	a->size = i_size_read(&ri->vfs);
	a->vmr_size = ri->attr.vmr_size;
	a->stripe = ri->attr.stripe;
	a->owner = ri->attr.owner;
	a->seals = ri->attr.seals;
	a->on_loss = ri->attr.on_loss;
	a->fetch = ri->attr.fetch;
	a->generation = ri->attr.generation;
	a->cache_min = ri->attr.cache_min;
	a->cache_max = ri->attr.cache_max;
	a->nr_nodes = ri->attr.nr_nodes;
	for (i = 0; i < ri->attr.nr_nodes; i++)
		a->nodes[i] = ri->attr.nodes[i].id;
	spin_unlock(&ri->attr_lock);
	if (rmai_region_lost(ri))
		a->flags |= RMAI_REGION_LOST;
	err = copy_to_user(arg, a, sizeof(*a)) ? -EFAULT : 0;
	kfree(a);
	return err;
}

/* What the wire would refuse, too, but with the errno of this interface */
static int rmai_attr_check(const struct rmai_attr *a)
{
	int i, j;

	if (a->flags || (a->mask & ~RMAI_ATTR_ALL) ||
	    memchr_inv(a->reserved, 0, sizeof(a->reserved)))
		return -EINVAL;
	if ((a->mask & RMAI_ATTR_VMR_SIZE) &&
	    (a->vmr_size < RMAI_VMR_MIN || a->vmr_size > RMAI_VMR_MAX ||
	     !PAGE_ALIGNED(a->vmr_size)))
		return -EINVAL;
	if ((a->mask & RMAI_ATTR_STRIPE) &&
	    (!PAGE_ALIGNED(a->stripe) || a->stripe >= RMAI_WIRE_SIZE_LIMIT))
		return -EINVAL;
	if ((a->mask & RMAI_ATTR_ON_LOSS) && a->on_loss > RMAI_ON_LOSS_SIGBUS)
		return -EINVAL;
	if ((a->mask & RMAI_ATTR_FETCH) && (a->fetch & ~RMAI_FETCH_ALL))
		return -EINVAL;
	if ((a->mask & RMAI_ATTR_CACHE) && a->cache_max && a->cache_min > a->cache_max)
		return -EINVAL;
	if (!(a->mask & RMAI_ATTR_LAYOUT))
		return 0;
	if (!a->nr_nodes || a->nr_nodes > RMAI_MAX_NODES)
		return -EINVAL;
	for (i = 0; i < a->nr_nodes; i++) {
		if (a->nodes[i] < 1 || a->nodes[i] > RMAI_MAX_NODES)
			return -EINVAL;
		for (j = 0; j < i; j++) {
			if (a->nodes[i] == a->nodes[j])
				return -EINVAL;
		}
	}
	return 0;
}

static int rmai_ioc_setattr(struct file *file, struct rmai_attr __user *arg)
{
	struct inode *inode = file_inode(file);
	struct rmai_inode *ri = RMAI_I(inode);
	struct rmai_wire_attr *want = NULL;
	struct rmai_attr *a;
	u32 mask = 0;
	int i, err;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	a = memdup_user(arg, sizeof(*a));
	if (IS_ERR(a))
		return PTR_ERR(a);
	err = rmai_attr_check(a);
	if (err)
		goto out;
	err = -ENOMEM;
	want = kzalloc(sizeof(*want), GFP_KERNEL);
	if (!want)
		goto out;
	want->vmr_size = a->vmr_size;
	want->stripe = a->mask & RMAI_ATTR_STRIPE ? a->stripe : 0;
	want->on_loss = a->on_loss;
	want->fetch = a->fetch;
	want->cache_min = a->cache_min;
	want->cache_max = a->cache_max;
	if (a->mask & RMAI_ATTR_VMR_SIZE)
		mask |= RMAI_SET_VMR_SIZE;
	if (a->mask & RMAI_ATTR_STRIPE)
		mask |= RMAI_SET_STRIPE;
	if (a->mask & RMAI_ATTR_ON_LOSS)
		mask |= RMAI_SET_ON_LOSS;
	if (a->mask & RMAI_ATTR_FETCH)
		mask |= RMAI_SET_FETCH;
	if (a->mask & RMAI_ATTR_CACHE)
		mask |= RMAI_SET_CACHE;
	if (a->mask & RMAI_ATTR_LAYOUT) {
		mask |= RMAI_SET_LAYOUT;
		want->nr_nodes = a->nr_nodes;
		for (i = 0; i < a->nr_nodes; i++)
			want->nodes[i].id = a->nodes[i];
	}
	inode_lock(inode);
	err = rmai_inode_flush_size(ri);
	if (!err && mask)
		err = rmai_inode_setattr(ri, RMAI_MSG_SETATTR, mask, want);
	inode_unlock(inode);
	if (!err)
		err = rmai_ioc_getattr(ri, arg);
out:
	kfree(want);
	kfree(a);
	return err;
}

/* In folios of the size of a PMD entry: they lie at multiples of it */
static u64 rmai_huge_bytes(struct rmai_inode *ri)
{
	pgoff_t end = DIV_ROUND_UP(i_size_read(&ri->vfs), PAGE_SIZE), index;
	struct folio *folio;
	u64 bytes = 0;

	for (index = 0; index < end; index += 1UL << PMD_ORDER) {
		folio = filemap_get_folio(ri->vfs.i_mapping, index);
		if (!IS_ERR(folio)) {
			if (folio_order(folio) >= PMD_ORDER && folio_test_uptodate(folio))
				bytes += folio_size(folio);
			folio_put(folio);
		}
		cond_resched();
	}
	return bytes;
}

static int rmai_ioc_stat(struct rmai_inode *ri,
			 struct rmai_region_stat __user *arg)
{
	atomic64_t *hits = ri->stat.prefetch_hits, *waste = ri->stat.prefetch_waste;
	u64 home = atomic64_read(&ri->home_pages);
	struct rmai_region_stat st = {
		.home_bytes	= home << PAGE_SHIFT,
		.replica_bytes	= (ri->vfs.i_mapping->nrpages - home) << PAGE_SHIFT,
		.fault_major	= atomic64_read(&ri->stat.fault_major),
		.fault_minor	= atomic64_read(&ri->stat.fault_minor),
		.fetch_vmrs	= atomic64_read(&ri->stat.fetch_vmrs),
		.fetch_bytes	= atomic64_read(&ri->stat.fetch_bytes),
		.fetch_errors	= atomic64_read(&ri->stat.fetch_errors),
		.rdma_reads	= atomic64_read(&ri->stat.rdma_reads),
		.fault_wait_ns	= atomic64_read(&ri->stat.fault_wait_ns),
		.get_s		= atomic64_read(&ri->stat.get_s),
		.get_x		= atomic64_read(&ri->stat.get_x),
		.inv_sent	= atomic64_read(&ri->stat.inv_sent),
		.inv_received	= atomic64_read(&ri->stat.inv_received),
		.recalls	= atomic64_read(&ri->stat.recalls),
		.writebacks	= atomic64_read(&ri->stat.writebacks),
		.pingpongs	= atomic64_read(&ri->stat.pingpongs),
		.fetch_size	= rmai_fetch_size(ri),
		.huge_bytes	= rmai_huge_bytes(ri),
		.prefetch_advice_hits = atomic64_read(&hits[RMAI_BY_ADVICE]),
		.prefetch_advice_waste = atomic64_read(&waste[RMAI_BY_ADVICE]),
		.prefetch_seq_hits = atomic64_read(&hits[RMAI_BY_SEQ]),
		.prefetch_seq_waste = atomic64_read(&waste[RMAI_BY_SEQ]),
		.prefetch_schedule_hits = atomic64_read(&hits[RMAI_BY_SCHEDULE]),
		.prefetch_schedule_waste = atomic64_read(&waste[RMAI_BY_SCHEDULE]),
		.prefetch_next_hits = atomic64_read(&hits[RMAI_BY_NEXT]),
		.prefetch_next_waste = atomic64_read(&waste[RMAI_BY_NEXT]),
		.prefetch_late	= atomic64_read(&ri->stat.prefetch_late),
	};

	return copy_to_user(arg, &st, sizeof(st)) ? -EFAULT : 0;
}

/**
 * rmai_attach() - open the region at an address
 * @rc: membership
 * @addr: any address in its range
 * @write: for writing, too
 *
 * Return: inode, opened and with a reference; ERR_PTR: -EINVAL (not in the
 * window), -ENOENT, -EACCES, or what rmai_call() returns.
 */
struct inode *rmai_attach(struct rmai_cluster *rc, u64 addr, bool write)
{
	unsigned int node = rmai_window_node(rc->cfg.window_start,
					     rc->cfg.window_size, addr);
	struct rmai_msg *msg;
	struct inode *inode;
	int err;

	if (!node)
		return ERR_PTR(-EINVAL);
	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_ATTACH);
	if (!msg)
		return ERR_PTR(-ENOMEM);
	msg->open.addr = addr;
	msg->open.uid = from_kuid(&init_user_ns, current_fsuid());
	msg->open.gid = from_kgid(&init_user_ns, current_fsgid());
	msg->open.access = MAY_READ | (write ? MAY_WRITE : 0);
	err = rmai_call(rc, node, msg);
	inode = err ? ERR_PTR(err) : rmai_iget_attr(rc, &msg->attr.attr);
	kfree(msg);
	if (IS_ERR(inode))
		return inode;
	err = rmai_region_open(RMAI_I(inode));
	if (err) {
		iput(inode);
		return ERR_PTR(err == -ESTALE ? -ENOENT : err);
	}
	return inode;
}

static int rmai_ioc_open_addr(struct rmai_cluster *rc,
			      const struct rmai_open_addr __user *arg)
{
	struct rmai_open_addr oa;
	struct inode *inode;
	struct file *file;
	bool write;
	int fd;

	if (copy_from_user(&oa, arg, sizeof(oa)))
		return -EFAULT;
	if (oa.reserved || (oa.flags & ~(O_ACCMODE | O_CLOEXEC)) ||
	    (oa.flags & O_ACCMODE) > O_RDWR || (oa.flags & O_ACCMODE) == O_WRONLY)
		return -EINVAL;
	write = (oa.flags & O_ACCMODE) == O_RDWR;
	fd = get_unused_fd_flags(oa.flags & O_CLOEXEC);
	if (fd < 0)
		return fd;
	inode = rmai_attach(rc, oa.addr, write);
	if (IS_ERR(inode)) {
		put_unused_fd(fd);
		return PTR_ERR(inode);
	}
	file = rmai_file_of(inode, "rmai", write ? O_RDWR : O_RDONLY);
	if (IS_ERR(file)) {
		rmai_region_close(RMAI_I(inode));
		iput(inode);
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

/**
 * rmai_ioctl() - RMAI_IOC_* on files and on the directory of an rmaifs
 * @file: which
 * @cmd: command
 * @arg: its argument
 *
 * Return: see uapi/linux/rmai.h; -ENOTTY for what is none, or not for a directory.
 */
long rmai_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct inode *inode = file_inode(file);
	void __user *p = (void __user *)arg;

	if (cmd == RMAI_IOC_OPEN_ADDR)
		return rmai_ioc_open_addr(inode->i_sb->s_fs_info, p);
	if (!S_ISREG(inode->i_mode))
		return -ENOTTY;
	switch (cmd) {
	case RMAI_IOC_GETATTR:
		return rmai_ioc_getattr(RMAI_I(inode), p);
	case RMAI_IOC_SETATTR:
		return rmai_ioc_setattr(file, p);
	case RMAI_IOC_STAT:
		return rmai_ioc_stat(RMAI_I(inode), p);
	case RMAI_IOC_PUBLISH:
		return rmai_ioc_publish(file, p);
	case RMAI_IOC_VMRS:
		return rmai_ioc_vmrs(RMAI_I(inode), p);
	case RMAI_IOC_RESET:
		return rmai_ioc_reset(file, p);
	default:
		return -ENOTTY;
	}
}
