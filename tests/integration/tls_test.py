"""TLS listeners: options, files, the opening, ends, attacks and the wire log. FBF_TLS=1 runs other tests over TLS."""

import contextlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from conftest import loops, program
from wsd import BINARY, CLOSE, PATIENCE, TEXT, Raw, certificate, frame, read_answer, tls_context, tls_options, upgrade
from wsd import wait_for

wsd_with_loops = loops(1, 2)


@pytest.fixture
def tls(wsd):
    """Starts servers that listen for TLS only: tls("--threads", "2")."""
    return lambda *options, **more: wsd("--no-plain", *tls_options(), *options, **more)


@contextlib.contextmanager
def connect_in_memory(server):
    """A TLS client after its handshake that sends nothing by itself: (TCP socket, client, its input, its output)."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls_context().wrap_bio(into, out, server_hostname="localhost")
    with socket.create_connection((server.address, server.port), timeout=PATIENCE) as connection:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(out.read())
                into.write(connection.recv(1 << 16))
        yield connection, client, into, out


def refused(*options):
    result = subprocess.run([program("wsd"), "--port", "0", *options], capture_output=True, text=True, timeout=PATIENCE)
    assert result.stdout == ""
    return result.returncode, result.stderr


# --- options and files

@pytest.mark.parametrize("options, error", [
    (["--tls-key", "k"], "--tls-key: requires --tls-cert"),
    (["--tls-port", "0"], "--tls-port: requires --tls-cert"),
    (["--no-plain"], "--no-plain: requires --tls-cert"),
    (["--tls-cert", "c"], "--tls-cert: requires --tls-key"),
])
def test_options_of_tls_that_need_another_are_refused(options, error):
    assert refused(*options) == (2, f"wsd: {error} (wsd --help lists the options)\n")


def test_a_file_that_cannot_be_used_ends_wsd_with_one_line(tmp_path):
    cert, key = certificate()
    missing, encrypted = str(tmp_path / "missing.pem"), str(tmp_path / "encrypted.pem")
    subprocess.run(["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:x", "-out", encrypted], check=True)
    for files, error in {
        (missing, key): f"cannot read the certificate {missing}: No such file or directory",
        (cert, missing): f"cannot read the key {missing}: No such file or directory",
        (cert, cert): f"the key {cert} is not a private key in PEM format",
        (cert, encrypted): f"the key {encrypted} is encrypted, which wsd does not support; decrypt it with: openssl pkey -in "
                           f"{encrypted} -out NEW_FILE",
    }.items():
        assert refused(*tls_options(files)) == (1, f"wsd: {error}\n")


def test_wsd_listens_for_both_on_two_ports_and_serves_one_chat(wsd):
    server = wsd(*tls_options())
    with Raw(server, "/chat") as plain:
        plain.frame()
        server.port, server.is_tls = server.tls_port, True
        with Raw(server, "/chat") as secure:
            secure.frame()
            secure.send(frame(TEXT, b"hello"))
            assert plain.frame() == (TEXT, b"Broadcast: hello")


def test_a_busy_tls_port_is_named(wsd):
    server = wsd("--no-plain", *tls_options())
    cert, key = certificate()
    assert refused("--tls-cert", cert, "--tls-key", key, "--tls-port", str(server.port)) == (
        1, f"wsd: cannot listen on 127.0.0.1:{server.port}: Address already in use (with --port 0 or --tls-port 0 the "
           "kernel chooses a free port)\n")


def test_a_doubtful_key_is_used_with_a_warning(wsd, tmp_path):
    cert, key = (shutil.copy(file, tmp_path) for file in certificate())
    (tmp_path / "key.pem").chmod(0o644)
    server = wsd("--no-plain", *tls_options((cert, key)))
    server.logged(f".* warning: TLS: the key {key} can be read by other users; fix it with: chmod 600 {key}")
    with Raw(server, "/echo"):
        pass


def test_core_files_are_disabled(wsd):
    limits = open(f"/proc/{wsd(*tls_options()).pid}/limits").read()
    assert re.search(r"Max core file size +0 +0 ", limits)


# --- the opening

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_carry_messages_of_all_lengths(tls, version):
    # [6455-10.6-TLS]
    server = tls()
    context = tls_context()
    context.minimum_version = context.maximum_version = version
    connection = context.wrap_socket(socket.create_connection((server.address, server.port), timeout=PATIENCE),
                                     server_hostname="localhost")
    with Raw(server) as raw:
        raw.socket.close()
        raw.socket = connection
        assert connection.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        raw.send(upgrade("/echo/raw"))
        assert raw.head().startswith("HTTP/1.1 101 ")
        for size in (0, 1, 125, 126, 16_383, 16_384, 16_385, 65_535, 65_536, 1_000_000):
            payload = bytes(i * 7 % 251 for i in range(size))
            raw.send(frame(BINARY, payload))
            assert raw.frame() == (BINARY, payload)


@pytest.mark.parametrize("protocols, chosen", [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None)])
def test_alpn_chooses_http_1_1(tls, protocols, chosen):
    server = tls()
    context = tls_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    with context.wrap_socket(socket.create_connection((server.address, server.port)), server_hostname="localhost") as raw:
        assert raw.selected_alpn_protocol() == chosen


def test_alpn_without_http_1_1_is_refused_with_an_alert(tls):
    server = tls()
    context = tls_context()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        context.wrap_socket(socket.create_connection((server.address, server.port)), server_hostname="localhost")


def test_a_plain_request_to_the_tls_port_gets_a_readable_400(tls):
    # [6455-4.2.2-TLS]
    server = tls()
    server.is_tls = False
    for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", upgrade("/echo")):
        with Raw(server) as raw:
            raw.send(request)
            answer = read_answer(raw)
            assert (answer.status, answer.body) == (400, b"this port speaks TLS: use https:// or wss://\n")


def test_a_client_hello_to_the_plain_port_gets_an_answer_in_plain_text(wsd):
    server = wsd(*tls_options())
    with socket.create_connection((server.address, server.port), timeout=PATIENCE) as connection:
        with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
            tls_context().wrap_socket(connection, server_hostname="localhost")


def test_the_origin_of_the_tls_port_is_https(tls):
    server = tls("--allowed-origin", "https://else.example")
    for origin, status in {f"https://localhost:{server.port}": 101, f"http://localhost:{server.port}": 403,
                           "https://else.example": 101, "https://localhost": 403}.items():
        with Raw(server) as raw:
            request = upgrade("/echo", f"Origin: {origin}").replace(b"localhost:8080", b"localhost:%d" % server.port)
            raw.send(request)
            assert raw.head().split(" ")[1] == str(status), origin


def test_a_client_hello_in_single_bytes_is_understood(tls):
    server = tls()
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls_context().wrap_bio(into, out, server_hostname="localhost")
    with socket.create_connection((server.address, server.port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send_all():
            for byte in out.read():
                connection.send(bytes([byte]))
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                send_all()
                into.write(connection.recv(1 << 16))
        client.write(upgrade("/echo"))
        send_all()
        while True:
            into.write(connection.recv(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                assert client.read(1000).startswith(b"HTTP/1.1 101 ")
                break


# --- the ends

def test_close_notify_precedes_the_fin(tls):
    with Raw(tls(), "/echo") as raw:
        raw.send(frame(CLOSE, b"\x03\xe8"))
        assert raw.close_frame() == (1000, "")
        assert raw.is_ended()  # without close_notify: an error


def test_close_notify_of_the_peer_is_answered_and_ends_the_session(tls):
    server = tls()
    with connect_in_memory(server) as (connection, client, into, out):
        client.write(upgrade("/echo"))
        with contextlib.suppress(ssl.SSLWantReadError):
            client.unwrap()
        connection.sendall(out.read())
        while more := connection.recv(1 << 16):
            into.write(more)
        with contextlib.suppress(ssl.SSLZeroReturnError):  # without close_notify: SSLWantReadError
            while client.read(1 << 16):
                pass
    wait_for(lambda: server.sessions() == [], "no session is left")


def test_a_message_and_close_notify_in_one_read_are_both_handled(tls):
    server = tls()
    with connect_in_memory(server) as (connection, client, into, out):
        client.write(upgrade("/echo") + frame(TEXT, b"hello"))
        with contextlib.suppress(ssl.SSLWantReadError):
            client.unwrap()
        connection.sendall(out.read())
        received = b""
        while more := connection.recv(1 << 16):  # FIN, although this side has not sent its own
            into.write(more)
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                received += client.read(1 << 16)
        assert b"Echo: hello" in received
    server.logged(r".*Received: hello")


def test_garbage_after_a_frame_in_one_read_ends_the_session(tls):
    server = tls()
    with connect_in_memory(server) as (connection, client, into, out):
        client.write(upgrade("/chat"))
        connection.sendall(out.read())
        server.logged(r"New client connected: [0-9a-f]{8}, Total: 1")
        client.write(frame(0xA, b"a pong"))
        connection.sendall(out.read() + b"\x17\x03\x03\x00\x20" + bytes(32))
        server.logged(r"Client disconnect: [0-9a-f]{8}, Total: 0")


@pytest.mark.parametrize("cut", [3, 20])
def test_a_fin_without_close_notify_ends_the_session(tls, cut):
    server = tls()
    with Raw(server, "/chat") as raw:
        raw.frame()
        raw.send(frame(TEXT, b"a text that is cut short")[:cut])
        raw.finish_writing()
        server.logged(r"Client disconnect: [0-9a-f]{8}, Total: 0")
        assert raw.is_ended()


def test_output_that_the_socket_does_not_accept_at_once_arrives_whole_and_in_order(tls):
    server = tls("--write-timeout", "60s")
    payloads = [bytes([i]) * (100_000 + i) for i in range(250)]
    with Raw(server, "/echo/raw", small_buffer=True) as raw:
        raw.socket.settimeout(0.3)
        sent = 0
        data = b"".join(frame(BINARY, payload) for payload in payloads)
        with contextlib.suppress(TimeoutError):
            while sent < len(data):
                sent += raw.socket.send(data[sent:sent + 16_384])
        (row,) = server.sessions()
        assert row.queued > 0
        raw.socket.settimeout(PATIENCE)
        whole = 0
        for payload in payloads:
            if sent >= len(frame(BINARY, payload)):
                sent -= len(frame(BINARY, payload))
                assert raw.frame() == (BINARY, payload)
                whole += 1
        assert whole > 3


def test_a_slow_member_is_disconnected_between_frames(tls):
    """Its stream stays valid TLS and valid WebSocket: whole broadcasts, then Close 1008."""
    server = tls("--chat-queue", "200KiB", "--close-timeout", "60s")
    text = b"x" * 50_000
    with Raw(server, "/chat", small_buffer=True) as slow, Raw(server, "/chat") as speaker:
        speaker.frame()
        while "disconnected: the peer reads too slowly" not in server.log():
            speaker.send(frame(TEXT, text))
            time.sleep(0.002)
        assert slow.frame() == (TEXT, b"Welcome to broadcast chat!")
        count = 0
        while (received := slow.frame())[0] == TEXT:
            assert received[1] == b"Broadcast: " + text
            count += 1
        assert count > 0
        assert received == (CLOSE, b"\x03\xf0too slow: messages were dropped")


# --- attacks

def test_a_stalled_handshake_ends_with_the_deadline_of_the_head(tls):
    server = tls("--handshake-timeout", "300ms")
    hello = ssl.MemoryBIO()
    client = tls_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = hello.read()
    for first in (b"", hello[:1], hello[:100], hello):
        with socket.create_connection((server.address, server.port), timeout=PATIENCE) as connection:
            connection.sendall(first)
            while connection.recv(1 << 16):
                pass
    with Raw(server) as raw:  # after the handshake: an answer
        assert read_answer(raw).status == 408


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x00\x05hello", b"\x15\x03\x03\x00\x02\x02\x28", bytes(600), b"\xff" * 600])
def test_garbage_ends_only_its_own_connection(tls, garbage):
    server = tls("--log-level", "debug")
    with Raw(server, "/echo") as other:
        with socket.create_connection((server.address, server.port), timeout=PATIENCE) as connection:
            port = connection.getsockname()[1]
            connection.sendall(garbage)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(1 << 16):
                    pass
        # For example "wrong version number": OpenSSL's words.
        server.logged(rf".* debug: Session [0-9a-f]{{8}} of 127\.0\.0\.1:{port} ended without a request: \w[\w ]+")
        other.send(frame(TEXT, b"hello"))
        assert other.frame() == (TEXT, b"Echo: hello")


def test_half_open_handshakes_do_not_block_other_clients(tls):
    server = tls("--handshake-timeout", "60s")
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            connection = stack.enter_context(socket.create_connection((server.address, server.port)))
            connection.sendall(b"\x16\x03\x01")
        with Raw(server, "/echo") as raw:
            raw.send(frame(TEXT, b"hello"))
            assert raw.frame() == (TEXT, b"Echo: hello")
    wait_for(lambda: server.sessions() == [], "no session is left")


def test_wsd_stops_while_handshakes_are_incomplete(tls):
    server = tls("--stop-timeout", "60s")
    with socket.create_connection((server.address, server.port), timeout=PATIENCE) as connection:
        connection.sendall(b"\x16\x03\x01")
        wait_for(lambda: len(server.sessions()) == 1, "the session")
        server.process.send_signal(signal.SIGTERM)
        assert connection.recv(1000) == b""
        assert server.wait() == 0


# --- tickets, reloading, the wire log

def test_a_session_is_resumed_on_any_loop(wsd_with_loops):
    server = wsd_with_loops("--no-plain", *tls_options())
    context = tls_context()
    session = None
    for count in range(6):
        with context.wrap_socket(socket.create_connection((server.address, server.port), timeout=PATIENCE),
                                 server_hostname="localhost", session=session) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            while connection.recv(1000):
                pass
            assert connection.session_reused == (count > 0)
            session = connection.session


def test_sighup_loads_the_files_again_and_a_bad_one_changes_nothing(wsd, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def install(files):
        shutil.copy(files[0], cert)
        shutil.copy(files[1], key)

    def name(server):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(socket.create_connection((server.address, server.port))) as connection:
            return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))

    first, second = certificate(), certificate("other.example")
    install(first)
    server = wsd("--no-plain", *tls_options((str(cert), str(key))))
    pem = [open(files[0]).read() for files in (first, second)]
    assert name(server) == pem[0]
    with Raw(server, "/echo") as raw:
        install(second)
        server.process.send_signal(signal.SIGHUP)
        server.logged(r".* info: SIGHUP: reloaded the TLS certificate and key")
        assert name(server) == pem[1]
        cert.write_text("nonsense")
        server.process.send_signal(signal.SIGHUP)
        server.logged(rf".* error: SIGHUP: cannot reload the TLS certificate and key, the old ones stay in use: {cert} has no "
                      r"certificate in PEM format \(OpenSSL: no start line\)")
        assert name(server) == pem[1]
        raw.send(frame(TEXT, b"still here"))
        assert raw.frame() == (TEXT, b"Echo: still here")


def test_the_wire_log_shows_the_plaintext(tls):
    server = tls("--wire-log")
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"hello"))
        assert raw.frame() == (TEXT, b"Echo: hello")
        raw.send(frame(CLOSE, b"\x03\xe8"))
        assert raw.close_frame() == (1000, "")
        assert raw.is_ended()
    log = wait_for(lambda: server.log() if server.log().count("[FIN, ACK]") == 2 else None, "both FINs")
    lines = re.findall(r"info: wire [0-9a-f]{8} \S+ → \S+ (?:Seq=\d+ )?(?:Len=\d+ )?(.*)$", log, re.MULTILINE)
    heads = [re.match(r"(GET|HTTP/1.1 101|WebSocket \w+|WebSocket Connection Close|\[FIN, ACK\])", line) for line in lines]
    assert [head[1] for head in heads] == ["GET", "HTTP/1.1 101", "WebSocket Text", "WebSocket Text", "WebSocket Connection",
                                           "WebSocket Connection", "[FIN, ACK]", "[FIN, ACK]"]
    assert "hello" in log and "Echo: hello" in log
