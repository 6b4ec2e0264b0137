// The page on which a browser tries echo and chat: one document, compiled in, that loads nothing else.
#pragma once

#include <string_view>

namespace ws {

/// HTML, UTF-8.
[[nodiscard]] std::string_view page();
/// Lets the page's own style and script run, by their hashes, and nothing else. A test computes the hashes
/// anew.
[[nodiscard]] std::string_view page_content_security_policy();

}  // namespace ws
