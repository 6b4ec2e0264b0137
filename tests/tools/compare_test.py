"""tools/compare: with servers and a load that only pretend, so that each figure is known; and once with the real ones.
No time is judged."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
BUILD = Path(os.environ["FBF_BUILD_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib"))
import compare_report  # noqa: E402
import compare_servers  # noqa: E402
import compare_steady  # noqa: E402
import compare_works  # noqa: E402

# A server that accepts, and tells the load by a file which one it is. The last argument is the port.
SERVER = """#!/usr/bin/python3
import pathlib, signal, socket, sys
port = sys.argv[-1]
listener = socket.create_server(("127.0.0.1", int(port)))
(pathlib.Path(__file__).parent / port).write_text(" ".join(sys.argv[1:-1]))
while True:
    listener.accept()[0].close()
"""

# A load that measured what the server's first argument says: its CPU a message in the first round, the second, and so
# on. "die" kills the server instead, "refuse" fails.
LOAD = """#!/usr/bin/python3
import json, os, pathlib, re, signal, sys, time
here = pathlib.Path(__file__).parent
with open(here / "calls", "a") as calls:
    print(*sys.argv[1:], file=calls)
port = re.search(r":([0-9]+)/?", sys.argv[2])[1]
words = (here / port).read_text().split()
turn = here / (port + ".turn")
number = int(turn.read_text()) if turn.exists() else 0
turn.write_text(str(number + 1))
pid = int(sys.argv[sys.argv.index("--server-pid") + 1])
if words[0] == "die":
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
if words[0] in ("die", "refuse"):
    sys.exit("wsload: connection 1: it went wrong")
times = [float(word) for word in words[0].split(",")]
print(json.dumps({"messages": 10, "messages_per_second": 1000 / times[number % len(times)],
                  "server": {"us_per_message": times[number % len(times)]}}))
"""


@pytest.fixture
def pretended(tmp_path):
    """A build of things that pretend; returns how to run tools/compare on it, and what its load was asked for."""
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
    return subprocess.run([ROOT / "tools" / "compare", *arguments], capture_output=True, text=True, timeout=300,
                          check=False)


def cells(report, title, work):
    """The row of a work in the table under a title, by server."""
    table = report.split(f"### {title}\n")[1].split("###")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return dict(zip(rows[0][1:], next(row for row in rows if row[0] == work)[1:]))


ECHO = "64 connections, 1 outstanding, 20 B"


def test_a_ratio_is_that_of_a_round_and_the_median_that_of_ratios(pretended):
    # The first of each is the round that is not counted. The medians of the times, 20 and 30, have another ratio.
    run = pretended("--base", "slow", "--rounds", "3", "--works", "echo-20", slow="9,10,20,40", fast="9,80,10,30")
    assert run.returncode == 0, run.stderr
    assert cells(run.stdout, "CPU time a message ÷ slow", ECHO) == {"fast": "0.75 (0.50–8.00)"}
    assert cells(run.stdout, "CPU time a message, µs", ECHO) == {"slow": "20.0", "fast": "30.0"}
    assert cells(run.stdout, "Messages a second", ECHO) == {"slow": "50.0", "fast": "33.3"}


def test_servers_take_turns_and_are_asked_for_the_work(pretended):
    run = pretended("--base", "a", "--rounds", "2", "--seconds", "0.5", "--works", "pipelined-1k,chat-1x*",
                    a="1", b="2")
    assert run.returncode == 0, run.stderr
    calls = pretended.calls()
    ports = [re.search(r":(\d+)", call)[1] for call in calls]
    assert len(set(ports)) == 2
    assert ports == ports[:2] * 6  # two works, each with two rounds and one that is not counted
    assert re.fullmatch(r"echo ws://127\.0\.0\.1:\d+/echo/raw -c 16 -o 64 -s 1024 --seconds 0\.5 --warm-up 0\.3 --json "
                        r"--server-pid \d+", calls[0])
    assert re.fullmatch(r"chat ws://127\.0\.0\.1:\d+/chat -c 1001 --speakers 1 --text ascii --seconds 0\.5 "
                        r"--warm-up 0\.3 --json --prefix  --server-pid \d+", calls[-1])


def test_a_server_that_dies_is_named_and_the_others_go_on(pretended):
    run = pretended("--base", "a", "--rounds", "1", "--works", "echo-20,echo-1k", a="1", mortal="die", b="2")
    assert run.returncode == 1
    assert "compare: mortal died at echo-20, by SIGKILL" in run.stderr.splitlines()
    assert "Not measured: mortal died at echo-20, by SIGKILL" in run.stdout
    assert cells(run.stdout, "CPU time a message ÷ a", ECHO) == {"mortal": "–", "b": "2.00 (2.00–2.00)"}


def test_without_the_base_there_is_nothing_to_compare(pretended):
    run = pretended("--base", "mortal", "--rounds", "2", "--works", "echo-20,echo-1k", mortal="die", b="2")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-2:] == ["compare: mortal died at echo-20, by SIGKILL",
                                            "compare: nothing further: there is no mortal to compare with"]
    assert len(pretended.calls()) == 1


def test_a_load_that_fails_is_told_of_each_work(pretended):
    run = pretended("--base", "a", "--rounds", "1", "--works", "echo-20,connect", a="1", b="refuse")
    assert run.returncode == 1
    assert [line for line in run.stderr.splitlines() if "wrong" in line] == [
        f"compare: b at {work}: wsload: connection 1: it went wrong" for work in ("echo-20", "connect")]


def test_a_server_that_does_not_start_is_named(pretended):
    run = compare("--build", BUILD, "--servers", "wsd", "--rounds", "1", "--seconds", "0.05", "--works", "echo-20",
                  "--peer", "none=/bin/false", "--peer", "nowhere=/no/such/program")
    assert run.returncode == 1
    assert "compare: nowhere is left out: there is no /no/such/program" in run.stderr
    assert re.search(r"^compare: none ended: taskset -c \d+ /bin/false \d+$", run.stderr, re.MULTILINE)


def test_what_is_missing_is_told(pretended):
    run = pretended("--base", "a", "--rounds", "1", "--works", "echo-20", a="1")
    assert re.search(r"compare: raw_tcp is left out: there is no \S+/bench/raw_tcp; --install gets", run.stderr)


@pytest.mark.parametrize("options, complaint", [
    (["--rounsd", "3"], "unrecognized arguments: --rounsd 3"),
    (["--rounds", "-1"], "--rounds and --warm-up cannot be negative"),
    (["--works", "echo-20,echo-30"], "there is no work 'echo-30'"),
    (["--servers", "apache"], "there is no server 'apache'"),
    (["--peer", "apache"], "--peer takes 'name=COMMAND'"),
    (["--base", "nobody"], "there is no server nobody"),
    (["--peer", "wsd=/bin/true"], "two servers have the name wsd"),
])
def test_options_that_mean_nothing_are_refused(options, complaint):
    run = compare("--build", BUILD, *options)
    assert run.returncode != 0
    assert run.stdout == ""
    assert complaint in run.stderr


def test_table_and_plot_are_written(pretended, tmp_path):
    run = pretended("--base", "a", "--rounds", "2", "--works", "echo-20", "--write", tmp_path, a="1", b="3")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "speed-table.md").read_text() == "# Speed, measured\n\n" + run.stdout
    assert run.stdout.startswith("Made by `tools/compare --build ")
    from xml.etree import ElementTree
    plot = ElementTree.parse(tmp_path / "speed.svg")
    titles = [title.text for title in plot.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["b: 3.00 (3.00–3.00)"]


def test_a_slope_leaves_out_what_every_run_has():
    assert compare_steady.slope((1_000 + 7 * 10, 1_000 + 7 * 30), (10, 30)) == 7


def test_counts_are_read(tmp_path):
    file = tmp_path / "counted"
    file.write_text("version: 1\nevents: Ir\nfn=(1)\n0 5\nsummary: 12345\ntotals: 12345\n")
    assert compare_steady.read_callgrind(file) == 12345
    file.write_text("% time     seconds  usecs/call     calls    errors syscall\n"
                    "------ ----------- ----------- --------- --------- ----------------\n"
                    " 60.00    0.000010           2         5         1 recvfrom\n"
                    "------ ----------- ----------- --------- --------- ----------------\n"
                    "100.00    0.000015           1        11         1 total\n")
    assert compare_steady.read_strace(file) == 11
    file.write_text("")
    assert compare_steady.read_strace(file) is None


def test_system_calls_of_wsd_are_counted():
    """With one message outstanding a recv and a send each, and a share of an epoll_wait."""
    (wsd,) = (kind for kind in compare_servers.known(BUILD) if kind.name == "wsd")
    work = compare_works.Work("few", "few", "echo", ("-c", "16"), 800)
    assert 2 < compare_steady.count("system calls", wsd, work, BUILD / "bin" / "wsload") < 3


def test_numbers_have_three_digits():
    assert [compare_report.significant(number) for number in (0, 0.01234, 1.234, 12.34, 123.4, 1234567.8)] == [
        "0", "0.0123", "1.23", "12.3", "123", "1,234,568"]


def test_the_real_ones():
    """wsd against itself: a peer like any other, its command a script."""
    again = f"again={BUILD / 'bin' / 'wsd'} --log-level off --port"
    run = compare("--build", BUILD, "--servers", "wsd", "--peer", again, "--rounds", "1", "--seconds", "0.2",
                  "--warm-up", "0", "--works", "echo-20,pipelined-20-chinese,connect")
    assert run.returncode == 0, run.stderr
    for work in (ECHO, "16 connections, 64 outstanding, 20 B, Chinese text", "connect, upgrade, close, 64 at a time"):
        assert float(cells(run.stdout, "Messages a second", work)["again"].replace(",", "")) > 0
    assert re.search(r"^- wsd: `bin/wsd --log-level off --port PORT`, wsd \d", run.stdout, re.MULTILINE)
