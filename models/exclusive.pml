/*
 * One data point of an exclusive system: who may hold it, and can two ever do so?
 *
 * docs/exclusive.md has the protocol and its rules E1 to E10; README.md beside this
 * file says how it is run. Each rule can be left out (-D NO_E...), and then
 * the assertion in claimant() must be found broken.
 *
 * Messages. What was sent is a fact that stays: it may arrive at once, late, after
 * what was sent later, twice, or never. So the network holds no state of its own.
 * A request may be on its way once its number was claimed, a release once it was
 * withdrawn; a claimant that pursues a number asks all the time, and the network loses
 * nearly all of it. An answer carries what is left of the lease since the sending
 * of the request that it answers.
 *
 * Time. A tick is one of the fastest clock within the assumed drift, and LEASE is the
 * configured lease on the slowest one: lease x (1+r)/(1-r). What may happen early (a
 * faster claimant, a slower voter, a voluntary end) is a choice here. Only what must
 * happen in time holds the clock up: see due().
 *
 * Processes. A daemon that is frozen, slow, or dead is one whose turn does not come;
 * its guard's turn always comes in time. One that was killed lets go, withdraws and claims
 * with a new number; a machine that is switched off lets go at once. A node that is
 * claimant and voter is one of each, whose messages and faults happen to coincide.
 */

#ifndef VOTERS
#define VOTERS    3
#endif
#ifndef CLAIMANTS
#define CLAIMANTS 2
#endif
#ifndef CLAIMS
#define CLAIMS    2             /* numbers that a claimant uses in all: 1, 2, ... */
#endif
#ifndef LEASE
#define LEASE     3
#endif
#ifndef HOOK
#define HOOK      1             /* how long `down` may take: the margin of E5 */
#endif
#ifndef QUORUM
#define QUORUM    (VOTERS / 2 + 1)
#endif

#ifdef NO_E3_DRIFT
#define WAIT      (LEASE - 1)   /* the lease as configured, on the fastest clock */
#else
#define WAIT      LEASE
#endif
#ifdef NO_E5_MARGIN
#define MARGIN    0
#else
#define MARGIN    HOOK
#endif

#define NOBODY    CLAIMANTS
#define SILENT    (CLAIMANTS + 1)       /* lost its disk, and waits */

/* What is never reached proves nothing: with -D SEEK=k the checker must get to k. */
#define HELD        1
#define RENEWED     2
#define EXPIRED     3
#define TAKEN_OVER  4
#define HANDED_OVER 5
#define RESTARTED   6
#define LOST_DISK   7
#ifdef SEEK
#define reach(k)  assert(k != SEEK)
bool stolen, dropped, read, wiped;      /* happened, at the voters, since the start */
bool had[CLAIMANTS];                    /* it has served */
#define mark(flag) flag = true
#else
#define reach(k)  skip
#define mark(flag) skip
#endif

mtype = { gone, served, going };        /* `alive` not started; started; `down` started */

byte number[CLAIMANTS];                 /* the last claim's */
bool pursued[CLAIMANTS];                /* ... which is neither withdrawn nor released */
byte released[CLAIMANTS];               /* the highest number that was */
mtype serving[CLAIMANTS] = gone;
byte left[CLAIMANTS];                   /* served: until the lease ends; going: until `down` has */

byte owner[VOTERS] = NOBODY;            /* whose claim has the grant */
byte granted[VOTERS];                   /* that claim's number */
byte waited[VOTERS];                    /* since the last positive answer, up to WAIT + 1 */

typedef Answers { byte left[VOTERS] };  /* what the newest answer is still worth */
Answers answer[CLAIMANTS];

#if defined(NO_E2_SENDING) || defined(NO_E2_CURRENT) || defined(NO_E5_AGE)
typedef Bits { bool by[VOTERS] };
Bits once[CLAIMANTS];                   /* this voter answered this number, some time ago */
#define remember(c, v, x) once[c].by[v] = x
#else
#define remember(c, v, x) skip
#endif

byte i, j, n, age, best, count;         /* for one step only: all 0 between steps */
#define over  i = 0; j = 0; n = 0; age = 0; best = 0; count = 0

#define waiting(v)  (waited[v] <= WAIT)
#ifdef NO_E3_RECORD
#define kept(v)     (waiting(v) && serving[owner[v]] != gone)   /* its record, at its newest */
#else
#define kept(v)     waiting(v)
#endif
#ifdef NO_E4_MARK
#define patient(v)  true                /* one more restart finds an empty, orderly disk */
#else
#define patient(v)  !waiting(v)
#endif

/* best: for how long a quorum of answers is still worth something. */
inline weigh(c) {
	best = LEASE;
	do
	:: best > 0 ->
		count = 0;
		for (j : 0 .. VOTERS - 1) { count = count + (answer[c].left[j] >= best) };
		if :: count >= QUORUM -> break :: else -> best-- fi
	:: else -> break
	od
#ifdef NO_E5_AGE
	count = 0;
	for (j : 0 .. VOTERS - 1) { count = count + once[c].by[j] };
	if :: count >= QUORUM && best <= MARGIN -> best = MARGIN + 1 :: else fi
#endif
}

/* A positive answer to number n leaves voter v. Only the current number's count (E2). */
inline say_yes(c, v) {
	if
	:: pursued[c] && n == number[c] ->
		remember(c, v, true);
		if :: LEASE - age > answer[c].left[v] -> answer[c].left[v] = LEASE - age :: else fi
	:: else
	fi
}

/* E1 to E4: what a voter does with a request. */
inline judge(c, v) {
	if
	:: owner[v] == SILENT -> skip
	:: owner[v] == c && granted[v] > n -> skip              /* an old one */
#ifdef NO_E2_CURRENT
	:: owner[v] < NOBODY && owner[v] != c && once[c].by[v] -> say_yes(c, v)
#endif
	:: owner[v] < NOBODY && owner[v] != c && kept(v) -> skip
	:: else ->
		if :: owner[v] < NOBODY && owner[v] != c -> mark(stolen) :: else fi;
		owner[v] = c; granted[v] = n; waited[v] = 0;
		say_yes(c, v)
	fi
}

/* What claimant c sent to voter v, in any order, late, twice, or never. */
active [CLAIMANTS * VOTERS] proctype link() {
	byte c = _pid / VOTERS, v = _pid % VOTERS;
	do
	:: atomic { number[c] > 0 ->
		select(n : 1 .. number[c]);
		if
		:: pursued[c] && n == number[c] -> select(age : 0 .. LEASE)
		:: else -> age = 0
		fi;
		d_step { judge(c, v); over } }
	:: atomic { owner[v] == c && released[c] > 0 ->
		select(n : 1 .. released[c]);
#ifndef NO_E1_NUMBER
		if :: granted[v] > n -> goto late :: else fi;   /* it overtakes, or is overtaken */
#endif
		owner[v] = NOBODY; granted[v] = 0; waited[v] = 0;
		mark(dropped);
late:		over }
#ifdef NO_E2_SENDING
	:: atomic { once[c].by[v] -> remember(c, v, false); answer[c].left[v] = LEASE }
#endif
	od
}

active [CLAIMANTS] proctype claimant() {
	byte c = _pid - CLAIMANTS * VOTERS;
	do
	:: atomic { !pursued[c] && serving[c] == gone && number[c] < CLAIMS ->
#ifdef NUMBERS_REUSED
		number[c] = 1;                                  /* it forgot what it had used */
#else
		number[c]++;
#endif
		pursued[c] = true }

	/* Start `alive`, or push the deadline on (E5). */
	:: atomic { pursued[c] && serving[c] != going ->
		d_step { weigh(c);
		if
		:: serving[c] == gone && best > MARGIN ->
			serving[c] = served;
			left[c] = best;
			count = 0;
			for (j : 0 .. CLAIMANTS - 1) { count = count + (serving[j] != gone) };
			assert(count == 1);                     /* the promise */
			reach(HELD);
#ifdef SEEK
			if
			:: had[1 - c] && !read && !wiped && stolen && !released[1 - c] -> reach(TAKEN_OVER)
			:: had[1 - c] && !read && !wiped && !stolen && dropped -> reach(HANDED_OVER)
			:: had[1 - c] && read && !wiped -> reach(RESTARTED)
			:: had[1 - c] && !read && wiped -> reach(LOST_DISK)
			:: else
			fi;
			had[c] = true;
#endif
		:: serving[c] == served && best > left[c] ->
			left[c] = best;
			reach(RENEWED)
		:: else
		fi;
		over } }

	/* `down`, when it wants to or when its guard must. */
	:: atomic { serving[c] == served ->
		if :: left[c] <= MARGIN -> reach(EXPIRED) :: else fi;
		serving[c] = going;
		left[c] = HOOK }
	:: atomic { serving[c] == going -> serving[c] = gone; left[c] = 0 }

	/* Release, or withdraw (E6): from now on nothing counts for this number. */
	:: atomic { pursued[c] && serving[c] == gone ->
		pursued[c] = false;
		released[c] = number[c];
		d_step { for (j : 0 .. VOTERS - 1) { answer[c].left[j] = 0; remember(c, j, false) }; over } }
	od
}

active [VOTERS] proctype voter() {
	byte v = _pid - CLAIMANTS * VOTERS - CLAIMANTS;
	do
	/* Restarted with its disk: as if it had answered just now (E4). */
	:: atomic { owner[v] < NOBODY ->
#ifdef NO_E1_DISK
		owner[v] = NOBODY; granted[v] = 0; waited[v] = 0;
#elif defined(NO_E4_WAIT)
		waited[v] = WAIT + 1;
#else
		waited[v] = 0;
#endif
		mark(read) }
	/* Restarted without: silent. */
	:: atomic { owner[v] != SILENT || waited[v] > 0 ->
#ifdef NO_E4_SILENCE
		owner[v] = NOBODY; granted[v] = 0; waited[v] = 0;
#else
		owner[v] = SILENT; granted[v] = 0; waited[v] = 0;
#endif
		mark(wiped) }
	/* Speaks again, with an empty disk. */
	:: atomic { owner[v] == SILENT && patient(v) -> owner[v] = NOBODY; waited[v] = 0 }
	od
}

/* The guard acts in time, whatever became of the daemon (E10), and `down` ends in time. */
#ifdef NO_E10
#define due(c) (serving[c] == going && left[c] == 0)
#else
#define due(c) ((serving[c] == served && left[c] <= MARGIN) || (serving[c] == going && left[c] == 0))
#endif

active proctype time() {
	do
	:: d_step {
		!due(0) && !due(CLAIMANTS - 1) && !due(CLAIMANTS / 2) ->
		for (i : 0 .. CLAIMANTS - 1) {
			if :: left[i] > 0 -> left[i]-- :: else fi;
			for (j : 0 .. VOTERS - 1) {
				if :: answer[i].left[j] > 0 -> answer[i].left[j]-- :: else fi
			}
		};
		for (j : 0 .. VOTERS - 1) {
			if :: owner[j] != NOBODY && waiting(j) -> waited[j]++ :: else fi
		};
		over }
	od
}
