"""The judge by which official files are held against us finds each kind of fault; it needs no official file itself."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from support.official import OfficialFile
from support.official_files import VARIABLE, official_file, unknown

SPEC = """
openapi: 3.0.0
servers: [{url: "https://api.test/v1"}]
paths:
  /Things:
    parameters: [{$ref: "#/components/parameters/tenant"}]
    get:
      parameters:
        - {in: query, name: page, schema: {type: integer}}
        - {in: query, name: IDs, schema: {type: array, items: {type: string, format: uuid}}}
        - {in: query, name: all, schema: {type: boolean}}
      responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/Things"}}}}}
  /Things/{id}:
    parameters: [{in: path, name: id, required: true, schema: {type: string}}]
    get: {responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}}}
    delete: {responses: {"204": {}}}
    post:
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}
      responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}}
components:
  parameters:
    tenant: {in: header, name: tenant-id, required: true, schema: {type: string}}
  schemas:
    Things: {type: object, properties: {things: {type: array, items: {$ref: "#/components/schemas/Thing"}}}}
    Thing:
      type: object
      required: [id]
      properties:
        id: {type: string, example: 2026-06-23T00:00:00}
        amount: {type: number}
        status: {type: string, enum: [OPEN, SHUT]}
        at: {type: string, x-is-msdate: true}
        part: {type: object, nullable: true, properties: {kind: {type: string}}, discriminator: {propertyName: kind,
          mapping: {wheel: "#/components/schemas/Wheel"}}}
    Wheel: {allOf: [{type: object, required: [size]}, {properties: {kind: {}, size: {type: integer}}}]}
"""
JSON = {"content-type": "application/json; charset=utf-8"}
GOOD: dict[str, Any] = {"id": "1", "amount": 1.5, "at": "/Date(-86400000+0000)/", "part": {"kind": "wheel", "size": 3}}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> OfficialFile:
    file = tmp_path_factory.mktemp("official") / "spec.yaml"
    file.write_text(SPEC)
    return OfficialFile.read(file)


def judged(spec: OfficialFile, request: httpx.Request, answer: httpx.Response) -> list[str]:
    answer.request = request
    return [fault.key for fault in spec.exchange(answer)]


def asked(query: str = "", path: str = "/v1/Things", method: str = "GET", **more: Any) -> httpx.Request:
    return httpx.Request(method, f"https://api.test{path}?{query}", headers={"Tenant-Id": "t"}, **more)


def answered(thing: dict[str, Any] | None = None) -> httpx.Response:
    return httpx.Response(200, headers=JSON, json={"things": [GOOD if thing is None else thing]})


def test_what_is_right_passes(spec: OfficialFile) -> None:
    ids = "IDs=00000000-0000-4000-8000-000000000001,00000000-0000-4000-8000-000000000002"
    assert judged(spec, asked(f"page=2&all=true&{ids}"), answered()) == []
    assert judged(spec, asked(), answered(GOOD | {"part": None})) == []
    assert judged(spec, asked(path="/v1/Things/1", method="DELETE"), httpx.Response(204)) == [
        "header tenant-id: undescribed"
    ]


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        (asked("DueDateFrom=2026-01-01"), "query DueDateFrom: undescribed"),
        (asked("page=one"), "query page: integer"),
        (asked("page=1&page=2"), "query page: repeated"),
        (asked("all=yes"), "query all: boolean"),
        (asked("IDs=17"), "query IDs[]: uuid"),
        (httpx.Request("GET", "https://api.test/v1/Things"), "header tenant-id: required"),
        (
            httpx.Request("GET", "https://api.test/v1/Things", headers={"tenant-id": "t", "x": "y"}),
            "header x: undescribed",
        ),
        (asked(path="/v1/Thing"), "GET /v1/Thing: undescribed"),
        (asked(path="/v2/Things"), "GET /v2/Things: undescribed"),
        (asked(method="PUT"), "PUT /v1/Things: undescribed"),
        (asked(path="/v1/things"), "path /Things: letter case"),
    ],
)
def test_what_is_asked_wrongly_is_named(spec: OfficialFile, request_: httpx.Request, fault: str) -> None:
    assert judged(spec, request_, answered()) == [fault]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"amount": "1.50"}, ".things[].amount: number"),
        ({"status": "AJAR"}, ".things[].status: enum"),
        ({"at": "2026-06-23T00:00:00"}, ".things[].at: pattern"),
        ({"colour": "red"}, ".things[].colour: undescribed"),
        ({"part": {"kind": "wheel"}}, ".things[].part: required size"),
        ({"part": {"kind": "wheel", "size": 3, "spokes": 9}}, ".things[].part.spokes: undescribed"),
    ],
)
def test_what_is_answered_wrongly_is_named(spec: OfficialFile, change: dict[str, Any], fault: str) -> None:
    assert judged(spec, asked(), answered(GOOD | change)) == [f"answer {fault}"]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (httpx.Response(500, text="oops"), "answer 500: undescribed"),
        (httpx.Response(200), "answer 200: empty"),
        (httpx.Response(200, html="<html>"), "answer 200 text/html: undescribed"),
        (httpx.Response(200, headers=JSON, json=[]), "answer : object"),
    ],
)
def test_an_answer_of_another_kind_is_named(spec: OfficialFile, answer: httpx.Response, fault: str) -> None:
    assert judged(spec, asked(), answer) == [fault]


def test_a_body_is_judged_as_an_answer_is(spec: OfficialFile) -> None:
    wrong = httpx.Request("POST", "https://api.test/v1/Things/1", json={"amount": "1"})
    assert judged(spec, wrong, httpx.Response(200, json=GOOD)) == ["body : required id", "body .amount: number"]
    form = httpx.Request("POST", "https://api.test/v1/Things/1", data={"id": "1"})
    assert judged(spec, form, httpx.Response(200, json=GOOD)) == ["body: application/x-www-form-urlencoded undescribed"]


def test_a_known_difference_passes_by_name_and_is_noted(spec: OfficialFile) -> None:
    answer = answered(GOOD | {"colour": "red", "amount": "1"})
    answer.request = asked()
    used: set[str] = set()
    known = {"answer .things[].colour: undescribed": "seen everywhere", "answer .other: undescribed": "unused"}
    assert unknown([*spec.exchange(answer)] * 2, known, used) == [
        "answer .things[].amount: number '1' is not of type 'number'"
    ]
    assert used == {"answer .things[].colour: undescribed"}


def test_without_the_files_the_tests_say_where_they_would_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"{VARIABLE} .* CONTRIBUTING"):
        official_file("*.yaml")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"no xero\.yaml"):
        official_file("xero.yaml")
    (tmp_path / "xero.yaml").write_text(yaml.dump({"openapi": "3.1.1", "components": {"schemas": {"X": {"const": 1}}}}))
    assert official_file("xero.yaml").schema("X") == {"const": 1}
