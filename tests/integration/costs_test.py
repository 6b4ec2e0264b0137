"""The cost of a message in system calls and allocations. They are counted, not timed, so other load does not change
them. A library preloaded into wsd counts them: tests/support/count_calls.cpp.

How many events one loop iteration finds depends on timing. So the server is stopped while a round is sent, and
continues when the whole round has arrived. Only the number of iterations still varies, because a stop interrupts
epoll_wait: `TURNS` is its upper bound. Every other call must occur exactly as often as stated here."""

import collections
import contextlib
import mmap
import os
import signal
import socket
import struct
import tempfile
import time
from pathlib import Path

import pytest

from conftest import HERE
from wsd import BINARY, CLOSE, PING, PONG, TEXT, Raw, frame, upgrade, wait_for

ROUNDS = 5
TURNS = 3  # at most, iterations of a loop in a round
ALLOCATIONS = ("malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "malloc_trim")
RECORD = struct.Struct("24sQ")  # the layout in count_calls.cpp
LISTENING = "0A"  # in /proc/net/tcp


class Costs(collections.Counter):
    """Calls, by name."""

    def since(self, before):
        return Costs({name: calls - before[name] for name, calls in self.items() if calls != before[name]})

    def system_calls(self):
        return sum(calls for name, calls in self.items() if name not in ALLOCATIONS)

    def without_turns(self):
        return {name: calls for name, calls in self.items() if name != "epoll_wait"}


class CountedServer:
    """wsd with its calls counted."""

    def __init__(self, wsd, *options):
        build = Path(os.environ.get("FBF_BUILD_DIR", HERE.parents[1] / "build" / "release"))
        library = build / "tests" / "libcount_calls.so"
        assert library.exists(), f"{library} is not built"
        with tempfile.NamedTemporaryFile(prefix="count-calls-") as file:
            file.truncate(mmap.PAGESIZE)
            self.records = mmap.mmap(file.fileno(), mmap.PAGESIZE)
            # The log allocates, and an expired deadline costs an iteration.
            self.wsd = wsd("--log-level=off", "--handshake-timeout=1h", *options,
                           command=("env", f"COUNT_CALLS={file.name}", f"LD_PRELOAD={library}"))

    def connect(self, path, count):
        raws = [Raw(self.wsd, path) for _ in range(count)]
        for raw in raws:  # the kernel must buffer a round while the server is stopped
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        return raws

    # --- Counts

    def counted(self):
        rows = (RECORD.unpack_from(self.records, at) for at in range(0, mmap.PAGESIZE, RECORD.size))
        return Costs({name.rstrip(b"\0").decode(): calls for name, calls in rows if any(name)})

    def counted_at_rest(self):
        """The counts once all threads sleep; a loop sleeps only in epoll_wait."""
        def sleeps():
            stats = [stat.read_text() for stat in Path(f"/proc/{self.wsd.pid}/task").glob("*/stat")]
            return all(stat.rsplit(") ", 1)[1].startswith("S") for stat in stats)
        wait_for(sleeps, "the server has nothing to do")
        return self.counted()

    def cost_of(self, play):
        """The cost of ROUNDS, after three more in which wsd allocates memory that it keeps and kernel buffers grow."""
        for _ in range(3):
            play()
        before = self.counted_at_rest()
        for _ in range(ROUNDS):
            play()
        costs = self.counted_at_rest().since(before)
        print(dict(costs))
        return costs

    # --- One iteration

    def unread(self):
        """Bytes that have arrived and that wsd has not read, including those of connections not yet accepted."""
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return sum(int(row[4].split(":")[1], 16) for row in rows
                   if row[1].endswith(f":{self.wsd.port:04X}") and row[3] != LISTENING)

    @contextlib.contextmanager
    def one_turn(self):
        """wsd finds everything sent in this context in one iteration. Yields a function that sends on a connection."""
        sent = 0

        def send(raw, data):
            nonlocal sent
            raw.send(data)
            sent += len(data)
        os.kill(self.wsd.pid, signal.SIGSTOP)
        try:
            os.waitid(os.P_PID, self.wsd.pid, os.WSTOPPED)
            yield send
            wait_for(lambda: self.unread() == sent, f"{sent} bytes have arrived")
        finally:
            os.kill(self.wsd.pid, signal.SIGCONT)


# --- Echo

def cost_of_echo(server, connections, opcode, payload, pipelined=1):
    raws = server.connect("/echo/raw", connections)
    data = pipelined * frame(opcode, payload)

    def play():
        with server.one_turn() as send:
            for raw in raws:
                send(raw, data)
        for raw in raws:
            for _ in range(pipelined):
                assert raw.frame() == (opcode, payload)
    return server.cost_of(play)


# 60,000 bytes are a large message that fits into the 64 KiB window of a new connection. wsd sends it from the buffer
# into which it was read, as a second piece after its header: sendmsg.
@pytest.mark.parametrize("opcode, payload, send", [
    (BINARY, b"x" * 20, "send"), (BINARY, b"x" * 1024, "send"), (TEXT, "一帧一帧，逐字节地看。".encode(), "send"),
    (BINARY, b"x" * 60_000, "sendmsg")], ids=["20 B", "1 KiB", "Chinese", "60,000 B"])
@pytest.mark.parametrize("loops", [1, 2], ids="threads={}".format)
def test_an_echo_costs_one_recv_and_one_send(wsd, opcode, payload, send, loops):
    server = CountedServer(wsd, "--threads", str(loops))
    costs = cost_of_echo(server, 64, opcode, payload)
    messages = 64 * ROUNDS
    assert costs.without_turns() == {"recv": messages, send: messages}
    assert costs["epoll_wait"] <= TURNS * loops * ROUNDS, costs
    assert costs.system_calls() <= (2.05 if loops == 1 else 2.1) * messages, costs


@pytest.mark.parametrize("size", [20, 1000])
def test_pipelined_echoes_leave_in_one_send(wsd, size):
    costs = cost_of_echo(CountedServer(wsd), 16, BINARY, b"x" * size, pipelined=64)
    assert costs.without_turns() == {"recv": 16 * ROUNDS, "send": 16 * ROUNDS}
    assert costs.system_calls() <= 0.04 * 16 * 64 * ROUNDS, costs


# --- The chat

@pytest.mark.parametrize("members, speakers, most", [(50, 1, 1.1), (200, 1, 1.03), (100, 20, 0.07), (100, 100, 0.03)])
def test_a_chat_batch_costs_one_send_per_receiver(wsd, members, speakers, most):
    """For any number of speakers, and without an allocation for any number of receivers."""
    server = CountedServer(wsd)
    raws = server.connect("/chat", members)
    for raw in raws:
        assert raw.frame() == (TEXT, b"Welcome to broadcast chat!")
    said = [f"number {number:3} speaks".encode() for number in range(speakers)]

    def play():
        with server.one_turn() as send:
            for raw, text in zip(raws, said):
                send(raw, frame(TEXT, text))
        for number, raw in enumerate(raws):
            others = [(TEXT, b"Broadcast: " + text) for i, text in enumerate(said) if i != number]
            assert sorted(raw.frame() for _ in others) == others
    costs = server.cost_of(play)
    hearers = members if speakers > 1 else members - 1
    deliveries = (members - 1) * speakers
    # A speaker does not receive its own message: the parts of the batch around it are two pieces, for sendmsg.
    calls = costs.without_turns()
    writes = calls.pop("send", 0) + calls.pop("sendmsg", 0)
    assert (calls, writes) == ({"recv": speakers * ROUNDS}, hearers * ROUNDS)
    assert costs.system_calls() <= most * deliveries * ROUNDS, costs


# --- From accept to close

def test_a_connection_costs_at_most_ten_system_calls(wsd):
    server = CountedServer(wsd)
    count, descriptors = 60, server.wsd.descriptors()

    def play():
        with server.one_turn() as send:
            raws = [Raw(server.wsd) for _ in range(count)]
            for raw in raws:
                send(raw, upgrade("/echo/raw"))
        for raw in raws:
            assert raw.head().startswith("HTTP/1.1 101 ")
        with server.one_turn() as send:
            for raw in raws:
                send(raw, frame(CLOSE, b"\x03\xe8"))
        for raw in raws:
            assert raw.close_frame() == (1000, "") and raw.is_ended()
        with server.one_turn():
            for raw in raws:
                raw.close()
        wait_for(lambda: server.wsd.descriptors() == descriptors, "all connections are closed")
    costs = server.cost_of(play)
    connections = count * ROUNDS
    each = {name: round(calls / connections, 2) for name, calls in costs.items()}
    # recv: request, Close and FIN; send: 101 and Close. The last accept4 of an iteration finds no connection.
    assert each | {"epoll_wait": 0, "accept4": 1, "malloc": 0} == {
        "accept4": 1, "epoll_ctl": 1, "recv": 3, "send": 2, "shutdown": 1, "close": 1, "epoll_wait": 0, "malloc": 0}
    assert costs.system_calls() <= 10 * connections, each
    assert costs["malloc"] <= 7 * connections, each  # two of them in libcrypto 3.0, hence an upper bound


# --- Memory

def test_one_loop_trims_the_heap_for_all_loops(wsd):
    """malloc_trim scans the heaps of all threads, so it must not run once for each loop."""
    server = CountedServer(wsd, "--threads", "2")
    descriptors = server.wsd.descriptors()
    raws = [Raw(server.wsd) for _ in range(3_000)]  # more than 1,024 for each loop
    wait_for(lambda: server.wsd.descriptors() == descriptors + 3_000, "all connections are accepted")
    for raw in raws:
        raw.close()
    wait_for(lambda: server.counted()["malloc_trim"] > 0, "the heap is trimmed")
    time.sleep(1.5)  # longer than the delay after which another loop would trim the heap
    assert server.counted()["malloc_trim"] == 1


# --- Keep-alive

def test_a_keep_alive_ping_costs_one_send_and_one_getsockopt_and_its_pong_one_recv(wsd):
    """getsockopt reads how much the peer has acknowledged, in case no pong arrives."""
    server = CountedServer(wsd, "--ping-interval=200ms")
    raws = server.connect("/echo/raw", 64)

    def play():
        """Returns the counts after each client has received its ping. The server is stopped meanwhile, so that it
        sends no further ping."""
        for raw in raws:
            assert raw.frame() == (PING, b"")
        with server.one_turn() as send:
            for raw in raws:
                send(raw, frame(PONG))
            return server.counted()
    for _ in range(2):  # from the second round on, one iteration sends all pings
        play()
    before = play()
    for _ in range(ROUNDS):
        after = play()
    costs = after.since(before)
    assert costs.without_turns() == {"recv": 64 * ROUNDS, "send": 64 * ROUNDS, "getsockopt": 64 * ROUNDS}
    assert costs.system_calls() <= 3.1 * 64 * ROUNDS, costs
