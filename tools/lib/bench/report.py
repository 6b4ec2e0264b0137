"""Formats the results of tools/bench compare as Markdown tables and as a plot in SVG."""

import math
import statistics
from collections import defaultdict
from html import escape


class Rounds:
    """The measurements of each workload, server and round: microseconds of CPU per message, and messages per second."""

    def __init__(self, base):
        self.base = base
        self.cpu = defaultdict(dict)
        self.speed = defaultdict(dict)
        self.bounded = defaultdict(int)  # rounds in which wsload was the bottleneck

    def add(self, work, server, number, cpu, speed, load_was_bottleneck):
        self.cpu[work, server][number] = cpu
        self.speed[work, server][number] = speed
        self.bounded[work, server] += load_was_bottleneck

    def is_bounded(self, work, server):
        """Whether wsload was the bottleneck in most rounds: the server may be faster than measured."""
        return 2 * self.bounded[work, server] > len(self.speed[work, server])

    def ratios(self, work, server):
        """The ratios of CPU time to the base in the same round, since rounds differ more than servers. Omits rounds
        without answered messages or without measurable CPU time."""
        base = self.cpu[work, self.base]
        return [cpu / base[number] for number, cpu in self.cpu[work, server].items()
                if cpu > 0 and base.get(number, 0) > 0]


def significant(number):
    """The number with three significant digits, or as an integer."""
    if number == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:,.{digits}f}"


def spread(values, to_text="{:.2f}".format):
    """The median, and the range from minimum to maximum."""
    if not values:
        return "–"
    return f"{to_text(statistics.median(values))} ({to_text(min(values))}–{to_text(max(values))})"


def table(heads, rows):
    lines = [heads, ["---"] + ["--:"] * (len(heads) - 1), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def to_markdown(works, servers, rounds, steady):
    """`works`: with name and title; `servers`: names; `steady`: counts by kind of count, workload and server."""
    others = [server for server in servers if server != rounds.base]
    parts = []
    if rounds.cpu:
        rows = [[work.title, *(spread(rounds.ratios(work.name, server)) for server in others)] for work in works]
        parts.append(f"### CPU time a message ÷ {rounds.base}\n\nMedian of the rounds' ratios (least to greatest).\n\n"
                     + table(["work", *others], rows))

        def median(measured, work, server):
            values = measured[work.name, server]
            return significant(statistics.median(values.values())) if values else "–"

        def speed(work, server):
            return ("≥ " if rounds.is_bounded(work.name, server) else "") + median(rounds.speed, work, server)
        rows = [[work.title, *(median(rounds.cpu, work, server) for server in servers)] for work in works]
        parts.append("### CPU time a message, µs\n\n" + table(["work", *servers], rows))
        rows = [[work.title, *(speed(work, server) for server in servers)] for work in works]
        parts.append("### Messages a second\n\n≥: wsload was the bottleneck, the server may be faster.\n\n"
                     + table(["work", *servers], rows))
    for what, counted in steady.items():
        counted_servers = [server for server in servers if any(key[1] == server for key in counted)]
        rows = [[work.title, *(f"{counted[work.name, server]:,.{0 if what == 'instructions' else 3}f}"
                               if (work.name, server) in counted else "–" for server in counted_servers)]
                for work in works]
        title = {"instructions": "User-space instructions a message (callgrind)",
                 "system calls": "System calls a message (strace)"}[what]
        parts.append(f"### {title}\n\n" + table(["work", *counted_servers], rows))
    return "\n".join(parts)


# --- the plot: a row per workload, a dot per server at its median, with a bar from minimum to maximum

COLOURS = ["#000000", "#888888", "#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#17becf",
           "#bcbd22"]
LEFT, RIGHT, TOP, ROW, WIDTH = 330, 30, 60, 22, 1000


def to_svg(works, servers, rounds, made_by):
    points = {(work.name, server): values for work in works for server in servers
              if server != rounds.base and (values := rounds.ratios(work.name, server))}
    ends = [value for values in points.values() for value in values if value > 0] + [0.5, 2]
    low, high = math.log10(min(ends)) - 0.05, math.log10(max(ends)) + 0.05

    def x(ratio):
        return LEFT + (math.log10(ratio) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    bottom = TOP + ROW * len(works)
    lines = [f"<!-- {escape(made_by).replace('--', '- -')} -->",
             f'<rect width="{WIDTH}" height="{bottom + 50}" fill="white"/>']
    for power in range(math.floor(low), math.ceil(high) + 1):
        for factor in (1, 2, 5):
            ratio = factor * 10.0 ** power
            if low <= math.log10(ratio) <= high:
                colour = "#000" if ratio == 1 else "#ddd"
                at = f"{x(ratio):.1f}"
                lines.append(f'<line x1="{at}" x2="{at}" y1="{TOP - 8}" y2="{bottom}" stroke="{colour}"/>')
                lines.append(f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{ratio:g}</text>')
    lines.append(f'<text x="{LEFT}" y="{bottom + 38}">CPU time a message ÷ {escape(rounds.base)}, '
                 f'logarithmic: to the right of 1 is slower than {escape(rounds.base)}</text>')
    others = [server for server in servers if server != rounds.base]
    for i, server in enumerate(others):
        left = 20 + i * (WIDTH - 40) / len(others)
        lines.append(f'<circle cx="{left:.1f}" cy="20" r="4" fill="{COLOURS[i % len(COLOURS)]}"/>')
        lines.append(f'<text x="{left + 8:.1f}" y="24">{escape(server)}</text>')
    for row, work in enumerate(works):
        y = TOP + ROW * row + ROW / 2
        lines.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(work.title)}</text>')
        for i, server in enumerate(others):
            values = [value for value in points.get((work.name, server), []) if value > 0]
            if values:
                colour = COLOURS[i % len(COLOURS)]
                lines.append(f'<line x1="{x(min(values)):.1f}" x2="{x(max(values)):.1f}" y1="{y}" y2="{y}" '
                             f'stroke="{colour}" stroke-width="2" opacity="0.5"/>')
                lines.append(f'<circle cx="{x(statistics.median(values)):.1f}" cy="{y}" r="4" fill="{colour}">'
                             f'<title>{escape(server)}: {spread(values)}</title></circle>')
    body = "\n".join(lines)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 50}" '
            f'font-family="sans-serif" font-size="11">\n{body}\n</svg>\n')
