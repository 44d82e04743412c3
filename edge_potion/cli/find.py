"""The commands that find texts: index, search."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from edge_potion.errors import InputError
from edge_potion.find import BUILT_IN

from .options import (
    MODEL_HELP,
    GraphOption,
    ModelOption,
    PrecisionOption,
    ProviderOption,
    TextColumnOption,
    ThreadsOption,
    elsewhere,
    one_line,
    refuse_closed_stdout,
)

if TYPE_CHECKING:
    from edge_potion.bundle import Bundle
    from edge_potion.runtime import EdgeModel
    from edge_potion.search.documents import Readable
    from edge_potion.search.hit import Hit
    from edge_potion.search.one_pass import Found
    from edge_potion.search.ready_vectors import ReadyVectors

__all__ = ["index", "search"]

log = logging.getLogger("edge_potion")

Mode = Literal["hybrid", "meaning", "words"]
ModeOption = Annotated[
    Mode,
    typer.Option(
        metavar="hybrid|meaning|words",
        help="By meaning (the cosine of vectors), by words (BM25), or by both.",
    ),
]
LanguageOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Whose words are stemmed: english, german, ..., by Snowball; none keeps them whole."
    ),
]


def index(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Texts in UTF-8: one a line, or .jsonl, .csv, .tsv; also .gz, .bz2, .xz, .zst of these; or .parquet; "
            "folders and globs of them; - for lines on stdin.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FOLDER", help="The index: a new folder, or one that is replaced."),
    ] = Path("index"),
    add: Annotated[
        bool, typer.Option("--add", help="Add to the index that is there; a text whose name is there takes its place.")
    ] = False,
    delete: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Delete the text that is called so; may be given several times."),
    ] = None,
    compact: Annotated[bool, typer.Option("--compact", help="Write the index anew without what was deleted.")] = False,
    approximate: Annotated[
        bool,
        typer.Option(
            "--approximate",
            help="For millions of texts: make a graph of their vectors, so that not all are looked at by each search. "
            "Takes minutes a million. Of an index that is there, with --compact.",
        ),
    ] = False,
    text_column: TextColumnOption = "text",
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="NAME", help="Key or column of the texts' names; by default each is called FILE:NUMBER."
        ),
    ] = None,
    chunk: Annotated[
        Literal["none", "words", "sentences"],
        typer.Option(
            metavar="none|words|sentences",
            help="Cut long texts into passages of 128 words: anywhere, or between sentences.",
        ),
    ] = "none",
    language: LanguageOption = "english",
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npy",
            help="Vectors of the texts that another encoder made, a row for each text in their order, (texts, "
            "dimensions) of floats; also .safetensors. They stand in the place of the model's, which then encodes "
            "queries alone: it must be trained in the space of that encoder (recipe query-encoder).",
        ),
    ] = None,
    of_search: Annotated[
        str | None,
        elsewhere("--index-of-teacher", "--index-of-teacher is an option of search; here it is --vectors FILE.npy"),
    ] = None,
    model: ModelOption = BUILT_IN,
) -> None:
    """Make an index of texts, which `search` then looks through in milliseconds: by meaning, and by words.

    The texts are embedded once. They can be added to and deleted from while others search. It lies in a folder of
    plain files: about 256 bytes a text for its meaning, and a little more than the text itself for words and text.

    Example: edge-potion index notes.txt mails.csv --out my-index
    """
    from edge_potion.language import CHARACTERS, TEXTS, is_foreign
    from edge_potion.search.documents import Document, read_documents
    from edge_potion.search.folder import MANIFEST
    from edge_potion.search.index import Index

    if not (files or delete or compact):
        raise InputError("there is nothing to index: name files (or --delete, --compact, of an index that is there)")
    if (add or delete or compact) and (chunk, language, model) != ("none", "english", BUILT_IN):
        raise InputError("--chunk, --language and --model are said when an index is made, and hold for what is added")
    if vectors is not None and not files:
        raise InputError("--vectors are those of the texts of files; name these, too")
    if approximate and (add or delete) and not compact:
        raise InputError("--approximate is said when an index is made, or with --compact, and holds for what is added")

    def documents(bundle: Bundle) -> Iterator[Document]:
        read = read_documents(files or [], text_column, id_column, out)
        first = list(islice(read, TEXTS))
        is_foreign("".join(document.text for document in first)[:CHARACTERS], bundle)
        return chain(first, read)

    if add or delete or compact:
        opened = Index.open(out)
        if delete:
            missing = len(set(delete)) - opened.delete(delete)
            if missing:
                log.warning("warning: %d of %d names are not in the index", missing, len(delete))
        if files:
            opened.add_documents(documents(opened.model.bundle), vectors=vectors, show_progress=True)
        if compact:
            opened.compact(approximate=approximate or None)
    else:
        from edge_potion.runtime import EdgeModel

        if (out.expanduser() / MANIFEST).is_file():
            log.info("%s is an index, and is replaced when the new one is whole (--add adds to it)", out)
        runner = EdgeModel.from_pretrained(model)
        read = documents(runner.bundle)
        opened = Index.of_documents(
            out,
            read,
            model=runner,
            language=language,
            chunk=chunk,
            approximate=approximate,
            vectors=vectors,
            show_progress=True,
        )
    what = "texts" if opened.chunk == "none" else "passages"
    log.info("%s: %s %s, %.1f MB", out, f"{len(opened):,}", what, opened.size_bytes / 1e6)


def search(
    place: Annotated[
        str,
        typer.Argument(
            metavar="INDEX|FILE",
            help="An index that `index` made; or texts in UTF-8: one a line, or .jsonl, .csv, .tsv; also .gz, .bz2, "
            ".xz, .zst of these; or .parquet; - for lines on stdin.",
        ),
    ],
    query: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    top: Annotated[int, typer.Option(metavar="N", min=1, help="How many texts to show.")] = 10,
    mode: ModeOption = "hybrid",
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show below each how near its meaning is, and what each word of the query did."),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON object a line: score, its parts, where the text lies, and the text."),
    ] = False,
    index_of_teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npy",
            help="Of a file: vectors of its texts that another encoder made, a row for each text in their order, "
            "(texts, dimensions) of floats; also .safetensors. The model encodes the query alone: it must be trained "
            "in the space of that encoder (recipe query-encoder).",
        ),
    ] = None,
    of_index: Annotated[
        str | None,
        elsewhere("--vectors", "--vectors is an option of index; here it is --index-of-teacher FILE.npy, for a file"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help=f"{MODEL_HELP} Of an index, where its own model has moved."),
    ] = None,
    text_column: TextColumnOption = "text",
    language: LanguageOption = "english",
    provider: ProviderOption = "auto",
    precision: PrecisionOption = None,
    graph: GraphOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Find the texts of an index, or the lines of a file, that fit a query: by what they mean, and by their words.

    Prints five columns: the score, by which the texts of one query are ordered; where the text lies (the line, or the
    record's number in a .jsonl, .csv, .tsv or .parquet file); the text; and the two parts of the score, how near its
    meaning is (the cosine, -1 to 1), and what its words are worth (BM25). A file is embedded at each call: make an
    index of what is searched often, or is large.

    Example: edge-potion search notes.txt "my bread did not rise" --top 5
    """
    refuse_closed_stdout()
    how = _How(mode, explain, as_json)
    if index_of_teacher is not None and mode == "words":
        raise InputError("--index-of-teacher has vectors, which --mode words does not look at; leave one of them out")
    if not Path(place).expanduser().exists() and place != "-" and Path(query).expanduser().exists():
        raise InputError(f"cannot read {place}; the index or file comes first: edge-potion search {query} {place!r}")
    if Path(place).expanduser().is_dir():
        of_files = {"--text-column": text_column != "text", "--language": language != "english"}
        of_files |= {"--provider": provider != "auto", "--precision": precision is not None}
        of_files |= {"--graph": graph != "auto", "--threads": threads is not None}
        if index_of_teacher is not None:
            raise InputError(
                f"--index-of-teacher is for files, and {place} is an index, which has its vectors; an index is made "
                "from others by edge-potion index FILE --vectors FILE.npy"
            )
        if wrong := [name for name, is_given in of_files.items() if is_given]:
            raise InputError(f"{', '.join(wrong)}: for files; {place} is an index, which says so itself")
        _in_index(place, query, top, model, how)
        return
    from edge_potion.runtime import EdgeModel
    from edge_potion.search.documents import Readable
    from edge_potion.search.ready_vectors import ReadyVectors

    texts = Readable(place, text_column)
    name = model or BUILT_IN
    runner = EdgeModel.from_pretrained(name, provider=provider, precision=precision, graph=graph, threads=threads)
    vectors = ReadyVectors(index_of_teacher, runner.dim) if index_of_teacher else None
    _in_file(texts, query, top, runner, language, how, vectors)


class _How(NamedTuple):
    """In what way hits are found, and shown."""

    mode: Mode
    explain: bool
    as_json: bool


def _print_hit(hit: Found | Hit, place: str, text: str, more: Mapping[str, Any], how: _How) -> None:
    """Print a text that was found, as a line for people or as JSON with `more` of where it lies."""
    parts = {"meaning": hit.meaning, "words": hit.words} if how.mode == "hybrid" else {}
    shares = [(one_line(share.word), share.share) for share in hit.explanation] if how.explain else []
    if how.as_json:
        rounded = {name: round(value, 6) for name, value in {"score": hit.score, **parts}.items()}
        explained = {"shares": {word: round(share, 6) for word, share in shares}} if how.explain else {}
        print(json.dumps({**rounded, **more, "text": text, **explained}, ensure_ascii=False))
        return
    columns = [f"{hit.score:.3f}", one_line(place), one_line(text), *(f"{value:.3f}" for value in parts.values())]
    print("\t".join(columns))
    if how.explain:
        nearness = [] if how.mode == "words" else [("meaning", hit.meaning)]
        print("\t" + ", ".join(f"{name} {value:.3f}" for name, value in [*nearness, *shares]))


def _in_index(place: str, query: str, top: int, model: str | None, how: _How) -> None:
    from edge_potion.language import is_foreign
    from edge_potion.search.index import Index

    index = Index.open(place, model=model)
    is_foreign(query, index.model.bundle)
    hits = index.search(query, top, mode=how.mode, explain=how.explain)
    if not hits and len(index):
        _say_that_nothing_fits(query, how.mode)
    for hit in hits:
        where = hit.where or hit.id
        _print_hit(hit, where, hit.text, {"id": hit.id, "where": where}, how)
    _say_where_no_word_is_found(hits, query, how.mode)


def _in_file(
    texts: Readable,
    query: str,
    top: int,
    model: EdgeModel,
    language: str,
    how: _How,
    vectors: ReadyVectors | None,
) -> None:
    from edge_potion.language import is_foreign, watched
    from edge_potion.search.one_pass import search_in_one_pass

    is_told = is_foreign(query, model.bundle)
    read = iter(texts) if is_told else watched(iter(texts), model.bundle)
    passed = search_in_one_pass(model, query, read, top, how.mode, language, vectors)
    if not passed.hits and passed.texts:
        _say_that_nothing_fits(query, how.mode)
        return
    text_of = texts.some({hit.number for hit in passed.hits})
    for hit in passed.hits:
        _print_hit(hit, str(hit.number), text_of[hit.number], {"number": hit.number}, how)
    _say_where_no_word_is_found(passed.hits, query, how.mode)
    if passed.unknown and how.mode != "words":
        log.warning(
            "warning: %d of %d lines have no token that the model knows, and %s",
            passed.unknown,
            passed.texts,
            "cannot be found" if how.mode == "meaning" else "are found by their words alone",
        )


def _say_that_nothing_fits(query: str, mode: Mode) -> None:
    if mode == "words":
        log.warning("warning: no text has a word of the query %r that counts", query)
    else:
        log.warning(
            "warning: no token of the query %r is known to the model%s: there is nothing to look for",
            query,
            "" if mode == "meaning" else ", and no text has a word of it",
        )


def _say_where_no_word_is_found(hits: Sequence[Found | Hit], query: str, mode: Mode) -> None:
    if mode == "hybrid" and hits and not any(hit.words for hit in hits):
        log.info("no text has a word of the query %r that counts: these are near it by meaning alone", query)
