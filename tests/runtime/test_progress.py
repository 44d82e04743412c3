"""Bars, warnings and log lines: a nicety, which never ends the work."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from edge_potion import EdgeModel
from edge_potion.from_text import FromText
from edge_potion.progress import Unfailing, counted, progress_bar
from edge_potion.trainer.distill import distill
from edge_potion.trainer.recipe import DistillRecipe


class Bare:
    """A stream such as services put in the place of stderr: it writes, and that is all."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def full() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO("/dev/full", "w")), write_through=True)


STREAMS = {"none": lambda: None, "closed": closed, "full": full}


@pytest.mark.parametrize("stream", STREAMS)
def test_every_bar_does_without_a_stream(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", STREAMS[stream]())  # not in a fixture: pytest sets its own before the call
    with progress_bar(True, total=10, initial=2, desc="bar", unit=" texts") as bar:
        bar.update(3)
        bar.set_postfix(loss="0.1")
        bar.set_postfix_str("name")
        bar.total = bar.n + 1
        assert (bar.n, bar.total) == (5, 6)
    assert list(counted("abc", True, desc="bar")) == ["a", "b", "c"]


@pytest.mark.parametrize("stream", STREAMS)
def test_encoding_and_distilling_do_without_a_stream(bundle, bert_teacher, stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", broken := STREAMS[stream]())
    assert EdgeModel.from_pretrained(bundle.folder).encode(["rain"], show_progress=True).any()
    assert distill(bert_teacher, DistillRecipe(dims=4, vocabulary_size=None), device="cpu", show_progress=True).dim == 4
    assert sys.stderr is broken


SHOWING = """
import logging, sys, warnings
from contextlib import nullcontext
from edge_potion.progress import unfailing_stderr
if sys.argv[1] == "none":
    sys.stderr = None
elif sys.argv[1] == "closed":
    sys.stderr.close()
else:
    sys.stderr = open("/dev/full", "w", buffering=1)
with unfailing_stderr() if sys.argv[2] == "held" else nullcontext():
    warnings.warn("nobody reads this", stacklevel=1)
    logging.getLogger("edge_potion").warning("nor this")
    if sys.argv[1] != "none":
        print("nor this", file=sys.stderr)
print("done", flush=True)
"""


@pytest.mark.parametrize("stream", STREAMS)
def test_warnings_log_lines_and_prints_do_without_a_stream(stream):
    """In a process of its own, as pytest catches them."""

    def ends_well(held: str) -> bool:
        done = subprocess.run(
            [sys.executable, "-c", SHOWING, stream, held], capture_output=True, text=True, check=False
        )
        return done.stdout == "done\n"

    assert ends_well("held")
    assert ends_well("not held") == (stream == "none")  # what it is for


def test_a_stream_that_takes_text_gets_the_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := Bare())
    vectors = EdgeModel.from_pretrained().encode(["rain"] * 3, show_progress=True)
    assert len(vectors) == 3 and "encode: 3.00 texts" in stream.text
    quiet = Bare()
    monkeypatch.setattr(sys, "stderr", quiet)
    assert list(counted([1, 2], False)) == [1, 2] and quiet.text == ""


def test_a_bar_counts_texts_when_their_vectors_are_done(monkeypatch):
    """Not when they are taken: the rate of a few thousand texts was a hundred times too high."""
    monkeypatch.setattr(sys, "stderr", stream := Bare())
    model = EdgeModel.from_pretrained()
    taken = []
    shown_before: list[bool] = []
    real = FromText.encode

    def encode(self, texts, *arguments, **options):
        taken.extend(texts)
        shown_before.append("100 texts" in stream.text)
        return real(self, texts, *arguments, **options)

    monkeypatch.setattr(FromText, "encode", encode)
    assert len(model.encode(["rain"] * 100, show_progress=True)) == 100
    assert shown_before == [False] and "100 texts" in stream.text


def test_without_tqdm_there_is_no_bar(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert EdgeModel.from_pretrained().encode(["rain"], show_progress=True).any()


def test_the_rest_of_a_stream_is_its_own():
    stream = Unfailing(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert stream.encoding == "latin-1" and not stream.isatty()
    assert stream.write("abc") == 3
    stream.flush()
    assert stream.buffer.getvalue() == b"abc"
