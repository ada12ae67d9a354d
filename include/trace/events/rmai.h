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

#endif /* _TRACE_RMAI_H */

#include <trace/define_trace.h>
