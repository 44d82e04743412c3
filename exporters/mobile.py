"""Files for phones and boards: .ort graphs, what a reduced build must hold, a graph of fixed shape, and a verdict."""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from edge_potion.bundle import GRAPHS, PRECISIONS
from edge_potion.calls import FEEDS
from edge_potion.golden import Golden, check_parity
from edge_potion.static_model import StaticModel
from edge_potion.tokens import TokenIds

from .golden import golden_of
from .graph_builder import GraphBuilder
from .pooling import Pooling

__all__ = ["DETAILS", "FIXED", "MOBILE", "fixed_graph", "write_mobile"]

MOBILE = "mobile"  # folder in a bundle
FIXED = "fixed"  # stem of the graph of fixed shape, beside the stems in GRAPHS
DETAILS = "## The checker in its own words"
OPERATORS = "required_operators.config"

PAGE = """\
# For phones and boards

Every `.ort` file is a graph of `onnx/` in the format that a minimal build of ONNX Runtime loads, optimized for ARM;
each was run on the golden texts before it was written. `{fixed}*` take one text of at most {max_tokens} tokens:
`input_ids` and `attention_mask` int32 (1, {max_tokens}), filled up with any id where the mask is 0.

| file | MB |
|---|---:|
{sizes}

`{operators}` lists the operators and types that all of them need. A build of ONNX Runtime that has no others:

    ./build.sh --config MinSizeRel --minimal_build --disable_exceptions --disable_ml_ops \\
        --include_ops_by_config {operators} --enable_reduced_operator_type_support

What onnxruntime {version}'s mobile usability checker says of NNAPI (Android) and CoreML (iOS):

| graph | verdict |
|---|---|
{verdicts}

{details}

{said}
"""


def fixed_graph(pooling: Pooling, metadata: Mapping[str, str], max_tokens: int) -> onnx.ModelProto:
    """`input_ids`, `attention_mask` int32 (1, L) with L = `max_tokens` -> `sentence_embedding` float32 (1, D).

    NNAPI takes neither dynamic shapes nor int64 indices.
    """
    graph = GraphBuilder()
    taken = graph.cast("attention_mask", TensorProto.BOOL)
    grid = graph.op("Where", taken, "input_ids", graph.constant(pooling.pad, np.int32))  # (1, L)
    graph.output(pooling.sentence_embedding(graph, grid), "sentence_embedding")
    inputs = {"input_ids": [1, max_tokens], "attention_mask": [1, max_tokens]}
    return graph.finish(
        "edge_potion_fixed",
        inputs,
        {"sentence_embedding": [1, pooling.dim]},
        metadata,
        dict.fromkeys(inputs, TensorProto.INT32),
    )


def write_mobile(
    folder: Path, model: StaticModel, fixed: Mapping[str, onnx.ModelProto], graphs: Sequence[str], max_tokens: int
) -> None:
    """Add the folder `mobile/` to a bundle that holds `graphs` at the precisions of `fixed`.

    Args:
        folder: the bundle.
        model: what it was exported from.
        fixed: `fixed_graph` at each precision.
        graphs: names as in GRAPHS.
        max_tokens: L of the fixed graphs.

    Raises:
        ParityError: an .ort file strays from the oracle.
    """
    import onnxruntime
    from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

    logging.getLogger("ort_format_model.utils").setLevel(logging.WARNING)  # it tells of files in folders soon gone
    out = folder / MOBILE
    out.mkdir()
    verdicts = {}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        stage = Path(scratch)
        for precision, graph in fixed.items():
            onnx.save(graph, out / f"{FIXED}{PRECISIONS[precision]}.onnx")
        for file in [*(folder / "onnx").glob("*.onnx"), *out.glob("*.onnx")]:
            shutil.copy(file, stage)
            verdicts[file.name] = _verdict(file)
        with redirect_stdout(io.StringIO()):  # it prints what it does; stdout is for results
            convert_onnx_models_to_ort(
                stage,
                output_dir=out,
                optimization_styles=[OptimizationStyle.Fixed],
                target_platform="arm",  # leaves out layouts that only x86-64 has
                enable_type_reduction=True,
            )
    (out / "required_operators_and_types.config").rename(out / OPERATORS)
    for name, stem in [*((name, GRAPHS[name]) for name in graphs), (FIXED, FIXED)]:
        for precision in fixed:
            file = out / f"{stem}{PRECISIONS[precision]}.ort"
            _hold_to_oracle(file, name, precision, model, max_tokens)
    sizes = {file.name: file.stat().st_size for file in sorted(out.iterdir())}
    page = PAGE.format(
        fixed=FIXED,
        max_tokens=max_tokens,
        operators=OPERATORS,
        version=onnxruntime.__version__,
        sizes="\n".join(f"| `{name}` | {size / 1e6:.2f} |" for name, size in sizes.items()),
        verdicts="\n".join(f"| `{name}` | {verdict.told} |" for name, verdict in verdicts.items()),
        details=DETAILS,
        said="\n\n".join(f"`{name}`:\n\n{verdict.said}" for name, verdict in verdicts.items()),
    )
    (out / "README.md").write_text(page, encoding="utf-8")


@dataclass(frozen=True)
class _Verdict:
    """Of one graph: in a few words, and in the checker's own, as a block of Markdown."""

    told: str
    said: str


def _verdict(file: Path) -> _Verdict:
    """What onnxruntime's own checker says of a graph on NNAPI and CoreML, without this machine's paths."""
    from onnxruntime.tools.mobile_helpers.usability_checker import analyze_model

    said = io.StringIO()
    logger = logging.Logger(__name__, logging.INFO)  # its own: what is configured for others is left alone
    logger.addHandler(logging.StreamHandler(said))
    with redirect_stdout(said):
        worth_trying = analyze_model(file, skip_optimize=False, logger=logger)
    lines = [line.rstrip().replace(str(file), file.name) for line in said.getvalue().splitlines() if line.strip()]
    told = "NNAPI or CoreML may be worth trying" if worth_trying else "use the CPU provider"
    return _Verdict(told, "\n".join(f"    {line}" for line in lines))


def _hold_to_oracle(file: Path, graph: str, precision: str, model: StaticModel, max_tokens: int) -> None:
    """Run an .ort file on the golden texts."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    limit = model.card.max_tokens
    if graph == FIXED:
        limit = max_tokens if limit is None else min(limit, max_tokens)
    golden = golden_of(model, without_nul=graph == "text", max_tokens=limit)
    calls = _fixed_feeds(golden, max_tokens) if graph == FIXED else _feeds(graph, golden)
    vectors = np.concatenate([session.run(None, feeds)[0] for feeds in calls])
    check_parity(golden, vectors, precision, file.name)


def _feeds(graph: str, golden: Golden) -> list[dict[str, np.ndarray]]:
    if graph == "text":
        return [{"text": np.frombuffer("\0".join(golden.texts).encode(), np.uint8)}]
    lengths = np.array([len(ids) for ids in golden.ids], np.int64)
    flat = np.array([token for ids in golden.ids for token in ids], np.int64)
    return [FEEDS[graph](TokenIds(flat, lengths), np.arange(len(lengths)))]


def _fixed_feeds(golden: Golden, max_tokens: int) -> list[dict[str, np.ndarray]]:
    feeds: list[dict[str, Any]] = []
    for ids in golden.ids:
        grid, mask = np.zeros((2, 1, max_tokens), np.int32)
        grid[0, : len(ids)], mask[0, : len(ids)] = ids, 1
        feeds.append({"input_ids": grid, "attention_mask": mask})
    return feeds
