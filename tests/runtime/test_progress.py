"""Bars, warnings and log lines: a nicety, which never ends the work."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from edge_potion import EdgeModel
from edge_potion.progress import Progress, Unfailing, counted, progress_bar
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
    assert list(counted("abc", True, desc="bar", unit=" letters")) == ["a", "b", "c"]


@pytest.mark.parametrize("stream", STREAMS)
def test_encoding_and_distilling_do_without_a_stream(bert_teacher, stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", broken := STREAMS[stream]())
    assert EdgeModel.from_pretrained().encode(["rain"], show_progress=True).any()
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


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(Bare):
    def isatty(self) -> bool:
        return True


def worked(stream: Bare, seconds_each: float, count: int, size: int = 1, **options: object) -> list[str]:
    """What is shown of `count` pieces of work, each of which takes its time."""
    clock = Clock()

    def work():
        for _ in range(count):
            clock.now += seconds_each
            yield _

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        list(counted(work(), True, lambda _: size, desc="encode", unit=" texts", clock=clock, **options))
    return stream.text.splitlines()


def test_a_log_gets_a_line_every_ten_seconds_and_one_at_the_end():
    assert worked(Bare(), 3, 8, 100) == [
        "encode: 400 texts, 33 texts/s, 0:00:12 so far",
        "encode: 800 texts, 33 texts/s, 0:00:24 so far",
    ]
    assert worked(Bare(), 12, 2, 100, total=250, initial=50) == [
        "encode: 150 of 250 texts, 60 %, 0.12 s each, 0:00:12 so far, 0:00:12 left",
        "encode: 250 of 250 texts, 100 %, 0.12 s each, 0:00:24 so far",
    ]


def test_short_work_leaves_nothing_in_a_log_nor_on_a_terminal():
    assert worked(Bare(), 1, 9) == [] and worked(Terminal(), 0.01, 9) == []


def test_a_rate_counts_from_the_beginning_of_the_work_and_not_from_the_first_piece():
    """The pieces of a window come at once, when all are done: their distance is no measure."""
    clock = Clock()
    progress = Progress("encode", "texts", Bare(), clock=clock)
    clock.now += 0.1
    for _ in range(5):
        progress.update(1000)
    assert str(progress) == "encode: 5,000 texts, 50,000 texts/s, 0:00:00 so far"


def test_a_log_gets_no_carriage_return_and_a_terminal_one_line_that_changes():
    worked(log := Bare(), 11, 3)
    worked(terminal := Terminal(), 11, 3)
    assert "\r" not in log.text and log.text.endswith("\n")
    assert terminal.text.count("\r") == 4 and terminal.text.count("\n") == 1
    assert terminal.text.endswith("0:00:33 so far\n")


def test_a_line_is_no_wider_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    worked(terminal := Terminal(), 11, 3)
    assert {len(line) for line in terminal.text.strip().split("\r")[1:]} == {19}


def test_a_note_is_shown_at_once_on_a_terminal_and_with_the_next_line_in_a_log():
    for stream, shown in ((Terminal(), "encode: 0 texts, 0:00:00 so far, round 1"), (Bare(), "")):
        with Progress("encode", "texts", stream, clock=Clock()) as progress:
            progress.set_postfix_str("round 1")
            assert stream.text.strip() == shown


def test_texts_are_counted_when_their_vectors_are_done_and_nobody_hears_of_it_who_did_not_ask(monkeypatch):
    monkeypatch.setattr("edge_potion.progress.LOG_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", stream := Bare())
    model = EdgeModel.from_pretrained()
    shown_before = []

    def texts():
        for _ in range(100):
            shown_before.append("texts" in stream.text)
            yield "rain"

    assert len(list(model.stream(texts(), show_progress=True))) > 0
    assert not any(shown_before) and "encode: 100 texts, " in stream.text
    monkeypatch.setattr(sys, "stderr", quiet := Bare())
    assert len(model.encode(["rain"] * 3)) == 3 and list(counted([1, 2], False, desc="", unit="")) == [1, 2]
    assert quiet.text == ""


def test_the_rest_of_a_stream_is_its_own():
    stream = Unfailing(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert stream.encoding == "latin-1" and not stream.isatty()
    assert stream.write("abc") == 3
    stream.flush()
    assert stream.buffer.getvalue() == b"abc"
