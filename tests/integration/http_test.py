"""HTTP over a socket: the table of refusals, the page, /healthz, CORS."""

import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from wsd import PATIENCE, TEXT, Raw, ask, frame, read_answer, upgrade

VARY = ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"]
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) 20\d\d "
                  r"\d\d:\d\d:\d\d GMT")


def edited(old, new):
    """A proper upgrade to /echo with one fault."""
    request = upgrade("/echo")
    assert old in request
    return request.replace(old, new)


KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
HOST = b"Host: localhost:8080\r\n"

TABLE = [
    ("malformed request line", 400, edited(b"GET /echo HTTP", b"GET  /echo HTTP")),
    ("no HTTP at all", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    ("malformed field", 400, edited(HOST, HOST + b"no colon\r\n")),
    ("bare CR", 400, edited(HOST, HOST + b"A: b\rc\r\n")),
    ("NUL", 400, edited(HOST, HOST + b"A: b\0c\r\n")),
    ("folding", 400, edited(HOST, HOST + b"A: b\r\n c\r\n")),
    ("blank before the colon", 400, edited(HOST, HOST + b"A : b\r\n")),
    ("no Host", 400, edited(HOST, b"")),
    ("two Hosts", 400, edited(HOST, HOST * 2)),
    ("empty Host", 400, edited(HOST, b"Host:\r\n")),
    ("Host with a port that is no number", 400, edited(HOST, b"Host: localhost:http\r\n")),
    ("Host with an IPv6 address without brackets", 400, edited(HOST, b"Host: ::1\r\n")),
    ("Host with a malformed IPv6 address", 400, edited(HOST, b"Host: [::1::]:8080\r\n")),
    ("Host with a zone", 400, edited(HOST, b"Host: [fe80::1%25eth0]:8080\r\n")),
    ("length and encoding", 400, edited(HOST, HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
    ("no key", 400, edited(KEY, b"")),
    ("two keys", 400, edited(KEY, KEY * 2)),
    ("malformed key", 400, edited(b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZQ==")),
    ("malformed extensions", 400, edited(HOST, HOST + b"Sec-WebSocket-Extensions: permessage-deflate;\r\n")),
    ("body with an upgrade", 400, edited(HOST, HOST + b"Content-Length: 5\r\n") + b"hello"),
    ("empty subprotocols", 400, edited(HOST, HOST + b"Sec-WebSocket-Protocol:\r\n")),
    ("empty extensions", 400, edited(HOST, HOST + b"Sec-WebSocket-Extensions:\r\n")),
    ("malformed percent-encoding", 400, upgrade("/ech%6")),
    ("the server as a whole", 400, upgrade("*")),
    ("no such path", 404, upgrade("/nothing")),
    ("an upgrade of the page", 404, upgrade("/")),
    ("an upgrade of the health check", 404, upgrade("/healthz")),
    ("another path when decoded", 404, upgrade("/echo%2Fraw")),
    ("a path below", 404, upgrade("/echo/")),
    ("another method", 405, edited(b"GET /echo", b"POST /echo")),
    ("target too long", 414, edited(b"/echo", b"/" + b"e" * 9000)),
    ("field too long", 431, edited(HOST, HOST + b"A: " + b"b" * 9000 + b"\r\n")),
    ("fields too many", 431, edited(HOST, HOST + b"A: b\r\n" * 100)),
    ("no Upgrade", 426, edited(b"Upgrade: websocket\r\n", b"")),
    ("Upgrade to another", 426, edited(b"Upgrade: websocket", b"Upgrade: h2c")),
    ("HTTP/1.0", 426, edited(b"HTTP/1.1", b"HTTP/1.0")),
    ("another version", 426, edited(b"Version: 13", b"Version: 8")),
    ("HTTP/2.0", 505, edited(b"HTTP/1.1", b"HTTP/2.0")),
]


@pytest.mark.parametrize("status, request_bytes", [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_wsd_refuses_an_unacceptable_request_with_the_right_status(wsd, status, request_bytes):
    answer = ask(wsd(), request_bytes)
    assert answer.status == status, answer
    (date,) = answer.fields["date"]
    assert DATE.fullmatch(date)
    assert answer.fields["connection"] == ["close, Upgrade" if status == 426 else "close"]
    assert answer.fields["content-type"] == ["text/plain; charset=utf-8"]
    assert answer.fields["content-length"] == [str(len(answer.body))]
    assert answer.body.endswith(b"\n") and len(answer.body) > 5, "the body describes the error"
    if status == 405:
        assert "OPTIONS" in answer.fields["allow"][0]
    if status == 426:
        assert answer.fields["upgrade"] == ["websocket"]
        assert answer.fields["sec-websocket-version"] == ["13"]


@pytest.mark.parametrize("change", [
    (b"GET /echo", b"\r\nGET /echo"),
    (b"GET /echo", b"GET http://localhost:8080/echo"),
    (b"/echo", b"/echo?a=b"),
    (b"HTTP/1.1", b"HTTP/1.2"),
    (b"Connection: Upgrade", b"Connection: keep-alive, UPGRADE"),
    (b"Upgrade: websocket\r\n", b"uPGRADE: h2c\r\nUPGRADE: WebSocket\r\n"),
])
def test_wsd_accepts_valid_variants_of_the_upgrade_request(wsd, change):
    with Raw(wsd()) as raw:
        raw.send(edited(*change))
        assert raw.head().startswith("HTTP/1.1 101 ")


def test_wsd_accepts_a_request_that_arrives_byte_by_byte(wsd):
    with Raw(wsd()) as raw:
        for byte in upgrade("/echo"):
            raw.send(bytes([byte]))
        assert raw.head().startswith("HTTP/1.1 101 ")


def test_wsd_answers_a_frame_sent_together_with_the_request(wsd):
    with Raw(wsd()) as raw:
        raw.send(upgrade("/echo") + frame(TEXT, b"early"))
        raw.head()
        assert raw.frame() == (TEXT, b"Echo: early")


def test_a_client_that_sends_more_than_wsd_reads_receives_the_whole_refusal(wsd):
    """Closing a socket with unread bytes sends a reset, which may discard data that the client has not read yet."""
    with Raw(wsd()) as raw:
        raw.send(upgrade("/nothing") + b"x" * 2_000_000)
        answer = read_answer(raw)  # ConnectionResetError if wsd did not drain its input
    assert answer.status == 404


def test_wsd_does_not_answer_a_request_pipelined_after_a_refused_one(wsd):
    with Raw(wsd()) as raw:
        raw.send(upgrade("/nothing") + upgrade("/echo"))
        answer = read_answer(raw)
    assert answer.status == 404
    assert len(answer.body) == int(answer.fields["content-length"][0])


def test_wsd_answers_408_if_the_request_head_is_incomplete_at_the_deadline(wsd):
    with Raw(wsd("--handshake-timeout", "200ms")) as raw:
        raw.send(b"GET /echo HTTP/1.1\r\n")
        assert read_answer(raw).status == 408


def test_wsd_answers_403_if_the_origin_is_not_allowed(wsd):
    server = wsd("--allowed-origin", "https://good.example")
    answer = ask(server, upgrade("/chat", "Origin: https://evil.example"))
    assert answer.status == 403
    assert answer.fields["vary"] == VARY
    with Raw(server, "/chat", "Origin: https://good.example"):
        pass


# --- The page and /healthz

PAGE = Path(__file__).resolve().parents[2] / "server" / "http"


@pytest.mark.parametrize("path, name, content_type", [
    ("/", "page.html", "text/html; charset=utf-8"),
    ("/page.css", "page.css", "text/css; charset=utf-8"),
    ("/page.js", "page.js", "text/javascript; charset=utf-8"),
])
def test_wsd_serves_the_files_of_the_page_with_security_headers(wsd, path, name, content_type):
    server = wsd()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=PATIENCE) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == content_type
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.read() == (PAGE / name).read_bytes()


def test_healthz_answers_200_ok_and_forbids_caching(wsd):
    answer = ask(wsd(), b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (answer.status, answer.body, answer.fields["cache-control"]) == (200, b"ok\n", ["no-store"])


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/healthz"])
def test_head_request_is_answered_with_content_length_and_no_body(wsd, path):
    server = wsd()
    got = ask(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = ask(server, f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert head.status == 200
    assert head.body == b""
    assert head.fields["content-length"] == got.fields["content-length"] == [str(len(got.body))]


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/healthz"])
def test_wsd_answers_delete_with_405_and_names_the_allowed_methods(wsd, path):
    answer = ask(wsd(), f"DELETE {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (answer.status, answer.fields["allow"]) == (405, ["GET, HEAD, OPTIONS"])


@pytest.mark.parametrize("target", ["*", "/", "/page.js", "/healthz"])
@pytest.mark.parametrize("rest", ["HTTP/1.1\r\nHost: x\r\n", "HTTP/1.0\r\n", "HTTP/1.0\r\nHost: x\r\n"])
def test_options_is_answered_with_200_and_the_allowed_methods(wsd, target, rest):
    answer = ask(wsd(), f"OPTIONS {target} {rest}\r\n".encode())
    assert (answer.status, answer.body) == (200, b"")
    assert answer.fields["allow"] == ["GET, HEAD, OPTIONS"]
    assert answer.fields["content-length"] == ["0"]


def test_options_of_an_unknown_path_is_answered_with_404(wsd):
    assert ask(wsd(), b"OPTIONS /nothing HTTP/1.0\r\n\r\n").status == 404


def test_the_404_to_an_upgrade_of_the_page_names_the_endpoints(wsd):
    answer = ask(wsd(), upgrade("/"))
    assert answer.body == b"no WebSocket at this path; try /echo or /chat\n"
    assert answer.fields["content-type"] == ["text/plain; charset=utf-8"]


def test_encoded_unreserved_characters_of_a_path_are_decoded(wsd):
    with Raw(wsd(), "/%65cho") as raw:
        raw.send(frame(TEXT, b"Hi"))
        assert raw.frame()[-1] == b"Echo: Hi"


# --- CORS, as Spring's permitDefaultValues answers

def test_every_refusal_on_a_route_has_the_vary_fields_of_cors(wsd):
    server = wsd()
    for request in (edited(KEY, b""), edited(b"GET /echo", b"POST /echo"), edited(b"Version: 13", b"Version: 8")):
        assert ask(server, request).fields["vary"] == VARY
    assert "vary" not in ask(server, upgrade("/nothing")).fields


@pytest.mark.parametrize("origin, allowed", [
    ("https://other.example", "*"),
    ("null", "*"),
    ("http://localhost:8081", "*"),
    ("file://", "*"),
    ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", "*"),
    ("capacitor://localhost", "*"),
    ("nonsense", "*"),
    ("http://x:99999", "*"),
    ("http://u@x/path?query", "*"),
    ("http://localhost:8080", None),  # same origin
    ("http://u@localhost:8080", None),
])
def test_all_origins_are_allowed_by_default(wsd, origin, allowed):
    with Raw(wsd()) as raw:
        raw.send(upgrade("/echo", f"Origin: {origin}"))
        head = raw.head()
    assert head.startswith("HTTP/1.1 101 ")
    found = re.findall(r"\r\naccess-control-allow-origin: (.*)\r\n", head, re.IGNORECASE)
    assert found == ([allowed] if allowed else [])


def test_wsd_refuses_the_malformed_origins_that_spring_refuses(wsd):
    server = wsd()
    for origin in ("", "**", "http://a b", "http://a, http://b", "http://a:x", "http://[zz]", "http://a%4"):
        assert ask(server, upgrade("/echo", f"Origin: {origin}")).status == 403, origin


def test_refused_head_request_is_answered_with_content_length_and_no_body(wsd):
    server = wsd()
    for path, status in (("/nope", 404), ("/echo", 405)):
        answer = ask(server, f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.status == status
        assert int(answer.fields["content-length"][0]) > 0
        assert answer.body == b""


def test_preflight_is_answered_with_the_allowed_methods_headers_and_max_age(wsd):
    answer = ask(wsd(), b"OPTIONS /echo HTTP/1.1\r\nHost: localhost:8080\r\nOrigin: https://other.example\r\n"
                        b"Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: x-one, x-two\r\n\r\n")
    assert answer.status == 200
    assert answer.fields["vary"] == VARY
    assert answer.fields["access-control-allow-origin"] == ["*"]
    assert answer.fields["access-control-allow-methods"] == ["GET,HEAD,POST"]
    assert answer.fields["access-control-allow-headers"] == ["x-one, x-two"]
    assert answer.fields["access-control-max-age"] == ["1800"]
    assert answer.body == b""


def test_preflight_for_a_method_that_is_not_allowed_is_refused_with_403(wsd):
    answer = ask(wsd(), b"OPTIONS /echo HTTP/1.1\r\nHost: localhost:8080\r\nOrigin: https://other.example\r\n"
                        b"Access-Control-Request-Method: DELETE\r\n\r\n")
    assert answer.status == 403


# --- Addresses

def test_wsd_listens_only_on_the_given_ipv6_address(wsd):
    server = wsd("--address", "::1")
    assert server.address == "::1"
    assert ask(server, b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n").status == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


@pytest.mark.parametrize("threads", ["1", "3"])
def test_wsd_listens_on_all_addresses_of_a_host_name_with_one_port(wsd, name_of_three_addresses, threads):
    server = wsd("--address", "three.test", "--threads", threads, command=name_of_three_addresses)
    lines = [f"listening on {server.address if ':' not in server.address else '[::1]'}:{server.port}\n".encode()]
    lines += [server.process.stdout.readline() for _ in range(2)]
    assert sorted(lines) == sorted(f"listening on {host}:{server.port}\n".encode()
                                   for host in ("[::1]", "127.0.0.1", "127.0.0.2"))
    for host in ("::1", "127.0.0.1", "127.0.0.2"):
        with socket.create_connection((host, server.port), timeout=PATIENCE) as client:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_plain_http_request_to_echo_is_answered_426(wsd):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{wsd().port}/echo", timeout=PATIENCE)
    assert refused.value.code == 426
    refused.value.close()
