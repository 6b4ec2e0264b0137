"""The code listings in docs/ match the source tree."""

import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
loader = importlib.machinery.SourceFileLoader("docs", str(ROOT / "tools" / "docs"))
docs = importlib.util.module_from_spec(importlib.util.spec_from_loader("docs", loader))
loader.exec_module(docs)
from tree import find_files  # noqa: E402

SOURCE = ("int a;\n\n/// One.\nint one() {\n  int b;\n\n  int c;\n}\n\n"
          "void two(int) {}\nvoid two(char) {}\n")
PAGE = ("# Page\n\n<!-- code protocol/a.cpp one -->\n<!-- end code -->\n\n"
        "<!-- lines protocol/a.cpp --><!-- end lines --> lines\n")
BAD_MARK = "docs/page.md: not every '<!-- %s' is well-formed and has its end"


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "protocol").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "protocol" / "a.cpp").write_text(SOURCE)
    (tmp_path / "docs" / "page.md").write_text(PAGE)
    assert docs.run(tmp_path, is_check=False) == []
    return tmp_path


def test_docs_pages_are_up_to_date():
    assert docs.run(ROOT, is_check=True) == []


def test_relative_links_in_docs_point_to_existing_files():
    dead = []
    for page in [ROOT / "README.md", *find_files(ROOT, "docs", "captures", "tests", suffixes=(".md",))]:
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
            if not target.startswith("http") and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert dead == []


ONE = "\n\n```cpp\n/// One.\nint one() {\n  int b;\n\n  int c;\n}\n"


def cited_tests_that_do_not_exist(root):
    """The tests that a page cites as `Suite.Case` or `test_name`, and that are in no file of tests/."""
    known = set()
    for path in find_files(root, "tests", suffixes=(".cpp", ".py")):
        text = path.read_text()
        known |= {".".join(names) for names in re.findall(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)", text, re.M)}
        known |= set(re.findall(r"^(?:async )?def (test_\w+)", text, re.M))
    return [f"{page.relative_to(root)}: {name}" for page in sorted((root / "docs").glob("*.md"))
            for name in re.findall(r"`([A-Z]\w*\.[A-Z]\w+|test_\w+)`", page.read_text()) if name not in known]


def test_tests_that_docs_cite_exist(tree):
    assert cited_tests_that_do_not_exist(ROOT) == []
    (tree / "tests").mkdir()
    (tree / "tests" / "a_test.cpp").write_text("TEST_F(Frame, IsShort) {\n")
    (tree / "tests" / "a_test.py").write_text("def test_a():\n")
    (tree / "docs" / "page.md").write_text("`Frame.IsShort`, `test_a`, `Frame.IsLong`, `test_b`\n")
    assert cited_tests_that_do_not_exist(tree) == ["docs/page.md: Frame.IsLong", "docs/page.md: test_b"]


def cited_tests_in_another_file(root):
    """The tests that docs/reports.md cites after a link to a file that does not contain them."""
    page = (root / "docs" / "reports.md").read_text()
    wrong = []
    for file, names in re.findall(r"\[[^]]*\]\(\.\./(tests/[^)]+)\)((?:,? `[\w.]+`)+)", page):
        text = (root / file).read_text()
        for name in re.findall(r"`([\w.]+)`", names):
            suite, _, case = name.partition(".")
            if not re.search(rf"\bTEST\w*\(\s*{suite},\s*{case}\b" if case else rf"\bdef {name}\(", text):
                wrong.append(f"{file}: {name}")
    return wrong


def test_reports_cite_each_test_with_its_file(tree):
    assert cited_tests_in_another_file(ROOT) == []
    rows = re.findall(r"^\| \d+ \|.*", (ROOT / "docs" / "reports.md").read_text(), re.MULTILINE)
    assert rows and all("](../tests/" in row for row in rows)
    (tree / "tests").mkdir()
    (tree / "tests" / "a_test.cpp").write_text("TEST(Frame, IsShort) {\n")
    (tree / "tests" / "a_test.py").write_text("def test_a():\n")
    (tree / "docs" / "reports.md").write_text(
        "| [a_test.cpp](../tests/a_test.cpp) `Frame.IsShort`, `Frame.IsLong`, [a_test.py](../tests/a_test.py) `test_a`, "
        "`test_b` |\n")
    assert cited_tests_in_another_file(tree) == ["tests/a_test.cpp: Frame.IsLong", "tests/a_test.py: test_b"]


def test_code_is_inserted_with_its_file_and_symbol(tree):
    page = (tree / "docs" / "page.md").read_text()
    assert "-->\n[`protocol/a.cpp`](../protocol/a.cpp), `one`:" + ONE + "```\n<!-- end code -->" in page
    assert "<!-- lines protocol/a.cpp -->11<!-- end lines --> lines" in page
    assert docs.run(tree, is_check=True) == []


@pytest.mark.parametrize("marks, listing", [
    ("one a", ", `one`, `a`:" + ONE + "\nint a;\n```\n"),
    ("two#1 two#2", ", `two`:\n\n```cpp\nvoid two(int) {}\nvoid two(char) {}\n```\n"),
    ("two(char)", ", `two`:\n\n```cpp\nvoid two(char) {}\n```\n"),
    ('one "One." a', ", in `one`, `a`:\n\n```cpp\n/// One.\nint one() {\n  int b;\n\nint a;\n```\n"),
    ('one "int c" "int b"', ", in `one`:\n\n```cpp\n  int c;\n}\n\n/// One.\nint one() {\n  int b;\n```\n"),
])
def test_a_mark_may_name_several_symbols_and_parts_of_them(tree, marks, listing):
    page = tree / "docs" / "page.md"
    page.write_text(PAGE.replace("cpp one", f"cpp {marks}"))
    assert docs.run(tree, is_check=False) == []
    assert listing in page.read_text()


def test_moving_code_within_its_file_changes_no_page(tree):
    text = PAGE.replace("<!-- lines protocol/a.cpp --><!-- end lines -->", "")
    (tree / "docs" / "rfc6455.tsv").write_text("5.1\tMUST\tA client masks\t6455-5.1-MASK\n")
    (tree / "docs" / "page.md").write_text(text + "<!-- rules docs/rfc6455.tsv 5.1 -->\n<!-- end rules -->\n")
    one = "/// One.\nint one() {\n  return 1;  // [6455-5.1-MASK]\n}\n"
    two = "void two() {  // [6455-5.1-MASK]\n}\n"
    (tree / "protocol" / "a.cpp").write_text(one + "\n" + two)
    assert docs.run(tree, is_check=False) == []
    (tree / "protocol" / "a.cpp").write_text("// A file.\n\n" + two + "\n" + one)
    assert docs.run(tree, is_check=True) == []


@pytest.mark.parametrize("file, text, error", [
    ("protocol/a.cpp", SOURCE.replace("int b", "int bb"), "docs/page.md: stale; tools/docs brings it up to date"),
    ("protocol/a.cpp", "\n" + SOURCE, "docs/page.md: stale; tools/docs brings it up to date"),  # only the line count
    ("protocol/a.cpp", SOURCE.replace("one()", "three()"), "docs/page.md: protocol/a.cpp: no symbol one"),
    ("protocol/a.cpp", SOURCE + "int one(int) {}\n",
     "docs/page.md: protocol/a.cpp: 2 symbols one: one(), one(int)"),
    ("protocol/a.cpp", SOURCE.replace("int c;", "int c;\n" * 30),
     "docs/page.md: protocol/a.cpp: 36 lines in one, more than 35: cite less"),
    ("protocol/a.cpp", SOURCE + "}\n", "docs/page.md: protocol/a.cpp: line 12: brackets do not match"),
    ("docs/page.md", PAGE.replace("a.cpp one", "b.cpp one"), "docs/page.md: protocol/b.cpp: there is no such file"),
    ("docs/page.md", PAGE.replace("one", 'one "three"'),
     'docs/page.md: protocol/a.cpp: 0 paragraphs of one contain "three", not one'),
    ("docs/page.md", PAGE.replace("one", 'one "b'), 'docs/page.md: protocol/a.cpp: not a list of symbols: one "b'),
    ("docs/page.md", PAGE.replace("<!-- end code -->", ""), BAD_MARK % "code"),
    ("docs/page.md", PAGE.replace("a.cpp one", "a.cpp"), BAD_MARK % "code"),
    ("docs/page.md", PAGE + "<!-- end code -->\n", BAD_MARK % "code"),
    ("docs/page.md", PAGE.replace("<!-- end lines -->", ""), BAD_MARK % "lines"),
    ("docs/page.md", PAGE.replace("lines protocol/a.cpp", "lines protocol/b.cpp"), "docs/page.md: there is no protocol/b.cpp"),
])
def test_docs_check_reports_stale_listings_and_invalid_marks(tree, file, text, error):
    (tree / file).write_text(text)
    assert error in docs.run(tree, is_check=True)


def test_rows_and_frames_of_captures_are_inserted(tree, monkeypatch):
    (tree / "captures").mkdir()
    (tree / "captures" / "a.rows").write_text("    1 first \n    2 second\n")
    program = tree / "wstrace"
    program.write_text("#!/bin/sh\necho '    1 one'\necho '      0000  81'\necho '   12 two'\necho '   12 three'\n")
    program.chmod(0o755)
    monkeypatch.setenv("FBF_WSTRACE", str(program))
    marks = "<!-- rows captures/a.rows -->\n<!-- end rows -->\n<!-- frames captures/a.pcap {} -->\n<!-- end frames -->\n"
    page = tree / "docs" / "page.md"
    page.write_text(PAGE + marks.format(12))
    assert docs.run(tree, is_check=False) == []
    assert "-->\n```\n    1 first\n    2 second\n```\n<!-- end" in page.read_text()
    assert "-->\n```\n   12 two\n   12 three\n```\n<!-- end" in page.read_text()
    page.write_text(PAGE + marks.format(1))
    assert docs.run(tree, is_check=False) == []
    assert "-->\n```\n    1 one\n      0000  81\n```\n<!-- end" in page.read_text()
    page.write_text(PAGE + marks.format(2))
    assert "docs/page.md: nothing ends in packet 2 of captures/a.pcap" in docs.run(tree, is_check=True)
    monkeypatch.setenv("FBF_WSTRACE", str(tree / "none"))
    (tree / "captures" / "a.rows").unlink()
    errors = docs.run(tree, is_check=True)
    assert errors[0] == "docs/page.md: there is no captures/a.rows"
    assert errors[1].startswith("docs/page.md: wstrace --frames captures/a.pcap: ")


def test_tables_of_rules_are_inserted(tree):
    (tree / "docs" / "rfc6455.tsv").write_text("5.1\tMUST\tA client masks\t6455-5.1-MASK\n"
                                               "5.2\tMAY\tb\t- no\n")
    (tree / "protocol" / "a.cpp").write_text(SOURCE + "// [6455-5.1-MASK]\n")
    marks = "<!-- rules docs/rfc6455.tsv{} -->\n<!-- end rules -->\n"
    page = tree / "docs" / "page.md"
    page.write_text(PAGE + marks.format("") + marks.format(" 5.1") + marks.format(" 5.2"))
    assert docs.run(tree, is_check=False) == []
    assert "\n| in all | 2 | 1 | 1 |\n<!-- end rules -->" in page.read_text()
    row = "\n| MUST | A client masks | `6455-5.1-MASK` | [a.cpp](../protocol/a.cpp) |  |\n"
    assert row + "<!-- end" in page.read_text()
    assert "\n| MAY | b | *not ours:* no |  |  |\n<!-- end" in page.read_text()
    # The table becomes stale if a test of the rule is added.
    (tree / "tests").mkdir()
    (tree / "tests" / "a_test.py").write_text("# [6455-5.1-MASK]\n")
    assert docs.run(tree, is_check=True) == ["docs/page.md: stale; tools/docs brings it up to date"]
    page.write_text(PAGE + marks.format("") + marks.format(" 5.1") + marks.format(" 5.3"))
    errors = docs.run(tree, is_check=False)
    assert errors == ["docs/page.md: docs/rfc6455.tsv has no section 5.3", "docs/rfc6455.tsv: no page shows section 5.2"]
    page.write_text(PAGE + marks.format("").replace("6455", "1"))
    assert docs.run(tree, is_check=True)[0] == "docs/page.md: there is no docs/rfc1.tsv"
    page.write_text(PAGE + marks.format(" 5.1").replace("docs/", ""))
    assert BAD_MARK % "rules" in docs.run(tree, is_check=True)


def test_a_page_with_an_unclosed_mark_is_not_rewritten(tree):
    opened = "<!-- code protocol/a.cpp one -->\n\nProse that must not be lost.\n\n" + PAGE
    (tree / "docs" / "page.md").write_text(opened)
    assert docs.run(tree, is_check=False) != []
    assert (tree / "docs" / "page.md").read_text() == opened


def test_docs_command_reports_a_stale_page_with_check_and_updates_it_without(tree):
    shutil.copytree(ROOT / "tools" / "lib", tree / "tools" / "lib")
    command = [sys.executable, shutil.copy(ROOT / "tools" / "docs", tree / "tools")]
    (tree / "protocol" / "a.cpp").write_text(SOURCE.replace("int b", "int bb"))
    stale = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert stale.returncode == 1
    assert stale.stderr == "docs: docs/page.md: stale; tools/docs brings it up to date\n"
    assert subprocess.run(command, check=False).returncode == 0
    assert subprocess.run([*command, "--check"], check=False).returncode == 0
    assert subprocess.run([*command, "--chekc"], capture_output=True, check=False).returncode == 1


def differences_from_map(root):
    """Returns the source files that docs/READING.md does not list, and listed files that do not exist."""
    marks = re.findall(r"<!-- lines ([^>]+?) -->", (root / "docs" / "READING.md").read_text())
    mapped = [file for mark in marks for file in mark.split() if not file.startswith("tools/")]
    there = [str(path.relative_to(root)) for path in find_files(root, "protocol", "server")]
    return sorted((Counter(mapped) - Counter(there)) + (Counter(there) - Counter(mapped)))


def test_reading_map_lists_each_source_file():
    assert differences_from_map(ROOT) == []


def test_a_file_missing_from_the_reading_map_is_reported_at_any_depth(tree):
    (tree / "docs" / "READING.md").write_text("<!-- lines protocol/a.cpp server/b.h --><!-- end lines -->\n")
    with pytest.raises(SystemExit, match="no file in server/ ends in .h or .cpp"):
        differences_from_map(tree)
    (tree / "server" / "deep" / "in").mkdir(parents=True)
    (tree / "server" / "b.h").touch()
    assert differences_from_map(tree) == []
    (tree / "server" / "b.h").rename(tree / "server" / "deep" / "in" / "b.h")
    assert differences_from_map(tree) == ["server/b.h", "server/deep/in/b.h"]


def test_a_tree_without_docs_pages_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match="no file in docs/ ends in .md"):
        docs.run(tmp_path, is_check=True)
