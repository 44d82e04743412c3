"""docs/results/speed.md: texts a second, latency, start and memory, beside other libraries on the same table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_potion.bundle import PRECISIONS
from edge_potion.escaping import markdown

from ..speed.compare import read_report
from ..speed.report import plots
from ..speed.report.columns import as_microseconds
from ..speed.report.markdown import as_markdown
from .page_parts import Report, folded, pictures, shown, source, table

__all__ = ["speed_page"]

Configuration = Mapping[str, Any]
BATCH = 256  # texts a call, of the picture
METRIC = f"texts_per_s_{BATCH}"
# The bars of the picture: what the configuration is, and how it is called.
BARS = (
    ({"graph": "text", "precision": "int8", "provider": "node"}, "edge-potion, Node"),
    ({"graph": "text", "precision": "int8", "provider": "cpu"}, "edge-potion, Python"),
    ({"graph": "text", "precision": "int8", "provider": "cpu", "engine": "onnxruntime"}, "edge-potion, ONNX Runtime"),
    ({"graph": "text", "precision": "int8", "provider": "wasm"}, "edge-potion, browser (WebAssembly)"),
    ({"model": "model2vec", "precision": "float32"}, "Model2Vec"),
    ({"model": "sentence-transformers"}, "sentence-transformers, the same table"),
    ({"model": "fastembed"}, "fastembed, the same table"),
    ({"model": "fastembed static"}, "fastembed, its static models"),
    ({"model": "laghu"}, "laghu, in Rust"),
    ({"model": "static-embed-runner"}, "static-embed-runner"),
    ({"model": "tokie and numpy"}, "tokie, and a table in numpy"),
    ({"model": "all-MiniLM-L6-v2 ONNX"}, "all-MiniLM-L6-v2, the transformer"),
)
TYPE = "[model.py](../../benchmarks/speed/report/model.py)"
TITLE = "Texts a second on one core"
# Whose versions are named.
LIBRARIES = (
    *("onnxruntime", "onnxruntime-node", "onnxruntime-web", "onnxruntime-openvino"),
    *("model2vec", "fastembed", "sentence-transformers", "tokenizers"),
    *("laghu", "laghu-rs", "static-embed-runner", "tokie"),
)


def speed_page(report: Report, name: str, folder: Path) -> dict[str, str]:
    """The page and its picture, by their paths in docs/."""
    texts = report["settings"]["texts"]
    words = (
        f"Strings in, vectors out, tokenizing included: {texts['count']:,} English sentences of "
        f"{texts['mean_characters']:.0f} characters, {BATCH} a call. Median of {report['settings']['rounds']} rounds; "
        f"the line goes from the slowest to the fastest. {report['machine']['cpu']}."
    )
    rows = []
    for configuration, called in _bars(report):
        spread = configuration["summary"][METRIC]
        rows.append(plots.Bar("", "", called, configuration["peer"], f"{spread['median']:,.0f}", spread, None))
    plot = plots.bars("speed", TITLE, words, rows, longest_is_best=True)
    alternative = "; ".join(f"{row.label}: {row.note}" for row in rows)
    whole = re.sub(r"^#", "##", as_markdown(read_report(folder / name)).partition("\n")[2], flags=re.M)
    whole = whole.replace("[report.schema.json](report.schema.json)", TYPE)  # which lies beside a report, and not here
    page = [
        "# Speed",
        shown("speed", f"{TITLE}. {alternative}."),
        _table(report, [configuration for configuration, _ in _bars(report)]),
        _setting(report),
        "## From token ids",
        _from_ids(report),
        "## All of it",
        folded("Each graph on each provider, at the smallest precision that ran", _table(report, _smallest(report))),
        folded("The whole report of edge-potion benchmark: every row and ratio, and what could not run here", whole),
        source(name, "make bench"),
    ]
    return {"results/speed.md": "\n\n".join(page) + "\n", **pictures("speed", plot, TITLE, words)}


def _bars(report: Report) -> list[tuple[Configuration, str]]:
    """The fastest first."""
    bars = list(_named(report))
    return sorted(bars, key=lambda bar: bar[0]["summary"][METRIC]["median"], reverse=True)


def _named(report: Report) -> Iterator[tuple[Configuration, str]]:
    for facts, called in BARS:
        for configuration in _measured(report):
            alike = all(configuration.get(key) == fact for key, fact in facts.items())
            if alike and METRIC in configuration["summary"]:
                yield configuration, called
                break


def _setting(report: Report) -> str:
    machine, settings = report["machine"], report["settings"]
    versions = {package: one for row in _measured(report) for package, one in row["versions"].items()}
    named = markdown(", ".join(f"{package} {versions[package]}" for package in LIBRARIES if package in versions))
    return (
        f"`edge-potion benchmark` on {markdown(machine['cpu'])}: {settings['texts']['count']:,} English sentences in "
        f"file order, {settings['texts']['not_ascii']:.1%} of them not ASCII; one pinned core a process (browsers: "
        f"two); medians of {settings['rounds']} interleaved rounds; peers on the same table; ratios are to Model2Vec "
        f"float32, round by round, with the lowest and the highest. A page's cold start begins where an open browser "
        f"goes to it; the other rows begin with their process. {named}."
    )


def _table(report: Report, configurations: Sequence[Configuration]) -> str:
    batches = report["settings"]["batches"]
    heads = ["", *(f"texts/s at {batch}" for batch in batches), f"times Model2Vec at {BATCH}", "p50 µs", "p99 µs"]
    rows = []
    for row in configurations:
        medians = {metric: value["median"] for metric, value in row["summary"].items()}
        if f"texts_per_s_{batches[0]}" in medians:
            cells = [_count(medians.get(f"texts_per_s_{batch}")) for batch in batches]
            cells += [_ratio(report, row, METRIC), as_microseconds(medians["p50_ms"])]
            cells += [as_microseconds(medians["p99_ms"]) if "p99_ms" in medians else ""]
            cells += [f"{1000 * medians['first_vector_s']:.0f}", f"{medians['rss_peak_bytes'] / 1e6:.0f}"]
            rows.append([_called(row), *cells, f"{row['size_bytes'] / 1e6:.1f}"])
    return table([*heads, "cold start ms", "peak MB", "file MB"], rows)


def _from_ids(report: Report) -> str:
    batches = report["settings"]["batches"]
    rows = []
    for row in (row for row in _smallest(report) if row["provider"] == "cpu"):
        spreads = [row["summary"].get(f"from_ids_per_s_{batch}") for batch in batches]
        if any(spreads):
            ratio = _ratio(report, row, f"from_ids_per_s_{batches[-1]}")
            rows.append([_called(row), *(_count(spread and spread["median"]) for spread in spreads), ratio])
    heads = ["", *(f"texts/s at {batch}" for batch in batches), f"times Model2Vec at {batches[-1]}"]
    told = (
        "Without the tokenizer: lookup, mean and norm alone. The difference is what the graphs do; end to end with "
        "`bag` and `tokens`, most of the time is the tokenizer's, which both libraries share, and which the text graph "
        "does without."
    )
    return f"{told}\n\n{table(heads, rows)}"


def _measured(report: Report) -> list[Configuration]:
    return [row for row in report["configurations"] if row["status"] == "measured"]


def _smallest(report: Report) -> list[Configuration]:
    """The peers, and of ours each graph on each provider at the smallest precision that ran."""
    rows = _measured(report)
    there = {(row["graph"], row["provider"], row["precision"]) for row in rows if not row["peer"]}
    best = {pair: next(at for at in PRECISIONS if (*pair, at) in there) for pair in {key[:2] for key in there}}
    return [row for row in rows if row["peer"] or best[row["graph"], row["provider"]] == row["precision"]]


def _called(row: Configuration) -> str:
    """A configuration in few words: our graph, precision and provider, or the peer's name."""
    if row["peer"]:
        return markdown(row["name"].removesuffix(" x1"))
    engine = row.get("engine") if row.get("engine") == "native" else None
    words = (row["graph"], row["precision"], row["provider"], engine)
    return f"**{markdown(' '.join(word for word in words if word))}**"


def _count(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}"


def _ratio(report: Report, row: Configuration, metric: str) -> str:
    for ratio in report["ratios"]:
        if (ratio["of"], ratio["metric"]) == (row["name"], metric):
            median, low, high = (_times(ratio[end]) for end in ("median", "low", "high"))
            return f"{median} ({low}-{high})"
    return ""


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.1g}"
