"""tools/bench compare: with fake servers and a fake load, so that each figure is known; and once with real ones. No
test checks a time."""

import asyncio
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import websockets

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
BUILD = Path(os.environ["FBF_BUILD_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib" / "bench"))
import latency  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402
import steady  # noqa: E402
import turns  # noqa: E402
import two_loops  # noqa: E402
import works  # noqa: E402

# A server that accepts, and passes its arguments to the load in a file. The last argument is the port. The server
# writes the file before it listens: a load that can connect finds it complete.
SERVER = """#!/usr/bin/python3
import pathlib, signal, socket, sys
port = sys.argv[-1]
(pathlib.Path(__file__).parent / port).write_text(" ".join(sys.argv[1:-1]))
listener = socket.create_server(("127.0.0.1", int(port)))
while True:
    listener.accept()[0].close()
"""

# A load whose results come from the server's last argument: the CPU time a message in each round, which is also the
# latency at an offered rate. "die" kills the server instead, "refuse" fails, "stay" does not end. Two loads may run at
# once: each replaces the file of the round, so that neither reads a partial file.
LOAD = """#!/usr/bin/python3
import json, os, pathlib, re, signal, sys, time
here = pathlib.Path(__file__).parent
with open(here / "calls", "a") as calls:
    print(*sys.argv[1:], file=calls)
port = re.search(r":([0-9]+)/?", sys.argv[2])[1]
words = (here / port).read_text().split()[-1:]
turn = here / (port + ".turn")
number = int(turn.read_text()) if turn.exists() else 0
fresh = here / f"{port}.turn.{os.getpid()}"
fresh.write_text(str(number + 1))
fresh.replace(turn)
pid = int(sys.argv[sys.argv.index("--server-pid") + 1])
if words[0] == "die":
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
if words[0] == "stay":
    time.sleep(30)
if words[0] in ("die", "refuse"):
    sys.exit("wsload: connection 1: it went wrong")
times = [float(word) for word in words[0].split(",")]
time = times[number % len(times)]
latency = {"p50": time / 2, "p99": time, "p99.9": 2 * time, "max": 10 * time}
print(json.dumps({"messages": 10, "messages_per_second": 1000 / time, "load_was_bottleneck": time == 7, "unanswered": 0,
                  "latency_us": latency, "sent_late_us": {"p99": 1.5} if "--rate" in sys.argv else None,
                  "server": {"us_per_message": time, "user_seconds": 10e-6 * time, "system_seconds": 0}}))
"""


@pytest.fixture
def pretended(tmp_path):
    """A build of fakes. Returns a function that runs tools/bench compare on it; `calls`: the load's arguments."""
    (tmp_path / "bin").mkdir()
    for name, text in (("wsload", LOAD), ("server", SERVER)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)

    def run(*options, **peers):
        arguments = [word for name, what in peers.items()
                     for word in ("--peer", f"{name}={shlex.quote(str(tmp_path / 'bin' / 'server'))} {what}")]
        return compare("--build", tmp_path, "--servers", "raw_tcp", *arguments, *options)
    run.calls = lambda: (tmp_path / "bin" / "calls").read_text().splitlines()
    return run


def compare(*arguments):
    return subprocess.run([ROOT / "tools" / "bench", "compare", *arguments], capture_output=True, text=True, timeout=300,
                          check=False)


def cells(report, title, work):
    """The row of a work in the table under a title, by server."""
    table = report.split(f"### {title}\n")[1].split("###")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return dict(zip(rows[0][1:], next(row for row in rows if row[0] == work)[1:]))


ECHO = "64 connections, 1 outstanding, 20 B"


def test_compare_reports_the_median_of_the_ratios_of_the_rounds(pretended):
    # The first time of each is the uncounted round. The medians of the times, 20 and 30, have a different ratio.
    run = pretended("--base", "slow", "--rounds", "3", "--works", "echo-20", slow="9,10,20,40", fast="9,80,10,30")
    assert run.returncode == 0, run.stderr
    assert cells(run.stdout, "CPU time a message ÷ slow", ECHO) == {"fast": "0.75 (0.50–8.00)"}
    assert cells(run.stdout, "CPU time a message, µs", ECHO) == {"slow": "20.0", "fast": "30.0"}
    assert cells(run.stdout, "Messages a second", ECHO) == {"slow": "50.0", "fast": "33.3"}


def test_ratios_ignore_rounds_in_which_a_cost_is_zero():
    rounds = report.Rounds("a")
    for server, times in {"a": (1, 0, 2, 2), "b": (3, 3, 0, 5)}.items():
        for number, time in enumerate(times):
            rounds.add("w", server, number, time, 1000, False)
    assert rounds.ratios("w", "b") == [3, 2.5]


def test_a_server_gets_its_run_in_once_per_load_mode(pretended, tmp_path):
    server, failures = str(tmp_path / "bin" / "server"), []
    kinds = [servers.Kind("a", [server, "1"]), servers.Kind("b", [server, "2"], run_in=5)]
    with turns.Turns(kinds, "a", tmp_path / "bin" / "wsload", failures) as taken:
        for work in (work for work in works.all_works() if work.name in ("echo-20", "echo-1k", "connect")):
            order = [(number, name) for number, name, _ in taken.take(work, 1, ("--duration", "1s"))]
            assert order == [(1, "a"), (1, "b")]
    assert failures == []
    assert [re.search(r" --duration (\d)0*m?s", call)[1] for call in pretended.calls()] == list("15111" "1111" "15111")


def test_compare_alternates_the_servers_and_passes_the_work_to_the_load(pretended):
    run = pretended("--base", "a", "--rounds", "2", "--duration", "500ms", "--works", "pipelined-1k,chat-1x*",
                    a="1", b="2")
    assert run.returncode == 0, run.stderr
    calls = pretended.calls()
    ports = [re.search(r":(\d+)", call)[1] for call in calls]
    assert len(set(ports)) == 2
    assert ports == ports[:2] * 6  # two works, each with two rounds and one that is not counted
    assert re.fullmatch(r"echo ws://127\.0\.0\.1:\d+/echo/raw -c 16 -o 64 -s 1024 --duration 500ms --warm-up 300ms --json "
                        r"--server-pid \d+", calls[0])
    assert re.fullmatch(r"chat ws://127\.0\.0\.1:\d+/chat -c 1001 --speakers 1 --text ascii --duration 500ms "
                        r"--warm-up 300ms --json --prefix  --server-pid \d+", calls[-1])


def test_compare_names_a_server_that_dies_and_measures_the_others(pretended):
    run = pretended("--base", "a", "--rounds", "1", "--works", "echo-20,echo-1k", a="1", mortal="die", b="2")
    assert run.returncode == 1
    assert "compare: mortal died at echo-20, by SIGKILL" in run.stderr.splitlines()
    assert "Not measured: mortal died at echo-20, by SIGKILL" in run.stdout
    assert cells(run.stdout, "CPU time a message ÷ a", ECHO) == {"mortal": "–", "b": "2.00 (2.00–2.00)"}


def test_compare_ends_its_servers_if_it_is_terminated(tmp_path, pretended):
    command = [ROOT / "tools" / "bench", "compare", "--build", tmp_path, "--servers", "raw_tcp", "--works", "echo-20",
               "--base", "a", "--peer", f"a={shlex.quote(str(tmp_path / 'bin' / 'server'))} stay"]
    tool = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while "round 0" not in tool.stderr.readline():
        assert tool.poll() is None
    end = time.monotonic() + 20
    while not (calls := tmp_path / "bin" / "calls").exists() or not calls.read_text().endswith("\n"):
        assert time.monotonic() < end
        time.sleep(0.02)
    server = int(re.search(r"--server-pid (\d+)", calls.read_text())[1])
    os.kill(server, 0)
    tool.terminate()
    assert tool.wait(20) == 143
    tool.stderr.close()
    with pytest.raises(ProcessLookupError):
        os.kill(server, signal.SIGKILL)


def test_compare_stops_if_the_base_server_dies(pretended):
    run = pretended("--base", "mortal", "--rounds", "2", "--works", "echo-20,echo-1k", mortal="die", b="2")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-2:] == ["compare: mortal died at echo-20, by SIGKILL",
                                            "compare: nothing further: there is no mortal to compare with"]
    assert len(pretended.calls()) == 1


def test_compare_reports_a_failed_load_for_each_work(pretended):
    run = pretended("--base", "a", "--rounds", "1", "--works", "echo-20,connect", a="1", b="refuse")
    assert run.returncode == 1
    assert [line for line in run.stderr.splitlines() if "wrong" in line] == [
        f"compare: b at {work}: wsload: connection 1: it went wrong" for work in ("echo-20", "connect")]


def test_compare_names_a_server_that_does_not_start(pretended):
    run = compare("--build", BUILD, "--servers", "wsd", "--rounds", "1", "--duration", "50ms", "--works", "echo-20",
                  "--peer", "none=/bin/false", "--peer", "nowhere=/no/such/program")
    assert run.returncode == 1
    assert "compare: nowhere is left out: there is no /no/such/program" in run.stderr
    assert re.search(r"^compare: none ended: taskset -c \d+ /bin/false \d+$", run.stderr, re.MULTILINE)


def test_compare_reports_a_server_whose_program_is_missing(pretended):
    run = pretended("--base", "a", "--rounds", "1", "--works", "echo-20", a="1")
    assert re.search(r"compare: raw_tcp is left out: there is no \S+/bench/raw_tcp; --install gets", run.stderr)


@pytest.mark.parametrize("options, complaint", [
    (["--rounsd", "3"], "unrecognized arguments: --rounsd 3"),
    (["--duration", "0.5"], "'0.5' is not a TIME such as 500ms or 2s"),
    (["--rounds", "-1"], "numbers of rounds cannot be negative"),
    (["--latency", "-1"], "numbers of rounds cannot be negative"),
    (["--latency", "--works", "connect"], "--latency is for the works echo-20 and echo-1k, of which --works has none"),
    (["--two-loops", "--works", "echo-1k"], "--two-loops is for the works echo-20 and pipelined-20"),
    (["--works", "echo-20,echo-30"], "there is no work 'echo-30'"),
    (["--servers", "apache"], "there is no server 'apache'"),
    (["--peer", "apache"], "--peer takes 'name=COMMAND'"),
    (["--base", "nobody"], "there is no server nobody"),
    (["--peer", "wsd=/bin/true"], "two servers have the name wsd"),
])
def test_compare_refuses_invalid_options(options, complaint):
    run = compare("--build", BUILD, *options)
    assert run.returncode != 0
    assert run.stdout == ""
    assert complaint in run.stderr


def test_compare_writes_a_table_and_a_plot(pretended, tmp_path):
    run = pretended("--base", "a", "--rounds", "2", "--works", "echo-20", "--write", tmp_path, a="1", b="3")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "speed-table.md").read_text() == "# Speed, measured\n\n" + run.stdout
    assert run.stdout.startswith("Made by `tools/bench compare --build ")
    from xml.etree import ElementTree
    plot = ElementTree.parse(tmp_path / "speed.svg")
    titles = [title.text for title in plot.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["b: 3.00 (3.00–3.00)"]


# --- latency

def test_latency_is_measured_at_80_percent_of_the_rate_of_the_slowest_server(pretended):
    """Three closed rounds, whose medians are 1000 / 8 and 1000 / 5 a second, then two at 80 % of the lower."""
    run = pretended("--base", "a", "--rounds", "0", "--latency", "2", "--works", "echo-20,connect",
                    a="9,8,8,8,9,20,21", b="9,5,5,4,9,19,22")
    assert run.returncode == 0, run.stderr
    rates = [re.search(r" --rate (\S+)", call) for call in pretended.calls()]
    assert [rate and rate[1] for rate in rates] == [None] * 8 + ["100.000"] * 6
    title = f"Latency, µs: {ECHO}, 100 messages a second offered"
    assert cells(run.stdout, title, "b") == {
        "closed loop, a second": "200 (200–250)", "p50": "10.2 (9.50–11.0)", "p99": "20.5 (19.0–22.0)",
        "p99.9": "41.0 (38.0–44.0)", "max": "205 (190–220)", "sent late, p99": "1.50 (1.50–1.50)",
        "remarks": "–"}
    assert ("a's p99 is **no worse** than that of the best peer, b, within the spread of that peer's rounds: "
            "20.5 ≤ 22.0 µs, the greatest of its rounds, whose median is 20.5.\n") in run.stdout


def done(p99, late=1.0, was_bottleneck=False, unanswered=0):
    return {"latency_us": {"p50": 1, "p99": p99, "p99.9": 100, "max": 1000}, "sent_late_us": {"p99": late},
            "load_was_bottleneck": was_bottleneck, "unanswered": unanswered}


def latencies(**rounds):
    found = latency.Latencies("wsd", {"best", "other"})
    for server, measured in rounds.items():
        for one in measured:
            found.add_open("w", server, one)
    return found


def test_p99_verdict_uses_the_spread_of_the_best_peer():
    best, other = [done(8), done(10), done(14)], [done(11), done(11), done(90)]
    raw = [done(1), done(1), done(1)]  # no peer
    assert latencies(wsd=[done(2), done(14), done(60)], best=best, other=other, raw=raw).verdict("w") == (
        "wsd's p99 is **no worse** than that of the best peer, best, within the spread of that peer's rounds: "
        "14.0 ≤ 14.0 µs, the greatest of its rounds, whose median is 10.0.")
    assert latencies(wsd=[done(2), done(14.1), done(60)], best=best, other=other, raw=raw).verdict("w") == (
        "wsd's p99 is **worse** than that of the best peer, best, within the spread of that peer's rounds: "
        "14.1 > 14.0 µs, the greatest of its rounds, whose median is 10.0.")
    assert latencies(wsd=best, raw=raw).verdict("w") == "There is nothing to compare."


def test_remarks_name_figures_that_wsload_distorted():
    found = latencies(wsd=[done(10, late=4.9), done(10, late=4.9)],
                      best=[done(10, late=5), done(10, was_bottleneck=True), done(10, late=6)],
                      other=[done(10, unanswered=1), done(10)])
    assert found.remarks("w", "wsd") == []
    assert found.remarks("w", "best") == ["wsload was the bottleneck in 1 of 3 rounds",
                                          "half of p99 or more is that wsload sent late"]
    assert found.remarks("w", "other") == ["below the rate in 1 of 2 rounds"]
    assert found.verdict("w").endswith(" That is in doubt: see the remarks.")


def test_the_offered_rate_is_80_percent_of_the_lowest_median_rate():
    found = latency.Latencies("wsd", {"peer"})
    assert found.offered("w") is None
    for server, speeds in {"wsd": (900, 1000, 5000), "peer": (1, 500, 600)}.items():
        for speed in speeds:
            found.add_closed("w", server, {"messages_per_second": speed})
    assert found.offered("w") == 400
    assert found.answering("w") == {"wsd", "peer"}


def test_latency_is_not_measured_for_a_server_that_died(pretended):
    run = pretended("--base", "a", "--rounds", "0", "--latency", "1", "--works", "echo-20", a="1", mortal="die", b="2")
    assert run.returncode == 1
    assert [line for line in run.stderr.splitlines() if "mortal" in line] == [
        "compare: mortal died at echo-20, by SIGKILL"]
    assert cells(run.stdout, f"Latency, µs: {ECHO}, 400 messages a second offered", "b")["p99"] == "2.00 (2.00–2.00)"


def test_messages_a_second_are_a_lower_bound_if_the_load_was_the_bottleneck(pretended):
    """The load reports that it was the bottleneck if its time is 7."""
    run = pretended("--base", "a", "--rounds", "3", "--works", "echo-20", a="1,7,4,7", b="1,7,2,2")
    assert cells(run.stdout, "Messages a second", ECHO) == {"a": "≥ 143", "b": "500"}


# --- two loops

def test_two_loops_are_measured_with_two_loads_on_one_server(pretended):
    """Each load reports 1000 / 4 messages a second, and 40 µs of CPU time for 10 messages."""
    run = pretended("--base", "a", "--rounds", "0", "--two-loops", "2", "--works", "echo-20", a="4")
    if len(os.sched_getaffinity(0)) == 1:
        assert "Not measured: two loops need two cores, and there is one" in run.stdout
        return
    assert run.returncode == 0, run.stderr
    assert cells(run.stdout, "Two loops on two cores ÷ one loop on one core", ECHO) == {
        "messages a second": "2.00 (2.00–2.00)", "CPU time a message": "0.50 (0.50–0.50)", "as wanted": "yes"}
    ports = [re.search(r":(\d+)", call)[1] for call in pretended.calls()]
    assert [len(set(ports[i:i + 3])) for i in (0, 3, 6)] == [2, 2, 2]
    assert [ports[i + 1] == ports[i + 2] for i in (0, 3, 6)] == [True, True, True]


def test_with_loops_adds_threads_and_affinity_to_the_command():
    kind = servers.Kind("wsd", ["wsd", "--port"])
    two = two_loops.with_loops(kind, 2)
    assert two.name == "wsd --threads 2 --affinity"
    assert two.command == ["wsd", "--threads", "2", "--affinity", "--port"]


def test_together_adds_the_messages_of_two_loads_and_averages_the_cpu_time():
    """Each load reports the CPU time of the whole server, but only its own messages."""
    loads = [{"messages": messages, "messages_per_second": speed,
              "server": {"user_seconds": user, "system_seconds": 0.5}}
             for messages, speed, user in ((60_000, 30_000, 0.25), (40_000, 20_000, 0.75))]
    assert two_loops.together(loads) == two_loops.Outcome(50_000, 10)


@pytest.mark.parametrize("speed, cpu, verdict", [(160, 11, "yes"), (159, 11, "no"), (160, 11.1, "no")])
def test_two_loops_verdict_depends_on_speed_and_cpu_time(speed, cpu, verdict):
    loops = two_loops.TwoLoops()
    loops.add("w", two_loops.Outcome(100, 10), two_loops.Outcome(speed, cpu))
    assert loops.verdict("w") == verdict


# --- text

async def sent_at(work):
    """200 messages of a work, as received by python3-websockets, which accepts only valid UTF-8."""
    heard = []

    async def echo(connection, _=None):
        async for message in connection:
            heard.append(message)
            await connection.send(message)

    async with websockets.serve(echo, "127.0.0.1", 0, compression=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        load = await asyncio.create_subprocess_exec(BUILD / "bin" / "wsload", "echo", url, *work.options, "-n", "200",
                                                    stdout=subprocess.DEVNULL)
        assert await load.wait() == 0
    return heard


@pytest.mark.parametrize("name", ["echo", "pipelined"])
@pytest.mark.parametrize("bytes_said, size", [("20", 20), ("1k", 1024)])
def test_works_with_text_send_the_named_alphabet_and_size(name, bytes_said, size):
    named = {work.name: work for work in works.all_works()}
    ideographs = re.compile(f"[\u4e00-\u9fff]{{{size // 3}}}[!-~]{{{size % 3}}}")
    for text, is_right in (("ascii", str.isascii), ("chinese", ideographs.fullmatch)):
        texts = asyncio.run(sent_at(named[f"{name}-{bytes_said}-{text}"]))
        assert len(texts) == 200
        assert all(len(text.encode()) == size and is_right(text) for text in texts)


def test_compare_detects_that_wsd_validates_utf8():
    (wsd,) = (kind for kind in servers.known(BUILD) if kind.name == "wsd")
    server = servers.Server(wsd)
    try:
        assert servers.judges_text(server) is True
    finally:
        server.end()


@pytest.mark.parametrize("answer, judges", [
    (b"HTTP/1.1 101 So be it\r\nUpgrade: websocket\r\n\r\n\x81\x01\xff", False),
    (b"HTTP/1.1 101 So be it\r\nUpgrade: websocket\r\n\r\n\x88\x02\x03\xef", True),
    (b"HTTP/1.1 101 So be it\r\nUpgrade: websocket\r\n\r\n", True),
    (b"HTTP/1.1 404 No\r\n\r\n", None),
    (b"", None),
])
def test_the_answer_to_invalid_utf8_shows_whether_a_server_validates_text(answer, judges):
    def serve_once(listener):
        connection = listener.accept()[0]
        with connection:
            received = connection.recv(4096)
            connection.sendall(answer)
            while b"\r\n\r\n" in received and not received.endswith(b"\xff") and (more := connection.recv(4096)):
                received += more

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_once, args=(listener,), daemon=True).start()
        server = SimpleNamespace(kind=servers.Kind("some", []), port=listener.getsockname()[1])
        assert servers.judges_text(server) is judges


def test_slope_ignores_the_constant_cost_of_every_run():
    assert steady.slope((1_000 + 7 * 10, 1_000 + 7 * 30), (10, 30)) == 7


def test_steady_reads_the_totals_of_callgrind_and_strace(tmp_path):
    file = tmp_path / "counted"
    file.write_text("version: 1\nevents: Ir\nfn=(1)\n0 5\nsummary: 12345\ntotals: 12345\n")
    assert steady.read_callgrind(file) == 12345
    file.write_text("% time     seconds  usecs/call     calls    errors syscall\n"
                    "------ ----------- ----------- --------- --------- ----------------\n"
                    " 60.00    0.000010           2         5         1 recvfrom\n"
                    "------ ----------- ----------- --------- --------- ----------------\n"
                    "100.00    0.000015           1        11         1 total\n")
    assert steady.read_strace(file) == 11
    file.write_text("")
    assert steady.read_strace(file) is None


def test_steady_counts_between_two_and_three_system_calls_per_echo():
    """With one message outstanding: a recv, a send, and a share of an epoll_wait."""
    (wsd,) = (kind for kind in servers.known(BUILD) if kind.name == "wsd")
    work = works.Work("few", "few", "echo", ("-c", "16"), 800)
    assert 2 < steady.count("system calls", wsd, work, BUILD / "bin" / "wsload") < 3


def test_numbers_have_three_significant_digits():
    assert [report.significant(number) for number in (0, 0.01234, 1.234, 12.34, 123.4, 1234567.8)] == [
        "0", "0.0123", "1.23", "12.3", "123", "1,234,568"]


def test_compare_measures_wsd_against_itself():
    """Compares wsd with itself as a peer."""
    again = f"again={BUILD / 'bin' / 'wsd'} --log-level off --port"
    run = compare("--build", BUILD, "--servers", "wsd", "--peer", again, "--rounds", "1", "--duration", "200ms",
                  "--warm-up", "0", "--works", "echo-20,pipelined-20-chinese,connect")
    assert run.returncode == 0, run.stderr
    for work in (ECHO, "16 connections, 64 outstanding, 20 B, Chinese text", "connect, upgrade, close, 64 at a time"):
        assert float(cells(run.stdout, "Messages a second", work)["again"].strip("≥ ").replace(",", "")) > 0
    assert re.search(r"^- wsd: `bin/wsd --log-level off --port PORT`, wsd \d", run.stdout, re.MULTILINE)
