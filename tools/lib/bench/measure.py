"""For tools/bench scale: runs wsload processes that hold connections, and reads the memory of processes and of the
kernel, and the limits of the system."""

import contextlib
import json
import re
import resource
import subprocess
from pathlib import Path

from servers import Failed, how

PATIENCE = 60  # seconds, for one connection and for one answer
SOURCES = 64   # addresses that a load connects from
# The kernel's slabs with an object for each connected TCP socket that epoll watches.
SOCKET = ("TCP", "sock_inode_cache", "dentry", "filp", "eventpoll_epi")
RESERVE = 200  # descriptors of a process that are not connections


def read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def anonymous_memory(pid):
    """The anonymous memory of a process, in bytes. Not Private_Dirty, which also counts pages of a newly built program
    until they are written to the disk."""
    found = re.search(r"^Anonymous: +(\d+) kB", read(f"/proc/{pid}/smaps_rollup"), re.MULTILINE)
    if found is None:
        raise Failed(f"the memory of process {pid} cannot be read: it has ended, or is somebody else's")
    return int(found[1]) * 1024


class Load:
    """A wsload that holds connections, and starts a round on request. Several are used, since the number of descriptors
    is limited per process."""

    def __init__(self, wsload, mode, server, path, connections, *options):
        self.connections = connections
        self.name = f"{connections:,} connections to {server.kind.name}"
        self.process = subprocess.Popen(
            [str(wsload), mode, f"ws://127.0.0.1:{server.port}{path}", "-c", str(connections), "--hold", "--json",
             "--sources", str(SOURCES), "--timeout", f"{PATIENCE}s", *map(str, options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            words = self.process.stderr.read().strip()
            raise Failed(f"{self.name}: {words or 'wsload ended by ' + how(self.process.wait())}")
        return json.loads(line)

    def await_open(self):
        line = self.line()
        if line.get("open") != self.connections:
            raise Failed(f"{self.name}: not all are open: {line.get('not_opened_reasons')}")

    def begin_round(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self.name}: wsload ended by {how(self.process.wait())}") from None

    def end_round(self):
        """Waits for the end of the round. Returns the number of answers, which wsload has verified."""
        return self.line()["messages"]

    def end(self):
        """Closes the connections. May be called again."""
        with contextlib.suppress(BrokenPipeError):  # wsload has ended already
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()


def answers(loads):
    """Runs a round of all loads at the same time. Returns the number of answers."""
    for load in loads:
        load.begin_round()
    return sum(load.end_round() for load in loads)


# --- the kernel

def kernel():
    """The kernel's memory in bytes, and its number of TCP sockets, as far as they can be read. Slabs require root."""
    held = {}
    meminfo = dict(re.findall(r"^(\w+): +(\d+) kB", read("/proc/meminfo"), re.MULTILINE))
    held["available"] = int(meminfo.get("MemAvailable", 0)) * 1024
    tcp = re.search(r"^TCP: inuse (\d+) .* mem (\d+)$", read("/proc/net/sockstat"), re.MULTILINE)
    held["sockets"] = int(tcp[1]) if tcp else 0
    held["buffers"] = int(tcp[2]) * resource.getpagesize() if tcp else 0
    held["slabs"] = slabs(read("/proc/slabinfo"))
    return held


def slabs(slabinfo):
    """The bytes of each slab. A process that lists /proc, such as a monitor, creates an inode and a dentry for each
    descriptor of each process; these dentries are not counted."""
    found = {name: (int(objects), int(size)) for name, objects, size in
             re.findall(r"^(\S+) +\d+ +(\d+) +(\d+) ", slabinfo, re.MULTILINE)}
    listed, _ = found.pop("proc_inode_cache", (0, 0))
    return {name: (objects - (listed if name == "dentry" else 0)) * size for name, (objects, size) in found.items()}


# --- limits

def limits():
    """What is left of each limit that many connections can reach. Limits that this system lacks are absent."""
    found = {"descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1]}
    if files := read("/proc/sys/fs/file-nr").split():
        found["files"] = int(files[2]) - int(files[0])
    if ports := read("/proc/sys/net/ipv4/ip_local_port_range").split():
        found["ports"] = int(ports[1]) - int(ports[0]) + 1
    if backlog := read("/proc/sys/net/core/somaxconn").strip():
        found["backlog"] = int(backlog)
    tracked = read("/proc/sys/net/netfilter/nf_conntrack_count").strip()
    if most := read("/proc/sys/net/netfilter/nf_conntrack_max").strip():
        found["tracked"] = int(most) - int(tracked or 0)
    found["memory"] = kernel()["available"]
    return found


def lacking(found, connections, processes):
    """The limits that are too low for `connections`, and how to raise each of them: one line each."""
    share = -(-connections // processes)
    lines = []

    def demand(name, needed, what, change):
        if found.get(name, needed) < needed:
            lines.append(f"{what}: {found[name]:,}, and {needed:,} are needed; {change}")
    demand("descriptors", share + RESERVE, "descriptors of a process",
           f"ulimit -Hn {share + RESERVE}, or more --processes")
    demand("files", 2 * connections + RESERVE * processes, "open files that are left",
           f"sysctl -w fs.file-max={4 * connections}")
    demand("ports", -(-share // SOURCES), "ports of a source address",
           "sysctl -w net.ipv4.ip_local_port_range='10000 65535'")
    # wsload opens 128 at a time. A SYN that does not fit in the queue is dropped, and sent again after a second.
    demand("backlog", 128, "connections that wait to be accepted", "sysctl -w net.core.somaxconn=4096")
    demand("tracked", connections, "connections that netfilter can still track",
           f"sysctl -w net.netfilter.nf_conntrack_max={2 * connections}")
    # 4 KiB for each of the two sockets with its slabs, and 4 KiB for everything else.
    demand("memory", connections * 3 * 4096, "bytes of memory that are available", "fewer --connections")
    return lines
