"""One process with edge-potion and another library in it, in either order: both still do their work.

A library that comes with a C++, OpenMP or Arrow of its own can break another one, or be broken by it, with a crash.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest

SENTENCES = ("a cat sleeps", "it will rain", "tax law", "bread did not rise", "日本語 café", "the train is late")
# Import name -> a real piece of its work on `vectors`, (6, 256) float32 of unit length, different ones.
LIBRARIES = {
    "torch": """
import torch
assert torch.allclose((torch.from_numpy(vectors) @ torch.from_numpy(vectors).T).diagonal(), torch.ones(6), atol=1e-5)
assert torch.nn.functional.embedding_bag(torch.tensor([[0, 1]]), torch.eye(4)).tolist() == [[0.5, 0.5, 0, 0]]
""",
    "faiss": """
import faiss
index = faiss.index_factory(256, "Flat", faiss.METRIC_INNER_PRODUCT)  # a regular expression of C++ reads the name
index.add(vectors)
assert index.search(vectors, 1)[1][:, 0].tolist() == list(range(6))
""",
    "usearch": """
from usearch.index import Index
index = Index(ndim=256, dtype="f32")
index.add(np.arange(6), vectors)
assert index.search(vectors, 1).keys[:, 0].tolist() == list(range(6)) and "256" in str(index)
""",
    "pyarrow": """
import pyarrow, pyarrow.compute, pyarrow.parquet
table = pyarrow.table({"text": ["rain", "sun"], "value": [1.5, 2.5]})
pyarrow.parquet.write_table(table, file := pyarrow.BufferOutputStream())
# Not from a Python file: of pyarrow 26 alone, one process in forty then ends by SIGABRT (apache/arrow#50482).
assert pyarrow.parquet.read_table(pyarrow.BufferReader(file.getvalue()), use_threads=False).equals(table)
assert pyarrow.compute.match_substring_regex(table["text"], "r[a-c]").to_pylist() == [True, False]
""",
    "lancedb": """
import lancedb, tempfile
with tempfile.TemporaryDirectory() as folder:
    rows = [{"vector": vector.tolist(), "at": at} for at, vector in enumerate(vectors)]
    table = lancedb.connect(folder).create_table("texts", rows)
    assert table.search(vectors[2].tolist()).limit(1).to_list()[0]["at"] == 2
""",
    "duckdb": """
import duckdb
nearest = "select row from (select unnest(range(6)) as row) order by list_dot_product($all[row + 1], $one) desc limit 1"
assert duckdb.execute(nearest, {"all": vectors.tolist(), "one": vectors[4].tolist()}).fetchall() == [(4,)]
assert duckdb.sql("select regexp_matches('rain', 'r[a-c]'), 1.5::double").fetchall() == [(True, 1.5)]
""",
    "cv2": """
import cv2
assert cv2.imdecode(cv2.imencode(".png", np.eye(8, dtype=np.uint8))[1], 0).trace() == 8
assert np.allclose(cv2.gemm(vectors, vectors.T.copy(), 1, None, 0).diagonal(), 1, atol=1e-5)
""",
    "scipy": """
import scipy.linalg, scipy.spatial
assert scipy.spatial.KDTree(vectors).query(vectors)[1].tolist() == list(range(6))
assert np.allclose(scipy.linalg.svdvals(np.eye(300)), 1)
""",
    "sklearn": """
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
assert NearestNeighbors(n_neighbors=1).fit(vectors).kneighbors(vectors)[1][:, 0].tolist() == list(range(6))
assert len(set(KMeans(6, n_init=1, random_state=0).fit_predict(vectors))) == 6
""",
    "tokenizers": """
import tokenizers
made = tokenizers.Tokenizer(tokenizers.models.Unigram([("<unk>", 0.0), ("rain", -1.0)], unk_id=0))
made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"\\s+"), "removed")
assert made.encode("rain sun").ids == [1, 0]
""",
    "pandas": """
import pandas, io
frame = pandas.read_csv(io.StringIO("text,value\\nrain,1.5\\nsun,2.5"))
assert frame.text.str.contains("r[a-c]").tolist() == [True, False] and frame.value.mean() == 2
""",
    "polars": """
import polars
frame = polars.DataFrame({"text": ["rain", "sun"], "value": [1.5, 2.5]})
assert frame.filter(polars.col("text").str.contains("r[a-c]"))["value"].to_list() == [1.5]
""",
}
WORK = """
import sys
import numpy as np
vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((256, 6)))[0].T.astype(np.float32).copy()
"""
FROM_US = f"""
vectors = model.encode({SENTENCES!r})
np.testing.assert_array_equal(vectors, np.load(sys.argv[1]))
"""
IMPORT, LOAD = "\nfrom edge_potion import EdgeModel\n", "\nmodel = EdgeModel.from_pretrained(engine='onnxruntime')\n"
ORDERS = {
    "library first": lambda library: library + IMPORT + LOAD + FROM_US + library,
    "edge-potion first": lambda library: IMPORT + LOAD + FROM_US + library + FROM_US,
    "between import and load": lambda library: IMPORT + library + LOAD + FROM_US + library,
}
PAIRS = [*product(LIBRARIES, list(ORDERS)[:2]), ("usearch", "between import and load")]
needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("g++") is None, reason="g++ is not installed, or this is not Linux"
)


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "faulthandler", "-c", WORK + script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The vectors of a process without any other library."""
    file = tmp_path_factory.mktemp("alone") / "vectors.npy"
    native = "\nmodel = EdgeModel.from_pretrained()\n"
    done = run(f"{IMPORT}{native}np.save(sys.argv[1], model.encode({SENTENCES!r}))", file)
    assert done.returncode == 0, done.stderr
    found = np.load(file)
    assert found.shape == (6, 256) and np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    return file


@pytest.mark.parametrize(("library", "order"), PAIRS)
def test_a_library_and_edge_potion_do_their_work_in_one_process(library, order, alone):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    done = run(ORDERS[order](LIBRARIES[library]), alone)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> dict[str, Path]:
    """A library that holds libstdc++ and shows it, as usearch does, and one that uses the system's."""
    folder = tmp_path_factory.mktemp("copies")
    source = folder / "number.cpp"
    source.write_text(
        "#include <iostream>\n#include <sstream>\n"
        'extern "C" int number() { std::ostringstream out; out << 42; return out.str() == "42"; }\n'
    )
    files = {"static": folder / "static.so", "shared": folder / "shared.so"}
    for kind, file in files.items():
        static = ["-static-libstdc++"] if kind == "static" else []
        command = ["g++", "-shared", "-fPIC", *static, source, "-o", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.skip(f"g++ cannot build it: {done.stderr[:200]}")
    script = "import ctypes; ctypes.CDLL(sys.argv[1]); print(ctypes.CDLL(sys.argv[2]).number())"
    if run(script, files["static"], files["shared"]).stdout.strip() == "1":
        pytest.skip("this g++ builds a copy that breaks nothing")
    return files


@needs_compiler
@pytest.mark.parametrize("last", [IMPORT, IMPORT + LOAD], ids=["at import", "at load"])
def test_a_copy_of_the_cpp_library_that_came_first_is_lived_with(copies, alone, last):
    script = f"""
import ctypes
assert ctypes.CDLL(sys.argv[2]).number() == 1
{last}
assert ctypes.CDLL(sys.argv[3]).number() == 1, "libstdc++ prints no number any more"
assert ctypes.CDLL(sys.argv[2]).number() == 1, "its copy prints no number any more"
{IMPORT}{LOAD}{FROM_US}
"""
    done = run(script, alone, copies["static"], copies["shared"])
    assert done.returncode == 0, done.stderr


@needs_compiler
@pytest.mark.parametrize(
    "begin",
    [
        "import edge_potion; edge_potion.StaticModel.from_pretrained().encode('rain')",  # tokenizers
        "import edge_potion.exporters.export",  # onnx
        "import edge_potion.trainer.distill, torch",
    ],
)
def test_what_we_import_ourselves_does_not_make_it_too_late(copies, alone, begin):
    script = f"""
import ctypes
ctypes.CDLL(sys.argv[2])
{begin}
{IMPORT}{LOAD}{FROM_US}
"""
    done = run(script, alone, copies["static"])
    assert done.returncode == 0, done.stderr


@needs_compiler
def test_where_it_is_too_late_one_line_names_the_library_instead_of_a_crash(copies):
    script = f"""
import ctypes
ctypes.CDLL(sys.argv[1])
ctypes.CDLL(sys.argv[2])  # uses libstdc++ at once, as pandas or torch do
{IMPORT}
import edge_potion
try:
    EdgeModel.from_pretrained(engine="onnxruntime")
except edge_potion.ProviderError as error:
    print(error)
print(edge_potion.StaticModel.from_pretrained().encode("rain").shape)  # needs no onnxruntime
"""
    done = run(script, copies["static"], copies["shared"])
    message, shape = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert f"{copies['static'].parent.name}/static.so came first" in message and "from edge_potion import" in message
    assert shape == "(256,)"


@needs_compiler
def test_a_copy_that_comes_after_us_finds_all_in_order(copies, alone):
    script = f"""
import ctypes
{IMPORT}
ctypes.CDLL(sys.argv[2])
{LOAD}{FROM_US}
assert ctypes.CDLL(sys.argv[3]).number() == 1
"""
    done = run(script, alone, copies["static"], copies["shared"])
    assert done.returncode == 0, done.stderr


def test_settling_twice_and_late_changes_nothing(alone):
    script = f"""
from edge_potion import cpp_locale
assert cpp_locale.settle() == [] == cpp_locale.settle()
{IMPORT}{LOAD}{FROM_US}
assert cpp_locale.settle() == []
"""
    done = run(script, alone)
    assert done.returncode == 0, done.stderr
