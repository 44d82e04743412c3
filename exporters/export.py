"""Write a bundle, run it, and refuse it when it strays from the oracle."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edge_potion.bundle import GRAPHS, PRECISIONS, Bundle, is_bundle, open_bundle
from edge_potion.engine import absent
from edge_potion.errors import InputError, ModelFormatError, ParityError, require
from edge_potion.find import BUILT_IN_FOLDER, MODEL_FILES, WITHOUT_PHRASES, find_folder, read_json
from edge_potion.golden import Golden, check_parity
from edge_potion.golden_head import check_decisions
from edge_potion.golden_runs import head_outputs
from edge_potion.head_in_graph import HEAD_GRAPHS
from edge_potion.manifest import write_manifest
from edge_potion.ort_files import FIXED, LONGEST_FIXED
from edge_potion.phrases_told import phrases_told
from edge_potion.progress import unfailing_stderr
from edge_potion.runtime import EdgeModel
from edge_potion.static_model import StaticModel, write_model_files
from edge_potion.tokens import check_count
from edge_potion.writing import refuse_unwritable, written_whole

from .card import bundle_card, model_name, without_folders
from .graphs import Plan, build_graph, file_of
from .head import pack_head
from .make_golden import golden_of, write_golden
from .mobile import write_mobile
from .phrase_rows import phrase_table
from .quantize import PackedTable, file_tensors, pack, row_agreement
from .reachable import reachable_rows
from .text_family import family_of

__all__ = ["export"]

UNQUANTIZED = "none"  # quantize="none": what people say for float32
# In config.json of a classifier's bundle. transformers.js (4.3) takes models for text-classification by `model_type`
# alone, and none called model2vec; by this one it feeds input_ids and attention_mask to onnx/model*.onnx, and takes
# logits. The transformers of Python would make a BERT of random weights by it, and answer; it fails at this activation
# instead, and says its name. Nothing else reads either key: model2vec and sentence-transformers go by others.
FOR_TRANSFORMERS_JS = {
    "model_type": "bert",
    "hidden_act": "none: static vectors and a head by edge-potion, which transformers.js runs and transformers cannot",
}

log = logging.getLogger("edge_potion.export")


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
    without_phrases: bool = False,
) -> Bundle:
    """Write a bundle: a model folder with ONNX graphs, replacing an older one of that name as a whole.

    Args:
        model: a StaticModel, or what `StaticModel.from_pretrained` takes.
        out: the bundle's folder.
        quantize: precisions, "int8", "float16", "float32" ("none" means it too); model.safetensors holds the first.
        graphs: "text", "bag", "tokens"; "all" leaves the text graph out, and says so, where the tokenizer is none that
            it can hold.
        token_embeddings: give the tokens graph a second output with the vector of each token, which the pipelines
            of transformers.js need (it makes that graph about three times slower).
        mobile: add the folder `mobile/`: .ort files, what a build of ONNX Runtime for them needs, and a graph of fixed
            shape that takes one text of `max_tokens` tokens.
        max_tokens: how many tokens that graph takes.
        revision: branch, tag or commit, when `model` is a hub id.
        without_phrases: of a model with phrases take the one that was trained beside it without any, which Model2Vec
            and sentence-transformers load, too.

    Returns:
        The bundle, within tolerance of the oracle on the golden texts and on every token that a text can have; its
        `remarks` say, a line each, what is not in it.

    Raises:
        InputError: an unknown precision or graph, no such model, none without phrases, or a folder that cannot be
            written.
        ModelFormatError: the model cannot be read, or is too large for one ONNX file.
        ParityError: the exported graphs stray from the oracle, or a row of the table cannot be held at a precision;
            nothing is left behind.
        MissingExtraError: onnxruntime is not installed.
    """
    wants_all = graphs == "all"
    words = [quantize] if isinstance(quantize, str) else list(quantize)
    precisions = ["float32" if word == UNQUANTIZED else word for word in words]
    names = list(GRAPHS) if wants_all else [graphs] if isinstance(graphs, str) else list(graphs)
    check_count("max_tokens", max_tokens, LONGEST_FIXED)
    _check_choices("precision", precisions, list(PRECISIONS))
    _check_choices("graph", names, list(GRAPHS))
    require("onnxruntime", extra="cpu,export", purpose="exporting (a bundle is run before it is handed out)")
    out = _refuse_models(Path(out), model)
    if without_phrases:
        model, revision = _without_phrases(model, revision), None
    shipped = _as_shipped(model, revision)

    remarks = [*_of_rounded_values(shipped, precisions), *_of_prompt(shipped)]
    tables = None
    if "text" in names:
        try:
            tables = family_of(shipped.tokenizer)
        except ModelFormatError as reason:
            if not wants_all:
                raise
            remarks.insert(0, f"without the graph that starts from text: {reason}")
            names.remove("text")
    if shipped.head and not set(names) & set(HEAD_GRAPHS):
        remarks.append(f"without the classifier's head, which the graphs {' and '.join(HEAD_GRAPHS)} hold")
    if token_embeddings and shipped.phrases and not shipped.card.normalize:
        raise InputError(
            f"{shipped.card.name} has phrases, and vectors of any length: a mean of its tokens' vectors and phrases "
            "would be longer than the text's vector; export it without token embeddings"
        )
    for remark in remarks:
        log.warning("%s", remark)
    head = pack_head(shipped.head) if shipped.head else None
    phrases = phrase_table(shipped.phrases) if shipped.phrases else None
    every = names + [FIXED] * mobile
    plan = Plan(shipped, precisions, every, tables, phrases, head, token_embeddings, max_tokens, remarks)

    golden, reachable = golden_of(shipped), reachable_rows(shipped)
    with written_whole(out) as folder:
        packed = [pack(shipped.table, precision, reachable, shipped.card.normalize) for precision in precisions]
        for table in packed:
            _hold_rows(shipped, table, reachable)
        tensors = file_tensors(shipped.table, precisions[0])
        write_model_files(folder, shipped, tensors, FOR_TRANSFORMERS_JS if shipped.head else {})
        _write_tokenizer_companions(folder, shipped)
        write_golden(golden, folder, precisions, shipped.card.max_tokens)
        for table in packed:
            for graph in plan.graphs:
                file = folder / file_of(graph, table.precision)
                file.parent.mkdir(exist_ok=True)
                onnx.save(build_graph(plan, graph, table), file)
        _run(folder, golden, precisions, names)
        if mobile:
            write_mobile(folder, plan)
        sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(folder.rglob("*.*"))}
        sizes.pop("README.md", None)  # the card of the model that was exported; the next line replaces it
        (folder / "README.md").write_text(bundle_card(shipped, sizes, remarks), encoding="utf-8")
        write_manifest(folder)
    return replace(open_bundle(out), remarks=tuple(remarks))


def _check_choices(kind: str, chosen: Sequence[str], known: list[str]) -> None:
    for name in chosen:
        if name not in known:
            raise InputError(f"there is no {kind} {name!r}; choose from {', '.join(known)}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"name each {kind} once, and at least one of {', '.join(known)}")


def _refuse_models(out: Path, model: StaticModel | str | Path) -> Path:
    """The absolute path of the bundle's folder; InputError where a model of full precision would be replaced."""
    out = refuse_unwritable(out)
    is_itself = not isinstance(model, StaticModel) and out == Path(model).expanduser().resolve()
    if is_itself or ((out / "model.safetensors").is_file() and not is_bundle(out)):
        raise InputError(f"{out} is a model, whose table would be replaced by a rounded one; name another folder")
    return out


def _without_phrases(model: StaticModel | str | Path, revision: str | None) -> Path:
    """The folder of the model that was trained without phrases beside one with them."""
    if isinstance(model, StaticModel):
        raise InputError("a StaticModel holds itself alone; name the folder that holds one without phrases too")
    folder = find_folder(model, revision, (*MODEL_FILES, f"{WITHOUT_PHRASES}/*"))
    file = folder / "config.json"
    if not (file.is_file() and phrases_told(read_json(file), file)):
        raise InputError(f"{folder} has no phrases; export it as it is")
    if folder.parent == BUILT_IN_FOLDER:
        raise InputError(
            f"{folder.name} comes with its phrases alone; edge-potion train --recipe potion-256d-minilm makes a model "
            "without any, which Model2Vec and sentence-transformers load"
        )
    if not (folder / WITHOUT_PHRASES).is_dir():
        raise InputError(
            f"{folder} holds no {WITHOUT_PHRASES}/, a model of its tokens that was trained without phrases: name the "
            "model's own folder, which is no bundle, or train one"
        )
    return folder / WITHOUT_PHRASES


def _as_shipped(model: StaticModel | str | Path, revision: str | None) -> StaticModel:
    """The model as a bundle tells of it: under a name of its own, and with no path of the machine that exports it.

    fastembed and transformers.js read `pad_token_id` from config.json; its row counts for nothing.
    """
    is_folder = not isinstance(model, StaticModel) and Path(model).expanduser().is_dir()
    if not isinstance(model, StaticModel):
        model = StaticModel.from_pretrained(model, revision=revision)
    name = model_name(model.card, has_own_name=not is_folder)
    config = {"tokenizer_name": name, **model.card.config, "pad_token_id": model.pad_id or 0}
    config["tokenizer_name"] = without_folders(config["tokenizer_name"])
    if isinstance(origin := config.get("edge_potion"), dict):
        config["edge_potion"] = _without_folders(origin)
    return replace(model, card=replace(model.card, name=name, config=config))


def _without_folders(origin: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a model's teachers, with no path of the machine that trained it."""
    named: dict[str, Any] = {"teacher": without_folders(origin["teacher"])} if "teacher" in origin else {}
    if isinstance(others := origin.get("others"), list):
        named["others"] = [_without_folders(each) for each in others if isinstance(each, dict)]
    return {**origin, **named}


def _of_rounded_values(model: StaticModel, precisions: Sequence[str]) -> list[str]:
    """One line where a graph is finer than the table that it is made from."""
    held = model.card.config.get("embedding_dtype")
    order = list(PRECISIONS)
    finer = order[order.index(held) + 1 :] if held in order else []
    if not (names := [precision for precision in precisions if precision in finer]):
        return []
    table = f"{'an' if held == 'int8' else 'a'} {held} table"
    return [f"the graphs at {' and '.join(names)} hold the values of {table}, which was rounded when it was made"]


def _of_prompt(model: StaticModel) -> list[str]:
    """One line where the graphs alone do not do what EdgeModel does."""
    prompt = model.card.prompt
    return [f"its graphs take texts with the prompt {prompt!r} before them, as EdgeModel puts it"] if prompt else []


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
        f"the table at {packed.precision} strays from the oracle in {len(strays)} rows: worst is the "
        f"{_told_of_row(model, worst)} (row {worst}, {share:.1g} of the largest), with a cosine of "
        f"{agreement.cosines[worst]:.6f} and a length off by {agreement.lengths[worst]:.2g}; export with --quantize "
        f"{'float16' if packed.precision == 'int8' else 'none'}, or train the row"
    )


def _told_of_row(model: StaticModel, row: int) -> str:
    if row < model.pieces:
        return f"token {str(model.tokenizer.id_to_token(row))[:40]!r}"
    assert model.phrases is not None  # rows beyond the pieces are theirs
    words = map(model.tokenizer.id_to_token, model.phrases.pairs[row - model.pieces].tolist())
    return f"phrase {' '.join(map(str, words))[:40]!r}"


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
            asked = partial(EdgeModel.from_pretrained, folder, provider="cpu", precision=precision, graph=graph)
            runners = {f"{graph} at {precision}": "onnxruntime"}
            if graph == "text" and not absent():
                runners[f"{graph} at {precision} in the native engine"] = "native"
            for what, engine in runners.items():
                model = asked(engine=engine)
                check_parity(golden, model.encode(golden.texts, prompt=""), precision, what)
                if golden.head and (decisions := head_outputs(model, golden)):
                    check_decisions(golden.head, golden.texts, decisions, precision, what)
