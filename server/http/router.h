// Maps a request to an endpoint, or to an answer other than 101. Spring WebFlux calls this the handler mapping. Origins
// are in origin.h, cross-origin requests in cors.h, the format of answers in http_answer.h.
//
// The router does no I/O. It checks, in this order:
//
//      is the server stopping?     503      (malformed requests were refused earlier)
//      does the path exist?        404      (also for an upgrade of a path that has no endpoint)
//      is the origin allowed?      403
//      is the method GET?          405      (OPTIONS: 200 with Allow, for every path that exists, and for "*")
//      is the upgrade valid?       400, 426
//
// Percent-encoded unreserved characters in a path are decoded before it is compared: /%65cho is /echo.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/deflate/extensions.h"
#include "protocol/http/http_message.h"
#include "server/http/http_answer.h"

namespace ws {

class Endpoint;

struct Route {
  std::string path;
  Endpoint* endpoint;
};

class Router {
 public:
  /// An empty `allowed_origins` allows all origins that are not malformed. `subprotocols`: the subprotocols that the
  /// server supports.
  Router(std::vector<std::string> allowed_origins, std::vector<std::string> subprotocols);

  /// Maps `path` (exact match) to `endpoint`, which must outlive the router. Must be called before the first request.
  void add(std::string path, Endpoint& endpoint) {
    routes_.push_back({std::move(path), &endpoint});
    endpoints_.push_back(&endpoint);
  }
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }
  /// The endpoint of `routes()[route]`. Called for each message.
  [[nodiscard]] Endpoint* endpoint(std::size_t route) const { return endpoints_[route]; }

  /// Answers `request`. `is_available`: false while the server is stopping. `deflate`: for the
  /// negotiation of permessage-deflate. `is_secure`: the request came over TLS.
  [[nodiscard]] Answer answer(const HttpRequest& request, bool is_available,
                              const DeflateSettings& deflate = {}, bool is_secure = false) const;

 private:
  [[nodiscard]] Answer answer_mapped(const HttpRequest& request, const Route& route,
                                     const DeflateSettings& deflate, bool is_secure) const;
  [[nodiscard]] static Answer answer_unmapped(const HttpRequest& request, std::string_view path);

  std::vector<Route> routes_;
  std::vector<Endpoint*> endpoints_;  ///< the endpoints of routes_, dense for the CPU cache
  std::vector<std::string> allowed_origins_;
  std::vector<std::string> subprotocols_;
};

}  // namespace ws
