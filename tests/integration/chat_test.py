"""The chat with many members: who receives which messages, and who is disconnected."""

import json
import subprocess

import pytest

from conftest import HERE, loops
from wsd import BINARY, CLOSE, PATIENCE, TEXT, Raw, frame, wait_for

CLIENTS, MESSAGES = 50, 200

wsd = loops(1, 2)


def talk(server, size, window):
    """50 clients of npm's `ws` send 200 texts each. Returns the number of texts received, and the faults."""
    command = ["node", HERE / "chat.js", server.url("/chat"), *map(str, (CLIENTS, MESSAGES, size, window))]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=2 * PATIENCE)
    result = json.loads(run.stdout)
    return result["heard"], result["faults"]


def test_each_member_receives_all_messages_of_the_others_once_and_in_sender_order(wsd):
    server = wsd()
    # All clients send at once: 10,000 texts, 340 KiB for each receiver, less than the limit.
    assert talk(server, size=20, window=MESSAGES) == (CLIENTS * (CLIENTS - 1) * MESSAGES, [])
    server.logged(r"Client disconnect: [0-9a-f]{8}, Total: 0")


def test_a_binary_message_is_broadcast_as_text(wsd):
    server = wsd()
    with Raw(server, "/chat") as speaker, Raw(server, "/chat") as listener:
        assert listener.frame() == (TEXT, b"Welcome to broadcast chat!")
        speaker.send(frame(BINARY, b"caf\xc3\xa9 \xff"))
        assert listener.frame() == (TEXT, "Broadcast: caf\u00e9 \ufffd".encode())


def test_a_member_that_never_reads_is_disconnected_and_the_others_lose_no_message(wsd):
    """10,000 texts of 1 KiB are sent to it: the kernel buffers some 4 MB, the server queues 1 MiB."""
    server = wsd("--close-timeout", "1s")
    with Raw(server, "/chat") as silent:
        (joined,) = server.logged(r"New client connected: ([0-9a-f]{8}), Total: 1")
        assert talk(server, size=1024, window=8) == (CLIENTS * (CLIENTS - 1) * MESSAGES, [])
        server.logged(f"Client disconnect: {joined[1]}, Total: (\\d+)")
        if f"Session {joined[1]} reset: close timeout: the peer is not reading" in server.log():
            with pytest.raises(ConnectionResetError):
                silent.close_frame()
        else:  # after the messages were dropped, the kernel accepted the Close
            assert silent.close_frame() == (1008, "too slow: messages were dropped")
    put_out = server.logged(r"Session ([0-9a-f]{8}) disconnected: the peer reads too slowly \(queued (\d+) bytes\)")
    assert [line[1] for line in put_out] == [joined[1]]
    assert 1024 * 1024 < int(put_out[0][2]) < 2 * 1024 * 1024


def test_a_disconnected_slow_reader_receives_whole_messages_and_then_close_1008(wsd):
    # [6455-5.5.1-DELAY]
    server = wsd("--close-timeout", "60s", "--log-level", "warn")
    idle = server.descriptors()
    texts = [b"%06d " % number + bytes([ord(".")]) * 1024 for number in range(20_000)]
    with Raw(server, "/chat") as slow, Raw(server, "/chat") as quick, Raw(server, "/chat") as speaker:
        for member in (slow, quick, speaker):
            assert member.frame() == (TEXT, b"Welcome to broadcast chat!")
        said = 0
        while "disconnected" not in server.log():
            assert said < len(texts), "the slow reader was not disconnected"
            batch = texts[said:said + 100]
            said += len(batch)
            speaker.send(b"".join(frame(TEXT, text) for text in batch))
            for text in batch:
                assert quick.frame() == (TEXT, b"Broadcast: " + text)

        heard = 0
        while (next_frame := slow.frame())[0] != CLOSE:
            assert next_frame == (TEXT, b"Broadcast: " + texts[heard])
            heard += 1
        assert next_frame[1][:2] == b"\x03\xf0", "the close code is 1008"
        assert next_frame[1][2:] == b"too slow: messages were dropped"
        assert heard < said - 900, "about 1 MiB was dropped"
        slow.send(frame(CLOSE, next_frame[1][:2]))
        assert slow.is_ended()

        speaker.send(frame(TEXT, b"still there?"))
        assert quick.frame() == (TEXT, b"Broadcast: still there?")
    assert len(server.logged(r"Session [0-9a-f]{8} disconnected: the peer reads too slowly \(queued \d+ bytes\)")) == 1
    wait_for(lambda: server.descriptors() == idle, "no session is left")
