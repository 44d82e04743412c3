"""README.md of a classifier's folder: what it decides between, how good it was on held-out rows, how it is used."""

from __future__ import annotations

from edge_potion.head import Head
from edge_potion.model_folder import Card
from edge_potion.training import Training

__all__ = ["classifier_card"]

MOST_LISTED = 40  # labels


def classifier_card(base: Card, head: Head, training: Training | None) -> str:
    """The card of a classifier that was made from the model `base`."""
    listed = ", ".join(f"`{label}`" for label in head.labels[:MOST_LISTED])
    more = f" and {len(head.labels) - MOST_LISTED} more" if len(head.labels) > MOST_LISTED else ""
    kind = "any number of labels" if head.multi_label else "one label"
    lines = [
        *("---", "library_name: edge-potion", "pipeline_tag: text-classification", "---", ""),
        f"# A text classifier with {len(head.labels)} labels",
        "",
        f"Gives a text {kind} of {listed}{more}. Made from the static embedding model {base.name} with edge-potion.",
        "",
        *_how_good(head, training),
        "## Use",
        "",
        "```python",
        "from edge_potion import TextClassifier",
        "",
        'classifier = TextClassifier.from_pretrained("THIS_FOLDER")',
        'classifier.predict(["a text"]), classifier.predict_proba(["a text"])',
        "```",
        "",
        "`edge-potion export THIS_FOLDER --quantize int8` makes one .onnx file of it that takes text and gives labels.",
        "",
    ]
    return "\n".join(lines)


def _how_good(head: Head, training: Training | None) -> list[str]:
    if training is None:
        return ["It was made from the labels' names or examples alone, without training rows.", ""]
    lines = [
        f"Trained on {training.rows:,} rows; {training.why}.",
        "",
        f"Expected calibration error on held-out rows: {training.ece_after:.3f} ({training.ece_before:.3f} before the "
        f"temperature of {training.temperature:.2f}).",
        "",
    ]
    if head.threshold is not None and not head.multi_label:
        lines += [
            f"Below a probability of {head.threshold:.3f} the answer is none of these: on held-out rows "
            f"{training.coverage or 0:.1%} were answered, {training.threshold_precision or 0:.1%} of these rightly.",
            "",
        ]
    return lines
