#include "server/http/router.h"

#include <algorithm>
#include <utility>

#include "protocol/text.h"
#include "server/http/cors.h"
#include "server/http/page.h"

namespace ws {

Router::Router(std::vector<std::string> allowed_origins, std::vector<std::string> subprotocols)
    : allowed_origins_(std::move(allowed_origins)), subprotocols_(std::move(subprotocols)) {}

Answer Router::answer(const HttpRequest& request, bool is_available, const DeflateSettings& deflate,
                      bool is_secure) const {
  Answer answer;
  std::string_view path = request.path();
  std::string decoded;
  // [3986-6.2.2.2-UNRESERVED] /%65cho is /echo
  if (path.find('%') != std::string_view::npos) {
    decoded = decode_unreserved(path);
    path = decoded;
  }
  const auto route =
      std::ranges::find_if(routes_, [&](const Route& candidate) { return candidate.path == path; });
  if (!is_available) {
    answer = refusal(Error::kUnavailable);
  } else if (route != routes_.end()) {
    answer = answer_mapped(request, *route, deflate, is_secure);
  } else {
    answer = answer_unmapped(request, path);
  }
  answer.is_head = request.method() == "HEAD";
  return answer;
}

/// Answers a request for a path that has no endpoint: the files of the page, the health check, and the target "*".
Answer Router::answer_unmapped(const HttpRequest& request, std::string_view path) {
  constexpr std::string_view kAllow = "Allow: GET, HEAD, OPTIONS\r\n";
  const auto file = std::ranges::find(page_files(), path, &PageFile::path);
  const bool is_page = file != page_files().end();
  if (!is_page && path != "/healthz" && path != "*")
    return refusal(Error::kPath);  // [6455-4.2.2-RESOURCE]
  // [9110-9.3.7-OPTIONS] Load balancers ask "OPTIONS /" or "OPTIONS *" whether a server is healthy.
  if (request.method() == "OPTIONS")
    return {.status = 200, .fields = std::string(kAllow)};
  if (request.method() != "GET" && request.method() != "HEAD") {
    Answer answer = refusal(405, "the method must be GET, HEAD or OPTIONS");
    answer.fields = kAllow;
    return answer;
  }
  if (request.method() == "GET" && is_upgrade(request))
    return refusal(404, "no WebSocket at this path; try /echo or /chat");
  if (!is_page)
    return {.status = 200, .fields = "Cache-Control: no-store\r\n", .body = "ok\n"};
  Answer answer{.status = 200, .body = std::string(file->body), .content_type = file->content_type};
  answer.fields = "Content-Security-Policy: " + std::string(kPagePolicy) +
                  "\r\nX-Content-Type-Options: nosniff\r\n";
  return answer;
}

Answer Router::answer_mapped(const HttpRequest& request, const Route& route,
                             const DeflateSettings& deflate, bool is_secure) const {
  CorsResult cors = apply_cors(request, allowed_origins_, is_secure);
  const auto refused = [&](Error error) {
    Answer answer = refusal(error);
    answer.fields.insert(0, cors.fields);
    return answer;
  };
  if (cors.error != Error::kNone)
    return refused(cors.error);
  if (cors.is_preflight)
    return {.status = 200, .fields = std::move(cors.fields)};
  if (request.method() == "OPTIONS")
    return {.status = 200, .fields = cors.fields + "Allow: GET, OPTIONS\r\n"};

  Answer answer;
  answer.upgrade = validate_upgrade(request, subprotocols_, deflate);
  if (answer.upgrade.error != Error::kNone) {
    Answer no = refused(answer.upgrade.error);
    if (no.status == 405)
      no.fields += "Allow: GET, OPTIONS\r\n";
    return no;
  }
  answer.status = 101;
  answer.fields = std::move(cors.fields);
  answer.route = &route;
  return answer;
}

}  // namespace ws
