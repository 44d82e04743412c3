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
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.escaping import terminal
from edge_potion.find import read_json

from .report.terminal import measured, more_is_better

__all__ = ["Change", "as_text", "compare", "read_report", "read_small_json"]

LEAST = 1.05  # times: medians nearer to each other than this are the same
LEAST_OF_FEW = 1.25  # where one of the reports has less than FEW rounds
LEAST_OF_ONE = 2.0  # where one has a single round
FEW = 4
TAILS = ("p95_ms", "p99_ms")  # left out then: a few slow calls make them
LEAST_SIZE = 1.01  # of files: a version or a name more in the metadata is no change
LEAST_COSINE = 1e-6  # more than float32 sums differ by in another order
FORMAT = 1
LARGEST = 2**25  # bytes of a report: a thousand configurations have a sixth of it
LONGEST_FAULT = 200  # letters: some are of a file that may hold anything

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


def read_report(path: Path) -> dict[str, Any]:
    """The report in a file.

    Raises:
        InputError: it is not there, or no report of this format.
    """
    report = read_small_json(path, "benchmark")
    if "format" not in report:
        raise InputError(f"{path} is no report of `edge-potion benchmark`: it has no format")
    if report["format"] != FORMAT:
        raise InputError(f"{path} has format {report['format']!r}, and this edge-potion reads format {FORMAT}")
    schema = json.loads(Path(__file__).parent.joinpath("report", "report.schema.json").read_text(encoding="utf-8"))
    try:
        fault = next(_faults(report, schema, schema["$defs"], ""), None)
    except RecursionError:
        fault = "it is nested too deeply"
    if fault:
        raise InputError(f"{path} is not a whole report: {terminal(fault[:LONGEST_FAULT])}")
    return report


def read_small_json(path: Path, command: str) -> dict[str, Any]:
    """The object in a file that is to be a report of `edge-potion COMMAND`.

    Raises:
        InputError: it cannot be read, is larger than any report, or holds something else.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ModelFormatError(f"{path} is larger than {LARGEST:,} bytes")
        return read_json(path)
    except FileNotFoundError as failure:
        raise InputError(f"no report of `edge-potion {command}`: {path} is missing") from failure
    except (ModelFormatError, OSError, ValueError) as failure:  # ValueError: a name that no file system takes
        raise InputError(f"no report of `edge-potion {command}`: {failure}") from failure


def compare(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Change]:
    """Every measurement that both reports have, in the new one's order, and each status that differs."""
    before = {configuration["name"]: configuration for configuration in old["configurations"]}
    after = {configuration["name"]: configuration for configuration in new["configurations"]}
    drift = _times_the_baseline(new, old)
    changes: list[Change] = []
    for name in [*after, *(name for name in before if name not in after)]:
        both = before.get(name), after.get(name)
        statuses = [None if each is None else _status(each) for each in both]
        if statuses[0] != statuses[1]:
            changes.append(_change_of_status(name, *statuses))
        elif statuses == ["measured", "measured"]:
            changes += _measurements(name, before[name], after[name], drift)
    return changes


def as_text(changes: Sequence[Change], new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """What is not alike around the two, then the changes, the worse first, then how many there are not."""
    lines = [f"warning: {terminal(difference)}" for difference in _differences(new, old)]
    order = ("worse", "other", "better")
    changed = sorted((each for each in changes if each.verdict != "same"), key=lambda each: order.index(each.verdict))
    width = max((len(terminal(each.name)) for each in changed), default=0)
    for each in changed:
        times = f"  x{each.ratio:.2f}" if each.ratio is not None and not each.metric.startswith("cosine") else ""
        mark = "differs" if each.verdict == "other" else each.verdict
        lines.append(
            f"{mark:8}{terminal(each.name):{width}}  {terminal(each.metric)}: "
            f"{_shown(each.old)} -> {_shown(each.new)}{times}"
        )
    measurements = [each for each in changes if each.metric != "status"]
    same = sum(each.verdict == "same" for each in measurements)
    return "\n".join([*lines, f"{same} of {len(measurements)} measurements unchanged within noise"])


def _status(configuration: Mapping[str, Any]) -> str:
    return (
        "not run" if configuration["status"] == "measured" and not measured(configuration) else configuration["status"]
    )


def _change_of_status(name: str, old: str | None, new: str | None) -> Change:
    verdict: Verdict = "other"
    if None not in (old, new) and "measured" in (old, new):
        verdict = "better" if new == "measured" else "worse"
    if "not run" in (old, new):  # its run was stopped, which tells nothing about it
        verdict = "other"
    return Change(name, "status", old, new, None, verdict)


def _times_the_baseline(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """New over old of each (configuration, metric)'s ratio to the baseline, where both reports have it."""
    before, after = (
        {(ratio["of"], ratio["metric"]): ratio["median"] for ratio in report["ratios"]} for report in (old, new)
    )
    return {key: after[key] / before[key] for key in before.keys() & after.keys() if before[key] > 0}


def _measurements(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any], drift: Mapping[tuple[str, str], float]
) -> Iterator[Change]:
    rounds = min(len(old["rounds"]), len(new["rounds"]))
    least = LEAST_OF_ONE if rounds == 1 else LEAST_OF_FEW if rounds < FEW else LEAST
    for metric in dict.fromkeys([*new["summary"], *old["summary"]]):
        if rounds < FEW and metric in TAILS:
            continue
        beside_baseline = drift.get((name, metric))
        yield _change(name, metric, old["summary"].get(metric), new["summary"].get(metric), least, beside_baseline)
    for metric, limit in (("size_bytes", LEAST_SIZE), ("elsewhere_share", 1.0)):
        before, after = old.get(metric), new.get(metric)
        if before or after:
            yield _change(name, metric, _point(before), _point(after), limit)
    for which in ("min", "mean"):
        before, after = ((each.get("cosine") or {}).get(which) for each in (old, new))
        if before is not None or after is not None:
            yield _change_of_cosine(name, f"cosine_{which}", before, after)


def _point(number: float | None) -> Mapping[str, float] | None:
    return None if number is None else {"median": number, "low": number, "high": number}


def _change(
    name: str,
    metric: str,
    old: Mapping[str, float] | None,
    new: Mapping[str, float] | None,
    least: float,
    beside_baseline: float | None = None,
) -> Change:
    if old is None or new is None:
        before_only, after_only = (each["median"] if each else None for each in (old, new))
        return Change(name, metric, before_only, after_only, None, "other")
    before, after = old["median"], new["median"]
    ratio = after / before if before > 0 else None
    apart = old["high"] < new["low"] or new["high"] < old["low"]
    beyond = before != after if not ratio else max(ratio, 1 / ratio) > least
    if ratio and beside_baseline is not None:  # what the baseline did as well is the machine's doing
        beyond = beyond and (beside_baseline > least if ratio > 1 else beside_baseline < 1 / least)
    verdict: Verdict = "same"
    if apart and beyond:
        verdict = "better" if (after > before) == more_is_better(metric) else "worse"
    return Change(name, metric, before, after, ratio, verdict)


def _change_of_cosine(name: str, metric: str, old: float | None, new: float | None) -> Change:
    if old is None or new is None:
        return Change(name, metric, old, new, None, "other")
    verdict: Verdict = "worse" if old - new > LEAST_COSINE else "better" if new - old > LEAST_COSINE else "same"
    return Change(name, metric, old, new, new / old if old else None, verdict)


def _differences(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[str]:
    """What else than the code may have made a difference."""
    for key in ("cpu", "cores", "python"):
        if old["machine"][key] != new["machine"][key]:
            yield f"{key} is not the old report's: {old['machine'][key]} -> {new['machine'][key]}"
    versions = [_versions(report) for report in (old, new)]
    for package in sorted(versions[0].keys() & versions[1].keys()):
        if versions[0][package] != versions[1][package]:
            pair = " -> ".join(", ".join(sorted(found[package])) for found in versions)
            yield f"{package} is not the old report's: {pair}"
    for key in dict.fromkeys([*old["settings"], *new["settings"]]):
        pair_of = old["settings"].get(key), new["settings"].get(key)
        if pair_of[0] != pair_of[1] and key != "minutes":  # the limit alone changes no number
            what = key if key == "texts" else f"setting {key}"
            yield f"{what} is not the old report's: {json.dumps(pair_of[0])} -> {json.dumps(pair_of[1])}"
    for which, report in (("old", old), ("new", new)):
        if not report["complete"]:
            yield f"the {which} report is partial"
        if any(len(each["rounds"]) == 1 for each in report["configurations"]):
            yield (
                f"the {which} report has configurations with a single round, and so no range: there only more than "
                f"a factor of {LEAST_OF_ONE:g} counts"
            )


def _versions(report: Mapping[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for configuration in report["configurations"]:
        for package, version in configuration.get("versions", {}).items():
            found.setdefault(package, set()).add(version)
    return found


def _shown(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or "not there"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.7g}" if 0.9 < value <= 1 else f"{value:.4g}"


def _faults(value: Any, schema: Mapping[str, Any], shared: Mapping[str, Any], where: str) -> Iterator[str]:
    """Where the value is not what the schema says: types, required keys, allowed words. What a program that reads the
    report would stumble over; the `jsonschema` package, which knows all of JSON Schema, is for the tests."""
    if "$ref" in schema:
        schema = shared[schema["$ref"].rpartition("/")[2]]
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_is(value, each) for each in types):
        yield f"{where or 'it'} is not {' or '.join(types)}"
        return
    if value not in schema.get("enum", [value]):
        yield f"{where} is {value!r}"
    if isinstance(value, Mapping):
        yield from (
            f"{where}{'.' * bool(where)}{key} is missing" for key in schema.get("required", []) if key not in value
        )
        for key, part in value.items():
            inner = schema.get("properties", {}).get(key) or _pattern(schema)
            yield from _faults(part, inner, shared, f"{where}{'.' * bool(where)}{key}")
    if isinstance(value, Sequence) and not isinstance(value, str):
        for number, part in enumerate(value):
            yield from _faults(part, schema.get("items", {}), shared, f"{where}[{number}]")


def _is(value: Any, name: str) -> bool:
    kinds: dict[str, type | tuple[type, ...]] = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "null": type(None),
        "integer": int,
        "number": (int, float),
    }
    if name in ("integer", "number") and isinstance(value, int | float) and not _is_finite(value):
        return False  # JSON has no NaN, though Python reads and writes it
    return isinstance(value, kinds[name]) and (name == "boolean" or not isinstance(value, bool))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _pattern(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What keys stand for that have no name of their own: here all of an object's are of one kind."""
    others: Iterable[Any] = schema.get("patternProperties", {}).values()
    more = schema.get("additionalProperties")
    return next(iter(others), more if isinstance(more, dict) else {})
