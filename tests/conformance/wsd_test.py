"""wsd, case for case, and the file of its results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cases import all_cases
from judging import FAILED, INFORMATIONAL, NON_STRICT, OK, Result
from player import differences, read_results, write_results
from serving import HERE, Served

RESULTS = HERE / "results.tsv"
WSD = os.environ.get("FBF_WSD", HERE.parents[1] / "build" / "release" / "bin" / "wsd")


# --- the file


def test_each_case_is_in_the_file_and_nothing_else():
    assert [result.id for result in read_results(RESULTS)] == [case.id for case in all_cases()]


def test_there_are_517_cases_in_the_suite_s_sections():
    counts = {}
    for case in all_cases():
        counts[case.section] = counts.get(case.section, 0) + 1
    assert counts == {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1, 12: 90, 13: 126}


def test_the_sheet_is_clean():
    """Only what the suite itself does not judge is not plainly OK."""
    not_ok = {result.id: (result.verdict, result.close) for result in read_results(RESULTS) if not result.is_plain_ok}
    assert not_ok == dict.fromkeys(["7.1.6", "7.13.1", "7.13.2"], (INFORMATIONAL, INFORMATIONAL))


GOOD = Result("1.1.1", OK, OK)


@pytest.mark.parametrize("now, recorded, found", [
    (GOOD, GOOD, []),
    (Result("1.1.1", NON_STRICT, OK, "late"), GOOD, ["1.1.1: was OK"]),
    (Result("1.1.1", OK, FAILED, "the wrong end"), GOOD, ["1.1.1: was OK"]),
    (GOOD, Result("1.1.1", NON_STRICT, OK, "late"), ["1.1.1: was NON-STRICT"]),
    (GOOD, None, ["1.1.1: not in the file"]),
    (GOOD, Result("8.1", OK, OK), ["1.1.1: not in the file", "8.1: in the file, but no such case"]),
])
def test_better_and_worse_new_and_gone_all_differ(now, recorded, found):
    lines = differences([now], [recorded] if recorded else [], {"1.1.1", "1.1.2"})
    assert len(lines) == len(found) and all(line.startswith(begin) for line, begin in zip(lines, found))


@pytest.mark.parametrize("lines", [
    "1.1.1\tNON-STRICT\tOK",  # without a reason
    "1.1.1\tOK\tOK\tbecause",  # with one
    "1.1.1\tOK",
    "1.1.1\tOK\tOK\n1.1.1\tOK\tOK",
])
def test_a_file_that_says_too_little_or_too_much_is_refused(tmp_path, lines):
    (tmp_path / "file.tsv").write_text(f"case\tverdict\tclose\treason\n{lines}\n")
    with pytest.raises(ValueError):
        read_results(tmp_path / "file.tsv")


def test_what_is_written_is_read(tmp_path):
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


def test_wsd_is_what_the_file_says(wsd):
    """Patience, since nothing here should ever time out, and a sanitizer on a busy machine takes its time."""
    cases = "1-7,10,12.*.4,13.*.4,12.1.11,13.3.11"  # of compression one a group; tools/test --part conformance plays all
    run = play("--quiet", "--cases", cases, "--parallel", "16", "--patience", "20", "--against", RESULTS, wsd)
    assert (run.returncode, run.stdout) == (0, "")


def test_the_exit_status_is_that_of_the_comparison(wsd, tmp_path):
    worse = Path(RESULTS).read_text().replace("1.1.1\tOK\tOK", "1.1.1\tFAILED\tOK\tit was")
    (tmp_path / "worse.tsv").write_text(worse)
    run = play("--quiet", "--cases", "1.1.1", "--against", tmp_path / "worse.tsv", wsd)
    assert (run.returncode, run.stdout) == (
        1, "DIFFERS  1.1.1: was FAILED / close OK; now OK / close OK\n")


def test_without_a_file_it_is_that_of_the_sheet(wsd):
    assert play("--cases", "1.1.1,7.13.*", wsd).returncode == 0
    assert play("--cases", "1.1.1", wsd.replace("/echo/raw", "/echo")).returncode == 1
    assert play("--cases", "14", wsd).returncode == 2
    assert play("--cases", "1.1.1", "http://localhost:1/").returncode == 2
