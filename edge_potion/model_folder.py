"""Model folders: read what Model2Vec and sentence-transformers (StaticEmbedding) write, and write what both read."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.errors import AccessError, ModelFormatError
from edge_potion.find import read_json, read_text
from edge_potion.manifest import check_files, read_manifest
from edge_potion.st_pipeline import SETTINGS_FILE, TRANSFORMER_FILES, Pipeline, Step, read_pipeline
from edge_potion.tokens import file_text, lowers_case, open_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from edge_potion.static_model import StaticModel

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "Card",
    "DenseLayer",
    "ModelParts",
    "dense_layer",
    "read_model",
    "static_home",
    "tensors_of",
    "write_model_files",
]

log = logging.getLogger("edge_potion")

DEFAULT_MAX_TOKENS = 512  # Model2Vec's, for folders that do not say
TABLE = "model.safetensors"
WITHOUT_MODULES = (".", "0_StaticEmbedding")  # where a table may lie in a folder without modules.json
IDENTITY = "torch.nn.modules.linear.Identity"
TRUNCATIONS = (("Right", "LongestFirst"), ("Right", "OnlyFirst"))  # the same for a text that is no pair
ROWS_AT_ONCE = 16_384  # of a table that is projected in float64
# The keys of a Model2Vec config.json: what it, we and our bundles write. Those marked change no vector.
CONFIG_KEYS = {"normalize", "max_length", "model_type", "hidden_dim", "edge_potion"}
NOTES = {"architectures", "tokenizer_name", "apply_pca", "apply_zipf", "sif_coefficient", "seq_length", "pooling"}
NOTES |= {"pad_token_id", "embedding_dtype", "vocabulary_quantization", "dtype", "torch_dtype", "transformers_version"}


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
        table: (V, D) float32, one row a token, with everything folded in that the folder does to a mean of rows.
        tokenizer: plain (see `edge_potion.tokens`).
        card: what it says of itself.
    """

    table: np.ndarray
    tokenizer: Tokenizer
    card: Card


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
    if home == folder:  # a bundle tells what its files were
        check_files(folder, read_manifest(folder), ["config.json", TABLE, "tokenizer.json"])
    tokenizer_file = home / "tokenizer.json"
    tokenizer = open_tokenizer(tokenizer_file)
    _name_what_nobody_reads(home)
    table, is_st_layout = _read_table(home / TABLE, tokenizer.get_vocab_size())
    table, ends_in_unit_length = _projected(table, pipeline.steps[1:])
    card = _read_card(folder, name, pipeline, is_st_layout, ends_in_unit_length, tokenizer_file)
    if pipeline.truncate_dim is not None and pipeline.truncate_dim < table.shape[1]:
        table = table[:, : pipeline.truncate_dim]
        if card.normalize:
            log.warning(
                "%s: vectors are cut to truncate_dim = %d and have unit length, which sentence-transformers gives with "
                "normalize_embeddings=True alone",
                folder,
                pipeline.truncate_dim,
            )
    return ModelParts(table, tokenizer, card)


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


def _read_table(file: Path, tokens: int) -> tuple[np.ndarray, bool]:
    """The (V, D) float32 table with weights and mapping folded in, and whether sentence-transformers wrote it.

    A mapping of another length than the tokenizer's `tokens` is refused before it makes a small file a large table.
    """
    found = tensors_of(file)
    is_st_layout = "embedding.weight" in found
    rows = found.get("embedding.weight", found.get("embeddings"))
    if rows is None:
        raise ModelFormatError(
            f"{file} holds {', '.join(sorted(found)) or 'no tensor'}; 'embeddings' (Model2Vec) or 'embedding.weight' "
            "(sentence-transformers) was expected"
        )
    for name in sorted(set(found) - {"embeddings", "embedding.weight", "weights", "mapping"}):
        log.warning("%s: the tensor %r means nothing to us, and is left out", file, name)
    if rows.ndim != 2 or rows.dtype not in (np.float16, np.float32, np.float64, np.int8):
        raise ModelFormatError(
            f"{file}: the table is {rows.dtype} of shape {rows.shape}; float16, bfloat16, float32, float64 or int8 of "
            "shape (tokens, dimensions) was expected"
        )
    if (mapping := found.get("mapping")) is not None:
        if mapping.ndim != 1 or mapping.dtype.kind not in "iu" or not ((mapping >= 0) & (mapping < len(rows))).all():
            raise ModelFormatError(f"{file}: 'mapping' does not give a row in 0..{len(rows) - 1} for each token")
        if len(mapping) != tokens:
            raise ModelFormatError(f"{file}: 'mapping' has {len(mapping)} entries, and the tokenizer {tokens} tokens")
        rows = rows[mapping]
    table = rows.astype(np.float32)
    if (weights := found.get("weights")) is not None:
        if weights.shape != (len(table),) or weights.dtype.kind != "f":
            raise ModelFormatError(
                f"{file}: 'weights' is {weights.dtype} of shape {weights.shape}; floats, {len(table)} of them, expected"
            )
        table *= weights.astype(np.float32)[:, None]
    return table, is_st_layout


def tensors_of(file: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file; bfloat16, which numpy does not know, as float32."""
    from safetensors import SafetensorError, deserialize, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            names = list(tensors.keys())
            wide = [name for name in names if tensors.get_slice(name).get_dtype() == "BF16"]
            found = {name: tensors.get_tensor(name) for name in names if name not in wide}
        if wide:
            for name, told in deserialize(file.read_bytes()):  # type: ignore[no-untyped-call]
                if name in wide:
                    halves = np.frombuffer(told["data"], "<u2").reshape(told["shape"])
                    found[name] = (halves.astype(np.uint32) << 16).view(np.float32)
    except (OSError, SafetensorError, TypeError, AttributeError, ValueError) as failure:  # a dtype that numpy lacks
        raise ModelFormatError(f"{file} is no safetensors file that can be read ({failure})") from failure
    return found


def _projected(table: np.ndarray, steps: Sequence[Step]) -> tuple[np.ndarray, bool]:
    """The table after the modules behind the embedding, and whether the last of them gives unit length."""
    unit_length = False
    for step in steps:
        if step.kind == "Normalize":
            unit_length = True
        elif step.kind == "Dense" and not unit_length:
            table = _after_dense(table, step)
        elif step.kind != "Dropout":  # which does nothing but in training
            behind = " behind a Normalize" if unit_length else ""
            raise ModelFormatError(
                f"{step.folder}: the module {step.kind}{behind} cannot be folded into a table of token vectors; Dense "
                "without activation, Normalize at the end and Dropout can"
            )
    return table, unit_length


def _after_dense(table: np.ndarray, step: Step) -> np.ndarray:
    """(V, D') float32: each row through a linear layer, so that a mean of rows has gone through it."""
    activation = step.config.get("activation_function", "torch.nn.modules.activation.Tanh")  # the library's default
    if activation != IDENTITY:
        raise ModelFormatError(
            f"{step.folder}: the module Dense has the activation {activation!r}, which cannot be folded into a table "
            f"of token vectors; {IDENTITY} can"
        )
    layer = dense_layer(step)
    width = layer.weight.shape[1]
    if table.shape[1] != width:
        raise ModelFormatError(f"{step.folder}: the module Dense takes {width} values, and gets {table.shape[1]}")
    weight = layer.weight.astype(np.float64)
    if layer.residual is not None:
        weight = weight + layer.residual
    projected = np.empty((len(table), len(weight)), np.float32)
    for begin in range(0, len(table), ROWS_AT_ONCE):
        rows = table[begin : begin + ROWS_AT_ONCE].astype(np.float64)
        projected[begin : begin + ROWS_AT_ONCE] = rows @ weight.T + layer.bias
    return projected


@dataclass(frozen=True)
class DenseLayer:
    """A linear layer: x -> weight x + bias, and where there is a residual, + residual x.

    Attributes:
        weight: (D', D) float32.
        bias: (D',) float32, zeros where the layer has none.
        residual: (D', D) float32, or None.
    """

    weight: np.ndarray
    bias: np.ndarray
    residual: np.ndarray | None


def dense_layer(step: Step) -> DenseLayer:
    """The weights of a Dense module, without its activation.

    Raises:
        ModelFormatError: they are missing, pickled, or not of the shapes that its config.json tells.
    """
    file = step.folder / TABLE
    if not file.is_file():
        raise ModelFormatError(
            f"{file} is missing; nothing pickled is loaded, so the module must be saved as safetensors"
        )
    found = {name: tensor.astype(np.float32) for name, tensor in tensors_of(file).items() if tensor.dtype.kind == "f"}
    shape = (step.config.get("out_features"), step.config.get("in_features"))
    has_bias, has_residual = step.config.get("bias", True), step.config.get("use_residual", False)
    wanted: dict[str, tuple[Any, ...]] = {"linear.weight": shape}
    wanted |= {"linear.bias": shape[:1]} if has_bias else {}
    wanted |= {"residual.weight": shape} if has_residual and shape[0] != shape[1] else {}
    if {name: tensor.shape for name, tensor in found.items()} != wanted:
        shapes = {name: tensor.shape for name, tensor in found.items()}
        raise ModelFormatError(f"{file} holds {shapes}; by config.json beside it, {wanted} was expected")
    if not all(np.isfinite(tensor).all() for tensor in found.values()):
        raise ModelFormatError(f"{file} holds NaN or inf")
    weight = found["linear.weight"]
    residual = found.get("residual.weight", np.eye(len(weight), dtype=np.float32)) if has_residual else None
    return DenseLayer(weight, found.get("linear.bias", np.zeros(len(weight), np.float32)), residual)


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
    for key in sorted(set(config) - CONFIG_KEYS - NOTES):
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


def write_model_files(folder: Path, model: StaticModel, tensors: Mapping[str, np.ndarray]) -> None:
    """Write the files of a model folder, with `tensors` in the place of the float32 table.

    Args:
        folder: an existing folder.
        model: its tokenizer and card are written as they are.
        tensors: `embeddings` (V, D) and optionally `weights` (V,) float32; a row is embeddings[i] * weights[i].
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
        "embedding_dtype": str(tensors["embeddings"].dtype),
    }
    config.pop("vocabulary_quantization", None)  # the mapping was resolved when the model was read
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
