"""Several loops together. The kernel chooses the loop of a connection by a hash of its addresses; the id of the session
shows which loop it was."""

import asyncio
import os
import re
import signal
import struct
import subprocess
from pathlib import Path

import pytest
import websockets

from conftest import loops, program
from wsd import CLOSE, PATIENCE, PING, PONG, TEXT, Raw, frame, read_answer, upgrade, wait_for

THREADS = (1, 2, 4)

wsd = loops(*THREADS)
WELCOME = (TEXT, b"Welcome to broadcast chat!")
GOODBYE = (1001, "the server is stopping")


def loop_of(id, threads):
    return (int(id, 16) - 1) % threads


class Member(Raw):
    """A member of the chat that has received its welcome."""

    def __init__(self, server):
        super().__init__(server, "/chat")
        assert self.frame() == WELCOME

    def say(self, text):
        self.send(frame(TEXT, text.encode()))

    def hear(self):
        opcode, payload = self.frame()
        assert opcode == TEXT and payload.startswith(b"Broadcast: "), (opcode, payload)
        return payload[11:].decode()

    def hears_nothing(self):
        """Asserts that no message arrives before the answer to a ping."""
        self.send(frame(PING, b"now"))
        assert self.frame() == (PONG, b"now")


def members_on_all_loops(server, least=8):
    """Opens `least` members of the chat, and more until each loop has two. Returns the members and their loops."""
    threads, members, numbers = server.threads, [], []
    while len(members) < least or any(numbers.count(loop) < 2 for loop in range(threads)):
        assert len(members) < 200, "one loop gets no connections"
        members.append(Member(server))
        joined = server.logged(r"New client connected: ([0-9a-f]{8}), Total: \d+", len(members))
        numbers = [loop_of(line[1], threads) for line in joined]
    return members, numbers


# --- the chat


def test_members_on_all_loops_receive_all_messages_once_and_in_one_order(wsd):
    server = wsd("--log-level", "info")
    members, _ = members_on_all_loops(server, 24)
    count = 40
    for number in range(count):
        for name, member in enumerate(members):
            member.say(f"{name}/{number}")
    heard = [[member.hear() for _ in range((len(members) - 1) * count)] for member in members]

    def without(texts, *names):
        return [text for text in texts if int(text.split("/")[0]) not in names]
    for name, texts in enumerate(heard):
        assert without(texts, name) == texts, "no message of its own"
        assert len(set(texts)) == len(texts), "each message once"
        for speaker in range(len(members)):
            if speaker != name:
                own = [text for text in texts if text.startswith(f"{speaker}/")]
                assert own == [f"{speaker}/{number}" for number in range(count)], "in the order of the speaker"
        assert without(texts, 0) == without(heard[0], name), "in the same order for all members"
    for member in members:
        member.hears_nothing()


def test_logged_totals_count_the_members_on_all_loops(wsd):
    server = wsd()
    members, _ = members_on_all_loops(server)
    joined = server.logged(r"New client connected: ([0-9a-f]{8}), Total: (\d+)", len(members))
    assert [int(line[2]) for line in joined] == list(range(1, len(members) + 1))
    ids = [line[1] for line in joined]
    assert len(set(ids)) == len(ids), "the ids are unique"
    for member in members:
        member.close()
    left = server.logged(r"Client disconnect: ([0-9a-f]{8}), Total: (\d+)", len(members))
    assert [int(line[2]) for line in left] == list(reversed(range(len(members))))
    assert sorted(line[1] for line in left) == sorted(ids)


def test_logged_totals_match_the_order_of_concurrent_joins_and_leaves(wsd):
    server, count = wsd(), 200

    async def session():
        async with websockets.connect(server.url("/chat"), open_timeout=PATIENCE) as client:
            assert await client.recv() == WELCOME[1].decode()

    async def all_of_them():
        await asyncio.gather(*(session() for _ in range(count)))
    asyncio.run(asyncio.wait_for(all_of_them(), PATIENCE))
    server.logged(r"Client disconnect: [0-9a-f]{8}, Total: \d+", count)
    total = 0
    for what, number in re.findall(r"(New client connected|Client disconnect): [0-9a-f]{8}, Total: (\d+)\n", server.log()):
        total += 1 if what.startswith("New") else -1
        assert int(number) == total
    assert total == 0


@pytest.mark.parametrize("goes", [Raw.close, Raw.reset, lambda raw: raw.send(frame(CLOSE))],
                         ids=["FIN", "RST", "Close"])
def test_messages_sent_before_a_member_disconnects_reach_all_other_members(wsd, goes):
    server = wsd()
    members, numbers = members_on_all_loops(server)
    for loop in range(server.threads):
        speaker = numbers.index(loop)
        said = [f"{loop}: last words {number}" for number in range(100)]
        members[speaker].send(b"".join(frame(TEXT, text.encode()) for text in said))
        goes(members[speaker])
        del members[speaker], numbers[speaker]
        for member in members:
            assert [member.hear() for _ in said] == said


def test_a_new_member_receives_messages_sent_after_its_welcome_and_none_before(wsd):
    server = wsd()
    members, numbers = members_on_all_loops(server)
    count = len(members)
    for number in range(100):
        speaker = members[number % count]
        speaker.say(f"before {number}")
        witness = members[(number + 1) % count]
        assert witness.hear() == f"before {number}", "the message has been delivered"
        newcomer = Member(server)
        speaker.say(f"after {number}")
        assert newcomer.hear() == f"after {number}"
        for member in members:
            if member is not speaker:
                if member is not witness:
                    assert member.hear() == f"before {number}"
                assert member.hear() == f"after {number}"
        newcomer.close()


def test_a_message_over_the_budget_is_refused_with_close_1013(wsd):
    server = wsd("--max-buffered", "256KiB")
    members, numbers = members_on_all_loops(server)
    for loop in range(server.threads):
        speaker = numbers.index(loop)
        members[speaker].say("x" * 200_000)
        assert members[speaker].close_frame()[0] == 1013
        members[speaker].close()
        del members[speaker], numbers[speaker]
        members[0].say("go on")
        for member in members[1:]:
            assert member.hear() == "go on"


def test_compressed_and_plain_members_receive_the_same_messages_in_one_order(wsd):
    server = wsd("--deflate")
    lines = [f"line {number} " + "again and " * 10 for number in range(20)]

    async def talk():
        clients = [await websockets.connect(server.url("/chat"), compression="deflate" if number % 2 else None)
                   for number in range(16)]
        for client in clients:
            assert await client.recv() == WELCOME[1].decode()
        for number, client in enumerate(clients):
            for line in lines:
                await client.send(f"{number} {line}")
        heard = [[await client.recv() for _ in range((len(clients) - 1) * len(lines))] for client in clients]
        for client in clients:
            await client.close()
        return heard
    heard = asyncio.run(asyncio.wait_for(talk(), PATIENCE))
    for number, texts in enumerate(heard):
        expected = [text for text in heard[0] if not text.startswith(f"Broadcast: {number} ")]
        assert [text for text in texts if not text.startswith("Broadcast: 0 ")] == expected
        assert len(set(texts)) == 15 * len(lines)


def test_a_chat_flood_from_all_loops_loses_no_message(wsd):
    """Some 40 MB for each receiver, sent as fast as the server reads them."""
    server = wsd("--log-level", "warn", "--chat-queue", "1GiB")
    count, size = 150, 32 * 1024
    members = [Member(server) for _ in range(9)]
    listener = members.pop()
    parts = [b"".join(frame(TEXT, b"%d/%d " % (name, number) + b"x" * size) for number in range(count))
             for name in range(len(members))]

    async def speak(member, part):
        reader, writer = await asyncio.open_connection(sock=member.socket)

        async def write():
            writer.write(part)
            await writer.drain()

        async def read():
            for _ in range((len(members) - 1) * count):
                first, length, long = struct.unpack(">BBH", await reader.readexactly(4))
                assert (first, length) == (0x81, 126)
                await reader.readexactly(long)
        await asyncio.gather(write(), read())

    async def listen():
        reader, _ = await asyncio.open_connection(sock=listener.socket)
        heard = []
        for _ in range(len(members) * count):
            _, _, long = struct.unpack(">BBH", await reader.readexactly(4))
            text = await reader.readexactly(long)
            heard.append(tuple(map(int, text[11:].split(b" ", 1)[0].split(b"/"))))
        return heard

    async def all_of_them():
        for member in (listener, *members):
            member.socket.setblocking(False)
        return (await asyncio.gather(listen(), *map(speak, members, parts)))[0]
    heard = asyncio.run(asyncio.wait_for(all_of_them(), 2 * PATIENCE))
    for name in range(len(members)):
        assert [number for speaker, number in heard if speaker == name] == list(range(count))
    for member in (listener, *members):
        member.close()


# --- shared by all loops


def test_max_connections_counts_the_connections_of_all_loops(wsd):
    server = wsd("--max-connections", "16", "--max-connections-per-address", "12")
    held = [Raw(server, "/echo") for _ in range(12)]
    with Raw(server) as one_more:
        assert read_answer(one_more).status == 503
    wait_for(lambda: len(server.sessions()) == 12, "the refused connection is closed")
    others = [Raw(server, "/echo", source_address=("127.0.0.2", 0)) for _ in range(4)]
    with Raw(server, source_address=("127.0.0.3", 0)) as one_more:
        assert read_answer(one_more).status == 503
    wait_for(lambda: len(server.sessions()) == 16, "the refused connection is closed")
    others.pop().close()
    wait_for(lambda: len(server.sessions()) == 15, "one session has ended")
    with Raw(server, "/echo", source_address=("127.0.0.3", 0)):
        pass
    for raw in held + others:
        raw.close()


def test_sigusr1_writes_the_sessions_of_all_loops(wsd):
    server = wsd()
    members, numbers = members_on_all_loops(server)
    table = server.sessions()
    assert [row.path for row in table] == ["/chat"] * len(members)
    assert sorted(loop_of(row.id, server.threads) for row in table) == sorted(numbers)
    for member in members:
        member.close()
    wait_for(lambda: server.sessions() == [], "no session is left")


@pytest.mark.parametrize("threads", THREADS)
def test_a_second_server_on_the_same_port_exits_with_1(wsd, threads):
    command = [program("wsd"), "--port", str(wsd().port), "--threads", str(threads)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 1
    assert re.fullmatch(r"wsd: cannot listen on 127\.0\.0\.1:\d+: Address already in use.*\n", result.stderr)


def test_the_wire_log_of_each_session_is_in_order(wsd):
    server = wsd("--wire-log")
    raws = [Raw(server, "/echo/raw") for _ in range(16)]
    for number in range(20):
        for raw in raws:
            raw.send(frame(TEXT, b"%d" % number))
    for raw in raws:
        for number in range(20):
            assert raw.frame() == (TEXT, b"%d" % number)
        raw.close()
    wait_for(lambda: server.sessions() == [], "no session is left")
    offsets = {}
    for id, seq, size in re.findall(r"wire ([0-9a-f]{8}) 127\.0\.0\.1:\d+ → 127\.0\.0\.1:%d Seq=(\d+) Len=(\d+) "
                                    % server.port, server.log()):
        assert offsets.get(id, 1) == int(seq)
        offsets[id] = int(seq) + int(size)
    assert len(offsets) == 16


def test_affinity_pins_each_loop_to_one_processor(wsd):
    server = wsd("--affinity")
    with Raw(server, "/echo"):
        pass
    allowed = sorted(os.sched_getaffinity(0))

    def kept_to():
        masks = [os.sched_getaffinity(int(task)) for task in os.listdir(f"/proc/{server.pid}/task")]
        return sorted(mask.pop() for mask in masks if len(mask) == 1)
    expected = sorted(allowed[loop % len(allowed)] for loop in range(server.threads))
    wait_for(lambda: kept_to() == expected or len(allowed) == 1, f"one loop on each of {expected}")
    for member in [Member(server) for _ in range(8)]:
        member.hears_nothing()


# --- stopping


def say_goodbye(server, members):
    server.process.send_signal(signal.SIGTERM)
    for member in members:
        assert member.close_frame() == GOODBYE


def test_all_loops_send_close_1001_and_answer_503_until_the_last_session_ends(wsd):
    server = wsd("--close-timeout", "60s", "--stop-timeout", "60s")
    members, _ = members_on_all_loops(server)
    say_goodbye(server, members)
    for member in members[:-1]:
        member.send(frame(CLOSE, b"\x03\xe9"))
        assert member.is_ended()
        member.close()
    wait_for(lambda: len(server.sessions()) == 1, "the others are gone")
    for _ in range(20):  # enough to reach each loop
        with Raw(server) as newcomer:
            newcomer.send(upgrade("/chat"))
            assert read_answer(newcomer).status == 503
    listening = re.findall(rf"^ *\d+: 0100007F:{server.port:04X} 00000000:0000 0A ", Path("/proc/net/tcp").read_text(),
                           re.MULTILINE)
    assert len(listening) == server.threads, "every loop still listens"
    assert server.process.poll() is None
    members[-1].send(frame(CLOSE, b"\x03\xe9"))
    assert members[-1].is_ended()
    assert server.wait() == 0


def test_connections_not_yet_accepted_at_shutdown_are_answered(wsd):
    server = wsd()
    server.process.send_signal(signal.SIGSTOP)
    waiting = [Raw(server) for _ in range(300)]
    for raw in waiting:
        raw.send(upgrade("/echo"))
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGCONT)
    for raw in waiting:
        status = raw.head().split(" ")[1]
        if status == "101":  # its loop read the request before it learned of the signal
            assert raw.close_frame() == GOODBYE
            raw.send(frame(CLOSE, b"\x03\xe9"))
        else:
            assert status == "503"
        raw.close()
    assert server.wait() == 0


def test_connections_without_a_request_at_shutdown_are_answered_503(wsd):
    server = wsd()
    silent = [Raw(server) for _ in range(8)]
    wait_for(lambda: len(server.sessions()) == 8, "the connections are accepted")
    server.process.send_signal(signal.SIGTERM)
    for raw in silent:
        assert read_answer(raw).status == 503
        raw.close()
    assert server.wait() == 0


def test_a_second_signal_ends_all_loops_immediately(wsd):
    server = wsd("--close-timeout", "1h", "--stop-timeout", "1h")
    members, _ = members_on_all_loops(server)
    say_goodbye(server, members)
    server.process.send_signal(signal.SIGINT)
    assert server.wait() == 128 + signal.SIGINT


def test_stop_timeout_limits_the_shutdown_of_all_loops(wsd):
    server = wsd("--close-timeout", "1h", "--stop-timeout", "200ms")
    members, _ = members_on_all_loops(server)
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    dropped = server.logged(r"Stop timeout: (\d+) sessions closed without a closing handshake", server.threads)
    assert sum(int(line[1]) for line in dropped) == len(members)
