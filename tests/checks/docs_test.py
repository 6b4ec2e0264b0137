"""The code in docs/ is the code in the tree."""

import importlib.machinery
import importlib.util
import os
import re
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
loader = importlib.machinery.SourceFileLoader("docs", str(ROOT / "tools" / "docs"))
docs = importlib.util.module_from_spec(importlib.util.spec_from_loader("docs", loader))
loader.exec_module(docs)

SOURCE = "int a;\n// region one\nint b;\n  int c;\n// endregion\n"
PAGE = ("# Page\n\n<!-- code protocol/a.cpp one -->\n<!-- end code -->\n\n"
        "<!-- lines protocol/a.cpp --><!-- end lines --> lines\n")


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "protocol").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "protocol" / "a.cpp").write_text(SOURCE)
    (tmp_path / "docs" / "page.md").write_text(PAGE)
    assert docs.run(tmp_path, is_check=False) == []
    return tmp_path


def test_the_pages_are_up_to_date():
    assert docs.run(ROOT, is_check=True) == []


def test_links_between_pages_and_to_files_lead_somewhere():
    dead = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
            if not target.startswith("http") and not (page.parent / target).exists():
                dead.append(f"{page.name}: {target}")
    assert dead == []


def test_code_is_put_in_with_its_place(tree):
    page = (tree / "docs" / "page.md").read_text()
    assert "lines 3 to 4:\n\n```cpp\nint b;\n  int c;\n```\n<!-- end code -->" in page
    assert "<!-- lines protocol/a.cpp -->5<!-- end lines --> lines" in page
    assert docs.run(tree, is_check=True) == []


@pytest.mark.parametrize("file, text, error", [
    ("protocol/a.cpp", SOURCE.replace("b", "bb"), "docs/page.md: stale; tools/docs brings it up to date"),
    ("protocol/a.cpp", "\n" + SOURCE, "docs/page.md: stale; tools/docs brings it up to date"),
    ("protocol/a.cpp", SOURCE.replace("one", "two"), "docs/page.md: protocol/a.cpp has no region one"),
    ("protocol/a.cpp", SOURCE + "// region two\n// endregion\n", "protocol/a.cpp: no page cites the region two"),
    ("protocol/a.cpp", SOURCE + "// region one\n// endregion\n", "protocol/a.cpp:6: the region one exists already"),
    ("protocol/a.cpp", SOURCE + "// region two\n", "protocol/a.cpp: the region two has no end"),
    ("protocol/a.cpp", SOURCE + "// endregion\n",
     "protocol/a.cpp:6: a region inside another, or an end without a beginning"),
    ("docs/page.md", "<!-- code protocol/a.cpp one -->\n", "docs/page.md: not every '<!-- code ' has its '<!-- end code -->'"),
    ("docs/page.md", PAGE.replace("lines protocol/a.cpp", "lines protocol/b.cpp"), "docs/page.md: there is no protocol/b.cpp"),
])
def test_this_check_sees_what_it_forbids(tree, file, text, error):
    (tree / file).write_text(text)
    assert error in docs.run(tree, is_check=True)
