"""The public names can be named, listed and looked at in every install, and cost nothing until they are called."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import edge_potion
from edge_potion import verbs
from edge_potion.exporters.export import export
from edge_potion.trainer.distill import distill
from edge_potion.trainer.pipeline import train

# What an install without extras lacks; onnxruntime too, as the base install names no runtime.
WALL = """
import importlib.machinery
HIDDEN = {"torch", "transformers", "datasets", "onnx", "onnxruntime", "sklearn"}
real = importlib.machinery.PathFinder.find_spec
def hiding(name, *rest):
    return None if name.split(".")[0] in HIDDEN else real(name, *rest)
importlib.machinery.PathFinder.find_spec = hiding
import edge_potion
"""


@pytest.mark.parametrize(
    "look",
    [
        "help(edge_potion)",
        "help(edge_potion.train)",
        "from edge_potion import *; print(train, distill, export, EdgeModel)",
        "import inspect; print(len(inspect.getmembers(edge_potion)))",
        "print([hasattr(edge_potion, name) for name in dir(edge_potion)])",
        "import pydoc; print(pydoc.render_doc(edge_potion))",
        "import doctest; doctest.testmod(edge_potion); print(vars(edge_potion)['__all__'])",
        "print([getattr(edge_potion, name) for name in edge_potion.__all__])",
        "import copy; print(copy.copy(edge_potion.train), repr(edge_potion.export))",
    ],
)
def test_looking_at_the_names_needs_no_extra(look):
    done = subprocess.run([sys.executable, "-c", WALL + look], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout and not done.stderr


@pytest.mark.parametrize(
    ("call", "extra"),
    [
        ("train('tiny', 'out')", "train"),
        ("distill('teacher')", "train"),
        ("export('model', 'out')", "export"),
        ("EdgeModel.from_pretrained()", "cpu"),
    ],
)
def test_calling_one_names_its_extra(call, extra):
    script = f"{WALL}\ntry: edge_potion.{call}\nexcept edge_potion.MissingExtraError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"pip install 'edge-potion[{extra}]'" in done.stdout and done.stdout.count("\n") == 1


def test_star_import_loads_nothing_heavy():
    script = "import sys; from edge_potion import *; print({'torch', 'onnx', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("real", [distill, export, train], ids=lambda real: real.__name__)
def test_a_thin_verb_has_the_signature_of_the_real_one(real):
    thin, full = (inspect.signature(each) for each in (getattr(verbs, real.__name__), real))
    assert [(each.name, each.kind, each.default) for each in thin.parameters.values()] == [
        (each.name, each.kind, each.default) for each in full.parameters.values()
    ]


def test_the_names_that_are_told_are_those_that_are_there():
    assert set(edge_potion.__all__) == {"__version__", *edge_potion._HOME_OF}
