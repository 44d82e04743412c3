"""Quality beside the peers, on one suite, teacher and corpus: trains what is missing, and scores all.

    python -m edge_potion.benchmarks.studies.peers TEACHER DATA RUN SCRATCH --features F --corpus C --json FILE

(a) the teacher; (b) model2vec's own distillation; (c) Tokenlearn by its own code and defaults, (c2) with the recipe's
contrastive loss; (d) ours after each stage, of the published recipe and of the one that ships; (e) the latter exported
at each precision, and cut to fewer dimensions. Then the ablation. What lies in SCRATCH already is not made again. Peers
run in environments of their own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.bundle import PRECISIONS
from edge_potion.exporters.export import export
from edge_potion.static_model import StaticModel
from edge_potion.trainer.shards import open_features
from edge_potion.trainer.stages import BORN_AGAIN, CONTRAST, DISTILL, PCA, POWER
from edge_potion.writing import file_written_whole

from ..quality.evaluate import evaluate
from ..quality.report import as_table, refuse_unscored
from ..speed.environments import Missing, script_command
from .ablation import PUBLISHED, train_variants

__all__ = ["made", "points_by_task", "without_padding"]

STAGES = {"distill": DISTILL, "contrast": CONTRAST, "born-again": BORN_AGAIN, "power": POWER, "PCA": PCA}
CUTS = (128, 64)
TEACHER, MODEL2VEC = "(a) teacher", "(b) model2vec distill"
TOKENLEARN = {"mse": "(c) Tokenlearn", "contrastive": "(c2) Tokenlearn, contrastive loss"}
SHIPPED = "(d) shipped recipe: PCA"
EXPORTED = {precision: f"(e) shipped, {precision}" for precision in PRECISIONS}


def main() -> None:
    """Train the peers, evaluate all, write the JSON that pages.py reads."""
    arguments = _arguments()
    scratch, run = arguments.scratch, arguments.run
    scratch.mkdir(parents=True, exist_ok=True)
    peers = _peers(arguments)
    width = StaticModel.from_pretrained(run / STAGES["distill"].name / "model").dim
    variants = train_variants(arguments.teacher, arguments.corpus, arguments.features, width, scratch / "ablation")
    published = variants[PUBLISHED].parent
    bundle = export(run / "model", scratch / "bundle", quantize=list(PRECISIONS)).folder
    models = {
        **peers,
        **{f"(d) published recipe: {name}": published / stage.name / "model" for name, stage in STAGES.items()},
        "(d) shipped recipe: distill": run / STAGES["distill"].name / "model",
        "(d) shipped recipe: contrast": run / STAGES["contrast"].name / "model",
        SHIPPED: run / "model",
        **{name: f"{bundle}@{precision}" for precision, name in EXPORTED.items()},
        **{f"(e) shipped, int8, first {dims}": f"{bundle}@int8@{dims}" for dims in CUTS},
    }
    report = _scored(models, arguments.data, scratch / "report")
    ablation = _scored({**variants, "the shipped recipe": run / "model"}, arguments.data, scratch / "ablation-report")
    print(as_table(report), as_table(ablation), sep="\n")
    kept = {
        **report,
        "remarks": _verdicts(report) + _peer_notes(scratch),
        "models": [_without_tasks(model) for model in report["models"]],
        "tasks": points_by_task(report),
        "ablation": [_without_tasks(model) for model in ablation["models"]],
    }
    with file_written_whole(arguments.json) as beside:
        beside.write_text(json.dumps(kept, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="folder of the teacher")
    parser.add_argument("data", type=Path, help="folder of the suite")
    parser.add_argument("run", type=Path, help="folder of a finished `edge-potion train` by the recipe that ships")
    parser.add_argument("scratch", type=Path, help="folder for what is made on the way")
    parser.add_argument("--features", type=Path, required=True, help="folder of the shards that the run was trained on")
    parser.add_argument("--corpus", type=Path, required=True, help="file of sentences that the run was given")
    parser.add_argument("--minutes", type=float, default=60, help="how long Tokenlearn may train, each time")
    parser.add_argument("--json", type=Path, required=True, help="what pages.py writes docs/results/quality.md from")
    return parser.parse_args()


def _peers(arguments: argparse.Namespace) -> dict[str, Path | str]:
    """Teacher and peers, trained where they are not there yet."""
    scratch = arguments.scratch
    try:
        distill, train = (
            script_command(str(Path(__file__).with_name(name)))
            for name in ("model2vec_distill.py", "tokenlearn_train.py")
        )
    except Missing as reason:
        sys.exit(f"error: {reason}")
    unpadded = made(scratch / "teacher", lambda part: without_padding(arguments.teacher, part))
    peers: dict[str, Path | str] = {TEACHER: f"st:{arguments.teacher}"}
    peers[MODEL2VEC] = made(scratch / "model2vec-256d", partial(_run, distill, unpadded))
    given = made(scratch / "tokenlearn-features", lambda part: _as_tokenlearn(arguments.features, part))
    for loss, name in TOKENLEARN.items():
        peers[name] = made(_tokenlearn(scratch, loss), partial(_run, train, unpadded, given, arguments.minutes, loss))
    return peers


def _tokenlearn(scratch: Path, loss: str) -> Path:
    return scratch / f"tokenlearn-{loss}-256d"


def made(folder: Path, make: Callable[[Path], object]) -> Path:
    """`folder`, made by `make` under a temporary name when it is not there."""
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        make(part)
        part.rename(folder)
    return folder


def _run(command: Sequence[str], *arguments: object) -> None:
    subprocess.run([*command, *map(str, arguments)], check=True)


def without_padding(teacher: Path, out: Path) -> None:
    """The teacher with a tokenizer that does not pad to a fixed length, over which model2vec would average."""
    out.mkdir(exist_ok=True)
    for file in teacher.iterdir():
        if file.is_file():
            (out / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((out / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["padding"] = tokenizer["truncation"] = None
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")


def _as_tokenlearn(features: Path, out: Path) -> None:
    """The rows that ours were trained on, in the files that Tokenlearn's `featurize` would have written."""
    out.mkdir(exist_ok=True)
    for number, shard in enumerate(open_features(features).shards()):
        (out / f"feature_{number}.json").write_text(json.dumps(shard.texts), encoding="utf-8")
        np.save(out / f"feature_{number}.npy", shard.vectors.astype(np.float32))


def _scored(models: Mapping[str, Path | str], data: Path, out: Path) -> dict[str, Any]:
    """The report on `models`, under their names in the page."""
    report = evaluate([str(model) for model in models.values()], data, out, show_progress=True)
    refuse_unscored(report)
    named = [{**model, "name": name} for name, model in zip(models, report["models"], strict=True)]
    return {**report, "models": named}


def _without_tasks(model: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if key != "tasks"}


def points_by_task(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each task with the points of every model on it."""
    tasks = []
    for place, task in enumerate(report["models"][0]["tasks"]):
        points = {model["name"]: 100 * model["tasks"][place]["scores"]["main"] for model in report["models"]}
        tasks.append({**{key: task[key] for key in ("task", "kind", "half", "rows", "note")}, "points": points})
    return tasks


def _verdicts(report: Mapping[str, Any]) -> list[str]:
    """The targets, with what was measured."""
    scores = {model["name"]: model["averages"]["report"]["CatAVG"] for model in report["models"]}
    peer = max(TOKENLEARN.values(), key=scores.__getitem__)
    published = scores["(d) published recipe: PCA"]
    loss = max(abs(scores[EXPORTED[each]] - scores[EXPORTED["float32"]]) for each in PRECISIONS)
    return [
        f"On the report half, the shipped recipe is {scores[SHIPPED] - scores[peer]:+.2f} CatAVG points from the "
        f"better peer training, {peer}; the published recipe {published - scores[peer]:+.2f}. Target: +2.3.",
        f"The shipped recipe reaches {100 * scores[SHIPPED] / scores[TEACHER]:.1f} % of the teacher's CatAVG. "
        "Target: 94 %.",
        f"float16 and int8 are within {loss:.3f} points of float32. Target: 0.05.",
    ]


def _peer_notes(scratch: Path) -> list[str]:
    """How long Tokenlearn trained, and why it stopped."""
    notes = []
    for loss, name in TOKENLEARN.items():
        told = json.loads((_tokenlearn(scratch, loss) / "tokenlearn.json").read_text(encoding="utf-8"))
        end = "was stopped by our clock" if told["stopped_by_the_clock"] else "stopped by its own rule"
        versions = ", ".join(f"{package} {version}" for package, version in told["versions"].items())
        notes.append(f"{name} trained for {told['seconds']:,} s and {end} ({versions}).")
    return notes


if __name__ == "__main__":
    main()
