"""A case and its verdicts, which have the same meaning as in the suite.

A case has two verdicts. The one on its behaviour says whether the expected messages came back. The one on its close
says whether the connection ended correctly: the right peer closed first, with a valid code or none, both sent a Close
if that is required, and the server closed TCP. The verdicts are independent, so a case passes only if both are OK.
"""

from dataclasses import dataclass

from conversation import Conversation

OK, NON_STRICT, INFORMATIONAL, FAILED, UNIMPLEMENTED = "OK", "NON-STRICT", "INFORMATIONAL", "FAILED", "UNIMPLEMENTED"
WRONG_CODE, UNCLEAN, FAILED_BY_CLIENT = "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT"

VERDICTS = [OK, NON_STRICT, INFORMATIONAL, FAILED, UNIMPLEMENTED]
CLOSE_VERDICTS = [OK, INFORMATIONAL, UNCLEAN, WRONG_CODE, FAILED_BY_CLIENT, FAILED]


@dataclass(frozen=True)
class Ending:
    """How the connection should end."""
    by_us: bool = True  # who sends the first Close
    codes: tuple = (1000,)  # of the server's Close, if it has one
    is_clean: bool = True  # whether the end must be clean, see Conversation.was_clean
    is_fatal: bool = False  # if the wrong peer closes first, the behaviour fails too
    is_code_tested: bool = False  # a wrong code fails the behaviour too


CLEAN = Ending()
PROTOCOL_ERROR = Ending(by_us=False, codes=(1002,), is_clean=False)
NOT_UTF8 = Ending(by_us=False, codes=(1007,), is_clean=False, is_fatal=True)


@dataclass(frozen=True)
class Result:
    id: str
    verdict: str
    close: str
    reason: str = ""
    seconds: float = 0

    @property
    def is_plain_ok(self):
        return self.verdict == OK and self.close == OK


class Case:
    offers = ()  # of permessage-deflate
    is_informational = False
    ending = CLEAN

    def __init__(self, id, about):
        self.id, self.about = id, about

    @property
    def section(self):
        return int(self.id.split(".")[0])

    # Each case implements these three.

    def start(self):
        """Runs when the connection is open."""

    def take(self, event):
        """Handles an event, see Conversation."""

    def behaviour(self):
        """Returns the verdict and its reason, after the connection has ended."""

    def play(self, url, patience=1):
        self.conversation = conversation = Conversation(url, ", ".join(map(str, self.offers)), patience)
        conversation.on_event = self.take
        self.prepare()
        conversation.run(self.start)
        verdict, close, reasons = self.judge()
        del self.conversation
        return Result(self.id, verdict, close, "; ".join(filter(None, reasons)))

    def prepare(self):
        """Runs before the connection is opened."""

    def judge(self):
        conversation = self.conversation
        if not conversation.is_opened:
            return FAILED, FAILED, [conversation.violation]
        if self.is_informational:
            return INFORMATIONAL, INFORMATIONAL, [f"came: {self.what_came()}", conversation.how_it_ended()]
        if conversation.violation:  # stricter than the suite, in which not every violation is fatal
            return FAILED, FAILED, [conversation.violation]
        verdict, reason = self.behaviour()
        close, close_reason = self.judge_close()
        if self.ending.is_fatal and conversation.was_closed_by_us != self.ending.by_us:
            verdict, reason = FAILED, "what is not UTF-8 was taken"
        if self.ending.is_code_tested and close == WRONG_CODE:
            verdict = FAILED
        return verdict, close, [reason, close_reason]

    def judge_close(self):
        conversation, ending = self.conversation, self.ending
        if conversation.was_closed_by_us != ending.by_us:
            return FAILED, f"the wrong end ended it: {conversation.how_it_ended()}"
        if ending.is_clean and not conversation.was_clean:
            return UNCLEAN, conversation.why or conversation.how_it_ended()
        if conversation.their_code is not None and conversation.their_code not in ending.codes:
            return WRONG_CODE, f"the Close had {conversation.their_code}, not {' or '.join(map(str, ending.codes))}"
        if conversation.was_dropped_by_us:
            return FAILED_BY_CLIENT, "we had to end TCP"
        return OK, ""


def show(events):
    """Formats events for a reason, shortened."""
    def one(event):
        kind, what = event
        text = repr(what[:24]) + (f"… ({len(what)} bytes)" if len(what) > 24 else "")
        return f"{kind} {text}"
    return ", ".join(map(one, events[:4])) + (f" and {len(events) - 4} more" if len(events) > 4 else "") or "nothing"
