from fecosr.wire.generated.v1 import federation_pb2 as _federation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UploadVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UPLOAD_VERDICT_UNSPECIFIED: _ClassVar[UploadVerdict]
    UPLOAD_VERDICT_ACCEPTED: _ClassVar[UploadVerdict]
    UPLOAD_VERDICT_NOT_EXPECTED: _ClassVar[UploadVerdict]
UPLOAD_VERDICT_UNSPECIFIED: UploadVerdict
UPLOAD_VERDICT_ACCEPTED: UploadVerdict
UPLOAD_VERDICT_NOT_EXPECTED: UploadVerdict

class NodeEnvelope(_message.Message):
    __slots__ = ("hello", "from_client", "finished", "metric_shared", "head_signed")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    FROM_CLIENT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    METRIC_SHARED_FIELD_NUMBER: _ClassVar[int]
    HEAD_SIGNED_FIELD_NUMBER: _ClassVar[int]
    hello: _federation_pb2.Hello
    from_client: _federation_pb2.FromClient
    finished: _federation_pb2.Finished
    metric_shared: _federation_pb2.MetricShared
    head_signed: _federation_pb2.HeadSigned
    def __init__(self, hello: _Optional[_Union[_federation_pb2.Hello, _Mapping]] = ..., from_client: _Optional[_Union[_federation_pb2.FromClient, _Mapping]] = ..., finished: _Optional[_Union[_federation_pb2.Finished, _Mapping]] = ..., metric_shared: _Optional[_Union[_federation_pb2.MetricShared, _Mapping]] = ..., head_signed: _Optional[_Union[_federation_pb2.HeadSigned, _Mapping]] = ...) -> None: ...

class CoordinatorEnvelope(_message.Message):
    __slots__ = ("round_task", "from_server", "round_closed", "run_closed", "rejected")
    ROUND_TASK_FIELD_NUMBER: _ClassVar[int]
    FROM_SERVER_FIELD_NUMBER: _ClassVar[int]
    ROUND_CLOSED_FIELD_NUMBER: _ClassVar[int]
    RUN_CLOSED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    round_task: _federation_pb2.RoundTask
    from_server: _federation_pb2.FromServer
    round_closed: _federation_pb2.RoundClosed
    run_closed: _federation_pb2.RunClosed
    rejected: _federation_pb2.Rejected
    def __init__(self, round_task: _Optional[_Union[_federation_pb2.RoundTask, _Mapping]] = ..., from_server: _Optional[_Union[_federation_pb2.FromServer, _Mapping]] = ..., round_closed: _Optional[_Union[_federation_pb2.RoundClosed, _Mapping]] = ..., run_closed: _Optional[_Union[_federation_pb2.RunClosed, _Mapping]] = ..., rejected: _Optional[_Union[_federation_pb2.Rejected, _Mapping]] = ...) -> None: ...

class FetchModelRequest(_message.Message):
    __slots__ = ("model_hash",)
    MODEL_HASH_FIELD_NUMBER: _ClassVar[int]
    model_hash: bytes
    def __init__(self, model_hash: _Optional[bytes] = ...) -> None: ...

class ModelHeader(_message.Message):
    __slots__ = ("size_bytes",)
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    def __init__(self, size_bytes: _Optional[int] = ...) -> None: ...

class ModelChunk(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: ModelHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[ModelHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class UploadHeader(_message.Message):
    __slots__ = ("round", "attempt", "size_bytes", "sha256", "signature", "unusable", "resume")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    UNUSABLE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    round: int
    attempt: int
    size_bytes: int
    sha256: bytes
    signature: bytes
    unusable: _containers.RepeatedScalarFieldContainer[str]
    resume: bool
    def __init__(self, round: _Optional[int] = ..., attempt: _Optional[int] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., unusable: _Optional[_Iterable[str]] = ..., resume: bool = ...) -> None: ...

class UploadChunk(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: UploadHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[UploadHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class UploadReceipt(_message.Message):
    __slots__ = ("verdict",)
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    verdict: UploadVerdict
    def __init__(self, verdict: _Optional[_Union[UploadVerdict, str]] = ...) -> None: ...
