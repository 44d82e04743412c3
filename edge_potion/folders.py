"""Model folders: find one by path or hub id, read its JSON, and write one so that a folder that exists is complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from errno import EEXIST, ENOENT, ENOTEMPTY
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.progress import unfailing_stderr

__all__ = [
    "BUILT_IN",
    "HUB_ID",
    "MODEL_FILES",
    "TEMPORARY",
    "file_written_whole",
    "find_folder",
    "origin_of",
    "read_json",
    "refuse_unwritable",
    "scores_of",
    "written_whole",
]

BUILT_IN = "potion-256d-minilm"  # the model that comes with the package, where none is named
BUILT_IN_FOLDER = Path(__file__).with_name("models")
HUB_ID = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")
# What a model folder may hold; graphs are fetched only when the folder turns out to be a bundle of ours.
MODEL_FILES = (
    "config.json",
    "config_sentence_transformers.json",
    "golden.json",
    "manifest.json",
    "model.safetensors",
    "modules.json",
    "README.md",
    "recipe.toml",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "0_StaticEmbedding/*",
)
GRAPH_FILES = ("onnx/*.onnx",)
# What we write into a model folder or bundle. A folder of these may be replaced; anything else is the user's.
OUR_FILES = re.compile(
    r"config\.json|golden\.json|manifest\.json|model\.safetensors|modules\.json|README\.md|recipe\.toml|tokenizer\.json"
    r"|tokenizer_config\.json|special_tokens_map\.json|onnx/[^/]+\.onnx"
    r"|mobile/([^/]+\.(onnx|ort)|README\.md|required_operators\.config)"
)
LARGEST_JSON = 2**28  # bytes: a tokenizer of a million tokens has a tenth of it
TEMPORARY = ".edge-potion-"  # what temporary names begin with
# Other processes may replace the same folder at the same moment.
SWAP_TRIES = 20
LOOKS = 3


def find_folder(name: str | Path | None, revision: str | None = None, files: Sequence[str] = MODEL_FILES) -> Path:
    """Folder of the model `name`: a path on this machine, a model that comes with the package, or a hub id.

    What the hub has is downloaded into the hub's own cache.

    Args:
        name: path of a folder, an id such as "minishlab/potion-base-8M", or BUILT_IN; None stands for BUILT_IN.
        revision: branch, tag or commit on the hub; only for hub ids.
        files: glob patterns of what to download.

    Raises:
        InputError: `name` is neither a folder here nor a model that the hub gave.
    """
    folder = BUILT_IN_FOLDER / BUILT_IN if name is None else Path(name).expanduser()
    if str(name) == BUILT_IN and not folder.is_dir():
        folder = BUILT_IN_FOLDER / BUILT_IN
    if folder.is_dir():
        if revision is not None:
            raise InputError(f"revision={revision!r} is for hub ids, and {folder} is a folder on this machine")
        return folder
    if folder.is_file():
        raise InputError(f"{name} is a file; pass the model's folder, which holds config.json and model.safetensors")
    if not HUB_ID.fullmatch(str(name)):
        raise InputError(f"no such folder: {name}")
    return _downloaded(str(name), revision, files)


@unfailing_stderr()  # the hub's library shows bars
def _downloaded(hub_id: str, revision: str | None, files: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(files)))
        if "golden.json" in files and (folder / "golden.json").is_file():
            snapshot_download(hub_id, revision=revision, allow_patterns=[*files, *GRAPH_FILES])
    except (OSError, HfHubHTTPError, HFValidationError, ValueError) as failure:
        reason = str(failure).strip().split("\n")[0]
        at = f" at revision {revision}" if revision else ""
        raise InputError(
            f"{hub_id!r} is no folder here, and the model hub did not give it{at} ({reason}); "
            "check the name, or pass the path of a folder that holds the model"
        ) from failure
    return folder


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; ModelFormatError when it is missing, truncated or not an object."""
    try:
        if not stat.S_ISREG(file.stat().st_mode) or file.stat().st_size > LARGEST_JSON:
            raise ModelFormatError(f"{file} is no file, or larger than {LARGEST_JSON:,} bytes")
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as failure:
        raise ModelFormatError(f"{file} is missing") from failure
    except (OSError, ValueError, RecursionError) as failure:  # ValueError: bad UTF-8 as well as bad JSON
        raise ModelFormatError(f"{file} cannot be read as JSON ({failure})") from failure
    if not isinstance(value, dict):
        raise ModelFormatError(f"{file} holds a {type(value).__name__}; a JSON object was expected")
    return value


def refuse_unwritable(folder: Path) -> Path:
    """The absolute path of a folder that `written_whole` would write; for asking before hours of work.

    Raises:
        InputError: the name is taken by something that is no model of ours, or the place cannot be written to.
    """
    try:
        folder = folder.expanduser().resolve()
        if folder in _working_folders():
            raise InputError(f"{folder} is the folder you are in, or holds it; name a new folder")
        for tries_left in reversed(range(LOOKS)):
            reason = _why_not_ours(folder)
            if not reason:
                break
            if not tries_left:
                raise InputError(f"{folder} exists and {reason}; choose another name or remove it")
            time.sleep(0.02)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder.parent):
            pass
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError) as failure:  # a loop of links, a name that no file system takes
        raise InputError(f"cannot write {folder}: {failure}") from failure
    return folder


def _working_folders() -> set[Path]:
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed under us
        return set()
    return {here, *here.parents}


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the name `folder` when the block ends well, and vanishes when it does not.

    A model folder of ours that already has the name is replaced as a whole; any other folder with content is refused.

    Raises:
        InputError: what `refuse_unwritable` refuses, or writing fails on the way.
    """
    folder = refuse_unwritable(folder)
    # Beside the goal, because a rename is atomic within one file system only.
    beside = Path(tempfile.mkdtemp(prefix=TEMPORARY, suffix=".part", dir=folder.parent))
    try:
        yield beside
        _set_permissions(beside, folder)
        _take_name(beside, folder)
    except OSError as failure:
        raise InputError(f"cannot write {folder}: {failure}") from failure
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def file_written_whole(file: Path) -> Iterator[Path]:
    """A temporary file that takes the name `file`, or replaces it, when the block ends well.

    Raises:
        InputError: the place cannot be written to.
    """
    file = file.expanduser().resolve()
    beside = None
    try:
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=".part", dir=file.parent)
        os.close(handle)
        beside = Path(name)
        yield beside
        _set_permissions(beside, file)
        beside.replace(file)
    except OSError as failure:
        raise InputError(f"cannot write {file}: {failure}") from failure
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)


def _why_not_ours(folder: Path) -> str:
    """Why a folder may not be replaced; "" when it may: it is not there, empty, or a model folder and nothing else."""
    if not folder.is_dir():
        return "is a file" if folder.exists() else ""
    try:
        names = sorted(_files_of(folder))
    except FileNotFoundError:
        return "is being replaced at this moment"
    if not names:
        return ""
    try:
        is_model = read_json(folder / "config.json").get("model_type") == "model2vec"
    except ModelFormatError:
        is_model = False
    if not is_model:
        return "holds something else than a static model"
    foreign = next((name for name in names if not OUR_FILES.fullmatch(name)), None)
    return f"holds {foreign!r} beside a static model" if foreign else ""


def _files_of(folder: Path) -> Iterator[str]:
    """Paths of everything in a folder that is no folder, links among them; OSError where something cannot be read."""

    def refuse(failure: OSError) -> None:
        raise failure

    for root, folders, names in os.walk(folder, onerror=refuse):
        links = [name for name in folders if Path(root, name).is_symlink()]
        yield from (Path(root, name).relative_to(folder).as_posix() for name in (*names, *links))


def _take_name(beside: Path, folder: Path) -> None:
    """Give `beside` the name `folder`; what had it is deleted only when that is done, and comes back when it is not."""
    for tries_left in reversed(range(SWAP_TRIES)):
        old = Path(tempfile.mkdtemp(prefix=TEMPORARY, suffix=".old", dir=folder.parent))
        replaced = old / "replaced"
        try:
            if folder.exists():
                folder.rename(replaced)
                if reason := _why_not_ours(replaced):  # it came while we were writing
                    raise InputError(f"{folder} exists and {reason}; choose another name or remove it")
            beside.rename(folder)
            return
        except OSError as failure:
            # Another process took the name, or the old folder, between two of our steps.
            if failure.errno not in (ENOENT, EEXIST, ENOTEMPTY) or not tries_left or not beside.exists():
                raise
        finally:
            if replaced.exists() and not folder.exists():
                try:
                    replaced.rename(folder)
                except OSError:
                    if not folder.exists():
                        raise  # what was there stays in `old`
            shutil.rmtree(old, ignore_errors=True)  # ours or another's whole folder has the name now
        time.sleep(0.05)


def _set_permissions(path: Path, goal: Path) -> None:
    """Give a temporary file or folder what its goal has, or else the usual: it was made for its owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    for each in (path, *path.rglob("*")) if path.is_dir() else (path,):
        inherited = each.stat().st_mode & stat.S_ISGID
        each.chmod((0o777 if each.is_dir() else 0o666) & ~mask | inherited)
    with suppress(FileNotFoundError):
        path.chmod(stat.S_IMODE(goal.stat().st_mode))


def origin_of(config: Mapping[str, Any]) -> dict[str, str]:
    """What edge-potion wrote into a config.json of how the model was made: teacher, revision, fingerprint, version."""
    origin = config.get("edge_potion")
    return {key: str(value) for key, value in origin.items()} if isinstance(origin, dict) else {}


def scores_of(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The scores that a config.json tells: for each number of dimensions, points by kind of task."""
    origin = config.get("edge_potion")
    scores = origin.get("scores") if isinstance(origin, dict) else None
    return {dims: each for dims, each in scores.items() if isinstance(each, dict)} if isinstance(scores, dict) else {}
