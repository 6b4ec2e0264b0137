"""tools/bench compare: wsd beside other servers, end to end, in one run.

Server and load have a core each, and the servers take turns: a round of a work is each of them once, and what counts
is the CPU time of the server's process for a message, as a ratio to wsd's in the same round. Machines are faster in
one minute than in the next; within a round they hardly are. With --steady it counts what does not depend on time, with
--latency it asks how long answers take at a rate that all can answer, with --two-loops what a second core is worth.

Without --install it compares what is there: built by the target bench_servers, with the same compiler and flags as wsd
(the preset `compare`), or run by node, java and bun. No TLS, no compression, no logs.
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


def options(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench compare", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="works: " + ", ".join(work.name for work in all_works()))
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="turns of each server at each work (9)")
    parser.add_argument("--duration", type=duration, default=1, metavar="TIME", help="measured time of a turn (1s)")
    parser.add_argument("--warm-up", type=duration, default=0.3, metavar="TIME", help="time before that (300ms)")
    parser.add_argument("--works", default="", metavar="NAME,...", help="only these; the end of a name may be *")
    parser.add_argument("--servers", default="", metavar="NAME,...", help="only these, and those of --peer")
    parser.add_argument("--peer", action="append", default=[], metavar="'NAME=COMMAND'",
                        help="a further server: COMMAND is run with a port as its last argument, echoes on /echo/raw "
                             "and on /chat tells all others what one says; may be repeated")
    parser.add_argument("--base", default="wsd", metavar="NAME", help="the server that others are compared with (wsd)")
    parser.add_argument("--steady", action="store_true",
                        help="count instructions and system calls, too, of native servers; with --rounds 0: only that")
    parser.add_argument("--latency", nargs="?", type=int, const=9, default=0, metavar="N",
                        help="measure latency, too, at a rate that all can answer: N rounds (9) of "
                             f"{' and '.join(LATENCY_WORKS)}; with --rounds 0: only that")
    parser.add_argument("--two-loops", nargs="?", type=int, const=9, default=0, metavar="N",
                        help="compare, too, --base on one core with its load, and with --threads 2 --affinity on two "
                             f"cores with a load each: N rounds (9) of {' and '.join(LOOP_WORKS)}; with --rounds 0: only that")
    parser.add_argument("--write", nargs="?", const=TOP / "docs", type=Path, metavar="DIRECTORY",
                        help="write speed-table.md and speed.svg there (docs/)")
    parser.add_argument("--build", type=Path, metavar="DIRECTORY",
                        help="a build that has all already (build/compare, which is brought up to date)")
    parser.add_argument("--install", action="store_true", help="install, by apt and npm, what is missing of all this")
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
    """The works among `works` that an option is for. Exits if there are none."""
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
    """For each work: measures each server in a closed loop, then all at a rate that the slowest can handle."""
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
