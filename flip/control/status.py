"""What a node says of itself and of everybody else: the answer to ``flip status``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flip
from flip.control import addresses, grants
from flip.control.parts import Parts
from flip.holdings.holding import Holding
from flip.holdings.system import SystemKeeper
from flip.holdings.tally import LISTED
from flip.membership.roster import Claims, Member
from flip.membership.service import Membership
from flip.wire.claims import Phase
from flip.wire.messages import Record, Status
from flip.wire.standing import Standing, standing

EVENTS = 20
STUBBORN = 3  # failures of a `down` hook in a row that an operator has to know of


def status(node: Parts) -> dict[str, Any]:
    """The whole status as JSON-able values.

    Times are seconds; "... ago" is None for what never happened.

    - `id`, `incarnation`, `boot`, `version` (flip's), `status` (joining, active,
      leaving, left), `uptime`: this node.
    - `in_touch`: it reaches a quorum; `settled`: and has heard everybody out, so
      that it acts on the plan; `quorum`: how many votes make a member down;
      `health`: 0 is well, more stretches its deadlines.
    - `config`: {`path`, `digest`, `version`} of what the node runs.
    - `witness`: {`reached`, `answered` {address: ago}, `trouble` (None: none known)}; None
      where there is none.
    - `members`: {id: {`state` (alive, probably_down, down, left), `status`,
      `incarnation`, `votes` [ids of who cannot reach it; `/witness` is one more vote of who
      reached a witness then, `/operator` that of who confirmed that it is off], `reachable`
      (None: not
      probed yet), `last_ack` ago, `address`, `sync` {`last` ago, `error`},
      `config` (same, differs, unknown), `systems` {name: {`eligible`, `standing`
      (fit, returned, drained, failing, unfit, unknown), `held` [data points], `claims`
      {data point: taking, held, releasing, unsure}}}}}:
      what each member says of itself; this node's own row is the truth.
    - `systems`: {name: {`type`, `groups` {data point: [members]} of those that are more than
      a text, `wanted` [data points], `held` [data points],
      `failed` {data point: reason}, `waiting` {data point: why it is not yet as
      wanted}, `ineligible` (why, or None), `standing`, `check`, `grants`, `addresses`}}: this
      node's own. `addresses` is None without the provider "address", else {data point:
      {`interface`, `left` (for how many seconds the kernel keeps them without flip; None: for
      ever), `missing` [addresses], `conflict` (the MAC of somebody who answers for it)}}.
      `check` is None without a health check, else {`fit` (None: no result yet), `for` (how long
      that has been so), `successes` and `failures` in a row, `reason` of the last failure, or
      None}. `grants` is None in
      ordinary systems, else {`voters`, `quorum`, `lease`, `points` {data point: {`number`
      of the claim, `granted` {voter: how long ago it was asked}, `permitted`, `left` of the
      lease, `lets_go` (in how many seconds, unless it is renewed)}}}.
    - `voting`: what this node has granted in exclusive systems: {`silent` (for how many more
      seconds it grants nothing), `granted` {system: {data point: {`to`, `number`, `answered`
      ago, `kept` (for how many more seconds)}}}}.
    - `guard`: the process that lets go of exclusive data points in time: {`pid`, `ready`,
      `armed` (how many data points), `restarts`, `trouble`}; None where there is none.
    - `alarms`: sentences that somebody has to act on.
    - `journal`: {`path`, `error`}; `traffic`: counters; `events`: the last ones,
      oldest first, [{`time` (of the wall clock), `kind`, `text`}].
    """
    config, membership, keeper = node.config, node.membership, node.keeper
    record = membership.own.record
    now = node.clock.seconds()
    return {
        "id": config.id,
        "incarnation": record.incarnation,
        "boot": f"{record.boot:016x}",
        "version": flip.__version__,
        "status": Status(record.status).name.lower(),
        "in_touch": membership.in_touch,
        "settled": membership.settled,
        "quorum": config.quorum,
        "health": membership.health.score,
        "config": {
            "path": str(config.path),
            "digest": config.digest.hex(),
            "version": config.config_version,
        },
        "uptime": round(now - node.started, 3),
        "witness": _witness(membership, now),
        "members": {member.id: _member(node, member, now) for member in membership.roster},
        "systems": {name: _system(node, held) for name, held in keeper.systems.items()},
        "voting": grants.voting(node),
        "guard": node.guard.condition._asdict() if node.guard is not None else None,
        "alarms": _alarms(node),
        "journal": {"path": node.journal.path, "error": node.journal.error},
        "traffic": dict(membership.protocol.traffic),
        "events": [
            {"time": event.time, "kind": event.kind, "text": event.text}
            for event in node.journal.events(EVENTS)
        ],
    }


def _witness(membership: Membership, now: float) -> dict[str, Any] | None:
    witness = membership.witness
    if witness is None:
        return None
    return {
        "reached": witness.reached(),
        "answered": {one: _ago(witness.last.get(one), now) for one in witness.addresses},
        "trouble": witness.trouble,
    }


def _member(node: Parts, member: Member, now: float) -> dict[str, Any]:
    membership, server = node.membership, node.config.servers[member.id]
    record, touch, sync = member.record, membership.touch, membership.sync
    own = member.id == node.config.id
    host = f"[{server.ip}]" if ":" in server.ip else server.ip
    return {
        "state": membership.roster.state(member.id).value,
        "status": Status(record.status).name.lower() if record else None,
        "incarnation": member.incarnation,
        "votes": sorted(member.votes),
        "reachable": True if own else touch.reachable.get(member.id),
        "last_ack": 0.0 if own else _ago(touch.last_ack.get(member.id), now),
        "address": f"{host}:{server.port}",
        "sync": {
            "last": _ago(sync.last.get(member.id), now),
            "error": sync.errors.get(member.id),
        },
        "config": _compare(record, node.config.digest),
        # Its own record follows at the end of the turn; what it does is already true.
        "systems": _claims(node.keeper.claims() if own else member.claims, server.systems, record),
    }


def _ago(then: float | None, now: float) -> float | None:
    return None if then is None else round(now - then, 3)


def _compare(record: Record | None, digest: bytes) -> str:
    if record is None:
        return "unknown"
    return "same" if record.config_digest == digest else "differs"


def _claims(
    claims: Claims | None, listed: tuple[str, ...], record: Record | None
) -> dict[str, dict[str, Any]]:
    claims = claims or {}
    return {
        name: {
            "eligible": record is None or name not in record.ineligible,
            "standing": standing(record, name).name.lower(),
            "held": _held(claims.get(name, {})),
            "claims": {datum: phase.name.lower() for datum, phase in claims.get(name, {}).items()},
        }
        for name in sorted({*listed, *claims})
    }


def _held(phases: Mapping[str, Phase]) -> list[str]:
    """Where `alive` ran and `down` has not ended since, in the claims' order."""
    return [datum for datum, phase in phases.items() if phase in (Phase.HELD, Phase.RELEASING)]


def _system(node: Parts, keeper: SystemKeeper) -> dict[str, Any]:
    name = keeper.system.name
    held = frozenset(_held(keeper.claims()))
    points = keeper.system.data
    return {
        "type": keeper.system.type,
        "groups": {
            point.id: list(point.members)
            for point in keeper.system.special.values()
            if point.members != (point.id,)
        },
        "wanted": [datum for datum in points if datum in keeper.wanted],
        "held": [datum for datum in points if datum in held],
        "failed": keeper.failures(),
        "waiting": {
            datum: why for datum in points if (why := _why_waiting(node, keeper, datum)) is not None
        },
        "ineligible": node.keeper.fitness.reasons(name),
        "standing": node.keeper.fitness.standing(name).name.lower(),
        "check": _check(node, name),
        "grants": grants.claimed(node, name),
        "addresses": addresses.kept(node, name),
    }


def _check(node: Parts, system: str) -> dict[str, Any] | None:
    found = node.health.conditions.get(system)
    if found is None:
        return None
    return {
        "fit": found.fit,
        "for": round(node.clock.seconds() - found.since, 3),
        "successes": found.successes,
        "failures": found.failures,
        "reason": found.reason or None,
    }


def _why_waiting(node: Parts, keeper: SystemKeeper, datum: str) -> str | None:
    """Why this node does not (yet) do what the plan says about a data point."""
    name = keeper.system.name
    holding = keeper.holdings.get(datum, Holding())
    wanted, held = datum in keeper.wanted, holding.phase is Phase.HELD
    if wanted == held and holding.phase in (None, Phase.HELD):
        return None
    if holding.running is not None:
        return f"its {holding.running} hook runs"
    if holding.retry is not None:
        if holding.phase is Phase.RELEASING:
            return "its down hook failed: nobody else may take it until one ends well"
        return "a failed hook is tried again soon"
    if not node.keeper.gate.open:
        return "not in touch and settled: nothing is taken or released"
    if node.keeper.fitness.standing(name) is Standing.UNKNOWN:
        return "its health check has not ended yet: nothing is taken or released"
    if not node.keeper.outlook.planning():
        return "another configuration plans until all members run the same"
    claims = node.keeper.outlook.claims(name, datum) if keeper.single_owner else {}
    if wanted and claims:
        return "claimed by " + ", ".join(
            f"{id} ({phase.name.lower() if phase else 'not heard from yet'})"
            for id, phase in sorted(claims.items())
        )
    obstacle = node.keeper.outlook.obstacle(name, datum) if wanted else None
    if obstacle is not None:
        return obstacle
    if not wanted and holding.phase is not None:
        return f"{keeper.owners.get(datum, 'its next owner')} is not ready to take it"
    if wanted and holding.phase is Phase.TAKING:
        return grants.why_waiting(node, name, datum)
    return "its turn comes"


def _absences(membership: Membership) -> list[str]:
    """What members, and witnesses, that are not there mean for an operator."""
    alarms = [
        f"{id} counts as off, as an operator confirmed, until it returns"
        for id in membership.roster.others
        if id in membership.roster.confirmed
    ]
    witness = membership.witness
    if witness is not None and witness.missing:
        why = f" ({witness.trouble})" if witness.trouble else ""
        alarms.append(f"no witness answers{why}: while that lasts, it helps nobody to take over")
    return alarms


def _alarms(node: Parts) -> list[str]:
    alarms = [*node.chronicle.alarms.values(), node.keeper.difference.alarm]
    alarms += node.keeper.distress.alarms.values()
    alarms += _absences(node.membership)
    stuck = [
        f"{system}: {datum} is left from an older configuration and cannot be released"
        f" ('flip release {system} {datum} --force' drops the claim): {error}"
        for (system, datum), error in node.keeper.leftovers.errors.items()
    ]
    stuck += [
        f"{name}: {datum} cannot be released, and nobody else may take it until its down hook ends"
        f" well, or 'flip release {name} {datum} --force' is typed; the hook: {holding.error}"
        for name, keeper in node.keeper.systems.items()
        for datum, holding in keeper.holdings.items()
        if holding.phase is Phase.RELEASING
        and holding.failures >= STUBBORN
        and not keeper.system.exclusive
    ]
    stuck += grants.alarms(node)
    alarms += stuck[:LISTED]
    if len(stuck) > LISTED:
        alarms.append(f"{len(stuck) - LISTED} more data points cannot be released")
    if node.journal.error:
        alarms.append(f"the journal cannot be trusted: {node.journal.error}")
    return [alarm for alarm in alarms if alarm]
