"""permessage-deflate (RFC 7692), with third-party clients and servers, and on the wire."""

import asyncio
import base64
import contextlib
import random
import re
import struct
import subprocess
import tempfile
import zlib

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

from conftest import HERE, only_plain, program
from peer import Peer
from wsc_test import script, started
from wsd import BINARY, CLOSE, CONTINUATION, PATIENCE, PING, PONG, TEXT, Raw, ask, digest, frame, upgrade, wait_for

OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
NO_TAKEOVER = "; server_no_context_takeover; client_no_context_takeover"
LINE = "what is said here is said again, and then said again, as such things are"
NOISE = random.Random(7692).randbytes(100_000)
MESSAGES = [LINE, LINE.encode(), "", "short", LINE * 1000, NOISE, NOISE[:70], LINE, "grüße 你好 " * 50]


class RawDeflate(Raw):
    """A hand-driven connection that negotiated permessage-deflate. `answer`: the server's parameters."""

    def __init__(self, server, path, parameters=""):
        super().__init__(server)
        self.send(upgrade(path, OFFER + parameters))
        head = self.head()
        assert head.startswith("HTTP/1.1 101 "), head
        self.answer = re.search(r"sec-websocket-extensions: permessage-deflate(.*)\r\n", head)[1]
        self.deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.inflater = zlib.decompressobj(-15)

    def compressed(self, payload, opcode=TEXT):
        if "client_no_context_takeover" in self.answer:
            self.deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        data = frame(opcode, data[:-4])
        return bytes([data[0] | 0x40]) + data[1:]

    def data_frame(self):
        """The next data frame: opcode, whether it is compressed, its decompressed payload, its size on the wire."""
        first = self.take(1)[0]
        self.bytes = bytes([first & ~0x40]) + self.bytes
        opcode, payload = self.frame()
        size = len(payload)
        if first & 0x40:
            if "server_no_context_takeover" in self.answer:
                self.inflater = zlib.decompressobj(-15)
            payload = self.inflater.decompress(payload + b"\0\0\xff\xff")
        return opcode, bool(first & 0x40), payload, size


# --- negotiation


def test_wsd_declines_permessage_deflate_without_the_option_deflate(wsd):
    """As in the article, whose server declines it: the answer equals the answer to a request without an offer."""
    server = wsd()
    with Raw(server) as with_offer, Raw(server) as without:
        with_offer.send(upgrade("/echo", OFFER + "; client_max_window_bits"))
        without.send(upgrade("/echo"))
        assert with_offer.head() == without.head()


@pytest.mark.parametrize("options, parameters, answer", [
    ([], "", ""),
    ([], "; client_max_window_bits", ""),
    ([], "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
         "client_max_window_bits=12",
     "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12"),
    ([], "; unknown, permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=15"),
    (["--deflate-no-takeover"], "", "; server_no_context_takeover; client_no_context_takeover"),
    (["--deflate-window-bits", "11"], "; client_max_window_bits",
     "; server_max_window_bits=11; client_max_window_bits=11"),
])
def test_wsd_answers_an_offer_with_the_negotiated_parameters_and_compresses(wsd, options, parameters, answer):
    with RawDeflate(wsd("--deflate", *options), "/echo/raw", parameters) as raw:
        assert raw.answer == answer
        raw.send(raw.compressed(LINE.encode()))
        opcode, is_compressed, payload, size = raw.data_frame()
        assert (opcode, is_compressed, payload) == (TEXT, True, LINE.encode())
        assert size < len(LINE)


def test_wsd_declines_an_invalid_offer_and_refuses_a_malformed_one_with_400(wsd):
    server = wsd("--deflate")
    with Raw(server) as raw:
        raw.send(upgrade("/echo", OFFER + "; server_max_window_bits=16"))
        assert "extensions" not in raw.head()
    assert ask(server, upgrade("/echo", OFFER + ";")).status == 400


# --- messages, with third-party clients and servers


@pytest.mark.parametrize("options", [[], ["--deflate-no-takeover"], ["--deflate-window-bits", "9"],
                                     ["--deflate-from", "1B"]])
@pytest.mark.parametrize("wishes", [{}, {"serverNoContextTakeover": True}, {"clientNoContextTakeover": True},
                                    {"serverMaxWindowBits": 10, "clientMaxWindowBits": 10, "threshold": 0}])
def test_ws_and_wsd_exchange_compressed_messages(wsd, options, wishes):
    with Peer(wsd("--deflate", *options).url("/echo/raw"), perMessageDeflate=wishes) as client:
        agreed = client.opened()["extensions"]
        assert agreed.startswith("permessage-deflate"), agreed
        for message in MESSAGES:
            if isinstance(message, str):
                client.do(text=message)
            else:
                client.do(binary=base64.b64encode(message).decode())
        for message in MESSAGES:
            data = message.encode() if isinstance(message, str) else message
            event = client.event()
            if len(data) > 65536:
                assert event == {"sha256": digest(data), "size": len(data), "isBinary": isinstance(message, bytes)}
            elif isinstance(message, str):
                assert event == {"text": message}
            else:
                assert event == {"binary": base64.b64encode(data).decode()}


@pytest.mark.parametrize("factory", [
    {},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    {"server_max_window_bits": 9, "client_max_window_bits": 9},
    {"server_max_window_bits": 12, "server_no_context_takeover": True},
])
def test_python_websockets_and_wsd_exchange_compressed_messages(wsd, factory):
    async def session(url):
        extension = ClientPerMessageDeflateFactory(**factory)
        async with websockets.connect(url, compression=None, extensions=[extension]) as client:
            assert [one.name for one in client.extensions] == ["permessage-deflate"]
            for message in MESSAGES * 2:
                await client.send(message)
                assert await client.recv() == message
            # One message in three fragments.
            await client.send([LINE, LINE, "."])
            assert await client.recv() == LINE + LINE + "."
    asyncio.run(session(wsd("--deflate").url("/echo/raw")))


@pytest.mark.parametrize("options", [[], ["--deflate-no-takeover"], ["--deflate-window-bits", "9"]])
def test_wsc_exchanges_compressed_messages_with_a_python_websockets_server(options):
    async def session():
        agreed = []

        async def echo(socket):
            agreed.extend(one.name for one in socket.extensions)
            async for message in socket:
                await socket.send(message)
        # With the factory the server accepts the parameters that wsc offers; without it, the server would decline.
        async with websockets.serve(echo, "127.0.0.1", 0, compression=None,
                                    extensions=[ServerPerMessageDeflateFactory()]) as server:
            port = server.sockets[0].getsockname()[1]
            lines = "\n".join([LINE, "", LINE * 500, LINE]) + "\n"
            process = await asyncio.create_subprocess_exec(
                program("wsc"), "--deflate", *options, "-v", f"ws://127.0.0.1:{port}/",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            process.stdin.write(lines.encode())
            for line in lines.splitlines():  # python3-websockets sends no answers after it received a Close
                assert await process.stdout.readline() == line.encode() + b"\n"
            process.stdin.close()
            _, err = await process.communicate()
            assert process.returncode == 0, err.decode()
            assert agreed == ["permessage-deflate"]
            assert len(re.findall("> FIN=1 RSV=100 opcode=0x1", err.decode())) == 3, "all but the empty message"
            assert len(re.findall("< FIN=1 RSV=100 opcode=0x1", err.decode())) >= 3
    asyncio.run(session())


@pytest.mark.parametrize("options", [[], ["--deflate-no-takeover"], ["--deflate-window-bits", "9"]])
def test_wsc_exchanges_compressed_messages_with_a_ws_server(options):
    script = """
        const {WebSocketServer} = require('ws');
        const server = new WebSocketServer({port: 0, host: '127.0.0.1', perMessageDeflate: {threshold: 0}});
        server.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, {binary})));
        server.on('listening', () => console.log(server.address().port));
    """
    with subprocess.Popen(["node", "-e", script], cwd=HERE, stdout=subprocess.PIPE, text=True) as server:
        try:
            lines = "\n".join([LINE, "", LINE * 500, LINE, LINE]) + "\n"
            url = f"ws://127.0.0.1:{int(server.stdout.readline())}/"
            run = subprocess.run([program("wsc"), "--deflate", *options, "-v", url], input=lines.encode(),
                                 capture_output=True, timeout=60)
            assert run.returncode == 0, run.stderr.decode()
            assert run.stdout.decode() == lines
            assert len(re.findall(b"[<>] FIN=1 RSV=100 opcode=0x1", run.stderr)) >= 8
        finally:
            server.kill()


@only_plain("wsc does not speak TLS yet")
def test_wsc_reports_that_the_server_declined_permessage_deflate(wsd):
    run = subprocess.run([program("wsc"), "--deflate", wsd().url("/echo")], input=b"hello\n", capture_output=True,
                         timeout=60)
    assert run.stdout == b"Echo: hello\n"
    assert b"the server declined permessage-deflate" in run.stderr


# --- messages that end with BFINAL, or without the empty block

SAID = [LINE, "", "short", LINE * 1000, LINE]


def finished(payload, flush=zlib.Z_FINISH):
    """`payload` compressed by a new zlib stream; the tail is not removed."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(payload) + deflater.flush(flush)


def stored(payload):
    """Only uncompressed blocks, without an empty block at the end."""
    blocks = [payload[i:i + 65535] for i in range(0, len(payload), 65535)] or [b""]
    return b"".join(struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF) + block for block in blocks)


COMPLETE = {
    "BFINAL": finished,
    "BFINAL after an empty block": lambda payload: finished(payload, zlib.Z_SYNC_FLUSH) + finished(b""),
    "two streams": lambda payload: finished(payload[:20]) + finished(payload[20:]),
    "the tail is sent": lambda payload: finished(payload, zlib.Z_SYNC_FLUSH),
    "the tail is sent after BFINAL": lambda payload: finished(payload) + bytes.fromhex("000000ffff"),
    "no empty block": stored,
}


def in_fragments(payload, size):
    """A compressed text message in fragments of `size` bytes and an empty one; unmasked."""
    parts = [payload[i:i + size] for i in range(0, len(payload), size)] + [b""]
    frames = [bytes([0x41 if number == 0 else 0x80 if number + 1 == len(parts) else 0])
              + (bytes([len(part)]) if len(part) < 126 else struct.pack(">BH", 126, len(part))) + part
              for number, part in enumerate(parts)]
    return b"".join(frames)


def masked_with_zeros(frames):
    """Frames of a server as a client sends them, with the masking key 0."""
    out = b""
    while frames:
        size, header = frames[1], 2
        if size == 126:
            size, header = struct.unpack_from(">H", frames, 2)[0], 4
        out += bytes([frames[0], frames[1] | 0x80]) + frames[2:header] + bytes(4) + frames[header:header + size]
        frames = frames[header + size:]
    return out


@pytest.mark.parametrize("parameters", ["", "; client_no_context_takeover"])
@pytest.mark.parametrize("how", COMPLETE)
def test_wsd_accepts_messages_that_are_complete_without_the_tail(wsd, how, parameters):
    """[7692-7.2.2-COMPLETE]"""
    with RawDeflate(wsd("--deflate"), "/echo/raw", parameters) as raw:
        for size in (50_000, 7):
            for said in SAID:
                raw.send(masked_with_zeros(in_fragments(COMPLETE[how](said.encode()), size)))
                assert raw.data_frame()[2] == said.encode()
        raw.send(raw.compressed(LINE.encode()))  # a message that ends as the RFC requires
        assert raw.data_frame()[2] == LINE.encode()
        raw.send(masked_with_zeros(b"\xc1\0"))
        assert raw.close_frame() == (1007, "invalid compressed data"), "an empty payload is not a message"


@pytest.mark.parametrize("parameters", ["", "; server_no_context_takeover; client_no_context_takeover"])
@pytest.mark.parametrize("how", COMPLETE)
def test_wsc_accepts_messages_that_are_complete_without_the_tail(how, parameters):
    """[7692-7.2.2-COMPLETE]"""
    def play(peer):
        peer.accept(fields="Sec-WebSocket-Extensions: permessage-deflate" + parameters + "\r\n")
        for said in SAID:
            peer.socket.sendall(in_fragments(COMPLETE[how](said.encode()), 50_000))
            peer.socket.sendall(in_fragments(COMPLETE[how](said.encode()), 7))
        peer.socket.sendall(b"\xc1\0")
        assert peer.frame()[:2] == (0x88, b"\x03\xefinvalid compressed data")
    with tempfile.TemporaryFile() as output, script(play) as url, started(url, "--deflate", stdout=output) as process:
        assert process.wait(PATIENCE) == 4
        output.seek(0)
        assert output.read().decode() == "".join(f"{said}\n{said}\n" for said in SAID)


# --- the chat


def test_chat_compresses_broadcasts_only_for_members_whose_parameters_allow_it(wsd):
    server = wsd("--deflate", "--deflate-window-bits", "14")
    with RawDeflate(server, "/chat") as keeper, \
            RawDeflate(server, "/chat", "; server_no_context_takeover") as forgetful, \
            RawDeflate(server, "/chat", "; server_max_window_bits=9") as small, \
            Raw(server, "/chat") as plain:
        for raw in (keeper, forgetful, small):
            assert raw.data_frame()[2] == b"Welcome to broadcast chat!"
        assert plain.frame()[1] == b"Welcome to broadcast chat!"
        said = [f"{number}: {LINE}" for number in range(20)]
        for line in said:
            plain.send(frame(TEXT, line.encode()))
            for raw, is_compressed in ((keeper, True), (forgetful, True), (small, False)):
                opcode, was_compressed, payload, _ = raw.data_frame()
                assert (opcode, was_compressed, payload) == (TEXT, is_compressed, f"Broadcast: {line}".encode())
        # A compressed message reaches the members that do not compress, and not its sender.
        keeper.send(keeper.compressed(LINE.encode()))
        assert plain.frame() == (TEXT, f"Broadcast: {LINE}".encode())
        for raw in (forgetful, small):
            assert raw.data_frame()[2] == f"Broadcast: {LINE}".encode()
        plain.send(frame(TEXT, b"bye"))
        assert keeper.data_frame()[:3] == (TEXT, False, b"Broadcast: bye"), "too short to be compressed"


def test_ws_and_python_websockets_clients_chat_with_compression(wsd):
    """Broadcasts and messages to one member use the same window; ws and python3-websockets keep their windows."""
    server = wsd("--deflate", "--deflate-from", "1B")
    url = server.url("/chat")

    async def session():
        async with websockets.connect(url) as one, websockets.connect(url) as other:
            with Peer(url, perMessageDeflate={"threshold": 0}) as third:
                assert third.opened()["extensions"].startswith("permessage-deflate")
                assert third.event() == {"text": "Welcome to broadcast chat!"}
                for socket in (one, other):
                    assert await socket.recv() == "Welcome to broadcast chat!"
                for number in range(20):
                    await one.send(f"{number} {LINE}")
                    heard = f"Broadcast: {number} {LINE}"
                    assert await other.recv() == heard
                    assert third.event() == {"text": heard}
                    third.do(text=f"{LINE} {number}")
                    for socket in (one, other):
                        assert await socket.recv() == f"Broadcast: {LINE} {number}"
    asyncio.run(session())


# --- hostile peers, and memory


def test_wsd_refuses_a_compression_bomb_before_inflating_it(wsd):
    server = wsd("--deflate", "--max-message", "1MiB")
    with RawDeflate(server, "/echo/raw") as raw:
        raw.send(raw.compressed(bytes(1 << 20), BINARY))  # the largest message that is allowed
        assert raw.data_frame()[2] == bytes(1 << 20)
        before = server.memory()
        bomb = raw.compressed(bytes(200 << 20), BINARY)
        assert len(bomb) < 250_000
        raw.send(bomb)
        assert raw.close_frame() == (1009, "message too big")
    assert server.memory() - before < 4096, "KiB of additional memory"


def test_wsd_answers_invalid_compressed_data_with_close_1007(wsd):
    with RawDeflate(wsd("--deflate"), "/echo/raw") as raw:
        broken = frame(TEXT, b"\xff" * 20)
        raw.send(bytes([broken[0] | 0x40]) + broken[1:])
        assert raw.close_frame() == (1007, "invalid compressed data")
        assert raw.is_ended()


def test_sessions_hold_at_most_the_logged_compression_memory_and_release_it(wsd):
    server = wsd("--deflate")
    most = int(server.logged(r"permessage-deflate: at most (\d+) bytes of memory per session; .*")[0][1])

    def held():
        before = len(re.findall(r"bytes held: (\d+)", server.log()))
        server.sessions()
        return int(re.findall(r"bytes held: (\d+)", server.log())[before])
    count = 20
    assert held() == 0
    raws = [RawDeflate(server, "/echo/raw") for _ in range(count)]
    assert held() == count * most, "reserved"
    for raw in raws:
        raw.send(raw.compressed(NOISE + LINE.encode() * 1000, BINARY))
        assert raw.data_frame()[2] == NOISE + LINE.encode() * 1000
    wait_for(lambda: held() == count * most, "the memory of windows alone", found=held)
    for raw in raws:
        raw.close()
    wait_for(lambda: held() == 0, "all memory is released")


def test_wsd_sends_messages_uncompressed_if_the_budget_allows_no_compressor(wsd):
    """[6455-10.4-BUDGET] no session is refused for lack of a compressor"""
    server = wsd("--deflate", "--max-buffered", "256KiB")
    raws = [RawDeflate(server, "/echo/raw") for _ in range(8)]
    for raw in raws:
        assert raw.answer == NO_TAKEOVER, "the reserve has no space for windows"
        raw.send(frame(TEXT, LINE.encode()))
        assert raw.data_frame()[:3] == (TEXT, False, LINE.encode())
        raw.send(raw.compressed(LINE.encode()))
        assert raw.data_frame()[:3] == (TEXT, False, LINE.encode()), "the budget has space for an inflater"
    for raw in raws:
        raw.close()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_wsd_agrees_on_no_takeover_when_the_reserve_is_used_up(wsd, threads):
    """Otherwise idle windows would use up the budget, and other sessions would be closed with 1013."""
    server = wsd("--deflate", "--max-buffered", "2MiB", "--threads", threads)
    most, count = server.logged(r"permessage-deflate: at most (\d+) bytes of memory per session; "
                                r"context takeover for at least (\d+) sessions \(half of --max-buffered\)")[0].groups()
    assert int(count) == (1 << 20) // int(most) == 3
    raws = [RawDeflate(server, "/echo/raw") for _ in range(60)]
    assert [raw.answer for raw in raws] == [""] * 3 + [NO_TAKEOVER] * 57
    for _ in range(2):  # the second time, all windows are allocated
        for number, raw in enumerate(raws):
            raw.send(raw.compressed(LINE.encode()))
            opcode, is_compressed, payload, _ = raw.data_frame()
            assert (opcode, payload) == (TEXT, LINE.encode())
            # Each loop has a compressor for all sessions without takeover, if the budget suffices.
            assert is_compressed or number >= 3 and threads != "1"
    # The other half of the budget is free for other sessions.
    with Raw(server, "/chat") as speaker, Raw(server, "/chat") as listener:
        for raw in (speaker, listener):
            raw.frame()
        speaker.send(frame(TEXT, b"x" * 200_000, fin=False) + frame(CONTINUATION, b"y"))
        assert listener.frame() == (TEXT, b"Broadcast: " + b"x" * 200_000 + b"y")
    # Sessions with takeover return their part of the reserve when they end; the others have none.
    for raw in raws[3:]:
        raw.close()
    with RawDeflate(server, "/echo/raw") as raw:
        assert raw.answer == NO_TAKEOVER
    for raw in raws[:3]:
        raw.close()

    def gets_takeover():
        raw = RawDeflate(server, "/echo/raw")
        raws.append(raw)
        return raw.answer == ""
    for number in range(3):
        wait_for(gets_takeover, f"takeover for session {number + 1}, since the others have left")
    assert not gets_takeover()
    for raw in raws[60:]:
        raw.send(raw.compressed(LINE.encode()))
        assert raw.data_frame()[2] == LINE.encode()
        raw.close()


def test_smaller_windows_need_less_of_the_reserve(wsd):
    """Windows of 2^9 bytes for sending and 2^15 for receiving; takeover in one direction only."""
    server = wsd("--deflate", "--max-buffered", "2MiB")
    with contextlib.ExitStack() as stack:
        def count(parameters):
            """Connects clients until one does not get the parameters that it asks for; returns the number of the others."""
            raws = []
            while not raws or NO_TAKEOVER not in raws[-1].answer:
                raws.append(stack.enter_context(RawDeflate(server, "/echo/raw", parameters)))
            for raw in raws:
                raw.close()
            wait_for(lambda: not server.sessions(), "the end of all sessions")
            return len(raws) - 1
        assert count("") == 3
        assert count("; server_max_window_bits=9") > 10
        assert count("; server_no_context_takeover") > 10
        assert count("; client_no_context_takeover") == 3
        for _ in range(10):  # sessions without takeover need nothing of the reserve
            raw = stack.enter_context(RawDeflate(server, "/echo/raw", NO_TAKEOVER))
            assert raw.answer == NO_TAKEOVER
        assert stack.enter_context(RawDeflate(server, "/echo/raw")).answer == ""


def test_compression_uses_at_most_three_quarters_of_the_budget(wsd):
    """A session without takeover holds a window while a message is partly received. Compressed messages beyond the limit are
    refused; other messages are not."""
    server = wsd("--deflate", "--max-buffered", "2MiB", "--deflate-no-takeover")
    with contextlib.ExitStack() as stack:
        greedy = [stack.enter_context(RawDeflate(server, "/echo/raw")) for _ in range(60)]
        refused = 0
        for raw in greedy:
            cut = raw.compressed(NOISE[:1000], BINARY)
            raw.send(bytes([cut[0] & 0x7F]) + cut[1:])  # without FIN, and then a ping, which is answered
            raw.send(frame(PING))
            opcode, payload = raw.frame()
            assert opcode in (PONG, CLOSE)
            refused += opcode == CLOSE and payload[:2] == struct.pack(">H", 1013)
        window = int(server.logged(r"permessage-deflate: at most (\d+) bytes of memory per session while .*")[0][1])
        assert 60 - refused == (2 << 20) * 3 // 4 // window
        with Raw(server, "/chat") as speaker, Raw(server, "/chat") as listener:
            for raw in (speaker, listener):
                raw.frame()
            speaker.send(frame(TEXT, b"x" * 100_000, fin=False) + frame(CONTINUATION, b"y"))
            assert listener.frame() == (TEXT, b"Broadcast: " + b"x" * 100_000 + b"y")


@pytest.mark.parametrize("name", ["wsd", "wsc"])
@pytest.mark.parametrize("bits", ["8", "16"])
def test_wsd_and_wsc_exit_with_2_if_zlib_does_not_support_the_window_bits(name, bits):
    run = subprocess.run([program(name), "--deflate", "--deflate-window-bits", bits, *["ws://localhost/"][:name == "wsc"]],
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "--deflate-window-bits" in run.stderr


def test_wsd_and_wsc_exit_with_2_if_a_deflate_option_is_given_without_deflate():
    for name, options in (("wsd", ["--deflate-window-bits", "9"]), ("wsd", ["--deflate-from", "1"]),
                          ("wsc", ["--deflate-no-takeover", "ws://localhost/"])):
        run = subprocess.run([program(name), *options], capture_output=True, text=True, timeout=60)
        assert run.returncode == 2
        assert "requires --deflate" in run.stderr
