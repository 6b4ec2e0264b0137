"""wsc, the command-line client, against third-party servers (python3-websockets and npm's ws), and against scripts of
literal bytes for tests of the wire format."""

import asyncio
import base64
import contextlib
import hashlib
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
import websockets

from conftest import HERE, program

WSC = program("wsc")
PATIENCE = 30  # seconds, for steps of milliseconds: a sanitizer on a busy machine is slow


def wsc(url, *options, lines=b"", **more):
    """Runs wsc to its end; `lines` is its standard input."""
    return subprocess.run([WSC, *options, url], input=lines, capture_output=True, timeout=PATIENCE, **more)


@contextlib.contextmanager
def started(url, *options, **more):
    """Runs wsc with its standard input open."""
    streams = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) | more
    with subprocess.Popen([WSC, *options, url], **streams) as process:
        try:
            yield process
        except subprocess.TimeoutExpired:
            process.kill()
            print("what wsc had written:", *(stream.read() for stream in (process.stdout, process.stderr) if stream))
            raise
        finally:
            process.kill()


def last_line(run):
    return run.stderr.decode().splitlines()[-1]


# --- a script of literal bytes ----------------------------------------------------------------------------------------


class Peer:
    """One accepted connection, read and written by hand."""

    def __init__(self, connection):
        self.socket = connection
        self.bytes = b""

    def receive(self, waits_for):
        """Some bytes; none at the end of TCP."""
        try:
            return self.socket.recv(65536)
        except TimeoutError:
            raise TimeoutError(f"waited {self.socket.gettimeout()} s for {waits_for}; had come: "
                                 f"{len(self.bytes)} bytes: {self.bytes[:200]!r}") from None

    def take(self, size):
        while len(self.bytes) < size:
            more = self.receive(f"{size} bytes")
            assert more, f"wsc ended TCP; {self.bytes!r} was left"
            self.bytes += more
        taken, self.bytes = self.bytes[:size], self.bytes[size:]
        return taken

    def head(self):
        while b"\r\n\r\n" not in self.bytes:
            more = self.receive("the end of an HTTP head")
            assert more, f"wsc ended TCP; {self.bytes!r} was left"
            self.bytes += more
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        return head.decode().split("\r\n")

    def accept(self, behind=b"", fields=""):
        """Answers the opening handshake, with `fields` in the head; sends `behind` in the same write."""
        head = self.head()
        key = next(line for line in head if line.startswith("Sec-WebSocket-Key: ")).split()[1]
        digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.socket.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n" + fields.encode()
                            + b"\r\n" + behind)
        return head

    def frame(self):
        """(byte 0, payload, masking key) of the next frame, which must be masked and in the shortest form."""
        byte0, byte1 = self.take(2)
        assert byte1 & 0x80, "a client's frame must be masked"
        size = byte1 & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.take(2))
            assert size >= 126
        elif size == 127:
            (size,) = struct.unpack("!Q", self.take(8))
            assert size >= 65536
        key = self.take(4)
        payload = self.take(size)
        mask = (key * (size // 4 + 1))[:size]
        unmasked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
        return byte0, unmasked.to_bytes(size, "big"), key

    def ended(self, within):
        """True if wsc ends TCP within `within` seconds."""
        self.socket.settimeout(within)
        try:
            return self.socket.recv(65536) == b""
        except socket.timeout:
            return False
        finally:
            self.socket.settimeout(PATIENCE)


@contextlib.contextmanager
def script(play, host="127.0.0.1"):
    """The URL of a server that runs `play(peer)` with one client, then ends TCP. If play raises, the test fails."""
    failures = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        listener.settimeout(PATIENCE)

        def run():
            try:
                with listener.accept()[0] as connection:
                    connection.settimeout(PATIENCE)
                    play(Peer(connection))
            except BaseException as failure:  # also the exceptions of pytest
                failures.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"ws://localhost:{listener.getsockname()[1]}/"
        thread.join(PATIENCE)
    if failures:
        raise failures[0]
    assert not thread.is_alive(), f"waited {PATIENCE} s for the end of the script"


CLOSE_1000 = b"\x88\x02\x03\xe8"


def test_wsc_sends_a_request_one_text_per_line_and_a_close_and_waits_for_the_fin():
    seen = {}  # [6455-4.1-REQUEST]

    def play(peer):
        seen["head"] = peer.accept()
        seen["frames"] = [peer.frame() for _ in range(3)]
        peer.socket.sendall(b"\x81\x01A" + b"\x81\x01B" + CLOSE_1000)
        # [6455-7.1.1-WAIT] the client waits for the server to end TCP
        seen["ended first"] = peer.ended(within=0.3)

    with script(play) as url:
        run = wsc(url + "echo?x=1", lines=b"a\nb\n")
    port = url.rsplit(":")[-1].strip("/")
    key = seen["head"][4].removeprefix("Sec-WebSocket-Key: ")
    assert seen["head"] == [
        "GET /echo?x=1 HTTP/1.1",
        f"Host: localhost:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    assert len(base64.b64decode(key, validate=True)) == 16
    assert [frame[:2] for frame in seen["frames"]] == [
        (0x81, b"a"),         # FIN, text
        (0x81, b"b"),
        (0x88, b"\x03\xe8"),  # FIN, close: 1000
    ]
    assert len({key for _, _, key in seen["frames"]}) == 3
    assert seen["ended first"] is False
    assert (run.returncode, run.stdout, run.stderr) == (0, b"A\nB\n", b"wsc: closed: 1000 (normal closure)\n")


def test_wsc_uses_a_fresh_key_for_each_frame_and_a_fresh_nonce_for_each_handshake():
    # [6455-4.1-NONCE] [6455-5.3-KEY]
    nonces, keys = set(), set()

    def play(peer):
        head = peer.accept()
        nonces.add(next(line for line in head if line.startswith("Sec-WebSocket-Key")))
        for _ in range(3001):
            keys.add(peer.frame()[2])
        peer.socket.sendall(CLOSE_1000)

    for _ in range(2):
        with script(play) as url:
            assert wsc(url, lines=b"\n" * 3000).returncode == 0
    assert len(nonces) == 2
    assert len(keys) > 5990  # of 6002: some may be equal by chance


def test_wsc_encodes_the_payload_length_in_the_shortest_form():
    sizes = [0, 1, 125, 126, 65535, 65536]
    seen = []

    def play(peer):
        peer.accept()
        seen.extend(peer.frame() for _ in sizes)  # asserts the shortest form
        peer.frame()
        peer.socket.sendall(CLOSE_1000)

    with script(play) as url:
        assert wsc(url, lines=b"".join(b"x" * size + b"\n" for size in sizes)).returncode == 0
    assert [payload for _, payload, _ in seen] == [b"x" * size for size in sizes]


def test_wsc_sends_no_frame_before_the_answer_to_the_handshake():
    # [6455-4.1-WAIT]
    def play(peer):
        with pytest.raises(socket.timeout):
            peer.socket.settimeout(0.3)
            while True:  # only the request arrives, perhaps in several reads
                peer.bytes += peer.socket.recv(65536)
        assert peer.bytes.count(b"\r\n\r\n") == 1 and peer.bytes.endswith(b"\r\n\r\n")
        peer.socket.settimeout(PATIENCE)
        peer.accept()
        assert [peer.frame()[:2] for _ in range(2)] == [(0x81, b"a"), (0x88, b"\x03\xe8")]
        peer.socket.sendall(CLOSE_1000)

    with script(play) as url:
        assert wsc(url, lines=b"a\n").returncode == 0


def test_wsc_reads_frames_that_arrive_in_the_same_segment_as_the_101():
    def play(peer):
        peer.accept(behind=b"\x81\x05hello" + b"\x88\x05\x03\xe9bye")
        assert peer.frame()[:2] == (0x88, b"\x03\xe9")

    with script(play) as url, started(url) as process:  # the input of wsc stays open
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == b"hello\n"
        assert process.stderr.read() == b'wsc: closed by the server: 1001 (going away), "bye"\n'


def test_wsc_reads_a_handshake_and_frames_that_arrive_byte_by_byte():
    def play(peer):
        connection, peer.socket = peer.socket, Recorder(peer.socket)
        peer.accept(behind=b"\x01\x02he" + b"\x89\x01p" + b"\x80\x03llo" + CLOSE_1000)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in peer.socket.sent:
            connection.sendall(bytes([byte]))
        assert peer.frame()[:2] == (0x8A, b"p")
        assert peer.frame()[:2] == (0x88, b"\x03\xe8")

    class Recorder:
        def __init__(self, connection):
            self.recv = connection.recv

        def sendall(self, data):
            self.sent = data

    with script(play) as url, started(url) as process:
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == b"hello\n"


def test_wsc_answers_a_ping_with_its_payload():
    def play(peer):
        peer.accept(behind=b"\x89\x04ping")
        assert peer.frame()[:2] == (0x8A, b"ping")
        peer.socket.sendall(CLOSE_1000)

    with script(play) as url, started(url) as process:
        assert process.wait(PATIENCE) == 0


BROKEN_RULES = [
    (b"\x81\x81abcd\x00", 1002, "a server's frame must not be masked"),
    (b"\xc1\x01a", 1002, "a reserved bit is set"),
    (b"\x83\x00", 1002, "reserved opcode"),
    (b"\x81\x02\xc3\x28", 1007, "text is not UTF-8"),
    (b"\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x01", 1009, "message too big"),  # 16 MiB and 1
    (b"\x88\x02\x03\xec", 1002, "this close code must not be sent"),  # 1004
]


@pytest.mark.parametrize("frame, code, text", BROKEN_RULES, ids=[text for _, _, text in BROKEN_RULES])
def test_wsc_sends_a_close_and_a_fin_if_the_server_breaks_a_rule(frame, code, text):
    def play(peer):
        peer.accept(behind=frame)
        byte0, payload, _ = peer.frame()
        assert (byte0, payload[:2]) == (0x88, struct.pack("!H", code))
        assert payload[2:].decode() == text
        assert peer.ended(within=PATIENCE)  # [6455-7.1.7-FAIL] a connection that failed is not kept

    with script(play) as url, started(url) as process:
        # [6455-7.1.7-REPORT]
        assert process.wait(PATIENCE) == 4
        error = process.stderr.read().decode()
        assert re.fullmatch(rf"wsc: protocol error by the server: {text} \[6455-\S+\]; closed: {code} \(.+\)\n", error)


@pytest.mark.parametrize("reset", [False, True])
def test_wsc_reports_1006_if_tcp_ends_without_a_close(reset):
    # [6455-7.2.1-LOST]
    def play(peer):
        peer.accept()
        if reset:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with script(play) as url, started(url) as process:
        assert process.wait(PATIENCE) == 1
        lost, ended = "the TCP connection was lost: Connection reset by peer", "the server closed the TCP connection"
        error = f"wsc: closed: 1006 (no Close was received); {lost if reset else ended}\n"
        assert process.stderr.read().decode() == error


# --- deadlines --------------------------------------------------------------------------------------------------------


def keep_sending(peer, data):
    """Sends `data` every 50 ms until wsc has closed the connection."""
    with contextlib.suppress(OSError):
        while True:
            peer.socket.sendall(data)
            time.sleep(0.05)


@pytest.mark.parametrize("trickle", [b"", b"\x8a\x00", b"\x81\x01x"], ids=["silence", "pongs", "messages"])
def test_wsc_exits_with_1_if_the_close_is_not_answered_within_the_timeout(trickle):
    def play(peer):
        peer.accept()
        assert peer.frame()[0] == 0x88
        keep_sending(peer, trickle) if trickle else peer.ended(within=PATIENCE)

    with script(play) as url:
        start = time.monotonic()
        run = wsc(url, "--close-timeout", "500ms")
        assert 0.5 <= time.monotonic() - start < PATIENCE / 2
    assert run.returncode == 1
    assert run.stderr == b"wsc: closed: 1006 (no Close was received); the server did not answer our Close within --close-timeout\n"


def test_wsc_exits_with_0_if_the_server_does_not_end_tcp_within_the_timeout():
    # [6455-7.1.1-TIMEOUT]
    def play(peer):
        peer.accept()
        peer.frame()
        peer.socket.sendall(CLOSE_1000)
        assert not peer.ended(within=0.3)
        assert peer.ended(within=PATIENCE)

    with script(play) as url:
        run = wsc(url, "--close-timeout", "500ms")
    assert run.returncode == 0
    assert last_line(run) == "wsc: the server did not close the TCP connection within --close-timeout"


@pytest.mark.parametrize("trickle", [b"", b"x"])
def test_wsc_exits_with_1_if_the_handshake_is_not_answered_within_the_timeout(trickle):
    def play(peer):
        peer.head()
        peer.socket.sendall(b"HTTP/1.1 101 Switching Protocols\r\nX: ")
        keep_sending(peer, trickle) if trickle else peer.ended(within=PATIENCE)

    with script(play) as url:
        run = wsc(url, "--connect-timeout", "500ms")
    assert run.returncode == 1
    assert run.stderr == b"wsc: the server did not answer the opening handshake within --connect-timeout\n"


def test_close_timeout_excludes_the_time_in_which_the_output_of_wsc_is_not_read():
    size = 4 * 1024 * 1024  # more than pipe and socket hold

    def play(peer):
        peer.accept()
        assert peer.frame()[0] == 0x88
        for _ in range(size // 65536):
            peer.socket.sendall(b"\x82\x7f" + struct.pack("!Q", 65536) + bytes(65536))
        peer.socket.sendall(CLOSE_1000)

    with script(play) as url, started(url, "--close-timeout", "4s") as process:
        process.stdin.close()
        time.sleep(5)
        assert len(process.stdout.read()) == size + size // 65536
        assert process.wait(PATIENCE) == 0


def test_wsc_does_not_read_input_while_the_server_does_not_read():
    size = 64 * 1024 * 1024
    may_read = threading.Event()

    def play(peer):
        peer.accept()
        may_read.wait(PATIENCE)
        got = 0
        while got < size:
            byte0, payload, _ = peer.frame()
            assert byte0 == 0x81
            got += len(payload) + 1
        assert peer.frame()[:2] == (0x88, b"\x03\xe8")
        peer.socket.sendall(CLOSE_1000)

    with script(play) as url, started(url) as process:
        written = 0
        block = (b"x" * 65535 + b"\n") * 16

        def write():
            nonlocal written
            with process.stdin as stdin:
                while written < size:
                    stdin.write(block)
                    written += len(block)

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(1)
        before = written
        with open(f"/proc/{process.pid}/status") as status:
            resident = int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))
        may_read.set()
        writer.join(PATIENCE)
        assert process.wait(PATIENCE) == 0
    assert before < size / 2, "the socket buffers hold some 6 MB, wsc itself 64 KiB"
    assert resident < 16 * 1024 or "asan" in WSC or "tsan" in WSC


def test_wsc_disconnects_if_the_server_sends_pings_and_does_not_read():
    def play(peer):
        peer.accept()
        with contextlib.suppress(OSError):
            while True:
                peer.socket.sendall((b"\x89\x7d" + b"p" * 125) * 500)

    with script(play) as url, started(url, "--max-message", "1") as process:
        assert process.wait(PATIENCE) == 1
        error = b"wsc: closed: 1006 (no Close was received); the server sends but does not read our answers\n"
        assert process.stderr.read() == error


# --- npm's ws ---------------------------------------------------------------------------------------------------------

ECHO_JS = """
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 1 << 28, perMessageDeflate: false });
server.on('connection', (ws, request) => {
  if (request.url === '/newcomer') ws.send('welcome');
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
  ws.on('ping', (data) => ws.send('ping ' + data));
  ws.on('pong', (data) => ws.send('pong ' + data));
});
server.on('listening', () => console.log(server.address().port));
"""


@pytest.fixture(scope="module")
def echo():
    """The URL of an echo server by npm's ws. It answers in order: all messages before the Close."""
    with subprocess.Popen(["node", "-e", ECHO_JS], cwd=HERE, stdout=subprocess.PIPE) as server:
        port = server.stdout.readline().decode().strip()
        assert port, "node could not run the ws server: is node_modules there (npm ci)?"
        yield f"ws://127.0.0.1:{port}/"
        server.terminate()


ECHOES = {
    "two lines": b"a\nb\n",
    "nothing": b"",
    "an empty line": b"\n",
    "the last line lacks its end": b"a\nb",
    "2000 lines": b"".join(b"line %d\n" % i for i in range(2000)),
    "more bytes than one character": "Grüße, κόσμε, 🎉\n".encode(),
    "a line of 1 MiB": b"x" * (1 << 20) + b"\n",
    "a line of 16 MiB": b"x" * (1 << 24) + b"\n",
    "brackets": b"[1,2]\n",
    "control characters, into a pipe": b"\x1b[31mred\x07\n",
    "carriage return within a line and at the end of the input": b"a\rb\n\r",
}


@pytest.mark.parametrize("lines", ECHOES.values(), ids=ECHOES.keys())
def test_wsc_prints_every_echo_before_it_exits(echo, lines):
    run = wsc(echo, lines=lines)
    wanted = lines if lines.endswith(b"\n") or not lines else lines + b"\n"
    assert run.stdout == wanted
    assert (run.returncode, run.stderr) == (0, b"wsc: closed: 1000 (normal closure)\n")


def test_wsc_removes_the_carriage_return_of_crlf(echo):
    run = wsc(echo, "--max-message", "3", lines=b"dos\r\nd\r\r\n\r\nlong\r\n1234567\r\n")
    assert run.stdout == b"dos\nd\r\n\n"
    assert run.stderr.decode().splitlines()[:2] == [
        "wsc: line 4 was not sent: it is longer than --max-message",
        "wsc: line 5 was not sent: it is longer than --max-message",
    ]


def test_wsc_null_separates_messages_that_contain_line_feeds(echo):
    run = wsc(echo, "--null", "--max-message", "8", lines=b"one\ntwo\r\0" + b"\0" + b"123456789\0three\r\n")
    assert run.stdout == b"one\ntwo\r\0\0three\r\n\0"
    assert run.stderr.decode().splitlines()[0] == "wsc: message 3 was not sent: it is longer than --max-message"


@pytest.mark.parametrize("content", [b"a\nb\0\r\n", b"", "Grüße".encode() * 100_000], ids=["lines", "empty", "long"])
def test_wsc_file_sends_a_file_as_one_message(content, tmp_path):
    (tmp_path / "message").write_bytes(content)
    seen = []

    async def handler(ws):
        seen.append(await ws.recv())

    with serve(handler) as url:
        run = wsc(url, "--file", str(tmp_path / "message"), lines=b"not sent\n")
        assert (run.returncode, run.stderr) == (0, b"wsc: closed: 1000 (normal closure)\n")
        assert wsc(url, "--binary", "--file", str(tmp_path / "message")).returncode == 0
    assert seen == [content.decode(), content]


def test_wsc_file_exits_with_2_if_the_server_closes_before_it_has_the_whole_file(tmp_path):
    (tmp_path / "message").write_bytes(b"x" * 15_000_000)  # more than the buffers of both sockets hold
    has_ended = threading.Event()

    def play(peer):
        peer.accept()
        peer.take(1000)
        peer.socket.sendall(CLOSE_1000)
        assert has_ended.wait(PATIENCE)

    with script(play) as url:
        run = wsc(url, "--close-timeout", "300ms", "--file", str(tmp_path / "message"))
        has_ended.set()
    assert (run.returncode, run.stderr.decode().splitlines()[:2]) == (
        2, ["wsc: the file was not sent completely: the server has closed the connection",
            "wsc: closed by the server: 1000 (normal closure)"])


def test_close_timeout_excludes_the_time_in_which_a_file_is_sent(tmp_path):
    (tmp_path / "message").write_bytes(b"x" * 12_000_000)

    def play(peer):
        peer.accept()
        time.sleep(6)  # longer than --close-timeout
        assert len(peer.frame()[1]) == 12_000_000
        assert peer.frame()[:2] == (0x88, b"\x03\xe8")
        peer.socket.sendall(CLOSE_1000)

    with script(play) as url:
        run = wsc(url, "--close-timeout", "5s", "--file", str(tmp_path / "message"))
    assert run.returncode == 0, run.stderr


def test_wsc_file_refuses_a_file_that_it_cannot_send(tmp_path):
    file = tmp_path / "message"
    file.write_bytes(b"\xff123")
    run = wsc("ws://localhost:1/", "--file", str(file))
    assert (run.returncode, run.stderr.decode()) == (
        2, f"wsc: cannot send {file}: it is not UTF-8; use --binary to send it\n")
    run = wsc("ws://localhost:1/", "--binary", "--max-message", "3", "--file", str(file))
    assert run.stderr.decode() == f"wsc: cannot send {file}: it is longer than --max-message\n"
    run = wsc("ws://localhost:1/", "--file", str(tmp_path / "none"))
    assert run.stderr.decode() == f"wsc: cannot send {tmp_path}/none: No such file or directory\n"


def test_wsc_sends_a_line_of_max_message_bytes_and_refuses_a_longer_one(echo):
    run = wsc(echo, "--max-message", "100000", lines=b"a" * 100000 + b"\n" + b"b" * 100001 + b"\nc\n" + b"d" * 200000)
    assert run.stdout == b"a" * 100000 + b"\nc\n"
    assert run.stderr.decode().splitlines() == [
        "wsc: line 2 was not sent: it is longer than --max-message",
        "wsc: line 4 was not sent: it is longer than --max-message",
        "wsc: closed: 1000 (normal closure)",
    ]
    assert run.returncode == 2


def test_max_message_may_be_4_gib(echo):
    assert wsc(echo, "--max-message", "4GiB", lines=b"a\n").stdout == b"a\n"


def test_wsc_refuses_a_last_line_that_is_too_long_and_lacks_a_line_feed(echo):
    run = wsc(echo, "--max-message", "1000", lines=b"a\n" + b"b" * 1001)
    assert (run.returncode, run.stdout) == (2, b"a\n")
    assert run.stderr.decode().splitlines()[0] == "wsc: line 2 was not sent: it is longer than --max-message"


def test_wsc_refuses_a_line_that_is_not_utf8_and_sends_the_others(echo):
    # [6455-5.6-TEXT]
    run = wsc(echo, lines=b"a\n\xff\nb\n\xc3")
    assert (run.returncode, run.stdout) == (2, b"a\nb\n")
    assert run.stderr.decode().splitlines()[:2] == [
        "wsc: line 2 was not sent: it is not UTF-8; use --binary to send it",
        "wsc: line 4 was not sent: it is not UTF-8; use --binary to send it",
    ]


def test_wsc_binary_sends_and_prints_lines_byte_for_byte(echo):
    lines = b"\x00\xff\xfe\n" + bytes(b for b in range(256) if b != 10) + b"\n"
    run = wsc(echo, "--binary", "-v", lines=lines)
    assert (run.returncode, run.stdout) == (0, lines)
    assert run.stderr.count(b"opcode=0x2 (binary)") == 4


def test_wsc_slash_sends_ping_pong_and_close(echo):
    run = wsc(echo, "--slash", lines=b"/ping\n/ping  a b\n/pong x\nplain\n/nonsense\n/close 4001 so long\nlost\n")
    assert run.stdout == b"ping \nping a b\npong x\nplain\n"
    assert run.stderr.decode().splitlines() == [
        "wsc: line 5 was not sent: unknown command; the commands are /ping [TEXT], /pong [TEXT], "
        "/close [CODE [REASON]]",
        'wsc: pong ""',
        'wsc: pong "a b"',
        'wsc: closed: 4001 (private use), "so long"',  # ws also returns the reason
    ]
    assert run.returncode == 4


# [6455-7.4-CODE]
NO_SUCH_CODE = ("line 1 was not sent: a Close must not have this code; allowed are 1000 to 1003, 1007 to 1014, "
                "3000 to 4999")
SLASHES = [
    (b"/close\n", "closed: 1000 (normal closure)", 0),
    (b"/close 1001 bye\n", 'closed: 1001 (going away), "bye"', 0),
    (b"/close 3000\n", "closed: 3000 (registered with IANA)", 4),
    (b"/close 1005\n", NO_SUCH_CODE, 2),
    (b"/close 66536\n", NO_SUCH_CODE, 2),
    (b"/close 1000x\n", NO_SUCH_CODE, 2),
    (b"/close 1000 " + b"r" * 123 + b"\n", 'closed: 1000 (normal closure), "' + "r" * 123 + '"', 0),
    (b"/close 1000 " + b"r" * 124 + b"\n", "line 1 was not sent: a Close reason must be UTF-8 of at most 123 bytes", 2),
    (b"/close 1000 \xff\n", "line 1 was not sent: a Close reason must be UTF-8 of at most 123 bytes", 2),
    (b"/ping " + b"p" * 125 + b"\n", 'pong "' + "p" * 125 + '"', 0),
    (b"/ping " + b"p" * 126 + b"\n", "line 1 was not sent: a control frame carries at most 125 bytes", 2),
]


@pytest.mark.parametrize("line, text, code", SLASHES, ids=[line.decode("latin1")[:16] for line, _, _ in SLASHES])
def test_wsc_slash_reports_the_result_of_each_command(echo, line, text, code):
    run = wsc(echo, "--slash", "--wait", "100ms", lines=line)
    assert (run.returncode, run.stderr.decode().splitlines()[0]) == (code, "wsc: " + text)


def test_wsc_without_slash_sends_a_leading_slash_as_text(echo):
    assert wsc(echo, lines=b"/close 4000\n").stdout == b"/close 4000\n"


def test_verbose_shows_the_handshake_and_each_header(echo):
    run = wsc(echo, "-v", lines=b"Hello\n" + b"x" * 200 + b"\n")
    lines = run.stderr.decode().splitlines()
    assert lines[:2] == ["wsc: connected to 127.0.0.1", "> GET / HTTP/1.1"]
    answer = lines.index("wsc: the server answered")
    assert lines[answer - 2:answer] == ["> Sec-WebSocket-Version: 13", "> "]
    assert lines[answer + 1] == "< HTTP/1.1 101 Switching Protocols"
    frames = [re.sub("key=[0-9a-f]{8}$", "key=*", line) for line in lines if " FIN=" in line]
    assert [line for line in frames if line[0] == ">"] == [
        "> FIN=1 RSV=000 opcode=0x1 (text) MASK=1 length=5 key=*",
        "> FIN=1 RSV=000 opcode=0x1 (text) MASK=1 length=200 key=*",
        "> FIN=1 RSV=000 opcode=0x8 (close) MASK=1 length=2 key=*",
    ]
    assert [line for line in frames if line[0] == "<"] == [
        "< FIN=1 RSV=000 opcode=0x1 (text) MASK=0 length=5",
        "< FIN=1 RSV=000 opcode=0x1 (text) MASK=0 length=200",
        "< FIN=1 RSV=000 opcode=0x8 (close) MASK=0 length=2",
    ]


def test_verbose_shows_the_masking_key_that_is_on_the_wire():
    seen = {}

    def play(peer):
        peer.accept(behind=b"\x01\x01a" + b"\x80\x01b")
        seen["key"] = peer.frame()[2].hex()
        peer.socket.sendall(CLOSE_1000)

    with script(play) as url:
        run = wsc(url, "-v")
    frames = [line for line in run.stderr.decode().splitlines() if " FIN=" in line]
    assert f"> FIN=1 RSV=000 opcode=0x8 (close) MASK=1 length=2 key={seen['key']}" in frames
    assert "< FIN=0 RSV=000 opcode=0x1 (text) MASK=0 length=1" in frames
    assert "< FIN=1 RSV=000 opcode=0x0 (continuation) MASK=0 length=1" in frames


def verbose_frames(behind):
    """The output of -v if a server sends these bytes after its 101 and ends TCP; without masking keys."""
    def play(peer):
        peer.accept(behind=behind)
        peer.socket.shutdown(socket.SHUT_WR)

    with script(play) as url:
        lines = wsc(url, "-v", "--wait", "forever").stderr.decode().splitlines()
    first = next(i for i, line in enumerate(lines) if " FIN=" in line)
    return [re.sub("key=[0-9a-f]{8}$", "key=*", line) for line in lines[first:]]


def test_verbose_shows_a_frame_that_breaks_a_rule_and_the_close_before_the_error():
    shown = verbose_frames(b"\xb3\x01x")
    assert shown[:2] == ["< FIN=1 RSV=011 opcode=0x3 (reserved) MASK=0 length=1",
                         "> FIN=1 RSV=000 opcode=0x8 (close) MASK=1 length=23 key=*"]
    assert shown[2].startswith("wsc: protocol error by the server: ")


def test_verbose_shows_a_frame_cut_by_the_end_of_the_stream():
    shown = verbose_frames(b"\x89\x00" + b"\x82\x05ab")
    assert shown[0] == "< FIN=1 RSV=000 opcode=0x9 (ping) MASK=0 length=0"
    assert sorted(shown[1:3]) == ["< FIN=1 RSV=000 opcode=0x2 (binary) MASK=0 length=5",
                                  "> FIN=1 RSV=000 opcode=0xa (pong) MASK=1 length=0 key=*"]
    assert "the server closed the TCP connection" in shown[3]


# --- python3-websockets -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serve(handler, **options):
    """The URL of a python3-websockets server."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    options = dict(compression=None, max_size=None) | options

    async def begin():
        return await websockets.serve(handler, "127.0.0.1", 0, **options)

    async def end(server):
        server.close()
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(PATIENCE)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


async def until_closed(ws):
    await ws.wait_closed()


def test_wait_keeps_the_connection_open_after_the_end_of_the_input():
    async def handler(ws):
        async for message in ws:
            await asyncio.sleep(0.1)
            await ws.send(["Echo: ", message])  # one fragment each

    with serve(handler) as url:
        start = time.monotonic()
        run = wsc(url, "--wait", "1500ms", lines=b"a\nb\n")
    assert time.monotonic() - start >= 1.5
    assert (run.returncode, run.stdout) == (0, b"Echo: a\nEcho: b\n")


def test_wait_forever_ends_when_the_server_closes():
    async def handler(ws):
        await ws.send("one")
        await asyncio.sleep(0.3)
        await ws.send("two")

    with serve(handler) as url:
        run = wsc(url, "-w", "forever")
    assert (run.returncode, run.stdout) == (0, b"one\ntwo\n")


def test_wsc_echo_returns_each_message_with_the_same_type_and_payload():
    messages = ["text", b"\x00\xff", "", b"", "Grüße", b"x" * 70_000, "y" * 70_000]
    came = []

    async def handler(ws):
        for message in messages:
            await ws.send(message)
            came.append(await ws.recv())
        await ws.send(["in ", "pieces"])
        came.append(await ws.recv())

    with serve(handler) as url:
        run = wsc(url, "--echo", lines=b"a line, which nobody reads\n")
    assert (run.returncode, run.stdout) == (0, b"")
    assert came == [*messages, "in pieces"]


CLOSES = [
    (1000, "", 0, "closed by the server: 1000 (normal closure)"),
    (1001, "shutting down", 0, 'closed by the server: 1001 (going away), "shutting down"'),
    (1008, "not you", 4, 'closed by the server: 1008 (policy violation), "not you"'),
    (1011, "", 4, "closed by the server: 1011 (internal error)"),
    (3999, "", 4, "closed by the server: 3999 (registered with IANA)"),
    (4000, "für dich", 4, 'closed by the server: 4000 (private use), "für dich"'),
    (4000, "\x1b[2J\n\x9b", 4, 'closed by the server: 4000 (private use), "\\x1b[2J\\n\\x9b"'),
]


@pytest.mark.parametrize("code, reason, exit_code, text", CLOSES)
def test_close_code_of_the_server_determines_the_exit_code(code, reason, exit_code, text):
    async def handler(ws):
        await ws.send("last words")
        await ws.close(code, reason)

    with serve(handler) as url, started(url) as process:
        assert process.wait(PATIENCE) == exit_code
        assert process.stdout.read() == b"last words\n"
        assert process.stderr.read().decode() == f"wsc: {text}\n"


def test_wsc_reports_a_close_without_a_code_as_1005():
    def play(peer):
        peer.accept(behind=b"\x88\x00")
        assert peer.frame()[:2] == (0x88, b"")

    with script(play) as url, started(url) as process:
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == b"wsc: closed by the server: 1005 (no code given)\n"


def test_options_origin_header_and_subprotocol_reach_the_server():
    # [6455-4.1-ORIGIN] [6455-4.1-FIELDS] [6455-4.1-SUBPROTOCOL]
    seen = []

    async def handler(ws):
        seen.append((ws.request_headers, ws.subprotocol))

    with serve(handler, subprotocols=["chat.v2", "chat.v1"], origins=["https://example.org"]) as url:
        run = wsc(url, "--origin", "https://example.org", "--header", "X-One: 1", "-H", "Authorization:Basic dTpw",
                  "-H", "X-Tab: a\tb, ü", "--subprotocol", "chat.v1", "-s", "other", "-v")
    assert run.returncode == 0
    headers, subprotocol = seen[0]
    assert headers["Origin"] == "https://example.org"
    assert headers["X-One"] == "1"
    assert headers["Authorization"] == "Basic dTpw"
    assert headers["X-Tab"].startswith("a\tb, ")
    assert headers["Sec-WebSocket-Protocol"] == "chat.v1, other"
    assert subprotocol == "chat.v1"
    assert b"wsc: the server chose the subprotocol chat.v1\n" in run.stderr


def test_header_replaces_host_and_origin_and_user_sends_basic_credentials():
    heads = []

    def play(peer):
        heads.append(peer.accept(behind=CLOSE_1000))

    with script(play) as url:
        assert wsc(url, "-H", "Host: other.example", "-o", "http://a", "-H", "origin:null", "--user",
                   "Aladdin:open sesame").returncode == 0
    fields = heads[0][1:]
    assert [field for field in fields if field.lower().startswith(("host", "origin", "auth"))] == [
        "Host: other.example", "origin:null", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]


def test_wsc_sends_only_the_required_fields_by_default():
    seen = []

    async def handler(ws):
        seen.append(ws.request_headers)

    with serve(handler, subprotocols=["chat"]) as url:
        assert wsc(url).returncode == 0
    assert sorted(name.lower() for name, _ in seen[0].raw_items()) == [
        "connection", "host", "sec-websocket-key", "sec-websocket-version", "upgrade"]


REFUSALS = [
    (404, b"no such path\n", "  no such path"),
    (403, b"", None),
    (401, b"who\r\nare you?", "  who\n  are you?"),
    (503, b"\x1b[2Jfake", "  \\x1b[2Jfake"),
    (500, b"\xff\x9b", "  \\xff\\x9b"),
]


@pytest.mark.parametrize("status, body, shown", REFUSALS)
def test_wsc_shows_the_status_and_the_body_of_a_refusal(status, body, shown):
    import http

    async def refuse(path, headers):
        return http.HTTPStatus(status), [], body

    with serve(until_closed, process_request=refuse) as url:
        run = wsc(url, lines=b"a\n")
    status_line = f"wsc: the server refused the opening handshake: {status} {http.HTTPStatus(status).phrase}"
    assert run.returncode == 3
    assert run.stderr.decode() == status_line + "\n" + (shown + "\n" if shown else "")
    assert run.stdout == b""


def test_wsc_shows_where_a_redirect_leads_and_how_to_try_again():
    def play(peer):
        peer.head()
        peer.socket.sendall(b"HTTP/1.1 302 Found\r\nlocation: ws://other.example/\r\nContent-Length: 0\r\n"
                            b"WWW-Authenticate: Basic realm=\"\x9b\"\r\nWWW-Authenticate: Bearer\r\n"
                            b"Retry-After: 120\r\n\r\n")

    with script(play) as url:
        run = wsc(url)
    assert (run.returncode, run.stderr.decode().splitlines()) == (3, [
        "wsc: the server refused the opening handshake: 302 Found", "  Location: ws://other.example/",
        '  WWW-Authenticate: Basic realm="\\x9b"', "  WWW-Authenticate: Bearer", "  Retry-After: 120"])


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_wsc_reads_interim_responses_up_to_the_final_one(step):
    # [9110-15.2-INTERIM]
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    def play(peer):
        for i in range(0, len(interim), step):
            peer.socket.sendall(interim[i:i + step])
        peer.accept(behind=b"\x81\x02hi" + CLOSE_1000)

    with script(play) as url:
        run = wsc(url, "-v")
    assert (run.returncode, run.stdout) == (0, b"hi\n")
    assert [line for line in run.stderr.decode().splitlines() if line.startswith("< HTTP")] == [
        "< HTTP/1.1 100 Continue", "< HTTP/1.1 103 Early Hints", "< HTTP/1.1 101 Switching Protocols"]


def test_wsc_shows_a_refusal_after_an_interim_response():
    def play(peer):
        peer.head()
        peer.socket.sendall(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno\n")

    with script(play) as url:
        run = wsc(url)
    assert (run.returncode, run.stderr) == (3, b"wsc: the server refused the opening handshake: 403 No\n  no\n")


@pytest.mark.parametrize("status", [100, 103])
def test_interim_responses_do_not_extend_the_timeout(status):
    def play(peer):
        peer.head()
        try:
            while True:
                peer.socket.sendall(b"HTTP/1.1 %d X\r\n\r\n" % status)
                time.sleep(0.01)
        except OSError:
            pass

    with script(play) as url:
        run = wsc(url, "--connect-timeout", "300ms")
    assert (run.returncode, run.stderr) == (
        1, b"wsc: the server did not answer the opening handshake within --connect-timeout\n")


def test_wsc_exits_with_3_if_the_server_refuses_the_origin():
    with serve(until_closed, origins=["https://example.org"]) as url:
        run = wsc(url, "--origin", "https://evil.example")
    assert run.returncode == 3
    assert b": 403 Forbidden\n" in run.stderr


def test_wsc_shows_the_first_4096_bytes_of_a_refusal_without_content_length():
    def play(peer):
        peer.head()
        peer.socket.sendall(b"HTTP/1.0 404\r\n\r\n" + b"x" * 1000)
        time.sleep(0.2)
        peer.socket.sendall(b"y" * 100_000)

    with script(play) as url:
        run = wsc(url)
    assert run.returncode == 3
    assert run.stderr.decode().splitlines()[1] == "  " + "x" * 1000 + "y" * 3096


def test_wsc_reads_a_refusal_only_up_to_its_content_length():
    def play(peer):
        peer.head()
        peer.socket.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nnot you\r\nand this is not of it")
        assert peer.ended(within=PATIENCE)

    with script(play) as url:
        start = time.monotonic()
        run = wsc(url)
    assert time.monotonic() - start < 2  # the time that wsc waits for a body without a length
    assert (run.returncode, run.stderr) == (3, b"wsc: the server refused the opening handshake: 403 No\n  not you\n")


ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
WRONG_ANSWERS = [
    (b"220 mail.example ESMTP\r\n", "malformed status line"),
    (b"\x15\x03\x01\x00\x02\x02\x46", "not an HTTP request (this port accepts ws://, not TLS)"),
    (b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", "the response has no Upgrade: websocket"),
    (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + ACCEPT + b"\r\n",
     "Sec-WebSocket-Accept does not match the key"),
    (b"HTTP/1.1 101 X\r\nX: " + b"x" * 9000, "too many header fields, or one is too long"),
]


@pytest.mark.parametrize("answer, text", WRONG_ANSWERS, ids=[text for _, text in WRONG_ANSWERS])
def test_wsc_names_the_error_in_an_invalid_handshake_response(answer, text):
    # [6455-7.2.1-HANDSHAKE]
    def play(peer):
        peer.head()
        peer.socket.sendall(answer)

    with script(play) as url:
        run = wsc(url)
    assert run.returncode == 3
    assert run.stderr.decode().startswith(f"wsc: wrong answer to the opening handshake: {text} [")


def test_wsc_refuses_a_subprotocol_that_it_did_not_offer():
    class Insistent(websockets.WebSocketServerProtocol):
        def process_subprotocol(self, headers, available):
            return "other"

    with serve(until_closed, create_protocol=Insistent) as url:
        run = wsc(url, "-s", "chat")
    assert run.returncode == 3
    assert b"the server chose a subprotocol that was not offered" in run.stderr


def test_wsc_refuses_an_extension_that_it_did_not_offer():
    class Insistent(websockets.WebSocketServerProtocol):
        def process_extensions(self, headers, available):
            return "permessage-deflate", []

    with serve(until_closed, create_protocol=Insistent) as url:
        run = wsc(url)
    assert run.returncode == 3
    assert b"the server chose an extension that was not offered" in run.stderr


def test_wsc_exits_with_1_if_tcp_ends_during_the_handshake():
    with script(lambda peer: peer.head()) as url:
        run = wsc(url)
    assert run.returncode == 1
    assert run.stderr == b"wsc: the server closed the TCP connection during the opening handshake\n"


# --- addresses --------------------------------------------------------------------------------------------------------


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_wsc_reports_a_refused_connection_in_one_line():
    # [6455-4.1-CONNECT]
    port = free_port()
    run = wsc(f"ws://127.0.0.1:{port}/")
    assert run.returncode == 1
    assert run.stderr.decode() == f"wsc: cannot connect to 127.0.0.1 port {port}: 127.0.0.1: Connection refused\n"


def test_wsc_sends_an_ipv6_host_in_brackets():
    def play(peer):
        assert f"Host: [::1]:{peer.socket.getsockname()[1]}" in peer.accept(behind=CLOSE_1000)

    with script(play, host="::1") as url:
        assert wsc(url.replace("localhost", "[::1]")).returncode == 0


# Gives the loopback device of a new network namespace the link-local address fe80::1, and runs a command.
WITH_LINK_LOCAL = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
    SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8914, 0x8916, 1
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    fcntl.ioctl(any_socket, SIOCSIFADDR, socket.inet_pton(socket.AF_INET6, "fe80::1")
                + struct.pack("=Ii", 64, socket.if_nametoindex("lo")))
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_wsd_and_wsc_use_a_link_local_address_with_its_zone(wsd):
    # [6874-4-ZONE]; wsd would answer 400 to a Host with a zone
    is_root = os.geteuid() == 0
    unshare = ["unshare", "--net"] if is_root else ["unshare", "--user", "--map-root-user", "--net"]
    server = wsd("--address", "fe80::1%lo", command=[*unshare, sys.executable, "-c", WITH_LINK_LOCAL])
    assert server.address == "fe80::1%lo"
    enter = ["nsenter", "--target", str(server.pid), "--net"]
    enter += [] if is_root else ["--user", "--preserve-credentials"]
    run = subprocess.run([*enter, WSC, "-v", f"[fe80::1%25lo]:{server.port}/echo"], input=b"hi\n", capture_output=True,
                         timeout=PATIENCE)
    assert (run.returncode, run.stdout) == (0, b"Echo: hi\n"), run.stderr
    assert f"> Host: [fe80::1]:{server.port}\n" in run.stderr.decode()


@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "127.0.0.2"])
def test_wsc_tries_every_address_of_a_host_name(name_of_three_addresses, host):
    # [6455-4.1-CONNECT]
    def play(peer):
        peer.accept(behind=CLOSE_1000)

    with script(play, host=host) as url:  # listens only on that address
        url = url.replace("localhost", "three.test")
        run = subprocess.run([*name_of_three_addresses, WSC, "-v", url], input=b"", capture_output=True,
                             timeout=PATIENCE)
    assert run.returncode == 0
    assert run.stderr.decode().splitlines()[0] == f"wsc: connected to {host}"


def test_wsc_names_each_address_and_its_error_if_none_accepts(name_of_three_addresses):
    port = free_port()
    run = subprocess.run([*name_of_three_addresses, WSC, f"ws://three.test:{port}/"], capture_output=True)
    assert run.returncode == 1
    start, refused = f"wsc: cannot connect to three.test port {port}: ", ": Connection refused"
    reasons = run.stderr.decode().strip().removeprefix(start).split("; ")
    assert sorted(reasons) == ["127.0.0.1" + refused, "127.0.0.2" + refused, "::1" + refused]


def test_wsc_gives_up_an_address_that_does_not_answer_within_the_timeout():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(3):  # the queue holds one or two; Linux drops the SYN of any further client
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(full.getsockname())
        run = wsc(f"ws://127.0.0.1:{full.getsockname()[1]}/", "--connect-timeout", "500ms")
        for client in waiting:
            client.close()
    assert run.returncode == 1
    assert b": 127.0.0.1: Connection timed out\n" in run.stderr


# --- options ----------------------------------------------------------------------------------------------------------

BAD_USAGE = [
    [],
    ["--nonsense", "ws://localhost/"],
    ["ws://localhost/", "ws://localhost/"],
    ["http://localhost/"],
    ["wss://localhost/"],
    ["ws:///path"],
    ["ws://localhost:0/"],
    ["ws://localhost:65536/"],
    ["ws://localhost/#fragment"],
    ["ws://localhost/a b"],
    ["ws://localhost/\r\nX: y"],
    ["--header", "no colon", "ws://localhost/"],
    ["--header", "X: a\r\nY: b", "ws://localhost/"],
    ["--header", "X: a\n", "ws://localhost/"],
    ["--header", "X y: a", "ws://localhost/"],
    ["--header", "X\r\nY: b", "ws://localhost/"],
    ["--header", ": a", "ws://localhost/"],
    ["--user", "no colon", "ws://localhost/"],
    ["--user", "a:b\nc", "ws://localhost/"],
    ["--file", "/no/such/file", "ws://localhost/"],
    ["--file", "/", "ws://localhost/"],
    ["--file", "/dev/zero", "ws://localhost/"],  # endless
    ["--file", "/dev/null", "--null", "ws://localhost/"],
    ["--file", "/dev/null", "--slash", "ws://localhost/"],
    ["--file", "/dev/null", "--echo", "ws://localhost/"],
    ["--null", "--echo", "ws://localhost/"],
    ["--header", "Upgrade: h2c", "ws://localhost/"],
    ["--header", "Connection: close", "ws://localhost/"],
    ["--header", "Sec-WebSocket-Extensions: permessage-deflate", "ws://localhost/"],
    ["--origin", "https://a\r\nX: y", "ws://localhost/"],
    ["--origin", "", "ws://localhost/"],
    ["--subprotocol", "a, b", "ws://localhost/"],
    ["--subprotocol", "a\r\nX: y", "ws://localhost/"],
    ["--echo", "--binary", "ws://localhost/"],
    ["--echo", "--slash", "ws://localhost/"],
    ["--subprotocol", "a", "--subprotocol", "b", "-s", "a", "ws://localhost/"],  # [6455-4.1-SUBPROTOCOL]
    ["--wait", "soon", "ws://localhost/"],
    ["--wait", "-1", "ws://localhost/"],
    ["--wait", "25h", "ws://localhost/"],
    ["--close-timeout", "0", "ws://localhost/"],
    ["--close-timeout", "forever", "ws://localhost/"],
    ["--connect-timeout", "5", "ws://localhost/"],
    ["--connect-timeout", "0.5s", "ws://localhost/"],
    ["--connect-timeout", "5x", "ws://localhost/"],
    ["--max-message", "0", "ws://localhost/"],
    ["--max-message", "-1", "ws://localhost/"],
    ["--max-message", "1kB", "ws://localhost/"],
]


@pytest.mark.parametrize("arguments", BAD_USAGE, ids=[" ".join(arguments) or "none" for arguments in BAD_USAGE])
def test_wsc_reports_invalid_arguments_in_one_line_and_exits_with_2(arguments):
    run = subprocess.run([WSC, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    assert (run.returncode, run.stdout) == (2, b"")
    assert re.fullmatch(rb"wsc: [^\n\r]+\n", run.stderr)


def test_wsc_says_what_is_wrong_with_a_url():
    run = subprocess.run([WSC, "wss://localhost/"], capture_output=True)
    assert run.stderr == b"wsc: uri: 'wss://localhost/' requires TLS, which is not supported: use ws://\n"


def test_help_shows_defaults_units_and_exit_codes():
    run = subprocess.run([WSC, "--help"], capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")
    text = run.stdout.decode()
    for part in ["--wait TIME=0", "--connect-timeout TIME=10s", "--close-timeout TIME=10s",
                 "--max-message SIZE=16MiB", "Exit codes:", "/close [CODE [REASON]]"]:
        assert part in text
    for code in range(5):
        assert re.search(rf"^  {code} ", text, re.MULTILINE)


def test_version_prints_the_name_and_version_of_wsc():
    run = subprocess.run([WSC, "--version"], capture_output=True)
    assert run.returncode == 0
    assert re.fullmatch(rb"wsc \d+\.\d+\.\d+\n", run.stdout)


# --- signals, closed streams, terminals -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_wsc_closes_with_1001_on_a_signal_and_waits_for_the_answer(number):
    def play(peer):
        peer.accept(behind=b"\x81\x02hi")
        assert peer.frame()[:2] == (0x88, b"\x03\xe9")
        peer.socket.sendall(b"\x81\x04late" + b"\x88\x02\x03\xe9")

    with script(play) as url, started(url) as process:
        assert process.stdout.readline() == b"hi\n"
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == b"late\n"
        assert process.stderr.read() == b"wsc: closed: 1001 (going away)\n"


def test_a_second_signal_ends_wsc_immediately():
    def play(peer):
        peer.accept(behind=b"\x81\x02hi")
        assert peer.frame()[0] == 0x88
        closing.set()
        assert peer.ended(within=PATIENCE)

    closing = threading.Event()
    with script(play) as url, started(url, "--close-timeout", "600s") as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert closing.wait(PATIENCE)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == -signal.SIGINT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_closing_handshake_ends_wsc_immediately(number):
    closing = threading.Event()

    def play(peer):
        peer.accept(behind=b"\x81\x02hi")
        assert peer.frame()[:2] == (0x88, b"\x03\xe8")
        closing.set()
        assert peer.ended(within=PATIENCE)

    with script(play) as url, started(url, "--close-timeout", "600s") as process:
        process.stdout.readline()
        process.stdin.close()
        assert closing.wait(PATIENCE)
        process.send_signal(number)
        assert process.wait(PATIENCE) == -number


def test_two_signals_end_wsc_even_if_its_output_is_not_read():
    def play(peer):
        peer.accept(behind=b"\x81\x02hi")
        with contextlib.suppress(OSError):
            while True:
                peer.socket.sendall(b"\x82\x7e\xff\xff" + bytes(65535))

    with script(play) as url, started(url) as process:
        assert process.stdout.read(3) == b"hi\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == -signal.SIGINT


@pytest.mark.parametrize("is_idle", [True, False])
def test_wsc_closes_with_1001_and_exits_with_0_if_its_output_pipe_is_closed(is_idle):
    def play(peer):
        peer.accept(behind=b"\x81\x02hi")
        peer.socket.settimeout(0.2 if not is_idle else PATIENCE)
        for _ in range(PATIENCE * 5):
            with contextlib.suppress(socket.timeout):
                assert peer.frame()[:2] == (0x88, b"\x03\xe9")
                break
            peer.socket.sendall(b"\x81\x05again")
        peer.socket.sendall(b"\x88\x02\x03\xe9")

    with script(play) as url, started(url) as process:
        assert process.stdout.readline() == b"hi\n"
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == b"wsc: closed: 1001 (going away)\n"


def test_wsc_exits_with_1_if_its_output_cannot_be_written(echo):
    with open("/dev/full", "wb") as full:
        run = subprocess.run([WSC, echo], input=b"a\n", stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert run.returncode == 1
    assert run.stderr == b"wsc: cannot write to standard output: No space left on device\n"


def test_wsc_exits_with_1_if_its_input_cannot_be_read(echo):
    directory = os.open("/", os.O_RDONLY)
    run = subprocess.run([WSC, echo], stdin=directory, capture_output=True, timeout=PATIENCE)
    os.close(directory)
    assert (run.returncode, run.stderr) == (1, b"wsc: cannot read standard input: Is a directory\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_wsc_does_not_use_a_closed_standard_stream_as_its_socket(closed):
    seen = []

    def play(peer):
        peer.accept(behind=b"\x81\x05hello")
        seen.append(peer.frame()[:2])
        peer.socket.sendall(CLOSE_1000)

    with script(play) as url:
        run = subprocess.run(["sh", "-c", f'"$0" "$1" {closed}', WSC, url], stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=PATIENCE)
    assert run.returncode == 0
    assert seen == [(0x88, b"\x03\xe8")]


def test_wsc_escapes_control_characters_and_prints_binary_as_hex_on_a_terminal():
    def play(peer):
        text = "\x1b[31mred\x07 \x9bC1 ü\ttab\nline\x7f \u202eesrever\u2066\u2028".encode()
        peer.accept(behind=b"\x81" + bytes([len(text)]) + text + b"\x82\x03\x00\xff\x1b" + CLOSE_1000)

    terminal, side_of_wsc = pty.openpty()
    with script(play) as url:
        run = subprocess.run([WSC, url], stdin=subprocess.DEVNULL, stdout=side_of_wsc, stderr=subprocess.PIPE,
                             timeout=PATIENCE)
    shown = os.read(terminal, 4096)
    os.close(terminal)
    os.close(side_of_wsc)
    assert run.returncode == 0
    assert shown.decode() == ("\\x1b[31mred\\x07 \\x9bC1 ü\ttab\\nline\\x7f "
                              "\\xe2\\x80\\xaeesrever\\xe2\\x81\\xa6\\xe2\\x80\\xa8\r\n(binary) 00ff1b\r\n")


def test_wsc_says_connected_on_a_terminal():
    terminal, side_of_wsc = pty.openpty()
    with script(lambda peer: peer.accept(behind=CLOSE_1000)) as url:
        run = subprocess.run([WSC, url.removeprefix("ws://")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=side_of_wsc, timeout=PATIENCE)
    shown = os.read(terminal, 4096)
    os.close(terminal)
    os.close(side_of_wsc)
    assert (run.returncode, run.stdout) == (0, b"")
    assert shown.startswith(b"wsc: connected\r\n")


def test_wsc_sends_each_line_as_soon_as_it_is_typed(echo):
    with started(echo) as process:
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == line
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_wsc_exits_with_0_if_the_server_closes_while_the_input_is_open():
    with script(lambda peer: peer.accept(behind=CLOSE_1000)) as url, started(url) as process:
        assert process.wait(PATIENCE) == 0


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-rs", "-p", "no:cacheprovider"]))
