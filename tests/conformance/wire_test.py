"""Tests which frames, handshake responses and compressed messages the client accepts, in literal bytes."""

import zlib

import pytest

from data import KINDS, contents
from deflate import Agreed, Deflater, Inflater, Offer, agree
from wire import (BINARY, CLOSE, CONTINUATION, PING, TEXT, FrameReader, Refused, Upgrade, Violation, fragments, frame,
                  mask, read_close)


def frames(data, compresses=False):
    reader = FrameReader(compresses)
    found = []
    for byte in data:  # byte by byte: the parser is incremental
        reader.feed(bytes([byte]))
        while (one := reader.next()) is not None:
            found.append((one.opcode, one.payload, one.fin, one.rsv))
    return found


def test_frame_reader_parses_valid_frames():
    assert frames(b"\x81\x02hi") == [(TEXT, b"hi", True, 0)]
    assert frames(b"\x01\x01h\x89\x00\x80\x01i") == [
        (TEXT, b"h", False, 0), (PING, b"", True, 0), (CONTINUATION, b"i", True, 0)]
    assert frames(b"\x82\x7e\x00\x7e" + bytes(126)) == [(BINARY, bytes(126), True, 0)]
    assert frames(b"\x82\x7f\0\0\0\0\0\x01\0\0" + bytes(65536)) == [(BINARY, bytes(65536), True, 0)]
    assert frames(b"\xc1\x01x", compresses=True) == [(TEXT, b"x", True, 4)]
    assert frames(b"\x81\x05hell") == []


@pytest.mark.parametrize("data, compresses", [
    (b"\x81\x80\0\0\0\0", False),  # masked
    (b"\xc1\x00", False),  # RSV1 without an extension
    (b"\xa1\x00", True), (b"\x91\x00", True),  # RSV2, RSV3
    (b"\x41\x00\xc0\x00", True),  # RSV1 on a continuation
    (b"\xc9\x00", True),  # RSV1 on a ping
    (b"\x83\x00", False), (b"\x87\x00", False), (b"\x8b\x00", False), (b"\x8f\x00", False),  # reserved opcodes
    (b"\x09\x00", False), (b"\x08\x00", False),  # fragmented control frames
    (b"\x89\x7e\x00\x7e", False),  # a control frame of 126 bytes
    (b"\x80\x00", False), (b"\x00\x00", False),  # continuations outside a message
    (b"\x01\x00\x81\x00", False),  # a message inside another
    (b"\x81\x7e\x00\x7d", False), (b"\x81\x7f\0\0\0\0\0\0\xff\xff", False),  # lengths that are not minimal
    (b"\x81\x7f\x80\0\0\0\0\0\0\0", False),
])
def test_frame_reader_rejects_an_invalid_frame_header(data, compresses):
    with pytest.raises(Violation):
        frames(data, compresses)


@pytest.mark.parametrize("payload, close", [
    (b"", (None, b"")), (b"\x03\xe8", (1000, b"")), (b"\x03\xebno", (1003, b"no")), (b"\x13\x87", (4999, b"")),
    (b"\x03\xe8\xc3\xbc", (1000, b"\xc3\xbc")),
    (b"\x03", None), (b"\x03\xed", None), (b"\x03\xee", None), (b"\x03\xf7", None), (b"\x13\x88", None),
    (b"\x03\xe7", None), (b"\x03\xe8\xff", None),
])
def test_read_close_parses_valid_payloads_and_rejects_invalid_ones(payload, close):
    if close is None:
        with pytest.raises(Violation):
            read_close(payload)
    else:
        assert read_close(payload) == close


def test_frames_masks_and_fragments_are_encoded_correctly():
    key = b"\x01\x02\x03\x04"
    assert frame(TEXT, b"hello", key=key) == b"\x81\x85" + key + bytes([0x69, 0x67, 0x6F, 0x68, 0x6E])
    assert frame(PING, fin=False, rsv=5, key=key) == b"\x59\x80" + key
    assert frame(CLOSE, b"ab", masked=False, length_form=16) == b"\x88\x7e\x00\x02ab"
    assert frame(BINARY, bytes(126), key=bytes(4))[:4] == b"\x82\xfe\x00\x7e"
    assert frame(BINARY, bytes(65536), key=bytes(4))[:10] == b"\x82\xff\0\0\0\0\0\x01\0\0"
    for size in range(10):
        assert mask(b"\xf0" * size, key) == bytes(0xF0 ^ key[index % 4] for index in range(size))
    # As in the suite, a message whose length is a multiple of the fragment size ends with an empty frame.
    assert [part[0] for part in fragments(TEXT, b"abcd", 2)] == [0x01, 0x00, 0x80]
    assert [part[0] for part in fragments(TEXT, b"abc", 2, rsv=4)] == [0x41, 0x80]
    assert [part[0] for part in fragments(TEXT, b"ab", 2)] == [0x81]


# --- the opening handshake

HEAD = ["HTTP/1.1 101 Switching Protocols", "Upgrade: WebSocket", "Connection: keep-alive, upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]


def judge(lines, offers=""):
    upgrade = Upgrade("localhost", "/", offers)
    upgrade.key = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455 §1.3
    return upgrade.judge("\r\n".join(lines).encode())


def test_upgrade_accepts_a_valid_response():
    assert judge(HEAD) == ""
    assert judge([*HEAD, "Sec-WebSocket-Extensions: a; b"], "a") == "a; b"


@pytest.mark.parametrize("lines", [
    ["HTTP/1.1 200 OK", *HEAD[1:]],
    [HEAD[0], *HEAD[2:]],
    [*HEAD[:2], "Connection: close", HEAD[3]],
    [*HEAD[:3], "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO="],
    HEAD[:3],
    [*HEAD, HEAD[3]],
    [*HEAD, "Sec-WebSocket-Protocol: chat"],
    [*HEAD, "Sec-WebSocket-Extensions: permessage-deflate"],
    [*HEAD, "nonsense"],
])
def test_upgrade_rejects_an_invalid_response(lines):
    with pytest.raises(Refused):
        judge(lines)


# --- compression

def test_offer_lists_its_extension_parameters():
    plain = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
    assert str(Offer()) == plain
    assert str(Offer(True, 9)) == plain + "; server_no_context_takeover; server_max_window_bits=9"


ASKED = [Offer(forgets=True, window_bits=9)]


@pytest.mark.parametrize("answer, offers, agreed", [
    ("", [Offer()], None),
    ("permessage-deflate", [Offer()], Agreed()),
    ("permessage-deflate; client_no_context_takeover; client_max_window_bits=8", [Offer()], Agreed(True, 8)),
    ('permessage-deflate; server_max_window_bits="10"', [Offer()], Agreed(server_window_bits=10)),
    ("permessage-deflate; server_no_context_takeover; server_max_window_bits=8", ASKED,
     Agreed(server_forgets=True, server_window_bits=8)),
    ("permessage-deflate", [*ASKED, Offer()], Agreed()),
])
def test_agree_returns_the_parameters_of_a_response_that_matches_an_offer(answer, offers, agreed):
    assert agree(answer, offers) == agreed


@pytest.mark.parametrize("answer, offers", [
    ("permessage-deflate, permessage-deflate", [Offer()]),
    ("x-webkit-deflate-frame", [Offer()]),
    ("permessage-deflate; client_max_window_bits", [Offer()]),
    ("permessage-deflate; client_max_window_bits=16", [Offer()]),
    ("permessage-deflate; server_max_window_bits=7", [Offer()]),
    ("permessage-deflate; server_max_window_bits=09", [Offer()]),
    ("permessage-deflate; server_no_context_takeover=true", [Offer()]),
    ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", [Offer()]),
    ("permessage-deflate; level=9", [Offer()]),
    ("permessage-deflate", ASKED),
    ("permessage-deflate; server_no_context_takeover", ASKED),
    ("permessage-deflate; server_max_window_bits=9", ASKED),
    ("permessage-deflate; server_no_context_takeover; server_max_window_bits=10", ASKED),
])
def test_agree_rejects_a_response_that_is_invalid_or_matches_no_offer(answer, offers):
    with pytest.raises(Refused):
        agree(answer, offers)


def server_deflates(messages, bits, forgets=False):
    stream = None
    for message in messages:
        if stream is None or forgets:
            stream = zlib.compressobj(6, zlib.DEFLATED, -bits)
        yield (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(deflated, agreed, messages):
    inflater = Inflater(agreed)
    return [inflater.inflate(data, len(message)) for data, message in zip(deflated, messages)]


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("forgets", [False, True])
def test_inflater_decompresses_messages(bits, forgets):
    messages = [contents(0)[:5000], b"", contents(0)[:5000], contents(1)[:3000]]
    agreed = Agreed(server_window_bits=bits, server_forgets=forgets)
    assert inflate(server_deflates(messages, bits, forgets), agreed, messages) == messages


def test_inflater_rejects_data_that_needs_more_context_than_negotiated():
    messages = [contents(0)[:5000]] * 2
    for used, agreed in [
        ((15, False), Agreed(server_window_bits=9)),
        ((11, False), Agreed(server_window_bits=10)),
        ((15, True), Agreed(server_window_bits=9, server_forgets=True)),
        ((15, False), Agreed(server_forgets=True)),
    ]:
        with pytest.raises(Violation):
            inflate(server_deflates(messages, *used), agreed, messages)


def test_inflater_rejects_match_distances_beyond_the_window_and_an_eighth():
    """The message repeats its first 64 bytes after `distance` bytes, so its match has exactly that distance."""
    stretch = bytes(range(64))
    for distance, is_found in ((500, False), (512, False), (512 + 64 + 64, True), (1000, True)):
        message = stretch + contents(4)[2000:2000 + distance - 64] + stretch
        (deflated,) = server_deflates([message], 15)
        inflater = Inflater(Agreed(server_window_bits=9))
        if is_found:
            with pytest.raises(Violation):
                inflater.inflate(deflated, len(message))
        else:
            assert inflater.inflate(deflated, len(message)) == message


def test_inflater_rejects_malformed_and_oversized_messages():
    (good,) = server_deflates([b"hello"], 15)
    assert Inflater(Agreed()).inflate(good, 5) == b"hello"
    for bad in (good + b"\x00\x00\xff\xff", good[:-1], zlib.compress(b"hello")):
        with pytest.raises(Violation):
            Inflater(Agreed()).inflate(bad, 5)
    with pytest.raises(Violation):
        Inflater(Agreed()).inflate(good, 4)


@pytest.mark.parametrize("bits", range(8, 16))
def test_deflater_uses_the_window_size_that_the_server_chose(bits):
    deflater, inflater = Deflater(Agreed(client_window_bits=bits)), Inflater(Agreed(server_window_bits=bits))
    for message in [contents(0)[:5000], contents(2)[:5000], contents(0)[:5000]]:
        assert inflater.inflate(deflater.deflate(message), len(message)) == message


# --- test data

@pytest.mark.parametrize("index, size, ratio", [
    (0, 194056, 0.044), (1, 263222, 0.851), (2, 222218, 0.389), (3, 263647, 0.055), (4, 1042328, 0.758)])
def test_generated_data_has_the_size_and_compression_ratio_of_the_suite_s_files(index, size, ratio):
    assert len(contents(index)) == size
    assert abs(len(zlib.compress(contents(index), 6)) / size - ratio) < 0.04
    assert contents(index) == KINDS[index][2]()
