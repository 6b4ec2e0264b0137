"""Hostile and vanished peers: each wait has a deadline that slow progress does not extend, and no peer blocks another.
endurance_test.py measures their cost in memory, descriptors and wake-ups."""

import contextlib
import re
import select
import time

import pytest

from conftest import only_plain
from wsd import BINARY, CLOSE, CONTINUATION, PATIENCE, PING, PONG, TEXT, Raw, frame, read_answer, upgrade, wait_for

HIGH, GATHERED, RECEIVED = 256 * 1024, 64 * 1024, 512 * 1024  # bytes: the high mark, one write, one read


def assert_served(server):
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"hello"))
        assert raw.frame() == (TEXT, b"Echo: hello")


def trickle_until_answered(raw, pieces):
    """Sends a piece every 20 ms until something comes back. Returns how many were sent."""
    for count, piece in enumerate(pieces):
        if select.select([raw.socket], [], [], 0.02)[0]:
            return count
        raw.send(piece)
    raise AssertionError("there was no answer")


@only_plain("the tickets of TLS look like an answer to select()")
def test_a_slow_request_head_does_not_extend_its_deadline(wsd):
    server = wsd("--handshake-timeout", "300ms")
    with Raw(server) as raw:
        raw.send(b"GET /echo HTTP/1.1\r\nHost: x\r\n")
        count = trickle_until_answered(raw, (b"A" for _ in range(50 * PATIENCE)))
        assert count > 0
        assert read_answer(raw).status == 408


def test_a_connection_that_sends_no_bytes_is_answered_408(wsd):
    with Raw(wsd("--handshake-timeout", "200ms")) as raw:
        assert read_answer(raw).status == 408


def test_clients_that_connect_one_by_one_and_are_silent_cause_no_busy_wait(wsd):
    server = wsd()
    with contextlib.ExitStack() as clients:
        for _ in range(1_100):  # the loop reports a busy wait after 1,000 events without work
            clients.enter_context(server.connect())
            time.sleep(0.0005)  # so that the server accepts one client at a time
        assert "Busy wait" not in server.end()


def test_an_unfinished_fragmented_message_does_not_block_other_sessions(wsd):
    server = wsd("--max-fragments", "1000")
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"a", fin=False))
        for _ in range(998):
            raw.send(frame(CONTINUATION, b"", fin=False))
        assert_served(server)
        raw.send(frame(CONTINUATION, b"z", fin=True))
        assert raw.frame() == (TEXT, b"Echo: az")


def test_wsd_pauses_reading_from_a_peer_that_sends_pings_and_reads_no_pongs(wsd):
    server = wsd("--write-timeout", "60s")
    with Raw(server, "/echo") as raw:
        sent = raw.send_until_full(frame(PING, b"p" * 125))
        (row,) = server.sessions()
        assert (row.path, row.state) == ("/echo", "open")
        assert HIGH < row.queued <= HIGH + GATHERED + RECEIVED
        assert_served(server)

        # Once the peer reads, every ping that arrived whole is answered.
        raw.finish_writing()
        for _ in range(sent // (2 + 4 + 125)):
            assert raw.frame() == (PONG, b"p" * 125)
        assert raw.is_ended()


def test_wsd_resets_a_peer_that_does_not_read_within_the_write_timeout(wsd):
    # [6455-7.1.1-RESET]
    server = wsd("--write-timeout", "300ms")
    with Raw(server, "/echo/raw") as raw:
        try:
            raw.send_until_full(frame(BINARY, b"x" * 10_000))
        except ConnectionError:
            pass  # the reset came meanwhile
        server.logged(r"Session [0-9a-f]{8} reset: write timeout: the peer reads too slowly or not at all \(queued \d+ bytes\)")
        wait_for(lambda: server.sessions() == [], "the session is gone")


def test_slow_reading_does_not_postpone_the_write_timeout(wsd):
    server = wsd("--write-timeout", "2s")
    with Raw(server, "/echo/raw", small_buffer=True) as raw:
        raw.send_until_full(frame(BINARY, b"x" * 100_000))

        def read_a_little():
            try:
                raw.socket.recv(100)
            except ConnectionResetError:
                return True
            return "reset: write timeout: the peer reads too slowly or not at all" in server.log()
        wait_for(read_a_little, "a reset although the peer reads a little")


def test_wsd_drops_a_failed_session_if_the_peer_never_answers_the_close(wsd):
    """We fail the connection; the peer neither answers nor ends TCP."""
    server = wsd("--drain-timeout", "200ms")
    with Raw(server, "/echo") as raw:
        raw.send(frame(CONTINUATION, b"of nothing"))
        assert raw.close_frame()[0] == 1002
        wait_for(lambda: server.sessions() == [], "the session is gone")


def test_wsd_drops_a_closed_session_if_the_peer_never_sends_a_fin(wsd):
    server = wsd("--drain-timeout", "200ms")
    with Raw(server, "/echo") as raw:
        raw.send(frame(CLOSE, b"\x03\xe8"))
        assert raw.close_frame() == (1000, "")
        try:  # sending more does not extend the deadline
            wait_for(lambda: raw.send(b"x") or server.sessions() == [], "the session is gone")
        except ConnectionError:
            wait_for(lambda: server.sessions() == [], "the session is gone")


PONG_TIMEOUT = (r"Session [0-9a-f]{8} reset: pong timeout: the peer did not answer our ping and sends nothing else "
                r"\(queued 0 bytes\)")


def test_wsd_resets_a_peer_that_acknowledges_the_ping_and_sends_nothing(wsd):
    # [6455-7.1.1-RESET]
    server = wsd("--ping-interval", "50ms", "--pong-timeout", "200ms")
    with Raw(server, "/echo") as raw:
        assert raw.frame() == (PING, b"")
        with pytest.raises(ConnectionResetError):
            raw.frame()
    server.logged(PONG_TIMEOUT)


def test_a_peer_that_sends_messages_but_no_pong_is_alive(wsd):
    server = wsd("--ping-interval", "50ms", "--pong-timeout", "500ms")
    with Raw(server, "/echo") as raw:
        assert raw.frame() == (PING, b"")
        for _ in range(20):  # for two pong timeouts
            raw.send(frame(TEXT, b"x"))
            assert raw.frame() == (TEXT, b"Echo: x")  # no second ping: the first one is not answered yet
            time.sleep(0.05)
        with pytest.raises(ConnectionResetError):  # once it is silent
            raw.frame()
    server.logged(PONG_TIMEOUT)


def test_a_peer_is_not_reset_by_the_pong_timeout_while_it_sends_a_long_frame(wsd):
    # [6455-5.4-CONTROL] A pong cannot be sent before the end of the frame.
    server = wsd("--ping-interval", "500ms", "--pong-timeout", "500ms")
    payload = bytes(range(250)) * 1600
    whole = frame(BINARY, payload)
    with Raw(server, "/echo/raw") as raw:
        raw.send(whole[:10])
        time.sleep(0.7)
        assert raw.frame() == (PING, b"")
        for at in range(10, len(whole), 10_000):
            raw.send(whole[at:at + 10_000])
            time.sleep(0.05)
        assert raw.frame() == (BINARY, payload)
        raw.send(frame(PONG))
        assert raw.frame() == (PING, b"")


def test_a_trickle_of_a_frame_is_bounded_by_the_read_timeout_during_keep_alive(wsd):
    server = wsd("--ping-interval", "100ms", "--pong-timeout", "100ms", "--read-timeout", "1s")
    with Raw(server, "/echo/raw") as raw:
        raw.send(frame(BINARY, bytes(400_000))[:20])
        assert raw.frame() == (PING, b"")
        trickle_until_answered(raw, (b"." for _ in range(50 * PATIENCE)))
        assert raw.close_frame() == (1008, "the message arrives too slowly")


def test_pings_and_pongs_within_a_message_do_not_extend_its_read_timeout(wsd):
    """In each window the control frames have more than --outbox-low bytes, but do not count."""
    server = wsd("--outbox-low", "1000", "--read-timeout", "500ms")
    with Raw(server, "/echo/raw") as raw:
        raw.send(frame(TEXT, b"first", fin=False))
        trickle_until_answered(raw, (frame(PONG, b"p" * 125) for _ in range(50 * PATIENCE)))
        assert raw.close_frame() == (1008, "the message arrives too slowly")


@contextlib.contextmanager
def unread_flood(server):
    """A chat member with a small receive buffer for which the kernel of wsd's side holds unacknowledged output, but
    nothing is queued in wsd. Another member sends it, and answers pings meanwhile."""
    with Raw(server, "/chat", small_buffer=True) as reader, Raw(server, "/chat") as speaker:
        for raw in (reader, speaker):
            raw.frame()
        speaker.send(frame(BINARY, b"x" * 100_000))
        yield reader, speaker


@only_plain("the client reads a whole record of 16 KiB at a time, and so too rarely")
def test_a_peer_that_reads_slowly_is_alive(wsd):
    server = wsd("--ping-interval", "300ms", "--pong-timeout", "500ms")
    with unread_flood(server) as (reader, speaker):
        received = b""
        while len(received) < 100_000:  # 20 times the pong timeout: its pong cannot come before it has read the ping
            received += reader.socket.recv(1000)
            for raw in (speaker,):
                raw.send(frame(PONG))
            time.sleep(0.05)
        assert received.count(b"x") > 90_000
        assert [row.state for row in server.sessions()] == ["open", "open"]


def test_a_peer_that_does_not_read_is_reset_although_nothing_is_queued_in_wsd(wsd):
    server = wsd("--ping-interval", "300ms", "--pong-timeout", "500ms", "--write-timeout", "1h")
    with unread_flood(server) as (reader, speaker):
        def is_reset():
            speaker.send(frame(PONG))
            return re.search(PONG_TIMEOUT, server.log())
        wait_for(is_reset, "the reset of the member that does not read", found=server.log_tail)
        assert len(server.sessions()) == 1


def test_wsd_releases_the_sessions_and_descriptors_of_vanished_peers(wsd):
    server = wsd()
    descriptors = server.descriptors_at_start()
    for how in (Raw.close, Raw.reset):
        for begin in (lambda: Raw(server), lambda: Raw(server, "/chat"), lambda: Raw(server, "/echo")):
            how(begin())
        half = Raw(server)
        half.send(upgrade("/chat")[:40])
        how(half)
    wait_for(lambda: server.sessions() == [], "all sessions are gone", found=server.sessions)
    wait_for(lambda: server.descriptors() == descriptors, f"{descriptors} descriptors", found=server.descriptors)
    server.logged(r"Client disconnect: [0-9a-f]{8}, Total: 0")


def test_a_half_closed_peer_still_receives_its_answer(wsd):
    server = wsd()
    payload = b"x" * 1_000_000
    with Raw(server, "/echo/raw", small_buffer=True) as raw:
        raw.send(frame(BINARY, payload))
        raw.finish_writing()
        assert raw.frame() == (BINARY, payload)
        assert raw.is_ended()
