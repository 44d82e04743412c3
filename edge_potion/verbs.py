"""The verbs that need an extra, as signatures: they can be named, listed and looked at in every install.

To call one is to call the function of its name, whose room is imported then; a test holds them to each other.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from edge_potion.errors import require

if TYPE_CHECKING:
    from edge_potion.benchmarks.quality.suite import Task
    from edge_potion.benchmarks.speed.jobs import Effort
    from edge_potion.bundle import Bundle
    from edge_potion.replay import Verdict
    from edge_potion.static_model import StaticModel
    from edge_potion.trainer.classifier import FittedClassifier
    from edge_potion.trainer.pipeline import TrainedModel
    from edge_potion.trainer.recipe import DistillRecipe, Recipe
    from edge_potion.trainer.teacher import Teacher

__all__ = ["benchmark", "distill", "evaluate", "export", "train", "verify"]

Verb = TypeVar("Verb", bound=Callable[..., Any])
BENCHMARK = ("pydantic", "jinja2", "markupsafe")  # which its room imports at once


def _called_in(home: str, needs: Sequence[str] = ()) -> Callable[[Verb], Verb]:
    """Have a signature call the function of its name in the module `home`."""

    def of(signature: Verb) -> Verb:
        @wraps(signature)
        def verb(*values: Any, **named: Any) -> Any:
            if needs:
                require(*needs, extra="benchmark", purpose="the benchmark's report")
            return getattr(import_module(home), signature.__name__)(*values, **named)

        return cast(Verb, verb)

    return of


@_called_in("edge_potion.benchmarks.speed.benchmark", needs=BENCHMARK)
def benchmark(
    bundles: str | Sequence[str] = (),
    out: str | Path = "benchmark",
    *,
    providers: str | Sequence[str] | None = None,
    peers: str | Sequence[str] | None = None,
    graphs: str | Sequence[str] | None = None,
    precisions: str | Sequence[str] | None = None,
    threads: Sequence[int] = (1,),
    texts: str | None = None,
    text_column: str = "text",
    pythons: Mapping[str, Path] | None = None,
    scores: Path | None = None,
    setup: bool = False,
    effort: Effort | None = None,
    show_progress: bool = False,
) -> Any:
    """Measure speed beside peers, and write a report: `edge_potion.benchmarks.speed.benchmark.benchmark`.

    What is None is the function's own default.

    Raises:
        MissingExtraError: the extra `benchmark` is not installed; the others are told where the function stands.
    """


@_called_in("edge_potion.trainer.distill")
def distill(
    teacher: str | Path | Teacher,
    recipe: DistillRecipe | None = None,
    *,
    words: Iterable[str] = (),
    revision: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    show_progress: bool = False,
) -> StaticModel:
    """Turn a transformers encoder into a static model, without any text: `edge_potion.trainer.distill.distill`.

    Raises:
        MissingExtraError: the extra `train` is not installed; the others are told where the function stands.
    """


@_called_in("edge_potion.benchmarks.quality.evaluate")
def evaluate(
    models: str | Sequence[str],
    suite: str | Path | None = None,
    out: str | Path = "quality",
    *,
    data: str | Path | None = None,
    test: str | Path | None = None,
    text_column: str = "text",
    label_column: str = "label",
    seeds: int = 5,
    pairs: str | Path | None = None,
    query_column: str = "query",
    passage_column: str = "passage",
    tasks: Sequence[Task] | None = None,
    languages: Sequence[str] | None = None,
    show_progress: bool = False,
) -> Any:
    """Score models on a suite or on own rows, and write a report: `edge_potion.benchmarks.quality.evaluate.evaluate`.

    What is None is the function's own default.

    Raises:
        MissingExtraError: the extra `evaluate` is not installed; the others are told where the function stands.
    """


@_called_in("edge_potion.exporters.export")
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
    """Write a bundle, a model folder with ONNX graphs: `edge_potion.exporters.export.export`.

    Raises:
        MissingExtraError: the extra `export` is not installed; the others are told where the function stands.
    """


@_called_in("edge_potion.trainer.pipeline")
def train(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    teacher: str | Path | None = None,
    corpus: str | Path | Sequence[str | Path] = (),
    text_column: str = "text",
    languages: Sequence[str] = (),
    features: str | Path | Sequence[str | Path] | None = None,
    from_stage: int | None = None,
    device: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    show_progress: bool = False,
) -> TrainedModel:
    """Run a whole recipe, or what is left of it: `edge_potion.trainer.pipeline.train`.

    Raises:
        MissingExtraError: the extra `train` is not installed; the others are told where the function stands.
    """


@_called_in("edge_potion.replay")
def verify(model: str | Path | None = None, provider: str = "cpu") -> Iterator[Verdict]:
    """Hold a bundle on this machine to what it gave where it was exported: `edge_potion.replay.verify`.

    Raises:
        MissingExtraError: the extra `cpu` is not installed; the others are told where the function stands.
    """


# What TextClassifier needs of the trainer's room; it is public there.


@_called_in("edge_potion.trainer.classifier")
def fit_classifier(
    model: StaticModel,
    encode: Callable[[Sequence[str]], Any],
    texts: Sequence[str],
    labels: Sequence[Any],
    **options: Any,
) -> FittedClassifier:
    """Fit a classifier to texts with labels: `edge_potion.trainer.classifier.fit_classifier`."""


@_called_in("edge_potion.trainer.classifier")
def classifier_from_labels(
    model: StaticModel,
    encode: Callable[[Sequence[str]], Any],
    examples: Mapping[str, Sequence[str]],
    threshold: float | None = None,
) -> FittedClassifier:
    """A classifier of labels alone: `edge_potion.trainer.classifier.classifier_from_labels`."""


@_called_in("edge_potion.trainer.estimator")
def tags_of(multi_label: bool) -> Any:
    """scikit-learn's tags of a classifier: `edge_potion.trainer.estimator.tags_of`."""


@_called_in("edge_potion.trainer.estimator")
def not_fitted(message: str) -> Exception:
    """scikit-learn's error: `edge_potion.trainer.estimator.not_fitted`."""
