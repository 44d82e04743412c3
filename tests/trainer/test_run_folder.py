"""A run's folder: runs that are killed, gone on with, changed, forced, refused; and files that are not ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge_potion import AccessError, InputError, train
from edge_potion.trainer import pipeline
from edge_potion.trainer.recipe_file import load_recipe
from edge_potion.trainer.shards import shard_files
from edge_potion.writing import written_whole

from ..models import DATA, bits

TINY = load_recipe("tiny")


def ages(folder: Path) -> dict[str, int]:
    return {file.parent.name: file.stat().st_mtime_ns for file in sorted(folder.glob("*/stage.json"))}


def test_a_finished_run_is_not_made_again(run_folder, small_teacher):
    before = ages(run_folder)
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert ages(run_folder) == before


def test_a_changed_section_makes_its_stage_and_those_after_it_anew(run_folder, tiny_run, small_teacher):
    before = ages(run_folder)
    recipe = replace(TINY, born_again=replace(TINY.born_again, alpha=0.5))
    train(recipe, run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    changed = [name for name, age in ages(run_folder).items() if age != before[name]]
    assert changed == ["4-born-again", "5-power", "6-pca"]
    assert bits(run_folder)["model/model.safetensors"] != bits(tiny_run)["model/model.safetensors"]


def test_from_stage_makes_stages_anew_with_the_same_bits(run_folder, tiny_run, small_teacher):
    before = ages(run_folder)
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu", from_stage=3)
    changed = [name for name, age in ages(run_folder).items() if age != before[name]]
    assert changed == ["3-contrast", "4-born-again", "5-power", "6-pca"]
    assert bits(run_folder) == bits(tiny_run)
    with pytest.raises(InputError, match="from_stage is 7"):
        train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], from_stage=7)


def test_from_stage_is_remembered_over_a_kill(run_folder, tiny_run, small_teacher, monkeypatch):
    """What was made since --from-stage is kept when the same command comes again."""
    from edge_potion.trainer.steps import Steps

    again = {"teacher": small_teacher, "corpus": [DATA], "device": "cpu", "from_stage": 3}
    with monkeypatch.context() as patch:
        patch.setattr(Steps, "power", lambda *rest: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train("tiny", run_folder, **again)
    trained = (run_folder / "4-born-again" / "stage.json").stat().st_mtime_ns
    train("tiny", run_folder, **again)
    assert (run_folder / "4-born-again" / "stage.json").stat().st_mtime_ns == trained
    assert bits(run_folder) == bits(tiny_run)
    train("tiny", run_folder, **again)  # that run was finished: this one begins anew
    assert (run_folder / "4-born-again" / "stage.json").stat().st_mtime_ns > trained


def test_what_older_code_made_is_made_anew(run_folder, small_teacher, monkeypatch):
    before = ages(run_folder)
    monkeypatch.setattr(pipeline, "POWER", replace(pipeline.POWER, version=99))
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert [name for name, age in ages(run_folder).items() if age != before[name]] == ["5-power", "6-pca"]


def test_what_an_earlier_version_called_otherwise_is_told_and_left_alone(run_folder, tiny_run, small_teacher, caplog):
    """Its fingerprint hangs on its name and section, so a new name alone does not make it one to go on from."""
    before = ages(run_folder)
    (run_folder / "1-distill").rename(run_folder / "1-distil")
    (run_folder / "run.json").write_text("damaged")
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert "1-distil is of an earlier version" in caplog.text and "made anew as 1-distill" in caplog.text
    assert ages(run_folder)["0-corpus"] == before["0-corpus"]
    shutil.rmtree(run_folder / "1-distil")
    assert bits(run_folder) == bits(tiny_run)


def test_files_of_the_user_in_a_run_are_not_deleted(run_folder, small_teacher):
    (run_folder / ".my.old").write_text("mine")
    (run_folder / "3-contrast" / "notes.md").write_text("mine")
    again = {"teacher": small_teacher, "corpus": [DATA], "device": "cpu"}
    train("tiny", run_folder, **again)
    with pytest.raises(InputError, match=r"made anew and holds 'notes\.md', which is not ours"):
        train("tiny", run_folder, **again, from_stage=3)
    (run_folder / "3-contrast" / "notes.md").rename(run_folder / "notes.md")
    train("tiny", run_folder, **again, from_stage=3)
    assert (run_folder / ".my.old").read_text() == (run_folder / "notes.md").read_text() == "mine"
    (run_folder / "model" / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes\.md' beside a static model"):
        train("tiny", run_folder, **again)


def test_a_run_json_of_another_program_is_no_run(small_teacher, tmp_path):
    (tmp_path / "run.json").write_text('{"name": "my experiment"}')
    with pytest.raises(InputError, match=r"holds 'run\.json' and no run of ours"):
        train("tiny", tmp_path, teacher=small_teacher, corpus=[DATA], device="cpu", from_stage=1)


def test_a_stage_folder_may_be_a_link_to_another_disk(run_folder, tiny_run, small_teacher, tmp_path):
    (run_folder / "3-contrast").rename(tmp_path / "elsewhere")
    (run_folder / "3-contrast").symlink_to(tmp_path / "elsewhere")
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu", from_stage=3)
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert bits(run_folder) == bits(tiny_run)


# What is whole by its name alone: a power loss leaves zeros, half a file or none; a disk that ages, another bit.
DAMAGES = {
    "zeros": lambda content: bytes(len(content)),
    "half": lambda content: content[: len(content) // 2],
    "another bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "missing": None,
}
DAMAGED = [
    "0-corpus/sentences.txt",
    "1-distill/model/model.safetensors",
    "2-featurize/train-00001.parquet",
    "2-featurize/shard-00003.json",
    "2-pairs/targets.f16",
    "2-pairs/pairs.json",
    "3-contrast/model/config.json",
    "4-born-again/log.jsonl",
    "5-power/model/tokenizer.json",
    "6-pca/model/recipe.toml",
]


def damage(file: Path, how: str) -> None:
    if (change := DAMAGES[how]) is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes()))


@pytest.mark.parametrize("how", DAMAGES)
def test_what_is_damaged_in_any_stage_is_made_again(run_folder, tiny_run, small_teacher, how):
    for name in DAMAGED:
        damage(run_folder / name, how)
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert bits(run_folder) == bits(tiny_run)
    before = ages(run_folder)
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert ages(run_folder) == before


@pytest.mark.parametrize("name", ["features.json", "train-00002.parquet"])
def test_of_features_the_damaged_shard_alone_is_made_again(run_folder, tiny_run, small_teacher, monkeypatch, name):
    """All of them where nobody knows any more what they were made from."""
    from edge_potion.trainer import featurize as module

    written = []
    real = module.write_shard
    monkeypatch.setattr(module, "write_shard", lambda *rest: written.append(rest[1]) or real(*rest))
    damage(run_folder / "2-featurize" / name, "zeros")
    before = ages(run_folder)
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert written == ([2] if "train" in name else list(range(len(shard_files(run_folder / "2-featurize")))))
    assert [stage for stage, age in ages(run_folder).items() if age != before[stage]] == ["2-featurize"]
    assert bits(run_folder) == bits(tiny_run)


def test_a_stage_that_was_damaged_before_it_took_its_name_is_made_again(run_folder, tiny_run, small_teacher):
    (run_folder / "2-pairs").rename(run_folder / ".2-pairs.part")
    damage(run_folder / ".2-pairs.part" / "ids.i32", "zeros")
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert bits(run_folder) == bits(tiny_run)


@pytest.mark.parametrize("how", ["zeros", "another bit"])
def test_a_damaged_checkpoint_is_not_gone_on_from(tiny_run, small_teacher, tmp_path, monkeypatch, caplog, how):
    from edge_potion.trainer import contrast

    real = contrast._save

    def saved(file, *rest):
        real(file, *rest)
        content = file.read_bytes()
        file.write_bytes(content[:-4096] + DAMAGES[how](content[-4096:]))  # the head says nothing of it
        (file.parent.parent / "log.jsonl").write_bytes(b'{"step": 1, "loss": 1}\n\0\0\0}\n{"st')
        raise KeyboardInterrupt

    again = {"teacher": small_teacher, "corpus": [DATA], "device": "cpu"}
    with monkeypatch.context() as patch:
        patch.setattr(contrast, "_save", saved)
        with pytest.raises(KeyboardInterrupt):
            train("tiny", tmp_path / "run", **again)
    train("tiny", tmp_path / "run", **again)
    assert "checkpoint.safetensors is damaged (its checksum is another); training begins anew" in caplog.text
    assert bits(tmp_path / "run") == bits(tiny_run)


def test_a_damaged_record_is_mended_or_told(run_folder, tiny_run, small_teacher):
    damage(run_folder / "run.json", "zeros")
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert bits(run_folder) == bits(tiny_run)
    damage(run_folder / "2-pairs" / "stage.json", "zeros")
    with pytest.raises(InputError, match=r"cannot be read as JSON .*2-pairs is yours, and remove it: it is made again"):
        train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    shutil.rmtree(run_folder / "2-pairs")
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert bits(run_folder) == bits(tiny_run)


def test_stages_of_an_earlier_version_are_taken_with_a_word(run_folder, small_teacher, caplog):
    """It kept no checksums."""
    for file in run_folder.glob("*/stage.json"):
        record = json.loads(file.read_text())
        file.write_text(json.dumps({**record, "files": sorted({name.split("/")[0] for name in record["files"]})}))
    before = ages(run_folder)
    (run_folder / "3-contrast").rename(run_folder / ".3-contrast.old")  # where that one was killed
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert ages(run_folder) == before
    assert caplog.text.count("kept no checksums; it is taken as it is") == 8


def test_a_run_of_a_lower_layer_goes_on(run_folder, tiny_run, small_teacher, tmp_path, mount):
    """Its stages came with a container's image: none of their folders can be renamed."""
    damage(run_folder / "3-contrast" / "model" / "config.json", "zeros")  # the stage becomes a part again
    (run_folder / "5-power").rename(run_folder / ".5-power.part")  # killed just before it took its name
    record = json.loads((run_folder / "6-pca" / "stage.json").read_text())
    (run_folder / "6-pca" / "stage.json").write_text(json.dumps({**record, "fingerprint": "another"}))  # is replaced
    upper = tmp_path / "upper"
    upper.mkdir()
    mount(upper, "-t", "tmpfs", "tmpfs")
    for name in ("top", "work"):
        (upper / name).mkdir()
    layers = f"lowerdir={run_folder},upperdir={upper}/top,workdir={upper}/work"
    mount(run_folder, "-t", "overlay", "overlay", "-o", layers)
    with pytest.raises(OSError, match="cross-device"):
        (run_folder / "6-pca").rename(run_folder / "renamed")
    power = (run_folder / ".5-power.part" / "stage.json").read_bytes()
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert bits(run_folder) == bits(tiny_run)
    assert (run_folder / "5-power" / "stage.json").read_bytes() == power
    assert sorted(each.name for each in run_folder.iterdir()) == sorted(each.name for each in tiny_run.iterdir())


def test_a_run_works_where_nothing_can_be_locked(run_folder, tiny_run, small_teacher, monkeypatch, caplog):
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(37, "No locks available")))
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu", from_stage=5)
    assert bits(run_folder) == bits(tiny_run)
    assert "no file can be locked here; see that no other process works in it" in caplog.text


def test_what_another_process_writes_into_a_run_is_not_swept(run_folder, small_teacher):
    """As `export my-run/model --out my-run/bundle` does."""
    with written_whole(run_folder / "mine") as beside:
        (beside / "config.json").write_text("{}")
        train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
    assert (run_folder / "mine" / "config.json").is_file()


# Where a run is killed: the function, as its caller names it, and which of its calls in that process; then it goes on.
KILLS = [
    ("edge_potion.trainer.steps.sample_corpus", 1),
    ("edge_potion.trainer.steps.distill", 1),
    ("edge_potion.trainer.run_folder.take_name", 1),
    ("edge_potion.trainer.featurize.write_shard", 2),
    ("edge_potion.trainer.featurize.write_shard", 4),
    ("edge_potion.trainer.pairs._append", 3),
    ("edge_potion.trainer.student.Student.update", 4),
    ("edge_potion.trainer.student.Student.update", 17),
    ("edge_potion.trainer.contrast._save", 1),
    ("edge_potion.trainer.run_folder.take_name", 1),
    ("edge_potion.trainer.steps.write_means", 1),
    ("edge_potion.trainer.student.Student.update", 13),
    ("edge_potion.trainer.contrast._save", 1),
    ("edge_potion.trainer.steps.power_normalized", 1),
    ("edge_potion.trainer.steps.reduce_rows", 1),
    ("edge_potion.trainer.run_folder.take_name", 1),
    ("edge_potion.trainer.pipeline.write_summary", 1),
]
# Children are forked from a process that has imported everything and started no thread.
KILLING = """
import importlib, logging, os, signal, sys
from pathlib import Path
logging.basicConfig(level="INFO", stream=sys.stderr)
import matplotlib.backends.backend_agg, pandas, pyarrow.parquet, torch
from transformers import AutoModel, AutoTokenizer, BertModel, PreTrainedTokenizerFast
from edge_potion.trainer import pipeline
teacher, corpus, out = sys.argv[1:4]

def die_at(target, count):
    home, name = target.rsplit(".", 1)
    try:
        home = importlib.import_module(home)
    except ImportError:
        module, kind = home.rsplit(".", 1)
        home = getattr(importlib.import_module(module), kind)
    real, calls = getattr(home, name), []
    def dying(*args, **more):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)
    setattr(home, name, dying)

def run(target=None, count=0):
    child = os.fork()
    if not child:
        if target:
            die_at(target, count)
        pipeline.train("tiny", out, teacher=teacher, corpus=[Path(corpus)], device="cpu")
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for kill in sys.argv[4:]:
    target, count = kill.split(":")
    logging.info("to be killed at %s", kill)
    print(target, run(target, int(count)))
print("finished", run())
"""


def test_a_run_that_is_killed_in_every_stage_ends_in_the_same_bits(tiny_run, small_teacher, tmp_path):
    out = tmp_path / "run"
    kills = [f"{target}:{count}" for target, count in KILLS]
    done = subprocess.run(
        [sys.executable, "-c", KILLING, small_teacher, DATA, out, *kills], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [*(f"{target} -9" for target, _ in KILLS), "finished 0"], done.stderr
    assert bits(out) == bits(tiny_run)
    assert sorted(each.name for each in out.iterdir()) == sorted(each.name for each in tiny_run.iterdir())


@pytest.mark.slow
def test_the_command_killed_from_outside_goes_on(tiny_run, small_teacher, tmp_path):
    """`kill -9` from another process, whenever it falls, and the same command again."""
    command = [Path(sys.executable).parent / "edge-potion", "train", "--recipe", "tiny", "--teacher", small_teacher]
    command += ["--corpus", DATA, "--out", tmp_path / "run", "--device", "cpu"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "3-contrast: begins" in line:
                process.kill()
    assert process.returncode == -9 and not (tmp_path / "run" / "model").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1-distill: done before" in done.stderr and "agreement" in done.stdout
    assert bits(tmp_path / "run") == bits(tiny_run)


def test_a_teacher_that_changes_between_two_calls_is_refused(run_folder, small_teacher, tmp_path):
    other = Path(shutil.copytree(small_teacher, tmp_path / "small-bert"))
    train("tiny", run_folder, teacher=other, corpus=[DATA], device="cpu")  # the same files: the same teacher
    (other / "config.json").write_text((other / "config.json").read_text() + " ")
    with pytest.raises(InputError, match=r"was begun with teacher .* or pass --from-stage 1"):
        train("tiny", run_folder, teacher=other, corpus=[DATA], device="cpu")
    train("tiny", run_folder, teacher=other, corpus=[DATA], device="cpu", from_stage=1)


def test_a_teacher_that_changes_under_way_is_refused(small_teacher, tmp_path, monkeypatch):
    from edge_potion.trainer import steps

    teacher = Path(shutil.copytree(small_teacher, tmp_path / "small-bert"))
    real = steps.sample_corpus

    def changing(*args, **more):
        (teacher / "config.json").write_text((teacher / "config.json").read_text() + " ")
        return real(*args, **more)

    monkeypatch.setattr(steps, "sample_corpus", changing)
    with pytest.raises(InputError, match="changed while this run was at work"):
        train("tiny", tmp_path / "run", teacher=teacher, corpus=[DATA], device="cpu")


def test_a_folder_that_holds_something_else_is_refused(small_teacher, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex' and no run of ours"):
        train("tiny", tmp_path / "mine", teacher=small_teacher, corpus=[DATA], device="cpu")
    with pytest.raises(InputError, match="as the run's folder"):
        train("tiny", tmp_path / "mine" / "thesis.tex", teacher=small_teacher, corpus=[DATA], device="cpu")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_two_runs_in_one_folder_are_refused(run_folder, small_teacher):
    script = (
        "import sys; from pathlib import Path; from edge_potion.trainer.run_folder import _locked\n"
        "with _locked(Path(sys.argv[1]) / '.lock'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, run_folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another process is at work"):
            train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")
        other.stdin.close()
    train("tiny", run_folder, teacher=small_teacher, corpus=[DATA], device="cpu")


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(tiny_run, small_teacher, small_disk):
    refused = 0
    for size in ("150k", "180k", "220k", "260k", "300k", "10m"):
        subprocess.run(["mount", "-o", f"remount,size={size}", small_disk], check=True)
        try:
            train("tiny", small_disk / "run", teacher=small_teacher, corpus=[DATA], device="cpu")
            break
        except (AccessError, InputError) as error:
            refused += 1
            assert "No space left" in str(error) and "\n" not in str(error)
    assert refused >= 2
    assert bits(small_disk / "run") == bits(tiny_run)
