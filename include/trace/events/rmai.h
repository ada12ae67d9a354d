/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rmai

#if !defined(_TRACE_RMAI_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_RMAI_H

#include <linux/tracepoint.h>

struct rmai_msg;

/* The core's message struct is private to mm/rmai/: only there the points are made */
#ifdef _RMAI_WIRE_H

DECLARE_EVENT_CLASS(rmai_msg_class,
	TP_PROTO(const struct rmai_msg *msg),
	TP_ARGS(msg),
	TP_STRUCT__entry(
		__string(type, rmai_msg_name(msg->type))
		__field(u16, src)
		__field(u16, dst)
		__field(u32, xid)
		__field(bool, reply)
		__field(int, status)
	),
	TP_fast_assign(
		__assign_str(type);
		__entry->src = msg->src;
		__entry->dst = msg->dst;
		__entry->xid = msg->xid;
		__entry->reply = msg->flags & RMAI_MSG_F_REPLY;
		__entry->status = msg->status;
	),
	TP_printk("%s%s src=%u dst=%u xid=%u status=%d", __get_str(type),
		  __entry->reply ? " reply" : "", __entry->src, __entry->dst,
		  __entry->xid, __entry->status)
);

DEFINE_EVENT(rmai_msg_class, rmai_msg_send,
	TP_PROTO(const struct rmai_msg *msg), TP_ARGS(msg));
DEFINE_EVENT(rmai_msg_class, rmai_msg_recv,
	TP_PROTO(const struct rmai_msg *msg), TP_ARGS(msg));

#endif /* _RMAI_WIRE_H */

TRACE_EVENT(rmai_peer_state,
	TP_PROTO(u16 self, u16 node, const char *state, const char *why),
	TP_ARGS(self, node, state, why),
	TP_STRUCT__entry(
		__field(u16, self)
		__field(u16, node)
		__string(state, state)
		__string(why, why)
	),
	TP_fast_assign(
		__entry->self = self;
		__entry->node = node;
		__assign_str(state);
		__assign_str(why);
	),
	TP_printk("self=%u node=%u state=%s why=\"%s\"", __entry->self,
		  __entry->node, __get_str(state), __get_str(why))
);

/* A VMR is fetched ahead; @by: enum rmai_foresight */
TRACE_EVENT(rmai_prefetch,
	TP_PROTO(u64 region, u64 vmr, unsigned int by),
	TP_ARGS(region, vmr, by),
	TP_STRUCT__entry(
		__field(u64, region)
		__field(u64, vmr)
		__field(unsigned int, by)
	),
	TP_fast_assign(
		__entry->region = region;
		__entry->vmr = vmr;
		__entry->by = by;
	),
	TP_printk("region=%llx vmr=%llu by=%s", __entry->region, __entry->vmr,
		  __print_symbolic(__entry->by, { 0, "advice" }, { 1, "seq" },
				   { 2, "schedule" }, { 3, "next" }))
);

/* A fault that found its page absent; @vmr: index in the region */
TRACE_EVENT(rmai_fault_wait,
	TP_PROTO(u64 region, u64 vmr, unsigned long address, u64 wait_ns, int err),
	TP_ARGS(region, vmr, address, wait_ns, err),
	TP_STRUCT__entry(
		__field(u64, region)
		__field(u64, vmr)
		__field(unsigned long, address)
		__field(u64, wait_ns)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->region = region;
		__entry->vmr = vmr;
		__entry->address = address;
		__entry->wait_ns = wait_ns;
		__entry->err = err;
	),
	TP_printk("region=%llx vmr=%llu address=%lx wait_ns=%llu err=%d",
		  __entry->region, __entry->vmr, __entry->address,
		  __entry->wait_ns, __entry->err)
);

DECLARE_EVENT_CLASS(rmai_fetch_class,
	TP_PROTO(u64 region, u64 vmr, u64 off, u64 len, int err),
	TP_ARGS(region, vmr, off, len, err),
	TP_STRUCT__entry(
		__field(u64, region)
		__field(u64, vmr)
		__field(u64, off)
		__field(u64, len)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->region = region;
		__entry->vmr = vmr;
		__entry->off = off;
		__entry->len = len;
		__entry->err = err;
	),
	TP_printk("region=%llx vmr=%llu off=%llu len=%llu err=%d",
		  __entry->region, __entry->vmr, __entry->off, __entry->len,
		  __entry->err)
);

/* A VMR's transfer begins and ends; one READ of it is posted and completes */
DEFINE_EVENT(rmai_fetch_class, rmai_fetch_begin,
	TP_PROTO(u64 region, u64 vmr, u64 off, u64 len, int err),
	TP_ARGS(region, vmr, off, len, err));
DEFINE_EVENT(rmai_fetch_class, rmai_fetch_end,
	TP_PROTO(u64 region, u64 vmr, u64 off, u64 len, int err),
	TP_ARGS(region, vmr, off, len, err));
DEFINE_EVENT(rmai_fetch_class, rmai_read_post,
	TP_PROTO(u64 region, u64 vmr, u64 off, u64 len, int err),
	TP_ARGS(region, vmr, off, len, err));
DEFINE_EVENT(rmai_fetch_class, rmai_read_done,
	TP_PROTO(u64 region, u64 vmr, u64 off, u64 len, int err),
	TP_ARGS(region, vmr, off, len, err));

/* A replica is dropped; @stays: some of it could not be */
TRACE_EVENT(rmai_evict,
	TP_PROTO(u64 region, u64 vmr, bool stays),
	TP_ARGS(region, vmr, stays),
	TP_STRUCT__entry(
		__field(u64, region)
		__field(u64, vmr)
		__field(bool, stays)
	),
	TP_fast_assign(
		__entry->region = region;
		__entry->vmr = vmr;
		__entry->stays = stays;
	),
	TP_printk("region=%llx vmr=%llu stays=%d", __entry->region, __entry->vmr,
		  __entry->stays)
);

#ifdef _RMAI_COHERENCE_H

#define rmai_show_dir_state(state)					\
	__print_symbolic(state,						\
		{ RMAI_DIR_UNUSED,		"UNUSED" },		\
		{ RMAI_DIR_SHARED,		"SHARED" },		\
		{ RMAI_DIR_EXCLUSIVE,		"EXCLUSIVE" },		\
		{ RMAI_DIR_POISONED,		"POISONED" },		\
		{ RMAI_DIR_INVALIDATING,	"INVALIDATING" },	\
		{ RMAI_DIR_RECALLING,		"RECALLING" })

#define rmai_show_replica_state(state)					\
	__print_symbolic(state,						\
		{ RMAI_REPLICA_I,		"I" },			\
		{ RMAI_REPLICA_FETCH_S,		"FETCH_S" },		\
		{ RMAI_REPLICA_FETCH_X,		"FETCH_X" },		\
		{ RMAI_REPLICA_S,		"S" },			\
		{ RMAI_REPLICA_X,		"X" },			\
		{ RMAI_REPLICA_WRITEBACK,	"WRITEBACK" })

/*
 * An entry of a home's directory changes. @node: for whom, 0 for the home itself;
 * @seq: of the grant, INV or RECALL that is the cause
 */
TRACE_EVENT(rmai_dir_state,
	TP_PROTO(u16 self, u64 region, u64 vmr, int from, int to, u16 node, u64 seq),
	TP_ARGS(self, region, vmr, from, to, node, seq),
	TP_STRUCT__entry(
		__field(u16, self)
		__field(u64, region)
		__field(u64, vmr)
		__field(int, from)
		__field(int, to)
		__field(u16, node)
		__field(u64, seq)
	),
	TP_fast_assign(
		__entry->self = self;
		__entry->region = region;
		__entry->vmr = vmr;
		__entry->from = from;
		__entry->to = to;
		__entry->node = node;
		__entry->seq = seq;
	),
	TP_printk("self=%u region=%llx vmr=%llu from=%s to=%s node=%u seq=%llu",
		  __entry->self, __entry->region, __entry->vmr,
		  rmai_show_dir_state(__entry->from),
		  rmai_show_dir_state(__entry->to), __entry->node, __entry->seq)
);

/* What a node may do with a VMR that is homed elsewhere changes */
TRACE_EVENT(rmai_replica_state,
	TP_PROTO(u16 self, u64 region, u64 vmr, int from, int to, u64 seq),
	TP_ARGS(self, region, vmr, from, to, seq),
	TP_STRUCT__entry(
		__field(u16, self)
		__field(u64, region)
		__field(u64, vmr)
		__field(int, from)
		__field(int, to)
		__field(u64, seq)
	),
	TP_fast_assign(
		__entry->self = self;
		__entry->region = region;
		__entry->vmr = vmr;
		__entry->from = from;
		__entry->to = to;
		__entry->seq = seq;
	),
	TP_printk("self=%u region=%llx vmr=%llu from=%s to=%s seq=%llu",
		  __entry->self, __entry->region, __entry->vmr,
		  rmai_show_replica_state(__entry->from),
		  rmai_show_replica_state(__entry->to), __entry->seq)
);

#endif /* _RMAI_COHERENCE_H */

#endif /* _TRACE_RMAI_H */

#include <trace/define_trace.h>
