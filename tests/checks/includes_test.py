"""Includes follow the layers: tools and tests -> server -> protocol, and between folders as the tables in
protocol/README.md and server/README.md allow. protocol/ uses no sockets, clocks, threads or logs."""

import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib"))
from tree import find_files  # noqa: E402

# Standard headers that protocol/ must not include: I/O, time, threads, randomness, locales.
WORLDLY = {
    "atomic", "barrier", "chrono", "clocale", "condition_variable", "csignal", "cstdio", "ctime",
    "filesystem", "fstream", "future", "iostream", "latch", "locale", "mutex", "random",
    "semaphore", "shared_mutex", "stop_token", "syncstream", "thread",
}
STANDARD = re.compile(r"^[a-z_]+$")  # <vector>, <cstdint>: a name without a dot and without a slash
POSIX = re.compile(r"^((sys|netinet|arpa|net|linux)/)?[a-z_]+\.h$")
# The memory budget is the only object in protocol/ that several loops share.
SHARED = {"budget.h": "atomic"}
# The libraries that a part may include, and the files that may include them; None: all files of the part.
LIBRARIES = {
    "protocol": [("openssl/", ("handshake.cpp",)), ("zlib.h", ("deflate.h",)), ("immintrin.h", ("utf8_blocks.cpp",))],
    "server": [("spdlog/", None), ("fmt/", None), ("CLI/", ("command_line.cpp", "quantity.cpp")),
               ("openssl/", ("tls_context.cpp", "tls_connection.cpp"))],
}
OURS = {"protocol": ("protocol/",), "server": ("protocol/", "server/")}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]*)>|"([^"]*)")')


def allowed(part, file_name, angle, quoted):
    if quoted is not None:
        return quoted.startswith(OURS[part])
    for prefix, files in LIBRARIES[part]:
        if angle.startswith(prefix):
            return files is None or file_name in files
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


ROW = re.compile(r"\| `((?:protocol|server)/(?:\w+/)?)` \|[^|]*\|([^|]*)\|")


def read_tables(root):
    """Maps each folder to the folders it may include, in the order of the rows, protocol/ first."""
    tables = {}
    for part in ("protocol", "server"):
        for line in (root / part / "README.md").read_text().splitlines():
            if row := ROW.fullmatch(line.strip()):
                tables[row.group(1)] = re.findall(r"`([^`]+)`", row.group(2))
    return tables


def folder_violations(root):
    """Returns table entries that allow a cycle, folders without a row, and includes that no row allows."""
    tables, found, above = read_tables(root), [], set()
    for folder, allowed_folders in tables.items():
        found += [f"{folder}: may include {other}, which is no row above it" for other in allowed_folders
                  if other not in above]
        above.add(folder)
    for path in find_files(root, "protocol", "server"):
        name = path.relative_to(root)
        folder = f"{name.parent}/"
        if folder not in tables:
            found.append(f"{name}: {folder} is in no table")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            include = INCLUDE.match(line)
            if include and include.group(2):
                target = f"{Path(include.group(2)).parent}/"
                if target not in (folder, *tables[folder]):
                    found.append(f"{name}:{number}: {line.strip()}")
    return found


def test_includes_follow_the_layers():
    assert violations(ROOT) == []
    assert len(read_tables(ROOT)) > 10
    assert folder_violations(ROOT) == []


def test_folder_check_reports_forbidden_includes_and_invalid_tables(tmp_path):
    row = "| `{}` | what it is | {} |\n"
    files = {
        "protocol/README.md": row.format("protocol/", "") + row.format("protocol/frame/", "`protocol/`"),
        "server/README.md": row.format("server/net/", "`protocol/frame/`"),
        "protocol/error.h": "#include <vector>\n",
        "protocol/frame/frame.h": '#include "protocol/error.h"\n#include "protocol/frame/mask.h"\n',
        "server/net/fd.h": '#include "protocol/frame/frame.h"\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert folder_violations(tmp_path) == []
    bad = {
        "protocol/error.h": ['#include "protocol/frame/frame.h"'],  # upwards
        "server/net/fd.h": ['#include "protocol/error.h"', '#include "server/session/session.h"'],
    }
    for name, lines in bad.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    assert folder_violations(tmp_path) == [f"{name}:{number}: {line}" for name, lines in bad.items()
                                           for number, line in enumerate(lines, 1)]
    for name in bad:
        (tmp_path / name).write_text(files[name])
    (tmp_path / "server" / "new").mkdir()
    (tmp_path / "server" / "new" / "a.h").touch()
    assert folder_violations(tmp_path) == ["server/new/a.h: server/new/ is in no table"]
    (tmp_path / "server" / "new" / "a.h").unlink()
    (tmp_path / "protocol/README.md").write_text(
        row.format("protocol/", "`protocol/frame/`") + row.format("protocol/frame/", "`protocol/`"))
    assert folder_violations(tmp_path) == ["protocol/: may include protocol/frame/, which is no row above it"]


def test_include_check_reports_forbidden_includes(tmp_path):
    tree = {
        "protocol/good.h": '#include <vector>\n#include <cstdint>\n#include "protocol/frame/frame.h"\n',
        "protocol/http/handshake.cpp": "#include <openssl/evp.h>\n",
        "protocol/fast/utf8_blocks.cpp": "#include <immintrin.h>\n",
        "server/good.cpp": '#include <sys/epoll.h>\n#include <unistd.h>\n#include <chrono>\n'
                           '#include <spdlog/spdlog.h>\n'
                           '#include "protocol/frame/frame.h"\n#include "server/net/fd.h"\n',
        "server/main/command_line.cpp": "#include <CLI/CLI.hpp>\n",
        "server/tls/tls_context.cpp": "#include <openssl/ssl.h>\n",
    }
    bad = {
        "protocol/a.h": ["#include <chrono>", "#include <thread>", "  #  include <iostream>",
                         "#include <unistd.h>", "#include <sys/socket.h>", "#include <zlib.h>",
                         '#include "server/net/fd.h"', '#include "frame.h"'],
        "protocol/deep/in/folders.h": ["#include <chrono>", '#include "server/net/fd.h"'],
        "protocol/frame/frame.cpp": ["#include <openssl/evp.h>", "#include <immintrin.h>",
                               "#include <spdlog/spdlog.h>"],
        "server/b.cpp": ['#include "tools/wsc.h"', '#include "tests/steps.h"',
                         '#include "../protocol/frame/frame.h"',
                         "#include <CLI/CLI.hpp>", "#include <openssl/ssl.h>", "#include <gtest/gtest.h>"],
    }
    for name, text in tree.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
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
