"""wsd with third-party clients, and with wsc."""

import asyncio
import base64
import subprocess

import pytest
import websockets

from conftest import HERE, loops, program
from peer import Peer
from wsd import PATIENCE, digest, wait_for

wsd = loops(1, 2)

# --- ws


def test_ws_text_and_binary(wsd):
    server = wsd()
    with Peer(server.url("/echo/raw")) as client:
        client.opened()
        for event in ({"text": "grüße"}, {"binary": base64.b64encode(bytes(range(256))).decode()}, {"text": ""}):
            client.do(**event)
            assert client.event() == event


def test_ws_ping_is_answered_with_its_payload(wsd):
    with Peer(wsd().url("/echo")) as client:
        client.opened()
        client.do(ping="are you there?")
        assert client.event() == {"pong": "are you there?"}


def test_ws_answers_our_keep_alive_ping(wsd):
    with Peer(wsd("--ping-interval", "20ms", "--pong-timeout", "60s").url("/echo")) as client:
        client.opened()
        assert [client.event() for _ in range(3)] == [{"ping": ""}] * 3


def test_ws_fragments_are_one_message(wsd):
    with Peer(wsd().url("/echo")) as client:
        client.opened()
        client.do(fragments=["frame ", "by ", "frame"])
        assert client.event() == {"text": "Echo: frame by frame"}


@pytest.mark.parametrize("close, code", [
    ([1000], 1000),
    ([1001, "going"], 1001),
    ([3000, "a library's"], 3000),
    ([4999, "an application's"], 4999),
    ([], 1005),
])
def test_ws_is_given_its_code_back(wsd, close, code):
    with Peer(wsd().url("/echo")) as client:
        client.opened()
        client.do(close=close)
        assert client.event() == {"close": [code, ""]}


def test_ws_is_told_the_code_of_our_close(wsd):
    server = wsd("--max-message", "100")
    with Peer(server.url("/echo")) as client:
        client.opened()
        client.do(text="x" * 101)
        assert client.event() == {"close": [1009, "message too big"]}


def test_ws_negotiates_a_subprotocol(wsd):
    server = wsd("--subprotocol", "chat.v2", "--subprotocol", "chat.v1")
    with Peer(server.url("/echo"), "unknown", "chat.v1") as client:
        assert client.opened()["subprotocol"] == "chat.v1"


def test_ws_gives_up_where_its_subprotocol_is_not_spoken(wsd):
    with Peer(wsd().url("/echo"), "unknown") as client:
        assert client.event() == {"error": "Server sent no subprotocol"}


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 1 << 20, 16 << 20])
def test_ws_large_messages_come_back_whole(wsd, size):
    with Peer(wsd().url("/echo/raw")) as client:
        client.opened()
        client.do(size=size)
        payload = (b"frame by frame " * (size // 15 + 1))[:size]
        event = client.event()
        if size > 65536:
            assert event == {"sha256": digest(payload), "size": size, "isBinary": True}
        else:
            assert event == {"binary": base64.b64encode(payload).decode()}


def test_ws_reads_a_refusal(wsd):
    with Peer(wsd().url("/nothing")) as client:
        assert client.event()["refused"]["status"] == 404


# --- wscat


def test_wscat_talks_to_echo(wsd):
    command = ["node", HERE / "node_modules/wscat/bin/wscat", "-c", wsd().url("/echo"),
               "-x", "hello", "-x", "world", "-w", "0.5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as wscat:
        assert wscat.stdout.readline() == "Echo: hello\n"
        assert wscat.stdout.readline() == "Echo: world\n"
        assert wscat.wait(PATIENCE) == 0


# --- python3-websockets


@pytest.mark.parametrize("compression", ["deflate", None])
def test_websockets_with_compression_offered_or_not(wsd, compression):
    async def session(url):
        async with websockets.connect(url, compression=compression) as client:
            assert client.extensions == []
            await client.send("hello")
            assert await client.recv() == "Echo: hello"
            await client.send([b"in ", b"pieces"])
            assert await client.recv() == "Echo: in pieces"
            await (await client.ping())
        assert client.close_code == 1000
    asyncio.run(asyncio.wait_for(session(wsd().url("/echo")), PATIENCE))


def test_websockets_many_at_a_time(wsd):
    clients, messages = 100, 20
    server = wsd()

    async def session(number):
        async with websockets.connect(server.url("/echo/raw"), open_timeout=PATIENCE) as client:
            for i in range(messages):
                await client.send(f"{number}/{i}")
            assert [await client.recv() for _ in range(messages)] == [f"{number}/{i}" for i in range(messages)]

    async def all_of_them():
        await asyncio.gather(*(session(number) for number in range(clients)))
    asyncio.run(asyncio.wait_for(all_of_them(), PATIENCE))
    wait_for(lambda: server.sessions() == [], "no session is left")


def test_websockets_over_ipv6(wsd):
    server = wsd("--address", "::1")

    async def session():
        async with websockets.connect(server.url("/echo")) as client:
            await client.send("hello")
            assert await client.recv() == "Echo: hello"
    asyncio.run(asyncio.wait_for(session(), PATIENCE))


# --- wsc


def test_wsc_pipes(wsd):
    run = subprocess.run([program("wsc"), wsd().url("/echo")], input=b"a\nb\n", capture_output=True, timeout=PATIENCE)
    assert run.returncode == 0, run
    assert run.stdout == b"Echo: a\nEcho: b\n"


def test_wsc_says_by_its_exit_code_that_it_was_refused(wsd):
    run = subprocess.run([program("wsc"), wsd().url("/nothing")], input=b"a\n", capture_output=True, timeout=PATIENCE)
    assert run.returncode == 3
    assert b"404" in run.stderr
