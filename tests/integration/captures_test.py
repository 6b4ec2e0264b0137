"""Compares wstrace with Wireshark: on each capture of captures/, with lost, doubled or reordered packets, and with
other link layers and file formats. Also tests invalid files.

For each captures/NAME.pcap tshark 4.0 has written NAME.rows and NAME.frames (tools/captures). wstrace must print the
same; so must the installed tshark, or its version differs from the one that documented the captures."""

import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import struct
import subprocess
import tempfile

import pytest

import pcap
from conftest import only_root
from pcap import CAPTURES, tshark, wstrace
from wsd import BINARY, CLOSE, PING, PONG, TEXT, Raw, frame

NAMES = sorted(path.stem for path in CAPTURES.glob("*.pcap"))


def expected(name, kind):
    return (CAPTURES / f"{name}.{kind}").read_text().splitlines()


def article():
    return pcap.read(CAPTURES / "article.pcap")


def shorten(payload):
    """Replaces a long payload by its hash, as tools/captures does."""
    return payload if len(payload) <= 256 else "sha256:" + hashlib.sha256(bytes.fromhex(payload)).hexdigest()


def frames_of(lines):
    """The frames in the output of --frames --json."""
    return [item for item in map(json.loads, lines) if item["type"] == "frame"]


# --- each capture

def test_every_required_capture_exists_and_is_documented():
    assert {"article", "article-undelayed", "chat", "fragments", "lengths", "refusals", "failures", "reset", "shutdown",
            "ping-pong", "coalesced", "ipv6", "slow-reader"} <= set(NAMES)
    for name in NAMES:
        assert f"# {name}\n" in (CAPTURES / f"{name}.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_wstrace_prints_the_same_rows_as_wireshark(name):
    data = (CAPTURES / f"{name}.pcap").read_bytes()
    rows = expected(name, "rows")
    assert len(rows) == len(pcap.read(CAPTURES / f"{name}.pcap"))
    assert tshark(data) == rows
    assert wstrace(data) == rows


@pytest.mark.parametrize("name", NAMES)
def test_wstrace_json_rows_equal_the_fields_of_wireshark(name):
    data = (CAPTURES / f"{name}.pcap").read_bytes()
    rows = [json.loads(line) for line in wstrace(data, "--json")]
    fields = tshark(data, "-T", "fields", *(option for field in (
        "frame.number", "_ws.col.Source", "_ws.col.Destination", "_ws.col.Protocol", "frame.len", "_ws.col.Info")
        for option in ("-e", field)))
    assert [[str(row["number"]), row["source"], row["destination"], row["protocol"], str(row["length"]),
             row["info"].rstrip()] for row in rows] == [
        [cell.rstrip() for cell in line.split("\t")] for line in fields]
    assert all(isinstance(row["time"], float) for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_wstrace_finds_the_same_frames_as_wireshark(name):
    data = (CAPTURES / f"{name}.pcap").read_bytes()
    header, *lines = expected(name, "frames")
    columns = header.split("\t")
    wanted = [dict(zip(columns, line.split("\t"))) for line in lines]
    found = []
    for item in frames_of(wstrace(data, "--frames", "--json", "--bytes", "1000000")):
        if not item["whole"]:
            continue  # Wireshark dissects only whole frames
        payload = (item["text"].encode() if "text" in item else bytes.fromhex(item["payload"]) if "payload" in item
                   else struct.pack(">H", item["status_code"]) + item["reason"].encode())
        found.append(dict(zip(columns, (str(value) for value in (
            item["packet"], item["stream"], item["source"], item["seq"], int(item["fin"]), item["rsv"], item["opcode"],
            int(item["mask"]), item["payload_length"], item.get("masking_key", ""), shorten(payload.hex()))))))
    assert found == wanted


def test_wstrace_frames_shows_each_header_byte_of_a_frame():
    text = "\n".join(wstrace((CAPTURES / "article.pcap").read_bytes(), "--frames"))
    assert "    4 127.0.0.1:53522 → 127.0.0.1:8080 Seq=1 Len=227 GET /echo HTTP/1.1\n" in text
    assert "    6 127.0.0.1:8080 → 127.0.0.1:53522 Seq=1 Len=218 HTTP/1.1 101 Switching Protocols\n" in text
    assert ("    8 127.0.0.1:53522 → 127.0.0.1:8080 Seq=228 Len=18 WebSocket Text [FIN] [MASKED] Fin=1 Reserved=0x0 "
            "Opcode=1 Mask=1 Payload length=12 Masking-Key=") in text
    assert ("   10 127.0.0.1:8080 → 127.0.0.1:53522 Seq=219 Len=20 WebSocket Text [FIN] Fin=1 Reserved=0x0 Opcode=1 "
            'Mask=0 Payload length=18 Text="Echo: Hello World!"\n'
            "      0000  81                       1... .... = Fin: True\n"
            "                                     .000 .... = Reserved: 0x0\n"
            "                                     .... 0001 = Opcode: Text (1)\n"
            "      0001  12                       0... .... = Mask: False\n"
            "                                     .001 0010 = Payload length: 18\n") in text
    assert "   13 127.0.0.1:8080 → 127.0.0.1:53522 Seq=239 Len=4 WebSocket Connection Close [FIN] " in text
    assert "Status code: Normal Closure (1000)" in text


# --- lost, doubled, out of order

def changes(packets):
    """Each packet dropped, doubled, and swapped with the next, in turn."""
    for i in range(len(packets)):
        yield f"drop {i + 1}", packets[:i] + packets[i + 1:]
        yield f"double {i + 1}", packets[:i + 1] + packets[i:]
        if i + 1 < len(packets):
            yield f"swap {i + 1} and {i + 2}", packets[:i] + [packets[i + 1], packets[i]] + packets[i + 2:]


# The article, and three captures with consecutive segments in one direction: name, client port.
CHANGED = [("article", 53522), ("coalesced", 40001), ("lengths", 40001), ("slow-reader", 40001)]
CHANGES = [f"{name}: {change}" for name, _ in CHANGED for change, _ in changes([None] * len(expected(name, "rows")))]


@pytest.fixture(scope="module")
def changed():
    """One capture of all changes, each on its own client port. Returns the rows of both readers by change."""
    packets, sizes = [], []
    for name, port in CHANGED:
        original = pcap.read(CAPTURES / f"{name}.pcap")
        for change, chosen in changes(original):
            # Keeps the times in order: swapped packets only change places.
            start = 1_700_000_000_000_000_000 + len(sizes) * 10_000_000_000
            times = sorted(packet.time - original[0].time for packet in chosen)
            moved = [packet._replace(time=start + time) for time, packet in zip(times, chosen)]
            packets += pcap.with_port(moved, port, 41000 + len(sizes))
            sizes.append((f"{name}: {change}", len(chosen)))
    data = pcap.pcap(packets)
    rows, at = {}, 0
    ours, theirs = wstrace(data), tshark(data)
    assert len(ours) == len(theirs) == len(packets)
    for name, size in sizes:
        rows[name] = list(zip(ours[at:at + size], theirs[at:at + size]))
        at += size
    return rows


@pytest.mark.parametrize("name", CHANGES)
def test_wstrace_agrees_with_wireshark_if_a_packet_is_dropped_doubled_or_swapped(changed, name):
    # No exceptions: the notes in brackets are equal, too.
    for ours, theirs in changed[name]:
        assert ours == theirs


def test_changed_captures_contain_the_tcp_analysis_notes_of_wireshark(changed):
    """Without these notes the test above would compare little."""
    text = "\n".join(ours for rows in changed.values() for ours, _ in rows)
    for note in ("[TCP Retransmission]", "[TCP Spurious Retransmission]", "[TCP Out-Of-Order]",
                 "[TCP Previous segment not captured]", "[TCP ACKed unseen segment]",
                 "[TCP Dup ACK ", "[TCP Keep-Alive]", "[TCP Window Full]", "[TCP ZeroWindow]", "[TCP Window Update]",
                 "Continuation"):
        assert note in text, note


def test_wstrace_finds_the_same_frames_if_segments_are_swapped_or_doubled():
    for name in ("coalesced", "lengths", "fragments"):
        packets = pcap.read(CAPTURES / f"{name}.pcap")

        def frames(changed):
            # The packet in which a frame ends may differ.
            return sorted((item["stream"], item["source"], item["seq"], json.dumps(item | {"packet": 0}))
                          for item in frames_of(wstrace(pcap.pcap(changed), "--frames", "--json")))
        wanted = frames(packets)
        assert len(wanted) >= 4
        carry = [i for i, packet in enumerate(packets) if pcap.payload_size(packet) > 0]
        for first, second in zip(carry, carry[1:]):
            swapped = list(packets)
            swapped[first], swapped[second] = packets[second], packets[first]
            assert frames(swapped) == wanted, (name, first, second)
            doubled = packets[:second + 1] + [packets[first]] + packets[second + 1:]
            assert frames(doubled) == wanted, (name, first, second)


def test_wstrace_reports_a_missing_segment_and_shows_the_frames_after_it():
    packets = article()
    text = packets[7]
    assert pcap.payload_size(text) == 18
    items = list(map(json.loads, wstrace(pcap.pcap(packets[:7] + packets[8:]), "--frames", "--json")))
    (missing,) = [item for item in items if item["type"] == "missing"]
    assert (missing["source"], missing["seq"], missing["length"]) == ("127.0.0.1:53522", 228, 18)
    assert [item["info"] for item in items if item["source"] == "127.0.0.1:53522" and item["type"] == "frame"] == [
        "WebSocket Connection Close [FIN] [MASKED]"]
    shown = wstrace(pcap.pcap(packets[:7] + packets[8:]), "--frames")
    assert any("Seq=228 18 bytes missing from the capture" in line for line in shown)


def test_wstrace_shows_no_frames_after_a_refused_upgrade():
    """Wireshark shows HTTP or bytes instead."""
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    refused = pcap.Conversation().upgrade(answer=refusal).add("client", frame(TEXT, b"hello"))
    accepted = pcap.Conversation(40002).upgrade().add("client", frame(TEXT, b"hello"))
    data = pcap.pcap(refused.packets + accepted.packets)
    assert [item["source"] for item in frames_of(wstrace(data, "--frames", "--json"))] == ["127.0.0.1:40002"]
    assert [row for row in tshark(data) if "WebSocket Text" in row] == tshark(data)[-1:]


def test_wstrace_reports_each_of_two_missing_segments():
    sent = [frame(TEXT, b"%d" % number) for number in range(4)]
    talk = pcap.Conversation().upgrade()
    at = [talk.next["client"]]
    for text in sent:
        at.append(at[-1] + len(text))
    talk.add("client", sent[1], seq=at[1]).add("client", sent[3], seq=at[3])
    items = [item for item in map(json.loads, wstrace(talk.pcap(), "--frames", "--json")) if item["seq"] >= at[0]
             and item["source"] == "127.0.0.1:40001"]
    assert [(item["type"], item["seq"]) for item in items] == [
        ("missing", at[0]), ("frame", at[1]), ("missing", at[2]), ("frame", at[3])]


def test_wstrace_expects_no_body_in_a_response_to_head_but_one_in_a_response_to_get():
    head, get = (b"%s / HTTP/1.1\r\nHost: localhost\r\n\r\n" % method for method in (b"HEAD", b"GET"))
    talk = pcap.Conversation().add("client", head).add("server", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    talk.add("client", get).add("server", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").add("server", b"hello")
    rows = wstrace(talk.pcap())
    assert rows == tshark(talk.pcap())
    assert [" HTTP " in row for row in rows[2:]] == [True, True, True, False, True]


def test_wstrace_shows_the_first_ip_fragment_as_ipv4_and_not_as_tcp():
    packet = pcap.Conversation().packets[0]
    fragment = pcap.patch(packet, 20, ">H", lambda flags: flags | 0x2000)  # MF
    (row,) = wstrace(pcap.pcap([fragment]))
    assert " TCP " not in row and " IPv4 " in row
    (row,) = tshark(pcap.pcap([fragment]))
    assert "Fragmented IP protocol" in row


def test_wstrace_shows_a_compressed_text_as_bytes_even_if_they_are_valid_utf8():
    compressed = bytearray(frame(TEXT, b"J\x04\x00"))
    compressed[0] |= 0x40  # RSV1
    data = pcap.Conversation().upgrade().add("client", bytes(compressed)).pcap()
    (item,) = frames_of(wstrace(data, "--frames", "--json"))
    assert item["payload"] == "4a0400"
    assert "text" not in item


def test_wstrace_counts_duplicate_acks_after_an_ack_of_unseen_bytes():
    talk = pcap.Conversation().upgrade()
    talk.next["server"] += 100  # the capture lacks them
    talk.add("client", flags=pcap.ACK_FLAG)  # acknowledges them
    for _ in range(4):
        talk.add("server", flags=pcap.ACK_FLAG)
    rows = wstrace(talk.pcap())
    assert rows == tshark(talk.pcap())
    assert "#1]" in rows[-3] and "#2]" in rows[-2] and "#3]" in rows[-1]


def test_wstrace_marks_a_fast_retransmission_after_two_duplicate_acks():
    talk = pcap.Conversation().upgrade()
    second = talk.next["client"] + 7
    for text in b"a", b"b", b"c":
        talk.add("client", frame(TEXT, text))
    end, talk.next["client"] = talk.next["client"], second
    for _ in range(3):
        talk.add("server", flags=pcap.ACK_FLAG)
    talk.next["client"] = end
    talk.add("client", frame(TEXT, b"b"), seq=second)
    rows = wstrace(talk.pcap())
    assert rows == tshark(talk.pcap())
    assert "[TCP Fast Retransmission]" in rows[-1]


def test_wstrace_ignores_the_padding_of_a_short_ethernet_frame():
    talk = pcap.Conversation().upgrade().add("client", flags=pcap.ACK_FLAG)
    padded = [packet._replace(data=packet.data.ljust(60, b"\0"), length=max(packet.length, 60))
              for packet in talk.packets]
    rows = wstrace(pcap.pcap(padded))
    assert rows == tshark(pcap.pcap(padded))
    assert "Len=0" in rows[-1]


def test_wstrace_accepts_the_upgrade_token_websocket_in_any_case():
    answer = pcap.SWITCHING.replace(b"Upgrade: websocket", b"Upgrade: WebSocket")
    talk = pcap.Conversation().upgrade(answer=answer).add("client", frame(TEXT, b"a"))
    rows = wstrace(talk.pcap())
    assert rows == tshark(talk.pcap())
    assert "WebSocket Text" in rows[-1]


def test_wstrace_shows_the_status_code_of_a_close_without_a_reason():
    data = pcap.Conversation().upgrade().add("client", frame(CLOSE, b"\x03\xe8")).pcap()
    (item,) = frames_of(wstrace(data, "--frames", "--json"))
    assert (item["status_code"], item["reason"]) == (1000, "")


def test_wstrace_shows_a_request_head_carried_in_the_syn():
    """TCP Fast Open, RFC 7413."""
    talk = pcap.Conversation()
    talk.packets.clear()
    talk.next = {"client": 0, "server": 0}
    talk.add("client", pcap.REQUEST, flags=pcap.SYN).add("server", flags=pcap.SYN | pcap.ACK_FLAG)
    talk.add("server", pcap.SWITCHING).add("client", frame(TEXT, b"a"))
    items = list(map(json.loads, wstrace(talk.pcap(), "--frames", "--json")))
    assert [item["type"] for item in items] == ["head", "head", "frame"]
    assert items[0]["seq"] == 1 and items[2]["seq"] == 1 + len(pcap.REQUEST)


def test_wstrace_handles_sequence_numbers_that_wrap_around():
    packets = article()
    bases = {}
    for packet in packets[:2]:
        bases[pcap.source_port(packet)] = struct.unpack_from(">I", packet.data, pcap.SEQ)[0]
    # The numbers pass 2^32 inside the request and inside the 101.
    client, server = (2**32 - 100 - bases[port] for port in (53522, 8080))
    moved = []
    for packet in packets:
        seq, ack = (client, server) if pcap.source_port(packet) == 53522 else (server, client)
        packet = pcap.patch(packet, pcap.SEQ, ">I", lambda value: (value + seq) % 2**32)
        if packet is not packets[0]:
            packet = pcap.patch(packet, pcap.ACK, ">I", lambda value: (value + ack) % 2**32 if value else 0)
        moved.append(packet)
    data = pcap.pcap(moved)
    assert wstrace(data) == tshark(data) == expected("article", "rows")
    assert wstrace(data, "--frames") == wstrace(pcap.pcap(packets), "--frames")


# --- hostile captures: very many bytes, segments or streams

def in_time(data, *options):
    """Limits wstrace to 20 s of CPU time, which other load does not affect: linear time is at most a second, quadratic
    time is minutes."""
    def prepare():
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return subprocess.run([pcap.program("wstrace"), *options, file.name], capture_output=True, check=True, text=True,
                              preexec_fn=prepare).stdout.splitlines()


@pytest.mark.parametrize("first, more", [(b"G", b"a"), (b"GET / HTTP/1.1\r\n", b"a:\n"),
                                         (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"1")],
                         ids=["line", "field", "chunk"])
def test_wstrace_reads_an_endless_head_or_chunk_size_in_linear_time(first, more):
    conversation = pcap.Conversation().add("client", first)
    for _ in range(100_000):
        conversation.add("client", more)
    for options in ((), ("--frames",)):
        in_time(conversation.pcap(), *options)


def test_wstrace_reads_a_head_that_arrives_byte_by_byte():
    head = b"GET /chat HTTP/1.1\r\nA: " + b"x" * 8000 + b"\r\n\r\n"
    conversation = pcap.Conversation()
    for i in range(len(head)):
        conversation.add("client", head[i:i + 1])
    assert in_time(conversation.pcap())[-1].endswith(" HTTP 55 GET /chat HTTP/1.1 ")


@pytest.mark.parametrize("options", [(), ("--frames",)], ids=["rows", "frames"])
def test_wstrace_reorders_30000_segments_in_linear_time(options):
    """A message in 30,000 one-byte segments in reverse order, and a stream whose first bytes never arrive."""
    payload = frame(BINARY, bytes(30_000))
    conversation = pcap.Conversation().upgrade()
    begin = conversation.next["client"]
    conversation.add("client", payload[:8])
    for i in reversed(range(8, len(payload))):
        conversation.add("client", payload[i:i + 1], seq=begin + i)
    other = pcap.Conversation(40002).upgrade()
    for i in range(30_000):
        other.add("client", b"x", seq=1000 + 2 * i)
    lines = in_time(pcap.pcap(conversation.packets + other.packets), *options)
    assert options == () or any("WebSocket Binary [FIN] [MASKED]" in line for line in lines)


def test_wstrace_gives_up_a_gap_once_the_segments_after_it_hold_4_mib():
    """At 4 MiB, overhead included, wstrace gives up the gap, long before the capture ends."""
    conversation = pcap.Conversation().upgrade()
    for i in range(40_000):
        conversation.add("client", b"x", seq=1000 + 2 * i)
    items = map(json.loads, in_time(conversation.pcap(), "--frames", "--json"))
    first = next(item["packet"] for item in items if item["type"] == "missing")
    assert 4 + 30_000 < first < 4 + 35_000


@pytest.mark.parametrize("options", [(), ("--frames",)], ids=["rows", "frames"])
def test_wstrace_reads_30000_streams_in_linear_time(options):
    packets = []
    for port in range(10_000, 40_000):
        packets += pcap.Conversation(port).add("client", b"GET ").packets
    in_time(pcap.pcap(packets), *options)


# --- random conversations

def random_frame(dice, is_masked):
    opcode = dice.choice([TEXT, TEXT, TEXT, BINARY, BINARY, CLOSE, PING, PONG])
    is_control = opcode >= CLOSE
    fin = is_control or dice.random() < 0.75
    size = dice.choice([0, 1, 5, 100] if is_control else [0, 1, 20, 125, 126, 200, 1400, 3000])
    payload = bytes(dice.choice("abc xyz0é".encode()) for _ in range(size))
    if opcode == CLOSE and size > 0:
        payload = struct.pack(">H", dice.choice([1000, 1001, 1011])) + payload
    return frame(opcode, payload, fin) if is_masked else server_frame(opcode, payload, fin)


def server_frame(opcode, payload, fin):
    size = bytes([len(payload)]) if len(payload) < 126 else struct.pack(">BH", 126, len(payload))
    return bytes([fin << 7 | opcode]) + size + payload


def random_conversation(dice):
    """A connection in segments of any size, from one of two ports, which later connections use again."""
    conversation = pcap.Conversation(dice.choice([40001, 40002]), isn=dice.randrange(1 << 30))
    conversation.add("client", flags=pcap.ACK_FLAG)

    def send(sender, data):
        while data:
            size = min(1448, dice.choice([len(data), len(data), dice.randint(1, len(data))]))
            conversation.add(sender, data[:size])
            data = data[size:]
            if dice.random() < 0.4:
                conversation.add("server" if sender == "client" else "client", flags=pcap.ACK_FLAG)
    def frames(sender):
        return b"".join(random_frame(dice, sender == "client") for _ in range(dice.choice([1, 1, 2, 3])))
    send("client", pcap.REQUEST)
    send("server", pcap.SWITCHING + (frames("server") if dice.random() < 0.5 else b""))
    for _ in range(dice.randint(0, 8)):
        sender = dice.choice(["client", "server"])
        send(sender, frames(sender))
    first, second = dice.sample(["client", "server"], 2)
    if dice.random() < 0.7:
        conversation.add(first, flags=pcap.FIN | pcap.ACK_FLAG).add(second, flags=pcap.FIN | pcap.ACK_FLAG)
        conversation.add(first, flags=pcap.ACK_FLAG)
    else:
        conversation.add(first, flags=0x04 | dice.choice([0, pcap.ACK_FLAG]))
    return conversation.packets


def test_wstrace_agrees_with_wireshark_on_a_segment_that_ends_a_head_and_begins_a_frame():
    message = server_frame(TEXT, b"x" * 1000, True)
    conversation = pcap.Conversation().add("client", pcap.REQUEST).add("server", pcap.SWITCHING[:40])
    conversation.add("server", pcap.SWITCHING[40:] + message[:500]).add("server", message[500:])
    rows = wstrace(conversation.pcap())
    assert rows == tshark(conversation.pcap())
    assert "HTTP 591 HTTP/1.1 101 Switching Protocols" in rows[4]


@pytest.mark.parametrize("seed", range(12))
def test_wstrace_agrees_with_wireshark_on_random_conversations(seed):
    dice = random.Random(seed)
    packets = [packet for _ in range(8) for packet in random_conversation(dice)]
    data = pcap.pcap([packet._replace(time=number * 50_000) for number, packet in enumerate(packets)])
    assert wstrace(data) == tshark(data)


def test_wstrace_shows_no_fields_of_a_frame_whose_header_is_incomplete():
    packets = pcap.Conversation().upgrade().add("client", b"\x81").packets
    (*_, item) = map(json.loads, wstrace(pcap.pcap(packets), "--frames", "--json"))
    assert (item["type"], item["length"], item["whole"]) == ("frame", 1, False)
    assert not {"fin", "opcode", "mask", "payload_length"} & item.keys()


def test_wstrace_numbers_packets_beyond_99999():
    ack = pcap.Conversation().add("client", flags=pcap.ACK_FLAG).packets[-1]
    packets = [ack] * 99_999 + pcap.Conversation().upgrade().packets
    lines = wstrace(pcap.pcap(packets), "--frames")
    assert [line.split()[0] for line in lines if " Seq=" in line] == ["100002", "100003"]


# --- other link layers and files

@pytest.mark.parametrize("link, header", [
    (pcap.COOKED, lambda kind: struct.pack(">HHH8x", 0, 772, 6) + kind),
    (pcap.COOKED2, lambda kind: kind + struct.pack(">HIHBB8x", 0, 1, 772, 0, 6)),
    (pcap.NULL, lambda kind: struct.pack("<I", 2)),
    (pcap.LOOP, lambda kind: struct.pack(">I", 2)),
    (pcap.RAW, lambda kind: b""),
    (pcap.IPV4, lambda kind: b""),
    (pcap.ETHERNET, lambda kind: bytes(12) + b"\x81\x00\x00\x07" + kind),
])
def test_wstrace_reads_captures_of_other_link_layers(link, header):
    data = pcap.pcap(pcap.with_header(article(), header), link)
    rows = wstrace(data)
    assert rows == tshark(data)
    assert "WebSocket Text [FIN] [MASKED]" in rows[7]


@pytest.mark.parametrize("link", [pcap.RAW, pcap.IPV6])
def test_wstrace_reads_ipv6_packets_without_a_link_layer(link):
    packets = pcap.with_header(pcap.read(CAPTURES / "ipv6.pcap"), lambda kind: b"")
    data = pcap.pcap(packets, link)
    rows = wstrace(data)
    assert rows == tshark(data)
    assert any("WebSocket Text [FIN]" in row for row in rows)


@pytest.mark.parametrize("form", [pcap.pcap, pcap.pcapng])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_wstrace_reads_pcap_and_pcapng_in_both_byte_orders_and_resolutions(form, order, nanoseconds):
    data = form(article(), order=order, nanoseconds=nanoseconds)
    rows = wstrace(data)
    assert rows == tshark(data)
    assert len(rows) == 17


@pytest.mark.parametrize("ticks", [2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("digits", [0, 6, 9])
def test_wstrace_accepts_any_64_bit_timestamp_in_pcapng(ticks, digits):
    """pcapng has timestamps of 64 bits."""
    first, second = article()[:2]
    data = pcap.pcapng([first._replace(time=0), second._replace(time=ticks)], nanoseconds=True)
    data = data.replace(struct.pack("<HHBxxx", 9, 1, 9), struct.pack("<HHBxxx", 9, 1, digits))
    for options in ((), ("--json",)):
        assert len(wstrace(data, *options)) == 2


def test_wstrace_shows_addresses_protocol_and_length_of_packets_other_than_tcp():
    udp = bytes(12) + b"\x08\x00" + bytes.fromhex("45000020000040004011000001020304050607080035003500000000") + bytes(8)
    icmp6 = bytes(12) + b"\x86\xdd" + bytes.fromhex("6000000000083aff") + bytes(15) + b"\1" + bytes(15) + b"\2" + bytes(8)
    arp = bytes.fromhex("ffffffffffff0000000000010806") + bytes(28)
    rows = wstrace(pcap.pcap([pcap.Packet(0, len(data), data) for data in (udp, icmp6, arp)]))
    assert rows == [
        "    1   0.000000      1.2.3.4 → 5.6.7.8      UDP 50 ",
        "    2   0.000000          ::1 → ::2          ICMPv6 62 ",
        "    3   0.000000 00:00:00:00:00:01 → ff:ff:ff:ff:ff:ff ARP 42 "]


def test_wstrace_agrees_with_wireshark_on_segments_that_exceed_the_ipv4_length():
    """With segmentation offload a captured segment may have more than 65,535 bytes, and then its total length is 0."""
    packets = article()[:3]
    ack = pcap.patch(packets[2], 16, ">H", lambda _: 0)
    packets.append(ack._replace(length=len(ack.data) + 70_000, data=ack.data + b"x" * 70_000))
    following = pcap.patch(packets[2], pcap.SEQ, ">I", lambda seq: seq + 70_000)
    packets.append(following)
    data = pcap.pcap(packets)
    rows = wstrace(data)
    assert "Len=70000" in rows[3] and "not captured" not in rows[4]
    assert rows == tshark(data)


@pytest.mark.parametrize("size", [96, 80, 68, 60, 40])
def test_wstrace_agrees_with_wireshark_on_packets_cut_by_the_capture(size):
    cut = [packet._replace(data=packet.data[:size]) for packet in article()]
    data = pcap.pcap(cut)
    rows = wstrace(data)
    assert rows == tshark(data)
    assert any("[Packet size limited during capture]" in row for row in rows)
    wstrace(data, "--frames")


# --- untrusted text

ODD = [b"\xed\xa0\x80", b"\xff\xfe", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\0", b"\x1b[2J", b"\x7f", b"\xc2\x85",
       b"\xe2\x80\xae", b"\xef\xbf\xbf", b'"', b"\\", "é".encode()]


def outputs(data, *options):
    """The lines that wstrace prints, as bytes."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return subprocess.run([pcap.program("wstrace"), *options, file.name], capture_output=True,
                              check=True).stdout.split(b"\n")[:-1]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_wstrace_escapes_text_from_captures_and_prints_valid_json(odd):
    conversation = pcap.Conversation().upgrade(
        pcap.REQUEST.replace(b"/echo", b"/" + odd + b"x" * 5000),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/" + odd + b"\r\nContent-Length: 2\r\n\r\nab")
    framed = pcap.Conversation(40002).upgrade().add("client", frame(TEXT, odd))
    framed.add("client", frame(CLOSE, b"\x03\xe8" + odd))
    data = pcap.pcap(conversation.packets + framed.packets)
    for options in ((), ("--frames",)):
        for line in outputs(data, *options):
            text = line.decode()  # fails on invalid UTF-8
            assert {c for c in text if not c.isprintable()} <= {"\uffff"}, text
    infos = [json.loads(line.decode())["info"] for line in outputs(data, "--json")]
    assert any(" (text/" in info for info in infos)
    assert len([json.loads(line.decode()) for line in outputs(data, "--frames", "--json")]) >= 4


def test_wstrace_cuts_a_long_info_column_at_a_character_boundary():
    for pad in (b"", b"a"):
        data = pcap.Conversation().add("client", b"GET /" + pad + "é".encode() * 2100 + b" HTTP/1.1\r\n\r\n").pcap()
        (line,) = [line for line in outputs(data) if b"GET" in line]
        assert line.decode().endswith("éé")
        assert len(line.split(b" HTTP 4")[1]) in range(4090, 4101), "Wireshark shows 4,095 bytes, with half a character"


# --- invalid captures, options and outputs

def test_wstrace_shows_the_whole_packets_of_a_truncated_file():
    data = (CAPTURES / "article.pcap").read_bytes()
    result = pcap.run([pcap.program("wstrace")], data[:-10])
    assert result.returncode == 1
    assert result.stdout.splitlines() == expected("article", "rows")[:16]
    assert "truncated" in result.stderr and "16 packets" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("data", [b"", b"not a capture at all, but a text", bytes(24), b"\xd4\xc3\xb2\xa1",
                                  b"\x0a\x0d\x0d\x0a" * 8])
def test_wstrace_reports_an_invalid_capture_file_in_one_line(data):
    result = pcap.run([pcap.program("wstrace")], data)
    assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (1, "", 1), result.stderr
    assert result.stderr.startswith("wstrace: ")


def test_wstrace_names_an_unknown_link_type():
    result = pcap.run([pcap.program("wstrace")], pcap.pcap(article(), link=105))
    assert result.returncode == 1 and "link type 105" in result.stderr


def test_wstrace_reports_a_missing_file():
    result = pcap.run([pcap.program("wstrace"), "no-such-file"])
    assert result.returncode == 1 and "no-such-file" in result.stderr and "No such file" in result.stderr


@pytest.mark.parametrize("options", [[], ["--frobnicate"], ["--bytes", "9", "x"], ["-w", "y", "x"],
                                     ["--allow-piggyback", "x"],
                                     ["--check", "t", "--json", "x"], ["--check", "t", "--frames", "x"]])
def test_wstrace_exits_with_2_if_options_are_invalid(options):
    result = pcap.run([pcap.program("wstrace"), *options])
    assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (2, "", 1), result.stderr


ARTICLE = str(CAPTURES / "article.pcap")


@pytest.mark.parametrize("options", [["--help"], ["--version"], [ARTICLE], ["--frames", ARTICLE], ["--json", ARTICLE],
                                     ["--check", str(CAPTURES / "documented-trace.tsv"), ARTICLE]])
def test_wstrace_exits_with_1_if_standard_output_cannot_be_written(options):
    with open("/dev/full", "w") as full:
        result = subprocess.run([pcap.program("wstrace"), *options], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr == "wstrace: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("has_default", [True, False], ids=["default", "ignored"])
def test_wstrace_ends_if_the_reader_of_its_output_closes_the_pipe(has_default):
    """SIGPIPE ends wstrace; if the signal is ignored, the first failed write does."""
    command = f"exec {pcap.program('wstrace')} -"
    with subprocess.Popen([*(["env", "--ignore-signal=PIPE"] if not has_default else []), "sh", "-c", command],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tracer:
        data = (CAPTURES / "article.pcap").read_bytes()
        tracer.stdin.write(data)
        tracer.stdout.close()
        with pytest.raises(BrokenPipeError):
            for _ in range(10_000):  # wstrace ends before it has read everything
                tracer.stdin.write(data[24:])
        with contextlib.suppress(BrokenPipeError):
            tracer.stdin.close()
        assert tracer.wait() == (-signal.SIGPIPE if has_default else 1)
        error = b"" if has_default else b"wstrace: cannot write to standard output: Broken pipe\n"
        assert tracer.stderr.read() == error


def test_wstrace_reads_a_capture_from_standard_input():
    data = (CAPTURES / "article.pcap").read_bytes()
    result = subprocess.run([pcap.program("wstrace"), "-"], input=data, capture_output=True)
    assert result.stdout.decode().splitlines() == expected("article", "rows")


# --- live

def read_until(tracer, what):
    lines = []
    while not lines or what not in lines[-1]:
        lines.append(tracer.stdout.readline())
        assert lines[-1], f"wstrace ended without printing {what!r}: {lines}"
    return lines


@only_root
def test_wstrace_shows_the_frames_of_a_live_capture_immediately(wsd):
    server = wsd()
    frames, rows = pcap.start_capture(server, "--frames"), pcap.start_capture(server, "--json")
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"live"))
        assert raw.frame() == (TEXT, b"Echo: live")
        # The connection is still open: wstrace does not wait for its end.
        shown = read_until(frames, 'Text="Echo: live"')
        assert " Seq=1 " in shown[0] and "GET /echo HTTP/1.1" in shown[0]
        assert any("WebSocket Text [FIN] [MASKED]" in line for line in shown)
        row = json.loads(read_until(rows, '"info":"WebSocket Text [FIN] "')[-1])
        assert row["protocol"] == "WebSocket"
        for tracer in (frames, rows):
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=60)
            assert tracer.returncode == 0


# A user who may not capture is told that first, before wstrace looks at the filter or opens the file.
NOT_ALLOWED = " (capturing needs root)" if os.geteuid() != 0 else None


@pytest.mark.parametrize("options, complaint", [
    (["-i", "no-such-device"], "no-such-device"),
    (["-i", "lo", "-f", "tcp pork 1"], NOT_ALLOWED or "the filter 'tcp pork 1'"),
    (["-i", "lo", "-w", "/no/such/directory/file"], NOT_ALLOWED or "/no/such/directory/file"),
])
def test_wstrace_reports_a_failed_live_capture_in_one_line(options, complaint):
    result = pcap.run([pcap.program("wstrace"), *options])
    assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (1, "", 1), result.stderr
    assert complaint in result.stderr
