"""Builds frames with any error, and checks the server's frames strictly.

A case builds its frames field by field, so that a frame can be wrong in exactly one field. The server's bytes are
checked against RFC 6455 as they arrive; the first error raises Violation. No code is shared with the server under test,
so that its codec never validates itself.
"""

import base64
import hashlib
import os
import random
import struct
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

RSV1 = 4  # as in Wireshark's three reserved bits: 4, 2, 1


class Violation(Exception):
    """The server violated the protocol; the message says how."""


class Refused(Exception):
    """The opening handshake failed; the message says why."""


# --- writing

def mask(payload, key):
    """XORs payload and repeated key as two large integers: milliseconds for 16 MiB."""
    size = len(payload)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def frame(opcode, payload=b"", *, fin=True, rsv=0, key=None, masked=True, length_form=None):
    """Encodes one frame. The default key is random, the default length field the shortest; `length_form` sets the bits
    of the length field: 7, 16 or 64."""
    size = len(payload)
    form = length_form or (7 if size < 126 else 16 if size < 65536 else 64)
    length = {7: size, 16: 126, 64: 127}[form]
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | length])
    head += {7: b"", 16: struct.pack(">H", size & 0xFFFF), 64: struct.pack(">Q", size)}[form]
    if not masked:
        return head + payload
    if key is None:
        key = random.randbytes(4)
    return head + key + mask(payload, key)


def fragments(opcode, payload, size, rsv=0):
    """Splits a message into frames of `size`. If its length is a multiple of `size`, an empty last frame has FIN; but a
    message that fits into one frame is one frame."""
    if len(payload) <= size:
        return [frame(opcode, payload, rsv=rsv)]
    parts = [payload[start:start + size] for start in range(0, len(payload) + 1, size)]
    return [frame(CONTINUATION if index else opcode, part, fin=index == len(parts) - 1, rsv=0 if index else rsv)
            for index, part in enumerate(parts)]


def close_payload(code=None, reason=b""):
    return (b"" if code is None else struct.pack(">H", code)) + reason


def chops(data, size):
    """Splits bytes into pieces for separate writes."""
    return [data[start:start + size] for start in range(0, len(data), size)]


# --- reading

@dataclass
class Frame:
    fin: bool
    rsv: int
    opcode: int
    payload: bytes


class FrameReader:
    """Parses frames incrementally. `compresses`: RSV1 is allowed on the first frame of a message."""

    def __init__(self, compresses=False):
        self.compresses = compresses
        self.buffer = bytearray()
        self.is_inside_message = False

    def feed(self, data):
        self.buffer += data

    def next(self):
        """Returns the next complete frame, or None."""
        buffer = self.buffer
        if len(buffer) < 2:
            return None
        fin, rsv, opcode = bool(buffer[0] & 0x80), buffer[0] >> 4 & 7, buffer[0] & 0xF
        masked, size, head = bool(buffer[1] & 0x80), buffer[1] & 0x7F, 2
        self.judge(fin, rsv, opcode, masked, size)
        if size == 126:
            if len(buffer) < 4:
                return None
            (size,), head = struct.unpack_from(">H", buffer, 2), 4
            if size < 126:
                raise Violation(f"a length of {size} in 16 bits")
        elif size == 127:
            if len(buffer) < 10:
                return None
            (size,), head = struct.unpack_from(">Q", buffer, 2), 10
            if size < 65536:
                raise Violation(f"a length of {size} in 64 bits")
            if size >= 1 << 63:
                raise Violation("a length whose highest bit is set")
        if len(buffer) < head + size:
            return None
        payload = bytes(buffer[head:head + size])
        del buffer[:head + size]
        if opcode < 8:
            self.is_inside_message = not fin
        return Frame(fin, rsv, opcode, payload)

    def judge(self, fin, rsv, opcode, masked, length):
        """Validates the first two bytes of a frame."""
        if masked:
            raise Violation("a masked frame from a server")
        if rsv and not (rsv == RSV1 and self.compresses):
            raise Violation(f"reserved bits {rsv} without an extension")
        if rsv and (opcode >= 8 or opcode == CONTINUATION):
            raise Violation(f"RSV1 on a frame with opcode {opcode}")
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise Violation(f"the reserved opcode {opcode}")
        if opcode >= 8:
            if not fin:
                raise Violation("a fragmented control frame")
            if length > 125:
                raise Violation("a control frame of more than 125 bytes")
        elif opcode == CONTINUATION and not self.is_inside_message:
            raise Violation("a continuation of nothing")
        elif opcode != CONTINUATION and self.is_inside_message:
            raise Violation("a new message before the last was finished")


def read_close(payload):
    """Returns the code and reason of a Close; the code is None if the payload is empty."""
    if not payload:
        return None, b""
    if len(payload) == 1:
        raise Violation("a Close with half a code")
    (code,), reason = struct.unpack(">H", payload[:2]), payload[2:]
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise Violation(f"a Close with the code {code}, which may not be sent")
    try:
        reason.decode()
    except UnicodeDecodeError:
        raise Violation("a Close whose reason is not UTF-8") from None
    return code, reason


# --- the opening handshake

class Upgrade:
    """The opening request, and the validation of the response to it."""

    def __init__(self, host, path, offers=""):
        self.key = base64.b64encode(os.urandom(16)).decode()
        self.offers = offers
        fields = ["Host: " + host, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                  "Sec-WebSocket-Key: " + self.key]
        if offers:
            fields.append("Sec-WebSocket-Extensions: " + offers)
        self.request = "\r\n".join([f"GET {path} HTTP/1.1", *fields, "", ""]).encode()

    def judge(self, head):
        """Returns the value of Sec-WebSocket-Extensions, or "". Raises Refused if the response is invalid."""
        lines = head.decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1.1 101"):
            raise Refused(f"answered {lines[0]!r}")
        fields = {}
        for line in filter(None, lines[1:]):
            name, colon, value = line.partition(":")
            if not colon or name != name.strip():
                raise Refused(f"not a header field: {line!r}")
            fields.setdefault(name.lower(), []).append(value.strip())

        accept = hashlib.sha1((self.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if fields.get("sec-websocket-accept") != [base64.b64encode(accept).decode()]:
            raise Refused(f"Sec-WebSocket-Accept is {fields.get('sec-websocket-accept')}")
        if [value.lower() for value in fields.get("upgrade", [])] != ["websocket"]:
            raise Refused(f"Upgrade is {fields.get('upgrade')}")
        connection = ",".join(fields.get("connection", [])).lower()
        if "upgrade" not in [option.strip() for option in connection.split(",")]:
            raise Refused(f"Connection is {connection!r}")
        if "sec-websocket-protocol" in fields:
            raise Refused("a subprotocol that was not asked for")
        extensions = ", ".join(fields.get("sec-websocket-extensions", []))
        if extensions and not self.offers:
            raise Refused(f"an extension that was not offered: {extensions}")
        return extensions
