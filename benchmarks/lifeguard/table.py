"""The table: detectors side by side, one block per form of the experiment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from benchmarks.lifeguard.experiment import DETECTORS, Outcome, Trial
from benchmarks.lifeguard.grid import Result

NAMES = {
    "swim": "SWIM",
    "lifeguard": "SWIM+Lifeguard",
    "paper": "the same, as in the paper",
    "flip": "flip, 3 pings/s",
    "flip-1": "flip, 1 ping/s",
}
REFERENCE = "lifeguard"
EQUAL = "flip-1"  # flip at the reference's probe traffic
FEWER = 10  # times
NONE = "-"


def percentile(values: Sequence[float], share: float) -> float | None:
    """The least value that so large a share of them does not exceed; None without values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def latencies(results: Sequence[Result]) -> list[str]:
    """Lines on how soon those that stopped once, for long, were known to be down."""
    lines = [
        f"{'':>3} {'':<26}{'first to know, s':>21}{'ratio of':>9}{'all know, s':>21}{'':>7}"
        f"{'after the stop':>16}{'at rest':>16}",
        f"{'C':>3} {'detector':<26}{'median    p99  p99.9':>21}{'medians':>9}"
        f"{'median    p99  p99.9':>21}{'missed':>7}{'packets':>9}{'kB':>7}{'packets':>9}{'kB':>7}",
    ]
    for stopped in sorted({trial.stopped for trial, _ in results}):
        reference = _of(results, REFERENCE, stopped)
        known = percentile([seconds for _, one in reference for seconds in one.first], 0.5)
        for detector in DETECTORS:
            chosen = _of(results, detector, stopped)
            if not chosen:
                continue
            first = [seconds for _, one in chosen for seconds in one.first]
            full = [seconds for _, one in chosen for seconds in one.full]
            line = f"{stopped:>3} {NAMES[detector]:<26}{_percentiles(first)}"
            line += f"{_ratio(percentile(first, 0.5), known):>9}{_percentiles(full)}"
            line += f"{stopped * len(chosen) - len(full):>7}"
            lines.append(line + _costs([one for _, one in chosen]))
    return lines


def mistakes(results: Sequence[Result]) -> list[str]:
    """Lines on what was believed of healthy members while others stopped again and again."""
    lines = [
        f"{'':>3} {'':<26}{'healthy held for down':>23}{'':>8}{'healthy suspected':>23}",
        f"{'C':>3} {'detector':<26}{'by any':>11}{'by healthy':>12}{'ratio':>8}"
        f"{'by any':>11}{'by healthy':>12}{'packets':>9}{'kB':>7}",
    ]
    rows: list[tuple[str, Sequence[Result]]] = [
        (str(stopped), [result for result in results if result[0].stopped == stopped])
        for stopped in sorted({trial.stopped for trial, _ in results})
    ]
    for label, row in [*rows, ("all", results)]:
        known = sum(one.false_positives for trial, one in row if trial.detector == REFERENCE)
        for detector in DETECTORS:
            chosen = [one for trial, one in row if trial.detector == detector]
            if not chosen:
                continue
            wrong = sum(one.false_positives for one in chosen)
            line = f"{label:>3} {NAMES[detector]:<26}{wrong:>11}"
            line += f"{sum(one.at_healthy for one in chosen):>12}{_ratio(wrong, known):>8}"
            line += f"{sum(one.suspicions for one in chosen):>11}"
            line += f"{sum(one.suspicions_at_healthy for one in chosen):>12}"
            lines.append(line + _costs(chosen, at_rest=False))
    return lines


def missed_goals(once: Sequence[Result], again: Sequence[Result]) -> list[str]:
    """What flip, at the probe traffic of SWIM+Lifeguard, does not do as well as it should.

    It should be wrong about healthy members a tenth as often, and its first to
    know of a death should know no later.
    """
    missed = []
    wrong = {
        detector: sum(one.false_positives for trial, one in again if trial.detector == detector)
        for detector in (REFERENCE, EQUAL)
    }
    if wrong[EQUAL] * FEWER > wrong[REFERENCE]:
        missed.append(f"{wrong[EQUAL]} healthy members held for down, not {FEWER} times fewer")
    medians = {
        detector: percentile(
            [seconds for trial, one in once if trial.detector == detector for seconds in one.first],
            0.5,
        )
        for detector in (REFERENCE, EQUAL)
    }
    mine, reference = medians[EQUAL], medians[REFERENCE]
    if mine is not None and reference is not None and mine > reference:
        missed.append(f"a death is known after {mine:.2f} s, not after {reference:.2f} s")
    return missed


def _of(results: Iterable[Result], detector: str, stopped: int) -> list[Result]:
    return [
        (trial, one)
        for trial, one in results
        if trial.detector == detector and trial.stopped == stopped
    ]


def _percentiles(values: Sequence[float]) -> str:
    shown = [percentile(values, share) for share in (0.5, 0.99, 0.999)]
    return "".join(f"{NONE if one is None else f'{one:.2f}':>7}" for one in shown)


def _ratio(value: float | None, reference: float | None) -> str:
    if value is None or not reference:
        return NONE
    ratio = value / reference
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _costs(outcomes: Sequence[Outcome], *, at_rest: bool = True) -> str:
    """Per member and second."""
    costs = f"{fmean(one.datagrams for one in outcomes):>9.1f}"
    costs += f"{fmean(one.octets for one in outcomes) / 1000:>7.2f}"
    if at_rest:
        costs += f"{fmean(one.datagrams_at_rest for one in outcomes):>9.1f}"
        costs += f"{fmean(one.octets_at_rest for one in outcomes) / 1000:>7.2f}"
    return costs


def same_stops(trial: Trial, *, blocked: bool) -> bool:
    """Whether a trial belongs to the table of one kind of stop; flip knows one kind only."""
    return trial.blocked == blocked or trial.detector.startswith("flip")
