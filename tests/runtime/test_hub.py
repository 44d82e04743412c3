"""Hub ids, through huggingface-hub and a real download: from a small hub on this machine, as none is reached here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_potion.trainer.teacher import load_teacher

from ..hub import LoopbackHub, hub_environment, run_script, served

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(LoopbackHub):
    """The calls of the hub's HTTP API that a snapshot needs: a revision, its tree, and one file of it."""

    repos: dict[str, Path]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._answer_info("/".join(parts[2:4]), *parts[4:6])
        elif "/".join(parts[:2]) in self.repos and parts[2] == "resolve":
            self._answer_file(self.repos["/".join(parts[:2])] / "/".join(parts[4:]))
        else:
            self.answer(404, headers={"X-Error-Code": "RepoNotFound"})

    def _answer_info(self, repo: str, question: str = "revision", revision: str = "main") -> None:
        if repo not in self.repos:
            return self.answer(401, headers={"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", "v1", COMMIT):
            return self.answer(404, headers={"X-Error-Code": "RevisionNotFound"})
        folder = self.repos[repo]
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        answer: object = {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
        if question == "tree":
            answer = [
                {
                    "type": "file",
                    "path": name,
                    "size": path.stat().st_size,
                    "oid": hashlib.sha1(name.encode()).hexdigest(),
                }
                for name, path in files.items()
            ]
        return self.answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _answer_file(self, file: Path) -> None:
        if not file.is_file():
            return self.answer(404, headers={"X-Error-Code": "EntryNotFound"})
        content = file.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        return self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})


@pytest.fixture
def elsewhere(hand_tokenizer, hand_table, bert_teacher, tmp_path) -> dict[str, Path]:
    """A static model and a teacher of sentence-transformers whose modules lie in folders of any name."""
    import sentence_transformers as st
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, StaticEmbedding, Transformer

    static = StaticEmbedding(hand_tokenizer, embedding_weights=hand_table)
    modules = {
        "us/projected": [static, Dense(8, 3, activation_function=torch.nn.Identity())],
        "us/clever": [Transformer(str(bert_teacher)), Pooling(6, "cls"), Dense(6, 4)],
    }
    repos = {}
    for name, chain in modules.items():
        repos[name] = tmp_path / name
        st.SentenceTransformer(modules=chain, device="cpu").save_pretrained(str(repos[name]), create_model_card=False)
        entries = json.loads((repos[name] / "modules.json").read_text())
        for entry in entries[1:]:
            new = f"parts/of-{entry['idx']}"
            (repos[name] / "parts").mkdir(exist_ok=True)
            (repos[name] / entry["path"]).rename(repos[name] / new)
            (repos[name] / new / "pytorch_model.bin").write_bytes(b"pickled")
            entry["path"] = new
        (repos[name] / "modules.json").write_text(json.dumps(entries))
    return repos


@pytest.fixture
def hub(hand_folder, bundle, bert_teacher, elsewhere) -> Iterator[type[Hub]]:
    repos = {"us/static": hand_folder, "us/bundle": bundle.folder, "us/teacher": bert_teacher, **elsewhere}
    with served(type("ThisHub", (Hub,), {"repos": repos})) as hub:
        yield hub


def run(hub: type[Hub], tmp_path: Path, script: str) -> str:
    return run_script(script, hub_environment(hub.endpoint, tmp_path))


def test_a_static_model_is_downloaded_exported_once_and_run(hub, tmp_path):
    """`EdgeModel.from_pretrained("minishlab/potion-base-8M")` is the first thing people will type."""
    script = "from edge_potion import EdgeModel; print(EdgeModel.from_pretrained('us/static').encode('the cat').shape)"
    assert run(hub, tmp_path, script) == "(8,)"
    first = len(hub.asked)
    assert run(hub, tmp_path, script) == "(8,)"
    again = hub.asked[first:]
    assert not [path for path in again if path.endswith("model.safetensors")]  # from the hub's cache


def test_a_bundle_is_downloaded_with_its_graphs(hub, tmp_path):
    script = """
from edge_potion import EdgeModel
model = EdgeModel.from_pretrained("us/bundle", revision="v1")
print(model.bundle.precisions, model.encode(["the cat"]).shape)
"""
    assert run(hub, tmp_path, script) == "['int8', 'float16', 'float32'] (1, 256)"


def test_a_teacher_is_downloaded_and_its_commit_is_kept(hub, tmp_path):
    script = """
from edge_potion import distill
card = distill("us/teacher", device="cpu").card
print(card.config["edge_potion"]["teacher"], card.config["edge_potion"]["teacher_revision"])
"""
    assert run(hub, tmp_path, script) == f"us/teacher {COMMIT}"


def test_what_modules_json_names_is_downloaded_and_nothing_pickled(hub, tmp_path, elsewhere):
    script = """
from edge_potion import EdgeModel, StaticModel
from edge_potion.trainer.teacher import load_teacher
model = StaticModel.from_pretrained("us/projected")
edge = EdgeModel.from_pretrained("us/projected", precision="float32")
print(abs(model.encode("the cat") - edge.encode("the cat")).max() < 1e-6)
teacher = load_teacher("us/clever", device="cpu")
print(teacher.vectors(teacher.sequences(["cat"], 128), pooling="model").tolist())
"""
    agrees, vector = run(hub, tmp_path, script).split("\n")
    teacher = load_teacher(elsewhere["us/clever"], device="cpu")
    wanted = teacher.vectors(teacher.sequences(["cat"], 128), pooling="model")
    assert agrees == "True"
    assert json.loads(vector)[0] == pytest.approx(wanted[0].tolist(), abs=1e-6) and wanted.shape == (1, 4)
    assert not [path for path in hub.asked if path.endswith(".bin")]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (
            "StaticModel.from_pretrained('us/missing')",
            "'us/missing' is no folder here, and the model hub did not give it",
        ),
        ("StaticModel.from_pretrained('us/static', revision='v9')", "did not give it at revision v9"),
    ],
)
def test_what_the_hub_does_not_have_is_named(hub, tmp_path, call, reason):
    script = f"""
from edge_potion import AccessError, InputError, StaticModel
try:
    {call}
except (AccessError, InputError) as error:
    print(error)
"""
    said = run(hub, tmp_path, script)
    assert reason in said and "\n" not in said
