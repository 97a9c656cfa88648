import numpy as np

from fecosr.ids import NodeId
from fecosr.secagg.messages import (
    ConsistencyProof,
    DeliveredShares,
    EncryptedShares,
    MaskedInput,
    Phase,
    SealedShares,
    ShareDelivery,
    SurvivorList,
    UnmaskShares,
    Withdrawal,
    came_late,
)

A = NodeId("a")


def test_a_message_is_late_only_after_its_phase() -> None:
    assert came_late(SurvivorList((A,)), Phase.CONSISTENCY)
    assert not came_late(SurvivorList((A,)), Phase.MASKED_INPUT)
    assert not came_late(SurvivorList((A,)), Phase.SHARE_KEYS)
    assert came_late(ConsistencyProof(()), Phase.UNMASK)
    assert not came_late(Withdrawal("gone"), Phase.UNMASK)


def test_what_is_masked_sealed_or_a_share_is_not_printed() -> None:
    payload = b"\x5b" * 33
    vector = np.array([123_456_789], dtype=np.uint32)
    for message in (
        EncryptedShares({A: SealedShares(payload, b"", b"")}, b""),
        ShareDelivery({A: DeliveredShares(SealedShares(payload, b"", b""), (), b"")}),
        UnmaskShares({A: payload}, {A: payload}, b""),
        MaskedInput(vector, b""),
    ):
        assert repr(payload) not in repr(message)
        assert "123456789" not in repr(message)
