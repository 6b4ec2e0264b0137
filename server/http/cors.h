// CORS: which origins may use a path, and what the answer says about that. The WHATWG Fetch standard's CORS protocol, as
// Spring's DefaultCorsProcessor speaks it for the seed's CORS configuration.
#pragma once

#include <span>
#include <string>

#include "protocol/error.h"
#include "protocol/http/http_message.h"

namespace ws {

struct CorsResult {
  Error error = Error::kNone;  ///< kOrigin: the request is refused
  std::string fields{};        ///< field lines for the answer, whatever it is, each with its CRLF
  bool is_preflight = false;   ///< the answer is 200 with `fields` and nothing else
};

/// Applies CORS to a request for a path that has an endpoint. `allowed_origins`: empty allows all.
[[nodiscard]] CorsResult apply_cors(const HttpRequest& request,
                                    std::span<const std::string> allowed_origins);

}  // namespace ws
