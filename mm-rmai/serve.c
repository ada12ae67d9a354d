// SPDX-License-Identifier: GPL-2.0
/*
 * Which request goes to whom. Handlers run on serve_wq (or in the caller's own
 * context, for a call to this node itself); they may sleep and call other nodes.
 */
#include "internal.h"

static int rmai_serve_create(struct rmai_cluster *rc, u16 src,
			     struct rmai_msg *req, struct rmai_msg *rep)
{
	struct rmai_msg_id old;
	int err;

	err = rmai_owner_create(rc, src, &req->name, &rep->attr.attr);
	if (err || !req->name.len)
		return err;
	err = rmai_names_add(rc, &req->name, rep->attr.attr.id,
			     rep->attr.attr.owner_epoch, true, &old);
	if (err)
		rmai_owner_unref(rc, rep->attr.attr.id);
	return err;
}

static int rmai_serve_unlink(struct rmai_cluster *rc, struct rmai_msg *req)
{
	struct rmai_owed *unref = rmai_owed_alloc(0);
	int err;

	if (!unref)
		return -ENOMEM;
	err = rmai_names_remove(rc, &req->name);
	if (err || (req->name.flags & RMAI_NAME_RENAMED))
		kfree(unref);
	else
		rmai_unref(rc, unref, req->name.id);
	return err;
}

static int rmai_serve_link(struct rmai_cluster *rc, struct rmai_msg *req,
			   struct rmai_msg *rep)
{
	struct rmai_owed *unref = rmai_owed_alloc(0);
	int err;

	if (!unref)
		return -ENOMEM;
	err = rmai_names_add(rc, &req->name, req->name.id, req->name.token,
			     req->name.flags & RMAI_NAME_EXCL, &rep->id);
	/* From here, for the one who asks may not live long enough, nor hear the answer */
	if (!err && rep->id.id)
		rmai_owe_unref(rc, unref, rep->id.id);
	else
		kfree(unref);
	return err;
}

/**
 * rmai_serve() - carry out a request
 * @rc: this node
 * @link: connection that it came on; NULL: this node itself asks
 * @req: the request
 * @rep: body of the reply to be filled in
 *
 * Return: status of the reply: 0 or a negative errno.
 */
int rmai_serve(struct rmai_cluster *rc, struct rmai_link *link, struct rmai_msg *req,
	       struct rmai_msg *rep)
{
	u16 src = link ? req->src : rc->self;

	switch (req->type) {
	case RMAI_MSG_PING: {
		struct rmai_peer *peer = rmai_peer(rc, src);

		if (peer) {
			WRITE_ONCE(peer->pool_total, req->ping.pool_total);
			WRITE_ONCE(peer->pool_used, req->ping.pool_used);
			WRITE_ONCE(peer->lease_ms, req->ping.lease_ms);
		}
		rep->ping.lease_ms = READ_ONCE(rmai_config.lease_ms);
		rep->ping.pool_total = rc->cfg.pool_bytes;
		rep->ping.pool_used = (u64)atomic64_read(&rc->pool_used) << PAGE_SHIFT;
		return 0;
	}
	case RMAI_MSG_LOOKUP:
		return rmai_names_lookup(rc, &req->name, &rep->id);
	case RMAI_MSG_CREATE:
		return rmai_serve_create(rc, src, req, rep);
	case RMAI_MSG_LINK:
		return rmai_serve_link(rc, req, rep);
	case RMAI_MSG_UNLINK:
		rep->id.id = req->name.id;
		return rmai_serve_unlink(rc, req);
	case RMAI_MSG_READDIR:
		rep->readdir.cookie = req->readdir.cookie;
		return rmai_names_list(rc, &rep->readdir);
	case RMAI_MSG_GETATTR:
		return rmai_owner_getattr(rc, src, req->id.id,
					  req->id.owner_epoch, &rep->attr.attr);
	case RMAI_MSG_SETATTR:
	case RMAI_MSG_SEAL:
	case RMAI_MSG_ADDR:
		return rmai_owner_setattr(rc, src, req->type, &req->setattr,
					  &rep->attr.attr);
	case RMAI_MSG_OPEN:
		return rmai_owner_open(rc, src, req->open.id, &rep->attr.attr);
	case RMAI_MSG_CLOSE:
		return rmai_owner_close(rc, src, req->id.id);
	case RMAI_MSG_UNREF:
		return rmai_owner_unref(rc, req->id.id);
	case RMAI_MSG_ATTACH:
		return rmai_owner_attach(rc, src, &req->open, &rep->attr.attr);
	case RMAI_MSG_TRUNC:
		return rmai_home_trunc(rc, src, &req->setattr);
	case RMAI_MSG_FREEZE:
		return rmai_home_freeze(rc, src, &req->setattr);
	case RMAI_MSG_FREE:
		rmai_home_free(rc, src, req->id.id);
		return 0;
	case RMAI_MSG_KEYS:
		return rmai_home_keys(rc, src, &req->keys, &rep->keys);
	case RMAI_MSG_WRITE:
		rep->io = req->io;
		rep->io.ahead = 0;
		return rmai_home_write(rc, src, &req->io);
	case RMAI_MSG_GET_S:
	case RMAI_MSG_GET_X:
	case RMAI_MSG_PUT:
		return rmai_dir_serve(rc, link, req, rep);
	case RMAI_MSG_INV:
		return rmai_inv_serve(rc, src, &req->inv, &rep->ack);
	case RMAI_MSG_RECALL:
		return rmai_recall_serve(rc, src, &req->recall, &rep->ack);
	case RMAI_MSG_PUBLISH:
		return rmai_publish_serve(rc, &req->publish, &rep->id);
	case RMAI_MSG_VMRS:
		return rmai_vmrs_serve(rc, &req->vmrs, &rep->vmrs);
	case RMAI_MSG_RESET:
		return rmai_reset_serve(rc, &req->reset, &rep->reset);
	default:
		return -EOPNOTSUPP;
	}
}
