// The answer to an HTTP request, and the serialization of answers other than 101. RFC 9112 §4
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "protocol/error.h"
#include "protocol/http/handshake.h"
#include "protocol/http/http_message.h"
#include "protocol/limits.h"
#include "protocol/output.h"

namespace ws {

struct Route;

/// An answer to a request. With status 101, `route` and `upgrade` are set.
struct Answer {
  int status = 0;
  std::string fields{};  ///< field lines, each with its CRLF
  std::string body{};
  std::string_view content_type = "text/plain; charset=utf-8";
  bool is_head = false;  ///< answer to HEAD: Content-Length counts the body, which is not sent
  const Route* route = nullptr;
  Upgrade upgrade{};
};

/// An error answer; its body describes the error in plain text.
[[nodiscard]] Answer refusal(Error error);
[[nodiscard]] Answer refusal(int status, std::string_view text);

/// The answer to a malformed head. If the head exceeds a limit, the body names the limit with its option, and the field.
[[nodiscard]] Answer refusal(const HttpHead& head, const Limits& limits);

/// Appends `answer`, which must not be a 101, to `out`, with the fields `Date` (`now`) and `Connection: close`.
void write_answer(const Answer& answer, std::time_t now, Output& out);

}  // namespace ws
