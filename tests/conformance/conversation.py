"""One connection to the server under test, from the TCP handshake to its end, and a record of its outcome. It has the
same timeouts as the suite's client, and blames the same peer if one expires.
"""

import collections
import heapq
import itertools
import select
import socket
import time
from urllib.parse import urlsplit

from wire import (BINARY, CLOSE, CONTINUATION, PING, PONG, RSV1, TEXT, FrameReader, Refused, Upgrade, Violation,
                  close_payload, frame, read_close)

OPEN, CLOSING, CLOSED = "open", "closing", "closed"

# Seconds. The first three are the suite's, which has no timeout for a server that closes first and keeps TCP open.
TO_OPEN, TO_ANSWER_CLOSE, TO_END_TCP, TO_END_TCP_AFTER_ITS_CLOSE = 5, 1, 1, 5
BETWEEN_WRITES = 0.00001  # so that separate writes do not share a segment

READ_SIZE = 1 << 20


class Conversation:
    """Calls `on_event(("text" | "binary" | "pong", payload))` for each message and pong. A case that offers compression
    sets `inflater` and `deflater` after the negotiation."""

    def __init__(self, url, offers="", patience=1):
        parts = urlsplit(url)
        assert parts.scheme == "ws" and parts.hostname and parts.port, url
        self.address = (parts.hostname, parts.port)
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.upgrade = Upgrade(parts.netloc, self.path, offers)
        self.patience = patience

        self.extensions = ""  # of the response
        self.inflater = self.deflater = None
        self.inflate_limit = 1 << 24
        self.on_event = lambda event: None

        # The outcome
        self.is_opened = False
        self.was_closed_by_us = False  # our Close was the first
        self.was_dropped_by_us = False  # we closed the TCP connection
        self.was_clean = False  # both peers sent a Close, and the server closed TCP in time
        self.has_failed = False  # we gave up: later events are ignored
        self.their_close = None  # when it arrived
        self.their_code = self.their_reason = None
        self.violation = None
        self.why = ""  # why we gave up, or why the end was not clean

        self.state = None
        self.reader = None
        self.message = []
        self.message_opcode = None
        self.message_rsv = 0
        self.is_inside_frame, self.held_pongs = False, []
        self.to_write = collections.deque()  # (bytes, whether to write them separately)
        self.timers = []
        self.order = itertools.count()  # of timers with the same deadline

    # --- for the cases to call

    def write(self, data):
        """Queues data; adjacent data leave in one write."""
        if self.state != CLOSED:
            self.to_write.append((data, False))

    def write_part(self, data, is_last=False):
        """Writes a part of a frame. Pongs wait until the frame is complete."""
        self.write(data)
        self.is_inside_frame = not is_last
        if is_last:
            self.write(b"".join(self.held_pongs))
            self.held_pongs.clear()

    def write_apart(self, pieces):
        """Queues each piece as a separate write."""
        if self.state != CLOSED:
            self.to_write.extend((piece, True) for piece in pieces)

    def close(self, code=None, reason=b""):
        """Sends our Close, unless a Close was sent or received before."""
        if self.state == OPEN:
            self.write(frame(CLOSE, close_payload(code, reason)))
            self.state = CLOSING
            self.was_closed_by_us = True
            self.wait(TO_ANSWER_CLOSE, self.miss_their_close)

    def after(self, seconds, action):
        """Runs `action` after these seconds, unless the connection has ended by then."""
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.order), action))

    def wait(self, seconds, action):
        """Like `after`, but waits `patience` times as long, for slow machines."""
        self.after(seconds * self.patience, action)

    def close_after(self, seconds):
        self.wait(seconds, self.close)

    def fail_after(self, seconds):
        self.wait(seconds, self.fail)

    def fail(self):
        self.has_failed = True
        self.why = self.why or "what should have come did not"
        if self.state == OPEN:
            self.close(1001, b"Going Away")
        else:
            self.drop()

    # --- how it ends

    def miss_their_close(self):
        if self.their_close is None:
            self.give_up("our Close was not answered in time")

    def give_up(self, why):
        self.was_clean = False
        self.why = why
        self.drop()

    def drop(self):
        if self.state != CLOSED:
            self.was_dropped_by_us = True
            self.state = CLOSED

    def how_it_ended(self):
        """Describes the end for the results."""
        if self.violation:
            return self.violation
        if self.their_close is None:
            return "no Close from the server"
        code = "no code" if self.their_code is None else str(self.their_code)
        reason = f" {self.their_reason.decode()!r}" if self.their_reason else ""
        return f"the server's Close had {code}{reason}"

    # --- receiving

    def take(self, data):
        self.reader.feed(data)
        while self.state != CLOSED:
            frame_ = self.reader.next()
            if frame_ is None:
                return
            if frame_.opcode == CLOSE:
                self.take_close(frame_.payload)
            elif frame_.opcode == PING:
                if self.state == OPEN:
                    self.held_pongs.append(frame(PONG, frame_.payload))
                    if not self.is_inside_frame:
                        self.write(self.held_pongs.pop())
            elif frame_.opcode == PONG:
                self.tell(("pong", frame_.payload))
            else:
                self.read_data(frame_)

    def read_data(self, frame_):
        if frame_.opcode != CONTINUATION:
            self.message_opcode, self.message_rsv = frame_.opcode, frame_.rsv
        self.message.append(frame_.payload)
        if not frame_.fin:
            return
        payload = self.message[0] if len(self.message) == 1 else b"".join(self.message)
        self.message = []
        if self.message_rsv == RSV1:
            payload = self.inflater.inflate(payload, self.inflate_limit)
        self.tell(({TEXT: "text", BINARY: "binary"}[self.message_opcode], payload))

    def tell(self, event):
        if not self.has_failed:
            self.on_event(event)

    def take_close(self, payload):
        self.their_code, self.their_reason = read_close(payload)
        self.their_close = time.monotonic()
        self.was_clean = True
        if self.state == OPEN:
            self.write(frame(CLOSE, close_payload(1000)))
            self.state = CLOSING
            self.wait(TO_END_TCP_AFTER_ITS_CLOSE, lambda: self.give_up("after its Close the server kept TCP open"))
        else:
            self.wait(TO_END_TCP, lambda: self.give_up("the server did not end TCP in time"))

    # --- the loop

    def run(self, on_open):
        """Runs until the connection ends. on_open() starts the case."""
        try:
            with socket.create_connection(self.address, timeout=TO_OPEN * self.patience) as tcp:
                tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                rest = self.open(tcp)
                tcp.setblocking(False)
                self.reader = FrameReader(compresses=self.inflater is not None)
                self.state = OPEN
                self.is_opened = True
                on_open()
                self.take(rest)
                self.loop(tcp)
        except Violation as violation:
            self.violation = str(violation)
        except Refused as refusal:
            self.violation = f"the opening handshake: {refusal}"
        except OSError as error:
            self.violation = f"no connection: {error}"

    def open(self, tcp):
        """Performs the opening handshake. Returns the bytes after the response head."""
        tcp.sendall(self.upgrade.request)
        head = b""
        while b"\r\n\r\n" not in head:
            more = tcp.recv(65536)
            if not more:
                raise Refused("the server ended TCP")
            head += more
            if len(head) > 65536:
                raise Refused("no end of the header fields")
        head, rest = head.split(b"\r\n\r\n", 1)
        self.extensions = self.upgrade.judge(head)
        self.on_agreed()
        return rest

    def on_agreed(self):
        """Runs after the negotiation; a case that offers extensions replaces it."""

    def loop(self, tcp):
        poll = select.poll()
        watched = None
        can_write = True
        while self.state != CLOSED:
            events = select.POLLIN | (select.POLLOUT if self.to_write and can_write else 0)
            if events != watched:
                poll.register(tcp, events)
                watched = events
            timeout = max(0, self.timers[0][0] - time.monotonic()) if self.timers else 60
            happened = poll.poll(timeout * 1000 + 1 if timeout else 0)
            if happened and happened[0][1] & ~select.POLLOUT:
                try:
                    data = tcp.recv(READ_SIZE)
                except BlockingIOError:
                    data = None
                except OSError:  # a reset ends the connection, as the server intends
                    return
                if data == b"":
                    return
                if data:
                    self.take(data)
            if happened and happened[0][1] & select.POLLOUT and self.state != CLOSED:
                try:
                    self.send(tcp)
                except BlockingIOError:
                    pass
                except OSError:  # the server stopped reading; earlier bytes from it may still arrive
                    can_write = False
            while self.timers and self.timers[0][0] <= time.monotonic() and self.state != CLOSED:
                heapq.heappop(self.timers)[2]()

    def send(self, tcp):
        data, is_apart = self.to_write.popleft()
        if not is_apart:
            together = [data]
            while self.to_write and not self.to_write[0][1]:
                together.append(self.to_write.popleft()[0])
            data = b"".join(together) if len(together) > 1 else data
        sent = 0
        try:
            sent = tcp.send(data)
        finally:
            if sent < len(data):
                self.to_write.appendleft((memoryview(data)[sent:], is_apart))
        if is_apart:
            time.sleep(BETWEEN_WRITES)
