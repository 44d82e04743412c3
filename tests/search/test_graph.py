"""An approximate index: it finds nearly all that an exact one does, by the same scores, and loses nothing but time."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_potion import EdgeModel, Index, InputError
from edge_potion.search import fusion
from edge_potion.search import graph as graph_module
from edge_potion.search import scores as scores_module
from edge_potion.search.folder import MANIFEST, read_manifest
from edge_potion.search.graph import GRAPH, GRAPH_ROWS, GRAPH_STARTS
from edge_potion.search.hit import Hit

pytest.importorskip("usearch")

TEXTS = (Path(__file__).parents[1] / "data" / "sentences.txt").read_text(encoding="utf-8").splitlines()
SMALLER = """
from edge_potion.search import fusion, graph, scores
graph.LEAST_ROWS, graph.ROWS_SCANNED_MEANWHILE, scores.NEAREST, fusion.MOST_SAMPLED = 1_000, 5, 300, 100
"""


@pytest.fixture(scope="module", autouse=True)
def smaller() -> Iterator[None]:
    """Graphs of thousands of rows, that tests can wait for, and a sample that is small beside them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_module, "LEAST_ROWS", 1_000)
        patch.setattr(graph_module, "ROWS_SCANNED_MEANWHILE", 5)
        patch.setattr(scores_module, "NEAREST", 300)
        patch.setattr(fusion, "MOST_SAMPLED", 100)
        yield


@pytest.fixture(scope="module")
def model() -> EdgeModel:
    return EdgeModel.from_pretrained()


def mixed(count: int) -> list[str]:
    """So many texts: halves of two sentences each."""
    chance = np.random.default_rng(5)
    halves = [text.split() for text in TEXTS if text.strip()]
    pairs = chance.integers(len(halves), size=(count, 2))
    return [
        " ".join([*halves[a][: len(halves[a]) // 2 + 1], *halves[b][len(halves[b]) // 2 :]]) for a, b in pairs.tolist()
    ]


@pytest.fixture(scope="module")
def both(tmp_path_factory, model) -> tuple[Index, Index]:
    """One index of 20,000 texts, exact and approximate."""
    folder, texts = tmp_path_factory.mktemp("both"), mixed(20_000)
    exact = Index.build(folder / "exact", texts, model=model)
    return exact, Index.build(folder / "approximate", texts, model=model, approximate=True)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory, model) -> Path:
    folder = tmp_path_factory.mktemp("some") / "index"
    Index.build(folder, mixed(2_500), model=model, approximate=True)
    return folder


@pytest.fixture
def some(made_once, tmp_path, model) -> Index:
    shutil.copytree(made_once, tmp_path / "index")
    return Index.open(tmp_path / "index", model=model)


def graphs_of(index: Index) -> list[bool]:
    """Of each segment, whether it has a graph."""
    has = [entry.graph_bytes > 0 for entry in read_manifest(index.folder).segments]
    assert has == [(index.folder / entry.name / GRAPH).is_file() for entry in read_manifest(index.folder).segments]
    return has


def looked_at(index: Index, query: str) -> int:
    """Of how many rows a search by meaning takes the cosine."""
    vector = index.model.encode(query)
    return int(np.isfinite(scores_module.meaning_scores(vector, index._state, None, 10)).sum())


@pytest.mark.parametrize("mode", ["meaning", "hybrid", "words"])
def test_nearly_all_that_is_best_is_found_by_the_same_scores(both, mode):
    exact, approximate = both
    assert graphs_of(exact) == [False] and graphs_of(approximate) == [True]
    found, queries = 0, [text for text in TEXTS if text.strip()][:250:5]
    for query in queries:
        ours, best = approximate.search(query, mode=mode), exact.search(query, 100, mode=mode)
        scored = {hit.id: hit for hit in best}
        assert len(ours) == 10 and all(hit == scored[hit.id] for hit in ours), "another score than the scan's"
        found += sum(hit.score >= best[9].score for hit in ours)
        assert looked_at(approximate, query) < 1_000 and looked_at(exact, query) == 20_000
    assert found >= 0.95 * 10 * len(queries)


def test_more_than_a_graph_is_good_for_are_found_by_the_scan(both):
    exact, approximate = both
    assert approximate.search("rail fares", 5_000) == exact.search("rail fares", 5_000)


def test_a_query_without_a_known_token_is_found_by_its_words_alone(both):
    exact, approximate = both
    for query in ("", "☃"):
        assert approximate.search(query) == exact.search(query) == []


def test_thousands_of_equal_texts_hide_no_other(tmp_path, model):
    """Equal vectors would have edges to each other alone, and what comes after them is found through them."""
    texts = mixed(4_000)
    index = Index.build(
        tmp_path / "i", [*texts[:500], *(["the same again"] * 4_000), *texts[500:]], model=model, approximate=True
    )
    exact = index.save(tmp_path / "exact")
    exact.compact(approximate=False)
    assert graphs_of(index) == [True] and graphs_of(exact) == [False]
    found = 0
    for query in texts[::80]:
        best = exact.search(query, mode="meaning")
        found += sum(hit.meaning >= best[-1].meaning for hit in index.search(query, mode="meaning"))
    assert found >= 0.95 * 500
    assert index.search("the same again", mode="meaning") == exact.search("the same again", mode="meaning")


def test_what_is_deleted_is_not_found_and_the_next_ones_are(some):
    query = "rail fares rise"
    before = [hit.id for hit in some.search(query, 400, mode="meaning")]
    assert some.delete(before[:350]) == 350 and graphs_of(some) == [True]
    after = [hit.id for hit in some.search(query, 50, mode="meaning")]
    assert len(after) == 50 and len(set(after) & set(before[350:])) >= 48
    for mode in ("hybrid", "meaning", "words"):
        assert not {hit.id for hit in some.search(query, 10_000, mode=mode)} & set(before[:350])


def test_what_is_added_is_scanned_until_it_is_merged_into_a_graph(some):
    some.add(["a walrus in Zürich"], ids=["walrus"])
    some.add(["changed for good"], ids=["5"])
    assert graphs_of(some) == [True, False, False]
    assert some.search("walrus", 1)[0].id == "walrus" and some.search("changed for good", 1)[0].id == "5"
    before = [hit.id for hit in some.search("rail fares", 10)]
    some.compact()
    assert graphs_of(some) == [True] and len(some) == 2_501
    assert len({hit.id for hit in some.search("rail fares", 10)} & set(before)) >= 9
    assert some.search("walrus", 1)[0].id == "walrus"


def test_it_is_remembered_and_can_be_changed(some, tmp_path):
    assert read_manifest(some.folder).approximate
    saved = some.save(tmp_path / "saved")
    assert graphs_of(saved) == [True] and read_manifest(saved.folder).approximate
    saved.compact(approximate=False)
    assert graphs_of(saved) == [False] and not read_manifest(saved.folder).approximate
    name = read_manifest(saved.folder).segments[0].name
    saved.compact()
    saved.compact(approximate=False)
    assert name == read_manifest(saved.folder).segments[0].name, "nothing was to be done"
    saved.compact(approximate=True)
    assert graphs_of(saved) == [True] and len(saved.search("rail fares")) == 10


def test_refreshing_opens_no_graph_twice(some):
    reader = Index.open(some.folder, model=some.model)
    reader.search("rail fares")
    opened = reader._state.segments[0].graph
    some.add(["one more"])
    some.delete(["3"])
    assert reader.refresh() and reader._state.segments[0].graph is opened
    assert reader.search("one more", 1)[0].text == "one more"
    some.compact()
    assert reader.search("one more", 1)[0].text == "one more", "it keeps what it opened"
    assert reader.refresh() and reader._state.segments[0].graph is not opened


def test_threads_search_at_once_and_find_the_same(both):
    _, approximate = both
    queries = mixed(40)
    expected = [approximate.search(query) for query in queries]
    found: dict[int, list[list[Hit]]] = {}

    def read(number: int) -> None:
        found[number] = [approximate.search(query) for query in queries]

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 4


KILLED = f"""{SMALLER}
import sys
from edge_potion import Index
index = Index.open(sys.argv[1])
print("open", flush=True)
for number in range(1000):
    index.add([f"added {{number}}"])
    index.compact()
"""


def test_a_writer_that_is_killed_leaves_the_old_state_or_the_new(some):
    chance = np.random.default_rng(1)
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, some.folder], stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline()
        time.sleep(0.2 + 2 * chance.random())
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        some.refresh()
        assert any(graphs_of(some)) and len(some.search("rail fares")) == 10
        assert len(some.search("added", 10_000, mode="words")) == len(some) - 2_500
    some.add(["the end"])
    named = {name for entry in read_manifest(some.folder).segments for name in (entry.name, entry.deleted) if name}
    assert {path.name for path in some.folder.iterdir()} == named | {MANIFEST}


@pytest.mark.parametrize("name", [GRAPH, GRAPH_ROWS, GRAPH_STARTS])
@pytest.mark.parametrize("how", ["missing", "cut off", "other bytes"])
def test_a_damaged_graph_is_refused_in_one_line(some, name, how):
    file = some.folder / read_manifest(some.folder).segments[0].name / name
    if how == "missing":
        file.unlink()
    elif how == "cut off":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        file.write_bytes(np.random.default_rng(3).integers(0, 256, file.stat().st_size, np.uint8).tobytes())
    with pytest.raises(InputError, match="damaged") as failure:
        Index.open(some.folder, model=some.model).search("rail fares")
    assert str(some.folder) in str(failure.value) and "\n" not in str(failure.value)


def test_what_usearch_cannot_read_is_one_line(some):
    said = json.loads((some.folder / MANIFEST).read_text())
    segment = some.folder / said["segments"][0]["name"]
    (segment / GRAPH).write_bytes(bytes(said["segments"][0]["graph_bytes"]))
    checksum = 0
    for name in (GRAPH, GRAPH_ROWS, GRAPH_STARTS):
        checksum = zlib.crc32((segment / name).read_bytes(), checksum)
    said["segments"][0]["graph_checksum"] = checksum
    (some.folder / MANIFEST).write_text(json.dumps(said))
    with pytest.raises(InputError, match="usearch cannot read") as failure:
        Index.open(some.folder, model=some.model).search("rail fares")
    assert "\n" not in str(failure.value)


def test_a_full_disk_is_one_error_and_leaves_the_old_state(some, monkeypatch):
    some.add(["more"])
    monkeypatch.setattr(graph_module, "GRAPH", Path("/dev/full"))
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with pytest.raises(OSError, match="usearch cannot write"):
        some.compact()
    assert len(Index.open(some.folder, model=some.model)) == 2_501


WITHOUT = f"""{SMALLER}
import importlib.machinery, json, sys
real = importlib.machinery.PathFinder.find_spec
def hiding(name, path=None, target=None):
    return None if name == "usearch" else real(name, path, target)
importlib.machinery.PathFinder.find_spec = hiding
from edge_potion import Index, MissingExtraError
index = Index.open(sys.argv[1])
index.add(["the walrus"])
found = [[[hit.id, hit.score] for hit in index.search(query)] for query in ("rail fares", "walrus")]
index.compact()
for asks in (lambda: index.compact(approximate=True), lambda: Index.build(sys.argv[1] + "2", ["a"], approximate=True)):
    try:
        asks()
    except MissingExtraError as error:
        found.append(str(error))
print(json.dumps(found))
"""


def test_where_usearch_is_not_here_all_rows_are_scanned_and_a_line_says_so(some, tmp_path):
    exact = some.save(tmp_path / "exact")
    exact.compact(approximate=False)
    exact.add(["the walrus"])
    done = subprocess.run([sys.executable, "-c", WITHOUT, some.folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rail, walrus, *errors = json.loads(done.stdout)
    for found, query in ((rail, "rail fares"), (walrus, "walrus")):
        assert found == [[hit.id, hit.score] for hit in exact.search(query)]
    assert len(errors) == 2 and all("pip install 'edge-potion[search]'" in error for error in errors)
    assert done.stderr.count("usearch is not installed") == 1
    assert some.refresh() and graphs_of(some) == [False] and len(some.search("walrus")) > 0
    some.compact(approximate=True)
    assert graphs_of(some) == [True], "where usearch is here again, graphs can be made again"


def test_onnx_runtime_opens_after_a_graph_did(some):
    """usearch's wheel brings a C++ library that breaks those of others, which `edge_potion` sees to."""
    pytest.importorskip("onnxruntime")
    script = f"""{SMALLER}
import sys
from edge_potion import EdgeModel, Index
index = Index.open(sys.argv[1])
assert len(index.search("rail fares")) == 10 and "usearch" in sys.modules and "onnxruntime" not in sys.modules
print(EdgeModel.from_pretrained(engine="onnxruntime").encode("rain").shape)
"""
    done = subprocess.run([sys.executable, "-c", script, some.folder], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(256,)\n"), done.stderr
