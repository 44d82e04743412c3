"""The rows of a benchmark: what each configuration gave, round by round, and what the report says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

from edge_potion.errors import ModelFormatError
from edge_potion.golden import Golden, check_parity, cosines

from .configurations import Configuration
from .peers import BASELINE
from .report.model import Cosine, Outcome, Ratio, Round, Spread
from .report.values import Status

__all__ = ["Row", "cosine_of", "outcomes_of", "ratios_of", "round_of"]

QUANTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
PERCENTILES: dict[Literal["p50", "p95", "p99"], tuple[int, int]] = {  # and the calls below which it is the slowest one
    "p50": (50, 1),
    "p95": (95, 20),
    "p99": (99, 100),
}


@dataclass
class Row:
    """What is known of a configuration so far."""

    configuration: Configuration
    status: Status = "not run"
    reason: str | None = "the time was up before its turn"
    runtime_facts: Mapping[str, Any] = field(default_factory=dict)  # versions, device and nodes, as the runner has them
    cosine: Cosine | None = None
    rounds: list[Round] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)


def cosine_of(vectors: Path, dims: Sequence[int], golden: Golden, precision: str | None = None) -> Cosine:
    """Cosines to the float32 oracle over the golden texts; `precision`: that whose tolerance they are held to.

    Raises:
        ModelFormatError: the vectors are not as many, or not numbers.
        ParityError: they stray further than the bundle allows.
    """
    embedded = np.fromfile(vectors, "<f4").reshape(dims)  # (M, D) f32, of M golden texts
    if embedded.shape != golden.vectors.shape:
        raise ModelFormatError(
            f"vectors of shape {embedded.shape} for the golden texts; {golden.vectors.shape} expected"
        )
    if not np.isfinite(embedded).all():
        bad = int((~np.isfinite(embedded)).any(axis=1).sum())
        raise ModelFormatError(f"NaN or inf in the vectors of {bad} of the {len(embedded)} golden texts")
    if precision is not None:
        # The runners in JavaScript take NUL out of a text; what it stands for else is the tokenizer's choice.
        places = [place for place, text in enumerate(golden.texts) if "\0" not in text]
        check_parity(golden.at(places), embedded[places], precision, "its vectors")
    agreement = cosines(embedded, golden.vectors)
    return Cosine(min=float(agreement.min()), mean=float(agreement.mean()), texts=len(agreement))


def round_of(answer: Mapping[str, Any], number: int) -> Round:
    """What is kept of one turn, in round `number`.

    Raises:
        ValueError: one of its numbers is none.
    """
    latency = np.array(answer["latency_ms"])
    start = answer["rss_start_bytes"]

    def above_start(key: str) -> float | None:
        return answer[key] - start if start is not None and answer[key] is not None else None

    measured = Round(
        round=number,
        load_s=answer["load_s"],
        first_vector_s=answer["first_vector_s"],
        latency_ms={
            name: float(np.percentile(latency, percent))
            for name, (percent, fewest) in PERCENTILES.items()
            if len(latency) >= fewest
        },
        throughput=answer["throughput"],
        from_ids=answer["from_ids"],
        labels=answer.get("labels", {}),
        rss_first_bytes=above_start("rss_first_bytes"),
        rss_peak_bytes=above_start("rss_peak_bytes"),
    )
    numbers = [*_numbers(measured).items(), *(("latency_ms", milliseconds) for milliseconds in answer["latency_ms"])]
    for name, value in numbers:
        if value is not None and not (type(value) in (int, float) and math.isfinite(value)):
            raise ValueError(f"{name} is {value!r}")
    return measured


def outcomes_of(rows: Sequence[Row]) -> list[Outcome]:
    """The configurations of the report: what is absent as a whole stands there once, not for every graph."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        alike.setdefault((row.configuration.model, row.configuration.provider), []).append(row)
    outcomes: list[Outcome] = []
    for (model, provider), group in alike.items():
        if len(group) > 1 and {row.status for row in group} == {"absent"} and len({row.reason for row in group}) == 1:
            one = _outcome(group[0])
            outcomes.append(replace(one, name=f"{model} {provider}", graph=None, precision=None, size_bytes=None))
        else:
            outcomes += map(_outcome, group)
    return outcomes


def _outcome(row: Row) -> Outcome:
    asked = row.configuration
    nodes: Mapping[str, Sequence[str]] = row.runtime_facts.get("nodes") or {}
    home = asked.job.get("provider", asked.provider)
    elsewhere = {name: list(some) for name, some in nodes.items() if name != home}
    total = sum(map(len, nodes.values()))
    quantiles = np.percentile(row.latencies_ms, QUANTILES).tolist() if row.latencies_ms else []
    return Outcome(
        name=asked.name,
        model=asked.model,
        runner=asked.runner,
        peer=asked.peer,
        graph=asked.graph,
        precision=asked.precision,
        provider=asked.provider,
        threads=asked.threads,
        engine=asked.engine,
        status=row.status,
        reason=None if row.status == "measured" else row.reason or "its runner gave no reason",
        size_bytes=asked.size_bytes,
        versions=row.runtime_facts.get("versions") or {},
        device=row.runtime_facts.get("device"),
        nodes={name: len(some) for name, some in nodes.items()} or None,
        elsewhere=elsewhere,
        elsewhere_share=sum(map(len, elsewhere.values())) / total if total else 0.0,
        cosine=row.cosine,
        rounds=list(row.rounds),
        summary={name: _spread(values) for name, values in _metrics(row).items()},
        latency_quantiles_ms={str(q): value for q, value in zip(QUANTILES, quantiles, strict=False)},
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median=median(values), low=min(values), high=max(values))


def _metrics(row: Row) -> dict[str, list[float]]:
    """Each number by its name, round by round; only what every round has."""
    by_round = [_numbers(one) for one in row.rounds]
    names = by_round[0] if by_round else {}
    columns = {name: [numbers.get(name) for numbers in by_round] for name in names}
    return {name: [v for v in values if v is not None] for name, values in columns.items() if None not in values}


def _numbers(one: Round) -> dict[str, float | None]:
    """The numbers of one round by their names in `summary`."""
    return {
        "load_s": one.load_s,
        "first_vector_s": one.first_vector_s,
        "rss_first_bytes": one.rss_first_bytes,
        "rss_peak_bytes": one.rss_peak_bytes,
        **{f"{name}_ms": value for name, value in one.latency_ms.items()},
        **{f"texts_per_s_{batch}": rate for batch, rate in one.throughput.items()},
        **{f"from_ids_per_s_{batch}": rate for batch, rate in one.from_ids.items()},
        **{f"labels_per_s_{batch}": rate for batch, rate in one.labels.items()},
    }


def ratios_of(rows: Sequence[Row]) -> list[Ratio]:
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
        ours, theirs = ({one.round: _numbers(one) for one in some.rounds} for some in (row, base))
        both = [number for number in ours if number in theirs]
        for metric in _metrics(row):
            if not _alike(metric, row):
                continue
            pairs = [(ours[number].get(metric), theirs[number].get(metric)) for number in both]
            by_round = [a / b for a, b in pairs if a is not None and b]
            if by_round:
                spread = vars(_spread(by_round))
                to = base.configuration.name
                ratios.append(Ratio(of=name, to=to, metric=metric, rounds=len(by_round), **spread))
    return ratios


def _alike(metric: str, row: Row) -> bool:
    """Whether a metric of a row means what it means of the baseline, which starts from strings, in a process."""
    from_strings = any(one.throughput for one in row.rounds)
    own_process = not row.configuration.in_browser or metric.startswith(("texts_per_s", "from_ids", "p"))
    return own_process and (from_strings or metric.startswith("from_ids"))
