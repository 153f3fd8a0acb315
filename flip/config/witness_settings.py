"""The settings of a witness."""

from __future__ import annotations

from flip.config.vocabulary import ADDRESS, REQUIRED, Setting, milliseconds

MOST_WITNESSES = 8  # each is pinged all the time

WITNESS = (
    Setting(
        "ping",
        {
            "type": "array",
            "items": ADDRESS,
            "uniqueItems": True,
            "minItems": 1,
            "maxItems": MOST_WITNESSES,
            "description": f"a list of 1 to {MOST_WITNESSES} addresses, each once",
        },
        REQUIRED,
        "What is pinged (ICMP echo). One that answers is enough. It takes a group in"
        " `net.ipv4.ping_group_range`, or CAP_NET_RAW; `flip check` tells what is missing.",
    ),
    Setting(
        "interval",
        milliseconds(50),
        None,
        "The time from one ping to the next, of each of them.",
        "a third of `ping_timeout`, or 50",
    ),
    Setting(
        "timeout",
        milliseconds(100),
        None,
        "For how long a ping that was answered shows that the witness is reached: the pings of"
        " that time may all be lost but one. At least two intervals.",
        "twice the `ping_timeout`, at least two intervals",
    ),
)
