/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The coherence protocol of open regions, for spin.
 *
 * A home keeps NV VMRs, NR other nodes replicate them. Each pair of a VMR v and a
 * node n has an index i = v * NR + n, and what one of them knows of the other is in
 * arrays by i. Every step is one atomic action of one party; what is on the way
 * between two parties can be overtaken by anything else. States and messages have
 * the names that they have in the kernel.
 *
 * Content is a ghost: a bit that each store flips, so that bytes are current if
 * and only if they equal lat[v], the value that was stored last. A number of
 * the protocol (seq) is only ever compared with others, so the numbers in use are
 * made dense after each step (norm()), which keeps the state space finite
 * without a bound on the number of transactions.
 *
 * Parameters: see the list in run.sh. BUG_* take one thing out of the protocol.
 */
#include "params.pml"

#define V(i)		((i) / NR)
#define BIT(i)		(1 << ((i) % NR))
#define ALL		((1 << NR) - 1)

/* enum rmai_replica_state */
#define RMAI_REPLICA_I		0
#define RMAI_REPLICA_FETCH_S	1
#define RMAI_REPLICA_FETCH_X	2
#define RMAI_REPLICA_S		3
#define RMAI_REPLICA_X		4
#define RMAI_REPLICA_WRITEBACK	5

/* enum rmai_dir_state */
#define RMAI_DIR_UNUSED		0
#define RMAI_DIR_SHARED		1
#define RMAI_DIR_EXCLUSIVE	2
#define RMAI_DIR_POISONED	3
#define RMAI_DIR_INVALIDATING	4
#define RMAI_DIR_RECALLING	5

/* What is asked of a directory entry */
#define NONE		0
#define GET_S		1
#define GET_X		2
#define GET_X_HAVE	3	/* GET_X, the node has the data */
#define PUT_S		4	/* write back and keep, as msync(2) wants it */
#define PUT_I		5	/* write back and drop: eviction, the last close */
#define WRITE		6	/* write(2) of a node, through to the home */
#define HOME_READ	7	/* faults of the home itself */
#define HOME_WRITE	8
#define RANGE		9	/* write(2) to both VMRs */
#define TRUNC		10	/* cut off: what a node has written of it is not wanted */

/* Where a request is */
#define SEND		1	/* with the node: to be sent (again) */
#define FLIGHT		2	/* on the way, or in the home's queue */
#define SERVING		3	/* its transaction is under way */
#define REPLY		4	/* answered: the answer is on the way or not yet looked at */

/* What a home tells a node */
#define INV		1
#define RECALL_S	2	/* write back, keep to read */
#define RECALL_I	3
#define BATCH		4	/* one of the INVs of a message for several VMRs */
#define BATCH_DONE	5

/* Replicas */
byte rst[NI];		/* replica state */
bit have[NI];		/* data is here */
bit val[NI];		/* which */
bit dirty[NI];
bit stop[NI];		/* X whose lease lapsed: no access until revalidated */
byte rseq[NI];		/* grant or downgrade under which data is held */
byte iseq[NI];		/* FETCH_*: highest INV or RECALL that came meanwhile */
byte rq[NI];		/* request */
byte rqw[NI];		/* where it is */
byte rqs[NI];		/* rseq when it was made */
byte gs[NI];		/* seq of the answer; 0: refused, the VMR is poisoned */
bit gg[NI];		/* the answer says that the node's data is good */
byte rd[NI];		/* RDMA READ: 1 posted, 2 executed */
bit rval[NI];		/* what it has read */
bit rvoid[NI];		/* its result is not to be used */
byte wb[NI];		/* WRITEBACK: 1 WRITE posted, 2 executed */
bit wtok[NI];		/* WRITE: the home has done it (it remembers by token) */
#ifdef BUG_WRITE_TWICE
bit wval[NI];
#endif
byte oinv[NI];		/* INV or RECALL got on a connection that has broken since, */
byte oseq[NI];		/* its seq; a slow worker is still to handle it */
byte orph[NI];		/* a request that nobody waits for any more, at the home */

/* Between home and node */
byte inv[NI];		/* INV or RECALL on the way or being handled */
bit ack[NI];		/* ACK on the way */

/* The directory */
byte dst[NV];		/* state */
byte set[NV];		/* sharers, or the owner */
bit ostale[NV];		/* the owner's epoch is not the one in the entry */
byte dseq[NV];		/* last seq given out */
byte gseq[NV];		/* grant of the owner */
byte tt[NV];		/* transaction: what */
byte tn[NV];		/* for whom (index i; RANGE: which thread) */
bit torph[NV];		/* ... who has given up */
bit tdead[NV];		/* ... whose connection has broken since */
byte tseq[NV];		/* seq of its INV or RECALL */
byte await[NV];		/* who is to acknowledge */
bit hval[NV];		/* content of the home's pages */
byte hmap[NV];		/* the home's own mappings: 1 readable, 2 writable */
bit lat[NV];		/* ghost: what was stored last */

/* Connections and leases */
bit down[NCONN];
bit lapsed[NLEASE];
#ifdef PAUSES
bit paused[NCONN];	/* its clock stands still, and so does it */
#endif

#ifdef RANGES
byte rt[RANGES];	/* threads with a range operation: 1 first VMR held, 2 both */
#ifdef RANGE_OPS
byte rops[RANGES];
#endif
#endif
#ifdef OPS
byte acc[NI];		/* access that its process waits for: 1 load, 2 store, 3 write(2), 4 msync */
byte ops[NI];		/* begun so far */
#endif
#ifdef HOME_OPS
byte hacc[NV];
byte hops[NV];
#endif
#ifdef BREAKS
byte breaks;
#endif
#ifdef CRASHES
byte crashes;
#endif
#ifdef ABANDONS
byte abandons;
#endif

#include "check.pml"

/* State changes, each checked against transitions.tab */
inline replica_to(i, to, ev)
{
	t_from = rst[i];
	t_to = to;
	t_ev = ev;
	c_code { t_ok = replica_step(); };
	assert(t_ok);	/* the table has it */
	rst[i] = to
}

inline dir_to(v, to, ev)
{
	t_from = dst[v];
	t_to = to;
	t_ev = ev;
	c_code { t_ok = dir_step(); };
	assert(t_ok);
	dst[v] = to
}

/* The data of i goes, and READs under way are not to bring it back */
inline drop_data(i)
{
	have[i] = 0;
	val[i] = 0;
	dirty[i] = 0;
	stop[i] = 0;
	rseq[i] = 0;
#ifndef BUG_NO_FETCH_INV
	rvoid[i] = (rd[i] != 0)
#endif
}

inline ask(i, what)
{
	rq[i] = what;
	rqw[i] = TO_SEND(i);
	rqs[i] = (what == GET_X_HAVE -> rseq[i] : 0);
	iseq[i] = 0
}

inline asked(i)
{
	rq[i] = NONE;
	rqw[i] = NONE;
	rqs[i] = 0;
	gs[i] = 0;
	gg[i] = 0;
	iseq[i] = 0;
	wtok[i] = 0
}

/*
 * The home's side
 */

/* Answer the transaction's request: seq s, 0 to refuse; g: your data is good */
inline answer(v, s, g)
{
	if
	:: tt[v] >= HOME_READ || tdead[v]
	:: else ->
		if
		:: torph[v] -> orph[tn[v]] = NONE
		:: else ->
			rqw[tn[v]] = REPLY;
			gs[tn[v]] = s;
			gg[tn[v]] = g
		fi
	fi
}

inline transaction_end(v)
{
	tt[v] = NONE;
	tn[v] = 0;
	torph[v] = 0;
	tdead[v] = 0;
	tseq[v] = 0;
	await[v] = 0
}

inline poison(v, ev)
{
	dir_to(v, RMAI_DIR_POISONED, ev);
	set[v] = 0;
	ostale[v] = 0;
	gseq[v] = 0;
	answer(v, 0, 0);
	if
	:: tt[v] == RANGE -> await[v] = 0; tseq[v] = 0
	:: else -> transaction_end(v)
	fi
}

/* Nobody is in the way any more: set[v] says who still has a replica */
inline finish(v, ev)
{
	if
	:: tdead[v] ->		/* dropped without a change */
		dir_to(v, (set[v] -> RMAI_DIR_SHARED : RMAI_DIR_UNUSED), ev)
	:: else ->
		if
		:: tt[v] == GET_S ->
#ifndef BUG_HOME_KEEPS_WRITABLE
			if
			:: hmap[v] == 2 -> hmap[v] = 1
			:: else
			fi;
#endif
#ifndef BUG_GRANT_UNRECORDED
			set[v] = set[v] | BIT(tn[v]);
#endif
			dseq[v] = dseq[v] + 1;
			dir_to(v, (set[v] -> RMAI_DIR_SHARED : RMAI_DIR_UNUSED), ev);
			answer(v, dseq[v], 0)
		:: tt[v] == GET_X || tt[v] == GET_X_HAVE ->
			hmap[v] = 0;
			dseq[v] = dseq[v] + 1;
			gseq[v] = dseq[v];
			answer(v, dseq[v], (tt[v] == GET_X_HAVE && (set[v] & BIT(tn[v])) != 0));
			set[v] = BIT(tn[v]);
			ostale[v] = 0;
			dir_to(v, RMAI_DIR_EXCLUSIVE, ev)
		:: tt[v] == WRITE ->
			dir_to(v, RMAI_DIR_UNUSED, ev);
			if
			:: torph[v] || !wtok[tn[v]] ->
				hval[v] = !lat[v];
				lat[v] = hval[v];
				if
				:: !torph[v] -> wtok[tn[v]] = 1
				:: else
				fi;
#ifdef BUG_WRITE_TWICE
				wval[tn[v]] = hval[v]
#endif
			:: else ->
#ifdef BUG_WRITE_TWICE
				hval[v] = wval[tn[v]]
#else
				assert(false)
#endif
			fi;
			answer(v, 1, 0)
		:: tt[v] == HOME_READ ->
			dir_to(v, (set[v] -> RMAI_DIR_SHARED : RMAI_DIR_UNUSED), ev);
			hmap[v] = (hmap[v] > 1 -> hmap[v] : 1)
		:: tt[v] == HOME_WRITE ->
			dir_to(v, RMAI_DIR_UNUSED, ev);
			hmap[v] = 2
		:: tt[v] == RANGE ->
			dir_to(v, RMAI_DIR_UNUSED, ev)
		:: tt[v] == TRUNC ->
			gseq[v] = 0;
			ostale[v] = 0;
			lat[v] = hval[v];
			dir_to(v, RMAI_DIR_UNUSED, ev)
		:: else ->		/* PUT_* */
			dir_to(v, (set[v] -> RMAI_DIR_SHARED : RMAI_DIR_UNUSED), ev);
			answer(v, 1, 0)
		fi
	fi;
	if
	:: tt[v] == RANGE	/* both are kept until both are done */
	:: else -> transaction_end(v)
	fi
}

/* Begin what tt[v] and tn[v] say */
inline serve(v, ev)
{
	if
	:: IS_REPEAT(v) ->
		answer(v, 1, 0);	/* a repeat: it has been done */
		transaction_end(v)
	:: else ->
		if
		:: dst[v] == RMAI_DIR_EXCLUSIVE && OWNER_REBOOTED(v) -> poison(v, EV_EPOCH)
		:: else ->
			if
			:: dst[v] == RMAI_DIR_POISONED ->
				answer(v, 0, 0);
				if
				:: tt[v] == RANGE
				:: else -> transaction_end(v)
				fi
			:: dst[v] == RMAI_DIR_EXCLUSIVE ->
				if
				:: (tt[v] == PUT_S || tt[v] == PUT_I) && set[v] != BIT(tn[v]) ->
#ifdef BUG_PUT_NUMBER
					dseq[v] = dseq[v] + 1;
					gseq[v] = dseq[v];
#endif
					answer(v, 1, 0);
					transaction_end(v)
				:: tt[v] == GET_X_HAVE && set[v] == BIT(tn[v]) && HAVE_IS_GOOD(v) ->
					/* The grant is what it was, and so is its number */
					dir_to(v, RMAI_DIR_EXCLUSIVE, ev);
					answer(v, gseq[v], 1);
					transaction_end(v)
				:: OWNER_ASKS(v) ->
					/* It has never had its grant: it asks once at a time */
					gseq[v] = 0;
					set[v] = 0;
					finish(v, ev)
				:: tt[v] == TRUNC ->
					dseq[v] = dseq[v] + 1;
					tseq[v] = dseq[v];
					await[v] = set[v];
					dir_to(v, RMAI_DIR_INVALIDATING, ev)
				:: else ->
					dseq[v] = dseq[v] + 1;
					tseq[v] = dseq[v];
					await[v] = set[v];
					dir_to(v, RMAI_DIR_RECALLING, ev)
				fi
			:: dst[v] == RMAI_DIR_SHARED && tt[v] != GET_S && tt[v] != HOME_READ &&
			   tt[v] != PUT_S && tt[v] != PUT_I ->
				await[v] = set[v];
				if
				:: tt[v] == GET_X || tt[v] == GET_X_HAVE ->
					await[v] = await[v] & ~BIT(tn[v])
				:: else
				fi;
				if
				:: await[v] == 0 -> finish(v, ev)
				:: else ->
					dseq[v] = dseq[v] + 1;
					tseq[v] = dseq[v];
					dir_to(v, RMAI_DIR_INVALIDATING, ev)
				fi
			:: else -> finish(v, ev)
			fi
		fi
	fi
}

/* Replica i is out of the way of its VMR's transaction */
inline acknowledged(i, ev)
{
	await[V(i)] = await[V(i)] & ~BIT(i);
	if
	:: dst[V(i)] == RMAI_DIR_RECALLING ->
		gseq[V(i)] = 0;
		ostale[V(i)] = 0;
		if
		:: RECALL_TYPE(V(i)) == RECALL_I -> set[V(i)] = 0
		:: else
		fi
	:: else -> set[V(i)] = set[V(i)] & ~BIT(i)
	fi;
	if
	:: await[V(i)] == 0 -> finish(V(i), ev)
	:: else -> dir_to(V(i), dst[V(i)], ev)
	fi
}

/* What the home does for node i */
active [NI] proctype Dir()
{
	/* A request is served; which one of those that are there, nobody says */
end:	do
	:: d_step { rqw[ME] == FLIGHT && tt[V(ME)] == NONE && !HOME_HOLDOFF(V(ME)) ->
		rqw[ME] = SERVING;
		tt[V(ME)] = rq[ME];
		tn[V(ME)] = ME;
		serve(V(ME), tt[V(ME)]);
		NORM }
#ifdef ABANDONS
	:: d_step { orph[ME] && tt[V(ME)] == NONE ->
		tt[V(ME)] = orph[ME];
		tn[V(ME)] = ME;
		torph[V(ME)] = 1;
		serve(V(ME), tt[V(ME)]);
		NORM }
#endif
	/* INV or RECALL is sent, again after a connection has broken */
	:: d_step { (await[V(ME)] & BIT(ME)) && !inv[ME] && !ack[ME] && !down[CONN(ME)] &&
		!OWNER_REBOOTED_I(ME) && INV_SLOT(ME) ->
		if
		:: dst[V(ME)] == RMAI_DIR_RECALLING -> inv[ME] = RECALL_TYPE(V(ME))
#ifdef RANGES
		:: tt[V(ME)] == RANGE ->
			/* one message for all that this node is to drop */
			inv[ME] = BATCH;
			if
			:: dst[1 - V(ME)] == RMAI_DIR_INVALIDATING && tt[1 - V(ME)] == RANGE &&
			   (await[1 - V(ME)] & BIT(ME)) && !inv[OTHER(ME)] && !ack[OTHER(ME)] ->
				inv[OTHER(ME)] = BATCH
			:: else
			fi
#endif
		:: else -> inv[ME] = INV
		fi }
	:: d_step { ack[ME] ->
		ack[ME] = 0;
		acknowledged(ME, EV_ACK);
		NORM }
#ifdef BUG_DROP_ACK_CHECK
	/* The first acknowledgement counts for all */
	:: d_step { ack[ME] && dst[V(ME)] == RMAI_DIR_INVALIDATING ->
		ack[ME] = 0;
		await[V(ME)] = 0;
		set[V(ME)] = (tt[V(ME)] <= GET_X_HAVE -> set[V(ME)] & BIT(tn[V(ME)]) : 0);
		finish(V(ME), EV_ACK);
		NORM }
#endif
	/* A silent node is waited out: it has let its lease lapse */
	:: d_step { (await[V(ME)] & BIT(ME)) && WAITED_OUT(ME) ->
		inv[ME] = 0;
		if
		:: dst[V(ME)] == RMAI_DIR_RECALLING -> LOSE_OWNER(ME)
		:: else -> acknowledged(ME, EV_LOST)
		fi;
		NORM }
	/* It is back, and is another incarnation */
	:: d_step { (await[V(ME)] & BIT(ME)) && OWNER_REBOOTED_I(ME) ->
		poison(V(ME), EV_EPOCH);
		NORM }
	od
}

#ifdef GIVEUPS
/*
 * Nobody waits for the acknowledgement of i, nor can it write any more. Who has
 * acknowledged stays in the set: it says again that it has nothing.
 */
inline give_up(i)
{
	if
	:: inv[i] && wb[i] == 0 -> oinv[i] = inv[i]; oseq[i] = tseq[V(i)]
	:: wb[i] -> wb[i] = 0; replica_to(i, RMAI_REPLICA_X, EV_BROKEN)
	:: else
	fi;
	if
	:: dst[V(i)] == RMAI_DIR_RECALLING -> set[V(i)] = set[V(i)] | (await[V(i)] & BIT(i))
	:: else
	fi;
	inv[i] = 0;
	ack[i] = 0
}
#endif

/* The home's own processes, and the administrator */
active [NV] proctype Home()
{
end:	do
	:: false
#ifdef HOME_OPS
	:: d_step { hacc[MV] == 0 && hops[MV] < HOME_OPS -> hops[MV]++; hacc[MV] = 1 }
	:: d_step { hacc[MV] == 0 && hops[MV] < HOME_OPS -> hops[MV]++; hacc[MV] = 2 }
	/* SIGBUS */
	:: d_step { hacc[MV] && dst[MV] == RMAI_DIR_POISONED && tt[MV] == NONE -> hacc[MV] = 0 }
	:: d_step { hacc[MV] == 1 && hmap[MV] -> hacc[MV] = 0 }
#endif
#ifdef HOME_CPU
	:: d_step { tt[MV] == NONE && hmap[MV] == 0 && HOME_WANTS(1) &&
		    dst[MV] != RMAI_DIR_POISONED ->
		tt[MV] = HOME_READ;
		serve(MV, HOME_READ);
		NORM }
	:: d_step { tt[MV] == NONE && hmap[MV] != 2 && HOME_WANTS(2) &&
		    dst[MV] != RMAI_DIR_POISONED ->
		tt[MV] = HOME_WRITE;
		serve(MV, HOME_WRITE);
		NORM }
	:: d_step { hmap[MV] == 2 && HOME_WANTS(2) ->
		hval[MV] = !lat[MV];
		lat[MV] = hval[MV];
		HOME_DONE }
	/* Its page tables are its own */
	:: d_step { hmap[MV] && !HOME_HOLDS -> hmap[MV] = 0 }
#endif
#ifdef TRUNCS
	:: d_step { tt[MV] == NONE && dst[MV] != RMAI_DIR_POISONED && dst[MV] != RMAI_DIR_UNUSED ->
		tt[MV] = TRUNC;
		serve(MV, TRUNC);
		NORM }
#endif
#ifdef GIVEUPS
	/* A fatal signal to who waits, a page that stays pinned: asked again, or not */
	:: d_step { (dst[MV] == RMAI_DIR_INVALIDATING || dst[MV] == RMAI_DIR_RECALLING) &&
		    tt[MV] != RANGE && !IS_FIRM(tt[MV]) ->
		give_up(MV * NR);
		give_up(MV * NR + 1);
		dir_to(MV, (gseq[MV] -> RMAI_DIR_EXCLUSIVE : RMAI_DIR_SHARED), EV_GIVE_UP);
		if
		:: tt[MV] < HOME_READ && !tdead[MV] && !torph[MV] ->
			rqw[tn[MV]] = TO_SEND(tn[MV])
		:: tt[MV] < HOME_READ && torph[MV] -> orph[tn[MV]] = NONE
		:: else
		fi;
		transaction_end(MV);
		NORM }
#endif
#ifdef RESET
	:: d_step { dst[MV] == RMAI_DIR_POISONED && tt[MV] == NONE ->
		dir_to(MV, RMAI_DIR_UNUSED, EV_RESET);
		lat[MV] = hval[MV] }
#endif
	od
}

#ifdef RANGES
/* Operations of the home on both VMRs, by several threads */
active [RANGES] proctype Range()
{
end:	do
	:: d_step { RT == 0 && RANGE_WANTED && tt[FIRST] == NONE && dst[FIRST] != RMAI_DIR_POISONED ->
		tt[FIRST] = RANGE;
		tn[FIRST] = MR;
		RT = 1 }
	:: d_step { RT == 1 && tt[1 - FIRST] == NONE ->
		tt[1 - FIRST] = RANGE;
		tn[1 - FIRST] = MR;
		RT = 2;
		/* An owner that was lost ends it (EIO) as soon as the others are done */
		serve(0, RANGE);
		serve(1, RANGE);
		NORM }
	:: d_step { RT == 2 && await[0] == 0 && await[1] == 0 ->
		if
		:: dst[0] != RMAI_DIR_POISONED -> hval[0] = !lat[0]; lat[0] = hval[0]
		:: else
		fi;
		if
		:: dst[1] != RMAI_DIR_POISONED -> hval[1] = !lat[1]; lat[1] = hval[1]
		:: else
		fi;
		RT = 0;
		RANGE_DONE;
		transaction_end(0);
		transaction_end(1);
		NORM }
	od
}
#endif

#include "replica.pml"
#include "faults.pml"
