"""What every runner in Python measures with: in which order texts are taken, and what is called; not how fast it is."""

from __future__ import annotations

import sys
import time
from types import ModuleType

import pytest

from edge_potion.benchmarks.speed.environments import RUNNERS

JOB = {"warmup_calls": 3, "warmup_seconds": 0, "latency_calls": 7, "most_seconds": 60, "batch_seconds": 0.0005}


@pytest.fixture
def measure(monkeypatch) -> ModuleType:
    """runners/measure.py, as runners import it."""
    monkeypatch.syspath_prepend(str(RUNNERS))
    sys.modules.pop("measure", None)
    return __import__("measure")


class Seen:
    """A library that notes its calls, and takes its time for each."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def __call__(self, asked: object) -> None:
        self.calls.append(asked)
        time.sleep(0.0002)


def test_texts_are_taken_in_order_and_each_measurement_goes_on_where_the_one_before_stopped(measure):
    one, encode, texts = Seen(), Seen(), [f"text {number}" for number in range(100_000)]
    turn = measure.Turn(texts)
    assert len(measure.latencies(one, turn, JOB)) == 7
    assert one.calls == texts[:10]
    rates = dict(measure.rates(encode, turn, {**JOB, "batches": [1, 32, 256]}, rate=1000.0, one=one))
    assert set(rates) == {1, 32, 256} and min(rates.values()) > 0
    assert set(map(len, encode.calls)) == {32, 256}
    assert [*one.calls, *(text for chunk in encode.calls for text in chunk)] == texts[: turn.at]


def test_texts_begin_again_after_the_last_whole_call(measure):
    turn = measure.Turn(list("abcdefg"))
    assert ["".join(turn.next(3)) for _ in range(3)] == ["abc", "def", "abc"]


def test_a_library_without_a_call_for_one_text_gets_a_list_of_one(measure):
    encode = Seen()
    measure.Library(encode, 0.0, []).one("a")
    assert encode.calls == [["a"]]


def test_a_batch_whose_call_would_take_too_long_or_that_has_too_few_texts_is_left_out(measure):
    encode = Seen()
    job = {**JOB, "batches": [2, 1000], "most_seconds": 1e-9}
    assert dict(measure.rates(encode, measure.Turn(["a"] * 1000), job, rate=1.0)) == {2: None, 1000: None}
    job = {**JOB, "batches": [1001]}
    assert dict(measure.rates(encode, measure.Turn(["a"] * 1000), job, rate=1.0)) == {1001: None}
    assert encode.calls == []


def test_every_latency_is_more_than_nothing_though_the_clocks_own_time_is_taken_off(measure):
    assert 0 < measure.clock_seconds() < 1e-3
    found = measure.latencies(lambda text: None, measure.Turn(["a"]), {**JOB, "latency_calls": 2000})
    assert min(found) > 0
