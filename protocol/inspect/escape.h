// Escapes untrusted text for logs and terminals, so that it cannot forge a log line or control the terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ws {

/// For logs: returns printable UTF-8. Replaces control characters, backslashes, invalid UTF-8, line separators and
/// characters that change the text direction by escapes: \n, \r, \t, \\ or \xNN. The escaping is reversible.
[[nodiscard]] std::string escape(std::string_view text);
/// For terminals: like `escape`, but keeps tabs and backslashes, and escapes a CR as \x0d and a C1 control such as
/// U+009B as \x9b. If `text` is not valid UTF-8, escapes all non-ASCII bytes, since some may look like UTF-8 by chance.
[[nodiscard]] std::string escape_for_terminal(std::string_view text);

/// Escapes `beginning`, the first bytes of a text of `size` bytes, for logs. If `beginning` is not the whole text,
/// drops an incomplete character at the end and appends "… (N bytes)", where N is `size`.
[[nodiscard]] std::string escape_beginning(std::string_view beginning, std::uint64_t size);

}  // namespace ws
