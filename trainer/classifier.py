"""Texts and labels -> a classifier: a model with a head, and what is told of its training."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from edge_potion.checked_texts import check_texts
from edge_potion.errors import InputError, require
from edge_potion.grams import grams_of
from edge_potion.head import MOST_LABELS, MOST_TOKENS, Head
from edge_potion.labels import is_name
from edge_potion.static_model import StaticModel
from edge_potion.tokens import tokenize_checked
from edge_potion.training import HeldOut, Training
from edge_potion.unit_length import unit_length

from .candidates import HEADS, Rows
from .classifier_card import classifier_card
from .folds import remarks_of
from .heads import fit_head

__all__ = ["TUNES", "FittedClassifier", "classifier_from_labels", "fit_classifier"]

Encode = Callable[[Sequence[str]], np.ndarray]

TUNES = ("auto", "head", "table")
SHARPNESS = 20.0  # what cosines are multiplied by before softmax, where no rows tell how sharp it is to be
MOST_SHOWN = 5


@dataclass(frozen=True)
class FittedClassifier:
    """A classifier.

    Attributes:
        model: with its head, and a card that says so.
        training: how it was made; None where it was made of labels alone.
        held_out: what it was judged by; None likewise.
    """

    model: StaticModel
    training: Training | None
    held_out: HeldOut | None


def fit_classifier(
    model: StaticModel,
    encode: Encode,
    texts: Sequence[str],
    labels: Sequence[Any],
    *,
    head: str = "auto",
    tune: str = "auto",
    multi_label: bool = False,
    class_weight: Mapping[Any, float] | str | None = None,
    precision_at_least: float | None = None,
    seed: int = 0,
    told: Callable[[str], None] = lambda _: None,
) -> FittedClassifier:
    """Fit a classifier to texts with labels.

    Args:
        model: the embedding model; a head that it has counts for nothing.
        encode: (B, D) float32 vectors of texts with their prompts, as what runs the model gives them.
        texts: N of them.
        labels: of each its label, or with `multi_label` a list of labels.
        head, tune, multi_label, class_weight, precision_at_least, seed: as `TextClassifier` has them.
        told: called with a line for each step.

    Raises:
        InputError: an argument is none of its values, or the rows cannot be learnt from; says why.
        MissingExtraError: scikit-learn's scipy is not installed, or torch where the table is to be trained.
    """
    require("scipy", "threadpoolctl", extra="classify", purpose="training a classifier")
    if tune == "table":
        require("torch", extra="train", purpose="training the table of a classifier")
    elif tune == "auto" and find_spec("torch") is None:
        tune = "head"
    _check_choice("head", head, HEADS)
    _check_choice("tune", tune, TUNES)
    _check_share("precision_at_least", precision_at_least, least=1e-9, most=1 - 1e-9)
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed is {seed!r}; a whole number from 0 on was expected")
    texts = list(texts)
    check_texts(texts)
    names, targets, kinds = _learnable(texts, labels, multi_label)
    class_weight = _checked_weight(class_weight, names)
    base = _without_head(model)
    told(f"embedding {len(texts):,} texts with {base.card.name}")
    prompted = [base.card.prompt + text for text in texts]
    vectors = unit_length(encode(prompted))
    ids = tokenize_checked(base.tokenizer, prompted, base.card.max_tokens)
    bags = base.phrases.joined(ids) if base.phrases else ids
    rows = Rows(texts, kinds, vectors, bags, grams_of(ids), targets, multi_label)
    fitted = fit_head(
        rows,
        names,
        base.table,
        kind=head,
        tune=tune,
        class_weight=class_weight,
        precision_at_least=precision_at_least,
        seed=seed,
        remarks=remarks_of(texts, kinds, _rows_of_labels(names, targets) if multi_label else None),
        told=told,
    )
    if fitted.table is not None:
        base = replace(base, table=fitted.table)
    return FittedClassifier(_with_head(base, fitted.head, fitted.training), fitted.training, fitted.held_out)


def classifier_from_labels(
    model: StaticModel, encode: Encode, examples: Mapping[str, Sequence[str]], threshold: float | None = None
) -> FittedClassifier:
    """A classifier from names or example texts of labels alone: the label is that whose mean vector is nearest.

    Args:
        model, encode: as `fit_classifier` takes them.
        examples: texts by label; the label itself where it has none.
        threshold: of probability, below which the answer is none of these.

    Raises:
        InputError: fewer than two labels, more than 1,024, or a label whose texts have no known word.
    """
    _check_share("threshold", threshold, least=0, most=1)
    if not 2 <= len(examples) <= MOST_LABELS:
        raise InputError(f"{len(examples):,} labels; from 2 to {MOST_LABELS:,} were expected")
    base = _without_head(model)
    names = tuple(_names(examples))
    means = []
    for label, texts in zip(names, examples.values(), strict=True):
        if isinstance(texts, str):
            raise InputError(f"the examples of {label!r} are one str; a list of texts was expected")
        named = re.sub("[_-]+", " ", label).strip() or label  # as in card_lost, which is one word to a tokenizer
        prompted = [base.card.prompt + text for text in texts or [named]]
        mean = unit_length(encode(prompted)).mean(axis=0)
        if not mean.any():
            raise InputError(f"the label {label!r} has no text with a word that the model knows; give it an example")
        means.append(mean)
    dense = SHARPNESS * unit_length(np.array(means)).T  # (D, C)
    if len(np.unique(np.round(dense, 4), axis=1).T) < len(examples):
        raise InputError("two labels have the same texts; they could not be told apart")
    none = (np.zeros((0, 2), np.int32), np.zeros((0, len(examples)), np.float32))
    bias = np.zeros(len(examples), np.float32)
    head = Head(names, dense.astype(np.float32), bias, *none, threshold=threshold)
    return FittedClassifier(_with_head(base, head, None), None, None)


def _names(labels: Iterable[Any]) -> dict[str, Any]:
    """Labels by their names; InputError where one is no str, whole number or bool, or two would be one string."""
    names: dict[str, Any] = {}
    for label in labels:
        plain = label.item() if isinstance(label, np.generic) else label
        if not isinstance(plain, str | int) or not (str(plain).strip() and is_name(str(plain))):
            raise InputError(
                f"labels hold {plain!r}; strings that are not blank and hold no NUL and no lone surrogate, or whole "
                "numbers, were expected"
            )
        if names.setdefault(str(plain), plain) != plain:
            raise InputError(f"labels hold both {plain!r} and {names[str(plain)]!r}, which are one label as strings")
    return names


def _in_order(labels: Mapping[str, Any]) -> list[str]:
    """Their names in the order in which numpy sorts the labels: who reads columns of probabilities expects that."""
    if all(isinstance(label, int) for label in labels.values()):
        return sorted(labels, key=lambda name: int(labels[name]))
    return sorted(labels)


def _without_head(base: StaticModel) -> StaticModel:
    """The model without a head, and with a limit of tokens."""
    limit = min(base.card.max_tokens or MOST_TOKENS, MOST_TOKENS)
    config = {key: value for key, value in base.card.config.items() if key != "classifier"}
    return replace(base, head=None, card=replace(base.card, max_tokens=limit, config=config))


def _with_head(base: StaticModel, head: Head, training: Training | None) -> StaticModel:
    facts = {"classifier": {"training": training.as_json()}} if training else {}
    readme = classifier_card(base.card, head, training)
    return replace(base, head=head, card=replace(base.card, config={**base.card.config, **facts}, readme=readme))


def _learnable(
    texts: Sequence[str], labels: Sequence[Any], multi_label: bool
) -> tuple[list[str], np.ndarray, list[str]]:
    """The labels' names in order, targets (N, C) float32, and of each row what folds are spread by."""
    labels = list(labels)
    if len(labels) != len(texts):
        raise InputError(f"there are {len(texts):,} texts and {len(labels):,} labels; one for each was expected")
    if multi_label and (bad := [each for each in labels if not _is_list(each)]):
        raise InputError(f"the labels of a text are {bad[0]!r}; with multi_label a list of labels a text was expected")
    many = [list(each) for each in labels] if multi_label else [[label] for label in labels]
    names = _in_order(_names(label for each in many for label in each))
    if len(names) < 2 - multi_label:
        told = f"all labels are {names[0]!r}" if names else "there are no labels"
        raise InputError(f"{told}; two or more are needed to tell texts apart")
    if len(names) > MOST_LABELS:
        raise InputError(
            f"there are {len(names):,} labels, such as {_listed(names)}; at most {MOST_LABELS:,} can be told apart: is "
            "this the column of labels?"
        )
    number = {name: place for place, name in enumerate(names)}
    targets = np.zeros((len(texts), len(names)), np.float32)
    for row, each in zip(targets, many, strict=True):
        row[[number[str(label)] for label in each]] = 1
    return names, targets, [" | ".join(sorted(map(str, each))) for each in many]


def _rows_of_labels(names: Sequence[str], targets: np.ndarray) -> dict[str, int]:
    return dict(zip(names, targets.sum(axis=0, dtype=np.int64).tolist(), strict=True))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset | np.ndarray)


def _checked_weight(weight: Mapping[Any, float] | str | None, names: Sequence[str]) -> dict[str, float] | str | None:
    """Of each label by its name; InputError where it is neither that nor "balanced"."""
    if weight is None or (isinstance(weight, str) and weight == "balanced"):
        return weight
    if not isinstance(weight, Mapping):
        raise InputError(f"class_weight is {weight!r}; 'balanced', a weight by label, or None was expected")
    try:
        by_name = {str(label): float(each) for label, each in weight.items()}
    except (TypeError, ValueError) as failure:
        raise InputError(f"class_weight is {weight!r}; weights above 0 were expected") from failure
    if unknown := set(by_name) - set(names):
        raise InputError(f"class_weight names {_listed(sorted(unknown))}, and the labels are {_listed(names)}")
    if not all(0 < each < 1e6 for each in by_name.values()):  # False of NaN
        raise InputError(f"class_weight is {weight!r}; weights above 0 were expected")
    return by_name


def _check_share(name: str, value: Any, least: float, most: float) -> None:
    if value is not None and (not isinstance(value, int | float | np.number) or not least <= value <= most):
        raise InputError(f"{name} is {value!r}; a share between 0 and 1 was expected")


def _check_choice(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"{name} is {value!r}; choose from {', '.join(known)}")


def _listed(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > MOST_SHOWN else ""
    return ", ".join(name[:40] for name in names[:MOST_SHOWN]) + more
