"""What a node says of exclusive systems: who has granted what to whom, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flip.control.parts import Parts
from flip.holdings.grants.lease import kept
from flip.holdings.grants.right import Right
from flip.wire.claims import Phase


def claimed(node: Parts, system: str) -> dict[str, Any] | None:
    """This node's rights in one system; None where nobody has to be asked."""
    right = node.grants.rights.get(system)
    if right is None:
        return None
    terms = right.claimant.terms
    return {
        "voters": list(terms.voters),
        "quorum": terms.quorum,
        "lease": terms.lease,
        "points": {
            datum: point
            for datum in node.config.systems[system].data
            if (point := _point(right, datum, node.clock.seconds())) is not None
        },
    }


def _point(right: Right, datum: str, now: float) -> dict[str, Any] | None:
    claimant = right.claimant
    number, deadline = claimant.number(datum), claimant.deadline(datum)
    if number is None:
        return None
    return {
        "number": list(number),
        "granted": {
            id: round(now - asked, 3) for id, asked in sorted(claimant.grants(datum).items())
        },
        "permitted": claimant.permitted(datum, now),
        "left": None if deadline is None else round(deadline + claimant.terms.margin - now, 3),
        "lets_go": None if deadline is None else round(deadline - now, 3),
    }


def why_waiting(node: Parts, system: str, datum: str) -> str:
    """Why this node does not serve yet what it has claimed and nobody else does."""
    right = node.grants.rights.get(system)
    if right is None or right.permitted(datum):
        return "its turn comes"
    terms, granted = right.claimant.terms, right.claimant.grants(datum)
    missing = [id for id in terms.voters if id not in granted]
    return (
        f"{len(granted)} of the {terms.quorum} voters that it needs have granted it; it has asked"
        f" {', '.join(missing)}"
    )


def voting(node: Parts) -> dict[str, Any]:
    """What this node, as a voter, has granted."""
    now, granting = node.clock.seconds(), node.granting.voter.granted()
    granted: dict[str, dict[str, Any]] = {name: {} for name in node.granting.voter.systems}
    for (system, datum), (grant, answered) in sorted(granting.items()):
        granted[system][datum] = {
            "to": grant.node,
            "number": list(grant.number),
            "answered": round(now - answered, 3),
            "kept": max(0.0, round(answered + kept(grant.lease / 1000) - now, 3)),
        }
    return {"silent": max(0.0, round(node.silence.until - now, 3)), "granted": granted}


def alarms(node: Parts) -> Iterator[str]:
    """What an operator has to act on."""
    if node.silence.alarm:
        yield node.silence.alarm
    now = node.clock.seconds()
    for name, right in node.grants.rights.items():
        silent, terms = right.claimant.silent(now), right.claimant.terms
        if silent:
            left = len(terms.voters) - len(silent)
            yield (
                f"{name}: {_told(silent)} grant nothing to this node; {left} of"
                f" {len(terms.voters)} voters are left, and {terms.quorum} are needed"
            )
        for datum, holding in node.keeper.systems[name].holdings.items():
            if holding.phase is Phase.RELEASING and holding.failures and not right.lapsed(datum):
                yield (
                    f"{name}: {datum} cannot be released; its lease is renewed, so nobody else may"
                    f" take it, until its down hook ends well, or 'flip release {name} {datum}"
                    f" --force' is typed; the hook: {holding.error}"
                )
            elif holding.failures and right.lapsed(datum):
                yield (
                    f"{name}: {datum} may be served TWICE: its lease is over, and its down hook has"
                    " not ended well here. Take it away by hand, at once; then type 'flip release"
                    f" {name} {datum} --force'; the hook: {holding.error}"
                )


def _told(silent: Mapping[str, float]) -> str:
    return ", ".join(f"{id} (silent for {seconds:.0f} s)" for id, seconds in silent.items())
