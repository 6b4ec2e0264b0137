"""Tests tools/autobahn with a fake `wstest`, which reads the configuration, connects to the program under test and
writes the index.json that the test asks for.
"""

import json
import os
import subprocess
import sys

import pytest

from cases import all_cases
from player import read_exceptions
from serving import HERE

TOP = HERE.parents[1]
BIN = TOP / "build" / "release" / "bin"

# The index that the suite writes for a server with the expected results.
CLEAN = dict.fromkeys((case.id for case in all_cases()), ("OK", "OK")) | {
    id: (result.verdict, result.close) for id, result in read_exceptions(HERE / "wsd-exceptions.tsv").items()}

FAKE = '''#!/usr/bin/python3
"""A fake wstest. $FAKE is the index in JSON, {agent: {case: verdicts}}; if it is null, no index is written."""
import asyncio, json, os, socket, sys
from pathlib import Path

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert set(arguments) == {"--mode", "--spec", "--webport"}, arguments
specification = json.loads(Path(arguments["--spec"]).read_text())
assert specification["cases"] == ["*"] and specification["exclude-cases"] == []
index = json.loads(os.environ["FAKE"])


def write():
    if index is None:
        return
    out = Path(specification["outdir"])
    out.mkdir(parents=True, exist_ok=True)
    (out / "index.json").write_text(json.dumps({agent: {id: {
        "behavior": verdict, "behaviorClose": close, "remoteCloseCode": 1000, "duration": 2,
        "reportfile": f"{agent}_case_{id.replace('.', '_')}.json"} for id, (verdict, close) in cases.items()}
        for agent, cases in index.items()}))


def fuzzing_client():
    """Checks that the server completes the opening handshake."""
    (server,) = specification["servers"]
    host, port = server["url"].removeprefix("ws://").split("/")[0].rsplit(":", 1)
    path = "/" + server["url"].removeprefix("ws://").split("/", 1)[1]
    with socket.create_connection((host, int(port))) as tcp:
        tcp.sendall(f"GET {path} HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
                    "Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n".encode())
        assert tcp.recv(65536).startswith(b"HTTP/1.1 101 ")
    write()


async def fuzzing_server():
    """Each case sends a text and a binary message and requires their echoes; `seen` lists the cases."""
    import websockets
    seen = []

    async def serve(ws):
        if ws.path == "/getCaseCount":
            await ws.send(os.environ.get("COUNT", "517"))
        elif ws.path.startswith("/updateReports?agent=wsc"):
            (Path(specification["outdir"]).parent / "seen").write_text(" ".join(seen))
            write()
        else:
            for message in ("text", b"\\\\x00\\\\xff"):
                await ws.send(message)
                assert await ws.recv() == message
            seen.append(ws.path)

    port = int(specification["url"].rsplit(":", 1)[1])
    async with websockets.serve(serve, "127.0.0.1", port):
        await asyncio.Future()


if arguments["--mode"] == "fuzzingclient":
    fuzzing_client()
else:
    asyncio.run(fuzzing_server())
'''

# Records wsd's arguments and starts it without --deflate: these tests do not need compression.
NOTING_WSD = '''#!/bin/sh
printf '%s ' "$@" >"${0%/*}/arguments"
shift 3
exec "$REAL_WSD" --port 0 "$@"
'''


@pytest.fixture
def autobahn(tmp_path):
    """Runs tools/autobahn with the fake suite and an index."""
    (tmp_path / "bin").mkdir()
    for name, text in (("wstest", FAKE), ("wsd", NOTING_WSD)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    scratch = tmp_path / "scratch"

    def run(index, *arguments, has_suite=True, **more):
        environment = {
            "PATH": str(tmp_path / "bin" if has_suite else tmp_path), "FAKE": json.dumps(index),
            "REAL_WSD": os.environ.get("FBF_WSD", str(BIN / "wsd")), "FBF_WSD": str(tmp_path / "bin" / "wsd"),
            "FBF_WSC": os.environ.get("FBF_WSC", str(BIN / "wsc"))}
        return subprocess.run([sys.executable, TOP / "tools" / "autobahn", "--scratch", scratch, *arguments],
                              capture_output=True, text=True, env=environment | more, timeout=280)
    run.scratch = scratch
    run.bin = tmp_path / "bin"
    return run


def without(cases, *ids):
    return {id: verdicts for id, verdicts in cases.items() if id not in ids}


def test_autobahn_exits_with_0_if_all_results_are_as_expected(autobahn):
    run = autobahn({"wsd": CLEAN})
    assert (run.returncode, "DIFFERS" in run.stdout) == (0, False), run.stderr
    assert "517 of 517 cases" in run.stdout
    assert "      6    145" in run.stdout and "34 OK, 3 INFORMATIONAL" in run.stdout
    assert (autobahn.bin / "arguments").read_text().startswith("--port 0 --deflate ")


def test_autobahn_passes_its_options_to_wsd(autobahn):
    assert autobahn({"wsd": CLEAN}, "--max-message", "32MiB").returncode == 0
    assert (autobahn.bin / "arguments").read_text() == "--port 0 --deflate --max-message 32MiB "


@pytest.mark.parametrize("index, said", [
    ({"wsd": without(CLEAN, "9.1.6")}, "1 of 517 cases were not played: 9.1.6"),
    ({"wsd": {}}, "517 of 517 cases were not played"),
    ({"wsd": CLEAN | {"6.4.1": ("NON-STRICT", "OK")}}, "6.4.1: expected OK / close OK, got NON-STRICT / close OK"),
    ({"wsd": CLEAN | {"3.1": ("FAILED", "OK")}}, "3.1: expected OK / close OK, got FAILED / close OK"),
    ({"wsd": CLEAN | {"3.1": ("OK", "UNCLEAN")}}, "3.1: expected OK / close OK, got OK / close UNCLEAN"),
    ({"wsd": CLEAN | {"12.1.1": ("UNIMPLEMENTED", "OK")}}, "12.1.1: expected OK / close OK, got UNIMPLEMENTED"),
    ({"wsd": CLEAN | {"14.1": ("OK", "OK")}}, "14.1: is no case of the suite"),
    ({"another": CLEAN}, "no results"),
    (None, "no results"),
])
def test_autobahn_exits_with_1_if_a_server_result_is_missing_or_unexpected(autobahn, index, said):
    run = autobahn(index)
    assert run.returncode == 1
    assert said in run.stdout + run.stderr


def test_autobahn_ignores_reports_of_an_earlier_run(autobahn):
    assert autobahn({"wsd": CLEAN}).returncode == 0
    assert autobahn(None).returncode == 1


@pytest.mark.parametrize("arguments", [[], ["--client"]])
def test_autobahn_exits_with_2_if_wstest_and_container_engines_are_missing(autobahn, arguments):
    run = autobahn(None, *arguments, has_suite=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert "neither wstest nor docker nor podman is here" in run.stderr


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_autobahn_runs_the_suite_in_a_container_with_the_scratch_directory_mounted(autobahn, engine, tmp_path):
    """The engine is a fake too. It must be run with the suite's image, the host's network and one volume."""
    (tmp_path / engine).write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$OUT"\n')
    (tmp_path / engine).chmod(0o755)
    run = autobahn(None, has_suite=False, OUT=str(tmp_path / "engine-arguments"))
    assert run.returncode == 1  # the fake engine writes no index.json
    assert (tmp_path / "engine-arguments").read_text().split("\n") == [
        "run", "--rm", "--network=host", f"--volume={autobahn.scratch}:/scratch",
        "docker.io/crossbario/autobahn-testsuite", "wstest", "--mode", "fuzzingclient",
        "--spec", "/scratch/fuzzingclient.json", "--webport", "0", ""]
    assert json.loads((autobahn.scratch / "fuzzingclient.json").read_text())["outdir"] == "/scratch/reports"


# --- the client

def test_wsc_runs_each_case_and_requests_the_reports(autobahn):
    run = autobahn({"wsc": CLEAN}, "--client")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "517 of 517 cases" in run.stdout
    assert (autobahn.scratch / "seen").read_text().split() == [
        f"/runCase?case={number}&agent=wsc" for number in range(1, 518)]


@pytest.mark.parametrize("index, said", [
    ({"wsc": without(CLEAN, "1.1.1")}, "1 of 517 cases were not played: 1.1.1"),
    ({"wsc": CLEAN | {"1.1.1": ("FAILED", "OK")}}, "1.1.1: expected OK / close OK, got FAILED / close OK"),
    ({"wsc": CLEAN | {"1.1.1": ("OK", "WRONG CODE")}}, "got OK / close WRONG CODE"),
    ({"wsc": CLEAN | {"12.1.1": ("UNIMPLEMENTED", "OK")}}, "got UNIMPLEMENTED / close OK"),
    (None, "no results"),
])
def test_autobahn_exits_with_1_if_a_client_result_is_missing_or_unexpected(autobahn, index, said):
    run = autobahn(index, "--client", COUNT="3")
    assert run.returncode == 1
    assert said in run.stdout + run.stderr


def test_autobahn_exits_with_1_if_the_suite_reports_no_valid_case_count(autobahn):
    run = autobahn({"wsc": CLEAN}, "--client", COUNT="many")
    assert run.returncode == 1 and "how many cases" in run.stderr
