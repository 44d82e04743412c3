"""Write the numbers of README.md from the reports in results/, so that none is typed by hand.

    python -m edge_potion.benchmarks.studies.pages [README.md] [--check]

Everything between `<!-- numbers -->` and `<!-- end of numbers -->` is replaced, and so for `runtimes`; --check only
compares, and exits 1 when the two differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from edge_potion.bundle import PRECISIONS
from edge_potion.errors import InputError
from edge_potion.escaping import markdown

__all__ = ["benchmark_numbers", "quality_numbers", "runtimes_table", "training_numbers", "with_numbers"]

LONGEST_REASON = 160  # letters; the report has all
# Whose versions are told.
BENCHMARKED = (
    *("onnxruntime", "onnxruntime-node", "onnxruntime-web", "onnxruntime-openvino"),
    *("model2vec", "fastembed", "sentence-transformers", "tokenizers"),
)


def main() -> None:
    """Write or check README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readme", type=Path, nargs="?", default=Path("README.md"))
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when the numbers are stale")
    arguments = parser.parse_args()
    old = arguments.readme.read_text(encoding="utf-8")
    new = with_numbers(old, Path(__file__).with_name("results"))
    if arguments.check:
        sys.exit(old != new)
    arguments.readme.write_text(new, encoding="utf-8")


def with_numbers(readme: str, results: Path) -> str:
    """The README with its sections written anew from the newest reports in `results`."""
    sections = {
        "numbers": {
            "quality": quality_numbers,
            "benchmark": benchmark_numbers,
            "training": training_numbers,
        },
        "runtimes": {"runtimes": runtimes_table},
    }
    for section, writers in sections.items():
        begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->"
        if readme.count(begin) != 1 or end not in readme:
            raise InputError(f"README.md needs one {begin.strip()} and one {end}")
        before, rest = readme.split(begin)
        parts = [write(*_newest(results, what)) for what, write in writers.items()]
        readme = before + begin + "\n".join(parts) + end + rest.split(end, 1)[1]
    return readme


def _newest(results: Path, what: str) -> tuple[dict[str, Any], str]:
    """A report and the name of its file, <date>_<machine>_<what>.json."""
    reports = sorted(results.glob(f"*_{what}.json"))
    if not reports:
        raise InputError(
            f"{results} holds no *_{what}.json; `make bench`, `make bench-training`, `make bench-quality` and "
            "`make runtimes` write them"
        )
    return json.loads(reports[-1].read_text(encoding="utf-8")), reports[-1].name


def quality_numbers(report: dict[str, Any], name: str) -> str:
    """The Markdown of one quality report."""
    lines = [
        "Task scores of the report half, in points; CatAVG of the tuning half beside them. "
        "All students have the same teacher and sentences ([docs/results/quality.md](docs/results/quality.md): every "
        "task, the ablation, the peers' versions).",
        "",
        "| | STS | classification | pairs | CatAVG | tuning half | dims | MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for model in report["models"]:
        scores = [f"{score:.2f}" for score in model["averages"]["report"].values()]
        scores.append(f"{model['averages']['tuning']['CatAVG']:.2f}")
        lines.append(f"| {markdown(model['name'])} | {' | '.join(scores)} | {model['dims']} | {model['size_mb']:.1f} |")
    remarks = [f"* {markdown(remark)}" for remark in report["remarks"]]
    return "\n".join([*lines, "", *remarks, "", _source(name, "make bench-quality"), ""])


def benchmark_numbers(report: dict[str, Any], name: str) -> str:
    """The Markdown of one report of `edge-potion benchmark`."""
    machine, settings = report["machine"], report["settings"]
    measured = [row for row in report["configurations"] if row["status"] == "measured"]
    versions = {package: version for row in measured for package, version in row["versions"].items()}
    named = markdown(", ".join(f"{package} {versions[package]}" for package in BENCHMARKED if package in versions))
    ratios = {(ratio["of"], ratio["metric"]): ratio for ratio in report["ratios"]}
    rows = list(_smallest(measured))
    lines = [
        f"`edge-potion benchmark` on {markdown(machine['cpu'])}: {settings['texts']['count']:,} English sentences of "
        f"{settings['texts']['mean_characters']:.0f} characters in file order, {settings['texts']['not_ascii']:.1%} of "
        f"them not ASCII; one pinned core a process (browsers: two); medians of {settings['rounds']} interleaved "
        f"rounds; peers on the same table; ratios to model2vec float32, round by round ({named}). Of each graph and "
        "provider the smallest precision; [docs/results/speed.md](docs/results/speed.md) has all.",
        "",
        "| | texts/s at 32 | at 256 | at 1024 | ratio at 256 | p50 ms | p99 ms | cold start ms | peak MB | file MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in (row for row in rows if "texts_per_s_32" in row["summary"]):
        found = {metric: value["median"] for metric, value in row["summary"].items()}
        rates = [_count(found.get(f"texts_per_s_{batch}")) for batch in settings["batches"]]
        ratio = ratios.get((row["name"], "texts_per_s_256"))
        cells = [
            *(*rates, _spread(ratio) if ratio else ""),
            *(
                f"{found['p50_ms']:.2f}",
                f"{found['p99_ms']:.2f}" if "p99_ms" in found else "",
                f"{1000 * found['first_vector_s']:.0f}",
            ),
            *(f"{found['rss_peak_bytes'] / 1e6:.0f}", f"{row['size_bytes'] / 1e6:.1f}"),
        ]
        lines.append(f"| {_called(row)} | {' | '.join(cells)} |")
    lines += [
        "",
        "From token ids, which leaves the tokenizer out of both (lookup, mean and norm):",
        "",
        "| | texts/s at 32 | at 256 | at 1024 | ratio at 1024 |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in (row for row in rows if row["provider"] == "cpu"):
        spreads = [row["summary"].get(f"from_ids_per_s_{batch}") for batch in settings["batches"]]
        ratio = ratios.get((row["name"], "from_ids_per_s_1024"))
        if any(spreads):
            cells = [_count(spread and spread["median"]) for spread in spreads]
            lines.append(f"| {_called(row)} | {' | '.join(cells)} | {_spread(ratio) if ratio else ''} |")
    lines += ["", "What could not run here:", ""]
    refused: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in report["configurations"]:
        if row["status"] != "measured":
            refused.setdefault((row["provider"], row["status"]), []).append(row)
    for (provider, status), some in refused.items():
        what = ", ".join(f"{row['graph']} {row['precision']}" for row in some if row["graph"])
        lines.append(f"* {provider}{f' ({what})' if what else ''}: {status}; {markdown(_cut(some[0]['reason']))}")
    return "\n".join([*lines, "", _source(name, "make bench"), ""])


def _smallest(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The peers, and of ours each graph on each provider at the smallest precision that ran."""
    seen = {(row["graph"], row["provider"], row["precision"]) for row in rows if not row["peer"]}
    best = {pair: next(at for at in PRECISIONS if (*pair, at) in seen) for pair in {key[:2] for key in seen}}
    for row in rows:
        if row["peer"] or best[row["graph"], row["provider"]] == row["precision"]:
            yield row


def _cut(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 2].rsplit(" ", 1)[0] + " …"


def _called(row: dict[str, Any]) -> str:
    """A configuration in few words: our graph, precision and provider, or the peer's name."""
    if row["peer"]:
        return markdown(row["name"].removesuffix(" x1"))
    words = [word for word in (row["graph"], row["precision"], row["provider"]) if word]
    name = markdown(" ".join(words))
    return f"**{name}**" if row["status"] == "measured" else name


def _count(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}"


def _spread(ratio: dict[str, Any]) -> str:
    return f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})"


def training_numbers(report: dict[str, Any], name: str) -> str:
    """The Markdown of one training report."""
    contrast, featurize, cpu = report["contrast"], report["featurize"], markdown(report["machine"]["cpu"])
    table, peer = " x ".join(f"{side:,}" for side in contrast["table"]), contrast["peer_versions"]["tokenlearn"]
    lines = [
        f"Training and featurizing on {report['machine']['threads']} threads of {cpu}, median of "
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


def runtimes_table(report: dict[str, Any], name: str) -> str:
    """The Markdown of one report of `python -m edge_potion.benchmarks.studies.runtimes`."""
    texts = max(row.get("texts", 0) for row in report["rows"])
    lines = [
        f"One bundle, loaded just as it is by each library in an environment of its own: how many of its {texts} "
        f"golden texts get the oracle's vector (cosine of at least {report['agrees']}), and the least cosine of those "
        "that should. The other texts are nasty on purpose; what happens to them is in the last column.",
        "",
        "| | loads | texts | least cosine | |",
        "|---|---|---:|---:|---|",
    ]
    alike: dict[tuple[str, str, str], list[dict[str, Any]]] = {}  # rows that differ in precision and cosine alone
    for row in report["rows"]:
        alike.setdefault((_library(row), _agreeing(row), _remarks(row)), []).append(row)
    for (library, agreeing, remarks), rows in alike.items():
        files = dict.fromkeys([*(row["loads"][0] for row in rows), *rows[0]["loads"][1:]])
        least = [f"{row['least_cosine']:.6f} {row['precision']}" for row in rows if row["status"] == "passed"]
        cells = [library, ", ".join(f"`{file}`" for file in files), agreeing, "<br>".join(least), remarks]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _source(name, "make runtimes"), ""])


def _library(row: dict[str, Any]) -> str:
    return markdown(", ".join(f"{package} {version}".rstrip() for package, version in row["versions"].items()))


def _agreeing(row: dict[str, Any]) -> str:
    return str(row["agree"]) if row["status"] == "passed" else f"**{row['status']}**"


def _remarks(row: dict[str, Any]) -> str:
    """What differs and why, or why it did not run."""
    if row["status"] != "passed":
        return markdown(row["reason"])
    strays = [f"{each['texts']} {each['class']}: {each['why']}" for each in row["strays"]]
    return "; ".join([*filter(None, [row["remark"]]), *strays])


def _source(name: str, command: str) -> str:
    return f"From [benchmarks/studies/results/{name}](benchmarks/studies/results/{name}), written by `{command}`."


if __name__ == "__main__":
    main()
