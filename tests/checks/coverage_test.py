"""Tests tools/lib/branches.py: an uncovered branch needs a reason in the list, and a covered one must have none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SOURCE = """\
int f(int a, int b) {
  if (a > 0 && b > 0)
    return 1;
  if (a > 0 && b > 0)
    return 2;
"""
WHY = "why: a reason\n"


@pytest.fixture(name="report")
def report_fixture(tmp_path):
    def report(branches, argued="", missed=None, total=(100, 100), least=(99, 98)):
        """branches: line, column, last column, times true, times false."""
        source = tmp_path / "protocol" / "deep" / "in" / "f.cpp"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(SOURCE)
        missed = sum(count == 0 for branch in branches for count in branch[3:]) if missed is None else missed

        def summary(covered):
            return {"count": 100, "covered": covered, "notcovered": missed}
        (tmp_path / "export.json").write_text(json.dumps({"data": [{
            "files": [{"filename": str(source), "summary": {"lines": summary(100), "branches": summary(100 - missed)},
                       "branches": [[line, column, line, last, *counts, 0, 0, 4]
                                    for line, column, last, *counts in branches]}],
            "totals": {"lines": summary(total[0]), "branches": summary(total[1])}}]}))
        (tmp_path / "list.txt").write_text(argued.replace("FILE", os.path.relpath(source, TOP)))
        run = subprocess.run([sys.executable, TOP / "tools/lib/branches.py", tmp_path / "export.json",
                              tmp_path / "list.txt", *map(str, least), tmp_path / "protocol"], capture_output=True, text=True)
        return run.returncode, run.stderr
    return report


ARGUED = "= FILE\n- if (a > 0 && b > 0)\nnever false: b > 0\n" + WHY


def test_covered_branches_need_no_reason(report):
    assert report([(2, 7, 12, 3, 1), (2, 16, 21, 1, 2)]) == (0, "")


def test_an_uncovered_branch_needs_a_listed_reason(report):
    status, said = report([(2, 7, 12, 3, 1), (2, 16, 21, 3, 0)])
    assert status == 1
    assert "f.cpp:2: `b > 0` is never false" in said
    assert report([(2, 7, 12, 3, 1), (2, 16, 21, 3, 0)], ARGUED) == (0, "")


def test_a_reason_applies_to_one_outcome_of_one_condition_only(report):
    for branch in (2, 16, 21, 0, 3), (2, 7, 12, 3, 0):
        status, said = report([branch], ARGUED)
        assert status == 1
        assert "is never" in said
        assert "`b > 0` is false in a test now" in said


def test_a_reason_for_a_covered_branch_is_an_error(report):
    status, said = report([(2, 16, 21, 3, 1)], ARGUED)
    assert status == 1
    assert "`b > 0` is false in a test now, or gone" in said


def test_identical_uncovered_branches_need_one_reason_each(report):
    twice = [(2, 16, 21, 3, 0), (4, 16, 21, 3, 0)]
    assert report(twice, ARGUED)[0] == 1
    assert report(twice, ARGUED + "\n" + ARGUED) == (0, "")


def test_template_instances_of_a_branch_are_merged(report):
    assert report([(2, 16, 21, 3, 0), (2, 16, 21, 0, 1)], missed=0) == (0, "")


def test_a_branch_count_that_differs_from_llvm_cov_is_an_error(report):
    status, said = report([(2, 16, 21, 3, 1)], missed=1)
    assert status == 1
    assert "0 branches found, and llvm-cov counts 1" in said


def test_coverage_below_the_minimum_is_an_error(report):
    assert report([], total=(99, 98)) == (0, "")
    assert report([], total=(98, 98))[0] == 1
    assert report([], total=(99, 97))[0] == 1


def test_a_listed_branch_without_a_reason_is_rejected(report):
    status, said = report([(2, 16, 21, 3, 0)], ARGUED.replace(WHY, ""))
    assert status == 1
    assert "not a branch and its reason" in said


def test_a_source_missing_from_the_export_is_an_error(report, tmp_path):
    assert report([]) == (0, "")
    (tmp_path / "protocol" / "deep" / "g.cpp").touch()
    status, said = report([])
    assert status == 1
    assert "protocol/deep/g.cpp: no test has lines of it" in said


def test_a_folder_without_sources_is_an_error(report, tmp_path):
    assert report([]) == (0, "")
    (tmp_path / "protocol" / "deep" / "in" / "f.cpp").rename(tmp_path / "f.h")
    run = subprocess.run([sys.executable, TOP / "tools/lib/branches.py", tmp_path / "export.json",
                          tmp_path / "list.txt", "99", "98", tmp_path / "protocol"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (1, "no file in protocol/ ends in .cpp\n")
