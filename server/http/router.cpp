#include "server/http/router.h"

#include <algorithm>
#include <utility>

#include "server/http/cors.h"
#include "server/http/page.h"

namespace ws {

Router::Router(std::vector<std::string> allowed_origins, std::vector<std::string> subprotocols,
               const DeflateSettings& deflate)
    : allowed_origins_(std::move(allowed_origins)),
      subprotocols_(std::move(subprotocols)),
      deflate_(deflate) {}

Answer Router::answer(const HttpRequest& request, bool is_available) const {
  Answer answer;
  const std::string_view path = request.path();
  const auto route =
      std::ranges::find_if(routes_, [&](const Route& candidate) { return candidate.path == path; });
  const auto file = std::ranges::find(page_files(), path, &PageFile::path);
  const bool is_page = file != page_files().end();
  if (!is_available) {
    answer = refusal(Error::kUnavailable);
  } else if (route != routes_.end()) {
    answer = answer_mapped(request, *route);
  } else if (!is_page && path != "/healthz") {
    answer = refusal(Error::kPath);  // [6455-4.2.2-RESOURCE]
  } else if (request.method() != "GET" && request.method() != "HEAD") {
    answer = refusal(405, "the method must be GET or HEAD");
    answer.fields = "Allow: GET, HEAD\r\n";
  } else if (is_page) {
    answer = {.status = 200, .body = std::string(file->body), .content_type = file->content_type};
    answer.fields = "Content-Security-Policy: " + std::string(kPagePolicy) +
                    "\r\nX-Content-Type-Options: nosniff\r\n";
  } else {
    answer = {.status = 200, .fields = "Cache-Control: no-store\r\n", .body = "ok\n"};
  }
  answer.is_head = request.method() == "HEAD";
  return answer;
}

Answer Router::answer_mapped(const HttpRequest& request, const Route& route) const {
  CorsResult cors = apply_cors(request, allowed_origins_);
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
  answer.upgrade = validate_upgrade(request, subprotocols_, deflate_);
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
