#include "protocol/http/http_message.h"

#include <algorithm>

#include "protocol/authority.h"
#include "protocol/text.h"

namespace ws {
namespace {

/// True if `c` is allowed in a field value (RFC 9110 §5.5): visible characters, spaces, tabs, and non-ASCII bytes.
constexpr bool is_field_char(char c) {
  const auto u = static_cast<unsigned char>(c);
  return is_blank(c) || (u > 0x20 && u != 0x7F);
}
constexpr bool is_visible_ascii(char c) {
  return c > 0x20 && c < 0x7F;
}

}  // namespace

HttpHead::Status HttpHead::parse(std::string_view bytes, const Limits& limits) {
  bytes_ = bytes;
  while (error_ == Error::kNone && !is_complete_) {
    // If the first byte cannot start a method, report the error at once: the sender is usually a TLS client.
    if (!has_start_line_ && position_ < bytes.size() && bytes[position_] != '\r' &&
        !is_tchar(bytes[position_])) {
      error_ = Error::kNotHttp;
      break;
    }
    const std::size_t lf = bytes.find('\n', scanned_);
    if (lf == std::string_view::npos) {
      scanned_ = bytes.size();
      // The last byte may be the CR of the line's CRLF, which the limits do not count.
      const std::size_t pending = bytes.size() - position_;
      error_ = check_limits(bytes.substr(position_, std::max<std::size_t>(1, pending) - 1), limits);
      break;
    }
    // [9112-2.2-CRLF] a line ends in CRLF and contains no other CR
    std::string_view line = bytes.substr(position_, lf - position_);
    const bool has_cr = !line.empty() && line.back() == '\r';
    if (has_cr)
      line.remove_suffix(1);
    error_ = parse_line(line, limits);
    if (error_ == Error::kNone && (!has_cr || line.find('\r') != std::string_view::npos)) {
      error_ = Error::kBareControl;
    }
    position_ = scanned_ = lf + 1;
  }
  if (error_ != Error::kNone)
    return Status::kError;
  return is_complete_ ? Status::kComplete : Status::kNeedMore;
}

void HttpHead::reset() {
  bytes_ = {};
  position_ = scanned_ = field_bytes_ = 0;
  fields_.clear();
  error_ = Error::kNone;
  exceeding_field_ = {};
  exceeded_limit_ = Limit::kNone;
  has_start_line_ = skipped_empty_line_ = is_complete_ = false;
}

/// Checks the limits for `line`, which may be incomplete. If several are exceeded, reports the one that is exceeded at
/// the earliest byte, so that the result does not depend on how the input is split into reads.
Error HttpHead::check_limits(std::string_view line, const Limits& limits) {
  if (!has_start_line_) {
    if (line.size() <= limits.request_line)
      return Error::kNone;
    exceeded_limit_ = Limit::kRequestLine;
    return Error::kRequestLineTooLong;
  }
  if (line.empty())
    return Error::kNone;
  // [6585-5-FIELDS] limits: size of a line, size of all lines, number of lines
  const std::size_t others = field_bytes_ + 2;  // this line's CRLF included
  const std::size_t left = std::max(limits.field_bytes, others) - others;
  const std::size_t most = std::min(limits.field_line, left);
  if (fields_.size() == limits.fields) {
    exceeded_limit_ = Limit::kFields;
    exceeding_field_ = fields_.empty() ? Slice{} : fields_.back().name;
  } else if (line.size() > most) {
    exceeded_limit_ = left < limits.field_line ? Limit::kFieldBytes : Limit::kFieldLine;
    exceeding_field_ = slice(line.substr(0, std::min(line.find(':'), most + 1)));
  } else {
    return Error::kNone;
  }
  return Error::kFieldsTooLarge;
}

Error HttpHead::parse_line(std::string_view line, const Limits& limits) {
  if (!has_start_line_) {
    // [9112-2.2-EMPTY] ignore one empty line before the request: some old clients send it
    if (line.empty() && !skipped_empty_line_) {
      skipped_empty_line_ = true;
      return Error::kNone;
    }
    if (const Error error = check_limits(line, limits); error != Error::kNone)
      return error;
    has_start_line_ = true;
    return parse_start_line(line);
  }
  if (line.empty()) {
    is_complete_ = true;
    return validate();
  }
  if (const Error error = check_limits(line, limits); error != Error::kNone)
    return error;
  field_bytes_ += line.size() + 2;
  return parse_field(line);
}

Error HttpHead::parse_field(std::string_view line) {
  // [9112-5.2-FOLD] a line that starts with whitespace would continue the previous field
  if (is_blank(line.front()))
    return Error::kFieldFolding;
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos)
    return Error::kFieldSyntax;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim(line.substr(colon + 1));
  // [9112-5-FIELD] whitespace before the colon is refused, since proxies have interpreted it in different ways
  if (!is_token(name))
    return Error::kFieldSyntax;
  if (!std::ranges::all_of(value, is_field_char))
    return Error::kBareControl;
  fields_.push_back({slice(name), slice(value)});
  return Error::kNone;
}

std::size_t HttpHead::count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      fields_, [&](const Field& f) { return equals_ignoring_case(text(f.name), name); }));
}

std::optional<std::string_view> HttpHead::find(std::string_view name) const {
  for (const Field& f : fields_) {
    if (equals_ignoring_case(text(f.name), name))
      return text(f.value);
  }
  return std::nullopt;
}

std::vector<std::string_view> HttpHead::values(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Field& f : fields_) {
    if (equals_ignoring_case(text(f.name), name))
      values.push_back(text(f.value));
  }
  return values;
}

bool HttpHead::lists(std::string_view name, std::string_view element) const {
  for (const Field& f : fields_) {
    if (!equals_ignoring_case(text(f.name), name))
      continue;
    std::string_view rest = text(f.value);
    while (const auto candidate = next_list_element(rest)) {
      if (equals_ignoring_case(*candidate, element))
        return true;
    }
  }
  return false;
}

Error HttpRequest::parse_start_line(std::string_view line) {
  // [9112-3-REQUEST] method SP target SP version, with single spaces
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return Error::kRequestLine;
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method) || target.empty() || target.find(' ') != std::string_view::npos) {
    return Error::kRequestLine;
  }
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return Error::kRequestLine;
  }
  // [9110-15.6.6-VERSION] any HTTP/1.x is compatible with 1.1; other major versions are not
  if (version[5] != '1')
    return Error::kHttpVersion;
  minor_version_ = version[7] == '0' ? 0 : 1;
  method_ = slice(method);
  return parse_target(target);
}

Error HttpRequest::parse_target(std::string_view target) {
  // [9112-3.2-TARGET] no fragment, and only visible ASCII: other characters must be percent-encoded
  if (!std::ranges::all_of(target, is_visible_ascii) ||
      target.find('#') != std::string_view::npos) {
    return Error::kTarget;
  }
  // [9112-3.2.4-ASTERISK] "*" is the server as a whole; only OPTIONS may have this target
  if (target == "*" && text(method_) != "OPTIONS")
    return Error::kTarget;
  target_ = slice(target);
  std::string_view path = target;
  if (target.front() != '/' && target != "*") {
    // The target is in absolute-form (scheme "://" authority [path]), which clients send to proxies, or in
    // authority-form, which is allowed only for CONNECT.
    const std::size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) {
      if (text(method_) != "CONNECT" || !is_authority(target))
        return Error::kTarget;
      path = target.substr(target.size());  // empty, but a view into bytes_, as `slice` requires
    } else {
      if (!is_alpha(target.front()))
        return Error::kTarget;
      path.remove_prefix(scheme + 3);
      const std::size_t end = std::min(path.find_first_of("/?"), path.size());
      if (end == 0 || !is_authority(path.substr(0, end)))
        return Error::kTarget;
      path.remove_prefix(end);
      // An empty path means "/" (RFC 9110 §4.2.3). `slice` requires a view into bytes_: use a slash of "://".
      if (!path.starts_with('/'))
        path = target.substr(scheme + 1, 1);
    }
  }
  path = path.substr(0, path.find('?'));
  // [3986-2.1-PERCENT] check only the path: it selects the endpoint, but the query is not used
  if (path.find('%') != std::string_view::npos &&
      !is_percent_encoded(path, [](char) { return true; })) {
    return Error::kTarget;
  }
  path_ = slice(path);
  return Error::kNone;
}

Error HttpRequest::validate() const {
  // [9112-3.2-HOST]
  const std::size_t hosts = count("Host");
  if (hosts > 1 || (hosts == 0 && minor_version_ >= 1))
    return Error::kHost;
  if (hosts == 1 && !is_authority(*find("Host"))) {
    // [9112-3.2-NO-AUTHORITY] A client sends an empty Host if the target URI has no authority. Every target in the
    // http scheme has one; only "*" names the server without it.
    if (!find("Host")->empty() || path() != "*")
      return Error::kHost;
  }

  // [9112-6.3-LENGTH] refuse two fields that both set the length of the body
  const std::size_t lengths = count("Content-Length");
  if (lengths > 1 || (lengths == 1 && count("Transfer-Encoding") > 0))
    return Error::kBodyLength;
  if (lengths == 1) {
    const std::string_view length = *find("Content-Length");
    if (length.empty() || length.size() > 19 || !std::ranges::all_of(length, is_digit)) {
      return Error::kBodyLength;
    }
  }
  return Error::kNone;
}

bool HttpRequest::has_body() const {
  if (count("Transfer-Encoding") > 0)
    return true;
  const auto length = find("Content-Length");
  return length.has_value() && length->find_first_not_of('0') != std::string_view::npos;
}

Error HttpResponse::parse_start_line(std::string_view line) {
  // [9112-4-STATUS] version SP three digits SP reason; the reason may be missing
  const bool is_valid = line.size() >= 12 && line.starts_with("HTTP/1.") && is_digit(line[7]) &&
                        line[8] == ' ' && line[9] >= '1' && line[9] <= '9' && is_digit(line[10]) &&
                        is_digit(line[11]) && (line.size() == 12 || line[12] == ' ');
  if (!is_valid)
    return Error::kStatusLine;
  status_ = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  reason_ = slice(line.substr(std::min<std::size_t>(13, line.size())));
  return Error::kNone;
}

}  // namespace ws
