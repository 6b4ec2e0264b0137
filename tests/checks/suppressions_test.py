"""Each clang-tidy suppression names its check and its reason, and their total is fixed."""

import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib"))
from tree import find_files  # noqa: E402

# The total. Change it with the code: a new suppression must be deliberate.
EXPECTED = 1

NOLINT = re.compile(r"NOLINT(NEXTLINE|BEGIN|END)?\b")
# `NOLINT(check[, check]): reason`; a block ends with `NOLINTEND(check)`, without a reason.
CHECK = r"[a-z][A-Za-z0-9.-]+"
COMPLETE = re.compile(rf"// NOLINT(NEXTLINE|BEGIN)?\({CHECK}(, ?{CHECK})*\): \S.{{9,}}")
END = re.compile(r"// NOLINTEND\([a-z][a-z0-9., -]+\)$")


def suppressions(root):
    """Returns the total, and the suppressions that lack a check or a reason."""
    count, incomplete = 0, []
    for path in find_files(root, "protocol", "server", "tools"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not NOLINT.search(line) or END.search(line):
                continue
            count += 1
            if not COMPLETE.search(line):
                incomplete.append(f"{path.relative_to(root)}:{number}: {line.strip()}")
    return count, incomplete


def test_each_suppression_names_its_check_and_reason_and_the_total_is_as_expected():
    assert suppressions(ROOT) == (EXPECTED, [])


def test_suppression_check_reports_a_suppression_without_check_or_reason(tmp_path):
    for name in "protocol/a.h", "server/deep/in/a.cpp", "tools/a.cpp":
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "server" / "deep" / "in" / "a.cpp").write_text(
        "f();  // NOLINT(bugprone-branch-clone): both branches are rows of one table\n"
        "// NOLINTBEGIN(cert-err33-c): printing to a closed terminal has no remedy\n"
        "// NOLINTEND(cert-err33-c)\n"
        "g();  // NOLINT\n"
        "h();  // NOLINT(bugprone-branch-clone)\n"
        "// NOLINTNEXTLINE: because\n")
    assert suppressions(tmp_path) == (5, [
        "server/deep/in/a.cpp:4: g();  // NOLINT",
        "server/deep/in/a.cpp:5: h();  // NOLINT(bugprone-branch-clone)",
        "server/deep/in/a.cpp:6: // NOLINTNEXTLINE: because"])


def test_a_part_without_files_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match="no file in protocol/ ends in .h or .cpp"):
        suppressions(tmp_path)
