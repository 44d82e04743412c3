"""Texts or token ids -> calls of a graph: of like lengths, side by side, and what each is fed."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from edge_potion.tokens import TokenIds

__all__ = [
    "FEEDS",
    "beginning",
    "calls_of",
    "cores",
    "grid_feed",
    "joined",
    "side_by_side",
    "tokens_per_call",
]

# Rows that a call gathers: what fits the processor's caches beside the table (65,536 tokens a call: half the speed).
# Twice as many are as fast, and hold 10 MB more: so it matters little that phrases are rows beside those of tokens.
BYTES_PER_CALL = 2 * 2**20
MOST_TOKENS_A_CALL = 32_768  # with few dimensions too: words that must be cut cost as much with them

# A word of printable ASCII between blanks that every BERT splits at: at least one token, whatever the vocabulary.
SURE_WORD = re.compile(r"(?<![^ \t\n\r])[!-~]+(?=[ \t\n\r])")


def joined(texts: Sequence[str], nul: str = "") -> np.ndarray:
    """(bytes,) uint8: the texts in UTF-8, with NUL between them and inside none, where `nul` stands for it.

    Raises:
        UnicodeEncodeError: a text holds a lone surrogate.
    """
    whole = "\0".join(texts)
    if whole.count("\0") >= len(texts):
        whole = "\0".join([text.replace("\0", nul) for text in texts])
    return np.frombuffer(whole.encode("utf-8"), np.uint8)


def beginning(text: str, words: int, longest: int) -> str:
    """A text for the text graph up to the end of its word number `words`, where at most `longest` characters hold it.

    Only words that are surely tokens are counted, so that of `words` tokens none is missing.
    """
    word = next(islice(SURE_WORD.finditer(text, 0, longest), words - 1, None), None)
    return text if word is None else text[: word.end()]


def side_by_side(run: Callable[[np.ndarray], None], calls: Sequence[np.ndarray], threads: int) -> None:
    """`run` every call, several at once where threads can be started; raises what the first that failed raised.

    This thread works too, so that nothing depends on the others: none can be started once the interpreter is about to
    exit, or where the system gives no more.
    """
    if min(threads, len(calls)) <= 1:
        for call in calls:
            run(call)
        return
    from threading import Thread  # who embeds a few texts need not wait for it

    waiting, failures, helpers = deque(calls), list[BaseException](), list[Thread]()

    def work() -> None:
        while not failures:
            try:
                call = waiting.popleft()
            except IndexError:
                return
            try:
                run(call)
            except BaseException as failure:  # Ctrl-C too: the others stop
                failures.append(failure)

    try:
        for _ in range(min(threads, len(calls)) - 1):
            helper = Thread(target=work)
            try:
                helper.start()
            except RuntimeError:
                break
            helpers.append(helper)
        work()
    finally:
        waiting.clear()
        for helper in helpers:
            helper.join()
    if failures:
        raise failures[0]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tokens_per_call(dim: int, precision: str) -> int:
    """Most tokens of a call on a table of such rows."""
    bytes_per_value = 1 if precision == "int8" else 4  # float16 rows are widened before they are summed
    return min(max(1, BYTES_PER_CALL // (dim * bytes_per_value)), MOST_TOKENS_A_CALL)


def calls_of(lengths: np.ndarray, batch_size: int, tokens_per_call: int) -> Iterator[tuple[int, int]]:
    """Cut texts of rising `lengths` into calls (begin, end) of at most that many texts and padded tokens."""
    begin = 0
    while begin < len(lengths):
        ahead = lengths[begin : begin + batch_size]
        padded = np.arange(1, len(ahead) + 1) * (ahead + 1)  # tokens of a call that ends with each text
        end = begin + max(1, int(np.searchsorted(padded, tokens_per_call, side="right")))
        yield begin, end
        begin = end


def _bag_feed(ids: TokenIds, places: np.ndarray) -> dict[str, np.ndarray]:
    part = ids.take(places)
    return {"input_ids": part.flat, "offsets": part.starts}


def _tokens_feed(ids: TokenIds, places: np.ndarray) -> dict[str, np.ndarray]:
    lengths = ids.lengths[places]
    columns = np.arange(lengths.max(initial=0))  # (L,)
    mask = (columns < lengths[:, None]).astype(np.int64)  # (B, L)
    # Where the mask is 0 stands whatever comes next in `flat`: writing a pad there would cost twice the time.
    grid = ids.flat.take(ids.starts[places, None] + columns, mode="clip")  # (B, L)
    return {"input_ids": grid, "attention_mask": mask}


def grid_feed(rows: TokenIds, pad: int, dtype: type[np.integer]) -> np.ndarray:
    """(B, L) of `dtype`, for the half of a graph that starts from row numbers: `pad` where none is, and at the end."""
    columns = np.arange(rows.lengths.max(initial=0) + 1)  # (L,)
    grid = np.append(rows.flat, pad).take(rows.starts[:, None] + columns, mode="clip")
    return np.where(columns < rows.lengths[:, None], grid, pad).astype(dtype)


# What a graph that starts from ids is fed: the texts at `places` of `ids`.
FEEDS: dict[str, Callable[[TokenIds, np.ndarray], dict[str, np.ndarray]]] = {"bag": _bag_feed, "tokens": _tokens_feed}
