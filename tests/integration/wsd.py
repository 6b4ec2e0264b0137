"""The server under test, on a port that the kernel chooses; and a hand-driven TCP connection to act as a bad client."""

import atexit
import collections
import functools
import hashlib
import os
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from conftest import program

PATIENCE = 60  # seconds, for steps of milliseconds: a sanitizer on a busy machine is slow

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

# Must not be in a log: a sanitizer's report, or the loop's report of a handler that is called and does nothing.
COMPLAINT = re.compile(r"^.*(Sanitizer|runtime error:|Busy wait).*$", re.MULTILINE)


def wait_for(condition, what, patience=PATIENCE, found=None):
    """Returns the first true result of condition(). After a timeout the message contains the result of found()."""
    end = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            raise AssertionError(f"waited {patience} s for: {what}; found instead: {found() if found else result!r}")
        time.sleep(0.01)


# --- the server

# With FBF_TLS=1 the tests run over TLS: a wsd without --tls-cert gets options for TLS and --no-plain, and `Wsd.connect` returns a TLS socket.
HAS_TLS = os.environ.get("FBF_TLS") == "1"


@functools.cache
def certificate(name="localhost", days=2):
    """The files of a certificate that signs itself, and of its key: (certificate, key)."""
    directory = tempfile.TemporaryDirectory(prefix="wsd-tls-")
    atexit.register(directory.cleanup)
    files = [str(Path(directory.name) / file) for file in ("certificate.pem", "key.pem")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1,IP:::1",
                    "-days", str(days), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return tuple(files)


if HAS_TLS:  # the clients of other projects trust it
    os.environ["SSL_CERT_FILE"] = os.environ["NODE_EXTRA_CA_CERTS"] = certificate()[0]


def tls_options(files=None):
    """The options with which wsd also listens for TLS, on a port that the kernel chooses."""
    cert, key = files or certificate()
    return "--tls-cert", cert, "--tls-key", key, "--tls-port", "0"


def tls_context(files=None):
    """Trusts only the certificate of the tests."""
    return ssl.create_default_context(cafile=(files or certificate())[0])

Session = collections.namedtuple("Session", "id path state queued")


class Wsd:
    """A running wsd. `command` is a prefix (strace), `prepare` runs in the child."""

    COMMAND = ("wsd", "--port", "0")

    def __init__(self, *options, command=(), prepare=None):
        if HAS_TLS and "--tls-cert" not in options:
            options = ("--no-plain", *tls_options(), *options)
        self.errors = tempfile.NamedTemporaryFile(prefix="wsd-", suffix=".log")
        name, *port = self.COMMAND
        self.process = subprocess.Popen([*command, program(name), *port, *options], stdout=subprocess.PIPE,
                                        stderr=self.errors, preexec_fn=prepare)
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], f"wsd does not listen; its log: {self.log()}"
        self.address, self.port, self.is_tls = self.read_listening()
        if "--tls-cert" in options and not self.is_tls:
            _, self.tls_port, is_tls = self.read_listening()
            assert is_tls
        self.pid = self.process.pid
        self.threads = int(options[options.index("--threads") + 1]) if "--threads" in options else 1

    def read_listening(self):
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"listening on (.+):(\d+)( \(TLS\))?\n", line)
        assert found, f"wsd printed {line!r} and: {self.log()}"
        return found[1].strip("[]"), int(found[2]), found[3] is not None

    def url(self, path):
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'wss' if self.is_tls else 'ws'}://{host}:{self.port}{path}"

    def connect(self, **more):
        return self.over_tls(socket.create_connection((self.address, self.port), timeout=PATIENCE, **more))

    def over_tls(self, connection):
        """The TLS socket of a TCP connection, if wsd listens for TLS. Its end without close_notify is an error."""
        if not self.is_tls:
            return connection
        return tls_context().wrap_socket(connection, server_hostname=self.address, suppress_ragged_eofs=False)

    # Its output

    def log(self):
        """The complete lines so far: wsd may be writing another."""
        text = Path(self.errors.name).read_text(errors="replace")
        return text[:text.rfind("\n") + 1]

    def log_tail(self):
        return "a log that ends\n" + self.log()[-2_000:]

    def logged(self, pattern, count=1):
        """Waits until `count` lines match; returns all matches. The log is written asynchronously."""
        expression = re.compile(pattern + "$", re.MULTILINE)

        def matches():
            found = list(expression.finditer(self.log()))
            return found if len(found) >= count else None
        return wait_for(matches, f"{count} × {pattern!r} in the log", found=self.log_tail)

    def sessions(self):
        """The session tables of all loops, which wsd logs on SIGUSR1."""
        head = re.compile(r"Sessions: (\d+), bytes held: \d+\n")
        before = len(head.findall(self.log()))
        self.process.send_signal(signal.SIGUSR1)

        def table():
            log = self.log()
            heads = list(head.finditer(log))[before:]
            if len(heads) < self.threads:
                return None
            rows = re.findall(r"Session ([0-9a-f]{8}) (\S+) (\w+) (\d+) bytes queued\n", log[heads[0].start():])
            return (rows,) if len(rows) == sum(int(line[1]) for line in heads) else None
        (rows,) = wait_for(table, "the session table in the log", found=self.log_tail)
        return [Session(id, path, state, int(queued)) for id, path, state, queued in rows]

    # Its resources

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def descriptors_at_start(self):
        """The descriptors of an idle server. Before its first line the log's thread briefly opens /etc/localtime."""
        self.logged(r".*Descriptors allowed: \d+")
        return self.descriptors()

    def memory(self):
        """KiB of anonymous memory. Not Private_Dirty: see tools/lib/bench/measure.py."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Anonymous: +(\d+) kB", rollup, re.MULTILINE)[1])

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # Its end

    def wait(self):
        """Its exit status."""
        return wait_for(lambda: self.process.poll() is not None and (self.process.returncode,), "the end of wsd",
                        found=self.log_tail)[0]

    def end(self):
        """Sends SIGTERM, unless wsd has ended. Asserts exit code 0, no more standard output and no COMPLAINT.
        Returns the whole log."""
        if self.errors.closed:
            return self.last_log
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                assert self.wait() == 0, "wsd did not end with 0 after SIGTERM"
                assert self.process.stdout.read() == b""
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.last_log = Path(self.errors.name).read_text(errors="replace")
            self.errors.close()
            print(self.last_log[-8_000:])  # pytest shows it if the test failed
        report = COMPLAINT.search(self.last_log)
        assert not report, report[0]
        return self.last_log


class ArticleServer(Wsd):
    """The server that tools/reproduce-trace uses."""

    COMMAND = ("article_server", "0")


# --- a hand-driven connection

def upgrade(path, *fields, key="dGhlIHNhbXBsZSBub25jZQ=="):
    """The bytes of a request; the key is the one of RFC 6455 §1.3."""
    return "".join(line + "\r\n" for line in (
        f"GET {path} HTTP/1.1", "Host: localhost:8080", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *fields, "")).encode()


def frame(opcode, payload=b"", fin=True):
    """A client's frame, masked with the key 0, which leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = b"\xfe" + struct.pack(">H", size)
    else:
        length = b"\xff" + struct.pack(">Q", size)
    return bytes([(0x80 if fin else 0) | opcode]) + length + bytes(4) + payload


class Raw:
    """One connection, upgraded if there is a path."""

    def __init__(self, server, path=None, *fields, small_buffer=False, **more):
        self.socket = server.connect(**more) if not small_buffer else self.small(server)
        self.bytes = b""
        if path is not None:
            self.send(upgrade(path, *fields))
            head = self.head()
            assert head.startswith("HTTP/1.1 101 "), head

    @staticmethod
    def small(server):
        """Connects with a tiny receive buffer, set before the window is announced."""
        connection = socket.socket(socket.AF_INET6 if ":" in server.address else socket.AF_INET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE)
        connection.connect((server.address, server.port))
        return server.over_tls(connection)

    def send(self, data):
        self.socket.sendall(data)

    def send_until_full(self, data, patience=0.5):
        """Repeats `data` until the kernel accepts no more for `patience` seconds. Returns the bytes accepted."""
        sent = 0
        self.socket.settimeout(patience)
        try:
            while True:
                sent += self.socket.send(data[sent % len(data):])
        except TimeoutError:
            return sent
        except ssl.SSLEOFError as error:
            raise ConnectionResetError from error
        finally:
            self.socket.settimeout(PATIENCE)

    def receive(self, waits_for):
        """Some bytes; none at the end of the connection."""
        try:
            return self.socket.recv(1 << 20)
        except ssl.SSLEOFError as error:  # Python's ssl raises it after a reset, and after a FIN without close_notify
            raise ConnectionResetError from error
        except TimeoutError:
            had_come = f"{len(self.bytes)} bytes: {self.bytes[:200]!r}"
            raise TimeoutError(f"waited {self.socket.gettimeout()} s for {waits_for}; had come: {had_come}") from None

    def take(self, size):
        while len(self.bytes) < size:
            more = self.receive(f"{size} bytes")
            if not more:
                raise EOFError(f"wsd ended TCP; {self.bytes!r} was left")
            self.bytes += more
        taken, self.bytes = self.bytes[:size], self.bytes[size:]
        return taken

    def head(self):
        end = b"\r\n\r\n"
        while end not in self.bytes:
            more = self.receive("the end of an HTTP head")
            if not more:
                raise EOFError(f"wsd ended TCP; {self.bytes!r} was left")
            self.bytes += more
        return self.take(self.bytes.index(end) + len(end)).decode()

    def frame(self):
        """The next frame: opcode, payload. The server sends whole messages, without a masking key."""
        first, length = self.take(2)
        assert first & 0xF0 == 0x80 and length < 128, (first, length)
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
        return first & 0x0F, self.take(length)

    def close_frame(self):
        """Code and reason of the next Close; skips all frames before it."""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                return (struct.unpack(">H", payload[:2])[0], payload[2:].decode()) if payload else None

    def is_ended(self):
        """Reads to the end of TCP: true if it is a FIN with no data before it."""
        while more := self.receive("the end of TCP"):
            self.bytes += more
        assert self.bytes == b"", self.bytes
        return True

    def finish_writing(self):
        """Sends FIN; over TLS without close_notify."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)  # SSLSocket.shutdown would also end TLS

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


Answer = collections.namedtuple("Answer", "status reason fields body")


def ask(server, request):
    """Sends bytes and reads the answer until the server ends the connection. `fields`: lower-case name to values."""
    with Raw(server) as raw:
        raw.send(request)
        return read_answer(raw)


def read_answer(raw):
    lines = raw.head().split("\r\n")
    version, status, reason = lines[0].split(" ", 2)
    assert version == "HTTP/1.1"
    fields = {}
    for line in lines[1:-2]:
        name, value = line.split(": ", 1)
        fields.setdefault(name.lower(), []).append(value)
    while more := raw.receive(f"the end of the body of {lines[0]!r}"):
        raw.bytes += more
    return Answer(int(status), reason, fields, raw.bytes)


def digest(data):
    return hashlib.sha256(data).hexdigest()
