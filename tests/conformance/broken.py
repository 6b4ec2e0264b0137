#!/usr/bin/env python3
"""broken.py [NAME...]     an echo server that tests the client: correct in everything that the cases check, except
                        for the named faults (--list lists them). Prints "listening on 127.0.0.1:PORT".

It shares no code with the client. Each fault changes only the line that checks for its name.
"""

import base64
import hashlib
import select
import socket
import struct
import sys
import threading
import time
import zlib

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10

# Faults, and unusual but correct behaviour ("may-...").
NAMES = """
    pong-empty pong-second pong-last pong-late pong-to-pong
    text-as-binary echo-twice echo-truncated echo-nothing-empty echo-other-bytes
    rsv-ignored opcode-ignored control-fragmented control-long
    continuation-ignored continuation-as-text text-inside-text
    utf8-unchecked utf8-at-end utf8-by-frame utf8-surrogates utf8-beyond utf8-overlong utf8-unfinished
    fails-1011 replies-1001 close-any-code close-one-byte close-reason-unchecked close-no-private
    close-no-reply close-and-goes-on close-keeps-tcp
    length-not-minimal masks wrong-accept no-16-mib
    deflate-declined deflate-forgets-ours deflate-keeps-its-own deflate-no-rsv1 deflate-rsv1-everywhere
    deflate-window deflate-tail deflate-no-window deflate-no-forgetting deflate-bad-answer
    may-dribble may-fragment may-drop may-close-empty may-ping may-not-deflate may-deflate-afresh
""".split()


class Ended(Exception):
    """The client closed the TCP connection."""


class Fails(Exception):
    """Fails the connection with this status code."""


class Utf8:
    """Validates UTF-8 incrementally; `takes` returns False at the first invalid byte."""

    def __init__(self, faults):
        self.faults = faults
        self.left, self.low, self.high = 0, 0x80, 0xBF

    def takes(self, data):
        if not self.left and data.isascii():
            return True
        return all(map(self.takes_byte, data))

    def takes_byte(self, byte):
        if self.left:
            is_good = self.low <= byte <= self.high
            self.left, self.low, self.high = self.left - 1, 0x80, 0xBF
            return is_good
        is_overlong, is_beyond = "utf8-overlong" in self.faults, "utf8-beyond" in self.faults
        if byte < 0x80:
            return True
        if (0xC0 if is_overlong else 0xC2) <= byte <= 0xDF:
            self.left = 1
        elif 0xE0 <= byte <= 0xEF:
            self.left = 2
            if byte == 0xE0 and not is_overlong:
                self.low = 0xA0
            if byte == 0xED and "utf8-surrogates" not in self.faults:
                self.high = 0x9F
        elif 0xF0 <= byte <= (0xF7 if is_beyond else 0xF4):
            self.left = 3
            if byte == 0xF0 and not is_overlong:
                self.low = 0x90
            if byte == 0xF4 and not is_beyond:
                self.high = 0x8F
        else:
            return False
        return True


def unmask(data, key, at):
    key = (key[at % 4:] + key[:at % 4]) * (len(data) // 4 + 1)
    return (int.from_bytes(data, "big") ^ int.from_bytes(key[:len(data)], "big")).to_bytes(len(data), "big")


class Session:
    def __init__(self, tcp, faults):
        self.tcp, self.faults = tcp, faults
        self.buffer = bytearray()
        self.deflate = None  # the negotiated parameters, by name
        self.inflater = self.deflater = None
        self.message, self.opcode, self.is_compressed, self.utf8 = None, None, False, None
        self.pings = 0
        self.late_pongs, self.last_ping, self.ping_at = [], None, 0
        self.has_closed = False

    def has(self, name):
        return name in self.faults

    # --- bytes

    def some(self):
        """Reads the next bytes. Sends a delayed pong that becomes due while waiting."""
        while self.last_ping is not None and not select.select([self.tcp], [], [], max(
                0, self.ping_at + 0.2 - time.monotonic()))[0]:
            self.send(PONG, self.last_ping)
            self.last_ping = None
        try:
            data = self.tcp.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            raise Ended
        return data

    def take(self, size):
        while len(self.buffer) < size:
            self.buffer += self.some()
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def write(self, data):
        try:
            if self.has("may-dribble") and len(data) < 1000:
                for index in range(len(data)):
                    self.tcp.sendall(data[index:index + 1])
            else:
                self.tcp.sendall(data)
        except OSError:
            raise Ended from None

    # --- the opening handshake

    def open(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.take(1)
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
        digest = hashlib.sha1((fields["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if self.has("wrong-accept"):
            digest = digest[::-1]
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Accept: " + base64.b64encode(digest).decode()]
        if "Sec-WebSocket-Extensions" in fields and not self.has("deflate-declined"):
            lines.append("Sec-WebSocket-Extensions: " + self.agree(fields["Sec-WebSocket-Extensions"].split(",")[0]))
        self.write("\r\n".join([*lines, "", ""]).encode())

    def agree(self, offer):
        """Accepts the first offer unchanged."""
        asked = {name: value for name, _, value in (part.strip().partition("=") for part in offer.split(";"))}
        answer = ["permessage-deflate"]
        self.deflate = {"forgets": False, "bits": 15}
        if "server_no_context_takeover" in asked and not self.has("deflate-no-forgetting"):
            answer.append("server_no_context_takeover")
            self.deflate["forgets"] = True
        if asked.get("server_max_window_bits") and not self.has("deflate-no-window"):
            answer.append("server_max_window_bits=" + asked["server_max_window_bits"])
            self.deflate["bits"] = int(asked["server_max_window_bits"])
        if self.has("deflate-bad-answer"):
            answer.append("client_max_window_bits=16")
        return "; ".join(answer)

    # --- sending

    def send(self, opcode, payload, rsv=0, fin=True):
        size = len(payload)
        if size < 126 and not (self.has("length-not-minimal") and opcode < 8):
            length = bytes([size])
        elif size < 65536:
            length = b"\x7e" + struct.pack(">H", size)
        else:
            length = b"\x7f" + struct.pack(">Q", size)
        if self.has("masks"):  # with the key 0, which leaves the payload unchanged
            length = bytes([length[0] | 0x80]) + length[1:] + bytes(4)
        self.write(bytes([fin << 7 | rsv << 4 | opcode]) + length + payload)

    def send_message(self, opcode, payload):
        rsv = 0
        if self.deflate and not self.has("may-not-deflate"):
            if self.deflater is None or self.has("may-deflate-afresh") or (
                    self.deflate["forgets"] and not self.has("deflate-keeps-its-own")):
                bits = 15 if self.has("deflate-window") else self.deflate["bits"]
                self.deflater = zlib.compressobj(6, zlib.DEFLATED, -bits)
            payload = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
            payload = payload if self.has("deflate-tail") else payload[:-4]
            rsv = 0 if self.has("deflate-no-rsv1") else 4
        size = 64 if self.has("may-fragment") or self.has("deflate-rsv1-everywhere") else len(payload) or 1
        starts = range(0, len(payload) or 1, size)
        for start in starts:
            is_first = start == 0
            self.send(opcode if is_first else 0, payload[start:start + size], fin=start == starts[-1],
                      rsv=rsv if is_first or self.has("deflate-rsv1-everywhere") else 0)

    def echo(self, opcode, payload):
        if self.has("text-as-binary"):
            opcode = 2
        if self.has("echo-truncated"):
            payload = payload[:65535]
        if self.has("echo-other-bytes") and payload:
            payload = payload[:-1] + bytes([payload[-1] ^ 1])
        if self.has("echo-nothing-empty") and not payload:
            return
        for _ in range(2 if self.has("echo-twice") else 1):
            self.send_message(opcode, payload)

    # --- receiving

    def run(self):
        try:
            self.open()
            if self.has("may-ping"):
                self.send(PING, b"are you there?")
            while True:
                self.frame()
        except Fails as failure:
            (code,) = failure.args
            if not self.has("may-drop"):
                self.say_close(struct.pack(">H", 1011 if self.has("fails-1011") else code))
            self.end()
        except Ended:
            pass
        finally:
            self.tcp.close()

    def say_close(self, payload):
        try:
            self.send(CLOSE, payload)
        except Ended:
            pass

    def end(self):
        """Sends our FIN, then reads until the client's, since closing with unread bytes would reset the connection."""
        try:
            if not self.has("close-keeps-tcp"):
                self.tcp.shutdown(socket.SHUT_WR)
            while self.tcp.recv(1 << 20):
                pass
        except OSError:
            pass

    def frame(self):
        first, second = self.take(2)
        fin, rsv, opcode, size = first >> 7, first >> 4 & 7, first & 15, second & 127
        if rsv and not (rsv == 4 and self.deflate and opcode in (1, 2)) and not self.has("rsv-ignored"):
            raise Fails(1002)
        if not second & 0x80:
            raise Fails(1002)
        is_reserved = opcode not in (0, 1, 2, CLOSE, PING, PONG)
        if is_reserved and not self.has("opcode-ignored"):
            raise Fails(1002)
        if opcode >= 8:
            if not fin and not self.has("control-fragmented"):
                raise Fails(1002)
            if size > 125 and not self.has("control-long"):
                raise Fails(1002)
        is_dropped = is_reserved
        if opcode == 0 and self.message is None:
            if self.has("continuation-as-text"):
                opcode = TEXT
            elif self.has("continuation-ignored"):
                is_dropped = True
            else:
                raise Fails(1002)
        elif opcode in (1, 2) and self.message is not None and not self.has("text-inside-text"):
            raise Fails(1002)
        if size == 126:
            (size,) = struct.unpack(">H", self.take(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.take(8))
        if self.has("no-16-mib") and size >= 16 << 20:
            raise Fails(1009)
        key = self.take(4)
        if opcode in (1, 2) and not is_dropped:
            self.message, self.opcode, self.is_compressed = [], opcode, bool(rsv & 4) and bool(self.deflate)
            self.utf8 = Utf8(self.faults) if opcode == TEXT and not self.is_compressed else None
        payload = self.payload(size, key, is_data=opcode < 8 and not is_dropped)
        if is_dropped:
            return
        if opcode >= 8:
            {CLOSE: self.take_close, PING: self.take_ping, PONG: self.take_pong}[opcode](payload)
        elif fin:
            self.take_message()

    def payload(self, size, key, is_data):
        """Reads a frame's payload, and validates its UTF-8 as it arrives."""
        parts, at = [], 0
        is_judged = is_data and self.utf8 is not None and not any(
            map(self.has, ("utf8-unchecked", "utf8-at-end", "utf8-by-frame")))
        while at < size:
            if not self.buffer:
                self.buffer += self.some()
            part = bytes(self.buffer[:size - at])
            del self.buffer[:size - at]
            part = unmask(part, key, at)
            at += len(part)
            if is_judged and not self.utf8.takes(part):
                raise Fails(1007)
            parts.append(part)
        whole = b"".join(parts)
        if is_data:
            self.message.append(whole)
            if self.has("utf8-by-frame") and self.utf8 is not None:
                alone = Utf8(self.faults)
                if not alone.takes(whole) or alone.left:
                    raise Fails(1007)
        return whole

    def take_message(self):
        payload, self.message = b"".join(self.message), None
        if self.is_compressed:
            if self.inflater is None or self.has("deflate-forgets-ours"):
                self.inflater = zlib.decompressobj(-15)
            try:
                payload = self.inflater.decompress(payload + b"\x00\x00\xff\xff")
            except zlib.error:
                raise Fails(1007) from None
        if self.utf8 is not None:
            if self.has("utf8-at-end") and not self.utf8.takes(payload):
                raise Fails(1007)
            if self.utf8.left and not self.has("utf8-unchecked") and not self.has("utf8-unfinished"):
                raise Fails(1007)
        self.echo(self.opcode, payload)
        for late in self.late_pongs:
            self.send(PONG, late)
        self.late_pongs = []

    def take_ping(self, payload):
        self.pings += 1
        if self.has("pong-empty"):
            payload = b""
        if self.has("pong-second") and self.pings % 2:
            return
        if self.has("pong-last"):
            self.last_ping, self.ping_at = payload, time.monotonic()
        elif self.has("pong-late") and self.message is not None:
            self.late_pongs.append(payload)
        else:
            self.send(PONG, payload)

    def take_pong(self, payload):
        if self.has("pong-to-pong"):
            self.send(PONG, payload)

    def take_close(self, payload):
        if len(payload) == 1 and not self.has("close-one-byte"):
            raise Fails(1002)
        reply = payload[:2]
        if len(payload) == 1:
            reply = struct.pack(">H", 1000)
        if len(payload) >= 2:
            (code,) = struct.unpack(">H", payload[:2])
            is_private = 3000 <= code <= 4999 and not self.has("close-no-private")
            if not (1000 <= code <= 1003 or 1007 <= code <= 1011 or is_private):
                if not self.has("close-any-code"):
                    raise Fails(1002)
                reply = struct.pack(">H", 1000)
            utf8 = Utf8(())
            if not (utf8.takes(payload[2:]) and not utf8.left) and not self.has("close-reason-unchecked"):
                raise Fails(1007)
        if self.has("replies-1001"):
            reply = struct.pack(">H", 1001)
        if self.has("may-close-empty"):
            reply = b""
        if not self.has("close-no-reply") and not self.has_closed:
            self.say_close(reply)
        self.has_closed = True
        if self.has("close-and-goes-on"):
            self.tcp.settimeout(0.3)  # then ends as if the client had closed
            return
        self.end()
        raise Ended


def main():
    faults = sys.argv[1:]
    if faults == ["--list"]:
        print("\n".join(NAMES))
        return
    if unknown := set(faults) - set(NAMES):
        sys.exit(f"no such fault: {', '.join(sorted(unknown))}")
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        tcp, _ = listener.accept()
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Session(tcp, frozenset(faults)).run, daemon=True).start()


if __name__ == "__main__":
    main()
