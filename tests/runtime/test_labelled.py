"""A user's own rows: what is read of each kind of file, and the one line that each fault is."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from edge_potion import InputError
from edge_potion.labelled import read_labelled, read_pairs, read_train_and_test

TEXTS = ["where is my card", 'it said "no", twice', "line one\nline two", "café au lait"]
LABELS = ["card", "refusal", "card", "other"]
CSV = (
    "id,text,label\n1,where is my card,card\n"
    '2,"it said ""no"", twice", refusal \n\n3,"line one\nline two",card\n4,café au lait,other\n'
)
JSONL = "".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in zip(TEXTS, LABELS, strict=True))
PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.ZstdCompressor().compress}


def written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def parquet(folder: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return folder / "rows.parquet"


def lines_of(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("packing", ["", *PACK])
@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", CSV), ("a.tsv", CSV.replace(",", "\t").replace("\t twice", ", twice")), ("a.jsonl", JSONL)],
)
def test_the_same_rows_come_of_every_kind_of_file(name, content, packing, tmp_path):
    rows = read_labelled(written(tmp_path, name + packing, PACK.get(packing, bytes)(content.encode())))
    assert (rows.texts, rows.labels) == (TEXTS, LABELS)
    assert rows.where == str(tmp_path / (name + packing))
    assert rows.numbers == ([1, 2, 3, 4] if "jsonl" in name else [2, 3, 5, 7])


def test_a_parquet_file_gives_its_columns_by_name(tmp_path):
    rows = read_labelled(parquet(tmp_path, body=TEXTS, id=[1, 2, 3, 4], kind=LABELS), "body", "kind")
    assert (rows.texts, rows.labels, rows.numbers) == (TEXTS, LABELS, [1, 2, 3, 4])


def test_a_csv_may_have_semicolons_and_a_byte_order_mark(tmp_path):
    rows = read_labelled(written(tmp_path, "a.csv", "\ufefftext;label\r\na;x\r\nb;y\r\n"))
    assert (rows.texts, rows.labels) == (["a", "b"], ["x", "y"])


def test_whole_numbers_and_booleans_become_their_strings(tmp_path):
    rows = lines_of(*({"text": "a", "label": label} for label in (3, True, False, 3.0, " 3 ")))
    assert read_labelled(written(tmp_path, "a.jsonl", rows)).labels == ["3", "true", "false", "3", "3"]
    assert read_labelled(parquet(tmp_path, text=["a", "b"], label=[1.0, 2.0])).labels == ["1", "2"]
    assert read_labelled(parquet(tmp_path, text=["a", "b"], label=[True, False])).labels == ["true", "false"]


def test_several_labels_a_text_are_a_list_or_have_bars_between_them(tmp_path):
    expected = [["a", "b"], [], ["b"], ["1", "a"]]
    told = [["a", "b"], [], "b", [1, "a", "a"]]
    file = written(tmp_path, "a.jsonl", lines_of(*({"text": "t", "label": label} for label in told)))
    assert read_labelled(file, multi_label=True).labels == expected
    file = written(tmp_path, "a.csv", "text,label\nt,a | b\nt,\nt,b\nt,1|a\n")
    assert read_labelled(file, multi_label=True).labels == expected
    file = parquet(tmp_path, text=["t"] * 4, label=[["a", "b"], [], ["b"], ["1", "a"]])
    assert read_labelled(file, multi_label=True).labels == expected


def test_a_folder_in_the_suites_layout_gives_train_and_test(tmp_path):
    written(
        tmp_path, "train.jsonl.gz", gzip.compress(lines_of(*({"text": f"t{n}", "label": n} for n in (1, 2))).encode())
    )
    assert read_train_and_test(tmp_path).test is None
    other = written(tmp_path, "other.csv", "text,label\nc,1\nd,3\n")
    written(tmp_path, "test.jsonl", lines_of({"text": "b", "label": 2}))  # a single label is enough for a test
    rows = read_train_and_test(tmp_path)
    assert rows.train.labels == ["1", "2"] and rows.test is not None and rows.test.labels == ["2"]
    chosen = read_train_and_test(tmp_path, other).test
    assert chosen is not None and chosen.texts == ["c", "d"]


def test_a_test_of_other_labels_is_refused(tmp_path):
    train = written(tmp_path, "a.csv", "text,label\na,x\nb,y\n")
    test = written(tmp_path, "b.csv", "text,label\na,X\nb,Y\n")
    with pytest.raises(InputError, match=r"b\.csv: no label of its rows, such as 'X', 'Y', is one of \S*a\.csv's"):
        read_train_and_test(train, test)
    with pytest.raises(InputError, match=r"b\.csv: it holds no row"):
        read_train_and_test(train, written(tmp_path, "b.csv", "text,label\n"))
    with pytest.raises(InputError, match=r"is a folder without train\.jsonl; that, or a file of rows"):
        read_train_and_test(tmp_path)


def test_pairs_are_read_and_a_query_may_come_twice(tmp_path):
    pairs = read_pairs(written(tmp_path, "a.csv", "q,p\nwho,me\nwho,you\nwhat,me\n"), "q", "p")
    assert pairs.queries == ["who", "who", "what"] and pairs.passages == ["me", "you", "me"]
    with pytest.raises(InputError, match="all its rows have one passage"):
        read_pairs(written(tmp_path, "a.csv", "query,passage\nwho,me\nwhat,me\n"))
    with pytest.raises(InputError, match=r"line 2: 'passage' is empty; a text was expected"):
        read_pairs(written(tmp_path, "a.csv", "query,passage\nwho,\n"))
    with pytest.raises(InputError, match="'q' and 'q' are one column"):
        read_pairs(tmp_path / "a.csv", "q", "q")


BAD = {
    "no such column": (
        "a.csv",
        "id,texts,class\n1,a,b\n",
        r"its header: no column 'text'; there are texts, id, class$",
    ),
    "a key that a line lacks": (
        "a.jsonl",
        lines_of({"text": "a", "label": "b"}, {"text": "a", "labels": "b"}),
        r"line 2: no column 'label'; there are labels, text$",
    ),
    "a column twice": ("a.csv", "text,label,text\na,b,c\n", "there are 2 columns 'text'; rename one"),
    "Latin-1": (
        "a.csv",
        b"text,label\na,x\n" + "café,y\n".encode("latin-1"),
        r"line 3: the byte 0xe9 is not UTF-8; if the file is in Latin-1, convert it first \(iconv -f latin1 -t utf-8",
    ),
    "UTF-16": ("a.csv", "text,label\na,x\n".encode("utf-16"), "is UTF-16, not UTF-8; convert it first"),
    "an empty file": ("a.csv", "", "a.csv: it holds no row$"),
    "a header alone": ("a.csv", "text,label\n", "a.csv: it holds no row$"),
    "an empty text": ("a.csv", "text,label\na,x\n,y\n", r"line 3: 'text' is empty; a text was expected"),
    "a blank text": ("a.csv", "text,label\n  ,x\n", r"line 2: 'text' is blank; a text was expected"),
    "an empty label": ("a.csv", "text,label\na,\n", r"line 2: 'label' is empty; a label was expected"),
    "nan as a word": ("a.csv", "text,label\na,NaN\n", r"line 2: 'label' is 'NaN'; a label was expected"),
    "NaN": ("a.jsonl", '{"text": "a", "label": NaN}\n', r"line 1: 'label' is NaN; a label was expected"),
    "null": ("a.jsonl", '{"text": "a", "label": null}\n', r"line 1: 'label' is null; a label was expected"),
    "no text": ("a.jsonl", '{"text": null, "label": "x"}\n', r"line 1: 'text' is None; a text was expected"),
    "a fraction": ("a.jsonl", '{"text": "a", "label": 0.5}\n', r"line 1: 'label' is 0.5; a label is a string, a whole"),
    "a list": ("a.jsonl", '{"text": "a", "label": ["x"]}\n', r"line 1: 'label' is a list; one label was expected"),
    "a lone surrogate": ("a.jsonl", '{"text": "\\ud800", "label": "x"}\n', "line 1: 'text' holds a lone surrogate"),
    "no JSON": ("a.jsonl", "text\n", r"line 1: no JSON \(.*\); a JSON object a line was expected"),
    "a number a line": ("a.jsonl", "5\n", "line 1: a int; a JSON object was expected"),
    "an open quote": ("a.csv", 'text,label\n"a,x\nb,y\n', "line 2: unexpected end of data; fields with quotes"),
    "a field too many": ("a.csv", "text,label\na,b,c\n", "line 2: 3 fields, and the header has 2; put quotes around"),
    "one label": ("a.csv", "text,label\na,x\nb,x\n", "its 2 rows have a single label, 'x'; two or more were expected"),
    "10,000 labels": (
        "a.csv",
        "text,label\n" + "".join(f"t,{number}\n" for number in range(10_000)),
        "10,000 different labels in 10,000 rows, such as '0', '1', '2'; at most 1,024 can be told apart. "
        "Is 'label' the wrong column",
    ),
    "free text": (
        "a.csv",
        "label,text\n" + "".join(f"I lost my card {n} days ago,card\n" for n in range(9)),
        "9 different labels in 9 rows, such as 'I lost my card 0 days ago', .*: free text, it seems",
    ),
    "a label without end": (
        "a.csv",
        f"text,label\na,{'x' * 201}\n",
        "'label' has 201 characters, and a label may have",
    ),
    "no columns": ("a.txt", "a\nb\n", r"a file that ends in .csv, .tsv, .jsonl or .parquet was expected"),
    "a spreadsheet": ("a.xlsx", b"PK", r"a .xlsx file has no text a line; save it as"),
    "not packed": ("a.csv.gz", CSV, r"cannot read .*a\.csv\.gz: .*it is damaged, or not packed as it says"),
    "not parquet": ("a.parquet", b"PAR1", r"cannot read .*a\.parquet"),
}


@pytest.mark.parametrize("fault", BAD)
def test_rows_that_cannot_be_used_are_one_clear_line(fault, tmp_path):
    name, content, expected = BAD[fault]
    with pytest.raises(InputError, match=expected) as refused:
        read_labelled(written(tmp_path, name, content))
    said = str(refused.value)
    assert name in said and "\n" not in said and not re.search(r"[\ud800-\udfff]", said)


def test_rows_of_a_parquet_file_are_named_by_number(tmp_path):
    for fault, text, label in (
        ("row 2: 'label' is null", ["a", "b"], pa.array(["x", None])),
        ("row 2: 'label' is NaN", ["a", "b"], np.array([1, np.nan])),
        ("row 1: 'text' is None", pa.array([None, "b"], pa.string()), ["x", "y"]),
        ("row 1: 'text' is 5; a text was expected", [5, 6], ["x", "y"]),
        ("row 2: 'text' is not UTF-8", pa.array([b"a", b"\xe9"]).view(pa.string()), ["x", "y"]),
    ):
        with pytest.raises(InputError, match=fault):
            read_labelled(parquet(tmp_path, text=text, label=label))
    with pytest.raises(InputError, match=r"rows\.parquet: no column 'label'; there are lab, text"):
        read_labelled(parquet(tmp_path, text=["a"], lab=["x"]))


def test_a_part_of_several_labels_that_is_empty_is_named(tmp_path):
    file = written(tmp_path, "a.csv", "text,label\nt,a||b\n")
    with pytest.raises(InputError, match="line 2: 'label' is empty"):
        read_labelled(file, multi_label=True)
    file = written(tmp_path, "a.csv", "text,label\nt,\nu,\n")
    with pytest.raises(InputError, match="its 2 rows have no label; two or more were expected"):
        read_labelled(file, multi_label=True)
