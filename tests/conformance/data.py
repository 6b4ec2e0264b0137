"""Generated replacements for the five files that the suite sends in its sections 12 and 13, identical on every machine.
They have the originals' types and lengths, and nearly their compression ratios, which the comments give.
"""

import functools
import json
import random


def fit(data, size):
    assert len(data) >= size, (len(data), size)
    return data[:size]


def results_in_json():  # 0.04
    pick = random.Random(1)
    table = {}
    for section in range(1, 200):
        for number in range(1, 21):
            table[f"{section}.{number}"] = {
                "behavior": "OK", "behaviorClose": pick.choice(["OK", "OK", "OK", "OK", "UNCLEAN"]),
                "duration": pick.randrange(1, 40), "remoteCloseCode": 1000,
                "reportfile": f"a_server_case_{section}_{number}.json"}
    return fit(json.dumps({"A server": table}, indent=3).encode(), 194056)


def picture():  # 0.85: a grey bitmap of 512 × 512 pixels, a gradient with noise
    pick = random.Random(2)
    head = (b"BM" + (263222).to_bytes(4, "little") + bytes(4) + (1078).to_bytes(4, "little")
            + (40).to_bytes(4, "little") + (512).to_bytes(4, "little") * 2 + b"\x01\x00\x08\x00" + bytes(24))
    palette = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))
    pixels = bytes(int(pick.gauss(64 + (x + y) / 8, 22)) & 0xFF for y in range(512) for x in range(512))
    return fit(head + palette + pixels, 263222)


def prose():  # 0.39: verses of German-sounding words; frequent words are short
    pick = random.Random(3)
    heads = ["", "b", "d", "f", "g", "h", "k", "l", "m", "n", "r", "s", "sch", "st", "t", "v", "w", "z"]
    hearts = ["a", "e", "i", "o", "u", "ä", "ö", "ü", "ei", "au", "ie"]
    tails = ["", "n", "r", "t", "s", "ch", "ß", "nd", "lt"]
    words = ["".join(pick.choice(heads) + pick.choice(hearts) + pick.choice(tails)
                     for _ in range(1 + (rank > 60) + (rank > 900))) for rank in range(3000)]
    weights = [1 / (rank + 4) for rank in range(len(words))]
    lines = []
    for number in range(7000):
        line = " ".join(pick.choices(words, weights, k=pick.randrange(4, 8)))
        end = pick.choice([",", ",", ".", "!", ""]) + ("\r\n" if number % 9 == 8 else "")
        lines.append(line[:1].upper() + line[1:] + end)
    return fit(b"\xef\xbb\xbf" + "\r\n".join(lines).encode(), 222218)


def page():  # 0.06
    pick = random.Random(4)
    rows = [f'         <tr class="case"><td class="name"><a href="#case_{n}">Case {n // 20}.{n % 20 + 1}</a></td>'
            f'<td class="{pick.choice(["ok", "ok", "ok", "failed"])}">{pick.randrange(1, 500)} ms</td></tr>\n'
            for n in range(3000)]
    head = '<!DOCTYPE html>\n<html>\n   <head>\n      <meta charset="utf-8" />\n   </head>\n   <body>\n      <table>\n'
    return fit((head + "".join(rows)).encode(), 263647)


def document():  # 0.76: like a PDF, compressed streams between uncompressed objects
    pick = random.Random(5)
    parts = [b"%PDF-1.2\n%\xc7\xec\x8f\xa2\n"]
    for number in range(1, 200):
        stream = pick.randbytes(5000)
        parts.append(b"%d 0 obj\n<</Length %d/Filter/FlateDecode>>\nstream\n%s\nendstream\nendobj\n" % (
            number, len(stream), stream))
        parts += [b"%010d 00000 n \n" % (9000 * number + 31 * line) for line in range(90)]
    return fit(b"".join(parts), 1042328)


# In the order of 12.1 to 12.5: name, whether it is sent as binary messages, function that generates it.
KINDS = [("JSON", False, results_in_json), ("a bitmap", True, picture), ("German prose", True, prose),
         ("HTML", False, page), ("a PDF", True, document)]


@functools.cache
def contents(index):
    return KINDS[index][2]()
