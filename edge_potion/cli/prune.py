"""`edge-potion prune`: a model -> one with the pieces that a corpus of one's languages uses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_potion.escaping import terminal
from edge_potion.find import BUILT_IN

from .options import ModelArgument, RevisionOption, TextColumnOption, refuse_closed_stdout

if TYPE_CHECKING:
    from edge_potion.pruning.changes import Changes
    from edge_potion.pruning.prune import Pruned

__all__ = ["prune"]


def prune(
    corpus: Annotated[
        list[str],
        typer.Option(
            metavar="FILE",
            help="Texts in your languages: files, folders and globs as `encode` takes them, or - for stdin; may be "
            "repeated.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Of the pruned model.")],
    model: ModelArgument = BUILT_IN,
    keep_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Keep the most frequent pieces that make this share of the corpus's tokens, such as 0.9999; by "
            "default all that it uses.",
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Keep N pieces: the most frequent, and where the corpus has fewer, the likeliest of its letters.",
        ),
    ] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Other texts, likewise named, from which no piece is chosen: what becomes of them is told too.",
        ),
    ] = None,
    text_column: TextColumnOption = "text",
    suite: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Score the model before and after, as `evaluate --suite` does; the report goes to quality/.",
        ),
    ] = None,
    revision: RevisionOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as a JSON object.")] = False,
) -> None:
    """Make a model smaller: keep the pieces that a corpus of your languages uses, and leave out all others.

    Most of a multilingual model is pieces of languages that you may never meet. Texts of the corpus are cut into the
    same pieces as before, and have the same vectors; where --keep-share or --rows takes rarer pieces too, how many
    texts are cut otherwise is told. Special tokens and the single characters of the corpus always stay. Rows of the
    table stay as they are, in its precision; of phrases those stay of which both pieces do.

    Tokenizers are WordPiece, WordLevel or Unigram (SentencePiece). A classifier stays one.

    Words that the corpus lacks are cut into smaller pieces, or are unknown and count for nothing. So give it all the
    texts that you have, or --rows, which keeps room for words to come; and --held-out to see what is lost.

    Example: edge-potion prune minishlab/potion-multilingual-128M --corpus german.txt --corpus french.txt --out my-model

    Example: edge-potion prune my-model --corpus texts/ --rows 32000 --held-out other.txt --out my-small-model
    """
    refuse_closed_stdout()
    from edge_potion.pruning.prune import prune as take_out

    pruned = take_out(
        model,
        corpus,
        out,
        keep_share=keep_share,
        rows=rows,
        held_out=held_out or (),
        text_column=text_column,
        revision=revision,
        show_progress=True,
    )
    scores = _scores(model, out, suite) if suite is not None else None
    if as_json:
        averages = {row["name"]: row["averages"] for row in scores["models"]} if scores else None
        print(json.dumps(pruned.facts() | ({"scores": averages} if averages else {}), ensure_ascii=False))
        return
    print("\n".join(_sizes(pruned) + _losses(pruned)))
    if scores:
        from edge_potion.benchmarks.quality.report import as_table

        print(f"\n{as_table(scores)}")
    print(f"next: edge-potion export {out} --quantize int8", file=sys.stderr)


def _scores(model: str, out: Path, suite: str) -> dict[str, Any]:
    from edge_potion.verbs import evaluate

    found: dict[str, Any] = evaluate([model, str(out)], suite, show_progress=True)
    return found


def _sizes(pruned: Pruned) -> list[str]:
    """Lines: what there is of the model, before and now."""
    before, after = pruned.before, pruned.after
    rows = [("", "before", "now"), ("pieces", f"{before.pieces:,}", f"{after.pieces:,}")]
    if before.phrases:
        rows.append(("phrases", f"{before.phrases:,}", f"{after.phrases:,}"))
    if before.grams:
        rows.append(("grams of the head", f"{before.grams:,}", f"{after.grams:,}"))
    rows.append(("table", _mb(before.table_bytes), _mb(after.table_bytes)))
    rows.append(("tokenizer.json", _mb(before.tokenizer_bytes), _mb(after.tokenizer_bytes)))
    return [f"{name:24}{was:>14}{now:>14}" for name, was, now in rows]


def _losses(pruned: Pruned) -> list[str]:
    """Lines: what became of the corpus, and of held-out texts."""
    columns = [("corpus", pruned.corpus)] + ([("held out", pruned.held_out)] if pruned.held_out else [])
    lines = ["", f"{'':24}" + "".join(f"{name:>14}" for name, _ in columns)]
    lines += [f"{name:24}" + "".join(f"{tell(each):>14}" for _, each in columns) for name, tell in LOSSES]
    for name, each in columns:
        for example in each.examples:
            was, now = (" ".join(pieces) or "nothing" for pieces in (example.before, example.after))
            lines += ["", terminal(f"{name}: {example.text!r}"), terminal(f"  was {was}"), terminal(f"  is  {now}")]
    return lines


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f} MB"


LOSSES: Sequence[tuple[str, Callable[[Changes], str]]] = (
    ("texts", lambda found: f"{found.texts:,}"),
    ("cut otherwise", lambda found: f"{found.changed:,}"),
    ("tokens", lambda found: f"{found.tokens:,}"),
    ("whose piece stays", lambda found: f"{found.coverage:.3%}"),
    ("tokens now", lambda found: f"{found.tokens_after:,}"),
    ("unknown before", lambda found: f"{found.unknown:,}"),
    ("unknown now", lambda found: f"{found.unknown_after:,}"),
    ("cosine, mean", lambda found: f"{found.agreement:.4f}"),
    ("cosine, lowest", lambda found: f"{found.lowest:.4f}"),
)
