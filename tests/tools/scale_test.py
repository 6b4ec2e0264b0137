"""tools/bench scale: with few connections, and its error messages. integration_endurance checks the bytes a connection,
with more connections."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
BUILD = Path(os.environ["FBF_BUILD_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib" / "bench"))
import measure  # noqa: E402

SCALE = [ROOT / "tools" / "bench", "scale", "--build", BUILD]
FEW = ("--few", "20", "--many", "200", "--connections", "301", "--processes", "3", "--members", "30",
       "--settle", "100ms")

# A server that closes each connection and sends nothing.
SILENT = """#!/usr/bin/python3
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    listener.accept()[0].close()
"""


def scale(*arguments):
    return subprocess.run([*SCALE, *arguments], capture_output=True, text=True, timeout=300, check=False)


def children(pid):
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in tasks.read_text().split()]


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_scale_counts_all_answers_of_wsd_and_of_a_peer_in_both_parts():
    run = scale(*FEW, "--json", "--peer", f"again={BUILD / 'bin' / 'wsd'} --log-level off --port")
    assert run.returncode == 0, run.stderr
    results = json.loads(run.stdout)
    assert list(results["memory"]) == list(results["many"]) == ["wsd", "again"]
    for one in results["memory"].values():
        assert 0 < one["empty"] <= one["few"] <= one["many"]
        assert one["bytes_a_connection"] == (one["many"] - one["few"]) / 180
        assert one["after_64k"] > 0 and one["left"] > 0
    for one in results["many"].values():
        assert one["pongs"] == one["pongs_after"] == one["connections"] == 301
        assert one["deliveries"] == 200 * 29


def test_scale_counts_the_sockets_of_both_ends():
    """Counts the sockets of the whole system. Other tests may open and close some meanwhile: hence three tries."""
    tries = []
    while not tries or (len(tries) < 3 and tries[-1] != pytest.approx(602, abs=100)):
        run = scale(*FEW, "--json", "--part", "many")
        assert run.returncode == 0, run.stderr
        tries.append(json.loads(run.stdout)["many"]["wsd"]["sockets"])
    assert tries[-1] == pytest.approx(602, abs=100), tries


def test_scale_report_has_a_row_for_each_server():
    run = scale(*FEW)
    assert run.returncode == 0, run.stderr
    row = r"^\| wsd \| -?\d+ \| [\d,]+ \| [\d,]+ \| [\d,]+ \(\d+\.\d %\) \| [\d,]+ \|$"
    assert re.search(row, run.stdout, re.MULTILINE)
    assert re.search(r"^open, and answered a ping +301 of 301, 3 servers; ", run.stdout, re.MULTILINE)


def test_scale_names_a_server_that_fails_and_measures_the_others(tmp_path):
    program = tmp_path / "silent"
    program.write_text(SILENT)
    program.chmod(0o755)
    run = scale(*FEW, "--part", "memory", "--peer", f"silent={program}", "--peer", "none=/bin/false")
    assert run.returncode == 1
    assert "| wsd |" in run.stdout
    assert re.search(r"^scale: 20 connections to silent: wsload: none of 20 connections opened: ", run.stderr, re.MULTILINE)
    assert re.search(r"^scale: none ended: ", run.stderr, re.MULTILINE)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_scale_stops_its_servers_and_loads_on_a_signal(ending):
    process = subprocess.Popen([*SCALE, *FEW, "--part", "many"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while len(children(process.pid)) < 6:  # three servers, three loads
        assert time.monotonic() < end
        time.sleep(0.01)
    started = children(process.pid)
    process.send_signal(ending)
    assert process.wait(60) == 128 + ending
    assert [pid for pid in started if "wsd" in command(pid) or "wsload" in command(pid)] == []


@pytest.mark.parametrize("found, line", [
    ({"descriptors": 10_000}, "descriptors of a process: 10,000, and 10,200 are needed; ulimit -Hn 10200"),
    ({"files": 100_000}, "open files that are left: 100,000, and 202,000 are needed; sysctl -w fs.file-max=400000"),
    ({"ports": 100}, "ports of a source address: 100, and 157 are needed; sysctl -w net.ipv4.ip_local_port_range="),
    ({"backlog": 64}, "connections that wait to be accepted: 64, and 128 are needed; sysctl -w net.core.somaxconn="),
    ({"tracked": 65_536}, "connections that netfilter can still track: 65,536, and 100,000 are needed; sysctl -w "),
    ({"memory": 1 << 30}, "bytes of memory that are available: 1,073,741,824, and 1,228,800,000 are needed; fewer"),
])
def test_scale_names_a_limit_that_is_too_low_and_how_to_raise_it(found, line):
    (said,) = measure.lacking(found, 100_000, 10)
    assert said.startswith(line)


def test_scale_does_not_mention_limits_that_suffice_or_are_unknown():
    assert measure.lacking({"descriptors": 10_200, "backlog": 128}, 100_000, 10) == []


def test_scale_exits_with_2_before_the_run_if_a_limit_is_too_low():
    run = scale("--part", "many", "--connections", "100000", "--processes", "1", "--members", "20")
    most = measure.limits()["descriptors"]
    if most >= 100_220:  # this machine allows them
        run = scale("--part", "many", "--connections", str(most), "--processes", "1", "--members", "20")
    assert run.returncode == 2
    assert run.stdout == ""
    assert re.search(r"^scale: descriptors of a process: [\d,]+, and [\d,]+ are needed; ulimit -Hn ", run.stderr)


@pytest.mark.parametrize("options, complaint", [
    (["--few", "10", "--many", "10"], "there must be 0 < --few < --many"),
    (["--members", "1"], "20 --members at least"),
    (["--peer", "apache"], "--peer takes 'name=COMMAND'"),
    (["--part", "speed"], "invalid choice: 'speed'"),
])
def test_scale_refuses_invalid_options(options, complaint):
    run = scale(*options)
    assert run.returncode != 0
    assert run.stdout == ""
    assert complaint in run.stderr


def test_slabs_exclude_the_inode_cache_of_proc():
    slabinfo = ("slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> ...\n"
                "TCP                  2     10   2368   13    8 : tunables    0    0    0\n"
                "proc_inode_cache    10    100    680   12    2 : tunables    0    0    0\n"
                "dentry             900   1100    192   21    1 : tunables    0    0    0\n")
    assert measure.slabs(slabinfo) == {"TCP": 23_680, "dentry": 192_000}
