// From a request's path to an endpoint, or to an answer that is not 101: the seed's handler mapping and CORS
// configuration (the WHATWG Fetch standard's CORS protocol, as Spring's DefaultCorsProcessor speaks it).
//
// Sans I/O: a request in, an answer out. The questions are asked in this order:
//
//      stopping or full?      503      (what is malformed was answered 400 before it came here)
//      is there such a path?  404
//      may this origin?       403
//      is the method GET?     405
//      a proper upgrade?      400, 426
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/handshake.h"
#include "protocol/output.h"
#include "server/endpoint.h"

namespace ws {

struct Route {
  std::string path;
  Endpoint* endpoint;
};

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

/// True if `text` is an origin: scheme "://" host [ ":" port ], and nothing behind it. RFC 6454 §6.2
[[nodiscard]] bool is_origin(std::string_view text);

/// Appends `answer`, which is not a 101, as the last one on its connection.
void write_answer(const Answer& answer, std::time_t now, Output& out);

class Router {
 public:
  /// `allowed_origins`: empty allows all. `subprotocols`: those that are spoken here.
  Router(std::vector<std::string> allowed_origins, std::vector<std::string> subprotocols,
         const DeflateSettings& deflate = {});

  /// Maps `path` (exactly) to `endpoint`, which must outlive the router. Before the first request.
  void add(std::string path, Endpoint& endpoint) {
    routes_.push_back({std::move(path), &endpoint});
    endpoints_.push_back(&endpoint);
  }
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }
  /// That of the route with this index, which each message asks for.
  [[nodiscard]] Endpoint* endpoint(std::size_t route) const { return endpoints_[route]; }

  /// `is_available`: false while the server is stopping.
  [[nodiscard]] Answer answer(const HttpRequest& request, bool is_available) const;

 private:
  [[nodiscard]] Answer answer_mapped(const HttpRequest& request, const Route& route) const;
  [[nodiscard]] bool is_allowed(std::string_view origin) const;

  std::vector<Route> routes_;
  std::vector<Endpoint*> endpoints_;  ///< those of `routes_`, close together
  std::vector<std::string> allowed_origins_;
  std::vector<std::string> subprotocols_;
  DeflateSettings deflate_;
};

}  // namespace ws
