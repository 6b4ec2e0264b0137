#include "server/http/http_answer.h"

#include <algorithm>
#include <array>

#include "protocol/inspect/escape.h"

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

/// Formats a date in English, independent of the locale, e.g. "Sun, 06 Nov 1994 08:49:37 GMT". RFC 9110 §5.6.7
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

}  // namespace

Answer refusal(int status, std::string_view text) {
  Answer answer;
  answer.status = status;
  answer.body = std::string(text) + "\n";
  if (status == 426)  // [6455-4.4-VERSIONS] always name the supported version
    answer.fields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  return answer;
}

Answer refusal(Error error) {
  const ErrorInfo& info = describe(error);
  return refusal(info.code, info.text);
}

Answer refusal(const HttpHead& head, const Limits& limits) {
  constexpr std::size_t kNamePart = 64;  // bytes of a name that are shown
  const std::string_view name = head.exceeding_field();
  const std::string field =
      "'" + escape_beginning(name.substr(0, std::min(name.size(), kNamePart)), name.size()) + "'";
  Answer answer = refusal(head.error());
  switch (head.exceeded_limit()) {
    case HttpHead::Limit::kNone:
      break;
    case HttpHead::Limit::kRequestLine:
      answer.body = "the request line is longer than " + std::to_string(limits.request_line) +
                    " bytes (--max-request-line)\n";
      break;
    case HttpHead::Limit::kFieldLine:
      answer.body = "the header field " + field + " is longer than " +
                    std::to_string(limits.field_line) + " bytes (--max-field-line)\n";
      break;
    case HttpHead::Limit::kFields:
      answer.body = "the request has more than " + std::to_string(limits.fields) +
                    " header fields (--max-fields); the last one within the limit is " + field +
                    "\n";
      break;
    case HttpHead::Limit::kFieldBytes:
      answer.body = "the header fields are longer than " + std::to_string(limits.field_bytes) +
                    " bytes in total (--max-field-bytes); the limit is exceeded in " + field + "\n";
      break;
  }
  return answer;
}

void write_answer(const Answer& answer, std::time_t now, Output& out) {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " ";
  head += reason_phrase(answer.status);
  head += "\r\nDate: " + http_date(now) + "\r\n" + answer.fields;
  // RFC 9110 §7.8: a sender of Upgrade must list it in Connection.
  head += answer.status == 426 ? "Connection: close, Upgrade\r\n" : "Connection: close\r\n";
  if (!answer.body.empty())
    head += "Content-Type: " + std::string(answer.content_type) + "\r\n";
  head += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n\r\n";
  out.append(head);
  if (!answer.is_head)
    out.append(answer.body);
}

}  // namespace ws
