"""Word vectors by others: every form of file, what is wrong in one, which words count, and the folder they become."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import zstandard

from edge_potion import EdgeModel, InputError, StaticModel, export
from edge_potion.text_lines import BLOCK

WORDS = {"the": [1, 0, 0.5], "cat": [0, 1, -2], ".": [0.25, 0.25, 0], "café": [3, 0, 1], "日本": [0, 0, 1e-3]}
PACKED = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: zstandard.ZstdCompressor().compress(content),
}


def as_text(words: Mapping[str, list[float]], *, header: bool = False, end: str = "\n") -> bytes:
    """As GloVe writes them; with a header and `end` " \\n", as fastText does."""
    first = f"{len(words)} {len(next(iter(words.values())))}\n" if header else ""
    return (first + "".join(f"{word} {' '.join(map(str, row))}{end}" for word, row in words.items())).encode()


def as_binary(words: Mapping[str, list[float]], *, end: bytes = b"\n") -> bytes:
    """As word2vec writes them; gensim writes no `end`."""
    rows = [word.encode() + b" " + np.array(row, "<f4").tobytes() + end for word, row in words.items()]
    return b"%d %d\n" % (len(words), len(next(iter(words.values())))) + b"".join(rows)


def written(folder: Path, name: str, content: bytes | str) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def held(model: StaticModel) -> dict[str, list[float]]:
    """Words and rows of a model, but for [PAD] and [UNK]."""
    assert not model.table[:2].any() and model.dropped_ids == (0, 1)
    names = [model.tokenizer.id_to_token(number) for number in range(len(model.table))]
    assert names[:2] == ["[PAD]", "[UNK]"]
    return dict(zip(names[2:], model.table[2:].tolist(), strict=True))


def expected(words: Mapping[str, list[float]]) -> dict[str, list[float]]:
    return {word: np.array(row, np.float32).tolist() for word, row in words.items()}


def refused(file: Path, what: str, **options) -> None:
    with pytest.raises(InputError, match=what):
        StaticModel.from_word_vectors(file, **options)


# Forms of files.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("glove.txt", as_text(WORDS)),
        ("glove", as_text(WORDS)),
        ("windows.txt", as_text(WORDS, end="\r\n")),
        ("no-end.txt", as_text(WORDS).rstrip()),
        ("marked.txt", b"\xef\xbb\xbf" + as_text(WORDS)),
        ("tabs.txt", as_text(WORDS).replace(b" ", b"\t")),
        ("fasttext.vec", as_text(WORDS, header=True, end=" \n")),
        ("word2vec.bin", as_binary(WORDS)),
        ("gensim.BIN", as_binary(WORDS, end=b"")),
    ],
)
def test_words_and_rows_are_those_of_the_file_in_every_form(tmp_path, name, content):
    model = StaticModel.from_word_vectors(written(tmp_path, name, content))
    assert held(model) == expected(WORDS) and list(held(model)) == list(WORDS)
    assert model.card.normalize and model.card.name == name.split(".")[0]


@pytest.mark.parametrize("packing", PACKED)
def test_packed_files_are_unpacked_as_they_are_read(tmp_path, packing):
    for name, content in (("glove.6B.txt", as_text(WORDS)), ("glove.6B.bin", as_binary(WORDS))):
        model = StaticModel.from_word_vectors(written(tmp_path, name + packing, PACKED[packing](content)))
        assert held(model) == expected(WORDS) and model.card.name == "glove.6B"


def test_a_zip_of_one_file_is_that_file_and_of_several_one_is_named(tmp_path):
    other = {"dog": [1.0, 2.0]}
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.840B.txt", as_text(WORDS))
        archive.writestr("__MACOSX/glove.840B.txt", b"junk")
    with zipfile.ZipFile(tmp_path / "two.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.50d.txt", as_text(WORDS))
        archive.writestr("more/words.bin", as_binary(other))
    model = StaticModel.from_word_vectors(tmp_path / "one.zip")
    assert held(model) == expected(WORDS) and model.card.name == "glove.840B"
    assert held(StaticModel.from_word_vectors(tmp_path / "two.zip" / "glove.50d.txt")) == expected(WORDS)
    assert held(StaticModel.from_word_vectors(tmp_path / "two.zip" / "more" / "words.bin")) == expected(other)
    refused(tmp_path / "two.zip", r"2 files; name the one that is meant: .*two.zip/glove.50d.txt, .*/more/words.bin")
    refused(tmp_path / "two.zip" / "none.txt", "2 files")
    refused(written(tmp_path, "no.zip", b"PK nothing"), "cannot read .*no.zip")
    whole = (tmp_path / "one.zip").read_bytes()
    at = whole.index(b"glove.840B.txt") + 30
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("glove.txt", as_text(WORDS))
    packed = (tmp_path / "lzma.zip").read_bytes()
    inside = packed.index(b"glove.txt") + 20  # behind LZMA's own header
    refused(written(tmp_path, "damaged_lzma.zip", packed[:inside] + b"\xff" * 20 + packed[inside + 20 :]), "damaged")
    later = whole.replace(b"PK\x01\x02\x14\x03\x14\x00", b"PK\x01\x02\x14\x03\xff\x00")  # a version that nobody has
    refused(written(tmp_path, "later.zip", later), "cannot read .*later.zip")
    refused(written(tmp_path, "damaged.zip", whole[:at] + b"\xff" * 40 + whole[at + 40 :]), "damaged")


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", "<f8"])
def test_an_npy_has_its_words_in_a_file_beside_it(tmp_path, dtype):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    array = np.array(list(WORDS.values()), dtype)
    np.save(tmp_path / "vectors.npy", array)
    lines = written(tmp_path, "words.txt", "".join(f"{word}\n" for word in WORDS))
    parquet.write_table(pyarrow.table({"index": list(WORDS)}), tmp_path / "words.parquet")
    for words, column in ((lines, "text"), (tmp_path / "words.parquet", "index")):
        model = StaticModel.from_word_vectors(tmp_path / "vectors.npy", words=words, text_column=column)
        assert held(model) == dict(zip(WORDS, array.astype(np.float32).tolist(), strict=True))
    refused(tmp_path / "vectors.npy", "name the file that has the word of each row")
    refused(
        tmp_path / "vectors.npy",
        "holds 2 words, and .* 5 rows; one word for each row",
        words=written(tmp_path, "few", "a\nb\n"),
    )
    refused(tmp_path / "vectors.npy", "holds more words", words=written(tmp_path, "many", "a\n" * 6))
    refused(written(tmp_path, "a.txt", as_text(WORDS)), "holds its words itself", words=lines)
    array[3, 1] = np.nan
    np.save(tmp_path / "vectors.npy", array)
    refused(tmp_path / "vectors.npy", "row 4, of 'café': NaN.* take that word out", words=lines)
    packed = written(tmp_path, "vectors.npy.gz", gzip.compress((tmp_path / "vectors.npy").read_bytes()))
    refused(packed, "vectors.npy.gz is packed.*unpack it first", words=lines)


def test_nothing_pickled_is_read(tmp_path):
    words = written(tmp_path, "words.txt", "a\n")
    np.save(tmp_path / "objects.npy", np.array([[1.0]], object), allow_pickle=True)
    refused(tmp_path / "objects.npy", "no .npy file of numbers", words=words)
    np.save(tmp_path / "whole.npy", np.array([[1]]))
    refused(tmp_path / "whole.npy", "floats of .words, dimensions. were expected", words=words)
    np.save(tmp_path / "flat.npy", np.array([1.0]))
    refused(tmp_path / "flat.npy", "floats of .words, dimensions. were expected", words=words)
    for name in ("gensim.model", "gensim.kv", "vectors.pkl.gz"):
        refused(written(tmp_path, name, b"\x80\x04"), "nothing pickled is loaded.*save_word2vec_format")
    refused(written(tmp_path, "vectors.npz", b"PK"), "write an .npy and a file of words")


@pytest.mark.parametrize("name", ["cc.en.300.bin", "cc.en.300.vec", "cc.en.300.bin.gz"])
def test_a_model_of_fasttexts_own_is_refused_by_name_with_what_to_do(tmp_path, name):
    content = np.array([793712314, 12, 300], "<i4").tobytes() + b"\0" * 500
    content = gzip.compress(content) if name.endswith(".gz") else content
    refused(written(tmp_path, name, content), "a model of fastText's own.*take the .vec file.*print-word-vectors")


# What is wrong in a file.


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ("a 1 2\nb 1\n", "line 2: 1 numbers behind a word, and 2 were expected: 'b 1'"),
        ("a 1 2\n\nb 1 2 3.5\n", ""),  # a word may end in a number
        ("a 1 2\nb 0.5 2 3.5\n", "line 2: 3 numbers behind a word, and 2 were expected"),
        ("a 1 2\nb 1 x\n", "line 2: could not convert string to float"),
        ("a 1 2\nb 1 nan\n", "line 2: NaN, inf or a value beyond"),
        ("a 1 2\n\nb 1 -inf\n", "line 3: NaN, inf or a value beyond"),
        ("a 1 2\nb 1 1e300\n", "line 2: NaN, inf or a value beyond"),
        ("a 1 2\nb\n", "line 2: 0 numbers behind a word"),
        ("a\nb\n", "line 1: 'a'; a word and its numbers were expected"),
        ("a b c\n", "line 1: 'a b c'; a word and its numbers were expected"),
        ("3 2\na 1 2\nb 1 2\n", "first line says 3 words, and 2 follow"),
        ("1 2\na 1 2\nb 1 2\n", "first line says 1 words, and 2 follow"),
        ("2 3\na 1 2\nb 1 2\n", "line 2: 2 numbers behind a word, and 3 were expected"),
        ("2 1\na 1 2\nb 1 2\n", "line 2: 2 numbers behind a word, and the first line says 1; correct that"),
        ("2 0\na 1 2\nb 1 2\n", "line 2: 2 numbers behind a word, and the first line says 0; correct that"),
        ("2 2\n7 1 2\nb 1 2\n", ""),  # a word may be a number
        ("\n\n", "holds no words"),
        ("", "holds no words"),
        ("0 5\n", "holds no words"),
    ],
)
def test_what_is_wrong_in_a_line_is_told_with_its_number(tmp_path, lines, what):
    file = written(tmp_path, "words.txt", lines)
    if what:
        refused(file, what)
    else:
        StaticModel.from_word_vectors(file)


def test_a_line_far_behind_is_named_by_its_number(tmp_path):
    lines = [f"w{number} {number}.5 1\n" for number in range(3 * BLOCK // 10)]
    lines[-7] = "w 1 nan\n"
    refused(written(tmp_path, "long.txt", "".join(lines)), f"line {len(lines) - 6}: NaN")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (as_binary({"a": [1, 2], "new york": [3, 4]}), "word 2, 'new': NaN.*where a word may hold a space"),
        (as_binary(WORDS)[:-3], "word 5 of 5 is not whole"),
        (as_binary(WORDS)[:9], "word 1 of 5 is not whole"),
        (as_binary(WORDS) + b"more " + bytes(8), "says 5 words, and more follow"),
        (as_text(WORDS, header=True), "holds numbers as text; name it .txt or .vec"),
        (as_text(WORDS), "is no word2vec file: its first line is 'the 1 0 0.5'"),
        (b"\0\1\2\3", "is no word2vec file"),
        (b"", "is no word2vec file"),
        (b"5 0\n", "is no word2vec file"),
        (b"1 1\na" + b"a" * 70_000 * 20, "word 1 of 1 is not whole"),
        (as_binary({"a": [1, 2], "b": [3, float("nan")]}), "word 2, 'b': NaN, inf"),
        (as_binary({"a": [1, 2], "b": [3, -1e30]}), "word 2, 'b': NaN, inf"),
    ],
)
def test_what_is_wrong_in_a_binary_file_is_told_with_its_word(tmp_path, content, what):
    refused(written(tmp_path, "words.bin", content), what)


def test_a_packed_file_that_was_cut_short_is_refused(tmp_path):
    packed = gzip.compress(as_text({f"w{number}": [number, 0.5] for number in range(5000)}))
    refused(written(tmp_path, "cut.txt.gz", packed[:-100]), "it ends in the middle")
    refused(tmp_path / "nowhere.txt", "cannot read")
    refused(tmp_path / "nowhere.zip", "cannot read")
    refused(tmp_path, "cannot read")


@pytest.mark.parametrize("name", ["junk.txt", "junk.vec", "junk.bin", "junk.zip", "junk.gz", "junk.npy"])
def test_garbage_is_refused_and_never_ends_the_program_otherwise(tmp_path, name):
    source = random.Random(name)
    words = written(tmp_path, "words", "a\n" * 5) if name.endswith("npy") else None
    good = as_binary(WORDS) if name.endswith("bin") else as_text(WORDS, header=name.endswith("vec"))
    for _ in range(100):
        content = bytearray(good if source.random() < 0.7 else source.randbytes(source.randrange(400)))
        for _ in range(source.randrange(1, 5)):
            place = source.randrange(len(content) + 1)
            content[place : place + source.randrange(3)] = source.randbytes(source.randrange(4))
        try:
            model = StaticModel.from_word_vectors(written(tmp_path, name, bytes(content)), words=words)
        except InputError:
            continue
        assert np.isfinite(model.table).all()


# Which words count.


def test_words_with_spaces_have_the_last_columns_for_their_numbers(tmp_path):
    """GloVe 840B has ". . ." and "at name@domain.com". No text has such a word once it is split."""
    words = {"the": [1, 2], ". . .": [3, 4], "at name@domain.com": [5, 6], "\u00a0": [7, 8], "cat": [9, 10]}
    model = StaticModel.from_word_vectors(written(tmp_path, "glove.840B.txt", as_text(words)), tokenizer="whitespace")
    assert held(model) == {"the": [1, 2], "cat": [9, 10]}


def test_a_blank_word_and_one_that_is_no_utf8_are_left_out(tmp_path, caplog):
    lines = b"caf\xe9 1 2\n 3 4\ncaf 5 6\n\xff\xfe\xfd 7 8\n"
    model = StaticModel.from_word_vectors(written(tmp_path, "bytes.txt", lines))
    assert held(model) == {"caf": [5, 6]}
    assert "words that are empty or no UTF-8 are left out (3: '', '', ''); no text has such" in caplog.text


def test_words_whose_vectors_are_zeros_are_left_out_and_that_is_told_of_the_file(tmp_path, caplog):
    """Else a text of them alone would have a vector of zeros, which is told of texts without a known word."""
    zeros = {"the": [1, 2], "cat": [0, 0], "on": [0, 1e-60], "dog": [3, 4]}
    np.save(tmp_path / "zeros.npy", np.array(list(zeros.values())))
    beside = written(tmp_path, "names", "\n".join(zeros))
    for name, content in (("zeros.txt", as_text(zeros)), ("zeros.bin", as_binary(zeros)), ("zeros.npy", None)):
        file = tmp_path / name if content is None else written(tmp_path, name, content)
        caplog.clear()
        model = StaticModel.from_word_vectors(file, words=None if content else beside)
        assert list(held(model)) == ["the", "dog"] and not model.encode("cat").any()
        assert f"{name}: words whose vectors are zeros are left out (2: 'cat', 'on'); they say nothing" in caplog.text
    model = StaticModel.from_word_vectors(written(tmp_path, "later.txt", "cat 0 0\nthe 1 2\ncat 3 4\n"))
    assert held(model) == {"the": [1, 2], "cat": [3, 4]}
    refused(
        written(tmp_path, "none.txt", "the 0 0\ncat 0 0\n"),
        r"none of its 2 words can be taken: words whose vectors are zeros are left out \(2: 'the', 'cat'\)",
    )


def test_words_with_white_space_are_told_apart_as_a_line_with_a_number_too_many_has_one(tmp_path, caplog):
    file = written(tmp_path, "words.txt", "the 1 2\nnew york 3 4\ncat 3 4 5\nn't 1 1\n")
    assert held(StaticModel.from_word_vectors(file)) == {"the": [1, 2]}
    assert "words with white space are left out (2: 'new york', 'cat 3'); no text has such; a line with" in caplog.text
    assert "split by 'words' are left out (1: \"n't\"); where they hold signs, the other tokenizer" in caplog.text


def test_words_end_at_spaces_alone_whatever_other_characters_end_lines_elsewhere(tmp_path):
    words = {"a": [1, 2], "b\u0085c": [3, 4], "d\u2028e": [5, 6], "f\x1cg": [7, 8], "h": [9, 10]}
    model = StaticModel.from_word_vectors(written(tmp_path, "odd.txt", as_text(words)))
    assert held(model) == {"a": [1, 2], "bc": [3, 4], "fg": [7, 8], "h": [9, 10]}  # controls are dropped, in texts too


def test_of_equal_words_the_first_counts_and_that_is_told(tmp_path, caplog):
    lines = "The 1 1\ncat 2 2\nthe 3 3\nCAT 4 4\ncat 5 5\ndog 6 6\n"
    file = written(tmp_path, "words.txt", lines)
    assert held(StaticModel.from_word_vectors(file, lower_case=True)) == {"the": [1, 1], "cat": [2, 2], "dog": [6, 6]}
    assert "words that stand there more than once (3: 'the', 'CAT', 'cat'), the first counts" in caplog.text
    caplog.clear()
    model = StaticModel.from_word_vectors(file, lower_case=False)
    assert held(model) == {"The": [1, 1], "cat": [2, 2], "the": [3, 3], "CAT": [4, 4], "dog": [6, 6]}
    assert "(1: 'cat')" in caplog.text


@pytest.mark.parametrize(("more", "ids"), [("", [2, 2]), ("Über 3 3\n", [2, 1])])
def test_texts_are_lower_cased_where_no_word_of_the_file_has_an_upper_case_letter(tmp_path, more, ids):
    model = StaticModel.from_word_vectors(written(tmp_path, "words.txt", f"the 1 1\ncat 2 2\n{more}"))
    assert model.tokenizer.encode("the The").ids == ids


def test_accents_stay_and_chinese_is_not_cut_as_words_have_both(tmp_path):
    model = StaticModel.from_word_vectors(written(tmp_path, "words.txt", as_text(WORDS)))
    assert model.tokenizer.encode("The Café, 日本 日本語").tokens == ["the", "café", "[UNK]", "日本", "[UNK]"]


@pytest.mark.parametrize("name", ["words.txt", "words.bin", "words.npy"])
def test_a_limit_takes_the_first_words_and_reads_no_further(tmp_path, name):
    content = as_text(WORDS) + b"ragged\n" if name.endswith("txt") else as_binary(WORDS)[:-5]
    file, words = written(tmp_path, name, content), None
    if name.endswith("npy"):
        np.save(file, np.array([*list(WORDS.values())[:3], [np.nan] * 3]))
        words = written(tmp_path, "names", "\n".join(WORDS))
    model = StaticModel.from_word_vectors(file, words=words, limit=3)
    assert held(model) == expected(dict(list(WORDS.items())[:3]))
    for wrong in (0, -1, 1.5, True):
        refused(file, "limit", words=words, limit=wrong)


def test_each_tokenizer_leaves_out_the_words_that_it_cuts(tmp_path, caplog):
    words = {"the": [1, 1], "n't": [2, 2], "new_york": [3, 3], ".": [4, 4], "...": [5, 5], "[UNK]": [6, 6]}
    file = written(tmp_path, "words.txt", as_text(words))
    assert held(StaticModel.from_word_vectors(file, lower_case=False)) == {"the": [1, 1], ".": [4, 4]}
    assert "(4: \"n't\", 'new_york', '...', ...)" in caplog.text
    model = StaticModel.from_word_vectors(file, tokenizer="whitespace", lower_case=False)
    assert list(held(model)) == ["the", "n't", "new_york", ".", "..."]
    assert model.tokenizer.encode("the n't. new_york\t... [UNK]").tokens == ["the", "[UNK]", "new_york", "...", "[UNK]"]
    refused(file, "there is no tokenizer 'bert' for words; choose from words, whitespace", tokenizer="bert")
    refused(
        written(tmp_path, "signs.txt", "n't 1 2\n's 1 2\n"),
        r"none of its 2 words can be taken: words that no .* are left out",
    )


def test_large_files_of_either_form_are_read_over_many_blocks(tmp_path):
    random_rows = np.random.default_rng(0).normal(size=(20_000, 7)).astype(np.float32)
    words = {f"w{number}": row for number, row in enumerate(random_rows.tolist())}
    for name, content in (
        ("many.txt", as_text(words)),
        ("many.bin", as_binary(words)),
        ("n.bin", as_binary(words, end=b"")),
    ):
        model = StaticModel.from_word_vectors(written(tmp_path, name, content))
        assert np.array_equal(model.table[2:], random_rows) and model.tokenizer.token_to_id("w19999") == 20_001


# The model.


@pytest.fixture
def folder(tmp_path) -> Path:
    file = written(tmp_path, "glove_6B `50d`.txt", as_text(WORDS))
    return StaticModel.from_word_vectors(file, licence="pddl").save_pretrained(tmp_path / "model")


def test_the_card_names_file_and_licence_and_no_path(folder, tmp_path):
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert 'license: "pddl"\n' in readme and "the word vectors of `glove_6B 50d.txt`" in readme
    assert "\n# glove-6B-50d\n" in readme and "lower-cased and split at white space" in readme
    assert all(
        str(tmp_path) not in file.read_text("utf-8") for file in folder.iterdir() if file.suffix != ".safetensors"
    )
    assert json.loads((folder / "config.json").read_text())["edge_potion"]["word_vectors"] == "glove_6B `50d`.txt"


def test_a_saved_folder_is_the_same_model_here_and_in_model2vec_and_sentence_transformers(folder):
    from model2vec import StaticModel as Theirs
    from sentence_transformers import SentenceTransformer

    texts = ["The cat.", "cat cat café", "日本 unknown the", "the, cat!"]
    wanted = StaticModel.from_pretrained(folder).encode(texts)
    row = np.array(WORDS["the"]) + WORDS["cat"] + WORDS["."]
    assert np.allclose(wanted[0], row / np.linalg.norm(row))
    assert np.allclose(Theirs.from_pretrained(folder).encode(texts), wanted, atol=1e-6)
    assert np.allclose(SentenceTransformer(str(folder), device="cpu").encode(["The cat."]), wanted[:1], atol=1e-6)


def test_lengths_are_kept_where_that_is_asked_for(tmp_path):
    model = StaticModel.from_word_vectors(written(tmp_path, "w.txt", as_text(WORDS)), normalize=False)
    assert np.allclose(model.encode("The cat"), [0.5, 0.5, -0.75])
    again = StaticModel.from_pretrained(model.save_pretrained(tmp_path / "model"))
    assert not again.card.normalize and "Its vector is the mean of" in again.card.readme


def test_it_is_exported_with_every_graph_and_under_its_name(folder, tmp_path):
    bundle = export(folder, tmp_path / "bundle")
    assert {graph for graph, _ in bundle.graphs} == {"text", "bag", "tokens"} and not bundle.remarks
    card = (bundle.folder / "README.md").read_text("utf-8")
    assert re.search(r"^# glove-6B-50d$", card, re.MULTILINE) and "\nlicense: pddl\n" in card
    texts = ["The cat.", "café 日本", "nothing known"]
    wanted = StaticModel.from_pretrained(folder).encode(texts)
    for engine in ("native", "onnxruntime"):
        assert np.abs(EdgeModel.from_pretrained(bundle.folder, engine=engine).encode(texts) - wanted).max() < 0.02
