"""The tree against the published vectors of Certificate Transparency and against RFC 6962's own recursive definitions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ProofFault
from ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    LeafNodes,
    frontier_of,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)

VECTORS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes.fromhex(data)) for data in VECTORS]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(str(i).encode()) for i in range(count)]


# RFC 6962, section 2.1, written down as it stands there: the oracle.
def mth(d: list[bytes]) -> bytes:
    if not d:
        return hashlib.sha256(b"").digest()
    if len(d) == 1:
        return d[0]
    k = largest_power_below(len(d))
    return node_hash(mth(d[:k]), mth(d[k:]))


def path(m: int, d: list[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = largest_power_below(len(d))
    return [*path(m, d[:k]), mth(d[k:])] if m < k else [*path(m - k, d[k:]), mth(d[:k])]


def subproof(m: int, d: list[bytes], whole: bool) -> list[bytes]:
    if m == len(d):
        return [] if whole else [mth(d)]
    k = largest_power_below(len(d))
    if m <= k:
        return [*subproof(m, d[:k], whole), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


def largest_power_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


@dataclass
class CountingNodes:
    """As a store keeps them: a hash and a frontier with each leaf; counts what is read."""

    leaves: list[bytes]
    reads: int = 0
    frontiers: list[Frontier] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.frontiers = [Frontier()]
        for leaf in self.leaves:
            self.frontiers.append(self.frontiers[-1].append(leaf))

    def leaf(self, index: int) -> bytes:
        self.reads += 1
        return self.leaves[index]

    def frontier(self, size: int) -> Frontier:
        self.reads += 1
        return self.frontiers[size]


def test_the_empty_tree_and_the_published_roots() -> None:
    assert Frontier().root() == EMPTY_ROOT == mth([])
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [frontier_of(LEAVES[:n]).root().hex() for n in range(1, 9)] == ROOTS


@pytest.mark.parametrize(
    ("index", "size", "expected"),
    [
        (0, 1, []),
        (0, 8, [A, B, C]),
        (
            5,
            8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    ],
)
def test_the_published_inclusion_proofs(index: int, size: int, expected: list[str]) -> None:
    assert [h.hex() for h in prove_inclusion(LeafNodes(LEAVES), index, size)] == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (1, 1, []),
        (1, 8, [A, B, C]),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 5, [B, "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
    ],
)
def test_the_published_consistency_proofs(first: int, second: int, expected: list[str]) -> None:
    assert [h.hex() for h in prove_consistency(LeafNodes(LEAVES), first, second)] == expected


def test_every_proof_of_small_trees_is_the_rfcs_and_holds() -> None:
    leaves = hashes(40)
    nodes = CountingNodes(leaves)
    for size in range(1, 41):
        root = nodes.frontiers[size].root()
        assert root == mth(leaves[:size])
        for index in range(size):
            proof = prove_inclusion(nodes, index, size)
            assert proof == path(index, leaves[:size])
            verify_inclusion(leaves[index], index, size, proof, root)
        for first in range(1, size + 1):
            proof = prove_consistency(nodes, first, size)
            assert proof == subproof(first, leaves[:size], True)
            verify_consistency(first, size, proof, nodes.frontiers[first].root(), root)


@given(st.data())
def test_no_inclusion_proof_survives_a_change(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    root, proof = mth(leaves), prove_inclusion(LeafNodes(leaves), index, size)
    wrong = list(proof)
    change = data.draw(st.sampled_from(["leaf", "root", "index", "drop", "add", "flip"]))
    if change == "drop" and wrong:
        wrong.pop(data.draw(st.integers(0, len(wrong) - 1)))
    elif change == "flip" and wrong:
        at = data.draw(st.integers(0, len(wrong) - 1))
        wrong[at] = bytes([wrong[at][0] ^ 1]) + wrong[at][1:]
    else:
        wrong.insert(data.draw(st.integers(0, len(wrong))), bytes(32))
    with pytest.raises(ProofFault):
        verify_inclusion(leaves[index], index, size, wrong, root)
    for other in {index + 1, index ^ 1, size} - {index}:
        with pytest.raises(ProofFault):
            verify_inclusion(leaves[index], other, size, proof, root)
    with pytest.raises(ProofFault):
        verify_inclusion(bytes(32), index, size, proof, root)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 6))
def test_no_rewritten_history_is_consistent(a: int, b: int, where: int) -> None:
    first, second = min(a, b), max(a, b)
    leaves = hashes(second)
    forged = list(leaves)
    forged[where % first] = leaf_hash(b"forged")
    proof = prove_consistency(LeafNodes(forged), first, second)
    with pytest.raises(ProofFault):
        verify_consistency(first, second, proof, mth(leaves[:first]), mth(forged))
    honest = prove_consistency(LeafNodes(leaves), first, second)
    with pytest.raises(ProofFault):
        verify_consistency(first, second, [*honest, bytes(32)], mth(leaves[:first]), mth(leaves))
    if honest:
        with pytest.raises(ProofFault):
            verify_consistency(first, second, honest[:-1], mth(leaves[:first]), mth(leaves))


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 1)])
def test_impossible_sizes_are_refused(first: int, second: int) -> None:
    with pytest.raises(ProofFault):
        verify_consistency(first, second, [], bytes(32), bytes(32))
    with pytest.raises(ProofFault):
        prove_consistency(LeafNodes(hashes(3)), first, second)


def test_an_entry_outside_the_tree_has_no_proof() -> None:
    with pytest.raises(ProofFault):
        prove_inclusion(LeafNodes(hashes(3)), 3, 3)
    with pytest.raises(ProofFault):
        verify_inclusion(bytes(32), 3, 3, [], bytes(32))


def test_a_proof_reads_a_handful_of_rows() -> None:
    nodes = CountingNodes(hashes(5000))
    worst = 0
    for index in range(0, 5000, 37):
        nodes.reads = 0
        prove_inclusion(nodes, index, 5000)
        worst = max(worst, nodes.reads)
    assert worst <= 13 * 13


@given(st.integers(0, 300))
def test_a_frontier_survives_storage(size: int) -> None:
    frontier = frontier_of(hashes(size))
    assert Frontier.unpack(frontier.pack()) == frontier
    assert len(frontier.roots) == size.bit_count()


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, b"\x00" * 7 + b"\x01", b"\x00" * 40])
def test_a_broken_frontier_is_refused(data: bytes) -> None:
    with pytest.raises(ProofFault):
        Frontier.unpack(data)
