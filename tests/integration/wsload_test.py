"""wsload, the load generator, against wsd in all its modes, and against faulty servers: scripts of literal bytes. The
tests assert counts and lower bounds, which do not depend on the speed of the machine."""

import contextlib
import json
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest

from conftest import program
from wsc_test import CLOSE_1000, PATIENCE, Peer, script
from wsd import wait_for

WSLOAD = program("wsload")


def wsload(*arguments, **more):
    return subprocess.run([WSLOAD, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, **more)


def measured(*arguments):
    """The JSON of a run that must succeed."""
    run = wsload(*arguments, "--json")
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)


def partly(*arguments):
    """The JSON of a run in which connections did not open, or messages were not answered."""
    run = wsload(*arguments, "--json")
    assert (run.returncode, run.stderr) == (1, "")
    return json.loads(run.stdout)


def complaint(*arguments):
    """The exit code and the one line of a run that must fail."""
    run = wsload(*arguments, "--json")
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("wsload: ")
    return run.returncode, line.removeprefix("wsload: ")


# --- wsd


@pytest.mark.parametrize("options", [
    ("-s", 0),
    ("-s", 125),
    ("-s", 126, "--text", "ascii"),
    ("-s", 100, "--text", "chinese"),
    ("-s", 20, "-o", 100),
    ("-s", 20, "-o", 700, "-t", 3),
    ("-s", 70_000, "-o", 3, "-t", 2),
    ("-s", 1 << 20, "--text", "chinese"),
])
def test_wsload_receives_the_echo_of_every_message(wsd, options):
    result = measured("echo", wsd().url("/echo/raw"), "-c", 7, "-n", 2000 if options[1] < 1000 else 50, *options)
    assert result["messages"] == result["latency_us"]["count"] == (2000 if options[1] < 1000 else 50)
    assert result["unanswered"] == 0
    latency = result["latency_us"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]


def test_wsload_receives_the_echo_of_a_message_of_16_mib(wsd):
    assert measured("echo", wsd().url("/echo/raw"), "-s", 16 << 20, "-n", 3, "-o", 2)["messages"] == 3


def test_wsload_expects_the_default_prefix_on_the_path_echo(wsd):
    url = wsd().url("/echo")
    assert measured("echo", url, "--text", "chinese", "-c", 3, "-n", 100, "-o", 5)["messages"] == 100
    assert complaint("echo", url, "--text", "ascii", "--prefix", "Ecco: ", "-n", 1) == (
        5, "connection 1: wrong answer to message 1: byte 2 of the answer is 0x68, not 0x63")


def test_wsload_option_prefix_replaces_the_default_prefix(wsd):
    code, line = complaint("echo", wsd().url("/echo"), "--text", "ascii", "--prefix", "", "-n", 1)
    assert (code, line) == (5, "connection 1: wrong answer to message 1: the answer has 26 bytes, not 20")


@pytest.mark.parametrize("connections, speakers, threads, outstanding",
                         [(2, 1, 1, 1), (20, 3, 1, 1), (20, 3, 2, 8), (9, 9, 3, 2), (5, 1, 5, 1)])
def test_wsload_chat_counts_each_message_once_per_receiver(wsd, connections, speakers, threads, outstanding):
    result = measured("chat", wsd().url("/chat"), "-c", connections, "--speakers", speakers, "-t", threads,
                      "-o", outstanding, "--text", "ascii", "-n", 300)
    assert result["heard_by_all"] == 300
    assert result["messages"] == result["latency_us"]["count"] == 300 * (connections - 1)


def test_wsload_chat_sends_and_receives_long_messages(wsd):
    result = measured("chat", wsd().url("/chat"), "-c", 4, "--speakers", 2, "--text", "chinese", "-s", 100_000, "-n", 20)
    assert result["messages"] == 60


def test_wsload_chat_runs_at_an_offered_rate(wsd):
    result = measured("chat", wsd().url("/chat"), "-c", 6, "--speakers", 2, "-t", 2, "--text", "ascii", "-r", 200, "-n", 50)
    assert (result["heard_by_all"], result["messages"]) == (50, 250)


def test_wsload_connect_opens_and_closes_the_given_number_of_connections(wsd):
    server = wsd()
    result = measured("connect", server.url("/chat"), "-c", 5, "-n", 42, "-t", 2)
    assert result["messages"] == result["latency_us"]["count"] == 42
    server.logged(r".*New client connected: .*", count=42)
    server.logged(r".*Client disconnect: .*, Total: 0")


def test_wsload_idle_holds_and_pings_every_connection(wsd):
    server = wsd()
    result = measured("idle", server.url("/chat"), "-c", 60, "-t", 2, "--duration", "1s", "--warm-up", "0",
                      "--server-pid", server.pid)
    assert result["latency_us"]["count"] == 60  # one ping per connection
    assert result["unanswered"] == 0
    server.logged(r".*New client connected: .*, Total: 60")
    assert 0 < result["server"]["memory_before"] <= result["server"]["memory_after"]


def test_wsload_sends_at_the_offered_rate(wsd):
    result = measured("echo", wsd().url("/echo/raw"), "-c", 3, "-t", 2, "-r", 400, "--duration", "1s", "--warm-up", "100ms")
    assert result["latency_us"]["count"] == result["sent_late_us"]["count"] == 400
    print(result["messages_per_second"], "a second of 400")


def test_wsload_does_not_measure_the_warm_up(wsd):
    result = measured("echo", wsd().url("/echo/raw"), "--duration", "500ms", "--warm-up", "1500ms")
    assert 0.4 < result["seconds"] < 1.5
    assert result["messages"] == pytest.approx(result["latency_us"]["count"], rel=0.1)


def test_wsload_reports_the_cpu_time_of_the_server(wsd):
    server = wsd()
    before = server.cpu_seconds()
    result = measured("echo", server.url("/echo/raw"), "-c", 8, "-o", 8, "--duration", "500ms", "--warm-up", "0",
                      "--server-pid", server.pid)
    reported = result["server"]["user_seconds"] + result["server"]["system_seconds"]
    assert 0 < reported <= server.cpu_seconds() - before + 0.001
    assert result["server"]["us_per_message"] == pytest.approx(reported / result["messages"] * 1e6, abs=0.000_01)
    assert 0 < result["load_cpu_seconds"]
    assert result["load_was_bottleneck"] == (result["load_busiest_thread"] >= 0.9)


def test_wsload_timeout_limits_one_answer_and_not_the_run(wsd):
    result = measured("echo", wsd().url("/echo/raw"), "--duration", "2s", "--warm-up", "0", "--timeout", "1s")
    assert result["unanswered"] == 0
    assert result["seconds"] > 1.5


def test_wsload_reports_user_and_system_time_separately(wsd):
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:  # almost all of it is user time
        result = measured("echo", wsd().url("/echo/raw"), "--duration", "500ms", "--warm-up", "0", "--server-pid", busy.pid)
        busy.kill()
    assert result["server"]["user_seconds"] > 2 * result["server"]["system_seconds"]


def test_wsload_json_has_exactly_the_documented_members(wsd):
    server = wsd()
    result = measured("echo", server.url("/echo/raw"), "-n", 10, "--server-pid", server.pid)
    assert set(result) == {
        "mode", "threads", "connections", "speakers", "size", "payload", "deflate", "outstanding", "offered_per_second", "seconds",
        "messages", "messages_per_second", "heard_by_all", "unanswered", "not_opened", "not_opened_reasons", "latency_us",
        "sent_late_us", "load_cpu_seconds", "load_busiest_thread", "load_was_bottleneck", "server"}
    assert set(result["latency_us"]) == {"count", "min", "p50", "p90", "p99", "p99.9", "max", "mean"}
    assert set(result["server"]) == {"user_seconds", "system_seconds", "us_per_message", "memory_before", "memory_after"}
    assert result["sent_late_us"] is None


def test_wsload_without_json_prints_progress_and_a_table(wsd):
    server = wsd()
    run = wsload("echo", server.url("/echo/raw"), "-c", 1200, "--duration", "500ms", "--warm-up", "0", "--server-pid", server.pid)
    assert run.returncode == 0
    progress = r"^(opening|measuring|waiting for outstanding answers): [\d,]+ (answers so far|of 1,200)"
    assert re.search(progress, run.stderr, re.MULTILINE)
    plan, measured_time, *_ = run.stdout.splitlines()
    assert plan == "echo, 1,200 connections in 1 thread, payload 20 B (binary); at most 1 outstanding"
    assert measured_time.startswith("measured ")
    for label in ("messages", "payload", "latency, µs", "wsload's CPU", "server's CPU", "server's memory"):
        assert f"\n{label} " in run.stdout


def test_wsload_sources_spreads_the_connections_over_that_many_addresses(wsd):
    server = wsd("--max-connections-per-address", "2")
    assert measured("echo", server.url("/echo/raw"), "-c", 6, "--sources", 3, "-n", 60)["messages"] == 60
    assert partly("echo", server.url("/echo/raw"), "-c", 6, "--sources", 2, "-n", 60)["not_opened"] == 2


# --- rounds


class Held:
    """A wsload that holds its connections; round() starts a round."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([WSLOAD, *map(str, arguments), "--hold", "--json"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def line(self):
        return json.loads(self.process.stdout.readline())

    def opened(self):
        """The number of connections, all of which must have opened."""
        line = self.line()
        assert line == {"open": line["open"], "not_opened": 0, "not_opened_reasons": {}}
        return line["open"]

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.line()

    def end(self):
        """The exit code, the remaining output, and the errors."""
        out, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, errors


@pytest.mark.parametrize("mode, options", [
    ("idle", ("-r", 600)),
    ("echo", ("-r", 600, "-s", 65536)),
    ("echo", ("-t", 3, "-o", 2)),
])
def test_wsload_hold_runs_one_round_per_input_line(wsd, mode, options):
    server = wsd()
    load = Held(mode, server.url("/echo/raw"), "-c", 60, *options)
    assert load.opened() == 60
    for _ in range(3):
        result = load.round()
        assert result["messages"] == result["latency_us"]["count"] == 60
        assert result["unanswered"] == 0
    assert len(server.sessions()) == 60, "the connections stay open between rounds"
    assert load.end() == (0, "", "")
    wait_for(lambda: not server.sessions(), "all sessions are closed")


def test_wsload_hold_sends_the_given_number_of_messages_in_each_round(wsd):
    load = Held("echo", wsd().url("/echo/raw"), "-c", 4, "-n", 100)
    assert load.opened() == 4
    assert [load.round()["messages"] for _ in range(2)] == [100, 100]
    assert load.end() == (0, "", "")


def test_wsload_hold_answers_pings_between_rounds(wsd):
    server = wsd("--ping-interval", "100ms", "--pong-timeout", "300ms")
    load = Held("idle", server.url("/echo/raw"), "-c", 5)
    assert load.opened() == 5
    time.sleep(1)  # three times the pong timeout
    assert load.round()["messages"] == 5
    assert load.end() == (0, "", "")


def test_wsload_hold_fails_immediately_if_a_connection_is_lost(wsd):
    server = wsd()
    load = Held("idle", server.url("/echo/raw"), "-c", 5)
    assert load.opened() == 5
    server.process.send_signal(signal.SIGTERM)
    assert load.process.wait(PATIENCE) == 4, "wsload ends although its standard input is open"
    assert re.search(r"the server closed the connection: 1001 ", load.process.stderr.read())


def test_wsload_hold_ends_after_a_round_with_unanswered_messages():
    def play(peer):
        greet(peer)
        ignore(peer)
    with script(play) as url:
        load = Held("idle", url, "--timeout", "300ms")
        assert load.opened() == 1
        assert load.round()["unanswered"] == 1
        assert load.end() == (1, "", "wsload: 1 unanswered message after --timeout\n")


def test_wsload_chat_prints_messages_and_deliveries_in_its_table(wsd):
    run = wsload("chat", wsd().url("/chat"), "-c", 4, "--text", "ascii", "-n", 20)
    assert run.returncode == 0
    assert re.search(r"^deliveries +60, ", run.stdout, re.MULTILINE)
    assert re.search(r"^received by all +20 messages$", run.stdout, re.MULTILINE)


def test_wsload_hold_without_json_prints_one_table_per_round(wsd):
    run = wsload("echo", wsd().url("/echo/raw"), "-c", 3, "--hold", input="\n\n")
    assert run.returncode == 0
    assert run.stdout.startswith("3 open connections\n")
    assert len(re.findall(r"^messages +3, ", run.stdout, re.MULTILINE)) == 2


# --- servers of literal bytes


def greet(peer):
    """Answers the upgrade, and the ping after which wsload expects no more greetings."""
    peer.accept()
    assert peer.frame()[:2] == (0x89, b"")
    peer.socket.sendall(b"\x8a\x00")


def finish(peer):
    byte0, payload, _ = peer.frame()
    assert (byte0, payload) == (0x88, b"\x03\xe8")
    peer.socket.sendall(CLOSE_1000)


def ignore(peer):
    """Reads to the end of TCP and sends nothing."""
    while peer.socket.recv(1 << 16):
        pass


def answer(payload, byte0=0x82):
    assert len(payload) < 126
    return bytes([byte0, len(payload)]) + payload


def test_wsload_compares_the_bytes_that_a_tcp_echo_returns():
    def play(peer):
        while data := peer.socket.recv(1 << 16):
            peer.socket.sendall(data)
    with script(play) as url:
        port = url.rsplit(":", 1)[1].strip("/")
        assert measured("echo", f"tcp://127.0.0.1:{port}", "-n", 500, "-o", 20)["messages"] == 500

    def corrupt(peer):
        data = bytearray(peer.take(26))
        data[25] ^= 1
        peer.socket.sendall(data)
    with script(corrupt) as url:
        port = url.rsplit(":", 1)[1].strip("/")
        assert complaint("echo", f"tcp://127.0.0.1:{port}", "-n", 1) == (
            5, "connection 1: the echoed bytes differ from those that were sent")


@pytest.mark.parametrize("wrong, what", [
    (lambda p: answer(p[:-1] + bytes([p[-1] ^ 1])), r"byte 19 of the answer is 0x.., not 0x.."),
    (lambda p: answer(bytes([p[0] ^ 1]) + p[1:]), r"byte 0 of the answer is 0x.., not 0x.."),
    (lambda p: answer(p[:-1]), "the answer has 19 bytes, not 20"),
    (lambda p: answer(p + b"x"), "the answer has 21 bytes, not 20"),
    (lambda p: answer(b"x" * 20, 0x81), "the answer is text, not binary"),
    (lambda p: answer(b""), "the answer has 0 bytes, not 20"),
])
def test_wsload_describes_how_a_wrong_answer_differs(wrong, what):
    def play(peer):
        greet(peer)
        for _ in range(2):
            peer.socket.sendall(answer(peer.frame()[1]))
        payload = peer.frame()[1]
        peer.socket.sendall(wrong(payload))
    with script(play) as url:
        code, line = complaint("echo", url, "-n", 10)
    assert code == 5
    assert re.fullmatch(r"connection 1: wrong answer to message 3: " + what, line)


def test_wsload_detects_answers_in_the_wrong_order():
    def play(peer):
        greet(peer)
        first, second = peer.frame()[1], peer.frame()[1]
        assert first != second
        peer.socket.sendall(answer(second) + answer(first))
    with script(play) as url:
        code, line = complaint("echo", url, "-n", 2, "-o", 2)
    assert code == 5
    assert line.startswith("connection 1: wrong answer to message 1: byte ")


def test_wsload_detects_a_reply_that_matches_no_request():
    def play(peer):
        greet(peer)
        payload = peer.frame()[1]
        peer.socket.sendall(answer(payload) + answer(payload))
    with script(play) as url:
        assert complaint("echo", url, "-n", 1, "-s", 0) == (
            5, "connection 1: received a reply that matches no request")


def test_wsload_accepts_fragmented_answers_and_answers_pings():
    seen = []

    def play(peer):
        greet(peer)
        for cut in range(20):
            payload = peer.frame()[1]
            frames = (answer(payload[:cut], 0x02) + b"\x89\x02hi" + answer(payload[cut:], 0x80))
            for i in range(len(frames)):
                peer.socket.sendall(frames[i:i + 1])
            seen.append(peer.frame()[:2])
            # The next answer is one frame, after a ping.
            peer.socket.sendall(b"\x89\x00")
            seen.append(peer.frame()[:2])
            if seen[-1][0] == 0x82:  # the next message may arrive before the pong
                payload = seen.pop()[1]
                seen.append(peer.frame()[:2])
            else:
                payload = peer.frame()[1]
            peer.socket.sendall(answer(payload))
        finish(peer)
    with script(play) as url:
        assert measured("echo", url, "-n", 40)["messages"] == 40
    assert sorted(seen) == sorted([(0x8A, b"hi")] * 20 + [(0x8A, b"")] * 20)


def test_wsload_sends_a_pong_after_the_frame_that_it_is_sending():
    frames = []

    def play(peer):
        greet(peer)
        # The peer cannot see whether wsload has filled the socket and queued its pong. A wait that is too short lets the
        # test pass without having tested that; it cannot fail it.
        time.sleep(0.2)
        peer.socket.sendall(b"\x89\x00")
        time.sleep(0.2)
        frames.extend(peer.frame()[:2] for _ in range(2))
    with script(play) as url:
        complaint("echo", url, "-n", 1, "-s", "16MiB")
    assert [(byte0, len(payload)) for byte0, payload in frames] == [(0x82, 16 << 20), (0x8A, 0)]


def test_wsload_measures_latency_from_the_intended_send_time():
    """The server needs 50 ms per message and is offered one every 10 ms: the last message waits for all before it."""
    def play(peer):
        greet(peer)
        for _ in range(20):
            payload = peer.frame()[1]
            peer.ended(within=0.05)
            peer.socket.sendall(answer(payload))
        finish(peer)
    with script(play) as url:
        result = measured("echo", url, "-n", 20, "-r", 100, "-o", 1)
    assert result["latency_us"]["count"] == 20
    assert result["latency_us"]["max"] >= (20 * 50 - 19 * 10 - 1) * 1000


def test_wsload_includes_unanswered_messages_in_the_latency_at_an_offered_rate():
    def play(peer):
        greet(peer)
        ignore(peer)
    with script(play) as url:
        result = partly("echo", url, "--duration", "200ms", "--warm-up", "0", "-r", 50, "--timeout", "500ms")
    assert (result["messages"], result["unanswered"], result["latency_us"]["count"]) == (0, 10, 10)
    assert result["latency_us"]["min"] >= 500_000


def test_wsload_counts_undelivered_chat_messages_of_all_speakers(wsd):
    server = wsd()
    load = subprocess.Popen([program("wsload"), "chat", server.url("/chat"), "-c", "3", "--speakers", "2", "-r", "100",
                             "--text", "ascii", "--duration", "1s", "--warm-up", "0", "--timeout", "1s", "--json"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    server.logged(r".*Received from .*", count=10)
    server.process.send_signal(signal.SIGSTOP)
    output, _ = load.communicate(timeout=PATIENCE)
    server.process.send_signal(signal.SIGCONT)
    result = json.loads(output)
    assert result["unanswered"] > 50
    assert result["messages"] // 2 + result["unanswered"] == 100  # each is delivered to two


def test_wsload_exits_with_1_if_the_server_never_answers():
    def play(peer):
        greet(peer)
        ignore(peer)
    with script(play) as url:
        assert complaint("echo", url, "-n", 5, "-o", 3, "--timeout", "300ms") == (
            1, "connection 1: 3 unanswered messages after --timeout")


@pytest.mark.parametrize("play, timeout, code, text", [
    (lambda peer: None, 10, 3, "the server closed the TCP connection during the opening handshake"),
    (lambda peer: ignore(peer), 0.2, 3, "the server did not answer the opening handshake within --timeout"),
    (lambda peer: peer.accept() and ignore(peer), 0.2, 3, "the server did not answer a ping within --timeout"),
    (lambda peer: peer.accept() and peer.socket.sendall(b"\x88\x05\x03\xf5bye"), 10, 3,
     'the server closed the connection: 1013 (try again later), "bye"'),
    (lambda peer: peer.accept() and peer.socket.sendall(b"\xc2\x00"), 10, 3,
     "protocol error by the server: .* [6455-5.2-RSV]"),
    (lambda peer: peer.accept() and None, 10, 3, "the server closed the TCP connection without a Close"),
    (lambda peer: peer.head() and peer.socket.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), 10, 3,
     "the server refused the opening handshake: 503 Busy"),
    (lambda peer: peer.head() and peer.socket.sendall(
        b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"), 10, 3,
     "wrong answer to the opening handshake: .* [6455-4.1-ACCEPT]"),
    (lambda peer: greet(peer), 10, 1, "the server closed the TCP connection without a Close"),
    # wsload describes a difference once the message is complete; this one never is.
    (lambda peer: greet(peer) or peer.frame() and peer.socket.sendall(b"\x82\x14abc"), 10, 1,
     "the server closed the TCP connection without a Close"),
    (lambda peer: greet(peer) or peer.frame() and peer.socket.sendall(b"\x88\x05\x03\xf3low"), 10, 4,
     'the server closed the connection: 1011 (internal error), "low"'),
    (lambda peer: greet(peer) or peer.frame() and peer.socket.sendall(b"\xc2\x00"), 10, 4,
     "protocol error by the server: .* [6455-5.2-RSV]"),
])
def test_wsload_reports_the_cause_of_a_failed_run_in_one_line(play, timeout, code, text):
    def play_to_the_end(peer):
        play(peer)
        peer.socket.shutdown(socket.SHUT_WR)
        ignore(peer)
    with script(play_to_the_end) as url:
        got, line = complaint("echo", url, "--timeout", f"{round(timeout * 1000)}ms")
    assert got == code
    which = "the connection did not open: " if code == 3 else "connection 1: "
    assert re.fullmatch(re.escape(which + text).replace(r"\.\*", ".*"), line), line


def test_wsload_exits_with_4_if_the_server_shuts_down(wsd):
    server = wsd()
    with subprocess.Popen([WSLOAD, "echo", server.url("/echo/raw"), "-c", "20"], stderr=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline()  # progress: it runs
        server.process.terminate()
        _, said = process.communicate(timeout=PATIENCE)
    assert server.wait() == 0
    assert process.returncode == 4
    text = r"wsload: connection \d+: the server closed the connection: 1001 \(going away\).*"
    assert re.fullmatch(text, said.splitlines()[-1])


def test_wsload_exits_with_3_if_the_path_does_not_exist(wsd):
    assert complaint("echo", wsd().url("/nowhere")) == (
        3, "the connection did not open: the server refused the opening handshake: 404 Not Found")


# --- connections that do not open


@contextlib.contextmanager
def scripts(*plays, host="127.0.0.1"):
    """The URL of a server that runs the first of `plays` with the first client, and so on. If one raises, the test fails."""
    failures = []
    with socket.create_server((host, 0)) as listener:
        listener.settimeout(PATIENCE)

        def run(play, connection):
            try:
                with connection:
                    connection.settimeout(PATIENCE)
                    play(Peer(connection))
            except BaseException as failure:  # also the exceptions of pytest
                failures.append(failure)

        def accept():
            threads = []
            for play in plays:
                try:
                    threads.append(threading.Thread(target=run, args=(play, listener.accept()[0])))
                except TimeoutError as failure:
                    failures.append(failure)
                    break
                threads[-1].start()
            for thread in threads:
                thread.join(PATIENCE)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield f"ws://{host}:{listener.getsockname()[1]}/"
        acceptor.join(2 * PATIENCE)
    if failures:
        raise failures[0]


def echo(peer):
    """Opens the connection, and echoes until the Close."""
    greet(peer)
    while (frame := peer.frame())[0] != 0x88:
        peer.socket.sendall(answer(frame[1], frame[0]))
    peer.socket.sendall(CLOSE_1000)


def connect_echo(peer):
    """The mode connect sends no ping."""
    peer.accept()
    finish(peer)


def refuse(status):
    def play(peer):
        peer.head()
        peer.socket.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        ignore(peer)
    return play


def reset(peer):
    peer.head()
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closed_port(host="127.0.0.1"):
    """A port on which no server listens. It is bound, so that no other process gets it."""
    unused = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    unused.bind((host, 0))
    return unused, unused.getsockname()[1]


def fill_queue(listener, stack):
    """After this, the kernel drops each SYN for a listener with a backlog of 0."""
    for _ in range(3):
        waiting = stack.enter_context(socket.socket(listener.family))
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())


REFUSED = "the server refused the opening handshake: "


@pytest.mark.parametrize("options", [("-n", 50), ("-n", 50, "-t", 4), ("-n", 50, "-r", 500), ("-n", 50, "-r", 500, "-t", 4)])
def test_wsload_reports_connections_that_did_not_open_and_goes_on_with_the_others(options):
    with scripts(refuse("403 Forbidden"), echo, refuse("503 Busy"), reset, refuse("503 Busy"), echo, lambda peer: peer.head(),
                 ignore) as url:
        result = partly("echo", url, "-c", 8, "--timeout", "2s", *options)
    assert (result["connections"], result["not_opened"]) == (2, 6)
    assert result["not_opened_reasons"] == {
        REFUSED + "403 Forbidden": 1, REFUSED + "503 Busy": 2,
        "the TCP connection was lost during the opening handshake: Connection reset by peer": 1,
        "the server closed the TCP connection during the opening handshake": 1,
        "the server did not answer the opening handshake within --timeout": 1}
    assert (result["messages"], result["unanswered"]) == (50, 0)


def test_wsload_reads_interim_responses_up_to_the_final_one():
    # [9110-15.2-INTERIM]
    def play(then):
        def interim(peer):
            peer.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            then(peer)
        return interim

    with scripts(play(echo), play(refuse("403 No"))) as url:
        result = partly("echo", url, "-c", 2, "-n", 10)
    assert result["not_opened_reasons"] == {REFUSED + "403 No": 1}
    assert result["messages"] == 10


def test_wsload_prints_the_reasons_in_its_table():
    with scripts(refuse("503 Busy"), echo, refuse("403 No"), refuse("503 Busy")) as url:
        run = wsload("echo", url, "-c", 4, "-n", 10)
    assert run.returncode == 1
    assert run.stdout.startswith("echo, 1 connection in 1 thread, ")
    assert (f"\nnot opened        3 connections\n                  2 × {REFUSED}503 Busy\n"
            f"                  1 × {REFUSED}403 No\nlatency") in run.stdout


def test_wsload_exits_with_3_if_no_connection_opens():
    unused, port = closed_port()
    with unused:
        assert complaint("echo", f"ws://127.0.0.1:{port}/") == (
            3, f"the connection did not open: cannot connect to 127.0.0.1:{port}: Connection refused")
        assert complaint("chat", f"ws://127.0.0.1:{port}/", "-c", 3, "-t", 2) == (
            3, f"none of 3 connections opened: 3 × cannot connect to 127.0.0.1:{port}: Connection refused")
        assert complaint("idle", f"ws://127.0.0.1:{port}/", "-c", 2, "--hold") == (
            3, f"none of 2 connections opened: 2 × cannot connect to 127.0.0.1:{port}: Connection refused")
        assert complaint("connect", f"ws://127.0.0.1:{port}/", "-c", 2, "-n", 5) == (
            3, f"none of 5 connections opened: 5 × cannot connect to 127.0.0.1:{port}: Connection refused")
    with scripts(refuse("503 Busy"), refuse("503 Busy"), refuse("403 No")) as url:
        assert complaint("echo", url, "-c", 3) == (
            3, f"none of 3 connections opened: 2 × {REFUSED}503 Busy; 1 × {REFUSED}403 No")


def test_wsload_limits_the_number_of_different_reasons():
    with scripts(*(refuse(f"503 {number}") for number in range(25)), echo) as url:
        reasons = partly("echo", url, "-c", 26, "-n", 1)["not_opened_reasons"]
    assert len(reasons) == 21
    assert reasons["other reasons"] == 5


@pytest.mark.parametrize("mode", ["echo", "connect"])
def test_wsload_timeout_ends_a_connect_that_is_never_answered(mode):
    """The queue of the listener is full, so that the kernel drops each SYN."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        fill_queue(listener, stack)
        port = listener.getsockname()[1]
        assert complaint(mode, f"ws://127.0.0.1:{port}/", "-c", 2, "-n", 2, "--timeout", "300ms") == (
            3, f"none of 2 connections opened: 2 × cannot connect to 127.0.0.1:{port}: no answer within --timeout")


@pytest.mark.parametrize("connections, speakers, threads", [(6, 1, 1), (7, 5, 2), (9, 9, 4)])
def test_wsload_chat_goes_on_with_the_connections_that_opened(wsd, connections, speakers, threads):
    server = wsd("--max-connections", "4")
    result = partly("chat", server.url("/chat"), "-c", connections, "--speakers", speakers, "-t", threads,
                    "--text", "ascii", "-n", 60, "-o", 3)
    assert (result["connections"], result["speakers"]) == (4, min(speakers, 4))
    assert result["not_opened_reasons"] == {REFUSED + "503 Service Unavailable": connections - 4}
    assert (result["heard_by_all"], result["messages"]) == (60, 180)


def test_wsload_chat_goes_on_at_the_offered_rate(wsd):
    result = partly("chat", wsd("--max-connections", "4").url("/chat"), "-c", 7, "--speakers", 5, "-t", 3,
                    "--text", "ascii", "-n", 40, "-r", 400)
    assert (result["heard_by_all"], result["messages"], result["unanswered"]) == (40, 120, 0)


def test_wsload_chat_ends_if_only_one_connection_opened(wsd):
    assert complaint("chat", wsd("--max-connections", "1").url("/chat"), "-c", 3, "--text", "ascii") == (
        1, "a chat needs at least two connections, but only one of 3 opened: 2 × " + REFUSED + "503 Service Unavailable")


@pytest.mark.parametrize("mode, threads", [("idle", 1), ("idle", 3), ("echo", 3)])
def test_wsload_hold_says_why_connections_did_not_open(wsd, mode, threads):
    load = Held(mode, wsd("--max-connections", "5").url("/echo/raw"), "-c", 8, "-t", threads)
    assert load.line() == {"open": 5, "not_opened": 3, "not_opened_reasons": {REFUSED + "503 Service Unavailable": 3}}
    for _ in range(2):
        result = load.round()
        assert (result["messages"], result["connections"], result["not_opened"]) == (5, 5, 3)
        assert result["offered_per_second"] == (5 if mode == "idle" else 0)
    assert load.end() == (1, "", "")


def test_wsload_hold_without_json_says_why_connections_did_not_open(wsd):
    run = wsload("idle", wsd("--max-connections", "2").url("/echo/raw"), "-c", 3, "--hold", input="")
    assert run.returncode == 1
    assert run.stdout == (f"2 open connections\nnot opened        1 connection\n"
                          f"                  1 × {REFUSED}503 Service Unavailable\n")


@pytest.mark.parametrize("threads", [1, 2])
def test_wsload_connect_counts_the_connections_that_did_not_open(threads):
    plays = [connect_echo, refuse("503 Busy"), reset, connect_echo, refuse("503 Busy"), connect_echo]
    with scripts(*plays) as url:
        result = partly("connect", url, "-n", 6, "-c", 2, "-t", threads)
    assert (result["messages"], result["not_opened"]) == (3, 3)
    assert result["not_opened_reasons"] == {
        REFUSED + "503 Busy": 2, "the TCP connection was lost during the opening handshake: Connection reset by peer": 1}
    assert result["latency_us"]["count"] == 3


def test_wsload_connect_goes_on_until_its_end_if_nothing_opens():
    unused, port = closed_port()
    with unused:
        code, line = complaint("connect", f"ws://127.0.0.1:{port}/", "--duration", "500ms", "--warm-up", "0",
                               "--timeout", "50ms")
    assert code == 3
    attempts = re.fullmatch(rf"none of (\d+) connections opened: \1 × cannot connect to 127.0.0.1:{port}: "
                            "Connection refused", line)
    assert 1 < int(attempts[1]) < 60  # it pauses for 10 ms after each


# --- host names


def named(within, *arguments):
    """Runs wsload where three.test has three addresses."""
    return subprocess.run([*within, WSLOAD, *map(str, arguments), "--json"], capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("scheme", ["ws", "tcp"])
def test_wsload_tries_all_addresses_of_a_host_name(name_of_three_addresses, host, scheme):
    with script(echo if scheme == "ws" else lambda peer: peer.socket.sendall(peer.take(26)), host=host) as url:
        port = url.rsplit(":", 1)[1].strip("/")
        run = named(name_of_three_addresses, "echo", f"{scheme}://three.test:{port}", "-n", 1)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["messages"] == 1


def test_wsload_opens_all_connections_to_the_address_that_accepts(name_of_three_addresses, wsd):
    server = wsd("--address", "127.0.0.2")
    run = named(name_of_three_addresses, "echo", f"ws://three.test:{server.port}/echo/raw", "-c", 300, "-n", 300, "-t", 2)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["connections"] == 300


def test_wsload_names_all_addresses_that_it_tried(name_of_three_addresses):
    unused, port = closed_port("::1")
    with unused:
        run = named(name_of_three_addresses, "echo", f"ws://three.test:{port}/")
    assert run.returncode == 3
    tried = re.fullmatch(r"wsload: the connection did not open: cannot connect to (.*)\n", run.stderr)[1].split("; ")
    assert sorted(tried) == [f"127.0.0.1:{port}: Connection refused", f"127.0.0.2:{port}: Connection refused",
                             f"[::1]:{port}: Connection refused"]


def test_wsload_tries_the_next_address_after_the_timeout(name_of_three_addresses):
    """[::1] and 127.0.0.1 do not answer: the queues of the listeners are full. 127.0.0.2 refuses."""
    with contextlib.ExitStack() as stack:
        port = 0
        for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")):
            listener = stack.enter_context(socket.create_server((host, port), family=family, backlog=0))
            port = listener.getsockname()[1]
            fill_queue(listener, stack)
        run = named(name_of_three_addresses, "echo", f"ws://three.test:{port}/", "--timeout", "300ms")
    assert run.returncode == 3
    tried = re.fullmatch(r"wsload: the connection did not open: cannot connect to (.*)\n", run.stderr)[1].split("; ")
    assert sorted(tried) == [f"127.0.0.1:{port}: no answer within --timeout", f"127.0.0.2:{port}: Connection refused",
                             f"[::1]:{port}: no answer within --timeout"]


def test_wsload_sources_selects_the_addresses_that_they_reach(wsd):
    server = wsd("--max-connections-per-address", "2")
    url = f"ws://localhost:{server.port}/echo/raw"
    assert measured("echo", url, "-c", 6, "--sources", 3, "-n", 60)["messages"] == 60


def test_wsload_exits_with_3_if_the_host_has_no_address():
    code, line = complaint("echo", "ws://no-such-host.invalid/")
    assert code == 3
    assert line.startswith("no address for no-such-host.invalid: ")


# --- fields of the opening handshake


def test_wsload_sends_the_fields_that_its_options_set_with_every_connection():
    heads = []

    def play(peer):
        heads.append(peer.accept(fields="Sec-WebSocket-Protocol: two\r\n"))
        finish(peer)
    with scripts(play, play) as url:
        measured("connect", url + "path?q=1", "-n", 2, "-H", "host: example.org", "-H", "X-One: 1", "--header", "X-Two: a, b",
                 "--origin", "https://example.org", "--subprotocol", "one", "--subprotocol", "two", "-u", "ann:secret")
    for head in heads:
        assert head[0] == "GET /path?q=1 HTTP/1.1"
        fields = [line for line in head[1:] if not line.startswith("Sec-WebSocket-Key: ")]
        assert sorted(fields) == sorted([
            "host: example.org", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            "Origin: https://example.org", "Sec-WebSocket-Protocol: one, two", "X-One: 1", "X-Two: a, b",
            "Authorization: Basic YW5uOnNlY3JldA=="])
    keys = {line for head in heads for line in head if line.startswith("Sec-WebSocket-Key: ")}
    assert len(keys) == 2


def test_wsload_sends_the_origin(wsd):
    url = wsd("--allowed-origin", "https://good.example").url("/echo/raw")
    assert measured("echo", url, "--origin", "https://good.example", "-n", 1)["messages"] == 1
    code, line = complaint("echo", url, "--origin", "https://bad.example", "-n", 1)
    assert (code, line) == (3, "the connection did not open: " + REFUSED + "403 Forbidden")


@pytest.mark.parametrize("arguments, text", [
    (("-H", "no colon"), "--header: a header field must be 'Name: value'"),
    (("-H", "Upgrade: h2c"), "--header: the opening handshake sets Upgrade itself"),
    (("--origin", "two words"), "--origin: an origin must be visible ASCII, like https://example.org"),
    (("--subprotocol", "a,b"), "--subprotocol: a subprotocol must be a word of letters, digits and !#$%&'*+-.^_`|~"),
    (("--subprotocol", "a", "--subprotocol", "a"), "a subprotocol can be offered only once"),
])
def test_wsload_checks_fields_as_wsc_does(arguments, text):
    assert complaint("echo", "ws://127.0.0.1:1/", *arguments) == (2, text)


# --- permessage-deflate


@pytest.mark.parametrize("options", [
    ("-s", 0), ("-s", 1), ("-s", 20, "-o", 7), ("-s", 300, "--text", "chinese", "-o", 100, "-t", 3), ("-s", 70_000, "-o", 3),
    ("-s", 400_000, "--text", "ascii"), ("-s", 20, "-r", 2000, "-t", 2)])
def test_wsload_echoes_compressed_messages(wsd, options):
    result = measured("echo", wsd("--deflate").url("/echo/raw"), "--deflate", "-c", 5, "-n", 60, *options)
    assert (result["messages"], result["latency_us"]["count"], result["deflate"]) == (60, 60, True)


@pytest.mark.parametrize("no_takeover", [(), ("--deflate-no-takeover",)])
def test_wsload_chats_with_compressed_messages(wsd, no_takeover):
    result = measured("chat", wsd("--deflate", *no_takeover).url("/chat"), "--deflate", "--text", "ascii", "-c", 12,
                      "--speakers", 3, "-t", 2, "-o", 4, "-s", 200, "-n", 90)
    assert (result["messages"], result["heard_by_all"]) == (90 * 11, 90)


def test_wsload_holds_and_opens_connections_with_permessage_deflate(wsd):
    server = wsd("--deflate")
    load = Held("echo", server.url("/echo/raw"), "-c", 4, "--deflate", "-s", 300)
    assert load.opened() == 4
    assert [load.round()["messages"] for _ in range(3)] == [4, 4, 4]
    assert load.end() == (0, "", "")
    assert measured("connect", server.url("/chat"), "--deflate", "-n", 10)["messages"] == 10
    assert measured("idle", server.url("/chat"), "--deflate", "-c", 3, "-n", 9, "-r", 500)["messages"] == 9


def accept_deflate(peer, parameters=""):
    head = peer.accept(fields=f"Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n")
    assert head[-1] == "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    assert peer.frame()[:2] == (0x89, b"")
    peer.socket.sendall(b"\x8a\x00")


def decompressed(frame):
    """The message in a frame that was compressed with an empty window of 512 bytes."""
    assert frame[0] == 0xC1, "FIN, RSV1, text"
    inflater = zlib.decompressobj(-9)
    text = inflater.decompress(frame[1] + b"\x00\x00\xff\xff")
    assert inflater.unused_data == inflater.unconsumed_tail == b""
    return text


@pytest.mark.parametrize("size, messages, cut", [(100, 4, 1), (100_000, 6, 20_000), (100_000, 6, 1 << 20)])
def test_wsload_decompresses_with_takeover_and_accepts_fragments_and_plain_answers(size, messages, cut):
    seen = []

    def play(peer):
        accept_deflate(peer)
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        for number in range(messages):
            text = decompressed(peer.frame())
            seen.append(text)
            if number == 2:
                data = (answer(text, 0x81) if size < 126 else b"\x81\x7f" + struct.pack("!Q", size) + text)
            else:
                data = (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
                half = len(data) // 2
                length = (lambda part: bytes([len(part)])) if size < 126 else (lambda part: b"\x7e" + struct.pack("!H", len(part)))
                data = b"".join(byte0 + length(part) + part + b"\x89\x01p"
                                for byte0, part in ((b"\x41", data[:half]), (b"\x80", data[half:])))
            for i in range(0, len(data), cut):
                peer.socket.sendall(data[i:i + cut])
            for _ in range(0 if number == 2 else 2):
                assert peer.frame()[:2] == (0x8A, b"p")
        finish(peer)
    with script(play) as url:
        assert measured("echo", url, "--deflate", "--text", "ascii", "-s", size, "-n", messages)["messages"] == messages
    # A cycle has two messages of this size: the stream of frames is sent three times.
    assert [len(text) for text in seen] == [size] * messages
    assert len(set(seen)) == (2 if size == 100_000 else messages)


def test_wsload_detects_a_wrong_compressed_answer():
    def play(peer):
        accept_deflate(peer, "; server_no_context_takeover; client_max_window_bits=9")
        text = decompressed(peer.frame())
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = deflater.compress(text[:30] + b"~" + text[31:]) + deflater.flush(zlib.Z_SYNC_FLUSH)
        peer.socket.sendall(answer(data[:-4], 0xC1))
    with script(play) as url:
        code, line = complaint("echo", url, "--deflate", "--text", "ascii", "-s", 60, "-n", 1)
    assert code == 5
    assert re.fullmatch(r"connection 1: wrong answer to message 1: byte 30 of the answer is 0x7e, not 0x..", line)


@pytest.mark.parametrize("fields, reason", [
    ("", "the server did not agree to permessage-deflate"),
    ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8\r\n",
     "the server agreed to a compression window of only 256 bytes"),
])
def test_wsload_deflate_counts_a_connection_without_compression_as_not_opened(fields, reason):
    def play(peer):
        peer.accept(fields=fields)
        ignore(peer)
    with script(play) as url:
        assert complaint("echo", url, "--deflate") == (3, "the connection did not open: " + reason)


# --- known faults


def test_wsload_answers_a_ping_that_arrives_together_with_the_pong():
    def play(peer):
        peer.accept()
        assert peer.frame()[:2] == (0x89, b"")
        peer.socket.sendall(b"\x89\x02hi" + b"\x8a\x00")
        assert peer.frame()[:2] == (0x8A, b"hi")
        peer.socket.sendall(answer(peer.frame()[1]))
        finish(peer)
    with script(play) as url:
        assert measured("echo", url, "-n", 1)["messages"] == 1


def test_wsload_chat_needs_no_delivery_in_each_thread_within_the_timeout(wsd):
    """The thread of the only speaker receives no message."""
    result = measured("chat", wsd().url("/chat"), "-c", 2, "-t", 2, "--text", "ascii", "--duration", "1500ms", "--warm-up", "0",
                      "--timeout", "500ms")
    assert result["heard_by_all"] > 0 and result["unanswered"] == 0


def test_wsload_reports_that_it_cannot_start_a_thread():
    if b"san_init" in Path(WSLOAD).read_bytes():
        return  # a sanitizer needs more address space

    def space_for_three_stacks():
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 30, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    run = wsload("echo", "ws://127.0.0.1:1/", "-c", 8, "-t", 8, "--timeout", "1h", preexec_fn=space_for_three_stacks)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines()[-1] == "wsload: cannot start thread 4 of 8: Resource temporarily unavailable"


# --- faulty chats


@pytest.mark.parametrize("replies, code, text", [
    (lambda one, two: [one, two], 0, None),
    (lambda one, two: [two, one], 5, "a message of speaker 1 arrived twice or out of order"),
    (lambda one, two: [one, one], 5, "a message of speaker 1 arrived twice or out of order"),
    (lambda one, two: [one, two[:-1] + b"~"], 5, r"wrong answer to message 2: byte 19 of the answer is 0x7e, not 0x.."),
    (lambda one, two: [b"~" + one[1:], two], 5, r"wrong answer to message 1: .*"),
    (lambda one, two: [one, two[:3]], 5, r"wrong answer to message 2: the answer has 3 bytes, not 20"),
])
@pytest.mark.parametrize("cut", [1, 1000])
def test_wsload_detects_chat_messages_that_are_doubled_reordered_or_changed(replies, code, text, cut):
    def play(peer):
        greet(peer)
        data = b"".join(answer(reply, 0x81) for reply in replies(peer.frame()[1], peer.frame()[1]))
        for i in range(0, len(data), cut):
            peer.socket.sendall(data[i:i + cut])
        if code == 0:
            finish(peer)
    with script(play) as url:
        arguments = ("chat", url, "--hears-itself", "--text", "ascii", "-n", 2, "-o", 2)
        if code == 0:
            assert measured(*arguments)["messages"] == 2
        else:
            got, line = complaint(*arguments)
            assert got == code
            assert re.fullmatch("connection 1: " + text, line), line


def test_wsload_skips_greetings_and_accepts_fragmented_chat_messages():
    def play(peer):
        peer.accept(behind=answer(b"Hello!", 0x81))
        assert peer.frame()[:2] == (0x89, b"")
        peer.socket.sendall(answer(b"Again", 0x81) + b"\x8a\x00")
        for cut in range(1, 20):
            payload = peer.frame()[1]
            peer.socket.sendall(answer(payload[:cut], 0x01) + answer(payload[cut:], 0x80))
        peer.socket.sendall(answer(peer.frame()[1], 0x81))
        finish(peer)
    with script(play) as url:
        assert measured("chat", url, "--hears-itself", "--text", "ascii", "-n", 20)["messages"] == 20


# --- options


@pytest.mark.parametrize("arguments, text", [
    (("echo",), "url is required"),
    (("shout", "ws://127.0.0.1:1/"), "'shout' is not echo, chat, connect or idle"),
    (("echo", "wss://127.0.0.1/"),
     "'wss://127.0.0.1/' requires TLS, which is not supported: use ws://"),
    (("echo", "ws://127.0.0.1/", "--speakers", 2), "--speakers has no effect in the mode echo"),
    (("connect", "ws://127.0.0.1/", "-r", 2), "--rate has no effect in the mode connect"),
    (("echo", "tcp://127.0.0.1:1", "--deflate"), "--deflate has no effect with tcp://"),
    (("echo", "tcp://127.0.0.1:1", "-H", "A: b"), "--header has no effect with tcp://"),
    (("connect", "tcp://127.0.0.1:1"), "tcp:// can only be used in the mode echo"),
    (("echo", "ws://127.0.0.1/", "-t", 2), "there are more --threads than --connections"),
    (("echo", "ws://[::1]/", "--sources", 2, "-c", 2),
     "--sources requires a server on an address of 127.0.0.0/8"),
    (("echo", "ws://127.0.0.1/echo"),
     "answers with a prefix are text messages: use --text ascii or --text chinese"),
    (("chat", "ws://127.0.0.1/"), "a chat needs at least two connections, or --hears-itself"),
    (("chat", "ws://127.0.0.1/", "-c", 5, "--speakers", 10), "there are more --speakers than --connections"),
    (("chat", "ws://127.0.0.1/", "-c", 2, "-s", 3), "--size must be at least 4 in the mode chat"),
    (("idle", "ws://127.0.0.1/", "-s", 126),
     "--size must be at most 125 in the mode idle, since a ping carries at most 125 bytes"),
    (("chat", "ws://127.0.0.1/chat", "-c", 2, "--hold"), "--hold has no effect in the mode chat"),
    (("echo", "ws://127.0.0.1/", "--duration", 0.5), "--duration: '0.5' is not a TIME between 10ms and 24h"),
    (("echo", "ws://127.0.0.1/", "-s", "17MiB"), "--size: '17MiB' is not a SIZE between 0 and 16MiB"),
    (("echo", "ws://127.0.0.1/", "-n", 5, "--duration", "1s"),
     "--messages cannot be combined with --duration or --warm-up"),
    (("chat", "ws://127.0.0.1/", "-c", 100, "--speakers", 100, "-s", 1 << 24),
     "these options need too much memory: reduce --speakers, --outstanding or --size"),
    (("echo", "ws://127.0.0.1/", "-c", 10_000, "-o", 100_000),
     "these options need too much memory: reduce --connections, --speakers or --outstanding"),
    (("echo", "ws://127.0.0.1/", "--server-pid", 1 << 30), f"cannot read the memory usage of process {1 << 30}"),
])
def test_wsload_reports_invalid_options_in_one_line(arguments, text):
    assert complaint(*arguments) == (2, text)


def test_wsload_exits_with_2_if_it_needs_more_descriptors_than_allowed():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    run = wsload("echo", "ws://127.0.0.1:1/", "-c", "200", preexec_fn=few)
    assert run.returncode == 2
    assert run.stderr == ("wsload: 200 connections need more descriptors than the 100 that are allowed (ulimit -Hn): "
                          "run several wsload processes\n")


def test_wsload_prints_help_and_version_on_standard_output():
    for option in ("--help", "--version"):
        run = wsload(option)
        assert (run.returncode, run.stderr) == (0, "")
        assert "wsload" in run.stdout
