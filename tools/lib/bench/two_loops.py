"""tools/bench compare --two-loops: measures the gain from a second event loop on a second core.

First a server and one wsload share one core. Then the server runs with --threads 2 --affinity on two cores, each of
which also runs a wsload. In both cases each event loop shares its core with one wsload.
"""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import median

from report import spread, table
from servers import Failed, Server
from turns import cores, on
from works import load

LOOP_WORKS = ("echo-20", "pipelined-20")
WANTED_SPEED, WANTED_CPU = 1.6, 1.1


@dataclass
class Outcome:
    speed: float  # messages per second
    cpu: float  # of the server, microseconds per message


def together(loads):
    """Combines the results of several wsload on one server. Each of them measured the CPU time of the whole server."""
    messages = sum(done["messages"] for done in loads)
    seconds = sum(done["server"]["user_seconds"] + done["server"]["system_seconds"] for done in loads) / len(loads)
    return Outcome(sum(done["messages_per_second"] for done in loads), seconds * 1e6 / messages if messages else 0)


def with_loops(kind, count):
    return replace(kind, name=f"{kind.name} --threads {count} --affinity",
                   command=[kind.command[0], "--threads", str(count), "--affinity", *kind.command[1:]])


def measure(wsload, kind, work, amount, own_cores):
    """Measures a server that runs on these cores, with a wsload on each of them."""
    server = Server(kind, on(*own_cores))
    try:
        with ThreadPoolExecutor(len(own_cores)) as pool:
            return together(list(pool.map(lambda core: load(wsload, on(core), server, work, amount), own_cores)))
    finally:
        server.end()


def one_and_two(wsload, kind, work, amount):
    first, second = cores()
    if first == second:
        raise Failed("two loops need two cores, and there is one")
    return (measure(wsload, kind, work, amount, (first,)),
            measure(wsload, with_loops(kind, 2), work, amount, (first, second)))


class TwoLoops:
    """By workload and round: the ratios of messages per second, and of CPU time per message."""

    def __init__(self):
        self.speed = defaultdict(list)
        self.cpu = defaultdict(list)

    def add(self, work, one, two):
        if one.speed > 0 and one.cpu > 0:
            self.speed[work].append(two.speed / one.speed)
            self.cpu[work].append(two.cpu / one.cpu)

    def verdict(self, work):
        return "yes" if median(self.speed[work]) >= WANTED_SPEED and median(self.cpu[work]) <= WANTED_CPU else "no"


def loops_to_markdown(works, loops):
    rows = [[work.title, spread(loops.speed[work.name]), spread(loops.cpu[work.name]), loops.verdict(work.name)]
            for work in works if loops.speed[work.name]]
    if not rows:
        return ""
    return ("### Two loops on two cores ÷ one loop on one core\n\n"
            "A core has a loop and its load. Median of the rounds' ratios (least to greatest); wanted are at least "
            f"{WANTED_SPEED} × the messages a second at no more than {WANTED_CPU} × the CPU time a message.\n\n"
            + table(["work", "messages a second", "CPU time a message", "as wanted"], rows))
