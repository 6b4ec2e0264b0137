"""The servers of tools/bench compare and scale: their commands, their missing dependencies, and starting and
stopping them."""

import argparse
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
TOP = Path(__file__).resolve().parents[3]
PEERS = TOP / "tests" / "bench" / "peers"
NETTY = [f"/usr/share/java/netty-{part}.jar"
         for part in ("buffer", "codec", "codec-http", "common", "handler", "resolver", "transport")]
# The settings of Netty's authors for benchmarks: no leak detection, no bounds or access checks of buffers.
NETTY_OPTIONS = ["-Dio.netty.leakDetection.level=disabled", "-Dio.netty.buffer.checkBounds=false",
                 "-Dio.netty.buffer.checkAccessible=false"]
NODE_VERSIONS = """
let native = 'no bufferutil';
try { native = `bufferutil ${require('bufferutil/package.json').version}`; } catch {}
`ws ${require('ws/package.json').version}, ${native}, Node ${process.version}`"""
MODULES = TOP / "tests" / "integration" / "node_modules"


def duration(text):
    """The seconds of a TIME as all our programs accept it: 500ms, 2s, 1min, 0. For argparse."""
    match = re.fullmatch(r"([0-9]+)(ms|s|min|h)", text)
    if match is None and not re.fullmatch("0+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a TIME such as 500ms or 2s")
    return int(match[1]) * UNITS[match[2]] if match else 0


def time_option(seconds):
    """Seconds as a TIME, in milliseconds."""
    return f"{round(seconds * 1000)}ms"


class Failed(Exception):
    """A server or its load has failed; the text says which, and why."""


@dataclass
class Kind:
    name: str
    command: list  # the port is added
    needs: list = field(default_factory=list)  # files that must exist
    environment: dict = field(default_factory=dict)
    packages: list = field(default_factory=list)  # Debian packages, for their versions
    tells_version: list = field(default_factory=list)  # a command that prints a version
    modes: tuple = ("echo", "chat", "connect")
    is_tcp: bool = False  # it returns bytes, without a handshake
    is_peer: bool = True  # a third-party server; not wsd or a raw server, which only gives a bound
    is_native: bool = True  # callgrind can count its instructions
    run_in: float = 0  # seconds of load before the first measurement in a mode, for JIT compilation
    chat_options: tuple = ("--prefix", "")  # for wsload: the server's prefix, if it is not that of wsd


def known(build):
    """All known servers, available or not. `build`: a build directory."""
    bench = build / "bench"
    npm = build / "npm" / "node_modules"
    bun = npm / ".bin" / "bun"

    def peer(name, packages, **more):
        program = str(bench / f"peer_{name}")
        return Kind(name, [program], [program], packages=packages, **more)

    # Without a log, since the other servers have none.
    wsd = build / "bin" / "wsd"
    return [
        Kind("wsd", [str(wsd), "--log-level", "off", "--port"], [str(wsd)],
             tells_version=[str(wsd), "--version"], chat_options=(), is_peer=False),
        Kind("raw_tcp", [str(bench / "raw_tcp")], [str(bench / "raw_tcp")], is_tcp=True, is_peer=False,
             modes=("echo",)),
        Kind("raw_ws", [str(bench / "raw_ws")], [str(bench / "raw_ws")], is_peer=False),
        peer("beast", ["libboost-dev"]),
        peer("websocketpp", ["libwebsocketpp-dev", "libboost-dev"]),
        peer("libwebsockets", ["libwebsockets-dev"], modes=("echo", "connect")),
        peer("gorilla", ["golang-github-gorilla-websocket-dev", "golang-go"], is_native=False),
        Kind("netty", ["java", *NETTY_OPTIONS, "NettyPeer"], [str(bench / "NettyPeer.class"), *NETTY],
             {"CLASSPATH": ":".join([*NETTY, str(bench)])}, ["libnetty-java"], ["java", "--version"], is_native=False,
             run_in=5),
        Kind("ws", ["node", str(PEERS / "ws.js")], [str(MODULES / "ws")], {"NODE_PATH": f"{MODULES}:{npm}"},
             tells_version=["node", "-p", NODE_VERSIONS], is_native=False, run_in=2),
        Kind("bun", [str(bun), str(PEERS / "bun.js")], [str(bun)], tells_version=[str(bun), "--version"],
             is_native=False, run_in=2),
    ]


def given(option):
    """A further server, from the option `--peer 'name=COMMAND'`."""
    name, separator, command = option.partition("=")
    words = shlex.split(command)
    if not separator or not name.strip() or not words:
        raise Failed(f"--peer takes 'name=COMMAND', the port being added, not '{option}'")
    if Path(words[0]).name == "wsd":  # with other options
        return Kind(name.strip(), words, chat_options=())
    return Kind(name.strip(), words)


def missing(kind):
    """The files that it needs and that do not exist."""
    return [need for need in kind.needs if not Path(need).exists()]


def output(command, **more):
    """The first line of a command's output."""
    lines = subprocess.run(command, capture_output=True, text=True, check=False, **more).stdout.splitlines()
    return lines[0] if lines else "of unknown version"


def version(kind):
    """The version of a server, for the report."""
    versions = [f"{package} {output(['dpkg-query', '-W', '-f', '${Version}', package])}" for package in kind.packages]
    if kind.tells_version:
        versions.append(output(kind.tells_version, env=os.environ | kind.environment))
    return ", ".join(versions)


def judges_text(server, patience=5):
    """Whether a server rejects a text that is not UTF-8; None if that cannot be tested."""
    if server.kind.is_tcp:
        return None
    upgrade = (f"GET /echo/raw HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
               "Upgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    try:
        with socket.create_connection(("127.0.0.1", server.port), patience) as connection:
            connection.sendall(upgrade.encode())
            answer = connection.makefile("rb")
            if b" 101 " not in answer.readline():
                return None
            while answer.readline().strip():
                pass
            connection.sendall(b"\x81\x81\x00\x00\x00\x00\xff")  # a text frame with the byte FF, masked with zeros
            return answer.read(1) != b"\x81"  # True: a Close or the end of TCP instead of the text
    except OSError:
        return None


def how(code):
    """How a process has ended: the name of the signal, or the exit code. `code`: from subprocess."""
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_children():
    """Kills all child processes: an exception during a start may come before the process is stored anywhere."""
    for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)


class Server:
    """A running server. `before`: a prefix of its command, such as taskset, valgrind or strace."""

    def __init__(self, kind, before=(), patience=30):
        self.kind = kind
        self.port = free_port()
        self.errors = tempfile.TemporaryFile()
        command = [*before, *kind.command, str(self.port)]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=self.errors, env=os.environ | kind.environment)
        except OSError as error:
            raise Failed(f"{kind.name} does not start: {error}") from error
        end = time.monotonic() + patience
        while not self.listens():
            if not self.lives() or time.monotonic() > end:
                why = "ended" if not self.lives() else f"does not listen within {patience} s"
                self.end()
                raise Failed(f"{kind.name} {why}: {' '.join(command)}{self.last_words}")
            time.sleep(0.02)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def lives(self):
        return self.process.poll() is None

    def url(self, mode):
        if self.kind.is_tcp:
            return f"tcp://127.0.0.1:{self.port}"
        return f"ws://127.0.0.1:{self.port}/{'chat' if mode == 'chat' else 'echo/raw'}"

    def end(self):
        """Ends the server with SIGTERM, on which valgrind and strace write their counts. May be called again."""
        if self.errors.closed:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        self.last_words = f" ({lines[-1]})" if lines else ""
        self.errors.close()
