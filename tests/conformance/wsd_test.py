"""Tests wsd with the cases, and the file of its exceptions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cases import all_cases
from judging import FAILED, INFORMATIONAL, NON_STRICT, OK, Result
from player import differences, read_exceptions, read_results, write_results
from serving import HERE, Served

EXCEPTIONS = HERE / "wsd-exceptions.tsv"
WSD = os.environ.get("FBF_WSD", HERE.parents[1] / "build" / "release" / "bin" / "wsd")

# The cases of Autobahn 25.10.1 (fuzzingclient): each group and its number of cases.
SUITE = """
1.1:8 1.2:8 2:11 3:7 4.1:5 4.2:5 5:20
6.1:3 6.2:4 6.3:2 6.4:4 6.5:5 6.6:11 6.7:4 6.8:2 6.9:4 6.10:3 6.11:5 6.12:8 6.13:5 6.14:10 6.15:1 6.16:3 6.17:5 6.18:5
6.19:5 6.20:7 6.21:8 6.22:34 6.23:7
7.1:6 7.3:6 7.5:1 7.7:13 7.9:9 7.13:2 9.1:6 9.2:6 9.3:9 9.4:9 9.5:6 9.6:6 9.7:6 9.8:6 10.1:1
12.1:18 12.2:18 12.3:18 12.4:18 12.5:18 13.1:18 13.2:18 13.3:18 13.4:18 13.5:18 13.6:18 13.7:18
"""


# --- the cases, and the file of exceptions


def test_all_517_cases_of_the_suite_are_implemented():
    groups = [group.split(":") for group in SUITE.split()]
    ids = [f"{group}.{number}" for group, count in groups for number in range(1, int(count) + 1)]
    assert len(ids) == 517
    assert [case.id for case in all_cases()] == ids


def test_only_cases_that_the_suite_does_not_grade_are_exceptions():
    exceptions = {id: (result.verdict, result.close) for id, result in read_exceptions(EXCEPTIONS).items()}
    assert exceptions == dict.fromkeys(["7.1.6", "7.13.1", "7.13.2"], (INFORMATIONAL, INFORMATIONAL))


GOOD = Result("1.1.1", OK, OK)
LATE = Result("1.1.1", NON_STRICT, OK, "late")


@pytest.mark.parametrize("result, exception, found", [
    (GOOD, None, []),
    (LATE, None, ["1.1.1: expected OK / close OK, got NON-STRICT / close OK: late"]),
    (Result("1.1.1", OK, FAILED, "the wrong end"), None, ["1.1.1: expected OK / close OK, got OK / close FAILED"]),
    (LATE, LATE, []),
    (GOOD, LATE, ["1.1.1: expected NON-STRICT / close OK, got OK / close OK"]),
    (Result("8.1", OK, OK), None, ["8.1: is no case of the suite", "1 of 1 cases were not played: 1.1.1"]),
    (None, None, ["1 of 1 cases were not played: 1.1.1"]),
    (None, LATE, ["1 of 1 cases were not played: 1.1.1"]),
])
def test_differences_reports_each_unexpected_or_missing_result(result, exception, found):
    lines = differences([result] if result else [], {"1.1.1": exception} if exception else {}, ["1.1.1"])
    assert len(lines) == len(found) and all(line.startswith(begin) for line, begin in zip(lines, found))


@pytest.mark.parametrize("line", ["1.1.1\tOK\tOK", "8.1\tFAILED\tOK\tno such case"])
def test_read_exceptions_rejects_unknown_cases_and_ok_results(tmp_path, line):
    (tmp_path / "file.tsv").write_text(f"case\tverdict\tclose\treason\n{line}\n")
    with pytest.raises(ValueError):
        read_exceptions(tmp_path / "file.tsv")


@pytest.mark.parametrize("lines", [
    "1.1.1\tNON-STRICT\tOK",  # the reason is missing
    "1.1.1\tOK\tOK\tbecause",  # a reason for OK
    "1.1.1\tOK",
    "1.1.1\tOK\tOK\n1.1.1\tOK\tOK",
])
def test_read_results_rejects_malformed_and_duplicate_rows(tmp_path, lines):
    (tmp_path / "file.tsv").write_text(f"case\tverdict\tclose\treason\n{lines}\n")
    with pytest.raises(ValueError):
        read_results(tmp_path / "file.tsv")


def test_read_results_returns_the_written_results(tmp_path):
    results = [GOOD, Result("1.1.2", FAILED, FAILED, "came:\tnothing")]
    write_results(tmp_path / "file.tsv", results)
    assert read_results(tmp_path / "file.tsv") == [GOOD, Result("1.1.2", FAILED, FAILED, "came: nothing")]


# --- the server


@pytest.fixture(scope="module")
def wsd():
    with Served([WSD, "--port", "0", "--deflate"], status=0) as server:
        yield server.url("/echo/raw")


def play(*arguments):
    return subprocess.run([sys.executable, HERE / "play", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)


def test_wsd_has_the_expected_result_in_each_case(wsd):
    """The patience is high, since no wait should expire, even with a sanitizer on a busy machine."""
    cases = "1-7,10,12.*.4,13.*.4,12.1.11,13.3.11"  # few with compression; tools/test --part conformance plays all
    run = play("--quiet", "--cases", cases, "--parallel", "16", "--patience", "20", "--against", EXCEPTIONS, wsd)
    assert (run.returncode, run.stdout) == (0, "")


def test_play_exits_with_1_if_a_result_differs_from_the_file(wsd, tmp_path):
    (tmp_path / "worse.tsv").write_text("case\tverdict\tclose\treason\n1.1.1\tFAILED\tOK\tit was\n")
    run = play("--quiet", "--cases", "1.1.1", "--against", tmp_path / "worse.tsv", wsd)
    assert (run.returncode, run.stdout) == (
        1, "DIFFERS  1.1.1: expected FAILED / close OK, got OK / close OK\n")


def test_play_exits_with_0_if_all_cases_pass_1_if_one_fails_and_2_on_bad_arguments(wsd):
    assert play("--cases", "1.1.1,7.13.*", wsd).returncode == 0
    assert play("--cases", "1.1.1", wsd.replace("/echo/raw", "/echo")).returncode == 1
    assert play("--cases", "14", wsd).returncode == 2
    assert play("--cases", "1.1.1", "http://localhost:1/").returncode == 2
