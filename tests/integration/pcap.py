"""Reads, changes and writes captures, and runs wstrace and tshark on them."""

import collections
import functools
import os
import struct
import subprocess
import tempfile
from pathlib import Path

from conftest import program

CAPTURES = Path(__file__).resolve().parents[2] / "captures"

# `time` in nanoseconds, `length` on the wire, `data` the captured bytes.
Packet = collections.namedtuple("Packet", "time length data")

ETHERNET, NULL, LOOP, RAW, COOKED, COOKED2, IPV4, IPV6 = 1, 0, 108, 101, 113, 276, 228, 229


def read(path):
    """The packets of a pcap file of Ethernet, as tools/captures writes them: little-endian, microseconds."""
    data = Path(path).read_bytes()
    magic, _, _, _, _, _, link = struct.unpack("<IHHiIII", data[:24])
    assert (magic, link) == (0xA1B2C3D4, ETHERNET)
    packets, at = [], 24
    while at < len(data):
        seconds, micros, captured, length = struct.unpack("<IIII", data[at:at + 16])
        packets.append(Packet((seconds * 1_000_000 + micros) * 1000, length, data[at + 16:at + 16 + captured]))
        at += 16 + captured
    return packets


def pcap(packets, link=ETHERNET, order="<", nanoseconds=False):
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)]
    for packet in packets:
        fraction = packet.time % 1_000_000_000 // (1 if nanoseconds else 1000)
        parts.append(struct.pack(order + "IIII", packet.time // 1_000_000_000, fraction, len(packet.data), packet.length))
        parts.append(packet.data)
    return b"".join(parts)


def pcapng(packets, link=ETHERNET, order="<", nanoseconds=False):
    def block(kind, body):
        size = len(body) + 12
        return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)
    # An option that wstrace ignores precedes if_tsresol.
    options = struct.pack(order + "HH4s", 2, 2, b"lo\0\0")
    if nanoseconds:
        options += struct.pack(order + "HHBxxx", 9, 1, 9)
    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack(order + "HHI", link, 0, 0) + options + struct.pack(order + "HH", 0, 0))
    for packet in packets:
        time = packet.time if nanoseconds else packet.time // 1000
        head = struct.pack(order + "IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(packet.data), packet.length)
        out += block(6, head + packet.data + bytes(-len(packet.data) % 4))
    return out


# --- changes

def with_header(packets, header):
    """Another link layer in place of Ethernet's 14 bytes: header(ether_type) gives its bytes."""
    changed = []
    for packet in packets:
        new = header(packet.data[12:14])
        changed.append(packet._replace(data=new + packet.data[14:], length=packet.length - 14 + len(new)))
    return changed


def patch(packet, at, form, change):
    """Changes a number in the packet's bytes."""
    data = bytearray(packet.data)
    (value,) = struct.unpack_from(form, data, at)
    struct.pack_into(form, data, at, change(value))
    return packet._replace(data=bytes(data))


# Offsets in a packet of Ethernet and IPv4 without options.
SOURCE_PORT, DESTINATION_PORT, SEQ, ACK = 34, 36, 38, 42


def source_port(packet):
    return struct.unpack_from(">H", packet.data, SOURCE_PORT)[0]


def with_port(packets, old, new):
    def change(port):
        return new if port == old else port
    return [patch(patch(p, SOURCE_PORT, ">H", change), DESTINATION_PORT, ">H", change) for p in packets]


def payload_size(packet):
    (total,) = struct.unpack_from(">H", packet.data, 16)
    return total - 20 - (packet.data[46] >> 4) * 4


# --- synthetic packets

CLIENT_PORT, SERVER_PORT = 40001, 8080
FIN, SYN, PSH, ACK_FLAG = 0x01, 0x02, 0x08, 0x10
REQUEST = (b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Conversation:
    """A connection on the loopback, packet by packet, a microsecond apart. Sequence numbers are relative to `isn`."""

    def __init__(self, client_port=CLIENT_PORT, isn=1000):
        self.packets = []
        self.isn = isn
        self.ports = {"client": client_port, "server": SERVER_PORT}
        self.next = {"client": 0, "server": 0}
        self.add("client", flags=SYN)
        self.add("server", flags=SYN | ACK_FLAG)

    def add(self, sender, payload=b"", flags=PSH | ACK_FLAG, seq=None):
        """`seq`: of the first byte, by default the next one of the sender."""
        receiver = "server" if sender == "client" else "client"
        seq = self.next[sender] if seq is None else seq
        tcp = struct.pack(">HHIIHHHH", self.ports[sender], self.ports[receiver], self.isn + seq,
                          self.isn + self.next[receiver] if flags & ACK_FLAG else 0, 5 << 12 | flags, 65535, 0, 0) + payload
        address = bytes([127, 0, 0, 1])
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, address, address)
        data = bytes(12) + b"\x08\x00" + ip + tcp
        self.packets.append(Packet(len(self.packets) * 1000, len(data), data))
        self.next[sender] = max(self.next[sender], seq + len(payload) + (1 if flags & (SYN | FIN) else 0))
        return self

    def upgrade(self, request=REQUEST, answer=SWITCHING):
        return self.add("client", request).add("server", answer)

    def pcap(self):
        return pcap(self.packets)


# --- readers

@functools.cache
def empty_configuration():
    return tempfile.TemporaryDirectory(prefix="tshark-")  # is removed at exit


def run(command, data=None):
    """Runs a command. `data`, if given, is a capture, in a file whose name is the last argument."""
    environment = os.environ | {"LC_ALL": "C.UTF-8", "WIRESHARK_CONFIG_DIR": empty_configuration().name}
    with tempfile.NamedTemporaryFile(prefix="capture-") as file:
        if data is not None:
            file.write(data)
            file.flush()
            command = [*command, file.name]
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
    return result


def tshark(data, *options):
    result = run(["tshark", *options, "-r"], data)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def wstrace(data, *options, status=0):
    result = run([program("wstrace"), *options], data)
    assert result.returncode == status, (result.returncode, result.stdout[-2000:], result.stderr)
    return result.stdout.splitlines()


def start_capture(server, *options):
    """Starts wstrace on the traffic of a server. Raises PermissionError if this user may not capture."""
    tracer = subprocess.Popen([program("wstrace"), "-i", "lo", "-f", f"tcp port {server.port}", *options],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = tracer.stderr.readline()
    if line != "capturing on lo\n":
        tracer.communicate()
        raise PermissionError(line) if "(capturing needs root)" in line else AssertionError(f"wstrace printed {line!r}")
    return tracer
