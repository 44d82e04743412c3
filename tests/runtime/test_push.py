"""Uploads, through huggingface-hub and a real push: to a small hub on this machine, as none is reached here."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_potion import export

from ..hub import LoopbackHub, hub_environment, run_script, served
from .test_head import head_of

TOKEN = "hf_ours"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ATTEMPT = """
from pathlib import Path
from edge_potion import EdgePotionError
from edge_potion.push import check_push, push
try:
    print("done:", {call})
except EdgePotionError as error:
    print(f"{{type(error).__name__}}:", error)
"""


class Hub(LoopbackHub):
    """The calls of the hub's HTTP API that a push needs, for one user; it keeps what comes."""

    repos: dict[str, dict[str, bytes]]  # files of each repository
    commits: list[set[str]]  # names of the files in each
    told: list[str]  # of each, what it says
    private: set[str]  # names of repositories
    stored: dict[str, bytes]  # large files that came, by SHA-256
    large: tuple[str, ...] = ("model.safetensors",)
    forbidden: str = "nothing"  # a request whose path holds this is answered with 403

    def do_GET(self) -> None:
        self._reply()

    def do_POST(self) -> None:
        self._reply()

    def do_PUT(self) -> None:
        self._reply()

    def _reply(self) -> None:
        # Read even where it is refused: a connection closed on unread bytes may lose the answer.
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.asked.append(self.path)
        if self.command != "PUT" and self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer(401, b'{"error": "Invalid username or password."}')
        if self.forbidden in self.path:
            return self.answer(403, headers={"X-Error-Message": "You have no rights here"})
        status, content = self._result(body)
        headers = {"Content-Type": "application/json", **({"X-Error-Code": "RepoNotFound"} if status == 404 else {})}
        return self.answer(status, json.dumps(content).encode(), headers)

    def _result(self, body: bytes) -> tuple[int, object]:
        match self.path.strip("/").split("/"):
            case ["api", "whoami-v2"]:
                return 200, {"type": "user", "name": "us", "orgs": []}
            case ["api", "validate-yaml"]:
                assert json.loads(body)["content"].startswith("---\n")
                return 200, {"errors": [], "warnings": []}
            case ["api", "repos", "create"]:
                repo = "{organization}/{name}".format(**json.loads(body))
                status = 409 if repo in self.repos else 200
                self.repos.setdefault(repo, {})
                if status == 200 and (
                    json.loads(body).get("visibility") == "private" or json.loads(body).get("private")
                ):
                    self.private.add(repo)
                return status, {"url": f"{self.endpoint}/{repo}"}
            case ["api", "models", user, name, *question] if f"{user}/{name}" in self.repos:
                return 200, self._about(f"{user}/{name}", question, body)
            case [user, git, "info", "lfs", "objects", "batch"] if f"{user}/{git.removesuffix('.git')}" in self.repos:
                return 200, {"objects": [self._where_to(**each) for each in json.loads(body)["objects"]]}
            case ["store", digest] if hashlib.sha256(body).hexdigest() == digest:
                self.stored[digest] = body
                return 200, {}
        return 404, {}

    def _about(self, repo: str, question: list[str], body: bytes) -> object:
        if question == ["preupload", "main"]:
            return {"files": [self._how_to(repo, each["path"]) for each in json.loads(body)["files"]]}
        if question == ["commit", "main"]:
            self._commit(self.repos[repo], [json.loads(line) for line in body.splitlines()])
            return {"commitUrl": f"{self.endpoint}/{repo}/commit/{COMMIT}", "commitOid": COMMIT}
        return {"id": repo, "sha": COMMIT, "private": repo in self.private}

    def _how_to(self, repo: str, name: str) -> dict[str, object]:
        """How a file should come, and the digest that git has for it: the client leaves out what has not changed."""
        is_large, content = name in self.large, self.repos[repo].get(name)
        answer = {"path": name, "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": False}
        if content is None:
            return answer
        as_blob = hashlib.sha1(b"blob %d\0" % len(content) + content)
        return {**answer, "oid": (hashlib.sha256(content) if is_large else as_blob).hexdigest()}

    def _where_to(self, oid: str, size: int) -> dict[str, object]:
        there = {} if oid in self.stored else {"actions": {"upload": {"href": f"{self.endpoint}/store/{oid}"}}}
        return {"oid": oid, "size": size, **there}

    def _commit(self, files: dict[str, bytes], lines: list[dict]) -> None:
        header, *changes = lines
        assert header["key"] == "header" and "edge-potion" in header["value"]["summary"]
        came = {
            value["path"]: self.stored[value["oid"]] if key == "lfsFile" else base64.b64decode(value["content"])
            for key, value in ((change["key"], change["value"]) for change in changes)
        }
        files.update(came)
        self.told.append(header["value"]["summary"])
        self.commits.append(set(came))


@pytest.fixture
def hub() -> Iterator[type[Hub]]:
    with served(
        type("ThisHub", (Hub,), {"repos": {}, "commits": [], "told": [], "stored": {}, "private": set()})
    ) as hub:
        yield hub


@pytest.fixture
def model_folder(hand_folder) -> Path:
    """A model folder as a run leaves it, and a file in it that is none of the model's."""
    (hand_folder / "README.md").write_text("---\nlicense: mit\n---\n# Hand, naïvely\n", encoding="utf-8")
    (hand_folder / "recipe.toml").write_text("[distill]\ndims = 8\n", encoding="utf-8")
    (hand_folder / "notes.txt").write_text("not for others")
    return hand_folder


def attempt(call: str, endpoint: str, tmp_path: Path, **environment: str) -> str:
    """What one call into edge_potion/push.py returned, or the error that it raised."""
    return run_script(ATTEMPT.format(call=call), hub_environment(endpoint, tmp_path, **environment))


def push(folder: Path, hub: type[Hub], tmp_path: Path, **environment: str) -> str:
    return attempt(f"push(Path({str(folder)!r}), 'us/static')", hub.endpoint, tmp_path, HF_TOKEN=TOKEN, **environment)


def model_files(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files.pop("notes.txt") and len(files) >= 5 and "model.safetensors" in files
    return files


@pytest.fixture
def closed_port() -> Iterator[str]:
    """An address at which nobody listens, and nobody will: the port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


# With hf-xet the client uploads in another way. Its store of large files is no plain HTTP, so none is large then.
@pytest.mark.parametrize(("no_xet", "large"), [("1", ("model.safetensors",)), ("0", ())])
def test_every_file_of_the_model_arrives_and_nothing_else(hub, model_folder, tmp_path, no_xet, large):
    hub.large = large
    said = push(model_folder, hub, tmp_path, HF_HUB_DISABLE_XET=no_xet)
    assert said == f"done: {hub.endpoint}/us/static"
    assert hub.repos == {"us/static": model_files(model_folder)}
    assert len(hub.stored) == len(large)


def test_a_model_is_pushed_again_where_it_changed(hub, model_folder, tmp_path):
    push(model_folder, hub, tmp_path)
    (model_folder / "README.md").write_text("---\nlicense: mit\n---\n# Better\n", encoding="utf-8")
    again = [push(model_folder, hub, tmp_path) for _ in range(2)]
    assert again == [f"done: {hub.endpoint}/us/static"] * 2
    assert hub.repos == {"us/static": model_files(model_folder)}
    assert hub.commits == [set(model_files(model_folder)), {"README.md"}]  # and none without a change
    assert hub.asked.count("/api/repos/create") == 3


@pytest.mark.parametrize("step", ["/api/repos/create", "/preupload/", "/objects/batch", "/store/", "/commit/"])
def test_a_hub_that_forbids_a_step_leaves_the_model_and_says_where_it_is(hub, model_folder, tmp_path, step):
    hub.forbidden, before = step, model_files(model_folder)
    said = push(model_folder, hub, tmp_path)
    assert any(step in path for path in hub.asked)
    assert said.startswith("AccessError: the hub did not take 'us/static' (") and "\n" not in said
    assert said.endswith(f"; the model is in {model_folder}")
    assert "403 Forbidden: You have no rights here" in said or "uploading 'model.safetensors'" in said
    assert model_files(model_folder) == before and not hub.commits


def test_a_hub_that_is_gone_after_the_work_does_not_take_the_model_along(closed_port, model_folder, tmp_path):
    said = attempt(f"push(Path({str(model_folder)!r}), 'us/static')", closed_port, tmp_path, HF_TOKEN=TOKEN)
    assert said.startswith("AccessError: cannot push to 'us/static' (") and "\n" not in said
    assert said.endswith(f"; the model is in {model_folder}")


def test_a_classifier_goes_with_its_head_as_a_model_and_as_a_bundle(hub, hand_model, tmp_path):
    classifier = replace(hand_model, head=head_of())
    for folder in (classifier.save_pretrained(tmp_path / "model"), export(classifier, tmp_path / "bundle").folder):
        push(folder, hub, tmp_path)
        assert hub.repos["us/static"]["head.safetensors"] == (folder / "head.safetensors").read_bytes()
    assert set(hub.commits[-1]) >= {"config.json", "golden.bin", "onnx/model_quantized.onnx"}
    assert hub.told == ["Upload a text classifier made by edge-potion"] * 2


def test_a_known_user_may_push(hub, tmp_path):
    assert attempt("check_push('us/static')", hub.endpoint, tmp_path, HF_TOKEN=TOKEN) == "done: None"
    assert "/api/whoami-v2" in hub.asked and "/api/repos/create" not in hub.asked


@pytest.mark.parametrize(("token", "reason"), [("", "no token found"), ("hf_old", "Invalid user token")])
def test_who_is_not_logged_in_is_told_before_the_work(hub, tmp_path, token, reason):
    said = attempt("check_push('us/static')", hub.endpoint, tmp_path, HF_TOKEN=token)
    assert said.startswith("AccessError: cannot push to 'us/static' (") and "\n" not in said
    assert reason in said and "your login (`hf auth login`)" in said


def test_a_hub_that_cannot_be_reached_is_told_before_the_work(closed_port, tmp_path):
    said = attempt("check_push('us/static')", closed_port, tmp_path, HF_TOKEN=TOKEN)
    assert said.startswith("AccessError: cannot push to 'us/static' (") and "\n" not in said
    assert "refused" in said and "check the network" in said


@pytest.mark.parametrize("hub_id", ["a b", "", "static", "us/static/model", "us/a--b", "us/static.git", "../us"])
def test_a_name_that_the_hub_would_not_take_is_told_before_the_work(hub, tmp_path, hub_id):
    said = attempt(f"check_push({hub_id!r})", hub.endpoint, tmp_path, HF_TOKEN=TOKEN)
    assert said.startswith(f"InputError: {hub_id!r} is no hub id") and "\n" not in said
    assert not hub.asked


def command(hub: type[Hub], tmp_path: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "edge-potion", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=hub_environment(hub.endpoint, tmp_path, HF_TOKEN=TOKEN),
    )


def test_push_prints_the_address_and_names_what_stays(hub, model_folder, tmp_path):
    done = command(hub, tmp_path, "push", model_folder, "us/static")
    assert (done.returncode, done.stdout) == (0, f"{hub.endpoint}/us/static\n")
    assert done.stderr == "note: not part of the model, and left here: notes.txt (1 in all)\n"
    assert hub.repos == {"us/static": model_files(model_folder)}


def test_a_bundle_arrives_whole_and_reads_as_it_did(hub, hand_model, tmp_path):
    folder = export(hand_model, tmp_path / "whole", mobile=True).folder
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# In my own words\n", encoding="utf-8")
    (folder / "onnx" / "mine.onnx").write_text("not for others")
    done = command(hub, tmp_path, "push", "-q", folder, "us/bundle")
    assert (done.returncode, done.stderr) == (0, "")
    for name, content in hub.repos["us/bundle"].items():
        (tmp_path / "again" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "again" / name).write_bytes(content)
    assert "mobile/README.md" in hub.repos["us/bundle"] and "onnx/mine.onnx" not in hub.repos["us/bundle"]
    verdicts = command(hub, tmp_path, "verify", tmp_path / "again")
    assert verdicts.returncode == 0 and "FAILED" not in verdicts.stdout


def test_what_is_no_whole_model_or_bundle_is_refused_before_the_hub_is_asked(hub, hand_model, hand_bundle, tmp_path):
    whole = export(hand_model, tmp_path / "whole").folder
    (whole / "onnx" / "text_quantized.onnx").write_bytes(b"half")
    (tmp_path / "empty").mkdir()
    for folder, told in (
        (whole, "text_quantized.onnx is not the file that was exported"),
        (hand_bundle, "has no manifest.json, so nothing tells whether it is whole; export it again"),
        (tmp_path / "empty", "empty"),
        (tmp_path / "nothing", "nothing is no folder; the folder of a model or of a bundle was expected"),
    ):
        done = command(hub, tmp_path, "push", folder, "us/static")
        assert (done.returncode, done.stdout) == (1, "") and done.stderr.count("\n") == 1
        assert told in done.stderr
    assert not hub.asked and not hub.repos


def test_private_makes_a_repository_that_others_do_not_see_and_never_fills_a_public_one(hub, model_folder, tmp_path):
    assert command(hub, tmp_path, "push", model_folder, "us/hidden", "--private").returncode == 0
    assert hub.private == {"us/hidden"} and hub.repos["us/hidden"] == model_files(model_folder)
    assert command(hub, tmp_path, "push", model_folder, "us/hidden", "--private").returncode == 0
    hub.repos["us/open"] = {}
    done = command(hub, tmp_path, "push", model_folder, "us/open", "--private")
    assert done.returncode == 1 and "us/open is there already, and everybody can see it" in done.stderr
    assert not hub.repos["us/open"]


def test_train_refuses_a_bad_hub_id_before_any_work(hub, tmp_path):
    done = command(hub, tmp_path, "train", "--push-to-hub", "a b", "--recipe", "tiny", "--out", tmp_path / "run")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: 'a b' is no hub id; USER/NAME was expected\n"
    assert not (tmp_path / "run").exists() and not hub.asked
