"""The rows of a benchmark: what each configuration gave, round by round, and what the report says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edge_potion.errors import ModelFormatError
from edge_potion.golden import Golden, check_parity, cosines

from .configurations import Configuration
from .peers import BASELINE

__all__ = ["Row", "as_json", "cosine_of", "ratios_of", "round_of"]

QUANTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
FEWEST_CALLS = {"p50": 1, "p95": 20, "p99": 100}  # below it a percentile is the slowest call by another name


@dataclass
class Row:
    """What is known of a configuration so far."""

    configuration: Configuration
    status: str = "not run"
    reason: str | None = "the time was up before its turn"
    told: dict[str, Any] = field(default_factory=dict)  # versions, device and nodes, as the runner told them
    cosine: dict[str, Any] | None = None
    rounds: list[dict[str, Any]] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)


def cosine_of(vectors: Path, dims: Sequence[int], golden: Golden, precision: str | None = None) -> dict[str, Any]:
    """Cosines to the float32 oracle over the golden texts; `precision`: that whose tolerance they are held to.

    Raises:
        ModelFormatError: the vectors are not as many, or not numbers.
        ParityError: they stray further than the bundle allows.
    """
    found = np.fromfile(vectors, "<f4").reshape(dims)
    if found.shape != golden.vectors.shape:
        raise ModelFormatError(f"vectors of shape {found.shape} for the golden texts; {golden.vectors.shape} expected")
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).any(axis=1).sum())
        raise ModelFormatError(f"NaN or inf in the vectors of {bad} of the {len(found)} golden texts")
    if precision is not None:
        # The runners in JavaScript take NUL out of a text; what it stands for else is the tokenizer's choice.
        places = [place for place, text in enumerate(golden.texts) if "\0" not in text]
        check_parity(golden.at(places), found[places], precision, "its vectors")
    agreement = cosines(found, golden.vectors)
    return {"min": float(agreement.min()), "mean": float(agreement.mean()), "texts": len(agreement)}


def round_of(answer: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What is kept of one turn, in round `number`.

    Raises:
        ValueError: one of its numbers is none.
    """
    latency = np.array(answer["latency_ms"])
    start = answer["rss_start_bytes"]
    above = {
        key: answer[key] - start if start is not None and answer[key] is not None else None
        for key in ("rss_first_bytes", "rss_peak_bytes")
    }
    found = {
        "round": number,
        "load_s": answer["load_s"],
        "first_vector_s": answer["first_vector_s"],
        "latency_ms": {
            name: float(np.percentile(latency, int(name[1:])))
            for name, fewest in FEWEST_CALLS.items()
            if len(latency) >= fewest
        },
        "throughput": answer["throughput"],
        "from_ids": answer["from_ids"],
        **above,
    }
    for name, value in [*_numbers(found).items(), *(("latency_ms", each) for each in answer["latency_ms"])]:
        if not _is_number(value):
            raise ValueError(f"{name} is {value!r}")
    return found


def _is_number(value: object) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))  # type: ignore[arg-type]


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The configurations of the report: what is absent as a whole is told once, not for every graph."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        alike.setdefault((row.configuration.model, row.configuration.provider), []).append(row)
    shown: list[dict[str, Any]] = []
    for (model, provider), group in alike.items():
        if len(group) > 1 and {row.status for row in group} == {"absent"} and len({row.reason for row in group}) == 1:
            as_one = {"name": f"{model} {provider}", "graph": None, "precision": None, "size_bytes": None}
            shown.append({**_row_as_json(group[0]), **as_one})
        else:
            shown += map(_row_as_json, group)
    return shown


def _row_as_json(row: Row) -> dict[str, Any]:
    made = row.configuration
    nodes: Mapping[str, Sequence[str]] = row.told.get("nodes") or {}
    home = made.job.get("provider", made.provider)
    elsewhere = {name: list(some) for name, some in nodes.items() if name != home}
    total = sum(map(len, nodes.values()))
    quantiles = np.percentile(row.latencies_ms, QUANTILES).tolist() if row.latencies_ms else []
    return {
        "name": made.name,
        "model": made.model,
        "runner": made.runner,
        "peer": made.peer,
        "graph": made.graph,
        "precision": made.precision,
        "provider": made.provider,
        "threads": made.threads,
        "status": row.status,
        "reason": row.reason,
        "size_bytes": made.size_bytes,
        "versions": row.told.get("versions") or {},
        "device": row.told.get("device"),
        "nodes": {name: len(some) for name, some in nodes.items()} or None,
        "elsewhere": elsewhere,
        "elsewhere_share": sum(map(len, elsewhere.values())) / total if total else 0.0,
        "cosine": row.cosine,
        "rounds": row.rounds,
        "summary": {
            name: {"median": median(values), "low": min(values), "high": max(values)}
            for name, values in _metrics(row).items()
        },
        "latency_quantiles_ms": {str(q): value for q, value in zip(QUANTILES, quantiles, strict=False)},
    }


def _metrics(row: Row) -> dict[str, list[float]]:
    """Each number by its name, round by round; only what every round has."""
    by_round = [_numbers(each) for each in row.rounds]
    names = by_round[0] if by_round else {}
    columns = {name: [each.get(name) for each in by_round] for name in names}
    return {name: [v for v in values if v is not None] for name, values in columns.items() if None not in values}


def _numbers(found: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers of one round by their names."""
    latency = {f"{name}_ms": value for name, value in found["latency_ms"].items()}
    rates = {f"texts_per_s_{batch}": rate for batch, rate in found["throughput"].items()}
    id_rates = {f"from_ids_per_s_{batch}": rate for batch, rate in found["from_ids"].items()}
    single = {key: found[key] for key in ("load_s", "first_vector_s", "rss_first_bytes", "rss_peak_bytes")}
    return {**single, **latency, **rates, **id_rates}


def ratios_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Of each configuration to the baseline with as many threads, over the rounds that both ran in.

    Only of what is alike: not the latency from ids to that from strings, and of a page neither its cold start, which
    begins with a browser that is open, nor its memory, which is a tab's.
    """
    measured = {row.configuration.name: row for row in rows if row.status == "measured"}
    ratios = []
    for name, row in measured.items():
        base = measured.get(f"{BASELINE} x{row.configuration.threads}")
        if base is None or base is row:
            continue
        ours, theirs = ({each["round"]: _numbers(each) for each in some.rounds} for some in (row, base))
        both = [number for number in ours if number in theirs]
        for metric in _metrics(row):
            if not _alike(metric, row):
                continue
            pairs = [(ours[number].get(metric), theirs[number].get(metric)) for number in both]
            by_round = [a / b for a, b in pairs if a is not None and b]
            if by_round:
                spread = {"median": median(by_round), "low": min(by_round), "high": max(by_round)}
                pair = {"of": name, "to": base.configuration.name, "metric": metric}
                ratios.append({**pair, **spread, "rounds": len(by_round)})
    return ratios


def _alike(metric: str, row: Row) -> bool:
    """Whether a metric of a row means what it means of the baseline, which starts from strings, in a process."""
    from_strings = any(found["throughput"] for found in row.rounds)
    own_process = not row.configuration.in_browser or metric.startswith(("texts_per_s", "from_ids", "p"))
    return own_process and (from_strings or metric.startswith("from_ids"))
