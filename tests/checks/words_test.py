"""Checks the spelling (codespell), and that comments, help, errors and names avoid words that confuse readers.

The chapters are not searched for avoided words yet. codespell reads all text files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib"))
from tree import find_files  # noqa: E402

# The avoided words, each with its replacement if it has one.
AVOIDED = {
    "anew": "again", "apart": "separately", "begun": "started", "behind": "after", "gathers?": "collects",
    "hears?": "receives", "judged?|judges": "validate", "likewise": "also", "nobody": "no one, or a subject",
    "put out": "disconnected", "so (many|much)": "a number", "thereby": "", "the short way": "the fast path",
    "whoever|whom": "a subject", "woven": "embedded",
}
WORD = re.compile(r"(?<![\w-])(" + "|".join(AVOIDED) + r")(?![\w-])", re.IGNORECASE)

# Exceptions of a file: a part of the line in which the word is right, and the reason.
ALLOWED = {
    "tools/test": [("nobody", "the system's user of this name")],
    "tools/captures": [("", "its texts are those of captures/*.md, which come with the captures")],
}
# Correct, but unknown to codespell: names in Wireshark and Linux, parts of words in tests, and our own names.
SPELLED = "filp,hel,kown,keep-alives,ment,nd,worl"
SKIPPED = "*/corpus/*,*/node_modules/*,*.pcap,*/package-lock.json,*.svg,*.tsv"


def avoided_words(root, allowed=None):
    """Returns the places of avoided words, and the entries of `allowed` that no line needs."""
    allowed = ALLOWED if allowed is None else allowed
    found = []
    unused = {(name, part) for name, parts in allowed.items() for part, _ in parts}
    paths = [*find_files(root, "protocol", "server", "tools"),
             *(path for path in sorted((root / "tools").rglob("*"))
               if path.is_file() and path.suffix in ("", ".py", ".sh") and "__pycache__" not in path.parts),
             *(root / name for name in ("README.md", "docs/READING.md", "docs/glossary.md", "CMakeLists.txt"))]
    for path in paths:
        name = str(path.relative_to(root))
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for word in WORD.finditer(line):
                right = {(name, part) for part, _ in allowed.get(name, []) if part in line}
                unused -= right
                if not right:
                    found.append(f"{name}:{number}: \"{word[0]}\": {line.strip()}")
    return found, unused


def test_codespell_finds_no_misspelling():
    run = subprocess.run(
        ["codespell", "--ignore-words-list", SPELLED, "--skip", SKIPPED, "protocol", "server", "tools", "tests", "docs",
         "README.md", "CMakeLists.txt"], cwd=ROOT, capture_output=True, text=True)
    assert (run.stdout, run.stderr, run.returncode) == ("", "", 0)


def test_codespell_reports_a_misspelling(tmp_path):
    (tmp_path / "a.h").write_text("// It re" "cieves a frame.\n")
    run = subprocess.run(["codespell", "a.h"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode != 0 and "==> receives" in run.stdout


def test_no_avoided_word_is_used():
    assert avoided_words(ROOT) == ([], set())


def test_word_check_reports_avoided_words_and_unused_exceptions(tmp_path):
    for name in "protocol/a.h", "server/a.h", "tools/a.cpp", "docs/READING.md", "docs/glossary.md":
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "README.md").write_text("wsd can run behind a proxy.\n")
    (tmp_path / "CMakeLists.txt").touch()
    (tmp_path / "server" / "a.h").write_text("// What is behind the head.\nint behind_ = 0;\n")
    allowed = {"README.md": [("behind a proxy", "where a proxy stands")], "tools/a.cpp": [("nobody", "a user's name")]}
    assert avoided_words(tmp_path, allowed) == (
        ["server/a.h:1: \"behind\": // What is behind the head."], {("tools/a.cpp", "nobody")})


def test_an_empty_tree_is_an_error(tmp_path):
    with pytest.raises(SystemExit):
        avoided_words(tmp_path)
