"""Sections 9, 12 and 13: large messages, many messages, compressed messages.

In section 9 the suite compares only the type and length of each echo; here the bytes are compared too.
"""

import data
from conversation import OPEN
from deflate import Deflater, Inflater, Offer, agree
from judging import FAILED, OK, UNIMPLEMENTED, Case
from wire import BINARY, RSV1, TEXT, chops, fragments, frame

KIB, MIB = 1 << 10, 1 << 20
OPCODES = {"text": TEXT, "binary": BINARY}


def in_words(size):
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB" if size >= KIB else f"{size} bytes"


def repeat(pattern, size):
    return (pattern * (size // len(pattern) + 1))[:size]


class Echoes(Case):
    """Sends each message after the echo of the previous one, then closes."""
    kind = None
    count = 1
    limit = None  # in seconds

    def start(self):
        self.left = self.count
        self.verdict = FAILED, "no message came back"
        self.conversation.close_after(self.limit)
        self.send()

    def take(self, event):
        if event[0] == "pong":
            return
        kind, payload = event
        if self.left < 0:
            if self.verdict[0] == OK:
                self.verdict = FAILED, "more came back than was sent"
            return
        if kind != self.kind:
            self.verdict = FAILED, f"a {self.kind} message came back as {kind}"
        elif len(payload) != len(self.sent):
            self.verdict = FAILED, f"{len(self.sent)} bytes came back as {len(payload)}"
        elif payload != self.sent:
            self.verdict = FAILED, "other bytes came back"
        elif self.conversation.state != OPEN:
            return
        elif self.left:
            self.verdict = FAILED, f"{self.count - self.left} of {self.count} messages came back"
            self.send()
            return
        else:
            self.verdict = OK, ""
        self.left = -1
        self.conversation.close(1000)

    def send(self):
        self.left -= 1
        self.sent = self.next_message()
        self.write(self.sent)

    def behaviour(self):
        return self.verdict


class Large(Echoes):
    """One message: in one frame, in fragments, or in small writes."""

    def __init__(self, id, kind, pattern, size, limit, fragment=None, chop=None):
        how = f" in fragments of {in_words(fragment)}" if fragment else f" in writes of {chop}" if chop else ""
        super().__init__(id, f"{kind}, {in_words(size)}{how}")
        self.kind, self.pattern, self.size, self.limit = kind, pattern, size, limit
        self.fragment, self.chop = fragment, chop

    def next_message(self):
        return repeat(self.pattern, self.size)

    def write(self, payload):
        if self.fragment:
            self.conversation.write(b"".join(fragments(OPCODES[self.kind], payload, self.fragment)))
        elif self.chop:
            self.conversation.write_apart(chops(frame(OPCODES[self.kind], payload), self.chop))
        else:
            self.conversation.write(frame(OPCODES[self.kind], payload))


class Many(Echoes):
    count = 1000

    def __init__(self, id, kind, pattern, size, limit):
        super().__init__(id, f"1000 {kind} messages of {size} bytes")
        self.kind, self.limit, self.message = kind, limit, pattern * size

    def next_message(self):
        return self.message

    def write(self, payload):
        self.conversation.write(frame(OPCODES[self.kind], payload))


MIXED = {"text": b"BAsd7&jh23", "binary": b"\x00\xfe\x23\xfa\xf0"}
PLAIN = {"text": b"*", "binary": b"\xfe"}


def section_9():
    sizes = 64 * KIB, 256 * KIB, 1 * MIB, 4 * MIB, 8 * MIB, 16 * MIB
    for group, kind, limits in ((1, "text", (10, 10, 100, 100, 100, 100)), (2, "binary", (10, 10, 10, 10, 100, 100))):
        for number, (size, limit) in enumerate(zip(sizes, limits), 1):
            yield Large(f"9.{group}.{number}", kind, MIXED[kind], size, limit)
    for group, kind in ((3, "text"), (4, "binary")):
        for number in range(1, 10):
            yield Large(f"9.{group}.{number}", kind, PLAIN[kind], 4 * MIB, 100, fragment=64 * 4 ** (number - 1))
    for group, kind in ((5, "text"), (6, "binary")):
        for number in range(1, 7):
            yield Large(f"9.{group}.{number}", kind, MIXED[kind], 1 * MIB, 1000, chop=32 << number)
    for group, kind in ((7, "text"), (8, "binary")):
        for number, (size, limit) in enumerate(
                ((0, 60), (16, 60), (64, 60), (256, 120), (1024, 240), (4096, 480)), 1):
            yield Many(f"9.{group}.{number}", kind, PLAIN[kind], size, limit)


# --- compressed

# Message size, seconds for all messages, fragment size of a compressed message.
ROUNDS = [(16, 60, None), (64, 60, None), (256, 120, None), (1 * KIB, 240, None), (4 * KIB, 480, None),
          (8 * KIB, 480, None), (16 * KIB, 480, None), (32 * KIB, 480, None), (64 * KIB, 480, None),
          (128 * KIB, 480, None), (8 * KIB, 480, 256), (16 * KIB, 480, 256), (32 * KIB, 480, 256),
          (64 * KIB, 480, 256), (128 * KIB, 480, 256), (128 * KIB, 480, 1 * KIB), (128 * KIB, 480, 4 * KIB),
          (128 * KIB, 480, 32 * KIB)]


class Compressed(Echoes):
    """Sends consecutive pieces of one file, and continues from its start after its end."""
    count = 1000

    def __init__(self, id, file, offers, size, limit, fragment):
        name, is_binary, _ = data.KINDS[file]
        super().__init__(id, f"1000 messages of {size} bytes of {name}"
                         + (f" in fragments of {fragment}" if fragment else "") + ": " + ", ".join(map(str, offers)))
        self.kind = "binary" if is_binary else "text"
        self.file, self.offers, self.size, self.limit, self.fragment = file, offers, size, limit, fragment

    def prepare(self):
        self.at = 0
        self.conversation.inflate_limit = self.size
        self.conversation.on_agreed = self.agree

    def agree(self):
        agreed = agree(self.conversation.extensions, self.offers)
        if agreed is not None:
            self.conversation.deflater, self.conversation.inflater = Deflater(agreed), Inflater(agreed)

    def start(self):
        if self.conversation.deflater is None:
            self.verdict = UNIMPLEMENTED, "permessage-deflate was declined"
            self.left = -1
            self.conversation.close(1000)
        else:
            super().start()

    def next_message(self):
        contents = data.contents(self.file)
        begin, self.at = self.at, (self.at + self.size) % len(contents)
        return contents[begin:self.at] if self.at > begin else contents[begin:] + contents[:self.at]

    def write(self, payload):
        small = self.conversation.deflater.deflate(payload)
        self.conversation.write(b"".join(
            fragments(OPCODES[self.kind], small, self.fragment or len(small), rsv=RSV1)))


def section_12():
    for group in range(1, 6):
        for number, (size, limit, fragment) in enumerate(ROUNDS, 1):
            yield Compressed(f"12.{group}.{number}", group - 1, [Offer()], size, limit, fragment)


OFFERS_OF_13 = [[Offer()], [Offer(forgets=True)], [Offer(window_bits=9)], [Offer(window_bits=15)],
                [Offer(forgets=True, window_bits=9)], [Offer(forgets=True, window_bits=15)],
                [Offer(forgets=True, window_bits=9), Offer(forgets=True), Offer()]]


def section_13():
    for group, offers in enumerate(OFFERS_OF_13, 1):
        for number, (size, limit, fragment) in enumerate(ROUNDS, 1):
            yield Compressed(f"13.{group}.{number}", 0, offers, size, limit, fragment)
