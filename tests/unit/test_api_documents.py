"""Documents: one body, one ETag, the best form that the client accepts."""

import gzip

import pytest
import zstandard
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from api.documents import accepted_encodings, collection, document, respond

BODY = b'{"cells": [' + b"1," * 2000 + b"1]}"


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw})


@given(st.binary(max_size=5000))
def test_the_etag_is_made_of_the_content_alone(body: bytes) -> None:
    assert document(body, "text/plain").etag == document(body, "text/css").etag
    assert document(body, "text/plain").etag != document(body + b"x", "text/plain").etag


def test_compressed_forms_hold_the_same_body() -> None:
    made = document(BODY, "application/json")
    assert made.gzip is not None
    assert made.zstd is not None
    assert gzip.decompress(made.gzip) == BODY
    assert zstandard.ZstdDecompressor().decompress(made.zstd) == BODY


def test_a_small_body_is_not_compressed() -> None:
    assert document(b"small", "text/plain").gzip is None
    assert document(BODY, "image/png", compressible=False).zstd is None


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("br", None),
        ("zstd;q=0, gzip;q=0.5", "gzip"),
        ("", None),
        ("GZIP", "gzip"),
    ],
)
def test_the_best_accepted_form_is_sent(accepted: str, encoding: str | None) -> None:
    answer = respond(request(accept_encoding=accepted), document(BODY, "application/json"))
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*", '"x",W/{}'])
def test_what_the_client_has_already_is_304(form: str) -> None:
    made = document(BODY, "application/json")
    answer = respond(request(if_none_match=form.format(made.etag)), made)
    assert (answer.status_code, answer.body) == (304, b"")
    assert answer.headers["etag"] == made.etag


def test_another_etag_gets_the_body() -> None:
    assert respond(request(if_none_match='"other"'), document(BODY, "text/plain")).status_code == 200


@given(st.text(max_size=60))
def test_any_accept_encoding_header_is_read(text: str) -> None:
    assert isinstance(accepted_encodings(text), set)


def test_a_collection_is_geojson_with_foreign_members() -> None:
    made = collection([b'{"a":1}', b'{"a":2}'], resolution=9)
    assert made == b'{"type":"FeatureCollection","numberReturned":2,"resolution":9,"features":[{"a":1},{"a":2}]}'
    assert collection([]).endswith(b'"features":[]}')
