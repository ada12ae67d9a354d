/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What goes wrong: connections, leases, nodes. Included by rmai.pml.
 */

/* Of what was on the way for i nothing arrives, or just the part that had arrived */
inline cut(i)
{
	if
	:: rqw[i] == FLIGHT || rqw[i] == SERVING -> rqw[i] = SEND
	:: rqw[i] == REPLY -> rqw[i] = SEND; gs[i] = 0; gg[i] = 0
	:: rqw[i] == REPLY		/* it is here, only nobody has looked at it */
	:: else
	fi;
	if
	:: tt[V(i)] != NONE && tt[V(i)] < HOME_READ && tn[V(i)] == i -> tdead[V(i)] = 1
	:: else
	fi;
	orph[i] = NONE;
	if
	:: inv[i] && inv[i] != BATCH_DONE && wb[i] == 0 ->
		oinv[i] = (inv[i] == BATCH -> INV : inv[i]);
		oseq[i] = tseq[V(i)]
	:: true
	fi;
	inv[i] = 0;
	ack[i] = 0;
	if
	:: wb[i] ->			/* whether it was executed or not: dirty still */
		wb[i] = 0;
		if
		:: rst[i] == RMAI_REPLICA_WRITEBACK ->
			replica_to(i, RMAI_REPLICA_X, EV_BROKEN)
		:: else
		fi
	:: else
	fi
}

/* The lease of i has lapsed: no use of anything that the home may give to others */
inline lapse(i)
{
	if
	:: rst[i] == RMAI_REPLICA_S ->
		drop_data(i);
		replica_to(i, RMAI_REPLICA_I, EV_LAPSE)
	:: rst[i] == RMAI_REPLICA_FETCH_S || rst[i] == RMAI_REPLICA_FETCH_X ->
#ifndef BUG_LAPSE_KEEPS_FETCH
		drop_data(i);
		if
		:: rqw[i] == REPLY -> rqw[i] = SEND; gs[i] = 0; gg[i] = 0
		:: else
		fi;
#endif
		replica_to(i, rst[i], EV_LAPSE)
#ifndef BUG_LAPSE_KEEPS_CLEAN
	:: rst[i] == RMAI_REPLICA_X && !dirty[i] ->
		if
		:: rq[i] == GET_X_HAVE -> asked(i)
		:: else
		fi;
		drop_data(i);
		replica_to(i, RMAI_REPLICA_I, EV_LAPSE)
	:: rst[i] == RMAI_REPLICA_X && dirty[i] ->
#else
	:: rst[i] == RMAI_REPLICA_X ->
#endif
		stop[i] = 1;
		if
		:: rq[i] == GET_X_HAVE && rqw[i] == REPLY -> rqw[i] = SEND; gs[i] = 0; gg[i] = 0
		:: else
		fi;
		replica_to(i, RMAI_REPLICA_X, EV_LAPSE)
	:: else
	fi
}

/* All that node i knew is gone; the home sees another epoch when it is back */
inline crash(i)
{
	asked(i);
	drop_data(i);
	rd[i] = 0;
	rval[i] = 0;
	rvoid[i] = 0;
	oinv[i] = 0;
	oseq[i] = 0;
	inv[i] = 0;
	ack[i] = 0;
	wb[i] = 0;
	orph[i] = NONE;
	rst[i] = RMAI_REPLICA_I;
	DONE(i);
	if
	:: tt[V(i)] != NONE && tt[V(i)] < HOME_READ && tn[V(i)] == i -> tdead[V(i)] = 1
	:: else
	fi;
	if
	:: (dst[V(i)] == RMAI_DIR_EXCLUSIVE || dst[V(i)] == RMAI_DIR_RECALLING) &&
	   set[V(i)] == BIT(i) -> ostale[V(i)] = 1
	:: else
	fi
}

/* i of the node at the other end of connection c, in either direction */
#ifdef MUTUAL
#define CUT(c)		if :: (c) == 0 -> cut(0); cut(2) :: (c) == 1 -> cut(1) :: (c) == 2 -> cut(3) fi
#elif NV == 2
#define CUT(c)		cut(c); cut((c) + NR)
#define LAPSE(c)	lapse(c); lapse((c) + NR)
#define CRASH(c)	crash(c); crash((c) + NR)
#else
#define CUT(c)		cut(c)
#define LAPSE(c)	lapse(c)
#define CRASH(c)	crash(c)
#endif

#ifdef BREAKS
active [NCONN] proctype Link()
{
	/* Until it may lapse it can also come back, and break again */
end:	do
	:: atomic { !down[MC] && (BREAKS == 0 || breaks < BREAKS) ->
		down[MC] = 1;
		breaks = (BREAKS == 0 -> 0 : breaks + 1);
		CUT(MC);
		NORM }
	:: d_step { down[MC] ->
		down[MC] = 0;
#ifndef MUTUAL
#ifdef PAUSES
		if
#ifndef BUG_LEASE_OUTLIVES
		:: paused[MC] || !lapsed[MC] -> LAPSE(MC)
		:: !paused[MC]			/* not at once */
#else
		:: true
#endif
		fi;
		paused[MC] = 0;
#endif
		lapsed[MC] = 0;
		NORM
#endif
		}
#ifndef MUTUAL
#ifdef PAUSES
	/* The home has waited for its lease to end, which it does not know */
	:: d_step { down[MC] && !lapsed[MC] ->
		paused[MC] = 1;
		lapsed[MC] = 1 }
#endif
	:: d_step { down[MC] && !lapsed[MC] ->
		lapsed[MC] = 1;
		LAPSE(MC);
		NORM }
#ifdef CRASHES
	/* It takes its lease and its connection with it */
	:: d_step { !lapsed[MC] && (CRASHES == 0 || crashes < CRASHES) ->
		crashes = (CRASHES == 0 -> 0 : crashes + 1);
		down[MC] = 1;
		lapsed[MC] = 1;
		CRASH(MC);
		NORM }
#endif
#endif
	od
}
#endif

/* Whatever the protocol does, this holds */
active proctype Monitor()
{
end:	do
	:: d_step { c_expr { BROKEN } -> assert(false) }	/* see "why:" */
#ifdef OPS
	/* Nothing moves any more: then nobody may be left waiting */
	:: timeout -> c_code { t_ok = at_rest(); }; assert(t_ok); break
#endif
	od
}
