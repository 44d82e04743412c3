"""Write a bundle, run it, and refuse it when it strays from the oracle."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

import edge_potion
from edge_potion.bundle import GRAPHS, PRECISIONS, Bundle, graph_file, is_bundle, open_bundle
from edge_potion.errors import InputError, ModelFormatError, require
from edge_potion.folders import origin_of, refuse_unwritable, written_whole
from edge_potion.golden import Golden, check_parity
from edge_potion.manifest import write_manifest
from edge_potion.progress import unfailing_stderr
from edge_potion.runtime import EdgeModel
from edge_potion.static_model import StaticModel, write_model_files
from edge_potion.tokens import check_count

from .golden import golden_of, write_golden
from .mobile import FIXED, fixed_graph, write_mobile
from .model_card import bundle_card
from .pooling import Pooling
from .quantize import PackedTable, file_tensors, pack
from .text_graph import text_graph
from .text_tables import characters_of, pieces_of
from .token_graph import bag_graph, tokens_graph

__all__ = ["export"]

log = logging.getLogger("edge_potion")

LONGEST_FIXED = 8192  # tokens of a graph of fixed shape: more is no phone's
LARGEST_GRAPH_BYTES = 2**31 - 2**24  # protobuf's limit, less room for the nodes: every graph is one file


@unfailing_stderr()
def export(
    model: StaticModel | str | Path,
    out: str | Path,
    *,
    quantize: str | Sequence[str] = ("int8",),
    graphs: str | Sequence[str] = "all",
    token_embeddings: bool = False,
    mobile_tokens: int | None = None,
    revision: str | None = None,
) -> Bundle:
    """Write a bundle: a model folder with ONNX graphs, replacing an older one of that name as a whole.

    Args:
        model: a StaticModel, or what `StaticModel.from_pretrained` takes.
        out: the bundle's folder.
        quantize: precisions, "int8", "float16", "float32"; model.safetensors holds the first.
        graphs: "text", "bag", "tokens"; "all" leaves the text graph out, and says so, where the tokenizer is none that
            it can hold.
        token_embeddings: give the tokens graph a second output with the vector of each token, which the pipelines
            of transformers.js need (it makes that graph about three times slower).
        mobile_tokens: add the folder `mobile/`: .ort files, what a build of ONNX Runtime for them needs, and a graph of
            fixed shape that takes one text of so many tokens; None leaves it out.
        revision: branch, tag or commit, when `model` is a hub id.

    Returns:
        The bundle, run over the golden texts and within tolerance of the oracle.

    Raises:
        InputError: an unknown precision or graph, no such model, or a folder that cannot be written.
        ModelFormatError: the model cannot be read, or is too large for one ONNX file.
        ParityError: the exported graphs stray from the oracle; nothing is left behind.
        MissingExtraError: onnxruntime is not installed.
    """
    wants_all = graphs == "all"
    quantize, graphs = (
        [names] if isinstance(names, str) else list(names)
        for names in (quantize, tuple(GRAPHS) if wants_all else graphs)
    )
    check_count("mobile_tokens", mobile_tokens, LONGEST_FIXED)
    _check_choices("precision", quantize, list(PRECISIONS))
    _check_choices("graph", graphs, list(GRAPHS))
    require("onnxruntime", extra="cpu,export", purpose="exporting (a bundle is run before it is handed out)")
    out = refuse_unwritable(Path(out))
    is_itself = not isinstance(model, StaticModel) and out == Path(model).expanduser().resolve()
    if is_itself or ((out / "model.safetensors").is_file() and not is_bundle(out)):
        raise InputError(f"{out} is a model, whose table would be replaced by a rounded one; name another folder")
    if not isinstance(model, StaticModel):
        model = StaticModel.from_pretrained(model, revision)
    if "text" in graphs:
        try:
            pieces_of(model.tokenizer)
            characters_of(model.tokenizer)
        except ModelFormatError as reason:
            if not wants_all:
                raise
            log.warning("without the graph that starts from text: %s", reason)
            graphs.remove("text")
    golden = golden_of(model)
    with written_whole(out) as folder:
        packed = {precision: pack(model.table, precision) for precision in quantize}
        write_model_files(folder, _with_bundle_config(model), file_tensors(model.table, quantize[0]))
        (folder / "onnx").mkdir()
        for precision, table in packed.items():
            for graph in graphs:
                made = _graph(graph, model, table, token_embeddings)
                onnx.save(made, folder / graph_file(graph, precision))
        _write_tokenizer_companions(folder, model)
        write_golden(golden, folder, quantize, model.card.max_tokens)
        _run(folder, model, golden, quantize, graphs)
        if mobile_tokens is not None:
            fixed = {
                precision: fixed_graph(
                    Pooling(table, model.dropped_ids, model.card.normalize),
                    _metadata(model, FIXED, precision) | {"max_tokens": str(mobile_tokens)},
                    mobile_tokens,
                )
                for precision, table in packed.items()
            }
            write_mobile(folder, model, fixed, graphs, mobile_tokens)
        sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(folder.rglob("*.*"))}
        sizes.pop("README.md", None)  # the card of the model that was exported; the next line replaces it
        (folder / "README.md").write_text(bundle_card(model, sizes), encoding="utf-8")
        write_manifest(folder)
    return open_bundle(out)


def _check_choices(kind: str, chosen: Sequence[str], known: list[str]) -> None:
    for name in chosen:
        if name not in known:
            raise InputError(f"there is no {kind} {name!r}; choose from {', '.join(known)}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"name each {kind} once, and at least one of {', '.join(known)}")


def _graph(graph: str, model: StaticModel, packed: PackedTable, token_embeddings: bool) -> onnx.ModelProto:
    if packed.rows.nbytes > LARGEST_GRAPH_BYTES:
        raise ModelFormatError(
            f"a {packed.precision} table of {packed.rows.nbytes / 1e9:.1f} GB does not fit into one ONNX file (2 GB); "
            "export at int8 or float16, or with fewer dimensions"
        )
    pooling = Pooling(packed, model.dropped_ids, model.card.normalize)
    builders: dict[str, Callable[[], onnx.ModelProto]] = {
        "text": lambda: text_graph(
            pooling, model.tokenizer, model.card.max_tokens, _metadata(model, "text", packed.precision)
        ),
        "bag": lambda: bag_graph(pooling, _metadata(model, "bag", packed.precision)),
        "tokens": lambda: tokens_graph(
            pooling, _metadata(model, "tokens", packed.precision), token_embeddings=token_embeddings
        ),
    }
    return builders[graph]()


def _metadata(model: StaticModel, graph: str, precision: str) -> dict[str, str]:
    """The card, as metadata_props: what a lone .onnx file says of itself."""
    origin = origin_of(model.card.config)
    return {
        "name": Path(model.card.name).name,
        **{key: origin.get(key, "") for key in ("teacher", "teacher_revision", "recipe_fingerprint")},
        "graph": graph,
        "precision": precision,
        "tokens": str(model.tokenizer.get_vocab_size()),
        "normalize": json.dumps(model.card.normalize),
        "max_tokens": json.dumps(model.card.max_tokens),
        "edge_potion_version": edge_potion.__version__,
    }


def _with_bundle_config(model: StaticModel) -> StaticModel:
    """fastembed and transformers.js read `pad_token_id` from config.json; its row counts for nothing."""
    config = {**model.card.config, "pad_token_id": model.pad_id or 0}
    return replace(model, card=replace(model.card, config=config))


def _write_tokenizer_companions(folder: Path, model: StaticModel) -> None:
    """tokenizer_config.json and special_tokens_map.json, without which fastembed and transformers.js load nothing."""
    names = {
        key: model.tokenizer.id_to_token(token)
        for key, token in (("pad_token", model.pad_id), ("unk_token", model.unk_id))
        if token is not None
    }
    limit = model.card.max_tokens or 1_000_000_000  # "no limit" has no word there
    companions: dict[str, dict[str, Any]] = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": limit,
            **names,
        },
        "special_tokens_map.json": names,
    }
    for name, content in companions.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _run(folder: Path, model: StaticModel, golden: Golden, precisions: Sequence[str], graphs: Sequence[str]) -> None:
    """Run every graph over the golden texts, on the CPU, and hold it to the oracle."""
    for graph in graphs:
        if graph == "text":  # NUL stands between its texts, and never in one
            golden = golden_of(model, without_nul=True)
        for precision in precisions:
            runner = EdgeModel.from_pretrained(folder, provider="cpu", precision=precision, graph=graph)
            check_parity(golden, runner.encode(golden.texts), precision, f"{graph} at {precision}")
