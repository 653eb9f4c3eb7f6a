"""The Merkle tree of RFC 6962 section 2.1 over SHA-256: hashes, an O(log n) frontier for appending, proofs and their checks.

Proofs are made from what a log keeps with each leaf, its hash and the frontier after it, so a proof reads O(log² n) rows
and never the whole log. Checking follows RFC 9162 sections 2.1.3.2 and 2.1.4.2 and needs only the proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.errors import ProofFault

HASH = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data): the prefix keeps a leaf from posing as a node."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """The roots of the perfect subtrees of a tree of ``size`` leaves, largest first: all that an append needs."""

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """The frontier with one more leaf hash (32 bytes)."""
        roots, carry, size = list(self.roots), leaf, self.size
        while size & 1:
            carry = node_hash(roots.pop(), carry)
            size >>= 1
        return Frontier(self.size + 1, (*roots, carry))

    def root(self) -> bytes:
        return _fold(self.roots) if self.roots else EMPTY_ROOT

    def starts(self) -> Iterator[int]:
        """The number of the first leaf under each root."""
        start = 0
        for bit in reversed(range(self.size.bit_length())):
            if self.size >> bit & 1:
                yield start
                start += 1 << bit

    def root_from(self, low: int) -> bytes | None:
        """The root over the leaves from ``low`` to the end, when a subtree starts there; otherwise None."""
        for position, start in enumerate(self.starts()):
            if start == low:
                return _fold(self.roots[position:])
        return None

    def pack(self) -> bytes:
        return self.size.to_bytes(8, "big") + b"".join(self.roots)

    @classmethod
    def unpack(cls, data: bytes) -> Frontier:
        """Raises ProofFault when the bytes are not a packed frontier."""
        size = int.from_bytes(data[:8], "big")
        if len(data) != 8 + HASH * size.bit_count():
            raise _fault("the stored frontier has the wrong length")
        return cls(size, tuple(data[i : i + HASH] for i in range(8, len(data), HASH)))


def _fold(roots: Sequence[bytes]) -> bytes:
    value = roots[-1]
    for left in reversed(roots[:-1]):
        value = node_hash(left, value)
    return value


def frontier_of(leaves: Iterable[bytes]) -> Frontier:
    """The frontier over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf)
    return frontier


class Nodes(Protocol):
    """What a log keeps with each leaf. `frontier` is asked for a size of at least 1."""

    def leaf(self, index: int) -> bytes: ...

    def frontier(self, size: int) -> Frontier: ...


@dataclass(frozen=True)
class LeafNodes:
    """`Nodes` over leaf hashes in memory; computes each frontier anew, so for small logs."""

    leaves: Sequence[bytes]

    def leaf(self, index: int) -> bytes:
        return self.leaves[index]

    def frontier(self, size: int) -> Frontier:
        return frontier_of(self.leaves[:size])


def prove_inclusion(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """The audit path of leaf ``index`` in the tree of ``size`` leaves (RFC 6962 section 2.1.1)."""
    if not 0 <= index < size:
        raise _fault("the entry is not in the tree")
    low, high, path = 0, size, []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_subtree(nodes, middle, high))
            high = middle
        else:
            path.append(_subtree(nodes, low, middle))
            low = middle
    return path[::-1]


def prove_consistency(nodes: Nodes, first: int, second: int) -> list[bytes]:
    """The proof that the tree of ``second`` leaves extends its own first ``first`` (RFC 6962 section 2.1.2)."""
    if not 0 < first <= second:
        raise _fault("there is nothing to be consistent with")
    low, high, path = 0, second, []
    while high != first:
        middle = low + _split(high - low)
        if first <= middle:
            path.append(_subtree(nodes, middle, high))
            high = middle
        else:
            path.append(_subtree(nodes, low, middle))
            low = middle
    if low:
        path.append(_subtree(nodes, low, high))
    return path[::-1]


def _split(n: int) -> int:
    """The largest power of two smaller than ``n``."""
    return 1 << (n - 1).bit_length() - 1


def _subtree(nodes: Nodes, low: int, high: int) -> bytes:
    if high - low == 1:
        return nodes.leaf(low)
    kept = nodes.frontier(high).root_from(low)
    if kept is not None:
        return kept
    middle = low + _split(high - low)
    return node_hash(_subtree(nodes, low, middle), _subtree(nodes, middle, high))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raises ProofFault unless ``path`` leads from ``leaf`` at ``index`` to ``root`` of a tree of ``size``."""
    if not 0 <= index < size:
        raise _fault("the entry's number is outside the tree")
    node, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise _fault("the inclusion proof is too long")
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        node >>= 1
        last >>= 1
    if last or value != root:
        raise _fault("the inclusion proof does not lead to the root")


def verify_consistency(first: int, second: int, proof: Sequence[bytes], old: bytes, new: bytes) -> None:
    """Raises ProofFault unless the tree of ``second`` leaves with root ``new`` extends the one of ``first`` with root ``old``."""
    if not 0 < first <= second:
        raise _fault("the older tree is larger than the newer")
    if first == second:
        if proof or old != new:
            raise _fault("two roots of one size differ")
        return
    rest = list(proof)
    if first & (first - 1) == 0:
        rest.insert(0, old)
    if not rest:
        raise _fault("the consistency proof is empty")
    node, last = first - 1, second - 1
    while node & 1:
        node >>= 1
        last >>= 1
    older = newer = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            raise _fault("the consistency proof is too long")
        if node & 1 or node == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, sibling)
        node >>= 1
        last >>= 1
    if last or older != old or newer != new:
        raise _fault("the newer tree does not extend the older")


def _fault(why: str) -> ProofFault:
    return ProofFault("The proof was refused.", why=f"Because {why}.", do="Ask for the log itself and verify it whole.")
