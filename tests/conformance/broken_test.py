"""Tests the conformance client against servers that have one fault each; broken.py implements the faults by name.

FAULTS lists which cases each fault must change and how, derived from the rules and not from a run. Every other case
must have the same result as for the server without a fault.
"""

import concurrent.futures
import subprocess
import sys

import pytest

from cases import all_cases
from judging import FAILED, FAILED_BY_CLIENT, INFORMATIONAL, NON_STRICT, OK, UNCLEAN, UNIMPLEMENTED, WRONG_CODE
from player import choose
from serving import HERE, Served, play_cases

QUICK = "1-7,10"
DEFLATE = "12.1.3,12.1.4,12.1.11,12.2.4,13.*.4"

# --- groups of cases

# The server has to fail the connection.
PROTOCOL_ERRORS = "2.5,3.*,4.*,5.1,5.2,5.9,5.10,5.11,5.12,5.13,5.14,5.15,5.16,5.17,5.18"
INVALID = ("6.6.1,6.6.3,6.6.4,6.6.6,6.6.8,6.6.10,6.8.*,6.10.*,6.11.5,6.12.*,6.13.*,6.14.*,6.15.*,6.16.*,6.17.*,6.18.*,"
           "6.19.*,6.20.*,6.21.*")
NOT_UTF8 = "6.3.*,6.4.*," + INVALID
BAD_CLOSES = "7.3.2,7.3.6,7.5.1,7.9.*"

# The text is echoed, then we close with 1000. Without an echo: no code (TEXTS_5, TEXTS_6), or 1001, a failure (VALID).
TEXTS_5 = "5.3,5.4,5.5,5.6,5.7,5.8,5.19,5.20"
TEXTS_6 = "6.1.*,6.2.*"
VALID = "6.5.*,6.6.2,6.6.5,6.6.7,6.6.9,6.6.11,6.7.*,6.9.*,6.11.1,6.11.2,6.11.3,6.11.4,6.22.*,6.23.*"
# A text is echoed before the server fails the connection.
TEXTS_BEFORE = "3.2,3.3,3.4,4.1.3,4.1.4,4.1.5,4.2.3,4.2.4,4.2.5,5.15"
# Pings are answered. If a pong is missing, we close without a code after a wait.
PINGS_2 = "2.1,2.2,2.3,2.4,2.6,2.9,2.10,2.11"
PINGS_5 = "5.6,5.7,5.8,5.19,5.20"
# We send the first Close, and it is valid.
GOOD_CLOSES = "7.1.1,7.1.2,7.1.3,7.1.4,7.1.5,7.3.1,7.3.3,7.3.4,7.3.5,7.7.*"


def join(*groups):
    return ",".join(groups)


CLEANLY_CLOSED = join("1.*", PINGS_2, "2.7,2.8", TEXTS_5, TEXTS_6, VALID, "10.1.1")

BOTH = FAILED, FAILED  # wrong behaviour, and the wrong peer closed first
ONLY = FAILED, OK  # wrong behaviour, but a correct close
CODE = FAILED, WRONG_CODE

# Name in broken.py: (cases to play in addition to QUICK, {expected verdicts: cases}).
FAULTS = {
    # No fault.
    "": ("9.1.1,9.2.1,9.3.3,9.6.6,9.7.1," + DEFLATE, {}),

    # Pings. The expected pong does not come, so we close without a code.
    "pong-empty": ("", {ONLY: "2.2,2.3,2.4,2.6,2.9,2.10,2.11," + PINGS_5}),
    "pong-second": ("", {ONLY: join(PINGS_2, PINGS_5)}),
    # Allowed by RFC 6455, but not by the suite. The pong is 0.2 s late, so it also follows the echo.
    "pong-last": ("", {ONLY: "2.10,2.11," + PINGS_5}),
    "pong-late": ("", {ONLY: PINGS_5}),
    "pong-to-pong": ("", {ONLY: "2.7,2.8,2.9"}),

    # Echoes. A case that closes after the echo closes with 1001 instead, and the server returns that code.
    "text-as-binary": ("9.1.1,9.2.1,9.7.1", {CODE: join("1.1.*", VALID, "7.1.1,10.1.1"),
                                             ONLY: join(TEXTS_5, TEXTS_6, TEXTS_BEFORE, "9.1.1,9.7.1")}),
    "echo-twice": ("9.1.1", {ONLY: join("1.*", TEXTS_5, TEXTS_6, TEXTS_BEFORE, VALID, "7.1.1,9.1.1,10.1.1")}),
    "echo-truncated": ("9.1.1,9.2.1,9.7.1", {CODE: "1.1.7,1.1.8,1.2.7,1.2.8,10.1.1", ONLY: "9.1.1,9.2.1"}),
    # 9.7.1 is not played: it would wait for a minute.
    "echo-nothing-empty": ("", {CODE: "1.1.1,1.2.1", ONLY: "6.1.1,6.1.2"}),
    # In section 9 the suite does not compare the bytes; we do.
    "echo-other-bytes": ("9.1.1,9.7.1,9.7.2", {
        CODE: join("1.1.2,1.1.3,1.1.4,1.1.5,1.1.6,1.1.7,1.1.8,1.2.2,1.2.3,1.2.4,1.2.5,1.2.6,1.2.7,1.2.8", VALID,
                   "7.1.1,10.1.1"),
        ONLY: join(TEXTS_5, "6.1.3,6.2.*", TEXTS_BEFORE, "9.1.1,9.7.2")}),

    # The server accepts invalid frames, so we close first, which is wrong. It answers a Close with any RSV bits.
    "rsv-ignored": ("", {BOTH: "3.1,3.2,3.3,3.4,3.5,3.6"}),
    # A single bad frame gets no answer, which is right, but the server should fail the connection.
    "opcode-ignored": ("", {(OK, FAILED): "4.1.1,4.1.2,4.2.1,4.2.2",
                            BOTH: "4.1.3,4.1.4,4.1.5,4.2.3,4.2.4,4.2.5"}),
    # The ping is answered; the continuation after it fails the connection.
    "control-fragmented": ("", {ONLY: "5.1"}),
    # The pong is as long as the ping, so we reject it.
    "control-long": ("", {BOTH: "2.5", CODE: "7.3.6"}),
    "continuation-ignored": ("", {BOTH: "5.9,5.10,5.11,5.12,5.13,5.14,5.15,5.16,5.17"}),
    # With FIN the continuation becomes a text. Without FIN, the text after it is invalid and fails the connection.
    "continuation-as-text": ("", {BOTH: "5.9,5.10,5.11,5.17"}),
    "text-inside-text": ("", {BOTH: "5.18"}),

    # UTF-8
    "utf8-unchecked": ("", {BOTH: NOT_UTF8}),
    "utf8-at-end": ("", {(NON_STRICT, OK): "6.4.*"}),
    # Rejects a character that spans two frames: in valid texts, and too early in 6.4.2. Validates only whole frames.
    "utf8-by-frame": ("", {BOTH: "6.2.3,6.2.4", ONLY: "6.4.2", (NON_STRICT, OK): "6.4.3,6.4.4"}),
    "utf8-surrogates": ("", {BOTH: "6.3.*,6.20.*,6.21.*"}),
    "utf8-beyond": ("", {BOTH: "6.4.*,6.10.1,6.11.5"}),
    # Only sequences of up to four bytes; longer ones are still rejected.
    "utf8-overlong": ("", {BOTH: "6.17.1,6.17.2,6.17.3,6.18.1,6.18.2,6.18.3,6.19.1,6.19.2,6.19.3"}),
    "utf8-unfinished": ("", {BOTH: "6.6.1,6.6.3,6.6.4,6.6.6,6.6.8,6.6.10,6.14.6,6.14.7"}),

    # Closing. Only in section 7 does a wrong code also fail the behaviour.
    "fails-1011": ("", {(OK, WRONG_CODE): join(PROTOCOL_ERRORS, NOT_UTF8), CODE: BAD_CLOSES}),
    "replies-1001": ("", {(OK, WRONG_CODE): CLEANLY_CLOSED, CODE: join(GOOD_CLOSES, "!7.7.2")}),
    "close-any-code": ("", {CODE: "7.9.*"}),
    "close-one-byte": ("", {CODE: "7.3.2"}),
    "close-reason-unchecked": ("", {CODE: "7.5.1"}),
    "close-no-private": ("", {CODE: "7.7.10,7.7.11,7.7.12,7.7.13"}),
    "close-no-reply": ("", {(OK, UNCLEAN): join(CLEANLY_CLOSED, GOOD_CLOSES)}),
    "close-and-goes-on": ("", {ONLY: "7.1.3,7.1.4,7.1.5"}),
    # Depends on which wait expires first: the one for the case (such as 1.1.1, 6.5, 7) or the one for TCP.
    "close-keeps-tcp": ("", {
        (OK, UNCLEAN): join("1.1.6,1.1.7,1.1.8,1.2.6,1.2.7,1.2.8", PINGS_2, "2.7,2.8", TEXTS_5, TEXTS_6, "10.1.1"),
        (OK, FAILED_BY_CLIENT): join("1.1.1,1.1.2,1.1.3,1.1.4,1.1.5,1.2.1,1.2.2,1.2.3,1.2.4,1.2.5", PROTOCOL_ERRORS,
                                     NOT_UTF8, VALID, GOOD_CLOSES, BAD_CLOSES)}),

    # The frames themselves
    "length-not-minimal": ("", {BOTH: join("1.1.1,1.1.2,1.2.1,1.2.2", TEXTS_BEFORE, TEXTS_5, TEXTS_6, VALID, "7.1.1")}),
    "masks": ("", {BOTH: join(CLEANLY_CLOSED, PROTOCOL_ERRORS, NOT_UTF8, GOOD_CLOSES, BAD_CLOSES)}),
    "wrong-accept": ("", {BOTH: QUICK}),
    "no-16-mib": ("9.1.5,9.1.6,9.2.6", {BOTH: "9.1.6,9.2.6"}),

    # Compression
    "deflate-declined": (DEFLATE, {(UNIMPLEMENTED, OK): DEFLATE}),
    # Our second message refers to the first, so the server cannot decompress it.
    "deflate-forgets-ours": (DEFLATE, {BOTH: DEFLATE}),
    "deflate-keeps-its-own": (DEFLATE, {BOTH: "13.2.4,13.5.4,13.6.4,13.7.4"}),
    "deflate-no-rsv1": (DEFLATE, {ONLY: DEFLATE}),
    # Shows if a message compresses to more than one fragment; of 256-byte JSON messages, only the first does.
    "deflate-rsv1-everywhere": (DEFLATE, {BOTH: DEFLATE}),
    "deflate-window": (DEFLATE, {BOTH: "13.3.4,13.5.4,13.7.4"}),
    "deflate-tail": (DEFLATE, {BOTH: DEFLATE}),
    # Not 13.7: its last offer requires nothing, so the response may be for that one.
    "deflate-no-window": (DEFLATE, {BOTH: "13.3.4,13.4.4,13.5.4,13.6.4"}),
    "deflate-no-forgetting": (DEFLATE, {BOTH: "13.2.4,13.5.4,13.6.4"}),
    "deflate-bad-answer": (DEFLATE, {BOTH: DEFLATE}),

    # Unusual, but correct.
    "may-dribble": ("", {}),
    "may-fragment": ("9.1.1," + DEFLATE, {}),
    "may-drop": ("", {}),
    "may-close-empty": ("", {}),
    "may-ping": ("", {}),
    "may-not-deflate": (DEFLATE, {}),
    "may-deflate-afresh": (DEFLATE, {}),
}

ALWAYS = {"7.1.6": (INFORMATIONAL, INFORMATIONAL), "7.13.1": (INFORMATIONAL, INFORMATIONAL),
          "7.13.2": (INFORMATIONAL, INFORMATIONAL)}


def ids(patterns):
    return [case.id for case in choose(all_cases(), patterns)]


def expectation(name):
    """Returns the cases to play, and the expected verdicts of those that are not OK / close OK."""
    more, verdicts = FAULTS[name]
    expected = dict(ALWAYS)
    for pair, patterns in verdicts.items():
        for id in ids(patterns):
            expected[id] = pair
    # A fault in compression is tested with the compression cases only.
    return (more if name.startswith("deflate-") or "deflate" in name else f"{QUICK},{more}".strip(",")), expected


def play_against(name):
    patterns, _ = expectation(name)
    with Served([sys.executable, HERE / "broken.py", *filter(None, [name])]) as server:
        return play_cases(server.url("/"), patterns, parallel=16, patience=2)


@pytest.fixture(scope="module")
def runs():
    """Plays against four servers at a time: a run spends most of its time waiting."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(play_against, name) for name in FAULTS}


def test_each_fault_of_broken_py_has_expected_results():
    listed = subprocess.run([sys.executable, HERE / "broken.py", "--list"], capture_output=True, text=True, check=True)
    assert sorted(listed.stdout.split()) == sorted(filter(None, FAULTS))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_the_results_of_its_expected_cases_only(runs, name):
    patterns, expected = expectation(name)
    played = set(ids(patterns))
    results = runs[name].result()
    assert {result.id for result in results} == played
    found = {result.id: (result.verdict, result.close) for result in results if not result.is_plain_ok}
    reasons = {result.id: result.reason for result in results}
    wrong = {id: (f"is {found.get(id)}", f"should be {expected.get(id)}", reasons.get(id))
             for id in played if found.get(id) != expected.get(id)}
    assert not wrong
