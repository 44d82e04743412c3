"""Calls side by side: in any thread, at any time, and without threads where none can be started."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from edge_potion import EdgeModel
from edge_potion.calls import side_by_side

LATE = """
import atexit, sys, threading
from edge_potion import EdgeModel
model = EdgeModel.from_pretrained(threads=3)
texts = [f"parcel {i} waits at the counter and nobody has asked for it" for i in range(3000)]
asks = {
    "text": lambda: model.encode(texts),
    "other limit": lambda: model.encode(texts, max_tokens=3),
    "long": lambda: model.encode(["parcel " * 20_000] * 3),
    "progress": lambda: model.encode(texts, show_progress=True),
    "similarity": lambda: model.similarity(texts[:9], texts),
    "sent": lambda: pickle_again().encode(texts),
}
def pickle_again():
    import pickle
    return pickle.loads(pickle.dumps(model))
def late():
    if sys.argv[1] == "thread":
        threading.main_thread().join()
    print("OK", asks[sys.argv[2]]().shape)
if sys.argv[1] == "thread":
    threading.Thread(target=late).start()
else:
    atexit.register(late)
"""


@pytest.mark.parametrize("what", ["text", "other limit", "long", "progress", "similarity", "sent"])
@pytest.mark.parametrize("when", ["thread", "atexit"])
def test_encode_works_while_the_interpreter_exits(when, what):
    done = subprocess.run([sys.executable, "-c", LATE, when, what], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("OK"), done.stderr


def test_no_thread_is_needed(monkeypatch, sentences):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    model = EdgeModel.from_pretrained(threads=4)
    expected = model.encode(sentences, batch_size=16)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert np.array_equal(model.encode(sentences, batch_size=16), expected)


def test_every_call_runs_once_and_the_first_failure_is_raised():
    calls = [np.array([number]) for number in range(200)]
    before = threading.active_count()  # other tests' libraries may keep some
    for threads in (1, 2, 7, 500):
        ran: list[int] = []
        side_by_side(lambda call, ran=ran: ran.append(int(call[0])), calls, threads)
        assert sorted(ran) == list(range(200))

    def fail(call: np.ndarray) -> None:
        ran.append(int(call[0]))
        if call[0] == 3:
            raise KeyError(3)

    for threads in (1, 5):
        ran = []
        with pytest.raises(KeyError):
            side_by_side(fail, calls, threads)
        assert len(ran) < 200
    assert threading.active_count() <= before
