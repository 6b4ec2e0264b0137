"""What hostile peers leave behind: nothing. And what a server full of them does: nothing.

Memory and time are measured: on an unsanitized build, with no other test beside it."""

import random
import resource
import socket
import struct
import time
from pathlib import Path

import pytest

from wsd import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Raw, ask, frame, upgrade, wait_for

VANISHING = 10_000
KIND = 20  # sessions of each kind in the server that is full of them


def misbehave(server):
    """About 300 at a time, each of a kind; they stay as they are."""
    peers = []

    def peer(path, data=b"", is_flood=False):
        raw = Raw(server, path)
        if is_flood:
            raw.socket.setblocking(False)
            try:
                while True:
                    raw.socket.send(data)
            except BlockingIOError:
                pass
        else:
            raw.send(data)
        peers.append(raw)

    for _ in range(20):
        peer("/echo", frame(PING, b"p" * 125) * 2000, is_flood=True)         # pongs unread
        peer("/echo/raw", frame(BINARY, b"x" * 30_000) * 20, is_flood=True)  # echoes unread
    for _ in range(50):
        peer(None, upgrade("/echo")[:60])                                     # a slow request
        peer("/echo", frame(TEXT, b"abc", fin=False) + frame(CONTINUATION, b"", fin=False) * 10)
        peer("/echo", frame(CONTINUATION))                                    # our Close is not answered
        peer("/chat", frame(CLOSE, b"\x03\xe8"))                              # no FIN
        peer("/chat")
    return peers


def vanish(server, source):
    """10,000 connections, each given up at another point, by FIN or by reset. Each 10,000 from an address of its own,
    for the ports of one do not suffice."""
    request = upgrade("/chat")
    for number in range(VANISHING):
        connection = server.connect(source_address=(source, 0))
        part = number % 5
        if part == 1:
            connection.send(request[:number % len(request)])
        elif part == 2:
            connection.send(request)
        elif part == 3:
            connection.send(request + frame(TEXT, b"hello"))
        elif part == 4:
            connection.send(request)
            connection.recv(1)
        if number % 3 == 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def memory_at_rest(server):
    """What was freed at last may be on its way back to the system."""
    readings = [server.memory()]

    def is_at_rest():
        time.sleep(0.1)
        readings.append(server.memory())
        return readings[-5:] == 5 * readings[-1:]
    wait_for(is_at_rest, "the memory stays as it is")
    return readings[-1]


def three_rounds(server):
    """The memory after each, in KiB."""
    descriptors, sessions, memory = server.descriptors_at_start(), server.sessions(), []
    for number in range(3):
        peers = misbehave(server)
        vanish(server, f"127.0.0.{number + 2}")
        assert server.descriptors() > descriptors + 100, "the slow ones are still there"
        for peer in peers:
            peer.close()
        wait_for(lambda: server.descriptors() == descriptors, f"{descriptors} descriptors", found=server.descriptors)
        assert server.sessions() == sessions == []
        memory.append(memory_at_rest(server))
    return memory


def test_three_rounds_leave_nothing_behind(wsd):
    # What leaks grows each time. How malloc lays out its heap is another matter from run to run: one in ten touches
    # a hundred KiB for the first time in the third round, or gives some back that the second had touched.
    tries = [three_rounds(wsd())]
    while tries[-1][2] - tries[-1][1] > 64 and len(tries) < 3:
        tries.append(three_rounds(wsd()))
    assert tries[-1][2] - tries[-1][1] <= 64, f"{tries} KiB"


def test_a_server_full_of_paused_and_half_closed_sessions_wakes_up_for_nothing(wsd, tmp_path):
    """The arithmetic: each session has one timer node, and all deadlines are an hour away here. So far off a node lies
    in a wheel of 262 s a slot (timers.h), for which the loop first wakes up after 3600 - 262 s: no timer explains a
    return of epoll_wait in the two seconds that are looked at, and no session can be read or written."""
    # More than the kernel takes of an answer that nobody reads; but not so much that the server would pause its sender,
    # and not read the FIN behind it.
    much = int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2]) + (1 << 20)
    trace = tmp_path / "trace"
    deadlines = [f"--{name}-timeout=1h" for name in ("handshake", "write", "close", "drain")]
    server = wsd(*deadlines, "--max-message", str(much), "--outbox-high", str(much + 1024),
                 command=("strace", "-D", "-f", "-qq", "-e", "trace=/^epoll_p?wait2?$", "-e", "signal=none",
                          "-o", trace))
    peers = []
    for _ in range(KIND):
        paused, paused_and_closed, half_closed = [Raw(server, "/echo/raw", small_buffer=True) for _ in range(3)]
        for raw in (paused, paused_and_closed):
            raw.send_until_full(frame(BINARY, b"x" * 30_000), patience=0.1)
        paused_and_closed.finish_writing()
        half_closed.send(frame(BINARY, b"x" * much))
        half_closed.finish_writing()
        slow = Raw(server)
        slow.send(upgrade("/echo")[:40])
        peers += [paused, paused_and_closed, half_closed, slow]

    def returns():
        return sum(" = " in line for line in trace.read_text().splitlines())

    def is_at_rest():
        before = returns()
        time.sleep(0.5)
        return returns() == before
    wait_for(is_at_rest, "the server has come to rest")
    states = [(session.path, session.state, session.queued > 0) for session in server.sessions()]
    assert sorted(states) == KIND * [("-", "head", False)] + KIND * [("/echo/raw", "flushing", True)] + \
        2 * KIND * [("/echo/raw", "open", True)]
    wait_for(is_at_rest, "the server has come to rest")

    before = returns()
    assert before > len(peers), "strace counts"
    time.sleep(2)  # what is looked at
    assert returns() == before
    for peer in peers:
        peer.close()


def test_spent_descriptors_make_it_neither_spin_nor_stop(wsd):
    most = 64

    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server = wsd("--max-connections", "1000", "--handshake-timeout", "1h", prepare=few_descriptors)
    held = [Raw(server) for _ in range(3 * most)]
    wait_for(lambda: server.descriptors() >= most - 1, "the descriptors are spent")
    assert held[-1].is_ended(), "who comes too late is not kept waiting, but closed"

    before, start = server.cpu_seconds(), time.monotonic()
    time.sleep(1)  # what is looked at
    spent, elapsed = server.cpu_seconds() - before, time.monotonic() - start
    assert spent < 0.2 * elapsed, f"{spent} s of CPU in {elapsed} s"

    for raw in held:
        raw.close()
    wait_for(lambda: server.descriptors() < most // 2, "the descriptors are free again")
    assert ask(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


def test_the_spare_descriptor_comes_back(wsd):
    """Of several loops that run out at the same time, one takes what another has given up for a moment. Here the limit
    does, which is then below its number."""
    server = wsd()
    before = server.descriptors_at_start()
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with server.connect() as late:
        server.logged(r".*Cannot accept: .*")
        assert server.descriptors() == before - 1
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
        late.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert late.recv(12) == b"HTTP/1.1 200"
        wait_for(lambda: server.descriptors() == before + 1, "the spare one, and the connection's", patience=1)


@pytest.mark.parametrize("path", ["/echo/raw", "/chat"])
def test_what_a_large_message_took_is_given_back(wsd, path):
    """Compressed it is a copy, of the loop's or of the room's."""
    server = wsd("--deflate")
    noise = random.Random(1).randbytes(6_000_000).hex().encode()  # of which half is left
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    with Raw(server, path, offer) as speaker, Raw(server, path, offer) as listener:
        before = server.memory()
        speaker.send(frame(TEXT, noise))
        hearer = speaker if path == "/echo/raw" else listener
        hearer.take(6_000_000)
        speaker.send(frame(TEXT, b"small"))
        wait_for(lambda: server.memory() - before < 1024, "its memory, KiB", patience=10)


# --- idle connections

FEW, MANY = 1_000, 3_000
MOST_BYTES = 192  # for an idle connection; session.h reckons with 184
HALF = 40_000  # bytes of a message that come in a first part, so that the rest is waited for


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * MANY), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.parametrize("options", [(), ("--ping-interval=1h",)])
def test_an_idle_connection_costs_few_bytes_and_a_large_message_none(wsd, options):
    """The arithmetic: a slope of two points leaves out what the server has without connections. Each point may be off
    by what malloc and the tables take at a time, 64 KiB, which is 33 B for each of 2,000."""
    server = wsd("--log-level=off", *options)  # a log has memory of its own

    def exchange(raws):
        for raw in raws:
            raw.send(frame(BINARY, b"x" * HALF, fin=False) + frame(PING, b""))
        for raw in raws:
            assert raw.frame() == (PONG, b""), "so half of the message has been read"
            raw.send(frame(CONTINUATION, b"x" * (65536 - HALF)))
        for raw in raws:
            assert raw.frame() == (BINARY, b"x" * 65536)
    with Raw(server, "/echo/raw") as first:
        exchange([first])  # what the loop has of its own for a message comes with the first one
    held = [Raw(server, "/echo/raw") for _ in range(FEW)]
    few = memory_at_rest(server)
    held += [Raw(server, "/echo/raw") for _ in range(MANY - FEW)]
    many = memory_at_rest(server)
    slope = (many - few) * 1024 / (MANY - FEW)
    print(f"{few} KiB, {many} KiB: {slope:.0f} B a connection")
    assert 100 < slope <= MOST_BYTES + 33

    for begin in range(0, MANY, 300):
        exchange(held[begin:begin + 300])
    wait_for(lambda: server.memory() <= 1.1 * many, f"no more than a tenth above {many} KiB", patience=10)

    for raw in held:
        raw.close()
    left = many - (MANY - FEW) * slope / 1024
    wait_for(lambda: server.memory() <= left, f"no more than {left} KiB, as with {FEW} connections", patience=10)
