"""npm's `ws` client, as peer.js drives it."""

import json
import queue
import subprocess
import threading

from conftest import HERE
from wsd import PATIENCE


class Peer:
    def __init__(self, url, *subprotocols, **options):
        self.process = subprocess.Popen(["node", HERE / "peer.js", url, json.dumps(options), *subprotocols],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.events = queue.Queue()
        self.seen = []  # events that the test has read
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def do(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def event(self):
        """The next event, in the order of the wire."""
        try:
            event = self.events.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"waited {PATIENCE} s for an event of npm's ws; had come: {self.seen}") from None
        self.seen.append(event)
        return event

    def opened(self):
        event = self.event()
        assert "open" in event, event
        return event["open"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()
