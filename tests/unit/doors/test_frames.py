"""Websocket frames from a hostile server: what breaks the protocol ends the connection, however it is cut into pieces."""

from __future__ import annotations

import struct

import pytest
from aiohttp import WSMsgType
from hypothesis import given
from hypothesis import strategies as st

from egress_gate.doors.frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, FrameFault, FrameReader, Message, frame

MOST = 1000


def raw(code: int, payload: bytes, *, final: bool = True, reserved: int = 0, size: int | None = None) -> bytes:
    made = bytearray(frame(code, payload))
    made[0] = (0x80 if final else 0) | reserved | code
    if size is not None:
        made = bytearray(struct.pack("!BBQ", made[0], 127, size)) + payload
    return bytes(made)


BROKEN = {
    "masked": frame(TEXT, b"x", mask=True),
    "compressed though not agreed": raw(TEXT, b"x", reserved=0x40),
    "unknown kind": raw(3, b"x"),
    "unknown control": raw(11, b"x"),
    "continuation of nothing": raw(CONTINUATION, b"x"),
    "text within a fragmented text": raw(TEXT, b"x", final=False) + raw(TEXT, b"y"),
    "fragmented control": raw(PING, b"x", final=False),
    "long control": raw(PING, b"x" * 126),
    "larger than allowed": raw(BINARY, b"x" * (MOST + 1)),
    "larger than allowed, said only": raw(BINARY, b"", size=2**63 - 1),
    "negative size": raw(BINARY, b"", size=2**64 - 1),
    "fragments larger than allowed": raw(TEXT, b"x" * 600, final=False) + raw(CONTINUATION, b"x" * 600),
    "fragments without end": raw(TEXT, b"", final=False) + raw(CONTINUATION, b"", final=False) * 5000,
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("piece", [1, 7, 10**6])
def test_what_breaks_the_protocol_is_a_fault(name: str, piece: int) -> None:
    data, reader = BROKEN[name], FrameReader(MOST)
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    with pytest.raises(FrameFault):
        [reader.feed(part) for part in pieces]


@given(
    st.lists(st.tuples(st.sampled_from([WSMsgType.TEXT, WSMsgType.BINARY]), st.binary(max_size=300)), max_size=8),
    st.integers(1, 400),
)
def test_messages_come_out_whole_and_in_order(sent: list[Message], piece: int) -> None:
    data = b"".join(frame(TEXT if kind is WSMsgType.TEXT else BINARY, payload) for kind, payload in sent)
    reader = FrameReader(MOST)
    got = [message for at in range(0, len(data), piece) for message in reader.feed(data[at : at + piece])]
    assert got == sent


@given(st.binary(max_size=600), st.integers(1, 50))
def test_any_bytes_are_messages_or_a_fault(data: bytes, piece: int) -> None:
    reader = FrameReader(MOST)
    try:
        for at in range(0, len(data), piece):
            for _, payload in reader.feed(data[at : at + piece]):
                assert len(payload) <= MOST
    except FrameFault:
        return


def test_fragments_are_joined_and_pings_between_them_kept() -> None:
    reader = FrameReader(MOST)
    data = (
        raw(TEXT, b"a", final=False)
        + frame(PING, b"p")
        + raw(CONTINUATION, b"b", final=False)
        + raw(CONTINUATION, b"c")
    )
    assert reader.feed(data) == [(WSMsgType.TEXT, b"abc")]
    assert reader.pings == [b"p"]


def test_after_a_close_nothing_more_is_read() -> None:
    reader = FrameReader(MOST)
    assert reader.feed(frame(CLOSE, b"") + frame(TEXT, b"patient-4711")) == []
    assert reader.closed


def test_a_large_message_in_small_pieces_is_not_copied_for_each() -> None:
    reader = FrameReader(2**24)
    data = frame(BINARY, b"x" * 2**23)
    got = [message for at in range(0, len(data), 4096) for message in reader.feed(data[at : at + 4096])]
    assert [len(payload) for _, payload in got] == [2**23]
