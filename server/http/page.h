// The demo page for echo and chat: page.html, page.css and page.js, which embed.cmake compiles into the program.
#pragma once

#include <span>
#include <string_view>

namespace ws {

struct PageFile {
  std::string_view path;  ///< request path, such as "/page.css"
  std::string_view content_type;
  std::string_view body;  ///< UTF-8
};

/// All files of the page. embed.cmake generates the definition.
[[nodiscard]] std::span<const PageFile> page_files();

/// The Content-Security-Policy of the page: the browser loads nothing from other hosts and runs no inline script. The
/// source 'self' includes a WebSocket to the host and port of the page (CSP Level 3; Safari since version 16).
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; connect-src 'self'; img-src data:; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace ws
