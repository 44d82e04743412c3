"""Whatever a file holds, the engine runs it or says why not; and threads, forks, signals and the end leave it whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from time import sleep

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_potion import StaticModel
from edge_potion.head import Head
from edge_potion.static_model import Card

from ..models import CHECKOUT
from .both import Both
from .c_interface import BAD_ARGUMENT, CANNOT_READ, DAMAGED, NOT_OURS, STOPPED, Native, Refused
from .guarded import PAGE

pytestmark = pytest.mark.usefixtures("installed_engine")

TEXTS = b"the cat sat on the mat.\0a dog\0\0\xe6\x97\xa5 \xc3\xa9 [PAD] running 0 1"
OPENS = 200
MOST_GROWN_BYTES = 8 << 20  # over OPENS openings: what they need once, and not each


@pytest.fixture
def graph(hand_model) -> bytes:
    return Both.of(hand_model).file


def edited(file: bytes, edit: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_model_from_string(file)
    edit(model)
    return model.SerializeToString()


def table_of(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def refusal_of(file: bytes | Path) -> Refused:
    with pytest.raises(Refused) as refused:
        Native(file)
    assert len(refused.value.sentence) > 20
    return refused.value


# Files that are damaged.


def test_no_damage_of_a_file_ends_the_process_or_gives_nan(hand_model, tmp_path):
    weights = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    grams = np.array([[6, -1], [6, 7]], np.int32)
    head = Head(("a", "b", "c"), weights[:8], weights[8], grams, weights[9:], threshold=0.5)
    for precision in ("int8", "float16", "float32"):
        (tmp_path / f"{precision}.onnx").write_bytes(Both.of(hand_model, precision).file)
        (tmp_path / f"{precision}-head.onnx").write_bytes(Both.of(replace(hand_model, head=head), precision).file)
    words = [sys.executable, "-X", "faulthandler", "-m", "tests.native.damaged_files", tmp_path, "0", "2000"]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{(tmp_path / 'last').read_text()[-100:]}: {done.stderr[-3000:]}"
    outcomes = json.loads(done.stdout)
    assert sum(number for name, number in outcomes.items() if name.startswith("mutation")) == 2000
    assert outcomes["mutation refused"] > 200 and outcomes["mutation embedded"] > 200
    assert not outcomes.get("cut embedded") and outcomes["cut refused"] > 8000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40])
@pytest.mark.parametrize(
    ("precision", "name", "normalize"),
    [
        *((precision, "table_rows", normalize) for precision in ("float16", "float32") for normalize in (True, False)),
        *(("float16", "row_factors", normalize) for normalize in (True, False)),
        *(("int8", "column_weights", normalize) for normalize in (True, False)),
        *((precision, "scale", False) for precision in ("int8", "float16", "float32")),
    ],
)
def test_nan_and_inf_in_a_table_never_come_out(precision, name, normalize, value, hand_table, hand_tokenizer):
    table = hand_table.copy()
    table[10:] *= np.float32(1e-9) if name == "row_factors" else 1
    both = Both.of(StaticModel(table, hand_tokenizer, Card("hand", normalize, max_tokens=16)), precision)

    def plant(model: onnx.ModelProto) -> None:
        tensor = table_of(model, name)
        numbers = numpy_helper.to_array(tensor).copy()
        row = hand_tokenizer.token_to_id("cat") if len(numbers) > 8 else 0
        with np.errstate(over="ignore"):
            numbers[row] = np.float64(value)
        tensor.raw_data = numbers.tobytes()

    native = Native(edited(both.file, plant))
    said = []
    for text in (b"the cat", b"dog", b"", b"cat " * 100, TEXTS):
        try:
            assert np.isfinite(native.embed(text)).all(), text
        except Refused as refused:
            assert refused.status == DAMAGED and "NaN or inf" in refused.sentence
            said.append(text)
    assert not np.isnan(value) or b"the cat" in said
    assert name != "table_rows" or not {b"dog", b""} & set(said)  # which do not look at that row


def test_what_is_no_text_graph_is_refused_with_a_sentence(hand_bundle, tmp_path):
    plain = helper.make_model(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "plain", [], []))
    (tmp_path / "plain.onnx").write_bytes(plain.SerializeToString())
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "noise.onnx").write_bytes(np.random.default_rng(0).bytes(100_000))
    others = [file for file in sorted(hand_bundle.rglob("*")) if file.is_file() and "text" not in file.name]
    assert {file.suffix for file in others} >= {".onnx", ".safetensors", ".json"}
    for file in (tmp_path / "plain.onnx", tmp_path / "noise.onnx", *others):
        for refused in (refusal_of(file), refusal_of(file.read_bytes())):
            assert refused.status == (NOT_OURS if file.suffix == ".onnx" and file.stem != "noise" else DAMAGED), file
    for file in (tmp_path / "empty.onnx", tmp_path, tmp_path / "none.onnx", Path("/dev/null")):
        refused = refusal_of(file)
        assert refused.status == CANNOT_READ and "cannot be read" in refused.sentence


# Files that another program made, or an older version.


def renamed(model: onnx.ModelProto) -> None:
    table_of(model, "slots").name = "slot"


def doubled(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(table_of(model, "slots"))


def external(model: onnx.ModelProto) -> None:
    tensor = table_of(model, "table_rows")
    onnx.external_data_helper.set_external_data(tensor, "rows.bin")


def typed_otherwise(model: onnx.ModelProto) -> None:
    table_of(model, "page_of").data_type = TensorProto.UINT32


def ranked_otherwise(model: onnx.ModelProto) -> None:
    table_of(model, "piece_ids").dims.append(1)


def shaped_otherwise(model: onnx.ModelProto) -> None:
    table_of(model, "table_rows").dims[0] += 1


def unpacked(model: onnx.ModelProto) -> None:
    tensor = table_of(model, "page_of")
    numbers = numpy_helper.to_array(tensor).tolist()
    tensor.ClearField("raw_data")
    tensor.int32_data.extend(numbers)


def negative(model: onnx.ModelProto) -> None:
    table_of(model, "table_rows").dims[0] = -1


def pointing_beyond(model: onnx.ModelProto) -> None:
    tensor = table_of(model, "piece_ids")
    tensor.raw_data = (numpy_helper.to_array(tensor) + 1000).tobytes()


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (renamed, "no table slots"),
        (doubled, "slots twice"),
        (external, "table_rows"),
        (typed_otherwise, "page_of has another type or rank"),
        (ranked_otherwise, "piece_ids has another type or rank"),
        (shaped_otherwise, "table_rows has not as many bytes"),
        (unpacked, "page_of"),
        (negative, "shape"),
        (pointing_beyond, "piece_ids point beyond"),
    ],
)
def test_tables_that_are_not_as_written_are_named_in_the_error(edit, told, graph):
    assert told in refusal_of(edited(graph, edit)).sentence


@pytest.mark.parametrize("change", ["node", "attribute", "small constant", "output", "one node less"])
def test_a_graph_whose_nodes_were_changed_is_refused(change, graph):
    def edit(model: onnx.ModelProto) -> None:
        if change == "node":
            model.graph.node[5].op_type = "Abs"
        elif change == "attribute":
            next(node for node in model.graph.node if node.attribute).attribute[0].i += 1
        elif change == "small constant":
            tensor = next(each for each in model.graph.initializer if each.name.startswith("constant_"))
            tensor.raw_data = bytes([tensor.raw_data[0] ^ 1]) + tensor.raw_data[1:]
        elif change == "output":
            model.graph.node[-1].output[0] = "other"
        else:
            del model.graph.node[7]

    assert "another program changed it" in refusal_of(edited(graph, edit)).sentence


def test_tables_in_another_order_give_the_same_vectors(graph):
    def reorder(model: onnx.ModelProto) -> None:
        tensors = list(model.graph.initializer)
        tables = [each for each in tensors if not each.name.startswith("constant_")]
        del model.graph.initializer[:]
        model.graph.initializer.extend(
            [*(each for each in tensors if each.name.startswith("constant_")), *tables[::-1]]
        )

    assert np.array_equal(Native(edited(graph, reorder)).embed(TEXTS), Native(graph).embed(TEXTS))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("text_tables", None, "export the model again"),
        ("text_tables", "4", "another version"),
        ("text_tables", "3", "of a kind that this engine does not know"),
        ("text_tables", "1.5", "another version"),
        ("structure", None, "another program changed it"),
        *(("longest_piece", value, "longest_piece") for value in (None, "", "0", "-1", "99999999999999999999", "1e3")),
        *(("longest_word", value, "longest_word") for value in (None, "0", "1000000")),
        *(("unknown_id", value, "unknown_id") for value in (None, "32", "9999999")),
        *(("max_tokens", value, "max_tokens") for value in (None, "0", "-1", "4294967296", "None")),
        *(("normalize", value, "normalize") for value in (None, "True", "1")),
    ],
)
def test_what_a_file_must_say_of_itself_is_named_where_it_does_not(key, value, told, graph):
    def edit(model: onnx.ModelProto) -> None:
        said = {each.key: each.value for each in model.metadata_props}
        del model.metadata_props[:]
        said[key] = value
        helper.set_model_props(model, {name: text for name, text in said.items() if text is not None})

    refused = refusal_of(edited(graph, edit))
    assert told in refused.sentence
    assert refused.status == (NOT_OURS if key in ("text_tables", "structure") else DAMAGED)


def test_arguments_out_of_range_are_errors(graph):
    native = Native(graph)
    with pytest.raises(Refused, match="max_tokens") as refused:
        native.embed(b"the", -2)
    assert refused.value.status == BAD_ARGUMENT
    for wrong in (-1, native.vocabulary_size, 2**31 - 1, -(2**31)):
        with pytest.raises(Refused, match="id"):
            native.embed_ids(np.array([1, wrong], np.int64).astype(np.int32), np.array([2]))
    assert np.isfinite(native.embed(TEXTS)).all()


# What else happens in the process.


def test_sixteen_threads_on_one_handle_have_the_bits_that_each_has_alone(graph, sentences):
    native = Native(graph)
    parts = ["\0".join(sentences[number::16] * 30).encode() for number in range(16)]
    alone = [native.embed(part) for part in parts]

    def embed(number: int) -> bool:
        turns = [native.embed(parts[number], threads=1 + (number + turn) % 4) for turn in range(8)]
        return all(np.array_equal(turn.view(np.uint32), alone[number].view(np.uint32)) for turn in turns)

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(embed, range(16)))


def test_opening_and_closing_leaves_nothing_behind(hand_model, tmp_path):
    file = tmp_path / "text.onnx"
    file.write_bytes(Both.of(hand_model).file)
    many = b"\0".join([b"the cat sat"] * 10_000)

    def open_and_close() -> None:
        for number in range(OPENS):
            for source in (file, file.read_bytes()):
                native = Native(source)
                native.embed(many, threads=3 if number % 10 == 0 else 1)
                native.close()
            refusal_of(Path(file.parent / "none.onnx"))
            refusal_of(file.read_bytes()[:-1])

    open_and_close()
    before = held()
    open_and_close()
    after = held()
    assert after.files == before.files and after.threads == before.threads
    assert after.bytes - before.bytes < MOST_GROWN_BYTES


@dataclass(frozen=True)
class Held:
    """What this process holds of the system."""

    bytes: int
    files: int
    threads: int


def held() -> Held:
    mine = Path("/proc/self")
    if not mine.is_dir():
        pytest.skip("only Linux tells in /proc what a process holds")
    pages = int((mine / "statm").read_text().split()[1])
    return Held(pages * PAGE, len(list((mine / "fd").iterdir())), len(list((mine / "task").iterdir())))


def test_a_call_that_is_stopped_says_so_and_the_next_one_works(graph):
    native = Native(graph)
    long = b"the cat sat on the mat. \0" * 400_000
    statuses: list[int] = []

    def work(threads: int) -> None:
        try:
            native.embed(long, threads=threads)
        except Refused as refused:
            statuses.append(refused.status)

    for threads in (1, 2):
        worker = Thread(target=work, args=(threads,))
        worker.start()
        while worker.is_alive():
            sleep(0.001)
            native.library.ep_stop(native.handle)
        worker.join()
    assert statuses == [STOPPED, STOPPED]
    assert np.isfinite(native.embed(TEXTS)).all()


SCRIPT = """
import atexit, os, signal, sys, threading, time
from pathlib import Path
import numpy as np
from edge_potion.engine import Engine
from edge_potion.tokens import TokenIds

engine = Engine(Path(sys.argv[1]), threads=2)
texts = ["the cat sat on the mat. a dog ran", "日本 é"] * 4000
wanted = engine.encode(texts, 256, None)
is_right = lambda: np.array_equal(engine.encode(texts, 256, None), wanted)
"""


def run(script: str, graph: bytes, tmp_path: Path) -> str:
    """What a program prints that begins with SCRIPT and has a model; it ends well, and says nothing of errors."""
    (tmp_path / "text.onnx").write_bytes(graph)
    words = [sys.executable, "-X", "faulthandler", "-c", SCRIPT + script, tmp_path / "text.onnx"]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_in_the_middle_of_calls_leaves_parent_and_child_whole(graph, tmp_path):
    script = """
going = True
def work():
    while going:
        is_right() or os._exit(3)
worker = threading.Thread(target=work)
worker.start()
for turn in range(20):
    child = os.fork()
    if not child:
        signal.alarm(60)  # a child that waits for ever is ended
        os._exit(0 if is_right() and is_right() else 1)
    assert is_right()
    assert os.waitpid(child, 0)[1] == 0, turn
going = False
worker.join()
print("whole")
"""
    assert run(script, graph, tmp_path) == "whole\n"


def test_calls_while_the_interpreter_ends_are_answered_or_ended(graph, tmp_path):
    script = """
def work():
    while True:
        is_right() or os._exit(3)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
long = texts * 20
@atexit.register
def last():
    print(len(engine.encode(long, 256, None)), is_right())
"""
    assert run(script, graph, tmp_path) == "160000 True\n"


@pytest.mark.parametrize("way", ["engine.encode(long, 256, None)", "engine.encode_ids(ids, 256)"])
def test_an_interrupt_ends_a_long_call_which_then_gives_nothing(way, hand_tokenizer, tmp_path):
    """Of wide rows, so that few texts are much work."""
    table = np.ones((hand_tokenizer.get_vocab_size(), 4096), np.float32)
    graph = Both.of(StaticModel(table, hand_tokenizer, Card("wide", normalize=True, max_tokens=None)), "float32").file
    script = f"""
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
long = ["the " * 10_000] * 1_000
ids = TokenIds(np.full(10_000_000, 6, np.int32), np.full(1_000, 10_000))
vectors = None
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    vectors = {way}
except KeyboardInterrupt:
    print("interrupted")
assert vectors is None
print(is_right())
"""
    assert run(script, graph, tmp_path) == "interrupted\nTrue\n"
