#include "tools/wstrace/message_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "protocol/text.h"

namespace ws::trace {
namespace {

bool is_method(std::string_view word) {
  constexpr std::array<std::string_view, 33> kMethods = {
      "GET",        "PUT",         "COPY",           "HEAD",      "LOCK",      "MOVE",
      "POLL",       "POST",        "BCOPY",          "BMOVE",     "MKCOL",     "TRACE",
      "PATCH",      "LABEL",       "MERGE",          "DELETE",    "SEARCH",    "UNLOCK",
      "REPORT",     "UPDATE",      "NOTIFY",         "OPTIONS",   "CONNECT",   "CHECKIN",
      "PROPFIND",   "CHECKOUT",    "SUBSCRIBE",      "PROPPATCH", "BPROPFIND", "UNCHECKOUT",
      "MKACTIVITY", "UNSUBSCRIBE", "VERSION-CONTROL"};
  return std::ranges::find(kMethods, word) != kMethods.end();
}

std::string lowered(std::string_view text) {
  std::string copy(text);
  std::ranges::transform(copy, copy.begin(), to_lower);
  return copy;
}

void read_field(std::string_view line, MessageHead& head) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos)
    return;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim(line.substr(colon + 1));
  if (equals_ignoring_case(name, "Content-Length"))
    head.content_length = to_size(value);
  else if (equals_ignoring_case(name, "Transfer-Encoding"))
    head.is_chunked = lowered(value).starts_with("chunked");
  else if (equals_ignoring_case(name, "Content-Type"))
    head.content_type = lowered(trim(value.substr(0, value.find(';'))));
  else if (equals_ignoring_case(name, "Upgrade"))
    head.upgrade = lowered(value);
}

/// Whether the line is a field, by Wireshark's rules; nullopt if the line ends before its colon.
std::optional<bool> is_field(std::string_view line) {
  constexpr std::string_view kSeparators = "()<>@,;\\\"/[]?={} ";
  const auto stop = std::ranges::find_if(line, [&](char c) {
    return c == ':' || c < 0x20 || c > 0x7E || kSeparators.find(c) != std::string_view::npos;
  });
  if (stop == line.end() || *stop < 0x20 || *stop > 0x7E)
    return std::nullopt;
  return *stop == ':';
}

}  // namespace

bool MessageHead::is_response() const {
  return first_line.starts_with("HTTP/") || first_line.starts_with("ICY");
}

bool MessageHead::is_request() const {
  return !is_response() && is_method(first_line.substr(0, first_line.find(' ')));
}

std::size_t MessageHead::status() const {
  return is_response() && first_line.size() >= 12 ? to_size(first_line.substr(9, 3)).value_or(0)
                                                  : 0;
}

std::optional<std::string_view> next_line(std::string_view& text) {
  const std::size_t lf = text.find('\n');
  if (lf == std::string_view::npos)
    return std::nullopt;
  std::string_view line = text.substr(0, lf);
  if (line.ends_with('\r'))
    line.remove_suffix(1);
  text.remove_prefix(lf + 1);
  return line;
}

std::optional<std::size_t> to_size(std::string_view text, int base) {
  std::uint32_t size = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), size, base);
  if (error != std::errc() || rest == text.data() || size > INT32_MAX)
    return std::nullopt;
  return size;
}

MessageHead read_head(std::string_view text, bool is_cut) {
  MessageHead head;
  std::string_view rest = text;
  const auto first = next_line(rest);
  head.has_line = first.has_value();
  head.first_line = first.value_or(text);
  if (!head.has_line)
    return head;
  while (const auto line = next_line(rest)) {
    if (line->empty()) {
      head.size = text.size() - rest.size();
      return head;
    }
    read_field(*line, head);
  }
  if (is_cut)
    read_field(rest.substr(0, rest.find('\r')), head);
  return head;
}

LateHead read_late_head(std::string_view text) {
  MessageHead head;
  bool saw_line = false;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const bool is_whole = end != std::string_view::npos || text.ends_with('\r');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    head.first_line = line;
    if (!line.empty() && !head.is_response() && !head.is_request()) {
      const std::optional<bool> is_one = is_field(line);
      if (!is_one.has_value() && saw_line && !is_whole)
        return {.ends_in_name = true};
      if (!is_one.value_or(false))
        break;
      read_field(line, head);
    }
    saw_line = true;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty())
      break;
  }
  return {.ends_in_name = false, .has_body = !text.empty(), .content_type = head.content_type};
}

}  // namespace ws::trace
