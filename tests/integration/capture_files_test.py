"""Captures of other programs, written byte by byte: wstrace must print the rows of the installed tshark."""

import struct

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
