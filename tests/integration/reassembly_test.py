"""Compares wstrace with Wireshark on random captures in which segments are late, repeated, overlapping, lost or cut:
which row shows a message, and the notes in brackets."""

import collections
import json
import random
import struct

import pytest

import pcap
from captures_test import in_time
from pcap import tshark, wstrace
from wsd import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

FIN_ACK = pcap.FIN | pcap.ACK_FLAG
Sent = collections.namedtuple("Sent", "sender seq payload flags")
MICROSECOND, MILLISECOND = 1_000, 1_000_000
UNSIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


# --- random connections

def random_frame(dice, sender, sizes):
    opcode = dice.choice([TEXT, TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE])
    size = dice.choice([0, 2, 5, 100] if opcode >= CLOSE else sizes)
    payload = bytes(dice.choice(b"abc xyz0") for _ in range(size))
    if opcode == CLOSE and size > 0:
        payload = struct.pack(">H", 1000) + payload[2:]
    data = frame(opcode, payload, opcode >= CLOSE or dice.random() < 0.8)
    if sender == "client":
        return data
    header = 2 if size < 126 else 4 if size < 65536 else 10
    return data[:1] + bytes([data[1] & 0x7F]) + data[2:header] + payload


def random_talk(dice, kind):
    """The bytes that each side sends, in turns, and whether the last segment of the server has the FIN."""
    sizes = [0, 1, 20, 125, 126, 300, 1400] if kind != "long" else [3000, 9000, 30_000, 70_000]
    ends = kind == "fin" or (kind in ("mixed", "cut") and dice.random() < 0.3)
    if ends:
        body = bytes(dice.choice(b"abc <>\n") for _ in range(dice.choice([0, 1, 50, 700, 4000])))
        answer = dice.choice([UNSIZED + body] * 3 + [SIZED % len(body) + body, CHUNKED % (len(body), body)])
        return [("client", GET), ("server", answer)], True
    talk = [("client", pcap.REQUEST), ("server", pcap.SWITCHING)]
    for _ in range(dice.randint(1, 5)):
        sender = dice.choice(["client", "server"])
        talk.append((sender, b"".join(random_frame(dice, sender, sizes) for _ in range(dice.choice([1, 1, 2, 3])))))
    if dice.random() < 0.3:  # the 101 and the first frames in one series
        if talk[2][0] == "server":
            talk[1:3] = [("server", talk[1][1] + talk[2][1])]
    return talk, dice.random() < 0.5


def segments(dice, kind, sender, seq, data, flags):
    """Cuts `data` into segments."""
    most = {"long": [1448, 536]}.get(kind, [1448, 536, 120, 40])
    limit = dice.choice(most)
    found = []
    while data:
        size = min(limit, dice.choice([len(data), limit, limit, dice.randint(1, len(data))]))
        found.append(Sent(sender, seq, data[:size], pcap.PSH | pcap.ACK_FLAG))
        seq, data = seq + size, data[size:]
    if flags and found:
        found[-1] = found[-1]._replace(flags=found[-1].flags | flags)
    return found


def disturb(dice, kind, sent, whole, begin):
    """Changes a series of segments of one side, whose bytes `whole` begin at `begin`."""
    if kind in ("mixed", "short", "long", "fin", "cut"):
        for chosen in dice.sample(["doubled", "overlapping", "lost", "swapped", "filled"], dice.choice([0, 1, 1, 2])):
            sent = disturb(dice, chosen, sent, whole, begin)
        return sent
    sent = list(sent)
    for _ in range(dice.choice([1, 1, 2])):
        if not sent:
            break
        at = dice.randrange(len(sent))
        later = min(len(sent), at + dice.choice([1, 1, 2, 3, 4, 8]))
        if kind == "doubled":
            sent.insert(later, sent[at])
        elif kind == "lost":
            del sent[at]
        elif kind == "swapped":
            sent.insert(later, sent.pop(at))
        elif kind == "filled":  # arrives last
            sent.append(sent.pop(at))
        elif kind == "overlapping":
            first = max(0, sent[at].seq - begin - dice.choice([0, 0, 1, 10, 200]))
            last = min(len(whole), sent[at].seq - begin + len(sent[at].payload) + dice.choice([0, -1, 1, 10, 200]))
            if first < last:
                again = Sent(sent[at].sender, begin + first, whole[first:last], pcap.PSH | pcap.ACK_FLAG)
                if dice.random() < 0.5:
                    sent.insert(later, again)
                else:
                    sent[at] = again
    return sent


class Receiver:
    """What one side has received, to acknowledge it as TCP does."""

    def __init__(self):
        self.next, self.parts = 1, []

    def add(self, sent):
        self.parts.append((sent.seq, sent.seq + len(sent.payload) + (1 if sent.flags & pcap.FIN else 0)))
        for begin, end in sorted(self.parts):
            if begin <= self.next:
                self.next = max(self.next, end)


def connection(dice, kind, port):
    """The packets of a random connection; `kind` is one of KINDS."""
    conversation = pcap.Conversation(port, isn=dice.randrange(1 << 30))
    conversation.packets[1] = conversation.packets[1]._replace(time=dice.choice([10, 400]) * MICROSECOND)
    clock = [conversation.packets[1].time]
    received = {"client": Receiver(), "server": Receiver()}
    pace = dice.choice([[1], [1, 100], [1, 100, 4000], [1, 500, 25_000, 250_000]])

    def emit(sender, payload, flags, seq):
        conversation.add(sender, payload, flags, seq)
        ack = conversation.isn + received[sender].next
        clock[0] += dice.choice(pace) * MICROSECOND
        conversation.packets[-1] = pcap.patch(conversation.packets[-1], pcap.ACK, ">I", lambda _: ack)._replace(
            time=clock[0])

    def acknowledge(side):
        emit(side, b"", pcap.ACK_FLAG, begin[side])

    begin = {"client": 1, "server": 1}
    acknowledge("client")
    talk, ends = random_talk(dice, kind)
    rate = dice.choice([0.0, 0.3, 1.0])
    for number, (sender, data) in enumerate(talk):
        is_last = number == len(talk) - 1
        flags = pcap.FIN if is_last and ends else 0
        whole = segments(dice, kind, sender, begin[sender], data, flags)
        other = "server" if sender == "client" else "client"
        end = begin[sender] + len(data)
        changed = disturb(dice, kind, whole, data, begin[sender])
        start, begin[sender] = begin[sender], end
        for sent in changed:
            emit(*sent[:1], sent.payload, sent.flags, sent.seq)
            before = received[other].next
            received[other].add(sent)
            if dice.random() < (1.0 if received[other].next == before and rate > 0 else rate):
                acknowledge(other)
        if flags:
            begin[sender] += 1
            if dice.random() < 0.5:
                emit(other, b"", FIN_ACK, begin[other])
    return conversation.packets


KINDS = ["short", "long", "doubled", "overlapping", "lost", "swapped", "filled", "fin", "mixed", "cut"]


def random_packets(kind, seed, connections):
    """The packets of several connections, one after the other."""
    dice = random.Random(f"{kind} {seed}")
    packets, start = [], 0
    for number in range(connections):
        found = connection(dice, kind, 41000 + number)
        packets += [packet._replace(time=packet.time + start) for packet in found]
        start = packets[-1].time + dice.choice([1, 1000]) * MILLISECOND
    if kind == "cut":
        size = dice.randint(60, 200)
        packets = [packet._replace(data=packet.data[:size]) for packet in packets]
    return packets


def capture(kind, seed, connections):
    return pcap.pcap(random_packets(kind, seed, connections))


@pytest.fixture(scope="module")
def rows():
    """The rows of both readers by kind, from one capture."""
    packets, sizes = [], []
    for kind in KINDS:
        for seed in range(6):
            port = 20_000 + 100 * len(sizes)
            start = packets[-1].time + 1_000_000_000 if packets else 0
            found = random_packets(kind, seed, 5)
            for number in range(5):
                found = pcap.with_port(found, 41000 + number, port + number)
            packets += [packet._replace(time=packet.time + start) for packet in found]
            sizes.append((kind, len(found)))
    data = pcap.pcap(packets)
    ours, theirs = wstrace(data), tshark(data)
    assert len(ours) == len(theirs) == len(packets)
    found, at = {kind: [] for kind in KINDS}, 0
    for kind, size in sizes:
        found[kind] += zip(ours[at:at + size], theirs[at:at + size])
        at += size
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_wstrace_agrees_with_wireshark_on_disturbed_segments(rows, kind):
    for ours, theirs in rows[kind]:
        assert ours == theirs


def test_disturbed_segments_contain_the_notes_of_wireshark(rows):
    """The random captures must produce these notes, or the test above compares too little."""
    text = "\n".join(ours for found in rows.values() for ours, _ in found)
    for note in ("[TCP Out-Of-Order]", "[TCP Retransmission]", "[TCP Fast Retransmission]", "[Malformed Packet]",
                 "[TCP Previous segment not captured]", "[TCP segment of a reassembled PDU]", "[Reassembly error, ",
                 "[Packet size limited during capture]", "[BoundErrorUnreassembled Packet]",
                 "[TCP Fast Retransmission] WebSocket ", "(text/plain)", "(text/html)"):
        assert note in text, note


# --- frames

def streams_of(packets):
    """The bytes of each direction by offset, and the packets that carried each byte, in order."""
    streams, bases = {}, {}
    for number, packet in enumerate(packets, 1):
        key = struct.unpack_from(">HH", packet.data, pcap.SOURCE_PORT)
        seq, flags = struct.unpack_from(">I", packet.data, pcap.SEQ)[0], packet.data[47]
        if flags & pcap.SYN:
            bases[key], streams[key] = seq, {}
        for offset, byte in enumerate(packet.data[54:], seq - bases[key]):
            streams[key].setdefault(offset, (byte, []))[1].append(number)
    return streams


def frames_in(stream):
    """Offset and length of each whole frame of a stream after its head. The length of these frames has 7 or 16 bits, or
    64."""
    data = bytes(stream[offset][0] for offset in sorted(stream))
    at = data.find(b"\r\n\r\n") + 4
    if b"websocket" not in data[:at]:
        return
    while at + 2 <= len(data):
        short = data[at + 1] & 0x7F
        header = 2 + (2 if short == 126 else 8 if short == 127 else 0)
        length = short if short < 126 else int.from_bytes(data[at + 2:at + header], "big")
        size = header + (data[at + 1] >> 7) * 4 + length
        if at + size > len(data):
            return
        yield at + 1, size
        at += size


@pytest.mark.parametrize("kind", ["doubled", "overlapping", "swapped", "filled"])
def test_wstrace_frames_lists_each_frame_once_at_a_packet_that_completes_it(kind):
    """In each stream of which the capture lacks no byte."""
    compared = 0
    for seed in range(8):
        packets = random_packets(kind, seed, 4)
        items = {}
        for item in map(json.loads, wstrace(pcap.pcap(packets), "--frames", "--json")):
            ports = tuple(int(item[side].split(":")[1]) for side in ("source", "destination"))
            items.setdefault(ports, []).append(item)
        for ports, stream in streams_of(packets).items():
            if len(stream) != max(stream, default=0):
                continue
            found = [item for item in items.get(ports, []) if item["type"] != "head" and item.get("whole", True)]
            assert [(item["seq"], item["length"]) for item in found] == list(frames_in(stream))
            for item in found:
                carriers = [stream[offset][1] for offset in range(item["seq"], item["seq"] + item["length"])]
                assert any(item["packet"] in numbers for numbers in carriers)
                assert all(numbers[0] <= item["packet"] for numbers in carriers)
            compared += len(found)
    assert compared > 30


# --- one case each

def binary(size):
    return frame(BINARY, bytes(size))


def test_wstrace_shows_a_message_in_the_row_of_the_fast_retransmission_that_fills_a_hole():
    message = binary(300)
    talk = pcap.Conversation().upgrade()
    begin = talk.next["client"]
    talk.add("client", message[:100]).add("client", message[200:], seq=begin + 200)
    end, talk.next["client"] = talk.next["client"], begin + 100
    for _ in range(3):
        talk.add("server", flags=pcap.ACK_FLAG)
    talk.next["client"] = end
    talk.add("client", message[100:200], seq=begin + 100)
    rows = wstrace(talk.pcap())
    assert rows == tshark(talk.pcap())
    assert rows[-1].endswith("WebSocket 154 [TCP Fast Retransmission] WebSocket Binary [FIN] [MASKED]")


def test_wstrace_shows_a_response_without_a_length_in_the_row_of_the_segment_with_fin():
    answer = UNSIZED + b"a" * 20
    packets = []
    for cut in range(1, len(answer)):
        talk = pcap.Conversation(40_000 + cut).add("client", GET).add("server", answer[:cut])
        packets += talk.add("server", answer[cut:], flags=FIN_ACK).packets
    rows = wstrace(pcap.pcap(packets))
    assert rows == tshark(pcap.pcap(packets))
    assert len(rows) == 5 * (len(answer) - 1)
    assert all(row.endswith(" HTTP/1.1 200 OK  (text/plain)") for row in rows[4::5])


def test_wstrace_says_that_an_overlapping_retransmission_was_not_joined():
    message = binary(300)
    talk = pcap.Conversation().upgrade()
    begin = talk.next["client"]
    talk.add("client", message[:100]).add("client", message[100:])
    talk.packets[-1] = talk.packets[-1]._replace(time=talk.packets[-1].time + 1)
    talk.add("client", message[50:150], seq=begin + 50)
    rows = wstrace(talk.pcap())
    assert rows == tshark(talk.pcap())
    assert "[TCP Out-Of-Order]" in rows[-1]
    assert rows[-1].endswith("[Reassembly error, protocol TCP: New fragment overlaps old data (retransmission?)]")


def test_wstrace_agrees_with_wireshark_wherever_the_capture_cuts_heads_and_frames():
    packets = []
    for size in range(60, 200):
        talk = pcap.Conversation(40_000 + size).upgrade().add("server", b"\x81\x7e\0\xc8" + b"a" * 200)
        talk.add("client", frame(TEXT, b"x" * 300)[:200]).add("client", frame(TEXT, b"x" * 300)[200:])
        packets += [packet._replace(data=packet.data[:size]) for packet in talk.packets]
    rows = wstrace(pcap.pcap(packets))
    assert rows == tshark(pcap.pcap(packets))
    # The packet with the frame's header was cut, so its last packet is a part that cannot be joined.
    assert len(rows) == 7 * 140
    assert rows[6].endswith("[Packet size limited during capture]") or "[TCP segment of" in rows[6]


def test_wstrace_names_the_type_of_a_body_after_the_end_of_a_head():
    answer = UNSIZED + b"body"
    talk = pcap.Conversation().add("client", GET)
    talk.add("server", answer[17:], seq=talk.next["server"] + 17)
    rows = wstrace(talk.pcap())
    assert rows == tshark(talk.pcap())
    assert rows[-1].endswith("HTTP 86 [TCP Previous segment not captured] Continuation (text/plain)")


@pytest.mark.parametrize("head, part, end, count", [
    (frame(BINARY, bytes(300_000))[:14], b"\0\0\0", b"", 100_000),
    (CHUNKED[:47], b"1\r\na\r\n", b"0\r\n\r\n", 100_000),
    (CHUNKED[:47] + b"%x\r\n" % 300_000, b"abc", b"\r\n0\r\n\r\n", 100_000),
    (UNSIZED, b"abc", b"", 100_000),
], ids=["frame", "chunks", "chunk", "until FIN"])
def test_wstrace_joins_100000_segments_in_linear_time(head, part, end, count):
    if head[0] == 0x82:
        talk, sender = pcap.Conversation().upgrade(), "client"
    else:
        talk, sender = pcap.Conversation().add("client", GET), "server"
    talk.add(sender, head)
    for _ in range(count):
        talk.add(sender, part)
    talk.add(sender, end, flags=FIN_ACK)
    rows = in_time(talk.pcap())
    assert any(text in rows[-1] + rows[-2] for text in (" WebSocket Binary [FIN]", " HTTP/1.1 200 OK "))


def test_wstrace_bounds_the_bytes_of_a_chunked_body_that_it_joins():
    """After 1 MiB, the segments are no longer joined with the head."""
    talk = pcap.Conversation().add("client", GET).add("server", CHUNKED[:47] + b"%x\r\n" % 2_000_000)
    for _ in range(40):
        talk.add("server", b"a" * 50_000)
    rows = wstrace(talk.pcap())
    assert ["HTTP/1.1 200 OK" in row for row in rows[3:]] == [True] * 22 + [False] * 19


def test_wstrace_agrees_with_wireshark_wherever_a_chunked_response_is_split():
    answer = CHUNKED % (20, b"a" * 20)
    packets = []
    for cut in range(1, len(answer)):
        talk = pcap.Conversation(40_000 + cut).add("client", GET).add("server", answer[:cut])
        packets += talk.add("server", answer[cut:]).packets
    rows = wstrace(pcap.pcap(packets))
    assert rows == tshark(pcap.pcap(packets))
    assert rows[-2].endswith("HTTP/1.1 200 OK [Malformed Packet]")  # before the last LF
