"""play [options] ws://HOST:PORT/PATH

Plays the cases of the Autobahn testsuite's fuzzing client, with the same numbers, against an echo server. Prints a
table by section, and a line for each case unless both its verdicts are OK: the verdict on the behaviour, the verdict on
the close, and the reason.

Exits with 0 if both verdicts of every case are OK or INFORMATIONAL; with --against, if both are OK or as listed in the
file. Otherwise it exits with 1.
"""

import argparse
import collections
import multiprocessing
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

from cases import all_cases
from judging import CLOSE_VERDICTS, INFORMATIONAL, OK, VERDICTS, Result


def choose(cases, text):
    """Selects sections, ranges of sections, and cases, as in '1-7,10,6.4.*,9.1.1'. '*' is a wildcard, '!' excludes."""
    chosen = set() if not text.startswith("!") else {case.id for case in cases}
    for part in text.split(","):
        takes_out, part = part.startswith("!"), part.lstrip("!")
        if match := re.fullmatch(r"(\d+)(?:-(\d+))?", part):
            first, last = int(match[1]), int(match[2] or match[1])
            found = {case.id for case in cases if first <= case.section <= last}
        else:
            expression = re.compile(re.escape(part).replace(r"\*", ".*"))
            found = {case.id for case in cases if expression.fullmatch(case.id)}
        if not found:
            raise ValueError(f"no such case: {part}")
        chosen = chosen - found if takes_out else chosen | found
    return [case for case in cases if case.id in chosen]


def play_one(case, url, patience):
    begin = time.monotonic()
    result = case.play(url, patience)
    return replace(result, seconds=time.monotonic() - begin)


def _work(index):
    case, url, patience = _jobs[index]
    return play_one(case, url, patience)


def play(cases, url, parallel=1, patience=1):
    """Returns the results in the order of the cases. Heavy cases start first, so that none runs alone at the end."""
    global _jobs
    _jobs = [(case, url, patience) for case in cases]
    order = sorted(range(len(cases)), key=lambda index: -cases[index].section)
    results = {}
    with multiprocessing.get_context("fork").Pool(max(1, min(parallel, len(cases)))) as pool:
        for result in pool.imap_unordered(_work, order):
            results[result.id] = result
            if sys.stderr.isatty():
                print(f"\r{len(results)} of {len(cases)} ", end="", file=sys.stderr, flush=True)
    return [results[case.id] for case in cases]


# --- files of results

HEADINGS = ["case", "verdict", "close", "reason"]


def write_results(path, results):
    """Writes a line for each case, with a reason unless both verdicts are OK."""
    lines = ["\t".join(filter(None, (result.id, result.verdict, result.close, " ".join(result.reason.split()))))
             for result in results]
    Path(path).write_text("\n".join(["\t".join(HEADINGS), *lines]) + "\n")


def read_results(path):
    lines = Path(path).read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    if not rows or rows[0] != HEADINGS or any(len(row) not in (3, 4) for row in rows):
        raise ValueError(f"{path}: not a table of {', '.join(HEADINGS)}")
    results = [Result(*row) for row in rows[1:]]
    twice = [id for id, count in collections.Counter(result.id for result in results).items() if count > 1]
    if twice:
        raise ValueError(f"{path}: twice: {', '.join(twice)}")
    for result in results:
        if bool(result.reason) == result.is_plain_ok:
            raise ValueError(f"{path}: {result.id}: a reason stands where a case is not plainly OK, and only there")
    return results


def read_exceptions(path):
    """Reads the results of a server that are not OK / close OK, each with its reason, by case."""
    exceptions = {result.id: result for result in read_results(path)}
    if plain := [id for id, result in exceptions.items() if result.is_plain_ok]:
        raise ValueError(f"{path}: OK is no exception: {', '.join(plain)}")
    if unknown := sorted(exceptions.keys() - {case.id for case in all_cases()}):
        raise ValueError(f"{path}: no such case: {', '.join(unknown)}")
    return exceptions


def differences(results, exceptions, wanted):
    """Returns a line for each result that differs from its exception or, without one, from OK / close OK; and a line
    for the `wanted` cases that were not played."""
    lines = []
    for result in results:
        expected = exceptions.get(result.id, Result(result.id, OK, OK))
        if result.id not in wanted:
            lines.append(f"{result.id}: is no case of the suite")
        elif (expected.verdict, expected.close) != (result.verdict, result.close):
            lines.append(f"{result.id}: expected {expected.verdict} / close {expected.close}, "
                         f"got {result.verdict} / close {result.close}"
                         + (f": {result.reason}" if result.reason else ""))
    played = {result.id for result in results}
    missing = [id for id in wanted if id not in played]
    if missing:
        lines.append(f"{len(missing)} of {len(wanted)} cases were not played: {' '.join(missing[:20])}"
                     + (" …" if len(missing) > 20 else ""))
    return lines


# --- output

def table(results):
    """Formats a line for each section: the number of cases, and of each verdict."""
    def count(verdicts, order):
        counts = collections.Counter(verdicts)
        return ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict])

    def line(name, some):
        return (f"{name:>7} {len(some):>6} {sum(result.seconds for result in some):>9.1f}   "
                f"{count((result.verdict for result in some), VERDICTS):44} "
                f"{count((result.close for result in some), CLOSE_VERDICTS)}")

    sections = sorted({int(result.id.split(".")[0]) for result in results})
    return "\n".join([f"section  cases   seconds   {'verdicts':44} close",
                      *(line(section, [result for result in results if int(result.id.split(".")[0]) == section])
                        for section in sections), line("all", results)])


def show(result):
    return f"{result.id:8} {result.verdict} / close {result.close}: {result.reason}"


def is_clean(results):
    return all(verdict in (OK, INFORMATIONAL) for result in results for verdict in (result.verdict, result.close))


def main():
    parser = argparse.ArgumentParser("play", description=__doc__, usage=argparse.SUPPRESS,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="of the server under test")
    parser.add_argument("--cases", default="1-13", help="such as 1-7,10 or 6.4.* or !9; all unless said")
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="so many at a time; 1 unless said")
    parser.add_argument("--patience", type=float, default=1, metavar="FACTOR",
                        help="wait so many times as long as the suite would, on a slow machine")
    parser.add_argument("--results", metavar="FILE", help="write the verdicts to a file")
    parser.add_argument("--against", metavar="FILE", help="the exceptions: the cases that are not OK, each with its verdicts and a reason")
    parser.add_argument("--list", action="store_true", help="only say what each case is")
    parser.add_argument("-q", "--quiet", action="store_true", help="only what differs from the file")
    arguments = parser.parse_args()
    try:
        cases = choose(all_cases(), arguments.cases)
        exceptions = read_exceptions(arguments.against) if arguments.against else None
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if arguments.list:
        for case in cases:
            print(f"{case.id:8} {case.about}")
        return 0
    if not arguments.url or not re.fullmatch(r"ws://[^/]+:\d+(/.*)?", arguments.url):
        parser.error("the server is ws://HOST:PORT/PATH")

    results = play(cases, arguments.url, arguments.parallel, arguments.patience)
    if arguments.results:
        write_results(arguments.results, results)
    if not arguments.quiet:
        print(table(results))
        for result in results:
            if not result.is_plain_ok:
                print(show(result))
    if exceptions is None:
        return 0 if is_clean(results) else 1
    lines = differences(results, exceptions, [case.id for case in cases])
    for line in lines:
        print(f"DIFFERS  {line}")
    return 1 if lines else 0
