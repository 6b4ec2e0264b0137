"""tools/bench compare: compares the speed of wsd with that of other servers.

The server runs on one core, the load generator wsload on another. In a round every server runs the same workload once.
The result is its CPU time per message, divided by wsd's in the same round, since the speed of a machine changes from
minute to minute but hardly within a round. The report shows the median of all rounds.

--steady also counts instructions and system calls; --latency also measures latency; --two-loops also measures the gain
from a second core.

Without --install, compares the servers that are installed, and says which are missing. The servers in C++ are built by
the same compiler with the same flags as wsd (target bench_servers, preset `compare`). All servers run without TLS,
compression and logs.
"""

import argparse
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from latency import CLOSED_ROUNDS, LATENCY_WORKS, Latencies, latency_to_markdown
from report import Rounds, to_markdown, to_svg
from servers import Failed, TOP, duration, given, known, missing, time_option, version
from steady import TOOLS, count
from turns import Turns, say
from two_loops import LOOP_WORKS, TwoLoops, loops_to_markdown, one_and_two
from works import all_works

SETUP = f"source {shlex.quote(str(TOP / 'tools' / 'lib' / 'setup.sh'))}; set -euo pipefail; "
# The probes look for programs and files, not for Debian packages: they may have been installed in another way.
# build.ninja is removed so that CMake looks for the new dependencies.
INSTALL = """
need_node
need default-jdk-headless -- command -v javac
need libnetty-java -- test -e /usr/share/java/netty-codec-http.jar
need golang-go -- command -v go
need golang-github-gorilla-websocket-dev -- test -e /usr/share/gocode/src/github.com/gorilla/websocket
need libboost-dev -- test -e /usr/include/boost/beast.hpp
need libwebsocketpp-dev -- test -e /usr/include/websocketpp/server.hpp
need libwebsockets-dev -- test -e /usr/include/libwebsockets.h
need valgrind -- command -v valgrind
need strace -- command -v strace
install_packages "${build_packages[@]}" libgtest-dev "${wanted[@]}"
install_npm_packages
rm -f build/compare/build.ninja
"""


def shell(script):
    if subprocess.run(["bash", "-c", SETUP + script, "compare"], check=False).returncode != 0:
        sys.exit(1)


WORKLOADS = """workloads:
  echo-SIZE[-TEXT]
      64 connections, 1 outstanding (unanswered) message on each. The server echoes each message.
  pipelined-SIZE[-TEXT]
      16 connections, 64 outstanding messages on each. The server echoes each message.
  chat-SPEAKERSxMEMBERS[-OUTSTANDING]
      SPEAKERS of MEMBERS connections send, and the server sends each message to all other connections. With 1 speaker,
      MEMBERS is the number of receivers. OUTSTANDING is the number of messages that a speaker sends without waiting
      until all receivers have them (1 if it is not in the name). The results are per delivery to a receiver.
  connect
      opens, upgrades and closes connections, 64 at a time

SIZE is the payload in bytes (1k: 1 KiB). TEXT is ascii or chinese; without it, the messages are binary. The messages
of chat are 20 bytes of ASCII text."""
SERVERS = """raw_tcp (echoes bytes without a protocol) and raw_ws (validates nothing) show what is possible. All others
except wsd are small servers that use third-party software (tests/bench/peers)."""


def listed(title, things):
    """The names of `things`, wrapped, for --help."""
    return textwrap.fill(f"{title}: " + ", ".join(thing.name for thing in things), 120, break_on_hyphens=False)


def options(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench compare", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="\n\n".join([WORKLOADS, listed("Names for --works", all_works()),
                                                         listed("Names for --servers", known(Path())), SERVERS]))
    parser.add_argument("--rounds", type=int, default=9, metavar="N",
                        help="number of rounds for each workload (9), after one that is not counted")
    parser.add_argument("--duration", type=duration, default=1, metavar="TIME",
                        help="measured time of a turn, in which one server runs a workload (1s)")
    parser.add_argument("--warm-up", type=duration, default=0.3, metavar="TIME", help="warm-up time of a turn (300ms)")
    parser.add_argument("--works", default="", metavar="NAME,...",
                        help="run only these workloads; * in a name matches any text (all)")
    parser.add_argument("--servers", default="", metavar="NAME,...",
                        help="compare only these servers and those of --peer; * in a name matches any text (all)")
    parser.add_argument("--peer", action="append", default=[], metavar="'NAME=COMMAND'",
                        help="compare a further server: COMMAND is run with a port as its last argument. The server "
                             "echoes on /echo/raw, and on /chat sends each message to all other clients. May be "
                             "repeated")
    parser.add_argument("--base", default="wsd", metavar="NAME",
                        help="divide the results by those of this server (wsd)")
    parser.add_argument("--steady", action="store_true",
                        help="also count the user-space instructions and the system calls per message, of servers that "
                             "run as native code; with --rounds 0: only this")
    parser.add_argument("--latency", nargs="?", type=int, const=9, default=0, metavar="N",
                        help="also measure latency, at a rate that all servers can handle: N rounds (9) of "
                             f"{' and '.join(LATENCY_WORKS)}; with --rounds 0: only this")
    parser.add_argument("--two-loops", nargs="?", type=int, const=9, default=0, metavar="N",
                        help="also compare --base on one core with --base on two cores, with --threads 2 "
                             "--affinity; each core also runs a wsload. N rounds (9) of "
                             f"{' and '.join(LOOP_WORKS)}; with --rounds 0: only this")
    parser.add_argument("--write", nargs="?", const=TOP / "docs", type=Path, metavar="DIRECTORY",
                        help="also write the report and a plot to speed-table.md and speed.svg in DIRECTORY (docs/)")
    parser.add_argument("--build", type=Path, metavar="DIRECTORY",
                        help="use this build directory instead of build/compare; only build/compare is built if "
                             "necessary")
    parser.add_argument("--install", action="store_true",
                        help="first install the missing servers, libraries and tools, with apt and npm")
    return parser.parse_args(arguments)


def chosen(names, things, what):
    """The `things` whose names match a comma-separated list, with * as a wildcard; all if it is empty."""
    if not names:
        return list(things)
    patterns = [re.compile(re.escape(name).replace(r"\*", ".*")) for name in names.split(",")]
    for pattern, name in zip(patterns, names.split(",")):
        if not any(pattern.fullmatch(thing.name) for thing in things):
            sys.exit(f"compare: there is no {what} '{name}': " + ", ".join(thing.name for thing in things))
    return [thing for thing in things if any(pattern.fullmatch(thing.name) for pattern in patterns)]


def named(names, works, option):
    """The workloads among `works` that an option measures. Exits if there are none."""
    found = [work for work in works if work.name in names]
    if not found:
        sys.exit(f"compare: --{option} is for the works {' and '.join(names)}, of which --works has none")
    return found


def install():
    shell(INSTALL)
    npm = TOP / "build" / "compare" / "npm"
    for package in ("bun", "bufferutil"):  # bufferutil: optional in ws, recommended by its authors
        if not (npm / "node_modules" / package).exists():
            npm.mkdir(parents=True, exist_ok=True)
            run = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", npm, package],
                                 capture_output=True, text=True, check=False)
            if run.returncode != 0:
                say(f"{package} cannot be installed: {(run.stderr.strip().splitlines() or ['npm says nothing'])[-1]}")


def there(kinds):
    """The servers that can be run. Reports what the others lack."""
    found = []
    for kind in kinds:
        lacking = missing(kind)
        if not lacking and shutil.which(kind.command[0]) is None:
            lacking = [kind.command[0]]
        if lacking:
            say(f"{kind.name} is left out: there is no {' and no '.join(lacking)}; --install gets what it needs")
        else:
            found.append(kind)
    return found


def amount(arguments):
    return "--duration", time_option(arguments.duration), "--warm-up", time_option(arguments.warm_up)


def measure(arguments, works, turns):
    rounds = Rounds(arguments.base)
    for work in works if arguments.rounds else []:
        for number, server, done in turns.take(work, arguments.rounds, amount(arguments)):
            rounds.add(work.name, server, number, done["server"]["us_per_message"], done["messages_per_second"],
                       done["load_was_bottleneck"])
    return rounds


def measure_latency(arguments, works, turns):
    """For each workload: measures each server in a closed loop, then all at a rate that the slowest can handle."""
    peers = {server.kind.name for server in turns.servers if server.kind.is_peer} - {arguments.base}
    latencies = Latencies(arguments.base, peers)
    for work in works:
        for _, server, done in turns.take(work, CLOSED_ROUNDS, amount(arguments), what=", closed loop"):
            latencies.add_closed(work.name, server, done)
        rate = latencies.offered(work.name)
        if rate is None or not turns.has_base():
            break
        for _, server, done in turns.take(work, arguments.latency, (*amount(arguments), "--rate", f"{rate:.3f}"),
                                          latencies.answering(work.name), f", {rate:,.0f} a second offered"):
            latencies.add_open(work.name, server, done)
    return latencies


def measure_two_loops(arguments, works, kind, failures):
    loops = TwoLoops()
    for work in works:
        try:
            for number in range(arguments.two_loops + 1):
                say(f"{work.name}: round {number} of {arguments.two_loops}, one loop and two")
                one, two = one_and_two(arguments.build / "bin" / "wsload", kind, work, amount(arguments))
                if number > 0:
                    loops.add(work.name, one, two)
        except Failed as failure:
            failures.append(str(failure))
    return loops


def count_steadily(arguments, works, kinds, failures):
    steady = {}
    for what in TOOLS:
        counts = steady[what] = {}
        for kind in (kind for kind in kinds if kind.is_native and not kind.is_tcp):
            for work in (work for work in works if work.mode in kind.modes):
                say(f"{work.name}: {what} of {kind.name}")
                try:
                    counts[work.name, kind.name] = count(what, kind, work, arguments.build / "bin" / "wsload")
                except Failed as failure:
                    failures.append(str(failure))
    return steady


def flags(build):
    """How wsd and the C++ peers were compiled."""
    cache = build / "CMakeCache.txt"
    text = cache.read_text() if cache.exists() else ""

    def variable(name):
        found = re.search(rf"^{name}:\w+=(.*)$", text, re.MULTILINE)
        return found[1] if found else ""
    compiler = variable("CMAKE_CXX_COMPILER")
    if not compiler:
        return f"as {build} has it"
    words = [variable("CMAKE_CXX_FLAGS"), variable("CMAKE_CXX_FLAGS_RELEASE"),
             "-flto" if variable("CMAKE_INTERPROCEDURAL_OPTIMIZATION") == "ON" else ""]
    run = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return " ".join(filter(None, [run.stdout.split("\n")[0] + ":", *words]))


def processor():
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def conditions(arguments, kinds, made_by, judging_text):
    lines = [f"Made by `{made_by}`: not to be edited.", "",
             f"- {processor()}, {os.cpu_count()} cores, Linux {platform.release()}, loopback; "
             "server on one core, wsload on another",
             f"- {arguments.rounds} rounds after one that is not counted; in each every server in turn "
             f"{arguments.duration:g} s, after {arguments.warm_up:g} s of warm-up; no TLS, no compression, no logs",
             f"- compiled by {flags(arguments.build)} (websocketpp as C++17, the others as C++20)"]
    for kind in kinds:
        said = version(kind)
        command = shlex.join(kind.command).replace(f"{arguments.build}/", "").replace(f"{TOP}/", "")
        lines.append(f"- {kind.name}: `{command} PORT`" + (f", {said}" if said else ""))
    if lenient := [name for name, validates in judging_text.items() if validates is False]:
        lines.append(f"- a text that is not UTF-8 was returned by {', '.join(lenient)}: they do not look, and so a "
                     "text costs them no more than bytes")
    return "\n".join(lines) + "\n"


def main(arguments):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends servers and loads, too
    made_by = shlex.join(["tools/bench", "compare", *arguments])
    arguments = options(arguments)
    if min(arguments.rounds, arguments.latency, arguments.two_loops) < 0:
        sys.exit("compare: numbers of rounds cannot be negative")
    if not 0.01 <= arguments.duration <= 86_400 or arguments.warm_up > 86_400:
        sys.exit("compare: --duration must be from 10ms to 24h, --warm-up at most 24h")
    works = chosen(arguments.works, all_works(), "work")
    latency_works = named(LATENCY_WORKS, works, "latency") if arguments.latency else []
    loop_works = named(LOOP_WORKS, works, "two-loops") if arguments.two_loops else []
    try:
        further = [given(option) for option in arguments.peer]
    except Failed as failure:
        sys.exit(f"compare: {failure}")
    if arguments.install:
        install()
    if arguments.build is None:
        arguments.build = TOP / "build" / "compare"
        shell("configure compare -DBUILD_TESTING=ON >/dev/null; build compare wsd wsload bench_servers")
    arguments.build = arguments.build.resolve()
    kinds = there([*chosen(arguments.servers, known(arguments.build), "server"), *further])
    names = [kind.name for kind in kinds]
    if twice := {name for name in names if names.count(name) > 1}:
        sys.exit(f"compare: two servers have the name {', '.join(sorted(twice))}")
    if arguments.base not in names:
        sys.exit(f"compare: there is no server {arguments.base} to compare the others with")

    failures = []
    rounds, latency, judging_text = Rounds(arguments.base), "", {}
    if arguments.rounds or arguments.latency:
        with Turns(kinds, arguments.base, arguments.build / "bin" / "wsload", failures) as turns:
            judging_text = turns.judging_text
            rounds = measure(arguments, works, turns)
            latencies = measure_latency(arguments, latency_works, turns)
            latency = latency_to_markdown(latency_works, names, latencies)
    loops = measure_two_loops(arguments, loop_works, kinds[names.index(arguments.base)], failures)
    steady = count_steadily(arguments, works, kinds, failures) if arguments.steady else {}
    parts = [conditions(arguments, kinds, made_by, judging_text), to_markdown(works, names, rounds, steady), latency,
             loops_to_markdown(loop_works, loops)]
    report = "\n".join(filter(None, parts))
    report += "".join(f"\nNot measured: {failure}\n" for failure in failures)
    print(report, end="")
    if arguments.write is not None:
        (arguments.write / "speed-table.md").write_text("# Speed, measured\n\n" + report)
        if rounds.cpu:
            (arguments.write / "speed.svg").write_text(to_svg(works, names, rounds, f"Made by {made_by}"))
    for failure in failures:
        say(failure)
    return 1 if failures else 0
