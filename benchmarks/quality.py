"""Quality beside the peers, on one suite, teacher and corpus: trains what is missing, evaluates all, writes quality.md.

    python -m edge_potion.benchmarks.quality TEACHER DATA RUN SCRATCH [--minutes N] [--out benchmarks/quality.md]

(a) the teacher; (b) model2vec's own distillation; (c) Tokenlearn by its own code and defaults; (d) ours after each
stage; (e) ours exported at each precision. What lies in SCRATCH already is not made again. Peers run in environments of
their own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_potion.bundle import PRECISIONS
from edge_potion.exporters.export import export
from edge_potion.folders import file_written_whole
from edge_potion.trainer.shards import open_features

from .evaluate import evaluate
from .quality_report import as_markdown, as_table

__all__: list[str] = []

STAGES = ("1-distil", "3-contrast", "4-born-again", "5-power", "6-pca")
DIMS = 256
DISTIL = (
    "import sys; from model2vec.distill import distill; "
    f"distill(sys.argv[1], pca_dims={DIMS}, quantize_to='float32', device='cpu').save_pretrained(sys.argv[2])"
)


def main() -> None:
    """Train the peers, evaluate all, write the page."""
    arguments = _arguments()
    scratch, run = arguments.scratch, arguments.run
    scratch.mkdir(parents=True, exist_ok=True)
    unpadded = _made(scratch / "teacher", lambda part: _without_padding(arguments.teacher, part))
    distilled = _made(
        scratch / "model2vec-256d",
        lambda part: _run(arguments.venvs / "model2vec-distill", "-c", DISTIL, unpadded, part),
    )
    given = _made(scratch / "tokenlearn-features", lambda part: _as_tokenlearn(arguments.features, part))
    script = Path(__file__).with_name("tokenlearn_train.py")
    tokenlearn = _made(
        scratch / "tokenlearn-256d",
        lambda part: _run(arguments.venvs / "tokenlearn", script, unpadded, given, part, arguments.minutes),
    )
    bundle = export(run / "model", scratch / "bundle", quantize=list(PRECISIONS)).folder
    models = [f"st:{arguments.teacher}", distilled, tokenlearn]
    models += [run / stage / "model" for stage in STAGES] + [f"{bundle}@{precision}" for precision in PRECISIONS]
    report = evaluate([str(model) for model in models], arguments.data, scratch / "report", show_progress=True)
    print(as_table(report))
    with file_written_whole(arguments.out) as beside:
        beside.write_text(as_markdown(report), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="folder of the teacher")
    parser.add_argument("data", type=Path, help="folder of the suite")
    parser.add_argument("run", type=Path, help="folder of a finished `edge-potion train`")
    parser.add_argument("scratch", type=Path, help="folder for what the peers make")
    parser.add_argument("--features", type=Path, required=True, help="folder of the shards that the run was trained on")
    parser.add_argument("--minutes", type=float, default=60, help="how long Tokenlearn may train")
    parser.add_argument("--venvs", type=Path, default=Path(".venvs"), help="folder of the peers' environments")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/quality.md"), help="the page")
    return parser.parse_args()


def _made(folder: Path, make: Callable[[Path], object]) -> Path:
    """`folder`, made by `make` under a temporary name when it is not there."""
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        make(part)
        part.rename(folder)
    return folder


def _run(venv: Path, *arguments: object) -> None:
    subprocess.run([venv / "bin" / "python", *map(str, arguments)], check=True)


def _without_padding(teacher: Path, out: Path) -> None:
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


if __name__ == "__main__":
    main()
