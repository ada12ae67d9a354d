/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a litmus test's thread touches memory: as a program would, or, for the proof
 * that the tests can fail (LITMUS_BROKEN), as memory would look that is not coherent.
 * Inside a thread, @r is its struct round.
 */
#ifndef _COHERENCE_LITMUS_ACCESS_H
#define _COHERENCE_LITMUS_ACCESS_H

#ifndef LITMUS_BROKEN

#define ST(p, v)	__atomic_store_n(p, r->base + (v), __ATOMIC_RELEASE)
#define LD(n, p)	(r->reg[n] = __atomic_load_n(p, __ATOMIC_ACQUIRE))
#define XCHG(p, v)	((void)__atomic_exchange_n(p, r->base + (v), __ATOMIC_SEQ_CST))
#define FENCE()		__atomic_thread_fence(__ATOMIC_SEQ_CST)

#else

/* A thread only notes what it wants; broken_run() does it, and does it wrong */
void broken_store(uint64_t *p, uint64_t v);
void broken_load(uint64_t *reg, uint64_t *p);
void broken_run(const char *how, uint64_t *seed);

#define ST(p, v)	broken_store(p, r->base + (v))
#define LD(n, p)	broken_load(&r->reg[n], p)
#define XCHG(p, v)	broken_store(p, r->base + (v))
#define FENCE()		do { } while (0)

#endif
#endif /* _COHERENCE_LITMUS_ACCESS_H */
