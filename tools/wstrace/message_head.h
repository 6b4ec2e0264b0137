// Reads HTTP heads (RFC 9112 §2) as leniently as Wireshark, for the columns.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ws::trace {

/// The parts of an HTTP head that determine the columns and the end of the message.
struct MessageHead {
  std::string_view first_line;  ///< incomplete if has_line is false
  bool has_line = false;        ///< the first line is complete
  std::optional<std::size_t> content_length;
  bool is_chunked = false;
  std::string content_type;
  std::optional<std::string> upgrade;
  std::size_t size = 0;  ///< bytes, including the empty line; 0: the head is incomplete

  [[nodiscard]] bool is_response() const;
  [[nodiscard]] bool is_request() const;
  /// The status code of a response, else 0.
  [[nodiscard]] std::size_t status() const;
};

/// Reads a head. `is_cut`: the end of the head is not captured; its incomplete last line counts.
[[nodiscard]] MessageHead read_head(std::string_view text, bool is_cut);

/// A head, or the captured end of a head whose first bytes are missing.
struct LateHead {
  bool ends_in_name =
      false;              ///< the text ends within a field name, where Wireshark reads past the end
  bool has_body = false;  ///< bytes other than fields follow
  std::string content_type{};
};
[[nodiscard]] LateHead read_late_head(std::string_view text);

/// Removes the next line from `text` and returns it without its line end; nullopt if the line is incomplete.
[[nodiscard]] std::optional<std::string_view> next_line(std::string_view& text);
/// The number at the beginning of `text`; nullopt if there is none, or if it exceeds 31 bits.
[[nodiscard]] std::optional<std::size_t> to_size(std::string_view text, int base = 10);

}  // namespace ws::trace
