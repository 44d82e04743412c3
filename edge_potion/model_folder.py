"""Model folders: read what Model2Vec and sentence-transformers (StaticEmbedding) write, and write what both read."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.errors import AccessError, ModelFormatError
from edge_potion.find import read_json, read_text
from edge_potion.head import HEAD_FILE, Head, head_config, read_head, write_head
from edge_potion.manifest import check_files, read_manifest
from edge_potion.model_table import PIECES, PIECES_AND_PHRASES, ST_PIECES, TABLE, projected, read_table
from edge_potion.phrases import PHRASES_FILE, Phrases, read_phrases, write_phrases
from edge_potion.st_pipeline import SETTINGS_FILE, TRANSFORMER_FILES, Pipeline, read_pipeline
from edge_potion.table_in_graph import graph_with_table, table_in_graph
from edge_potion.tokens import file_text, lowers_case, open_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from edge_potion.static_model import StaticModel

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "Card",
    "ModelParts",
    "read_model",
    "static_home",
    "write_model_files",
]

log = logging.getLogger("edge_potion")

DEFAULT_MAX_TOKENS = 512  # Model2Vec's, for folders that do not say
WITHOUT_MODULES = (".", "0_StaticEmbedding")  # where a table may lie in a folder without modules.json
TRUNCATIONS = (("Right", "LongestFirst"), ("Right", "OnlyFirst"))  # the same for a text that is no pair
# The keys of a Model2Vec config.json: what it, we and our bundles write. Those marked change no vector.
CONFIG_KEYS = {"normalize", "max_length", "model_type", "hidden_dim", "edge_potion", "phrases"}
NOTES = {"architectures", "tokenizer_name", "apply_pca", "apply_zipf", "sif_coefficient", "seq_length", "pooling"}
NOTES |= {"pad_token_id", "embedding_dtype", "vocabulary_quantization", "dtype", "torch_dtype", "transformers_version"}
HEAD_KEYS = {"id2label", "label2id", "problem_type", "classifier", "hidden_act"}  # the last: of bundles


@dataclass(frozen=True)
class Card:
    """What a model says of itself.

    Attributes:
        name: a short name, for people.
        normalize: whether vectors are scaled to unit length.
        max_tokens: where a text is cut; None means never.
        config: config.json as it was read, for the keys that are not ours.
        readme: README.md with its YAML header, or "".
        recipe: recipe.toml, how the model was made, or "".
        prompts: texts by name; they stand before a text where they are asked for.
        default_prompt: name of the prompt that stands before every text, or None.
    """

    name: str
    normalize: bool = True
    max_tokens: int | None = DEFAULT_MAX_TOKENS
    config: Mapping[str, Any] = field(default_factory=dict)
    readme: str = ""
    recipe: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None

    @property
    def prompt(self) -> str:
        """What stands before every text."""
        return self.prompts.get(self.default_prompt or "", "")


@dataclass(frozen=True)
class ModelParts:
    """What a folder holds.

    Attributes:
        table: (V + P, D) float32, one row a token, and behind them one a phrase, with everything folded in that the
            folder does to a mean of rows.
        tokenizer: plain (see `edge_potion.tokens`).
        card: what it says of itself.
        head: what it decides with, where it is a classifier.
        phrases: which pairs of tokens have a row, where some have.
    """

    table: np.ndarray
    tokenizer: Tokenizer
    card: Card
    head: Head | None = None
    phrases: Phrases | None = None


def read_model(folder: Path, name: str) -> ModelParts:
    """Read a Model2Vec or sentence-transformers StaticEmbedding folder.

    What follows the embedding in modules.json is honoured where it is linear (Dense without activation is folded into
    the table) or a Normalize at the end, and refused by name where it is not. A Dense with a bias gives that bias for a
    text without a known token there, and zeros here.

    Raises:
        ModelFormatError: a file is missing, truncated, foreign or inconsistent, or asks for what we cannot do.
    """
    pipeline = read_pipeline(folder)
    home = static_home(folder, pipeline)
    in_graph = None if (home / TABLE).is_file() else graph_with_table(folder)
    if home == folder:  # a bundle tells what its files were
        of_table = TABLE if in_graph is None else in_graph.relative_to(folder).as_posix()
        check_files(folder, read_manifest(folder), ["config.json", of_table, "tokenizer.json", *_own_files(folder)])
    tokenizer_file = home / "tokenizer.json"
    tokenizer = open_tokenizer(tokenizer_file)
    _name_what_nobody_reads(home)
    if in_graph is None:
        table, called = read_table(home / TABLE, tokenizer.get_vocab_size())
    else:
        table, called = table_in_graph(in_graph), PIECES_AND_PHRASES if (folder / PHRASES_FILE).exists() else PIECES
    phrases = read_phrases(folder, len(table), has_rows=called == PIECES_AND_PHRASES)
    table, ends_in_unit_length = projected(table, pipeline.steps[1:])
    card = _read_card(folder, name, pipeline, called == ST_PIECES, ends_in_unit_length, tokenizer_file)
    if pipeline.truncate_dim is not None and pipeline.truncate_dim < table.shape[1]:
        table = table[:, : pipeline.truncate_dim]
        if card.normalize:
            log.warning(
                "%s: vectors are cut to truncate_dim = %d and have unit length, which sentence-transformers gives with "
                "normalize_embeddings=True alone",
                folder,
                pipeline.truncate_dim,
            )
    head = read_head(folder) if (folder / "config.json").exists() else None
    return ModelParts(table, tokenizer, card, head, phrases)


def static_home(folder: Path, pipeline: Pipeline | None = None) -> Path:
    """The folder, inside `folder` or itself, that holds a static model's table and tokenizer.

    Raises:
        ModelFormatError: there is none; says what is there, and what to do.
    """
    steps = (pipeline or read_pipeline(folder)).steps
    if steps and steps[0].kind != "StaticEmbedding":
        raise ModelFormatError(
            f"{folder} begins with the module {steps[0].kind}, and 'embeddings' (Model2Vec) or 'embedding.weight' of a "
            "StaticEmbedding was expected (a transformer is turned into a static model with `edge-potion distill`)"
        )
    homes = [steps[0].folder] if steps else [folder / sub for sub in WITHOUT_MODULES]
    home = next((each for each in homes if (each / TABLE).is_file()), None)
    if home is not None:
        return folder if home.resolve() == folder.resolve() else home
    sums = read_manifest(folder)
    if sums and TABLE not in sums and graph_with_table(folder):
        return folder  # a bundle that holds its table once, in the graph, and was made so
    pickled = next((each / "pytorch_model.bin" for each in homes if (each / "pytorch_model.bin").is_file()), None)
    if pickled is not None:
        raise ModelFormatError(
            f"{pickled} is pickled, and nothing pickled is loaded: save the model with safetensors first "
            "(SentenceTransformer.save_pretrained does)"
        )
    raise ModelFormatError(
        f"{homes[0]} holds no {TABLE}; a Model2Vec or sentence-transformers StaticEmbedding folder was "
        "expected (a transformer is turned into one with `edge-potion distill`)"
    )


def _own_files(folder: Path) -> list[str]:
    """Those that only some models have."""
    return [name for name in (HEAD_FILE, PHRASES_FILE) if (folder / name).exists()]


def _name_what_nobody_reads(home: Path) -> None:
    """Warn of what stands beside a table and is for transformers: sentence-transformers passes over it too."""
    for name in TRANSFORMER_FILES:
        if (home / name).is_file():
            log.warning("%s is for transformers, and means nothing for a static model", home / name)
    file = home / "tokenizer_config.json"
    told = read_json(file) if file.is_file() else {}
    normalizer = (read_json(home / "tokenizer.json").get("normalizer")) if told.get("do_lower_case") is True else None
    if told.get("do_lower_case") is True and not lowers_case(normalizer):
        log.warning("%s: do_lower_case means nothing for a static model, and tokenizer.json lower-cases nothing", file)
    if told.get("truncation_side", "right") != "right":
        log.warning("%s: truncation_side = %r means nothing for a static model", file, told["truncation_side"])


def _read_card(
    folder: Path, name: str, pipeline: Pipeline, is_st_layout: bool, ends_in_unit_length: bool, tokenizer_file: Path
) -> Card:
    config_file = folder / "config.json"
    config = read_json(config_file) if config_file.is_file() else {}
    if not is_st_layout:
        _check_config(config, config_file)
    has_modules = bool(pipeline.steps)
    told = config if not is_st_layout else {} if has_modules else {**config, **pipeline.settings}
    normalize, max_tokens = told.get("normalize"), told.get("max_length", DEFAULT_MAX_TOKENS)
    if is_st_layout:  # cut where its tokenizer.json says, unless a key for model2vec tells otherwise
        max_tokens = told.get("max_length", _truncation(tokenizer_file))
    if normalize is None:
        normalize = ends_in_unit_length
    elif has_modules and normalize is not ends_in_unit_length:
        log.warning(
            "%s says normalize = %s and modules.json %s a Normalize; config.json is followed, as model2vec does",
            config_file,
            json.dumps(normalize),
            "has" if ends_in_unit_length else "lacks",
        )
    if not isinstance(normalize, bool):
        raise ModelFormatError(f"{config_file}: normalize is {normalize!r}; true or false was expected")
    return Card(
        Path(name).name if Path(name).is_dir() else name,
        normalize,
        _checked_limit(max_tokens, tokenizer_file if is_st_layout else config_file),
        config,
        read_text(folder / "README.md"),
        read_text(folder / "recipe.toml"),
        pipeline.prompts,
        pipeline.default_prompt,
    )


def _check_config(config: Mapping[str, Any], file: Path) -> None:
    """Hold the config.json of a Model2Vec folder to what we know of it."""
    for key in sorted(set(config) - CONFIG_KEYS - NOTES - HEAD_KEYS):
        log.warning("%s: %r means nothing to us, and is left out", file, key)


def _truncation(file: Path) -> int | None:
    """Where a StaticEmbedding cuts a text: at what its tokenizer.json says, and nowhere else."""
    told = read_json(file).get("truncation") or {}
    if told and (told.get("direction", "Right"), told.get("strategy")) not in TRUNCATIONS:
        raise ModelFormatError(
            f"{file}: texts are truncated at the {str(told.get('direction')).lower()} by {told.get('strategy')!r}, and "
            'we keep the first tokens of a text; set its direction to "Right", or truncation to null'
        )
    return told.get("max_length")


def _checked_limit(max_tokens: object, file: Path) -> int | None:
    if max_tokens is None or (type(max_tokens) is int and max_tokens > 0):
        return max_tokens
    raise ModelFormatError(f"{file}: max_length is {max_tokens!r}; a positive number or null was expected")


def write_model_files(
    folder: Path, model: StaticModel, tensors: Mapping[str, np.ndarray], told: Mapping[str, Any] = {}
) -> None:
    """Write the files of a model folder, with `tensors` in the place of the float32 table.

    Args:
        folder: an existing folder.
        model: its tokenizer and card are written as they are.
        tensors: `embeddings` (V, D) and optionally `weights` (V,) float32; a row is embeddings[i] * weights[i]. Where
            the model has phrases, they have P rows more, and the file calls the table PIECES_AND_PHRASES.
        told: keys of config.json, in the place of ours.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    card = model.card
    config = {
        **card.config,
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "tokenizer_name": card.config.get("tokenizer_name", card.name),
        "hidden_dim": model.dim,
        "seq_length": 1_000_000,  # what Model2Vec writes: the length is bounded by max_length alone
        "normalize": card.normalize,
        "max_length": card.max_tokens,
        "pooling": "mean",
        "embedding_dtype": str(tensors[PIECES].dtype),
        "phrases": len(model.phrases or ()),
    }
    if model.phrases is None:
        config.pop("phrases")
    else:
        write_phrases(folder, model.phrases)
        tensors = {PIECES_AND_PHRASES if name == PIECES else name: array for name, array in tensors.items()}
    config.pop("vocabulary_quantization", None)  # the mapping was resolved when the model was read
    for key in HEAD_KEYS - ({"classifier"} if model.head else set()):
        config.pop(key, None)
    if model.head:
        write_head(folder, model.head)
        config |= head_config(model.head, config.get("classifier", {}).get("training"))
    config |= told
    modules = [{"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"}]
    if card.normalize:
        modules.append({"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"})
    try:
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / "model.safetensors")
    except SafetensorError as failure:  # a full disk, which is no OSError there
        raise AccessError(f"cannot write the table of {card.name} ({failure})") from failure
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text(file_text(model.tokenizer, card.max_tokens), encoding="utf-8")
    if card.prompts or card.default_prompt:
        settings = {"prompts": dict(card.prompts), "default_prompt_name": card.default_prompt}
        (folder / SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    for name, text in (("README.md", card.readme), ("recipe.toml", card.recipe)):
        if text:
            (folder / name).write_text(text, encoding="utf-8")
