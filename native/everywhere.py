"""Builds the engine for other processors and systems, runs it there, and holds its bits to those of plain loops here.

    python native/everywhere.py [--only NAME] [--texts 100000] [--model GRAPH.onnx] [--sentences FILE]

Each target is built by its file in toolchains/, runs the tests in C++, and prints digests of the vectors of the golden
texts and of real sentences, of a scan of these, and of a classifier's logits. Ends with 1 where a digest differs, a
test fails, a library is larger than it may be, or a target could not be run. Needs no package of Python's.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

NATIVE = Path(__file__).resolve().parent
CHECKOUT = NATIVE.parent
BUILT_IN = CHECKOUT / "edge_potion" / "models" / "potion-256d-minilm"
MODEL = BUILT_IN / "onnx" / "text_quantized.onnx"
CORPUS = CHECKOUT.parent / "shared" / "data" / "sentences.txt.xz"
OWN_SENTENCES = CHECKOUT / "tests" / "data" / "sentences.txt"
MOST_BYTES = {".so": 330_000, ".wasm": 130_000}  # of a library without its symbols
KERNELS = "EDGE_POTION_KERNELS"  # asks for some by name; a processor that has none of that name takes its best


@dataclass(frozen=True)
class Target:
    """Where the engine runs: how it is built, what runs it, and which kernels it is asked for ("": it chooses)."""

    name: str
    toolchain: str  # a file in toolchains/; "" is this machine's own compiler
    compiler: str
    runner: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ("",)


HERE = platform.machine()
CHROMIUM = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), "chromium")
X86_64 = ("scalar", "avx2", "avx512-vnni")


def _qemu(processor: str, system: str) -> tuple[str, ...]:
    return (f"qemu-{processor}", "-L", f"/usr/{system}")


OLD_X86_64 = Target("x86-64 without AVX", "", "c++", ("qemu-x86_64", "-cpu", "Nehalem"))
TARGETS = (
    Target("here", "", "c++", kernels=X86_64 if HERE == "x86_64" else ("scalar", "")),
    *((OLD_X86_64,) if HERE == "x86_64" else ()),
    Target("aarch64", "aarch64", "aarch64-linux-gnu-g++", _qemu("aarch64", "aarch64-linux-gnu"), ("", "scalar")),
    Target("armhf", "armhf", "arm-linux-gnueabihf-g++", _qemu("arm", "arm-linux-gnueabihf")),
    Target("riscv64", "riscv64", "riscv64-linux-gnu-g++", _qemu("riscv64", "riscv64-linux-gnu")),
    Target("windows", "windows", "x86_64-w64-mingw32-g++-posix", ("wine",), X86_64),
    Target("wasm32 in Node", "wasm32", "clang++", ("node", f"{NATIVE}/tests/digest.mjs")),
    Target("wasm32 in Chromium", "wasm32", "clang++", (sys.executable, f"{NATIVE}/in_chromium.py", CHROMIUM)),
)


@dataclass(frozen=True)
class Row:
    """What a target gave with one kind of kernels, or why it gave nothing."""

    target: str
    compiler: str = ""
    kernels: str = ""
    size_bytes: int = 0
    digests: tuple[str, ...] = ()
    said: str = ""  # instead of "same"
    failed: bool = False


class Stopped(Exception):
    """A command failed; the log has all of it."""


def everywhere(targets: Sequence[Target], model: Path, texts: int, out: Path, corpus: Path = CORPUS) -> list[Row]:
    """A row a target and kind of kernels; the first are this machine's plain loops."""
    out.mkdir(parents=True, exist_ok=True)
    log = Log(out / "log.txt")
    files = [_golden_texts(out), _sentences(out, corpus, texts, log)]
    rows: list[Row] = []
    for target in targets:
        tools = ("cmake", target.compiler, *target.runner[:1], *(CHROMIUM,) * ("Chromium" in target.name))
        missing = [tool for tool in tools if not shutil.which(tool)]
        if missing:
            rows.append(Row(target.name, said=f"not run: {missing[0]} is not installed", failed=True))
            continue
        try:
            folder = _build(target, out, log)
            for kernels in target.kernels:
                rows.append(_run(target, kernels, folder, model, files, rows, log))
        except Stopped as stop:
            rows.append(Row(target.name, said=str(stop), failed=True))
    return rows


class Log:
    """What ran, and all that it said, in a file; the commands also on stderr."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_text("")

    def say(self, words: str) -> None:
        print(words, file=sys.stderr, flush=True)
        with self._path.open("a") as file:
            file.write(words + "\n")

    def run(self, *command: str | Path, **environment: str) -> str:
        """stdout of a command."""
        words = [str(word) for word in command]
        line = shlex.join([*(f"{name}={value}" for name, value in environment.items()), *words])
        self.say("$ " + line.replace(f"{CHECKOUT}{os.sep}", ""))
        variables = {**os.environ, **environment}
        done = subprocess.run(words, env=variables, capture_output=True, text=True, errors="replace", check=False)
        with self._path.open("a") as file:
            file.write(done.stdout + done.stderr)
        if done.returncode:
            raise Stopped(f"{Path(words[0]).name} ended with {done.returncode}: {self._path}")
        return done.stdout


def _golden_texts(out: Path) -> Path:
    """As they are embedded: NUL stands between texts, and is left out of them."""
    texts = json.loads((BUILT_IN / "golden.json").read_text(encoding="utf-8"))["texts"]
    file = out / "golden.texts"
    file.write_bytes("\0".join(text.replace("\0", "") for text in texts).encode())
    return file


def _sentences(out: Path, corpus: Path, count: int, log: Log) -> Path:
    if corpus.is_file():
        with lzma.open(corpus, "rt", encoding="utf-8", newline="\n") as lines:
            texts = list(islice(lines, count))
    else:
        own = OWN_SENTENCES.read_text(encoding="utf-8").splitlines()
        log.say(f"there is no {corpus.name} beside the checkout: its own {len(own)} sentences, again and again")
        texts = list(islice(cycle(own), count))
    file = out / "sentences.texts"
    file.write_bytes("\0".join(text.rstrip("\n") for text in texts).encode())
    return file


def _build(target: Target, out: Path, log: Log) -> Path:
    folder = out / (target.toolchain or "here")
    toolchain = [f"-DCMAKE_TOOLCHAIN_FILE={NATIVE / 'toolchains' / target.toolchain}.cmake"] if target.toolchain else []
    tests = "OFF" if target.toolchain == "wasm32" else "ON"  # they take files and threads
    log.run("cmake", "-S", NATIVE, "-B", folder, f"-DEP_TESTS={tests}", *toolchain)
    log.run("cmake", "--build", folder, "--parallel", str(os.cpu_count()))
    return folder


def _run(
    target: Target, kernels: str, folder: Path, model: Path, files: list[Path], before: list[Row], log: Log
) -> Row:
    """The tests in C++, where they are built, and a digest a file."""
    environment = {"WINEPREFIX": str(folder / "wine"), "WINEDEBUG": "-all"} if target.toolchain == "windows" else {}
    if kernels:
        environment[KERNELS] = kernels
    (library,) = (file for file in folder.glob("*edge_potion.*") if file.suffix in (".so", ".dll", ".dylib", ".wasm"))
    programs = {file.stem: file for file in folder.iterdir() if file.suffix in ("", ".exe")}
    if "test_engine" in programs:
        log.run(*target.runner, programs["test_engine"], model, **environment)
    digest = programs.get("digest", library)  # which digest.mjs loads
    said = [log.run(*target.runner, digest, model, file, **environment).split() for file in files]
    digests, taken = tuple(f"{count}:{bits}" for count, _, bits, _ in said), said[0][-1]
    compiler = log.run(target.compiler, "--version").splitlines()[0]
    size = library.stat().st_size
    if kernels and taken != kernels:
        return Row(target.name, compiler, kernels, said="not on this processor")
    row = Row(target.name, compiler, taken, size, digests, "same" if before else "the reference")
    if size > MOST_BYTES.get(library.suffix, size):
        return replace(row, said="too large", failed=True)
    if before and digests != before[0].digests:
        return replace(row, said="DIFFERENT", failed=True)
    return row


def table(rows: list[Row]) -> str:
    heads = ("target", "kernels", "library", "golden texts", "sentences", "bits", "compiler")
    cells: list[tuple[str, ...]] = [heads]
    for row in rows:
        size = f"{row.size_bytes / 1000:.0f} kB" if row.size_bytes else ""
        cells.append((row.target, row.kernels, size, *(row.digests or ("", "")), row.said, row.compiler))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def main() -> int:
    targets = [
        each for each in TARGETS if not each.toolchain or (NATIVE / "toolchains" / f"{each.toolchain}.cmake").is_file()
    ]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", action="append", choices=[each.name for each in targets], help="this target; repeat it for more"
    )
    parser.add_argument("--model", type=Path, default=MODEL, help="an int8 text graph, the built-in model's by default")
    parser.add_argument("--sentences", type=Path, default=CORPUS, help="a text a line, packed by xz")
    parser.add_argument("--texts", type=int, default=100_000, help="how many sentences")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "build" / "native-everywhere", help="where it is built")
    asked = parser.parse_args()
    chosen = [each for each in targets if not asked.only or each.name in asked.only or each is targets[0]]
    rows = everywhere(chosen, asked.model.resolve(), asked.texts, asked.out.resolve(), asked.sentences)
    print(table(rows))
    return any(row.failed for row in rows)


if __name__ == "__main__":
    sys.exit(main())
