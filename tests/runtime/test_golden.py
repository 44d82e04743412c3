"""Golden texts and vectors: lengths as well as directions, no NaN that passes, one count, and a file without JSON."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge_potion import EdgeModel, ModelFormatError, ParityError, StaticModel, export
from edge_potion.exporters.make_golden import golden_of
from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER
from edge_potion.golden import TOLERANCES, UNIT_LENGTH, Golden, check_parity, read_golden
from edge_potion.golden_binary import GOLDEN_BINARY, golden_bytes, read_golden_binary
from edge_potion.replay import verify
from edge_potion.static_model import Card

from ..models import CHECKOUT

PRECISIONS = ["int8", "float16", "float32"]
SHIPPED = BUILT_IN_FOLDER / BUILT_IN
COUNT = 216  # golden texts of a model without phrases


@pytest.fixture(scope="module")
def unit() -> Golden:
    return read_golden(SHIPPED)


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    """The built-in model with a golden.json as version 0.1 wrote it: two of its texts hold NUL."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path_factory.mktemp("older") / "bundle"))
    (folder / "manifest.json").unlink()
    content = json.loads((folder / "golden.json").read_text())
    for name, of_two in {
        "texts": ["a\0b", "\0"],
        "ids": [[], []],
        "vectors": [[0.0] * 256] * 2,
        "known_tokens": [0, 0],
    }.items():
        content[name] = [*content[name][:30], *of_two, *content[name][30:]]
    (folder / "golden.json").write_text(json.dumps(content))
    return folder


def at_every_precision(golden: Golden) -> Golden:
    return replace(golden, tolerance=TOLERANCES)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("factor", [3, 1.01, 1.002, 0.998, 0.5, 1e-3, -1])
def test_a_vector_of_another_length_than_one_strays_at_every_precision(factor, precision, unit):
    golden = at_every_precision(unit)
    check_parity(golden, golden.vectors, precision, "itself")
    check_parity(golden, (golden.vectors * np.float32(1 + 5e-7)).astype(np.float32), precision, "rounded")
    with pytest.raises(ParityError, match="strays from the oracle"):
        check_parity(golden, (golden.vectors * np.float32(factor)).astype(np.float32), precision, "all")
    one = golden.vectors.copy()
    one[40] *= np.float32(factor)
    with pytest.raises(ParityError, match="strays from the oracle"):
        check_parity(golden, one, precision, "one")


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_the_length_is_what_is_told(precision, unit):
    vectors = unit.vectors.copy()
    vectors[100] *= 3
    with pytest.raises(
        ParityError, match=rf"length of a vector off by 2 > 0\.001; worst {unit.texts[100][:20]!r}"[:-1]
    ):
        check_parity(at_every_precision(unit), vectors, precision, "x")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zero_is_the_vector_of_a_text_without_a_known_token_and_of_no_other(precision, unit):
    golden = at_every_precision(unit)
    zeros = np.flatnonzero(~golden.vectors.any(axis=1))
    assert len(zeros) >= 3
    for place, value in ((zeros[0], 1e-6), (zeros[0], 1.0), (50, 0.0)):
        vectors = golden.vectors.copy()
        vectors[place] = value
        if value != 1e-6 or precision != "float32":
            with pytest.raises(ParityError):
                check_parity(golden, vectors, precision, "zeros")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("normalize", [True, False])
def test_where_no_golden_text_has_a_known_token_zeros_pass_and_nothing_else(normalize, precision):
    zeros = np.zeros((3, 4), np.float32)
    golden = Golden(["a", "b", "c"], [[1], [1], [1]], zeros, np.zeros(3, np.int64), normalize)
    check_parity(golden, zeros, precision, "zeros")
    for wrong in (1e-30, 1e-3, 1.0, np.nan, np.inf):
        if wrong == 1e-30 and normalize and precision == "float32":
            continue  # its bound is a difference of a millionth
        vectors = zeros.copy()
        vectors[1, 2] = wrong
        with pytest.raises(ParityError):
            check_parity(golden, vectors, precision, "not zeros")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_numbers_of_any_size_are_compared_without_a_warning(precision):
    for size in (1e-38, 1e-20, 1.0, 1e18, 3e38):
        vectors = np.full((2, 4), size, np.float32)
        golden = Golden(["a", "b"], [[1], [1]], vectors, np.ones(2, np.int64), normalize=False)
        check_parity(golden, vectors, precision, "itself")
        with pytest.raises(ParityError):
            check_parity(golden, vectors * np.float32(0.5), precision, "half")


@pytest.mark.filterwarnings("error")
def test_no_text_at_all_is_no_check_that_passes(unit):
    none = unit.at([])
    with pytest.raises(ParityError, match="no golden text to compare"):
        check_parity(none, none.vectors, "int8", "nothing")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("normalize", [True, False])
def test_a_model_that_knows_no_word_of_the_golden_texts_exports_without_a_warning(
    precision, normalize, hand_tokenizer, tmp_path
):
    content = json.loads(hand_tokenizer.to_str())
    content["model"]["vocab"] = {"[PAD]": 0, "[UNK]": 1, "zzzz": 2, "##yyyy": 3}
    content["added_tokens"] = content["added_tokens"][:2]
    tokenizer = hand_tokenizer.from_str(json.dumps(content))
    table = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        bundle = export(StaticModel(table, tokenizer, Card("m", normalize)), tmp_path / "out", quantize=precision)
    found = EdgeModel.from_pretrained(bundle.folder).encode(["zzzz", "zzzzyyyy", "other"])
    assert found[:2].any(axis=1).all() and not found[2].any()


@pytest.mark.parametrize(
    "damage",
    [{"unit_length": float("nan")}, {"unit_length": 2.0}, {"unit_length": "1"}, {"unit_length": True}, {"texts": None}]
    + [{"tolerance": {"int8": {"cosine": bound}}} for bound in (float("nan"), True, -1, "0.5")],
)
def test_a_bound_that_is_no_number_is_no_bound(damage, tmp_path):
    content = json.loads((SHIPPED / "golden.json").read_text())
    if damage == {"texts": None}:
        damage = {"texts": ["\0" for _ in content["texts"]]}
    (tmp_path / "golden.json").write_text(json.dumps({**content, **damage}))
    with pytest.raises(ModelFormatError, match=r"golden\.json"):
        read_golden(tmp_path)


# One count.


@pytest.mark.parametrize("age", ["shipped", "older"])
def test_every_check_of_the_built_in_model_has_one_count(age, unit, older):
    """Texts with NUL, which older files hold, all leave out; the page's and Node's counts: their own tests."""
    folder = older if age == "older" else SHIPPED
    assert sum("\0" in text for text in json.loads((folder / "golden.json").read_text())["texts"]) == 2 * (
        age == "older"
    )
    golden = read_golden(folder)
    assert len(golden.texts) == len(golden.ids) == len(golden.vectors) == len(golden.known) == len(unit.texts) >= COUNT
    told = [verdict for verdict in verify(folder) if verdict.what != "files"]
    assert told and all(each.passed and each.message.startswith(f"{len(unit.texts)} texts on ") for each in told)


def test_golden_texts_of_an_export_can_be_joined_and_every_graph_takes_as_many(hand_model, tmp_path):
    folder = export(hand_model, tmp_path / "out", mobile=True, max_tokens=512).folder
    golden = json.loads((folder / "golden.json").read_text())
    assert len(golden["texts"]) == COUNT
    joined = np.frombuffer("\0".join(golden["texts"]).encode(), np.uint8)  # as README does
    session = onnxruntime.InferenceSession(folder / "onnx" / "text_quantized.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"text": joined})[0].shape == (COUNT, 8)
    verdicts = {verdict.what: verdict for verdict in verify(folder)}
    assert set(verdicts) >= {"text int8", "bag int8", "tokens int8", "text int8 .ort", "fixed int8 .ort"}
    for what, verdict in verdicts.items():
        assert verdict.passed and (what == "files" or verdict.message.startswith(f"{COUNT} texts on cpu")), verdict
    assert golden["unit_length"] == UNIT_LENGTH


@pytest.mark.browser
def test_the_package_and_the_page_count_and_measure_as_verify_does(unit, older, tmp_path):
    """The page's check is the package's."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    script = """
        import { readFileSync } from "node:fs";
        const [code, file] = process.argv.slice(1);
        const golden = JSON.parse(readFileSync(file, "utf8"));
        const { texts, vectors } = golden;
        const { compare } = await import(code);
        const told = [];
        for (const factor of [1, 1.0001, 1.002, 0.99, 3]) {
          const embed = async (some) =>
            Float32Array.from(some.flatMap((text) => vectors[texts.indexOf(text)].map((value) => value * factor)));
          const { passed, texts: count, why } = await compare(golden, { dim: 256, precision: "int8", embed });
          told.push([passed, count, why.includes("length")]);
        }
        console.log(JSON.stringify(told));
    """
    words = ["node", "--input-type=module", "-e", script, CHECKOUT / "js" / "src" / "check.js"]
    done = subprocess.run([*words, older / "golden.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    right, wrong = [True, len(unit.texts), False], [False, len(unit.texts), True]
    assert json.loads(done.stdout) == [right, right, wrong, wrong, wrong]
    model = StaticModel.from_pretrained()
    means = golden_of(replace(model, card=replace(model.card, normalize=False)))
    content = {**json.loads((SHIPPED / "golden.json").read_text()), "texts": list(means.texts), "normalize": False}
    content |= {"vectors": means.vectors.tolist(), "known_tokens": means.known.tolist()}
    (tmp_path / "golden.json").write_text(json.dumps(content))
    done = subprocess.run([*words, tmp_path / "golden.json"], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == [right, right, right, right, wrong], done.stderr  # 0.99 is within int8's 2 %


# golden.bin


@pytest.fixture(scope="module")
def binary(tmp_path_factory) -> Path:
    model = StaticModel.from_pretrained()
    out = tmp_path_factory.mktemp("golden") / "out"
    return export(model, out, quantize=["int8", "float32"], graphs=["bag"]).folder


def test_golden_bin_holds_what_golden_json_holds(binary):
    found, expected = read_golden_binary(binary / GOLDEN_BINARY), read_golden(binary)
    assert (list(found.texts), list(found.ids)) == (list(expected.texts), list(expected.ids))
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-7)
    assert np.array_equal(found.known, expected.known)
    assert found.normalize is expected.normalize
    assert found.unit_length == pytest.approx(expected.unit_length)
    assert set(found.tolerance) == {"int8", "float32"}
    for precision, bounds in expected.tolerance.items():
        assert {name: pytest.approx(bound) for name, bound in vars(bounds).items()} == vars(found.tolerance[precision])


def test_golden_bin_lies_as_its_docstring_says():
    """By hand, of two texts: every number where the layout has it."""
    vectors = np.array([[1, 0], [0.6, 0.8]], np.float32)
    golden = Golden(["a", "né"], [[5], [6, 1]], vectors, np.array([1, 1]), normalize=True)
    content = golden_bytes(golden, {"int8": TOLERANCES["int8"]}, None)
    assert content[:8] == b"EPGOLDEN" and len(content) % 4 == 0
    assert struct.unpack_from("<7I2fI", content, 8) == (
        *(1, 2, 2, 1, 0, 4, 128),
        pytest.approx(0.2),
        pytest.approx(UNIT_LENGTH),
        1,
    )
    places = struct.unpack_from("<6I2I", content, 48)
    assert places == (112, 124, 132, 140, 152, 164, 180, 0)
    assert content[80:92] == b"int8" + bytes(8)
    assert struct.unpack_from("<5f", content, 92) == pytest.approx((-1, 0.9999, 0.9995, 0.995, 0.02))
    assert struct.unpack_from("<3I", content, 112) == (0, 2, 6)
    assert content[124:132] == b"a\0n\xc3\xa9" + bytes(3)
    assert struct.unpack_from("<2I3I3I", content, 132) == (1, 1, 0, 1, 3, 5, 6, 1)
    assert struct.unpack_from("<4f", content, 164) == pytest.approx((1, 0, 0.6, 0.8))


@pytest.mark.parametrize("damage", [b"", b"EPGOLDEN", b"x" * 500, "short", "version", "texts", "many", "nan"])
def test_a_damaged_golden_bin_is_an_error_of_ours(damage, binary, tmp_path):
    content = bytearray((binary / GOLDEN_BINARY).read_bytes())
    if damage == "short":
        content = content[:-4]
    elif damage in ("version", "texts", "many"):
        struct.pack_into("<I", content, {"version": 8, "texts": 12, "many": 44}[damage], 2**31)
    elif damage == "nan":
        content[-4:] = b"\xff\xff\xff\xff"
    (tmp_path / "golden.bin").write_bytes(damage if isinstance(damage, bytes) else content)
    with pytest.raises(ModelFormatError, match=r"golden\.bin"):
        read_golden_binary(tmp_path / "golden.bin")
    with pytest.raises(ModelFormatError):
        read_golden_binary(tmp_path / "nowhere.bin")


def test_forty_lines_of_c_read_golden_bin_and_hold_vectors_to_it(binary, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler here")
    program, vectors = tmp_path / "read_golden", tmp_path / "vectors.f32"
    source = CHECKOUT / "tests" / "runtime" / "read_golden.c"
    command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", source, "-o", program, "-lm"]
    subprocess.run(command, check=True)
    golden = read_golden(binary)
    joined = "\0".join(golden.texts).encode()

    def said(found: np.ndarray) -> tuple[int, str]:
        found.astype("<f4").tofile(vectors)
        done = subprocess.run(
            [program, binary / GOLDEN_BINARY, "int8", vectors], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    found = EdgeModel.from_pretrained(binary, precision="int8", provider="cpu").encode(golden.texts)
    count = len(golden.texts)
    facts = f"{count} texts of {len(joined)} bytes with {count - 1} NUL, the first has {len(golden.texts[0].encode())}"
    assert said(found) == (0, f"{facts}; 0 stray\n")
    assert said(found * np.float32(1.01))[1] == f"{facts}; {int(found.any(axis=1).sum())} stray\n"
    found[40] = -found[40]
    assert said(found) == (1, f"{facts}; 1 stray\n")
