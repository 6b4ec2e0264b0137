"""The rules of a standard, keyword by keyword (docs/rfc*.tsv), and where each stands in code and tests. What finds the
one from the other is a tag: number of the RFC, section, name. tools/docs shows it, tests/checks hold it together."""

import re
from dataclasses import dataclass

import symbols

RFCS = "3629|6455|6585|7692|8441|9110|9112"
TAG = re.compile(rf"(?<![\w.-])(?:{RFCS})-\d+(?:\.\d+)*-[A-Z0-9]+(?:-[A-Z]+)*(?![\w-])")
CODE = ("protocol", "server", "tools")
# What is searched in tests/: neither what others wrote, nor bytes, nor the examples in the tests of this.
SKIPPED = ("node_modules", "__pycache__", "corpus", "checks")
TEXT = (".h", ".cpp", ".py", ".js", ".mjs", ".sh", ".md", "")
# It says what a broken rule is answered with; that is not where it is noticed.
ERROR_TABLE = "protocol/error.cpp"

KEYWORDS = ("MUST", "MUST NOT", "REQUIRED", "SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "RECOMMENDED",
            "NOT RECOMMENDED", "MAY")


def find_tags(root, *parts):
    """Each tag in these parts of the tree, and its places in it: (file, number of the line)."""
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
    """The same with symbols instead of lines: each tag, and the (file, name) of what it stands in. Outside of any
    symbol the name is empty. No symbol comes twice, so that code may move within its file."""
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
    tags: list[str]  # what binds it
    reason: str      # or why nothing does


def as_numbers(section):
    return tuple(int(number) for number in section.split("."))


def read_rules(root, table, errors):
    """The rows of a table: section, keyword, rule and answer, with tabs between them."""
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
    """What is wrong with a table. `counts`: how many keywords each section of the RFC has; those that it knows, and
    what is below them, are what the tags of the code must be in the table for."""
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
    """How many keywords, bound, not ours."""
    bound = sum(1 for rule in rules if rule.tags)
    return len(rules), bound, len(rules) - bound


def show_counts(rules):
    """A table: how many of them are bound, by chapter of the RFC and in all."""
    lines = ["| section | keywords | bound | not ours |", "| --- | --: | --: | --: |"]
    for chapter in sorted({rule.section.split(".")[0] for rule in rules}, key=int):
        of_it = counted([rule for rule in rules if rule.section.split(".")[0] == chapter])
        lines.append("| §{} | {} | {} | {} |".format(chapter, *of_it))
    lines.append("| in all | {} | {} | {} |".format(*counted(rules)))
    return "\n".join(lines)


def show_places(places, is_short):
    """The files as links, and the symbols in each. `is_short`: the first symbol of a file, and how many there are."""
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
    """A table of these rules: what binds each, where the code keeps it, which tests prove it."""
    lines = ["{} keywords: {} bound, {} not ours.".format(*counted(rules)).replace("1 keywords", "1 keyword"), "",
             "| keyword | the rule | bound by | in code | in tests |", "| --- | --- | --- | --- | --- |"]
    for rule in rules:
        def places(found, is_short):
            return "<br>".join(show_places(found.get(tag, []), is_short) for tag in rule.tags)
        answer = "<br>".join(f"`{tag}`" for tag in rule.tags) or f"*not ours:* {rule.reason}"
        cells = [rule.keyword, rule.text, answer, places(code, False), places(tests, True)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
