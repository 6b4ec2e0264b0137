"""tools/bench scale: measures the memory of an idle connection, and holds 100,000 connections.

Part memory: runs one server, and reads the anonymous memory (heap and stacks) of its process without connections, with
--few idle WebSocket connections, and with --many. The cost of a connection is the difference between the last two,
divided by the number of connections that were added: the server's constant memory cancels out. Then each connection
sends 64 KiB to /echo/raw and receives the echo, and the memory is read again; it is read a last time when all
connections are closed.

Part many: runs --processes servers, and opens --connections connections, divided equally among them. wsload pings each
connection and counts the pongs. Then --members more connections join the chat of the first server, and wsload counts
the deliveries of 200 messages. Then it pings all --connections again. The memory of the servers and of the kernel is
read before the connections are opened and while they are idle; that of the servers also when they are closed. Both ends
of a connection are on this machine, so that each connection has two sockets.

--peer also measures another server by the same steps.
"""

import argparse
import json
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from servers import Failed, Server, TOP, duration, given, known
from works import Work, load
from measure import Load, RESERVE, SOCKET, answers, anonymous_memory, kernel, lacking, limits

SETUP = f"source {shlex.quote(str(TOP / 'tools' / 'lib' / 'setup.sh'))}; set -euo pipefail; "
BUILD = 'configure_release -- "${build_packages[@]}"; build release wsd wsload'
LARGE = 65536
PINGS = 20_000  # per second, of all connections together
SPEAKERS, SAID = 20, 200  # speakers in the chat, and messages of all speakers together


def say(text):
    print(f"scale: {text}", file=sys.stderr, flush=True)


def options(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench scale", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=("memory", "many"),
                        help="run only this part; may be repeated (both parts)")
    parser.add_argument("--peer", action="append", default=[], metavar="'NAME=COMMAND'",
                        help="also measure this server: COMMAND is run with a port as its last argument. The server "
                             "echoes on /echo/raw, and on /chat sends each message to all other clients. May be "
                             "repeated")
    parser.add_argument("--few", type=int, default=2_000, metavar="N",
                        help="part memory: number of connections at the first measurement (2000)")
    parser.add_argument("--many", type=int, default=18_000, metavar="N",
                        help="part memory: number of connections at the second measurement (18000)")
    parser.add_argument("--connections", type=int, default=100_000, metavar="N",
                        help="part many: number of idle connections (100000)")
    parser.add_argument("--processes", type=int, metavar="N",
                        help="part many: number of servers, and of wsload processes (as few as the limit of "
                             "descriptors per process allows)")
    parser.add_argument("--members", type=int, default=1_000, metavar="N",
                        help="part many: number of connections in the chat (1000)")
    parser.add_argument("--settle", type=duration, default=3, metavar="TIME",
                        help="time to wait before memory is read, so that freed memory has returned to the system (3s)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--build", type=Path, metavar="DIRECTORY",
                        help="use this build directory instead of build/release; only build/release is built if "
                             "necessary")
    return parser.parse_args(arguments)


def expect(what, got, wanted):
    if got != wanted:
        raise Failed(f"{what}: {got:,} of {wanted:,}")


def started(stack, kind):
    server = Server(kind)
    stack.callback(server.end)
    return server


def held(stack, *load_options):
    one = Load(*load_options)
    stack.callback(one.kill)
    return one


def memory(arguments, kind):
    """Runs the part `memory` for a kind of server. Returns its figures."""
    wsload = arguments.build / "bin" / "wsload"
    with ExitStack() as stack:
        server = started(stack, kind)

        def at_rest():
            time.sleep(arguments.settle)
            return anonymous_memory(server.process.pid)
        figures = {"empty": at_rest()}
        loads = []
        for name, connections in (("few", arguments.few), ("many", arguments.many - arguments.few)):
            loads.append(held(stack, wsload, "echo", server, "/echo/raw", connections, "-s", LARGE, "-r", 4_000))
            loads[-1].await_open()
            figures[name] = at_rest()
        figures["bytes_a_connection"] = (figures["many"] - figures["few"]) / (arguments.many - arguments.few)
        for one in loads:  # one after the other: the kernel limits the memory of TCP buffers
            expect(f"{kind.name}: messages of 64 KiB that came back", answers([one]), one.connections)
        figures["after_64k"] = at_rest()
        for one in loads:
            one.end()
        figures["left"] = at_rest()
        return figures


def many(arguments, kind):
    """Runs the part `many` for a kind of server. Returns its figures."""
    wsload = arguments.build / "bin" / "wsload"
    total, processes = arguments.connections, arguments.processes
    with ExitStack() as stack:
        servers = [started(stack, kind) for _ in range(processes)]

        def user():
            return sum(anonymous_memory(server.process.pid) for server in servers)
        user_before, kernel_before = user(), kernel()
        start = time.monotonic()
        loads = [held(stack, wsload, "idle", server, "/echo/raw", total // processes + (number < total % processes),
                      "-r", PINGS / processes) for number, server in enumerate(servers)]
        for one in loads:
            one.await_open()
        figures = {"connections": total, "processes": processes, "open_seconds": time.monotonic() - start}
        time.sleep(arguments.settle)
        user_after, kernel_after = user(), kernel()
        figures["user"] = (user_after - user_before) / total
        figures["buffers"] = (kernel_after["buffers"] - kernel_before["buffers"]) / total
        figures["all"] = (kernel_before["available"] - kernel_after["available"]) / total
        figures["sockets"] = kernel_after["sockets"] - kernel_before["sockets"]
        figures["slabs"] = {name: (kernel_after["slabs"][name] - kernel_before["slabs"][name]) / total
                            for name in SOCKET if name in kernel_after["slabs"]}

        figures["pongs"] = answers(loads)
        expect(f"{kind.name}: pongs", figures["pongs"], total)
        say(f"{kind.name}: {figures['pongs']:,} pongs; the chat")
        work = Work("chat", "", "chat", ("-c", str(arguments.members), "--speakers", str(SPEAKERS), "--text", "ascii",
                                         "--timeout", "60s"), 0)
        chat = load(wsload, (), servers[0], work, ("-n", str(SAID)))
        figures["deliveries"] = chat["messages"]
        expect(f"{kind.name}: deliveries of the chat", chat["messages"], SAID * (arguments.members - 1))
        figures["pongs_after"] = answers(loads)
        expect(f"{kind.name}: pongs after the chat", figures["pongs_after"], total)
        for one in loads:
            one.end()
        time.sleep(arguments.settle)
        figures["user_left"] = (user() - user_before) / total
        return figures


def percent(part, whole):
    return f"{100 * part / whole:.1f} %"


def memory_text(arguments, results):
    lines = [f"An idle connection in user space: anonymous memory between {arguments.few:,} and {arguments.many:,}", "",
             f"| server | B a connection | without any, KiB | with {arguments.many:,} | after 64 KiB on each | "
             "when all have left |", "| --- | --: | --: | --: | --: | --: |"]
    for name, one in results.items():
        cells = [name, f"{one['bytes_a_connection']:.0f}", *(f"{one[key] / 1024:,.0f}" for key in ("empty", "many")),
                 f"{one['after_64k'] / 1024:,.0f} ({percent(one['after_64k'], one['many'])})",
                 f"{one['left'] / 1024:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def many_text(name, one):
    kernel_sum = sum(one["slabs"].values())
    rows = [("open, and answered a ping", f"{one['pongs']:,} of {one['connections']:,}, {one['processes']} servers; "
             f"opened in {one['open_seconds']:.1f} s"),
            ("deliveries of the chat", f"{one['deliveries']:,}; after it {one['pongs_after']:,} answered again"),
            ("user space", f"{one['user']:.0f} B a connection; when all had left {one['user_left']:.0f}"),
            ("TCP sockets", f"{one['sockets']:,} more: both ends"),
            *((f"kernel: {slab}", f"{size / 2:.0f} B a socket") for slab, size in one["slabs"].items()),
            ("kernel: these together", f"{kernel_sum / 2:.0f} B a socket" if one["slabs"] else "only root may read it"),
            ("kernel: TCP's buffers", f"{one['buffers'] / 2:.0f} B a socket"),
            ("all memory", f"{one['all']:.0f} B a connection, wsload's among them")]
    return f"{one['connections']:,} connections, {name}\n\n" + "".join(f"{label:26} {text}\n" for label, text in rows)


def validate(arguments, parts):
    """Exits if the options are invalid, or if the limits of the system are too low for them."""
    if not 0 < arguments.few < arguments.many or arguments.connections < 1 or arguments.members < SPEAKERS:
        sys.exit(f"scale: there must be 0 < --few < --many, 0 < --connections, and {SPEAKERS} --members at least")
    found = limits()
    if arguments.processes is None:
        arguments.processes = -(-arguments.connections // max(found["descriptors"] - RESERVE - arguments.members, 1))
    if arguments.processes < 1:
        sys.exit("scale: --processes must be at least 1")
    lines = []
    if "memory" in parts:
        lines += lacking(found, arguments.many, 1)
    if "many" in parts:
        lines += lacking(found, arguments.connections + arguments.members, arguments.processes)
    for line in lines:
        say(line)
    if lines:
        sys.exit(2)


def main(arguments):
    arguments = options(arguments)
    parts = arguments.part or ["memory", "many"]
    try:
        peers = [given(option) for option in arguments.peer]
    except Failed as failure:
        sys.exit(f"scale: {failure}")
    validate(arguments, parts)
    if arguments.build is None:
        arguments.build = TOP / "build" / "release"
        if subprocess.run(["bash", "-c", SETUP + BUILD, "scale"], check=False).returncode != 0:
            sys.exit(1)
    arguments.build = arguments.build.resolve()
    kinds = [next(kind for kind in known(arguments.build) if kind.name == "wsd"), *peers]
    for ending in (signal.SIGTERM, signal.SIGHUP):  # by an exception, like SIGINT, so that all processes are ended
        signal.signal(ending, lambda number, frame: sys.exit(128 + number))

    results = {part: {} for part in parts}
    failures = []
    for part, measure in (("memory", memory), ("many", many)):
        for kind in kinds if part in parts else ():
            say(f"{part}: {kind.name}")
            try:
                results[part][kind.name] = measure(arguments, kind)
            except Failed as failure:
                failures.append(str(failure))
    if arguments.json:
        print(json.dumps(results))
    else:
        texts = [memory_text(arguments, results["memory"])] if results.get("memory") else []
        texts += [many_text(name, one) for name, one in results.get("many", {}).items()]
        print("\n".join(texts), end="")
    for failure in failures:
        say(failure)
    return 1 if failures else 0
