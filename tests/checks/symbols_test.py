"""Tests tools/lib/symbols.py: which lines belong to a function, type or table, and how each is cited."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ["FBF_SOURCE_DIR"])
sys.path.insert(0, str(ROOT / "tools" / "lib"))
import symbols  # noqa: E402
from tree import find_files  # noqa: E402

CPP = '''\
// What this file is for.

#include "a.h"
#define BRACE {

#ifdef BRACE
int braces = 1;
#endif

namespace ws {
namespace {

struct Row {
  int first;      ///< in order
  unsigned second = 0x1'0;
};

/// A table: with "{" in it.
constexpr Row kRows[] = {
    {1, 2},  // one
    {3, 4},
};
constexpr auto kText = R"(a raw } string)";
const char kBrace = '{';

enum class Kind : std::uint8_t { kOne, kTwo };

}  // namespace

/// Doubles.
/// In two lines.
template <typename Number, std::enable_if_t<(sizeof(Number) > 2), int> = 0>
[[nodiscard]] constexpr Number twice(Number number) {
  const char brace = '}';  // {
  return number * 2;
}

class Session final : public Base<int> {
 public:
  /// Takes a number.
  explicit Session(int number) : number_{number}, rows_{.first = 1, .second = 2} {}
  ~Session();
  void send(std::span<const std::byte> bytes);
  int size() const { return size_; }
  explicit operator bool() const { return true; }
  bool operator==(const Session&) const = default;
  int operator()(int x) const {
    return x;
  }

  struct Inner {
    int a;
  };

 private:
  int number_;
  std::array<int, 3> rows_{1, 2, 3};
};

Session::~Session() {
  close();
}

void Session::send(std::span<const std::byte> bytes) {
  for (;;) {
  }

  finish();
}
void Session::send(std::string_view text) {
  send(as_bytes(text));
}
void Session::send() {}

std::function<void(int)> make(std::vector<std::pair<int, int>> pairs = {}) {
  return [](int) {};
}

bool operator<(const Row& a, const Row& b) {
  return a.first < b.first;
}

extern "C" int plain(const std::uint8_t* data) {
  return data[0];
}

std::size_t operator""_KiB(unsigned long long count) {
  return count * 1024;
}

template <>
int get<int, 2>(const Rows& rows) {
  return rows[2];
}

using Rows = std::vector<Row>;

TEST_F(SessionTest, SendsTwice) {
  EXPECT_EQ(1, 1);
}

}  // namespace ws
'''

PYTHON = '''\
#!/usr/bin/env python3
"""A module."""

# The sizes.
SIZES = (
    1,
)


# Above the decorator.
@cached
def size():
    """Of all."""
    def inner():
        return 1
    return inner()


class Server:
    def start(self):
        return 2
'''

SHELL = '''\
#!/usr/bin/env bash
packages=(g++
  cmake
)

# say TEXT: prints it.
say() { printf '%s' "$1"; }

die() {
  say "$1"
  exit 1
}
'''


def scan(text, of_language="cpp"):
    return symbols.scan(text, of_language)


def shown(text, cited, *parts, of_language="cpp"):
    return "\n".join(symbols.listing(text.splitlines(), symbols.find(scan(text, of_language), cited), parts))


@pytest.mark.parametrize("cited, first, last", [
    ("braces", "int braces = 1;", None),
    ("Row", "struct Row {", "};"),
    ("kRows", '/// A table: with "{" in it.', "};"),
    ("kText", 'constexpr auto kText = R"(a raw } string)";', None),
    ("kBrace", "const char kBrace = '{';", None),
    ("Kind", "enum class Kind : std::uint8_t { kOne, kTwo };", None),
    ("twice", "/// Doubles.", "}"),
    ("Session", "class Session final : public Base<int> {", "};"),
    ("Session::Session", "/// Takes a number.",
     "explicit Session(int number) : number_{number}, rows_{.first = 1, .second = 2} {}"),
    ("Session::~Session", "Session::~Session() {", "}"),
    ("Session::size", "int size() const { return size_; }", None),
    ("Session::operator bool", "explicit operator bool() const { return true; }", None),
    ("Session::operator==", "bool operator==(const Session&) const = default;", None),
    ("Session::operator()", "int operator()(int x) const {", "}"),
    ("Session::Inner", "struct Inner {", "};"),
    ("Session::rows_", "std::array<int, 3> rows_{1, 2, 3};", None),
    ("Session::send#1", "void Session::send(std::span<const std::byte> bytes) {", "}"),
    ("Session::send#2", "void Session::send(std::string_view text) {", "}"),
    ("Session::send(std::span<const std::byte>)", "void Session::send(std::span<const std::byte> bytes) {", "}"),
    ("Session::send(string_view)", "void Session::send(std::string_view text) {", "}"),
    ("Session::send()", "void Session::send() {}", None),
    ("make", "std::function<void(int)> make(std::vector<std::pair<int, int>> pairs = {}) {", "}"),
    ("operator<", "bool operator<(const Row& a, const Row& b) {", "}"),
    ("plain", 'extern "C" int plain(const std::uint8_t* data) {', "}"),
    ("operator _KiB", 'std::size_t operator""_KiB(unsigned long long count) {', "}"),
    ("get(Rows)", "template <>", "}"),
    ("Rows", "using Rows = std::vector<Row>;", None),
    ("SessionTest.SendsTwice", "TEST_F(SessionTest, SendsTwice) {", "}"),
])
def test_listing_contains_the_whole_definition_of_each_kind_of_cpp_symbol(cited, first, last):
    lines = shown(CPP, cited).splitlines()
    assert lines[0] == first and lines[-1] == (last or first)


def test_listing_includes_the_comment_above_the_symbol():
    assert shown(CPP, "twice") == (
        "/// Doubles.\n/// In two lines.\n"
        "template <typename Number, std::enable_if_t<(sizeof(Number) > 2), int> = 0>\n"
        "[[nodiscard]] constexpr Number twice(Number number) {\n"
        "  const char brace = '}';  // {\n  return number * 2;\n}")


def test_a_part_selects_the_paragraph_that_contains_its_text():
    assert shown(CPP, "Session::send#1", "finish") == "  finish();\n}"
    assert shown(CPP, "Session", "int a;") == "struct Inner {\n  int a;\n};"
    assert shown(CPP, "Session::send#1", "finish", "for") == (
        "  finish();\n}\n\nvoid Session::send(std::span<const std::byte> bytes) {\n  for (;;) {\n  }")


@pytest.mark.parametrize("cited, parts, error", [
    ("Session::read", (), "no symbol Session::read"),
    ("send", (), "no symbol send"),
    ("ws", (), "no symbol ws"),
    ("Session::send", (), "3 symbols Session::send: Session::send(std::span<const std::byte> bytes), "
                            "Session::send(std::string_view text), Session::send()"),
    ("Session::send(std)", (), "2 symbols Session::send(std): Session::send(std::span<const std::byte> bytes), "
                                 "Session::send(std::string_view text)"),
    ("Session::send#4", (), "no symbol Session::send#4"),
    ("Session::send#0", (), "no symbol Session::send#0"),
    ("Session::send(int)", (), "no symbol Session::send(int)"),
    ("twice", ("thrice",), '0 paragraphs of twice contain "thrice", not one'),
    ("Session", ("int a;", "int"), '3 paragraphs of Session contain "int", not one'),
])
def test_citing_a_missing_or_ambiguous_symbol_is_an_error(cited, parts, error):
    with pytest.raises(symbols.CiteError) as raised:
        shown(CPP, cited, *parts)
    assert str(raised.value) == error


@pytest.mark.parametrize("text, line", [("int f() {\n  g(;\n", 1), ("int f() {}\n}\nint g();\n", 2),
                                        ("struct A {\n  int b;\n", 2)])
def test_a_file_whose_brackets_do_not_match_is_an_error(text, line):
    with pytest.raises(symbols.CiteError, match=f"line {line}: brackets do not match"):
        scan(text)


@pytest.mark.parametrize("cited, listing", [
    ("SIZES", "# The sizes.\nSIZES = (\n    1,\n)"),
    ("size", '# Above the decorator.\n@cached\ndef size():\n    """Of all."""\n    def inner():\n        return 1\n'
             "    return inner()"),
    ("Server", "class Server:\n    def start(self):\n        return 2"),
    ("Server.start", "def start(self):\n    return 2"),
])
def test_python_functions_classes_and_constants_are_found(cited, listing):
    assert shown(PYTHON, cited, of_language="python") == listing


@pytest.mark.parametrize("cited, listing", [
    ("packages", "packages=(g++\n  cmake\n)"),
    ("say", "# say TEXT: prints it.\nsay() { printf '%s' \"$1\"; }"),
    ("die", 'die() {\n  say "$1"\n  exit 1\n}'),
])
def test_bash_functions_and_arrays_are_found(cited, listing):
    assert shown(SHELL, cited, of_language="sh") == listing


def test_language_is_detected_from_file_name_or_first_line(tmp_path):
    empty = dict.fromkeys(("c.py", "d.sh", "e.cpp", "f.h"), "")
    for name, text in {"a": PYTHON, "b": SHELL, **empty, "g": "text"}.items():
        (tmp_path / name).write_text(text)
    assert [symbols.language(path) for path in sorted(tmp_path.iterdir())] == [
        "python", "sh", "python", "sh", "cpp", "cpp", ""]
    assert symbols.read(tmp_path / "g") == []


def test_enclosing_returns_the_innermost_symbol_of_a_line():
    found = scan(CPP)
    lines = CPP.splitlines()

    def name_at(text):
        symbol = symbols.enclosing(found, lines.index(text) + 1)
        return symbol and symbol.name
    assert name_at("    {1, 2},  // one") == "kRows"
    assert name_at("/// Doubles.") == "twice"
    assert name_at("    return x;") == "Session::operator()"
    assert name_at("    int a;") == "Session::Inner::a"
    assert name_at(" private:") == "Session"
    assert name_at("  EXPECT_EQ(1, 1);") == "SessionTest.SendsTwice"
    assert name_at("// What this file is for.") is None


def test_each_closing_brace_at_the_start_of_a_line_belongs_to_a_symbol():
    """Each closing brace at the start of a line belongs to a symbol, except those of namespaces."""
    outside = []
    for path in find_files(ROOT, "protocol", "server", "tools"):
        found = symbols.read(path)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("}") and not line.startswith("}  // namespace") and not symbols.enclosing(found, number):
                outside.append(f"{path.relative_to(ROOT)}:{number}")
    assert outside == []
