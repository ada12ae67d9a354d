// SPDX-License-Identifier: GPL-2.0
/*
 * Regions as inodes: found or made by id, kept in step with their owner, and the
 * owner told when this node has one open.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "internal.h"

/*
 * Reclaim is for replicas of what is sealed. What is stored cannot go; and reclaim
 * unlocks a folio that it could not drop before it has flushed the TLB, so that an open
 * region's could still be read and written when it is another node's already. Those
 * rmai_evict() drops.
 */
static void rmai_inode_evictable(struct rmai_inode *ri)
{
	struct address_space *mapping = ri->vfs.i_mapping;

	if (!mapping_unevictable(mapping) ||
	    !(ri->rc->cfg.nodes[ri->rc->self - 1].role & RMAI_ROLE_COMPUTE))
		return;
	mapping_clear_unevictable(mapping);
	shmem_unlock_mapping(mapping);
}

/* Attributes from the owner; older ones than known are ignored. May sleep */
void rmai_inode_update(struct rmai_inode *ri, const struct rmai_wire_attr *attr)
{
	struct inode *inode = &ri->vfs;
	u64 size = attr->size;

	spin_lock(&ri->attr_lock);
	if (attr->change < ri->attr.change) {
		spin_unlock(&ri->attr_lock);
		return;
	}
	ri->attr = *attr;
	ri->attr_time = jiffies;
	ri->geom.vmr_size = attr->vmr_size;
	ri->geom.stripe = attr->stripe;
	ri->geom.nr_nodes = attr->nr_nodes;
	inode->i_mode = S_IFREG | attr->mode;
	inode->i_uid = make_kuid(&init_user_ns, attr->uid);
	inode->i_gid = make_kgid(&init_user_ns, attr->gid);
	inode_set_ctime_to_ts(inode, ns_to_timespec64(attr->ctime_ns));
	inode_set_mtime_to_ts(inode, ns_to_timespec64(attr->mtime_ns));
	inode_set_atime_to_ts(inode, inode_get_mtime(inode));
	/* What was written here and not yet told makes the file longer */
	if (READ_ONCE(ri->size_dirty))
		size = max_t(u64, size, i_size_read(inode));
	ri->geom.size = size;
	spin_lock(&inode->i_lock);
	i_size_write(inode, size);
	spin_unlock(&inode->i_lock);
	if ((attr->seals & RMAI_SEALED) == RMAI_SEALED) {
		/* Pairs with rmai_is_sealed(): geom and attr.nodes */
		smp_store_release(&ri->sealed, true);
		WRITE_ONCE(ri->frozen, true);
	}
	spin_unlock(&ri->attr_lock);
	if (rmai_is_sealed(ri))
		rmai_inode_evictable(ri);
}

/**
 * rmai_iget_attr() - the inode of a region whose attributes are at hand
 * @rc: membership
 * @attr: attributes
 *
 * Return: inode with a reference; ERR_PTR(-ENOMEM).
 */
struct inode *rmai_iget_attr(struct rmai_cluster *rc,
			     const struct rmai_wire_attr *attr)
{
	struct inode *inode = iget_locked(rc->sb, attr->id);
	struct rmai_inode *ri;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	ri = RMAI_I(inode);
	if (!(inode->i_state & I_NEW)) {
		rmai_inode_update(ri, attr);
		return inode;
	}
	ri->rc = rc;
	ri->id = attr->id;
	inode->i_op = &rmai_file_iops;
	inode->i_fop = &rmai_file_fops;
	inode->i_mapping->a_ops = &rmai_aops;
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER_MOVABLE);
	mapping_set_large_folios(inode->i_mapping);
	mapping_set_unevictable(inode->i_mapping);
	rmai_inode_update(ri, attr);
	unlock_new_inode(inode);
	return inode;
}

/**
 * rmai_iget() - the inode of a region
 * @rc: membership
 * @id: region
 *
 * Context: may call the owner.
 * Return: inode with a reference; ERR_PTR: -ESTALE when it is gone, -ENOMEM, or
 * what rmai_call() returns.
 */
struct inode *rmai_iget(struct rmai_cluster *rc, u64 id)
{
	struct inode *inode = ilookup(rc->sb, id);
	struct rmai_msg *msg;
	int err;

	if (inode) {
		if (!READ_ONCE(RMAI_I(inode)->freed))
			return inode;
		iput(inode);
		return ERR_PTR(-ESTALE);
	}
	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_GETATTR);
	if (!msg)
		return ERR_PTR(-ENOMEM);
	msg->id.id = id;
	err = rmai_call(rc, rmai_id_owner(id), msg);
	if (!err && msg->attr.attr.id != id)
		err = -EIO;
	inode = err ? ERR_PTR(err) : rmai_iget_attr(rc, &msg->attr.attr);
	kfree(msg);
	return inode;
}

/**
 * rmai_inode_refresh() - ask the owner for the attributes
 * @ri: region
 *
 * Return: 0, -ESTALE, or what rmai_call() returns.
 */
int rmai_inode_refresh(struct rmai_inode *ri)
{
	struct rmai_msg *msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_GETATTR);
	int err;

	if (!msg)
		return -ENOMEM;
	msg->id.id = ri->id;
	err = rmai_call(ri->rc, rmai_id_owner(ri->id), msg);
	if (!err)
		rmai_inode_update(ri, &msg->attr.attr);
	kfree(msg);
	return err;
}

/**
 * rmai_inode_setattr() - have the owner change attributes
 * @ri: region
 * @type: RMAI_MSG_SETATTR, _SEAL or _ADDR
 * @mask: RMAI_SET_* for SETATTR
 * @want: the new values
 *
 * Return: see rmai_owner_setattr(), rmai_call().
 */
int rmai_inode_setattr(struct rmai_inode *ri, u8 type, u32 mask,
		       const struct rmai_wire_attr *want)
{
	struct rmai_msg *msg = rmai_msg_alloc(GFP_KERNEL, type);
	int err;

	if (!msg)
		return -ENOMEM;
	msg->setattr.id = ri->id;
	msg->setattr.owner_epoch = ri->attr.owner_epoch;
	msg->setattr.mask = mask;
	spin_lock(&ri->attr_lock);
	msg->setattr.attr = ri->attr;
	spin_unlock(&ri->attr_lock);
	if (mask & RMAI_SET_MODE)
		msg->setattr.attr.mode = want->mode & 07777;
	if (mask & RMAI_SET_UID)
		msg->setattr.attr.uid = want->uid;
	if (mask & RMAI_SET_GID)
		msg->setattr.attr.gid = want->gid;
	if (mask & (RMAI_SET_SIZE | RMAI_SET_EXTEND))
		msg->setattr.attr.size = want->size;
	if (mask & RMAI_SET_MTIME)
		msg->setattr.attr.mtime_ns = want->mtime_ns;
	if (mask & RMAI_SET_VMR_SIZE)
		msg->setattr.attr.vmr_size = want->vmr_size;
	if (mask & (RMAI_SET_VMR_SIZE | RMAI_SET_STRIPE))
		msg->setattr.attr.stripe = want->stripe;
	if (mask & RMAI_SET_LAYOUT) {
		msg->setattr.attr.nr_nodes = want->nr_nodes;
		memcpy(msg->setattr.attr.nodes, want->nodes, sizeof(want->nodes));
	}
	if (mask & RMAI_SET_ON_LOSS)
		msg->setattr.attr.on_loss = want->on_loss;
	if (mask & RMAI_SET_FETCH)
		msg->setattr.attr.fetch = want->fetch;
	if (mask & RMAI_SET_CACHE) {
		msg->setattr.attr.cache_min = want->cache_min;
		msg->setattr.attr.cache_max = want->cache_max;
	}
	if (type == RMAI_MSG_SEAL)
		msg->setattr.attr.seals = want->seals;
	if (type == RMAI_MSG_ADDR)
		msg->setattr.attr.length = want->length;
	err = rmai_call(ri->rc, rmai_id_owner(ri->id), msg);
	if (!err)
		rmai_inode_update(ri, &msg->attr.attr);
	kfree(msg);
	return err;
}

/**
 * rmai_inode_flush_size() - tell the owner how long writes here have made it
 * @ri: region
 *
 * Return: 0 or the error of the call; then it stays to be told.
 */
int rmai_inode_flush_size(struct rmai_inode *ri)
{
	struct rmai_wire_attr *want;
	int err;

	if (!xchg(&ri->size_dirty, false))
		return 0;
	want = kzalloc(sizeof(*want), GFP_KERNEL);
	if (!want) {
		WRITE_ONCE(ri->size_dirty, true);
		return -ENOMEM;
	}
	want->size = i_size_read(&ri->vfs);
	err = rmai_inode_setattr(ri, RMAI_MSG_SETATTR, RMAI_SET_EXTEND, want);
	if (err && err != -ESTALE)
		WRITE_ONCE(ri->size_dirty, true);
	kfree(want);
	return err;
}

/**
 * rmai_region_open() - this node opens a region
 * @ri: region
 *
 * Return: 0, -ESTALE, or what rmai_call() returns.
 */
int rmai_region_open(struct rmai_inode *ri)
{
	struct rmai_msg *msg;
	int err = 0;

	if (mutex_lock_killable(&ri->open_mutex))
		return -EINTR;
	if (rmai_owner_lost(ri)) {
		err = -ESTALE;
	} else if (!ri->told_open) {
		err = -ENOMEM;
		msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_OPEN);
		if (msg) {
			msg->open.id = ri->id;
			err = rmai_call(ri->rc, rmai_id_owner(ri->id), msg);
			if (!err)
				rmai_inode_update(ri, &msg->attr.attr);
			kfree(msg);
		}
		if (!err)
			ri->told_open = true;
	} else if (!READ_ONCE(ri->sealed)) {
		err = rmai_inode_refresh(ri);
	}
	if (!err)
		rmai_region_opened(ri);
	mutex_unlock(&ri->open_mutex);
	return err;
}

/* One more open file; open_mutex is held, the owner knows */
void rmai_region_opened(struct rmai_inode *ri)
{
	atomic_inc(&ri->opens);
	if (!ri->counted_open) {
		ri->counted_open = true;
		atomic_inc(&ri->rc->users);
		rmai_count(regions_open, 1);
	}
}

/**
 * rmai_region_close() - an open file of this node is gone
 * @ri: region
 *
 * Context: any that may sleep; calls nobody: the owner is told later.
 */
void rmai_region_close(struct rmai_inode *ri)
{
	/* Not under open_mutex: an open() may hold it while the owner is away */
	if (!atomic_dec_and_test(&ri->opens))
		return;
	rmai_prefetch_closed(ri);
	ihold(&ri->vfs);
	if (!queue_work(ri->rc->serve_wq, &ri->close_work))
		iput(&ri->vfs);
}

/* It is of no use to this node any more; open_mutex is held */
static void rmai_region_uncount(struct rmai_inode *ri)
{
	if (!ri->counted_open)
		return;
	ri->counted_open = false;
	atomic_dec(&ri->rc->users);
	rmai_count(regions_open, -1);
}

void rmai_inode_close_work(struct work_struct *work)
{
	struct rmai_inode *ri = container_of(work, struct rmai_inode, close_work);
	struct rmai_cluster *rc = ri->rc;
	struct rmai_msg *msg;
	bool last;
	int err = 0;

	mutex_lock(&ri->open_mutex);
	last = !atomic_read(&ri->opens);
	if (last && ri->told_open) {
		rmai_inode_flush_size(ri);
		/* What was written goes home while the owner still knows of us */
		err = READ_ONCE(ri->freed) ? 0 :
		      rmai_grants_put(ri, 0, i_size_read(&ri->vfs), false);
		if (err == -EHOSTDOWN && READ_ONCE(rc->stopping))
			pr_warn("node %u: region %#llx was written here, and its home does not answer: that is lost\n",
				rc->self, ri->id);
		msg = NULL;
		if (err != -EHOSTDOWN && err != -ENOMEM && err != -EINTR) {
			err = -ENOMEM;
			msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_CLOSE);
		}
		if (msg) {
			msg->id.id = ri->id;
			msg->id.owner_epoch = ri->attr.owner_epoch;
			err = rmai_call(rc, rmai_id_owner(ri->id), msg);
			kfree(msg);
		}
		if ((err == -EHOSTDOWN || err == -ENOMEM) &&
		    !READ_ONCE(rc->stopping) && !rmai_owner_lost(ri)) {
			/*
			 * The owner keeps it for us until it has heard; if it is
			 * gone for good, this node may go offline all the same
			 */
			if (err == -EHOSTDOWN)
				rmai_region_uncount(ri);
			mutex_unlock(&ri->open_mutex);
			schedule_timeout_uninterruptible(HZ / 10);
			if (!queue_work(rc->serve_wq, &ri->close_work))
				iput(&ri->vfs);
			return;
		}
		ri->told_open = false;
	}
	if (last)
		rmai_region_uncount(ri);
	mutex_unlock(&ri->open_mutex);
	iput(&ri->vfs);
}

/* The owner has rebooted: the region is gone */
bool rmai_owner_lost(struct rmai_inode *ri)
{
	return READ_ONCE(ri->lost) ||
	       rmai_node_lost(ri->rc, rmai_id_owner(ri->id), ri->attr.owner_epoch);
}

/* A node that holds some of the region has rebooted: that part is gone */
bool rmai_region_lost(struct rmai_inode *ri)
{
	int i;

	if (rmai_owner_lost(ri))
		return true;
	for (i = 0; i < ri->attr.nr_nodes; i++) {
		if (rmai_node_lost(ri->rc, ri->attr.nodes[i].id,
				   ri->attr.nodes[i].epoch))
			return true;
	}
	return false;
}

/**
 * rmai_inode_known() - the region that a peer names, if this node knows anything of it
 * @rc: this node
 * @id: region
 *
 * Unlike rmai_iget() this asks nobody.
 *
 * Return: to be put with iput(); NULL: it does not, or that is no region.
 */
struct rmai_inode *rmai_inode_known(struct rmai_cluster *rc, u64 id)
{
	struct inode *inode = ilookup(rc->sb, id);

	if (!inode)
		return NULL;
	if (S_ISREG(inode->i_mode))
		return RMAI_I(inode);
	iput(inode);
	return NULL;
}
