"""Captures of other programs, written byte by byte: wstrace must print the rows of the installed tshark."""

import gzip
import json
import os
import struct
import subprocess

import pytest

import pcap
from pcap import CAPTURES, tshark, wstrace


def article():
    return pcap.read(CAPTURES / "article.pcap")


# --- VLAN tags

TAGS = {"802.1Q in 802.1Q": "8100 0007 8100 0008", "802.1Q in 802.1ad": "88a8 0007 8100 0008",
        "802.1Q in 0x9100": "9100 0007 8100 0008", "one 0x9100": "9100 0007",
        "three": "88a8 0001 9100 0002 8100 0003"}


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS.keys())
def test_wstrace_skips_each_vlan_tag(tags):
    tagged = pcap.with_header(article(), lambda kind: bytes(12) + bytes.fromhex(tags) + kind)
    rows = wstrace(pcap.pcap(tagged))
    assert rows == tshark(pcap.pcap(tagged))
    assert "WebSocket Text [FIN] [MASKED]" in rows[7]


@pytest.mark.parametrize("size", range(12, 26))
def test_wstrace_reads_no_byte_after_a_packet_that_ends_in_its_vlan_tags(size):
    data = (bytes(12) + bytes.fromhex("88a8 0007 8100 0008 0800 4500"))[:size]
    (row,) = wstrace(pcap.pcap([pcap.Packet(0, len(data), data)]))
    assert " TCP " not in row


# --- TCP options

COOKIE = bytes(range(8))
OPTIONS = {  # bytes of the option, and what Wireshark appends to the row
    "Fast Open, request": (bytes([34, 2]), " TFO=R"),
    "Fast Open, cookie": (bytes([34, 10]) + COOKIE, " TFO=C"),
    "Fast Open, cookie of an invalid size": (bytes([34, 5, 1, 2, 3]), " TFO=C"),
    "experiment 254, request": (bytes([254, 4, 0xF9, 0x89]), " TFO=R"),
    "experiment 254, cookie": (bytes([254, 12, 0xF9, 0x89]) + COOKIE, " TFO=C"),
    "experiment 253, cookie": (bytes([253, 12, 0xF9, 0x89]) + COOKIE, " TFO=C"),
    "another experiment": (bytes([254, 6, 0x01, 0x02, 3, 4]), " ExID=102"),
    "experiment 0": (bytes([253, 4, 0, 0]), " ExID=0"),
    "experiment with letters": (bytes([253, 4, 0xE2, 0xD4]), " ExID=E2D4"),
    "experiment without an id": (bytes([254, 3, 1]), ""),
    "MD5 signature": (bytes([19, 18]) + bytes(16), " MD5"),
    "MD5 signature of an invalid size": (bytes([19, 4, 0, 0]), " MD5"),
    "user timeout in seconds": (bytes([28, 4, 0x00, 30]), " USER_TO=30"),
    "user timeout in minutes": (bytes([28, 4, 0x80, 30]), " USER_TO=30"),
    "longest user timeout": (bytes([28, 4, 0xFF, 0xFF]), " USER_TO=32767"),
    "user timeout of an invalid size": (bytes([28, 6, 0, 1, 0, 1]), ""),
    "Fast Open after others": (bytes([2, 4, 5, 180, 1, 1, 4, 2, 34, 2]), " MSS=1460 SACK_PERM TFO=R"),
    "SACK permitted of an invalid size": (bytes([4, 3, 1]), " SACK_PERM"),
    "truncated Fast Open": (bytes([1, 1, 1, 34]), ""),
}


def segment(port, options, flags):
    options += bytes(-len(options) % 4)
    tcp = struct.pack(">HHIIHHHH", port, 8080, 1000, 0, (5 + len(options) // 4) << 12 | flags, 65535, 0, 0) + options
    address = bytes([127, 0, 0, 1])
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, address, address)
    data = bytes(12) + b"\x08\x00" + ip + tcp
    return pcap.Packet(0, len(data), data)


@pytest.mark.parametrize("flags", [pcap.SYN, pcap.SYN | pcap.ACK_FLAG, pcap.ACK_FLAG])
def test_wstrace_names_the_tcp_options_as_wireshark_does(flags):
    data = pcap.pcap([segment(port, options, flags) for port, (options, _) in enumerate(OPTIONS.values(), 41000)])
    rows = wstrace(data)
    assert rows == tshark(data)
    assert [row.rstrip().split(" Len=0")[1] for row in rows] == [text for _, text in OPTIONS.values()]


# --- pcapng

def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link=pcap.ETHERNET, snaplen=0, options=b"", order="<"):
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def resolution(value, order="<"):
    return option(9, bytes([value]), order)


def enhanced(data, ticks, number=0, order="<", length=None):
    length = len(data) if length is None else length
    return block(6, struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length) + data, order)


def obsolete(data, ticks, number=0, order="<"):
    return block(2, struct.pack(order + "HHIIII", number, 3, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data)) + data,
                 order)


def simple(data, length=None, order="<"):
    return block(3, struct.pack(order + "I", len(data) if length is None else length) + data, order)


P = [packet.data for packet in article()]
MILLISECONDS, NANOSECONDS, BINARY = resolution(3), resolution(9), resolution(0x80 | 20)
NAMES = block(4, struct.pack("<HH", 1, 10) + bytes([127, 0, 0, 1]) + b"host\0\0\0\0" + bytes(4))
STATISTICS = block(5, struct.pack("<III", 0, 0, 0))

FILES = {
    "interfaces of different snaplen": section() + interface(snaplen=65535) + interface(snaplen=100)
    + enhanced(P[0], 1) + enhanced(P[1], 2, 1) + enhanced(P[2], 3) + enhanced(P[3][:100], 4, 1, length=len(P[3])),
    "a packet longer than the snaplen": section() + interface(snaplen=30) + enhanced(P[0], 1),
    "interfaces of different link types": section() + interface() + interface(pcap.RAW) + interface(pcap.COOKED)
    + enhanced(P[0], 1) + enhanced(P[1][14:], 2, 1)
    + enhanced(struct.pack(">HHH8x", 0, 772, 6) + P[2][12:], 3, 2) + enhanced(P[3], 4),
    "old numbers of raw IP": section() + interface(12) + interface(14) + enhanced(P[0][14:], 1) + enhanced(P[1][14:], 2, 1),
    "an unused interface of an unknown link type": section() + interface(147) + interface() + enhanced(P[0], 1, 1),
    "an interface that follows a packet": section() + interface() + enhanced(P[0], 1) + interface(pcap.RAW)
    + enhanced(P[1][14:], 2, 1),
    "different time resolutions": section() + interface() + interface(options=NANOSECONDS)
    + interface(options=MILLISECONDS) + interface(options=BINARY) + interface(options=resolution(0))
    + enhanced(P[0], 1_000_000) + enhanced(P[1], 1_500_000_123, 1) + enhanced(P[2], 1700, 2)
    + enhanced(P[3], 2**21, 3) + enhanced(P[4], 3, 4),
    "time offsets": section() + interface(options=option(14, struct.pack("<q", 100)))
    + interface(options=NANOSECONDS + option(14, struct.pack("<q", -50)))
    + enhanced(P[0], 1_000_000) + enhanced(P[1], 151_500_000_123, 1) + enhanced(P[2], 1_700_000),
    "options that are not valid": section() + interface(options=option(9, b"\x09\x09")) + enhanced(P[0], 1)
    + interface(options=option(0, b"") + NANOSECONDS) + enhanced(P[1], 1_000_000, 1)
    + interface(options=NANOSECONDS + MILLISECONDS) + enhanced(P[2], 2_000_000_000, 2),
    "sections of both byte orders": section() + interface() + enhanced(P[0], 1) + section(">")
    + interface(options=resolution(9, ">"), order=">") + enhanced(P[1], 2500, order=">") + section()
    + interface(pcap.RAW) + enhanced(P[2][14:], 3),
    "simple packets, without times": section() + interface() + simple(P[0]) + simple(P[1]),
    "simple packets of an interface with a snaplen": section() + interface(snaplen=72) + simple(P[0][:72], len(P[0]))
    + enhanced(P[1], 6_000_000) + enhanced(P[2], 7_000_000),
    "simple packets after others": section(">") + interface(order=">") + enhanced(P[0], 5_000_000, order=">")
    + simple(P[1], order=">") + enhanced(P[2], 6_000_000, order=">"),
    "obsolete packets": section() + interface() + obsolete(P[0], 5_000_000) + enhanced(P[1], 6_000_000)
    + section(">") + interface(order=">") + obsolete(P[2], 6_500_000, order=">"),
    "other blocks": section() + NAMES + interface() + STATISTICS + enhanced(P[0], 1) + block(10, bytes(8))
    + block(0x7777, bytes(70_000)) + enhanced(P[1], 2) + STATISTICS,
    "no packets": section() + interface(),
    "no interface": section(),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_wstrace_reads_pcapng_as_wireshark_does(data):
    assert wstrace(data) == tshark(data)


def test_wstrace_skips_the_custom_blocks_of_pcapng():
    """tshark prints rows for them, although they are not packets."""
    custom = block(0xBAD, b"\0\0\1\2abcd") + block(0x40000BAD, b"\0\0\1\2abcd")
    assert wstrace(section() + custom + interface() + custom + enhanced(P[0], 1) + custom) == expected_first_row()


def expected_first_row():
    return (CAPTURES / "article.rows").read_text().splitlines()[:1]


def test_wstrace_shows_a_packet_of_an_unknown_link_type_and_goes_on():
    data = section() + interface(105) + interface() + enhanced(b"12345678", 1, 0) + enhanced(P[0], 1, 1)
    unknown, known = wstrace(data)
    assert unknown.endswith(" 8 link type 105 is not supported")
    assert known[5:] == expected_first_row()[0][5:]


def test_wstrace_json_has_no_time_for_a_simple_packet():
    rows = [json.loads(line) for line in wstrace(section() + interface() + simple(P[0]) + enhanced(P[1], 0), "--json")]
    assert [row["time"] for row in rows] == [None, 0.0]


def test_wstrace_shows_no_notes_if_the_options_of_a_segment_are_cut():
    cut = article()[0]._replace(data=P[0][:70])
    data = pcap.pcap([cut, cut._replace(time=cut.time + 10**9)])
    assert wstrace(data) == tshark(data)


@pytest.mark.parametrize("body, has_type", [(b"0\r\n\r\n", False), (b"00\r\n\r\n", False),
                                            (b"1\r\nx\r\n0\r\n\r\n", True)])
def test_wstrace_names_the_type_of_a_chunked_body_that_has_bytes(body, has_type):
    talk = pcap.Conversation().add("client", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    talk.add("server", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    rows = wstrace(talk.pcap())
    assert rows == tshark(talk.pcap())
    assert ("(text/html)" in rows[3]) == has_type


def test_wstrace_names_the_damaged_block_of_a_pcapng_file():
    data = section() + interface() + enhanced(P[0], 1) + enhanced(P[1], 2)
    result = pcap.run([pcap.program("wstrace")], data[:-7])
    assert result.returncode == 1
    assert result.stdout.splitlines() == expected_first_row()
    assert result.stderr.endswith(": block 4 (enhanced packet) at byte 156 is truncated (after 1 packets)\n")
    assert len(result.stderr.splitlines()) == 1


# --- gzip

FORMS = {"pcap": pcap.pcap, "pcapng": pcap.pcapng}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_wstrace_reads_gzip_files(form):
    data = form(article(), nanoseconds=True)
    rows = wstrace(data)
    assert wstrace(gzip.compress(data)) == rows == tshark(gzip.compress(data))
    members = gzip.compress(data[:11]) + gzip.compress(b"") + gzip.compress(data[11:])
    assert wstrace(members) == rows, "a file of several members"
    assert wstrace(members + bytes(512)) == rows, "padded with zeros"
    result = subprocess.run([pcap.program("wstrace"), "-"], input=gzip.compress(data), capture_output=True)
    assert result.stdout.decode().splitlines() == rows, "from standard input"


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_wstrace_shows_the_packets_before_the_damage_of_a_gzip_file(form):
    data = form(article())
    rows = wstrace(data)
    packed = gzip.compress(data, compresslevel=0)
    damaged = packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:]
    for file, error in ((packed[:len(packed) // 2], "the gzip data is truncated"),
                        (packed[:-1], "the gzip data is truncated"),
                        (damaged, "the gzip data is damaged: incorrect data check")):
        result = pcap.run([pcap.program("wstrace")], file)
        assert result.returncode == 1
        assert error in result.stderr and "packets)" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        shown = result.stdout.splitlines()
        assert rows[:len(shown)] == shown and len(shown) >= 4


def test_wstrace_reports_a_gzip_file_that_is_no_capture():
    for data in (gzip.compress(b"a text, not a capture"), gzip.compress(b""), b"\x1f\x8b", b"\x1f\x8b\x08" + bytes(20)):
        result = pcap.run([pcap.program("wstrace")], data)
        assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (1, "", 1), result.stderr


def test_wstrace_reads_a_large_gzip_file_in_little_memory():
    """A gzip file can become a thousand times larger when it is decompressed."""
    huge = section() + interface() + block(0x7777, bytes(300_000_000)) + enhanced(P[0], 1)
    # A sanitizer reserves much address space.
    limit = "" if os.environ.get("FBF_SANITIZED") == "1" else "ulimit -v 200000; "
    command = limit + "exec " + pcap.program("wstrace") + ' "$0"'
    result = pcap.run(["sh", "-c", command], gzip.compress(huge, compresslevel=1))
    assert (result.returncode, result.stdout.splitlines(), result.stderr) == (0, expected_first_row(), "")
