"""The rounds of tools/bench compare. A round has a turn for each server: the server runs the workload once, while the
other servers are idle."""

import os
import sys

from servers import Failed, Server, judges_text, time_option
from works import load


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def cores():
    """The cores of the server and of the load."""
    able = sorted(os.sched_getaffinity(0))
    return able[0], able[-1]


def on(*which):
    """The prefix that runs a command on these cores only."""
    return ["taskset", "-c", ",".join(str(core) for core in which)]


class Turns:
    """The running servers. A server that dies is left out of further rounds; if the base dies, there are none."""

    def __init__(self, kinds, base, wsload, failures):
        self.base, self.wsload, self.failures = base, wsload, failures
        self.servers = []
        self.has_run_in = set()
        server_core, self.load_core = cores()
        if server_core == self.load_core:
            say("there is one core only: server and load share it")
        try:
            for kind in kinds:
                try:
                    self.servers.append(Server(kind, on(server_core)))
                except Failed as failure:
                    failures.append(str(failure))
            self.judging_text = {server.kind.name: judges_text(server) for server in self.servers}
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        for server in self.servers:
            server.end()

    def has_base(self):
        return any(server.kind.name == self.base for server in self.servers)

    def run_in(self, server, work):
        what = server.kind.name, work.mode
        if server.kind.run_in and what not in self.has_run_in:
            self.has_run_in.add(what)
            amount = "--duration", time_option(server.kind.run_in), "--warm-up", "0"
            load(self.wsload, on(self.load_core), server, work, amount)

    def take(self, work, rounds, amount, among=None, what=""):
        """Yields the round, the server's name and wsload's results, for each server, or each one in `among`. A round 0,
        for warming up, is not yielded. `amount`: wsload's options for the duration or the number of messages."""
        able = [server for server in self.servers
                if work.mode in server.kind.modes and (among is None or server.kind.name in among)]
        for number in range(rounds + 1):
            if not self.has_base():
                return
            say(f"{work.name}{what}: round {number} of {rounds}")
            for server in list(able):
                try:
                    self.run_in(server, work)
                    done = load(self.wsload, on(self.load_core), server, work, amount)
                except Failed as failure:
                    self.failures.append(str(failure))
                    able.remove(server)
                    if not server.lives():
                        self.servers.remove(server)
                        if not self.has_base():
                            self.failures.append(f"nothing further: there is no {self.base} to compare with")
                            return
                    continue
                if number > 0:
                    yield number, server.kind.name, done
