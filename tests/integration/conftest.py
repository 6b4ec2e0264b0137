"""What the integration tests share: where the programs are, what only root may do, that in CI nothing is skipped."""

import contextlib
import functools
import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def program(name):
    """The path of a program of ours: as FBF_WSD or FBF_WSC says, or else in the build FBF_BUILD_DIR (ctest sets them
    all), or else in the release build."""
    build = Path(os.environ.get("FBF_BUILD_DIR", HERE.parents[1] / "build" / "release"))
    path = Path(os.environ.get(f"FBF_{name.upper()}", build / "bin" / name))
    assert path.exists(), f"{path} is not built"
    return str(path)


# For a test that captures. An ordinary user runs it too and must be refused, so it is never skipped, and it fails if
# it passes without root.
only_root = pytest.mark.xfail(os.geteuid() != 0, raises=PermissionError, strict=True, reason="capturing is root's")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be: {item.nodeid}: {call.excinfo and call.excinfo.value}"


@pytest.fixture
def wsd():
    """Starts servers: wsd("--max-message", "1KiB"). At the end of the test each must end well on SIGTERM."""
    from wsd import Wsd  # which needs `program` from here
    with contextlib.ExitStack() as servers:
        def start(*options, **more):
            server = Wsd(*options, **more)
            servers.callback(server.end)
            return server
        yield start


def loops(*numbers):
    """For a module: `wsd = loops(1, 2)` plays its tests with one loop, and again with two."""
    @pytest.fixture(params=numbers, ids="threads={}".format)
    def started(wsd, request):
        return functools.partial(wsd, "--threads", str(request.param))
    return started
