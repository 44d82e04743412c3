"""A bulk job on a real Ray cluster of two nodes: the bytes of this machine's own workers, whatever is lost."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from edge_potion import AccessError, InputError
from edge_potion.bulk.encode_files import encode_files

from .inputs import bytes_of, manifest_of, put_csv, put_jsonl, put_parquet, texts
from .test_resume import shards_in, start

pytestmark = pytest.mark.peers  # half a minute for Ray's processes to start


def later(happens, folder: Path, shards: int) -> threading.Thread:
    """Something that happens once so many shards are there."""

    def wait() -> None:
        while shards_in(folder) < shards:
            time.sleep(0.005)
        happens()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_every_kind_of_input_gives_the_bytes_of_this_machine(ray_cluster, tmp_path):
    put_parquet(tmp_path / "a.parquet", texts(9000), row_group=4000)
    put_jsonl(tmp_path / "b.jsonl", texts(3000))
    put_csv(tmp_path / "c.csv", texts(3000))
    inputs = [tmp_path / name for name in ("a.parquet", "b.jsonl", "c.csv")]
    for engine in ("local", "ray"):
        encode_files(inputs, tmp_path / engine, engine=engine, workers=2, shard_rows=700, dtype="int8", keep=["text"])
    assert bytes_of(tmp_path / "local") == bytes_of(tmp_path / "ray")
    assert manifest_of(tmp_path / "local") == manifest_of(tmp_path / "ray")


def test_a_rotation_and_bad_rows_are_the_same_there(ray_cluster, tmp_path):
    source = put_parquet(tmp_path / "a.parquet", [*texts(500), None, *texts(500)])
    for engine in ("local", "ray"):
        summary = encode_files(source, tmp_path / engine, engine=engine, shard_rows=300, dtype="binary", rotate=True)
        assert summary.bad == {"null": 1}
    assert bytes_of(tmp_path / "local") == bytes_of(tmp_path / "ray")


def test_a_model_of_the_users_own_needs_no_shared_path(ray_cluster, tmp_path, hand_bundle):
    source = put_parquet(tmp_path / "a.parquet", ["the cat sat", "on the mat", "dogs ran"])
    folder = tmp_path / "moved"
    shutil.copytree(hand_bundle, folder)
    encode_files(source, tmp_path / "local", model=folder)
    encode_files(source, tmp_path / "ray", model=folder, engine="ray")
    assert bytes_of(tmp_path / "local") == bytes_of(tmp_path / "ray")


@pytest.mark.slow
@pytest.mark.parametrize("loses", ["an actor", "a node"])
def test_what_is_lost_is_done_by_others(ray_cluster, tmp_path, loses):
    source = put_parquet(tmp_path / "a.parquet", texts(60_000))
    out = tmp_path / "ray"
    ray_cluster.second_node()
    happens = {"an actor": lambda: ray_cluster.kill_an_actor("Maker"), "a node": ray_cluster.lose_second_node}[loses]
    lost = later(happens, out, 20)
    encode_files(source, out, engine="ray", workers=4 if loses == "a node" else 2, shard_rows=300, dtype="int8")
    lost.join()
    encode_files(source, tmp_path / "local", shard_rows=300, dtype="int8")
    assert bytes_of(out) == bytes_of(tmp_path / "local")


@pytest.mark.slow
def test_a_job_that_was_begun_here_goes_on_there_and_back(ray_cluster, tmp_path):
    source = put_parquet(tmp_path / "a.parquet", texts(30_000))
    out = tmp_path / "out"
    rest: list[object] = [source, "--out", f"{out}/", "--shard-rows", 200]
    there = [*rest, "--engine", "ray", "--address", ray_cluster.address]
    for words in ([*rest, "--workers", 1], there):
        before = shards_in(out)
        run = start(*words)
        while shards_in(out) < before + 10 and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        run.wait()
    done = start(*there)
    told, errors = done.communicate()
    assert done.returncode == 0 and "were there)" in told, errors
    encode_files(source, tmp_path / "local", shard_rows=200)
    assert bytes_of(out) == bytes_of(tmp_path / "local")


@pytest.mark.slow
def test_ctrl_c_ends_a_run_and_its_actors(ray_cluster, tmp_path):
    source = put_parquet(tmp_path / "a.parquet", texts(60_000))
    out = tmp_path / "out"
    words = [source, "--out", f"{out}/", "--shard-rows", 100, "--engine", "ray", "--address", ray_cluster.address]
    run = start(*words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    while shards_in(out) < 5:
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGINT)
    _, errors = run.communicate()
    assert run.returncode == 130 and "the same command goes on" in errors and "Traceback" not in errors, errors
    ray_cluster.wait_for("Maker", 0)


def test_what_is_wrong_comes_as_one_error_of_ours(ray_cluster, tmp_path):
    source = put_parquet(tmp_path / "a.parquet", [*texts(50), None])
    with pytest.raises(InputError, match=r"a\.parquet, row 51: no 'text' there"):
        encode_files(source, tmp_path / "out", engine="ray", on_bad="fail")
    run = start(source, "--out", f"{tmp_path}/x/", "--engine", "ray", "--address", "127.0.0.1:1")
    _, errors = run.communicate()
    assert run.returncode == 1 and "there is no Ray cluster at 127.0.0.1:1" in errors
    assert "Traceback" not in errors


def test_a_folder_that_the_machines_do_not_share_is_told(ray_cluster, tmp_path, monkeypatch):
    source = put_parquet(tmp_path / "a.parquet", texts(50))
    real = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda self: not self.name.startswith("00000-") and real(self))
    with pytest.raises(AccessError, match="is not here; write to a path that all of them share"):
        encode_files(source, tmp_path / "out", engine="ray")
