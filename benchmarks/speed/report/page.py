"""The benchmark's report as one HTML page: no network, no script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_potion.escaping import html

from . import plots
from .plots import AnyRow
from .terminal import (
    Part,
    as_number,
    baseline_metric,
    batch_of,
    by_model,
    counted,
    from_ids_alone,
    label,
    measured,
    metric_title,
    more_is_better,
    parts,
    remarks,
    stopped,
    why_not,
)

__all__ = ["as_page"]

Configuration = Mapping[str, Any]
LEAST_STRAY = 1e-9  # 1 - cosine of vectors that are the same; a logarithm needs more than 0

STYLE = """
:root { color-scheme: light dark;
  --page: #f3f5f8; --card: #ffffff; --ink: #17202b; --soft: #566273; --line: #d9dfe7; --track: #e9edf2;
  --s0: #0b62b8; --s1: #b4450c; --s2: #0a7a55; --s3: #7b3fb5; --bar: #5f97cf;
  --peer: #5d6b7c; --peer-bar: #87939f; --warn: #fff3d6; --warn-ink: #6b4700; }
@media (prefers-color-scheme: dark) { :root {
  --page: #0e1319; --card: #171e27; --ink: #e8edf3; --soft: #a3b0bf; --line: #303b48; --track: #252f3a;
  --s0: #5eb0f7; --s1: #f5935a; --s2: #41c796; --s3: #c193f0; --bar: #3f78b0;
  --peer: #97a5b5; --peer-bar: #66768a; --warn: #3d2f0c; --warn-ink: #ffdc8f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 20px 12px 48px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 8px 0; }
h2 { font-size: 1.1rem; margin: 0 0 4px; }
p { margin: 0 0 10px; }
.soft, figcaption, small { color: var(--soft); }
.banner { background: var(--warn); color: var(--warn-ink); border: 1px solid currentColor; border-radius: 10px;
  padding: 10px 14px; font-weight: 600; margin: 12px 0; }
.grid { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr));
  align-items: start; margin: 14px 0; }
.tiles { display: grid; gap: 10px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin: 14px 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px; min-width: 0;
  margin: 0; }
section.card { margin: 14px 0; }
.grid > :last-child:nth-child(odd) { grid-column: 1 / -1; }
.badge { display: inline-block; min-width: 20px; padding: 0 4px; border-radius: 10px; text-align: center;
  background: var(--s0); color: var(--card); font-size: 11px; line-height: 20px; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile small, .tile span { display: block; font-size: 13px; line-height: 1.35; }
.tile small { margin-top: 6px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; margin: 0 0 4px; }
.legend svg { vertical-align: -2px; overflow: visible; }
.scroll { overflow-x: auto; border-radius: 6px; }
.scroll:focus-visible { outline: 2px solid var(--s0); }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; min-width: 100%; }
.scroll table { overflow-wrap: normal; }
th, td { padding: 5px 10px; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; border-bottom: 2px solid var(--line); }
tr:has(+ .remark) > * { border-bottom: 0; }
.remark td { text-align: left; padding-top: 0; color: var(--soft); font-size: 12px; }
.remark span { position: sticky; left: 10px; display: inline-block; max-width: min(1180px, calc(100vw - 76px)); }
th[scope=row], th.name { text-align: left; font-weight: 500; position: sticky; left: 0; background: var(--card);
  min-width: 130px; max-width: 320px; overflow-wrap: anywhere; }
th[scope=rowgroup] { text-align: left; padding-top: 12px; font-weight: 700; }
th[scope=rowgroup] span { position: sticky; left: 10px; overflow-wrap: anywhere; }
td small, th small { display: block; font-weight: 400; font-size: 12px; }
td small { white-space: nowrap; }
td.text { text-align: left; min-width: 150px; }
.words { text-align: left; }
.status { display: inline-block; border: 1px solid currentColor; border-radius: 20px; padding: 0 8px; font-size: 12px;
  color: var(--s1); white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 14px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
ul { margin: 0; padding-left: 20px; } li { margin-bottom: 4px; }
svg.plot { display: block; }
.plot text { font-size: 12px; fill: var(--ink); }
.plot .heading { font-weight: 700; font-size: 13.5px; } .plot .place { font-weight: 600; fill: var(--soft); }
.plot .tick, .plot .axis { fill: var(--soft); font-size: 11px; }
.plot .told { text-anchor: end; font-variant-numeric: tabular-nums; }
.plot .grid { stroke: var(--line); } .plot .track { stroke: var(--track); stroke-width: 1; }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); }
.dot { fill: var(--c); stroke: var(--card); stroke-width: 1; }
.peer { --s0: var(--peer); --s1: var(--peer); --s2: var(--peer); --s3: var(--peer); --bar: var(--peer-bar); }
.plot .peer .label { font-style: italic; }
.plot .range { stroke: var(--c); stroke-width: 3; stroke-linecap: round; }
.plot .thin { stroke: var(--s0); stroke-width: 1.5; } .plot .thick { stroke: var(--s0); stroke-width: 4; }
.plot .box { stroke: var(--s0); stroke-width: 10; } .plot .median { stroke: var(--ink); stroke-width: 3; }
.plot .whole { fill: var(--bar); } .plot .inner { fill: var(--s0); }
.plot .error { stroke: var(--ink); stroke-width: 1.5; }
.plot .marker { fill: var(--s0); stroke: var(--card); stroke-width: 1.5; }
.plot .number { fill: var(--card); text-anchor: middle; font-weight: 700; font-size: 11px; }
"""


def as_page(report: Mapping[str, Any]) -> str:
    """The whole page. `scores` are rows {"name", "size_mb", "score"} of what the models are worth on tasks."""
    banner = "" if report["complete"] else f'<p class="banner" role="status">{html(stopped(report))}</p>'
    figures = [
        _throughput(report, "texts_per_s"),
        _latency(report),
        _cold_start(report),
        _memory(report),
        _fidelity(report),
        _scores(report),
        _throughput(report, "from_ids_per_s"),
    ]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>edge-potion benchmark, {html(report["started"][:10])}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>edge-potion benchmark</h1>
<p class="soft">{html(_where(report))}</p>
{banner}
</header>
<main>
{_tiles(report)}
<div class="grid">
{"".join(figures)}
</div>
{_numbers(report)}
{_ratios(report)}
{_not_measured(report)}
{_how(report)}
{_what_ran(report)}
</main>
</body>
</html>
"""


def _where(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    when = report["started"][:16].replace("T", " ")
    what = f"{machine['cpu']}, {counted(machine['cores'], 'core')}, {machine['system']}"
    return f"{what}. {when}, edge-potion {report['edge_potion']}."


def _tiles(report: Mapping[str, Any]) -> str:
    """The best of ours for each question, beside the best peer. A page's start and memory are not a process's."""
    batches = report["settings"]["batches"]
    questions: list[tuple[str, str, Callable[[float], str]]] = [
        (f"Most texts/s, {batches[-1]} a call", f"texts_per_s_{batches[-1]}", "{:,.0f}".format),
        ("Quickest text, p50", "p50_ms", lambda ms: f"{as_number(ms)} ms"),
        ("Quickest cold start", "first_vector_s", lambda seconds: f"{as_number(1000 * seconds)} ms"),
        ("Least memory, peak RSS", "rss_peak_bytes", lambda count: f"{count / 1e6:,.1f} MB"),
    ]
    tiles = []
    for title, metric, show in questions:
        having = [each for each in _measured(report) if metric in each["summary"] and not from_ids_alone(each)]
        if metric in ("first_vector_s", "rss_peak_bytes"):
            having = [each for each in having if each["runner"] != "onnxruntime-web"]
        ranked = sorted(having, key=lambda each: each["summary"][metric]["median"], reverse=more_is_better(metric))
        ours = next((each for each in ranked if not each["peer"]), None)
        peer = next((each for each in ranked if each["peer"]), None)
        if ours:
            number = show(ours["summary"][metric]["median"])
            best = f"best peer: {show(peer['summary'][metric]['median'])}, {peer['name']}" if peer else ""
            lines = f"<b>{number}</b><span>{html(ours['name'])}</span><small>{html(best)}</small>"
            tiles.append(f'<div class="card tile">{title}{lines}</div>')
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _throughput(report: Mapping[str, Any], kind: str) -> str:
    batches = [str(batch) for batch in report["settings"]["batches"]]
    metric = baseline_metric(report) if kind == "texts_per_s" else None
    ratios = {ratio["of"]: ratio["median"] for ratio in report["ratios"] if ratio["metric"] == metric}
    rows = []
    for configuration in _measured(report):
        summary = configuration["summary"]
        spreads = {f"{batch} a call": summary[f"{kind}_{batch}"] for batch in batches if f"{kind}_{batch}" in summary}
        if spreads:
            fastest = max(spread["median"] for spread in spreads.values())
            times = f" ({ratios[configuration['name']]:.1f}×)" if configuration["name"] in ratios else ""
            rows.append((-fastest, plots.Dots(*_heads(configuration), f"{fastest:,.0f}{times}", spreads)))
    title = "Throughput" if kind == "texts_per_s" else "Throughput from token ids"
    told = "Texts per second from strings, tokenizing included; more is better. "
    if kind != "texts_per_s":
        told = "Texts per second without tokenizing: not comparable with rates from strings. "
    told += "Markers are medians (gray: peers), lines go from the slowest to the fastest round. "
    told += "The number is the fastest marker's"
    told += f", in brackets times the baseline at {batch_of(metric)} a call." if metric else "."
    series = [f"{batch} a call" for batch in batches]
    drawn = plots.dots(kind, title, told, _sorted(report, rows), series) if rows else ""
    return _figure(title, told, f'<div class="legend">{plots.legend(series)}</div>{drawn}') if rows else ""


def _latency(report: Mapping[str, Any]) -> str:
    rows = []
    for configuration in _measured(report):
        p50_ms, quantiles = configuration["summary"].get("p50_ms"), configuration.get("latency_quantiles_ms")
        if p50_ms and quantiles:
            values = {int(percentile): value for percentile, value in quantiles.items()}
            middle = p50_ms["median"]
            rows.append((middle, plots.Strip(*_heads(configuration), f"{as_number(middle)} ms", values)))
    told = (
        "Milliseconds for one text a call, logarithmic; less is better. The tick and the number are the median, the "
        "box holds the middle half of the calls, the thick line 5 to 95 %, the thin line 1 to 99 %."
    )
    title = "Latency"
    return _figure(title, told, plots.strips("latency", title, told, _sorted(report, rows))) if rows else ""


def _cold_start(report: Mapping[str, Any]) -> str:
    told = (
        "Milliseconds from starting the process to its first vector, in a browser (wasm, webgpu) from going to the "
        "page; less is better. The thick part is loading the model, the thin line goes from the quickest to the "
        "slowest round."
    )
    return _bars(report, "Cold start", told, "first_vector_s", "load_s", 1e3, "ms")


def _memory(report: Mapping[str, Any]) -> str:
    told = (
        "Peak resident memory in MB, beyond that of the process before its imports; less is better. The thick part is "
        "up to the first vector, the thin line goes from the least to the most of the rounds."
    )
    return _bars(report, "Memory", told, "rss_peak_bytes", "rss_first_bytes", 1e-6, "MB")


def _bars(report: Mapping[str, Any], title: str, told: str, metric: str, inner: str, scale: float, unit: str) -> str:
    rows = []
    for configuration in _measured(report):
        if spread := configuration["summary"].get(metric):
            whole = {end: scale * value for end, value in spread.items()}
            part = configuration["summary"].get(inner)
            number = f"{as_number(whole['median'])} {unit}"
            bar = plots.Bar(*_heads(configuration), number, whole, scale * part["median"] if part else None)
            rows.append((whole["median"], bar))
    return _figure(title, told, plots.bars(metric, title, told, _sorted(report, rows))) if rows else ""


def _fidelity(report: Mapping[str, Any]) -> str:
    points: dict[str, plots.Point] = {}
    for configuration in _measured(report):
        cosine, size = configuration.get("cosine"), configuration.get("size_bytes")
        if cosine and size and not configuration["peer"]:
            stray = max(1 - cosine["mean"], LEAST_STRAY)
            form = [configuration["model"], configuration["graph"], configuration["precision"]]
            name = " ".join(part for part in form if part)
            if name not in points or points[name].y < stray:  # its worst provider counts
                points[name] = plots.Point(name, size / 1e6, stray)
    told = (
        "How far the vectors stray from the float32 reference, 1 - mean cosine, against the size of the file. Lower "
        "and further left is better. Where providers differ, the worst is shown; 1e-9 stands for no difference."
    )
    return _scatter("fidelity", "Fidelity and size", told, [*points.values()], "1 - mean cosine", True)


def _scores(report: Mapping[str, Any]) -> str:
    points = [plots.Point(row["name"], row["size_mb"], row["score"]) for row in report["scores"]]
    told = "What the models score on tasks against their size. Higher and further left is better."
    return _scatter("scores", "Task score and size", told, points, "task score", False)


def _scatter(key: str, title: str, told: str, points: Sequence[plots.Point], y_title: str, y_logarithmic: bool) -> str:
    if not points:
        return ""
    markers = plots.numbered(points, y_logarithmic)
    drawn = plots.scatter(key, title, told, markers, "MB, logarithmic", y_title, y_logarithmic)
    rows = []
    for marker in markers:
        for point in marker.points:
            y = f"{point.y:.1e}" if y_logarithmic else f"{point.y:.2f}"
            name = f'<th scope="row"><b class="badge">{marker.number}</b> {html(point.label)}</th>'
            rows.append(f"<tr>{name}<td>{point.x:,.1f}</td><td>{y}</td></tr>")
    heads = f'<th scope="col" class="name">marker</th><th scope="col">MB</th><th scope="col">{html(y_title)}</th>'
    return _figure(title, told, drawn + _table(title, f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"))


def _numbers(report: Mapping[str, Any]) -> str:
    told = "Medians over rounds; below them, where they differ, the lowest and the highest round."
    return "".join(
        _section(part.title, told, _table(part.title, content))
        for number, part in enumerate(parts(report))
        if (content := _part(part, report, with_remarks=number == 0))
    )


def _part(part: Part, report: Mapping[str, Any], with_remarks: bool) -> str:
    heads = "".join(f'<th scope="col">{"<br>".join(column.head)}</th>' for column in part.columns)
    bodies = []
    for model, configurations in by_model(report):
        rows = []
        for configuration in filter(measured, configurations):
            cells = []
            for column in part.columns:
                ends = column.ends(configuration)
                cells.append(f"<td>{column.cell(configuration)}{f'<small>{ends}</small>' if ends else ''}</td>")
            if with_remarks or any(column.spread(configuration) for column in part.columns):
                rows.append(f"<tr>{_th(label(configuration))}{''.join(cells)}</tr>")
            if with_remarks and (told := "; ".join(remarks(configuration, report))):
                rows.append(f'<tr class="remark"><td colspan="{len(cells) + 1}"><span>{html(told)}</span></td></tr>')
        title = f'<tr><th scope="rowgroup" colspan="{len(part.columns) + 1}"><span>{html(model)}</span></th></tr>'
        bodies.append(f"<tbody>{title}{''.join(rows)}</tbody>" if rows else "")
    head = f'<thead><tr><th scope="col" class="name">configuration</th>{heads}</tr></thead>'
    return head + "".join(bodies) if any(bodies) else ""


def _ratios(report: Mapping[str, Any]) -> str:
    rounds = report["settings"]["rounds"]
    metrics = list(dict.fromkeys(ratio["metric"] for ratio in report["ratios"]))
    heads = []
    for metric in metrics:
        better = "more" if more_is_better(metric) else "less"
        heads.append(f'<th scope="col">{html(metric_title(metric))}<small>{better} is better</small></th>')
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for ratio in report["ratios"]:
        found.setdefault((ratio["of"], ratio["to"]), {})[ratio["metric"]] = ratio
    rows = []
    for (of, to), ratios in found.items():
        cells = [_ratio(ratios[metric], rounds) if metric in ratios else "<td>–</td>" for metric in metrics]
        rows.append(f"<tr>{_th(of, f'over {to}')}{''.join(cells)}</tr>")
    head = f'<thead><tr><th scope="col" class="name">configuration</th>{"".join(heads)}</tr></thead>'
    told = "Taken round by round, as both ran within the same minutes: the median, and the lowest and highest round."
    title = "Times the baseline"
    return _section(title, told, _table(title, f"{head}<tbody>{''.join(rows)}</tbody>")) if rows else ""


def _ratio(ratio: Mapping[str, Any], rounds: int) -> str:
    fewer = f", {counted(ratio['rounds'], 'round')}" if ratio["rounds"] != rounds else ""
    ends = f"<small>{ratio['low']:.2f}–{ratio['high']:.2f}{fewer}</small>" if ratio["rounds"] > 1 else ""
    return f"<td>{ratio['median']:.2f}{ends}</td>"


def _not_measured(report: Mapping[str, Any]) -> str:
    rows = []
    for configuration in report["configurations"]:
        if not measured(configuration):
            status, _, reason = why_not(configuration).partition(": ")
            why = f'<td class="text"><span class="status">{html(status)}</span> {html(reason)}</td>'
            rows.append(f"<tr>{_th(configuration['name'])}{why}</tr>")
    why = '<th scope="col" class="words">status and reason</th>'
    head = f'<thead><tr><th scope="col" class="name">configuration</th>{why}</tr></thead>'
    told = "Asked for, and without numbers: nothing that another provider would have run was timed in its place."
    title = "What was not measured"
    return _section(title, told, _table(title, f"{head}<tbody>{''.join(rows)}</tbody>")) if rows else ""


def _how(report: Mapping[str, Any]) -> str:
    settings = report["settings"]
    texts = settings["texts"]
    memory = report["machine"]["memory_bytes"]
    facts = {
        "machine": f"{_where(report)}{f' {memory / 1e9:,.0f} GB of memory.' if memory else ''}",
        "Python": report["machine"]["python"],
        "texts": f"{texts['count']:,} of {texts['source']}, {texts['mean_characters']:.0f} characters on average, "
        f"{texts['not_ascii']:.1%} not ASCII",
        "rounds": f"{settings['rounds']}, each configuration in a process of its own once a round"
        f"{', pinned to its cores' if settings['pinned'] else ''}",
        "latency": f"{settings['latency_calls']} calls of one text, after {settings['warmup_calls']} untimed; in a "
        f"browser after {settings['warmup_seconds']:g} s of them, as it compiles meanwhile",
        "throughput": f"at least {settings['batch_seconds']:g} s for each number of texts a call",
        "fidelity": f"cosines to the float32 reference on {settings['golden_texts']} texts",
        "took": f"{report['seconds']:,.0f} s",
    }
    listed = "".join(f"<dt>{name}</dt><dd>{html(fact)}</dd>" for name, fact in facts.items())
    told = (
        "Two numbers differ when their ranges over rounds do not overlap. Files were in the system's cache when "
        "processes started. Every number is in report.json, whose fields report.schema.json describes."
    )
    return _section("How it was measured", told, f"<dl>{listed}</dl>")


def _what_ran(report: Mapping[str, Any]) -> str:
    rows = []
    for configuration in _measured(report):
        nodes = ", ".join(f"{provider} {count}" for provider, count in (configuration.get("nodes") or {}).items())
        versions = ", ".join(f"{name} {version}" for name, version in configuration.get("versions", {}).items())
        texts = (versions, configuration.get("device") or "–", nodes or "not told")
        cells = "".join(f'<td class="text">{html(text)}</td>' for text in texts)
        rows.append(f"<tr>{_th(configuration['name'])}{cells}<td>{len(configuration['rounds'])}</td></tr>")
    heads = "".join(f'<th scope="col" class="words">{head}</th>' for head in ("versions", "device", "nodes run by"))
    head = f'<thead><tr><th scope="col" class="name">configuration</th>{heads}<th scope="col">rounds</th></tr></thead>'
    told = "The libraries that took part, and the providers that really ran the graph's nodes."
    return _section("What ran", told, _table("What ran", f"{head}<tbody>{''.join(rows)}</tbody>")) if rows else ""


def _measured(report: Mapping[str, Any]) -> list[Configuration]:
    return [configuration for configuration in report["configurations"] if measured(configuration)]


def _heads(configuration: Configuration) -> tuple[str, str, str, bool]:
    """What a row of a plot goes by: its model, its place, its name, and whether it is a peer's."""
    threads = configuration["threads"]
    place = f"{configuration['provider']} · {threads} thread{'s' * (threads > 1)}"
    place += " · from token ids" if from_ids_alone(configuration) else ""
    return configuration["model"], place, label(configuration), configuration["peer"]


def _sorted(report: Mapping[str, Any], rows: Sequence[tuple[float, AnyRow]]) -> list[AnyRow]:
    """The rows model by model as the report has them, then place by place, in each the best first."""
    models = [model for model, _ in by_model(report)]
    return [row for _, row in sorted(rows, key=lambda pair: (models.index(pair[1].model), pair[1].place, pair[0]))]


def _figure(title: str, told: str, drawn: str) -> str:
    return f'<figure class="card"><h2>{title}</h2><figcaption><p>{html(told)}</p></figcaption>{drawn}</figure>\n'


def _section(title: str, told: str, content: str) -> str:
    return f'<section class="card"><h2>{title}</h2><p class="soft">{html(told)}</p>{content}</section>\n'


def _table(title: str, content: str) -> str:
    return f'<div class="scroll" role="region" aria-label="{title}, table" tabindex="0"><table>{content}</table></div>'


def _th(name: str, below: str = "") -> str:
    return f'<th scope="row">{html(name)}{f"<small>{html(below)}</small>" if below else ""}</th>'
