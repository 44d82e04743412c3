"""Model folders: find one by path, name or hub id, and read its JSON and texts."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_potion.errors import AccessError, InputError, ModelFormatError
from edge_potion.progress import unfailing_stderr

__all__ = [
    "BUILT_IN",
    "BUILT_IN_FOLDER",
    "COMMIT",
    "HUB_ID",
    "MODEL_FILES",
    "WITHOUT_PHRASES",
    "files_of",
    "find_folder",
    "json_object",
    "read_bytes",
    "read_json",
    "read_json_list",
    "read_text",
]

BUILT_IN = "potion-256d-minilm"  # the model that comes with the package, where none is named
BUILT_IN_FOLDER = Path(__file__).with_name("models")
REFUSED = (401, 403, 404)  # what the hub answers where it has no such model for us
COMMIT = re.compile(r"[0-9a-f]{40}")  # what the hub's own cache names the folder of a revision, in "snapshots"
HUB_ID = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")
# What a model folder may hold; graphs are fetched only when the folder turns out to be a bundle of ours.
MODEL_FILES = (
    "config.json",
    "config_sentence_transformers.json",
    "golden.bin",
    "golden.json",
    "head.safetensors",
    "manifest.json",
    "model.safetensors",
    "modules.json",
    "phrases.safetensors",
    "README.md",
    "recipe.toml",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "0_StaticEmbedding/*",
)
GRAPH_FILES = ("onnx/*.onnx",)
WITHOUT_PHRASES = "without_phrases"  # a whole model folder inside one: its pieces, trained alone
WEIGHTS_AND_WORDS = ("*.json", "*.safetensors", "*.txt", "*.model")  # of a module's folder: nothing pickled, no code
LARGEST_JSON = 2**28  # bytes: a tokenizer of a million tokens has a tenth of it
LARGEST_TEXT = 2**24  # of a README.md or recipe.toml


def find_folder(name: str | Path | None, revision: str | None = None, files: Sequence[str] = MODEL_FILES) -> Path:
    """Folder of the model `name`: a path on this machine, a model that comes with the package, or a hub id.

    What the hub has is downloaded into the hub's own cache.

    Args:
        name: path of a folder, an id such as "minishlab/potion-base-8M", or BUILT_IN; None stands for BUILT_IN.
        revision: branch, tag or commit on the hub; only for hub ids.
        files: glob patterns of what to download.

    Raises:
        InputError: `name` is neither a folder here nor a model that the hub has for us.
        AccessError: the hub cannot be reached, or the disk takes nothing more.
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
        more = _of_modules(folder)
        if "golden.json" in files and (folder / "golden.json").is_file():
            more += GRAPH_FILES
        if more:
            snapshot_download(hub_id, revision=revision, allow_patterns=[*files, *more])
    except (OSError, HfHubHTTPError, HFValidationError, ValueError) as failure:
        reason = str(failure).strip().split("\n")[0]
        at = f" at revision {revision}" if revision else ""
        status = getattr(getattr(failure, "response", None), "status_code", None)
        is_the_name = isinstance(failure, HFValidationError) or status in REFUSED
        raise (InputError if is_the_name else AccessError)(
            f"{hub_id!r} is no folder here, and the model hub did not give it{at} ({reason}); "
            "check the name, or pass the path of a folder that holds the model"
        ) from failure
    return folder


def files_of(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files in a model's folder that match `patterns` or lie in the folders of its modules, in order.

    Raises:
        ModelFormatError: its modules.json is damaged.
    """
    matched = (file for pattern in (*patterns, *_of_modules(folder)) for file in folder.glob(pattern))
    return sorted({file for file in matched if file.is_file()})


def _of_modules(folder: Path) -> list[str]:
    """Glob patterns of what the modules keep that a modules.json names."""
    from edge_potion.st_pipeline import module_paths  # which reads JSON by this file

    return [f"{path}/{pattern}" for path in module_paths(folder) for pattern in WEIGHTS_AND_WORDS]


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; ModelFormatError when it is missing, truncated or not an object."""
    return json_object(read_bytes(file), file)


def json_object(content: bytes, file: Path) -> dict[str, Any]:
    """The object in the JSON that was read of a file; ModelFormatError when it is truncated or not an object."""
    value = _json(content, file)
    if not isinstance(value, dict):
        raise ModelFormatError(f"{file} holds a {type(value).__name__}; a JSON object was expected")
    return value


def read_json_list(file: Path) -> list[Any]:
    """The list in a JSON file; ModelFormatError when it is missing, truncated or no list."""
    value = _json(read_bytes(file), file)
    if not isinstance(value, list):
        raise ModelFormatError(f"{file} holds a {type(value).__name__}; a JSON list was expected")
    return value


def read_bytes(file: Path, largest: int = LARGEST_JSON) -> bytes:
    """The content of a file of a stranger's folder, which is not read where it is no file or larger than `largest`.

    Raises:
        ModelFormatError: it is missing, too large, or cannot be read.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            raise ModelFormatError(f"{file} is no file, or larger than {largest:,} bytes")
        return file.read_bytes()
    except FileNotFoundError as failure:
        raise ModelFormatError(f"{file} is missing") from failure
    except OSError as failure:
        raise ModelFormatError(f"{file} cannot be read ({failure})") from failure


def read_text(file: Path) -> str:
    """The words of a file for people, in UTF-8 with or without a byte-order mark, else in Latin-1; "" if not there.

    Raises:
        ModelFormatError: it is larger than a text for people is, or cannot be read.
    """
    if not file.is_file():
        return ""
    content = read_bytes(file, LARGEST_TEXT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _json(content: bytes, file: Path) -> Any:
    try:
        return json.loads(content.decode(json.detect_encoding(content)))  # a byte-order mark tells UTF-16 too
    except (ValueError, RecursionError) as failure:  # ValueError: bad UTF-8 as well as bad JSON
        raise ModelFormatError(f"{file} cannot be read as JSON ({failure})") from failure
