"""The servers that tools/compare compares: what they are started by, what is missing for them, and starting them."""

import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PEERS = TOP / "tests" / "bench" / "peers"
NETTY = [f"/usr/share/java/netty-{part}.jar"
         for part in ("buffer", "codec", "codec-http", "common", "handler", "resolver", "transport")]
# As its authors run it in benchmarks: no sampling for leaks, and no checks of what its own code does with buffers.
NETTY_OPTIONS = ["-Dio.netty.leakDetection.level=disabled", "-Dio.netty.buffer.checkBounds=false",
                 "-Dio.netty.buffer.checkAccessible=false"]
NODE_VERSIONS = """
let native = 'no bufferutil';
try { native = `bufferutil ${require('bufferutil/package.json').version}`; } catch {}
`ws ${require('ws/package.json').version}, ${native}, Node ${process.version}`"""
MODULES = TOP / "tests" / "integration" / "node_modules"


class Failed(Exception):
    """A server or its load did not do what it should; the text says which, and why."""


@dataclass
class Kind:
    name: str
    command: list  # the port is added
    needs: list = field(default_factory=list)  # files, without which it is missing
    environment: dict = field(default_factory=dict)
    packages: list = field(default_factory=list)  # Debian's, of which the version is told
    tells_version: list = field(default_factory=list)  # a command that does
    modes: tuple = ("echo", "chat", "connect")
    is_tcp: bool = False  # it returns bytes, and knows no handshake
    is_peer: bool = True  # somebody else's, not wsd nor a raw server, which is no more than a bound
    is_native: bool = True  # callgrind can count its instructions
    run_in: float = 0  # seconds of load before a mode's first turn: a compiler at run time is at work then
    chat_options: tuple = ("--prefix", "")  # for wsload: what it puts before a message, if not wsd's words


def known(build):
    """All that is known, whether it is there or not; `build`: the directory of a build."""
    bench = build / "bench"
    npm = build / "npm" / "node_modules"
    bun = npm / ".bin" / "bun"

    def peer(name, packages, **more):
        program = str(bench / f"peer_{name}")
        return Kind(name, [program], [program], packages=packages, **more)

    # wsd's own options: no log, as the others have none.
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
    """A further one, by `--peer 'name=COMMAND'`."""
    name, separator, command = option.partition("=")
    words = shlex.split(command)
    if not separator or not name.strip() or not words:
        raise Failed(f"--peer takes 'name=COMMAND', the port being added, not '{option}'")
    if Path(words[0]).name == "wsd":  # with other options
        return Kind(name.strip(), words, chat_options=())
    return Kind(name.strip(), words)


def missing(kind):
    """What it needs and is not there."""
    return [need for need in kind.needs if not Path(need).exists()]


def output(command, **more):
    """Its first line."""
    lines = subprocess.run(command, capture_output=True, text=True, check=False, **more).stdout.splitlines()
    return lines[0] if lines else "of unknown version"


def version(kind):
    """In words, for the report."""
    versions = [f"{package} {output(['dpkg-query', '-W', '-f', '${Version}', package])}" for package in kind.packages]
    if kind.tells_version:
        versions.append(output(kind.tells_version, env=os.environ | kind.environment))
    return ", ".join(versions)


def judges_text(server, patience=5):
    """Whether a server refuses a text that is not UTF-8; None if it cannot be asked."""
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
            connection.sendall(b"\x81\x81\x00\x00\x00\x00\xff")  # a text of the byte FF, masked by zeros
            return answer.read(1) != b"\x81"  # the end, or a Close, and not the text
    except OSError:
        return None


def how(code):
    """A process ended, by subprocess's return code."""
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_children():
    """Kills the processes that an interrupted start has left: the exception may come before anything knows of them."""
    for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)


class Server:
    """One of them, running. `before` goes before its command: taskset, or what counts."""

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
        """By SIGTERM, on which valgrind and strace write what they counted. May be called again."""
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
