"""A job that is stopped goes on where it was, in the same bytes; what is another job is refused by name."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edge_potion import AccessError, EdgePotionError, InputError
from edge_potion.bulk.encode_files import encode_files

from .inputs import bytes_of, manifest_of, put_lines, put_parquet, table_of, texts

EP = Path(sys.executable).parent / "edge-potion"


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    command = [str(EP), "encode", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def shards_in(out: Path) -> int:
    return len(list(out.glob("*.parquet"))) if out.exists() else 0


def killed_at(shards: int, out: Path, words: list[object], with_signal: int) -> subprocess.Popen[str]:
    """A run that was sent a signal once so many shards were there."""
    run = start(*words)
    while shards_in(out) < shards and run.poll() is None:
        time.sleep(0.005)
    run.send_signal(with_signal)
    run.wait()
    return run


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_is_killed_goes_on_and_gives_the_same_bytes(tmp_path, workers):
    source = put_parquet(tmp_path / "t.parquet", texts(20_000))
    rest: list[object] = [source, "--keep", "id", "--dtype", "int8", "--shard-rows", 100]
    undisturbed = tmp_path / "undisturbed"
    assert start(*rest, "--out", undisturbed).wait() == 0
    out = tmp_path / "out"
    chance = random.Random(7)
    before = 0
    for _ in range(4):
        words = [*rest, "--out", out, "--workers", workers]
        killed_at(before + chance.randrange(1, 40), out, words, signal.SIGKILL)
        before = shards_in(out)
        assert not manifest_of(out)["complete"]
    done = start(*rest, "--out", out, "--workers", 3 - workers)
    told = done.communicate()[0]
    assert done.returncode == 0 and "were there)" in told
    assert bytes_of(out) == bytes_of(undisturbed)
    assert manifest_of(out) == manifest_of(undisturbed)
    assert sorted(path.name for path in out.iterdir() if path.name[0] in "._") == ["_manifest.json"]


def test_what_is_whole_is_not_made_again(tmp_path):
    source = put_parquet(tmp_path / "t.parquet", texts(3000))
    out = tmp_path / "out"
    assert encode_files(source, out, shard_rows=500).made == 6
    times = {file.name: file.stat().st_mtime_ns for file in out.iterdir()}
    assert encode_files(source, out, shard_rows=500).made == 0
    assert {file.name: file.stat().st_mtime_ns for file in out.iterdir()} == times
    before = bytes_of(out)
    (out / "00000-000002.parquet").unlink()
    (out / "00000-000004.parquet").write_bytes(b"cut off")
    assert encode_files(source, out, shard_rows=500).made == 2
    assert bytes_of(out) == before


def test_ctrl_c_leaves_whole_shards_and_says_so(tmp_path):
    source = put_parquet(tmp_path / "t.parquet", texts(60_000))
    out = tmp_path / "out"
    for workers in (1, 2):
        run = start(source, "--out", out, "--shard-rows", 100, "--workers", workers, preexec_fn=os.setsid)
        before = shards_in(out)
        while shards_in(out) < before + 5:
            time.sleep(0.005)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, errors = run.communicate()
        assert run.returncode == 130 and "Traceback" not in errors, errors
        assert "the same command goes on" in errors
        for file in out.glob("*.parquet"):
            assert len(table_of(file)) == 100
        assert not list(out.glob(".edge-potion*"))


@pytest.mark.parametrize("seconds", [0.6, 0.9, 1.2, 1.5])
def test_ctrl_c_while_workers_start_prints_no_traceback_of_theirs(tmp_path, seconds):
    source = put_parquet(tmp_path / "t.parquet", texts(60_000))
    run = start(source, "--out", tmp_path / "out", "--shard-rows", 100, "--workers", 2, preexec_fn=os.setsid)
    while not (tmp_path / "out" / "_shards.jsonl").exists():
        time.sleep(0.005)
    time.sleep(seconds - 0.5)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate()
    assert run.returncode == 130 and "Traceback" not in errors, errors


def test_another_job_in_the_same_folder_is_told_what_differs(tmp_path, hand_bundle):
    source = put_lines(tmp_path / "t.txt", texts(10))
    more = put_lines(tmp_path / "u.txt", texts(3))
    out = tmp_path / "out"
    encode_files(source, out)
    for inputs, options, message in (
        ([source], {"dtype": "int8"}, 'dtype is "float32" there and "int8" now'),
        ([source], {"keep": ["text"]}, r"keep is \[\] there and \[\"text\"\] now"),
        ([source], {"shard_rows": 5}, "shard_rows is 131072 there and 5 now"),
        ([source], {"max_tokens": 5}, "max_tokens is null there and 5 now"),
        ([source], {"model": hand_bundle}, "another model: fingerprint"),
        ([source, more], {}, "u.txt is an input now and was none"),
        ([more], {}, "t.txt was an input"),
    ):
        with pytest.raises(InputError, match=message):
            encode_files(inputs, out, **options)
    put_lines(source, texts(11))
    with pytest.raises(InputError, match=r"t\.txt was changed since .*out was begun"):
        encode_files(source, out)


def test_float_tables_say_which_engine_made_their_last_bits(tmp_path, hand_folder):
    from edge_potion import export

    export(hand_folder, tmp_path / "bundle", quantize="none")
    source = put_lines(tmp_path / "t.txt", ["the cat sat"])
    encode_files(source, tmp_path / "out", model=tmp_path / "bundle")
    with pytest.raises(InputError, match='runs_in is "native, cpu" there and "onnxruntime, cpu" now'):
        encode_files(source, tmp_path / "out", model=tmp_path / "bundle", model_engine="onnxruntime")


def test_another_order_of_inputs_is_another_job(tmp_path):
    first, second = put_lines(tmp_path / "a.txt", ["a"]), put_lines(tmp_path / "b.txt", ["b"])
    encode_files([first, second], tmp_path / "out")
    with pytest.raises(InputError, match="another order"):
        encode_files([second, first], tmp_path / "out")


def test_a_folder_that_is_no_jobs_is_left_alone(tmp_path):
    source = put_lines(tmp_path / "t.txt", ["a"])
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.parquet").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'mine\.parquet' and no _manifest\.json"):
        encode_files(source, out)
    assert (out / "mine.parquet").read_text() == "mine" and len(list(out.iterdir())) == 1
    (out / "mine.parquet").unlink()
    (out / "_manifest.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        encode_files(source, out)
    (out / "_manifest.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="another version"):
        encode_files(source, out)
    with pytest.raises(InputError, match="lies in the folder that is written"):
        encode_files(put_lines(out / "t.txt", ["a"]), out)
    with pytest.raises(AccessError, match="cannot write"):
        encode_files(source, tmp_path / "t.txt" / "out")


@pytest.mark.slow
def test_two_at_once_do_not_share_a_folder(tmp_path):
    source = put_parquet(tmp_path / "t.parquet", texts(60_000))
    out = tmp_path / "out"
    run = start(source, "--out", out, "--shard-rows", 100, "--workers", 1)
    while not shards_in(out):
        time.sleep(0.005)
    with pytest.raises(InputError, match="another process writes into"):
        encode_files(source, out, shard_rows=100)
    run.kill()
    run.wait()
    assert encode_files(source, out, shard_rows=100).rows == 60_000


def test_a_journal_that_was_cut_off_loses_that_shard_alone(tmp_path):
    source = put_parquet(tmp_path / "t.parquet", texts(20_000))
    out = tmp_path / "out"
    killed_at(20, out, [source, "--out", out, "--shard-rows", 200, "--workers", 1], signal.SIGKILL)
    journal = out / "_shards.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]) + lines[5][:20])
    summary = encode_files(source, out, shard_rows=200)
    assert summary.rows == 20_000 and summary.made == 95


@pytest.mark.slow
def test_stdin_goes_on_where_it_says_the_same(tmp_path):
    out = tmp_path / "out"
    lines = "".join(text + "\n" for text in texts(20_000))
    words = ["-", "--out", out, "--shard-rows", 100, "--workers", 1]

    run = start(*words, stdin=subprocess.PIPE)
    run.stdin.write(lines[: len(lines) // 2])
    run.stdin.flush()
    while shards_in(out) < 10:
        time.sleep(0.005)
    run.kill()
    run.communicate()
    run = start(*words, stdin=subprocess.PIPE)
    assert "from line 1 on, it is not what" in run.communicate("another " + lines)[1] and run.returncode == 1
    run = start(*words, stdin=subprocess.PIPE)
    assert "were there)" in run.communicate(lines)[0] and run.returncode == 0
    put_lines(tmp_path / "t.txt", texts(20_000))
    encode_files(tmp_path / "t.txt", tmp_path / "whole", shard_rows=100)
    assert bytes_of(out) == bytes_of(tmp_path / "whole")


def test_an_input_that_changes_meanwhile_is_told_and_makes_no_whole_manifest(tmp_path, monkeypatch):
    from edge_potion.bulk.shard import ShardMaker

    source = put_parquet(tmp_path / "t.parquet", texts(3000))
    real = ShardMaker._coded

    def changed(self, window):
        os.utime(source, (1, 1))
        return real(self, window)

    monkeypatch.setattr(ShardMaker, "_coded", changed)
    with pytest.raises(InputError, match=r"t\.parquet was changed while it was read"):
        encode_files(source, tmp_path / "out", shard_rows=500)
    assert not (tmp_path / "out").exists()  # as no shard was whole


def test_a_disk_that_fills_loses_the_shard_that_is_written_at_most(small_disk, tmp_path):
    source = put_parquet(tmp_path / "t.parquet", texts(2000))
    out = small_disk / "out"
    for workers in (1, 2):
        with pytest.raises(EdgePotionError, match="No space left on device"):
            encode_files(source, out, shard_rows=50, dtype="int8", workers=workers)
        whole = shards_in(out)
        assert whole > 2
        for file in out.glob("*.parquet"):
            assert len(table_of(file)) == 50
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    summary = encode_files(source, out, shard_rows=50, dtype="int8")
    assert summary.rows == 2000 and summary.made < 40
    encode_files(source, tmp_path / "undisturbed", shard_rows=50, dtype="int8")
    assert bytes_of(out) == bytes_of(tmp_path / "undisturbed")


def children_of(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "spawn_main" in line]


def test_a_worker_that_dies_is_replaced_and_its_shards_are_made(tmp_path):
    source = put_parquet(tmp_path / "t.parquet", texts(30_000))
    out = tmp_path / "out"
    run = start(source, "--out", out, "--shard-rows", 100, "--workers", 2)
    while shards_in(out) < 10:
        time.sleep(0.005)
    os.kill(children_of(run.pid)[0], signal.SIGKILL)
    _, errors = run.communicate()
    assert run.returncode == 0, errors
    encode_files(source, tmp_path / "undisturbed", shard_rows=100)
    assert bytes_of(out) == bytes_of(tmp_path / "undisturbed")


def test_workers_end_with_whoever_started_them(tmp_path):
    source = put_parquet(tmp_path / "t.parquet", texts(60_000))
    out = tmp_path / "out"
    run = start(source, "--out", out, "--shard-rows", 100, "--workers", 2)
    while shards_in(out) < 4:
        time.sleep(0.005)
    workers = children_of(run.pid)
    assert len(workers) == 2
    run.kill()
    run.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_that_dies_at_a_shard_each_time_is_told(tmp_path, monkeypatch):
    """As one does that the system kills for its memory."""
    from edge_potion.bulk import local

    source = put_parquet(tmp_path / "t.parquet", texts(500))
    monkeypatch.setattr(local, "_work", dies)
    with pytest.raises(
        EdgePotionError, match=r"a worker was killed by signal 9 at .*t\.parquet, from row (1|101) on, 2 times"
    ):
        encode_files(source, tmp_path / "out", shard_rows=100, workers=2)


def dies(connection, plan, rotation):
    connection.send(None)
    connection.recv()
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_manifest_says_what_was_made_of_what(tmp_path):
    source = put_parquet(tmp_path / "t.parquet", [*texts(100), None])
    encode_files(source, tmp_path / "out", shard_rows=60, dtype="int8", keep=["id"])
    manifest = manifest_of(tmp_path / "out")
    assert manifest["arguments"]["dtype"] == "int8" and manifest["columns"] == {"id": "int64"}
    assert manifest["inputs"] == [
        {"path": str(source), "size_bytes": source.stat().st_size, "modified_ns": source.stat().st_mtime_ns}
    ]
    assert (manifest["rows"], manifest["bad"], manifest["unknown"]) == (101, {"null": 1}, 0)
    assert "t.parquet, row 101" in manifest["bad_rows"][0]
    for shard in manifest["shards"]:
        for name, size in shard["sizes"].items():
            assert (tmp_path / "out" / name).stat().st_size == size
    assert json.dumps(manifest)


@pytest.mark.slow
def test_a_million_rows_killed_ten_times_at_random_give_the_same_bytes(tmp_path):
    source = put_parquet(tmp_path / "t.parquet", texts(1_000_000), row_group=100_000)
    rest: list[object] = [source, "--keep", "id", "--dtype", "int8", "--shard-rows", 20_000]
    began = time.monotonic()
    assert start(*rest, "--out", tmp_path / "undisturbed").wait() == 0
    seconds = time.monotonic() - began
    chance = random.Random(1)
    for _ in range(10):
        run = start(*rest, "--out", tmp_path / "out")
        time.sleep(chance.uniform(0.5, max(0.8, seconds / 3)))
        run.kill()
        run.wait()
    assert start(*rest, "--out", tmp_path / "out").wait() == 0
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")
