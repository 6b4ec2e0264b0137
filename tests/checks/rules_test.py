"""Each keyword of a standard has a row in docs/rfc*.tsv, with tags or the reason why it has none. The tables are
complete (see the counts below), their tags are in code and tests, and every tag of the code is in a table."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib"))
import rules  # noqa: E402

TABLE = "docs/rfc6455.tsv"

# How many keywords each section of the RFC has. docs/rfc6455.md says how they were counted.
COUNTS_6455 = {
    "4.1": 47, "4.2": 1, "4.2.1": 2, "4.2.2": 12, "4.3": 1, "4.4": 1,
    "5.1": 7, "5.2": 11, "5.3": 4, "5.4": 12, "5.5": 2, "5.5.1": 13, "5.5.2": 4, "5.5.3": 2, "5.6": 1, "5.8": 1,
    "6.1": 9, "6.2": 7,
    "7.1.1": 6, "7.1.2": 2, "7.1.7": 8, "7.2.1": 3, "7.2.2": 1, "7.2.3": 4, "7.3": 2, "7.4": 1, "7.4.1": 6,
    "8.1": 1,
    "9": 4, "9.1": 7, "9.2": 1,
    "10.2": 2, "10.3": 1, "10.4": 2, "10.6": 2, "10.7": 4,
}

# docs/rfc7692.tsv says how these were counted.
COUNTS_7692 = {
    "5": 13,
    "6.1": 4, "6.2": 2,
    "7": 2, "7.1.1.1": 3, "7.1.1.2": 3, "7.1.2.1": 4, "7.1.2.2": 5, "7.2.1": 14, "7.2.2": 10, "7.3": 1,
}


def of_chapters(counts):
    sums = {}
    for section, count in counts.items():
        chapter = section.split(".")[0]
        sums[chapter] = sums.get(chapter, 0) + count
    return sums


def test_each_keyword_of_rfc_6455_has_a_tag_or_a_reason():
    assert of_chapters(COUNTS_6455) == {"4": 64, "5": 57, "6": 16, "7": 33, "8": 1, "9": 12, "10": 11}
    assert sum(COUNTS_6455.values()) == 194
    assert rules.check(ROOT, TABLE, COUNTS_6455) == []


def test_each_keyword_of_rfc_7692_has_a_tag_or_a_reason():
    assert of_chapters(COUNTS_7692) == {"5": 13, "6": 6, "7": 42}
    assert rules.check(ROOT, "docs/rfc7692.tsv", COUNTS_7692) == []


# --- small trees with one error each

TREE = {
    TABLE: "# what it is\n"
           "5.1\tMUST\tA client masks\t6455-5.1-MASK\n"
           "5.1\tMUST NOT\tA server does not\t6455-5.1-NOMASK 6455-5.1-MASK\n"
           "5.10\tMAY\tWho has a proxy | may use it\t- no proxy is known here\n",
    "protocol/error.cpp": '{"6455-5.1-MASK", 1002},\n{"6455-5.1-NOMASK", 1002},\n',
    "protocol/frame/frame.cpp": "// [6455-5.1-MASK]\n// [6455-5.1-NOMASK]\n// [6455-5.1-MASK]\n",
    # Tags of another RFC or chapter are ignored.
    "server/http/router.cpp": "// [9110-5-FIELD] [6455-3-URI]\n",
    "tests/protocol/frame_test.cpp": "// [6455-5.1-MASK] here\n// [6455-5.1-MASK] there [6455-5.1-NOMASK]\n",
}
COUNTS = {"5.1": 2, "5.10": 1}


@pytest.fixture
def tree(tmp_path):
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert rules.check(tmp_path, TABLE, COUNTS) == []
    return tmp_path


ROW = "5.1\tMUST\tA client masks\t"


@pytest.mark.parametrize("file, old, new, errors", [
    # A tag without a test, without code, without a branch, without a row.
    ("tests/protocol/frame_test.cpp", " [6455-5.1-NOMASK]", "", [f"{TABLE}:3: 6455-5.1-NOMASK is cited by no test"]),
    (TABLE, "6455-5.1-NOMASK", "6455-5.1-GONE", [
        f"{TABLE}:3: 6455-5.1-GONE stands nowhere in the code", f"{TABLE}:3: 6455-5.1-GONE is cited by no test",
        "protocol/error.cpp:2: 6455-5.1-NOMASK is in no row of docs/rfc6455.tsv"]),
    ("protocol/frame/frame.cpp", "// [6455-5.1-NOMASK]", "", [
        f"{TABLE}:3: 6455-5.1-NOMASK stands at no branch, in the table of errors only"]),
    ("server/http/router.cpp", "6455-3-URI", "6455-5.2-NEW", ["server/http/router.cpp:1: 6455-5.2-NEW is in no row of " + TABLE]),
    # No tag and no reason; both; text that is no tag.
    (TABLE, ROW + "6455-5.1-MASK", ROW, [f"{TABLE}:2: neither a tag nor a reason why there is none"]),
    (TABLE, "- no proxy is known here", "- ", [f"{TABLE}:4: neither a tag nor a reason why there is none"]),
    (TABLE, "- no proxy is known here", "- see 6455-5.1-MASK",
     [f"{TABLE}:4: a reason why there is no tag, and a tag in it"]),
    (TABLE, ROW + "6455-5.1-MASK", ROW + "6455-5.1-MASK - no", [f"{TABLE}:2: - is no tag", f"{TABLE}:2: no is no tag"]),
    (TABLE, ROW + "6455-5.1-MASK", ROW + "[6455-5.1-MASK]", [f"{TABLE}:2: [6455-5.1-MASK] is no tag"]),
    # A missing row, an extra row, a row in the wrong section, one out of order, malformed rows.
    (TABLE, ROW + "6455-5.1-MASK\n", "", [f"{TABLE}: 1 keywords in 5.1, not 2"]),
    (TABLE, ROW, ROW + "6455-5.1-MASK\n" + ROW, [f"{TABLE}: 3 keywords in 5.1, not 2"]),
    (TABLE, "5.10\t", "5.9\t", [f"{TABLE}: 1 keywords in 5.9, not 0", f"{TABLE}: 0 keywords in 5.10, not 1"]),
    (TABLE, "5.1\tMUST NOT", "4\tMUST NOT", [
        f"{TABLE}:3: 4 comes ahead of 5.1", f"{TABLE}: 1 keywords in 4, not 0", f"{TABLE}: 1 keywords in 5.1, not 2"]),
    (TABLE, "MUST NOT", "MUSTN'T", [f"{TABLE}:3: MUSTN'T is no keyword"]),
    (TABLE, "5.10\tMAY", "5.10 MAY", [
        f"{TABLE}:4: not a section, a keyword, a rule and its answer, with tabs between them",
        f"{TABLE}: 0 keywords in 5.10, not 1"]),
])
def test_rules_check_reports_invalid_rows_and_missing_tags(tree, file, old, new, errors):
    text = (tree / file).read_text()
    assert old in text
    (tree / file).write_text(text.replace(old, new, 1))
    assert rules.check(tree, TABLE, COUNTS)[:len(errors)] == errors


def test_show_section_lists_the_places_of_each_tag(tree):
    found = rules.read_rules(tree, TABLE, [])
    (tree / "tests/protocol/frame_test.cpp").write_text(
        "TEST(Frame, IsMasked) {  // [6455-5.1-MASK]\n}\nTEST(Frame, Fails) {\n  f();  // 6455-5.1-MASK\n}\n"
        "// Of both:\n\n// [6455-5.1-NOMASK]\n")
    (tree / "protocol/frame/frame.cpp").write_text(
        "void write() {\n  // [6455-5.1-MASK]\n  // [6455-5.1-NOMASK]\n}\nvoid read() {\n  // [6455-5.1-MASK]\n}\n")
    code = rules.name_places(tree, rules.find_tags(tree, *rules.CODE))
    tests = rules.name_places(tree, rules.find_tags(tree, "tests"))
    in_code = "[error.cpp](../protocol/error.cpp), [frame.cpp](../protocol/frame/frame.cpp) "
    in_tests = "[frame_test.cpp](../tests/protocol/frame_test.cpp)"
    assert rules.show_section(found[:2], code, tests).splitlines() == [
        "2 keywords: 2 bound, 0 not ours.",
        "",
        "| keyword | the rule | bound by | in code | in tests |",
        "| --- | --- | --- | --- | --- |",
        f"| MUST | A client masks | `6455-5.1-MASK` | {in_code}`read`, `write` | {in_tests} `Frame.Fails` ×2 |",
        "| MUST NOT | A server does not | `6455-5.1-NOMASK`<br>`6455-5.1-MASK` "
        f"| {in_code}`write`<br>{in_code}`read`, `write` | {in_tests}<br>{in_tests} `Frame.Fails` ×2 |"]
    assert rules.show_section(found[2:], code, tests).splitlines()[::4] == [
        "1 keyword: 0 bound, 1 not ours.",
        "| MAY | Who has a proxy \\| may use it | *not ours:* no proxy is known here |  |  |"]
    assert rules.show_counts(found).splitlines()[2:] == ["| §5 | 3 | 2 | 1 |", "| in all | 3 | 2 | 1 |"]
