"""The service is the one in proto/, and its code runs without a warning."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from fecosr.wire import service
from fecosr.wire.generated.v1 import coordination_pb2, federation_pb2, secagg_pb2

ROOT = Path(__file__).parents[2]
NUMBERS_OF_A_NODE = {
    "FromClient.round",
    "FromClient.attempt",
    "HeadSigned.size",
    "UploadHeader.round",
    "UploadHeader.attempt",
    "UploadHeader.size_bytes",
    "UploadHeader.resume",
    # Only where plan and policy of the market both say so.
    "MetricShared.round",
    "MetricShared.attempt",
    "MetricShared.validation",
}
"""Every number that travels from a node in clear."""


def test_calls_are_found_under_their_paths() -> None:
    assert service.path(service.CONNECT) == "/fecosr.v1.Coordination/Connect"
    assert service.path(service.FETCH_MODEL) == "/fecosr.v1.Coordination/FetchModel"
    assert service.path(service.UPLOAD_MASKED_INPUT) == "/fecosr.v1.Coordination/UploadMaskedInput"


def test_no_control_message_has_room_for_a_masked_input() -> None:
    files = (coordination_pb2.DESCRIPTOR, federation_pb2.DESCRIPTOR, secagg_pb2.DESCRIPTOR)
    messages = {name for file in files for name in file.message_types_by_name}
    assert "KeyAdvert" in messages
    assert "MaskedInput" not in messages


def _numbers(message: Descriptor, seen: set[str]) -> Iterator[str]:
    """Yield the full name of every numeric field of a message and of all that it may contain."""
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    for it in message.fields:
        if it.message_type is not None:
            yield from _numbers(it.message_type, seen)
        elif it.type not in {FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_STRING}:
            yield it.full_name.removeprefix("fecosr.v1.")


def test_nothing_a_node_says_has_room_for_a_weight_a_count_a_loss_or_a_metric() -> None:
    coordination = coordination_pb2.DESCRIPTOR.services_by_name["Coordination"]
    spoken = [coordination.methods_by_name[call].input_type for call in coordination.methods_by_name]
    assert len(spoken) == 3
    assert {name for message in spoken for name in _numbers(message, set())} == NUMBERS_OF_A_NODE


def test_every_field_and_message_in_proto_has_a_comment() -> None:
    for file in sorted((ROOT / "proto").rglob("*.proto")):
        previous = ""
        for line in map(str.strip, file.read_text().splitlines()):
            declares = line.startswith(("message ", "enum ", "service ", "rpc ")) or (
                line.endswith(";") and " = " in line and not line.startswith("syntax")
            )
            if declares:
                assert previous.startswith("//"), f"{file.name}: {line}"
            previous = line


def test_generated_code_is_imported_without_a_warning() -> None:
    subprocess.run(
        [sys.executable, "-W", "error", "-c", "import fecosr.wire.control, fecosr.wire.transfers"],
        check=True,
        cwd=ROOT,
    )


@pytest.mark.skipif(not (ROOT / ".venv-proto").exists(), reason="the generator's environment is not set up")
def test_generated_code_is_what_proto_says() -> None:
    check = subprocess.run(
        ["scripts/generate-proto", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr
