"""For the tests here: runs a server and the client, each in a separate process."""

import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


# A sanitizer's report, or wsd's report of a handler that is called without work.
COMPLAINT = re.compile(r"^.*(?:Sanitizer|runtime error:|Busy wait).*$", re.MULTILINE)


class Served:
    """A server that prints "listening on ADDRESS:PORT". It must exit with `status` after SIGTERM (by default the
    signal ends it), and write no COMPLAINT to standard error."""

    def __init__(self, command, status=-signal.SIGTERM):
        self.command, self.status = command, status

    def __enter__(self):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (.+)\n", line)
        assert found, f"{self.command} printed {line!r}"
        self.address = found[1]
        return self

    def url(self, path):
        return f"ws://{self.address}{path}"

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(60)
        self.process.stdout.close()
        with self.errors:
            self.errors.seek(0)
            said = self.errors.read()
        assert status == self.status, f"the server exited with {status}; its standard error: {said[-4000:]}"
        complaint = COMPLAINT.search(said)
        assert not complaint, complaint[0]


def play_cases(url, cases, parallel, patience=1):
    """Runs `play` and returns its results."""
    from player import read_results
    with tempfile.NamedTemporaryFile(suffix=".tsv") as file:
        run = subprocess.run([sys.executable, HERE / "play", "--cases", cases, "--parallel", str(parallel),
                              "--patience", str(patience), "--results", file.name, url],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert run.returncode in (0, 1) and Path(file.name).stat().st_size, run.stdout
        return read_results(file.name)
