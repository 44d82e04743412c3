"""Load one bundle, just as it is, in every library that can, and hold their vectors to the oracle's.

    python -m edge_potion.benchmarks.studies.runtimes BUNDLE [--json FILE]

Exits with 1 where a library that is installed gives other vectors than it is known to give.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import edge_potion
from edge_potion.bundle import Bundle, graph_file, open_bundle
from edge_potion.errors import EdgePotionError
from edge_potion.escaping import terminal
from edge_potion.find import read_json
from edge_potion.golden import Golden, cosines, read_golden

from ..speed.configurations import Configuration, package_alone
from ..speed.environments import JAVASCRIPT, TRANSFORMERS_JS, Missing, javascript_folder, script_command
from ..speed.jobs import Effort, Jobs
from ..speed.process import answer_of, without_folders

__all__ = ["AGREES", "RUNTIMES", "Runtime", "held_to_oracle", "run_all"]

FORMAT = 1
AGREES = 0.9999  # least cosine of a text
PROCESS_SECONDS = 120  # what takes longer hangs
WORST_SHOWN = 3
UNTIMED = Effort(rounds=1, latency_calls=1, warmup_calls=0, warmup_seconds=0, batch_seconds=0, batches=())
EXAMPLE = Path(__file__).parents[2] / "examples" / "langchain"

# Why a text's vector may be another than the oracle's: told from the text and its ids, never from the vector.
SPECIAL, NOTHING_KNOWN = "with a special token in the text", "without a known token"


@dataclass(frozen=True)
class Runtime:
    """A library that loads the bundle's folder.

    Attributes:
        packages: whose versions tell what ran.
        runner: `runners/run_RUNNER.py`, in the environment of that script, or the file of `runners/node/` that runs it.
        javascript: the environment of the latter; None for Python.
        graph: which of the bundle's it runs; None where it reads the table in model.safetensors.
        reads: what else it reads.
        differs: what it does with texts of a class, and therefore differs from the oracle.
        remark: what else there is to know.
        smallest: whether it takes the smallest precision of a bundle, whatever is asked for.
    """

    packages: Sequence[str]
    runner: str
    javascript: str | None = None
    graph: str | None = None
    reads: Sequence[str] = ()
    differs: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    smallest: bool = False

    @property
    def name(self) -> str:
        return ", ".join(self.packages)


AS_TOKEN = {SPECIAL: "taken for that token"}
RUNTIMES = (
    Runtime(packages=["onnxruntime"], runner="onnx", graph="text", remark="in Python, from the bytes of the texts"),
    Runtime(
        packages=["onnxruntime", "tokenizers"],
        runner="onnx",
        graph="tokens",
        reads=["tokenizer.json"],
        differs=AS_TOKEN,
    ),
    Runtime(packages=["onnxruntime-node"], runner="node", javascript=JAVASCRIPT, graph="text"),
    Runtime(
        packages=["onnxruntime-web", "chromium"],
        runner="web",
        javascript=JAVASCRIPT,
        graph="text",
        remark="as WebAssembly",
    ),
    Runtime(
        packages=["@huggingface/transformers"],
        runner="transformers/transformers",
        javascript=TRANSFORMERS_JS,
        graph="tokens",
        reads=["config.json", "tokenizer.json", "tokenizer_config.json"],
        differs={**AS_TOKEN, NOTHING_KNOWN: "NaN, as it divides by a norm of zero"},
        remark="`dtype` q8, fp16, fp32; needs `--token-embeddings`",
    ),
    Runtime(
        packages=["fastembed"],
        runner="fastembed",
        graph="tokens",
        reads=["config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"],
        differs=AS_TOKEN,
        remark="by `add_custom_model`",
    ),
    Runtime(packages=["model2vec"], runner="model2vec", reads=["config.json", "tokenizer.json"], differs=AS_TOKEN),
    Runtime(
        packages=["sentence-transformers"],
        runner="sentence-transformers",
        reads=["modules.json", "tokenizer.json"],
        differs=AS_TOKEN,
        remark="keeps [UNK] in its mean, which the oracle drops: its row is zero, so only lengths before normalizing "
        "differ",
    ),
    Runtime(
        packages=["langchain-core"],
        runner="langchain",
        graph="text",
        reads=["config.json"],
        remark="as examples/langchain has it",
        smallest=True,
    ),
)


def main() -> None:
    """Run all, one line each; write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="exported with --token-embeddings, at every precision to be tried")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the report")
    arguments = parser.parse_args()
    rows = []
    try:
        for row in run_all(arguments.bundle):
            rows.append(row)
            print(_as_line(row), flush=True)
    except EdgePotionError as reason:
        sys.exit(f"error: {reason}")
    if arguments.json:
        told = json.dumps(_report(rows), indent=1, ensure_ascii=False, allow_nan=False)
        arguments.json.write_text(f"{told}\n", encoding="utf-8", errors="backslashreplace")
    sys.exit(any(row["status"] == "FAILED" for row in rows))


def run_all(folder: Path, runtimes: Sequence[Runtime] = RUNTIMES) -> Iterator[dict[str, Any]]:
    """The row of each library at each precision that it can load from the bundle in `folder`.

    Raises:
        ModelFormatError: it is no bundle.
    """
    bundle = open_bundle(folder.resolve())
    golden = read_golden(bundle.folder)
    classes = _classes(bundle, golden)
    with tempfile.TemporaryDirectory(prefix="edge-potion-") as scratch:
        jobs = Jobs(Path(scratch), ["It is raining."], [bundle], UNTIMED)
        for runtime in runtimes:
            for precision in _precisions(runtime, bundle):
                yield _row(runtime, precision, bundle, golden, classes, jobs)


def _classes(bundle: Bundle, golden: Golden) -> list[set[str]]:
    """Why each golden text may differ."""
    added = read_json(bundle.folder / "tokenizer.json")["added_tokens"]
    specials = [token["content"] for token in added if token["special"]]
    return [
        {SPECIAL for special in specials if special in text} | ({NOTHING_KNOWN} if known == 0 else set())
        for text, known in zip(golden.texts, golden.known, strict=True)
    ]


def _precisions(runtime: Runtime, bundle: Bundle) -> Sequence[str]:
    if runtime.graph is None:
        return [str(bundle.config["embedding_dtype"])]
    held = [precision for graph, precision in bundle.graphs if graph == runtime.graph]
    return held[:1] if runtime.smallest else held


def _row(
    runtime: Runtime, precision: str, bundle: Bundle, golden: Golden, classes: Sequence[set[str]], jobs: Jobs
) -> dict[str, Any]:
    """What is told of one library at one precision."""
    file = graph_file(runtime.graph, precision) if runtime.graph else "model.safetensors"
    row: dict[str, Any] = {
        "runtime": runtime.name,
        "versions": dict.fromkeys(runtime.packages, ""),
        "loads": [file, *runtime.reads],
        "precision": precision,
        "remark": runtime.remark,
    }
    before = _digests(bundle.folder)
    try:
        configuration = _configuration(runtime, precision, file, bundle, jobs.scratch)
        job, vectors = jobs.of(configuration, first_round=True)
        answer = answer_of([*configuration.command, str(job)], 1, configuration.cores, PROCESS_SECONDS)
    except Missing as reason:
        return {**row, "status": "absent", "reason": str(reason)}
    except subprocess.TimeoutExpired:
        return {**row, "status": "FAILED", "reason": f"it took more than {PROCESS_SECONDS} s"}
    for told, status in (("absent", "absent"), ("failed", "FAILED")):
        if told in answer:
            return {**row, "status": status, "reason": without_folders(answer[told])}
    row["versions"] = {package: answer["versions"].get(package, "") for package in runtime.packages}
    after = _digests(bundle.folder)
    if changed := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        return {**row, "status": "FAILED", "reason": f"it changed the folder: {', '.join(changed)}"}
    found = np.fromfile(vectors, "<f4").reshape(answer["dims"])
    return {**row, **held_to_oracle(found, golden, classes, runtime.differs)}


def _configuration(runtime: Runtime, precision: str, file: str, bundle: Bundle, scratch: Path) -> Configuration:
    if runtime.javascript:
        command = ["node", str(javascript_folder(runtime.javascript) / f"{runtime.runner}.mjs")]
    else:
        command = script_command(runtime.runner)
    in_browser = runtime.runner == "web"
    return Configuration(
        name=runtime.name,
        model=bundle.folder.name,
        runner="onnxruntime-web" if in_browser else runtime.runner,
        peer=True,
        graph="text" if runtime.graph == "text" else None,  # what tokenizes by itself starts from texts too
        precision=precision,
        provider="wasm" if in_browser else "cpu",
        threads=1,
        command=command,
        job={
            "folder": str(bundle.folder),
            "file": str(bundle.folder / file),
            "model_file": file,
            "dim": bundle.dim,
            "tokenizer": str(bundle.folder / "tokenizer.json"),
            "max_tokens": bundle.max_tokens or 1_000_000,
            "special": False,
            "package": str(package_alone(scratch)),
            "example": str(EXAMPLE),
        },
        golden=bundle,
    )


def held_to_oracle(
    found: np.ndarray, golden: Golden, classes: Sequence[set[str]], differs: Mapping[str, str]
) -> dict[str, Any]:
    """Status, counts and reason for the vectors `found` (N, D) of the golden texts.

    Texts of the `classes` that a library is known to take differently may stray; a class of which no text strays is
    said of it wrongly.
    """
    if found.shape != golden.vectors.shape:
        return {"status": "FAILED", "reason": f"vectors of shape {found.shape}; {golden.vectors.shape} expected"}
    agreement = np.nan_to_num(cosines(found, golden.vectors))  # (N,); NaN agrees with nothing
    known = [next((name for name in differs if name in some), None) for some in classes]  # of each text
    strays = Counter(name for name, cosine in zip(known, agreement, strict=True) if name and cosine < AGREES)
    bound = [at for at, name in enumerate(known) if name is None]
    wrong = sorted((at for at in bound if agreement[at] < AGREES), key=lambda at: agreement[at])
    untrue = [name for name in differs if name in known and name not in strays]
    reason = None
    if wrong:
        worst = ", ".join(f"{golden.texts[at][:40]!a} ({agreement[at]:.5f})" for at in wrong[:WORST_SHOWN])
        reason = f"{len(wrong)} text{'s stray' if len(wrong) > 1 else ' strays'} for no known reason: {worst}"
    elif untrue:
        reason = f"said to differ for texts {', '.join(untrue)}, and does not"
    return {
        "status": "FAILED" if reason else "passed",
        "reason": reason,
        "texts": len(golden.texts),
        "agree": int((agreement >= AGREES).sum()),
        "strays": [{"class": name, "texts": strays[name], "why": differs[name]} for name in differs if strays[name]],
        "least_cosine": float(agreement[bound].min()),
    }


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in `folder`."""
    digests = {}
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        with file.open("rb") as stream:
            digests[file.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests


def _as_line(row: Mapping[str, Any]) -> str:
    told = terminal(row["reason"])
    if row["status"] == "passed":
        told = f"{row['agree']} of {row['texts']} texts agree, the least at {row['least_cosine']:.6f}"
        told += "".join(
            f"; {each['texts']} {each['class']} stray{'s' * (each['texts'] == 1)}" for each in row["strays"]
        )
    return f"{row['runtime']}, {row['loads'][0]}: {row['status']}. {told}"


def _report(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "edge_potion": edge_potion.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "agrees": AGREES,
        "rows": rows,
    }


if __name__ == "__main__":
    main()
