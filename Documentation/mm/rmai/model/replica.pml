/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The replica's side. Included by rmai.pml.
 */

#ifdef BUG_NO_STALE_CHECK
#define STALE(i, s)	false
#else
#define STALE(i, s)	(have_seq(i) && (s) <= rseq[i])
#endif
#define have_seq(i)	(rst[i] == RMAI_REPLICA_S || rst[i] == RMAI_REPLICA_X || \
			 (rst[i] == RMAI_REPLICA_FETCH_X && have[i]))
#ifdef BUG_RECALL_ANY
#define IS_CURRENT(i)	true
#else
#define IS_CURRENT(i)	(rseq[i] == gseq[V(i)])
#endif
#ifdef BUG_HAVE_FLAG
#define STILL_OURS(i)	(gg[i])
#else
#define STILL_OURS(i)	(gg[i] && gs[i] == rseq[i])
#endif
#define EV_OF(what)	((what) == RECALL_S -> EV_RECALL_S : ((what) == RECALL_I -> \
			 EV_RECALL_I : EV_INV))
#define USABLE(i)	(have[i] && !stop[i])
#define AT_REST(i)	(rq[i] == NONE && rd[i] == 0)

/*
 * An INV or RECALL (what) with seq s. old: on a connection that has broken since, so
 * that the answer and any WRITE go nowhere. Sets t_ack if it is done with.
 */
inline told(i, what, s, old)
{
	t_ack = 1;
	if
	:: STALE(i, s) ->
		replica_to(i, rst[i], EV_OF(what))
	:: !STALE(i, s) && rst[i] == RMAI_REPLICA_I ->
		replica_to(i, RMAI_REPLICA_I, EV_OF(what))
	:: !STALE(i, s) && rst[i] == RMAI_REPLICA_S ->
		if
		:: what == RECALL_S ->		/* an upgrade whose grant was lost */
			rseq[i] = s;
			replica_to(i, RMAI_REPLICA_S, EV_RECALL_S)
		:: else ->
			drop_data(i);
			replica_to(i, RMAI_REPLICA_I, EV_OF(what))
		fi
	:: !STALE(i, s) && (rst[i] == RMAI_REPLICA_FETCH_S || rst[i] == RMAI_REPLICA_FETCH_X) ->
		drop_data(i);
#ifndef BUG_IGNORE_SEQ
		iseq[i] = (s > iseq[i] -> s : iseq[i]);
#endif
		replica_to(i, rst[i], EV_OF(what))
	:: !STALE(i, s) && rst[i] == RMAI_REPLICA_X ->
#ifndef SEEDED
		/* No INV for an owner, unless all is cut off */
		assert((what != INV && what != BATCH) || tt[V(i)] == TRUNC || (old));
#endif
		if
		:: what == INV || what == BATCH ->
			drop_data(i);
			replica_to(i, RMAI_REPLICA_I, EV_INV)
#ifndef BUG_RECALL_ANY
		:: !(old) && what != INV && what != BATCH && rseq[i] != gseq[V(i)] ->
			/* not under the grant that is recalled: lost, long ago */
			drop_data(i);
			replica_to(i, RMAI_REPLICA_I, EV_NACK)
#endif
		:: !(old) && what != INV && what != BATCH && IS_CURRENT(i) && dirty[i] ->
			wb[i] = 1;
			t_ack = 0;
			replica_to(i, RMAI_REPLICA_WRITEBACK, EV_OF(what))
		:: (old) && what != INV && dirty[i]	/* its WRITE fails */
		:: ((old) || IS_CURRENT(i)) && what != INV && what != BATCH && !dirty[i] ->
			if
			:: what == RECALL_S ->
				rseq[i] = s;
				replica_to(i, RMAI_REPLICA_S, EV_RECALL_S)
			:: else ->
				drop_data(i);
				replica_to(i, RMAI_REPLICA_I, EV_RECALL_I)
			fi
		fi
	fi
}

active [NI] proctype Replica() provided (!STANDS(MI))
{
end:	do
#ifdef OPS
	:: d_step { acc[MI] == 0 && ops[MI] < OPS && MAY_LOAD(MI) -> ops[MI]++; acc[MI] = 1 }
	:: d_step { acc[MI] == 0 && ops[MI] < OPS && MAY_STORE(MI) -> ops[MI]++; acc[MI] = 2 }
#ifdef WRITES
	:: d_step { acc[MI] == 0 && ops[MI] < OPS -> ops[MI]++; acc[MI] = 3 }
#endif
#ifdef PUTS
	:: d_step { acc[MI] == 0 && ops[MI] < OPS && rst[MI] == RMAI_REPLICA_X && dirty[MI] ->
		ops[MI]++; acc[MI] = 4 }
	:: d_step { acc[MI] == 4 && rq[MI] == NONE && !dirty[MI] -> acc[MI] = 0 }
#endif
	:: d_step { acc[MI] == 1 && USABLE(MI) && (rst[MI] == RMAI_REPLICA_S ||
		    rst[MI] == RMAI_REPLICA_X) -> acc[MI] = 0 }
#endif
	/* Faults */
	:: d_step { rst[MI] == RMAI_REPLICA_I && AT_REST(MI) && !down[CONN(MI)] && WANTS(MI, 1) ->
		ask(MI, GET_S);
		replica_to(MI, RMAI_REPLICA_FETCH_S, EV_LOAD);
		NORM }
	:: d_step { rst[MI] == RMAI_REPLICA_I && AT_REST(MI) && !down[CONN(MI)] && WANTS(MI, 2) ->
		ask(MI, GET_X);
		replica_to(MI, RMAI_REPLICA_FETCH_X, EV_STORE);
		NORM }
	:: d_step { rst[MI] == RMAI_REPLICA_S && AT_REST(MI) && !down[CONN(MI)] && WANTS(MI, 2) ->
		if
		:: have[MI] -> ask(MI, GET_X_HAVE)
		:: else -> drop_data(MI); ask(MI, GET_X)
		fi;
		replica_to(MI, RMAI_REPLICA_FETCH_X, EV_STORE);
		NORM }
	/* A page that reclaim has taken: READ again, the home knows us */
	:: d_step { (rst[MI] == RMAI_REPLICA_S || rst[MI] == RMAI_REPLICA_X) && !have[MI] &&
		    !stop[MI] && rd[MI] == 0 && (WANTS(MI, 1) || WANTS(MI, 2)) -> rd[MI] = 1 }
	/* X whose lease lapsed: is it still ours? The state stays X, for a RECALL to find */
	:: d_step { rst[MI] == RMAI_REPLICA_X && stop[MI] && AT_REST(MI) && !down[CONN(MI)] &&
		    (WANTS(MI, 1) || WANTS(MI, 2)) ->
		ask(MI, GET_X_HAVE);
		NORM }
	:: d_step { rst[MI] == RMAI_REPLICA_X && USABLE(MI) && WANTS(MI, 2) ->
		val[MI] = !lat[V(MI)];
		lat[V(MI)] = val[MI];
		dirty[MI] = 1;
		DONE(MI) }
#ifdef EVICT
	/* Or, when it does not know all of it: as if it had nothing */
	:: d_step { rst[MI] == RMAI_REPLICA_S && AT_REST(MI) && !down[CONN(MI)] && !have[MI] ->
		drop_data(MI);
		ask(MI, GET_S);
		replica_to(MI, RMAI_REPLICA_FETCH_S, EV_LOAD);
		NORM }
	/* Reclaim takes clean pages, or all of a VMR, and tells nobody */
	:: d_step { (rst[MI] == RMAI_REPLICA_S || rst[MI] == RMAI_REPLICA_X) && have[MI] &&
		    !dirty[MI] && rd[MI] == 0 -> have[MI] = 0; val[MI] = 0 }
	:: d_step { (rst[MI] == RMAI_REPLICA_S || rst[MI] == RMAI_REPLICA_X) && AT_REST(MI) &&
		    !dirty[MI] ->
		drop_data(MI);
		replica_to(MI, RMAI_REPLICA_I, EV_EVICT);
		NORM }
#endif
#ifdef PUTS
	/* msync(2), fsync(2); eviction of dirty data, exit */
	:: d_step { rst[MI] == RMAI_REPLICA_X && dirty[MI] && !stop[MI] && rq[MI] == NONE &&
		    !down[CONN(MI)] && WANTS(MI, 4) -> ask(MI, PUT_S) }
	:: d_step { rst[MI] == RMAI_REPLICA_X && dirty[MI] && !stop[MI] && rq[MI] == NONE &&
		    !down[CONN(MI)] && WANTS(MI, 4) -> ask(MI, PUT_I) }
#endif
#ifdef WRITES
	/* write(2) */
	:: d_step { (rst[MI] == RMAI_REPLICA_I || rst[MI] == RMAI_REPLICA_S ||
		     rst[MI] == RMAI_REPLICA_X) && AT_REST(MI) && !down[CONN(MI)] && WANTS(MI, 3) ->
		ask(MI, WRITE) }
#endif
	/* Requests go out, and again when their connection has broken */
	:: d_step { rqw[MI] == SEND && !down[CONN(MI)] && REQ_SLOT(MI) -> rqw[MI] = FLIGHT }
#ifdef ABANDONS
	/* A fatal signal, or the deadline; the request goes its way */
	:: d_step { rq[MI] != NONE && rq[MI] <= GET_X_HAVE && orph[MI] == NONE &&
		    rqw[MI] != SEND && (ABANDONS == 0 || abandons < ABANDONS) ->
		if
		:: ABANDONS == 0
		:: else -> abandons++
		fi;
		if
		:: rqw[MI] == FLIGHT -> orph[MI] = rq[MI]
		:: rqw[MI] == SERVING -> orph[MI] = rq[MI]; torph[V(MI)] = 1
		:: rqw[MI] == REPLY
		fi;
		asked(MI);
		if
		:: rst[MI] == RMAI_REPLICA_FETCH_X && have[MI] ->
			replica_to(MI, RMAI_REPLICA_S, EV_ABANDON)
		:: rst[MI] == RMAI_REPLICA_FETCH_S || (rst[MI] == RMAI_REPLICA_FETCH_X && !have[MI]) ->
			drop_data(MI);
			replica_to(MI, RMAI_REPLICA_I, EV_ABANDON)
		:: else
		fi;
		DONE(MI);
		NORM }
#endif
	/* Answers. A READ that was made void has its folios locked until it ends */
	:: d_step { rqw[MI] == REPLY && rd[MI] == 0 && rq[MI] <= GET_X_HAVE ->
		if
		:: gs[MI] == 0 ->		/* SIGBUS */
			drop_data(MI);
			asked(MI);
			replica_to(MI, RMAI_REPLICA_I, EV_NACK);
			DONE(MI)
		:: gs[MI] && gs[MI] <= iseq[MI] ->	/* void */
			replica_to(MI, rst[MI], EV_GRANT);
			rqw[MI] = TO_SEND(MI);
			gs[MI] = 0;
			gg[MI] = 0;
			iseq[MI] = 0
		:: gs[MI] > iseq[MI] && rst[MI] == RMAI_REPLICA_FETCH_S ->
			replica_to(MI, RMAI_REPLICA_S, EV_GRANT);
			rseq[MI] = gs[MI];
			rd[MI] = 1;
			asked(MI)
		:: gs[MI] > iseq[MI] && rst[MI] == RMAI_REPLICA_FETCH_X ->
			rseq[MI] = gs[MI];
			replica_to(MI, RMAI_REPLICA_X, EV_GRANT);
			if
			:: have[MI] && gg[MI]
			:: else ->
				have[MI] = 0;
				val[MI] = 0;
				rd[MI] = 1
			fi;
			asked(MI)
		:: gs[MI] > iseq[MI] && rst[MI] == RMAI_REPLICA_X ->
			if
			:: STILL_OURS(MI) ->
				stop[MI] = 0;
				replica_to(MI, RMAI_REPLICA_X, EV_GRANT)
			:: else ->		/* another has had it: data is lost, SIGBUS */
				drop_data(MI);
				replica_to(MI, RMAI_REPLICA_I, EV_NACK);
				DONE(MI)
			fi;
			asked(MI)
		:: gs[MI] > iseq[MI] && (rst[MI] == RMAI_REPLICA_I || rst[MI] == RMAI_REPLICA_S ||
		   rst[MI] == RMAI_REPLICA_WRITEBACK) ->
			asked(MI)		/* X was stopped, and recalled meanwhile */
		fi;
		NORM }
	:: d_step { rqw[MI] == REPLY && rq[MI] > GET_X_HAVE -> asked(MI); DONE(MI) }
	/* RDMA READ: has no ordering with anything but its own end */
	:: d_step { rd[MI] == 1 && !down[CONN(MI)] -> rd[MI] = 2; rval[MI] = hval[V(MI)] }
	:: d_step { rd[MI] == 2 ->
		rd[MI] = 0;
		if
		:: rvoid[MI] -> rvoid[MI] = 0
		:: else ->
#ifdef BUG_NO_FETCH_INV
			rseq[MI] = (rst[MI] == RMAI_REPLICA_I -> 0 : rseq[MI]);
#endif
			have[MI] = 1;
			val[MI] = rval[MI]
		fi;
		rval[MI] = 0;
		NORM }
	/* INV and RECALL; then the ACK */
	:: d_step { inv[MI] && inv[MI] != BATCH_DONE && wb[MI] == 0 && WORKER(MI) && !HELD(MI) ->
		told(MI, inv[MI], tseq[V(MI)], false);
		if
		:: t_ack && inv[MI] == BATCH ->
			inv[MI] = BATCH_DONE;
#ifndef BUG_BATCH_ACK
			if
			:: inv[OTHER(MI)] == BATCH
			:: else ->
#endif
				if
				:: inv[OTHER(MI)] == BATCH || inv[OTHER(MI)] == BATCH_DONE ->
					inv[OTHER(MI)] = 0; ack[OTHER(MI)] = 1
				:: else
				fi;
				inv[MI] = 0;
				ack[MI] = 1
#ifndef BUG_BATCH_ACK
			fi
#endif
		:: t_ack && inv[MI] != BATCH -> inv[MI] = 0; ack[MI] = 1
		:: else
		fi;
		NORM }
	:: d_step { oinv[MI] && wb[MI] == 0 ->
		told(MI, oinv[MI], oseq[MI], true);
		oinv[MI] = 0;
		oseq[MI] = 0;
		NORM }
	/* RDMA WRITE */
	:: d_step { wb[MI] == 1 -> wb[MI] = 2; hval[V(MI)] = val[MI] }
	:: d_step { wb[MI] == 2 ->
		wb[MI] = 0;
		dirty[MI] = 0;
		stop[MI] = 0;
		if
		:: inv[MI] == RECALL_S ->
			rseq[MI] = tseq[V(MI)];
			replica_to(MI, RMAI_REPLICA_S, EV_WRITTEN)
		:: else ->
			drop_data(MI);
			replica_to(MI, RMAI_REPLICA_I, EV_WRITTEN)
		fi;
		inv[MI] = 0;
		ack[MI] = 1;
		NORM }
#ifdef BUG_WB_UNCONFIRMED
	/* Gives its copy up when the WRITE is posted, as if that were its end */
	:: d_step { wb[MI] == 1 ->
		wb[MI] = 3;
		rval[MI] = val[MI];
		drop_data(MI);
		replica_to(MI, RMAI_REPLICA_I, EV_WRITTEN);
		NORM }
	:: d_step { wb[MI] == 3 -> wb[MI] = 0; hval[V(MI)] = rval[MI]; inv[MI] = 0; ack[MI] = 1 }
#endif
	od
}
