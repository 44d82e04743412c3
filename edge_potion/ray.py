"""Ray Data: a column of texts -> a column of vectors, by actors on every machine of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.errors import InputError, ModelFormatError, require
from edge_potion.find import MODEL_FILES, files_of, find_folder
from edge_potion.manifest import FileSum
from edge_potion.opened import EngineName, PrecisionName, ProviderName, bundle_in
from edge_potion.parcel import packed, unpacked
from edge_potion.runtime import EdgeModel
from edge_potion.tokens import UNSET, Unset, check_count

if TYPE_CHECKING:
    import pyarrow as pa
    from ray import ObjectRef
    from ray.data import Dataset

__all__ = ["embed"]

# Rows that an actor gets at once. More than the window that `encode` works in is of no use to it, and their vectors
# take a few megabytes.
BATCH_ROWS = 8192
SENT = (*MODEL_FILES, "onnx/*.onnx")


def embed(
    dataset: Dataset,
    *,
    column: str = "text",
    model: str | Path | None = None,
    out_column: str = "vector",
    dtype: str = "float32",
    truncate_dim: int | None = None,
    max_tokens: int | Unset | None = UNSET,
    batch_size: int = BATCH_ROWS,
    workers: int | tuple[int, int] | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    provider: ProviderName | tuple[str, Mapping[str, Any]] = "auto",
    precision: PrecisionName | None = None,
    engine: EngineName = "auto",
    revision: str | None = None,
) -> Dataset:
    """A dataset with the vectors of its texts beside all that it holds; nothing runs before it is read or written.

    A row's vector is the same whatever machine makes it, and whichever fail meanwhile: Ray gives what was lost to
    others. The rows may come in another order; `preserve_order` of Ray's execution options keeps it. The workers need
    edge-potion, and no shared folder: a model other than the built-in one is sent to each machine once.

    Args:
        dataset: with a column of strings. A null gets a null vector.
        column: of the texts.
        model: a folder or hub id as in `EdgeModel.from_pretrained`, found here; by default the built-in model.
        out_column: of the vectors, a fixed_size_list.
        dtype: "float32".
        truncate_dim, max_tokens: as in `EdgeModel.encode`.
        batch_size: most rows that an actor embeds at once.
        workers: how many actors; (fewest, most) lets Ray have more of them while it pays off; None is from one to as
            many as the cluster has room for.
        num_cpus: of each actor, which embeds with as many threads.
        num_gpus: of each actor.
        provider, precision, engine, revision: as in `EdgeModel.from_pretrained`.

    Raises:
        InputError: there is no such model or column, it holds no strings, or an argument is out of range. What is known
            only when it runs comes as Ray's RayTaskError, which names the column too.
        ModelFormatError: a file of the model is missing, truncated or foreign.
        MissingExtraError: ray is not installed.
    """
    require("ray", "pyarrow", extra="ray", purpose="embedding on Ray")
    from ray.data import ActorPoolStrategy

    check_count("batch_size", batch_size)
    schema = dataset.schema(fetch_if_missing=False)
    if schema is not None:
        _check_columns(dict(zip(schema.names, schema.types, strict=True)), column, out_column)
    sent, dim = _sent(model, revision, precision)
    check_count("truncate_dim", truncate_dim, dim)
    fewest, most = (workers, workers) if isinstance(workers, int) else workers or (1, None)
    how = {"provider": provider, "precision": precision, "engine": engine, "threads": max(1, int(num_cpus))}
    return dataset.map_batches(
        Embedder,
        fn_constructor_kwargs={
            "sent": sent,
            "how": how,
            "column": column,
            "out_column": out_column,
            "words": {"truncate_dim": truncate_dim, "max_tokens": max_tokens},
        },
        compute=ActorPoolStrategy(min_size=fewest, max_size=most),
        batch_size=batch_size,
        batch_format="pyarrow",
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        udf_modifying_row_count=False,
    )


class Embedder:
    """What an actor does: batch after batch of one model's."""

    def __init__(
        self, sent: SentModel, how: Mapping[str, Any], column: str, out_column: str, words: Mapping[str, Any]
    ) -> None:
        self.model = EdgeModel.from_pretrained(sent.arrived(), **how)
        self.column, self.out_column, self.words = column, out_column, words

    def __call__(self, table: pa.Table) -> pa.Table:
        """The same rows with their vectors."""
        _check_columns(dict(zip(table.schema.names, table.schema.types, strict=True)), self.column, self.out_column)
        vectors = _vectors(self.model, self._texts(table), self.words)
        return table.append_column(self.out_column, vectors)

    def _texts(self, table: pa.Table) -> list[str | None]:
        try:
            return table[self.column].to_pylist()
        except UnicodeDecodeError as failure:
            raise InputError(f"column {self.column!r} holds a text that is not UTF-8 ({failure})") from failure


@dataclass(frozen=True)
class SentModel:
    """How a model reaches a worker.

    Attributes:
        digest: of the folder that is sent; "" for the built-in model, which is there.
        parcel: what is in that folder, in Ray's object store; in a list, so that it is fetched only where it is needed.
        built_in: what the built-in model's files are here.
    """

    digest: str
    parcel: list[ObjectRef]
    built_in: Mapping[str, FileSum]

    def arrived(self) -> Path | None:
        """The model's folder on this machine; None for the built-in one.

        Raises:
            ModelFormatError: this machine has another version of edge-potion, with another built-in model.
        """
        import ray

        if self.digest:
            return unpacked(self.digest, lambda: ray.get(self.parcel[0]))
        if bundle_in(find_folder(None), "int8").sums != self.built_in:
            raise ModelFormatError(
                "a worker's built-in model is not that of the machine which sent the work; install one version of "
                "edge-potion everywhere"
            )
        return None


def _sent(model: str | Path | None, revision: str | None, precision: str | None) -> tuple[SentModel, int]:
    """A model on its way, and the width of its vectors."""
    import ray

    folder = find_folder(model, revision)
    bundle = bundle_in(folder, precision or "int8")
    if folder == find_folder(None):
        return SentModel("", [], bundle.sums), bundle.dim
    parcel = packed(bundle.folder, files_of(bundle.folder, SENT))
    return SentModel(parcel.digest, [ray.put(parcel.contents)], {}), bundle.dim


def _check_columns(types: Mapping[str, Any], column: str, out_column: str) -> None:
    import pyarrow as pa

    if column not in types:
        raise InputError(f"there is no column {column!r}; the dataset has {', '.join(map(repr, types))}")
    kind = types[column]
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise InputError(f"column {column!r} is of type {kind}; texts, as strings, were expected")
    if out_column in types:
        raise InputError(f"there is a column {out_column!r} already; name another for the vectors")


def _vectors(model: EdgeModel, texts: list[str | None], words: Mapping[str, Any]) -> pa.Array:
    import pyarrow as pa

    is_null = np.array([text is None for text in texts], bool)
    found = model.encode([text for text in texts if text is not None], **words)  # (n, D) f32, of those that are texts
    values = np.zeros((len(texts), found.shape[1]), np.float32)  # (N, D)
    values[~is_null] = found
    flat = pa.array(values.ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=pa.array(is_null) if is_null.any() else None)
