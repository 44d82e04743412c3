"""The benchmark's report as a type: what report.json holds, in which unit and range (json_file.py reads it).

Units stand in the names: _s seconds, _ms milliseconds, _bytes bytes (1 MB = 1,000,000 bytes), _per_s texts per second.
What is optional here is what a report may lack where a configuration was not measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from .values import METRIC, Amount, Count, Direction, Engine, Flag, Number, Positive, Rates, Share, Status, Text

__all__ = [
    "FORMAT",
    "Cosine",
    "Machine",
    "Outcome",
    "Ratio",
    "Report",
    "Round",
    "Score",
    "Settings",
    "Spread",
    "Texts",
]

FORMAT: Final = 1  # grows when a field changes its meaning or goes

WHOLE = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One metric over the rounds, in the unit its name tells."""

    __pydantic_config__ = WHOLE
    median: Number
    """Median over rounds."""
    low: Number
    """The lowest round."""
    high: Number
    """The highest round."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One configuration's metric over another's, taken round by round: both ran within the same minutes.

    Above 1 is more texts a second; for times and memory, below 1 is better. There is none where the two do not mean the
    same: a page's cold start and memory, and the latency of what has no tokenizer.
    """

    __pydantic_config__ = WHOLE
    of: Text
    """Name of the configuration."""
    to: Text
    """Name of the one it is divided by: the baseline."""
    metric: Text
    """Which metric, as in summary."""
    median: Number
    """Median of the rounds' ratios."""
    low: Number
    """Their lowest."""
    high: Number
    """Their highest."""
    rounds: Positive
    """Rounds in which both were measured."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a model scores, and what it weighs."""

    __pydantic_config__ = WHOLE
    name: Text
    """Name of the model."""
    size_mb: Annotated[Number, Field(gt=0)]
    """Size of the file with its weights, MB."""
    score: Number
    """CatAVG: the mean over kinds of tasks of the mean score, in points of 100."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What it ran on."""

    __pydantic_config__ = WHOLE
    cpu: Text
    """Name of the processor, as the system tells it."""
    cores: Positive
    """Logical cores the benchmark was allowed to use."""
    load_average: Amount | None
    """Processes that wanted a core over the minute before the run: others' work makes every number worse. null where
    the system does not tell.
    """
    memory_bytes: Count | None
    """Memory of the machine, bytes; null where the system does not tell."""
    system: Text
    """Operating system, its release, and the architecture."""
    python: Text
    """Version of the Python that ran the benchmark and its Python runners."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts that were embedded."""

    __pydantic_config__ = WHOLE
    source: Text
    """Name of the file they come from."""
    count: Positive
    """How many; taken in order, from the first again after the last."""
    mean_characters: Amount
    """Mean length, characters."""
    not_ascii: Share
    """Share of them with a character beyond ASCII, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How it was measured."""

    __pydantic_config__ = WHOLE
    rounds: Count
    """Rounds that were run; one that was stopped counts. Every configuration runs once a round, in a process of its
    own, so that whatever the machine does hits all of them.
    """
    minutes: Amount | None
    """Time the whole run was given, minutes; null for no limit."""
    batches: Annotated[list[Positive], Field(min_length=1)]
    """Texts a call, for throughput."""
    latency_calls: Positive
    """Timed calls of one text each, a round."""
    warmup_calls: Count
    """Untimed calls before them, at least."""
    warmup_seconds: Amount
    """In a browser, which compiles while it runs, the untimed calls take at least so many seconds."""
    batch_seconds: Amount
    """Least time that a batch size was measured a round, seconds."""
    pinned: Flag
    """Whether each process was held to as many cores as it has threads."""
    texts: Texts
    """The texts that were embedded."""
    golden_texts: Count
    """Texts on which vectors were held against the reference; 0 where none were."""


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Cosines between its vectors and the float32 reference's for the golden texts."""

    __pydantic_config__ = WHOLE
    min: Direction
    """The worst text's."""
    mean: Direction
    """The mean over texts."""
    texts: Positive
    """How many texts."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one process measured."""

    __pydantic_config__ = WHOLE
    round: Positive
    """Which round of the run it was, from 1: what has the same number ran within the same minutes."""
    load_s: Amount
    """Loading the model (creating the session), seconds, without importing the library."""
    first_vector_s: Amount
    """Cold start: from before the process was started to its first vector, seconds; in a browser, which is open
    already, from going to the page. The model's file is in the system's cache.
    """
    latency_ms: dict[Literal["p50", "p95", "p99"], Amount]
    """Latency of one text a call, milliseconds, by percentile over the calls of this round; p95 is missing under 20
    calls, p99 under 100. From the string; from token ids where a graph takes ids and its runner has no tokenizer (then
    throughput is empty).
    """
    throughput: Rates
    """Texts per second from strings, by texts a call; everything a caller does is timed, tokenizing too. null for a
    size that was skipped, as one call of it would have taken too long. Empty where the runner has no tokenizer.
    """
    from_ids: Rates
    """Texts per second from token ids, by texts a call. Not comparable with rates from strings. Empty where not
    measured.
    """
    labels: Rates = field(default_factory=dict)
    """Texts per second from strings to labels, by texts a call, where a classifier's text graph runs on the CPU.
    Missing where not measured.
    """
    rss_first_bytes: Number | None
    """Peak resident memory up to the first vector, bytes above the process's start (before its imports); null where not
    known.
    """
    rss_peak_bytes: Number | None
    """Peak resident memory up to the end of what is timed, bytes above the process's start; null where not known."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One model in one form, on one provider, with one number of threads."""

    __pydantic_config__ = ConfigDict(
        **WHOLE,
        json_schema_extra={
            "if": {"properties": {"status": {"const": "measured"}}, "required": ["status"]},
            "then": {
                "required": ["size_bytes", "versions", "device", "nodes", "cosine", "summary", "latency_quantiles_ms"],
                "properties": {"rounds": {"minItems": 1}, "reason": {"type": "null"}},
            },
            "else": {"properties": {"reason": {"type": "string", "minLength": 1}}},
        },
    )
    name: Text
    """Unique in the report. Two reports are compared by it."""
    model: Text
    """Name of the model."""
    runner: Text
    """What ran it: edge-potion (Python), onnxruntime-node, onnxruntime-web (a headless browser), or the name of a
    peer's library.
    """
    peer: Flag
    """Whether it is another library, for comparison."""
    graph: Text | None
    """text (bytes in), bag (flat token ids and offsets in), tokens (padded ids and mask in); null for a peer that has
    no graph.
    """
    precision: Text | None
    """int8, float16 or float32: how the table is stored; null where not known."""
    provider: Text
    """Execution provider asked for: cpu, wasm, webgpu, cuda and so on."""
    threads: Positive
    """Threads it was allowed."""
    engine: Engine | None = None
    """What ran the graph; missing for a peer, and in a report of a time when ONNX Runtime alone did."""
    status: Status
    """measured: has numbers. absent: this machine lacks what it needs. fell back: another provider than the one asked
    for would have run it, so it was not timed. failed: did not load, did not run, or gave wrong numbers. not run: the
    run was stopped before.
    """
    reason: Text | None
    """One line why it was not measured; null where it was."""
    size_bytes: Count | None = None
    """Size of the graph file, or of a peer's model files, bytes; null where not known."""
    versions: dict[Text, Text] = field(default_factory=dict)
    """Version of each library that took part, by its name; and which kernels the native engine took, as "kernels"."""
    device: Text | None = None
    """The GPU or other device, as its driver names it; null for the processor."""
    nodes: dict[Text, Count] | None = None
    """How many graph nodes each provider really ran; null where the runtime does not tell."""
    elsewhere: dict[Text, list[Text]] = field(default_factory=dict)
    """Names of the nodes that ran on another provider than the one asked for, by that provider. Empty where all ran as
    asked, or where the runtime does not tell.
    """
    elsewhere_share: Share = 0.0
    """Share of the graph's nodes that ran elsewhere, 0 to 1 (of their number, not of time)."""
    cosine: Cosine | None = None
    """Cosines between its vectors and the float32 reference's for the golden texts; null where not compared."""
    rounds: list[Round]
    """What each round measured, in order."""
    summary: dict[Annotated[str, Field(pattern=METRIC)], Spread] = field(default_factory=dict)
    """Each metric over the rounds; one that was not measured is missing. load_s: loading the model; first_vector_s:
    cold start; p50_ms, p95_ms, p99_ms: latency of one text a call; rss_first_bytes, rss_peak_bytes: resident memory
    above the process's start; texts_per_s_N from strings and from_ids_per_s_N from token ids, at N texts a call;
    labels_per_s_N from strings to labels.
    """
    latency_quantiles_ms: dict[Annotated[str, Field(pattern="^[1-9][0-9]?$")], Amount] = field(default_factory=dict)
    """Latency of one text a call, milliseconds, by percentile (1 to 99), over the calls of all rounds together."""

    def __post_init__(self) -> None:
        if self.status == "measured" and (self.reason is not None or not self.rounds):
            raise ValueError("what was measured has at least one round, and no reason why not")
        if self.status != "measured" and not self.reason:
            raise ValueError("what was not measured needs a reason")

    @property
    def measured(self) -> bool:
        """Whether it has numbers that count."""
        return self.status == "measured" and bool(self.summary)

    @property
    def label(self) -> str:
        """Its name without the model's, as it stands under the model; a peer is called one."""
        name = self.name.removeprefix(f"{self.model} ")
        return f"{name} (peer)" if self.peer else name

    @property
    def in_browser(self) -> bool:
        """Whether Chromium ran it."""
        return self.runner == "onnxruntime-web"

    @property
    def from_ids_alone(self) -> bool:
        """Whether its runner has no tokenizer, so that its latency, too, is that of token ids."""
        kinds = {metric.partition("_per_s_")[0] for metric in self.summary if "_per_s_" in metric}
        return kinds == {"from_ids"}

    def median(self, metric: str) -> float | None:
        """A metric's median over rounds; None where it was not measured."""
        return self.summary[metric].median if metric in self.summary else None


@dataclass(frozen=True, kw_only=True)
class Report:
    """report.json, as `edge-potion benchmark` writes it.

    Units stand in the names: _s seconds, _ms milliseconds, _bytes bytes (1 MB = 1,000,000 bytes), _per_s texts per
    second. Fields may be null only where that is said.
    """

    __pydantic_config__ = ConfigDict(**WHOLE, title=f"edge-potion benchmark report, format {FORMAT}")
    format: Literal[1] = FORMAT
    """Number of this format. It grows when a field changes its meaning or goes."""
    edge_potion: Text
    """Version of edge-potion that measured."""
    started: Text
    """When the run began: ISO 8601 with offset."""
    seconds: Amount
    """How long the whole run took, seconds of wall clock."""
    complete: Flag
    """false where it was interrupted, or its time was up before every configuration had its first round."""
    stopped: Literal["interrupted", "time"] | None
    """What stopped it: the user (interrupted), or the time it was given (time). null for a complete run."""
    machine: Machine
    """What it ran on."""
    settings: Settings
    """How it was measured."""
    configurations: list[Outcome]
    """Everything that was asked for, measured or not, in the order it was asked for."""
    ratios: list[Ratio]
    """Configurations beside the baseline peer (model2vec at float32, with the same number of threads)."""
    scores: list[Score]
    """Task scores of models, taken from a report of `edge-potion evaluate`; empty where none was named."""

    @property
    def measured(self) -> list[Outcome]:
        """The configurations with numbers, in order."""
        return [outcome for outcome in self.configurations if outcome.measured]

    @property
    def rough(self) -> bool:
        """Whether no configuration has more than one round, so that nothing tells noise from difference."""
        return self.settings.rounds == 1

    def by_model(self) -> Iterator[tuple[str, list[Outcome]]]:
        """The configurations of each model, both in the report's order."""
        for model in dict.fromkeys(outcome.model for outcome in self.configurations):
            yield model, [outcome for outcome in self.configurations if outcome.model == model]
