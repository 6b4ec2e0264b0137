// From a request's path to an endpoint, or to an answer that is not 101: the seed's handler mapping. Origins are in
// origin, who may ask from elsewhere in cors, how an answer is written in http_answer.
//
// Sans I/O: a request in, an answer out. The questions are asked in this order:
//
//      stopping or full?      503      (what is malformed was answered 400 before it came here)
//      is there such a path?  404
//      may this origin?       403
//      is the method GET?     405
//      a proper upgrade?      400, 426
#pragma once

#include <cstddef>
#include <string>
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

  std::vector<Route> routes_;
  std::vector<Endpoint*> endpoints_;  ///< those of `routes_`, close together
  std::vector<std::string> allowed_origins_;
  std::vector<std::string> subprotocols_;
  DeflateSettings deflate_;
};

}  // namespace ws
