"""Messages of every shape, for laws."""

from __future__ import annotations

from hypothesis import strategies as st

from flip.wire.messages import (
    INCARNATIONS,
    LONGEST_LEASE,
    Ack,
    ClaimNumber,
    Gossip,
    GrantAnswer,
    GrantQuery,
    GrantRelease,
    GrantRequest,
    Nack,
    Ping,
    PingReq,
    Record,
    Status,
    SyncRequest,
    SyncResponse,
    Update,
)

ids = st.text(max_size=8)
incarnations = st.integers(0, INCARNATIONS - 1)
words = st.integers(0, 2**64 - 1)
digests = st.binary(max_size=8)

records = st.builds(
    Record,
    ids,
    incarnations,
    incarnations,
    st.sampled_from(Status),
    incarnations,
    words,
    digests,
    st.integers(0, 2**53),
    digests,
    st.lists(ids, max_size=3).map(tuple),
    st.integers(1, 255),
)
updates = st.lists(
    st.builds(
        Update,
        ids,
        st.none() | records,
        st.none() | st.binary(max_size=20),
        incarnations,
        st.lists(ids, max_size=3).map(tuple),
    ),
    max_size=3,
).map(tuple)

numbered = st.lists(
    st.tuples(ids, st.builds(ClaimNumber, incarnations, incarnations)), max_size=3
).map(tuple)
datagrams = st.one_of(
    st.builds(Ping, incarnations, words, words, updates),
    st.builds(Ack, incarnations, words, words, ids, incarnations, updates),
    st.builds(PingReq, incarnations, words, words, ids, updates),
    st.builds(Nack, incarnations, words, words, updates),
    st.builds(Gossip, incarnations, words, updates),
    st.builds(
        GrantRequest,
        incarnations,
        words,
        words,
        ids,
        digests,
        st.integers(1, LONGEST_LEASE),
        numbered,
        updates,
    ),
    st.builds(GrantAnswer, incarnations, words, words, ids, numbered, numbered, updates),
    st.builds(GrantRelease, incarnations, words, ids, numbered, updates),
    st.builds(GrantQuery, incarnations, words, ids, numbered, updates),
)
sync_messages = st.one_of(
    st.builds(SyncRequest, incarnations, words, updates, st.lists(digests, max_size=3).map(tuple)),
    st.builds(
        SyncResponse,
        incarnations,
        words,
        updates,
        st.dictionaries(digests, st.lists(st.text(max_size=5), max_size=3).map(tuple), max_size=2),
    ),
)

# Whatever msgpack can say, and some of what it cannot.
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=12)
    | st.text(max_size=12)
)
nonsense = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(scalars, inner, max_size=4),
    max_leaves=30,
)
