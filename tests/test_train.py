"""The whole recipe: from a teacher's name to a model that encodes; runs that are killed, resumed, changed, refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import EdgeModel, InputError, ModelFormatError, StaticModel, export, train
from edge_potion.trainer import run_folder as run_folder_module
from edge_potion.trainer.recipe import load_recipe

DATA = Path(__file__).parent / "data" / "sentences.txt"
STAGES = ["0-corpus", "1-distil", "2-featurize", "2-pairs", "3-contrast", "4-born-again", "5-power", "6-pca"]
TINY = load_recipe("tiny")
NOT_BITS = {"stage.json", "summary.json", ".lock"}  # these tell times


@pytest.fixture(scope="module")
def module_teacher(tmp_path_factory) -> Path:
    """A real BERT of 8 dimensions whose vocabulary is trained on our sentences."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("teacher") / "small-bert"
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    lines = DATA.read_text(encoding="utf-8").splitlines()
    trainer = trainers.WordPieceTrainer(vocab_size=250, limit_alphabet=60, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(0)
    size = tokenizer.get_vocab_size()
    config = BertConfig(
        vocab_size=size, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(module_teacher, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    train("tiny", out, teacher=module_teacher, corpus=[DATA], device="cpu")
    return out


@pytest.fixture
def run_folder(undisturbed, tmp_path) -> Path:
    """A finished run to disturb."""
    return Path(shutil.copytree(undisturbed, tmp_path / "run"))


def bits(folder: Path) -> dict[str, bytes]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and file.name not in NOT_BITS)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def ages(folder: Path) -> dict[str, int]:
    return {name: (folder / name / "stage.json").stat().st_mtime_ns for name in STAGES}


def test_tiny_from_teacher_to_vectors(module_teacher, undisturbed, tmp_path):
    """distil -> featurize -> contrast -> born-again -> power -> PCA -> export -> encode."""
    assert [each.name for each in sorted(undisturbed.iterdir()) if each.is_dir()] == [*STAGES, "model"]
    model = StaticModel.from_pretrained(undisturbed / "model")
    assert model.table.shape == (300, 4)  # 250 of the teacher and 50 words of the corpus
    assert not model.table[list(model.dropped_ids)].any()
    bundle = export(undisturbed / "model", tmp_path / "bundle")
    texts = ["The council voted.", "", "日本"]
    np.testing.assert_allclose(EdgeModel.from_pretrained(bundle.folder).encode(texts), model.encode(texts), atol=0.02)
    assert np.array_equal(model.table, StaticModel.from_pretrained(undisturbed / "6-pca" / "model").table)


def test_every_stage_is_a_model_folder_that_follows_from_the_one_before(undisturbed):
    tables = {
        name: StaticModel.from_pretrained(undisturbed / name / "model").table for name in STAGES if name[0] in "13456"
    }
    born, power, pca = tables["4-born-again"], tables["5-power"], tables["6-pca"]
    np.testing.assert_allclose(power, np.sign(born) * np.abs(born) ** 0.7, rtol=1e-6)
    known = power[2:].astype(np.float64)  # [PAD] and [UNK] are tokens 0 and 1
    centred = known - known.mean(axis=0)
    vectors = np.linalg.eigh(centred.T @ centred).eigenvectors
    wanted = centred @ vectors[:, ::-1][:, :4]
    np.testing.assert_allclose(np.abs(pca[2:]), np.abs(wanted), atol=1e-4)
    assert not np.array_equal(tables["1-distil"], tables["3-contrast"])


def test_the_card_tells_how_the_model_was_made(undisturbed):
    from huggingface_hub import ModelCard

    card = ModelCard.load(undisturbed / "model" / "README.md")
    assert card.data.library_name == "model2vec" and card.data.base_model == "small-bert"
    assert card.data.tags == ["embeddings", "static-embeddings", "sentence-transformers"]
    for told in ("small-bert", "sentences.txt", "torch 2", "| 4-born-again |", "validation loss"):
        assert told in card.text
    config = json.loads((undisturbed / "model" / "config.json").read_text())
    assert config["edge_potion"]["recipe_fingerprint"] in card.text
    recipe = load_recipe(undisturbed / "model" / "recipe.toml")
    used = replace(TINY, teacher="small-bert", corpus=replace(TINY.corpus, source="sentences.txt", subset=""))
    assert recipe == used  # what was really used, not what the recipe's defaults name
    assert "[born_again]" in (undisturbed / "5-power" / "model" / "recipe.toml").read_text()


def test_the_summary_tells_losses_times_and_memory(undisturbed):
    summary = json.loads((undisturbed / "summary.json").read_text())
    assert [row["stage"] for row in summary] == STAGES
    assert all(row["seconds"] >= 0 and row["peak_memory_mb"] > 10 for row in summary)
    assert all(0 < row["validation_loss"] < 20 for row in summary if row["stage"][0] in "34")
    assert all(-1 <= row["agreement"] <= 1 for row in summary if row["stage"][0] in "13456")
    for name in ("3-contrast", "4-born-again"):
        assert (undisturbed / name / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_a_finished_run_is_not_made_again(run_folder, module_teacher):
    before = ages(run_folder)
    train("tiny", run_folder, teacher=module_teacher, corpus=[DATA], device="cpu")
    assert ages(run_folder) == before


def test_a_changed_section_makes_its_stage_and_those_after_it_anew(run_folder, undisturbed, module_teacher):
    before = ages(run_folder)
    recipe = replace(TINY, born_again=replace(TINY.born_again, alpha=0.5))
    train(recipe, run_folder, teacher=module_teacher, corpus=[DATA], device="cpu")
    changed = [name for name, age in ages(run_folder).items() if age != before[name]]
    assert changed == ["4-born-again", "5-power", "6-pca"]
    assert bits(run_folder)["model/model.safetensors"] != bits(undisturbed)["model/model.safetensors"]


def test_from_stage_makes_stages_anew_with_the_same_bits(run_folder, undisturbed, module_teacher):
    before = ages(run_folder)
    train("tiny", run_folder, teacher=module_teacher, corpus=[DATA], device="cpu", from_stage=3)
    changed = [name for name, age in ages(run_folder).items() if age != before[name]]
    assert changed == ["3-contrast", "4-born-again", "5-power", "6-pca"]
    assert bits(run_folder) == bits(undisturbed)
    with pytest.raises(InputError, match="from_stage is 7"):
        train("tiny", run_folder, teacher=module_teacher, corpus=[DATA], from_stage=7)


def test_from_stage_is_remembered_over_a_kill(run_folder, undisturbed, module_teacher, monkeypatch):
    """What was made since --from-stage is kept when the same command comes again."""
    from edge_potion.trainer.stages import Stages

    again = {"teacher": module_teacher, "corpus": [DATA], "device": "cpu", "from_stage": 3}
    with monkeypatch.context() as patch:
        patch.setattr(Stages, "power", lambda *rest: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train("tiny", run_folder, **again)
    trained = (run_folder / "4-born-again" / "stage.json").stat().st_mtime_ns
    train("tiny", run_folder, **again)
    assert (run_folder / "4-born-again" / "stage.json").stat().st_mtime_ns == trained
    assert bits(run_folder) == bits(undisturbed)
    train("tiny", run_folder, **again)  # that run was finished: this one begins anew
    assert (run_folder / "4-born-again" / "stage.json").stat().st_mtime_ns > trained


def test_what_older_code_made_is_made_anew(run_folder, module_teacher, monkeypatch):
    before = ages(run_folder)
    monkeypatch.setitem(run_folder_module.VERSIONS, "5-power", 99)
    train("tiny", run_folder, teacher=module_teacher, corpus=[DATA], device="cpu")
    assert [name for name, age in ages(run_folder).items() if age != before[name]] == ["5-power", "6-pca"]


def test_files_of_the_user_in_a_run_are_not_deleted(run_folder, module_teacher):
    (run_folder / ".my.old").write_text("mine")
    (run_folder / "3-contrast" / "notes.md").write_text("mine")
    again = {"teacher": module_teacher, "corpus": [DATA], "device": "cpu"}
    train("tiny", run_folder, **again)
    with pytest.raises(InputError, match=r"made anew and holds 'notes\.md', which is not ours"):
        train("tiny", run_folder, **again, from_stage=3)
    (run_folder / "3-contrast" / "notes.md").rename(run_folder / "notes.md")
    train("tiny", run_folder, **again, from_stage=3)
    assert (run_folder / ".my.old").read_text() == (run_folder / "notes.md").read_text() == "mine"
    (run_folder / "model" / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes\.md' beside a static model"):
        train("tiny", run_folder, **again)


def test_a_run_json_of_another_program_is_no_run(module_teacher, tmp_path):
    (tmp_path / "run.json").write_text('{"name": "my experiment"}')
    with pytest.raises(InputError, match=r"holds 'run\.json' and no run of ours"):
        train("tiny", tmp_path, teacher=module_teacher, corpus=[DATA], device="cpu", from_stage=1)


def test_a_stage_folder_may_be_a_link_to_another_disk(run_folder, undisturbed, module_teacher, tmp_path):
    (run_folder / "3-contrast").rename(tmp_path / "elsewhere")
    (run_folder / "3-contrast").symlink_to(tmp_path / "elsewhere")
    train("tiny", run_folder, teacher=module_teacher, corpus=[DATA], device="cpu", from_stage=3)
    train("tiny", run_folder, teacher=module_teacher, corpus=[DATA], device="cpu")
    assert bits(run_folder) == bits(undisturbed)


def test_the_ending_of_a_corpus_file_counts(module_teacher, tmp_path):
    """The same bytes are other sentences as .txt and as .jsonl."""
    lines = [json.dumps({"text": line}) for line in DATA.read_text(encoding="utf-8").splitlines()]
    for ending in (".txt", ".jsonl"):
        (tmp_path / f"corpus{ending}").write_text("\n".join(lines))
        train("tiny", tmp_path / "run", teacher=module_teacher, corpus=tmp_path / f"corpus{ending}", device="cpu")
        first = (tmp_path / "run" / "0-corpus" / "sentences.txt").read_text()
        assert first.startswith("{") == (ending == ".txt")


def test_half_precision_weights_are_widened(module_teacher, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    from edge_potion.trainer.teacher import load_teacher

    teacher = Path(shutil.copytree(module_teacher, tmp_path / "small-bert"))
    weights = {name: value.half() for name, value in load_file(teacher / "model.safetensors").items()}
    save_file(weights, teacher / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((teacher / "config.json").read_text())
    (teacher / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    assert {value.dtype for value in load_teacher(teacher, device="cpu").model.parameters()} == {torch.float32}


# Where a run is killed: the function, as its caller names it, and which of its calls in that process; then it goes on.
KILLS = [
    ("edge_potion.trainer.stages.sample_corpus", 1),
    ("edge_potion.trainer.stages.distil", 1),
    ("edge_potion.trainer.run_folder._take_name", 1),
    ("edge_potion.trainer.featurize.write_shard", 2),
    ("edge_potion.trainer.featurize.write_shard", 4),
    ("edge_potion.trainer.pairs._append", 3),
    ("edge_potion.trainer.student.Student.update", 4),
    ("edge_potion.trainer.student.Student.update", 17),
    ("edge_potion.trainer.contrast._save", 1),
    ("edge_potion.trainer.run_folder._take_name", 1),
    ("edge_potion.trainer.stages.write_means", 1),
    ("edge_potion.trainer.student.Student.update", 13),
    ("edge_potion.trainer.contrast._save", 1),
    ("edge_potion.trainer.stages.power_normalized", 1),
    ("edge_potion.trainer.stages.reduce_rows", 1),
    ("edge_potion.trainer.run_folder._take_name", 1),
    ("edge_potion.trainer.pipeline.write_summary", 1),
]
# Children are forked from a process that has imported everything and started no thread.
KILLING = """
import importlib, logging, os, signal, sys
from pathlib import Path
logging.basicConfig(level="INFO", stream=sys.stderr)
import torch, transformers
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


def test_a_run_that_is_killed_in_every_stage_ends_in_the_same_bits(undisturbed, module_teacher, tmp_path):
    out = tmp_path / "run"
    kills = [f"{target}:{count}" for target, count in KILLS]
    done = subprocess.run(
        [sys.executable, "-c", KILLING, module_teacher, DATA, out, *kills], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [*(f"{target} -9" for target, _ in KILLS), "finished 0"], done.stderr
    assert bits(out) == bits(undisturbed)
    assert sorted(each.name for each in out.iterdir()) == sorted(each.name for each in undisturbed.iterdir())


def test_the_command_killed_from_outside_goes_on(undisturbed, module_teacher, tmp_path):
    """`kill -9` from another process, whenever it falls, and the same command again."""
    command = [Path(sys.executable).parent / "edge-potion", "train", "--recipe", "tiny", "--teacher", module_teacher]
    command += ["--corpus", DATA, "--out", tmp_path / "run", "--device", "cpu"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "3-contrast: begins" in line:
                process.kill()
    assert process.returncode == -9 and not (tmp_path / "run" / "model").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1-distil: done before" in done.stderr and "agreement" in done.stdout
    assert bits(tmp_path / "run") == bits(undisturbed)


def test_features_made_elsewhere_take_the_place_of_stage_2(undisturbed, module_teacher, tmp_path):
    out = tmp_path / "run"
    train("tiny", out, teacher=module_teacher, corpus=[DATA], features=undisturbed, device="cpu")
    assert not (out / "2-featurize").exists()
    assert bits(out)["6-pca/model/model.safetensors"] == bits(undisturbed)["6-pca/model/model.safetensors"]


def test_without_a_corpus_the_texts_of_the_features_are_it(undisturbed, module_teacher, tmp_path):
    out = tmp_path / "run"
    train("tiny", out, teacher=module_teacher, features=undisturbed / "2-featurize", device="cpu")
    ours, theirs = ((each / "0-corpus" / "sentences.txt").read_text() for each in (out, undisturbed))
    assert sorted(ours.splitlines()) == sorted(theirs.splitlines())


def test_features_that_are_not_whole_are_refused(run_folder, module_teacher, tmp_path):
    (run_folder / "2-featurize" / "train-00003.parquet").unlink()
    with pytest.raises(ModelFormatError, match="lacks shard 3"):
        train("tiny", tmp_path / "new", teacher=module_teacher, corpus=[DATA], features=run_folder, device="cpu")


def test_features_made_otherwise_are_told_in_the_recipe(run_folder, module_teacher, tmp_path, caplog):
    manifest = run_folder / "2-featurize" / "features.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "pooling": "model"}))
    train("tiny", tmp_path / "new", teacher=module_teacher, corpus=[DATA], features=run_folder, device="cpu")
    assert "made with pooling = 'model', where the recipe has 'tokens'" in caplog.text
    assert load_recipe(tmp_path / "new" / "model" / "recipe.toml").featurize.pooling == "model"


def test_features_of_another_teacher_are_refused(undisturbed, bert_teacher, tmp_path):
    with pytest.raises(InputError, match=r"were made by small-bert \(\w+\), and .*tiny-bert is"):
        train("tiny", tmp_path / "run", teacher=bert_teacher, corpus=[DATA], features=undisturbed, device="cpu")


def test_a_teacher_that_changes_between_two_calls_is_refused(run_folder, module_teacher, tmp_path):
    other = Path(shutil.copytree(module_teacher, tmp_path / "small-bert"))
    train("tiny", run_folder, teacher=other, corpus=[DATA], device="cpu")  # the same files: the same teacher
    (other / "config.json").write_text((other / "config.json").read_text() + " ")
    with pytest.raises(InputError, match=r"was begun with teacher .* or pass --from-stage 1"):
        train("tiny", run_folder, teacher=other, corpus=[DATA], device="cpu")
    train("tiny", run_folder, teacher=other, corpus=[DATA], device="cpu", from_stage=1)


def test_a_teacher_that_changes_under_way_is_refused(module_teacher, tmp_path, monkeypatch):
    from edge_potion.trainer import stages

    teacher = Path(shutil.copytree(module_teacher, tmp_path / "small-bert"))
    real = stages.sample_corpus

    def changing(*args, **more):
        (teacher / "config.json").write_text((teacher / "config.json").read_text() + " ")
        return real(*args, **more)

    monkeypatch.setattr(stages, "sample_corpus", changing)
    with pytest.raises(InputError, match="changed while this run was at work"):
        train("tiny", tmp_path / "run", teacher=teacher, corpus=[DATA], device="cpu")


def test_bad_lines_and_nan_rows_are_counted_in_the_summary(module_teacher, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    teacher = Path(shutil.copytree(module_teacher, tmp_path / "small-bert"))
    weights = load_file(teacher / "model.safetensors")
    weights["embeddings.position_embeddings.weight"][40:] = float("nan")  # spoils what is longer than 40 tokens
    save_file(weights, teacher / "model.safetensors", metadata={"format": "pt"})
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(DATA.read_bytes() + b"this line is not UTF-8: \xff\xfe and it is long enough\n")
    summary = train("tiny", tmp_path / "run", teacher=teacher, corpus=[corpus], device="cpu").summary
    by_stage = {row["stage"]: row for row in summary}
    assert by_stage["0-corpus"]["skipped"]["not UTF-8"] == 1
    assert by_stage["2-featurize"]["skipped"]["NaN or inf"] > 0
    assert by_stage["2-featurize"]["rows"] + by_stage["2-featurize"]["skipped"]["NaN or inf"] == 400
    assert torch.isfinite(load_file(tmp_path / "run" / "model" / "model.safetensors")["embeddings"]).all()


def test_a_folder_that_holds_something_else_is_refused(module_teacher, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex' and no run of ours"):
        train("tiny", tmp_path / "mine", teacher=module_teacher, corpus=[DATA], device="cpu")
    with pytest.raises(InputError, match="as the run's folder"):
        train("tiny", tmp_path / "mine" / "thesis.tex", teacher=module_teacher, corpus=[DATA], device="cpu")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_bad_arguments_of_the_command_are_one_line(module_teacher, tmp_path):
    command = [Path(sys.executable).parent / "edge-potion", "train", "--out", tmp_path / "run", "--recipe"]
    for arguments, message in (
        (["tinny"], "there is no recipe tinny; name a .toml file, or one of"),
        (["tiny", "--teacher", tmp_path / "nowhere"], "no such folder"),
        (["tiny", "--teacher", module_teacher, "--corpus", tmp_path / "no.txt"], "there is no corpus file"),
        (["tiny", "--teacher", module_teacher, "--device", "abacus"], "device 'abacus' cannot be used here"),
        (["tiny", "--teacher", module_teacher, "--from-stage", "9"], "from_stage is 9; a stage from 1 to 6"),
        (["tiny", "--teacher", module_teacher, "--features", tmp_path], "holds no .parquet or .safetensors file"),
    ):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert done.returncode == 1 and done.stdout == ""
        assert message in done.stderr and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_two_runs_in_one_folder_are_refused(run_folder, module_teacher):
    script = (
        "import sys; from pathlib import Path; from edge_potion.trainer.run_folder import _locked\n"
        "with _locked(Path(sys.argv[1]) / '.lock'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, run_folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another process is at work"):
            train("tiny", run_folder, teacher=module_teacher, corpus=[DATA], device="cpu")
        other.stdin.close()
    train("tiny", run_folder, teacher=module_teacher, corpus=[DATA], device="cpu")


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(undisturbed, module_teacher, tmp_path):
    """On a real file system of a few hundred kB, which then grows."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        refused = 0
        for size in ("150k", "180k", "220k", "260k", "300k", "10m"):
            subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)
            try:
                train("tiny", disk / "run", teacher=module_teacher, corpus=[DATA], device="cpu")
                break
            except InputError as error:
                refused += 1
                assert "No space left" in str(error) and "\n" not in str(error)
        assert refused >= 2
        assert bits(disk / "run") == bits(undisturbed)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)  # lazily: arrays are still mapped from it


def test_it_runs_where_only_torch_transformers_tokenizers_and_safetensors_are(module_teacher, tmp_path):
    """A bare GPU box: no pyarrow, datasets, matplotlib, onnx, onnxruntime, scikit-learn."""
    script = """
import importlib.machinery, sys
ABSENT = {"pyarrow", "datasets", "matplotlib", "onnx", "onnxruntime", "sklearn", "scipy", "pandas", "zstandard", "PIL",
          "sentence_transformers", "model2vec", "dill", "multiprocess"}
real = importlib.machinery.PathFinder.find_spec
@staticmethod
def bare(name, path=None, target=None):
    return None if name.split(".")[0] in ABSENT else real(name, path, target)
importlib.machinery.PathFinder.find_spec = bare
from edge_potion.cli import main
main()
"""
    common = ["--recipe", "tiny", "--teacher", module_teacher, "--corpus", DATA, "--out", tmp_path / "run"]
    environment = {**os.environ, "USE_TF": "0"}
    for command in ("featurize", "train"):
        done = subprocess.run(
            [sys.executable, "-c", script, command, *common], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "2-featurize" / "train-00000.safetensors").exists()
    assert "2-featurize: done before" in done.stderr and "no curves.png" in done.stderr
    assert StaticModel.from_pretrained(tmp_path / "run" / "model").table.shape == (300, 4)
