"""The public names can be named, listed and looked at in every install, and cost nothing until they are called."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import edge_potion
from edge_potion import verbs
from edge_potion.benchmarks.quality.evaluate import evaluate
from edge_potion.benchmarks.speed.benchmark import benchmark
from edge_potion.exporters.export import export
from edge_potion.replay import verify
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
        ("EdgeModel.from_pretrained(graph='bag')", "cpu"),
        ("evaluate(['a'], None, 'out')", "evaluate"),
        ("benchmark(['a'], 'out')", "cpu,export,benchmark"),
        ("list(edge_potion.verify(provider='openvino'))", "cpu"),
    ],
)
def test_calling_one_names_its_extra(call, extra):
    call = call if call.startswith("list") else f"edge_potion.{call}"
    script = f"{WALL}\ntry: {call}\nexcept edge_potion.MissingExtraError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"pip install 'edge-potion[{extra}]'" in done.stdout and done.stdout.count("\n") == 1


def test_star_import_loads_nothing_heavy():
    script = "import sys; from edge_potion import *; print({'torch', 'onnx', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("real", [benchmark, distill, evaluate, export, train, verify], ids=lambda real: real.__name__)
def test_a_thin_verb_has_the_signature_of_the_real_one(real):
    """But for defaults that only the real one's room has: None stands for them."""
    thin, full = (inspect.signature(verb).parameters for verb in (getattr(verbs, real.__name__), real))
    assert [(name, each.kind) for name, each in thin.items()] == [(name, each.kind) for name, each in full.items()]
    for name, parameter in thin.items():
        own = isinstance(full[name].default, tuple | list) and bool(full[name].default) and parameter.default is None
        assert own or parameter.default == full[name].default


def test_the_names_that_are_told_are_those_that_are_there():
    assert set(edge_potion.__all__) == {"__version__", *edge_potion._HOME_OF}
    for name in edge_potion.__all__:
        assert name == "__version__" or callable(getattr(edge_potion, name))


def test_a_verb_stays_a_function_whatever_was_imported():
    """A module of that name would take its place."""
    script = (
        "import edge_potion, edge_potion.verbs, edge_potion.replay, edge_potion.cli, edge_potion.exporters.export\n"
        "import edge_potion.benchmarks.speed.benchmark, edge_potion.trainer.pipeline\n"
        "print(*(callable(getattr(edge_potion, name)) for name in edge_potion.verbs.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"True"}


@pytest.mark.parametrize(("old", "new"), [("distil", "distill"), ("SentenceTransformer", "EdgeModel")])
def test_an_old_name_says_what_it_is_called(old, new):
    with pytest.raises(AttributeError, match=f"no attribute '{old}'; it is called {new}"):
        getattr(edge_potion, old)
