"""What each path answers, and what it refuses."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from edge_potion import EdgeModel, TextClassifier, export
from edge_potion.serve.app import create_app
from edge_potion.serve.settings import Settings

from .conftest import LINES

TEXTS = ["Where is the bread?", "", "日本語 Straße 👍", "a\0b", "bread " * 2000]


def of_base64(data: list[dict]) -> np.ndarray:
    return np.array([np.frombuffer(base64.b64decode(each["embedding"], validate=True), "<f4") for each in data])


def embedded(client, **asked) -> dict:
    answer = client.post("/v1/embeddings", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client, path: str = "/v1/embeddings", status: int = 400, **asked) -> dict:
    answer = client.post(path, json=asked)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_one_text_gets_the_bits_of_encode_in_both_formats(client, edge_model):
    expected = edge_model.encode(TEXTS[0])
    (each,) = embedded(client, input=TEXTS[0], encoding_format="float")["data"]
    assert np.array_equal(np.array(each["embedding"], np.float32), expected)
    assert np.array_equal(of_base64(embedded(client, input=TEXTS[0], encoding_format="base64")["data"])[0], expected)


@pytest.mark.parametrize("count", [1, 5, 15, 16, 17, 1000, 3000])
@pytest.mark.parametrize("dimensions", [None, 1, 2, 3, 255])
def test_lists_get_the_bits_of_encode_in_their_order(client, edge_model, count, dimensions):
    texts = [f"{TEXTS[number % len(TEXTS)]}{number}" for number in range(count)]
    asked = {"input": texts, "model": "potion-256d-minilm"} | ({"dimensions": dimensions} if dimensions else {})
    expected = edge_model.encode(texts, truncate_dim=dimensions)
    told = embedded(client, **asked, encoding_format="base64")
    assert [each["index"] for each in told["data"]] == list(range(count))
    assert np.array_equal(of_base64(told["data"]), expected)
    if count < 20:
        numbers = [each["embedding"] for each in embedded(client, **asked)["data"]]
        assert np.array_equal(np.array(numbers, np.float32), expected)


def test_an_empty_text_gets_zeros(client):
    assert not any(embedded(client, input="")["data"][0]["embedding"])


def test_both_formats_tell_the_same_beside_the_vectors(client):
    for count in (1, 20):
        told = [embedded(client, input=["bread"] * count, encoding_format=form) for form in ("float", "base64")]
        for each in told:
            for item in each["data"]:
                del item["embedding"]
        assert told[0] == told[1]
        assert told[0]["object"] == "list" and told[0]["model"] == "potion-256d-minilm"


def test_usage_is_a_token_for_every_four_characters(client):
    assert embedded(client, input=["12345", "678"])["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert embedded(client, input="123456789")["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_unknown_fields_are_ignored(client):
    assert embedded(client, input="bread", user="me", anything={"at": ["all"]}, encoding_format=None, dimensions=None)


def test_a_model_is_named_by_what_it_is_served_as(client):
    assert embedded(client, input="bread", model="other")["model"] == "other"
    error = refused(client, status=404, input="bread", model="text-embedding-3-small")
    assert error["code"] == "model_not_found" and error["param"] == "model"
    assert "served are: potion-256d-minilm, router, other" in error["message"]


@pytest.mark.parametrize("ids", [[1, 2], [[1, 2], [3]], [[]]])
def test_token_ids_are_refused_and_langchains_flag_is_named(client, ids):
    error = refused(client, input=ids)
    assert "token ids" in error["message"] and "check_embedding_ctx_length=False" in error["message"]
    assert error["type"] == "invalid_request_error" and error["param"] == "input"


@pytest.mark.parametrize(
    ("asked", "param", "words"),
    [
        ({"input": []}, "input", "empty list"),
        ({"input": ["a", None]}, "input", "item 1 of input is a JSON null"),
        ({"input": ["a", True]}, "input", "item 1 of input is a JSON boolean"),
        ({"input": {"text": "a"}}, "input", "a JSON object"),
        ({"input": 5}, "input", "a JSON number"),
        ({}, "input", "required"),
        ({"input": "a", "dimensions": 0}, "dimensions", "greater than or equal to 1"),
        ({"input": "a", "dimensions": 257}, "dimensions", "the model has 256"),
        ({"input": "a", "dimensions": "8"}, "dimensions", "integer"),
        ({"input": "a", "dimensions": True}, "dimensions", "integer"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "'float' or 'base64'"),
        ({"input": "a", "model": 3}, "model", "string"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(client, asked, param, words):
    error = refused(client, **asked)
    assert words in error["message"] and error["param"] == param


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'"text"',
        b"[1]",
        b"\xff\xfe",
        b'{"input": "\xff"}',
        b'{"input": "\\ud800"}',
        b'{"input": "a", "x": NaN}',
        b'{"input": ' + b"[" * 100_000,
        b'{"input": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused(client, body):
    answer = client.post("/v1/embeddings", content=body)
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"


def test_no_error_tells_what_a_text_holds(client):
    for asked in ({"input": ["secret", 5]}, {"input": "secret", "dimensions": 999}, {"inputs": "secret"}):
        assert "secret" not in json.dumps(refused(client, **asked))


def test_unknown_paths_and_methods_are_told_in_the_shape_of_other_errors(client):
    answer = client.get("/v1/nothing")
    assert answer.status_code == 404 and "/openapi.json" in answer.json()["error"]["message"]
    answer = client.get("/v1/embeddings")
    assert answer.status_code == 405 and answer.headers["allow"] == "POST"
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert client.get("/v1/embeddings/").status_code == 404


def test_models_are_listed_and_told_one_by_one(client):
    listed = client.get("/v1/models").json()
    assert [each["id"] for each in listed["data"]] == ["potion-256d-minilm", "router", "other"]
    assert client.get("/v1/models/other").json() == listed["data"][2]
    assert client.get("/v1/models/nothing/at%20all").json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc", "minishlab/potion-base-8M", "~"])
def test_no_name_of_a_request_opens_anything(client, name):
    refused(client, status=404, input="a", model=name)
    refused(client, "/search", 404, query="a", index=name)
    assert client.get(f"/v1/models/{name}").status_code == 404


def test_tei_is_answered_in_its_own_shapes(client, edge_model):
    for path in ("/embed", "/"):
        answer = client.post(path, json={"inputs": TEXTS, "truncate": True, "normalize": True}).json()
        assert np.array_equal(np.array(answer, np.float32), edge_model.encode(TEXTS))
    (one,) = client.post("/embed", json={"inputs": "bread", "dimensions": 8}).json()
    assert np.array_equal(np.array(one, np.float32), edge_model.encode("bread", truncate_dim=8))
    answer = client.post("/embed", json={"inputs": []})
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "inputs is an empty list; at least one text was expected",
        "error_type": "Validation",
    }
    info = client.get("/info").json()
    assert info["model_id"] == "potion-256d-minilm" and info["max_input_length"] == 512 and info["dimensions"] == 256
    assert info["classifiers"] == ["router"] and info["indexes"] == ["lines"]


def test_prompts_of_a_model_are_named_as_tei_names_them(hand_model, tmp_path):
    prompts = {"query": "cat ", "passage": "sat "}
    export(replace(hand_model, card=replace(hand_model.card, prompts=prompts)), tmp_path / "hand")
    client = TestClient(create_app(Settings(models=(str(tmp_path / "hand"),), access_log=False)))
    model = EdgeModel.from_pretrained(tmp_path / "hand")
    for name, prompt in (*prompts.items(), ("document", "")):
        told = client.post("/embed", json={"inputs": ["mat", "cat"], "prompt_name": name}).json()
        assert np.array_equal(np.array(told, np.float32), model.encode(["mat", "cat"], prompt=prompt))
    answer = client.post("/embed", json={"inputs": "mat", "prompt_name": "nothing"})
    assert answer.status_code == 400 and "query, document, passage" in answer.json()["error"]
    told = client.post("/v1/rerank", json={"query": "mat", "documents": ["sat", "cat mat"]}).json()
    assert [each["index"] for each in told["results"]] == [1, 0]


def test_health_is_told(client):
    assert client.get("/health").json() == {"status": "ok"}


def test_labels_are_those_of_the_classifier(client, classifier_folder):
    texts = ["I lost my card", "rain", ""]
    classifier = TextClassifier.from_pretrained(classifier_folder)
    told = client.post("/v1/classify", json={"input": texts}).json()
    assert told["model"] == "router"
    for each, decision in zip(told["data"], classifier.decide(texts), strict=True):
        assert (each["label"], each["labels"]) == (decision.label, list(decision.labels))
        assert np.float32(each["probability"]) == np.float32(decision.probability)
        assert list(each["probabilities"].values()) == sorted(each["probabilities"].values(), reverse=True)
    (one,) = client.post("/v1/classify", json={"input": "rain", "model": "router", "top": 1}).json()["data"]
    assert one["label"] == "weather" and list(one["probabilities"]) == ["weather"]
    assert refused(client, "/v1/classify", 404, input="a", model="other")["code"] == "classifier_not_found"


@pytest.mark.parametrize("mode", ["hybrid", "meaning", "words"])
def test_search_finds_what_the_index_finds(client, index_folder, mode):
    from edge_potion.search.index import Index

    found = Index.open(index_folder).search("old bread", 2, mode=mode, explain=True)
    asked = {"query": "old bread", "top": 2, "mode": mode, "explain": True}
    told = client.post("/search", json=asked).json()
    assert told["index"] == "lines" and len(told["hits"]) == len(found)
    for each, hit in zip(told["hits"], found, strict=True):
        assert each == {**vars(hit), "explanation": [share._asdict() for share in hit.explanation]}


def test_search_sees_what_was_added_since(client, index_folder):
    from edge_potion.search.index import Index

    Index.open(index_folder).add(["a unicorn in the garden"], ids=["new"])
    assert client.post("/search", json={"query": "unicorn"}).json()["hits"][0]["id"] == "new"
    Index.open(index_folder).delete(["new"])
    assert "new" not in [hit["id"] for hit in client.post("/search", json={"query": "unicorn"}).json()["hits"]]


def test_an_index_that_is_gone_is_told_without_its_place(tmp_path):
    from edge_potion.search.index import Index

    Index.build(tmp_path / "gone", LINES)
    client = TestClient(create_app(Settings(indexes=(str(tmp_path / "gone"),), access_log=False)))
    shutil.rmtree(tmp_path / "gone")
    error = refused(client, "/search", 503, query="bread")
    assert error["code"] == "index_gone" and str(tmp_path) not in error["message"]


@pytest.mark.parametrize("model", [None, "lines", "potion-256d-minilm"])
def test_rerank_orders_documents_by_an_index_or_a_model(client, edge_model, model):
    asked = {"query": "bread of old yeast", "documents": [*LINES, {"text": "snow"}], "model": model}
    told = client.post("/v1/rerank", json=asked).json()
    assert told["model"] == (model or "lines") and len(told["results"]) == 4
    scores = [each["relevance_score"] for each in told["results"]]
    assert scores == sorted(scores, reverse=True) and told["results"][0] == {"index": 0, "relevance_score": scores[0]}
    if model == "potion-256d-minilm":
        expected = edge_model.similarity(LINES[0], asked["query"])
        assert np.isclose(scores[0], expected, atol=1e-6)
    (best,) = client.post("/v1/rerank", json={**asked, "top_n": 1, "return_documents": True}).json()["results"]
    assert best["document"] == {"text": LINES[0]}


def test_rerank_and_search_refuse_what_they_cannot_do(client):
    assert refused(client, "/v1/rerank", query="a", documents=[])["param"] == "documents"
    assert refused(client, "/v1/rerank", query="a", documents=[5])["param"] == "documents"
    assert refused(client, "/v1/rerank", 404, query="a", documents=["b"], model="nothing")["param"] == "model"
    assert refused(client, "/search", query="a", mode="best")["param"] == "mode"
    assert refused(client, "/search", query="a", top=0)["param"] == "top"
    assert refused(client, "/search", 404, query="a", index="nothing")["code"] == "index_not_found"


def test_metrics_count_requests_by_path_and_status(client):
    before = client.get("/metrics").text
    assert before.startswith("# HELP")
    client.post("/v1/embeddings", json={"input": "a"})
    client.get("/v1/nothing")
    client.get("/anything/else")
    after = client.get("/metrics").text

    def count(text: str, path: str, status: int) -> float:
        line = f'edge_potion_requests_total{{path="{path}",status="{status}"}} '
        return next((float(each.removeprefix(line)) for each in text.splitlines() if each.startswith(line)), 0)

    assert count(after, "/v1/embeddings", 200) == count(before, "/v1/embeddings", 200) + 1
    assert count(after, "other", 404) == count(before, "other", 404) + 2
    assert "anything" not in after
