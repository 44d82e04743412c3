"""Lines from a file or stdin: unpacked, in UTF-8, in bounded memory whatever it unpacks to."""

from __future__ import annotations

import bz2
import lzma
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from edge_potion.errors import InputError, require

__all__ = [
    "BLOCK",
    "LONGEST_TEXT",
    "PACKINGS",
    "Block",
    "Skipped",
    "blocks_of",
    "leave_out",
    "name_of",
    "read_blocks",
    "read_bytes",
    "read_lines",
]

LONGEST_TEXT = 2**24  # bytes of a line, a row or a value: the whole of Shakespeare has a third of it
BLOCK = 2**18  # bytes read at once
PIECE = 512  # compressed bytes that zlib and zstandard get at once: they have no limit on what comes out (32,768-fold)
LARGEST_WINDOW = 2**31  # bytes that a compressed file may have us look back on: `zstd --long=31` writes such files
HEAD = 2**20  # bytes in which the first line must end, for us to see how lines end
UTF8_MARK = b"\xef\xbb\xbf"
MARK = "\ufeff"  # the same in a str: a byte-order mark, which is no text
OTHER_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}

Skipped = Counter[str] | None


class Block(NamedTuple):
    """Whole lines, several at a time.

    Attributes:
        data: their bytes, without the end of the last.
        end: of a line, LF or CR.
        number: of the first line, from 1.
    """

    data: bytes
    end: bytes
    number: int

    def lines(self, errors: str = "strict") -> list[str]:
        """The lines without their ends and byte-order marks; bytes that are not UTF-8 by `errors`, as in bytes.decode.

        Raises:
            UnicodeDecodeError: "strict", and not all is UTF-8.
        """
        text = self.data.decode("utf-8", errors)
        lines = text.split(self.end.decode())
        if "\r" in text:
            lines = [line.rstrip("\r") for line in lines]
        if MARK in text:  # also in the middle, where files were joined
            lines = [line.removeprefix(MARK) for line in lines]
        return lines


def read_lines(file: str | Path, skipped: Skipped = None) -> Iterator[str]:
    """The lines of a text file, or of stdin ("-"), unpacked, without their ends; `read_texts` tells the rest."""
    name = name_of(file)
    for block in read_blocks(file):
        try:
            yield from block.lines()
        except UnicodeDecodeError:
            yield from _lines_one_by_one(block, name, skipped)


def read_blocks(file: str | Path, hear: Callable[[int], None] = lambda _: None) -> Iterator[Block]:
    """The lines of `read_lines` as they stand in the file, unpacked; `hear` is told of each number of bytes read."""
    return blocks_of(read_bytes(file, hear), name_of(file))


def read_bytes(file: str | Path, hear: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
    """What a file or stdin holds, unpacked, a part after another; `hear` is told of each number of bytes read.

    Raises:
        InputError: it cannot be read, or not unpacked.
    """
    name = name_of(file)
    try:
        with _opened(file) as stream:
            ending = "" if str(file) == "-" else Path(file).suffix.lower()
            yield from _bytes(stream, PACKINGS.get(ending), name, hear)
    except InputError:
        raise
    except (OSError, ValueError) as failure:  # ValueError: NUL in a name
        raise InputError(f"cannot read {name}: {getattr(failure, 'strerror', None) or failure}") from failure


def name_of(file: str | Path) -> str:
    return "stdin" if str(file) == "-" else str(file)


def _opened(file: str | Path) -> AbstractContextManager[Any]:
    if str(file) != "-":
        try:
            return Path(file).expanduser().open("rb", buffering=0)
        except RuntimeError as failure:  # a home of nobody, or a loop of links
            raise InputError(f"cannot read {file}: {failure}") from failure
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("stdin is closed; name a file, or pipe texts in")
    if not hasattr(sys.stdin, "buffer"):
        raise InputError("stdin is no stream of bytes; name a file")
    with suppress(OSError, ValueError):  # no number, in a test or a notebook
        os.set_blocking(sys.stdin.fileno(), True)  # another process may have changed that, and nothing is no end
    return nullcontext(sys.stdin.buffer)  # not ours to close


def _bytes(stream: Any, packing: Callable[[], Any] | None, name: str, hear: Callable[[int], None]) -> Iterator[bytes]:
    """What a file holds, unpacked, in blocks."""
    read = getattr(stream, "read1", stream.read)  # what is there, without waiting for a whole block

    def read_and_tell() -> bytes:
        block: bytes = read(BLOCK)
        hear(len(block))
        return block

    packed = iter(read_and_tell, b"")
    if packing is None:
        yield from packed
        return
    parts: list[bytes] = []
    size = 0
    for part in _unpacked(packed, packing, name):
        parts.append(part)
        size += len(part)
        if size >= BLOCK:
            yield from _cut(b"".join(parts))
            parts, size = [], 0
    yield from _cut(b"".join(parts))


def _cut(content: bytes) -> Iterator[bytes]:
    return (content[begin : begin + BLOCK] for begin in range(0, len(content), BLOCK))


def _unpacked(packed: Iterator[bytes], packing: Callable[[], Any], name: str) -> Iterator[bytes]:
    """What compressed bytes hold: one member (stream, frame) after another, in parts of bounded size."""
    member = None  # None between two
    data = b""
    while data := data or next(packed, b""):
        if member is None:
            data = data.lstrip(b"\0")  # .xz files are padded with zeros, and so is what lay on a tape
            if not data:
                continue
            member = packing()
        try:
            if hasattr(member, "needs_input"):  # bz2, lzma: they take a limit
                yield member.decompress(data, BLOCK)
                while not (member.eof or member.needs_input):
                    yield member.decompress(b"", BLOCK)
                data = b""
            else:
                yield member.decompress(data[:PIECE])
                data = data[PIECE:]
        except MemoryError:
            raise
        except Exception as failure:  # each library has its own, and one of them is an OSError
            raise InputError(f"cannot read {name}: {failure}; it is damaged, or not packed as it says") from failure
        if member.eof:
            data = member.unused_data + data
            member = None
    if member is not None:
        raise InputError(f"cannot read {name}: it ends in the middle; it is damaged")


def _zstd_frame() -> Any:
    require("zstandard", extra="zst", purpose="reading .zst")
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj()


PACKINGS: Mapping[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),  # 31: gzip's own header and checksum
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lambda: lzma.LZMADecompressor(memlimit=LARGEST_WINDOW),
    ".zst": _zstd_frame,
}


def blocks_of(blocks: Iterator[bytes], name: str) -> Iterator[Block]:
    """The lines in what was read of a file of that name."""
    head = b""
    for block in blocks:
        head += block
        if b"\n" in head or len(head) >= HEAD:
            break
    for mark, encoding in OTHER_MARKS.items():
        if head.startswith(mark):
            raise InputError(f"{name} is {encoding}, not UTF-8; convert it first (iconv -f {encoding} -t utf-8)")
    end = b"\r" if b"\r" in head and b"\n" not in head else b"\n"
    number = 1  # of the first line of a block
    for block in _whole_lines(chain([head], blocks), end, name):
        yield Block(block, end, number)
        number += block.count(end) + 1


def _whole_lines(blocks: Iterator[bytes], end: bytes, name: str) -> Iterator[bytes]:
    """Lines, several a time, without the end of the last; InputError for one that is too long."""
    rest = b""
    number = 1  # of the line that is read
    for block in blocks:
        if end == b"\r" and b"\n" in block:
            raise InputError(f"{name}: its lines end in CR alone, and some in LF; convert it first (tr '\\r' '\\n')")
        first = block.find(end)
        if len(rest) + (first if first >= 0 else len(block)) > LONGEST_TEXT:
            raise InputError(
                f"{name}, line {number}: more than {LONGEST_TEXT:,} bytes without a line's end; "
                "a text a line was expected, so cut it up first"
            )
        if first < 0:
            rest += block
            continue
        last = block.rfind(end)
        number += block.count(end)
        yield rest + block[:last]
        rest = block[last + 1 :]
    if rest.removeprefix(UTF8_MARK):
        yield rest


def _lines_one_by_one(block: Block, name: str, skipped: Skipped) -> Iterator[str]:
    """Lines of which one at least is not UTF-8."""
    for number, line in enumerate(block.data.split(block.end), start=block.number):
        try:
            yield line.removeprefix(UTF8_MARK).decode("utf-8").rstrip("\r")
        except UnicodeDecodeError as failure:
            message = f"byte {failure.start} is not UTF-8; convert the file first (iconv -t utf-8)"
            leave_out(skipped, "not UTF-8", f"{name}, line {number}: {message}")


def leave_out(skipped: Skipped, reason: str, message: str) -> None:
    """Count a record that cannot be used, or raise."""
    if skipped is None:
        raise InputError(message)
    skipped[reason] += 1
