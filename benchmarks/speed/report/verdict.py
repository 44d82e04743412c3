"""What to ship, in one sentence that says what it costs; why; and what must be said before any number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .columns import USUAL_BATCH, as_megabytes, batch_of, counted
from .model import Outcome, Report

__all__ = ["Verdict", "banners", "verdict_of"]

ALIKE = 1.05  # times: of what is as fast within that, the smallest file is the one to ship
PYTHON = "edge-potion"  # the runner that is EdgeModel


@dataclass(frozen=True)
class Verdict:
    """The sentence, and the rule that it follows, with what it leaves out."""

    sentence: str
    why: str


def verdict_of(report: Report) -> Verdict:
    """The fastest of ours on a provider of this machine; where several are as fast, the smallest file.

    What was measured has held its precision's tolerance, so that speed and size alone decide. Node and browsers are
    another place to run in, not another way to run here: they are chosen from where nothing else was measured.
    """
    ours = [outcome for outcome in report.measured if not outcome.peer]
    metric = _metric(report, ours)
    if metric is None:
        return _nothing(report, ours)
    fast = [outcome for outcome in ours if metric in outcome.summary]
    here = [outcome for outcome in fast if outcome.runner == PYTHON] or fast
    best = _best(here, metric)
    several = len({outcome.model for outcome in ours}) > 1
    doubts = [
        *(["a partial report"] if not report.complete else []),
        *(["one round, so rough"] if report.rough else []),
    ]
    ship = f"Ship ({'; '.join(doubts)})" if doubts else "Ship"
    sentence = f"{ship}: {_called(best, several)}: {', '.join(_costs(report, best, metric))}."
    why = ["the only one of ours that was measured"]
    if len(here) > 1:
        of = f"{len(here)} configurations at {batch_of(metric)} texts a call"
        why = [f"the fastest of {of}, or within {ALIKE - 1:.0%} of it and smaller"]
    why += [f"ONNX Runtime has {_rate(same, metric)} with the same file" for same in _in_onnx_runtime(best, here)]
    why += [
        f"{_called(best_there, several)} has {_rate(best_there, metric)}"
        for best_there in _elsewhere(fast, here, metric)
    ]
    why += ["what the models are worth on tasks is not weighed"] if several else []
    return Verdict(sentence, f"Why: {'; '.join(why)}.")


def banners(report: Report) -> Iterator[str]:
    """What stands over all numbers: a report that is not complete, or one of a single round."""
    if not report.complete:
        causes = {"interrupted": "it was interrupted", "time": "its time was up"}
        count, whole = len(report.measured), counted(len(report.configurations), "configuration")
        cause = causes.get(report.stopped or "", "it was stopped")
        yield f"Partial report: {cause} with {count} of {whole} measured."
    if report.rough:
        yield "Rough: one round alone, on a machine that does other things too, strays by up to a factor of two."


def _metric(report: Report, ours: Sequence[Outcome]) -> str | None:
    """Texts/s at 256 a call, or else at the largest number of texts a call that any of ours has."""
    order = sorted(report.settings.batches, key=lambda batch: (batch == USUAL_BATCH, batch), reverse=True)
    names = [f"texts_per_s_{batch}" for batch in order]
    return next((name for name in names if any(name in outcome.summary for outcome in ours)), None)


def _best(outcomes: Sequence[Outcome], metric: str) -> Outcome:
    rates = [(outcome.summary[metric].median, outcome) for outcome in outcomes]
    fastest = max(rate for rate, _ in rates)
    alike = [(outcome.size_bytes or math.inf, -rate, outcome) for rate, outcome in rates if rate * ALIKE >= fastest]
    return min(alike, key=lambda one: one[:2])[2]


def _nothing(report: Report, ours: Sequence[Outcome]) -> Verdict:
    whole = [outcome for outcome in report.configurations if not outcome.peer]
    if ours:
        return Verdict(
            "Ship: open, as nothing of ours was measured from strings.",
            f"Why: {counted(len(ours), 'configuration')} ran from token ids alone, which leaves the tokenizer out.",
        )
    why = (
        f"none of {counted(len(whole), 'configuration')} of ours was measured"
        if whole
        else "none of ours was asked for"
    )
    return Verdict("Ship: open, as nothing of ours was measured.", f"Why: {why}.")


def _called(outcome: Outcome, several: bool) -> str:
    """text int8 on cpu"""
    form = [outcome.model if several else None, outcome.graph, outcome.precision]
    engine = " by the native engine" if outcome.engine == "native" else ""
    threads = f", {outcome.threads} threads" if outcome.threads > 1 else ""
    return f"{' '.join(word for word in form if word)} on {outcome.provider}{engine}{threads}"


def _rate(outcome: Outcome, metric: str) -> str:
    return f"{outcome.summary[metric].median:,.0f} texts/s"


def _costs(report: Report, best: Outcome, metric: str) -> Iterator[str]:
    ratio = next((ratio for ratio in report.ratios if (ratio.of, ratio.metric) == (best.name, metric)), None)
    times = f" ({ratio.median:.1f}x {ratio.to.rpartition(' x')[0] or ratio.to})" if ratio else ""
    yield f"{_rate(best, metric)}{times}"
    if best.size_bytes is not None:
        yield f"{as_megabytes(best.size_bytes)} MB"
    if best.cosine:
        yield f"cosine ≥ {math.floor(best.cosine.min * 1e4) / 1e4:.4f}"


def _in_onnx_runtime(best: Outcome, here: Sequence[Outcome]) -> Iterator[Outcome]:
    """What runs the best one's file where there is no native engine."""
    file = (best.model, best.graph, best.precision, best.provider, best.threads)
    for outcome in here:
        alike = (outcome.model, outcome.graph, outcome.precision, outcome.provider, outcome.threads) == file
        if best.engine == "native" and outcome.engine == "onnxruntime" and alike:
            yield outcome


def _elsewhere(fast: Sequence[Outcome], here: Sequence[Outcome], metric: str) -> Iterator[Outcome]:
    """The best in Node and in a browser, where those are not what was chosen from."""
    for runner in dict.fromkeys(outcome.runner for outcome in fast if outcome not in here):
        yield _best([outcome for outcome in fast if outcome.runner == runner], metric)
