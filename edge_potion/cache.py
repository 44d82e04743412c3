"""The cache: a model folder without graphs of ours is exported once, and found again by its content."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from pathlib import Path

import edge_potion
from edge_potion.bundle import Bundle, is_bundle, open_bundle
from edge_potion.errors import AccessError, InputError, MissingExtraError, ModelFormatError
from edge_potion.find import MODEL_FILES, files_of
from edge_potion.manifest import check_files
from edge_potion.model_folder import static_home
from edge_potion.static_model import StaticModel
from edge_potion.workshop import open_workshop, sweep, take_name

__all__ = ["bundle_of", "cache_folder"]

log = logging.getLogger("edge_potion")


def bundle_of(folder: Path, precision: str) -> Bundle:
    """The bundle in `folder`, or one exported from it at `precision` into the user's cache.

    The cache is keyed by content, so it is never stale; it may be deleted at any time.

    Raises:
        ModelFormatError: the folder holds no static model, or a damaged one.
        MissingExtraError: the model has no graphs yet, and onnx is not installed; names the command to run elsewhere.
        AccessError: the cache cannot be written, and does not hold the bundle yet.
    """
    static_home(folder)  # says what is missing, before everything is read for the key
    try:
        key = _content_key(folder)
    except OSError as failure:
        raise ModelFormatError(f"{folder} cannot be read ({failure})") from failure
    cached = cache_folder() / f"{key}-{precision}"
    return _whole(cached) or _export_into_cache(folder, cached, precision)


def _whole(cached: Path) -> Bundle | None:
    """The bundle in the cache, or None where there is none or it is damaged (and can be made again)."""
    try:
        bundle = open_bundle(cached) if is_bundle(cached) else None
        if bundle is not None:
            check_files(cached, bundle.sums, bundle.sums)
    except (ModelFormatError, OSError):
        return None
    return bundle


def _export_into_cache(folder: Path, cached: Path, precision: str) -> Bundle:
    model = StaticModel.from_pretrained(folder)  # before the export extra is missed: is it a model at all?
    log.info("%s has no graphs yet: exporting it once to %s", folder, cached)
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        sweep(cached.parent)
        # Beside it first: another thread or process may export the same model, and whoever is first stays.
        with open_workshop(cached) as room:
            # The one place where the runtime climbs into the exporters, which then run EdgeModel: by the public, lazy
            # name, and only for a model without graphs, so that what encodes needs neither onnx nor them.
            edge_potion.export(model, room / cached.name, quantize=[precision])
            return _whole(cached) or _with_name(room / cached.name, cached)
    except MissingExtraError as missing:
        raise MissingExtraError(
            f"{folder} holds no graphs of ours: run `edge-potion export {folder} --out BUNDLE` on a machine with "
            "pip install 'edge-potion[cpu,export]', and load BUNDLE"
        ) from missing
    except (OSError, InputError) as failure:
        to = "EDGE_POTION_CACHE must name" if os.environ.get("EDGE_POTION_CACHE") else "set EDGE_POTION_CACHE to"
        raise AccessError(
            f"cannot write the cache {cached} ({failure}); {to} a folder that can be written, or load what "
            f"`edge-potion export {folder} --out BUNDLE` writes"
        ) from failure


def _with_name(own: Path, cached: Path) -> Bundle:
    """What was exported, under its name in the cache, where something damaged may have it."""
    try:
        take_name(own, cached)
    except OSError:
        if bundle := _whole(cached):  # another was first
            return bundle
        raise
    return open_bundle(cached)


def _content_key(folder: Path) -> str:
    digest = hashlib.sha256(edge_potion.__version__.encode())
    for file in files_of(folder, MODEL_FILES):
        digest.update(file.relative_to(folder).as_posix().encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:24]


def cache_folder() -> Path:
    """Where what can be made again is kept: $EDGE_POTION_CACHE, or the platform's cache folder.

    Raises:
        InputError: the user has no home folder, and no other is named.
    """
    named = os.environ.get("EDGE_POTION_CACHE")
    try:
        return Path(named).expanduser() if named else _platform_folder() / "edge-potion"
    except RuntimeError as failure:
        raise InputError(f"there is no folder for the cache ({failure}); set EDGE_POTION_CACHE") from failure


def _platform_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
