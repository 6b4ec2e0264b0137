// Both kinds of heads: whole and cut, they must give the same, documented result.
#pragma once

#include <set>
#include <string>

#include "protocol/http/http_message.h"
#include "protocol/text.h"
#include "tests/fuzz/input.h"
#include "tests/support/bytes.h"

namespace ws::fuzz {

/// Small limits, so that a short input reaches them.
inline Limits small_limits() {
  Limits limits;
  limits.request_line = 100;
  limits.field_line = 60;
  limits.fields = 6;
  limits.field_bytes = 160;
  return limits;
}

/// Parses `bytes` up to each of `ends` in turn, each time from a fresh copy before a guard page.
template <typename Head>
HttpHead::Status parse(Head& head, std::string_view bytes, const std::vector<std::size_t>& ends,
                       const Limits& limits, test::GuardedMemory& memory) {
  HttpHead::Status status = HttpHead::Status::kNeedMore;
  for (const std::size_t end : ends) {
    const auto copy = memory.before_guard(bytes.substr(0, end));
    status = head.parse({reinterpret_cast<const char*>(copy.data()), copy.size()}, limits);
    if (status != HttpHead::Status::kNeedMore)
      break;
  }
  return status;
}

/// `start`: returns the start line as text. `errors`: the errors that are possible for this head.
template <typename Head, typename Start>
void check_head(const Input& input, const std::set<Error>& errors, Start start) {
  static test::GuardedMemory whole_memory(1 << 16);
  static test::GuardedMemory cut_memory(1 << 16);
  const Limits limits = input.choice % 2 == 0 ? small_limits() : Limits{};
  if (input.stream.size() > 1 << 16)
    return;

  Head whole;
  const HttpHead::Status status =
      parse(whole, input.stream, {input.stream.size()}, limits, whole_memory);
  Head cut;
  std::vector<std::size_t> ends = input.cuts;
  ends.push_back(input.stream.size());
  require(parse(cut, input.stream, ends, limits, cut_memory) == status,
          "a different outcome when cut");
  require(cut.error() == whole.error(), "a different error when cut");
  Head single;  // in single bytes, to reach each limit at each byte
  HttpHead::Status single_status = HttpHead::Status::kNeedMore;
  for (std::size_t end = 1;
       end <= input.stream.size() && single_status == HttpHead::Status::kNeedMore; ++end) {
    single_status = single.parse(input.stream.substr(0, end), limits);
  }
  require(single_status == status && single.error() == whole.error(),
          "a different outcome byte by byte");
  require(whole.exceeded_limit() == cut.exceeded_limit() &&
              whole.exceeded_limit() == single.exceeded_limit() &&
              whole.exceeding_field() == cut.exceeding_field() &&
              whole.exceeding_field() == single.exceeding_field(),
          "a different limit or field when cut");
  require((status == HttpHead::Status::kError) == (whole.error() != Error::kNone),
          "an error without a reason, or a reason without an error");

  if (status == HttpHead::Status::kError) {
    require(errors.contains(whole.error()), "an undocumented error");
  } else if (status == HttpHead::Status::kNeedMore) {
    require(input.stream.size() <= limits.request_line + limits.field_bytes + 2 + 2 + 2 + 1,
            "more bytes kept than the limits allow");
  } else {
    require(whole.size() == cut.size() && whole.size() <= input.stream.size(),
            "a different end when cut");
    require(input.stream.substr(0, whole.size()).ends_with("\n\r\n"),
            "an end without an empty line");
    require(start(whole) == start(cut), "a different start line when cut");
    require(whole.field_count() == cut.field_count() && whole.field_count() <= limits.fields,
            "a different number of fields when cut, or too many");
    for (std::size_t i = 0; i < whole.field_count(); ++i) {
      require(whole.field_name(i) == cut.field_name(i), "a different name when cut");
      require(whole.field_value(i) == cut.field_value(i), "a different value when cut");
      require(is_token(whole.field_name(i)), "a name that is no token");
      require(whole.field_value(i).find_first_of(std::string_view("\0\r\n", 3)) ==
                  std::string_view::npos,
              "a value with a line end or a NUL in it");
    }
  }
}

}  // namespace ws::fuzz
