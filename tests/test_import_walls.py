"""The walls between the rooms, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

CHECKOUT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "datasets", "onnx", "onnxruntime", "sklearn", "pandas", "huggingface_hub", "numpy")
# What each folder must never import, even lazily.
FORBIDDEN = {
    "edge_potion": ("torch", "transformers", "datasets", "onnx", "sklearn"),
    "trainer": ("onnx", "onnxruntime", "edge_potion.exporters", "edge_potion.runtime"),
    "exporters": ("torch", "transformers", "datasets", "sklearn", "edge_potion.trainer"),
    "benchmarks/quality": ("benchmarks.speed", "benchmarks.studies", "edge_potion.benchmarks"),
    "benchmarks/speed": ("benchmarks.quality", "benchmarks.studies", "edge_potion.benchmarks"),
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
        tree = ast.parse(file.read_text(encoding="utf-8"))
        hidden = {id(node) for block in ast.walk(tree) if _is_type_checking(block) for node in ast.walk(block)}
        for node in ast.walk(tree):
            if id(node) in hidden:
                continue
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                above = file.relative_to(CHECKOUT).parts[: -node.level] if node.level else ()
                module = ".".join([*above, *([node.module] if node.module else [])])
                names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            for name in names:
                for banned in FORBIDDEN[room]:
                    assert name != banned and not name.startswith(banned + "."), f"{file.name}: {name}"


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
        ("onnxruntime", "edge_potion.EdgeModel.from_pretrained(sys.argv[1])", "pip install 'edge-potion[cpu]'"),
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
    edge_potion.EdgeModel.from_pretrained(sys.argv[1])
except edge_potion.ProviderError as error:
    print(error)
"""
    said = run(script, str(bundle.folder), str(tmp_path)).stdout
    assert "onnxruntime and onnxruntime-gpu are installed over each other" in said
    assert "pip install 'edge-potion[gpu]'" in said
