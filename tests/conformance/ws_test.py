"""The client is judged by what is known already: ws-results.tsv is what the suite itself says of npm's `ws` 8.23.0, an
echo server with permessage-deflate.
"""

import json
from pathlib import Path

import pytest

from cases import all_cases
from judging import FAILED, OK, Result
from player import choose, read_results
from serving import HERE, Served, play_cases

KNOWN = read_results(HERE / "ws-results.tsv")

# Of sections 12 and 13 one case a group; all of them are for tools/test --part conformance.
CASES = "1-7,9,10,12.*.4,13.*.4,12.1.11,13.3.11"


def test_it_is_the_release_whose_results_are_known():
    package = HERE.parent / "integration" / "node_modules" / "ws" / "package.json"
    assert json.loads(Path(package).read_text())["version"] == "8.23.0"


@pytest.mark.parametrize("options", [{}, {"maxFragments": 0}], ids=["as it is", "without a limit of fragments"])
def test_ws_gets_from_us_what_it_gets_from_the_suite(options):
    with Served(["node", HERE / "echo.js", json.dumps(options)]) as server:
        results = play_cases(server.url("/"), CASES, parallel=8, patience=3)
    known = {result.id: result for result in KNOWN}
    if options:  # what fails fails for the number of its fragments
        known |= {result.id: Result(result.id, OK, OK) for result in KNOWN if result.verdict == FAILED}
    assert [(result.id, result.verdict, result.close) for result in results] == [
        (case.id, known[case.id].verdict, known[case.id].close) for case in choose(all_cases(), CASES)]
