// A second parser of Sec-WebSocket-Extensions. It follows the grammar of RFC 6455 §9.1 character by character, and
// shares no code with protocol/.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ws::plain {

/// As "name; parameter; parameter=value", value without its quotes.
using Extensions = std::vector<std::string>;

class ExtensionReader {
 public:
  explicit ExtensionReader(std::string_view text) : text_(text) {}

  // 1#extension. RFC 9110 §5.6.1: a recipient also accepts empty elements.
  std::optional<Extensions> list() {
    Extensions extensions;
    for (;;) {
      blanks();
      if (is_at_end())
        return extensions.empty() ? std::nullopt : std::optional(extensions);
      if (next_is(','))
        continue;
      std::string extension;
      if (!read_extension(extension))
        return std::nullopt;
      extensions.push_back(std::move(extension));
      if (!is_at_end() && !next_is(','))
        return std::nullopt;
    }
  }

 private:
  // extension = token *( ";" extension-param )
  bool read_extension(std::string& extension) {
    if (!read_token(extension))
      return false;
    blanks();
    while (next_is(';')) {
      blanks();
      extension += "; ";
      if (!read_parameter(extension))
        return false;
      blanks();
    }
    return true;
  }

  // extension-param = token [ "=" ( token | quoted-string ) ], and the text in quotes must be a token
  bool read_parameter(std::string& extension) {
    if (!read_token(extension))
      return false;
    blanks();
    if (!next_is('='))
      return true;
    blanks();
    extension += "=";
    if (!next_is('"'))
      return read_token(extension);
    std::string value;
    while (!next_is('"')) {
      next_is('\\');  // the next character is literal
      if (is_at_end())
        return false;
      value += text_[at_++];
    }
    extension += value;
    ExtensionReader in_quotes(value);
    std::string token;
    return in_quotes.read_token(token) && in_quotes.is_at_end();
  }

  // RFC 9110 §5.6.2
  bool read_token(std::string& out) {
    const std::size_t before = at_;
    while (!is_at_end() &&
           (is_between('0', '9') || is_between('A', 'Z') || is_between('a', 'z') ||
            std::string_view("!#$%&'*+-.^_`|~").find(text_[at_]) != std::string_view::npos))
      out += text_[at_++];
    return at_ != before;
  }

  void blanks() {
    while (next_is(' ') || next_is('\t')) {
    }
  }
  bool next_is(char wanted) {
    if (is_at_end() || text_[at_] != wanted)
      return false;
    ++at_;
    return true;
  }
  bool is_between(char first, char last) const { return text_[at_] >= first && text_[at_] <= last; }
  bool is_at_end() const { return at_ == text_.size(); }

  std::string text_;
  std::size_t at_ = 0;
};

/// The extensions that all fields list; nullopt if one field breaks the grammar.
inline std::optional<Extensions> read_extensions(const std::vector<std::string>& fields) {
  Extensions all;
  for (const std::string& field : fields) {
    const auto extensions = ExtensionReader(field).list();
    if (!extensions.has_value())
      return std::nullopt;
    all.insert(all.end(), extensions->begin(), extensions->end());
  }
  return all;
}

}  // namespace ws::plain
