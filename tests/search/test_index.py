"""An index: what it finds, what becomes of it, and that it is never half of something."""

import json
import multiprocessing
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_potion import AccessError, EdgeModel, Index, InputError, StaticModel, export, quantize
from edge_potion.search import rows as rows_module
from edge_potion.search.folder import MANIFEST, read_manifest
from edge_potion.search.fusion import WORDS_WEIGHT
from edge_potion.search.postings import Collected, weights_of
from edge_potion.search.words import Words
from edge_potion.static_model import Card

TEXTS = (Path(__file__).parents[1] / "data" / "sentences.txt").read_text(encoding="utf-8").splitlines()
SOME = [
    "the cat sat on the mat",
    "bread did not rise",
    "error E1234 in module 7",
    "",
    "Zürich is nice",
    "☃☃",
    "bake bread",
]


@pytest.fixture(scope="module")
def model() -> EdgeModel:
    return EdgeModel.from_pretrained()


@pytest.fixture
def some(tmp_path, model) -> Index:
    return Index.build(tmp_path / "index", SOME, model=model)


@pytest.fixture(scope="module")
def many(tmp_path_factory, model) -> Index:
    return Index.build(tmp_path_factory.mktemp("many") / "index", TEXTS, model=model)


def oracle(model: EdgeModel, texts: list[str], query: str) -> dict[str, np.ndarray]:
    """What every row scores, in float64 over all texts at once."""
    codes = quantize(model.encode(texts))
    vectors = codes.values * codes.scales[:, None].astype(np.float64)
    meaning = vectors @ model.encode(query)
    words, collected = Words(), Collected()
    for text in texts:
        collected.add(words.stems(text))
    postings = collected.postings()
    weights = weights_of(words.stems(query), [postings])
    of_words = np.zeros(len(texts), np.float32)
    postings.add_scores(weights, of_words)
    both = (meaning - meaning.mean()) / meaning.std() + WORDS_WEIGHT * of_words / (weights.most or 1)
    return {"meaning": meaning, "words": of_words.astype(np.float64), "hybrid": both}


@pytest.mark.parametrize("mode", ["hybrid", "meaning", "words"])
@pytest.mark.parametrize(
    "query", ["rail fares", "my bread did not rise", "how do I reset a password", "the 2nd of May"]
)
def test_it_finds_what_all_rows_at_once_would_give(many, model, query, mode):
    texts = [text for text in TEXTS if text.strip()]
    scores = oracle(model, texts, query)[mode]
    hits = many.search(query, 50, mode=mode)
    found = [hit.score for hit in hits]
    expected = np.sort(scores)[::-1][: len(hits)]
    np.testing.assert_allclose(found, expected, atol=2e-3)
    for hit in hits:
        assert scores[hit.number] == pytest.approx(hit.score, abs=2e-3) and texts[hit.number] == hit.text


def test_names_and_numbers_are_found_and_so_is_what_means_the_same(some):
    assert some.search("E1234", 1)[0].text == "error E1234 in module 7"
    assert some.search("zurich", 1)[0].text == "Zürich is nice"
    assert some.search("a loaf stayed flat", 1)[0].text == "bread did not rise"
    assert [hit.id for hit in some.search("bread", 2)] == ["7", "2"]


def test_empty_texts_are_passed_over_and_keep_their_numbers(some):
    assert len(some) == 6
    assert [hit.id for hit in some.search("Zürich", 1)] == ["5"]


def test_what_says_nothing_finds_nothing(some):
    for query in ("", "   ", "☃", "the"):
        assert some.search(query, 10, mode="words") == []
    assert some.search("☃", 10) == [] and some.search("", 10, mode="meaning") == []
    assert all(hit.text != "☃☃" for hit in some.search("bread", 100))


def test_an_explanation_adds_up_to_the_score_of_words(many):
    for hit in many.search("rise of the rail fares", 5, explain=True):
        assert sum(share.share for share in hit.explanation) == pytest.approx(hit.words, rel=1e-5)
        assert [share.word for share in hit.explanation if share.share == 0 or share.stem]
    assert many.search("rail", 1)[0].explanation == ()


def test_documents_in_parts_are_found_once_each(tmp_path, model):
    long = " ".join(["filler text about nothing"] * 60)
    texts = [f"{long} the quick brown fox jumped {long}", "a fox", "no animal at all"]
    index = Index.build(tmp_path / "i", texts, model=model, chunk="words", where=["a.txt", "b.txt", "c.txt"])
    assert len(index) > 3
    hits = index.search("fox", 10)
    assert sorted(hit.id for hit in hits) == ["1", "2", "3"]
    part = next(hit for hit in hits if hit.id == "1")
    assert "quick brown fox" in part.text and part.where.startswith("a.txt part ")
    assert index.delete(["1", "1", "nobody"]) == 1 and {hit.id for hit in index.search("fox", 10)} == {"2", "3"}


def test_what_is_added_is_found_and_takes_the_place_of_what_was_called_so(some):
    assert some.add(["cheese from a goat", "wine"], where=["here", "there"]) == 2
    assert [(hit.id, hit.where) for hit in some.search("goat", 1)] == [("8", "here")]
    assert some.add(["a ship"], ids=["8"]) == 1
    assert some.search("goat", 1, mode="words") == [] and some.search("ship", 1)[0].id == "8"
    assert len(some) == 8
    some.add(["more"])
    assert some.search("more", 1, mode="meaning")[0].id == "10"


def test_what_is_deleted_is_never_found_again(some):
    assert some.delete(["2", "7", "nobody"]) == 2
    assert some.search("bread", 10, mode="words") == []
    assert {hit.id for hit in some.search("bread", 10)} == {"1", "3", "5"}
    assert some.delete(["2"]) == 0
    again = Index.open(some.folder)
    assert len(again) == 4 and again.search("bread", 10) == some.search("bread", 10)


def test_everything_can_be_deleted_and_added_to_again(some):
    some.delete([str(number) for number in range(1, 8)])
    assert len(some) == 0 and some.search("bread") == []
    some.compact()
    some.add(["new bread"])
    assert [hit.text for hit in some.search("bread")] == ["new bread"]


def test_compacting_changes_nothing_that_is_found_but_what_words_are_worth(some, model):
    some.add(["rye bread"])
    some.delete(["1"])
    some.compact()
    assert len(read_manifest(some.folder).segments) == 1
    fresh = Index.build(
        some.folder.parent / "fresh",
        ["bread did not rise", *SOME[2:], "rye bread"],
        model=model,
        ids=map(str, range(2, 9)),
    )
    for query in ("bread", "E1234", "goat"):
        ours, theirs = some.search(query), fresh.search(query)
        assert [(hit.id, hit.score) for hit in ours] == [(hit.id, hit.score) for hit in theirs]


def test_many_small_additions_become_few_segments(some):
    for number in range(40):
        some.add([f"line number {number}"])
    assert len(read_manifest(some.folder).segments) <= rows_module.MOST_SEGMENTS + 1
    assert len(some) == 46 and some.search("line 17", 1)[0].text == "line number 17"
    left = {path.name for path in some.folder.iterdir()}
    named = {entry.name for entry in read_manifest(some.folder).segments}
    assert left == named | {MANIFEST}


def test_a_segment_is_closed_when_it_is_full_and_the_next_goes_on(tmp_path, model, monkeypatch):
    monkeypatch.setattr("edge_potion.search.segment.MOST_ROWS", 100)
    monkeypatch.setattr(rows_module, "ROWS_AT_ONCE", 50)
    index = Index.build(tmp_path / "i", TEXTS[:420], model=model)
    assert len(read_manifest(index.folder).segments) >= 4
    whole = [text for text in TEXTS[:420] if text.strip()]
    for query in ("rail fares", "a password"):
        scores = oracle(model, whole, query)["hybrid"]
        assert [hit.number for hit in index.search(query, 5)] == np.argsort(-scores, kind="stable")[:5].tolist()


def test_saving_writes_all_that_is_not_deleted_elsewhere(some, tmp_path):
    some.delete(["1"])
    saved = some.save(tmp_path / "copy")
    assert len(saved) == 5 and [hit.text for hit in saved.search("bread")] == [hit.text for hit in some.search("bread")]
    with pytest.raises(InputError, match="the folder of this index"):
        some.save(some.folder)


def test_texts_that_were_never_indexed_are_ranked_by_what_words_are_worth_here(some):
    texts = ["a dog", "bread", "E1234 is an error", ""]
    for mode in ("hybrid", "meaning", "words"):
        ranked = some.rerank("error E1234", texts, mode=mode)
        assert ranked[0].number == 2 and sorted(hit.number for hit in ranked) == [0, 1, 2, 3]
        assert all(np.isfinite(hit.score) for hit in ranked)
    assert some.rerank("a", []) == []


def test_an_index_says_with_which_model_it_was_made(some, hand_folder):
    with pytest.raises(InputError, match="another model"):
        Index.open(some.folder, model=hand_folder)
    said = json.loads((some.folder / MANIFEST).read_text())
    (some.folder / MANIFEST).write_text(json.dumps({**said, "fingerprint": "0" * 64}))
    with pytest.raises(InputError, match="another model"):
        Index.open(some.folder)


def test_one_that_lies_there_is_replaced_and_what_is_no_index_is_not(some, tmp_path, model):
    again = Index.build(some.folder, ["only this"], model=model)
    assert [hit.text for hit in again.search("this only", 5)] == ["only this"]
    assert some.refresh() and len(some) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for place, said in ((tmp_path / "mine", "holds something else"), (tmp_path / "mine" / "letter.txt", "is a file")):
        with pytest.raises(InputError, match=said):
            Index.build(place, ["a"], model=model)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"texts": "one text"}, "iterable of str"),
        ({"texts": ["a", 5]}, "of type int"),
        ({"texts": ["a\ud800"]}, "lone surrogate"),
        ({"texts": ["a", "b"], "ids": ["x"]}, "fewer ids than texts"),
        ({"texts": ["a", "b"], "ids": ["x", "x"]}, "two texts have the id 'x'"),
        ({"texts": ["a"], "ids": [7]}, r"ids\[0\] is of type int"),
        ({"texts": ["a"], "where": []}, "fewer where"),
        ({"texts": ["a"], "ids": ["x", "y"]}, "more ids"),
        ({"texts": ["a"], "where": ["x", "y"]}, "more where"),
        ({"texts": ["a"], "ids": ["\ud800"]}, "lone surrogate"),
        ({"texts": ["a"], "where": ["\ud800"]}, "lone surrogate"),
        ({"texts": ["a"], "language": "klingon"}, "no language 'klingon'"),
        ({"texts": ["a"], "chunk": "pages"}, "no way 'pages'"),
        ({"texts": ["a"], "model": "no-such-model-anywhere/really"}, "no-such-model"),
    ],
)
def test_what_cannot_be_indexed_is_refused_and_leaves_the_old_index(tmp_path, model, given, said):
    Index.build(tmp_path / "i", ["old"], model=model)
    with pytest.raises((InputError, OSError), match=said):
        Index.build(tmp_path / "i", **{"model": model, **given})
    assert [hit.text for hit in Index.open(tmp_path / "i").search("old")] == ["old"]
    with pytest.raises((InputError, OSError)):
        Index.build(tmp_path / "new", **{"model": model, **given})
    if (tmp_path / "new").exists():
        with pytest.raises(InputError, match="never finished"):
            Index.open(tmp_path / "new")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"query": 5}, "of type int"),
        ({"query": "\ud800"}, "surrogate"),
        ({"query": "a", "top": 0}, "top"),
        ({"query": "a", "top": 1.5}, "top"),
        ({"query": "a", "mode": "magic"}, "hybrid, meaning, words"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(some, given, said):
    with pytest.raises(InputError, match=said):
        some.search(**given)
    for ids in ("1", [1], ["\ud800"]):
        with pytest.raises(InputError):
            some.delete(ids)


def damaged(folder: Path, how: str) -> None:
    said = json.loads((folder / MANIFEST).read_text())
    segment = folder / said["segments"][0]["name"]
    if how == "no manifest":
        (folder / MANIFEST).unlink()
    elif how == "half a manifest":
        (folder / MANIFEST).write_text((folder / MANIFEST).read_text()[:100])
    elif how == "a later format":
        (folder / MANIFEST).write_text(json.dumps({**said, "format": 2}))
    elif how == "an unknown field":
        (folder / MANIFEST).write_text(json.dumps({**said, "color": "blue"}))
    elif how == "a name that leads out":
        said["segments"][0]["name"] = "../elsewhere"
        (folder / MANIFEST).write_text(json.dumps(said))
    elif how == "a number that is none":
        said["segments"][0]["rows"] = -1
        (folder / MANIFEST).write_text(json.dumps(said))
    elif how == "a missing segment":
        shutil.rmtree(segment)
    elif how == "a missing file":
        (segment / "rows.u32").unlink()
    else:
        with (segment / how).open("r+b") as file:
            file.truncate(max(file.seek(0, 2) - 1, 0))


@pytest.mark.parametrize(
    "how",
    [
        *("no manifest", "half a manifest", "a later format", "an unknown field", "a name that leads out"),
        *("a number that is none", "a missing segment", "a missing file", "values.i8", "texts.utf8", "starts.i64"),
    ],
)
def test_a_damaged_index_is_refused_in_one_line(some, how):
    damaged(some.folder, how)
    with pytest.raises(InputError) as failure:
        Index.open(some.folder)
    assert str(some.folder) in str(failure.value) and "\n" not in str(failure.value)


@pytest.mark.parametrize("name", ["rows.u32", "starts.i64", "counts.u8", "text_starts.i64", "id_rows.u32", "terms.u64"])
def test_damage_inside_a_file_never_crashes(some, name):
    segment = some.folder / read_manifest(some.folder).segments[0].name
    chance = np.random.default_rng(3)
    for _ in range(20):
        size = (segment / name).stat().st_size
        shutil.copytree(some.folder, some.folder.parent / "bad", dirs_exist_ok=True)
        bad = some.folder.parent / "bad" / segment.name / name
        bad.write_bytes(chance.integers(0, 256, size, np.uint8).tobytes())
        index = Index.open(some.folder.parent / "bad")
        try:
            index.search("bread E1234", explain=True)
            index.delete(["2"])
        except InputError as failure:
            assert "damaged" in str(failure)


KILLED = """
import sys
from edge_potion import Index
print("open", flush=True)
index = Index.open(sys.argv[1])
for number in range(1000):
    index.add([f"added {number}", f"also {number}"], ids=[f"a{number}", f"b{number}"])
    index.delete([f"b{number}"])
    if number % 7 == 6:
        index.compact()
"""


def test_a_writer_that_is_killed_leaves_the_old_state_or_the_new(tmp_path, model):
    Index.build(tmp_path / "i", SOME, model=model)
    chance = np.random.default_rng(1)
    before = 0
    for killed in range(1, 13):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "i"], stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline()
        time.sleep(0.15 + chance.random() * 0.4)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        index = Index.open(tmp_path / "i", model=model)
        names = {hit.id for hit in index.search("added also", 10_000)} | {
            hit.id for hit in index.search("bread", 10_000)
        }
        added = sorted(int(name[1:]) for name in names if name[0] == "a")
        assert added == list(range(len(added))), "one is missing between others"
        assert sum(name[0] == "b" for name in names) <= killed, "each may have been about to delete one"
        assert {"1", "2", "3", "5", "7"} <= names
        before = max(before, len(added))
    assert before > 0
    index.add(["the end"])
    named = {name for entry in read_manifest(tmp_path / "i").segments for name in (entry.name, entry.deleted) if name}
    assert {path.name for path in (tmp_path / "i").iterdir()} == named | {MANIFEST}


def test_a_build_that_is_killed_is_told_and_can_be_made_again(tmp_path, model):
    script = """
import sys, time
from edge_potion import Index
def texts():
    yield from ["a line"] * 20_000
    print("here", flush=True)
    time.sleep(60)
Index.build(sys.argv[1], texts())
"""
    for place, texts in ((tmp_path / "new", None), (tmp_path / "old", ["old"])):
        if texts:
            Index.build(place, texts, model=model)
        builder = subprocess.Popen([sys.executable, "-c", script, place], stdout=subprocess.PIPE)
        assert builder.stdout is not None and builder.stdout.readline()
        builder.kill()
        builder.wait()
    with pytest.raises(InputError, match="never finished"):
        Index.open(tmp_path / "new")
    assert [hit.text for hit in Index.open(tmp_path / "old").search("old")] == ["old"]
    assert len(Index.build(tmp_path / "new", ["whole"], model=model)) == 1


def _add_many(folder: str, first: int) -> None:
    index = Index.open(folder)
    for number in range(first, first + 10):
        index.add([f"written {number}"], ids=[f"w{number}"])


def test_writers_wait_for_each_other_and_lose_nothing(some):
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_add_many, args=(str(some.folder), 100 * number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    assert some.refresh() and len(some) == 36
    assert len(some.search("written", 100, mode="words")) == 30


def test_a_reader_goes_on_while_a_writer_writes(some):
    reader = Index.open(some.folder, model=some.model)
    stop = threading.Event()
    seen: list[list[int]] = [[], []]
    failures: list[Exception] = []

    def read(sizes: list[int]) -> None:
        try:
            while not stop.is_set():
                hits = reader.search("bread", 50)
                assert hits[0].text == "bake bread"
                sizes.append(len(reader))
                reader.refresh()
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=read, args=(sizes,)) for sizes in seen]
    for thread in threads:
        thread.start()
    for number in range(25):
        some.add([f"line {number}"])
        if number % 5 == 4:
            some.compact()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures and all(sizes == sorted(sizes) for sizes in seen)
    assert reader.refresh() in (True, False) and len(reader) == 31


def test_what_is_open_stays_as_it_was_until_it_looks_again(some):
    reader = Index.open(some.folder, model=some.model)
    before = reader.search("bread", 10)
    some.delete(["2"])
    some.compact()
    assert reader.search("bread", 10) == before
    assert reader.refresh() and not reader.refresh()
    assert len(reader.search("bread", 10)) == len(before) - 1


def test_a_full_disk_is_one_error_and_leaves_the_old_state(some, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows_module.SegmentWriter, "close", full)
    with pytest.raises(OSError):
        some.add(["new"])
    monkeypatch.undo()
    assert len(Index.open(some.folder, model=some.model)) == 6


def test_queries_and_texts_have_the_prompts_of_the_model(hand_table, hand_tokenizer, tmp_path):
    prompts = {"query": "cat ", "document": "dog "}
    oracle = StaticModel(hand_table, hand_tokenizer, Card("hand", normalize=False, prompts=prompts))
    export(oracle, tmp_path / "bundle", quantize="float32", graphs="text")
    model = EdgeModel.from_pretrained(tmp_path / "bundle")
    index = Index.build(tmp_path / "i", ["ran", "sat on a mat"], model=model, language="none")
    expected = model.similarity(model.encode_query("sat"), model.encode_document(["ran", "sat on a mat"]))
    assert not np.allclose(expected, model.similarity("sat", ["ran", "sat on a mat"]))
    found = {hit.text: hit.meaning for hit in index.search("sat", mode="meaning")}
    np.testing.assert_allclose([found["ran"], found["sat on a mat"]], expected, atol=2e-2)
    nearest = model.search("sat", ["ran", "sat on a mat"])
    np.testing.assert_allclose([hit.score for hit in nearest], np.sort(expected)[::-1], atol=1e-5)


def test_a_build_that_waits_for_another_and_then_fails_leaves_the_others_index(tmp_path, model):
    Index.build(tmp_path / "i", ["old"], model=model)
    begun, may_end = threading.Event(), threading.Event()

    def texts() -> Iterator[str]:
        yield "first"
        begun.set()
        may_end.wait()

    def second() -> None:
        with pytest.raises(InputError, match="of type int"):
            Index.build(tmp_path / "i", [*["second"] * (rows_module.ROWS_AT_ONCE + 1), 5], model=model)

    builders = [
        threading.Thread(target=Index.build, args=(tmp_path / "i", texts()), kwargs={"model": model}),
        threading.Thread(target=second),
    ]
    builders[0].start()
    begun.wait()
    builders[1].start()
    time.sleep(0.3)  # by then it waits for the folder
    may_end.set()
    for builder in builders:
        builder.join()
    assert [hit.text for hit in Index.open(tmp_path / "i", model=model).search("first")] == ["first"]


def test_the_index_json_of_somebody_else_is_never_replaced(tmp_path, model):
    for place, said in (("site", '{"pages": []}'), ("list", "[1]"), ("half", '{"format": 1, ')):
        (tmp_path / place).mkdir()
        (tmp_path / place / MANIFEST).write_text(said)
        with pytest.raises(InputError, match="holds something else"):
            Index.build(tmp_path / place, ["a"], model=model)
        assert (tmp_path / place / MANIFEST).read_text() == said


@pytest.mark.parametrize("how", ["no manifest", "half a manifest", "a later format", "a missing segment"])
def test_a_damaged_index_can_be_made_again_where_it_lies(some, model, how):
    damaged(some.folder, how)
    assert len(Index.build(some.folder, ["new"], model=model)) == 1


def test_meaning_counts_whichever_rows_were_deleted(tmp_path, model, monkeypatch):
    monkeypatch.setattr("edge_potion.search.fusion.MOST_SAMPLED", 50)
    index = Index.build(tmp_path / "i", TEXTS[:100], model=model)
    index.delete(map(str, range(1, 101, 2)))  # all that lie at even steps
    assert len({hit.score for hit in index.search("trains", 5)}) == 5


@pytest.mark.parametrize("bound", ["MOST_ROWS", "MOST_HELD_BYTES"])
def test_a_change_of_a_large_index_never_writes_all_of_it_anew(tmp_path, model, monkeypatch, bound):
    monkeypatch.setattr(f"edge_potion.search.segment.{bound}", 20 if bound == "MOST_ROWS" else 100)
    monkeypatch.setattr(rows_module, "ROWS_AT_ONCE", 20)
    index = Index.build(tmp_path / "i", [f"line {number}" for number in range(240)], model=model)
    large = {entry.name for entry in read_manifest(index.folder).segments}
    assert len(large) > rows_module.MOST_SEGMENTS
    index.delete(["1"])
    for number in range(3):
        index.add([f"added {number}"])
    assert large <= {entry.name for entry in read_manifest(index.folder).segments}
    assert len(index) == 242 and index.search("added 2", 1)[0].text == "added 2"


def test_an_empty_text_takes_the_place_of_what_was_called_so(some):
    assert some.add([" ", "ale"], ids=["2", "ale"]) == 1
    assert [hit.id for hit in some.search("bread", 10, mode="words")] == ["7"] and len(some) == 6
    assert some.add([""], ids=["7"]) == 0 and some.search("bread", 10, mode="words") == []


def test_twins_are_refused_beside_twins_that_are_empty(tmp_path, model):
    for first, second in (("a", "b"), ("b", "a")):
        with pytest.raises(InputError, match=f"two texts have the id '{second}'"):
            Index.build(tmp_path / "i", ["", "", "x", "y"], ids=[first, first, second, second], model=model)


def test_an_index_is_where_it_was_opened_wherever_the_process_goes(some, model, monkeypatch, tmp_path):
    monkeypatch.chdir(some.folder.parent)
    opened = Index.open(some.folder.name, model=model)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert opened.add(["ale"]) == 1 and some.refresh() and not list(Path.cwd().iterdir())


def test_a_link_to_an_index_can_be_set_to_a_newer_one(some, model, tmp_path):
    link = tmp_path / "current"
    link.symlink_to(some.folder, target_is_directory=True)
    opened = Index.open(link, model=model)
    newer = Index.build(tmp_path / "newer", ["new"], model=model)
    link.unlink()
    link.symlink_to(newer.folder, target_is_directory=True)
    assert opened.refresh() and [hit.text for hit in opened.search("new")] == ["new"]


def test_an_index_goes_to_another_process(some):
    again = pickle.loads(pickle.dumps(some))
    assert again.search("bread") == some.search("bread") and len(pickle.dumps(some)) < 2000


def test_what_fails_leaves_nothing_on_the_disk(some, tmp_path, model):
    before = sorted(path.name for path in some.folder.iterdir())
    many_texts = ["x"] * (rows_module.ROWS_AT_ONCE + 1)
    for write in (some.add, lambda texts: Index.build(some.folder, texts, model=model)):
        with pytest.raises(InputError, match="of type int"):
            write([*many_texts, 5])
        assert sorted(path.name for path in some.folder.iterdir()) == before


def test_an_index_that_is_gone_is_not_made_by_adding(some):
    shutil.rmtree(some.folder)
    for change in (lambda: some.add(["a"]), lambda: some.delete(["1"]), some.compact, some.refresh):
        with pytest.raises(InputError, match="is no index"):
            change()
        assert not some.folder.exists()


def test_a_change_that_is_there_is_no_failure_where_segments_cannot_be_merged(some, monkeypatch):
    def full(*_: object) -> None:
        raise AccessError("No space left on device")

    monkeypatch.setattr("edge_potion.search.index.copied", full)
    for number in range(rows_module.MOST_SEGMENTS + 2):
        assert some.add([f"added {number}"]) == 1
    monkeypatch.undo()
    some.add(["the last"])
    assert len(some) == 9 + rows_module.MOST_SEGMENTS and len(read_manifest(some.folder).segments) < 4


def test_a_word_that_no_text_of_the_index_has_counts_most_among_texts_that_were_never_indexed(some):
    texts = ["bread bread", "part QX77", "cat"]
    ranked = some.rerank("bread QX77", (text for text in texts), mode="words")
    assert [hit.text for hit in ranked] == ["part QX77", "bread bread", "cat"] and ranked[0].words > ranked[1].words > 0
    for wrong in ("a text", None, 5, ["a", 5]):
        with pytest.raises(InputError):
            some.rerank("bread", wrong)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="/proc/self/fd is not there")
def test_small_segments_keep_no_files_open(some, model):
    for number in range(6):
        some.add([f"added {number}"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    opened = [Index.open(some.folder, model=model) for _ in range(5)]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before and len(opened[4].search("added", 99)) == 11


def test_a_place_that_cannot_be_is_one_error(some, tmp_path, model):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for place in ("a\0b", "a" * 5000, tmp_path / "loop"):
        for use in (lambda where: Index.build(where, ["a"], model=model), Index.open, some.save):
            with pytest.raises((InputError, AccessError)):
                use(place)


def test_where_nothing_can_be_made_is_one_error(some, monkeypatch):
    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", read_only)
        with pytest.raises(AccessError, match="Read-only"):
            some.add(["new"])
    assert some.add(["new"]) == 1
