"""Environments beside our own: a virtual environment for a script that names its packages, and Node's packages.

    python -m edge_potion.benchmarks.speed.environments [NAME ...]

builds those named, or all that there is a runner for (Node's where Node is). A NAME is that of a file
`runners/run_NAME.py`, or the path of any other script with a header as PEP 723 describes it, or of a folder of such
scripts, which share one, or of a package.json. They lie in the user's cache (EDGE_POTION_CACHE moves it), keyed by what
they hold, and may be deleted at any time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from edge_potion.cache import cache_folder
from edge_potion.errors import InputError

__all__ = [
    "JAVASCRIPT",
    "RUNNERS",
    "TRANSFORMERS_JS",
    "Missing",
    "build",
    "dependencies",
    "environment_folder",
    "javascript_folder",
    "python_of",
    "script_command",
]

RUNNERS = Path(__file__).parent / "runners"  # what runs in the environments
JAVASCRIPT, TRANSFORMERS_JS = "javascript", "transformers-js"
# Of Node: what each installs. transformers.js brings versions of ONNX Runtime of its own.
PACKAGES = {
    JAVASCRIPT: RUNNERS / "node" / "package.json",
    TRANSFORMERS_JS: RUNNERS / "node" / "transformers" / "package.json",
}
HEADER = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")  # as PEP 723 has it
DONE = ".installed"  # written last, so that an install that was cut off is begun again
INSTALL_MINUTES = 30
AT_ONCE = 2  # one computes while another downloads


class Missing(Exception):
    """An environment has not been built, or cannot be; says what to do."""


def main() -> None:
    """Build environments, one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"by default all, which is: {', '.join(_names())}")
    with_node = shutil.which("node") and shutil.which("npm")
    everything = [name for name in _names() if with_node or name not in PACKAGES]
    with ThreadPoolExecutor(AT_ONCE) as builders:
        asked = [[name] if name != "all" else everything for name in parser.parse_args().names or ["all"]]
        built = [builders.submit(build, name) for name in chain.from_iterable(asked)]
        for folder in built:
            try:
                print(folder.result(), flush=True)
            except (Missing, InputError) as reason:
                builders.shutdown(cancel_futures=True)
                sys.exit(f"error: {reason}")


def build(name: str) -> Path:
    """Install an environment unless it is there; its folder.

    Raises:
        InputError: no script of that name has a header, or the cache cannot be written.
        Missing: the install failed, or Node is not there.
    """
    folder = environment_folder(name)
    if (folder / DONE).is_file():
        return folder
    print(f"installing {name} (once, into {folder})", file=sys.stderr, flush=True)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as failure:
        raise InputError(f"cannot write the cache {folder} ({failure}); set EDGE_POTION_CACHE") from failure
    if node := _package_json(name):
        shutil.copy(node, folder)
        commands = [[_node("npm"), "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]]
    else:
        pip = [str(_python_in(folder)), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        commands = [[sys.executable, "-m", "venv", str(folder)], [*pip, *dependencies(name)]]
    for command in commands:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=60 * INSTALL_MINUTES,
                env={**os.environ, "ONNXRUNTIME_NODE_INSTALL": "skip"},  # the CUDA that it would download
            )
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise Missing(f"{name} could not be installed: {failure}") from failure
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
            errors = (line for line in lines if "error" in line.lower() and "Ignored the following" not in line)
            why = next(errors, lines[-1])
            raise Missing(f"{name} could not be installed: {why}")
    (folder / DONE).touch()
    return folder


def python_of(name: str, given: Mapping[str, Path] | None = None) -> Path:
    """The interpreter of an environment: the one `given` for it, or that of the one that was built.

    Raises:
        Missing: neither is there; says how to build it.
    """
    if given and name in given:
        return given[name]
    folder = environment_folder(name)
    if not (folder / DONE).is_file():
        hint = _how_to_build(name) if given is None else f"add --setup, or --python {name}=PATH"
        raise Missing(f"{Path(name).stem} is not installed: {hint}")
    return _python_in(folder)


def script_command(name: str, given: Mapping[str, Path] | None = None) -> list[str]:
    """What starts the script `name` in its environment; its arguments are to follow.

    Raises:
        Missing: its environment has not been built.
    """
    return [str(python_of(name, given)), "-P", str(_script(name))]


def javascript_folder(name: str = JAVASCRIPT) -> Path:
    """The folder from which node runs our JavaScript, beside the packages that it imports; the files are fresh.

    Raises:
        Missing: Node is not there, its packages are not installed, or the files cannot be written.
    """
    _node("node")
    folder = environment_folder(name)
    if not (folder / DONE).is_file():
        if name == TRANSFORMERS_JS:
            raise Missing(f"transformers.js is not installed: {_how_to_build(name)}")
        raise Missing("ONNX Runtime's packages for JavaScript are not installed: add --setup")
    try:
        for file in (RUNNERS / "node").rglob("*.*"):
            beside = folder / file.relative_to(RUNNERS / "node")
            # package.json and node_modules are the environment's own.
            if file.name == "package.json" or "node_modules" in file.parts or _same(file, beside):
                continue
            beside.parent.mkdir(parents=True, exist_ok=True)
            part = beside.with_name(f".{beside.name}.{os.getpid()}")
            shutil.copyfile(file, part)
            part.replace(beside)  # whole at any moment: another run may be reading it
    except OSError as failure:
        raise Missing(f"the files for Node cannot be written ({failure}); set EDGE_POTION_CACHE") from failure
    return folder


def _same(file: Path, copy: Path) -> bool:
    return copy.is_file() and copy.read_bytes() == file.read_bytes()


def environment_folder(name: str) -> Path:
    """Where the environment is, or would be: another one where its header, or this Python, is another."""
    node = _package_json(name)
    content = node.read_text(encoding="utf-8") if node else f"{sys.version} {dependencies(name)}"
    return cache_folder() / "benchmark" / f"{Path(name).stem}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def dependencies(name: str) -> list[str]:
    """The packages in the header of a script, or in those of a folder's scripts."""
    if Path(name).is_dir():
        listed = (dependencies(str(script)) for script in sorted(Path(name).glob("*.py")))
        return sorted(set(chain.from_iterable(listed)))
    script = _script(name)
    header = HEADER.search(script.read_text(encoding="utf-8")) if script.is_file() else None
    if header is None:
        raise InputError(
            f"there is no environment {name!r}: a script with a PEP 723 header, or one of {', '.join(_names())}, "
            "was expected"
        )
    lines = header["content"].splitlines()
    content = tomllib.loads("\n".join(line.removeprefix("#").removeprefix(" ") for line in lines))
    return list(content["dependencies"])


def _package_json(name: str) -> Path | None:
    """Of an environment of Node's packages, the file that names them."""
    return PACKAGES.get(name) or (Path(name) if Path(name).name == "package.json" else None)


def _script(name: str) -> Path:
    runner = RUNNERS / f"run_{name.replace('-', '_')}.py"
    return runner if runner.is_file() else Path(name)


def _names() -> list[str]:
    """Of all that there is a runner for; that of EdgeModel has no header, as it runs in our own environment."""
    with_header = (file for file in RUNNERS.glob("run_*.py") if HEADER.search(file.read_text(encoding="utf-8")))
    runners = sorted(file.stem.removeprefix("run_").replace("_", "-") for file in with_header)
    return [*runners, *PACKAGES]


def _how_to_build(name: str) -> str:
    return f"python -m edge_potion.benchmarks.speed.environments {name}"


def _python_in(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def _node(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise Missing(f"{program} is not installed: install Node.js, 20 or later")
    return found


if __name__ == "__main__":
    main()
