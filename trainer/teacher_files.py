"""The teacher's files: find its folder, tell whether they changed, where its transformer lies, and its licence."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from edge_potion.errors import ModelFormatError
from edge_potion.find import files_of, find_folder
from edge_potion.st_pipeline import Pipeline

__all__ = ["TEACHER_FILES", "find_teacher", "licence_of", "teacher_digest", "transformer_home"]

log = logging.getLogger("edge_potion")

# Weights as safetensors only: nothing pickled is ever loaded. What modules.json names is fetched too.
OWN_FOLDER = "0_Transformer"  # where old sentence-transformers kept the transformer
ENDINGS = ("*.json", "*.safetensors", "*.txt", "*.model")
TEACHER_FILES = (*ENDINGS, "README.md", "1_Pooling/*.json", *(f"{OWN_FOLDER}/{ending}" for ending in ENDINGS))
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def find_teacher(name: str | Path, revision: str | None = None, trust_remote_code: bool = False) -> Path:
    """The folder of a teacher, downloaded when `name` is a hub id; InputError when there is none."""
    return find_folder(name, revision, (*TEACHER_FILES, "*.py") if trust_remote_code else TEACHER_FILES)


def teacher_digest(folder: Path) -> str:
    """Twelve hex digits that change with what decides a teacher's vectors: weights, tokenizer, configuration, code."""
    digest = hashlib.sha256()
    for file in files_of(folder, (*TEACHER_FILES, "*.py")):
        if file == folder / "README.md":
            continue
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:12]


def transformer_home(folder: Path, pipeline: Pipeline) -> Path:
    """The folder that holds the transformer's own files.

    Raises:
        ModelFormatError: the model does not begin with one, or it is one that cannot be loaded as it is.
    """
    if pipeline.steps and pipeline.steps[0].kind != "Transformer":
        raise ModelFormatError(
            f"{folder} begins with the module {pipeline.steps[0].kind}, and a Transformer was expected of a teacher"
        )
    home = pipeline.steps[0].folder if pipeline.steps else folder
    if not pipeline.steps:
        if not (folder / "config.json").is_file() and (folder / OWN_FOLDER / "config.json").is_file():
            home = folder / OWN_FOLDER
        if pipeline.settings:
            log.warning("%s: without a modules.json, its config_sentence_transformers.json means nothing", folder)
    if (home / "adapter_config.json").is_file():
        raise ModelFormatError(f"{home} holds an adapter (adapter_config.json); merge it into its model first")
    for file in sorted(home.glob("*.json")):
        with file.open("rb") as stream:
            if stream.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
                raise ModelFormatError(
                    f"{file} begins with a byte-order mark, which transformers does not read; save it as UTF-8 without"
                )
    return home


def licence_of(folder: Path) -> str:
    """The licence that the card in a model's folder names, "" when it names none."""
    from huggingface_hub import metadata_load
    from yaml import YAMLError  # huggingface-hub brings it

    try:
        readme = folder / "README.md"
        metadata = metadata_load(readme) if readme.is_file() else None
    except (OSError, ValueError, YAMLError):  # a card that cannot be read is a card that says nothing
        metadata = None
    return str((metadata or {}).get("license", ""))
