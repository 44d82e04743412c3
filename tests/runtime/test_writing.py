"""Writing: a folder that exists is complete, nothing of the user's is replaced, and nothing half-written stays."""

from __future__ import annotations

import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import edge_potion.exporters.export as export_module
from edge_potion import AccessError, EdgeModel, InputError, ParityError, StaticModel, export
from edge_potion.writing import file_written_whole, written_whole


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.endswith((".part", ".old")))


def test_an_output_folder_that_cannot_be_written(hand_model, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file" / "out", Path("/proc/edge-potion")):
        with pytest.raises(AccessError, match="cannot write"):
            export(hand_model, out)
        with pytest.raises(AccessError, match="cannot write"):
            hand_model.save_pretrained(out)


@pytest.mark.parametrize("config", [None, "{}", '{"model_type": "bert"}', '{"model_type": "model2vec"}'])
def test_a_folder_of_the_users_is_never_replaced(hand_model, tmp_path, config):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("ten years of work")
    if config is not None:
        (tmp_path / "home" / "config.json").write_text(config)
    with pytest.raises(
        InputError, match=r"holds (something else than|'thesis.txt' beside) a static model; choose another"
    ):
        export(hand_model, tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").read_text() == "ten years of work"
    assert not left_over(tmp_path)


@pytest.mark.parametrize(
    ("rows_are_held", "reason"),
    [
        (True, r"the table at int8 strays from the oracle in 1 rows: worst is the token 'the' .* --quantize float16"),
        (False, r"text at int8 strays from the oracle: .*worst .*; export with --quantize float16"),
    ],
)
def test_an_export_that_strays_is_refused_and_leaves_the_old_bundle(
    hand_model, hand_bundle, monkeypatch, rows_are_held, reason
):
    """A row that is stored wrong is caught by looking at the rows; and, if that failed, by running the bundle."""
    before = (hand_bundle / "golden.json").read_bytes()
    real = export_module.pack

    def faulty(*arguments):
        packed = real(*arguments)
        packed.rows[5] = -packed.rows[5]
        return packed

    monkeypatch.setattr(export_module, "pack", faulty)
    if not rows_are_held:
        monkeypatch.setattr(export_module, "_hold_rows", lambda *_: None)
    with pytest.raises(ParityError, match=reason):
        export(hand_model, hand_bundle)
    assert (hand_bundle / "golden.json").read_bytes() == before
    assert not left_over(hand_bundle.parent)


def test_an_export_that_breaks_off_leaves_nothing(hand_model, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "_write_tokenizer_companions", broken)
    with pytest.raises(AccessError, match="No space left on device"):
        export(hand_model, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_model_is_never_exported_over_itself(hand_folder):
    """Its float32 table would be replaced by a rounded one."""
    before = (hand_folder / "model.safetensors").read_bytes()
    for model in (hand_folder, StaticModel.from_pretrained(hand_folder)):
        with pytest.raises(InputError, match="is a model, whose table would be replaced"):
            export(model, hand_folder)
    assert (hand_folder / "model.safetensors").read_bytes() == before


def test_what_comes_while_we_write_is_not_deleted(hand_folder):
    """The folder was a model when we looked, and holds the user's work when we are done."""
    with pytest.raises(InputError, match=r"holds .onnx/thesis\.txt. beside a static model"), written_whole(hand_folder):
        (hand_folder / "onnx").mkdir()
        (hand_folder / "onnx" / "thesis.txt").write_text("ten years of work")
    assert (hand_folder / "onnx" / "thesis.txt").read_text() == "ten years of work"
    with pytest.raises(InputError, match="beside a static model"):
        hand_folder_model = StaticModel.from_pretrained(hand_folder)
        hand_folder_model.save_pretrained(hand_folder)
    assert not left_over(hand_folder.parent)


def test_permissions_of_what_is_replaced_are_kept(hand_folder, hand_model, tmp_path):
    hand_folder.chmod(0o700)
    hand_model.save_pretrained(hand_folder)
    assert stat.S_IMODE(hand_folder.stat().st_mode) == 0o700
    (tmp_path / "v.npy").write_bytes(b"old")
    (tmp_path / "v.npy").chmod(0o600)
    with file_written_whole(tmp_path / "v.npy") as beside:
        beside.write_bytes(b"new")
    assert stat.S_IMODE((tmp_path / "v.npy").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["x" * 300, "nul\0", "loop/model"])
def test_names_that_no_file_system_takes(hand_model, tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(AccessError, match="cannot write"):
        hand_model.save_pretrained(tmp_path / name)


def test_a_long_name_that_is_legal_is_written(hand_model, tmp_path):
    assert StaticModel.from_pretrained(hand_model.save_pretrained(tmp_path / ("x" * 250))).dim == 8


def test_a_damaged_bundle_in_the_cache_is_made_again(hand_folder):
    cached = EdgeModel.from_pretrained(hand_folder).bundle.folder
    (cached / "golden.json").unlink()
    assert EdgeModel.from_pretrained(hand_folder).encode("the cat").any()
    shutil.rmtree(cached / "onnx")
    assert EdgeModel.from_pretrained(hand_folder).encode("the cat").any()
    assert [path.name for path in cached.parent.iterdir()] == [cached.name]


def test_the_working_folder_is_never_replaced(hand_model, tmp_path, monkeypatch):
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    for out in (".", "..", "../../" + tmp_path.name, "below/.."):
        with pytest.raises(InputError, match="is the folder you are in, or holds it"):
            export(hand_model, out)
    assert (tmp_path / "here" / "below").is_dir()


def test_a_home_folder_is_understood(hand_model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EDGE_POTION_CACHE", "~/cache of mine")
    assert export(hand_model, "~/bundle").folder == tmp_path / "bundle"
    assert StaticModel.from_pretrained(hand_model.save_pretrained("~/model")).dim == 8
    assert EdgeModel.from_pretrained("~/model").bundle.folder.parent == tmp_path / "cache of mine"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, OSError(5, "Input/output error")])
def test_an_interrupted_swap_keeps_the_old_model(hand_model, hand_folder, monkeypatch, interrupt):
    """The second of the two renames fails: the old folder is moved away, the new one not yet there."""
    before = (hand_folder / "model.safetensors").read_bytes()
    real = Path.rename

    def rename(self, target):
        if self.name.endswith(".part"):
            raise interrupt
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises((KeyboardInterrupt, AccessError)):
        hand_model.save_pretrained(hand_folder)
    assert (hand_folder / "model.safetensors").read_bytes() == before
    assert not left_over(hand_folder.parent)


def test_a_full_disk_is_named(hand_model, small_disk):
    (small_disk / "ballast").write_bytes(b"x" * 100_000)
    with pytest.raises(AccessError, match="cannot write"):
        export(hand_model, small_disk / "out")
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_many_writers_of_one_folder_leave_one_whole_model(hand_model, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        for saved in [pool.submit(hand_model.save_pretrained, tmp_path / "out") for _ in range(40)]:
            saved.result()
    assert np.array_equal(StaticModel.from_pretrained(tmp_path / "out").table, hand_model.table)
    assert not left_over(tmp_path)


def test_many_first_users_of_a_model_share_one_export(hand_folder):
    with ThreadPoolExecutor(6) as pool:
        models = list(pool.map(lambda _: EdgeModel.from_pretrained(hand_folder), range(12)))
    assert len({model.bundle.folder for model in models}) == 1
    assert len(list(models[0].bundle.folder.parent.iterdir())) == 1
