"""Sections 1 to 7 and 10: framing, pings, reserved bits and opcodes, fragments, UTF-8, closing, automatic fragments.

Each case lists the frames to send, with their writes and pauses, and the events that must come back.
"""

from dataclasses import dataclass

from conversation import CLOSED, OPEN
from judging import CLEAN, FAILED, NON_STRICT, NOT_UTF8, OK, PROTOCOL_ERROR, Case, Ending, show
from wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, chops, fragments, frame

# --- the steps of a script


def together(*frames):
    """Writes all frames in one write."""
    return [lambda case: case.conversation.write(b"".join(frames))]


def apart(*frames):
    """Writes each frame separately."""
    return [lambda case: case.conversation.write_apart(frames)]


def bytewise(*frames):
    return [lambda case: case.conversation.write_apart(chops(b"".join(frames), 1))]


def part(data, is_last=False):
    """Writes a part of a frame."""
    return [lambda case: case.conversation.write_part(data, is_last)]


def close(code=None, reason=b""):
    """Starts the closing handshake with our Close, whose payload may be invalid."""
    return [lambda case: case.conversation.close(code, reason)]


@dataclass
class Pause:
    """Sends nothing for a second. A pause with a name is recorded as an event, and the steps after it run only if the
    server has not closed by then."""
    name: str = ""


class Script(Case):
    """Runs the steps, then waits for the expected events. `outcomes` maps a verdict to the events that lead to it."""

    def __init__(self, id, about, steps, outcomes, ending, fail_after=None, close_after=None, closes=True):
        super().__init__(id, about)
        self.steps, self.outcomes, self.ending = steps, outcomes, ending
        self.fail_after, self.close_after = fail_after, close_after
        self.closes = closes and ending.by_us and len(outcomes) == 1  # as soon as all events have arrived

    def start(self):
        self.events = []
        self.go(iter(self.steps))

    def go(self, steps):
        for step in steps:
            if isinstance(step, Pause):
                self.conversation.after(1, lambda: self.go_on(step, steps))
                return
            step(self)
        if self.fail_after:
            self.conversation.fail_after(self.fail_after)
        if self.close_after:
            self.conversation.close_after(self.close_after)

    def go_on(self, pause, steps):
        if self.conversation.state == CLOSED or pause.name and self.conversation.state != OPEN:
            return
        if pause.name:
            self.events.append(("pause", pause.name))
        self.go(steps)

    def take(self, event):
        self.events.append(event)
        if self.closes and self.events == self.outcomes[OK]:
            self.conversation.close(1000)

    def what_came(self):
        return show(self.events)

    def behaviour(self):
        for verdict, events in self.outcomes.items():
            if self.events == events:
                return verdict, "" if verdict == OK else f"came: {self.what_came()}"
        return FAILED, f"came: {self.what_came()}; should have come: {show(self.outcomes[OK])}"


# --- kinds of cases

def is_answered(id, about, steps, *events, **limit):
    """The server sends these events, then we close cleanly."""
    return Script(id, about, steps, {OK: list(events)}, CLEAN, **limit)


def is_failed(id, about, steps, after=None, ending=PROTOCOL_ERROR, fail_after=1):
    """The server fails the connection. `after`: the event expected first; without it the verdict is NON-STRICT."""
    outcomes = {OK: [after], NON_STRICT: []} if after else {OK: []}
    return Script(id, about, steps, outcomes, ending, fail_after=fail_after)


HELLO = b"Hello, world!"
HELLO_EVENT = ("text", HELLO)
NO_UTF8 = bytes.fromhex("00fffefdfcfb00ff")


def section_1():
    for group, opcode, kind, byte in ((1, TEXT, "text", b"*"), (2, BINARY, "binary", b"\xfe")):
        for number, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
            payload = byte * size
            yield is_answered(f"1.{group}.{number}", f"{kind}, {size} bytes", together(frame(opcode, payload)),
                              (kind, payload), fail_after=10 if size > 1000 else 1)
        steps = [lambda case, data=frame(opcode, payload): case.conversation.write_apart(chops(data, 997))]
        yield is_answered(f"1.{group}.8", f"{kind}, 65536 bytes, in writes of 997", steps, (kind, payload),
                          fail_after=10)


def section_2():
    pings = [b"payload-%d" % number for number in range(10)]
    ten = [frame(PING, payload) for payload in pings]
    pongs = [("pong", payload) for payload in pings]

    def is_ponged(number, about, payload, write=together, close_after=1):
        return is_answered(f"2.{number}", about, write(frame(PING, payload)), ("pong", payload),
                           close_after=close_after)

    yield is_ponged(1, "an empty ping", b"")
    yield is_ponged(2, "a ping with text", HELLO)
    yield is_ponged(3, "a ping with bytes that are not UTF-8", NO_UTF8)
    yield is_ponged(4, "a ping of 125 bytes", b"\xfe" * 125)
    yield is_failed("2.5", "a ping of 126 bytes", together(frame(PING, b"\xfe" * 126)))
    yield is_ponged(6, "a ping of 125 bytes, byte by byte", b"\xfe" * 125, bytewise, 2)
    for number, payload in ((7, b""), (8, b"unsolicited pong payload")):
        yield is_answered(f"2.{number}", f"a pong that nobody asked for, {len(payload)} bytes, and a Close",
                          together(frame(PONG, payload)) + close(1000), close_after=1)
    yield is_answered("2.9", "a pong that nobody asked for, and a ping",
                      together(frame(PONG, b"unsolicited pong payload"), frame(PING, b"ping payload")),
                      ("pong", b"ping payload"), close_after=1)
    yield is_answered("2.10", "ten pings", together(*ten), *pongs, close_after=3)
    yield is_answered("2.11", "ten pings, byte by byte", bytewise(*ten), *pongs, close_after=3)


def section_3():
    def between(number, rsv, write):
        frames = frame(TEXT, HELLO), frame(TEXT, HELLO, rsv=rsv), frame(PING)
        return is_failed(f"3.{number}", f"a text, one with reserved bits {rsv}, a ping: {write.__name__}",
                         write(*frames), HELLO_EVENT)

    yield is_failed("3.1", "a text with reserved bits 1", together(frame(TEXT, HELLO, rsv=1)))
    yield between(2, 2, together)
    yield between(3, 3, apart)
    yield between(4, 4, bytewise)
    yield is_failed("3.5", "a binary message with reserved bits 5", together(frame(BINARY, NO_UTF8, rsv=5)))
    yield is_failed("3.6", "a binary message with reserved bits 6", together(frame(BINARY, HELLO, rsv=6)))
    yield is_failed("3.7", "a Close with reserved bits 7", together(frame(CLOSE, rsv=7)))


def section_4():
    for group, first, what in ((1, 3, "data"), (2, 11, "control")):
        for number, (opcode, payload, write, is_between) in enumerate((
                (first, b"", together, False), (first + 1, b"reserved opcode payload", together, False),
                (first + 2, b"", together, True), (first + 3, HELLO, together, True),
                (first + 4, HELLO, bytewise, True)), 1):
            bad = frame(opcode, payload)
            frames = [frame(TEXT, HELLO), bad, frame(PING)] if is_between else [bad]
            yield is_failed(f"4.{group}.{number}", f"the reserved {what} opcode {opcode}, {len(payload)} bytes"
                            + (", between a text and a ping" if is_between else ""),
                            write(*frames), HELLO_EVENT if is_between else None)


def section_5():
    one, two, three = (b"fragment%d" % number for number in (1, 2, 3))
    writes = together, apart, bytewise
    ping, pong = frame(PING, b"ping payload"), ("pong", b"ping payload")

    yield is_failed("5.1", "a ping in two fragments",
                    together(frame(PING, one, fin=False), frame(CONTINUATION, two)))
    yield is_failed("5.2", "a pong in two fragments",
                    together(frame(PONG, one, fin=False), frame(CONTINUATION, two)))
    halves = frame(TEXT, one, fin=False), frame(CONTINUATION, two)
    for number, write in enumerate(writes, 3):
        yield is_answered(f"5.{number}", f"a text in two fragments: {write.__name__}", write(*halves),
                          ("text", one + two), close_after=1)
    for number, write in enumerate(writes, 6):
        yield is_answered(f"5.{number}", f"the same, a ping between them: {write.__name__}",
                          write(halves[0], ping, halves[1]), pong, ("text", one + two), close_after=1)
    for first, fin in ((9, True), (12, False)):
        for number, write in enumerate(writes, first):
            stray = frame(CONTINUATION, b"non-continuation payload", fin=fin)
            yield is_failed(f"5.{number}", f"a continuation of nothing, FIN {int(fin)}, and a text: {write.__name__}",
                            write(stray, frame(TEXT, HELLO)))
    yield is_failed("5.15", "a text in two fragments, a continuation of nothing, a text",
                    together(*halves, frame(CONTINUATION, three, fin=False), frame(TEXT, b"fragment4")),
                    ("text", one + two))
    for number, fin in ((16, False), (17, True)):
        stray = frame(CONTINUATION, one, fin=fin), frame(TEXT, two, fin=False), frame(CONTINUATION, three)
        yield is_failed(f"5.{number}", f"twice: a continuation of nothing, FIN {int(fin)}, a text in two fragments",
                        together(*stray, *stray))
    yield is_failed("5.18", "a text begins in the middle of another",
                    together(frame(TEXT, one, fin=False), frame(TEXT, two)))
    for number, write in ((19, together), (20, apart)):
        parts = [b"fragment%d" % part for part in range(1, 6)]
        frames = [frame(CONTINUATION if index else TEXT, part, fin=index == 4) for index, part in enumerate(parts)]
        pings = [b"pongme %d!" % which for which in (1, 2)]
        steps = write(frames[0], frames[1], frame(PING, pings[0])) + [Pause()] + write(
            frames[2], frames[3], frame(PING, pings[1]), frames[4])
        yield is_answered(f"5.{number}", f"a text in five fragments, two pings, a pause: {write.__name__}", steps,
                          ("pong", pings[0]), ("pong", pings[1]), ("text", b"".join(parts)), close_after=1)


# --- UTF-8

GREEK = bytes.fromhex("cebae1bdb9cf83cebcceb5")
UMLAUTS = "Hello-µ@ßöäüàá-UTF-8!!".encode()
SURROGATE, BEYOND = b"\xed\xa0\x80", b"\xf4\x90\x80\x80"
EDITED = b"edited"

# 6.5 to 6.23: each group has a description and its texts; "!" marks a text that is not UTF-8.
UTF8 = """
texts with one, two, three and four bytes a letter
    68656c6c6f 24 776f726c64 / 68656c6c6f c2a2 776f726c64 / 68656c6c6f e282ac 776f726c64
    68656c6c6f f0a4ada2 776f726c64 / cebae1bdb9cf83cebcceb5
each beginning of a text
    !ce / ceba / !cebae1 / !cebae1bd / cebae1bdb9 / !cebae1bdb9cf / cebae1bdb9cf83 / !cebae1bdb9cf83ce
    cebae1bdb9cf83cebc / !cebae1bdb9cf83cebcce / cebae1bdb9cf83cebcceb5
the first of each length
    00 / c280 / e0a080 / f0908080
the first of five and six bytes
    !f888808080 / !fc8480808080
the last of each length
    7f / dfbf / efbfbf / f48fbfbf
the last of four, five and six bytes
    !f7bfbfbf / !fbbfbfbfbf / !fdbfbfbfbfbf
around the surrogates, and the end of Unicode
    ed9fbf / ee8080 / efbfbd / f48fbfbf / !f4908080
continuation bytes alone
    !80 / !bf / !80bf / !80bf80 / !80bf80bf / !80bf80bf80 / !80bf80bf80bf / !80-be
first bytes alone, each before a blank
    !c0-de_ / !e0-ee_ / !f0-f6_ / !f8-fa_ / !fc-fc_
the last byte missing
    !c0 / !e080 / !f08080 / !f8808080 / !fc80808080 / !df / !efbf / !f7bfbf / !fbbfbfbf / !fdbfbfbfbf
all of these, one behind the other
    !c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf
bytes that UTF-8 does not have
    !fe / !ff / !fefeffff
a slash in too many bytes
    !c0af / !e080af / !f08080af / !f8808080af / !fc80808080af
the last in one byte too many
    !c1bf / !e09fbf / !f08fbfbf / !f887bfbfbf / !fc83bfbfbfbf
NUL in too many bytes
    !c080 / !e08080 / !f0808080 / !f880808080 / !fc8080808080
surrogates alone
    !eda080 / !edadbf / !edae80 / !edafbf / !edb080 / !edbe80 / !edbfbf
surrogates in pairs
    !eda080edb080 / !eda080edbfbf / !edadbfedb080 / !edadbfedbfbf / !edae80edb080 / !edae80edbfbf
    !edafbfedb080 / !edafbfedbfbf
code points that are no characters, which is allowed
    efbfbe / efbfbf
    f09fbfbe / f09fbfbf / f0afbfbe / f0afbfbf / f0bfbfbe / f0bfbfbf
    f18fbfbe / f18fbfbf / f19fbfbe / f19fbfbf / f1afbfbe / f1afbfbf / f1bfbfbe / f1bfbfbf
    f28fbfbe / f28fbfbf / f29fbfbe / f29fbfbf / f2afbfbe / f2afbfbf / f2bfbfbe / f2bfbfbf
    f38fbfbe / f38fbfbf / f39fbfbe / f39fbfbf / f3afbfbe / f3afbfbf / f3bfbfbe / f3bfbfbf
    f48fbfbe / f48fbfbf
the specials at the end of the first plane
    efbfb9 / efbfba / efbfbb / efbfbc / efbfbd / efbfbe / efbfbf
"""


def texts_of_6():
    """Yields group, description, number, bytes, and whether these are UTF-8."""
    group = 4
    for line in UTF8.strip().splitlines():
        if not line.startswith(" "):
            group, about, number = group + 1, line, 0
            continue
        for text in line.strip().split(" / "):
            number += 1
            is_valid, digits = not text.startswith("!"), text.strip("!")
            if "-" in digits:
                first, last = (int(end, 16) for end in digits.strip("_").split("-"))
                between = b" " if digits.endswith("_") else b""
                payload = b"".join(bytes([byte]) + between for byte in range(first, last + 1))
            else:
                payload = bytes.fromhex(digits)
            yield group, about, number, payload, is_valid


def section_6():
    def is_echoed(id, about, payload, *frames):
        return is_answered(id, about, together(*frames), ("text", payload), close_after=1)

    yield is_echoed("6.1.1", "an empty text", b"", frame(TEXT))
    for number, payload in ((2, b""), (3, b"middle frame payload")):
        yield is_echoed(f"6.1.{number}", f"fragments of 0, {len(payload)} and 0 bytes", payload,
                        frame(TEXT, fin=False), frame(CONTINUATION, payload, fin=False), frame(CONTINUATION))
    yield is_echoed("6.2.1", "a text", UMLAUTS, frame(TEXT, UMLAUTS))
    half = len("Hello-µ@ßöä".encode())
    yield is_echoed("6.2.2", "a text in two fragments, between letters", UMLAUTS,
                    frame(TEXT, UMLAUTS[:half], fin=False), frame(CONTINUATION, UMLAUTS[half:]))
    for number, payload in ((3, UMLAUTS), (4, GREEK)):
        yield is_echoed(f"6.2.{number}", "a text in fragments of one byte", payload, *fragments(TEXT, payload, 1))

    bad = GREEK + SURROGATE + EDITED
    yield is_failed("6.3.1", "a text with a surrogate", together(frame(TEXT, bad)), ending=NOT_UTF8)
    yield is_failed("6.3.2", "the same in fragments of one byte", together(*fragments(TEXT, bad, 1)), ending=NOT_UTF8)

    bad = GREEK + BEYOND + EDITED
    part_a, part_b = ("pause", "A"), ("pause", "B")
    for number, (first, second) in enumerate(((len(GREEK), len(GREEK + BEYOND)), (12, 13)) * 2, 1):
        parts = bad[:first], bad[first:second], bad[second:]
        if number <= 2:
            where = "fragments"
            steps = [together(frame(CONTINUATION if index else TEXT, piece, fin=index == 2))
                     for index, piece in enumerate(parts)]
        else:
            where = "writes of one frame"
            whole, head = frame(TEXT, bad, fin=False), 6
            steps = [part(whole[:head + first]), part(whole[head + first:head + second]),
                     part(whole[head + second:], is_last=True) + together(frame(CONTINUATION))]
        # The server should fail at the second piece; failing only at the last is NON-STRICT.
        yield Script(f"6.4.{number}", f"three {where}, a second apart; after {second} bytes it is not UTF-8",
                     steps[0] + [Pause("A")] + steps[1] + [Pause("B")] + steps[2],
                     {OK: [part_a], NON_STRICT: [part_a, part_b]}, NOT_UTF8, fail_after=1)

    for group, about, number, payload, is_valid in texts_of_6():
        id, steps = f"6.{group}.{number}", together(frame(TEXT, payload))
        if is_valid:
            yield is_answered(id, about, steps, ("text", payload), fail_after=0.5)
        else:
            yield is_failed(id, about, steps, ending=NOT_UTF8, fail_after=0.5)


# --- closing

def section_7():
    hello = b"Hello World!"

    def ends(id, about, steps, codes=(1000,), is_clean=True, events=(), closes=False):
        ending = Ending(codes=codes, is_clean=is_clean, is_code_tested=True)
        return Script(id, about, steps, {OK: list(events)}, ending, fail_after=1, closes=closes)

    def rejects(id, about, steps, codes=(1002,)):
        return ends(id, about, steps, codes, is_clean=False)

    yield ends("7.1.1", "a text, and after its echo a Close", together(frame(TEXT, hello)), events=[("text", hello)],
               closes=True)
    yield ends("7.1.2", "two Closes", close(1000) + together(frame(CLOSE)))
    yield ends("7.1.3", "a ping after the Close", close(1000) + together(frame(PING)))
    yield ends("7.1.4", "a text after the Close", close(1000) + together(frame(TEXT, hello)))
    yield ends("7.1.5", "a Close between two fragments", together(frame(TEXT, b"fragment1", fin=False)) + close(1000)
               + together(frame(CONTINUATION, b"fragment2")))
    long = (b"BAsd7&jh23" * 26215)[:256 << 10]
    informational = ends("7.1.6", "256 KiB, a text, a Close and a ping at once",
                         together(frame(TEXT, long), frame(TEXT, hello)) + close(1000) + together(frame(PING)))
    informational.is_informational = True
    yield informational

    yield ends("7.3.1", "a Close without a payload", close())
    yield rejects("7.3.2", "a Close with one byte", close(None, b"a"))
    yield ends("7.3.3", "a Close with a code", close(1000))
    yield ends("7.3.4", "a Close with a reason", close(1000, hello))
    yield ends("7.3.5", "a Close with the longest reason", close(1000, b"*" * 123))
    yield rejects("7.3.6", "a Close with a longer one", close(1000, b"*" * 124))
    yield rejects("7.5.1", "a Close whose reason is not UTF-8", close(1000, GREEK + SURROGATE + EDITED), (1002, 1007))
    for number, code in enumerate((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999), 1):
        yield ends(f"7.7.{number}", f"a Close with {code}", close(code), (1000, code))
    for number, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        yield rejects(f"7.9.{number}", f"a Close with {code}, which may not be sent", close(code))
    for number, code in ((1, 5000), (2, 65535)):
        informational = rejects(f"7.13.{number}", f"a Close with {code}", close(code))
        informational.is_informational = True
        yield informational


def section_10():
    payload = b"*" * 65536
    yield is_answered("10.1.1", "65536 bytes in fragments of 1300", together(*fragments(TEXT, payload, 1300)),
                      ("text", payload), fail_after=10)


def all_cases():
    """Returns all cases in the order of their numbers."""
    from heavy import section_12, section_13, section_9
    return [case for section in (section_1, section_2, section_3, section_4, section_5, section_6, section_7, section_9,
                                 section_10, section_12, section_13) for case in section()]
