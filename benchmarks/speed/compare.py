"""Two reports of the benchmark beside each other: what became better or worse, beyond noise.

What is noise: each report has a range over rounds for a metric. A change counts when the two ranges do not overlap,
and the medians are more than 5 % apart: processes of one build land a few percent apart for good (where their memory
lies), which the ranges of a quiet run are too narrow to show. Two or three rounds hardly have a range, so 25 % are
asked for, and slow percentiles are left out; a single round on a shared machine strays by up to a factor of two. The
machine itself may be slower than it was: where both reports have a metric's ratio to the baseline peer, that ratio
must have changed as much, too. Files and cosines do not vary from run to run, so theirs are held to small limits of
their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from edge_potion.escaping import terminal

from .report.columns import metric_of
from .report.json_file import read_report
from .report.model import Outcome, Report, Spread

__all__ = ["Change", "as_text", "compare", "read_report"]

LEAST = 1.05  # times: medians nearer to each other than this are the same
LEAST_OF_FEW = 1.25  # where one of the reports has less than FEW rounds
LEAST_OF_ONE = 2.0  # where one has a single round
FEW = 4
TAILS = ("p95_ms", "p99_ms")  # left out then: a few slow calls make them
COSTS = ("size_bytes", "elsewhere_share")  # beside the metrics of `summary`: less is better
LEAST_SIZE = 1.01  # of files: a version or a name more in the metadata is no change
LEAST_COSINE = 1e-6  # more than float32 sums differ by in another order

Verdict = Literal["better", "worse", "same", "other"]


@dataclass(frozen=True)
class Change:
    """One measurement in both reports; or one configuration's status, where it differs or is in one report alone."""

    name: str
    metric: str  # as in `summary`, or size_bytes, elsewhere_share, cosine_min, cosine_mean, status
    old: float | str | None  # None: the old report does not have it
    new: float | str | None
    ratio: float | None  # new over old
    verdict: Verdict  # other: different, and neither better nor worse


def compare(new: Report, old: Report) -> list[Change]:
    """Every measurement that both reports have, in the new one's order, and each status that differs."""
    before = {outcome.name: outcome for outcome in old.configurations}
    after = {outcome.name: outcome for outcome in new.configurations}
    drift = _times_the_baseline(new, old)
    changes: list[Change] = []
    for name in [*after, *(name for name in before if name not in after)]:
        statuses = [_status(outcome) if outcome else None for outcome in (before.get(name), after.get(name))]
        if statuses[0] != statuses[1]:
            changes.append(_change_of_status(name, *statuses))
        elif statuses == ["measured", "measured"]:
            changes += _measurements(name, before[name], after[name], drift)
    return changes


def as_text(changes: Sequence[Change], new: Report, old: Report) -> str:
    """What is not alike around the two, then the changes, the worse first, then how many there are not."""
    lines = [f"warning: {terminal(difference)}" for difference in _differences(new, old)]
    order = ("worse", "other", "better")
    changed = [change for change in changes if change.verdict != "same"]
    changed.sort(key=lambda change: order.index(change.verdict))
    width = max((len(terminal(change.name)) for change in changed), default=0)
    for change in changed:
        cosine = change.metric.startswith("cosine")
        times = f"  x{change.ratio:.2f}" if change.ratio is not None and not cosine else ""
        mark = "differs" if change.verdict == "other" else change.verdict
        lines.append(
            f"{mark:8}{terminal(change.name):{width}}  {terminal(change.metric)}: "
            f"{_shown(change.old)} -> {_shown(change.new)}{times}"
        )
    measurements = [change for change in changes if change.metric != "status"]
    same = sum(change.verdict == "same" for change in measurements)
    return "\n".join([*lines, f"{same} of {len(measurements)} measurements unchanged within noise"])


def _status(outcome: Outcome) -> str:
    return "not run" if outcome.status == "measured" and not outcome.measured else outcome.status


def _change_of_status(name: str, old: str | None, new: str | None) -> Change:
    verdict: Verdict = "other"
    if None not in (old, new) and "measured" in (old, new):
        verdict = "better" if new == "measured" else "worse"
    if "not run" in (old, new):  # its run was stopped, which tells nothing about it
        verdict = "other"
    return Change(name, "status", old, new, None, verdict)


def _times_the_baseline(new: Report, old: Report) -> dict[tuple[str, str], float]:
    """New over old of each (configuration, metric)'s ratio to the baseline, where both reports have it."""
    before, after = ({(ratio.of, ratio.metric): ratio.median for ratio in report.ratios} for report in (old, new))
    return {key: after[key] / before[key] for key in before.keys() & after.keys() if before[key] > 0}


def _measurements(name: str, old: Outcome, new: Outcome, drift: Mapping[tuple[str, str], float]) -> Iterator[Change]:
    rounds = min(len(old.rounds), len(new.rounds))
    least = LEAST_OF_ONE if rounds == 1 else LEAST_OF_FEW if rounds < FEW else LEAST
    for metric in dict.fromkeys([*new.summary, *old.summary]):
        if rounds < FEW and metric in TAILS:
            continue
        beside_baseline = drift.get((name, metric))
        yield _change(name, metric, old.summary.get(metric), new.summary.get(metric), least, beside_baseline)
    if old.size_bytes or new.size_bytes:
        yield _change(name, "size_bytes", _point(old.size_bytes), _point(new.size_bytes), LEAST_SIZE)
    if old.elsewhere_share or new.elsewhere_share:
        yield _change(name, "elsewhere_share", _point(old.elsewhere_share), _point(new.elsewhere_share), 1.0)
    if old.cosine or new.cosine:
        least_of, mean_of = (
            [getattr(outcome.cosine, which, None) for outcome in (old, new)] for which in ("min", "mean")
        )
        yield _change_of_cosine(name, "cosine_min", *least_of)
        yield _change_of_cosine(name, "cosine_mean", *mean_of)


def _point(number: float | None) -> Spread | None:
    return None if number is None else Spread(median=number, low=number, high=number)


def _change(
    name: str,
    metric: str,
    old: Spread | None,
    new: Spread | None,
    least: float,
    beside_baseline: float | None = None,
) -> Change:
    if old is None or new is None:
        before_only, after_only = (spread.median if spread else None for spread in (old, new))
        return Change(name, metric, before_only, after_only, None, "other")
    before, after = old.median, new.median
    ratio = after / before if before > 0 else None
    apart = old.high < new.low or new.high < old.low
    beyond = before != after if not ratio else max(ratio, 1 / ratio) > least
    if ratio and beside_baseline is not None:  # what the baseline did as well is the machine's doing
        beyond = beyond and (beside_baseline > least if ratio > 1 else beside_baseline < 1 / least)
    verdict: Verdict = "same"
    if apart and beyond:
        more_is_better = metric not in COSTS and metric_of(metric).better == "more"
        verdict = "better" if (after > before) == more_is_better else "worse"
    return Change(name, metric, before, after, ratio, verdict)


def _change_of_cosine(name: str, metric: str, old: float | None, new: float | None) -> Change:
    if old is None or new is None:
        return Change(name, metric, old, new, None, "other")
    verdict: Verdict = "worse" if old - new > LEAST_COSINE else "better" if new - old > LEAST_COSINE else "same"
    return Change(name, metric, old, new, new / old if old else None, verdict)


def _differences(new: Report, old: Report) -> Iterator[str]:
    """What else than the code may have made a difference."""
    for key in ("cpu", "cores", "python"):
        before, after = getattr(old.machine, key), getattr(new.machine, key)
        if before != after:
            yield f"{key} is not the old report's: {before} -> {after}"
    versions = [_versions(report) for report in (old, new)]
    for package in sorted(versions[0].keys() & versions[1].keys()):
        if versions[0][package] != versions[1][package]:
            pair = " -> ".join(", ".join(sorted(of[package])) for of in versions)
            yield f"{package} is not the old report's: {pair}"
    settings = [asdict(report.settings) for report in (old, new)]
    for key in settings[0]:
        before, after = (some[key] for some in settings)
        if before != after and key != "minutes":  # the limit alone changes no number
            what = key if key == "texts" else f"setting {key}"
            yield f"{what} is not the old report's: {json.dumps(before)} -> {json.dumps(after)}"
    for which, report in (("old", old), ("new", new)):
        if not report.complete:
            yield f"the {which} report is partial"
        if any(len(outcome.rounds) == 1 for outcome in report.configurations):
            yield (
                f"the {which} report has configurations with a single round, and so no range: there only more than "
                f"a factor of {LEAST_OF_ONE:g} counts"
            )


def _versions(report: Report) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for outcome in report.configurations:
        for package, version in outcome.versions.items():
            versions.setdefault(package, set()).add(version)
    return versions


def _shown(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or "not there"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.7g}" if 0.9 < value <= 1 else f"{value:.4g}"
