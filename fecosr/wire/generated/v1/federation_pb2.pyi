from fecosr.wire.generated.v1 import secagg_pb2 as _secagg_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_RELEASED: _ClassVar[Outcome]
    OUTCOME_ABORTED: _ClassVar[Outcome]
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_RELEASED: Outcome
OUTCOME_ABORTED: Outcome

class RoundManifest(_message.Message):
    __slots__ = ("run", "round", "attempt", "plan_hash", "model_hash", "num_parameters", "clip_norm", "num_summands", "n_min", "max_colluding", "ring_bits", "noise", "sketch_hash", "ledger_size", "ledger_root")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    MODEL_HASH_FIELD_NUMBER: _ClassVar[int]
    NUM_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    CLIP_NORM_FIELD_NUMBER: _ClassVar[int]
    NUM_SUMMANDS_FIELD_NUMBER: _ClassVar[int]
    N_MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_COLLUDING_FIELD_NUMBER: _ClassVar[int]
    RING_BITS_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    SKETCH_HASH_FIELD_NUMBER: _ClassVar[int]
    LEDGER_SIZE_FIELD_NUMBER: _ClassVar[int]
    LEDGER_ROOT_FIELD_NUMBER: _ClassVar[int]
    run: str
    round: int
    attempt: int
    plan_hash: bytes
    model_hash: bytes
    num_parameters: int
    clip_norm: float
    num_summands: int
    n_min: int
    max_colluding: int
    ring_bits: int
    noise: NoiseTerms
    sketch_hash: bytes
    ledger_size: int
    ledger_root: bytes
    def __init__(self, run: _Optional[str] = ..., round: _Optional[int] = ..., attempt: _Optional[int] = ..., plan_hash: _Optional[bytes] = ..., model_hash: _Optional[bytes] = ..., num_parameters: _Optional[int] = ..., clip_norm: _Optional[float] = ..., num_summands: _Optional[int] = ..., n_min: _Optional[int] = ..., max_colluding: _Optional[int] = ..., ring_bits: _Optional[int] = ..., noise: _Optional[_Union[NoiseTerms, _Mapping]] = ..., sketch_hash: _Optional[bytes] = ..., ledger_size: _Optional[int] = ..., ledger_root: _Optional[bytes] = ...) -> None: ...

class NoiseTerms(_message.Message):
    __slots__ = ("clip_units", "share_variance", "num_shares")
    CLIP_UNITS_FIELD_NUMBER: _ClassVar[int]
    SHARE_VARIANCE_FIELD_NUMBER: _ClassVar[int]
    NUM_SHARES_FIELD_NUMBER: _ClassVar[int]
    clip_units: int
    share_variance: int
    num_shares: int
    def __init__(self, clip_units: _Optional[int] = ..., share_variance: _Optional[int] = ..., num_shares: _Optional[int] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("run", "size", "signature", "root")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    run: str
    size: int
    signature: bytes
    root: bytes
    def __init__(self, run: _Optional[str] = ..., size: _Optional[int] = ..., signature: _Optional[bytes] = ..., root: _Optional[bytes] = ...) -> None: ...

class Growth(_message.Message):
    __slots__ = ("checkpoint", "earlier", "proof")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    EARLIER_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    checkpoint: Checkpoint
    earlier: int
    proof: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ..., earlier: _Optional[int] = ..., proof: _Optional[_Iterable[bytes]] = ...) -> None: ...

class HeadSigned(_message.Message):
    __slots__ = ("size", "root", "signature")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    size: int
    root: bytes
    signature: bytes
    def __init__(self, size: _Optional[int] = ..., root: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("run", "plan_hash", "version", "signed")
    RUN_FIELD_NUMBER: _ClassVar[int]
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    run: str
    plan_hash: bytes
    version: str
    signed: HeadSigned
    def __init__(self, run: _Optional[str] = ..., plan_hash: _Optional[bytes] = ..., version: _Optional[str] = ..., signed: _Optional[_Union[HeadSigned, _Mapping]] = ...) -> None: ...

class RoundTask(_message.Message):
    __slots__ = ("manifest", "signature", "growth")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    GROWTH_FIELD_NUMBER: _ClassVar[int]
    manifest: RoundManifest
    signature: bytes
    growth: Growth
    def __init__(self, manifest: _Optional[_Union[RoundManifest, _Mapping]] = ..., signature: _Optional[bytes] = ..., growth: _Optional[_Union[Growth, _Mapping]] = ...) -> None: ...

class FromClient(_message.Message):
    __slots__ = ("round", "attempt", "body")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    round: int
    attempt: int
    body: _secagg_pb2.ClientMessage
    def __init__(self, round: _Optional[int] = ..., attempt: _Optional[int] = ..., body: _Optional[_Union[_secagg_pb2.ClientMessage, _Mapping]] = ...) -> None: ...

class FromServer(_message.Message):
    __slots__ = ("round", "attempt", "body")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    round: int
    attempt: int
    body: _secagg_pb2.ServerMessage
    def __init__(self, round: _Optional[int] = ..., attempt: _Optional[int] = ..., body: _Optional[_Union[_secagg_pb2.ServerMessage, _Mapping]] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("model_hash", "validation")
    MODEL_HASH_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    model_hash: bytes
    validation: float
    def __init__(self, model_hash: _Optional[bytes] = ..., validation: _Optional[float] = ...) -> None: ...

class RoundClosed(_message.Message):
    __slots__ = ("round", "attempt", "outcome", "reason", "release", "sketch_hash", "growth")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    SKETCH_HASH_FIELD_NUMBER: _ClassVar[int]
    GROWTH_FIELD_NUMBER: _ClassVar[int]
    round: int
    attempt: int
    outcome: Outcome
    reason: str
    release: Release
    sketch_hash: bytes
    growth: Growth
    def __init__(self, round: _Optional[int] = ..., attempt: _Optional[int] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., reason: _Optional[str] = ..., release: _Optional[_Union[Release, _Mapping]] = ..., sketch_hash: _Optional[bytes] = ..., growth: _Optional[_Union[Growth, _Mapping]] = ...) -> None: ...

class RunClosed(_message.Message):
    __slots__ = ("run", "rounds", "model_hash", "signature", "history", "sketch_hash", "ending", "inclusion", "growth")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_HASH_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    SKETCH_HASH_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    INCLUSION_FIELD_NUMBER: _ClassVar[int]
    GROWTH_FIELD_NUMBER: _ClassVar[int]
    run: str
    rounds: int
    model_hash: bytes
    signature: bytes
    history: _containers.RepeatedCompositeFieldContainer[Release]
    sketch_hash: bytes
    ending: bytes
    inclusion: _containers.RepeatedScalarFieldContainer[bytes]
    growth: Growth
    def __init__(self, run: _Optional[str] = ..., rounds: _Optional[int] = ..., model_hash: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., history: _Optional[_Iterable[_Union[Release, _Mapping]]] = ..., sketch_hash: _Optional[bytes] = ..., ending: _Optional[bytes] = ..., inclusion: _Optional[_Iterable[bytes]] = ..., growth: _Optional[_Union[Growth, _Mapping]] = ...) -> None: ...

class MetricShared(_message.Message):
    __slots__ = ("round", "attempt", "validation")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    round: int
    attempt: int
    validation: float
    def __init__(self, round: _Optional[int] = ..., attempt: _Optional[int] = ..., validation: _Optional[float] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("model_hash",)
    MODEL_HASH_FIELD_NUMBER: _ClassVar[int]
    model_hash: bytes
    def __init__(self, model_hash: _Optional[bytes] = ...) -> None: ...

class Rejected(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...
