"""The cache: a model folder without graphs of ours is exported once, and found again by its content."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import threading
from pathlib import Path

import edge_potion
from edge_potion.bundle import Bundle, is_bundle, open_bundle
from edge_potion.errors import InputError, MissingExtraError, ModelFormatError
from edge_potion.folders import MODEL_FILES
from edge_potion.manifest import check_files
from edge_potion.static_model import ST_FOLDERS, StaticModel

__all__ = ["bundle_of", "cache_folder"]

log = logging.getLogger("edge_potion")


def bundle_of(folder: Path, precision: str) -> Bundle:
    """The bundle in `folder`, or one exported from it at `precision` into the user's cache.

    The cache is keyed by content, so it is never stale; it may be deleted at any time.

    Raises:
        ModelFormatError: the folder holds no static model, or a damaged one.
        MissingExtraError: the model has no graphs yet, and onnx is not installed; names the command to run elsewhere.
        InputError: the cache cannot be written.
    """
    if not any((folder / sub / "model.safetensors").is_file() for sub in ST_FOLDERS):
        StaticModel.from_pretrained(folder)  # says what is missing, before everything is read for the key
    cached = cache_folder() / f"{_content_key(folder)}-{precision}"
    return _whole(cached) or _export_into_cache(folder, cached, precision)


def _whole(cached: Path) -> Bundle | None:
    """The bundle in the cache, or None where there is none or it is damaged (and can be made again)."""
    try:
        bundle = open_bundle(cached) if is_bundle(cached) else None
        if bundle is not None:
            check_files(cached, bundle.sums, bundle.sums)
    except ModelFormatError:
        return None
    return bundle


def _export_into_cache(folder: Path, cached: Path, precision: str) -> Bundle:
    model = StaticModel.from_pretrained(folder)  # before the export extra is missed: is it a model at all?
    log.info("%s has no graphs yet: exporting it once to %s", folder, cached)
    # Its own name first: another thread or process may export the same model, and whoever is first stays.
    own = cached.with_name(f"{cached.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        edge_potion.export(model, own, quantize=[precision])
        if cached.exists() and _whole(cached) is None:
            shutil.rmtree(cached)
        try:
            own.rename(cached)
        except OSError:
            if _whole(cached) is None:
                raise
    except MissingExtraError as missing:
        raise MissingExtraError(
            f"{folder} holds no graphs of ours: run `edge-potion export {folder} --out BUNDLE` on a machine with "
            "pip install 'edge-potion[cpu,export]', and load BUNDLE"
        ) from missing
    except OSError as failure:
        to = "EDGE_POTION_CACHE must name" if os.environ.get("EDGE_POTION_CACHE") else "set EDGE_POTION_CACHE to"
        raise InputError(f"cannot write the cache {cached} ({failure}); {to} a folder that can be written") from failure
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return open_bundle(cached)


def _content_key(folder: Path) -> str:
    digest = hashlib.sha256(edge_potion.__version__.encode())
    for file in sorted({file for pattern in MODEL_FILES for file in folder.glob(pattern) if file.is_file()}):
        digest.update(file.relative_to(folder).as_posix().encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:24]


def cache_folder() -> Path:
    """Where what can be made again is kept: $EDGE_POTION_CACHE, or the platform's cache folder."""
    named = os.environ.get("EDGE_POTION_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edge-potion"
