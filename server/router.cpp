#include "server/router.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "protocol/authority.h"
#include "server/page.h"

namespace ws {
namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 414:
      return "URI Too Long";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Refused";
  }
}

/// RFC 9110 §5.6.7, e.g. "Sun, 06 Nov 1994 08:49:37 GMT": English, whatever the locale.
std::string http_date(std::time_t now) {
  constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  const auto two_digits = [](int number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
  };
  std::string date = kDays[static_cast<std::size_t>(utc.tm_wday)];
  date += ", " + two_digits(utc.tm_mday) + " " + kMonths[static_cast<std::size_t>(utc.tm_mon)] +
          " " + std::to_string(1900 + utc.tm_year) + " " + two_digits(utc.tm_hour) + ":" +
          two_digits(utc.tm_min) + ":" + two_digits(utc.tm_sec) + " GMT";
  return date;
}

// --- Origins: RFC 6454 §6.2, scheme "://" host [ ":" port ]

struct Origin {
  std::string_view scheme;
  std::string_view host;  ///< an IPv6 address with its brackets
  int port = 0;
};

/// "host", "host:port", "[::1]:port"; nullopt if malformed.
std::optional<Origin> parse_authority(std::string_view scheme, std::string_view authority) {
  const std::optional<Authority> parsed = ws::parse_authority(authority);
  if (!parsed.has_value() || parsed->host.find_first_of("/?#@ ") != std::string_view::npos)
    return std::nullopt;
  const bool is_secure =
      equals_ignoring_case(scheme, "https") || equals_ignoring_case(scheme, "wss");
  return Origin{scheme, parsed->host, parsed->port.value_or(is_secure ? 443 : 80)};
}

/// nullopt if malformed. "null", which sandboxed pages send, is an origin like no other.
std::optional<Origin> parse_origin(std::string_view text) {
  if (text == "null")
    return Origin{"null", "null", 0};
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || !is_token(text.substr(0, scheme)))
    return std::nullopt;
  return parse_authority(text.substr(0, scheme), text.substr(scheme + 3));
}

bool are_same(const Origin& a, const Origin& b) {
  return equals_ignoring_case(a.scheme, b.scheme) && equals_ignoring_case(a.host, b.host) &&
         a.port == b.port;
}

/// A name that no outsider can let point here: an address itself, or localhost.
bool is_fixed_name(std::string_view host) {
  return (host.starts_with('[') && host.ends_with(']')) ||
         equals_ignoring_case(host, "localhost") ||
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// The origin of this server as the request names it. This port speaks http alone.
std::optional<Origin> own_origin(const HttpRequest& request) {
  return parse_authority("http", request.find("Host").value_or(""));
}

// --- Fields of mapped paths

/// In the order and the case in which the article's server writes them: 89 of the 218 bytes of row 6.
constexpr std::string_view kVary =
    "Vary: Origin\r\n"
    "Vary: Access-Control-Request-Method\r\n"
    "Vary: Access-Control-Request-Headers\r\n";

/// What Spring's applyPermitDefaultValues permits.
constexpr std::array<std::string_view, 3> kCorsMethods = {"GET", "HEAD", "POST"};

bool is_cors_method(std::string_view method) {
  return std::ranges::find(kCorsMethods, method) != kCorsMethods.end();
}

}  // namespace

bool is_origin(std::string_view text) {
  return parse_origin(text).has_value();
}

Answer refusal(int status, std::string_view text) {
  Answer answer;
  answer.status = status;
  answer.body = std::string(text) + "\n";
  if (status == 426)  // [6455-4.4-VERSIONS] the one version, whatever else was missing
    answer.fields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  return answer;
}

Answer refusal(Error error) {
  const ErrorInfo& info = describe(error);
  return refusal(info.code, info.text);
}

void write_answer(const Answer& answer, std::time_t now, Output& out) {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " ";
  head += reason_phrase(answer.status);
  head += "\r\nDate: " + http_date(now) + "\r\n" + answer.fields;
  // RFC 9110 §7.8: whoever sends Upgrade lists it in Connection.
  head += answer.status == 426 ? "Connection: close, Upgrade\r\n" : "Connection: close\r\n";
  if (!answer.body.empty())
    head += "Content-Type: " + std::string(answer.content_type) + "\r\n";
  head += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n\r\n";
  out.append(head);
  if (!answer.is_head)
    out.append(answer.body);
}

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
  std::string fields(kVary);
  const auto refused = [&](Error error) {
    Answer answer = refusal(error);
    answer.fields.insert(0, fields);
    return answer;
  };

  // CORS. A request without Origin is no browser's [6455-4.2.1-NO-ORIGIN], and one of the server's own pages is
  // not cross-origin.
  // The latter is taken on trust only where no outsider can make the name: a name that its owner has
  // "rebound" to this address is own by its Host field alone, and so must be on the list, if there is one.
  const bool asks = request.method() == "OPTIONS";
  const auto asked_method = request.find("Access-Control-Request-Method");
  const auto origin_field = request.find("Origin");
  if (origin_field.has_value()) {
    const auto origin = parse_origin(*origin_field);
    if (request.count("Origin") != 1 || !origin.has_value())
      return refused(Error::kOrigin);
    const auto own = own_origin(request);
    const bool is_own = own.has_value() && are_same(*origin, *own);
    const bool is_own_for_sure = is_own && is_fixed_name(origin->host);
    // [6455-4.2.2-ORIGIN]
    if (!is_own_for_sure && !is_allowed(*origin_field))
      return refused(Error::kOrigin);
    if (!is_own) {
      const bool is_preflight = asks && asked_method.has_value();
      if (!is_cors_method(is_preflight ? *asked_method : request.method())) {
        return refused(Error::kOrigin);
      }
      fields += "Access-Control-Allow-Origin: ";
      fields += allowed_origins_.empty() ? "*" : *origin_field;
      fields += "\r\n";
      if (is_preflight) {
        fields += "Access-Control-Allow-Methods: GET,HEAD,POST\r\n";
        if (const auto names = request.find("Access-Control-Request-Headers")) {
          fields += "Access-Control-Allow-Headers: " + std::string(*names) + "\r\n";
        }
        fields += "Access-Control-Max-Age: 1800\r\n";
        return {.status = 200, .fields = fields};
      }
    }
  }

  if (asks)
    return {.status = 200, .fields = fields + "Allow: GET, OPTIONS\r\n"};
  Answer answer;
  answer.upgrade = judge_upgrade(request, subprotocols_, deflate_);
  if (answer.upgrade.error != Error::kNone) {
    Answer no = refused(answer.upgrade.error);
    if (no.status == 405)
      no.fields += "Allow: GET, OPTIONS\r\n";
    return no;
  }
  answer.status = 101;
  answer.fields = std::move(fields);
  answer.route = &route;
  return answer;
}

bool Router::is_allowed(std::string_view origin) const {
  return allowed_origins_.empty() ||
         std::ranges::any_of(allowed_origins_, [&](const std::string& allowed) {
           const auto a = parse_origin(allowed);
           const auto b = parse_origin(origin);
           return a.has_value() && b.has_value() && are_same(*a, *b);
         });
}

}  // namespace ws
