"""wsd with third-party clients, and with wsc."""

import asyncio
import base64
import subprocess

import pytest
import websockets

from conftest import HERE, loops, only_plain, program
from peer import Peer
from wsd import PATIENCE, digest, wait_for

wsd = loops(1, 2)

# --- ws


def test_ws_receives_echoes_of_text_and_binary_messages(wsd):
    server = wsd()
    with Peer(server.url("/echo/raw")) as client:
        client.opened()
        for event in ({"text": "grüße"}, {"binary": base64.b64encode(bytes(range(256))).decode()}, {"text": ""}):
            client.do(**event)
            assert client.event() == event


def test_wsd_answers_a_ping_of_ws_with_the_same_payload(wsd):
    with Peer(wsd().url("/echo")) as client:
        client.opened()
        client.do(ping="are you there?")
        assert client.event() == {"pong": "are you there?"}


def test_ws_answers_the_keep_alive_pings_of_wsd(wsd):
    with Peer(wsd("--ping-interval", "20ms", "--pong-timeout", "60s").url("/echo")) as client:
        client.opened()
        assert [client.event() for _ in range(3)] == [{"ping": ""}] * 3


def test_wsd_joins_fragments_sent_by_ws_into_one_message(wsd):
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
def test_wsd_answers_a_close_of_ws_with_the_same_code(wsd, close, code):
    with Peer(wsd().url("/echo")) as client:
        client.opened()
        client.do(close=close)
        assert client.event() == {"close": [code, ""]}


def test_ws_receives_the_code_and_reason_of_the_close_of_wsd(wsd):
    server = wsd("--max-message", "100")
    with Peer(server.url("/echo")) as client:
        client.opened()
        client.do(text="x" * 101)
        assert client.event() == {"close": [1009, "message too big"]}


def test_ws_negotiates_a_subprotocol(wsd):
    server = wsd("--subprotocol", "chat.v2", "--subprotocol", "chat.v1")
    with Peer(server.url("/echo"), "unknown", "chat.v1") as client:
        assert client.opened()["subprotocol"] == "chat.v1"


def test_ws_fails_if_wsd_selects_no_subprotocol(wsd):
    with Peer(wsd().url("/echo"), "unknown") as client:
        assert client.event() == {"error": "Server sent no subprotocol"}


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 1 << 20, 16 << 20])
def test_wsd_echoes_messages_of_ws_of_up_to_16_mib(wsd, size):
    with Peer(wsd().url("/echo/raw")) as client:
        client.opened()
        client.do(size=size)
        payload = (b"frame by frame " * (size // 15 + 1))[:size]
        event = client.event()
        if size > 65536:
            assert event == {"sha256": digest(payload), "size": size, "isBinary": True}
        else:
            assert event == {"binary": base64.b64encode(payload).decode()}


def test_ws_receives_status_404_for_an_unknown_path(wsd):
    with Peer(wsd().url("/nothing")) as client:
        assert client.event()["refused"]["status"] == 404


# --- wscat


def test_wscat_receives_echoes_and_exits_with_0(wsd):
    command = ["node", HERE / "node_modules/wscat/bin/wscat", "-c", wsd().url("/echo"),
               "-x", "hello", "-x", "world", "-w", "0.5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as wscat:
        assert wscat.stdout.readline() == "Echo: hello\n"
        assert wscat.stdout.readline() == "Echo: world\n"
        assert wscat.wait(PATIENCE) == 0


# --- python3-websockets


@pytest.mark.parametrize("compression", ["deflate", None])
def test_python_websockets_works_whether_or_not_it_offers_compression(wsd, compression):
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


def test_100_python_websockets_clients_receive_their_echoes_in_order(wsd):
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


def test_python_websockets_connects_over_ipv6(wsd):
    server = wsd("--address", "::1")

    async def session():
        async with websockets.connect(server.url("/echo")) as client:
            await client.send("hello")
            assert await client.recv() == "Echo: hello"
    asyncio.run(asyncio.wait_for(session(), PATIENCE))


# --- wsc


@only_plain("wsc does not speak TLS yet")
def test_wsc_prints_the_echo_of_each_input_line(wsd):
    run = subprocess.run([program("wsc"), wsd().url("/echo")], input=b"a\nb\n", capture_output=True, timeout=PATIENCE)
    assert run.returncode == 0, run
    assert run.stdout == b"Echo: a\nEcho: b\n"


@only_plain("wsc does not speak TLS yet")
def test_wsc_exits_with_3_if_the_handshake_is_refused(wsd):
    run = subprocess.run([program("wsc"), wsd().url("/nothing")], input=b"a\n", capture_output=True, timeout=PATIENCE)
    assert run.returncode == 3
    assert b"404" in run.stderr
