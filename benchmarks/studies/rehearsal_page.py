"""docs/results/rehearsal.md: what the published recipe took on stand-ins, and what follows from it for the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_potion.escaping import markdown

from .page_parts import Report, source, table

__all__ = ["rehearsal_page", "teacher_flops"]

COMMAND = "python -m edge_potion.benchmarks.studies.rehearsal"
MB, GB, TERA, PETA = 10**6, 10**9, 10**12, 10**15
WHOLE_SENTENCES, VOCABULARY, STUDENT_WIDTH = 500_000, 63_000, 512  # of the published recipe
# What a token of the vocabulary, or a word of the corpus, is to the teacher: one to four pieces, [CLS] and [SEP].
TOKENS_A_WORD = 4
FLOPS_A_WEIGHT = 2  # a multiplication and an addition
WEIGHTS_A_LAYER = 12  # times the width squared: four square matrices of attention, and two of four times the width
# Shares of a card's peak that are assumed, not measured: sentences are short, and a batch has 32,768 tokens.
BFLOAT16_SHARE, FLOAT32_SHARE = 0.3, 0.6
TEACHER_STAGES = ("1-distill", "2-featurize")
FLOAT16, FLOAT32 = 2, 4  # bytes


@dataclass(frozen=True)
class Card:
    """A GPU: dense TFLOPS at bfloat16 and at float32, by its maker's data sheet."""

    name: str
    bfloat16: float
    float32: float


CARDS = (Card("NVIDIA A10G", 70, 35), Card("NVIDIA L4", 121, 30.3), Card("NVIDIA H100 SXM", 989, 67))


def teacher_flops(layers: int, width: int, tokens: float) -> float:
    """Floating-point operations of a BERT, whose inner width is four times its own, on a text of so many tokens."""
    matrices = FLOPS_A_WEIGHT * WEIGHTS_A_LAYER * width**2
    attention = 2 * FLOPS_A_WEIGHT * tokens * width  # scores, and what they weigh
    return layers * (matrices + attention) * tokens


def rehearsal_page(report: Report, name: str) -> dict[str, str]:
    """The page, by its path in docs/."""
    runs = report["runs"]
    of_shape = {run["shape"]["name"]: run for run in runs}  # the last of each
    killed = [run for run in runs if "kills" in run]
    parts = ["# The published recipe, rehearsed", _what(runs)]
    parts += [part for run in of_shape.values() if run["shape"]["name"] != "thin" for part in _measured(run)]
    parts += ["## Killed in each stage", *map(_kills, killed)] if killed else []
    parts += ["## 500,000 sentences", *_extrapolated(of_shape["whole"], of_shape["wide"])]
    parts += [source(name, COMMAND)]
    return {"results/rehearsal.md": "\n\n".join(parts) + "\n"}


def _what(runs: Sequence[Report]) -> str:
    machine, versions = runs[0]["machine"], runs[0]["versions"]
    named = ", ".join(f"{package} {version}" for package, version in versions.items() if package != "edge-potion")
    return (
        "`edge-potion train --recipe potion-256d --out my-run`, with fewer sentences, against a hub on the same "
        "machine. It serves stand-ins: a teacher laid out as mxbai-embed-large-v1 is on the hub, with random weights, "
        "and shards in C4's layout, which `datasets` streams. So times, memory and bytes are real, and scores would "
        f"mean nothing. One thread of {markdown(machine['cpu'])}, Python {machine['python']}, {named}. Other work "
        "shared its cores: the seconds are those of the CPU, and on an idle core they would be fewer."
    )


def _measured(run: Report) -> list[str]:
    shape, changed = run["shape"], ", ".join(f"`{change}`" for change in run["changed"])
    rows = [
        [
            stage["stage"],
            f"{stage['cpu_seconds'] or 0:,.1f}",
            f"{stage['peak_memory_mb']:,}",
            _mb(stage["hub_bytes"] or 0),
            _mb(stage["disk_bytes"]),
        ]
        for stage in run["stages"]
    ]
    around = run["before_and_after"]
    rows.insert(0, ["download, load, check", f"{around['cpu_seconds']:,.1f}", "", _mb(around["hub_bytes"]), ""])
    return [
        f"## {run['sentences']:,} sentences, a teacher of {shape['layers']} x {shape['width']}",
        f"Layers of the teacher: {shape['layers']}; width {shape['width']}, inner width {shape['inner']}. "
        f"{_tokens(run):,} tokens in the table{f'; changed: {changed}' if changed else ''}.",
        table(["", "CPU s", "peak memory, MB", "from the hub, MB", "on disk, MB"], rows),
    ]


def _kills(run: Report) -> str:
    moments = ", ".join(f"{name} after {seconds:.2g} s" for name, seconds in run["kills"].items())
    return (
        f"{run['sentences']:,} sentences, a teacher of {run['shape']['layers']} x {run['shape']['width']}: killed with "
        f"SIGKILL in each stage ({moments}), and the same command given again each time: "
        f"{'the same bytes' if run['same_bytes'] else 'OTHER BYTES'} as undisturbed."
    )


def _extrapolated(whole: Report, wide: Report) -> list[str]:
    shape, tokens = whole["shape"], whole["teacher_tokens_a_sentence"]
    flops = teacher_flops(shape["layers"], shape["width"], tokens)
    featurize = WHOLE_SENTENCES * flops
    distill = VOCABULARY * teacher_flops(shape["layers"], shape["width"], TOKENS_A_WORD)
    cards = [
        [
            card.name,
            f"{card.bfloat16:g} / {card.float32:g}",
            _minutes(distill / (card.float32 * TERA * FLOAT32_SHARE)),
            _minutes(featurize / (card.float32 * TERA * FLOAT32_SHARE)),
            _minutes(featurize / (card.bfloat16 * TERA * BFLOAT16_SHARE)),
        ]
        for card in CARDS
    ]
    seconds = _stage(whole, "2-featurize")["cpu_seconds"] / whole["sentences"]
    times = WHOLE_SENTENCES / wide["sentences"]
    others = [stage for stage in wide["stages"] if stage["stage"] not in TEACHER_STAGES]
    own = [
        [
            stage["stage"],
            f"{stage['cpu_seconds'] or 0:,.1f}",
            _minutes((stage["cpu_seconds"] or 0) * _scale(stage, times)),
        ]
        for stage in others
    ]
    return [
        "Nothing from here on is measured: it is worked out from the tables above.",
        f"**The teacher.** A sentence is {tokens:.1f} tokens to it, [CLS] and [SEP] included. A token takes "
        f"2 x 12 x {shape['width']}² operations a layer, and attention a little: {flops / GB:.1f} GFLOP a sentence, "
        f"{featurize / PETA:.1f} PFLOP for {WHOLE_SENTENCES:,}; {VOCABULARY:,} rows of the table, at {TOKENS_A_WORD} "
        f"tokens each, {distill / TERA:,.0f} TFLOP. On a GPU, at an assumed {BFLOAT16_SHARE:.0%} of the data sheet's "
        f"dense bfloat16 peak and {FLOAT32_SHARE:.0%} of its float32 peak, minutes:",
        table(
            ["", "peak TFLOPS, bfloat16 / float32", "distill", "featurize, as published (float32)", "in bfloat16"],
            cards,
        ),
        f"Without one: {seconds:.2f} CPU s a sentence were measured above, so {WHOLE_SENTENCES:,} take "
        f"{WHOLE_SENTENCES * seconds / 3600:,.0f} hours of one such core.",
        f"**All other stages**, on one core: the {wide['sentences']:,} sentences' CPU seconds, and {times:g} times as "
        "many where they grow with the sentences, in minutes. They are too high, as each stage's fixed part grows with "
        "it here.",
        table(["", f"{wide['sentences']:,}, CPU s", f"{WHOLE_SENTENCES:,}, minutes"], own),
        f"**Disk**: {_disk(shape['width'], _stage(wide, '2-pairs')['tokens'] / wide['sentences'])}",
    ]


def _scale(stage: Mapping[str, Any], times: float) -> float:
    """Power and PCA see the table alone."""
    return 1 if stage["stage"] in ("5-power", "6-pca") else times


def _disk(width: int, student_tokens: float) -> str:
    features = WHOLE_SENTENCES * width * FLOAT16
    targets = WHOLE_SENTENCES * STUDENT_WIDTH * FLOAT16
    ids = WHOLE_SENTENCES * student_tokens * FLOAT32
    model = VOCABULARY * STUDENT_WIDTH * FLOAT32
    lines = {
        "the teacher in the hub's cache": 670 * MB,
        f"features, {WHOLE_SENTENCES:,} x {width} float16": features,
        f"pairs, {WHOLE_SENTENCES:,} x {STUDENT_WIDTH} float16 and token ids": targets + ids,
        f"four tables of {VOCABULARY:,} x {STUDENT_WIDTH} float32, and two of half the width": 5 * model,
        "while a stage is at work, the targets once more, and a checkpoint of four tables": targets + 4 * model,
    }
    listed = "; ".join(f"{what}, {size / GB:.2f} GB" for what, size in lines.items())
    return f"{listed}: {sum(lines.values()) / GB:.1f} GB in all."


def _stage(run: Report, name: str) -> Mapping[str, Any]:
    return next(stage for stage in run["stages"] if stage["stage"] == name)


def _tokens(run: Report) -> int:
    return int(_stage(run, "1-distill")["tokens"])


def _mb(size: int) -> str:
    return f"{size / MB:,.1f}" if size else ""


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"
