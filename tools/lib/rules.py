"""The rules of a standard, one per keyword (docs/rfc*.tsv), and their places in code and tests. A tag links them:
number of the RFC, section, name. tools/docs shows the rules, tests/checks verify that they are complete."""

import re
from dataclasses import dataclass

import symbols

RFCS = "3629|6455|6585|7692|8441|9110|9112"
TAG = re.compile(rf"(?<![\w.-])(?:{RFCS})-\d+(?:\.\d+)*-[A-Z0-9]+(?:-[A-Z]+)*(?![\w-])")
CODE = ("protocol", "server", "tools")
# Folders that are not searched: third-party code, binary files, and tests/checks, which has example tags.
SKIPPED = ("node_modules", "__pycache__", "corpus", "checks")
TEXT = (".h", ".cpp", ".py", ".js", ".mjs", ".sh", ".md", "")
# Maps errors to close codes and HTTP statuses. A tag only here does not show where the code detects the error.
ERROR_TABLE = "protocol/error.cpp"

KEYWORDS = ("MUST", "MUST NOT", "REQUIRED", "SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "RECOMMENDED",
            "NOT RECOMMENDED", "MAY")


def find_tags(root, *parts):
    """Each tag in these parts of the tree, and its places: (file, line number)."""
    found = {}
    for part in parts:
        for path in [root / part, *sorted((root / part).rglob("*"))]:
            name = path.relative_to(root)
            if not path.is_file() or path.suffix not in TEXT or set(SKIPPED) & set(name.parts):
                continue
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                for tag in TAG.findall(line):
                    found.setdefault(tag, []).append((str(name), number))
    return found


def name_places(root, found):
    """Converts the places of tags from lines to symbols: (file, name of the enclosing symbol), without duplicates. The
    name is empty outside of symbols. The result does not change if code moves within its file."""
    named = {}
    for tag, places in found.items():
        of_tag = set()
        for file, number in places:
            symbol = symbols.enclosing(symbols.read(root / file), number)
            of_tag.add((file, symbol.name if symbol else ""))
        named[tag] = sorted(of_tag)
    return named


@dataclass
class Rule:
    place: str       # file and line in the table
    section: str     # of the RFC
    keyword: str
    text: str        # the rule, in our own words
    tags: list[str]  # the tags that implement and test it
    reason: str      # why there are no tags


def as_numbers(section):
    return tuple(int(number) for number in section.split("."))


def read_rules(root, table, errors):
    """Reads a table with the tab-separated columns section, keyword, rule and answer (tags, or "-" and a reason)."""
    rules = []
    for number, line in enumerate((root / table).read_text().splitlines(), 1):
        place = f"{table}:{number}"
        if not line or line.startswith("#"):
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 4 or not re.fullmatch(r"\d+(\.\d+)*", columns[0]) or not columns[2]:
            errors.append(f"{place}: not a section, a keyword, a rule and its answer, with tabs between them")
            continue
        section, keyword, text, answer = columns
        reason = answer[1:].strip() if answer.startswith("-") else ""
        tags = [] if answer.startswith("-") else answer.split()
        if keyword not in KEYWORDS:
            errors.append(f"{place}: {keyword} is no keyword")
        if rules and as_numbers(section) < as_numbers(rules[-1].section):
            errors.append(f"{place}: {section} comes ahead of {rules[-1].section}")
        if not tags and not reason:
            errors.append(f"{place}: neither a tag nor a reason why there is none")
        if TAG.search(reason):
            errors.append(f"{place}: a reason why there is no tag, and a tag in it")
        errors += [f"{place}: {tag} is no tag" for tag in tags if not TAG.fullmatch(tag)]
        rules.append(Rule(place, section, keyword, text, tags, reason))
    return rules


def check(root, table, counts):
    """Returns the errors in a table. `counts`: the number of keywords in each section of the RFC. The table must have
    all tags in the code that are of the chapters in `counts`."""
    errors = []
    rules = read_rules(root, table, errors)
    found = {}
    for rule in rules:
        found[rule.section] = found.get(rule.section, 0) + 1
    for section in sorted(set(found) | set(counts), key=as_numbers):
        if found.get(section, 0) != counts.get(section, 0):
            errors.append(f"{table}: {found.get(section, 0)} keywords in {section}, not {counts.get(section, 0)}")

    code, tests = find_tags(root, *CODE), find_tags(root, "tests")
    for rule in rules:
        for tag in rule.tags:
            files = [file for file, _ in code.get(tag, [])]
            if not files:
                errors.append(f"{rule.place}: {tag} stands nowhere in the code")
            elif set(files) == {ERROR_TABLE}:
                errors.append(f"{rule.place}: {tag} stands at no branch, in the table of errors only")
            if tag not in tests:
                errors.append(f"{rule.place}: {tag} is cited by no test")
    rfc = re.search(r"\d+", table).group(0)
    chapters = {section.split(".")[0] for section in counts}
    bound = {tag for rule in rules for tag in rule.tags}
    for tag, places in sorted(code.items()):
        of_rfc, section = tag.split("-")[:2]
        if of_rfc == rfc and section.split(".")[0] in chapters and tag not in bound:
            errors.append(f"{places[0][0]}:{places[0][1]}: {tag} is in no row of {table}")
    return errors


# --- As Markdown


def counted(rules):
    """The numbers of keywords: all, with tags, without tags."""
    bound = sum(1 for rule in rules if rule.tags)
    return len(rules), bound, len(rules) - bound


def show_counts(rules):
    """A table with the number of rules that have tags, by chapter of the RFC and in total."""
    lines = ["| section | keywords | bound | not ours |", "| --- | --: | --: | --: |"]
    for chapter in sorted({rule.section.split(".")[0] for rule in rules}, key=int):
        of_it = counted([rule for rule in rules if rule.section.split(".")[0] == chapter])
        lines.append("| §{} | {} | {} | {} |".format(chapter, *of_it))
    lines.append("| in all | {} | {} | {} |".format(*counted(rules)))
    return "\n".join(lines)


def show_places(places, is_short):
    """Links to the files, with the symbols in each. `is_short`: only the first symbol of a file, and their number."""
    shown = []
    for file in dict.fromkeys(file for file, _ in places):
        names = [f"`{name}`" for of_file, name in places if of_file == file and name]
        text = f"[{file.split('/')[-1]}](../{file})"
        if is_short and len(names) > 1:
            text += f" {names[0]} ×{len(names)}"
        elif names:
            text += " " + ", ".join(names)
        shown.append(text)
    return ", ".join(shown)


def show_section(rules, code, tests):
    """A table of these rules: the tags of each, and their places in code and tests."""
    lines = ["{} keywords: {} bound, {} not ours.".format(*counted(rules)).replace("1 keywords", "1 keyword"), "",
             "| keyword | the rule | bound by | in code | in tests |", "| --- | --- | --- | --- | --- |"]
    for rule in rules:
        def places(found, is_short):
            return "<br>".join(show_places(found.get(tag, []), is_short) for tag in rule.tags)
        answer = "<br>".join(f"`{tag}`" for tag in rule.tags) or f"*not ours:* {rule.reason}"
        cells = [rule.keyword, rule.text, answer, places(code, False), places(tests, True)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
