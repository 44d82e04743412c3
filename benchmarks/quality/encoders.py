"""Models by name, each as a function from texts to vectors: model folders, bundles, hub ids, sentence-transformers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_potion.bundle import PRECISIONS, is_bundle, open_bundle
from edge_potion.errors import InputError, ModelFormatError, require
from edge_potion.find import find_folder
from edge_potion.origin import origin_of
from edge_potion.runtime import EdgeModel
from edge_potion.static_model import NORM_EPS, StaticModel

__all__ = ["Encoder", "open_encoder"]

ST = "st:"  # what the name of a sentence-transformers model begins with
ST_BATCH = 32
LONGEST_DIMS = 9  # digits


@dataclass(frozen=True)
class Encoder:
    """A model that can be evaluated.

    Attributes:
        name: as it was asked for, for people.
        what: how it runs, and what it was made from.
        encode: texts -> (N, D) float32.
        dims: D.
        size_bytes: of the file with its weights.
        digest: changes with weights and tokenizer.
    """

    name: str
    what: str
    encode: Callable[[Sequence[str]], np.ndarray]
    dims: int
    size_bytes: int
    digest: str


def open_encoder(name: str) -> Encoder:
    """Open a model by name.

    Args:
        name: a model folder or bundle, or a hub id of one; `BUNDLE@int8`, `@float16` or `@float32` for a precision that
            is not the bundle's default; `st:NAME` for anything that sentence-transformers loads. Each may end in
            `@128`: the first 128 dimensions alone.

    Raises:
        InputError: there is no such model, or no such precision, or not as many dimensions.
        ModelFormatError: it is damaged.
    """
    base, _, dims = name.rpartition("@")
    if base and dims.isdecimal() and len(dims) <= LONGEST_DIMS:
        return _cut(name, open_encoder(base), int(dims))
    if name.startswith(ST):
        return _sentence_transformer(name)
    base, _, precision = name.rpartition("@")
    if not base or precision not in PRECISIONS:
        base, precision = name, ""
    folder = find_folder(base)
    if is_bundle(folder):
        return _bundle(name, folder, precision)
    if precision:
        raise InputError(
            f"{base} is no bundle of ours, so there is no graph at {precision} in it; evaluate {base} itself, or what "
            f"`edge-potion export {base}` makes of it"
        )
    return _table(name, folder)


def _cut(name: str, whole: Encoder, dims: int) -> Encoder:
    """The first `dims` dimensions of an encoder, at unit length."""
    if not 0 < dims <= whole.dims:
        raise InputError(f"{name} asks for {dims} dimensions; {whole.name} has {whole.dims}")

    def encode(texts: Sequence[str]) -> np.ndarray:
        vectors = whole.encode(texts)[:, :dims]
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), NORM_EPS)

    digest = _digest(whole.digest.encode(), name.encode("utf-8", "surrogatepass"))
    return replace(whole, name=name, encode=encode, dims=dims, digest=digest)


def _table(name: str, folder: Path) -> Encoder:
    model = StaticModel.from_pretrained(folder)
    others = ", not its onnx folder, which is another's" if (folder / "onnx").is_dir() else ""
    what = f"numpy float32, the table{others}{_made_from(origin_of(model.card.config))}"
    pairs = [model.phrases.pairs.tobytes()] if model.phrases else []  # which the rows of the table do not tell
    digest = _digest(model.table.tobytes(), model.tokenizer.to_str().encode(), *pairs)
    return Encoder(name, what, model.encode, model.dim, model.table.nbytes, digest)


def _bundle(name: str, folder: Path, precision: str) -> Encoder:
    model = EdgeModel.from_pretrained(folder, precision=precision or None, provider="cpu")
    bundle = open_bundle(folder)
    graph = bundle.graphs[model.graph, model.precision]
    what = f"onnxruntime {model.provider}, {model.graph} {model.precision}{_made_from(origin_of(bundle.config))}"
    digest = _digest(graph.read_bytes(), (bundle.folder / "tokenizer.json").read_bytes())
    return Encoder(name, what, model.encode, model.dim, graph.stat().st_size, digest)


def _made_from(origin: dict[str, str]) -> str:
    return f", recipe {origin['recipe_fingerprint']}" if origin.get("recipe_fingerprint") else ""


def _sentence_transformer(name: str) -> Encoder:
    require("sentence_transformers", extra="evaluate,mteb", purpose=f"evaluating {name}")
    import sentence_transformers
    import torch

    short = name.removeprefix(ST)
    with _of_others(f"sentence-transformers does not load {short!r}"):
        model = sentence_transformers.SentenceTransformer(short)

    def encode(texts: Sequence[str]) -> np.ndarray:
        with _of_others(f"sentence-transformers does not encode with {short!r}"):
            vectors = model.encode(list(texts), batch_size=ST_BATCH, convert_to_numpy=True, show_progress_bar=False)
            return np.asarray(vectors, np.float32)

    with _of_others(f"sentence-transformers does not tell what {short!r} holds"):
        told = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension  # renamed in 6
        dims = told()
        size = sum(value.numel() * value.element_size() for value in model.parameters())
        state = (value.detach().cpu().reshape(-1).view(torch.uint8) for value in model.state_dict().values())
        digest = _digest(*(value.numpy().tobytes() for value in state))  # as bytes: numpy knows no bfloat16
    if dims is None:
        raise ModelFormatError(f"{short} does not say how wide its vectors are")
    what = f"sentence-transformers {sentence_transformers.__version__} on {model.device}"
    return Encoder(name, what, encode, dims, size, digest)


@contextmanager
def _of_others(what: str) -> Iterator[None]:
    """Whatever another library raises on a model of another's is the model's fault, in one line.

    A panic of Rust code is no Exception.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as failure:
        reason = (str(failure).strip() or type(failure).__name__).splitlines()[0]
        refused = InputError if isinstance(failure, OSError | ValueError) else ModelFormatError
        raise refused(f"{what} ({reason})") from failure


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]
