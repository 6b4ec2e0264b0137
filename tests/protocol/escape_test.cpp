// Escapes untrusted text for logs and terminals.
#include "protocol/inspect/escape.h"

#include <gtest/gtest.h>

#include <string>

namespace ws {
namespace {

using namespace std::string_literals;

TEST(Escape, EscapesCharactersThatForgeALineOrControlATerminal) {
  const struct {
    std::string text;
    std::string in_a_log;
    std::string at_a_terminal;
  } rows[] = {
      {"", "", ""},
      {"plain text, \"quoted\"", "plain text, \"quoted\"", "plain text, \"quoted\""},
      {"two\nlines\r\n", R"(two\nlines\r\n)", R"(two\nlines\x0d\n)"},
      {"tab\t", R"(tab\t)", "tab\t"},
      {R"(back\slash)", R"(back\\slash)", R"(back\slash)"},
      {"\x1b[2J", R"(\x1b[2J)", R"(\x1b[2J)"},
      {"nul\0"s, R"(nul\x00)", R"(nul\x00)"},
      {"\x7f", R"(\x7f)", R"(\x7f)"},
      {"grüß 你 😀", "grüß 你 😀", "grüß 你 😀"},
      // C1: CSI in one character; the first character after C1
      {"\xC2\x9B"
       "2J",
       R"(\xc2\x9b2J)", R"(\x9b2J)"},
      {"\xC2\xA0", "\xC2\xA0", "\xC2\xA0"},
      // directional formatting: the last one (right-to-left override), and the first one
      {"\xE2\x80\xAE"
       "abc",
       R"(\xe2\x80\xaeabc)", R"(\xe2\x80\xaeabc)"},
      {"\xE2\x80\xAA", R"(\xe2\x80\xaa)", R"(\xe2\x80\xaa)"},
      // line separator, paragraph separator
      {"\xE2\x80\xA8", R"(\xe2\x80\xa8)", R"(\xe2\x80\xa8)"},
      {"\xE2\x80\xA9", R"(\xe2\x80\xa9)", R"(\xe2\x80\xa9)"},
      // directional isolates: the first and the last one
      {"\xE2\x81\xA6", R"(\xe2\x81\xa6)", R"(\xe2\x81\xa6)"},
      {"\xE2\x81\xA9", R"(\xe2\x81\xa9)", R"(\xe2\x81\xa9)"},
      // their neighbours: U+2027, U+202F, U+2065, U+206A
      {"\xE2\x80\xA7\xE2\x80\xAF", "\xE2\x80\xA7\xE2\x80\xAF", "\xE2\x80\xA7\xE2\x80\xAF"},
      {"\xE2\x81\xA5\xE2\x81\xAA", "\xE2\x81\xA5\xE2\x81\xAA", "\xE2\x81\xA5\xE2\x81\xAA"},
      // invalid UTF-8: two invalid bytes, a surrogate, and an invalid byte after a character
      {"\xFF\xC3", R"(\xff\xc3)", R"(\xff\xc3)"},
      {"\xED\xA0\x80", R"(\xed\xa0\x80)", R"(\xed\xa0\x80)"},
      {"a\n\tü\xFF", R"(a\n\tü\xff)", "a\\n\t\\xc3\\xbc\\xff"},
  };
  for (const auto& [text, in_a_log, at_a_terminal] : rows) {
    EXPECT_EQ(escape(text), in_a_log);
    EXPECT_EQ(escape_for_terminal(text), at_a_terminal);
  }
}

TEST(EscapeBeginning, DropsAnIncompleteCharacterAndAppendsTheSize) {
  EXPECT_EQ(escape_beginning("a\n", 2), R"(a\n)");
  EXPECT_EQ(escape_beginning("a\n", 3), R"(a\n… (3 bytes))");
  EXPECT_EQ(escape_beginning("aü", 9), "aü… (9 bytes)");
  EXPECT_EQ(escape_beginning("a\xC3", 9), "a… (9 bytes)");
  EXPECT_EQ(escape_beginning("a\xE2\x82", 9), "a… (9 bytes)");
  EXPECT_EQ(escape_beginning("a\xF0\x9F\x98", 9), "a… (9 bytes)");
  EXPECT_EQ(escape_beginning("\x80\x80\x80\x80", 9), R"(\x80\x80\x80\x80… (9 bytes))")
      << "not the beginning of a character";
  EXPECT_EQ(escape_beginning("a\xFF", 9), R"(a\xff… (9 bytes))");
  EXPECT_EQ(escape_beginning("\x80", 9), R"(\x80… (9 bytes))");
  EXPECT_EQ(escape_beginning("", 9), "… (9 bytes)");
}

}  // namespace
}  // namespace ws
