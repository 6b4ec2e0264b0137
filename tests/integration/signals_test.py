"""SIGINT, SIGTERM, SIGUSR1 and SIGHUP."""

import re
import signal
import subprocess

import pytest

from conftest import loops, program
from wsd import BINARY, CLOSE, TEXT, Raw, ask, frame, upgrade, wait_for

wsd = loops(1, 2)
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_requests_during_shutdown_are_answered_503_until_the_last_session_ends(wsd, how):
    server = wsd("--close-timeout", "60s", "--stop-timeout", "60s")
    with Raw(server, "/echo") as one, Raw(server, "/chat") as other:
        other.frame()
        server.process.send_signal(how)
        assert one.close_frame() == (1001, "the server is stopping")
        assert other.close_frame() == (1001, "the server is stopping")
        one.send(frame(CLOSE, b"\x03\xe9"))
        assert one.is_ended()

        # The other client has not answered its Close.
        for request in (GET % b"/healthz", GET % b"/", GET % b"/nothing", upgrade("/echo"), upgrade("/chat")):
            answer = ask(server, request)
            assert answer.status == 503
            assert answer.body.endswith(b"\n")
        assert server.process.poll() is None

        other.send(frame(CLOSE, b"\x03\xe9"))
        assert other.is_ended()
    assert server.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_wsd_without_sessions_exits_immediately_after_sigterm(wsd):
    server = wsd("--stop-timeout", "1h")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0


def test_queued_messages_are_sent_before_the_close_during_shutdown(wsd):
    # [6455-6.1-TRANSMIT]
    server = wsd("--close-timeout", "60s", "--stop-timeout", "60s")
    payload = bytes(range(256)) * 4096
    with Raw(server, "/echo/raw", small_buffer=True) as raw:
        for _ in range(8):
            raw.send(frame(BINARY, payload))
        wait_for(lambda: server.sessions()[0].queued > 0, "answers are queued")
        server.process.send_signal(signal.SIGTERM)
        server.logged(r"Shutting down; .*")
        answers = []
        while (next_frame := raw.frame())[0] != CLOSE:
            answers.append(next_frame)
        assert next_frame[1][:2] == b"\x03\xe9"
        assert answers and all(answer == (BINARY, payload) for answer in answers)
        raw.send(frame(CLOSE, b"\x03\xe9"))
        assert raw.is_ended()
    assert server.wait() == 0


def test_a_session_that_does_not_answer_the_close_during_shutdown_is_dropped(wsd):
    server = wsd("--close-timeout", "100ms", "--drain-timeout", "100ms", "--stop-timeout", "1h")
    with Raw(server, "/echo") as raw:
        server.process.send_signal(signal.SIGTERM)
        assert raw.close_frame() == (1001, "the server is stopping")
        assert server.wait() == 0


def test_stop_timeout_limits_the_duration_of_the_shutdown(wsd):
    server = wsd("--close-timeout", "1h", "--stop-timeout", "200ms")
    with Raw(server, "/echo") as raw:
        server.process.send_signal(signal.SIGTERM)
        assert raw.close_frame() == (1001, "the server is stopping")
        assert server.wait() == 0
    server.logged(r"Stop timeout: 1 sessions closed without a closing handshake")


@pytest.mark.parametrize("first, second", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT),
                                           (signal.SIGINT, signal.SIGINT)])
def test_a_second_signal_ends_wsd_immediately(wsd, first, second):
    server = wsd("--close-timeout", "1h", "--stop-timeout", "1h")
    with Raw(server, "/echo") as raw:
        server.process.send_signal(first)
        raw.close_frame()
        server.process.send_signal(second)
        assert server.wait() == 128 + second


def test_sighup_without_tls_is_logged_and_does_not_end_wsd(wsd):
    server = wsd()
    with Raw(server, "/echo") as raw:
        for count in (1, 2):
            server.process.send_signal(signal.SIGHUP)
            server.logged(r".*Z info: SIGHUP ignored: there is no TLS certificate to reload", count)
        raw.send(frame(BINARY, b"hello"))
        assert raw.frame() == (TEXT, b"Echo: hello")


def test_help_lists_the_signals():
    text = subprocess.run([program("wsd"), "--help"], check=True, capture_output=True, text=True).stdout
    assert re.findall(r"^  (SIG\w+(?:, SIG\w+)*) ", text, re.MULTILINE) == ["SIGTERM, SIGINT", "SIGUSR1", "SIGHUP"]


def test_sigusr1_writes_the_session_table(wsd):
    server = wsd()
    assert server.sessions() == []
    with Raw(server) as asking, Raw(server, "/chat") as idle, Raw(server, "/echo/raw") as full:
        idle.frame()
        asking.send(b"GET /echo HTTP/1.1\r\n")
        full.send_until_full(frame(BINARY, b"x" * 10_000))
        table = sorted(server.sessions(), key=lambda session: session.path)
        assert [(row.path, row.state) for row in table] == [("-", "head"), ("/chat", "open"), ("/echo/raw", "open")]
        assert [row.queued > 0 for row in table] == [False, False, True]
        assert table[2].queued < 512 * 1024
        (chat,) = server.logged(r"New client connected: ([0-9a-f]{8}), Total: 1")
        assert table[1].id == chat[1]
    wait_for(lambda: server.sessions() == [], "no session is left")


def test_sigusr1_writes_the_session_table_during_shutdown(wsd):
    server = wsd("--close-timeout", "60s", "--stop-timeout", "60s")
    with Raw(server, "/echo") as raw:
        server.process.send_signal(signal.SIGTERM)
        raw.close_frame()
        assert [row.path for row in server.sessions()] == ["/echo"]
        raw.send(frame(CLOSE, b"\x03\xe9"))
        assert raw.is_ended()
    assert server.wait() == 0
