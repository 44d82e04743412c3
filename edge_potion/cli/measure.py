"""The commands that measure: `evaluate` a model's quality, `benchmark` its speed and cost."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from edge_potion.bundle import GRAPHS, PRECISIONS
from edge_potion.errors import InputError, require

from .options import TextColumnOption, instead

__all__ = ["benchmark", "evaluate"]

# Options of `evaluate`, and what each is of.
SOURCE_OF = {
    **dict.fromkeys(("text", "label", "test", "seeds"), "data"),
    **dict.fromkeys(("query", "passage"), "pairs"),
    "languages": "suite",
}


def evaluate(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            help="Model folders, bundles (BUNDLE@int8 for a precision), hub ids, or st:NAME for sentence-transformers."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your texts and labels: .csv, .tsv, .jsonl (also packed) or .parquet."),
    ] = None,
    text: Annotated[str, typer.Option(metavar="NAME", help="Column of the texts in --data.")] = "text",
    label: Annotated[str, typer.Option(metavar="NAME", help="Column of the labels in --data.")] = "label",
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rows to score; by default a fifth of those of each label in --data."),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=100, help="So many regressions, each from 90 % of the rows; 1 is one from all."
        ),
    ] = 5,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your queries, and passages that answer them: files as of --data."),
    ] = None,
    query: Annotated[str, typer.Option(metavar="NAME", help="Column of the queries in --pairs.")] = "query",
    passage: Annotated[str, typer.Option(metavar="NAME", help="Column of the passages in --pairs.")] = "passage",
    suite: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Of a local suite, or a set, as above; or mteb for MTEB's English tasks."),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="By comma: of translations, such as deu,fra; by default all.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For report.json, report.md, report.png and report-dark.png.")
    ] = Path("quality"),
) -> None:
    """Score models on your own rows, or on MTEB's tasks; several stand in one table. Name one of --data (texts and
    labels: accuracy and macro F1 of a logistic regression), --pairs (queries and passages that answer them: recall@1,
    recall@5, recall@10, MRR@10 and nDCG@10) and --suite (STS, classification, pair classification, retrieval,
    translations, as MTEB does).

    On your own rows each model's difference to the first has an interval (paired bootstrap, 95 %). Texts that stand in
    both the rows to learn from and those to score are named, and not scored. --data may be a folder with train.jsonl
    and test.jsonl.

    A suite is a folder with a folder for each task, under MTEB's name, and in it a JSON object a line:

      suite/STS16/test.jsonl.gz              sentence1, sentence2, score
      suite/TwitterURLCorpus/test.jsonl.gz   sentence1, sentence2, label (0 or 1)
      suite/Imdb/train.jsonl.gz              text, label (a whole number)
      suite/Imdb/test.jsonl.gz

    Tasks that are not there are left out. STSBenchmark, SICK-R and QQP have a validation.jsonl.gz too. The same command
    goes on where a stopped one was.

    A retrieval set is a folder of any name, in the suite or named itself; BEIR's folders, with titles and
    qrels/test.tsv, are read too:

      suite/Pets/corpus.jsonl.gz             _id, text
      suite/Pets/queries.jsonl.gz            _id, text
      suite/Pets/qrels.jsonl.gz              query, doc, score (a whole number: above 0, the document answers it)

    It is searched by words (BM25, once), and by each model's vectors, alone and with words (hybrid, as `edge-potion
    search` does): nDCG@10, recall@100 and MRR@10, a row each. Retrieval is in no mean of the other categories. MTEB's
    own sets (--suite mteb: NanoBEIR) are searched by vectors.

    Translations are a folder of any name too, of one file with many languages:

      suite/tatoeba-112/pairs.jsonl.gz       language (such as deu), text, english

    Of each text the nearest English side of its language, by cosine, should be its own: accuracy and F1, means over
    languages in the table, every language in report.md. They are in no mean of the other categories.

    Exit codes: 0 where every model has a score for everything; 1 where one has none, and the report, which has all
    others, says why; 2 a command line that is wrong; 130 stopped by Ctrl-C.

    Example: edge-potion evaluate potion-256d-minilm minishlab/potion-base-8M --data my.csv --text text --label label

    Example: edge-potion evaluate potion-256d-minilm my-bundle@int8 --pairs faq.csv --query question --passage answer

    Example: edge-potion evaluate my-run/model my-bundle@int8 st:all-MiniLM-L6-v2 --suite mteb

    Example: edge-potion evaluate potion-256d-minilm --suite scifact

    Example: edge-potion evaluate my-run/model --suite tatoeba-112 --languages deu,fra
    """
    _refuse_strays(context, {"data": data, "pairs": pairs, "suite": suite})

    from edge_potion.benchmarks.quality import own_report, report
    from edge_potion.benchmarks.quality.evaluate import evaluate as run

    found = run(
        models,
        suite,
        out,
        data=data,
        test=test,
        text_column=text,
        label_column=label,
        seeds=seeds,
        pairs=pairs,
        query_column=query,
        passage_column=passage,
        languages=None if languages is None else [each.strip() for each in languages.split(",")],
        show_progress=True,
    )
    told = report if suite is not None else own_report
    print(told.as_table(found))
    print(f"{out}: report.json, report.md, report.png, report-dark.png")
    if told.unscored(found):
        sys.exit("error: not everything has a score; the table and report.md say why")


def _refuse_strays(context: typer.Context, sources: Mapping[str, object]) -> None:
    """A command line that names not one of the sources, or an option of another, is wrong."""
    named = [source for source, value in sources.items() if value is not None]
    if len(named) != 1:
        context.fail(f"name one of --data, --pairs and --suite{': here are ' if named else ''}{_options(named)}")
    for option, source in SOURCE_OF.items():
        given = context.get_parameter_source(option)
        if given and given.name == "COMMANDLINE" and source != named[0]:
            context.fail(f"--{option} goes with --{source}, and --{named[0]} is named")


def _options(names: Sequence[str]) -> str:
    return " and ".join(f"--{name}" for name in names)


def benchmark(
    bundles: Annotated[
        list[str] | None,
        typer.Argument(help="Bundles: folders or hub ids; by default the built-in one.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="For report.json, report.md and report.html.")] = Path(
        "benchmark"
    ),
    providers: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="By comma: cpu, openvino, cuda, ..., and node, wasm, webgpu (headless Chromium); or all.",
        ),
    ] = "all",
    peers: Annotated[
        str,
        typer.Option(
            metavar="LIST", help="By comma, such as 'model2vec float32'; or all, or none. Ratios are to model2vec."
        ),
    ] = "all",
    graphs: Annotated[str, typer.Option(metavar="LIST", help=f"By comma: {', '.join(GRAPHS)}; or all.")] = "all",
    precision: Annotated[str, typer.Option(metavar="LIST", help=f"By comma: {', '.join(PRECISIONS)}; or all.")] = "all",
    precisions: Annotated[
        str | None,
        typer.Option(hidden=True, expose_value=False, callback=instead("--precisions is --precision LIST here")),
    ] = None,
    threads: Annotated[
        str, typer.Option(metavar="LIST", help="Numbers by comma, such as 1,4; as many cores are pinned.")
    ] = "1",
    texts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Texts: one a line, or .jsonl, .csv, .tsv, .parquet; by default sample sentences.",
            show_default=False,
        ),
    ] = None,
    text_column: TextColumnOption = "text",
    python: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="The interpreter for a provider or a peer, in the place of the one that --setup builds.",
            show_default=False,
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A report.json of `edge-potion evaluate`: plot quality against size.",
            show_default=False,
        ),
    ] = None,
    setup: Annotated[
        bool,
        typer.Option("--setup", help="First install what is missing, in environments beside yours (needs a network)."),
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A rough answer in under a minute: one round.")] = False,
    minutes: Annotated[
        float | None, typer.Option(metavar="N", min=0.1, help="How long; by default 10.", show_default=False)
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="An older report.json: show what changed beyond the noise.", show_default=False
        ),
    ] = None,
) -> None:
    """Measure which graph, precision and provider to ship on this machine, with peers beside.

    Every configuration runs in a process of its own, in interleaved rounds; the text graph on the CPU in the native
    engine and in ONNX Runtime. Ctrl-C leaves a report of what was
    measured until then. What is not installed is a row that says so; --setup installs it.

    Exit codes: 0 done; 1 an error; 2 a command line that is wrong; 130 stopped by Ctrl-C, with the report written.

    Example: edge-potion benchmark my-bundle --setup --providers cpu,openvino,wasm
    """
    require("rich", "pydantic", "jinja2", "markupsafe", extra="benchmark", purpose="the benchmark's report")
    from dataclasses import replace

    from rich.console import Console

    from edge_potion.benchmarks.speed import compare as comparing
    from edge_potion.benchmarks.speed.benchmark import benchmark as measure
    from edge_potion.benchmarks.speed.configurations import PROVIDERS
    from edge_potion.benchmarks.speed.jobs import QUICK, Effort
    from edge_potion.benchmarks.speed.peers import PEERS
    from edge_potion.benchmarks.speed.report.terminal import print_report

    old = comparing.read_report(compare) if compare else None
    effort = QUICK if quick else Effort()
    report = measure(
        bundles or [],
        out,
        providers=_chosen(providers, PROVIDERS, "provider"),
        peers=_chosen(peers, tuple(PEERS), "peer"),
        graphs=_chosen(graphs, tuple(GRAPHS), "graph"),
        precisions=_chosen(precision, tuple(PRECISIONS), "precision"),
        threads=_numbers(threads),
        texts=texts,
        text_column=text_column,
        pythons=_pythons(python or []),
        scores=scores,
        setup=setup,
        effort=effort if minutes is None else replace(effort, minutes=minutes),
        show_progress=True,
    )
    print_report(report, Console())
    if old:
        print(comparing.as_text(comparing.compare(report, old), report, old))
    print(f"{out}: report.json, report.md, report.html")
    if report.stopped == "interrupted":
        sys.exit(130)


def _chosen(words: str, everything: tuple[str, ...], what: str) -> list[str]:
    """The names in a list by comma; "all" and "none" stand for themselves."""
    if words in ("all", "none"):
        return list(everything) if words == "all" else []
    chosen = [word.strip() for word in words.split(",") if word.strip()]
    if not chosen:
        raise InputError(f"{words!r} names no {what}; there are {', '.join(everything)}")
    return chosen


def _numbers(words: str) -> list[int]:
    try:
        return [int(word) for word in words.split(",")]
    except ValueError:
        raise InputError(f"--threads is {words!r}; whole numbers by comma, such as 1,4, were expected") from None


def _pythons(words: list[str]) -> dict[str, Path]:
    pythons = {}
    for word in words:
        name, _, path = word.partition("=")
        if not name or not Path(path).is_file():
            raise InputError(f"--python is {word!r}; NAME=PATH of a Python interpreter was expected")
        pythons[name] = Path(path).absolute()  # not resolved: a link in an environment is the environment
    return pythons
