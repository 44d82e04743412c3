"""Trains the page's demo classifier, and writes what ships of it: its head, to be put beside the built-in model.

    python examples/web/demo_classifier.py

reads demo-intents.csv and writes demo-classifier/. It needs edge-potion with its extra "classify".
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import tempfile
from pathlib import Path

from edge_potion import StaticModel, TextClassifier

HERE = Path(__file__).resolve().parent
ROWS, SHIPPED = HERE / "demo-intents.csv", HERE / "demo-classifier"
HEAD, CONFIG = "head.safetensors", "config.json"
HEAD_KEYS = ("id2label", "label2id", "problem_type", "classifier")  # of CONFIG
PRECISION = 0.95  # of what it answers; the rest is none of these
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED, metavar="FOLDER", help="by default the one that ships")
    asked = parser.parse_args()
    classifier = trained()
    with tempfile.TemporaryDirectory() as folder:
        write_head(classifier.save_pretrained(Path(folder) / "classifier"), asked.out)
    size = sum((asked.out / name).stat().st_size for name in (HEAD, CONFIG))
    print(f"{asked.out}: {len(classifier.classes_)} labels, {len(classifier.head_.rows):,} grams, {size:,} bytes")


def trained() -> TextClassifier:
    with ROWS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    classifier = TextClassifier(tune="head", precision_at_least=PRECISION, seed=SEED)
    texts, labels = ([row[column] for row in rows] for column in ("text", "label"))
    return classifier.fit(texts, labels, told=lambda line: print(line, file=sys.stderr))


def write_head(classifier: Path, out: Path) -> None:
    """Write what a classifier's folder has more than its model's."""
    config = json.loads((classifier / CONFIG).read_text(encoding="utf-8"))
    head = {key: config[key] for key in HEAD_KEYS}
    head["classifier"].pop("training")  # it tells how long it took, which is another time each time
    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG).write_text(json.dumps(head, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(classifier / HEAD, out / HEAD)


def put_together(head: Path, out: Path) -> Path:
    """Write the folder of a classifier: the built-in model with a head that was written by `write_head`."""
    StaticModel.from_pretrained().save_pretrained(out)
    config, more = (json.loads((folder / CONFIG).read_text(encoding="utf-8")) for folder in (out, head))
    (out / CONFIG).write_text(json.dumps(config | more), encoding="utf-8")
    shutil.copyfile(head / HEAD, out / HEAD)
    return out


if __name__ == "__main__":
    main()
