// SPDX-License-Identifier: GPL-2.0
/*
 * mmap(2) of regions: MAP_RMAI, symmetric addresses, anonymous regions.
 */
#define pr_fmt(fmt) "rmai: " fmt

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/mman.h>
#include <linux/slab.h>

#include "internal.h"

const struct vm_operations_struct rmai_vm_ops = {
	.fault		= rmai_fault,
	.map_pages	= rmai_map_pages,
	.page_mkwrite	= rmai_page_mkwrite,
};

static bool vma_is_rmai(const struct vm_area_struct *vma)
{
	return vma->vm_ops == &rmai_vm_ops;
}

unsigned long rmai_mmap_mask(const struct file *file)
{
	return is_file_rmai(file) ? MAP_RMAI | MAP_FIXED_NOREPLACE : 0;
}

/* Where page @pgoff of a region is on all nodes, or 0 */
static unsigned long rmai_symmetric(const struct rmai_inode *ri, pgoff_t pgoff)
{
	u64 addr = READ_ONCE(ri->attr.addr);

	return addr ? addr + ((u64)pgoff << PAGE_SHIFT) : 0;
}

int rmai_mremap_check(const struct vm_area_struct *vma, unsigned long old_len,
		      unsigned long new_len, bool moves)
{
	if (!vma_is_rmai(vma) ||
	    vma->vm_start != rmai_symmetric(RMAI_I(file_inode(vma->vm_file)),
					    vma->vm_pgoff))
		return 0;
	/* old_len 0 asks for a second mapping elsewhere */
	return moves || new_len > old_len || !old_len ? -EINVAL : 0;
}

/**
 * rmai_get_unmapped_area() - where a region is mapped
 * @file: region
 * @addr: hint, or with MAP_FIXED the address
 * @len: bytes
 * @pgoff: first page
 * @flags: of mmap(2)
 *
 * Context: mmap_lock is held for writing.
 * Return: address; -EEXIST when something is at the symmetric address, -EINVAL when
 * MAP_RMAI is asked for elsewhere or beyond what is reserved.
 */
unsigned long rmai_get_unmapped_area(struct file *file, unsigned long addr,
				     unsigned long len, unsigned long pgoff,
				     unsigned long flags)
{
	struct rmai_inode *ri = RMAI_I(file_inode(file));
	unsigned long want = rmai_symmetric(ri, pgoff);
	struct mm_struct *mm = current->mm;
	bool fits;

	/* rmai_mmap_prepare() has seen to the address of what asks for it */
	fits = want && ((u64)pgoff << PAGE_SHIFT) + len <= READ_ONCE(ri->attr.length);
	if (flags & MAP_RMAI) {
		if (!fits || ((flags & MAP_FIXED) && addr != want))
			return -EINVAL;
		if (find_vma_intersection(mm, want, want + len))
			return -EEXIST;
		return want;
	}
	if ((flags & MAP_FIXED) || addr || !fits ||
	    find_vma_intersection(mm, want, want + len))
		return mm_get_unmapped_area(mm, file, addr, len, pgoff, flags);
	return want;
}

void rmai_madvise_dontneed(struct vm_area_struct *vma, unsigned long start,
			   unsigned long end)
{
	if (vma_is_rmai(vma))
		rmai_replicas_drop(RMAI_I(file_inode(vma->vm_file)),
				   linear_page_index(vma, start),
				   linear_page_index(vma, end) - 1, false);
}

unsigned long rmai_populate_len(const struct file *file, unsigned long flags,
				unsigned long len)
{
	u64 budget;

	/* What is locked stays, whatever the budget */
	if (!file || !is_file_rmai(file) || (flags & MAP_LOCKED))
		return len;
	budget = rmai_cache_budget(RMAI_I(file_inode(file)));
	/* A little is kept free: see rmai_cache_ahead() */
	return budget ? PAGE_ALIGN(min_t(u64, len, budget - budget / 16)) : len;
}

/**
 * rmai_file_mmap() - map a region
 * @file: region
 * @vma: mapping
 *
 * Return: 0; -EPERM for a writable shared mapping of a sealed region.
 */
int rmai_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct rmai_inode *ri = RMAI_I(file_inode(file));

	if (vma->vm_flags & VM_SHARED) {
		/* i_mmap_writable is raised; pairs with rmai_home_freeze() */
		smp_mb();
		if (READ_ONCE(ri->frozen) || READ_ONCE(ri->sealed)) {
			if (vma->vm_flags & VM_WRITE)
				return -EPERM;
			vm_flags_clear(vma, VM_MAYWRITE);
		}
	}
	/* No VM_DONTEXPAND: it would make mlock(2) and access bits a nothing */
	vm_flags_set(vma, VM_DONTDUMP);
	vma->vm_ops = &rmai_vm_ops;
	file_accessed(file);
	return 0;
}

/* Has the owner assign an address, if it has not yet */
static int rmai_mmap_address(struct rmai_inode *ri, u64 len)
{
	struct rmai_wire_attr *want;
	int err;

	if (READ_ONCE(ri->attr.addr))
		return 0;
	want = kzalloc(sizeof(*want), GFP_KERNEL);
	if (!want)
		return -ENOMEM;
	err = rmai_inode_flush_size(ri);
	want->length = len;
	if (!err)
		err = rmai_inode_setattr(ri, RMAI_MSG_ADDR, 0, want);
	kfree(want);
	return err;
}

static int rmai_mmap_named(struct file *file, unsigned long len,
			   unsigned long flags, unsigned long pgoff)
{
	struct rmai_inode *ri = RMAI_I(file_inode(file));
	u64 end = ((u64)pgoff << PAGE_SHIFT) + PAGE_ALIGN(len);
	int err;

	if (!len || end < len || end > ri->vfs.i_sb->s_maxbytes)
		return 0;	/* do_mmap() has the errno for these */
	if (flags & MAP_RMAI) {
		if ((flags & MAP_TYPE) != MAP_SHARED_VALIDATE ||
		    (flags & ((unsigned long)MAP_HUGE_MASK << MAP_HUGE_SHIFT)))
			return -EINVAL;
	}
	if (!READ_ONCE(ri->sealed)) {
		/* It may have been sealed, or given an address, since open(2) */
		err = rmai_inode_refresh(ri);
		if (err)
			return err;
	}
	err = rmai_mmap_address(ri, max_t(u64, end, i_size_read(&ri->vfs)));
	/* Without MAP_RMAI any address will do */
	return flags & MAP_RMAI ? err : 0;
}

/* The memory node that is to own a new anonymous region: this one if it is one */
static u16 rmai_anon_owner(struct rmai_cluster *rc)
{
	u16 ids[RMAI_WIRE_NODES];
	int i, n = rmai_memory_nodes(rc, ids);

	if (rc->cfg.nodes[rc->self - 1].role & RMAI_ROLE_MEMORY)
		return rc->self;
	for (i = 0; i < n; i++) {
		u16 id = ids[(rc->self + i) % n];

		if (READ_ONCE(rmai_peer(rc, id)->state) == RMAI_PEER_UP)
			return id;
	}
	return ids[rc->self % n];
}

static struct inode *rmai_anon_create(struct rmai_cluster *rc, unsigned long len,
				      u64 vmr_size)
{
	u16 owner = rmai_anon_owner(rc);
	struct rmai_msg *msg;
	struct inode *inode;
	int err;

	msg = rmai_msg_alloc(GFP_KERNEL, RMAI_MSG_CREATE);
	if (!msg)
		return ERR_PTR(-ENOMEM);
	msg->name.attr.size = PAGE_ALIGN(len);
	msg->name.attr.vmr_size = vmr_size;
	msg->name.attr.flags = RMAI_REGION_ANON;
	msg->name.attr.nr_nodes = 1;
	msg->name.attr.nodes[0].id = owner;
	err = rmai_create_region(rc, msg, owner, 0600);
	inode = err ? ERR_PTR(err) : rmai_iget_attr(rc, &msg->attr.attr);
	kfree(msg);
	if (IS_ERR(inode))
		return inode;
	err = rmai_region_open(RMAI_I(inode));
	if (err)
		goto put;
	err = rmai_mmap_address(RMAI_I(inode), PAGE_ALIGN(len));
	if (err)
		goto close;
	return inode;
close:
	rmai_region_close(RMAI_I(inode));
put:
	iput(inode);
	return ERR_PTR(err);
}

static int rmai_mmap_anon(struct file **filep, unsigned long addr,
			  unsigned long len, unsigned long prot,
			  unsigned long flags, unsigned long *pgoff)
{
	unsigned int log2 = (flags >> MAP_HUGE_SHIFT) & MAP_HUGE_MASK;
	u64 vmr_size = log2 ? 1ULL << log2 : RMAI_VMR_DEFAULT;
	struct rmai_cluster *rc;
	struct rmai_inode *ri;
	struct inode *inode;
	struct file *file;
	u64 off = 0;

	if ((flags & MAP_TYPE) != MAP_SHARED_VALIDATE || (flags & MAP_HUGETLB) ||
	    !len || PAGE_ALIGN(len) < len)
		return -EINVAL;
	if (vmr_size < RMAI_VMR_MIN || vmr_size > RMAI_VMR_MAX)
		return -EINVAL;
	/* The region, once open, keeps the node online */
	rc = rmai_cluster_get_main();
	if (!rc)
		return -ENODEV;
	if (flags & MAP_FIXED_NOREPLACE) {
		inode = rmai_attach(rc, addr, prot & PROT_WRITE);
		if (!IS_ERR(inode))
			off = addr - RMAI_I(inode)->attr.addr;
	} else if (flags & MAP_FIXED) {
		inode = ERR_PTR(-EINVAL);
	} else {
		inode = rmai_anon_create(rc, len, vmr_size);
	}
	rmai_cluster_put(rc);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	ri = RMAI_I(inode);
	file = ERR_PTR(-EINVAL);
	if (PAGE_ALIGNED(off) && off + PAGE_ALIGN(len) <= ri->attr.length)
		file = rmai_file_of(inode, "rmai-anon",
				    prot & PROT_WRITE ? O_RDWR : O_RDONLY);
	if (IS_ERR(file)) {
		rmai_region_close(ri);
		iput(inode);
		return PTR_ERR(file);
	}
	*filep = file;
	*pgoff = off >> PAGE_SHIFT;
	return 0;
}

int rmai_mmap_prepare(struct file **filep, unsigned long addr,
		      unsigned long len, unsigned long prot,
		      unsigned long flags, unsigned long *pgoff)
{
	if (*filep)
		return is_file_rmai(*filep) ?
		       rmai_mmap_named(*filep, len, flags, *pgoff) : 0;
	if (!(flags & MAP_RMAI))
		return 0;
	return rmai_mmap_anon(filep, addr, len, prot, flags, pgoff);
}
