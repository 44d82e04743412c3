"""What a teacher is called in cards and names of models: by its hub id, its card or its folder, never by a path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edge_potion.errors import ModelFormatError
from edge_potion.find import HUB_ID, read_json

__all__ = ["UNNAMED", "one_line", "revision_of", "short_name", "teacher_name"]

UNNAMED = "unnamed-"  # what the name of a teacher begins with that nothing names

# Names of folders that say nothing of what lies in them.
SAYS_NOTHING = re.compile(
    r"(my[-_]?)?(model|models|teacher|encoder|transformer|output|outputs|out|final|best|last|latest|export|exported|"
    r"checkpoint|checkpoints|run|runs|result|results|save|saved|download|data|new|old|test|tmp|temp|\d+[-_]\w*)"
    r"([-_]?(model|folder|dir|checkpoint|\d+|final|best|last))*"
    r"|tmp\w*|[0-9a-f]{7,64}|[\W_]*",
    re.IGNORECASE,
)
HUB_CACHE = re.compile(r"models--(\w[\w.-]*?)--(\w[\w.-]*)")  # the hub's cache keeps org/name as models--org--name
LOADED_BY = re.compile(r"""(?:SentenceTransformer|AutoModel\.from_pretrained)\(\s*["'](\w[\w.-]*/\w[\w.-]*)["']""")
TITLE = re.compile(r"^#\s+(\S+)\s*$", re.MULTILINE)
LARGEST_CARD = 2**20  # characters of a README that are read


def teacher_name(name: str | Path, folder: Path) -> str:
    """The name of a teacher: `name` itself for a hub id, and for a folder what it, or its card, says.

    Args:
        name: as the user gave it.
        folder: where its files lie.
    """
    if not Path(name).expanduser().is_dir():
        return one_line(str(name))
    whole = folder.expanduser().resolve()
    for part in whole.parts:
        if found := HUB_CACHE.fullmatch(part):
            return f"{found[1]}/{found[2]}"
    own = one_line(whole.name)
    if not SAYS_NOTHING.fullmatch(own):
        return own
    config = _config(whole)
    return _by_card(whole) or _by_config(config) or f"{UNNAMED}{short_name(str(config.get('model_type') or 'teacher'))}"


def revision_of(name: str | Path, folder: Path) -> str:
    """The commit that a teacher was read from, "" of a folder: a hub snapshot's folder is named after its commit."""
    return "" if Path(name).is_dir() else folder.name


def short_name(name: str) -> str:
    """The last part of a teacher's name, of the characters that names of models on the hub have."""
    return re.sub(r"[^\w.-]+|[^\x00-\x7f]+", "-", name.rstrip("/").rpartition("/")[2]).strip("-.") or "teacher"


def one_line(text: str) -> str:
    """A stranger's text without line breaks and other control characters."""
    return "".join(each if each.isprintable() else " " for each in text).strip()


def _by_card(folder: Path) -> str:
    """The name that a card gives: in its metadata, in its lines of code, or as its title; "" for none."""
    from huggingface_hub import metadata_load
    from yaml import YAMLError  # huggingface-hub brings it

    card = folder / "README.md"
    try:
        text = card.read_bytes()[:LARGEST_CARD].decode("utf-8", "replace") if card.is_file() else ""
        metadata = (metadata_load(card) if text else None) or {}
    except (OSError, ValueError, YAMLError):  # a card that cannot be read is a card that says nothing
        return ""
    index = metadata.get("model-index")
    first = index[0] if isinstance(index, list) and index and isinstance(index[0], dict) else {}
    body = text.replace("\r\n", "\n")
    found = [*LOADED_BY.findall(body)[:1], metadata.get("model_name"), first.get("name"), *TITLE.findall(body)[:1]]
    return next((str(each) for each in found if each and _is_name(str(each))), "")


def _by_config(config: dict[str, Any]) -> str:
    """The hub id that transformers kept in config.json: of this model, or of the one that it was tuned from."""
    kept = config.get("_name_or_path")
    return kept if isinstance(kept, str) and "/" in kept and _is_name(kept) else ""


def _is_name(text: str) -> bool:
    return bool(HUB_ID.fullmatch(text)) and not SAYS_NOTHING.fullmatch(text.rpartition("/")[2])


def _config(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / "config.json")
    except ModelFormatError:
        return {}
