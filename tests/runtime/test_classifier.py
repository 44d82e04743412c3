"""TextClassifier: what it learns, how it decides, that it is one wherever it runs, and what it refuses."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings
from itertools import product

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from edge_potion import Decision, EdgeModel, StaticModel, TextClassifier
from edge_potion.errors import InputError, ModelFormatError

PARTS = {
    "weather": (["will it", "is it going to", "do you think it will"], ["rain", "snow", "be sunny", "freeze", "hail"]),
    "music": (["play", "put on", "i want to hear"], ["some jazz", "a love song", "mozart", "the radio", "rock music"]),
    "alarm": (["wake me", "set an alarm", "get me up"], ["at six", "at noon", "tomorrow at seven", "at dawn", "early"]),
    "bank": (
        ["where is my", "i lost my", "please block my"],
        ["credit card", "debit card", "bank card", "pin", "card"],
    ),
}
UNSEEN = {
    "could it rain this weekend?": "weather",
    "start a song by the beatles": "music",
    "wake us up at eight please": "alarm",
    "my credit card was stolen": "bank",
}


def rows() -> tuple[list[str], list[str]]:
    made = [(f"{a} {b}", label) for label, parts in PARTS.items() for a, b in product(*parts)]
    return [text for text, _ in made], [label for _, label in made]


@pytest.fixture(scope="module")
def fitted() -> TextClassifier:
    return TextClassifier(precision_at_least=0.9).fit(*rows())


@pytest.fixture(scope="module")
def folder(fitted, tmp_path_factory):
    return fitted.save_pretrained(tmp_path_factory.mktemp("classifier") / "intents")


def test_it_learns_labels_from_some_rows(fitted):
    assert fitted.predict(list(UNSEEN)).tolist() == list(UNSEEN.values())
    assert fitted.classes_.tolist() == sorted(PARTS)
    assert fitted.score(list(UNSEEN), list(UNSEEN.values())) == 1
    shares = fitted.predict_proba(list(UNSEEN))
    assert shares.shape == (4, 4)
    assert shares.dtype == np.float32
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert fitted.predict("play the piano") == "music"
    assert fitted.predict_proba("play the piano").shape == (4,)
    assert fitted.predict_proba([]).shape == (0, 4)


def test_it_tells_how_it_was_made(fitted):
    training = fitted.training_
    assert training.rows == 60
    assert training.head in training.why
    assert set(training.candidates) >= {"vector", "hybrid"}
    assert training.threshold == fitted.head_.threshold
    assert training.threshold_precision >= 0.9
    assert 0 <= training.ece_after <= 1
    assert len(fitted.held_out_.texts) == training.held_out == 60


def test_what_is_like_no_label_is_none_of_these(fitted):
    sure, unsure = fitted.decide(["play some jazz music", "the mitochondrion is the powerhouse of the cell"], 0.9)
    assert (sure.label, sure.labels) == ("music", ("music",))
    assert unsure == Decision(None, unsure.probability, ())
    assert fitted.decide(["the mitochondrion"], None)[0].label in PARTS
    with pytest.raises(InputError, match="probability"):
        fitted.decide(["text"], 1.5)


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_it_decides_the_same_wherever_it_runs(fitted, folder, engine, sentences):
    opened = TextClassifier.from_pretrained(folder, engine=engine)
    texts = [*rows()[0], *UNSEEN, *sentences[:200], "", "☃", "x" * 5000, "日本語"]
    ours, theirs = fitted.predict_proba(texts), opened.predict_proba(texts)
    assert np.abs(ours - theirs).max() < 0.05
    assert (fitted.predict(texts) == opened.predict(texts)).mean() > 0.98
    assert opened.training_ == fitted.training_
    assert [each.label for each in opened.decide(list(UNSEEN), None)] == list(UNSEEN.values())
    alone = [opened.predict(text) for text in texts[-8:]]
    assert alone == opened.predict(texts[-8:]).tolist()
    many = opened.predict_proba(texts * 20, batch_size=64)
    assert np.allclose(many[: len(texts)], theirs, atol=1e-6)


def test_both_engines_give_the_same_probabilities(folder, sentences):
    texts = [*UNSEEN, *sentences[:500], "", "a\0b", "word " * 3000]
    native, graph = (
        TextClassifier.from_pretrained(folder, engine=engine).predict_proba(texts)
        for engine in ("native", "onnxruntime")
    )
    assert np.abs(native - graph).max() < 1e-6
    assert (native.argmax(axis=1) == graph.argmax(axis=1)).all()


def test_a_classifier_is_a_model_too(folder):
    texts = list(UNSEEN)
    assert np.allclose(
        EdgeModel.from_pretrained(folder).encode(texts), StaticModel.from_pretrained(folder).encode(texts), atol=0.01
    )


def test_a_bundle_of_it_decides_as_it_does(fitted, tmp_path):
    bundle = fitted.export(tmp_path / "bundle", quantize="int8", graphs="text")
    opened = TextClassifier.from_pretrained(bundle.folder)
    assert opened.predict(list(UNSEEN)).tolist() == list(UNSEEN.values())
    again = opened.save_pretrained(tmp_path / "again")
    assert TextClassifier.from_pretrained(again).predict(list(UNSEEN)).tolist() == list(UNSEEN.values())


def test_it_travels_in_a_pickle(fitted, folder):
    for classifier in (fitted, TextClassifier.from_pretrained(folder)):
        expected = classifier.predict_proba(list(UNSEEN))
        assert np.array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(list(UNSEEN)), expected)


def test_it_is_an_estimator_of_scikit_learn():
    texts, labels = rows()
    assert is_classifier(TextClassifier())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an estimator of texts cannot be given numbers
        check_estimator(TextClassifier())
    copy = clone(TextClassifier(head="vector", seed=3, class_weight={"a": 2.0}))
    assert repr(copy) == "TextClassifier(head='vector', class_weight={'a': 2.0}, seed=3)"
    with pytest.raises(ValueError, match="Invalid parameter 'heads'"):
        copy.set_params(heads="vector")
    with pytest.raises(NotFittedError):
        copy.predict(texts)
    search = GridSearchCV(TextClassifier(), {"head": ["vector", "hybrid"]}, cv=3).fit(texts, labels)
    assert search.best_score_ > 0.8
    pipeline = make_pipeline(FunctionTransformer(lambda items: [item.upper() for item in items]), TextClassifier())
    assert pipeline.fit(texts, labels).score(texts, labels) > 0.9
    losses = cross_val_score(TextClassifier(), np.array(texts), np.array(labels), scoring="neg_log_loss", cv=3)
    assert (losses > -1).all()


def test_labels_keep_their_kind():
    texts, labels = rows()
    numbers = [sorted(PARTS).index(label) for label in labels]
    classifier = TextClassifier(head="vector").fit(np.array(texts), np.array(numbers))
    assert classifier.predict(["play some jazz"]).tolist() == [sorted(PARTS).index("music")]
    assert classifier.score(texts, numbers) > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_two_texts_a_label_are_enough_and_one_is_refused_however_many_rows_it_has(seed):
    texts, labels = ["good day", "nice morning", "bad night", "awful evening"], ["a", "a", "b", "b"]
    few = TextClassifier(seed=seed, tune="head").fit(texts, labels)
    assert few.predict(texts).tolist() == labels
    many = TextClassifier(seed=seed, tune="head").fit(texts * 700, labels * 700)
    assert many.score(texts, labels) == 1
    for count in (1, 1300):
        with pytest.raises(InputError, match="none can be held out"):
            TextClassifier(seed=seed, tune="head").fit(["good day", "bad night"] * count, ["a", "b"] * count)


def test_whole_numbers_stand_in_their_order():
    words = ["cat", "dog", "sun", "moon", "tree", "car", "bread", "river", "house", "song", "hail"]
    texts = [f"{word} {other}" for word in words for other in ("one", "two")]
    numbers = [place // 2 for place in range(len(texts))]
    classifier = TextClassifier(head="vector", tune="head").fit(texts, numbers)
    assert classifier.classes_.tolist() == list(range(11))
    assert (classifier.predict_proba(texts).argmax(axis=1) == numbers).all()  # as scikit-learn's metrics read it


def test_whole_numbers_count_as_right_in_a_folder_too(tmp_path):
    texts, numbers = ["good day", "bad night", "nice sun", "awful rain"] * 3, [1, 2, 1, 2] * 3
    classifier = TextClassifier(tune="head").fit(texts, numbers)
    assert classifier.score(texts, numbers) == 1
    assert TextClassifier.from_pretrained(classifier.save_pretrained(tmp_path / "numbers")).score(texts, numbers) == 1


def test_a_text_may_have_several_labels(tmp_path):
    texts, labels = rows()
    both = [f"{one} and {other}" for one, other in zip(texts[:30], texts[30:], strict=True)]
    several = [[one, other] for one, other in zip(labels[:30], labels[30:], strict=True)]
    classifier = TextClassifier(multi_label=True)
    classifier.fit([*texts, *both, "hello there", "good day"], [*([label] for label in labels), *several, [], []])
    found = classifier.predict(["play some jazz", "will it rain and where is my card"])
    assert found[0] == ["music"]
    assert set(found[1]) == {"weather", "bank"}
    assert classifier.score(texts, [[label] for label in labels]) > 0.8
    opened = TextClassifier.from_pretrained(classifier.save_pretrained(tmp_path / "several"))
    assert opened.multi_label
    assert [each.labels for each in opened.decide(["play some jazz"])] == [("music",)]


def test_rows_of_a_label_are_counted_whatever_stands_beside_it():
    labels = [["a", "b"], ["a"], ["a", "c"], ["a"], ["a", "b"], []]
    classifier = TextClassifier(multi_label=True, tune="head").fit(
        ["one", "two", "three", "four", "five", "six"], labels
    )
    assert classifier.training_.remarks == ("2 labels have fewer than 5 rows: 'c' (1), 'b' (2)",)


def test_a_threshold_of_0_gives_every_label(tmp_path):
    classifier = TextClassifier(multi_label=True, precision_at_least=0.01, tune="head")
    classifier.fit(["good day", "bad night", "nice sun", "awful rain"] * 2, [["a"], ["b"]] * 4)
    assert classifier.head_.threshold == 0
    assert sorted(classifier.predict("good day")) == sorted(classifier.decide(["good day"])[0].labels) == ["a", "b"]


def test_rare_labels_count_more_where_classes_are_balanced():
    texts, labels = rows()
    kept = [place for place, label in enumerate(labels) if label != "bank" or place % 5 == 0]
    texts, labels = [texts[place] for place in kept], [labels[place] for place in kept]
    plain, balanced = (
        TextClassifier(head="vector", class_weight=each).fit(texts, labels) for each in (None, "balanced")
    )
    asked = ["something about a card, or an alarm"]
    bank = plain.classes_.tolist().index("bank")
    assert balanced.predict_proba(asked)[0, bank] > plain.predict_proba(asked)[0, bank]


def test_labels_alone_make_a_router(tmp_path):
    router = TextClassifier.from_labels(["weather forecast", "music", "alarm clock"])
    asked = ["will it rain tomorrow?", "play some jazz", "wake me at seven"]
    assert router.predict(asked).tolist() == ["weather forecast", "music", "alarm clock"]
    by_name = TextClassifier.from_labels(["weather_forecast", "play-music", "alarm clock"])
    assert by_name.predict(asked).tolist() == ["weather_forecast", "play-music", "alarm clock"]
    by_examples = TextClassifier.from_labels({"a": ["rain and snow"], "b": ["jazz", "rock"], "c": ["wake me up"]})
    assert by_examples.predict(asked).tolist() == ["a", "b", "c"]
    opened = TextClassifier.from_pretrained(router.save_pretrained(tmp_path / "router"))
    assert opened.predict(asked).tolist() == router.predict(asked).tolist()
    assert opened.training_ is None


@pytest.mark.parametrize(
    ("texts", "labels", "told"),
    [
        (["a", "b"], ["x"], "2 texts and 1 labels"),
        (["a", "b"], ["x", "x"], "all labels are 'x'"),
        ([], [], "no labels"),
        (["a", 3], ["x", "y"], "text"),
        (["a", "b"], ["x", float("nan")], "nan"),
        (["a", "b"], ["x", None], "None"),
        (["a", "b"], ["x", " "], "blank"),
        (["a", "b"], ["1", 1], "one label as strings"),
        ("a text", ["x"], "texts is str"),
        (["a", "b"], "xy", "labels is str"),
        (np.array([["a"], ["b"]]), ["x", "y"], r"shape \(2, 1\)"),
        ([str(number) for number in range(2000)], list(range(2000)), "2,000 labels"),
        (["a\ud800", "b"], ["x", "y"], "surrogate"),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_told_in_one_line(texts, labels, told):
    with pytest.raises(InputError, match=told) as caught:
        TextClassifier().fit(texts, labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"head": "big"}, "head is 'big'"),
        ({"tune": "all"}, "tune is 'all'"),
        ({"precision_at_least": 95}, "precision_at_least is 95"),
        ({"class_weight": "even"}, "class_weight is 'even'"),
        ({"class_weight": {"other": 2.0}}, "class_weight names other"),
        ({"class_weight": {"music": float("nan")}}, "above 0"),
        ({"model": "/nowhere/at/all"}, "nowhere"),
    ],
)
def test_an_argument_that_is_none_of_its_values_is_told_in_one_line(parameters, told):
    with pytest.raises(InputError, match=told):
        TextClassifier(**parameters).fit(*rows())


@pytest.mark.parametrize("labels", [None, 0, ""])
def test_labels_of_a_text_that_are_no_list_are_told_in_one_line(labels):
    with pytest.raises(InputError, match="a list of labels a text was expected"):
        TextClassifier(multi_label=True).fit(["one", "two"], [["a"], labels])


def test_one_str_in_the_place_of_several_texts_is_told_in_one_line(fitted):
    with pytest.raises(InputError, match="texts is str"):
        fitted.decide("where is my card?")
    with pytest.raises(InputError, match="the examples of 'bank' are one str"):
        TextClassifier.from_labels({"bank": "credit card", "music": "a song"})


def test_whole_numbers_make_a_router_too():
    router = TextClassifier.from_labels({1: ["credit card"], 2: ["a love song"]})
    assert router.predict(["play a song"]).tolist() == ["2"]


def test_a_model_without_a_head_is_no_classifier(hand_folder):
    with pytest.raises(ModelFormatError, match="without a head"):
        TextClassifier.from_pretrained(hand_folder)


def test_a_classifier_runs_where_neither_scikit_learn_nor_scipy_is(folder):
    code = f"""
import sys
for name in ("sklearn", "scipy", "torch", "onnx"):
    sys.modules[name] = None
from edge_potion import TextClassifier
import json
print(json.dumps(TextClassifier.from_pretrained({str(folder)!r}).predict({list(UNSEEN)!r}).tolist()))
"""
    TextClassifier.from_pretrained(folder)  # exported into the cache here, where onnx is
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == list(UNSEEN.values())


def test_a_precision_that_no_threshold_reaches_is_refused_and_not_passed_over():
    random = np.random.default_rng(2)
    texts = [f"{word} {number}" for number in range(6) for word in ("red", "green", "blue", "black", "white")]
    with pytest.raises(InputError, match="no threshold reaches a precision of 99"):
        TextClassifier(head="vector", precision_at_least=0.99).fit(texts, random.choice(["a", "b"], 30).tolist())


def test_rows_whose_label_no_other_row_has_are_no_test_of_it():
    texts, labels = rows()
    lonely = TextClassifier(head="vector").fit([*texts, "a lonely text"], [*labels, "lonely"])
    assert lonely.training_.held_out == len(texts)
    assert 0.1 < lonely.training_.temperature < 3
    with pytest.raises(InputError, match="from_labels"):
        TextClassifier().fit(["play some jazz", "will it rain", "wake me up"], ["music", "weather", "alarm"])


def test_the_same_rows_and_seed_give_the_same_folder(tmp_path):
    for name in ("one", "other"):
        TextClassifier(head="vector", seed=1).fit(*rows()).save_pretrained(tmp_path / name)
    for file in sorted((tmp_path / "one").rglob("*.*")):
        assert file.read_bytes() == (tmp_path / "other" / file.relative_to(tmp_path / "one")).read_bytes(), file.name


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"precision_at_least": "0.9"}, "precision_at_least is '0.9'"),
        ({"precision_at_least": float("nan")}, "precision_at_least is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"class_weight": {"music": "much"}}, "class_weight"),
    ],
)
def test_arguments_of_another_kind_are_told_in_one_line(parameters, told):
    with pytest.raises(InputError, match=told):
        TextClassifier(**parameters).fit(*rows())


def test_names_and_thresholds_that_no_file_can_hold_are_refused_before_anything_is_made():
    with pytest.raises(InputError, match="threshold is 2"):
        TextClassifier.from_labels(["music", "weather"], threshold=2)
    with pytest.raises(InputError, match="NUL"):
        TextClassifier.from_labels(["music", "wea\0ther"])
    with pytest.raises(InputError, match="surrogate"):
        TextClassifier().fit(["a", "b"], ["x", "\ud800"])


def test_a_classifier_is_fitted_where_torch_is_not():
    script = """
import importlib.machinery, sys
real = importlib.machinery.PathFinder.find_spec
def hiding(name, path=None, target=None):
    return None if name.split(".")[0] in ("torch", "transformers", "datasets") else real(name, path, target)
importlib.machinery.PathFinder.find_spec = hiding
from edge_potion import TextClassifier
texts = ["play some jazz", "put on mozart", "will it rain", "is it going to snow"]
print(TextClassifier().fit(texts, ["music", "music", "weather", "weather"]).predict("play mozart"))
try:
    TextClassifier(tune="table").fit(texts, ["music", "music", "weather", "weather"])
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    label, error = done.stdout.splitlines()
    assert label == "music"
    assert "pip install 'edge-potion[train]'" in error
