"""Checks the client against known results: ws-exceptions.tsv lists those that the suite itself reports for npm's `ws`
8.23.0, an echo server with permessage-deflate, and that are not OK.
"""

import json
from pathlib import Path

import pytest

from cases import all_cases
from judging import FAILED
from player import choose, differences, read_exceptions
from serving import HERE, Served, play_cases

KNOWN = read_exceptions(HERE / "ws-exceptions.tsv")

# Few cases of sections 12 and 13; `tools/test --part conformance` plays all of them.
CASES = "1-7,9,10,12.*.4,13.*.4,12.1.11,13.3.11"


def test_installed_ws_is_the_release_with_known_results():
    package = HERE.parent / "integration" / "node_modules" / "ws" / "package.json"
    assert json.loads(Path(package).read_text())["version"] == "8.23.0"


@pytest.mark.parametrize("options", [{}, {"maxFragments": 0}], ids=["as it is", "without a limit of fragments"])
def test_our_client_reports_the_same_results_for_ws_as_the_suite(options):
    with Served(["node", HERE / "echo.js", json.dumps(options)]) as server:
        results = play_cases(server.url("/"), CASES, parallel=8, patience=3)
    known = KNOWN
    if options:  # the failures are caused by the limit of fragments
        known = {id: result for id, result in KNOWN.items() if result.verdict != FAILED}
    cases = [case.id for case in choose(all_cases(), CASES)]
    assert differences(results, known, cases) == []
