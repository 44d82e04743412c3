"""Ray Data: a column of texts -> a column of vectors, by actors on every machine of a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_potion.bulk.embed import embed as embed_texts
from edge_potion.codes import DTYPES, Codes, DType, quantize
from edge_potion.errors import InputError, ModelFormatError, require
from edge_potion.find import MODEL_FILES, files_of, find_folder
from edge_potion.manifest import FileSum
from edge_potion.opened import EngineName, PrecisionName, ProviderName, bundle_in
from edge_potion.parcel import packed, unpacked
from edge_potion.runtime import EdgeModel
from edge_potion.tokens import check_count

if TYPE_CHECKING:
    import pyarrow as pa
    from ray import ObjectRef
    from ray.data import Dataset

__all__ = ["SentModel", "embed", "sent_model"]

# Rows that an actor gets at once. More than the window that `encode` works in is of no use to it, and their vectors
# take a few megabytes.
BATCH_ROWS = 8192
SCALE = "scale"
SENT = (*MODEL_FILES, "onnx/*.onnx")


def embed(
    dataset: Dataset,
    *,
    column: str = "text",
    model: str | Path | None = None,
    out_column: str = "vector",
    dtype: DType = "float32",
    truncate_dim: int | None = None,
    max_tokens: int | None = None,
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
        dtype: of the vectors: "float32"; "float16"; "int8", which has a column `scale` beside it, float32; "binary", as
            uint8. `edge_potion.codes.SCALE_RULE` says what each stands for.
        truncate_dim: keep the first values of each vector, as `EdgeModel.encode` does.
        max_tokens: where to cut a text; the model's own limit unless given.
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

    if dtype not in DTYPES:
        raise InputError(f"there is no dtype {dtype!r}; {', '.join(DTYPES)} are")
    check_count("batch_size", batch_size)
    check_count("max_tokens", max_tokens)
    columns = Columns(column, out_column, dtype)
    if (schema := dataset.schema(fetch_if_missing=False)) is not None:
        columns.check(schema.names, schema.types)
    sent, dim = sent_model(model, revision, precision)
    check_count("truncate_dim", truncate_dim, dim)
    fewest, most = (workers, workers) if isinstance(workers, int) else workers or (1, None)
    check_count("workers", fewest, most)
    how = {"provider": provider, "precision": precision, "engine": engine, "threads": max(1, int(num_cpus))}
    return dataset.map_batches(
        Embedder,
        fn_constructor_kwargs={
            "sent": sent,
            "how": how,
            "columns": columns,
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
    """What an actor does: batch after batch, by one model."""

    def __init__(self, sent: SentModel, how: Mapping[str, Any], columns: Columns, words: Mapping[str, Any]) -> None:
        self.model = EdgeModel.from_pretrained(sent.arrived(), **how)
        self.columns, self.words = columns, words

    def __call__(self, table: pa.Table) -> pa.Table:
        """The same rows with their vectors."""
        self.columns.check(table.schema.names, table.schema.types)
        texts = self.columns.texts_of(table)
        codes = quantize(embed_texts(self.model, texts, **self.words), self.columns.dtype)
        return self.columns.added(table, codes, texts)


@dataclass(frozen=True)
class Columns:
    """The columns that are read and made.

    Attributes:
        text: of the texts.
        vector: of the vectors; those of int8 have `SCALE` beside it.
        dtype: of the vectors.
    """

    text: str
    vector: str
    dtype: DType

    def check(self, names: Sequence[str], types: Sequence[Any]) -> None:
        """Raise InputError unless the texts are strings, and no column of that name is there yet."""
        import pyarrow as pa

        if self.text not in names:
            raise InputError(f"there is no column {self.text!r}; the dataset has {', '.join(map(repr, names))}")
        kind = types[names.index(self.text)]
        if kind not in (pa.string(), pa.large_string(), pa.string_view(), pa.null()):
            raise InputError(f"column {self.text!r} is of type {kind}; texts, as strings, were expected")
        for name in (self.vector, SCALE) if self.dtype == "int8" else (self.vector,):
            if name in names:
                raise InputError(f"the dataset has a column {name!r} already, and it is to be made; rename it")

    def texts_of(self, table: pa.Table) -> pa.Array:
        """(n,) strings in one piece, UTF-8 for sure."""
        import pyarrow as pa

        texts = table[self.text].combine_chunks()
        if texts.type == pa.null():
            return texts.cast(pa.string())
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid as failure:
            raise InputError(f"column {self.text!r} holds what is no text ({failure})") from failure
        return texts

    def added(self, table: pa.Table, codes: Codes, texts: pa.Array) -> pa.Table:
        """The table with codes of its texts; where there is none, they are null."""
        import pyarrow as pa

        is_null = texts.is_null() if texts.null_count else None
        flat = pa.array(codes.values.ravel())
        vectors = pa.FixedSizeListArray.from_arrays(flat, codes.values.shape[1], mask=is_null)
        table = table.append_column(self.vector, vectors)
        if codes.scales is None:
            return table
        mask = None if is_null is None else is_null.to_numpy(zero_copy_only=False)
        return table.append_column(SCALE, pa.array(codes.scales, mask=mask))


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


def sent_model(model: str | Path | None, revision: str | None, precision: str | None) -> tuple[SentModel, int]:
    """A model on its way, and the width of its vectors."""
    import ray

    folder = find_folder(model, revision)
    bundle = bundle_in(folder, precision or "int8")
    if folder == find_folder(None):
        return SentModel("", [], bundle.sums), bundle.dim
    parcel = packed(bundle.folder, files_of(bundle.folder, SENT))
    return SentModel(parcel.digest, [ray.put(parcel.contents)], {}), bundle.dim
