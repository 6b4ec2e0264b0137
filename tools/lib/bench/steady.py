"""tools/bench compare --steady: counts user-space instructions (callgrind) and system calls (strace), which, unlike
times, are reproducible.

Two runs process N and 3 N messages. The count per message is the difference of their counts divided by 2 N, so that the
cost of starting, connecting and stopping cancels out.
"""

import re
import tempfile
import time
from pathlib import Path

from servers import Failed, Server
from works import load


def slope(count, messages):
    """The count per message. `count`, `messages`: the values of both runs."""
    return (count[1] - count[0]) / (messages[1] - messages[0])


def read_callgrind(path):
    found = re.search(r"^(?:summary|totals): (\d+)", path.read_text(errors="replace"), re.MULTILINE)
    return int(found[1]) if found else None


def read_strace(path):
    """The number of calls in the last line of `strace -c`: 100.00 SECONDS [MICROSECONDS] CALLS [ERRORS] total."""
    found = re.search(r"^100\.00 +\S+ +(?:\d+ +)?(\d+)(?: +\d+)? total$", path.read_text(), re.MULTILINE)
    return int(found[1]) if found else None


TOOLS = {
    "instructions": (lambda file: ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}"], read_callgrind),
    "system calls": (lambda file: ["strace", "-D", "-c", "-f", "-o", str(file)], read_strace),
}


def count(what, kind, work, wsload):
    """The count per message of `what`, a key of TOOLS."""
    before, read = TOOLS[what]
    counts, messages = [], []
    for times in (1, 3):
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "counted"
            server = Server(kind, before(file), patience=120)
            try:
                done = load(wsload, (), server, work, ("-n", str(times * work.steady), "--timeout", "120s"),
                            is_watched=False)
            finally:
                server.end()
            end = time.monotonic() + 20
            while (counted := file.exists() and read(file)) in (None, False):
                if time.monotonic() > end:
                    raise Failed(f"{kind.name} at {work.name}: no {what} were counted{server.last_words}")
                time.sleep(0.05)
            counts.append(counted)
            messages.append(done["messages"])
    return slope(counts, messages)
