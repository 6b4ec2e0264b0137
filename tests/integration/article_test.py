"""The article's session (seed: spring-webflux-websocket.md): the messages in both directions, the server's log, and the
bytes on the wire, which a relay counts. Its rows:

    row   4    client    227    the request: ws's own, to localhost:8080, offering permessage-deflate
    row   6    server    218    the 101, which declines it
    row   8    client     18    2 header + 4 masking key + 12 text
    row  10    server     20    2 header + 6 "Echo: " + 12 text
    row  12    client      8    2 header + 4 masking key + 2 code
    row  13    server      4    2 header + 2 code
    rows 14 to 17               the server ends TCP first
"""

import socket
import threading
import time

import pytest

from peer import Peer
from wsd import CLOSE, TEXT, ArticleServer, Raw, frame, upgrade, wait_for

AS_THE_ARTICLE = {"headers": {"Host": "localhost:8080"}}


class Relay:
    """Relays one TCP connection to the server. `crossed` lists in order the sender and its number of bytes, or "FIN";
    consecutive pieces from the same side are one entry."""

    def __init__(self, server):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.server = server
        self.crossed = []
        self.lock = threading.Lock()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        client, _ = self.listener.accept()
        server = self.server.connect()
        threading.Thread(target=self.carry, args=("client", client, server), daemon=True).start()
        self.carry("server", server, client)

    def carry(self, name, source, target):
        while data := source.recv(65536):
            self.note(name, len(data))
            if name == "server" and data[0] == 0x88:
                # The server must end TCP without waiting for the client: the relay holds its Close back until its FIN
                # has arrived, so that the client cannot end TCP first.
                assert source.recv(65536) == b""
                self.note(name, "FIN")
            target.sendall(data)
        if (name, "FIN") not in self.crossed:
            self.note(name, "FIN")
        target.shutdown(socket.SHUT_WR)

    def note(self, name, what):
        with self.lock:
            if self.crossed and self.crossed[-1][0] == name and what != "FIN":
                self.crossed[-1] = (name, self.crossed[-1][1] + what)
            else:
                self.crossed.append((name, what))


def test_echo_session_has_the_messages_and_byte_counts_of_the_article(wsd):
    server = wsd()
    relay = Relay(server)
    with Peer(f"ws://127.0.0.1:{relay.port}/echo", **AS_THE_ARTICLE) as client:
        assert client.opened() == {"subprotocol": "", "extensions": ""}
        client.do(text="hello world!")
        assert client.event() == {"text": "Echo: hello world!"}
        client.do(close=[1000])
        assert client.event() == {"close": [1000, ""]}
        wait_for(lambda: len(relay.crossed) == 8, "both sides have ended TCP")
    assert relay.crossed == [
        ("client", 227), ("server", 218),
        ("client", 18), ("server", 20),
        ("client", 8), ("server", 4),
        ("server", "FIN"), ("client", "FIN"),
    ]
    server.logged(r"Received: hello world!")


def test_101_response_equals_row_6_of_the_article_byte_for_byte(wsd):
    with Raw(wsd()) as raw:
        raw.send(b"GET /echo HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
                 b"Host: localhost:8080\r\n\r\n")
        head = raw.head()
    assert head == ("HTTP/1.1 101 Switching Protocols\r\n"
                    "Vary: Origin\r\n"
                    "Vary: Access-Control-Request-Method\r\n"
                    "Vary: Access-Control-Request-Headers\r\n"
                    "upgrade: websocket\r\n"
                    "connection: upgrade\r\n"
                    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                    "\r\n")
    assert len(head) == 218


def test_article_server_delays_its_answers_like_the_server_of_the_article():
    server = ArticleServer()
    try:
        with Raw(server) as raw:
            start = time.monotonic()
            raw.send(upgrade("/echo"))
            assert len(raw.head()) == 218
            assert time.monotonic() - start >= 0.193
            start = time.monotonic()
            raw.send(frame(TEXT, b"Hello World!"))
            assert raw.frame() == (TEXT, b"Echo: Hello World!")
            assert time.monotonic() - start >= 0.008
            raw.send(frame(CLOSE, b"\x03\xe8"))
            assert raw.close_frame() == (1000, "")
            assert raw.is_ended()
    finally:
        server.end()


def test_echo_answers_messages_in_order(wsd):
    server = wsd()
    with Peer(server.url("/echo")) as client:
        client.opened()
        for text in ("one", "two", "", "drei → три"):
            client.do(text=text)
        assert [client.event() for _ in range(4)] == [
            {"text": "Echo: one"}, {"text": "Echo: two"}, {"text": "Echo: "}, {"text": "Echo: drei → три"}]


@pytest.mark.parametrize("payload, text", [
    (b"hi", "hi"),
    (b"\xed\xa0\x80", "�"),
    (b"\xff\xfe", "��"),
])
def test_echo_answers_a_binary_message_with_text_and_replaces_invalid_utf8(wsd, payload, text):
    # [6455-5.6-TEXT]
    server = wsd()
    with Raw(server, "/echo") as raw:
        raw.send(frame(0x2, payload))
        assert raw.frame() == (TEXT, ("Echo: " + text).encode())
    server.logged("Received: " + text)


def test_chat_broadcasts_to_the_other_client_and_logs_each_step(wsd):
    server = wsd()
    with Peer(server.url("/chat")) as first:
        first.opened()
        assert first.event() == {"text": "Welcome to broadcast chat!"}
        with Peer(server.url("/chat")) as second:
            second.opened()
            assert second.event() == {"text": "Welcome to broadcast chat!"}
            first.do(text="hello")
            assert second.event() == {"text": "Broadcast: hello"}
            second.do(text="hi")
            # The chat does not echo to the speaker: the next message to the first client is the second client's.
            assert first.event() == {"text": "Broadcast: hi"}
            first.do(close=[1000])
            assert first.event() == {"close": [1000, ""]}
            server.logged(r"Client disconnect: [0-9a-f]{8}, Total: 1")
            second.do(close=[1000])
            assert second.event() == {"close": [1000, ""]}
            server.logged(r"Client disconnect: [0-9a-f]{8}, Total: 0")

    one, two = (match[1] for match in server.logged(r"New client connected: ([0-9a-f]{8}), Total: \d", 2))
    lines = [line.split(" info: ")[1] for line in server.log().splitlines() if one in line or two in line]
    assert lines == [
        f"New client connected: {one}, Total: 1",
        f"New client connected: {two}, Total: 2",
        f"Received from {one}: hello",
        f"Received from {two}: hi",
        f"Client disconnect: {one}, Total: 1",
        f"Client disconnect: {two}, Total: 0",
    ]


def test_the_chat_logs_why_a_session_failed(wsd):
    server = wsd()
    with Raw(server, "/chat") as raw:
        raw.frame()
        raw.send(frame(TEXT, b"\xff"))
        assert raw.close_frame() == (1007, "text is not UTF-8")
    (error,) = server.logged(r"Error in session ([0-9a-f]{8}): text is not UTF-8")
    server.logged(f"Client disconnect: {error[1]}, Total: 0")


def test_the_chat_logs_a_connection_that_was_reset(wsd):
    server = wsd()
    raw = Raw(server, "/chat")
    raw.frame()
    raw.reset()
    (error,) = server.logged(r"Error in session ([0-9a-f]{8}): Connection reset by peer")
    server.logged(f"Client disconnect: {error[1]}, Total: 0")


def test_the_chat_logs_no_error_if_a_peer_ends_tcp_without_a_close(wsd):
    server = wsd()
    raw = Raw(server, "/chat")
    raw.frame()
    raw.close()
    server.logged(r"Client disconnect: [0-9a-f]{8}, Total: 0")
    assert "Error" not in server.log()
