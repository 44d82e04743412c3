"""EdgeModel: the same vectors as the oracle, in order, from any iterable, at every precision, from many threads."""

from __future__ import annotations

import lzma
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge_potion import EdgeModel, InputError, ProviderError, StaticModel, export, providers
from edge_potion.golden import SHORT_TEXT, cosines
from edge_potion.static_model import Card
from edge_potion.tokens import tokenize

GRAPHS = ["text", "bag", "tokens"]
PRECISIONS = ["int8", "float16", "float32"]
NO_TOKENS = ["", " ", "\t\r\n", "\u200b", "☃", "☃ ☃", "z" * 101]


@pytest.fixture(scope="module", params=[(graph, at) for graph in GRAPHS for at in PRECISIONS], ids="-".join)
def runner(request, bundle) -> EdgeModel:
    graph, precision = request.param
    return EdgeModel.from_pretrained(bundle.folder, graph=graph, precision=precision)


def assert_within_bounds(runner: EdgeModel, oracle: StaticModel, texts: list[str]) -> None:
    """The bounds that export promises, on any texts."""
    ids = tokenize(oracle.tokenizer, texts, oracle.card.max_tokens)
    expected, found = oracle.pool(ids), runner.encode(texts)
    known = np.array([int((~np.isin(row, oracle.dropped_ids)).sum()) for row in ids.split()])
    agreement = cosines(found, expected)
    assert found.dtype == np.float32
    if runner.precision == "float32":
        assert np.abs(found - expected).max() <= 1e-6
    elif runner.precision == "float16":
        assert agreement.min() >= 0.99999
    else:
        assert np.median(agreement) >= 0.9999
        assert agreement[known >= SHORT_TEXT].min() >= 0.9995
        assert agreement[known < SHORT_TEXT].min(initial=1) >= 0.995


def test_precision_bounds_hold_on_our_sentences(runner, distilled, sentences):
    assert_within_bounds(runner, distilled, sentences)


def test_precision_bounds_hold_on_5000_shared_sentences(runner, distilled, shared_sentences):
    assert len(shared_sentences) == 5000
    assert_within_bounds(runner, distilled, shared_sentences)


def test_texts_without_a_known_token_give_zeros(runner):
    found = runner.encode(NO_TOKENS)
    assert found.shape == (len(NO_TOKENS), 256)
    assert not found.any()


def test_no_texts_give_an_empty_array(runner):
    assert runner.encode([]).shape == (0, 256)
    assert runner.encode(iter(())).dtype == np.float32


def test_a_single_text_gives_one_vector(runner):
    assert runner.encode("the cat").shape == (256,)
    assert np.array_equal(runner.encode("the cat"), runner.encode(["the cat"])[0])


def test_order_is_kept_whatever_the_lengths_and_the_batch_size(runner, sentences):
    expected = runner.encode(sentences)
    assert np.allclose(runner.encode(sentences, batch_size=1), expected, atol=1e-6)
    assert np.allclose(runner.encode(sentences[::-1], batch_size=7)[::-1], expected, atol=1e-6)


def test_any_iterable_streams(bundle, sentences, monkeypatch):
    """A generator is taken a window at a time: after the first vectors, the rest is still unread."""
    from edge_potion import batches

    monkeypatch.setattr(batches, "WINDOW_TEXTS", 100)
    model = EdgeModel.from_pretrained(bundle.folder)
    taken = []
    found = model.stream(taken.append(text) or text for text in sentences)
    first = next(found)
    assert len(first.texts) == len(first.vectors) == len(taken) == 100
    rest = list(found)
    assert first.texts + [text for batch in rest for text in batch.texts] == sentences
    vectors = np.concatenate([first.vectors, *(vectors for _, vectors in rest)])
    assert np.allclose(vectors, model.encode(sentences), atol=1e-6)


def test_dim_truncates_and_renormalizes(bundle, distilled, sentences):
    model = EdgeModel.from_pretrained(bundle.folder, precision="float32")
    found = model.encode(sentences[:50], truncate_dim=64)
    kept = distilled.encode(sentences[:50])[:, :64]
    np.testing.assert_allclose(found, kept / np.linalg.norm(kept, axis=1, keepdims=True), atol=1e-6)
    assert not model.encode("", truncate_dim=64).any()
    assert model.encode([], truncate_dim=64).shape == (0, 64)


def test_max_tokens_cuts(bundle, distilled):
    model = EdgeModel.from_pretrained(bundle.folder, precision="float32")
    text = "one two three four five"
    np.testing.assert_allclose(model.encode(text, max_tokens=2), distilled.encode("one two"), atol=1e-6)
    long = "word " * 600 + "cat " * 600
    np.testing.assert_allclose(model.encode(long), distilled.encode("word"), atol=1e-6)
    np.testing.assert_allclose(model.encode(long, max_tokens=None), distilled.encode("word cat"), atol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_texts_too_long_for_int32_sums_are_still_exact(bundle, distilled, precision):
    model = EdgeModel.from_pretrained(bundle.folder, precision=precision)
    long = "the cat sat on the mat " * 25_000  # 150,000 tokens
    short = "a dog"
    found = model.encode([short, long, short], max_tokens=None)
    assert cosines(found, distilled.encode([short, long, short], max_tokens=None)).min() > 0.999
    assert np.array_equal(found[0], model.encode(short))


def test_a_text_of_a_megabyte_and_100000_texts_work_in_bounded_memory(bundle):
    """In a process of its own: ru_maxrss is the highest that a process ever reached."""
    script = """
import resource, sys
from edge_potion import EdgeModel
model = EdgeModel.from_pretrained(sys.argv[1])
sentences = open(sys.argv[2], encoding="utf-8").read().splitlines()
model.encode(sentences)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert model.encode("a b c " * 175_000, max_tokens=None).any()
many = [sentences[place % len(sentences)] for place in range(100_000)]
found = model.encode(many)
assert (found[: len(sentences)] == found[len(sentences) : 2 * len(sentences)]).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (2**20 if sys.platform == "darwin" else 1024))
"""
    sentences = Path(__file__).parents[1] / "data" / "sentences.txt"
    command = [sys.executable, "-c", script, bundle.folder, sentences]
    grown_mb = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown_mb < 600  # 100 MB of vectors, twice while they are joined, and what tokenizers holds of one window


def test_one_model_serves_many_threads(runner, sentences):
    expected = runner.encode(sentences)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: runner.encode(sentences), range(16)):
            assert np.allclose(found, expected, atol=1e-6)


def test_similarity_takes_texts_and_vectors(bundle):
    model = EdgeModel.from_pretrained(bundle.folder)
    texts = ["a cat sleeps", "the kitten naps", "stock prices fell"]
    scores = model.similarity(texts, texts)
    assert scores.shape == (3, 3)
    np.testing.assert_allclose(np.diag(scores), 1, atol=1e-6)
    assert scores[0, 1] > scores[0, 2]
    np.testing.assert_allclose(model.similarity(model.encode(texts), texts), scores, atol=1e-6)
    assert model.similarity("a cat", texts).shape == (3,)
    assert not model.similarity("", texts).any()


def test_without_normalization_vectors_are_means(hand_table, hand_tokenizer, tmp_path):
    oracle = StaticModel(hand_table, hand_tokenizer, Card("hand", normalize=False, max_tokens=None))
    texts = ["the cat ☃", "", "on the mat . !", "☃"]
    for precision, close in (("float32", 1e-6), ("float16", 1e-3), ("int8", 1e-2)):
        export(oracle, tmp_path / "out", quantize=[precision])
        for graph in GRAPHS:
            model = EdgeModel.from_pretrained(tmp_path / "out", graph=graph)
            np.testing.assert_allclose(model.encode(texts), oracle.encode(texts), rtol=close, atol=close)


def test_precision_and_graph_are_chosen_as_documented(bundle, hand_model, tmp_path):
    assert EdgeModel.from_pretrained(bundle.folder).precision == "int8"
    assert EdgeModel.from_pretrained(bundle.folder).graph == "text"
    assert EdgeModel.from_pretrained(bundle.folder, graph="tokens").graph == "tokens"
    export(hand_model, tmp_path / "floats", quantize=["float32", "float16"], graphs=["tokens"])
    floats = EdgeModel.from_pretrained(tmp_path / "floats")
    assert (floats.precision, floats.graph) == ("float16", "tokens")


def test_the_text_graph_needs_no_tokenizers(bundle):
    script = """
import sys
BANNED = {"tokenizers", "safetensors", "huggingface_hub", "onnx", "tqdm"}
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BANNED:
            raise ImportError(f"{name} must not be imported here")
sys.meta_path.insert(0, Wall())
from edge_potion import EdgeModel
model = EdgeModel.from_pretrained(sys.argv[1], graph="text")
print(model.graph, model.encode(["a cat", "日本語"]).shape, model.similarity("rain", ["wet", "dry"]).shape)
"""
    done = subprocess.run([sys.executable, "-c", script, bundle.folder], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "text (2, 256) (2,)", done.stderr


def test_nul_inside_a_text_is_removed_and_a_lone_surrogate_is_named(bundle):
    model = EdgeModel.from_pretrained(bundle.folder, graph="text")
    assert np.array_equal(model.encode(["\0the c\0at\0", "\0", "mat"]), model.encode(["the cat", "", "mat"]))
    with pytest.raises(InputError, match=r"text 1 holds the lone surrogate U\+D800 at character 2"):
        model.encode(["fine", "no\ud800"])
    with pytest.raises(InputError, match=r"text 9000 holds the lone surrogate U\+D800 at character 60000"):
        model.encode([*["a"] * 9000, "long " * 12_000 + "\ud800"])


def test_another_limit_than_the_models_is_kept_beside_the_text_graph(bundle, distilled, tmp_path):
    texts, short = ["one two three four five", "café 日本語 cat"], ["one two", "café 日"]
    model = EdgeModel.from_pretrained(bundle.folder, graph="text", precision="float32")
    np.testing.assert_allclose(model.encode(texts, max_tokens=2), distilled.encode(short), atol=1e-6)
    alone = export(distilled, tmp_path / "alone", quantize=["float32"], graphs=["text"])
    found = EdgeModel.from_pretrained(alone.folder).encode(texts, max_tokens=2)  # by the table, in numpy
    np.testing.assert_allclose(found, distilled.encode(short), atol=1e-6)


def test_very_long_texts_and_many_threads_give_the_same(bundle, sentences):
    models = [EdgeModel.from_pretrained(bundle.folder, graph="text", threads=threads) for threads in (1, 3)]
    texts = [*sentences, "some long text " * 200_000, *sentences[:50]]
    one, three = (model.encode(texts, batch_size=32) for model in models)
    assert np.array_equal(one, three)
    assert cosines(one[[len(sentences)]], models[0].encode(["some long text " * 170])[:1])[0] > 0.9999


def test_a_model_without_graphs_is_exported_once_into_the_cache(hand_folder, hand_model, tmp_path):
    first = EdgeModel.from_pretrained(hand_folder)
    assert first.bundle.folder.is_relative_to(tmp_path / "cache")
    written = (first.bundle.folder / "golden.json").stat().st_mtime_ns
    again = EdgeModel.from_pretrained(hand_folder)
    assert again.bundle.folder == first.bundle.folder
    assert (again.bundle.folder / "golden.json").stat().st_mtime_ns == written
    assert cosines(first.encode(["the cat"]), hand_model.encode(["the cat"])).min() > 0.999
    assert EdgeModel.from_pretrained(hand_folder, precision="float16").precision == "float16"


def test_a_changed_model_is_exported_anew(hand_folder, hand_table, hand_tokenizer):
    before = EdgeModel.from_pretrained(hand_folder).encode("cat")
    StaticModel(hand_table[::-1].copy(), hand_tokenizer, Card("hand")).save_pretrained(hand_folder)
    assert not np.allclose(EdgeModel.from_pretrained(hand_folder).encode("cat"), before)


def test_available_providers_name_the_cpu():
    assert "cpu" in providers.available()


def test_providers_go_by_short_name_or_onnx_runtimes_own(bundle):
    for name in ("cpu", "CPUExecutionProvider", ("cpu", {}), "auto"):
        assert EdgeModel.from_pretrained(bundle.folder, provider=name).provider == "cpu"


@pytest.mark.parametrize("name", ["cuda", "tensorrt", "openvino", "coreml", "CUDAExecutionProvider"])
def test_a_named_provider_that_is_absent_is_an_error(bundle, name):
    if name in providers.available():
        pytest.skip(f"{name} is there")
    with pytest.raises(ProviderError, match=r"not offered by the installed onnxruntime; here there are cpu"):
        EdgeModel.from_pretrained(bundle.folder, provider=name)


def test_an_unknown_provider_is_an_error(bundle):
    with pytest.raises(ProviderError, match="'quantum' is unknown"):
        EdgeModel.from_pretrained(bundle.folder, provider="quantum")


def azure_or_skip() -> str:
    """A provider of the CPU wheel that takes no node of ours: a real fall-back, without a GPU."""
    import onnxruntime

    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no AzureExecutionProvider to fall back from")
    return "AzureExecutionProvider"


def test_a_named_provider_that_falls_back_is_an_error(bundle):
    with pytest.raises(ProviderError, match=r"was asked for, and the table or the pooling runs on cpu"):
        EdgeModel.from_pretrained(bundle.folder, provider=azure_or_skip(), precision="float16")


def test_under_auto_a_provider_that_falls_back_is_passed_over_with_a_warning(bundle, monkeypatch):
    """And the precision is chosen anew for the one that runs: int8 on the CPU, which the first had no kernels for."""
    monkeypatch.setitem(providers.PROVIDERS, "azure", azure_or_skip())
    monkeypatch.setattr(providers, "AUTO_ORDER", ("azure", "cpu"))
    with pytest.warns(RuntimeWarning, match=r"runs on cpu; .*trying the next provider"):
        model = EdgeModel.from_pretrained(bundle.folder, engine="onnxruntime")
    assert (model.provider, model.precision) == ("cpu", "int8")


def test_under_auto_an_int8_bundle_runs_where_it_can(hand_model, tmp_path, monkeypatch):
    monkeypatch.setitem(providers.PROVIDERS, "azure", azure_or_skip())
    monkeypatch.setattr(providers, "AUTO_ORDER", ("azure", "cpu"))
    export(hand_model, tmp_path / "only int8", quantize="int8")
    for precision in (None, "int8"):
        with pytest.warns(RuntimeWarning, match="float16"):
            model = EdgeModel.from_pretrained(tmp_path / "only int8", precision=precision, engine="onnxruntime")
        assert (model.provider, model.precision) == ("cpu", "int8")


def test_int8_named_on_a_provider_without_the_kernels_says_what_to_export(bundle):
    with pytest.raises(ProviderError, match="export with --quantize float16"):
        EdgeModel.from_pretrained(bundle.folder, provider=azure_or_skip(), precision="int8")


def test_a_bundle_without_a_precision_the_provider_runs_says_what_to_export(hand_model, tmp_path):
    export(hand_model, tmp_path / "only int8", quantize=["int8"])
    with pytest.raises(ProviderError, match=r"holds int8, and .* --quantize float16"):
        EdgeModel.from_pretrained(tmp_path / "only int8", provider=azure_or_skip())
    with pytest.raises(ProviderError, match=r"holds int8, and cpu was to run float32: .* --quantize float32"):
        EdgeModel.from_pretrained(tmp_path / "only int8", precision="float32")


def test_choices_that_do_not_exist_are_named(bundle):
    with pytest.raises(InputError, match="no precision 'int4'; the precisions are int8, float16, float32"):
        EdgeModel.from_pretrained(bundle.folder, precision="int4")
    with pytest.raises(InputError, match="no graph 'text2'; the graphs are text, bag, tokens"):
        EdgeModel.from_pretrained(bundle.folder, graph="text2")


def test_a_model_that_never_cuts_exports_at_every_precision(distilled, tmp_path):
    """Its golden texts reach 2,000 tokens."""
    uncut = replace(distilled, card=replace(distilled.card, max_tokens=None))
    bundle = export(uncut, tmp_path / "out", quantize=PRECISIONS)
    assert bundle.max_tokens is None
    long = "word " * 600 + "cat " * 600
    assert cosines(EdgeModel.from_pretrained(bundle.folder).encode([long]), uncut.encode([long])).min() > 0.9999


@pytest.mark.slow
def test_precision_bounds_hold_on_the_whole_shared_corpus(bundle, distilled, shared):
    """Half a million sentences, every graph and precision."""
    runners = [
        EdgeModel.from_pretrained(bundle.folder, graph=graph, precision=at) for graph in GRAPHS for at in PRECISIONS
    ]
    worst = {f"{runner.graph} {runner.precision}": 1.0 for runner in runners}
    with lzma.open(shared / "sentences.txt.xz", "rt", encoding="utf-8") as lines:
        texts = (line.rstrip("\n") for line in lines)
        while chunk := list(islice(texts, 20_000)):
            expected = distilled.encode(chunk)
            for runner in runners:
                found = runner.encode(chunk)
                agreement = cosines(found, expected)
                if runner.precision == "float32":
                    assert np.abs(found - expected).max() <= 1e-6
                name = f"{runner.graph} {runner.precision}"
                worst[name] = min(worst[name], float(agreement.min()))
    print(f"worst cosines: {worst}")
    for name, cosine in worst.items():
        assert cosine >= {"int8": 0.9995, "float16": 0.99999, "float32": 0.9999999}[name.split()[1]], name
