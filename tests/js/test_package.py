"""The npm package: what is in it, and what its types say."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from ..models import CHECKOUT
from .packed import ENGINE, PACKAGE, built_tools, install_package, run

pytestmark = pytest.mark.browser

MOST_BYTES = 100_000  # of the engine


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder in which the package is installed."""
    folder = tmp_path_factory.mktemp("js") / "project"
    install_package(folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def test_the_package_holds_what_it_runs_and_nothing_else(project):
    package = project / "node_modules" / "edge-potion"
    files = {file.relative_to(package).as_posix() for file in package.rglob("*") if file.is_file()}
    sources = {f"src/{file.name}" for file in (PACKAGE / "src").iterdir()}
    assert files == sources | {"package.json", "README.md", "LICENSE", "dist/edge_potion.wasm"}
    assert (package / "dist" / "edge_potion.wasm").read_bytes() == ENGINE.read_bytes()


def test_the_engine_is_small_and_asks_nothing_of_its_host(project):
    assert ENGINE.stat().st_size < MOST_BYTES
    script = """
        import { readFileSync } from "node:fs";
        const module = new WebAssembly.Module(readFileSync("node_modules/edge-potion/dist/edge_potion.wasm"));
        console.log(JSON.stringify([WebAssembly.Module.imports(module), WebAssembly.Module.exports(module)]));
    """
    imports, exports = json.loads(run("node", "--input-type=module", "-e", script, cwd=project).stdout)
    assert imports == []
    header = (CHECKOUT / "native" / "include" / "edge_potion.h").read_text()
    assert all(f"{each['name']}(" in header for each in exports if each["name"].startswith("ep_"))


def test_version_and_licence_are_those_of_the_python_package():
    python = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert json.loads((PACKAGE / "package.json").read_text())["version"] == python["version"]
    assert (PACKAGE / "LICENSE").read_bytes() == (CHECKOUT / "LICENSE").read_bytes()


def test_an_unbuilt_package_is_not_packed(tmp_path):
    install_package(tmp_path / "first")  # skips where npm is not
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "package.json").write_bytes((PACKAGE / "package.json").read_bytes())
    with pytest.raises(AssertionError, match="wasm is missing: make wasm"):
        run("npm", "pack", cwd=bare)


RIGHT = """
import { cosine, load, type Check, type Model } from "edge-potion";
const options = { onProgress: ({ loaded, total }: { loaded: number; total: number }) => console.log(loaded / total) };
const model: Model = await load(new URL("https://host/text.onnx"), { ...options, cache: false, worker: true });
const one: Float32Array = await model.embed("a");
const many: Float32Array[] = await model.embed(["a", "b"] as const);
const near: number = await model.similarity("a", one);
const all: number[] = await model.similarity(one, ["a", "b"]);
const check: Check = await model.check("golden.json");
console.log(cosine(one, [1, 2]), many, near, all, check.why, model.dim, model.maxTokens);
model.close();
await load(new Uint8Array(1), { wasm: new ArrayBuffer(1) });
"""
WRONG = {
    "await load(5);": "Argument of type 'number'",
    "await load('x', { threads: 2 });": "'threads' does not exist",
    "await (await load('x')).embed([1]);": "No overload matches",
}


def test_types_are_those_that_the_code_has(project):
    tsc = built_tools() / "tsc"
    command = [tsc, "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"]
    (project / "right.ts").write_text(RIGHT)
    run(*command, "right.ts", cwd=project)
    for line, complaint in WRONG.items():
        (project / "wrong.ts").write_text(f'import {{ load }} from "edge-potion";\n{line}\n')
        with pytest.raises(AssertionError, match=complaint):
            run(*command, "wrong.ts", cwd=project)
