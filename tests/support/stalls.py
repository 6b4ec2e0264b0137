"""A pytest plugin for better failure reports. A test that stalls fails at the line where it waits, before CTest kills
pytest and the captured output is lost; and the report of a command that timed out includes its output."""

import faulthandler
import os
import signal
import subprocess
import sys

import pytest

SPARE = 20  # seconds before CTest's timeout: enough to end the test's processes, and to report
AGAIN = 5  # seconds until the next interrupt, if the test's cleanup stalls too


def pytest_sessionstart(session):
    timeout = int(os.environ.get("FBF_TEST_TIMEOUT", "0"))  # CTest's, in seconds
    if timeout <= SPARE:
        return

    def interrupt(*_):
        session.shouldstop = "no time is left for the other tests"
        faulthandler.dump_traceback(sys.__stderr__)  # all threads; pytest shows it with the failure
        pytest.fail(f"stalled: {timeout - SPARE} of CTest's {timeout} s had passed, and the test was waiting here")

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, timeout - SPARE, AGAIN)


def pytest_sessionfinish():
    signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call):
    report = (yield).get_result()
    error = call.excinfo and call.excinfo.value
    if isinstance(error, subprocess.TimeoutExpired):
        for name, output in (("standard output", error.stdout), ("standard error", error.stderr)):
            text = output.decode(errors="replace") if isinstance(output, bytes) else output
            report.sections.append((f"{name} of the command that timed out", text or "no output"))
