"""Tests tools/autobahn with a fake `wstest`, which reads the configuration, connects to the program under test and
writes the index.json that the test asks for.
"""

import json
import os
import signal
import subprocess
import sys
import time

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
import asyncio, json, os, signal, socket, sys
from pathlib import Path

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert set(arguments) == {"--mode", "--spec", "--webport"}, arguments
specification = json.loads(Path(arguments["--spec"]).read_text())
assert specification["cases"] == ["*"] and specification["exclude-cases"] == []
index = json.loads(os.environ["FAKE"])
(Path(sys.argv[0]).parent / "wstest-pid").write_text(str(os.getpid()))
if "HANGS" in os.environ:
    signal.pause()


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
echo $$ >"${0%/*}/wsd-pid"
shift 3
exec "$REAL_WSD" --port 0 "$@"
'''

# Runs the script with other values of its constants.
RUN = '''
import json, os, sys
from importlib.machinery import SourceFileLoader
sys.argv = sys.argv[1:]
script = SourceFileLoader("autobahn", sys.argv[0]).load_module()
vars(script).update(json.loads(os.environ["CONSTANTS"]))
sys.exit(script.main())
'''

# Runs wsd, and ends in the way that $ENDS says after SIGTERM.
ENDING_WSD = '''#!/bin/sh
"$REAL_WSD" "$@" &
trap 'kill $!; wait $!; echo "the last words of wsd" >&2; eval "$ENDS"' TERM
wait $!
'''


@pytest.fixture
def autobahn(tmp_path):
    """Runs tools/autobahn with the fake suite and an index."""
    (tmp_path / "bin").mkdir()
    for name, text in (("wstest", FAKE), ("wsd", NOTING_WSD)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    scratch = tmp_path / "scratch"

    def start(index, *arguments, has_suite=True, constants={}, **more):
        environment = {
            "PATH": str(tmp_path / "bin" if has_suite else tmp_path), "FAKE": json.dumps(index),
            "REAL_WSD": os.environ.get("FBF_WSD", str(BIN / "wsd")), "FBF_WSD": str(tmp_path / "bin" / "wsd"),
            "FBF_WSC": os.environ.get("FBF_WSC", str(BIN / "wsc")), "CONSTANTS": json.dumps(constants)}
        return subprocess.Popen([sys.executable, "-c", RUN, TOP / "tools" / "autobahn", "--scratch", scratch, *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment | more)

    def run(*arguments, **more):
        with start(*arguments, **more) as process:
            out, errors = process.communicate(timeout=280)
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)
    run.start = start
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


def test_autobahn_keeps_what_wsd_wrote_to_standard_error(autobahn):
    assert autobahn({"wsd": CLEAN}).returncode == 0
    assert "Shutting down" in (autobahn.scratch / "wsd.log").read_text()


@pytest.mark.parametrize("ends, said", [
    ("exit 23", "wsd exited with 23"),
    ("kill -SEGV $$", "wsd was ended by SIGSEGV"),
    ("while :; do :; done", "wsd was ended by SIGKILL"),
])
def test_autobahn_exits_with_1_if_wsd_does_not_end_with_0_after_sigterm(autobahn, ends, said):
    (autobahn.bin / "wsd").write_text(ENDING_WSD)
    run = autobahn({"wsd": CLEAN}, constants={"END_TIMEOUT": 3}, ENDS=ends)
    assert (run.returncode, "DIFFERS" in run.stdout) == (1, False), run.stderr
    assert f"autobahn: {said}, not with 0 after SIGTERM; see {autobahn.scratch / 'wsd.log'}\n" in run.stderr
    assert (autobahn.scratch / "wsd.log").read_text().endswith("the last words of wsd\n")


def test_autobahn_exits_with_2_and_shows_the_message_of_a_wsd_that_does_not_start(autobahn):
    run = autobahn({"wsd": CLEAN}, "--prot", "1")
    assert run.returncode == 2
    assert run.stderr == ("autobahn: wsd did not start: it exited with 2; its output: ''\n"
                          "wsd: The following arguments were not expected: 1 --prot (wsd --help lists the options)\n\n")


def test_autobahn_does_not_wait_forever_for_the_first_line_of_wsd(autobahn):
    (autobahn.bin / "wsd").write_text("#!/bin/sh\nprintf 'listening'\nwhile :; do :; done\n")
    run = autobahn({"wsd": CLEAN}, constants={"START_TIMEOUT": 0.5})
    assert run.returncode == 2
    assert "wsd did not start: it was ended by SIGTERM; its output: 'listening'" in run.stderr


def test_autobahn_does_not_wait_forever_for_the_suite(autobahn):
    run = autobahn({"wsd": CLEAN}, constants={"SUITE_TIMEOUT": 0.5}, HANGS="1")
    assert run.returncode == 1
    assert "the suite did not end within 0.5 seconds" in run.stderr


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_pid(path):
    """The number in the file that a program writes when it has started."""
    until = time.monotonic() + 60
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < until, f"{path} does not appear"
        time.sleep(0.02)
    return int(path.read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_autobahn_ends_wsd_and_the_suite_if_a_signal_ends_it(autobahn, number):
    with autobahn.start({"wsd": CLEAN}, HANGS="1") as process:
        suite = wait_for_pid(autobahn.bin / "wstest-pid")
        wsd = wait_for_pid(autobahn.bin / "wsd-pid")
        process.send_signal(number)
        _, errors = process.communicate(timeout=280)
    assert process.returncode == 128 + number
    assert errors.endswith(f"autobahn: ended by {number.name}\n")
    assert (is_running(suite), is_running(wsd)) == (False, False)


def test_autobahn_ends_wsc_and_the_suite_if_a_signal_ends_it(autobahn):
    (autobahn.bin / "wsc").write_text("#!/bin/sh\necho $$ >\"${0%/*}/wsc-pid\"\nwhile :; do :; done\n")
    (autobahn.bin / "wsc").chmod(0o755)
    with autobahn.start({"wsc": CLEAN}, "--client", FBF_WSC=str(autobahn.bin / "wsc")) as process:
        wsc = wait_for_pid(autobahn.bin / "wsc-pid")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=280)
    assert process.returncode == 128 + signal.SIGTERM
    assert (is_running(wsc), is_running(wait_for_pid(autobahn.bin / "wstest-pid"))) == (False, False)


# --- the scratch directory

def test_autobahn_does_not_empty_a_directory_that_it_did_not_make(autobahn):
    autobahn.scratch.mkdir()
    (autobahn.scratch / "thesis.tex").write_text("three years of work")
    run = autobahn({"wsd": CLEAN})
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (f"autobahn: {autobahn.scratch} has files that tools/autobahn did not make: name another directory, "
                          "or empty it yourself\n")
    assert [path.name for path in autobahn.scratch.iterdir()] == ["thesis.tex"]


def test_autobahn_deletes_what_an_earlier_run_left(autobahn, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    assert autobahn({"wsd": CLEAN}).returncode == 0
    (autobahn.scratch / "link").symlink_to(tmp_path / "elsewhere")
    (autobahn.scratch / "left").mkdir()
    assert autobahn({"wsd": CLEAN}).returncode == 0
    assert {path.name for path in autobahn.scratch.iterdir()} == {
        ".made-by-tools-autobahn", "fuzzingclient.json", "reports", "wsd.log", "wstest.log"}
    assert (tmp_path / "elsewhere" / "kept").exists()


def test_autobahn_exits_with_2_if_the_scratch_directory_cannot_be_made(autobahn):
    autobahn.scratch.touch()
    run = autobahn({"wsd": CLEAN})
    assert run.returncode == 2
    assert run.stderr.startswith(f"autobahn: {autobahn.scratch} cannot be emptied: ")


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
