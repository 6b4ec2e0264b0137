"""Finds the functions, types and tables of a source file: their names, and their first and last lines.

Understands Python, bash, and C++ that clang-format has formatted, without a compiler. Names are those of the language:
`Session::send`, `Session` (class, struct, union, enum), `kTable` (a constant), `FrameTest.IsShort` (a GoogleTest
case), `Wsd.start` (Python). Namespaces are omitted.
"""

import ast
import bisect
import functools
import re
from dataclasses import dataclass

from tree import CPP


class CiteError(Exception):
    """No symbol, or more than one, has the requested name."""


@dataclass(frozen=True)
class Symbol:
    name: str
    first: int  # line, counted from 1; the comment above belongs to the symbol
    last: int
    parameters: str = ""
    is_definition: bool = True


def language(path):
    """cpp, python or sh, by the name or the first line of the file; else ""."""
    if path.suffix in CPP:
        return "cpp"
    if path.suffix in (".py", ".sh"):
        return {".py": "python", ".sh": "sh"}[path.suffix]
    if path.suffix == "":
        head = path.read_text(errors="replace").split("\n", 1)[0]
        return "python" if re.match("#!.*python", head) else "sh" if re.match("#!.*sh", head) else ""
    return ""


def read(path):
    """The symbols of a file, in the order of their first lines; none for a file in another language."""
    return scan(path.read_text(errors="replace"), language(path))


@functools.cache
def scan(text, of_language):
    scanner = {"cpp": scan_cpp, "python": scan_python, "sh": scan_shell}.get(of_language, lambda _: [])
    return sorted(scanner(text), key=lambda symbol: (symbol.first, -symbol.last))


def find(symbols, cited):
    """Finds the symbol `NAME`. Of several, `NAME#2` is the second one, and `NAME(TEXT)` the one whose parameters
    contain the text (`NAME()`: the one without parameters). Declarations count only if there is no definition."""
    name, number, text = re.fullmatch(r"(.+?(?:operator\(\))?)(?:#(\d+)|\(([^()]*)\))?", cited).groups()
    found = [symbol for symbol in symbols if symbol.name == name]
    found = [symbol for symbol in found if symbol.is_definition] or found
    if number is not None:
        found = found[int(number) - 1:int(number)] if int(number) > 0 else []
    elif text is not None:
        found = [symbol for symbol in found if (text in symbol.parameters if text else not symbol.parameters)]
    if not found:
        raise CiteError(f"no symbol {cited}")
    if len(found) > 1:
        ways = ", ".join(f"{name}({symbol.parameters})" for symbol in found)
        raise CiteError(f"{len(found)} symbols {cited}: {ways}")
    return found[0]


def enclosing(symbols, line):
    """The innermost symbol that contains a line, or None."""
    around = [symbol for symbol in symbols if symbol.first <= line <= symbol.last]
    return min(around, key=lambda symbol: symbol.last - symbol.first, default=None)


def listing(lines, symbol, parts=()):
    """The lines of a symbol, without its indentation. `parts`: only its paragraphs (separated by blank lines) that
    contain these texts."""
    shown = lines[symbol.first - 1:symbol.last]
    paragraphs = re.split(r"\n\s*\n", "\n".join(shown))
    chosen = []
    for part in parts:
        found = [paragraph for paragraph in paragraphs if part in paragraph]
        if len(found) != 1:
            raise CiteError(f'{len(found)} paragraphs of {symbol.name} contain "{part}", not one')
        chosen += found
    if parts:
        shown = "\n\n".join(chosen).split("\n")
    indentation = min((len(line) - len(line.lstrip()) for line in shown if line.strip()), default=0)
    return [line[indentation:] for line in shown]


def with_comment(lines, first, sign="//"):
    """The first line of the comment directly above line `first`, or `first` if there is none. `sign`: the start of a
    comment line."""
    while first > 1 and lines[first - 2].lstrip().startswith(sign) and not lines[first - 2].startswith("#!"):
        first -= 1
    return first


# --- C++

TOKEN = re.compile(r"""
    //[^\n]* | /\*.*?\*/                                       # a comment
  | ^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*                              # a line for the preprocessor
  | R"(?P<mark>[^\s()\\]*)\(.*?\)(?P=mark)" | "(?:\\.|[^"\\\n])*"  # a string
  | \b\d(?:'?[\w.])*                                           # a number, perhaps with separators
  | '(?:\\.|[^'\\\n])+'                                        # a character
""", re.VERBOSE | re.DOTALL | re.MULTILINE)
BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}
TYPE = re.compile(r"(?:typedef\s+)?(?:enum(?:\s+(?:class|struct))?|class|struct|union)\b\s*(?:alignas\(\)\s*)?"
                  r"([\w:]*)\s*(?:final\b\s*)?(?::(?!:).*)?", re.DOTALL)
LABEL = re.compile(r"(?:public|protected|private)\s*")
TEST = re.compile(r"(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)")
FUNCTION = re.compile(r"((?:\w+::)*(?:operator\s+[\w:]+|~?\w+))\s*\(")
OPERATOR = re.compile(r"\boperator(?:\(\)|\s+(?:new|delete)\[\]|\s*[^\w\s(]+)")
PLACEHOLDER = "operator__"  # for an operator's name, whose characters would look like brackets


def blank(match):
    """Replaces a token with blanks of the same length, keeping line feeds. Numbers are kept, with _ as separator."""
    return match[0].replace("'", "_") if match[0][0].isdigit() else re.sub(r"[^\n]", " ", match[0])


class Cpp:
    """Scans a file in one pass: reads the statements of namespaces and classes, skips function bodies."""

    def __init__(self, text):
        self.lines = text.splitlines()
        self.text = TOKEN.sub(blank, text)
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.symbols = []
        self.scope(0, None)

    def after(self, begin):
        """The position after the bracket that closes the one at `begin`."""
        depth = 0
        for match in re.compile(r"[][(){}]").finditer(self.text, begin):
            depth += 1 if match[0] in BRACKETS else -1
            if depth == 0:
                return match.end()
        raise CiteError(f"line {self.line(begin)}: brackets do not match")

    def line(self, place):
        return bisect.bisect_right(self.starts, place)

    def scope(self, place, path):
        """Reads the statements of a namespace or a class; returns the position after its closing brace. `path`: the
        names of the enclosing classes; None for the whole file, which has no brace."""
        while match := re.compile(r"[^\s;]").search(self.text, place):
            if match[0] == "}" and path is not None:
                return match.end()
            if match[0] == "}":
                break
            place = self.statement(match.start(), path or [])
        if match is not None or path is not None:
            raise CiteError(f"line {self.line(match.start() if match else place)}: brackets do not match")
        return place

    def statement(self, begin, path):
        type_name = None
        place = begin
        while match := re.compile(r"[][({};:]").search(self.text, place):
            place = match.start()
            head = self.text[begin:place]
            if match[0] == ";":
                self.end_statement(begin, place, path, type_name)
                return match.end()
            if match[0] == "}":  # of the scope, after a macro without a semicolon
                return place
            if match[0] == ":":
                if LABEL.fullmatch(head):
                    return match.end()
                place += 1
            elif match[0] in "([]":
                place = self.after(place)
            elif re.match(r"(inline\s+)?namespace\b", head) or head.strip() == "extern":
                return self.scope(place + 1, path)
            elif type_name is None and (match := TYPE.fullmatch(shorten(head).strip())):
                type_name = match[1]
                inner = [*path, type_name] if type_name else path
                place = self.after(place) if head.lstrip().startswith("enum") else self.scope(place + 1, inner)
            elif is_initializer(head):
                place = self.after(place)
            else:
                end = self.after(place)
                self.add_function(begin, end - 1, path, head, True)
                return end
        return len(self.text)

    def end_statement(self, begin, place, path, type_name):
        if type_name is not None:
            if type_name:
                self.add(begin, place, path, type_name)
            return
        head = self.text[begin:place]
        plain = shorten(head).strip()
        before = plain.split("=", 1)[0].rstrip()
        if re.match(r"(friend|static_assert)\b|template\b|using\s+(namespace\b|[\w:]+$)", plain):
            return
        if match := re.match(r"using\s+(\w+)\s*=", plain):
            self.add(begin, place, path, match[1])
        elif match := TYPE.fullmatch(plain):
            self.add(begin, place, path, match[1], is_definition=False)
        elif "(" in before:
            self.add_function(begin, place, path, head, False)
        elif match := re.search(r"([\w:]+)\s*(?:\[.*|:\s*\w+\s*)?$", before, re.DOTALL):
            self.add(begin, place, path, match[1], is_definition=not plain.startswith("extern "))

    def add_function(self, begin, end, path, head, is_definition):
        if match := TEST.match(head):
            self.add(begin, end, path, f"{match[1]}.{match[2]}")
        elif match := FUNCTION.search(shorten(head)):
            name = re.sub(r"\s+", " ", match[1])
            if PLACEHOLDER in name:
                name = name.replace(PLACEHOLDER, OPERATOR.search(head)[0])
            # A specialization has template arguments between its name and its parameters.
            last = r"\s+".join(map(re.escape, name.split("::")[-1].split(" ")))
            ahead = re.search(last + r"\s*(?:<[^()]*>)?\(", head)
            opening = begin + ahead.end() - 1
            parameters = re.sub(r"\s+", " ", self.text[opening + 1:self.after(opening) - 1]).strip()
            self.add(begin, end, path, name, parameters, is_definition)

    def add(self, begin, end, path, name, parameters="", is_definition=True):
        first = with_comment(self.lines, self.line(begin))
        self.symbols.append(Symbol("::".join([*path, name]), first, self.line(end), parameters, is_definition))


def without(text, opening, closing):
    """`text` without brackets of this kind and their contents; of round ones, `()` is kept."""
    shown, depth = [], 0
    for i, each in enumerate(text):
        if each == opening and (each != "<" or depth > 0 or is_template_bracket(text, i)):
            depth += 1
            if depth == 1 and each == "(":
                shown.append("()")
        elif each == closing and depth > 0:
            depth -= text[i - 1] != "-"  # the > of -> is no bracket
        elif depth == 0:
            shown.append(each)
    return "".join(shown)


def is_template_bracket(text, place):
    """Whether the `<` at `place` opens template arguments: clang-format puts a blank only before a comparison."""
    before = text[place - 1:place]
    return before.isalnum() or before == "_" or text.endswith("template ", 0, place)


def shorten(head):
    """A declaration without attributes, template parameters and the contents of brackets; `()` is kept."""
    plain = re.sub(r"\[\[.*?\]\]", " ", OPERATOR.sub(PLACEHOLDER, head), flags=re.DOTALL)
    for opening in "{(<":
        plain = without(plain, opening, BRACKETS[opening])
    return re.sub(r"^\s*template\s+", "", plain)


def is_initializer(head):
    """Whether the brace after `head` begins an initializer, not the body of a function."""
    plain = shorten(head)
    if "(" not in plain or "=" in plain:
        return True
    # A constructor's initializer list: `: a_(1), b_{2} {`. The brace of the body follows a closed bracket.
    has_list = re.search(r"\(\)\s*(?:noexcept(?:\(\))?\s*)?:(?!:)", plain)
    return bool(has_list) and bool(re.search(r"[\w>]\s*$", head))


def scan_cpp(text):
    return Cpp(text).symbols


# --- Python and bash


def scan_python(text):
    lines = text.splitlines()
    symbols = []

    def visit(body, path):
        for node in body:
            names = []
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names = [node.name]
                if isinstance(node, ast.ClassDef):
                    visit(node.body, [*path, node.name])
            elif isinstance(node, ast.Assign) and not path:
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and not path and isinstance(node.target, ast.Name):
                names = [node.target.id]
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            symbols.extend(Symbol(".".join([*path, name]), with_comment(lines, first, "#"), node.end_lineno)
                           for name in names)

    visit(ast.parse(text).body, [])
    return symbols


def scan_shell(text):
    lines = text.splitlines()
    symbols = []
    for number, line in enumerate(lines, 1):
        match = re.match(r"([\w-]+)\(\) ([{(])|(?:declare -\w+ )?(\w+)=(\()", line)
        if match is None:
            continue
        closing = BRACKETS[match[2] or match[4]]
        last = number
        if not line.rstrip().endswith(closing):
            ends = (n for n, each in enumerate(lines[number:], number + 1) if each.startswith(closing))
            last = next(ends, len(lines))
        symbols.append(Symbol(match[1] or match[3], with_comment(lines, number, "#"), last))
    return symbols
