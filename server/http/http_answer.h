// Answers in HTTP: what is answered to a request, and how an answer that is not 101 is written. RFC 9112 §4
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "protocol/error.h"
#include "protocol/http/handshake.h"
#include "protocol/output.h"

namespace ws {

struct Route;

/// What to answer. With status 101, `route` and `upgrade` say with whom the connection goes on.
struct Answer {
  int status = 0;
  std::string fields{};  ///< field lines, each with its CRLF
  std::string body{};
  std::string_view content_type = "text/plain; charset=utf-8";
  bool is_head = false;  ///< the body is announced, not sent
  const Route* route = nullptr;
  Upgrade upgrade{};
};

/// The answer to a request that came to nothing: what was wrong, in plain text.
[[nodiscard]] Answer refusal(Error error);
[[nodiscard]] Answer refusal(int status, std::string_view text);

/// Appends `answer`, which is not a 101, as the last one on its connection.
void write_answer(const Answer& answer, std::time_t now, Output& out);

}  // namespace ws
