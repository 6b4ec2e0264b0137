"""Checks that read all source files find them at any depth, and fail if there are none. (Checks written in Python have
such a test in their own file.)"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib"))
from tree import find_files  # noqa: E402


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def run(command, root, **environment):
    done = subprocess.run(command, cwd=root, env=os.environ | environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def test_find_files_searches_at_any_depth_and_fails_if_no_file_matches(tmp_path):
    write(tmp_path, dict.fromkeys(("server/b.h", "server/a/b/c.cpp", "server/d.md", "server/node_modules/e.h"), ""))
    assert [str(path.relative_to(tmp_path)) for path in find_files(tmp_path, "server")] == [
        "server/a/b/c.cpp", "server/b.h"]
    for part, suffixes, error in (("tools", (".h",), "no file in tools/ ends in .h"),
                                  ("server", (".py", ".sh"), "no file in server/ ends in .py or .sh")):
        with pytest.raises(SystemExit, match=error):
            find_files(tmp_path, "server", part, suffixes=suffixes)


FAULT = "= {name}: a fault\n{file}\n- int a;\n+ int b;\ntest protocol_frame\n\n"
MUTANTS = "tools/lib/parts/mutants"


def test_each_named_fault_applies_once():
    status, said = run([sys.executable, MUTANTS, "--check"], ROOT)
    assert status == 0, said


def test_mutants_check_requires_a_fault_in_each_source_file(tmp_path):
    write(tmp_path, {"protocol/frame/frame.cpp": "int a;\n", "server/deep/in/session.cpp": "int a;\n",
                     "tests/faults/all.txt": FAULT.format(name="one", file="protocol/frame/frame.cpp")})
    shutil.copytree(ROOT / "tools" / "lib", tmp_path / "tools" / "lib")
    command = [sys.executable, MUTANTS, "--check"]
    assert run(command, tmp_path) == (1, "mutants: server/deep/in/session.cpp: has no fault\n")
    with open(tmp_path / "tests/faults/all.txt", "a") as faults:
        faults.write(FAULT.format(name="two", file="server/deep/in/session.cpp"))
    assert run(command, tmp_path) == (0, "mutants: 2 faults, each applies once; each source file has one\n")
    write(tmp_path, {"server/deep/in/session.cpp": "int f() {\n  int /* not */\n      a;\n}\nint a;\n"})
    assert run(command, tmp_path) == (
        1, "mutants: two: its expression is 2 times in server/deep/in/session.cpp, and should be once\n")
    faults = tmp_path / "tests/faults/all.txt"
    original = faults.read_text()
    for wrong in ("int a; // not", "int a = 1", "nt a"):
        faults.write_text(original.replace("- int a;", f"- {wrong}", 1))
        status, said = run(command, tmp_path)
        assert status == 1 and "one: its expression" in said
    faults.write_text(original)
    faults.write_text(faults.read_text().replace("session.cpp", "session.cpp f"))
    assert run(command, tmp_path) == (0, "mutants: 2 faults, each applies once; each source file has one\n")
    shutil.rmtree(tmp_path / "server")
    write(tmp_path, {"server/README.md": ""})
    assert run(command, tmp_path) == (1, "no file in server/ ends in .cpp\n")


def test_format_check_includes_files_in_subfolders(tmp_path):
    write(tmp_path, dict.fromkeys(("protocol/a.h", "server/deep/in/a.cpp", "tools/a/a.h", "tests/a/a.cpp"), "int a;\n"))
    shutil.copy(ROOT / ".clang-format", tmp_path)
    command = ["bash", ROOT / "tests" / "checks" / "format_test.sh"]
    assert run(command, tmp_path, FBF_SOURCE_DIR=str(tmp_path)) == (0, "")
    write(tmp_path, {"server/deep/in/a.cpp": "int  a;\n"})
    status, output = run(command, tmp_path, FBF_SOURCE_DIR=str(tmp_path))
    assert status == 1 and "server/deep/in/a.cpp:1:" in output
    shutil.rmtree(tmp_path / "server")
    (tmp_path / "server").mkdir()
    assert run(command, tmp_path, FBF_SOURCE_DIR=str(tmp_path)) == (1, "no file in server/ ends in .h or .cpp\n")


def test_tidy_requires_each_source_in_the_compilation_database(tmp_path):
    write(tmp_path, dict.fromkeys(("protocol/a.cpp", "server/deep/in/b.cpp"), ""))
    compiled = [{"file": str(tmp_path / "protocol/a.cpp")}, {"file": str(tmp_path / "server/deep/in/b.cpp")}]
    shutil.copytree(ROOT / "tools" / "lib", tmp_path / "tools" / "lib")
    command = ["bash", "-c", "source tools/lib/setup.sh; compiles_all clang protocol server", "test"]

    def compiles_all(files):
        write(tmp_path, {"build/clang/compile_commands.json": json.dumps(files, indent=1)})
        return run(command, tmp_path)
    assert compiles_all(compiled) == (0, "")
    assert compiles_all(compiled[:1]) == (1, "test: the preset clang does not compile server/deep/in/b.cpp\n")
    shutil.rmtree(tmp_path / "server")
    (tmp_path / "server").mkdir()
    assert compiles_all(compiled) == (1, "test: no file in server/ ends in .cpp\n")


def test_tidy_header_filter_matches_headers_in_subfolders():
    pattern = re.search(r"^HeaderFilterRegex: '(.*)'$", (ROOT / ".clang-tidy").read_text(), re.MULTILINE)[1]
    headers = find_files(ROOT, "protocol", "server", "tools", suffixes=(".h",))
    for header in [*map(str, headers), "/a/protocol/frame/mask.h", "/a/server/deep/in/session.h"]:
        assert re.search(pattern, header)
    assert not re.search(pattern, "/usr/include/zlib.h")
