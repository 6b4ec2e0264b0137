"""Shared by the integration tests: paths of programs, tests that need root, tests that do not run over TLS, and that a
skipped test fails in CI."""

import contextlib
import functools
import os
import subprocess
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


def only_plain(reason):
    """Marks a test that does not run over TLS (FBF_TLS=1, see wsd.py)."""
    return pytest.mark.only_plain(reason)


def pytest_configure(config):
    config.addinivalue_line("markers", "only_plain(reason): see conftest.py")


def pytest_collection_modifyitems(items):
    if os.environ.get("FBF_TLS") == "1":
        items[:] = [item for item in items if item.get_closest_marker("only_plain") is None]


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


@pytest.fixture
def name_of_three_addresses(tmp_path):
    """A command prefix in which three.test has the addresses ::1, 127.0.0.1 and 127.0.0.2: it mounts a file over
    /etc/hosts, in a mount namespace that ends with the command."""
    hosts = tmp_path / "hosts"
    hosts.write_text("".join(f"{address} three.test\n" for address in ("::1", "127.0.0.1", "127.0.0.2")))
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    within = ["unshare", "--mount", *as_root, "sh", "-c",
              'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
    probe = subprocess.run([*within, "getent", "ahosts", "three.test"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip(f"no mount namespaces here: {probe.stderr.decode().strip()}")
    return within


def loops(*numbers):
    """`wsd = loops(1, 2)` in a module runs its tests with one loop, and again with two."""
    @pytest.fixture(params=numbers, ids="threads={}".format)
    def started(wsd, request):
        return functools.partial(wsd, "--threads", str(request.param))
    return started
