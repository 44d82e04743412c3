"""Arrow strings -> vectors: in the native engine from where they lie; equal ones once where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.engine import Engine
from edge_potion.unit_length import shortened

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["embed"]


def embed(
    model: EdgeModel,
    texts: Any,
    *,
    max_tokens: int | None = None,
    truncate_dim: int | None = None,
    equal_once: bool = False,
    batch_size: int | None = None,
) -> np.ndarray:
    """Vectors of an Arrow array of strings, as `EdgeModel.encode` gives them, in the same bits.

    Args:
        model: an open one.
        texts: (n,) string, large_string or string_view, UTF-8 that was checked; a chunk, not a chunked array.
        max_tokens: where to cut a text; None for the model's own limit.
        truncate_dim: first values of each vector that are kept; None for all.
        equal_once: look for equal texts, and embed each once.
        batch_size: most texts that share an ONNX Runtime call; None for the usual.

    Returns:
        (n, D) float32; zeros where a text is null.
    """
    import pyarrow as pa

    if pa.types.is_string_view(texts.type):
        texts = texts.cast(pa.large_string())
    if equal_once and len(texts):
        coded = texts.dictionary_encode("encode")  # null is a value there, too
        values, places = coded.dictionary, coded.indices.to_numpy()
        if len(values) < len(texts):
            return _vectors(model, values, max_tokens, truncate_dim, batch_size)[places]
    return _vectors(model, texts, max_tokens, truncate_dim, batch_size)


def _vectors(
    model: EdgeModel, texts: Any, max_tokens: int | None, truncate_dim: int | None, batch_size: int | None
) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = texts.is_null() if texts.null_count else None
    prompt = model.bundle.prompt
    if prompt:
        texts = pc.binary_join_element_wise(pa.scalar(prompt, texts.type), texts, pa.scalar("", texts.type))
    if texts.null_count:
        texts = texts.fill_null("")
    engine = model.native
    limit = model.bundle.max_tokens if max_tokens is None else max_tokens
    if engine is None:
        options: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size}
        vectors = model.encode(texts.to_pylist(), prompt="", max_tokens=limit, **options)
    else:
        vectors = _in_engine(engine, texts, limit)
    if missing is not None:
        vectors[missing.to_numpy(zero_copy_only=False)] = 0  # a prompt alone has a vector
    return shortened(vectors, truncate_dim, model.bundle.normalize)


def _in_engine(engine: Engine, texts: Any, limit: int | None) -> np.ndarray:
    if not len(texts):
        return np.empty((0, engine.dim), np.float32)
    wide = str(texts.type) == "large_string"
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64 if wide else np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return engine.encode_utf8(data.address if data else 0, ends.astype(np.int64), limit)
