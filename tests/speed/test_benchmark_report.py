"""A benchmark's report, and how it is shown and compared. Nothing here measures."""

from __future__ import annotations

import html
import io
import json
import random
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from edge_potion import InputError
from edge_potion.benchmarks.speed.benchmark import first_texts
from edge_potion.benchmarks.speed.compare import Change, as_text, compare
from edge_potion.benchmarks.speed.report.columns import METRICS, as_number
from edge_potion.benchmarks.speed.report.files import write_report
from edge_potion.benchmarks.speed.report.json_file import as_json, json_schema, read_report, report_of
from edge_potion.benchmarks.speed.report.markdown import as_markdown
from edge_potion.benchmarks.speed.report.model import (
    Cosine,
    Machine,
    Outcome,
    Ratio,
    Report,
    Round,
    Score,
    Settings,
    Spread,
    Texts,
)
from edge_potion.benchmarks.speed.report.page import as_page
from edge_potion.benchmarks.speed.report.terminal import print_report
from edge_potion.benchmarks.speed.report.verdict import verdict_of
from edge_potion.benchmarks.speed.scores import read_scores

from ..models import CHECKOUT
from ..peers import built_javascript

COMMITTED = sorted((CHECKOUT / "benchmarks" / "studies" / "results").glob("*_benchmark.json"))
MODEL, OTHER = "potion-256d-minilm", '<b>x"'  # names of models come from users
SIZES = {"int8": 7_600_000, "float16": 15_100_000, "float32": 30_200_000}
STRAY = {"int8": 3e-5, "float16": 2e-8, "float32": 0.0}  # 1 - mean cosine
QUANTILES = ("1", "5", "10", "25", "50", "75", "90", "95", "99")
SCORES = [
    Score(name="potion-256d-minilm int8", size_mb=7.6, score=72.8),
    Score(name="all-MiniLM-L6-v2", size_mb=90.8, score=75.5),
    Score(name=OTHER, size_mb=30.2, score=68.0),
]
MACHINE = Machine(
    cpu="AMD EPYC",
    cores=2,
    load_average=0.1,
    memory_bytes=25_000_000_000,
    system="Linux 6.1 x86_64",
    python="3.11.7",
)
SETTINGS = Settings(
    rounds=5,
    minutes=10,
    batches=[32, 256, 1024],
    latency_calls=200,
    warmup_calls=20,
    warmup_seconds=1.0,
    batch_seconds=0.3,
    pinned=True,
    texts=Texts(source="sentences.txt", count=4096, mean_characters=106.0, not_ascii=0.068),
    golden_texts=218,
)


def report_with(configurations: Sequence[Outcome], ratios: Sequence[Ratio] = (), rounds: int = 5) -> Report:
    return Report(
        edge_potion="0.1.0",
        started="2026-11-24T05:00:00+00:00",
        seconds=312.4,
        complete=True,
        stopped=None,
        machine=MACHINE,
        settings=replace(SETTINGS, rounds=rounds),
        configurations=list(configurations),
        ratios=list(ratios),
        scores=[],
    )


def example(rounds: int = 5) -> Report:
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
        replace(
            configuration(rng, "tokens", "float32", 9_000, runner="onnxruntime-web", provider="webgpu", rounds=rounds),
            device="Google SwiftShader (software)",
            nodes={"webgpu": 20, "cpu": 5},
            elsewhere={"cpu": ["Shape_1", "Gather_2", "Shape_7", "Concat_9", "Range_3"]},
            elsewhere_share=0.2,
        ),
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
    ratios = [ratio for each in ours for ratio in ratios_to(each, peers)]
    return report_with([*ours, *missing, *peers], ratios, rounds)


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
) -> Outcome:
    """One that was measured at about `rate` texts/s."""
    runs = []
    for number in range(rounds):
        slow = rng.uniform(0.9, 1.25)
        one = 9 / (rate or ids_rate or 1) ** 0.38 * slow
        runs.append(
            Round(
                round=number + 1,
                load_s=0.03 * slow + SIZES[precision] / 4e8,
                first_vector_s=(0.35 if graph else 1.9) * slow,
                latency_ms={"p50": one, "p95": 1.6 * one, "p99": rng.uniform(2, 4) * one},
                throughput={"32": 0.7 * rate / slow, "256": rate / slow, "1024": 0.93 * rate / slow} if rate else {},
                from_ids={"1024": ids_rate / slow} if ids_rate else {},
                rss_first_bytes=2.2 * SIZES[precision] + 3e7,
                rss_peak_bytes=(2.4 * SIZES[precision] + 4e7) * slow,
            )
        )
    middle = median(run.latency_ms["p50"] for run in runs)
    ways = (0.72, 0.8, 0.85, 0.93, 1, 1.12, 1.35, 1.6, 2.8)
    who = {"edge-potion": "", "onnxruntime-node": "node ", "onnxruntime-web": "web "}.get(runner, f"{runner} ")
    return Outcome(
        name=f"{model} {who}{f'{graph} ' if graph else ''}{precision} {provider} x{threads}",
        model=model,
        runner=runner,
        peer=graph is None,
        graph=graph,
        precision=precision,
        provider=provider,
        threads=threads,
        status="measured",
        reason=None,
        size_bytes=SIZES[precision],
        versions={"model2vec": "0.10.0"} if graph is None else {"onnxruntime": "1.32.0", "tokenizers": "0.22.1"},
        nodes={provider: 206} if graph else None,
        cosine=Cosine(min=1 - 9 * STRAY[precision], mean=1 - STRAY[precision], texts=218) if graph else None,
        rounds=runs,
        summary=summary(runs),
        latency_quantiles_ms={name: way * middle for name, way in zip(QUANTILES, ways, strict=True)},
    )


def summary(runs: Sequence[Round]) -> dict[str, Spread]:
    """Medians and ends over rounds, as the orchestrator makes them."""
    metrics: dict[str, list[float]] = {}
    for run in runs:
        for key in ("load_s", "first_vector_s", "rss_first_bytes", "rss_peak_bytes"):
            metrics.setdefault(key, []).append(getattr(run, key))
        for key, value in run.latency_ms.items():
            metrics.setdefault(f"{key}_ms", []).append(value)
        for rates, name in ((run.throughput, "texts"), (run.from_ids, "from_ids")):
            for batch, value in rates.items():
                metrics.setdefault(f"{name}_per_s_{batch}", []).append(value)
    return {key: Spread(**spread(values)) for key, values in metrics.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "low": min(values), "high": max(values)}


def missed(graph: str, precision: str, provider: str, status: Any, reason: str, runner: str) -> Outcome:
    """One that was not measured."""
    who = "" if runner == "edge-potion" else f"{runner} "
    return Outcome(
        name=f"{MODEL} {who}{graph} {precision} {provider} x1",
        model=MODEL,
        runner=runner,
        peer=False,
        graph=graph,
        precision=precision,
        provider=provider,
        threads=1,
        status=status,
        reason=reason,
        rounds=[],
    )


def ratios_to(of: Outcome, peers: Sequence[Outcome]) -> list[Ratio]:
    """Against the peer with as many threads, round by round."""
    to = next(peer for peer in peers if peer.threads == of.threads)
    ratios = []
    for metric in ("texts_per_s_256", "first_vector_s"):
        if metric in of.summary:
            ours, theirs = (
                [run.throughput["256"] if "texts" in metric else run.first_vector_s for run in each.rounds]
                for each in (of, to)
            )
            rates = [a / b for a, b in zip(ours, theirs, strict=True)]
            ratios.append(Ratio(of=of.name, to=to.name, metric=metric, rounds=len(rates), **spread(rates)))
    return ratios


def crowded() -> Report:
    """Three models, 72 configurations."""
    rng = random.Random(8)
    cores = [
        ("edge-potion", "cpu", 1),
        ("edge-potion", "cpu", 2),
        ("onnxruntime-node", "cpu", 1),
        ("onnxruntime-web", "wasm", 1),
    ]
    return report_with(
        configuration(
            rng, graph, precision, rng.uniform(8e3, 2e5), model=model, runner=runner, provider=provider, threads=threads
        )
        for model in (MODEL, "a/rather-long-organization-name/potion-base-8M-multilingual", "potion-512d")
        for runner, provider, threads in cores
        for graph in ("text", "bag")
        for precision in SIZES
    )


def interrupted() -> Report:
    """The example, stopped: one has fewer rounds, two have none."""
    report = example()
    first, second, third = report.configurations[:3]
    nothing: dict[str, Any] = {"status": "not run", "reason": "interrupted", "rounds": [], "summary": {}}
    changed = [replace(first, rounds=first.rounds[:2]), replace(second, **nothing), replace(third, **nothing)]
    return replace(
        report,
        complete=False,
        stopped="interrupted",
        configurations=[*changed, *report.configurations[3:]],
        ratios=[ratio for ratio in report.ratios if ratio.of not in (second.name, third.name)],
    )


def content(report: Report) -> dict[str, Any]:
    """What report.json holds."""
    return json.loads(as_json(report))


def altered(report: Report, changes: Mapping[str, Any]) -> Report:
    """The report with other values at dotted places."""
    new = content(report)
    for where, value in changes.items():
        part, key = find(new, where)
        part[key] = value
    return report_of(new)


def faults(report: Mapping[str, Any]) -> list[str]:
    """What JSON Schema finds wrong."""
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return [fault.message for fault in jsonschema.Draft202012Validator(json_schema()).iter_errors(report)]


def printed(report: Report, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(report, console)
    return console.file.getvalue()


def written(report: Mapping[str, Any], folder: Path) -> Path:
    file = folder / "report.json"
    file.write_text(json.dumps(report), encoding="utf-8")
    return file


def test_a_report_of_before_is_read_and_written_again_byte_for_byte():
    assert COMMITTED
    for file in COMMITTED:
        assert as_json(read_report(file)) == file.read_text(encoding="utf-8")
        assert faults(json.loads(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("make", [example, crowded, interrupted, lambda: example(rounds=1)])
def test_reports_are_as_the_schema_says(make):
    assert faults(content(make())) == []


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
    report = content(example())
    part, key = find(report, where)
    del part[key]
    assert faults(report) == [fault]


def test_what_was_not_measured_needs_a_reason_and_what_is_unknown_is_no_part_of_a_report():
    report = content(example())
    report["configurations"][8]["reason"] = None
    report["configurations"][0]["speed"] = 1
    assert len(faults(report)) == 2


def test_a_report_whose_unmeasured_rows_lack_what_they_have_no_number_for_is_read(tmp_path):
    report = content(example())
    for key in ("size_bytes", "versions", "device", "nodes", "elsewhere", "elsewhere_share", "cosine", "summary"):
        del report["configurations"][8][key]
    assert faults(report) == []
    assert read_report(written(report, tmp_path)) == example()


def test_every_field_is_described():
    def undescribed(part: Any, where: str) -> list[str]:
        found = []
        for kind in ("properties", "$defs"):
            for name, field in part.get(kind, {}).items():
                if not {"description", "$ref"} & set(field):
                    found.append(f"{where}.{name}")
                found += undescribed(field, f"{where}.{name}")
        return found

    schema = json_schema()
    assert undescribed(schema, "") == []
    assert len(schema["$defs"]) == 9 and "description" in schema


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_terminal_shows_everything_at_any_width(width):
    report = example()
    shown = printed(report, width)
    assert max(map(len, shown.splitlines())) <= width
    for each in report.configurations:
        words = [each.label, each.reason or ""]
        if each.measured:
            words.append(as_number(1000 * each.summary["p99_ms"].median))
            words.append(f"{each.summary['rss_peak_bytes'].median / 1e6:,.1f}")
            words += [f"{rate.median:,.0f}" for metric, rate in each.summary.items() if "_per_s_" in metric]
        assert [word for word in words if word not in shown] == []
    assert "20% of its nodes did not run on webgpu: 5 on cpu (Shape_1, Gather_2" in shown
    assert "device: Google SwiftShader (software)" in shown
    assert "fell back: 5 of 25 nodes" in shown
    assert "0.999730" in shown and "0.999970" in shown
    assert f"{report.ratios[0].median:.2f}" in shown


def test_a_wide_terminal_shows_one_table_and_a_narrow_one_several():
    def tables(width: int) -> int:
        return len(re.findall(r"^potion-256d-minilm *$", printed(example(), width), re.MULTILINE))

    assert (tables(200), tables(100)) == (1, 3) and tables(60) > 3


def test_names_stand_beside_their_numbers():
    first = example().configurations[0]
    middle = as_number(1000 * first.summary["p50_ms"].median)
    line = rf"^  {first.label} +{middle} "
    one = report_with([first])
    assert all(re.search(line, printed(one, width), re.MULTILINE) for width in (80, 100, 120, 200))
    long = printed(report_with([replace(first, name=f"{MODEL} {'long ' * 30}text")]), 80)
    assert max(map(len, long.splitlines())) <= 80 and middle in long


@pytest.mark.parametrize(("milliseconds", "shown"), [(0.003, "3.00"), (0.01234, "12.3"), (0.2, "200"), (12, "12,000")])
def test_latencies_are_microseconds_of_three_digits(milliseconds, shown):
    assert (METRICS["p50_ms"].show(milliseconds), METRICS["p50_ms"].unit) == (shown, "µs")


def test_names_of_models_are_not_read_as_markup():
    report = altered(example(), {"configurations.0.name": "[red]x[/] text", "configurations.0.model": "[red]x[/]"})
    assert "[red]x[/]" in printed(report, 100)


VIEWS = [as_page, as_markdown, lambda report: printed(report, 300)]


def ours(graph: str, precision: str, rate: float, **options: Any) -> Outcome:
    """One of ours at exactly `rate` texts/s."""
    outcome = configuration(random.Random(7), graph, precision, rate, **options)
    return replace(outcome, summary=outcome.summary | {"texts_per_s_256": Spread(median=rate, low=rate, high=rate)})


TEXT, BAG = ours("text", "int8", 70_000), ours("bag", "int8", 18_000)
NODE = ours("text", "int8", 80_000, runner="onnxruntime-node", provider="node")
IDS = configuration(random.Random(7), "bag", "int8", None, runner="onnxruntime-node", ids_rate=260_000)
PEER = configuration(random.Random(7), None, "float32", 16_000, runner="model2vec", model="model2vec")


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (report_with([BAG, TEXT, PEER]), "Ship: text int8 on cpu: 70,000 texts/s, 7.6 MB, cosine ≥ 0.9997."),
        (report_with([TEXT, NODE]), "Ship: text int8 on cpu: 70,000 texts/s, 7.6 MB, cosine ≥ 0.9997."),
        (report_with([NODE]), "Ship: text int8 on node: 80,000 texts/s, 7.6 MB, cosine ≥ 0.9997."),
        (
            report_with([BAG, ours("bag", "float32", 18_800)]),  # no faster than noise, and four times as large
            "Ship: bag int8 on cpu: 18,000 texts/s, 7.6 MB, cosine ≥ 0.9997.",
        ),
        (
            report_with([BAG, ours("bag", "float32", 19_000)]),
            "Ship: bag float32 on cpu: 19,000 texts/s, 30.2 MB, cosine ≥ 1.0000.",
        ),
        (
            report_with([TEXT, ours("text", "int8", 130_000, threads=2)]),
            "Ship: text int8 on cpu, 2 threads: 130,000 texts/s, 7.6 MB, cosine ≥ 0.9997.",
        ),
        (
            report_with([TEXT, ours("text", "int8", 90_000, model="other")]),
            "Ship: other text int8 on cpu: 90,000 texts/s, 7.6 MB, cosine ≥ 0.9997.",
        ),
        (
            report_with([replace(TEXT, size_bytes=None, cosine=None)]),
            "Ship: text int8 on cpu: 70,000 texts/s.",
        ),
        (report_with([PEER]), "Ship: open, as nothing of ours was measured."),
        (report_with([missed("text", "int8", "cuda", "absent", "no device", "edge-potion")]), "Ship: open, as nothing"),
        (report_with([]), "Ship: open, as nothing of ours was measured."),
        (report_with([IDS]), "Ship: open, as nothing of ours was measured from strings."),
        (report_with([TEXT], rounds=1), "Ship (one round, so rough): text int8 on cpu: 70,000 texts/s"),
        (
            replace(report_with([TEXT]), complete=False, stopped="interrupted"),
            "Ship (a partial report): text int8 on cpu: 70,000 texts/s",
        ),
        (
            report_with(
                [TEXT, PEER],
                [Ratio(of=TEXT.name, to="model2vec float32 x1", metric="texts_per_s_256", rounds=5, **spread([4.25]))],
            ),
            "Ship: text int8 on cpu: 70,000 texts/s (4.2x model2vec float32), 7.6 MB, cosine ≥ 0.9997.",
        ),
    ],
)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_begins_with_what_to_ship_and_what_it_costs(report, sentence, view):
    assert verdict_of(report).sentence.startswith(sentence)
    shown = html.unescape(re.sub(r"<title>.*?</title>|<style>.*?</style>|<[^>]*>", "", view(report), flags=re.DOTALL))
    first = next(line for line in shown.splitlines() if line.strip() not in ("", "# edge-potion benchmark"))
    if view is as_page:
        first = next(line for line in shown.splitlines() if line.startswith("Ship"))
    assert first.replace("\\", "").strip("*").startswith(sentence)


def in_native_engine(rate: float) -> Outcome:
    made = configuration(random.Random(7), "text", "int8", rate)
    name = made.name.replace(" cpu ", " cpu native ")
    return replace(made, name=name, engine="native", versions={"edge-potion": "0.2.0", "kernels": "avx2"}, nodes=None)


def test_the_text_graph_is_shipped_by_the_engine_that_is_faster_and_the_other_is_told():
    verdict = verdict_of(report_with([in_native_engine(700_000), replace(TEXT, engine="onnxruntime")]))
    assert verdict.sentence.startswith("Ship: text int8 on cpu by the native engine: ")
    rate = f"{TEXT.summary['texts_per_s_256'].median:,.0f}"
    assert f"ONNX Runtime has {rate} texts/s with the same file" in verdict.why


@pytest.mark.parametrize("view", VIEWS)
def test_each_engine_is_a_row_by_its_name(view):
    shown = html.unescape(view(report_with([in_native_engine(700_000), replace(TEXT, engine="onnxruntime")])))
    assert "text int8 cpu native x1" in shown and "text int8 cpu x1" in shown


def test_a_report_of_before_there_was_an_engine_is_compared_with_onnx_runtimes_row():
    old = report_with([TEXT])
    new = report_with([in_native_engine(700_000), replace(TEXT, engine="onnxruntime")])
    changes = [change for change in compare(new, old) if change.verdict != "same"]
    assert [(change.metric, change.old, change.verdict) for change in changes] == [("status", None, "other")]
    assert "native" in changes[0].name


def test_an_engine_is_written_where_it_is_known():
    new = content(report_with([in_native_engine(700_000), TEXT]))
    assert [one.get("engine", "missing") for one in new["configurations"]] == ["native", "missing"]
    assert report_of(new).configurations[0].engine == "native" and faults(new) == []
    with pytest.raises(ValueError, match=r"configurations\[0\].engine is 'tvm': "):
        report_of({**new, "configurations": [{**new["configurations"][0], "engine": "tvm"}]})


def test_the_committed_report_says_ship_the_text_graph():
    assert verdict_of(read_report(COMMITTED[0])).sentence == (
        "Ship: text int8 on cpu: 69,899 texts/s (4.3x model2vec float32), 8.8 MB, cosine ≥ 0.9999."
    )


@pytest.mark.parametrize("view", VIEWS)
def test_a_note_stands_once_and_its_number_wherever_it_holds(view):
    rng = random.Random(7)
    alone = [
        configuration(rng, graph, "int8", None, runner="onnxruntime-node", ids_rate=260_000)
        for graph in ("text", "bag", "tokens")
    ]
    shown = view(report_with([TEXT, *alone]))
    assert shown.count("latency is from token ids, without tokenizing") == 1
    assert len(re.findall(r"x1(?: \[1\]| ?<sup>1</sup>)", shown)) >= 3


@pytest.mark.parametrize("view", VIEWS)
def test_a_reason_stands_once_for_all_that_it_kept_out(view):
    left_out = [missed(graph, "int8", "cuda", "absent", "no device here", "edge-potion") for graph in ("text", "bag")]
    shown = view(report_with([TEXT, *left_out]))
    assert shown.count("no device here") == 1
    assert all(each.label in shown for each in left_out)


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


def strange(name: str) -> Report:
    """The example, with `name` wherever a stranger's words can stand."""
    report = example()
    configurations = [
        replace(
            each,
            model=name,
            name=f"{name} {each.name}",
            provider=name,
            graph=name if each.graph else None,
            precision=name,
            device=name,
            elsewhere={name: [name]},
            elsewhere_share=0.1,
            reason=name if each.reason else None,
            versions={name: name},
            nodes={name: 3},
        )
        for each in report.configurations
    ]
    return replace(
        report,
        machine=replace(report.machine, cpu=name, system=name, python=name),
        settings=replace(report.settings, texts=replace(report.settings.texts, source=name)),
        scores=[Score(name=name, size_mb=1.0, score=50.0)],
        configurations=configurations,
        ratios=[replace(ratio, of=f"{name} {ratio.of}", to=f"{name} {ratio.to}") for ratio in report.ratios],
    )


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
    write_report(report, tmp_path)
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
    write_report(example(), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report(replace(example(), seconds=float("nan")), tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    (tmp_path / "report.json").unlink()
    (tmp_path / "report.json").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_report(example(), tmp_path)


@pytest.mark.parametrize("view", VIEWS)
def test_one_round_is_no_median(view):
    one, several = view(example(rounds=1)), view(example())
    assert "Rough: one round alone" in one and "Rough" not in several
    assert "Medians" not in one and "medians over rounds" not in one and "1 rounds" not in one
    assert "edians" in several


def test_markdown_names_every_configuration_and_reason():
    report = example()
    text = as_markdown(report)
    plain = html.unescape(re.sub(r"\\(?=[!-/:-@[-`{-~])", "", text))  # as CommonMark reads it
    for each in report.configurations:
        assert each.name in plain and (each.reason or "") in plain
    assert "<b>" not in text  # GitHub would read it
    assert "[report.schema.json](report.schema.json)" in text
    assert "AMD EPYC, 2 cores" in text and "tokenizers 0.22.1" in text and "5 rounds" in text
    ratio = report.ratios[0]
    assert f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})" in text
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


@pytest.mark.parametrize("make", [example, crowded])
def test_the_page_tells_everything_and_loads_nothing(make):
    report = replace(make(), scores=SCORES)
    page = as_page(report)
    text = html.unescape(page)
    for each in report.configurations:
        assert each.name in text and each.label in text and (each.reason or "") in text
    assert OTHER not in page and "&lt;b&gt;x&quot;" in page and "&lt;b&gt;x&#34;" in page
    assert not re.search(r"https?:|<script|<link|<img|<iframe|@import|url\(|\bon\w+=", page)
    assert page.startswith("<!DOCTYPE html>") and '<html lang="en">' in page and "prefers-color-scheme: dark" in page
    Wellformed().feed(page)


def test_plots_have_names_and_tables_have_heads():
    page = as_page(replace(example(), scores=SCORES))
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
    (alone,) = [each for each in report.configurations if each.name.endswith("node bag int8 cpu x1")]
    throughput, latency = (part(as_page(report), title) for title in ("Throughput", "Latency"))
    assert alone.label not in throughput and "from token ids" in latency
    assert alone.label in part(as_page(report), "Throughput from token ids")
    speed = as_markdown(report).partition("## Speed")[2].partition("## Start")[0]
    assert next(line for line in speed.splitlines() if alone.name in line).count("| – ") == 4


@pytest.mark.parametrize("view", VIEWS)
def test_partial_reports_say_so(view):
    report = interrupted()
    assert "Partial report: it was interrupted with 8 of 14 configurations measured." in view(report)
    assert "2 of 5 rounds" in view(report)
    assert "Partial" not in view(example())
    nothing = replace(report, ratios=[], configurations=report.configurations[1:3])
    assert "0 of 2 configurations" in view(nothing)
    assert "0 of 0 configurations" in view(replace(nothing, configurations=[]))


def test_a_measured_configuration_may_lack_metrics():
    """A browser's memory is not known; a batch that would take too long is skipped; a failed peer has no size."""
    report = example()
    lacking = ("rss_peak_bytes", "rss_first_bytes", "texts_per_s_1024", "first_vector_s")
    some = {metric: spread for metric, spread in report.configurations[0].summary.items() if metric not in lacking}
    first = replace(report.configurations[0], summary=some, size_bytes=None, cosine=None, latency_quantiles_ms={})
    report = replace(report, configurations=[first, *report.configurations[1:]])
    assert faults(content(report)) == []
    assert first.label in as_page(report) and first.name in as_markdown(report)
    assert first.label in printed(report, 100)
    assert first.label not in part(as_page(report), "Memory")


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("make", [example, crowded, interrupted])
def test_the_page_opens_on_a_phone_without_a_network(make, dark, tmp_path):
    built_javascript()
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no chromium")
    report = make()
    page = as_page(replace(report, scores=SCORES))
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
    for each in report.configurations:
        assert each.model in seen["text"] and each.name in seen["text"]


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
    part, key = find(content(example()), f"configurations.0.{where}")
    new = altered(example(), {f"configurations.0.{where}": part[key] + by})
    (change,) = [each for each in compare(new, example()) if each.metric == where.replace(".", "_")][:1]
    assert change.verdict == verdict


def test_configurations_that_came_went_or_changed_status_are_told():
    report = example()
    all_of_them = report.configurations
    gone, came, broken, mended = (all_of_them[number].name for number in (3, 5, 0, 8))
    assert all_of_them[8].status == "absent"
    lost = replace(all_of_them[0], status="failed", reason="it broke", rounds=[])
    was = replace(all_of_them[8], status="failed", reason="it was broken")
    new = replace(report, configurations=[lost, *(each for each in all_of_them[1:] if each.name != gone)])
    old = replace(report, configurations=[was if each.name == mended else each for each in all_of_them])
    old = replace(old, configurations=[each for each in old.configurations if each.name != came])
    found = {each.name: each for each in compare(new, old) if each.metric == "status"}
    assert {name: (each.old, each.new, each.verdict) for name, each in found.items()} == {
        broken: ("measured", "failed", "worse"),
        mended: ("failed", "absent", "other"),
        came: (None, "measured", "other"),
        gone: ("measured", None, "other"),
    }
    lines = as_text(compare(new, old), new, old).splitlines()
    assert re.match(rf"worse +{re.escape(broken)} +status: measured -> failed", lines[0])
    assert f"{came:{max(map(len, found))}}  status: not there -> measured" in "\n".join(lines)
    assert not [each for each in compare(new, old) if each.name in found and each.metric != "status"]


def test_what_only_a_stopped_run_lacks_is_not_worse():
    found = [each for each in compare(interrupted(), example()) if each.metric == "status"]
    assert [(each.new, each.verdict) for each in found] == [("not run", "other")] * 2
    assert "the new report is partial" in as_text([], interrupted(), example())


def test_a_metric_that_one_report_lacks_is_told():
    old = example()
    first = old.configurations[0]
    value = first.summary["texts_per_s_1024"].median
    some = {metric: spread for metric, spread in first.summary.items() if metric != "texts_per_s_1024"}
    new = replace(old, configurations=[replace(first, summary=some), *old.configurations[1:]])
    (change,) = [each for each in compare(new, old) if each.verdict != "same"]
    assert (change.metric, change.old, change.new, change.verdict) == ("texts_per_s_1024", value, None, "other")
    assert f"texts_per_s_1024: {value:,.0f} -> not there" in as_text([change], new, old)


def test_other_machines_versions_texts_and_settings_are_warned_of():
    other = {"machine.cpu": "Cortex-A72", "machine.cores": 4, "machine.python": "3.12.1"}
    other |= {"settings.rounds": 3, "settings.minutes": 99, "settings.texts.count": 10}
    new = altered(example(), other | {"configurations.0.versions": {"onnxruntime": "1.33.0"}})
    text = as_text(compare(new, example()), new, example())
    warnings = [line for line in text.splitlines() if line.startswith("warning")]
    assert [warning.removeprefix("warning: ").split(" is not the old")[0] for warning in warnings] == [
        *("cpu", "cores", "python", "onnxruntime", "setting rounds", "texts"),
    ]
    assert "AMD EPYC -> Cortex-A72" in warnings[0] and "1.32.0 -> 1.32.0, 1.33.0" in warnings[3]


def test_read_report_reads_what_was_written(tmp_path):
    for make in (example, crowded, interrupted):
        assert read_report(written(content(make()), tmp_path)) == make()


@pytest.mark.parametrize(
    ("where", "value", "fault"),
    [
        ("format", 2, "has format 2, and this edge-potion reads format 1"),
        ("machine.cpu", None, "machine.cpu is None: a string was expected"),
        ("configurations.3.summary.p50_ms", 3, r"configurations\[3\].summary.p50_ms is 3: "),
        ("configurations.3.summary.speed", {}, r"configurations\[3\].summary.speed"),
        ("configurations.3.threads", True, r"configurations\[3\].threads is True: should be a valid integer"),
        ("configurations.3.threads", 10**400, r"configurations\[3\].threads is 1000"),
        ("configurations.3.threads", 0, r"configurations\[3\].threads is 0: should be greater than or equal to 1"),
        ("configurations.3.elsewhere_share", 1.1, "elsewhere_share is 1.1: should be less than or equal to 1"),
        ("configurations.3.status", "fine", r"configurations\[3\].status is 'fine'"),
        ("configurations.3.reason", "why", r"configurations\[3\]: what was measured has at least one round, and no"),
        ("configurations.8.reason", None, r"configurations\[8\]: what was not measured needs a reason"),
        ("configurations.3.rounds.1.throughput.32", "x", r"rounds\[1\].throughput.32 is 'x': should be a valid number"),
        ("configurations.3.speed", 1, r"configurations\[3\].speed is no field of a report"),
        ("settings.batches", [], "settings.batches: List should have at least 1 item"),
    ],
)
def test_read_report_names_what_is_wrong(where, value, fault, tmp_path):
    report = content(example())
    part, key = find(report, where)
    part[key] = value
    with pytest.raises(InputError, match=fault) as raised:
        read_report(written(report, tmp_path))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500 + len(str(tmp_path))


def with_seconds(text: str, seconds: str) -> str:
    return text.replace('"seconds": 312.4', f'"seconds": {seconds}')


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda text: with_seconds(text, "NaN"), r"seconds is (nan|inf|-inf|1000+): should be"),
        (lambda text: with_seconds(text, "1e999"), r"seconds is (nan|inf|-inf|1000+): should be"),
        (lambda text: with_seconds(text, f"{10**400}"), r"seconds is (nan|inf|-inf|1000+): should be"),
        (lambda text: with_seconds(text, "-Infinity"), r"seconds is (nan|inf|-inf|1000+): should be"),
        (lambda text: "[" * 100_000, "cannot be read as JSON"),
        (lambda text: f'{text[:-1]}, "ratios": {"[" * 900}{"]" * 900}}}', r"ratios\[0\]: should be a dictionary"),
        (lambda text: text.replace('"status": "measured"', '"status": "\\u001b[31m' + "x" * 999 + '"'), r"\\x1b\[31m"),
        (lambda text: '{"schema": 2, "models": []}', "no report of `edge-potion benchmark`: it has no format"),
    ],
)
def test_a_report_of_anothers_making_is_one_line(damage, fault, tmp_path):
    (tmp_path / "report.json").write_text(damage(json.dumps(content(example()))), encoding="utf-8")
    with pytest.raises(InputError, match=fault) as raised:
        read_report(tmp_path / "report.json")
    assert "\n" not in str(raised.value) and "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 500 + len(str(tmp_path))


SCORED = {"name": "m", "size_mb": 7.6, "averages": {"tuning": {"CatAVG": 1.0}, "report": {"CatAVG": 70.123}}}


def test_scores_are_taken_of_models_with_all_tasks_of_the_half_that_reports(tmp_path):
    models = [SCORED, {**SCORED, "incomplete": ["tuning"]}, {**SCORED, "incomplete": ["report"]}]
    models.append({"name": "lost", "size_mb": None, "averages": {}, "incomplete": ["report"]})
    (tmp_path / "scores.json").write_text(json.dumps({"models": models}))
    assert read_scores(tmp_path / "scores.json") == [Score(name="m", size_mb=7.6, score=70.12)] * 2


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
        read_scores(tmp_path / "scores.json")
    assert "\n" not in str(raised.value)


def test_reports_larger_than_any_are_not_read(tmp_path):
    with (tmp_path / "large.json").open("wb") as stream:
        stream.truncate(2**25 + 1)
    for read in (read_report, read_scores):
        with pytest.raises(InputError, match=r"large\.json is larger than 33,554,432 bytes"):
            read(tmp_path / "large.json")


def test_texts_too_long_for_every_runner_are_named(tmp_path):
    (tmp_path / "texts.txt").write_text("x" * 20_000 + "\n" + "y" * 40_000)
    with pytest.raises(InputError, match="30,000 characters on average; 4,096 texts of at most 16,384 were expected"):
        first_texts(str(tmp_path / "texts.txt"))


def test_texts_are_each_taken_once_in_their_order_and_few_are_repeated(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"text {number % 5000}\n" for number in range(20_000)))
    assert first_texts(str(file)) == [f"text {number}" for number in range(5000)]
    file.write_text("".join(f"text {number}\n" for number in range(20_000)))
    assert first_texts(str(file)) == [f"text {number}" for number in range(16_384)]
    file.write_text("one\n\ntwo\none\nthree\n")
    assert first_texts(str(file)) == (["one", "two", "three"] * 1366)[:4096]


def test_read_report_names_what_is_not_there_or_no_report(tmp_path):
    with pytest.raises(InputError, match=r"nothing.json is missing"):
        read_report(tmp_path / "nothing.json")
    for damaged, fault in {
        b"{": "cannot be read as JSON",
        b"\xff": "cannot be read as JSON",
        b"[1]": "a JSON object was expected",
        b'{"models": []}': "it has no format",
    }.items():
        (tmp_path / "report.json").write_bytes(damaged)
        with pytest.raises(InputError, match=fault) as raised:
            read_report(tmp_path / "report.json")
        assert "\n" not in str(raised.value)
    report = content(example())
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
    reports = []
    for (middle, low, high), theirs in zip((old, new), baseline, strict=True):
        report = example(rounds)
        first = report.configurations[0]
        summary = first.summary | {metric: Spread(median=middle, low=low, high=high)}
        ratios = [
            replace(ratio, median=middle / theirs) if (ratio.of, ratio.metric) == (first.name, metric) else ratio
            for ratio in report.ratios
        ]
        configurations = [replace(first, summary=summary), *report.configurations[1:]]
        reports.append(replace(report, configurations=configurations, ratios=ratios))
    (change,) = [each for each in compare(reports[1], reports[0]) if (each.name, each.metric) == (first.name, metric)]
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
