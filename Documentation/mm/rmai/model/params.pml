/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What -D options make of the model: see run.sh for the configurations.
 *
 *   NR		nodes beside the home
 *   NV		VMRs
 *   MUTUAL	two homes: node a keeps VMR 0, node b VMR 1; a, b and c use both
 *   OPS=n	each node accesses each VMR n times, then rests; without it, for ever
 *   HOME_CPU	the home itself loads and stores; HOME_OPS=n: n times
 *   RANGES=n	threads of the home that store to both VMRs in one operation; RANGE_OPS=n:
 *		n times
 *   EVICT, PUTS, WRITES, TRUNCS, RESET	what their names say
 *   ABANDONS=n	nodes give up requests that the home may still serve; 0: any number. (The
 *		kernel does not; a home then recalls from whom it would believe otherwise.)
 *   GIVEUPS	homes give up transactions
 *   BREAKS=n	connections break n times; without it never, BREAKS=0: any number
 *   CRASHES=n	nodes crash and reboot, likewise
 *   PAUSES	nodes stand still while their homes wait them out. They go on when they are
 *		connected again: what they load before that may be old (memory-model.rst)
 *   HOLDOFF	a granted VMR stays until the access that asked for it is done
 *   SEEDED	a bug was put in: only look for what it does in the end
 */
#ifndef NR
#define NR 2
#endif
#ifndef NV
#define NV 1
#endif
#define NI (NV * NR)

#ifdef MUTUAL
/*
 * i		0	1	2	3
 * home		a	a	b	b
 * node		b	c	a	c	a and b share one connection
 */
#define CONN(i)		((i) % NR == 0 -> 0 : 1 + (i) / NR)
#define NCONN		3
#define LEASE(i)	(i)
#define NLEASE		4
#else
#define CONN(i)		((i) % NR)
#define NCONN		NR
#define LEASE(i)	((i) % NR)
#define NLEASE		NR
#endif
#define OTHER(i)	(((i) + NR) % NI)	/* the same node, the other VMR */

/* Processes of each kind know who they are by their number */
#define ME		(_pid)			/* Dir: index */
#define MV		(_pid - NI)		/* Home: VMR */
#define MR		(_pid - NI - NV)	/* Range: thread */
#ifdef RANGES
#define RBASE		(NI + NV + RANGES)
#else
#define RBASE		(NI + NV)
#endif
#define MI		(_pid - RBASE)		/* Replica: index */
#define MC		(_pid - RBASE - NI)	/* Link: connection */

#define NORM		c_code { norm(); }
#define OWNER(v)	((v) * NR + set[v] / 2)
#define RECALL_TYPE(v)	(tt[v] == GET_S || tt[v] == HOME_READ || tt[v] == PUT_S -> \
			 RECALL_S : RECALL_I)

/* An entry names its owner by node and epoch */
#ifdef BUG_EPOCH
#define OWNER_REBOOTED(v)	false
#define OWNER_REBOOTED_I(i)	false
#else
#define OWNER_REBOOTED(v)	(ostale[v] && !down[CONN(OWNER(v))])
#define OWNER_REBOOTED_I(i)	(dst[V(i)] == RMAI_DIR_RECALLING && ostale[V(i)] && !down[CONN(i)])
#endif

#ifdef BUG_HAVE_FLAG
#define HAVE_IS_GOOD(v)		(!torph[v])
#else
#define HAVE_IS_GOOD(v)		(!torph[v] && rqs[tn[v]] == gseq[v])
#endif

/* Once an owner may have dropped what it wrote there is no way back */
#ifdef BUG_TRUNC_GIVEN_UP
#define IS_FIRM(t)		false
#else
#define IS_FIRM(t)		((t) == TRUNC)
#endif

/* GET_* of the owner: believed, unless such a request may be older than its grant */
#if defined(ABANDONS) && !defined(BUG_TRUST_OWNER)
#define OWNER_ASKS(v)		false
#else
#define OWNER_ASKS(v)		(tt[v] <= GET_X_HAVE && set[v] == BIT(tn[v]))
#endif

/* A WRITE that was done, and whose answer was lost: the home knows its token */
#ifdef BUG_WRITE_TWICE
#define IS_REPEAT(v)		false
#else
#define IS_REPEAT(v)		(tt[v] == WRITE && !torph[v] && wtok[tn[v]])
#endif

#ifdef BUG_NO_LEASE_WAIT
#define WAITED_OUT(i)		(down[CONN(i)])
#else
#define WAITED_OUT(i)		(down[CONN(i)] && lapsed[LEASE(i)])
#endif

#ifdef PAUSES
#define STANDS(i)		(paused[CONN(i)])
#else
#define STANDS(i)		false
#endif

#ifdef BUG_NOT_POISONED
#define LOSE_OWNER(i)		acknowledged(i, EV_ACK)
#else
#define LOSE_OWNER(i)		poison(V(i), EV_LOST)
#endif

/* One slot on a connection, for requests and INVs alike */
#ifdef BUG_SHARED_SLOTS
#define BUSY(i)			(rqw[i] != NONE && rqw[i] != SEND)
#define INV_SLOT(i)		(CONN(i) != 0 || !BUSY(2 - (i)))
#define REQ_SLOT(i)		(CONN(i) != 0 || (!inv[2 - (i)] && !ack[2 - (i)]))
#else
#define INV_SLOT(i)		true
#define REQ_SLOT(i)		true
#endif
/* That a request is sent later than it could be makes no difference but for slots */
#ifdef MUTUAL
#define TO_SEND(i)		SEND
#else
#define TO_SEND(i)		(down[CONN(i)] -> SEND : FLIGHT)
#endif

/* INVs wait for the worker that waits for one: node b is i = 0 and keeps VMR 1 */
#ifdef BUG_ONE_WORKQUEUE
#define WORKER(i)		(CONN(i) != 0 || tt[1 - V(i)] == NONE)
#else
#define WORKER(i)		true
#endif

/* With two VMRs not every node does everything, or there would be too many states */
#ifdef MUTUAL		/* a and b load, then store; c stores once */
#define MAY_LOAD(i)		(CONN(i) == 0 && ops[i] == 0)
#define MAY_STORE(i)		(ops[i] == (CONN(i) == 0 -> 1 : 0))
#elif NV == 2		/* the first node stores to VMR 0, all others load */
#define MAY_LOAD(i)		((i) != 0)
#define MAY_STORE(i)		((i) == 0)
#else
#define MAY_LOAD(i)		true
#define MAY_STORE(i)		true
#endif

#ifdef OPS
#define WANTS(i, k)		(acc[i] == (k))
#define DONE(i)			acc[i] = 0
#else
#define WANTS(i, k)		true
#define DONE(i)			skip
#endif

#ifdef HOME_OPS
#define HOME_WANTS(k)		(hacc[MV] == (k))
#define HOME_DONE		hacc[MV] = 0
#define HOME_HOLDS		(hacc[MV])
#else
#define HOME_WANTS(k)		true
#define HOME_DONE		skip
#define HOME_HOLDS		false
#endif

/*
 * HOLDOFF: INV and RECALL wait for a GRANT that is here but was not looked at, for the
 * READs that follow it, and for the first access. They never wait before the grant.
 */
#if defined(HOLDOFF) && !defined(BUG_NO_HOLDOFF)
#define HELD(i)	((rqw[i] == REPLY && gs[i] && rq[i] <= GET_X_HAVE) || \
	(acc[i] == 1 && !stop[i] && (rst[i] == RMAI_REPLICA_S || rst[i] == RMAI_REPLICA_X)) || \
	(acc[i] == 2 && !stop[i] && rst[i] == RMAI_REPLICA_X))
#else
#define HELD(i)			false
#endif
#if defined(HOLDOFF) && defined(HOME_OPS)
#define HOME_HOLDOFF(v)		(hacc[v] && hmap[v] >= hacc[v])
#else
#define HOME_HOLDOFF(v)		false
#endif

#define RT			rt[MR]
#ifdef RANGE_OPS
#define RANGE_WANTED		(rops[MR] < RANGE_OPS)
#define RANGE_DONE		rops[MR]++
#else
#define RANGE_WANTED		true
#define RANGE_DONE		skip
#endif
#ifdef BUG_RANGE_ORDER
#define FIRST			(MR % 2)
#else
#define FIRST			0
#endif

/* Events, for transitions.tab; requests are events of the home as well */
#define EV_ACK		11
#define EV_LOST		12
#define EV_EPOCH	13
#define EV_RESET	27
#define EV_GIVE_UP	28
#define EV_LOAD		14
#define EV_STORE	15
#define EV_GRANT	16
#define EV_NACK		17
#define EV_INV		19
#define EV_RECALL_S	20
#define EV_RECALL_I	21
#define EV_WRITTEN	22
#define EV_BROKEN	23
#define EV_LAPSE	24
#define EV_EVICT	25
#define EV_ABANDON	26
