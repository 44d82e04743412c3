"""Files for phones and boards: .ort graphs, what a reduced build must hold, and a verdict."""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from edge_potion import golden_binary
from edge_potion.bundle import PRECISIONS
from edge_potion.errors import ParityError
from edge_potion.golden import check_parity
from edge_potion.golden_head import check_decisions
from edge_potion.golden_runs import run_golden
from edge_potion.graph_parts import VECTORS
from edge_potion.ort_files import FIXED, MOBILE, OrtFile, ort_files

from .graphs import Plan, file_of
from .make_golden import golden_of
from .ort_order import write_in_order

__all__ = ["DETAILS", "MOBILE", "write_mobile"]

DETAILS = "## The checker in its own words"
OPERATORS = "required_operators.config"

PAGE = """\
# For phones and boards

**Ship one file**, the first that fits. Paths are from the bundle's folder.

| for | ship | MB |
|---|---|---:|
{choices}

These are {smallest}{others}. `fixed*` take one text: `input_ids` and `attention_mask`
int32 (1, {max_tokens}), filled up with any id where the mask is 0. onnxruntime {version}'s mobile usability checker
says of NNAPI (Android) and CoreML (iOS): {verdict}.

How to call each, in Kotlin, Swift, C and C++: <{guide}>

Beside them, not to ship: `golden.bin` holds texts and the vectors that they should have, for a check on the device
without JSON. Every `.ort` file was held to them before it was written, and `edge-potion verify` does it again.
`mobile/{operators}` lists the operators and types that the `.ort` files need. A build of ONNX
Runtime that has no others:

    ./build.sh --config MinSizeRel --minimal_build --disable_exceptions --disable_ml_ops \\
        --include_ops_by_config {operators} --enable_reduced_operator_type_support

{details}

{output}

## What golden.bin holds

```
{format}
```
"""

# What the app runs a model by, from the least of it to the most, and the kind of file that is all it needs.
CHOICES = (
    ("text", "the native engine: 0.2 MB of code, and nothing else", "onnx"),
    ("text", "ONNX Runtime", "onnx"),
    ("text", "a minimal build of ONNX Runtime", "ort"),
    ("bag", "the same, and your own tokenizer: ids of one text after another", "ort"),
    ("tokens", "the same, and your own tokenizer: ids padded to a grid", "ort"),
    (FIXED, "your own tokenizer, and NNAPI or CoreML, which want a fixed shape", "onnx"),
    (FIXED, "the same in a minimal build", "ort"),
)
OTHER_PRECISIONS = {"float16": "files with `_fp16` are float16", "float32": "files without a suffix are float32"}
GUIDE = "https://github.com/edge-potion/edge-potion/blob/main/docs/run-anywhere.md#on-a-phone-or-a-board"


def write_mobile(folder: Path, plan: Plan) -> None:
    """Make the rest of the folder `mobile/` of a bundle that holds its graphs, FIXED among them.

    Raises:
        ParityError: an .ort file strays from the oracle.
    """
    import onnxruntime
    from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

    logging.getLogger("ort_format_model.utils").setLevel(logging.WARNING)  # it tells of files in folders soon gone
    out = folder / MOBILE
    verdicts = {}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        stage = Path(scratch)
        for file in [*sorted((folder / "onnx").glob("*.onnx")), *sorted(out.glob("*.onnx"))]:
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
    listed = out / "required_operators_and_types.config"
    (out / OPERATORS).write_text(_without_comments(listed), encoding="utf-8")
    listed.unlink()
    converted = ort_files(folder)
    planned = {(graph, precision) for graph in plan.graphs for precision in plan.precisions}
    if missing := planned - {(held.graph, held.precision) for held in converted}:
        raise ParityError(f"onnxruntime {onnxruntime.__version__} made no .ort file of {sorted(missing)}")
    for held in converted:
        write_in_order(held.file)
        _hold_to_oracle(held, plan)
    smallest, *others = [precision for precision in PRECISIONS if precision in plan.precisions]
    page = PAGE.format(
        choices="\n".join(_choices(folder, plan, smallest)),
        smallest=smallest,
        others="".join(f"; {OTHER_PRECISIONS[each]}" for each in others),
        max_tokens=plan.fixed_tokens,
        operators=OPERATORS,
        verdict=_verdict_on_all(verdicts),
        guide=GUIDE,
        format="\n".join((golden_binary.__doc__ or "").strip().splitlines()[2:]),
        version=onnxruntime.__version__,
        details=DETAILS,
        output="\n\n".join(f"`{name}`:\n\n{verdict.details}" for name, verdict in verdicts.items()),
    )
    (out / "README.md").write_text(page, encoding="utf-8")


def _choices(folder: Path, plan: Plan, precision: str) -> Iterator[str]:
    """Rows of the table: what an app runs it by, its file, and the size of that."""
    for graph, by, kind in CHOICES:
        if graph in plan.graphs:
            file = folder / file_of(graph, precision)
            if kind == "ort":
                file = folder / MOBILE / f"{file.stem}.ort"
            yield f"| {by} | `{file.relative_to(folder).as_posix()}` | {file.stat().st_size / 1e6:.2f} |"


@dataclass(frozen=True)
class _Verdict:
    """Of one graph: whether NNAPI or CoreML are worth trying, and the checker's own words, as a block of Markdown."""

    worth_trying: bool
    details: str


def _verdict_on_all(verdicts: Mapping[str, _Verdict]) -> str:
    named = [f"`{name}`" for name, verdict in verdicts.items() if verdict.worth_trying]
    if not named:
        return "use the CPU provider for every graph here"
    return f"worth trying for {', '.join(named)}; use the CPU provider for the others"


def _verdict(file: Path) -> _Verdict:
    """What onnxruntime's own checker says of a graph on NNAPI and CoreML, without this machine's paths."""
    from onnxruntime.tools.mobile_helpers.usability_checker import analyze_model

    output = io.StringIO()
    logger = logging.Logger(__name__, logging.INFO)  # its own: what is configured for others is left alone
    logger.addHandler(logging.StreamHandler(output))
    with redirect_stdout(output):
        worth_trying = analyze_model(file, skip_optimize=False, logger=logger)
    lines = [line.rstrip().replace(str(file), file.name) for line in output.getvalue().splitlines() if line.strip()]
    return _Verdict(worth_trying, "\n".join(f"    {line}" for line in lines))


def _hold_to_oracle(held: OrtFile, plan: Plan) -> None:
    """Run an .ort file on the golden texts."""
    limit = plan.model.card.max_tokens
    if held.graph == FIXED:
        limit = plan.fixed_tokens if limit is None else min(limit, plan.fixed_tokens)
    golden, outputs = run_golden(held, golden_of(plan.model, max_tokens=limit))
    check_parity(golden, outputs[VECTORS], held.precision, held.file.name)
    if golden.head and held.graph != "bag":
        check_decisions(golden.head, golden.texts, outputs, held.precision, held.file.name)


def _without_comments(file: Path) -> str:
    """What ONNX Runtime's tool wrote, but for the paths on this machine that it begins with."""
    return "".join(
        line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if not line.startswith("#")
    )
