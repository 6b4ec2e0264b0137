"""The workloads of tools/bench compare (`works` in the code), and running wsload for one of them."""

import json
import subprocess
from dataclasses import dataclass

from servers import Failed, how


@dataclass(frozen=True)
class Work:
    name: str
    title: str
    mode: str  # wsload's
    options: tuple
    steady: int  # messages for counting instructions and system calls; the second run has three times as many


def all_works():
    works = []
    for text, of in (("", ""), ("-ascii", ", ASCII text"), ("-chinese", ", Chinese text")):
        filling = ("--text", text[1:]) if text else ()
        for size, name, title, steady in ((20, "20", "20 B", 6400), (1024, "1k", "1 KiB", 6400),
                                          (16384, "16k", "16 KiB", 1280), (65536, "64k", "64 KiB", 640)):
            works.append(Work(f"echo-{name}{text}", f"64 connections, 1 outstanding, {title}{of}", "echo",
                              ("-c", "64", "-s", str(size), *filling), steady))
        for size, name, title, steady in ((20, "20", "20 B", 51200), (1024, "1k", "1 KiB", 25600)):
            works.append(Work(f"pipelined-{name}{text}", f"16 connections, 64 outstanding, {title}{of}", "echo",
                              ("-c", "16", "-o", "64", "-s", str(size), *filling), steady))
    # With two outstanding messages from each of 20 speakers, a loop iteration has more messages than the 32 that some
    # servers batch.
    for speakers, members, outstanding, steady in ((1, 1000, 1, 20), (20, 100, 1, 400), (20, 100, 2, 800),
                                                   (100, 100, 1, 1000)):
        if speakers == 1:  # the speaker is additional to the listeners
            title, connections = f"chat, 1 speaks to {members:,}, a delivery", members + 1
        else:
            title, connections = f"chat, {speakers} of {members} speak, a delivery", members
        name, options = f"chat-{speakers}x{members}", ("-c", str(connections), "--speakers", str(speakers))
        if outstanding > 1:
            name, title = f"{name}-{outstanding}", title.replace("speak", f"speak, {outstanding} outstanding")
            options += ("-o", str(outstanding))
        works.append(Work(name, title, "chat", (*options, "--text", "ascii"), steady))
    # From several addresses: connections in TIME_WAIT would use up the ports of a single one.
    works.append(Work("connect", "connect, upgrade, close, 64 at a time", "connect",
                      ("-c", "64", "--sources", "16"), 640))
    return works


def load(wsload, before, server, work, amount, is_watched=True):
    """Runs wsload; returns its JSON results. `amount`: its options for the duration or the number of messages."""
    command = [*before, str(wsload), work.mode, server.url(work.mode), *work.options, *amount, "--json"]
    if work.mode == "chat":
        command += server.kind.chat_options
    if is_watched:
        command += ["--server-pid", str(server.process.pid)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{server.kind.name} at {work.name}: no end within 300 s") from None
    # 1 and a report: some messages were not answered, or some connections did not open.
    results = json.loads(run.stdout) if run.returncode in (0, 1) and run.stdout else None
    if results is None or results.get("not_opened"):
        if not server.lives():
            server.end()
            by = how(server.process.returncode)
            raise Failed(f"{server.kind.name} died at {work.name}, by {by}{server.last_words}")
        why = run.stderr.strip() or results and f"not opened: {results['not_opened_reasons']}" or f"wsload ended by {how(run.returncode)}"
        raise Failed(f"{server.kind.name} at {work.name}: {why}")
    return results
