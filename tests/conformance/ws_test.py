"""The client is judged by what is known already: what the suite itself says of npm's `ws` 8.23.0, an echo server with
permessage-deflate.
"""

import json
from pathlib import Path

import pytest

from cases import all_cases
from judging import FAILED, INFORMATIONAL, NON_STRICT, OK
from player import choose
from serving import HERE, Served, play_cases

# Whole messages are judged as UTF-8.
KNOWN = dict.fromkeys(["6.4.1", "6.4.2", "6.4.3", "6.4.4"], NON_STRICT)
KNOWN |= dict.fromkeys(["7.1.6", "7.13.1", "7.13.2"], INFORMATIONAL)
# More fragments than its default of 16384.
TOO_MANY = dict.fromkeys(["9.3.1", "9.3.2", "9.4.1", "9.4.2"], FAILED)

# Of sections 12 and 13 one case a group; all of them are for tools/conformance.
CASES = "1-7,9,10,12.*.4,13.*.4,12.1.11,13.3.11"


def test_it_is_the_release_whose_results_are_known():
    package = HERE.parent / "integration" / "node_modules" / "ws" / "package.json"
    assert json.loads(Path(package).read_text())["version"] == "8.23.0"


@pytest.mark.parametrize("options, known", [({}, KNOWN | TOO_MANY), ({"maxFragments": 0}, KNOWN)])
def test_ws_gets_from_us_what_it_gets_from_the_suite(options, known):
    with Served(["node", HERE / "echo.js", json.dumps(options)]) as server:
        results = play_cases(server.url("/"), CASES, parallel=8, patience=3)
    assert [result.id for result in results] == [case.id for case in choose(all_cases(), CASES)]
    assert {result.id: result.verdict for result in results if result.verdict != OK} == known
    # None of them but the failed ones ended badly.
    assert {result.id for result in results if result.close not in (OK, INFORMATIONAL)} == {
        id for id, verdict in known.items() if verdict == FAILED}
