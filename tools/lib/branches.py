"""branches.py EXPORT LIST LINES BRANCHES FOLDER     prints the coverage of each file from llvm-cov's JSON export

FOLDER is protocol/: each .cpp file in it, at any depth, must be in the export.
Fails if coverage is below LINES or BRANCHES per cent, if a branch that is never taken is not in LIST, or if LIST has
a branch that is taken or does not exist. LIST has blocks such as

    = protocol/frame/frame.cpp
    - the line of source as it stands, without its indentation
    never false: the condition
    why: one line or several

A branch is identified by these texts, not by its line number, so that other changes in the file do not matter. If they
occur twice in a file, there are two blocks. In a `switch` without a default, "true" is a value that has no case.
"""

import json
import os
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from tree import find_files

TOP = Path(__file__).resolve().parents[2]


def argued_in(path):
    """The branches in the list, with their number of blocks: (file, line, side, condition)."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    argued = Counter()
    for block in filter(None, re.split(r"\n\s*\n", text.strip())):
        match = re.fullmatch(r"= (\S+)\n- (.*)\nnever (true|false): (.*)\nwhy: (\S[\s\S]*)", block.strip())
        if match is None:
            sys.exit(f"coverage: {path}: not a branch and its reason:\n{block}")
        argued[match.groups()[:4]] += 1
    return argued


def not_taken(file, name):
    """The sides of conditions in a file that no test takes. The instances of a template or an inline function are
    counted together."""
    source = Path(file["filename"]).read_text().splitlines()
    counts = defaultdict(lambda: [0, 0])
    for line, column, last_line, last_column, true_count, false_count, *_ in file["branches"]:
        sides = counts[line, column, last_line, last_column]
        sides[0] += true_count
        sides[1] += false_count
    for (line, column, last_line, last_column), sides in sorted(counts.items()):
        text = source[line - 1]
        condition = text[column - 1:last_column - 1 if line == last_line else None].strip()
        for side, count in zip(("true", "false"), sides):
            if count == 0:
                yield line, (name, text.strip(), side, condition)


def rate(summary):
    return 100 * summary["covered"] / summary["count"] if summary["count"] else 100


def main(export, listed, least_lines, least_branches, folder):
    data = json.loads(Path(export).read_text())["data"][0]
    argued = argued_in(Path(listed))
    missing = Counter()
    where = defaultdict(list)
    covered = {os.path.realpath(file["filename"]) for file in data["files"]}
    sources = find_files(Path(folder).resolve().parent, Path(folder).name, suffixes=(".cpp",))
    wrong = [f"{os.path.relpath(path, TOP)}: no test has lines of it" for path in sources if str(path) not in covered]
    print(f"{'':28} {'lines':>7} {'missed':>7} {'':8} {'branches':>9} {'missed':>7}")
    for file in sorted(data["files"], key=lambda each: each["filename"]):
        name = os.path.relpath(file["filename"], TOP)
        lines, branches = file["summary"]["lines"], file["summary"]["branches"]
        print(f"{name:28} {lines['count']:7} {lines['count'] - lines['covered']:7} {rate(lines):7.2f}%"
              f" {branches['count']:9} {branches['notcovered']:7} {rate(branches):7.2f}%")
        found = list(not_taken(file, name))
        if len(found) != branches["notcovered"]:
            wrong.append(f"{name}: {len(found)} branches found, and llvm-cov counts {branches['notcovered']}")
        for line, branch in found:
            missing[branch] += 1
            where[branch].append(line)

    for branch in sorted((missing - argued).elements()):
        name, text, side, condition = branch
        wrong.append(f"{name}:{where[branch].pop(0)}: `{condition}` is never {side}: test it, or argue in {listed}\n"
                     f"    {text}")
    for branch in sorted((argued - missing).elements()):
        name, text, side, condition = branch
        wrong.append(f"{listed}: {name}: `{condition}` is {side} in a test now, or gone: take it out\n    {text}")
    for what, least in ("lines", least_lines), ("branches", least_branches):
        total = rate(data["totals"][what])
        print(f"protocol/: {total:.2f}% of the {data['totals'][what]['count']} {what}, and at least {least}% wanted")
        if total < float(least):
            wrong.append(f"too few {what}")
    print(f"branches never taken: {missing.total()}, argued in {listed}: {argued.total()}")
    for line in wrong:
        print(f"coverage: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
