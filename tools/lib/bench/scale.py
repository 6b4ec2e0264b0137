"""tools/bench scale: how much an idle connection costs, and how many can be held.

memory  One server. The anonymous memory of its process is read with --few and with --many connections that are upgraded
        and idle: the slope between the two is what each costs, without what the server has of its own. Then each sends
        and gets back 64 KiB on /echo/raw, and the memory is looked at again; and once more when all have left.
many    --processes servers with --connections between them. Each connection answers a ping; --members more join a chat,
        and each delivery is counted; then all answer a ping again. What the kernel holds is read before and after:
        both ends are on this machine, so that a connection is two sockets.

Other servers are measured by the same steps: --peer 'NAME=COMMAND', run with a port as its last argument, echoes on
/echo/raw and on /chat tells all others what one says.
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
    parser.add_argument("--part", action="append", choices=("memory", "many"), help="only this; may be repeated")
    parser.add_argument("--peer", action="append", default=[], metavar="'NAME=COMMAND'", help="may be repeated")
    parser.add_argument("--few", type=int, default=2_000, metavar="N", help="connections at the first point (2000)")
    parser.add_argument("--many", type=int, default=18_000, metavar="N", help="... and at the second (18000)")
    parser.add_argument("--connections", type=int, default=100_000, metavar="N", help="of the part many (100000)")
    parser.add_argument("--processes", type=int, metavar="N", help="servers, and as many loads (as descriptors demand)")
    parser.add_argument("--members", type=int, default=1_000, metavar="N", help="of the chat (1000)")
    parser.add_argument("--settle", type=duration, default=3, metavar="TIME",
                        help="before memory is read, for what is on its way back to the system (3s)")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--build", type=Path, metavar="DIRECTORY",
                        help="a build that has wsd and wsload (build/release, which is brought up to date)")
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
