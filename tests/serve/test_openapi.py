"""/openapi.json says what is so: of the routes, of what they take, and of what they answer."""

from __future__ import annotations

import jsonschema
import pytest
from starlette.testclient import TestClient

from edge_potion.serve.app import create_app
from edge_potion.serve.settings import Settings, digest_of

ASKED = {
    "/v1/embeddings": [{"input": "a"}, {"input": ["a", ""], "encoding_format": "base64", "dimensions": 3}],
    "/embed": [{"inputs": "a"}, {"inputs": ["a"], "normalize": False}],
    "/": [{"inputs": "a"}],
    "/v1/classify": [{"input": "a"}, {"input": ["a", "rain"], "top": 1}],
    "/search": [{"query": "bread"}, {"query": "bread", "explain": True, "mode": "words"}],
    "/v1/rerank": [{"query": "a", "documents": ["a", {"text": "b"}], "return_documents": True}],
}
GOT = {"/v1/models/{name}": "/v1/models/other"}


@pytest.fixture(scope="module")
def document(client) -> dict:
    return client.get("/openapi.json").json()


def check(value: object, schema: dict, document: dict) -> None:
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def schema_of(content: dict) -> dict:
    return content["content"]["application/json"]["schema"]


def test_it_has_every_route_and_no_other(client, document):
    told = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    routes = {
        (route.path.replace(":path", ""), method)
        for route in client.app.routes
        for method in route.methods - {"HEAD"}
        if route.path != "/openapi.json"
    }
    assert told == routes and len(told) == 12
    ids = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", ASKED)
def test_what_is_asked_and_answered_is_as_it_says(client, document, path):
    operation = document["paths"][path]["post"]
    for asked in ASKED[path]:
        check(asked, schema_of(operation["requestBody"]), document)
        answer = client.post(path, json=asked)
        assert answer.status_code == 200
        check(answer.json(), schema_of(operation["responses"]["200"]), document)
    answer = client.post(path, json={})
    assert answer.status_code == 400
    check(answer.json(), schema_of(operation["responses"]["400"]), document)
    with pytest.raises(jsonschema.ValidationError):
        check({}, schema_of(operation["requestBody"]), document)


def test_what_is_got_is_as_it_says(client, document):
    for path, methods in document["paths"].items():
        if "get" in methods:
            answer = client.get(GOT.get(path, path))
            (kind,) = methods["get"]["responses"]["200"]["content"]
            assert answer.headers["content-type"].startswith(kind)
            if kind == "application/json":
                check(answer.json(), schema_of(methods["get"]["responses"]["200"]), document)


def test_fields_are_told_in_words(document):
    fields = document["components"]["schemas"]["EmbeddingsRequest"]["properties"]
    assert "little-endian float32" in fields["encoding_format"]["description"]
    assert "Token ids are refused" in fields["input"]["description"]


def test_it_tells_of_keys_where_they_are_asked_for(document):
    assert "securitySchemes" not in document["components"]
    app = create_app(Settings(keys=(digest_of(b"k"),), access_log=False))
    told = TestClient(app).get("/openapi.json").json()
    assert told["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    assert "401" in told["paths"]["/v1/embeddings"]["post"]["responses"]
    assert "401" in told["paths"]["/"]["post"]["responses"] and "401" not in told["paths"]["/"]["get"]["responses"]
