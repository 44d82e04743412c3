"""Model folders: find one by path or hub id, read its JSON, and write one so that a folder that exists is complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_potion.errors import InputError, ModelFormatError

__all__ = ["cache_folder", "find_folder", "read_json", "written_whole"]

HUB_ID = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")
# What a model folder may hold; graphs are fetched only when the folder turns out to be a bundle of ours.
MODEL_FILES = (
    "config.json",
    "config_sentence_transformers.json",
    "golden.json",
    "model.safetensors",
    "modules.json",
    "README.md",
    "recipe.toml",
    "tokenizer.json",
    "0_StaticEmbedding/*",
)
GRAPH_FILES = ("onnx/*.onnx",)
# A folder with one of these is a model and may be replaced by a newer one; anything else is the user's.
MODEL_MARKS = ("config.json", "model.safetensors")


def find_folder(name: str | Path, revision: str | None = None, files: Sequence[str] = MODEL_FILES) -> Path:
    """Folder of the model `name`: a path on this machine, or a hub id that is downloaded into the hub's own cache.

    Args:
        name: path of a folder, or an id such as "minishlab/potion-base-8M".
        revision: branch, tag or commit on the hub; only for hub ids.
        files: glob patterns of what to download.

    Raises:
        InputError: `name` is neither a folder here nor a model that the hub gave.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise InputError(f"revision={revision!r} is for hub ids, and {name} is a folder on this machine")
        return folder
    if folder.is_file():
        raise InputError(f"{name} is a file; pass the model's folder, which holds config.json and model.safetensors")
    if not HUB_ID.fullmatch(str(name)):
        raise InputError(f"no such folder: {name}")
    return _downloaded(str(name), revision, files)


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
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as failure:
        raise ModelFormatError(f"{file} is missing") from failure
    except (OSError, ValueError) as failure:  # ValueError: bad UTF-8 as well as bad JSON
        raise ModelFormatError(f"{file} cannot be read as JSON ({failure})") from failure
    if not isinstance(value, dict):
        raise ModelFormatError(f"{file} holds a {type(value).__name__}; a JSON object was expected")
    return value


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the name `folder` when the block ends well, and vanishes when it does not.

    A model folder that already has the name is replaced as a whole; any other folder with content is refused.

    Raises:
        InputError: the name is taken by something that is no model, or the place cannot be written to.
    """
    folder = folder.expanduser().absolute()
    if folder.exists() and not _may_be_replaced(folder):
        raise InputError(f"{folder} exists and holds something else than a model; choose another name or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the goal, because a rename is atomic within one file system only.
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    except OSError as failure:
        raise InputError(f"cannot write {folder}: {failure.strerror or failure}") from failure
    try:
        try:
            yield beside
            _open_to_readers(beside)
            _take_name(beside, folder)
        except OSError as failure:
            raise InputError(f"cannot write {folder}: {failure.strerror or failure}") from failure
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _may_be_replaced(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return not any(folder.iterdir()) or any((folder / mark).is_file() for mark in MODEL_MARKS)


def _take_name(beside: Path, folder: Path) -> None:
    if not folder.exists():
        beside.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    try:
        folder.rename(old / "replaced")
        try:
            beside.rename(folder)
        except OSError:
            (old / "replaced").rename(folder)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _open_to_readers(folder: Path) -> None:
    """Give a folder and its files the usual permissions: mkdtemp and safetensors leave them to their owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def cache_folder() -> Path:
    """Where bundles exported on the fly are kept: $EDGE_POTION_CACHE, or the platform's cache folder."""
    named = os.environ.get("EDGE_POTION_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edge-potion"
