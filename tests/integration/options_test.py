"""The options of wsd: --help and error messages, and each limit on the wire at N and at N + 1."""

import json
import os
import re
import resource
import subprocess

import pytest

from conftest import program
from wsd import (BINARY, CLOSE, CONTINUATION, PATIENCE, TEXT, Raw, ask, frame, read_answer, upgrade, wait_for)


def run(*options):
    return subprocess.run([program("wsd"), *options], capture_output=True, text=True, timeout=PATIENCE)


# --- Help and error messages


def test_help_names_every_option_with_its_default_and_unit():
    result = run("--help")
    assert (result.returncode, result.stderr) == (0, "")
    for option, default in [("--address", "127.0.0.1"), ("--port", "8080"), ("--threads", "1"),
                            ("--max-message", "16MiB"),
                            ("--max-fragments", "131072"), ("--max-request-line", "8KiB"),
                            ("--max-field-line", "8KiB"), ("--max-fields", "100"), ("--max-field-bytes", "32KiB"),
                            ("--outbox-high", "256KiB"), ("--outbox-low", "64KiB"), ("--chat-queue", "1MiB"),
                            ("--max-buffered", "512MiB"), ("--max-connections", "0"),
                            ("--max-connections-per-address", "0"), ("--handshake-timeout", "10s"),
                            ("--close-timeout", "3s"), ("--drain-timeout", "2s"), ("--read-timeout", "30s"),
                            ("--write-timeout", "30s"),
                            ("--ping-interval", "0"), ("--pong-timeout", "10s"), ("--stop-timeout", "10s"),
                            ("--log-level", "info"), ("--log-format", "text")]:
        assert re.search(rf"^ +{option} .*={re.escape(default)} ", result.stdout, re.MULTILINE), option
    for option in ("--affinity", "--allowed-origin", "--subprotocol", "--wire-log", "--version"):
        assert re.search(rf"^ +{option}\b", result.stdout, re.MULTILINE), option


def test_version_prints_the_name_and_version_of_wsd():
    result = run("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"wsd \d+\.\d+\.\d+ .*\n", result.stdout)


@pytest.mark.parametrize("options", [
    ["--no-such-option"],
    ["stray"],
    ["--port", "65536"],
    ["--port", "-1"],
    ["--port"],
    ["--threads", "0"],
    ["--threads", "65"],
    ["--address", "no-such-host.invalid"],
    ["--address", "fe80::1%no-such-if"],
    ["--address", "1.2.3.4.5"],
    ["--max-message", "12 apples"],
    ["--max-message", "-1"],
    ["--max-message", "0"],
    ["--max-message", "99999999999999999999"],
    ["--close-timeout", "1KiB"],
    ["--stop-timeout", ""],
    ["--outbox-low", "2MiB"],
    ["--allowed-origin", "good.example"],
    ["--subprotocol", "two words"],
    ["--log-level", "loud"],
    ["--log-format", "xml"],
    ["--wire-log=octal"],
    ["--wire-log", "stray"],
], ids=" ".join)
def test_wsd_names_an_invalid_option_in_one_line_and_exits_with_2(options):
    result = run("--port", "0", *options) if options[0] != "--port" else run(*options)
    assert result.returncode == 2
    assert result.stdout == ""
    assert re.fullmatch(r"wsd: .+\n", result.stderr), result.stderr
    assert options[0].lstrip("-").split("=")[0] in result.stderr, "the message names the option"


def test_wsd_reports_a_port_in_use_in_one_line_and_exits_with_1(wsd):
    result = run("--port", str(wsd().port))
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.fullmatch(r"wsd: cannot listen on 127\.0\.0\.1:\d+: Address already in use.*\n", result.stderr)


def test_wsd_reports_an_address_of_another_host_in_one_line_and_exits_with_1():
    result = run("--address", "192.0.2.1", "--port", "0")
    assert result.returncode == 1
    assert re.fullmatch(r"wsd: cannot listen on 192\.0\.2\.1:0: .+\n", result.stderr)


# --- Origins and subprotocols


def test_wsd_accepts_the_allowed_origins_and_refuses_others_with_403(wsd):
    server = wsd("--allowed-origin", "https://good.example", "--allowed-origin", "http://also.example:8081")
    for origin in ("https://good.example", "https://good.example:443", "http://also.example:8081"):
        with Raw(server) as raw:
            raw.send(upgrade("/chat", f"Origin: {origin}"))
            head = raw.head()
        assert head.startswith("HTTP/1.1 101 ")
        assert re.search(rf"\r\naccess-control-allow-origin: {origin}\r\n", head, re.IGNORECASE)
    for origin in ("http://good.example", "https://good.example.evil.example", "https://also.example", "null", "?"):
        assert ask(server, upgrade("/chat", f"Origin: {origin}")).status == 403
    with Raw(server, "/chat"):
        pass  # a request without an Origin does not come from a browser


def test_origins_without_a_host_can_be_allowed(wsd):
    server = wsd("--allowed-origin", "null", "--allowed-origin", "file://", "--allowed-origin", "capacitor://localhost")
    for origin in ("null", "file://", "capacitor://localhost"):
        with Raw(server, "/chat", f"Origin: {origin}"):
            pass
    for origin in ("http://null", "app://", "capacitor://localhost:8080", "http://localhost"):
        assert ask(server, upgrade("/chat", f"Origin: {origin}")).status == 403, origin


def test_wsd_selects_the_first_offered_subprotocol_that_it_supports(wsd):
    server = wsd("--subprotocol", "one", "--subprotocol", "two")
    for offered, chosen in (("two, one", "two"), ("three, one", "one"), ("three", None)):
        with Raw(server) as raw:
            raw.send(upgrade("/echo", f"Sec-WebSocket-Protocol: {offered}"))
            head = raw.head()
        assert head.startswith("HTTP/1.1 101 ")
        assert re.findall(r"\r\nsec-websocket-protocol: (.*)\r\n", head, re.IGNORECASE) == ([chosen] if chosen else [])


# --- Limits, at N and at N + 1


def status(server, request):
    with Raw(server) as raw:
        raw.send(request)
        return int(raw.head().split(" ")[1])


def test_max_request_line_accepts_n_bytes_and_refuses_n_plus_1_with_414(wsd):
    server = wsd("--max-request-line", "100")
    target = lambda size: "/echo?" + "q" * (size - len("GET /echo? HTTP/1.1"))
    assert status(server, upgrade(target(100))) == 101
    assert status(server, upgrade(target(101))) == 414


def test_max_field_line_accepts_n_bytes_and_refuses_n_plus_1_with_431(wsd):
    server = wsd("--max-field-line", "100")
    assert status(server, upgrade("/echo", "A: " + "b" * 97)) == 101
    assert status(server, upgrade("/echo", "A: " + "b" * 98)) == 431


def test_max_fields_accepts_n_fields_and_refuses_n_plus_1_with_431(wsd):
    server = wsd("--max-fields", "6")
    assert status(server, upgrade("/echo", "A: b")) == 101
    assert status(server, upgrade("/echo", "A: b", "C: d")) == 431


def test_a_refusal_names_the_field_the_limit_and_the_option_in_its_body_and_in_the_log(wsd):
    server = wsd("--max-request-line", "100", "--max-field-line", "200", "--max-fields", "20")
    for request, text in (
        (upgrade("/" + "x" * 100), "the request line is longer than 100 bytes (--max-request-line)"),
        (upgrade("/echo", "Cookie: " + "b" * 200), "the header field 'Cookie' is longer than 200 bytes (--max-field-line)"),
        (upgrade("/echo", "C\x1bk" + "b" * 200),
         rf"the header field 'C\x1bk{'b' * 61}… (201 bytes)' is longer than 200 bytes (--max-field-line)"),
        (upgrade("/echo", *["A: b"] * 20), "the request has more than 20 header fields (--max-fields)"),
    ):
        answer = ask(server, request)
        assert answer.status in (414, 431)
        assert answer.body.decode().startswith(text), answer.body
        server.logged(r"info: Session [0-9a-f]{8} refused: " + re.escape(text) + ".*")


def test_max_field_bytes_accepts_n_bytes_and_refuses_n_plus_1_with_431(wsd):
    request = upgrade("/echo")
    size = len(request) - len(b"GET /echo HTTP/1.1\r\n") - len(b"\r\n")
    assert status(wsd("--max-field-bytes", str(size)), request) == 101
    assert status(wsd("--max-field-bytes", str(size - 1)), request) == 431


def test_max_message_accepts_n_bytes_and_refuses_n_plus_1_with_close_1009(wsd):
    # [6455-10.4-LIMITS] [6455-10.4-MESSAGE] as with each option here: N passes, N + 1 does not
    server = wsd("--max-message", "64KiB")
    for end in (lambda raw, size: raw.send(frame(BINARY, b"x" * size)),
                lambda raw, size: raw.send(frame(BINARY, b"x" * 40_000, fin=False) +
                                           frame(CONTINUATION, b"x" * (size - 40_000)))):
        with Raw(server, "/echo/raw") as raw:
            end(raw, 65536)
            assert raw.frame() == (BINARY, b"x" * 65536)
            end(raw, 65537)
            assert raw.close_frame() == (1009, "message too big")


def test_max_message_applies_to_the_declared_length_before_the_payload_arrives(wsd):
    with Raw(wsd("--max-message", "1KiB"), "/echo") as raw:
        raw.send(frame(TEXT, b"x" * 70_000)[:14])  # a header, and no payload
        assert raw.close_frame() == (1009, "message too big")


def test_max_fragments_accepts_n_fragments_and_refuses_n_plus_1_with_close_1008(wsd):
    server = wsd("--max-fragments", "10")

    def fragments(count):
        return (frame(TEXT, b"a", fin=False) + frame(CONTINUATION, fin=False) * (count - 2) + frame(CONTINUATION))
    with Raw(server, "/echo") as raw:
        for _ in range(2):  # each message has its own count
            raw.send(fragments(10))
            assert raw.frame() == (TEXT, b"Echo: a")
        raw.send(fragments(11))
        assert raw.close_frame()[0] == 1008


def test_messages_before_an_error_are_answered_before_the_close(wsd):
    with Raw(wsd("--max-message", "10"), "/echo") as raw:
        raw.send(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(TEXT, b"x" * 11) + frame(TEXT, b"three"))
        assert raw.frame() == (TEXT, b"Echo: one")
        assert raw.frame() == (TEXT, b"Echo: two")
        assert raw.frame() == (CLOSE, b"\x03\xf1" + b"message too big")
        assert raw.is_ended()


def test_max_connections_refuses_one_more_connection_with_503(wsd):
    server = wsd("--max-connections", "3")
    held = [Raw(server, "/echo") for _ in range(3)]
    with Raw(server) as one_more:
        assert read_answer(one_more).status == 503  # sent before any request
    held.pop().close()
    wait_for(lambda: len(server.sessions()) == 2, "one session has ended")
    with Raw(server, "/echo"):
        pass
    for raw in held:
        raw.close()


def test_max_connections_per_address_refuses_one_more_from_the_same_address(wsd):
    server = wsd("--max-connections-per-address", "2")
    held = [Raw(server, "/echo") for _ in range(2)]
    with Raw(server) as one_more:
        assert read_answer(one_more).status == 503
    with Raw(server, "/echo", source_address=("127.0.0.2", 0)):
        pass
    held.pop().close()
    wait_for(lambda: sum(row.path == "/echo" for row in server.sessions()) == 1, "one session has ended")
    with Raw(server, "/echo"):
        pass
    held.pop().close()


def test_max_buffered_closes_a_session_over_the_budget_with_1013(wsd):
    server = wsd("--max-buffered", "64KiB")
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"x" * 60_000, fin=False))
        raw.send(frame(CONTINUATION, b"x" * 60_000))
        assert raw.close_frame()[0] == 1013
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"hello"))
        assert raw.frame() == (TEXT, b"Echo: hello")


def test_outbox_high_limits_the_bytes_queued_for_a_slow_reader(wsd):
    low, high = 4096, 8192
    server = wsd("--outbox-high", str(high), "--outbox-low", str(low))
    with Raw(server, "/echo/raw", small_buffer=True) as raw:
        raw.send_until_full(frame(BINARY, b"x" * 1000))
        (row,) = server.sessions()
        assert row.queued > high
        # Above the mark there is at most the data collected for one write.
        assert row.queued <= high + 64 * 1024 + 1000 + 4


# --- The log


LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error): .+")


def talk(server):
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, 'line\nfeed, "quotes", \\ and \x1b[31m'.encode()) + frame(TEXT, b"\xff"))
        raw.close_frame()


def test_text_log_lines_have_time_and_level_and_escape_control_characters(wsd):
    server = wsd()
    talk(server)
    server.logged(re.escape(r'Received: line\nfeed, "quotes", \\ and \x1b[31m'))
    server.logged("Error: text is not UTF-8")
    for line in server.log().splitlines():
        assert LINE.fullmatch(line), line


def test_json_log_lines_have_time_level_and_escaped_message(wsd):
    server = wsd("--log-format", "json")
    talk(server)
    server.logged(r".*text is not UTF-8.*")
    lines = [json.loads(line) for line in server.log().splitlines()]
    assert all(set(line) == {"time", "level", "message"} for line in lines)
    assert {"level": "info", "message": r'Received: line\nfeed, "quotes", \\ and \x1b[31m'} in [
        {"level": line["level"], "message": line["message"]} for line in lines]


def test_a_long_text_is_cut_in_the_log(wsd):
    server = wsd()
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"x" * 5000))
        raw.frame()
    (line,) = server.logged(r"Received: (x+)… \(5000 bytes\)")
    assert len(line[1]) == 1024


def test_a_broken_rule_is_logged_with_its_tag(wsd):
    # [6455-7.1.7-LOG]
    server = wsd()
    with Raw(server, "/echo/raw") as raw:
        host, port = raw.socket.getsockname()
        raw.send(frame(TEXT, b"\xff"))
        raw.close_frame()
    server.logged(rf".* warning: Session [0-9a-f]{{8}} of {host}:{port} failed: text is not UTF-8 \[6455-8[.]1-UTF8\]")


def test_lines_about_broken_rules_are_limited_and_the_others_counted(wsd):
    server = wsd()
    for _ in range(25):
        with Raw(server, "/echo/raw") as raw:
            raw.send(frame(TEXT, b"\xff"))
            raw.close_frame()
    log = server.end()
    failed = len(re.findall(" failed: text is not UTF-8", log))
    left_out = re.findall(r"warning: Log limit: (\d+) more lines about failed sessions were left out", log)
    assert failed >= 10
    assert failed + sum(map(int, left_out)) == 25
    assert left_out


def test_lines_about_requests_over_a_limit_are_limited_too(wsd):
    server = wsd("--max-request-line", "40")
    for _ in range(25):
        with Raw(server) as raw:
            raw.send(b"GET /" + b"x" * 40 + b" HTTP/1.1\r\n\r\n")
            assert raw.head().startswith("HTTP/1.1 414 ")
    log = server.end()
    refused = log.count(" refused: the request line is longer than 40 bytes (--max-request-line)")
    left_out = re.findall(r"Log limit: (\d+) more lines about failed sessions were left out", log)
    assert refused + sum(map(int, left_out)) == 25
    assert left_out


def test_the_number_of_lines_left_out_is_logged_while_wsd_runs(wsd):
    server = wsd()
    for _ in range(15):
        with Raw(server, "/echo/raw") as raw:
            raw.send(frame(TEXT, b"\xff"))
            raw.close_frame()
    server.logged(r".*Log limit: \d+ more lines about failed sessions were left out .*")


def test_a_normal_close_is_no_error_in_the_log(wsd):
    server = wsd("--log-level", "debug")
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"hello") + frame(CLOSE, b"\x03\xe8"))
        assert raw.frame() == (TEXT, b"Echo: hello")
        assert raw.close_frame() == (1000, "")
    with Raw(server, "/echo") as raw:
        raw.finish_writing()
        assert raw.is_ended()
    wait_for(lambda: server.sessions() == [], "the sessions are gone")
    server.logged(r".*Z info: Received: hello")
    assert not re.search("Z (warning|error): ", server.end())


def test_a_failed_echo_is_an_error_in_the_log(wsd):
    server = wsd()
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"\xff"))
        raw.close_frame()
    server.logged(r".*Z error: Error: text is not UTF-8")


OPTIONS = b"OPTIONS / HTTP/1.0\r\n\r\n"
HALF = b"GET /echo HTTP/1.1\r\nHost: "


@pytest.mark.parametrize("sent, how, level, text", [
    (b"", Raw.close, "debug", "ended without a request"),
    (b"", Raw.reset, "debug", "ended without a request: Connection reset by peer"),
    (HALF, Raw.close, "debug", "ended within the request"),
    (HALF, Raw.reset, "debug", "ended within the request: Connection reset by peer"),
    (OPTIONS, Raw.reset, "debug", "was lost after the answer: Connection reset by peer")],
    ids=["FIN", "reset", "FIN within the request", "reset within the request", "reset after the answer"])
def test_an_end_without_a_request_is_logged_with_the_address_and_is_no_error(wsd, sent, how, level, text):
    """Health checks, such as those of haproxy, end connections like this."""
    server = wsd("--log-level", "debug", "--drain-timeout", "1h")
    raw = Raw(server)
    host, port = raw.socket.getsockname()
    raw.send(sent)
    if sent == OPTIONS:
        raw.head()
    wait_for(lambda: len(server.sessions()) == 1, "the connection is accepted")
    how(raw)
    server.logged(rf".*Z {level}: Session [0-9a-f]{{8}} of {host}:{port} {text}")
    assert not re.search("Z (warning|error): ", server.end())


def test_an_answered_request_that_ends_normally_is_not_logged(wsd):
    server = wsd("--log-level", "debug")
    with Raw(server) as raw:
        raw.send(OPTIONS)
        assert raw.head().startswith("HTTP/1.1 ")
    wait_for(lambda: server.sessions() == [], "the session is gone")
    assert " of 127.0.0.1:" not in server.end()


def test_log_level_suppresses_less_severe_messages(wsd):
    for level, is_info, is_error in (("info", True, True), ("error", False, True), ("off", False, False)):
        server = wsd("--log-level", level)
        talk(server)
        log = server.end()
        assert ("Received" in log) == is_info
        assert ("Error: text" in log) == is_error
        if level == "off":
            assert log == ""


@pytest.mark.parametrize("closed", [0, 2])
def test_wsd_opens_dev_null_in_place_of_a_closed_standard_stream(wsd, closed):
    server = wsd(prepare=lambda: os.close(closed))
    assert os.readlink(f"/proc/{server.pid}/fd/{closed}") == "/dev/null"


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one(wsd):
    server = wsd(prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512)))
    server.logged("info: Descriptors allowed: 512")
