"""One engine for every processor: old ones never meet what only newer ones can, and all give the same bits."""

from __future__ import annotations

import platform
import re
import shutil
import sys

import pytest
from filelock import FileLock

from edge_potion.engine import absent

from ..models import MODELS
from .built import NATIVE, engine_built, run

CORE = (
    "api",
    "json",
    "kernels",
    "kernels_128",
    "kernels_avx2",
    "kernels_avx512",
    "kernels_scalar",
    "mapping",
    "model_file",
    "sha256",
)
# Memory without exceptions, and a static that is made once; everything else of ours or of C.
OF_CPP = re.compile(r"_Z(?!NK?2ep)|__cxa_|__gxx_|_Unwind_")
ALLOWED = re.compile(r"_ZSt7nothrow|_Zn[wa].RKSt9nothrow_t|_Zd[la]Pv.?|__cxa_guard_(acquire|release)")


@pytest.fixture(scope="module")
def symbols() -> dict[str, list[tuple[str, str]]]:
    """(kind, name) of every symbol, by object file, as nm tells them."""
    if not sys.platform.startswith("linux") or not shutil.which("nm"):
        pytest.skip("nm is not installed, or knows other object files than those of Linux")
    found = {}
    for name in CORE:
        (file,) = engine_built("plain").rglob(f"{name}.cpp.o")
        lines = (line.split() for line in run("nm", file).splitlines())
        found[name] = [(kind, symbol) for *_, kind, symbol in lines]
    return found


@pytest.mark.parametrize("name", [name for name in CORE if name.startswith("kernels")])
def test_what_is_compiled_for_one_processor_is_in_no_function_that_others_may_take(symbols, name):
    """Of a function that two files have, the linker keeps one: with AVX2, if that file came first."""
    assert [symbol for kind, symbol in symbols[name] if kind in "WwVvui"] == []


@pytest.mark.parametrize("name", CORE)
def test_the_core_takes_nothing_of_cpp_but_memory_without_exceptions(symbols, name):
    needed = [symbol for kind, symbol in symbols[name] if kind == "U"]
    assert [symbol for symbol in needed if OF_CPP.match(symbol) and not ALLOWED.fullmatch(symbol)] == []


@pytest.mark.parametrize("name", CORE)
def test_loading_the_library_runs_nothing_of_it(symbols, name):
    """A constant of vectors at namespace scope would be made then, on whatever processor."""
    assert [symbol for _, symbol in symbols[name] if symbol.startswith("_GLOBAL__")] == []


@pytest.fixture
def old_processor() -> tuple[str, ...]:
    """What runs a program of this machine's on one of 2008: with SSE4.2, which numpy asks for, and no AVX."""
    if platform.machine() != "x86_64":
        pytest.skip("this is no x86-64 machine")
    if not shutil.which("qemu-x86_64"):
        pytest.skip("qemu-x86_64 is not installed (`make native-everywhere` does it)")
    return ("qemu-x86_64", "-cpu", "Nehalem")


def test_the_library_shows_its_c_interface_alone(symbols):
    (library,) = engine_built("plain").glob("libedge_potion.*")
    shown = [line.split()[-1] for line in run("nm", "--dynamic", "--defined-only", library).splitlines()]
    header = (NATIVE / "include" / "edge_potion.h").read_text(encoding="utf-8")
    assert sorted(shown) == sorted(re.findall(r"(?m)^EP_API .*?\b(ep_\w+)\(", header))


def test_python_embeds_on_a_processor_without_avx(old_processor):
    if reason := absent():
        pytest.skip(f"there is no engine here: {reason}")
    script = """
import hashlib
from edge_potion import EdgeModel
from edge_potion.engine import kernels
vectors = EdgeModel.from_pretrained(engine="native").encode(["It is raining.", "naïve façade 日本語", ""] * 100)
print(kernels(), vectors.shape, hashlib.sha256(vectors.tobytes()).hexdigest())
"""
    kernels, *vectors = run(*old_processor, sys.executable, "-c", script).split()
    assert kernels == "scalar" and vectors == run(sys.executable, "-c", script).split()[1:]


def test_every_kind_of_kernels_gives_the_bits_of_plain_loops(old_processor):
    """This processor's, and an old one's: by the script of `make native-everywhere`, with the tests in C++."""
    engine_built("plain")  # or there is nothing to build it with
    out = MODELS / "everywhere"
    command = ("--only", "x86-64 without AVX", "--texts", "2000", "--out", str(out))
    with FileLock(out.with_suffix(".lock")):
        rows = run(sys.executable, NATIVE / "everywhere.py", *command).splitlines()[1:]
    assert re.match(r"here +scalar .* the reference ", rows[0])
    assert re.match(r"x86-64 without AVX +scalar .* same ", rows[-1])
