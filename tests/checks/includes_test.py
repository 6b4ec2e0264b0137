"""An include goes downwards only: tools and tests -> server -> protocol; and protocol/ knows no
socket, no clock, no thread, no log."""

import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib"))
from tree import find_files  # noqa: E402

# Standard headers that bring in the world outside the bytes.
WORLDLY = {
    "atomic", "barrier", "chrono", "clocale", "condition_variable", "csignal", "cstdio", "ctime",
    "filesystem", "fstream", "future", "iostream", "latch", "locale", "mutex", "random",
    "semaphore", "shared_mutex", "stop_token", "syncstream", "thread",
}
STANDARD = re.compile(r"^[a-z_]+$")  # <vector>, <cstdint>: a name without a dot and without a slash
POSIX = re.compile(r"^((sys|netinet|arpa|net)/)?[a-z_]+\.h$")
# The budget of all sessions' memory is the one thing in protocol/ that several loops share.
SHARED = {"budget.h": "atomic"}
# The libraries that a part may include, and the one file that may where it is one.
LIBRARIES = {
    "protocol": [("openssl/", "handshake.cpp"), ("zlib.h", "deflate.h"), ("immintrin.h", "utf8_blocks.cpp")],
    "server": [("spdlog/", None), ("fmt/", None), ("CLI/", "config.cpp")],
}
OURS = {"protocol": ("protocol/",), "server": ("protocol/", "server/")}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]*)>|"([^"]*)")')


def allowed(part, file_name, angle, quoted):
    if quoted is not None:
        return quoted.startswith(OURS[part])
    for prefix, only_file in LIBRARIES[part]:
        if angle.startswith(prefix):
            return only_file in (None, file_name)
    if STANDARD.match(angle):
        return part != "protocol" or angle not in WORLDLY or SHARED.get(file_name) == angle
    return part == "server" and bool(POSIX.match(angle))


def violations(root):
    found = []
    for path in find_files(root, "protocol", "server"):
        part = path.relative_to(root).parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            include = INCLUDE.match(line)
            if include and not allowed(part, path.name, *include.groups()):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()}")
    return found


def test_includes_go_downwards():
    assert violations(ROOT) == []


def test_this_check_sees_what_it_forbids(tmp_path):
    tree = {
        "protocol/good.h": '#include <vector>\n#include <cstdint>\n#include "protocol/frame.h"\n',
        "protocol/handshake.cpp": "#include <openssl/evp.h>\n",
        "protocol/utf8_blocks.cpp": "#include <immintrin.h>\n",
        "server/good.cpp": '#include <sys/epoll.h>\n#include <unistd.h>\n#include <chrono>\n'
                           '#include <spdlog/spdlog.h>\n'
                           '#include "protocol/frame.h"\n#include "server/fd.h"\n',
        "server/config.cpp": "#include <CLI/CLI.hpp>\n",
    }
    bad = {
        "protocol/a.h": ["#include <chrono>", "#include <thread>", "  #  include <iostream>",
                         "#include <unistd.h>", "#include <sys/socket.h>", "#include <zlib.h>",
                         '#include "server/fd.h"', '#include "frame.h"'],
        "protocol/deep/in/folders.h": ["#include <chrono>", '#include "server/fd.h"'],
        "protocol/frame.cpp": ["#include <openssl/evp.h>", "#include <immintrin.h>",
                               "#include <spdlog/spdlog.h>"],
        "server/b.cpp": ['#include "tools/wsc.h"', '#include "tests/steps.h"',
                         '#include "../protocol/frame.h"',
                         "#include <CLI/CLI.hpp>", "#include <gtest/gtest.h>"],
    }
    for name, text in tree.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert violations(tmp_path) == []
    for name, lines in bad.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    assert violations(tmp_path) == [f"{name}:{number}: {line.strip()}"
                                    for name, lines in bad.items()
                                    for number, line in enumerate(lines, 1)]


def test_a_part_without_files_is_an_error(tmp_path):
    (tmp_path / "protocol" / "frame").mkdir(parents=True)
    (tmp_path / "protocol" / "frame" / "frame.h").touch()
    with pytest.raises(SystemExit, match="no file in server/ ends in .h or .cpp"):
        violations(tmp_path)
