"""--wire-log: its lines must match what the test sent and received, byte by byte."""

import re
import signal
import subprocess

import pytest

from conftest import only_root, program
from pcap import start_capture
from wsd import BINARY, CLOSE, CONTINUATION, TEXT, Raw, ask, frame, upgrade, wait_for

LINE = re.compile(r"info: wire ([0-9a-f]{8}) (\S+) → (\S+) (?:Seq=(\d+) Len=(\d+) )?(.*)$", re.MULTILINE)
END = "[FIN, ACK]"


class Wire:
    """The lines of one session, each as (sender, Seq, Len, remainder); the sender is "client" or "server"."""

    def __init__(self, server, raw):
        self.server = server
        self.client = "%s:%d" % raw.socket.getsockname()[:2]
        self.address = f"{server.address}:{server.port}"

    def lines(self, sender=None):
        found = []
        for line in LINE.finditer(self.server.log()):
            ends = {line[2]: "client", line[3]: "server"} if line[2] == self.client else {line[2]: "server",
                                                                                         line[3]: "client"}
            if ends.keys() != {self.client, self.address}:
                continue
            who = ends[line[2]]
            if sender in (None, who):
                found.append((who, int(line[4] or 0), int(line[5] or 0), line[6]))
        return found

    def ended(self):
        """All lines, once both sides have ended TCP."""
        wait_for(lambda: {line[0] for line in self.lines() if END in line[3] or "[RST" in line[3]} ==
                 {"client", "server"}, "both ends in the wire log")
        return self.lines()


def text_fields(text, mask=True):
    return (f"Fin=1 Reserved=0x0 Opcode=1 Mask={int(mask)} Payload length={len(text)}" +
            (" Masking-Key=00000000" if mask else "") + f' Text="{text}"')


def test_wire_log_shows_every_item_of_the_session_of_the_article(wsd):
    server = wsd("--wire-log")
    request = (b"GET /echo HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
               b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
               b"Host: localhost:8080\r\n\r\n")
    with Raw(server) as raw:
        wire = Wire(server, raw)
        raw.send(request)
        assert len(raw.head()) == 218
        raw.send(b"\x81\x8c\x37\xfa\x21\x3d\x5f\x9f\x4d\x51\x58\xda\x56\x52\x45\x96\x45\x1c")
        assert raw.frame() == (TEXT, b"Echo: hello world!")
        raw.send(b"\x88\x82\x37\xfa\x21\x3d\x34\x12")
        assert raw.close_frame() == (1000, "")
        assert raw.is_ended()
        raw.finish_writing()
        assert wire.ended() == [
            ("client", 1, 227, "GET /echo HTTP/1.1"),
            ("server", 1, 218, "HTTP/1.1 101 Switching Protocols"),
            ("client", 228, 18, "WebSocket Text [FIN] [MASKED] Fin=1 Reserved=0x0 Opcode=1 Mask=1 Payload length=12 "
                                'Masking-Key=37fa213d Text="hello world!"'),
            ("server", 219, 20, "WebSocket Text [FIN] " + text_fields("Echo: hello world!", mask=False)),
            ("client", 246, 8, "WebSocket Connection Close [FIN] [MASKED] Fin=1 Reserved=0x0 Opcode=8 Mask=1 "
                               "Payload length=2 Masking-Key=37fa213d Status code=1000"),
            ("server", 239, 4, "WebSocket Connection Close [FIN] Fin=1 Reserved=0x0 Opcode=8 Mask=0 Payload length=2 "
                               "Status code=1000"),
            ("server", 243, 0, END),
            ("client", 254, 0, END),
        ]


def test_wire_log_shows_a_broadcast_for_each_receiver_at_the_offset_in_its_stream(wsd):
    server = wsd("--wire-log")
    members = [Raw(server, "/chat") for _ in range(3)]
    wires = [Wire(server, raw) for raw in members]
    for raw in members:
        assert raw.frame() == (TEXT, b"Welcome to broadcast chat!")
    expected = {wire.client: [] for wire in wires}
    offsets = [1 + 218 + 28] * 3  # the 101, and the welcome
    for speaker, text in ((0, "one"), (1, "and two"), (0, "x" * 200)):
        members[speaker].send(frame(TEXT, text.encode()))
        for i, raw in enumerate(members):
            if i == speaker:
                continue
            heard = "Broadcast: " + text
            assert raw.frame() == (TEXT, heard.encode())
            size = len(heard) + (2 if len(heard) < 126 else 4)
            expected[wires[i].client].append((offsets[i], size, heard))
            offsets[i] += size
    for wire in wires:
        wait_for(lambda: len(wire.lines("server")) == 2 + len(expected[wire.client]), "all broadcasts in the wire log")
        lines = [(seq, size, re.search('Text="(.*)"', rest)[1]) for _, seq, size, rest in wire.lines("server")[2:]]
        assert lines == expected[wire.client]
    for raw in members:
        raw.close()


def test_wire_log_shows_an_invalid_frame_and_the_frames_after_it(wsd):
    server = wsd("--wire-log")
    bad, behind = b"\xc1\x02hi", frame(TEXT, b"still here?")
    with Raw(server, "/echo") as raw:
        wire = Wire(server, raw)
        raw.send(bad + behind)
        code, reason = raw.close_frame()
        raw.send(b"\x89\x80")  # the remainder of this header never arrives
        raw.finish_writing()
        lines = wire.ended()
    start = 1 + len(upgrade("/echo"))
    assert [line for line in lines if line[0] == "client"][1:] == [
        ("client", start, 4, "WebSocket Text [FIN] Fin=1 Reserved=0x4 Opcode=1 Mask=0 Payload length=2"),
        ("client", start + 4, len(behind), "WebSocket Text [FIN] [MASKED] " + text_fields("still here?")),
        ("client", start + 4 + len(behind), 2, "WebSocket, incomplete header"),
        ("client", start + 6 + len(behind), 0, END)]
    assert ("server", 219, 4 + len(reason), "WebSocket Connection Close [FIN] Fin=1 Reserved=0x0 Opcode=8 Mask=0 "
            f'Payload length={2 + len(reason)} Status code={code} Reason="{reason}"') in lines


def test_wire_log_shows_a_refusal_and_its_body(wsd):
    server = wsd("--wire-log")
    request = upgrade("/nowhere")
    with Raw(server) as raw:
        wire = Wire(server, raw)
        raw.send(request)
        head = raw.head()
        body = raw.bytes + b"".join(iter(lambda: raw.socket.recv(65536), b""))
        raw.finish_writing()
        lines = wire.ended()
    assert [line for line in lines if line[0] == "client"] == [
        ("client", 1, len(request), "GET /nowhere HTTP/1.1"), ("client", 1 + len(request), 0, END)]
    assert [line for line in lines if line[0] == "server"] == [
        ("server", 1, len(head), "HTTP/1.1 404 Not Found"), ("server", 1 + len(head), len(body), "data"),
        ("server", 1 + len(head) + len(body), 0, END)]


def test_wire_log_shows_the_error_in_a_malformed_head(wsd):
    server = wsd("--wire-log")
    with Raw(server) as raw:
        wire = Wire(server, raw)
        raw.send(b"GET / HTTP/1.1\r\n\r\n")
        raw.head()
        wait_for(lambda: wire.lines("client"), "the head")
        assert re.fullmatch(r"GET / HTTP/1.1 malformed: .*Host.* \[9112-[^]]+\]", wire.lines("client")[0][3])


def test_wire_log_has_one_line_per_frame_regardless_of_write_boundaries(wsd):
    server = wsd("--wire-log")
    with Raw(server, "/echo/raw") as raw:
        wire = Wire(server, raw)
        start = 1 + len(upgrade("/echo/raw"))
        message = frame(TEXT, b"in three writes")
        for part in (message[:1], message[1:9], message[9:]):
            raw.send(part)
            server.sessions()  # returns after wsd has read this part: wsd handles events in order
        assert raw.frame() == (TEXT, b"in three writes")
        raw.send(frame(BINARY, b"12", fin=False) + frame(CONTINUATION, b"3"))
        assert raw.frame() == (BINARY, b"123")
        wait_for(lambda: len(wire.lines("server")) == 3, "the answers")
        assert [line[1:] for line in wire.lines("client")[1:]] == [
            (start, 21, "WebSocket Text [FIN] [MASKED] " + text_fields("in three writes")),
            (start + 21, 8, "WebSocket Binary[FRAGMENT]  [MASKED] Fin=0 Reserved=0x0 Opcode=2 Mask=1 "
                            "Payload length=2 Masking-Key=00000000"),
            (start + 29, 7, "WebSocket Continuation [FIN] [MASKED] Fin=1 Reserved=0x0 Opcode=0 Mask=1 "
                            "Payload length=1 Masking-Key=00000000")]


def test_wire_log_counts_the_offsets_of_answers_sent_in_many_writes(wsd):
    """Answers to a slow reader: most of them leave from the outbox, each in several writes."""
    server = wsd("--wire-log")
    size, count = 300_000, 20
    with Raw(server, "/echo/raw", small_buffer=True) as raw:
        wire = Wire(server, raw)
        for _ in range(count):
            raw.send(frame(BINARY, b"x" * size))
            if raw.bytes == b"":
                raw.bytes = raw.socket.recv(1000)
        for _ in range(count):
            assert raw.frame() == (BINARY, b"x" * size)
        wait_for(lambda: len(wire.lines("server")) == 1 + count, "all answers")
        assert [line[1:3] for line in wire.lines("server")[1:]] == [
            (219 + i * (size + 10), size + 10) for i in range(count)]


def test_wire_log_shows_a_reset_after_the_frame_that_it_cut(wsd):
    server = wsd("--wire-log")
    raw = Raw(server, "/echo")
    wire = Wire(server, raw)
    start = 1 + len(upgrade("/echo"))
    raw.send(frame(TEXT, b"hello")[:8])
    server.sessions()  # returns after wsd has read the bytes
    raw.reset()
    wait_for(lambda: any("RST" in line[3] for line in wire.lines("client")), "the reset")
    assert wire.lines("client")[1:] == [
        ("client", start, 8, "WebSocket Text [FIN] [MASKED] Fin=1 Reserved=0x0 Opcode=1 Mask=1 Payload length=5 "
                             'Masking-Key=00000000 incomplete: 2 of 5 payload bytes Text="he… (5 bytes)"'),
        ("client", 0, 0, "[RST]")]


def test_wire_log_shows_a_partial_frame_at_shutdown(wsd):
    server = wsd("--wire-log", "--stop-timeout", "100ms")
    with Raw(server, "/echo") as raw:
        wire = Wire(server, raw)
        raw.send(frame(TEXT, b"hello")[:8])
        server.sessions()  # returns after wsd has read the bytes
        server.end()
        server.log = lambda: server.last_log
        assert wire.lines("client")[1:] == [
            ("client", 1 + len(upgrade("/echo")), 8, "WebSocket Text [FIN] [MASKED] Fin=1 Reserved=0x0 Opcode=1 Mask=1 "
             'Payload length=5 Masking-Key=00000000 incomplete: 2 of 5 payload bytes Text="he… (5 bytes)"')]


def test_wire_log_of_a_flood_does_not_delay_other_sessions(wsd):
    """With eight lines for each empty frame of a large read, the loop would write lines for seconds."""
    server = wsd("--wire-log=hex")
    pong = b"\x8a\x80" + bytes(4)
    with Raw(server, "/echo") as flood, Raw(server, "/echo") as raw:
        flood.send(pong * 500_000)
        raw.send(frame(TEXT, b"in between"))
        assert raw.frame() == (TEXT, b"Echo: in between")
        server.logged(r"wire [0-9a-f]{8} \S+ → \S+ Seq=\d+ Len=\d+ \d+ more items, not shown")
        flood.send(frame(CLOSE, b"\x03\xe8"))
        assert flood.close_frame() == (1000, "")


def test_wire_log_hex_shows_the_bytes_of_each_item(wsd):
    server = wsd("--wire-log=hex")
    with Raw(server, "/echo") as raw:
        raw.send(b"\x81\x82\x37\xfa\x21\x3d\x5f\x93")
        assert raw.frame() == (TEXT, b"Echo: hi")
        (line,) = server.logged(r'wire ([0-9a-f]{8}) \S+ → \S+ Seq=\d+ Len=8 WebSocket .* Text="hi"')
        server.logged(rf"wire {line[1]} .* Text: Echo: hi")
    lines = [text.split(f"wire {line[1]}   ")[1] for text in server.log().splitlines()
             if f"wire {line[1]}   " in text]
    first = lines.index("0000  81                       1... .... = Fin: True")
    assert lines[first:first + 9] == [
        "0000  81                       1... .... = Fin: True",
        "                               .000 .... = Reserved: 0x0",
        "                               .... 0001 = Opcode: Text (1)",
        "0001  82                       1... .... = Mask: True",
        "                               .000 0010 = Payload length: 2",
        "0002  37 fa 21 3d              Masking-Key: 37fa213d",
        "      Masked payload           Payload",
        "0006  5f 93                    68 69                    hi",
        "                               Text: hi"]
    assert lines[0] == r"0000  GET /echo HTTP/1.1\r\n"


def test_wire_log_escapes_line_feeds_and_quotes_in_message_text(wsd):
    server = wsd("--wire-log", "--log-format", "json")
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b'a"\nwire 00000000 \x1b[2J'))
        raw.frame()
        server.logged(r'.*Text=\\"a\\"\\\\nwire 00000000 \\\\x1b\[2J\\""}')


@pytest.mark.parametrize("options", [(), ("--wire-log", "--log-level", "warn")], ids=["without", "at level warn"])
def test_log_has_no_wire_lines_unless_the_wire_log_is_enabled_at_level_info(wsd, options):
    server = wsd(*options)
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"hello") + frame(CLOSE, b"\x03\xe8"))
        assert raw.frame() == (TEXT, b"Echo: hello")
        assert raw.close_frame() == (1000, "")
    assert "wire" not in server.end()


# --- the wire log compared with wstrace

FRAME = re.compile(r"(?:info: wire [0-9a-f]{8}| *\d+) (\S+ → \S+ Seq=\d+ Len=\d+ (?:WebSocket|GET |HTTP/).*)$")


def items(lines):
    """Heads and frames in the order of each direction's stream, without the fields that only one of the two prints."""
    found = [match[1] for line in lines if (match := FRAME.search(line))]
    return sorted(found, key=lambda item: (item.split(" Seq=")[0], int(item.split(" Seq=")[1].split(" ")[0])))


@only_root
def test_wire_log_and_wstrace_list_the_same_frames_at_the_same_offsets(wsd, tmp_path):
    server = wsd("--wire-log", "--max-message", "70000", "--max-buffered", "8MiB")
    file = tmp_path / "wire.pcap"
    tracer = start_capture(server, "-w", str(file))
    sockets = []

    def connect(path):
        raw = Raw(server, path)
        sockets.append(raw)
        return raw

    echo = connect("/echo/raw")
    for payload in (b"", b"x", b"y" * 125, b"z" * 126, b"l" * 65536):
        echo.send(frame(BINARY, payload))
        assert echo.frame() == (BINARY, payload)
    whole = frame(TEXT, "in Stücken".encode(), fin=False) + frame(0x9, b"ping") + frame(CONTINUATION, b", ganz")
    for i in range(len(whole)):  # byte by byte
        echo.send(whole[i:i + 1])
    assert [echo.frame() for _ in range(2)] == [(0xA, b"ping"), (TEXT, "in Stücken, ganz".encode())]
    members = [connect("/chat") for _ in range(3)]
    for member in members:
        member.frame()
    members[0].send(frame(TEXT, b"one") + frame(TEXT, b"two"))
    assert [members[1].frame() for _ in range(2)] == [(TEXT, b"Broadcast: one"), (TEXT, b"Broadcast: two")]
    assert [members[2].frame() for _ in range(2)] == [(TEXT, b"Broadcast: one"), (TEXT, b"Broadcast: two")]
    broken = connect("/echo")
    broken.send(b"\xc1\x82\1\2\3\4ab" + frame(TEXT, b"behind a broken rule") + b"\x81")
    assert broken.close_frame()[0] == 1002
    big = connect("/echo")
    big.send(frame(TEXT, b"a" * 70001)[:1000])
    assert big.close_frame()[0] == 1009
    assert ask(server, upgrade("/nowhere")).status == 404
    members[0].reset()
    for raw in (echo, members[1], members[2]):
        raw.send(frame(CLOSE, b"\x03\xe8"))
        assert raw.close_frame() == (1000, "")
    for raw in (broken, big, echo, members[1], members[2]):
        raw.is_ended()
        raw.close()
    wait_for(lambda: server.sessions() == [], "no session is left")
    # The capture is in order: once it has the SYN, ACK of one more connection, it has everything before.
    with Raw(server) as last:
        ports = server.port.to_bytes(2, "big") + last.socket.getsockname()[1].to_bytes(2, "big")
        wait_for(lambda: ports in file.read_bytes(), "the capture has the packets of the last connection")
    tracer.send_signal(signal.SIGINT)
    tracer.communicate(timeout=60)
    log = server.end().splitlines()

    shown = subprocess.run([program("wstrace"), "--frames", "--bytes", "1024", str(file)], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    assert items(shown) == items(log)
    assert len(items(log)) > 40
    assert any("behind a broken rule" in item for item in items(log))
    assert any("incomplete: " in item for item in items(log))
