"""Files for phones and boards: .ort graphs, what a reduced build must hold, and a verdict."""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from edge_potion import golden_binary
from edge_potion.errors import ParityError
from edge_potion.golden import check_parity
from edge_potion.ort_files import FIXED, MOBILE, OrtFile, ort_files, run_golden

from .graphs import Plan
from .make_golden import golden_of
from .ort_order import write_in_order

__all__ = ["DETAILS", "MOBILE", "write_mobile"]

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

An app needs one `.ort` file. {choice}

`{operators}` lists the operators and types that all of them need. A build of ONNX Runtime that has no others:

    ./build.sh --config MinSizeRel --minimal_build --disable_exceptions --disable_ml_ops \\
        --include_ops_by_config {operators} --enable_reduced_operator_type_support

`../golden.bin` is for a check on the device, without JSON: texts, the vectors that they should have, and by how much a
vector may stray. `edge-potion verify` does that check for every `.ort` file here.

What onnxruntime {version}'s mobile usability checker says of NNAPI (Android) and CoreML (iOS):

| graph | verdict |
|---|---|
{verdicts}

{details}

{output}

## What golden.bin holds

```
{format}
```
"""

TEXT_CHOICE = (
    "Take `text*.ort`, which starts from text; `_quantized` is the smallest. The others are for apps that have a "
    "tokenizer already, and `fixed*` for NNAPI or CoreML, where the table at the end says that they are worth trying."
)
IDS_CHOICE = (
    "These start from token ids, so the app needs the tokenizer too; `_quantized` is the smallest. `fixed*` is for "
    "NNAPI or CoreML, where the table at the end says that they are worth trying."
)


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
    sizes = {file.name: file.stat().st_size for file in sorted(out.iterdir())}
    page = PAGE.format(
        fixed=FIXED,
        max_tokens=plan.fixed_tokens,
        operators=OPERATORS,
        choice=TEXT_CHOICE if "text" in plan.graphs else IDS_CHOICE,
        format="\n".join((golden_binary.__doc__ or "").strip().splitlines()[2:]),
        version=onnxruntime.__version__,
        sizes="\n".join(f"| `{name}` | {size / 1e6:.2f} |" for name, size in sizes.items()),
        verdicts="\n".join(f"| `{name}` | {verdict.summary} |" for name, verdict in verdicts.items()),
        details=DETAILS,
        output="\n\n".join(f"`{name}`:\n\n{verdict.details}" for name, verdict in verdicts.items()),
    )
    (out / "README.md").write_text(page, encoding="utf-8")


@dataclass(frozen=True)
class _Verdict:
    """Of one graph: in a few words, and in the checker's own, as a block of Markdown."""

    summary: str
    details: str


def _verdict(file: Path) -> _Verdict:
    """What onnxruntime's own checker says of a graph on NNAPI and CoreML, without this machine's paths."""
    from onnxruntime.tools.mobile_helpers.usability_checker import analyze_model

    output = io.StringIO()
    logger = logging.Logger(__name__, logging.INFO)  # its own: what is configured for others is left alone
    logger.addHandler(logging.StreamHandler(output))
    with redirect_stdout(output):
        worth_trying = analyze_model(file, skip_optimize=False, logger=logger)
    lines = [line.rstrip().replace(str(file), file.name) for line in output.getvalue().splitlines() if line.strip()]
    summary = "NNAPI or CoreML may be worth trying" if worth_trying else "use the CPU provider"
    return _Verdict(summary, "\n".join(f"    {line}" for line in lines))


def _hold_to_oracle(held: OrtFile, plan: Plan) -> None:
    """Run an .ort file on the golden texts."""
    limit = plan.model.card.max_tokens
    if held.graph == FIXED:
        limit = plan.fixed_tokens if limit is None else min(limit, plan.fixed_tokens)
    golden, vectors = run_golden(held, golden_of(plan.model, max_tokens=limit))
    check_parity(golden, vectors, held.precision, held.file.name)


def _without_comments(file: Path) -> str:
    """What ONNX Runtime's tool wrote, but for the paths on this machine that it begins with."""
    return "".join(
        line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if not line.startswith("#")
    )
