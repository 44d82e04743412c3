"""Quality beside the peers, on one suite, teachers and corpus: trains what is missing by several seeds, and scores all.

    python -m edge_potion.benchmarks.studies.peers TEACHER DATA SCRATCH --features F --features G --corpus C --json FILE

(a) the teacher; (b) model2vec's own distillation; (c) Tokenlearn by its own code and defaults, (c2) with the published
recipe's contrastive loss, (c3) with our joined targets of all teachers; (d) the published recipe, of the first teacher,
and the one that ships, distilled and trained; (e) the latter exported at each precision, and cut to fewer dimensions.
Then the ablation, one seed each. What lies in SCRATCH already is not made again. Peers run in environments of their
own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.bundle import PRECISIONS
from edge_potion.exporters.export import export
from edge_potion.find import WITHOUT_PHRASES, read_json
from edge_potion.trainer.join import join
from edge_potion.trainer.recipe import Recipe
from edge_potion.trainer.recipe_file import load_recipe
from edge_potion.trainer.shards import Shard, open_features
from edge_potion.trainer.stages import DISTILL
from edge_potion.writing import file_written_whole

from ..quality.evaluate import evaluate
from ..quality.report import as_table, refuse_unscored
from ..speed.environments import Missing, script_command
from .ablation import VARIANTS, Given, changed, run_of, with_seed
from .seeds import as_rows, difference, tasks_of

__all__ = ["made", "without_padding"]

SHIPPED, PUBLISHED = "potion-256d-minilm-e5", "potion-256d"
CUTS = (128, 64)
TEACHER, MODEL2VEC = "(a) teacher", "(b) model2vec distill"
OURS = "(d) shipped recipe"
PRUNED = "(d) shipped recipe, without phrases"
EXPORTED = {precision: f"(e) shipped, {precision}" for precision in PRECISIONS}


@dataclass(frozen=True)
class Tokenlearn:
    """One way that Tokenlearn is trained.

    Attributes:
        name: in the page.
        loss: its own, "mse", or "contrastive".
        joined: whether its targets are the joined ones of all teachers.
    """

    name: str
    loss: str
    joined: bool = False

    def folder(self, scratch: Path, seed: int) -> Path:
        """Of its model."""
        return scratch / f"tokenlearn-{'joined-' if self.joined else ''}{self.loss}-{seed}"


TOKENLEARN = (
    Tokenlearn("(c) Tokenlearn", "mse"),
    Tokenlearn("(c2) Tokenlearn, contrastive loss", "contrastive"),
    Tokenlearn("(c3) Tokenlearn, all teachers", "mse", joined=True),
)
Row = Mapping[str, Any]
Models = Iterator[tuple[str, Path | str]]  # by the name in the page, one of each seed


@dataclass(frozen=True)
class Study:
    """What is trained, of what, and where it goes."""

    arguments: argparse.Namespace

    @property
    def scratch(self) -> Path:
        """Where what is made on the way lies."""
        return Path(self.arguments.scratch)

    @property
    def seeds(self) -> range:
        """Of ours."""
        return range(self.arguments.seeds)

    @cached_property
    def given(self) -> Given:
        """What every run of ours is given."""
        return Given(self.arguments.teacher, self.arguments.corpus, self.arguments.features)

    @cached_property
    def teacher(self) -> Path:
        """The teacher with a tokenizer that does not pad, for the peers."""
        return made(self.scratch / "teacher", lambda part: without_padding(self.arguments.teacher, part))

    def run(self, recipe: Recipe, name: str, seed: int, given: Given | None = None) -> Path:
        """A finished run of a recipe by a seed; what does not hang on the seed is made once."""
        first = self.scratch / f"{name}-0"
        return run_of(with_seed(recipe, seed), given or self.given, self.scratch / f"{name}-{seed}", like=first)


def main() -> None:
    """Train, evaluate all, write the JSON that pages.py reads."""
    arguments = _arguments()
    study = Study(arguments)
    study.scratch.mkdir(parents=True, exist_ok=True)
    suite = _suite(arguments.data, study.scratch / "suite")
    shipped = load_recipe(SHIPPED)
    try:
        named = [*_peers(study), *_ours(study, shipped), *_also(arguments.also)]
    except Missing as reason:
        sys.exit(f"error: {reason}")
    names, models = zip(*named, strict=True)
    report = _scored(models, suite, study.scratch / "report")
    known = read_json(arguments.known) if arguments.known else {"models": [], "ablation": []}
    notes = dict(_peer_notes(study.scratch, arguments.peer_seeds))
    rows = _beside(known["models"], [{**row, "note": notes.get(row["name"], "")} for row in as_rows(report, names)])
    ablated = known["ablation"]
    if arguments.ablation:
        variants = {"the shipped recipe": study.run(shipped, SHIPPED, 0) / "model", **dict(_variants(study, shipped))}
        scored = _scored(list(variants.values()), suite, study.scratch / "ablation-report")
        ablated = [_without_tasks(row) for row in as_rows(scored, list(variants))]
    kept = {
        **{key: report[key] for key in ("schema", "versions", "protocol", "suite", "missing")},
        "models": rows,
        "remarks": [*_verdicts(rows), *(row["note"] for row in rows if row.get("note"))],
        "tasks": tasks_of(report),
        "ablation": ablated,
    }
    with file_written_whole(arguments.json) as beside:
        beside.write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="folder of the first teacher")
    parser.add_argument("data", type=Path, help="folder with eval/ and retrieval/")
    parser.add_argument("scratch", type=Path, help="folder for what is made on the way")
    parser.add_argument("--features", type=Path, action="append", required=True, help="shards of a teacher, each")
    parser.add_argument("--corpus", type=Path, required=True, help="file of sentences, for the words of a vocabulary")
    parser.add_argument("--seeds", type=int, default=5, help="of what we train")
    parser.add_argument("--published-seeds", type=int, default=5, help="of the published recipe")
    parser.add_argument("--peer-seeds", type=int, nargs=3, default=[5, 5, 5], help="of (c), (c2) and (c3)")
    parser.add_argument("--minutes", type=float, default=60, help="how long Tokenlearn may train, each time")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=MODEL", help="a further row of the page")
    parser.add_argument("--known", type=Path, help="an earlier JSON: what this run does not train is taken from there")
    parser.add_argument("--no-ablation", dest="ablation", action="store_false", help="leave it out")
    parser.add_argument("--json", type=Path, required=True, help="what pages.py writes docs/results/quality.md from")
    return parser.parse_args()


def _suite(data: Path, out: Path) -> Path:
    """One folder with the tasks and the retrieval sets, which `evaluate` takes."""
    out.mkdir(exist_ok=True)
    for each in (*(data / "eval").iterdir(), *(data / "retrieval").iterdir()):
        if each.is_dir() and not (out / each.name).exists():
            (out / each.name).symlink_to(each.absolute())
    return out


def _peers(study: Study) -> Models:
    """Teacher and peers, trained where they are not there yet."""
    scratch, arguments = study.scratch, study.arguments
    distill, train = (
        script_command(str(Path(__file__).with_name(name))) for name in ("model2vec_distill.py", "tokenlearn_train.py")
    )
    if not arguments.known:  # half an hour, of always the same
        yield TEACHER, f"st:{arguments.teacher}"
    yield MODEL2VEC, made(scratch / "model2vec-256d", partial(_run, distill, study.teacher))
    for way, seeds in zip(TOKENLEARN, arguments.peer_seeds, strict=True):
        features = arguments.features if way.joined else arguments.features[:1]
        name = f"tokenlearn-features-{len(features)}{'-scaled' if way.joined else ''}"
        for seed in range(seeds):
            given = made(scratch / name, partial(_as_tokenlearn, features))
            make = partial(_run, train, study.teacher, given, arguments.minutes, way.loss, seed)
            yield way.name, made(way.folder(scratch, seed), make)


def _ours(study: Study, shipped: Recipe) -> Models:
    """The published recipe as wide as the teacher, and the shipped one: untrained, trained, and its files."""
    if not study.seeds:
        return
    runs = [study.run(shipped, SHIPPED, seed) for seed in study.seeds]
    width = shipped.distill.dims  # the published 512 is wider than this teacher
    published = changed(load_recipe(PUBLISHED), {"distill": {"dims": width}})
    for seed in range(study.arguments.published_seeds):
        yield "(d) published recipe", study.run(published, PUBLISHED, seed, study.given.alone()) / "model"
    yield f"{OURS}: distill", runs[0] / DISTILL.name / "model"
    for run in runs:
        yield PRUNED, run / "model" / WITHOUT_PHRASES
    for run in runs:
        yield OURS, run / "model"
    bundles = [export(run / "model", run / "bundle", quantize=list(PRECISIONS)).folder for run in runs]
    for precision, name in EXPORTED.items():
        for bundle in bundles if precision == "int8" else bundles[:1]:  # the others are the table of the row above
            yield name, f"{bundle}@{precision}"
    for dims in CUTS:
        for bundle in bundles:
            yield f"(e) shipped, int8, first {dims}", f"{bundle}@int8@{dims}"


def _also(named: Sequence[str]) -> Models:
    for each in named:
        name, _, model = each.partition("=")
        yield name, model


def _variants(study: Study, shipped: Recipe) -> Models:
    """One seed of each variant of the shipped recipe, in a run of its own."""
    for name, (changes, all_teachers) in VARIANTS.items():
        given = study.given if all_teachers else study.given.alone()
        folder = study.scratch / "ablation" / "-".join(name.replace(",", "").replace("'", "").split())
        yield name, run_of(changed(shipped, changes), given, folder, like=study.scratch / f"{SHIPPED}-0") / "model"


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
    """The teacher with a tokenizer that neither cuts nor pads to one length, over which model2vec would average."""
    out.mkdir(exist_ok=True)
    for file in teacher.iterdir():
        if file.is_file():
            (out / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((out / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["padding"] = tokenizer["truncation"] = None
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")


def _as_tokenlearn(features: Sequence[Path], out: Path) -> None:
    """The rows that ours were trained on, in the files that Tokenlearn's `featurize` would have written."""
    out.mkdir(exist_ok=True)
    opened = [open_features(folder) for folder in features]
    shards: Iterator[Shard] = opened[0].shards()
    scale = 1.0
    if len(opened) > 1:
        joined = join(opened, [1.0, *(other.weight for other in load_recipe(SHIPPED).others)])
        shards = joined.shards()
        # It stops where its loss falls by less than 1e-4, which of targets a quarter as long is at once.
        alone, together = (float(next(each.shards()).vectors.var(axis=0).sum()) for each in (opened[0], joined))
        scale = (alone / together) ** 0.5
    for number, shard in enumerate(shards):
        (out / f"feature_{number}.json").write_text(json.dumps(shard.texts), encoding="utf-8")
        np.save(out / f"feature_{number}.npy", shard.vectors.astype(np.float32) * np.float32(scale))


def _scored(models: Sequence[Path | str], suite: Path, out: Path) -> dict[str, Any]:
    """The report on `models`."""
    report = evaluate([str(model) for model in models], suite, out, show_progress=True)
    refuse_unscored(report)
    print(as_table(report), flush=True)
    return report


def _beside(known: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Rows of an earlier report and of this one, which wins; in the order of their letters."""
    by_name = {row["name"]: row for row in (*known, *rows)}
    return sorted(by_name.values(), key=lambda row: row["name"].partition(")")[0] if row["name"][0] == "(" else "~")


def _without_tasks(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "tasks"}


def _verdicts(rows: Sequence[Row]) -> Iterator[str]:
    """The targets, with what was measured on the report half."""
    by_name = {row["name"]: row for row in rows}
    ours = by_name[OURS]
    mean = {name: row["averages"]["report"]["CatAVG"] for name, row in by_name.items()}
    alone = [way.name for way in TOKENLEARN if not way.joined and way.name in by_name]
    if alone:
        peer = max(alone, key=mean.__getitem__)
        yield f"{_apart(ours, by_name[peer])}, the better one of one teacher. Target: +1.5, moonshot +2.3."
    for way in TOKENLEARN:
        if way.joined and way.name in by_name:
            yield f"{_apart(ours, by_name[way.name])}, given our targets of all teachers."
    yield (
        f"The shipped recipe reaches {100 * mean[OURS] / mean[TEACHER]:.1f} % of all-MiniLM-L6-v2's CatAVG. "
        "Target: 98 %."
    )
    pairs = ((EXPORTED["int8"], OURS), (EXPORTED["float16"], EXPORTED["float32"]))  # each of the same seeds
    loss = max(abs(mean[one] - mean[other]) for one, other in pairs)
    yield f"float16 and int8 are within {loss:.3f} points of float32. Target: 0.05."


def _apart(ours: Row, theirs: Row) -> str:
    points, level = difference(ours, theirs, "report")
    seeds = (f"{row['seeds']} seed{'s' * (row['seeds'] > 1)}" for row in (ours, theirs))
    told = f"{points:+.2f} CatAVG points" + (" (level: below two standard deviations)" if level else "")
    return f"On the report half, the shipped recipe ({next(seeds)}) is {told} from {theirs['name']} ({next(seeds)})"


def _peer_notes(scratch: Path, seeds: Sequence[int]) -> Iterator[tuple[str, str]]:
    """How long Tokenlearn trained, and why it stopped, by its name in the page."""
    for way, count in zip(TOKENLEARN, seeds, strict=True):
        told = [read_json(way.folder(scratch, seed) / "tokenlearn.json") for seed in range(count)]
        if told:
            stopped = sum(each["stopped_by_the_clock"] for each in told)
            end = f"{stopped} of {count} stopped by our clock" if stopped else "stopped by its own rule"
            seconds = sorted(each["seconds"] for each in told)
            versions = ", ".join(f"{package} {version}" for package, version in told[0]["versions"].items())
            where = f" on {told[0]['device']}" if "device" in told[0] else ""
            scaled = ", its targets scaled to the variance of one teacher's" if way.joined else ""
            took = f"{seconds[0]:,} to {seconds[-1]:,} s{where}"
            yield way.name, f"{way.name} trained for {took}, {end}{scaled} ({versions})."


if __name__ == "__main__":
    main()
