// Text from outside, for a person to read. It is data: whatever is in it, it can neither forge a line nor move
// the cursor of the terminal that shows it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ws {

/// `text` in printable UTF-8, for a log: control characters, backslashes, what is not UTF-8, and characters that change
/// the direction of writing or end a line as \n or \xNN. The escapes can be undone without doubt.
[[nodiscard]] std::string escape(std::string_view text);
/// The same for a person at a terminal: tabs and backslashes stay, only a line feed has a letter (\n), and U+009B is
/// \x9b. Of a text that is not UTF-8 all bytes beyond ASCII are escaped, since a part of it may look like UTF-8 by chance.
[[nodiscard]] std::string escape_for_terminal(std::string_view text);

/// The same for the first bytes of a text of `size` bytes. If these are not all, a character that is cut at their
/// end is left out, and "… (N bytes)" says how long all is.
[[nodiscard]] std::string escape_beginning(std::string_view beginning, std::uint64_t size);

}  // namespace ws
