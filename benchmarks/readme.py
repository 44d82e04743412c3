"""Write the numbers of README.md from the reports in benchmarks/results, so that none is typed by hand.

    python -m edge_potion.benchmarks.readme [README.md] [--check]

Everything between `<!-- numbers -->` and `<!-- end of numbers -->` is replaced; --check only compares, and exits 1
when the two differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from edge_potion.errors import InputError

__all__ = ["quality_numbers", "speed_numbers", "text_numbers", "training_numbers", "with_numbers"]

BEGIN, END = "<!-- numbers -->\n", "<!-- end of numbers -->"


def main() -> None:
    """Write or check README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readme", type=Path, nargs="?", default=Path("README.md"))
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when the numbers are stale")
    arguments = parser.parse_args()
    old = arguments.readme.read_text(encoding="utf-8")
    new = with_numbers(old, arguments.readme.parent / "benchmarks" / "results")
    if arguments.check:
        sys.exit(old != new)
    arguments.readme.write_text(new, encoding="utf-8")


def with_numbers(readme: str, results: Path) -> str:
    """The README with its numbers section written anew from the newest reports in `results`."""
    if readme.count(BEGIN) != 1 or END not in readme:
        raise InputError(f"README.md needs one {BEGIN.strip()} and one {END}")
    before, rest = readme.split(BEGIN)
    writers = {
        "quality": quality_numbers,
        "text": text_numbers,
        "speed": speed_numbers,
        "training": training_numbers,
    }
    parts = [write(*_newest(results, what)) for what, write in writers.items()]
    return before + BEGIN + "\n".join(parts) + END + rest.split(END, 1)[1]


def _newest(results: Path, what: str) -> tuple[dict[str, Any], str]:
    """A report and the name of its file, <date>_<machine>_<what>.json."""
    reports = sorted(results.glob(f"*_{what}.json"))
    if not reports:
        raise InputError(
            f"{results} holds no *_{what}.json; `make bench`, `make bench-training` and `make bench-quality` write them"
        )
    return json.loads(reports[-1].read_text(encoding="utf-8")), reports[-1].name


def quality_numbers(report: dict[str, Any], name: str) -> str:
    """The Markdown of one quality report."""
    lines = [
        "Task scores of the report half, in points; CatAVG of the tuning half beside them. "
        "All students have the same teacher and sentences ([benchmarks/quality.md](benchmarks/quality.md): every task, "
        "the ablation, the peers' versions).",
        "",
        "| | STS | classification | pairs | CatAVG | tuning half | dims | MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for model in report["models"]:
        scores = [f"{score:.2f}" for score in model["averages"]["report"].values()]
        scores.append(f"{model['averages']['tuning']['CatAVG']:.2f}")
        lines.append(f"| {model['name']} | {' | '.join(scores)} | {model['dims']} | {model['size_mb']:.1f} |")
    remarks = [f"* {remark}" for remark in report["remarks"]]
    return "\n".join([*lines, "", *remarks, "", _source(name, "make bench-quality"), ""])


def speed_numbers(report: dict[str, Any], name: str) -> str:
    """The Markdown of one speed report."""
    machine, versions = report["machine"], report["versions"]
    from_ids = {row["name"]: row for row in report["from_ids"]}
    lines = [
        f"One pinned thread of {machine['cpu']}, {report['sentences']:,} English sentences, batch {report['batch']}, "
        f"median of {report['rounds']} interleaved rounds against model2vec {versions['model2vec']} on the same "
        f"float32 table (onnxruntime {versions['onnxruntime']}, tokenizers {versions['tokenizers']}).",
        "",
        "| | from text, texts/s | ratio | from token ids, texts/s | ratio |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in report["end_to_end"]:
        both = (row, from_ids.get(row["name"]))  # the text graph takes no ids
        cells = [f"{value['texts_per_second']:,.0f} | {_ratio(value)}" if value else " | " for value in both]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", _source(name, "make bench"), ""])


def text_numbers(report: dict[str, Any], name: str) -> str:
    """The Markdown of one report on the text graph."""
    versions = report["versions"]
    lines = [
        f"The text graph at int8, called as it is (texts joined by NUL, in file order, {report['not_ascii']:.1%} of "
        f"them not ASCII), beside model2vec {versions['model2vec']}'s `encode` on the same table: one pinned thread of "
        f"{report['machine']['cpu']}, median of {report['rounds']} interleaved rounds (onnxruntime "
        f"{versions['onnxruntime']}). The file loads in {median(report['load_ms']):.0f} ms and holds "
        f"{report['beyond_the_table_mb']} MB beyond its table.",
        "",
        "| texts a call | text graph, texts/s | model2vec, texts/s | ratio |",
        "|---|---:|---:|---:|",
    ]
    for batch, part in report["batches"].items():
        rates = " | ".join(f"{median(rates):,.0f}" for rates in part["rows_per_s"].values())
        lines.append(f"| {batch} | {rates} | {_spread(part['ratios'][0])} |")
    if "threads" in report:
        lines += [
            "",
            f"`EdgeModel` on two threads is {_spread(report['threads']['ratios'][0])} times as fast as on one.",
        ]
    return "\n".join([*lines, "", _source(name, "make bench"), ""])


def _spread(ratio: dict[str, Any]) -> str:
    return f"{ratio['median']:.2f} ({ratio['lowest']:.2f}-{ratio['highest']:.2f})"


def training_numbers(report: dict[str, Any], name: str) -> str:
    """The Markdown of one training report."""
    contrast, featurize = report["contrast"], report["featurize"]
    table, peer = " x ".join(f"{side:,}" for side in contrast["table"]), contrast["peer_versions"]["tokenlearn"]
    lines = [
        f"Training and featurizing on {report['machine']['threads']} threads of {report['machine']['cpu']}, median of "
        f"{report['rounds']} interleaved rounds: one epoch of {contrast['rows']:,} sentences at batch "
        f"{contrast['batch']} on a table of {table}, beside Tokenlearn {peer}'s own module and step with the "
        f"same loss; {featurize['texts']:,} texts through all-MiniLM-L6-v2, beside sentence-transformers.",
        "",
        "| | rows/s | ours is times |",
        "|---|---:|---:|",
    ]
    for part in (contrast, featurize):
        ratios = {ratio["to"]: ratio for ratio in reversed(part["ratios"])}  # the first of a peer counts: the whole
        for who, rates in part["rows_per_s"].items():
            times = ratios.get(who)
            cell = f"{times['median']:.1f} ({times['lowest']:.1f}-{times['highest']:.1f})" if times else ""
            lines.append(
                f"| {'contrast' if part is contrast else 'featurize'}: {who} | {median(rates):,.0f} | {cell} |"
            )
    scores = "; ".join(f"{who} {score}" for who, score in contrast["dev_scores"].items())
    told = f"STS-B dev after that epoch (optimizers and learning rates differ): {scores}."
    return "\n".join([*lines, "", told, "", _source(name, "make bench-training"), ""])


def _source(name: str, command: str) -> str:
    return f"From [benchmarks/results/{name}](benchmarks/results/{name}), written by `{command}`."


def _ratio(row: dict[str, Any]) -> str:
    return f"{row['ratio']:.2f} ({row['ratio_low']:.2f}-{row['ratio_high']:.2f})"


if __name__ == "__main__":
    main()
