"""The walls between the rooms, what importing costs, and that what is imported is declared."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import onnxruntime
import pytest

CHECKOUT = Path(__file__).parent.parent
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HEAVY = ("torch", "transformers", "datasets", "onnx", "onnxruntime", "sklearn", "pandas", "huggingface_hub", "numpy")
# What each folder must never import, even lazily.
FORBIDDEN = {
    "edge_potion": ("torch", "transformers", "datasets", "onnx", "sklearn"),
    "trainer": ("onnx", "onnxruntime", "edge_potion.exporters", "edge_potion.runtime"),
    "exporters": ("torch", "transformers", "datasets", "sklearn", "edge_potion.trainer"),
    "benchmarks/quality": ("benchmarks.speed", "benchmarks.studies", "edge_potion.benchmarks"),
    "benchmarks/speed": ("benchmarks.quality", "benchmarks.studies", "edge_potion.benchmarks"),
}
# They run in the environments of tokenlearn_train.py, and of run_model2vec.py and for_chroma.py beside our own.
BORROWED = {"tokenlearn_step.py", "classify_label.py", "zero_vectors.py"}
# What brings the packages that each room may import, beside the base install; `cpu` stands for each onnxruntime.
EXTRAS = {
    "edge_potion": ("cpu", "parquet", "zst", "search", "ray", "benchmark", "serve"),
    "trainer": ("train", "classify", "ray"),
    "exporters": ("cpu", "export"),
    "benchmarks/quality": ("evaluate", "mteb", "train", "classify", "benchmark"),
    "benchmarks/speed": ("cpu", "export", "benchmark"),
    "benchmarks/studies": ("cpu", "export", "train", "evaluate", "mteb", "demo", "serve", "dev"),
    "tests": tuple(PROJECT["optional-dependencies"]),
}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)


def test_importing_edge_potion_loads_nothing_heavy():
    script = f"import sys, edge_potion; print([name for name in {HEAVY} if name in sys.modules])"
    assert run(script).stdout.strip() == "[]"


def test_the_runtime_encodes_where_nothing_else_can_be_imported(bundle):
    """Contract: an edge device has numpy, tokenizers, safetensors and onnxruntime, and that is enough."""
    script = """
import sys
BANNED = {"torch", "transformers", "datasets", "onnx", "sklearn", "pandas", "scipy", "model2vec"}
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BANNED:
            raise ImportError(f"{name} must not be imported here")
sys.meta_path.insert(0, Wall())
from edge_potion import EdgeModel
print(EdgeModel.from_pretrained(sys.argv[1]).encode(["a cat", "日本語"], max_tokens=None).shape)
"""
    done = run(script, str(bundle.folder))
    assert done.stdout.strip() == "(2, 256)", done.stderr


def test_importing_changes_nothing_around_it():
    script = """
import logging, os, random, warnings
before = (dict(os.environ), list(logging.root.handlers), random.getstate(), list(warnings.filters))
import edge_potion
edge_potion.EdgeModel, edge_potion.StaticModel, edge_potion.export, edge_potion.distill
print(before[:3] == (dict(os.environ), list(logging.root.handlers), random.getstate()))
"""
    assert run(script).stdout.strip() == "True"


def test_every_public_name_is_there():
    import edge_potion

    for name in edge_potion.__all__:
        assert getattr(edge_potion, name) is not None
    assert set(edge_potion.__all__) <= set(dir(edge_potion))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edge_potion.nothing


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_never_import_what_is_behind_their_walls(room):
    for file in sorted((CHECKOUT / room).rglob("*.py")):
        for name in _imported(file):
            for banned in FORBIDDEN[room]:
                assert name != banned and not name.startswith(banned + "."), f"{file.name}: {name}"


@pytest.mark.parametrize("room", EXTRAS)
def test_what_a_room_imports_is_declared(room):
    """A package that another happens to bring is gone when that one changes its mind."""
    asked = [*PROJECT["dependencies"], *(line for extra in EXTRAS[room] for line in _extra(extra))]
    declared = {_plain(re.split(r"[\[<>=~! ]", line)[0]) for line in asked}
    distributions = packages_distributions()
    for file in sorted((CHECKOUT / room).rglob("*.py")):
        if "runners" in file.parts or "# /// script" in file.read_text(encoding="utf-8") or file.name in BORROWED:
            continue  # they run in environments of their own, by the header of a script
        packages = {name.split(".")[0] for name in _imported(file)} - sys.stdlib_module_names
        ours = {"edge_potion", "tests", *(room.split("/")[0] for room in EXTRAS)}
        ours |= {script.stem for script in (CHECKOUT / "examples" / "web").glob("*.py")} if room == "tests" else set()
        for package in packages - ours:
            known = {_plain(name) for name in distributions.get(package, [package])}
            assert known & declared, f"{file.relative_to(CHECKOUT)} imports {package}, which {room} does not declare"


def _extra(name: str) -> list[str]:
    return PROJECT["optional-dependencies"][name]


def _plain(name: str) -> str:
    """The name of a distribution as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(file: Path) -> Iterator[str]:
    """Modules, and names in them, that a file imports anywhere, but for those of types alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    hidden = {id(node) for block in ast.walk(tree) if _is_type_checking(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and id(node) not in hidden:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and id(node) not in hidden:
            above = file.relative_to(CHECKOUT).parts[: -node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def test_only_the_door_and_the_lazy_names_reach_the_rooms():
    for file in sorted((CHECKOUT / "edge_potion").rglob("*.py")):
        if file.parent.name == "cli" or file.name == "verbs.py":
            continue
        text = file.read_text(encoding="utf-8")
        assert "edge_potion.trainer" not in text and "edge_potion.exporters" not in text, file.name


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize(
    ("module", "call", "hint"),
    [
        (
            "onnxruntime",
            "edge_potion.EdgeModel.from_pretrained(sys.argv[1], graph='bag')",
            "pip install 'edge-potion[cpu]'",
        ),
        ("onnx", "edge_potion.export(sys.argv[1], 'out')", "pip install 'edge-potion[export]'"),
        ("torch", "edge_potion.distill('teacher')", "pip install 'edge-potion[train]'"),
    ],
)
def test_a_missing_extra_prints_the_pip_line(hand_folder, module, call, hint):
    """The module is hidden from the import system, as it is where the extra was not installed."""
    script = f"""
import importlib.machinery, sys
real = importlib.machinery.PathFinder.find_spec
def hiding(name, path=None, target=None):
    return None if name == {module!r} else real(name, path, target)
importlib.machinery.PathFinder.find_spec = hiding
import edge_potion
try:
    {call}
except edge_potion.MissingExtraError as error:
    print(error)
"""
    done = run(script, str(hand_folder))
    assert hint in done.stdout, done.stdout + done.stderr


def test_without_the_export_extra_a_model_without_graphs_names_the_command(hand_folder):
    script = """
import importlib.machinery, sys
real = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = lambda name, *rest: None if name == "onnx" else real(name, *rest)
import edge_potion
try:
    edge_potion.EdgeModel.from_pretrained(sys.argv[1])
except edge_potion.MissingExtraError as error:
    print(error)
"""
    assert f"run `edge-potion export {hand_folder} --out BUNDLE`" in run(script, str(hand_folder)).stdout


def test_two_onnxruntime_wheels_over_each_other_are_named(bundle, tmp_path):
    """What pip leaves of a second wheel beside the first, its metadata, is enough to be found."""
    site = Path(onnxruntime.__file__).parents[1]
    for installed in site.glob("onnxruntime*"):
        (tmp_path / installed.name).symlink_to(installed)
    (tmp_path / "onnxruntime_gpu-1.31.1.dist-info").mkdir()
    script = """
import sys
sys.path.insert(0, sys.argv[2])
import edge_potion
try:
    edge_potion.EdgeModel.from_pretrained(sys.argv[1], engine="onnxruntime")
except edge_potion.ProviderError as error:
    print(error)
"""
    said = run(script, str(bundle.folder), str(tmp_path)).stdout
    assert "onnxruntime and onnxruntime-gpu are installed over each other" in said
    assert "pip install 'edge-potion[gpu]'" in said
