"""Files of word vectors -> words and rows: GloVe's and fastText's text, word2vec's binary form, .npy with words."""

from __future__ import annotations

import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_potion.errors import InputError
from edge_potion.escaping import terminal
from edge_potion.npy_file import open_npy
from edge_potion.progress import Progress, progress_bar
from edge_potion.static_model import LARGEST_VALUE
from edge_potion.text_lines import BLOCK, PACKINGS, blocks_of, read_bytes
from edge_potion.texts import read_texts

__all__ = ["WordRows", "name_and_kind", "read_word_rows"]

FASTTEXT = b"\xba\x16\x4f\x2f"  # 793,712,314: a model of fastText's own begins so
HEADER = re.compile(rb"\s*(\d{1,12})\s+(\d{1,6})\s*")  # how many words, and of how many dimensions
HEADER_BYTES = 64  # in which it ends
NUMBER = re.compile(rb"-?\d+\.\d+(?:e[-+]?\d+)?", re.IGNORECASE)  # what no word ends in behind a space
ROWS = 8192  # that are handed on together
LONGEST_WORD = 2**16  # bytes of a word in a binary file; who reads something else finds no end
# What zipfile raises for an archive that is damaged, locked, or packed as it cannot unpack.
DAMAGES = (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError, EOFError)
WRONG_VALUE = f"NaN, inf or a value beyond {LARGEST_VALUE:g}; no table may hold one: take that word out"
WRONG_COUNT = "it was cut short, or that line is wrong: copy or unpack it again, or correct the line"
_ONE_EACH = "one word for each row was expected, in the rows' order"
_ARRAY = "write an .npy and a file of words"
_PICKLED = "nothing pickled is loaded; have gensim call save_word2vec_format(FILE, binary=True)"
# Endings of files that hold word vectors otherwise, and what to do with them.
FOREIGN = {
    **dict.fromkeys((".model", ".kv", ".wv", ".pkl", ".pickle"), _PICKLED),
    **dict.fromkeys((".pt", ".pth", ".npz", ".safetensors", ".h5", ".parquet"), _ARRAY),
    **dict.fromkeys((".tar", ".tgz", ".7z", ".rar"), "unpack it first"),
}


class Member(NamedTuple):
    """A file in a .zip."""

    archive: Path
    name: str


class WordRows(NamedTuple):
    """Some words in the order of a file, and their vectors.

    Attributes:
        words: as they stand there; "" where one is not UTF-8, which no text has.
        rows: (words, D) float32, finite.
    """

    words: list[str]
    rows: np.ndarray


def read_word_rows(
    file: str | Path, words: str | Path | None, text_column: str, limit: int | None, show_progress: bool
) -> Iterator[WordRows]:
    """All words of a file and their vectors, or the first `limit`, some thousands at a time.

    Args:
        file: .npy, .bin (word2vec's), or text under any other ending; text and .bin may be packed (.gz, .bz2, .xz,
            .zst), or lie in a .zip, as `ARCHIVE.zip/NAME` where that holds several.
        words: of an .npy, the file that has a word a row, as `read_texts` reads it; None for all others.
        text_column: of that file.
        limit: how many words; None for all.
        show_progress: whether stderr tells how far it is.

    Raises:
        InputError: the file cannot be read or is something else; names the line or the word where it is wrong.
    """
    kind = name_and_kind(file)[1]
    if (kind == ".npy") != (words is not None):
        raise InputError(
            f"{file} holds vectors alone: name the file that has the word of each row (--words FILE)"
            if words is None
            else f"{file} holds its words itself: a file of words is for an .npy alone"
        )
    if words is not None:
        return _of_array(Path(file).expanduser(), words, text_column, limit, show_progress)
    return _of_bytes(file, _of_binary if kind == ".bin" else _of_text, limit, show_progress)


def name_and_kind(file: str | Path) -> tuple[str, str]:
    """What a file is called without its endings, and the ending that says what it holds, in lower case.

    Raises:
        InputError: an ending of files that hold something else.
    """
    member = _member(Path(file))
    stem = Path(Path(member.name if member else file).name)
    if stem.suffix.lower() in PACKINGS:
        stem = stem.with_suffix("")
    kind = stem.suffix.lower()
    if advice := FOREIGN.get(kind):
        raise InputError(f"{file}: a {kind} file is not read here; {advice}")
    return (stem.stem if kind in (".txt", ".vec", ".bin", ".npy") else stem.name), kind


def _of_array(
    file: Path, words: str | Path, text_column: str, limit: int | None, show_progress: bool
) -> Iterator[WordRows]:
    if file.suffix.lower() in PACKINGS:
        raise InputError(f"{file} is packed, and an .npy is read where it lies; unpack it first")
    array = open_npy(file)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind != "f":
        raise InputError(
            f"{file} holds {array.dtype} of shape {array.shape}; floats of (words, dimensions) were expected"
        )
    count = len(array) if limit is None else min(limit, len(array))
    texts = read_texts(words, text_column)
    with progress_bar(show_progress, desc="import", unit="words", total=count) as progress:
        for begin in range(0, count, ROWS):
            rows = array[begin : min(begin + ROWS, count)]
            some = list(islice(texts, len(rows)))
            if len(some) < len(rows):
                raise InputError(
                    f"{words} holds {begin + len(some):,} words, and {file} {len(array):,} rows; {_ONE_EACH}"
                )
            if (bad := _wrong_row(rows)) is not None:
                raise InputError(f"{file}, row {begin + bad + 1}, of {terminal(repr(some[bad]))}: {WRONG_VALUE}")
            yield WordRows(some, rows.astype(np.float32))
            progress.update(len(rows))
    if count == len(array) and next(texts, None) is not None:
        raise InputError(f"{words} holds more words than {file} has rows, which are {len(array):,}; {_ONE_EACH}")


def _of_bytes(
    file: str | Path,
    read: Callable[[Iterator[bytes], str, int | None], Iterator[WordRows]],
    limit: int | None,
    show_progress: bool,
) -> Iterator[WordRows]:
    """By `read`, which takes what the file holds, its name and the limit."""
    with progress_bar(show_progress, desc="import", unit="bytes") as progress:
        parts = _parts(Path(file), progress)
        first = next(parts, b"")
        if first.startswith(FASTTEXT):
            raise InputError(
                f"{file} is a model of fastText's own, whose vectors are of groups of letters too; take the .vec file "
                "that was published beside it, or make one: fasttext print-word-vectors MODEL.bin < WORDS > WORDS.vec"
            )
        yield from read(chain([first], parts), str(file), limit)


def _parts(file: Path, progress: Progress) -> Iterator[bytes]:
    """What a file, or the one in an archive, holds unpacked."""
    if member := _member(file):
        return _unzipped(member, progress)
    if file.expanduser().is_file():
        progress.total = file.expanduser().stat().st_size
    return read_bytes(file, progress.update)


def _unzipped(member: Member, progress: Progress) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(member.archive) as held, held.open(member.name) as stream:
            progress.total = held.getinfo(member.name).file_size
            while part := stream.read(BLOCK):
                progress.update(len(part))
                yield part
    except DAMAGES as failure:
        raise InputError(
            f"cannot read {member.archive}/{member.name}: {failure}; it is damaged, locked or unusual"
        ) from failure


def _member(file: Path) -> Member | None:
    """Which file of a .zip is meant: the one that is named behind it, or the only one; None where there is no .zip."""
    archive = next((each for each in (file, *file.parents) if each.suffix.lower() == ".zip"), None)
    if archive is None or archive.expanduser().is_dir():
        return None
    asked = file.relative_to(archive).as_posix()  # "." where none is named
    try:
        with zipfile.ZipFile(archive.expanduser()) as held:
            names = [each.filename for each in held.infolist() if not each.is_dir() and "__MACOSX" not in each.filename]
    except DAMAGES as failure:
        raise InputError(f"cannot read {archive}: {getattr(failure, 'strerror', None) or failure}") from failure
    if asked == "." and len(names) == 1:
        asked = names[0]
    if asked not in names:
        listed = ", ".join(f"{archive}/{name}" for name in names[:20])
        raise InputError(f"{archive} holds {len(names)} files; name the one that is meant: {listed}")
    return Member(archive.expanduser(), asked)


def _of_text(parts: Iterator[bytes], name: str, limit: int | None) -> Iterator[WordRows]:
    """A word and its numbers a line, between spaces; a first line of two whole numbers says how many there are."""
    dims, counted, done = 0, None, 0
    for block in blocks_of(parts, name):
        words: list[str] = []
        values: list[list[float]] = []
        numbers: list[int] = []  # of their lines
        for number, line in enumerate(block.data.split(block.end), start=block.number):
            if done + len(words) == limit:
                break
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
                if header := HEADER.fullmatch(line):
                    counted, dims = map(int, header.groups())
                    continue
            if not line.strip():
                continue
            if not done and not words:
                dims = _dims(line, counted is not None, dims, f"{name}, line {number}")
            word, row = _parsed(line, dims, f"{name}, line {number}")
            words.append(_decoded(word))
            values.append(row)
            numbers.append(number)
        if words:
            rows = np.array(values, np.float64)  # (words, D); what is beyond float32 is found below
            if (bad := _wrong_row(rows)) is not None:
                raise InputError(f"{name}, line {numbers[bad]}: {WRONG_VALUE}")
            yield WordRows(words, rows.astype(np.float32))
            done += len(words)
        if done == limit:
            return
    _check_count(counted, done, name)


def _dims(line: bytes, is_told: bool, told: int, where: str) -> int:
    """How many numbers a line has: those behind the first word, or as many as the file's first line told."""
    dims = 0
    for part in reversed(line.split()[1:]):
        try:
            float(part)
        except ValueError:
            break
        dims += 1
    if not dims:
        raise InputError(f"{where}: {_shown(line)}; a word and its numbers were expected, between spaces")
    if is_told and dims > told:  # the rest would be taken for a part of the word
        raise InputError(f"{where}: {dims:,} numbers behind a word, and the first line says {told:,}; correct that")
    return told if is_told else dims


def _parsed(line: bytes, dims: int, where: str) -> tuple[bytes, list[float]]:
    """A word, which may hold spaces (GloVe 840B has such), and the last D columns."""
    word, *numbers = line.rsplit(None, dims)
    if len(numbers) == dims - 1 and line[:1].isspace():  # a blank is the word
        word, numbers = b"", [word, *numbers]
    last = word.split()[-1:] if b" " in word else []
    if len(numbers) != dims or (last and NUMBER.fullmatch(last[0])):
        found = len(line.split()) - 1
        raise InputError(f"{where}: {found:,} numbers behind a word, and {dims:,} were expected: {_shown(line)}")
    try:
        return word, list(map(float, numbers))
    except ValueError as failure:
        raise InputError(f"{where}: {failure}; a word and {dims:,} numbers were expected") from failure


def _of_binary(parts: Iterator[bytes], name: str, limit: int | None) -> Iterator[WordRows]:
    """word2vec's: a line that says how many words of how many dimensions, then word, space, float32 numbers."""
    data = next(parts, b"")
    line, end, _ = data[:HEADER_BYTES].partition(b"\n")
    header = HEADER.fullmatch(line)
    if not end or header is None or not int(header[2]):
        raise InputError(
            f"{name} is no word2vec file: its first line is {_shown(line)}, and the numbers of words and of dimensions "
            "were expected; where it is text, name it .txt or .vec"
        )
    counted, dims = map(int, header.groups())
    wanted = counted if limit is None else min(limit, counted)
    size, at, done = 4 * dims, len(line) + 1, 0
    words: list[str] = []
    rows: list[bytes] = []
    for number in range(1, wanted + 1):
        while (space := data.find(b" ", at)) < 0 or space + 1 + size > len(data):
            more = next(parts, b"")
            if not more or (space < 0 and len(data) - at > LONGEST_WORD):
                raise InputError(f"{name}: word {number:,} of {counted:,} is not whole; it is cut short, or damaged")
            data, at = data[at:] + more, 0
        words.append(_decoded(data[at:space].lstrip(b"\n")))  # a word may have a line of its own
        rows.append(data[space + 1 : space + 1 + size])
        at = space + 1 + size
        if number == 1 and dims > 1 and rows[0].isascii() and b"." in rows[0]:
            raise InputError(f"{name} holds numbers as text; name it .txt or .vec")
        if len(rows) == ROWS or number == wanted:
            array = np.frombuffer(b"".join(rows), "<f4").reshape(-1, dims)
            if (bad := _wrong_row(array)) is not None:
                raise InputError(
                    f"{name}, word {done + bad + 1:,}, {terminal(repr(words[bad][:40]))}: NaN, inf or a value beyond "
                    f"{LARGEST_VALUE:g}; the file is damaged there, or before it, where a word may hold a space"
                )
            yield WordRows(words, array)
            done += len(rows)
            words, rows = [], []
    if wanted == counted and any(part.strip(b"\r\n") for part in chain([data[at:]], parts)):
        raise InputError(
            f"{name}: its first line says {counted:,} words, and more follow; it is wrong there, or damaged"
        )


def _decoded(word: bytes) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _wrong_row(rows: np.ndarray) -> int | None:
    """The first that holds what no table may hold."""
    good = (np.abs(rows.astype(np.float64)) <= LARGEST_VALUE).all(axis=1)  # False for NaN; float16 knows no such number
    return None if good.all() else int(np.argmin(good))


def _check_count(counted: int | None, found: int, name: str) -> None:
    if counted is not None and counted != found:
        raise InputError(f"{name}: its first line says {counted:,} words, and {found:,} follow; {WRONG_COUNT}")


def _shown(line: bytes) -> str:
    return repr(line[:60].decode("utf-8", "backslashreplace")) + "..." * (len(line) > 60)
