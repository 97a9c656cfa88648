import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.crypto.merkle import (
    EMPTY_ROOT,
    MerkleTree,
    TreeHead,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from fecosr.errors import CryptoError, MisuseError
from tests.reference import slow_merkle

CT_RECORDS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The test vectors of Certificate Transparency's reference implementation."""

CT_PATHS = [
    (0, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (5, 8, [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
]  # fmt: skip
CT_PROOFS = [
    (6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 5, [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip

sizes = st.integers(1, 70)


def _records(size: int) -> list[bytes]:
    return [str(number).encode() for number in range(size)]


def _tree(records: list[bytes]) -> MerkleTree:
    return MerkleTree([leaf_hash(record) for record in records])


def _head(tree: MerkleTree, size: int) -> TreeHead:
    return TreeHead(size, tree.root(size))


def test_roots_are_those_of_certificate_transparency() -> None:
    tree = _tree(CT_RECORDS)
    assert [tree.root(size).hex() for size in range(1, 9)] == CT_ROOTS
    assert (
        MerkleTree().root().hex()
        == EMPTY_ROOT.hex()
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


@pytest.mark.parametrize(("index", "size", "path"), CT_PATHS)
def test_paths_are_those_of_certificate_transparency(index: int, size: int, path: list[str]) -> None:
    proof = _tree(CT_RECORDS).inclusion_proof(index, size)
    assert [node.hex() for node in proof] == path


@pytest.mark.parametrize(("earlier", "size", "path"), CT_PROOFS)
def test_proofs_are_those_of_certificate_transparency(earlier: int, size: int, path: list[str]) -> None:
    proof = _tree(CT_RECORDS).consistency_proof(earlier, size)
    assert [node.hex() for node in proof] == path


def test_every_small_tree_is_that_of_the_definition() -> None:
    records = _records(40)
    tree = _tree(records)
    for size in range(1, 41):
        assert tree.root(size) == slow_merkle.tree_hash(records[:size])
        for index in range(size):
            assert list(tree.inclusion_proof(index, size)) == slow_merkle.path(index, records[:size])
            assert list(tree.consistency_proof(index + 1, size)) == slow_merkle.proof(
                index + 1, records[:size]
            )


def test_every_honest_proof_verifies() -> None:
    tree = _tree(_records(40))
    for size in range(1, 41):
        for index in range(size):
            leaf = leaf_hash(str(index).encode())
            verify_inclusion(leaf, index, tree.inclusion_proof(index, size), _head(tree, size))
            verify_consistency(
                _head(tree, index + 1), tree.consistency_proof(index + 1, size), _head(tree, size)
            )
        verify_consistency(TreeHead(0, EMPTY_ROOT), (), _head(tree, size))


@given(st.data())
def test_a_false_inclusion_never_verifies(data: st.DataObject) -> None:
    size = data.draw(sizes)
    index, claimed = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 80))
    tree = _tree(_records(size))
    proof = list(tree.inclusion_proof(index))
    fault = data.draw(st.sampled_from(("place", "leaf", "root", "longer", "shorter", "flipped")))
    leaf, head = leaf_hash(str(index).encode()), _head(tree, size)
    if fault == "place":
        if claimed == index:
            return
        index = claimed
    elif fault == "leaf":
        leaf = leaf_hash(b"another record")
    elif fault == "root":
        head = TreeHead(size, leaf_hash(b"another tree"))
    else:
        _damage(proof, fault, data)
    with pytest.raises(CryptoError, match="inclusion"):
        verify_inclusion(leaf, index, proof, head)


@given(st.data())
def test_a_rewritten_history_never_verifies(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 70))
    earlier, changed = data.draw(st.integers(1, size - 1)), data.draw(st.integers(0, 69))
    honest = _records(size)
    forged = list(honest)
    forged[changed % earlier] = b"rewritten"
    before, after = _head(_tree(honest), earlier), _tree(forged)
    with pytest.raises(CryptoError, match="consistency"):
        verify_consistency(before, after.consistency_proof(earlier), _head(after, size))


@given(st.data())
def test_a_damaged_consistency_proof_never_verifies(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 70))
    earlier = data.draw(st.integers(1, size - 1))
    tree = _tree(_records(size))
    proof = list(tree.consistency_proof(earlier))
    _damage(proof, data.draw(st.sampled_from(("longer", "shorter", "flipped"))), data)
    with pytest.raises(CryptoError, match="consistency"):
        verify_consistency(_head(tree, earlier), proof, _head(tree, size))


def _damage(proof: list[bytes], fault: str, data: st.DataObject) -> None:
    if fault == "longer" or not proof:
        proof.append(bytes(32))
    elif fault == "shorter":
        proof.pop(data.draw(st.integers(0, len(proof) - 1)))
    else:
        place = data.draw(st.integers(0, len(proof) - 1))
        proof[place] = bytes([proof[place][0] ^ 1]) + proof[place][1:]


def test_a_tree_that_shrank_or_forked_is_refused() -> None:
    tree, other = _tree(_records(5)), _tree([b"x", *_records(4)])
    with pytest.raises(CryptoError, match="shrank"):
        verify_consistency(_head(tree, 5), (), _head(tree, 4))
    with pytest.raises(CryptoError, match="second history"):
        verify_consistency(_head(tree, 5), (), _head(other, 5))
    with pytest.raises(CryptoError, match="second history"):
        verify_consistency(TreeHead(0, bytes(32)), (), _head(tree, 5))
    with pytest.raises(CryptoError, match="too long"):
        verify_consistency(_head(tree, 5), (bytes(32),), _head(tree, 5))


def test_a_leaf_cannot_pass_for_an_inner_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != MerkleTree([left, right]).root()


def test_refuses_questions_about_what_is_not_there() -> None:
    tree = _tree(_records(3))
    for question in (
        lambda: tree.root(4),
        lambda: tree.root(-1),
        lambda: tree.inclusion_proof(3),
        lambda: tree.inclusion_proof(2, 2),
        lambda: tree.consistency_proof(0),
        lambda: tree.consistency_proof(3, 2),
    ):
        with pytest.raises(MisuseError):
            question()
