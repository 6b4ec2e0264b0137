// CORS (WHATWG Fetch standard): which origins may use a path, and the header fields of the answer. Behaves like
// Spring's DefaultCorsProcessor with the CORS configuration in the Spring WebFlux article (README.md).
#pragma once

#include <span>
#include <string>

#include "protocol/error.h"
#include "protocol/http/http_message.h"

namespace ws {

struct CorsResult {
  Error error = Error::kNone;  ///< kOrigin: the request is refused
  std::string fields{};        ///< field lines for the answer or refusal, each with its CRLF
  bool is_preflight = false;   ///< true: answer 200 with `fields` and no body
};

/// Applies CORS to a request for a path that has an endpoint. An empty `allowed_origins` allows all
/// origins that are not malformed. `is_secure`: the request came over TLS.
[[nodiscard]] CorsResult apply_cors(const HttpRequest& request,
                                    std::span<const std::string> allowed_origins,
                                    bool is_secure = false);

}  // namespace ws
