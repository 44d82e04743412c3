"""Write a bundle, run it, and refuse it when it strays from the oracle."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import edge_potion
from edge_potion.bundle import GRAPHS, PRECISIONS, Bundle, graph_file, is_bundle, open_bundle
from edge_potion.errors import InputError, ModelFormatError, ParityError, require
from edge_potion.find import origin_of
from edge_potion.golden import Golden, check_parity
from edge_potion.manifest import write_manifest
from edge_potion.ort_files import FIXED, LONGEST_FIXED
from edge_potion.progress import unfailing_stderr
from edge_potion.runtime import EdgeModel
from edge_potion.static_model import StaticModel, write_model_files
from edge_potion.tokens import check_count
from edge_potion.writing import refuse_unwritable, written_whole

from .card import bundle_card, model_name, without_folders
from .make_golden import golden_of, write_golden
from .mobile import fixed_graph, write_mobile
from .pooling import Pooling
from .quantize import PackedTable, file_tensors, pack, row_agreement
from .reachable import reachable_rows
from .text_graph import text_graph
from .text_tables import characters_of, pieces_of
from .token_graph import bag_graph, tokens_graph

__all__ = ["export"]

log = logging.getLogger("edge_potion.export")

LARGEST_GRAPH_BYTES = 2**31 - 2**24  # protobuf's limit, less room for the nodes: every graph is one file


@unfailing_stderr()
def export(
    model: StaticModel | str | Path,
    out: str | Path,
    *,
    quantize: str | Sequence[str] = ("int8",),
    graphs: str | Sequence[str] = "all",
    token_embeddings: bool = False,
    mobile: bool = False,
    max_tokens: int = 128,
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
        mobile: add the folder `mobile/`: .ort files, what a build of ONNX Runtime for them needs, and a graph of fixed
            shape that takes one text of `max_tokens` tokens.
        max_tokens: how many tokens that graph takes.
        revision: branch, tag or commit, when `model` is a hub id.

    Returns:
        The bundle, within tolerance of the oracle on the golden texts and on every token that a text can have; its
        `remarks` say, a line each, what is not in it.

    Raises:
        InputError: an unknown precision or graph, no such model, or a folder that cannot be written.
        ModelFormatError: the model cannot be read, or is too large for one ONNX file.
        ParityError: the exported graphs stray from the oracle, or a row of the table cannot be held at a precision;
            nothing is left behind.
        MissingExtraError: onnxruntime is not installed.
    """
    wants_all = graphs == "all"
    quantize, graphs = (
        [names] if isinstance(names, str) else list(names)
        for names in (quantize, tuple(GRAPHS) if wants_all else graphs)
    )
    check_count("max_tokens", max_tokens, LONGEST_FIXED)
    _check_choices("precision", quantize, list(PRECISIONS))
    _check_choices("graph", graphs, list(GRAPHS))
    require("onnxruntime", extra="cpu,export", purpose="exporting (a bundle is run before it is handed out)")
    out = refuse_unwritable(Path(out))
    is_itself = not isinstance(model, StaticModel) and out == Path(model).expanduser().resolve()
    if is_itself or ((out / "model.safetensors").is_file() and not is_bundle(out)):
        raise InputError(f"{out} is a model, whose table would be replaced by a rounded one; name another folder")
    is_folder = not isinstance(model, StaticModel) and Path(model).expanduser().is_dir()
    if not isinstance(model, StaticModel):
        model = StaticModel.from_pretrained(model, revision=revision)
    model = _as_shipped(model, model_name(model.card, has_own_name=not is_folder))
    remarks = []
    if "text" in graphs:
        try:
            pieces_of(model.tokenizer)
            characters_of(model.tokenizer)
        except ModelFormatError as reason:
            if not wants_all:
                raise
            remarks.append(f"without the graph that starts from text: {reason}")
            graphs.remove("text")
    remarks += _of_rounded_values(model, quantize)
    if model.card.prompt:
        remarks.append(f"its graphs take texts with the prompt {model.card.prompt!r} before them, as EdgeModel puts it")
    for remark in remarks:
        log.warning("%s", remark)
    golden = golden_of(model)
    reachable = reachable_rows(model)
    with written_whole(out) as folder:
        packed = {precision: pack(model.table, precision, reachable, model.card.normalize) for precision in quantize}
        for table in packed.values():
            _hold_rows(model, table, reachable)
        write_model_files(folder, model, file_tensors(model.table, quantize[0]))
        (folder / "onnx").mkdir()
        for precision, table in packed.items():
            for graph in graphs:
                made = _graph(graph, model, table, token_embeddings)
                onnx.save(made, folder / graph_file(graph, precision))
        _write_tokenizer_companions(folder, model)
        write_golden(golden, folder, quantize, model.card.max_tokens)
        _run(folder, golden, quantize, graphs)
        if mobile:
            fixed = {
                precision: fixed_graph(
                    Pooling(table, model.dropped_ids, model.card.normalize),
                    _metadata(model, FIXED, precision) | {"max_tokens": str(max_tokens)},
                    max_tokens,
                )
                for precision, table in packed.items()
            }
            write_mobile(folder, model, fixed, graphs, max_tokens)
        sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(folder.rglob("*.*"))}
        sizes.pop("README.md", None)  # the card of the model that was exported; the next line replaces it
        (folder / "README.md").write_text(bundle_card(model, sizes, remarks), encoding="utf-8")
        write_manifest(folder)
    return replace(open_bundle(out), remarks=tuple(remarks))


def _as_shipped(model: StaticModel, name: str) -> StaticModel:
    """The model as a bundle tells of it: under a name of its own, and with no path of the machine that exports it.

    fastembed and transformers.js read `pad_token_id` from config.json; its row counts for nothing.
    """
    config = {"tokenizer_name": name, **model.card.config, "pad_token_id": model.pad_id or 0}
    config["tokenizer_name"] = without_folders(config["tokenizer_name"])
    if isinstance(origin := config.get("edge_potion"), dict) and "teacher" in origin:
        config["edge_potion"] = {**origin, "teacher": without_folders(origin["teacher"])}
    return replace(model, card=replace(model.card, name=name, config=config))


def _of_rounded_values(model: StaticModel, precisions: Sequence[str]) -> list[str]:
    """One line where a graph is finer than the table that it is made from."""
    held = model.card.config.get("embedding_dtype")
    order = list(PRECISIONS)
    finer = order[order.index(held) + 1 :] if held in order else []
    if not (names := [precision for precision in precisions if precision in finer]):
        return []
    table = f"{'an' if held == 'int8' else 'a'} {held} table"
    return [f"the graphs at {' and '.join(names)} hold the values of {table}, which was rounded when it was made"]


def _hold_rows(model: StaticModel, packed: PackedTable, reachable: np.ndarray) -> None:
    """Hold every row that a text can reach to the oracle, as the text of that one token.

    Raises:
        ParityError: one strays; names the worst.
    """
    agreement = row_agreement(model.table, packed, model.card.normalize)
    strays = np.flatnonzero(reachable & ~agreement.is_held)
    if not len(strays):
        return
    worst = int(strays[np.lexsort((-agreement.lengths[strays], agreement.cosines[strays]))[0]])
    share = float(np.abs(model.table[worst]).max() / (np.abs(model.table[reachable]).max() or 1))
    raise ParityError(
        f"the table at {packed.precision} strays from the oracle in {len(strays)} rows: worst is the token "
        f"{str(model.tokenizer.id_to_token(worst))[:40]!r} (row {worst}, {share:.1g} of the largest), with a cosine of "
        f"{agreement.cosines[worst]:.6f} and a length off by {agreement.lengths[worst]:.2g}; export with --quantize "
        f"{'float16' if packed.precision == 'int8' else 'none'}, or train the row"
    )


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
        "name": model.card.name,
        **{key: origin.get(key, "") for key in ("teacher", "teacher_revision", "recipe_fingerprint")},
        "graph": graph,
        "precision": precision,
        "tokens": str(model.tokenizer.get_vocab_size()),
        "normalize": json.dumps(model.card.normalize),
        "max_tokens": json.dumps(model.card.max_tokens),
        **({"prompt": model.card.prompt} if model.card.prompt else {}),
        "edge_potion_version": edge_potion.__version__,
    }


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


def _run(folder: Path, golden: Golden, precisions: Sequence[str], graphs: Sequence[str]) -> None:
    """Run every graph over the golden texts, on the CPU, and hold it to the oracle."""
    for graph in graphs:
        for precision in precisions:
            runner = EdgeModel.from_pretrained(folder, provider="cpu", precision=precision, graph=graph)
            check_parity(golden, runner.encode(golden.texts, prompt=""), precision, f"{graph} at {precision}")
