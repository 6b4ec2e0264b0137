"""Captures that keep only the first bytes of each packet (snaplen 60 to 200), and captures that lack packets: wstrace
finds the frames after the missing bytes, at the packets that carried them, and shows what is missing."""

import json
import random
import struct

import pytest

import pcap
from captures_test import random_conversation, server_frame
from pcap import wstrace
from wsd import BINARY, CLOSE, TEXT, frame

HEADERS = 54  # bytes of Ethernet, IPv4 and TCP in a Conversation


def cut(packets, snaplen):
    return [packet._replace(data=packet.data[:snaplen]) for packet in packets]


def items_of(packets):
    return list(map(json.loads, wstrace(pcap.pcap(packets), "--frames", "--json")))


def short(items):
    """Kind, packet, offset and length of each item."""
    return [(item["type"], item["packet"], item["seq"], item["length"]) for item in items]


def upgraded():
    """A connection with its 101, each in one packet, and the offsets after it."""
    talk = pcap.Conversation().upgrade()
    return talk, talk.next["client"], talk.next["server"]


# --- the article

@pytest.mark.parametrize("snaplen", [200, 150, 128, 96, 86])
def test_wstrace_finds_all_frames_of_the_article_if_the_request_and_the_101_are_cut(snaplen):
    packets = pcap.read(pcap.CAPTURES / "article.pcap")
    frames = [item for item in items_of(packets) if item["type"] == "frame"]
    items = items_of(cut(packets, snaplen))
    captured = snaplen - 66
    assert [item for item in items if item["type"] == "frame"] == frames
    assert [item["packet"] for item in frames] == [8, 10, 12, 13]
    assert short(items)[:4] == [("head", 4, 1, captured), ("missing", 4, 1 + captured, 227 - captured),
                                ("head", 6, 1, captured), ("missing", 6, 1 + captured, 218 - captured)]
    assert [item.get("whole") for item in items[:4]] == [False, None, False, None]
    assert [item.get("cause") for item in items[:4]] == [None, "snaplen", None, "snaplen"]


def test_wstrace_shows_how_many_bytes_of_each_packet_the_capture_has_cut():
    packets = pcap.read(pcap.CAPTURES / "article.pcap")
    lines = wstrace(pcap.pcap(cut(packets, 76)), "--frames")
    side = "127.0.0.1:8080 → 127.0.0.1:53522"
    assert f"    6 {side} Seq=1 Len=10 HTTP/1.1 1 incomplete head: 10 bytes" in lines
    assert f"    6 {side} Seq=11 208 bytes missing from the capture, which cut the packet" in lines
    assert (f'   10 {side} Seq=219 Len=10 WebSocket Text [FIN] Fin=1 Reserved=0x0 Opcode=1 Mask=0 Payload length=18 '
            'incomplete: 8 of 18 payload bytes Text="Echo: He… (18 bytes)"') in lines
    assert f"   10 {side} Seq=229 10 bytes missing from the capture, which cut the packet" in lines


@pytest.mark.parametrize("snaplen", [60, 66])
def test_wstrace_shows_the_missing_bytes_if_the_capture_has_headers_alone(snaplen):
    packets = pcap.read(pcap.CAPTURES / "article.pcap")
    items = items_of(cut(packets, snaplen))
    assert short(items) == [("missing", 4, 1, 227), ("missing", 6, 1, 218), ("missing", 8, 228, 18),
                            ("missing", 10, 219, 20), ("missing", 12, 246, 8), ("missing", 13, 239, 4)]
    assert {item["cause"] for item in items} == {"snaplen"}


# --- frames in several packets

def test_wstrace_finds_the_frame_after_a_long_frame_of_which_the_capture_has_cut_each_packet():
    talk, begin, _ = upgraded()
    long, last = frame(BINARY, bytes(range(256)) * 12), frame(TEXT, b"last")
    for at in range(0, len(long), 1000):
        talk.add("client", long[at:at + 1000])
    talk.add("client", last)
    items = items_of(cut(talk.packets, 200))
    found = [item for item in items if item["source"] == "127.0.0.1:40001" and item["seq"] >= begin]
    kept = 200 - HEADERS
    assert short(found) == [
        ("frame", 5, begin, kept), ("missing", 5, begin + kept, 1000 - kept),
        ("missing", 6, begin + 1000 + kept, 1000 - kept), ("missing", 7, begin + 2000 + kept, 1000 - kept),
        ("frame", 9, begin + len(long), len(last))]
    assert found[0]["payload_length"] == 3072 and not found[0]["whole"]
    assert found[-1]["text"] == "last"


def test_wstrace_finds_a_frame_after_the_end_of_a_cut_frame_in_the_same_packet():
    talk, begin, _ = upgraded()
    long, last = frame(BINARY, bytes(300)), frame(TEXT, b"last")
    talk.add("client", long[:200]).add("client", long[200:220]).add("client", long[220:] + last)
    found = [item for item in items_of(cut(talk.packets, 180)) if item["type"] == "frame"]
    assert short(found) == [("frame", 5, begin, 126), ("frame", 7, begin + len(long), len(last))]


def test_wstrace_does_not_parse_bytes_of_a_cut_frame_as_a_frame():
    """Each packet of the payload begins like a frame."""
    talk, begin, begin_of_server = upgraded()
    inner = server_frame(TEXT, b"inner", True)
    long = server_frame(BINARY, inner * 300, True)
    for at in range(0, len(long), 700):
        talk.add("server", long[at:at + 700])
    found = [item for item in items_of(cut(talk.packets, 100)) if item["type"] == "frame"]
    assert short(found) == [("frame", 5, begin_of_server, 46)]


def test_wstrace_shows_whole_frames_at_the_beginning_of_a_cut_packet():
    talk, begin, _ = upgraded()
    first, second = frame(TEXT, b"first"), frame(TEXT, bytes(b"x" * 200))
    talk.add("client", first + second).add("client", frame(CLOSE, b"\x03\xe8"))
    found = [item for item in items_of(cut(talk.packets, 120)) if item["type"] == "frame"]
    assert [(item["packet"], item["whole"], item.get("text")) for item in found] == [
        (5, True, "first"), (5, False, "x" * (120 - HEADERS - len(first) - 8)), (6, True, None)]


def test_wstrace_finds_heads_after_a_body_that_the_capture_has_cut():
    get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    talk = pcap.Conversation()
    for _ in range(2):
        talk.add("client", get).add("server", answer + b"\x81\x05hello" * 50 + bytes(150))
    talk.upgrade().add("server", server_frame(TEXT, b"a", True))
    found = items_of(cut(talk.packets, 250))
    assert [(item["type"], item["packet"]) for item in found] == [
        ("head", 3), ("head", 4), ("missing", 4), ("head", 5), ("head", 6), ("missing", 6), ("head", 7), ("head", 8),
        ("frame", 9)]


def test_wstrace_shows_no_frames_in_the_body_of_a_cut_response():
    talk = pcap.Conversation().add("client", pcap.REQUEST)
    talk.add("server", b"HTTP/1.1 404 Not Found\r\nX: " + b"x" * 100 + b"\r\nContent-Length: 14\r\n\r\n")
    talk.add("server", b"\x81\x05hello" * 2)
    assert [item["type"] for item in items_of(cut(talk.packets, 100))] == ["head", "missing", "head", "missing"]


def test_wstrace_shows_no_frames_in_a_cut_connection_of_another_protocol():
    talk = pcap.Conversation()
    talk.add("client", b"\x16\x03\x01\x02\x00" + bytes(200)).add("server", b"\x16\x03\x03\x02\x00" + bytes(200))
    for _ in range(3):
        talk.add("server", server_frame(TEXT, b"a" * 100, True)).add("client", frame(TEXT, b"a" * 100))
    assert {item["type"] for item in items_of(cut(talk.packets, 100))} == {"missing"}


# --- packets that the capture lacks

def test_wstrace_shows_frames_after_a_lost_packet_at_the_packets_that_carried_them():
    talk, begin, _ = upgraded()
    texts = [frame(TEXT, b"%d" % number) for number in range(4)]
    for text in texts:
        talk.add("client", text)
    del talk.packets[4]
    items = [item for item in items_of(talk.packets) if item["seq"] >= begin and item["type"] != "head"]
    size = len(texts[0])
    assert short(items) == [("missing", 7, begin, size), ("frame", 5, begin + size, size),
                            ("frame", 6, begin + 2 * size, size), ("frame", 7, begin + 3 * size, size)]
    assert items[0]["cause"] == "loss"


def test_wstrace_shows_a_frame_at_the_last_packet_with_bytes_of_it():
    """The second packet arrives last: the frame that it completes is shown there, and the next one where it was."""
    talk, begin, _ = upgraded()
    first, second = frame(TEXT, b"first"), frame(TEXT, b"second")
    talk.add("client", first[:4]).add("client", second, seq=begin + len(first))
    talk.add("client", first[4:], seq=begin + 4)
    found = [item for item in items_of(talk.packets) if item["type"] == "frame"]
    assert [(item["packet"], item["text"]) for item in found] == [(7, "first"), (6, "second")]


def test_wstrace_counts_the_cut_bytes_around_a_segment_that_lies_in_them():
    talk, _, begin = upgraded()
    hole = server_frame(TEXT, b"hole", True)
    talk.add("server", b"x" * 100, seq=begin + 6).add("server", b"y" * 6, seq=begin + 56)
    talk.add("server", hole, seq=begin)
    found = [item for item in items_of(cut(talk.packets, 60)) if item["type"] == "missing" and item["seq"] >= begin
             and item["source"].endswith(":8080")]
    assert short(found) == [("missing", 5, begin + 12, 44), ("missing", 5, begin + 62, 44)]


@pytest.mark.parametrize("sizes", [(100, 3), (3, 100), (100, 100)])
def test_wstrace_keeps_the_longer_of_two_segments_after_a_gap(sizes):
    talk, _, begin = upgraded()
    message = server_frame(TEXT, b"m" * 98, True)
    for size in sizes:
        talk.add("server", message[:size], seq=begin + 6)
    talk.add("server", server_frame(TEXT, b"hole", True), seq=begin)
    assert [item.get("text") for item in items_of(talk.packets)][-2:] == ["hole", "m" * 98]
    found = [item for item in items_of(cut(talk.packets, 60)) if item["type"] == "missing" and item["seq"] >= begin
             and item["source"].endswith(":8080")]
    assert [(item["seq"], item["length"]) for item in found] == [(begin + 12, 94)]


def test_wstrace_looks_for_a_frame_in_each_packet_after_a_lost_one():
    talk, begin, _ = upgraded()
    long = frame(BINARY, b"\0" * 3000)
    for at in range(0, len(long), 1000):
        talk.add("client", long[at:at + 1000])
    talk.add("client", frame(TEXT, b"found"))
    del talk.packets[4]  # with the header of the frame
    found = [item for item in items_of(talk.packets) if item["type"] == "frame"]
    assert [item["text"] for item in found] == ["found"]


def after_gap(sender, data, talk=None):
    """The items after a lost packet of the sender, whose next packet has `data`."""
    talk = talk or upgraded()[0]
    talk.add(sender, b"lost")
    del talk.packets[-1]
    talk.add(sender, data)
    items = items_of(talk.packets)
    assert items[-1]["type"] != "missing" or items[-1]["seq"] + items[-1]["length"] == talk.next[sender] - len(data)
    return [item for item in items if item["packet"] == len(talk.packets) and item["type"] != "missing"]


MASK = bytes(4)


@pytest.mark.parametrize("sender, data, is_frame", [
    ("server", b"\x81\x02ab", True), ("server", b"\x01\x02ab", True), ("server", b"\x00\x00", True),
    ("server", b"\x82\x00", True), ("server", b"\x88\x02\x03\xe8", True), ("server", b"\x8a\x00", True),
    ("server", b"\x81", True), ("server", b"\x83", False), ("server", b"Hello", False),
    ("server", b"\xc1\x02ab", True), ("server", b"\xc2\x02ab", True),  # compressed messages
    ("server", b"\xc0\x02ab", False), ("server", b"\x41\x02ab", False), ("server", b"\xc9\x02ab", False),
    ("server", b"\xa1\x02ab", False), ("server", b"\x91\x02ab", False),  # RSV2, RSV3
    ("server", b"\x83\x02ab", False), ("server", b"\x8b\x02ab", False),  # unknown opcodes
    ("server", b"\x09\x02ab", False), ("server", b"\x89\x7e\x00\x7e" + bytes(126), False),  # invalid pings
    ("server", b"\x89\x7d" + bytes(125), True),
    ("server", b"\x81\x82" + MASK + b"ab", False), ("client", b"\x81\x82" + MASK + b"ab", True),
    ("client", b"\x81\x02ab", False)], ids=repr)
def test_wstrace_decides_by_the_first_two_bytes_whether_a_packet_after_a_lost_one_begins_with_a_frame(
        sender, data, is_frame):
    found = after_gap(sender, data)
    assert [item["type"] for item in found] == ["frame"] * is_frame
    assert not is_frame or found[0]["length"] == len(data)


@pytest.mark.parametrize("sender, data, is_head", [
    ("client", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True), ("client", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", False),
    ("client", b"A /b HTTP/1.1\r\nHost: a\r\n\r\n", False), ("client", b"SOME TEXT HTTP/1.1\r\nHost: a\r\n\r\n", False),
    ("server", b"HTTP/1.1 200 OK\r\n\r\n", True), ("server", b"Hello / HTTP/1.1\r\n\r\n", False)], ids=repr)
def test_wstrace_decides_by_the_first_bytes_whether_a_packet_after_a_lost_one_begins_with_a_head(sender, data, is_head):
    assert [item["type"] for item in after_gap(sender, data, pcap.Conversation())] == ["head"] * is_head


def test_wstrace_does_not_parse_text_of_a_frame_as_a_head_after_a_lost_packet():
    assert after_gap("server", b"HTTP/1.1 200 OK\r\n\r\n") == []


def test_wstrace_finds_the_client_s_frames_after_a_lost_request():
    talk = pcap.Conversation().upgrade()
    del talk.packets[2]
    talk.add("client", frame(TEXT, b"found"))
    assert [item["text"] for item in items_of(talk.packets) if item["type"] == "frame"] == ["found"]


@pytest.mark.parametrize("sender, size, is_shown", [("client", 3, False), ("client", 4, True), ("server", 3, False),
                                                    ("server", 4, True)])
def test_wstrace_shows_a_cut_head_of_at_least_four_bytes(sender, size, is_shown):
    packets = cut(pcap.Conversation().upgrade().packets, HEADERS + size)
    port = ":8080" if sender == "server" else ":40001"
    items = [item["type"] for item in items_of(packets) if item["source"].endswith(port)]
    assert items == ["head"] * is_shown + ["missing"]


# --- random conversations

def expected_frames(packets, snaplen):
    """The whole frames that can be found in the cut packets: those whose bytes are all captured, and that begin a
    packet or follow a frame whose length is captured."""
    captured, starts = {"client": set(), "server": set()}, {"client": set(), "server": set()}
    bases, missing = {}, 0
    for packet in packets:
        side = "server" if pcap.source_port(packet) == pcap.SERVER_PORT else "client"
        (seq,) = struct.unpack_from(">I", packet.data, pcap.SEQ)
        seq -= bases.setdefault(side, seq)
        size = pcap.payload_size(packet)
        kept = max(0, min(size, snaplen - HEADERS))
        captured[side] |= set(range(seq, seq + kept))
        starts[side].add(seq)
        missing += size - kept
    found, ends = [], {"client": None, "server": None}
    for item in items_of(packets):
        side = "server" if item["source"].endswith(f":{pcap.SERVER_PORT}") else "client"
        begin, end = item["seq"], item["seq"] + item["length"]
        is_whole = captured[side] >= set(range(begin, end))
        if item["type"] == "head":
            ends[side] = end if is_whole else None
            continue
        if begin not in starts[side] and ends[side] != begin:
            ends[side] = None
            continue
        length = 2 if item["payload_length"] < 126 else 4
        ends[side] = end if captured[side] >= set(range(begin, begin + length)) else None
        if is_whole:
            found.append(item)
    return found, missing


@pytest.mark.parametrize("seed", range(10))
def test_wstrace_finds_the_frames_of_random_conversations_that_the_capture_has_cut(seed):
    dice = random.Random(seed)
    for _ in range(6):
        packets, snaplen = random_conversation(dice), dice.randint(60, 200)
        wanted, missing = expected_frames(packets, snaplen)
        items = items_of(cut(packets, snaplen))
        assert [item for item in items if item["type"] == "frame" and item["whole"]] == wanted, (seed, snaplen)
        assert sum(item["length"] for item in items if item["type"] == "missing") == missing
