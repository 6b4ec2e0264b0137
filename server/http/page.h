// The page on which a browser tries echo and chat: page.html, page.css and page.js, which embed.cmake compiles in.
#pragma once

#include <span>
#include <string_view>

namespace ws {

struct PageFile {
  std::string_view path;  ///< of the request, "/page.css"
  std::string_view content_type;
  std::string_view body;  ///< UTF-8
};

/// All files of the page. embed.cmake generates the definition.
[[nodiscard]] std::span<const PageFile> page_files();

/// The page loads nothing from elsewhere, and the HTML may hold no script. 'self' includes a WebSocket to the host
/// and port of the page (Content Security Policy Level 3; Safari implements that since version 16).
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; connect-src 'self'; img-src data:; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace ws
