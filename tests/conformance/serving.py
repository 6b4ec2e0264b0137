"""For the tests here: a server in a process of its own, and the client in another."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Served:
    """A server that prints "listening on ADDRESS:PORT"."""

    def __init__(self, command):
        self.command = command

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (.+)\n", line)
        assert found, f"{self.command} printed {line!r}"
        self.address = found[1]
        return self

    def url(self, path):
        return f"ws://{self.address}{path}"

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()


def play_cases(url, cases, parallel, patience=1):
    """The results of `play`."""
    from player import read_results
    with tempfile.NamedTemporaryFile(suffix=".tsv") as file:
        run = subprocess.run([sys.executable, HERE / "play", "--cases", cases, "--parallel", str(parallel),
                              "--patience", str(patience), "--results", file.name, url],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert run.returncode in (0, 1) and Path(file.name).stat().st_size, run.stdout
        return read_results(file.name)
