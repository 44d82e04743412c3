"""A benchmark's report, and how it is shown and compared. Nothing here measures."""

from __future__ import annotations

import copy
import html
import io
import json
import random
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from edge_potion import InputError
from edge_potion.benchmarks.speed.benchmark import _scores, _sentences, _write
from edge_potion.benchmarks.speed.compare import Change, as_text, compare, read_report
from edge_potion.benchmarks.speed.report.markdown import as_markdown
from edge_potion.benchmarks.speed.report.page import as_page
from edge_potion.benchmarks.speed.report.terminal import label, measured, print_report

from ..models import CHECKOUT
from ..peers import built_javascript

SCHEMA = CHECKOUT / "benchmarks" / "speed" / "report" / "report.schema.json"
MODEL, OTHER = "potion-256d-minilm", '<b>x"'  # names of models come from users
SIZES = {"int8": 7_600_000, "float16": 15_100_000, "float32": 30_200_000}
STRAY = {"int8": 3e-5, "float16": 2e-8, "float32": 0.0}  # 1 - mean cosine
QUANTILES = ("1", "5", "10", "25", "50", "75", "90", "95", "99")
SCORES = [
    {"name": "potion-256d-minilm int8", "size_mb": 7.6, "score": 72.8},
    {"name": "all-MiniLM-L6-v2", "size_mb": 90.8, "score": 75.5},
    {"name": OTHER, "size_mb": 30.2, "score": 68.0},
]


def example(rounds: int = 5) -> dict[str, Any]:
    """A report as one run of `edge-potion benchmark` writes it: 14 configurations of every kind."""
    rng = random.Random(7)
    ours = [
        configuration(rng, "text", "int8", 88_000, rounds=rounds),
        configuration(rng, "text", "int8", 142_000, threads=2, rounds=rounds),
        configuration(rng, "text", "float32", 79_000, rounds=rounds),
        configuration(rng, "bag", "int8", 41_000, rounds=rounds, ids_rate=310_000),
        configuration(rng, "text", "float16", 84_000, rounds=rounds, model=OTHER),
        configuration(rng, "text", "int8", 52_000, runner="onnxruntime-web", provider="wasm", rounds=rounds),
        configuration(rng, "bag", "int8", None, runner="onnxruntime-node", ids_rate=260_000, rounds=rounds),
        configuration(rng, "tokens", "float32", 9_000, runner="onnxruntime-web", provider="webgpu", rounds=rounds)
        | {
            "device": "Google SwiftShader (software)",
            "nodes": {"webgpu": 20, "cpu": 5},
            "elsewhere": {"cpu": ["Shape_1", "Gather_2", "Shape_7", "Concat_9", "Range_3"]},
            "elsewhere_share": 0.2,
        },
    ]
    peers = [
        configuration(rng, None, "float32", 18_000, runner="model2vec", rounds=rounds),
        configuration(rng, None, "float32", 18_900, runner="model2vec", threads=2, rounds=rounds),
    ]
    missing = [
        missed("text", "int8", "cuda", "absent", "no CUDA device: nvidia-smi is not there", "edge-potion"),
        missed("tokens", "int8", "webgpu", "fell back", "5 of 25 nodes | and the output ran on cpu", "onnxruntime-web"),
        missed(
            "text", "float16", "webgpu", "failed", "Error: <f16> is not supported by this adapter", "onnxruntime-web"
        ),
        missed("tokens", "float16", "openvino", "not run", "the time was up", "edge-potion"),
    ]
    configurations = [*ours, *missing, *peers]
    return {
        "format": 1,
        "edge_potion": "0.1.0",
        "started": "2026-11-24T05:00:00+00:00",
        "seconds": 312.4,
        "complete": True,
        "stopped": None,
        "machine": {
            "cpu": "AMD EPYC",
            "cores": 2,
            "load_average": 0.1,
            "memory_bytes": 25_000_000_000,
            "system": "Linux 6.1 x86_64",
            "python": "3.11.7",
        },
        "settings": {
            "rounds": rounds,
            "minutes": 10,
            "batches": [32, 256, 1024],
            "latency_calls": 200,
            "warmup_calls": 20,
            "warmup_seconds": 1.0,
            "batch_seconds": 0.3,
            "pinned": True,
            "texts": {"source": "sentences.txt", "count": 4096, "mean_characters": 106.0, "not_ascii": 0.068},
            "golden_texts": 218,
        },
        "configurations": configurations,
        "scores": [],
        "ratios": [ratio for each in ours for ratio in ratios(each, peers)],
    }


def configuration(
    rng: random.Random,
    graph: str | None,
    precision: str,
    rate: float | None,
    *,
    model: str = MODEL,
    runner: str = "edge-potion",
    provider: str = "cpu",
    threads: int = 1,
    rounds: int = 5,
    ids_rate: float | None = None,
) -> dict[str, Any]:
    """One that was measured at about `rate` texts/s."""
    runs = []
    for number in range(rounds):
        slow = rng.uniform(0.9, 1.25)
        one = 9 / (rate or ids_rate or 1) ** 0.38 * slow
        runs.append(
            {
                "round": number + 1,
                "load_s": 0.03 * slow + SIZES[precision] / 4e8,
                "first_vector_s": (0.35 if graph else 1.9) * slow,
                "latency_ms": {"p50": one, "p95": 1.6 * one, "p99": rng.uniform(2, 4) * one},
                "throughput": {"32": 0.7 * rate / slow, "256": rate / slow, "1024": 0.93 * rate / slow} if rate else {},
                "from_ids": {"1024": ids_rate / slow} if ids_rate else {},
                "rss_first_bytes": 2.2 * SIZES[precision] + 3e7,
                "rss_peak_bytes": (2.4 * SIZES[precision] + 4e7) * slow,
            }
        )
    middle = median(run["latency_ms"]["p50"] for run in runs)
    ways = (0.72, 0.8, 0.85, 0.93, 1, 1.12, 1.35, 1.6, 2.8)
    who = {"edge-potion": "", "onnxruntime-node": "node ", "onnxruntime-web": "web "}.get(runner, f"{runner} ") + (
        f"{graph} " if graph else ""
    )
    return {
        "name": f"{model} {who}{precision} {provider} x{threads}",
        "model": model,
        "runner": runner,
        "peer": graph is None,
        "graph": graph,
        "precision": precision,
        "provider": provider,
        "threads": threads,
        "status": "measured",
        "reason": None,
        "size_bytes": SIZES[precision],
        "versions": {"model2vec": "0.10.0"} if graph is None else {"onnxruntime": "1.32.0", "tokenizers": "0.22.1"},
        "device": None,
        "nodes": {provider: 206} if graph else None,
        "elsewhere": {},
        "elsewhere_share": 0.0,
        "cosine": {"min": 1 - 9 * STRAY[precision], "mean": 1 - STRAY[precision], "texts": 218} if graph else None,
        "rounds": runs,
        "summary": summary(runs),
        "latency_quantiles_ms": {name: way * middle for name, way in zip(QUANTILES, ways, strict=True)},
    }


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians and ends over rounds, as the orchestrator makes them."""
    metrics: dict[str, list[float]] = {}
    for run in runs:
        for key in ("load_s", "first_vector_s", "rss_first_bytes", "rss_peak_bytes"):
            metrics.setdefault(key, []).append(run[key])
        for key, value in run["latency_ms"].items():
            metrics.setdefault(f"{key}_ms", []).append(value)
        for of, name in (("throughput", "texts"), ("from_ids", "from_ids")):
            for batch, value in run[of].items():
                metrics.setdefault(f"{name}_per_s_{batch}", []).append(value)
    return {key: spread(values) for key, values in metrics.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "low": min(values), "high": max(values)}


def missed(graph: str, precision: str, provider: str, status: str, reason: str, runner: str) -> dict[str, Any]:
    """One that was not measured."""
    who = "" if runner == "edge-potion" else f"{runner} "
    return {
        "name": f"{MODEL} {who}{graph} {precision} {provider} x1",
        "model": MODEL,
        "runner": runner,
        "peer": False,
        "graph": graph,
        "precision": precision,
        "provider": provider,
        "threads": 1,
        "status": status,
        "reason": reason,
        "rounds": [],
    }


def ratios(of: Mapping[str, Any], peers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Against the peer with as many threads, round by round."""
    to = next(peer for peer in peers if peer["threads"] == of["threads"])
    found = []
    for metric in ("texts_per_s_256", "first_vector_s"):
        if metric in of["summary"]:
            both = [
                [run["throughput"]["256"] if "texts" in metric else run[metric] for run in each["rounds"]]
                for each in (of, to)
            ]
            rates = [ours / theirs for ours, theirs in zip(*both, strict=True)]
            found.append({"of": of["name"], "to": to["name"], "metric": metric, "rounds": len(rates), **spread(rates)})
    return found


def crowded() -> dict[str, Any]:
    """Three models, 72 configurations."""
    rng = random.Random(8)
    report = example()
    cores = [
        ("edge-potion", "cpu", 1),
        ("edge-potion", "cpu", 2),
        ("onnxruntime-node", "cpu", 1),
        ("onnxruntime-web", "wasm", 1),
    ]
    report["configurations"] = [
        configuration(
            rng, graph, precision, rng.uniform(8e3, 2e5), model=model, runner=runner, provider=provider, threads=threads
        )
        for model in (MODEL, "a/rather-long-organization-name/potion-base-8M-multilingual", "potion-512d")
        for runner, provider, threads in cores
        for graph in ("text", "bag")
        for precision in SIZES
    ]
    report["ratios"] = []
    return report


def interrupted() -> dict[str, Any]:
    """The example, stopped: some have fewer rounds, one has none though it was reached, one has nothing at all."""
    report = example()
    report |= {"complete": False, "stopped": "interrupted"}
    first, second, third = report["configurations"][:3]
    first["rounds"] = first["rounds"][:2]
    second |= {"status": "not run", "reason": "interrupted", "rounds": []}
    del second["summary"]
    third |= {"status": "not run", "reason": "interrupted", "rounds": [], "summary": {}, "latency_quantiles_ms": {}}
    report["ratios"] = [each for each in report["ratios"] if each["of"] not in (second["name"], third["name"])]
    return report


def faults(report: Mapping[str, Any]) -> list[str]:
    """What JSON Schema finds wrong."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return [fault.message for fault in jsonschema.Draft202012Validator(schema).iter_errors(report)]


def printed(report: Mapping[str, Any], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(report, console)
    return console.file.getvalue()


def written(report: Mapping[str, Any], folder: Path) -> Path:
    file = folder / "report.json"
    file.write_text(json.dumps(report), encoding="utf-8")
    return file


@pytest.mark.parametrize("make", [example, crowded, interrupted, lambda: example(rounds=1)])
def test_reports_are_as_the_schema_says(make):
    assert faults(make()) == []


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("machine.cpu", "'cpu' is a required property"),
        ("configurations.0.summary", "'summary' is a required property"),
        ("configurations.0.summary.p50_ms.low", "'low' is a required property"),
        ("settings.texts.not_ascii", "'not_ascii' is a required property"),
        ("ratios.0.rounds", "'rounds' is a required property"),
    ],
)
def test_a_report_without_a_key_is_not(where, fault):
    report = example()
    part, key = find(report, where)
    del part[key]
    assert faults(report) == [fault]


def test_what_was_not_measured_needs_a_reason_and_what_is_unknown_is_no_part_of_a_report():
    report = example()
    report["configurations"][8]["reason"] = None
    report["configurations"][0]["speed"] = 1
    assert len(faults(report)) == 2


def test_every_field_is_described():
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))

    def undescribed(part: Any, where: str) -> list[str]:
        found = []
        for kind in ("properties", "patternProperties", "$defs"):
            for name, field in part.get(kind, {}).items():
                if kind != "patternProperties" and not ("description" in field or "$ref" in field):
                    found.append(f"{where}.{name}")
                found += undescribed(field, f"{where}.{name}")
        return found

    assert undescribed(schema, "") == []


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_terminal_shows_everything_at_any_width(width):
    report = example()
    shown = printed(report, width)
    assert max(map(len, shown.splitlines())) <= width
    for each in report["configurations"]:
        assert label(each) in shown
        told = [each["reason"]] if each["reason"] else []
        if measured(each):
            told += [
                f"{each['summary']['p99_ms']['median']:.3f}",
                f"{each['summary']['rss_peak_bytes']['median'] / 1e6:,.1f}",
            ]
            told += [f"{rate['median']:,.0f}" for metric, rate in each["summary"].items() if "_per_s_" in metric]
        assert [words for words in told if words not in shown] == []
    assert "20% of its nodes did not run on webgpu: 5 on cpu (Shape_1, Gather_2" in shown
    assert "device: Google SwiftShader (software)" in shown
    assert "fell back: 5 of 25 nodes" in shown
    assert "0.999730" in shown and "0.999970" in shown
    assert f"{report['ratios'][0]['median']:.2f}" in shown


def test_a_wide_terminal_shows_one_table_and_a_narrow_one_several():
    assert printed(example(), 100).count("\npotion-256d-minilm\n") == 3
    assert printed(example(), 200).count("\npotion-256d-minilm\n") == 1


def test_names_stand_beside_their_numbers_where_they_fit():
    report = example()
    first = report["configurations"][0]
    line = rf"^  {label(first)} +{first['summary']['p50_ms']['median']:.3f} "
    report["configurations"] = [first]
    assert all(re.search(line, printed(report, width), re.MULTILINE) for width in (80, 100, 120, 200))
    first["name"] = f"{MODEL} {'long ' * 8}text"
    assert re.search(r"long text\n +0\.\d", printed(report, 80))


def test_names_of_models_are_not_read_as_markup():
    report = example()
    report["configurations"][0] |= {"name": "[red]x[/] text", "model": "[red]x[/]"}
    assert "[red]x[/]" in printed(report, 100)


STRANGE = (
    "a|b",
    "<img src=x onerror=alert(1)>",
    "</title><script>alert(1)</script>",
    '" onload="x',
    "[x](javascript:alert(1)) [bold]x[/bold] [link=https://evil.example]y[/link]",
    "`code` **bold** __under__",
    "https://evil.example/x",
    "one\r\n\n# two",
    "\x1b[31mred\x1b[0m\x07",
    "\u202edrawkcab\u2066",
    "not utf-8 \udcff",
)
COMMANDS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def strange(name: str) -> dict[str, Any]:
    """The example, with `name` wherever a stranger's words can stand."""
    report = example()
    report["machine"] |= {"cpu": name, "system": name, "python": name}
    report["settings"]["texts"]["source"] = name
    report["scores"] = [{"name": name, "size_mb": 1.0, "score": 50.0}]
    for each in report["configurations"]:
        each |= {"model": name, "name": f"{name} {each['name']}", "device": name, "elsewhere": {name: [name]}}
        each |= {"elsewhere_share": 0.1, "reason": name if each["reason"] else None}
        if each.get("versions"):
            each |= {"versions": {name: name}, "nodes": {name: 3}}
    for ratio in report["ratios"]:
        ratio |= {"of": f"{name} {ratio['of']}", "to": f"{name} {ratio['to']}"}
    return report


@pytest.mark.parametrize("name", STRANGE, ids=lambda name: ascii(name)[:20])
def test_a_strangers_words_are_words_wherever_they_are_shown(name, tmp_path):
    report, plain = strange(name), strange("plain")
    assert parsed(as_markdown(report)) == parsed(as_markdown(plain))
    page = as_page(report)
    Wellformed().feed(page)
    assert tags(page) == tags(as_page(plain))
    changes = as_text(compare(report, plain), report, plain)
    assert len(changes.splitlines()) == len(as_text(compare(strange("x"), plain), strange("x"), plain).splitlines())
    for shown in (as_markdown(report), page, changes, printed(report, 100), printed(report, 200)):
        assert not COMMANDS.search(shown)
    if "\n" not in name and not COMMANDS.search(name):
        assert name.split()[0] in printed(report, 200)
    _write(report, tmp_path)
    assert read_report(tmp_path / "report.json") == report
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def parsed(markdown: str) -> tuple[list[str], set[str]]:
    """The kinds of its blocks in order, and of the spans in them."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    spans = {child.type for token in tokens for child in token.children or ()}
    return [token.type for token in tokens], spans - {"text_special"}


def tags(page: str) -> list[tuple[str, list[str]]]:
    """Every element with the names of its attributes; but a plot's <title>, which is there where a label is cut."""
    found: list[tuple[str, list[str]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag != "title":
                found.append((tag, [name for name, _ in attrs]))

    Tags().feed(page)
    return found


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    _write(example(), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="not JSON compliant"):
        _write(example() | {"seconds": float("nan")}, tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    (tmp_path / "report.json").unlink()
    (tmp_path / "report.json").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        _write(example(), tmp_path)


def test_one_round_is_no_median():
    one = example(rounds=1)
    assert "One round, so a rough answer" in printed(one, 100) and "Medians of 5 rounds" in printed(example(), 100)
    assert "1 rounds" not in as_markdown(one) + printed(one, 100) + as_page(one)


def test_markdown_names_every_configuration_and_reason():
    report = example()
    text = as_markdown(report)
    plain = html.unescape(re.sub(r"\\(?=[!-/:-@[-`{-~])", "", text))  # as CommonMark reads it
    for each in report["configurations"]:
        assert each["name"] in plain and (each["reason"] or "") in plain
    assert "<b>" not in text  # GitHub would read it
    assert "[report.schema.json](report.schema.json)" in text
    assert "AMD EPYC, 2 cores" in text and "tokenizers 0.22.1" in text and "5 rounds" in text
    ratio = report["ratios"][0]
    assert f"{ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})" in text
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


@pytest.mark.parametrize("make", [example, crowded])
def test_the_page_tells_everything_and_loads_nothing(make):
    report = make()
    page = as_page(report | {"scores": SCORES})
    text = html.unescape(page)
    for each in report["configurations"]:
        assert each["name"] in text and label(each) in text and (each["reason"] or "") in text
    assert OTHER not in page and "&lt;b&gt;x&quot;" in page
    assert not re.search(r"https?:|<script|<link|<img|<iframe|@import|url\(|\bon\w+=", page)
    assert '<html lang="en">' in page and "prefers-color-scheme: dark" in page
    Wellformed().feed(page)


def test_plots_have_names_and_tables_have_heads():
    page = as_page(example() | {"scores": SCORES})
    plots = re.findall(r'<svg class="plot".*?</svg>\s*(?=<div|</figure)', page)
    assert len(plots) == 7
    for plot in plots:
        names = re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', plot)
        assert len(names) == 2 and all(f'id="{name}"' in plot for name in names)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert page.count("<table>") == page.count("<thead>") == page.count('role="region"') == 8
    assert "<th>" not in page


def test_rates_from_ids_are_never_shown_as_rates_from_text():
    report = example()
    (alone,) = [each for each in report["configurations"] if each["name"].endswith("node bag int8 cpu x1")]
    throughput, latency = (part(as_page(report), title) for title in ("Throughput", "Latency"))
    assert label(alone) not in throughput and "from token ids" in latency
    assert label(alone) in part(as_page(report), "Throughput from token ids")
    speed = as_markdown(report).partition("## Start")[0]
    assert next(line for line in speed.splitlines() if alone["name"] in line).count("| – ") == 4


@pytest.mark.parametrize("show", [as_page, as_markdown, lambda report: printed(report, 100)])
def test_partial_reports_say_so(show):
    report = interrupted()
    assert "Partial report: it was interrupted with 8 of 14 configurations measured." in show(report)
    assert "2 of 5 rounds" in show(report)
    assert "Partial" not in show(example())
    nothing = report | {"ratios": [], "configurations": report["configurations"][1:3]}
    assert "0 of 2 configurations" in show(nothing)
    assert "0 of 0 configurations" in show(nothing | {"configurations": []})


def test_a_measured_configuration_may_lack_metrics():
    """A browser's memory is not known; a batch that would take too long is skipped; a failed peer has no size."""
    report = example()
    first = report["configurations"][0]
    for metric in ("rss_peak_bytes", "rss_first_bytes", "texts_per_s_1024", "first_vector_s"):
        del first["summary"][metric]
    first |= {"size_bytes": None, "cosine": None, "latency_quantiles_ms": {}}
    assert faults(report) == []
    assert label(first) in as_page(report) and first["name"] in as_markdown(report)
    assert label(first) in printed(report, 100)
    assert label(first) not in part(as_page(report), "Memory")


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("make", [example, crowded, interrupted])
def test_the_page_opens_on_a_phone_without_a_network(make, dark, tmp_path):
    built_javascript()
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no chromium")
    report = make()
    page = as_page(report | {"scores": SCORES})
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    command = [
        "node",
        built_javascript() / "screenshot.mjs",
        tmp_path / "report.html",
        tmp_path / "page.png",
        "--width",
        "390",
    ]
    done = subprocess.run([*command, *["--dark"][:dark]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["title"] == "edge-potion benchmark, 2026-11-24"
    assert seen["width"] == 390 and seen["scroll_width"] <= 390
    for each in report["configurations"]:
        assert each["model"] in seen["text"] and each["name"] in seen["text"]


def test_a_report_beside_itself_has_not_changed():
    changes = compare(example(), example())
    assert {change.verdict for change in changes} == {"same"}
    assert (
        as_text(changes, example(), example())
        == f"{len(changes)} of {len(changes)} measurements unchanged within noise"
    )


@pytest.mark.parametrize(
    ("metric", "old", "new", "verdict"),
    [
        ("texts_per_s_256", (100, 90, 110), (120, 111, 130), "better"),
        ("texts_per_s_256", (100, 90, 110), (120, 110, 130), "same"),  # the ranges touch
        ("texts_per_s_256", (100, 99, 101), (104, 103, 105), "same"),  # apart, and nearer than 5 %
        ("texts_per_s_256", (100, 90, 110), (80, 70, 89), "worse"),
        ("from_ids_per_s_256", (100, 90, 110), (80, 70, 89), "worse"),
        ("p50_ms", (0.2, 0.19, 0.21), (0.1, 0.09, 0.11), "better"),
        ("p50_ms", (0.2, 0.19, 0.21), (0.22, 0.215, 0.23), "worse"),
        ("first_vector_s", (0.2, 0.1, 0.3), (0.4, 0.25, 0.5), "same"),
        ("rss_peak_bytes", (4e7, 4e7, 4e7), (5e7, 5e7, 5e7), "worse"),
        ("rss_peak_bytes", (0, 0, 0), (5e7, 5e7, 5e7), "worse"),
    ],
)
def test_a_change_counts_beyond_the_ranges_and_five_percent(metric, old, new, verdict):
    change = changed(metric, old, new, rounds=5)
    assert (change.old, change.new, change.verdict) == (old[0], new[0], verdict)
    assert change.ratio == (new[0] / old[0] if old[0] else None)


def test_a_single_round_needs_more():
    assert changed("texts_per_s_256", (100,) * 3, (199,) * 3, rounds=1).verdict == "same"
    assert changed("texts_per_s_256", (100,) * 3, (201,) * 3, rounds=1).verdict == "better"
    assert changed("p50_ms", (100,) * 3, (49,) * 3, rounds=1).verdict == "better"
    assert changed("p50_ms", (100,) * 3, (51,) * 3, rounds=1).verdict == "same"
    assert changed("texts_per_s_256", (100, 99, 101), (124, 123, 125), rounds=3).verdict == "same"
    assert changed("texts_per_s_256", (100, 99, 101), (126, 125, 127), rounds=3).verdict == "better"
    assert not [each for each in compare(example(3), example(3)) if each.metric in ("p95_ms", "p99_ms")]
    one = example(rounds=1)
    assert "the new report has configurations with a single round" in as_text(compare(one, one), one, one)


def test_what_the_baseline_did_as_well_is_the_machines_doing():
    def verdict(baseline: Sequence[float]) -> str:
        return changed("texts_per_s_256", (100, 99, 101), (80, 79, 81), rounds=5, baseline=baseline).verdict

    assert [verdict(baseline) for baseline in ((50, 50), (50, 45), (50, 40), (50, 30))] == [
        *("worse", "worse", "same", "same"),
    ]


@pytest.mark.parametrize(
    ("where", "by", "verdict"),
    [
        ("cosine.min", -2e-6, "worse"),
        ("cosine.min", -0.5e-6, "same"),
        ("cosine.mean", 2e-6, "better"),
        ("size_bytes", 10_000, "same"),
        ("size_bytes", 100_000, "worse"),
        ("size_bytes", -100_000, "better"),
        ("elsewhere_share", 0.1, "worse"),
    ],
)
def test_cosines_and_sizes_do_not_vary_by_themselves(where, by, verdict):
    old, new = example(), example()
    part, key = find(new["configurations"][0], where)
    part[key] += by
    (change,) = [each for each in compare(new, old) if each.metric == where.replace(".", "_")][:1]
    assert change.verdict == verdict


def test_configurations_that_came_went_or_changed_status_are_told():
    old, new = example(), example()
    gone = new["configurations"].pop(3)["name"]
    came = old["configurations"].pop(4)["name"]
    broken, mended = new["configurations"][0], new["configurations"][7]
    assert mended["status"] == "absent"
    broken |= {"status": "failed", "reason": "it broke", "rounds": []}
    old["configurations"][7] |= {"status": "failed", "reason": "it was broken"}
    found = {each.name: each for each in compare(new, old) if each.metric == "status"}
    assert {name: (each.old, each.new, each.verdict) for name, each in found.items()} == {
        broken["name"]: ("measured", "failed", "worse"),
        mended["name"]: ("failed", "absent", "other"),
        came: (None, "measured", "other"),
        gone: ("measured", None, "other"),
    }
    lines = as_text(compare(new, old), new, old).splitlines()
    assert lines[0].startswith("worse") and lines[0].endswith(
        f"{broken['name']}  status: measured -> failed".split()[-1]
    )
    assert f"{came:{max(map(len, found))}}  status: not there -> measured" in "\n".join(lines)
    assert not [each for each in compare(new, old) if each.name in found and each.metric != "status"]


def test_what_only_a_stopped_run_lacks_is_not_worse():
    found = [each for each in compare(interrupted(), example()) if each.metric == "status"]
    assert [(each.new, each.verdict) for each in found] == [("not run", "other")] * 2
    assert "the new report is partial" in as_text([], interrupted(), example())


def test_a_metric_that_one_report_lacks_is_told():
    old, new = example(), example()
    value = new["configurations"][0]["summary"].pop("texts_per_s_1024")["median"]
    (change,) = [each for each in compare(new, old) if each.verdict != "same"]
    assert (change.metric, change.old, change.new, change.verdict) == ("texts_per_s_1024", value, None, "other")
    assert f"texts_per_s_1024: {value:,.0f} -> not there" in as_text([change], new, old)


def test_other_machines_versions_texts_and_settings_are_warned_of():
    old, new = example(), example()
    new["machine"] |= {"cpu": "Cortex-A72", "cores": 4, "python": "3.12.1"}
    new["settings"] |= {"rounds": 3, "minutes": 99}
    new["settings"]["texts"]["count"] = 10
    new["configurations"][0]["versions"] = {"onnxruntime": "1.33.0"}
    warnings = [line for line in as_text(compare(new, old), new, old).splitlines() if line.startswith("warning")]
    assert [warning.removeprefix("warning: ").split(" is not the old")[0] for warning in warnings] == [
        *("cpu", "cores", "python", "onnxruntime", "setting rounds", "texts"),
    ]
    assert "AMD EPYC -> Cortex-A72" in warnings[0] and "1.32.0 -> 1.32.0, 1.33.0" in warnings[3]


def test_read_report_reads_what_was_written(tmp_path):
    for make in (example, crowded, interrupted):
        assert read_report(written(make(), tmp_path)) == make()


@pytest.mark.parametrize(
    ("where", "value", "fault"),
    [
        ("format", 2, "has format 2, and this edge-potion reads format 1"),
        ("machine.cpu", None, "machine.cpu is not string"),
        ("configurations.3.summary.p50_ms", 3, r"configurations\[3\].summary.p50_ms is not object"),
        ("configurations.3.threads", True, r"configurations\[3\].threads is not integer"),
        ("configurations.3.status", "fine", r"configurations\[3\].status is 'fine'"),
        ("configurations.3.rounds.1.throughput.32", "x", r"rounds\[1\].throughput.32 is not number or null"),
    ],
)
def test_read_report_names_what_is_wrong(where, value, fault, tmp_path):
    report = example()
    part, key = find(report, where)
    part[key] = value
    with pytest.raises(InputError, match=fault):
        read_report(written(report, tmp_path))


def with_seconds(text: str, seconds: str) -> str:
    return text.replace('"seconds": 312.4', f'"seconds": {seconds}')


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (lambda text: with_seconds(text, "NaN"), "seconds is not number"),
        (lambda text: with_seconds(text, "1e999"), "seconds is not number"),
        (lambda text: with_seconds(text, f"{10**400}"), "seconds is not number"),
        (lambda text: with_seconds(text, "-Infinity"), "seconds is not number"),
        (lambda text: "[" * 100_000, "cannot be read as JSON"),
        (lambda text: f'{text[:-1]}, "ratios": {"[" * 900}{"]" * 900}}}', r"ratios\[0\] is not object"),
        (lambda text: text.replace('"status": "measured"', '"status": "\\u001b[31m' + "x" * 999 + '"'), r"\\x1b\[31m"),
        (lambda text: '{"schema": 2, "models": []}', "no report of `edge-potion benchmark`: it has no format"),
    ],
)
def test_a_report_of_anothers_making_is_one_line(content, fault, tmp_path):
    (tmp_path / "report.json").write_text(content(json.dumps(example())), encoding="utf-8")
    with pytest.raises(InputError, match=fault) as raised:
        read_report(tmp_path / "report.json")
    assert "\n" not in str(raised.value) and "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 500 + len(str(tmp_path))


SCORED = {"name": "m", "size_mb": 7.6, "averages": {"tuning": {"CatAVG": 1.0}, "report": {"CatAVG": 70.123}}}


def test_scores_are_taken_of_models_with_all_tasks_of_the_half_that_reports(tmp_path):
    models = [SCORED, {**SCORED, "incomplete": ["tuning"]}, {**SCORED, "incomplete": ["report"]}]
    models.append({"name": "lost", "size_mb": None, "averages": {}, "incomplete": ["report"]})
    (tmp_path / "scores.json").write_text(json.dumps({"models": models}))
    assert _scores(tmp_path / "scores.json") == [{"name": "m", "size_mb": 7.6, "score": 70.12}] * 2


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"models": 3},
        {"models": []},
        {"models": [3]},
        {"models": [{**SCORED, "averages": {"report": {}}}]},
        {"models": [{**SCORED, "averages": {"report": {"CatAVG": float("nan")}}}]},
        {"models": [{**SCORED, "averages": {"report": {"CatAVG": "high"}}}]},
        {"models": [{**SCORED, "size_mb": 0}]},
        {"models": [{**SCORED, "size_mb": None}]},
        {"models": [{**SCORED, "size_mb": 10**400}]},
        {"models": [{**SCORED, "incomplete": ["report"]}]},
    ],
    ids=lambda report: str(report)[:60],
)
def test_scores_that_are_no_numbers_are_one_line(report, tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps(report))
    with pytest.raises(InputError, match=r"scores\.json") as raised:
        _scores(tmp_path / "scores.json")
    assert "\n" not in str(raised.value)


def test_reports_larger_than_any_are_not_read(tmp_path):
    with (tmp_path / "large.json").open("wb") as stream:
        stream.truncate(2**25 + 1)
    for read in (read_report, _scores):
        with pytest.raises(InputError, match=r"large\.json is larger than 33,554,432 bytes"):
            read(tmp_path / "large.json")


def test_texts_too_long_for_every_runner_are_named(tmp_path):
    (tmp_path / "texts.txt").write_text("x" * 20_000 + "\n" + "y" * 40_000)
    with pytest.raises(InputError, match="30,000 characters on average; 4,096 texts of at most 16,384 were expected"):
        _sentences(str(tmp_path / "texts.txt"))


def test_read_report_names_what_is_not_there_or_no_report(tmp_path):
    with pytest.raises(InputError, match=r"nothing.json is missing"):
        read_report(tmp_path / "nothing.json")
    for content, fault in {
        b"{": "cannot be read as JSON",
        b"\xff": "cannot be read as JSON",
        b"[1]": "a JSON object was expected",
        b'{"models": []}': "it has no format",
    }.items():
        (tmp_path / "report.json").write_bytes(content)
        with pytest.raises(InputError, match=fault) as raised:
            read_report(tmp_path / "report.json")
        assert "\n" not in str(raised.value)
    report = example()
    del report["configurations"][2]["threads"]
    with pytest.raises(InputError, match=r"configurations\[2\].threads is missing"):
        read_report(written(report, tmp_path))


def find(report: Any, where: str) -> tuple[Any, Any]:
    """The container of a dotted place, and the key in it."""
    *way, last = (int(key) if key.isdigit() and key != "32" else key for key in where.split("."))
    for key in way:
        report = report[key]
    return report, last


def changed(
    metric: str, old: Sequence[float], new: Sequence[float], rounds: int, baseline: Sequence[float] = (1, 1)
) -> Change:
    """The change of one metric, (median, low, high) in the old report and in the new one; and the baseline's."""
    reports = [copy.deepcopy(example(rounds)) for _ in range(2)]
    first = reports[0]["configurations"][0]["name"]
    for report, (middle, low, high), theirs in zip(reports, (old, new), baseline, strict=True):
        report["configurations"][0]["summary"][metric] = {"median": middle, "low": low, "high": high}
        for ratio in report["ratios"]:
            if (ratio["of"], ratio["metric"]) == (first, metric):
                ratio["median"] = middle / theirs
    (change,) = [each for each in compare(reports[1], reports[0]) if (each.name, each.metric) == (first, metric)]
    return change


def part(page: str, title: str) -> str:
    """The figure of that title."""
    return page.partition(f"<h2>{title}</h2>")[2].partition("</figure>")[0]


class Wellformed(HTMLParser):
    """Fails on an element that is closed by another's end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
