"""Shared by tools/reproduce-trace and tools/captures: runs server, client and capture in a network namespace with
the settings of the machine on which the documented trace was captured."""

import contextlib
import ctypes
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BIN = TOP / "build" / "release" / "bin"
PORT = 8080
PATIENCE = 30  # seconds, for steps that normally take milliseconds

# tcp_rmem determines the windows and their scale (WS=128). With tcp_timestamps 2 timestamps have no random offset, so
# that both ends use the same clock. Both settings, like the loopback device, belong to the namespace.
SET_UP = """
ip link set lo up &&
echo 4096 131072 6291456 >/proc/sys/net/ipv4/tcp_rmem &&
echo 2 >/proc/sys/net/ipv4/tcp_timestamps &&
exec "$@"
"""


class Failure(Exception):
    """An error message of one line."""


class NoNamespace(Failure):
    """This system does not allow us to create a network namespace."""


def main(run):
    """Runs a program; returns its exit status. Without a namespace it is 77 (skipped), or in CI, where nothing may be
    skipped, 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by an exception, so that child processes end
    name = Path(sys.argv[0]).name
    try:
        return run()
    except NoNamespace as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 77
    except Failure as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def prepare(*packages):
    """Installs missing dependencies, and builds. `packages`: further packages, named like their programs."""
    command = 'source tools/lib/setup.sh && prepare_namespace "$@"'
    if subprocess.run(["bash", "-euo", "pipefail", "-c", command, Path(sys.argv[0]).name, *packages],
                      cwd=TOP, stdout=sys.stderr, check=False).returncode != 0:
        raise Failure("could not be prepared (above)")


def in_namespace(*command):
    """`command` with a prefix that runs it in a new network namespace."""
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    wrapped = [*unshare, "sh", "-c", SET_UP, "netns"]
    probe = subprocess.run([*wrapped, "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        why = (probe.stderr.strip().splitlines() or [f"exit status {probe.returncode}"])[-1]
        raise NoNamespace(f"cannot make a network namespace ({' '.join(unshare)}): {why}; please run it as root, where "
                          "namespaces are allowed and /proc/sys/net can be written")
    return [*wrapped, *map(str, command)]


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        if time.monotonic() > end:
            raise Failure(f"in {PATIENCE} s it did not come to this: {what}")
        time.sleep(0.01)
    return result


# --- Inside the namespace


def die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def start(*command, **more):
    return subprocess.Popen([*map(str, command)], text=True, preexec_fn=die_with_parent, **more)


def end(process, how):
    """Sends the signal `how`; returns the exit status."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failure(f"{process.args[0]} did not end") from None


@contextlib.contextmanager
def serving(name, *arguments):
    process = start(BIN / name, *arguments, stdout=subprocess.PIPE)
    try:
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            raise Failure(f"{name} printed {line!r}")
        yield process
    finally:
        status = end(process, signal.SIGTERM)
    if status != 0:
        raise Failure(f"{name} ended with {status}")


def wsd(*options):
    return serving("wsd", "--port", PORT, "--log-level", "warn", *options)


def article_server():
    return serving("article_server", PORT)


def packets_sent():
    """The number of packets sent on the namespace's only device."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "lo":
            return int(counters.split()[1])
    raise Failure("there is no lo")


def packets_in(path):
    """The number of complete packets in a pcap file."""
    data = Path(path).read_bytes()
    count, position = 0, 24
    while position + 16 <= len(data):
        position += 16 + struct.unpack_from("=I", data, position + 8)[0]
        count += position <= len(data)
    return count


def tcp_is_over():
    """Whether all connections are in TIME_WAIT, after which no packets are sent."""
    listen, time_wait = "0A", "06"
    states = [line.split()[3] for name in ("tcp", "tcp6")
              for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return all(state in (listen, time_wait) for state in states)


@contextlib.contextmanager
def capture(path):
    """Captures all packets of the body of a `with` statement. Nothing must have been sent before."""
    process = start(BIN / "wstrace", "-i", "lo", "-f", f"tcp port {PORT}", "-w", path,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        line = process.stderr.readline()
        if line != "capturing on lo\n":
            raise Failure(f"wstrace printed {line!r}")
        yield
        wait_for(tcp_is_over, "all connections are over")
        wait_for(lambda: packets_in(path) >= packets_sent(), "the capture is complete")
    finally:
        status = end(process, signal.SIGINT)
        process.stderr.close()
    if status != 0:
        raise Failure(f"wstrace ended with {status}")


# --- The documented trace

ARTICLE_PORT = 53522
# Seconds before each step of the client; in the document they are 258 and 57. A message within 40 ms of the previous
# one could carry the ACK of row 11.
THOUGHT = 1.0


def article_client():
    """Does what the article's client did, with the same library (npm's `ws`) and port, to localhost over IPv4."""
    options = {"family": 4, "localPort": ARTICLE_PORT}
    process = start("node", TOP / "tests" / "integration" / "peer.js", f"ws://localhost:{PORT}/echo",
                    json.dumps(options), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def expect(event):
        line = process.stdout.readline()
        if not line or json.loads(line) != event:
            raise Failure(f"the client was to say {json.dumps(event)}, and said {line.strip()!r}")

    def do(**command):
        time.sleep(THOUGHT)
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()

    try:
        expect({"open": {"subprotocol": "", "extensions": ""}})
        do(text="Hello World!")
        expect({"text": "Echo: Hello World!"})
        do(close=[1000])
        expect({"close": [1000, ""]})
    finally:
        process.stdin.close()  # ends the client
        end(process, signal.SIGTERM)
        process.stdout.close()


def article(path, server):
    """Captures the article's session with `server`: article_server() or wsd()."""
    # If a program waits 40 ms for the processor, the kernel sends its ACK separately. Only root may raise the priority.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    with server, capture(path):
        article_client()
