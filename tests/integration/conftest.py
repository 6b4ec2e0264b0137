"""Shared by the integration tests: paths of programs, tests that need root, and that a skipped test fails in CI."""

import contextlib
import functools
import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def program(name):
    """The path of a program: FBF_WSD or FBF_WSC, else in the build FBF_BUILD_DIR (ctest sets them all), else in the
    release build."""
    build = Path(os.environ.get("FBF_BUILD_DIR", HERE.parents[1] / "build" / "release"))
    path = Path(os.environ.get(f"FBF_{name.upper()}", build / "bin" / name))
    assert path.exists(), f"{path} is not built"
    return str(path)


# For a test that captures. Without root it must fail with PermissionError, so it is never skipped.
only_root = pytest.mark.xfail(os.geteuid() != 0, raises=PermissionError, strict=True, reason="capturing is root's")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {item.nodeid}: {call.excinfo and call.excinfo.value}"


@pytest.fixture
def wsd():
    """Starts servers: wsd("--max-message", "1KiB"). At the end of the test each must exit with 0 on SIGTERM."""
    from wsd import Wsd  # here, because wsd.py imports `program` from this file
    with contextlib.ExitStack() as servers:
        def start(*options, **more):
            server = Wsd(*options, **more)
            servers.callback(server.end)
            return server
        yield start


def loops(*numbers):
    """`wsd = loops(1, 2)` in a module runs its tests with one loop, and again with two."""
    @pytest.fixture(params=numbers, ids="threads={}".format)
    def started(wsd, request):
        return functools.partial(wsd, "--threads", str(request.param))
    return started
