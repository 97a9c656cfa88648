from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KeyAdvert(_message.Message):
    __slots__ = ("client", "channel_public", "mask_public", "seed_commitment", "signature")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_PUBLIC_FIELD_NUMBER: _ClassVar[int]
    MASK_PUBLIC_FIELD_NUMBER: _ClassVar[int]
    SEED_COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    client: str
    channel_public: bytes
    mask_public: bytes
    seed_commitment: bytes
    signature: bytes
    def __init__(self, client: _Optional[str] = ..., channel_public: _Optional[bytes] = ..., mask_public: _Optional[bytes] = ..., seed_commitment: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class AdvertList(_message.Message):
    __slots__ = ("adverts",)
    ADVERTS_FIELD_NUMBER: _ClassVar[int]
    adverts: _containers.RepeatedCompositeFieldContainer[KeyAdvert]
    def __init__(self, adverts: _Optional[_Iterable[_Union[KeyAdvert, _Mapping]]] = ...) -> None: ...

class SealedShares(_message.Message):
    __slots__ = ("peer", "ciphertext", "seed_share_commitment", "mask_key_share_commitment")
    PEER_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    SEED_SHARE_COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    MASK_KEY_SHARE_COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    peer: str
    ciphertext: bytes
    seed_share_commitment: bytes
    mask_key_share_commitment: bytes
    def __init__(self, peer: _Optional[str] = ..., ciphertext: _Optional[bytes] = ..., seed_share_commitment: _Optional[bytes] = ..., mask_key_share_commitment: _Optional[bytes] = ...) -> None: ...

class EncryptedShares(_message.Message):
    __slots__ = ("shares", "signature")
    SHARES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[SealedShares]
    signature: bytes
    def __init__(self, shares: _Optional[_Iterable[_Union[SealedShares, _Mapping]]] = ..., signature: _Optional[bytes] = ...) -> None: ...

class DeliveredShares(_message.Message):
    __slots__ = ("sealed", "path", "signature")
    SEALED_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    sealed: SealedShares
    path: _containers.RepeatedScalarFieldContainer[bytes]
    signature: bytes
    def __init__(self, sealed: _Optional[_Union[SealedShares, _Mapping]] = ..., path: _Optional[_Iterable[bytes]] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ShareDelivery(_message.Message):
    __slots__ = ("shares",)
    SHARES_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[DeliveredShares]
    def __init__(self, shares: _Optional[_Iterable[_Union[DeliveredShares, _Mapping]]] = ...) -> None: ...

class SurvivorList(_message.Message):
    __slots__ = ("survivors",)
    SURVIVORS_FIELD_NUMBER: _ClassVar[int]
    survivors: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, survivors: _Optional[_Iterable[str]] = ...) -> None: ...

class ConsistencySignature(_message.Message):
    __slots__ = ("client", "signature")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    client: str
    signature: bytes
    def __init__(self, client: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ConsistencyProof(_message.Message):
    __slots__ = ("signatures",)
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    signatures: _containers.RepeatedCompositeFieldContainer[ConsistencySignature]
    def __init__(self, signatures: _Optional[_Iterable[_Union[ConsistencySignature, _Mapping]]] = ...) -> None: ...

class PeerShare(_message.Message):
    __slots__ = ("peer", "seed_share", "mask_key_share")
    PEER_FIELD_NUMBER: _ClassVar[int]
    SEED_SHARE_FIELD_NUMBER: _ClassVar[int]
    MASK_KEY_SHARE_FIELD_NUMBER: _ClassVar[int]
    peer: str
    seed_share: bytes
    mask_key_share: bytes
    def __init__(self, peer: _Optional[str] = ..., seed_share: _Optional[bytes] = ..., mask_key_share: _Optional[bytes] = ...) -> None: ...

class UnmaskShares(_message.Message):
    __slots__ = ("shares", "signature")
    SHARES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[PeerShare]
    signature: bytes
    def __init__(self, shares: _Optional[_Iterable[_Union[PeerShare, _Mapping]]] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Withdrawal(_message.Message):
    __slots__ = ("reason", "accused")
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACCUSED_FIELD_NUMBER: _ClassVar[int]
    reason: str
    accused: str
    def __init__(self, reason: _Optional[str] = ..., accused: _Optional[str] = ...) -> None: ...

class ClientMessage(_message.Message):
    __slots__ = ("key_advert", "encrypted_shares", "consistency_signature", "unmask_shares", "withdrawal")
    KEY_ADVERT_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_SHARES_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    UNMASK_SHARES_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWAL_FIELD_NUMBER: _ClassVar[int]
    key_advert: KeyAdvert
    encrypted_shares: EncryptedShares
    consistency_signature: ConsistencySignature
    unmask_shares: UnmaskShares
    withdrawal: Withdrawal
    def __init__(self, key_advert: _Optional[_Union[KeyAdvert, _Mapping]] = ..., encrypted_shares: _Optional[_Union[EncryptedShares, _Mapping]] = ..., consistency_signature: _Optional[_Union[ConsistencySignature, _Mapping]] = ..., unmask_shares: _Optional[_Union[UnmaskShares, _Mapping]] = ..., withdrawal: _Optional[_Union[Withdrawal, _Mapping]] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("advert_list", "share_delivery", "survivor_list", "consistency_proof")
    ADVERT_LIST_FIELD_NUMBER: _ClassVar[int]
    SHARE_DELIVERY_FIELD_NUMBER: _ClassVar[int]
    SURVIVOR_LIST_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_PROOF_FIELD_NUMBER: _ClassVar[int]
    advert_list: AdvertList
    share_delivery: ShareDelivery
    survivor_list: SurvivorList
    consistency_proof: ConsistencyProof
    def __init__(self, advert_list: _Optional[_Union[AdvertList, _Mapping]] = ..., share_delivery: _Optional[_Union[ShareDelivery, _Mapping]] = ..., survivor_list: _Optional[_Union[SurvivorList, _Mapping]] = ..., consistency_proof: _Optional[_Union[ConsistencyProof, _Mapping]] = ...) -> None: ...
