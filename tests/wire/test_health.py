"""The standard health messages, byte by byte as their schema says."""

import pytest

from fecosr.wire.health import (
    Status,
    decode_health,
    decode_health_request,
    encode_health,
    encode_health_request,
)


def test_the_bytes_are_those_of_the_standard_schema() -> None:
    assert encode_health_request("") == b""
    assert encode_health_request("ab") == b"\x0a\x02ab"
    assert encode_health("serving") == b"\x08\x01"
    assert encode_health("not_serving") == b"\x08\x02"


@pytest.mark.parametrize("status", ["serving", "not_serving"])
def test_an_answer_reads_as_it_was_written(status: Status) -> None:
    assert decode_health(encode_health(status)) == status


@pytest.mark.parametrize("data", [b"\x08\x00", b"\x08\x03", b"", b"\xff", b"\x08"])
def test_another_answer_is_none(data: bytes) -> None:
    assert decode_health(data) is None


def test_a_question_may_name_any_service_but_must_be_readable() -> None:
    assert decode_health_request(encode_health_request("fecosr.v1.Coordination")) == "fecosr.v1.Coordination"
    assert decode_health_request(b"\x0a\xff") is None
    assert decode_health_request(b"\x0a\x01\xff") is None, "not UTF-8"
