"""tools/bench compare --latency: measures latency at a rate that all servers can handle.

First each server runs in a closed loop: wsload sends the next message when an answer has arrived. A share of the
slowest server's rate is then offered to all servers in an open loop: messages are due at equal intervals, whether or
not the server has answered. Latency counts from the due time, so that it includes the time that messages wait for a
stalled server.
"""

from collections import defaultdict
from statistics import median

from report import significant, spread, table

LATENCY_WORKS = ("echo-20", "echo-1k")
SHARE = 0.8
CLOSED_ROUNDS = 3
QUANTILES = ("p50", "p99", "p99.9", "max")


class Latencies:
    """The results of wsload by workload and server, a value per round."""

    def __init__(self, base, peers):
        self.base = base
        self.peers = peers  # the base is compared with the best of them; without the raw servers
        self.best = defaultdict(list)  # messages per second in the closed loop
        self.latency = defaultdict(list)  # microseconds by quantile
        self.late = defaultdict(list)  # p99 of the delay with which wsload sent
        self.bottleneck = defaultdict(list)  # whether wsload was the bottleneck
        self.is_late = defaultdict(list)  # whether messages were still unanswered at the end

    def add_closed(self, work, server, done):
        self.best[work, server].append(done["messages_per_second"])

    def add_open(self, work, server, done):
        key = work, server
        self.latency[key].append({quantile: done["latency_us"][quantile] for quantile in QUANTILES})
        self.late[key].append(done["sent_late_us"]["p99"])
        self.bottleneck[key].append(done["load_was_bottleneck"])
        self.is_late[key].append(done["unanswered"] > 0)

    def answering(self, work):
        return {server for of, server in self.best if of == work}

    def offered(self, work):
        """The offered rate in messages per second; None if no server answered."""
        medians = [median(speeds) for (of, _), speeds in self.best.items() if of == work]
        return SHARE * min(medians) if medians else None

    def values(self, work, server, quantile):
        return [one[quantile] for one in self.latency[work, server]]

    def remarks(self, work, server):
        """Reasons why the figures may not show the server's own latency."""
        key = work, server
        found = [f"{what} in {sum(rounds)} of {len(rounds)} rounds"
                 for what, rounds in (("wsload was the bottleneck", self.bottleneck[key]),
                                      ("below the rate", self.is_late[key])) if any(rounds)]
        p99 = self.values(work, server, "p99")
        if p99 and 2 * median(self.late[key]) >= median(p99):
            found.append("half of p99 or more is that wsload sent late")
        return found

    def verdict(self, work):
        """Whether the base's p99 is no worse than that of the best peer, within the spread of that peer's rounds."""
        ours = self.values(work, self.base, "p99")
        theirs = {peer: values for peer in self.peers if (values := self.values(work, peer, "p99"))}
        if not ours or not theirs:
            return "There is nothing to compare."
        best = min(theirs, key=lambda peer: median(theirs[peer]))
        how, sign = ("worse", ">") if median(ours) > max(theirs[best]) else ("no worse", "≤")
        remarks = self.remarks(work, self.base) + self.remarks(work, best)
        doubt = " That is in doubt: see the remarks." if remarks else ""
        return (f"{self.base}'s p99 is **{how}** than that of the best peer, {best}, within the spread of that peer's "
                f"rounds: {significant(median(ours))} {sign} {significant(max(theirs[best]))} µs, the greatest of its "
                f"rounds, whose median is {significant(median(theirs[best]))}.{doubt}")


def latency_to_markdown(works, servers, latencies):
    parts = []
    for work in works:
        rate = latencies.offered(work.name)
        if rate is None:
            continue
        heads = ["server", "closed loop, a second", *QUANTILES, "sent late, p99", "remarks"]
        rows = [[server, spread(latencies.best[work.name, server], significant),
                 *(spread(latencies.values(work.name, server, quantile), significant) for quantile in QUANTILES),
                 spread(latencies.late[work.name, server], significant),
                 "; ".join(latencies.remarks(work.name, server)) or "–"]
                for server in servers if (work.name, server) in latencies.best]
        parts.append(f"### Latency, µs: {work.title}, {significant(rate)} messages a second offered\n\n"
                     f"All are offered {SHARE:.0%} of what the slowest answers in a closed loop. In the open loop "
                     "latency counts from when a message was due. Median of the rounds (least to greatest).\n\n"
                     f"{table(heads, rows)}\n{latencies.verdict(work.name)}\n")
    return "\n".join(parts)
