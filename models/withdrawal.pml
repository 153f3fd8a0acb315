/*
 * After the faults: how soon is a claim granted, whatever they left behind?
 *
 * exclusive.pml says that never two hold a data point. This one says that the rules which
 * see to that leave nobody waiting (E6, E7). Claimant 0 wants the data point from now
 * on; claimant 1 has any past, and wants it no more (the plan names 0), or (DEAD) is
 * gone. One voter may be dead as well. The other voters' grants are any that a past
 * may leave: to nobody, to a number that is over and whose release was lost, to the
 * claim that claimant 1 still pursues. From now on each message arrives within the tick.
 *
 * LIMIT is the promise: with a live owner a few ticks, the patience of E6 among them; with
 * a dead one what the voters have to wait for, too.
 */

#define VOTERS   3
#define QUORUM   2
#define WAIT     8      /* the lease and what drift adds: longer than all else */
#define PATIENCE 2      /* ping_timeout: a claim without its quorum is withdrawn then */
#ifdef DEAD
#define LIMIT    (WAIT + PATIENCE + 1)
#else
#define LIMIT    (PATIENCE + 1)
#endif

#define NOBODY   2
#define OLD      1      /* a number of claimant 1 that is over */
#define PRESENT  2      /* the one that it may still pursue */

byte owner[VOTERS] = NOBODY;
byte granted[VOTERS];
byte waited[VOTERS] = WAIT;     /* since the last positive answer */
bool dead[VOTERS];
bool pursued;                   /* claimant 1 pursues PRESENT */
byte patience = PATIENCE;
byte ticks;
byte v, votes;

/* The owner is asked, and says what is over (E7). */
#if defined(NO_E7) || defined(DEAD)
#define over(v) false
#else
#define over(v) (granted[v] < PRESENT || !pursued)
#endif

init {
	/* What the faults left. */
	atomic {
		if :: pursued = true :: pursued = false fi;
#ifdef DEAD
		pursued = false;
#endif
		if :: dead[0] = true :: skip fi;
		for (v : 0 .. VOTERS - 1) {
			if
			:: skip
			:: owner[v] = 1; granted[v] = OLD; select(ticks : 0 .. WAIT); waited[v] = ticks
			:: pursued -> owner[v] = 1; granted[v] = PRESENT; waited[v] = 0
#ifdef DEAD
			:: owner[v] = 1; granted[v] = PRESENT; select(ticks : 0 .. WAIT); waited[v] = ticks
#endif
			fi
		};
		ticks = 0;
		v = 0
	};
	do
	:: d_step {
		/* Claimant 1 renews what it has, or withdraws it. */
		for (v : 0 .. VOTERS - 1) {
			if
			:: pursued && owner[v] == 1 && granted[v] == PRESENT -> waited[v] = 0
			:: else
			fi
		};
#ifndef NO_E6
		if
		:: pursued && patience == 0 -> pursued = false
		:: pursued && patience > 0 -> patience--
		:: else
		fi;
#endif
		/* Claimant 0 asks everybody, and goes on doing so. */
		votes = 0;
		for (v : 0 .. VOTERS - 1) {
			if
			:: dead[v] -> skip
			:: !dead[v] && owner[v] == 1 && (waited[v] >= WAIT || over(v)) -> owner[v] = 0
			:: !dead[v] && owner[v] == NOBODY -> owner[v] = 0
			:: else
			fi;
			votes = votes + (owner[v] == 0 && !dead[v])
		};
		if
		:: votes >= QUORUM -> ticks = 0; patience = 0   /* granted: nothing is left to say */
		:: else ->
			ticks++;
			for (v : 0 .. VOTERS - 1) {
				if :: waited[v] < WAIT -> waited[v]++ :: else fi
			}
		fi;
		assert(ticks <= LIMIT);
		v = 0 }
	od
}
