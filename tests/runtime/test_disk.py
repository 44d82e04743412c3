"""Disks and deaths: what no file system promises, and kills at any step; by real mounts and real processes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from edge_potion import AccessError, EdgeModel, InputError, StaticModel, export
from edge_potion.static_model import write_model_files
from edge_potion.workshop import TEMPORARY, sweep
from edge_potion.writing import file_written_whole, refuse_unwritable, written_whole


@pytest.fixture
def overlay(tmp_path, mount, hand_model) -> Path:
    """A folder as a container has it: `bundle` came with the image, and cannot be renamed."""
    for name in ("lower", "upper", "merged"):
        (tmp_path / name).mkdir()
    export(hand_model, tmp_path / "lower" / "bundle", graphs="bag")
    mount(tmp_path / "upper", "-t", "tmpfs", "tmpfs")
    for name in ("top", "work"):
        (tmp_path / "upper" / name).mkdir()
    layers = {"lowerdir": "lower", "upperdir": "upper/top", "workdir": "upper/work"}
    options = ",".join(f"{key}={tmp_path / name}" for key, name in layers.items())
    merged = mount(tmp_path / "merged", "-t", "overlay", "overlay", "-o", options)
    with pytest.raises(OSError) as refused:
        (merged / "bundle").rename(merged / "renamed")
    assert refused.value.errno == errno.EXDEV
    return merged


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names(folder)}


def temporaries(folder: Path) -> list[Path]:
    return list(folder.rglob(f"{TEMPORARY}*"))


def refuse_with(code: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


# Where folders cannot be renamed


def test_a_bundle_of_a_lower_layer_is_replaced(overlay, hand_model):
    bundle = export(hand_model, overlay / "bundle", quantize="float16", graphs="tokens", mobile=True, max_tokens=4)
    assert "onnx/bag_quantized.onnx" not in names(bundle.folder) and bundle.precisions == ["float16"]
    assert EdgeModel.from_pretrained(overlay / "bundle").encode("the cat").any()
    export(hand_model, overlay / "bundle", graphs="bag")
    assert not (overlay / "bundle" / "mobile").exists()
    assert not temporaries(overlay)


@pytest.mark.parametrize("fails_at", [1, 6, 10, 11, 13])
def test_a_lower_layer_that_cannot_be_filled_keeps_the_old_bundle(overlay, hand_model, monkeypatch, fails_at):
    """The disk breaks at one of the moves, ten out and four in; what was moved comes back."""
    before = contents(overlay / "bundle")
    real, calls = Path.replace, []

    def replace(self, target):
        calls.append(self)
        if len(calls) == fails_at:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    with pytest.raises(AccessError, match="Input/output error"), written_whole(overlay / "bundle") as beside:
        write_model_files(beside, hand_model, {"embeddings": hand_model.table})
        monkeypatch.setattr(Path, "replace", replace)
    assert len(before) == 11 and contents(overlay / "bundle") == before
    assert not temporaries(overlay)


def test_a_folder_that_is_a_mount_point_is_filled(tmp_path, mount, hand_model):
    """A volume mounted exactly at OUT: it cannot be renamed, and nothing may be left above it."""
    out = tmp_path / "out"
    out.mkdir()
    mount(out, "-t", "tmpfs", "tmpfs")
    (out / "lost+found").mkdir(0o700)
    export(hand_model, out, graphs=["bag", "tokens"])
    export(hand_model, out, quantize="float16", graphs="bag")
    assert [name for name in names(out) if name.startswith("onnx/")] == ["onnx/bag_fp16.onnx"]
    assert EdgeModel.from_pretrained(out).encode("the cat").any()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out"] and (out / "lost+found").is_dir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.txt' beside a static model"):
        export(hand_model, out, graphs="bag")


def test_a_folder_bound_to_its_place_is_filled(tmp_path, mount, hand_model):
    """As a mount of the same file system, which does not look like a mount point."""
    for name in ("source", "out"):
        (tmp_path / name).mkdir()
    mount(tmp_path / "out", "--bind", tmp_path / "source")
    for precision in ("int8", "float16"):
        export(hand_model, tmp_path / "out", quantize=precision, graphs="bag")
    assert [name for name in names(tmp_path / "source") if "onnx/" in name] == ["onnx/bag_fp16.onnx"]
    assert not temporaries(tmp_path)


def test_only_the_goal_can_be_written_to(tmp_path, mount, hand_model):
    """A container with a read-only root, and a volume for the output."""
    root = tmp_path / "root"
    (root / "out").mkdir(parents=True)
    (root / "v.npy").write_bytes(b"old")
    (tmp_path / "v.npy").write_bytes(b"old and long")
    mount(root, "--bind", root)
    subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
    mount(root / "out", "-t", "tmpfs", "tmpfs")
    for precision in ("int8", "float16"):
        export(hand_model, root / "out", quantize=precision, graphs="bag")
    assert EdgeModel.from_pretrained(root / "out").encode("the cat").any()
    with pytest.raises(AccessError, match=r"cannot write .*Read-only file system"):
        export(hand_model, root / "other")
    with pytest.raises(AccessError, match=r"cannot write .*Read-only file system"), file_written_whole(root / "v.npy"):
        pass
    mount(root / "v.npy", "--bind", tmp_path / "v.npy")  # a file that is mounted alone
    with file_written_whole(root / "v.npy") as beside:
        beside.write_bytes(b"new")
    assert (tmp_path / "v.npy").read_bytes() == b"new"
    assert not temporaries(tmp_path)


def test_a_file_mounted_alone_keeps_its_content_when_writing_fails(tmp_path, mount, monkeypatch):
    for name in ("v.npy", "outside"):
        (tmp_path / name).write_bytes(b"old")
    mount(tmp_path / "v.npy", "--bind", tmp_path / "outside")
    real = shutil.copyfileobj

    def half(source, goal, *_):
        monkeypatch.setattr(shutil, "copyfileobj", real)
        goal.write(source.read(2))
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(AccessError, match="No space left"), file_written_whole(tmp_path / "v.npy") as beside:
        beside.write_bytes(b"newer")
        monkeypatch.setattr(shutil, "copyfileobj", half)
    assert (tmp_path / "outside").read_bytes() == b"old"
    assert not temporaries(tmp_path)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EBUSY, errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_no_error_of_a_rename_loses_a_folder(hand_model, hand_folder, monkeypatch, code):
    """A file system that renames no folder, and then one that renames nothing at all."""
    real, changed = os.rename, StaticModel(hand_model.table * 2, hand_model.tokenizer, hand_model.card)

    def rename(source, goal, **more):
        if Path(source).is_dir():
            raise OSError(code, os.strerror(code))
        return real(source, goal, **more)

    monkeypatch.setattr(os, "rename", rename)
    changed.save_pretrained(hand_folder)
    assert np.array_equal(StaticModel.from_pretrained(hand_folder).table, changed.table)
    changed.save_pretrained(hand_folder.with_name("new"))
    assert np.array_equal(StaticModel.from_pretrained(hand_folder.with_name("new")).table, changed.table)
    before = contents(hand_folder)
    monkeypatch.setattr(os, "replace", refuse_with(code))
    with pytest.raises(AccessError, match="cannot write"):
        hand_model.save_pretrained(hand_folder)
    assert contents(hand_folder) == before


# What a file system may not know


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("os.chmod", errno.EPERM),  # vfat, drvfs
        ("os.chmod", errno.ENOTSUP),
        ("os.fsync", errno.EINVAL),  # of a folder, on a network file system
        ("os.fsync", errno.ENOTSUP),
        ("fcntl.flock", errno.ENOLCK),  # NFS without its lock service
        ("fcntl.flock", errno.ENOSYS),
        ("fcntl.flock", errno.EOPNOTSUPP),
    ],
)
def test_what_a_file_system_does_not_know_is_done_without(hand_model, hand_folder, monkeypatch, where, code):
    module, name = where.split(".")
    monkeypatch.setattr(sys.modules[module], name, refuse_with(code))
    hand_model.save_pretrained(hand_folder)
    export(hand_model, hand_folder.parent / "bundle", graphs="bag")
    with file_written_whole(hand_folder.parent / "v.npy") as beside:
        beside.write_bytes(b"new")
    assert StaticModel.from_pretrained(hand_folder).dim == 8 and (hand_folder.parent / "v.npy").read_bytes() == b"new"
    assert not temporaries(hand_folder.parent)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_does_not_take_what_was_written_keeps_the_old(hand_model, hand_folder, monkeypatch, code):
    """Network file systems say that they are full when a file is synced."""
    before = (hand_folder / "model.safetensors").read_bytes()
    monkeypatch.setattr(os, "fsync", refuse_with(code))
    with pytest.raises(AccessError, match=f"cannot write .*{os.strerror(code)}"):
        StaticModel(hand_model.table * 2, hand_model.tokenizer, hand_model.card).save_pretrained(hand_folder)
    with pytest.raises(AccessError, match=os.strerror(code)), file_written_whole(hand_folder / "README.md") as beside:
        beside.write_text("new")
    assert (hand_folder / "model.safetensors").read_bytes() == before
    assert not temporaries(hand_folder.parent)


def test_everything_is_synced_before_it_gets_its_name(hand_model, tmp_path, monkeypatch):
    """Each file and folder by its inode, and the folder that holds the name afterwards."""
    synced: list[int] = []
    real_fsync, real_rename = os.fsync, os.rename
    at_rename: dict[str, set[int]] = {}

    def rename(source, goal, **more):
        at_rename[Path(goal).name] = set(synced)
        return real_rename(source, goal, **more)

    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino) or real_fsync(descriptor)
    )
    monkeypatch.setattr(os, "rename", rename)
    bundle = export(hand_model, tmp_path / "bundle", graphs="bag").folder
    wanted = {each.stat().st_ino for each in (bundle, *bundle.rglob("*"))}
    assert wanted <= at_rename["bundle"]
    assert synced[-1] == tmp_path.stat().st_ino


def test_what_is_no_plain_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "v.jsonl")
    with pytest.raises(InputError, match="it exists and is no plain file"), file_written_whole(tmp_path / "v.jsonl"):
        pass
    with pytest.raises(AccessError, match="cannot write"), file_written_whole(tmp_path / "nul\0.npy"):
        pass
    assert (tmp_path / "v.jsonl").is_fifo()


def test_files_of_the_system_do_not_make_a_folder_the_users(hand_model, hand_folder):
    for name in (".DS_Store", "._model.safetensors", ".nfs000000000001"):
        (hand_folder / name).write_bytes(b"\0")
    hand_model.save_pretrained(hand_folder)
    assert not list(hand_folder.glob(".*"))


# Who lives, who died

WRITING = """
import sys
from pathlib import Path
from edge_potion.writing import file_written_whole, written_whole
how = {"file": file_written_whole, "folder": written_whole}[sys.argv[1]]
with how(Path(sys.argv[2])) as beside:
    (beside / "config.json" if sys.argv[1] == "folder" else beside).write_text("{}")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["file", "folder"])
def writer(request, tmp_path) -> Iterator[subprocess.Popen]:
    """Another process, in the middle of writing `goal` in `tmp_path`."""
    command = [sys.executable, "-c", WRITING, request.param, tmp_path / "goal"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def test_what_a_living_process_writes_is_not_swept(writer, tmp_path, hand_model):
    hand_model.save_pretrained(tmp_path / "other")
    assert len(temporaries(tmp_path)) == 1
    writer.stdin.close()
    assert writer.wait() == 0 and (tmp_path / "goal").exists()
    assert not temporaries(tmp_path)


def test_what_a_killed_process_left_is_swept(writer, tmp_path):
    writer.kill()
    writer.wait()
    assert len(temporaries(tmp_path)) == 1
    with file_written_whole(tmp_path / "other") as beside:
        beside.write_bytes(b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize("why", ["no locks", "another machine", "an earlier version"])
def test_where_nobody_can_tell_who_lives_a_day_must_pass(writer, tmp_path, monkeypatch, why):
    writer.kill()
    writer.wait()
    (left,) = temporaries(tmp_path)
    if why == "no locks":
        monkeypatch.setattr(fcntl, "flock", refuse_with(errno.ENOLCK))
    elif why == "another machine":
        told = json.loads((left / "writer.json").read_text())
        (left / "writer.json").write_text(json.dumps({**told, "machine": "another"}))
    else:
        (left / "writer.json").unlink()
    sweep(tmp_path)
    assert left.exists()
    yesterday = time.time() - 90_000
    for each in (*left.rglob("*"), left):
        os.utime(each, (yesterday, yesterday))
    (left / "new.part").touch()
    sweep(tmp_path)
    assert left.exists()  # something in it changed
    os.utime(left / "new.part", (yesterday, yesterday))
    sweep(tmp_path)
    assert not left.exists()


def test_what_was_killed_before_it_said_a_word_is_swept(tmp_path):
    for name in ("empty", "silent"):
        (tmp_path / f"{TEMPORARY}{name}.part").mkdir()
    (tmp_path / f"{TEMPORARY}silent.part" / "writer.json").touch()
    sweep(tmp_path)
    assert not temporaries(tmp_path)


def test_what_an_earlier_version_moved_away_is_never_deleted(hand_model, tmp_path, caplog):
    """It does not say which name it had."""
    shutil.move(hand_model.save_pretrained(tmp_path / "hand"), tmp_path / f"{TEMPORARY}abc.old" / "replaced")
    os.utime(tmp_path / f"{TEMPORARY}abc.old", (0, 0))
    hand_model.save_pretrained(tmp_path / "other")
    assert StaticModel.from_pretrained(tmp_path / f"{TEMPORARY}abc.old" / "replaced").dim == 8
    assert "move it back, or remove it" in caplog.text


def test_what_looks_like_ours_and_is_a_strangers_is_left_alone(hand_model, tmp_path):
    if os.geteuid():
        pytest.skip("only root may give a folder away")
    (tmp_path / f"{TEMPORARY}theirs.part").mkdir()
    os.chown(tmp_path / f"{TEMPORARY}theirs.part", 12345, 12345)
    (tmp_path / "folder").mkdir()
    (tmp_path / f"{TEMPORARY}link.part").symlink_to(tmp_path / "folder")
    hand_model.save_pretrained(tmp_path / "model")
    assert len(temporaries(tmp_path)) == 2


KILLING = """
import os, shutil, signal, sys
from pathlib import Path
from edge_potion.static_model import write_model_files
from edge_potion.workshop import TEMPORARY
from edge_potion.writing import file_written_whole, refuse_unwritable, written_whole
kind, place, goal = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[2], "goal")
STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "open", "shutil.copyfile"}
OLD = {"config.json": '{"model_type": "model2vec"}', "model.safetensors": "old", "onnx/old.onnx": "o"}
NEW = {**OLD, "model.safetensors": "new", "onnx/new.onnx": "n", "manifest.json": "{}"}

def write(folder, content):
    for name, text in content.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

def content():
    if kind == "file":
        return goal.read_text()
    return {str(file.relative_to(goal)): file.read_text() for file in goal.rglob("*") if file.is_file()}

def replaced():
    if kind == "file":
        with file_written_whole(goal) as beside:
            beside.write_text("new")
    else:
        with written_whole(goal) as beside:
            write(beside, NEW)

def swept():
    if kind == "file":
        try:
            with file_written_whole(goal):
                raise KeyError  # what a call that fails leaves
        except KeyError:
            pass
    else:
        refuse_unwritable(goal)

def died(do, step):
    "Whether a child that is killed at a step did not come to the end before."
    child = os.fork()
    if not child:
        count = 0
        def hook(event, arguments):
            nonlocal count
            if event in STEPS:
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        do()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -9), code
    return code == -9

def begin():
    if kind == "file":
        goal.write_text("old")
    else:
        for each in goal.iterdir() if goal.exists() else ():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        goal.mkdir(exist_ok=True)
        write(goal, OLD)

old, new = ("old", "new") if kind == "file" else (OLD, NEW)
seen, step = [], 0
while True:
    step += 1
    begin()
    ended = not died(replaced, step)
    for again in (3 * step % 11 + 1, 5 * step % 23 + 1):  # and the next call too, here and there
        died(swept, again)
    swept()
    assert content() in (old, new), (step, content())
    left = [each.name for each in (*place.iterdir(), *(goal.iterdir() if goal.is_dir() else ()))]
    assert not [name for name in left if name.startswith(TEMPORARY)], (step, left)
    seen.append("new" if content() == new else "old")
    if ended:
        break
assert seen == sorted(seen, reverse=True) and seen[0] == "old" and seen[-1] == "new", seen
print(step)
"""


@pytest.fixture(params=["folder", "lower layer", "mount point", "bound folder", "file", "bound file"])
def place(request, tmp_path, mount) -> Path:
    """A folder in which `goal` is to be replaced."""
    place = tmp_path / "place"
    place.mkdir()
    kind = request.param
    if kind == "lower layer":
        for name in ("lower/goal/onnx", "upper"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "lower" / "goal" / "onnx" / "old.onnx").write_text("o")
        mount(tmp_path / "upper", "-t", "tmpfs", "tmpfs")
        for name in ("top", "work"):
            (tmp_path / "upper" / name).mkdir()
        layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper/top,workdir={tmp_path}/upper/work"
        return mount(place, "-t", "overlay", "overlay", "-o", layers)
    with suppress(pytest.skip.Exception):  # for speed alone: where nothing can be mounted, the disk is as good
        mount(place, "-t", "tmpfs", "tmpfs")  # syncs at once
    if kind == "mount point":
        (place / "goal").mkdir()
        mount(place / "goal", "-t", "tmpfs", "tmpfs")
    elif kind == "bound folder":
        (place / "goal").mkdir()
        (place / "source").mkdir()
        mount(place / "goal", "--bind", place / "source")
    elif kind == "bound file":
        for name in ("goal", "source"):
            (place / name).write_text("old")
        mount(place / "goal", "--bind", place / "source")
    return place


def test_a_kill_at_any_step_leaves_the_old_or_the_new_whole(place, request):
    """And the next call leaves nothing of it, though it is killed as well."""
    kind = "file" if "file" in request.node.callspec.params["place"] else "folder"
    done = subprocess.run([sys.executable, "-c", KILLING, kind, place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


# Full disks and the cache


def test_a_disk_that_is_full_at_any_step_keeps_the_old_model(hand_model, small_disk):
    """One page more of room at a time, until the new model fits beside the old one."""
    old = hand_model.save_pretrained(small_disk / "model")
    before = contents(old)
    changed, refused = StaticModel(hand_model.table * 2, hand_model.tokenizer, hand_model.card), 0
    for pages in range(30):
        ballast = small_disk / "ballast"
        with suppress(OSError), ballast.open("wb") as stream:
            while True:
                stream.write(b"x" * 4096)
                stream.flush()
        os.truncate(ballast, max(ballast.stat().st_size // 4096 - pages, 0) * 4096)
        try:
            changed.save_pretrained(old)
            break
        except AccessError as error:
            refused += 1
            assert "No space left" in str(error) and "\n" not in str(error)
            assert contents(old) == before
            assert not temporaries(small_disk)
    assert refused >= 3
    assert np.array_equal(StaticModel.from_pretrained(old).table, changed.table)


def test_a_cache_that_cannot_be_written_is_one_line_and_one_that_is_whole_serves(tmp_path, mount, hand_folder):
    cache = tmp_path / "cache"
    vector = EdgeModel.from_pretrained(hand_folder).encode("the cat")
    mount(cache, "--bind", cache)
    subprocess.run(["mount", "-o", "remount,bind,ro", cache], check=True)
    assert np.array_equal(EdgeModel.from_pretrained(hand_folder).encode("the cat"), vector)
    with pytest.raises(AccessError, match=r"cannot write the cache .*; EDGE_POTION_CACHE must name") as error:
        EdgeModel.from_pretrained(hand_folder, precision="float16")
    assert "\n" not in str(error.value)


def test_many_processes_share_one_cache_though_some_are_killed(hand_folder, tmp_path):
    script = (
        "import sys, edge_potion; edge_potion.EdgeModel.from_pretrained(sys.argv[1]).encode('the cat'); print('done')"
    )
    environment = {**os.environ, "EDGE_POTION_CACHE": str(tmp_path / "cache")}

    def start() -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", script, hand_folder], stdout=subprocess.PIPE, env=environment)

    killed = start()
    for _ in range(600):
        time.sleep(0.02)
        if temporaries(tmp_path / "cache") or killed.poll() is not None:
            break
    killed.kill()
    killed.communicate()
    assert all(process.communicate()[0] == b"done\n" for process in [start() for _ in range(2)])
    assert [each.name for each in (tmp_path / "cache").iterdir() if each.name.startswith(".")] == []
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_no_cache_folder_at_all_is_one_line(hand_folder, monkeypatch):
    monkeypatch.setenv("EDGE_POTION_CACHE", "~nobody-of-that-name/cache")
    with pytest.raises(InputError, match="set EDGE_POTION_CACHE"):
        EdgeModel.from_pretrained(hand_folder)
    monkeypatch.setenv("EDGE_POTION_CACHE", str(hand_folder / "config.json"))
    with pytest.raises(AccessError, match="cannot write the cache"):
        EdgeModel.from_pretrained(hand_folder)


def test_a_name_in_other_letters_is_the_folder_one_is_in(hand_model, tmp_path, monkeypatch):
    """A bind mount stands for a file system that does not tell upper case from lower: two names, one folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **more: real(Path(str(self).replace("HERE", "here")), **more))
    with pytest.raises(InputError, match="is the folder you are in"):
        refuse_unwritable(tmp_path / "HERE")
