"""What scikit-learn asks of an estimator, in its own classes: of a classifier whose samples are texts."""

from __future__ import annotations

from typing import Any

__all__ = ["not_fitted", "tags_of"]


def tags_of(multi_label: bool) -> Any:
    """sklearn.utils.Tags: texts in one dimension, a target that is needed."""
    from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

    return Tags(
        estimator_type="classifier",
        target_tags=TargetTags(required=True, multi_output=multi_label, two_d_labels=multi_label),
        classifier_tags=ClassifierTags(multi_label=multi_label),
        input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
        array_api_support=False,
        no_validation=True,
    )


def not_fitted(message: str) -> Exception:
    """sklearn.exceptions.NotFittedError."""
    from sklearn.exceptions import NotFittedError

    return NotFittedError(message)
