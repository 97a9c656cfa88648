import grpc
import pytest

from fecosr.errors import ConfigError, ConnectionLost, ProtocolViolation
from fecosr.rpc.refusals import is_distrust, lost, raise_refusal


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNIMPLEMENTED,
    ],
)
def test_what_an_operator_must_act_upon_is_a_config_error_with_a_remedy(code: grpc.StatusCode) -> None:
    with pytest.raises(ConfigError, match="refuses this node: de is unknown") as caught:
        raise_refusal(code, "de is unknown", "connect")
    assert caught.value.remedy


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND])
def test_a_refused_message_names_coordinator_and_phase(code: grpc.StatusCode) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        raise_refusal(code, "x" * 10_000, "fetch_model")
    assert (caught.value.peer, caught.value.phase) == ("coordinator", "fetch_model")
    assert len(caught.value.rule) < 300


@pytest.mark.parametrize(
    "code",
    [
        None,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    ],
)
def test_what_passes_by_itself_is_no_refusal(code: grpc.StatusCode | None) -> None:
    raise_refusal(code, "Socket closed", "connect")


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("Ssl handshake failed: CERTIFICATE_VERIFY_FAILED", True),
        ("Hostname Verification Check failed.", True),
        ("Socket closed", False),
        (None, False),
    ],
)
def test_a_certificate_that_does_not_do_is_recognised_but_refuses_nobody(
    detail: str | None, expected: bool
) -> None:
    raise_refusal(grpc.StatusCode.UNAVAILABLE, detail, "fetch_model")
    assert is_distrust(detail) is expected


def test_a_lost_connection_says_what_was_going_on() -> None:
    empty = grpc.aio.Metadata()
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, empty, empty, details="Socket closed")
    failure = lost(error, "masked_input")
    assert isinstance(failure, ConnectionLost)
    assert str(failure) == "masked_input: UNAVAILABLE: Socket closed"
