"""TextClassifier: texts -> labels and probabilities, fitted here or opened from one file; a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion import verbs
from edge_potion.batches import Encode, all_vectors, batches, options
from edge_potion.decide import ByNumpy, logits_way_of, way_of
from edge_potion.errors import InputError, ModelFormatError
from edge_potion.head import Head, read_head
from edge_potion.opened import EngineName, PrecisionName
from edge_potion.runtime import EdgeModel
from edge_potion.tokens import UNSET, Unset
from edge_potion.training import HeldOut, Training

if TYPE_CHECKING:
    from edge_potion.batches import Says
    from edge_potion.bundle import Bundle
    from edge_potion.static_model import StaticModel

__all__ = ["Decision", "TextClassifier"]

BATCH_SIZE = 1024
RUNNING = ("_way", "_logits_of_one")  # what is no part of a pickle
PARAMETERS = ("model", "head", "tune", "multi_label", "class_weight", "precision_at_least", "seed")


@dataclass(frozen=True)
class Decision:
    """What was decided of a text.

    Attributes:
        label: its label; None for none of these. Of several labels the likeliest.
        probability: of the likeliest label, 0..1.
        labels: all that are likely enough, the likeliest first; one or none unless a text may have several.
    """

    label: str | None
    probability: float
    labels: tuple[str, ...]


class TextClassifier:
    """A text classifier: fit one with `fit`, make one with `from_labels`, or open one with `from_pretrained`.

    It follows scikit-learn's conventions: `clone`, pipelines, grid searches and pickles take it; texts are its samples.

    Example:
        classifier = TextClassifier().fit(texts, labels)
        classifier.predict(["where is my card?"])
        classifier.save_pretrained("my-classifier")

    Args:
        model: the embedding model: a folder, a hub id, or None for the built-in one.
        head: "vector", a layer on the sentence vector; "hybrid", with rows for some tokens and pairs of tokens beside
            it; "auto", what is better on rows that are held out.
        tune: "head" leaves the model as it is; "table" trains its table too (needs torch); "auto" does so where it is
            clearly better on rows that are held out, and there are enough of them to tell.
        multi_label: whether a text has any number of labels.
        class_weight: what a row of each label counts for: "balanced", weights by label, or None for one alike.
        precision_at_least: choose the probability below which the answer is none of these so that this share of the
            answers is right, 0..1; None answers always.
        seed: of what is drawn at random.

    Attributes:
        classes_: (C,) the labels, as they were given.
        head_: the fitted head.
        training_: how it was fitted; None where it was not, or its folder does not tell.
        held_out_: rows that it was judged by; None where it was not fitted here.
    """

    _estimator_type = "classifier"
    _opened: EdgeModel  # what `from_pretrained` opened
    _fitted: StaticModel  # or what was fitted here
    _says: Says
    _logits_of_one: Callable[[str], np.ndarray] | None = None  # for a text by itself: no time for the rest

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        head: str = "auto",
        tune: str = "auto",
        multi_label: bool = False,
        class_weight: Mapping[Any, float] | str | None = None,
        precision_at_least: float | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.head = head
        self.tune = tune
        self.multi_label = multi_label
        self.class_weight = class_weight
        self.precision_at_least = precision_at_least
        self.seed = seed

    def __repr__(self) -> str:
        defaults = signature(type(self)).parameters
        given = [(name, getattr(self, name)) for name in PARAMETERS]
        told = [f"{name}={value!r}" for name, value in given if value is not defaults[name].default]
        return f"TextClassifier({', '.join(told)})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments, by name (scikit-learn's)."""
        return {name: getattr(self, name) for name in PARAMETERS}

    def set_params(self, **parameters: Any) -> TextClassifier:
        """Set arguments by name (scikit-learn's).

        Raises:
            ValueError: there is no such argument.
        """
        for name, value in parameters.items():
            if name not in PARAMETERS:
                raise InputError(
                    f"Invalid parameter {name!r} for estimator {self!r}; there are {', '.join(PARAMETERS)}"
                )
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        return verbs.tags_of(self.multi_label)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "head_")

    def fit(
        self, texts: Sequence[str], labels: Sequence[Any], *, told: Callable[[str], None] = lambda _: None
    ) -> TextClassifier:
        """Fit it to texts with labels; some seconds for 15,000 rows.

        Args:
            texts: N texts.
            labels: of each its label, a str or whole number; with `multi_label` a list of them.
            told: called with a line for each step.

        Raises:
            InputError: an argument is none of its values, or the rows cannot be learnt from; says why.
            MissingExtraError: scipy is not installed (the extra "classify"), or torch for tune="table" ("train").
        """
        texts, labels = _listed(texts, "texts"), _listed(labels, "labels")
        options = {name: value for name, value in self.get_params().items() if name != "model"}
        fitted = verbs.fit_classifier(*_base(self.model), texts, labels, **options, told=told)
        self._set(fitted.model, fitted.training, fitted.held_out)
        by_name = {str(label): label for each in labels for label in (each if self.multi_label else [each])}
        self.classes_ = np.array([by_name[name] for name in self.head_.labels])
        return self

    @classmethod
    def from_labels(
        cls,
        labels: Sequence[str] | Mapping[str, Sequence[str]],
        model: str | Path | None = None,
        *,
        threshold: float | None = None,
    ) -> TextClassifier:
        """A classifier from names of labels alone, or from some example texts of each: a semantic router.

        Args:
            labels: names, or example texts by name.
            model: the embedding model, as for `TextClassifier`.
            threshold: of probability, below which the answer is none of these; None answers always.

        Raises:
            InputError: there are fewer than two labels, or one has no text with a known word.
        """
        names = labels if isinstance(labels, Mapping) else dict.fromkeys(_listed(labels, "labels"), ())
        fitted = verbs.classifier_from_labels(*_base(model), names, threshold)
        made = cls(model, head="vector", tune="head")
        made._set(fitted.model, None, None)
        return made

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        engine: EngineName = "auto",
        precision: PrecisionName | None = None,
        threads: int | None = None,
        revision: str | None = None,
    ) -> TextClassifier:
        """Open a classifier: a folder of `save_pretrained` or `edge-potion classify`, a bundle, or a hub id.

        The arguments are those of `EdgeModel.from_pretrained`; a classifier runs on the CPU.

        Raises:
            InputError: there is no such folder.
            ModelFormatError: it holds no classifier, or a damaged one.
        """
        opened = EdgeModel.from_pretrained(
            folder, provider="cpu", engine=engine, precision=precision, threads=threads, revision=revision
        )
        head = read_head(opened.bundle.folder)
        if head is None:
            raise ModelFormatError(
                f"{folder} is a model without a head; `edge-potion classify train DATA --model {folder}` fits one"
            )
        made = cls(str(folder), multi_label=head.multi_label)
        made._opened, made._says = opened, opened.bundle
        made.head_ = head
        made.classes_ = np.array(head.labels)
        told = opened.bundle.config["classifier"].get("training")
        made.training_, made.held_out_ = Training.of_json(told), None
        if opened.native is not None and not (head.multi_label or opened.bundle.prompt):
            made._logits_of_one = opened.native.classify_one
        return made

    def _set(self, model: StaticModel, training: Training | None, held_out: HeldOut | None) -> None:
        assert model.head is not None
        self._fitted, self._says = model, model.card
        self.head_: Head = model.head
        self.classes_ = np.array(model.head.labels)
        self.training_, self.held_out_ = training, held_out
        for name in RUNNING:
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict[str, Any]:
        """Without the ways from texts to probabilities, which are found again where they are used next."""
        return {name: value for name, value in self.__dict__.items() if name not in RUNNING}

    def predict_proba(
        self, texts: str | Iterable[str], *, batch_size: int = BATCH_SIZE, show_progress: bool = False
    ) -> np.ndarray:
        """(N, C) float32 probabilities of the labels in the order of `classes_`; (C,) of a single str.

        Raises:
            InputError: an item is not a str or holds a lone surrogate.
        """
        self._check_fitted()
        return self._run(self._encode(), texts, options(batch_size, UNSET, None, None, show_progress))

    def _run(self, encode: Encode, texts: str | Iterable[str], asked: dict[str, Any]) -> np.ndarray:
        """(N, C) of what a way gives for texts; (C,) of a single str."""
        labels = len(self.head_.labels)
        items = texts if isinstance(texts, str) else _listed(texts, "texts")
        return all_vectors(items, lambda some, **how: batches(some, encode, self._says, labels, **how), labels, asked)

    def predict(self, texts: str | Iterable[str]) -> Any:
        """(N,) the likeliest label of each text, whatever the threshold; with `multi_label` a list of labels a text.

        Of a single str its label alone.
        """
        if type(texts) is str and self._logits_of_one is not None:
            return self.classes_[self._logits_of_one(texts).argmax()]
        self._check_fitted()
        if "_opened" in self.__dict__ and not self.multi_label and (logits_of := logits_way_of(self._opened)):
            scores = self._run(logits_of, texts, options(BATCH_SIZE, UNSET, None, None, False))
            return self.classes_[scores.argmax(axis=-1)]
        shares = self.predict_proba(texts)
        if self.multi_label:
            least = 0.5 if self.head_.threshold is None else self.head_.threshold
            found = [self.classes_[row >= least].tolist() for row in np.atleast_2d(shares)]
            return found[0] if isinstance(texts, str) else found
        return self.classes_[shares.argmax(axis=-1)]

    def decide(self, texts: Iterable[str], threshold: float | Unset | None = UNSET) -> list[Decision]:
        """What a program acts on: a label, or none of these where no label is likely enough.

        Args:
            texts: any number of them.
            threshold: of probability; the classifier's own unless given, None to answer always.

        Raises:
            InputError: the threshold is no share, or a text is no str.
        """
        least = self.head_.threshold if isinstance(threshold, Unset) else threshold
        if least is not None and not 0 <= least <= 1:
            raise InputError(f"threshold is {least!r}; a probability, 0 to 1, was expected")
        return [self._decision(row, np.float32(least or 0)) for row in self.predict_proba(_listed(texts, "texts"))]

    def _decision(self, shares: np.ndarray, least: np.float32) -> Decision:
        order = np.argsort(-shares, kind="stable") if self.multi_label else [int(shares.argmax())]
        likely = tuple(self.head_.labels[place] for place in order if shares[place] >= least)
        return Decision(likely[0] if likely else None, float(shares[order[0]]), likely)

    def score(self, texts: Sequence[str], labels: Sequence[Any]) -> float:
        """The share of texts whose label is right; with `multi_label`, whose labels all are (scikit-learn's)."""
        given, texts = _listed(labels, "labels"), _listed(texts, "texts")
        if len(texts) != len(given) or not given:
            raise InputError(f"there are {len(texts):,} texts and {len(given):,} labels; one for each was expected")
        found = self.predict(texts)
        if self.multi_label:
            return float(
                np.mean([{*map(str, one)} == {*map(str, each)} for one, each in zip(found, given, strict=True)])
            )
        # By their names, as whole numbers are strings in a folder:
        return float(np.mean([str(one) == str(each) for one, each in zip(found.tolist(), given, strict=True)]))

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write a folder that `from_pretrained`, `edge-potion classify run` and `edge-potion export` take.

        Raises:
            InputError: the folder cannot be written, or holds something else than a model.
        """
        return self._as_model().save_pretrained(folder)

    def export(self, out: str | Path, **options: Any) -> Bundle:
        """Write a bundle whose text graph gives labels; `options` are those of `edge_potion.export`."""
        import edge_potion

        return edge_potion.export(self._as_model(), out, **options)

    def _as_model(self) -> StaticModel:
        self._check_fitted()
        if "_fitted" in self.__dict__:
            return self._fitted
        from edge_potion.static_model import StaticModel

        return StaticModel.from_pretrained(self._opened.bundle.folder)

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise verbs.not_fitted("this TextClassifier is not fitted yet: call fit, or open one with from_pretrained")

    def _encode(self) -> Encode:
        if "_way" not in self.__dict__:
            if "_fitted" in self.__dict__:
                model = self._fitted
                by_numpy = ByNumpy(self.head_, model.tokenizer, lambda texts: model.encode(texts, prompt=""))
                self._way: Encode = by_numpy.encode
            else:
                self._way = way_of(self._opened, self.head_)
        return self._way


def _base(model: str | Path | None) -> tuple[StaticModel, Callable[[Sequence[str]], np.ndarray]]:
    """A model as the reference has it, and its vectors of texts as what runs it gives them."""
    from edge_potion.static_model import StaticModel  # what runs a classifier needs nothing of it

    runs = EdgeModel.from_pretrained(model)
    return StaticModel.from_pretrained(model), lambda texts: runs.encode(texts, prompt="")


def _listed(values: Any, name: str) -> list[Any]:
    """A list of texts or labels; InputError where they are one str, a table, or nothing to go through."""
    if isinstance(values, str | bytes) or getattr(values, "ndim", 1) != 1:
        what = type(values).__name__ if isinstance(values, str | bytes) else f"an array of shape {values.shape}"
        raise InputError(f"{name} is {what}; one for each row, in one dimension, was expected")
    try:
        return [value.item() if isinstance(value, np.generic) else value for value in values]
    except TypeError as failure:
        raise InputError(f"{name} is {type(values).__name__}; one for each row was expected") from failure
