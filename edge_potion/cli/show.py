"""What `info` and `export` print of a folder."""

from __future__ import annotations

from pathlib import Path

from edge_potion.bundle import PRECISIONS, Bundle
from edge_potion.errors import EdgePotionError
from edge_potion.escaping import terminal
from edge_potion.labels import Labels
from edge_potion.origin import origin_of, scores_of, teachers_of

__all__ = ["print_bundle", "print_other"]

MOST_NAMED = 10  # labels


def print_bundle(bundle: Bundle) -> None:
    origin = origin_of(bundle.config)
    limit = "never cut" if bundle.max_tokens is None else f"cut at {bundle.max_tokens} tokens"
    lengths = "normalized" if bundle.normalize else "not normalized"
    phrases = f", {bundle.phrases:,} phrases" if bundle.phrases else ""
    print(f"{terminal(bundle.folder)}: {bundle.dim} dimensions, {lengths}, {limit}{phrases}")
    if len(teachers := teachers_of(bundle.config)) > 1:
        told = origin.get("teachers", " and ".join(teachers))  # with more of each, where their maker told it
        print(f"teachers: {terminal(told)}")
        origin.pop("teacher", None)
    for key in ("teacher", "teacher_revision", "recipe_fingerprint", "version", "licence", "trained_on", "limits"):
        if origin.get(key):
            print(f"{key.replace('_', ' ')}: {terminal(origin[key])}")
    for dims, scores in scores_of(bundle.config).items():
        points = ", ".join(f"{kind} {score}" for kind, score in scores.items())
        print(terminal(f"scores at {dims} dimensions: {points}"))
    if bundle.labels:
        print(terminal(_labels(bundle.labels)))
    if line := _engine_of(bundle):
        print(terminal(line))
    for (graph, precision), file in sorted(bundle.graphs.items(), key=lambda item: list(PRECISIONS).index(item[0][1])):
        print(f"{file.stat().st_size / 1e6:8.2f} MB  {precision:8}  {graph:7} {file.relative_to(bundle.folder)}")
    tables = bundle.folder / "model.safetensors"
    if tables.is_file():
        dtype = terminal(bundle.config.get("embedding_dtype", ""))
        print(f"{tables.stat().st_size / 1e6:8.2f} MB  {dtype:8}  table   {tables.name}")


def _labels(labels: Labels) -> str:
    """What a classifier answers with: how many labels, which, and when none."""
    kind = "any number of" if labels.multi_label else "one of"
    named = ", ".join(labels.names[:MOST_NAMED]) + ", ..." * (len(labels.names) > MOST_NAMED)
    below = "" if labels.threshold is None else f"; none of these below a probability of {labels.threshold:g}"
    return f"a classifier: {kind} {len(labels.names)} labels a text ({named}){below}"


def _engine_of(bundle: Bundle) -> str:
    """What runs its text graph here, and why that is not the native engine; "" where it holds none."""
    from edge_potion.engine import Engine, absent, kernels

    file = next((bundle.graphs["text", each] for each in PRECISIONS if ("text", each) in bundle.graphs), None)
    if file is None:
        return ""
    reason = absent()
    try:
        if reason is None:
            Engine(file)
            return f"the text graph runs in the native engine ({kernels()})"
    except EdgePotionError as refusal:
        reason = str(refusal)
    return f"the text graph runs in ONNX Runtime, and not in the native engine: {reason}"


def print_other(folder: Path) -> None:
    """What a folder is that `export` did not write; ModelFormatError where it is nothing that we take."""
    from edge_potion.find import read_json
    from edge_potion.static_model import StaticModel

    graphs = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.onnx"))
    try:
        static = StaticModel.from_pretrained(folder)
    except EdgePotionError:
        config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
        if "hidden_size" not in config:  # of a transformer
            raise
        kind = f"a {config.get('model_type', 'transformer')} of {config['hidden_size']} dimensions, no static model"
        print(f"{folder}: {kind}; edge-potion distill {folder} --out MODEL makes one of it")
    else:
        card = static.card
        limit = "never cut" if card.max_tokens is None else f"cut at {card.max_tokens} tokens"
        phrases = f" and {len(static.phrases):,} phrases" if static.phrases else ""
        kind = f"{static.dim} dimensions, {'normalized' if card.normalize else 'not normalized'}, {limit}"
        print(f"{folder}: a static model of {static.pieces:,} tokens{phrases}, {kind}")
        if static.head:
            print(terminal(_labels(static.head.answers)))
        print("it holds no graph of ours: EdgeModel exports it once into the cache, or edge-potion export for good")
    if graphs:
        print(f"of another maker, and not used here: {', '.join(graphs)}")
