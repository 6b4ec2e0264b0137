"""Each rule of a standard has one tag, such as 6455-5.2-MINLEN: number of the RFC, section, name. The tag is
at the branch that enforces the rule, in the test that checks it and on the page that explains it."""

import os
import sys
from pathlib import Path

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib"))
from rules import CODE, find_tags  # noqa: E402


def tags(root, *parts):
    """Maps each tag in these parts of the tree to its first place."""
    return {tag: f"{places[0][0]}:{places[0][1]}: {tag}" for tag, places in find_tags(root, *parts).items()}


def without_test(root):
    tested = tags(root, "tests")
    return [place for tag, place in sorted(tags(root, *CODE).items()) if tag not in tested]


def without_code(root):
    coded = tags(root, *CODE)
    return [place for tag, place in sorted(tags(root, "tests", "docs", "README.md").items())
            if tag not in coded]


def test_each_tag_in_the_code_is_cited_by_a_test():
    assert all(tags(ROOT, part) for part in CODE)
    assert without_test(ROOT) == []


def test_each_tag_in_tests_and_docs_is_in_the_code():
    assert all(tags(ROOT, part) for part in ("tests", "docs"))
    assert without_code(ROOT) == []


def test_tags_check_reports_tags_without_test_or_code(tmp_path):
    tree = {
        # In comments, one or several; in the error table, as the first string of a row.
        "protocol/frame/frame.cpp": "// [6455-5.1-MASK] a client masks, [6455-5.1-NOMASK] no server\n",
        "protocol/error.cpp": '{"9112-3.2-HOST", 400, "one"},\n{"6455-7.4.1-1011", 1011, ""},\n',
        "server/deep/in/session.cpp": "// [9110-15.5.22-UPGRADE-FIELD] says what would do\n",
        "tools/serve": "# [6585-5-FIELDS]\n",
        # Not tags: a date, a range, a number of five digits, a tag without a name, a version.
        "tools/wsc.cpp": "// 2024-01-15-A, 9110-9112, 16455-5.2-X, 6455-5.2, v6455-1-A\n",
        "tests/protocol/frame_test.cpp": '{"[6455-5.1-MASK] text"},\n// [6455-7.4.1-1011]\n',
        "tests/integration/test_http.py": 'assert r"\\[9112-3.2-HOST\\]" in log\n',
        "tests/node_modules/ws/a.js": "// [6455-1-THEIRS]\n",
        "tests/fuzz/corpus/a": "[6455-1-BYTES]\n",
        "docs/02-frame.md": "First line\nthe rule [6455-5.2-MINLEN], and [6455-5.1-MASK]\n",
        "README.md": "[6455-1-README]\n",
    }
    for name, text in tree.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert without_test(tmp_path) == [
        "protocol/frame/frame.cpp:1: 6455-5.1-NOMASK",
        "tools/serve:1: 6585-5-FIELDS",
        "server/deep/in/session.cpp:1: 9110-15.5.22-UPGRADE-FIELD"]
    assert without_code(tmp_path) == [
        "README.md:1: 6455-1-README",
        "docs/02-frame.md:2: 6455-5.2-MINLEN"]

    (tmp_path / "protocol" / "http.cpp").write_text("// [6455-5.2-MINLEN] [6455-1-README]\n")
    (tmp_path / "tests" / "all_test.py").write_text(
        "[6455-5.1-NOMASK] [6585-5-FIELDS] [9110-15.5.22-UPGRADE-FIELD]\n"
        "[6455-5.2-MINLEN] [6455-1-README]\n")
    assert without_test(tmp_path) == [] and without_code(tmp_path) == []
