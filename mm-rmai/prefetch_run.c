// SPDX-License-Identifier: GPL-2.0
/*
 * Runs of VMRs, and the pace at which they come. Pure logic; the caller has a lock.
 *
 * A run is known by three touches that are the same distance apart, or is told of with the
 * first, or begins where one of some length began. What is mapped already is touched
 * without notice, so a run may leave out a few.
 */
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/time64.h>

#include "prefetch.h"

#define RMAI_RUN_GAP	4	/* steps of a run that may be left out, or come late */
#define RMAI_RUN_AGE	64	/* touches after which a run has ended */
#define RMAI_RUN_BEHIND	16	/* touches after which nobody comes behind it any more */
#define RMAI_RUN_TOLD	3	/* steps that a run is worth that is told of, or comes again */
#define RMAI_RUN_AGAIN	8	/* steps of a run that is known again by its beginning */
#define RMAI_RUN_SHARE	4	/* of a run that has to be sure, this part again */

/**
 * rmai_plan_add() - one more VMR, unless it is in the plan already
 * @plan: plan
 * @vmr: index
 * @by: why
 *
 * Return: whether there is room for more.
 */
bool rmai_plan_add(struct rmai_plan *plan, u32 vmr, enum rmai_foresight by)
{
	unsigned int i;

	for (i = 0; i < plan->nr; i++)
		if (plan->v[i].vmr == vmr)
			return true;
	if (plan->nr < plan->ahead) {
		plan->v[plan->nr].vmr = vmr;
		plan->v[plan->nr++].by = by;
	}
	return plan->nr < plan->ahead;
}

/**
 * rmai_plan_next() - what comes next on a way: it is here, coming, or to be planned
 * @plan: plan
 * @vmr: index
 * @by: why
 * @ahead: how many more are to be fetched; one less unless it is here
 *
 * Return: whether there is room for more.
 */
bool rmai_plan_next(struct rmai_plan *plan, u32 vmr, enum rmai_foresight by,
		    unsigned int *ahead)
{
	enum rmai_presence presence = plan->presence(plan, vmr);

	if (presence != RMAI_HERE)
		--*ahead;
	return presence != RMAI_MISSING || rmai_plan_add(plan, vmr, by);
}

/* How many steps on is @vmr? Negative: behind; 0: it is not on the way */
static s64 rmai_run_steps(const struct rmai_run *run, u32 vmr)
{
	s64 d = (s64)vmr - run->last, steps;

	if (!run->stride)
		return 0;
	steps = div_s64(d, run->stride);
	return steps * run->stride == d ? steps : 0;
}

/**
 * rmai_runs_touch() - a VMR was touched
 * @runs: runs
 * @vmr: index
 * @told: the next ones are to follow in order, it is said; that is believed until
 *	nothing that was foretold is used
 *
 * Return: steps in a row of the run that it is part of, none left out.
 */
u32 rmai_runs_touch(struct rmai_runs *runs, u32 vmr, bool told)
{
	struct rmai_run *run, *near = NULL, *again = NULL, *oldest = &runs->run[0];
	unsigned int i;
	bool ended;
	s64 steps;

	runs->clock++;
	for (i = 0; i < RMAI_RUNS; i++) {
		run = &runs->run[i];
		if (!run->used || run->used < oldest->used) {
			oldest = run;
			if (!run->used)
				continue;
		}
		/* What comes then is another run over the same VMRs */
		ended = run->steps > 1 && runs->clock - run->used > RMAI_RUN_BEHIND;
		if (run->last == vmr && !ended)
			return run->exact;
		steps = run->steps ? rmai_run_steps(run, vmr) : 0;
		if (steps >= 1 && steps <= RMAI_RUN_GAP) {
			run->last = vmr;
			run->exact = steps == 1 ? run->exact + 1 : 0;
			if (++run->steps > 1)
				runs->doubt = false;
			run->used = runs->clock;
			return run->exact;
		}
		if (run->steps >= RMAI_RUN_AGAIN && run->first == vmr)
			again = run;
		/* A thread that comes behind */
		if (run->steps > 1 && !ended && steps < 0 && steps >= -RMAI_RUN_GAP)
			return 0;
		if (run->steps < 2 && abs((s64)vmr - run->last) <= RMAI_STRIDE_MAX &&
		    (!near || run->used > near->used))
			near = run;
	}
	run = near ?: oldest;
	run->first = vmr;
	if (told && !runs->doubt) {
		run->stride = 1;
		run->steps = RMAI_RUN_TOLD;
	} else if (again) {
		run->stride = again->stride;
		run->steps = RMAI_RUN_TOLD;
	} else if (near) {
		run->first = near->last;
		run->stride = (s64)vmr - near->last;
		run->steps = 1;
	} else {
		run->stride = 0;
		run->steps = 0;
	}
	run->exact = near ? 1 : 0;
	run->last = vmr;
	run->used = runs->clock;
	return run->exact;
}

/**
 * rmai_runs_doubt() - nothing that was foretold is used
 * @runs: runs; each has to go on before it is believed again
 */
void rmai_runs_doubt(struct rmai_runs *runs)
{
	unsigned int i;

	runs->doubt = true;
	for (i = 0; i < RMAI_RUNS; i++)
		runs->run[i].steps = min(runs->run[i].steps, 1);
}

static void rmai_run_plan(const struct rmai_run *run, struct rmai_plan *plan)
{
	/* Twice as far as it has been right; or far less, when it has been so for long */
	u32 steps = plan->sure ? run->exact / RMAI_RUN_SHARE : 2 * (run->steps - 1);
	unsigned int ahead = min(plan->ahead, steps);
	unsigned int looks = ahead + RMAI_PLAN_MAX;
	s64 vmr = run->last;

	if (run->exact < plan->sure)
		return;
	while (ahead && looks--) {
		vmr += run->stride;
		if (vmr < 0 || vmr >= plan->vmrs)
			break;
		if (!rmai_plan_next(plan, vmr, RMAI_BY_SEQ, &ahead))
			break;
	}
}

/**
 * rmai_runs_plan() - what comes next
 * @runs: runs
 * @plan: gets it; what went on last comes first
 */
void rmai_runs_plan(const struct rmai_runs *runs, struct rmai_plan *plan)
{
	u32 before = U32_MAX;

	for (;;) {
		const struct rmai_run *run = NULL;
		unsigned int i;

		for (i = 0; i < RMAI_RUNS; i++) {
			const struct rmai_run *r = &runs->run[i];

			if (r->used && r->used < before && (!run || r->used > run->used))
				run = r;
		}
		if (!run || runs->clock - run->used > RMAI_RUN_AGE)
			return;
		before = run->used;
		if (run->steps > 1)
			rmai_run_plan(run, plan);
	}
}

/**
 * rmai_pace_begin() - a transfer begins
 * @pace: pace
 * @now: ns
 */
void rmai_pace_begin(struct rmai_pace *pace, u64 now)
{
	if (!pace->in_flight++) {
		pace->since = now;
		pace->bytes = 0;
	}
}

/**
 * rmai_pace_end() - a transfer has ended
 * @pace: pace
 * @now: ns
 * @took: ns
 * @bytes: that it brought; 0: it failed
 *
 * The least time and the highest rate are forgotten slowly, for both change.
 */
void rmai_pace_end(struct rmai_pace *pace, u64 now, u64 took, u64 bytes)
{
	u64 rate, busy = now - pace->since;

	pace->in_flight--;
	if (!bytes)
		return;
	pace->bytes += bytes;
	took = max(took, 1);
	pace->least_ns = pace->least_ns ? min(took, pace->least_ns + pace->least_ns / 16 + 1) :
					  took;
	if (busy < pace->least_ns)
		return;
	rate = mul_u64_u64_div_u64(pace->bytes, NSEC_PER_SEC, busy);
	pace->bytes_per_s = max(rate, pace->bytes_per_s - pace->bytes_per_s / 16);
	if (busy > 8 * pace->least_ns) {
		pace->since = now;
		pace->bytes = 0;
	}
}

/**
 * rmai_pace_depth() - how many transfers keep the way to the homes full
 * @pace: pace
 * @vmr_size: bytes of one
 *
 * Bandwidth times latency, twice, for a bandwidth that was measured with too few
 * transfers is too low; one that has come, and nobody has seen to yet; and one that
 * begins.
 *
 * Return: 2 to RMAI_PLAN_MAX.
 */
unsigned int rmai_pace_depth(const struct rmai_pace *pace, u64 vmr_size)
{
	u64 bytes = mul_u64_u64_div_u64(pace->bytes_per_s, pace->least_ns, NSEC_PER_SEC);

	return min_t(u64, div64_u64(2 * bytes, vmr_size) + 2, RMAI_PLAN_MAX);
}
