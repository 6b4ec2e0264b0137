#include "tools/wstrace_columns.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "protocol/escape.h"
#include "protocol/frame.h"
#include "protocol/text.h"
#include "protocol/wire_text.h"
#include "tools/wstrace_packet.h"

namespace ws {
namespace {

using Bytes = std::span<const std::byte>;

/// The ports that Wireshark takes for HTTP without looking at what is said.
bool is_http_port(std::uint16_t port) {
  constexpr std::array kPorts = {80, 1900, 2710, 2869, 3128, 3132, 5985, 8080, 8088, 11371};
  return std::ranges::find(kPorts, port) != kPorts.end();
}

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

/// The next line, without its line end, moved out of `text`; nullopt if it has no end.
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

std::optional<std::size_t> to_size(std::string_view text, int base = 10) {
  std::uint32_t size = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), size, base);
  if (error != std::errc() || rest == text.data() || size > INT32_MAX)
    return std::nullopt;
  return size;
}

std::string lowered(std::string_view text) {
  std::string copy(text);
  std::ranges::transform(copy, copy.begin(), to_lower);
  return copy;
}

/// The fields of a head that say where the message ends, and what it is.
struct Head {
  std::string_view first_line;
  std::optional<std::size_t> content_length;
  bool is_chunked = false;
  std::string content_type;
  std::string upgrade;
  std::size_t size = 0;  ///< bytes, with the empty line; 0: it has no end yet
};

Head read_head(std::string_view text) {
  Head head;
  std::string_view rest = text;
  const auto first = next_line(rest);
  if (!first.has_value())
    return head;
  head.first_line = *first;
  while (const auto line = next_line(rest)) {
    if (line->empty()) {
      head.size = text.size() - rest.size();
      return head;
    }
    const std::size_t colon = line->find(':');
    if (colon == std::string_view::npos)
      continue;
    const std::string_view name = line->substr(0, colon);
    const std::string_view value = trim(line->substr(colon + 1));
    if (equals_ignoring_case(name, "Content-Length"))
      head.content_length = to_size(value);
    else if (equals_ignoring_case(name, "Transfer-Encoding"))
      head.is_chunked = lowered(value).starts_with("chunked");
    else if (equals_ignoring_case(name, "Content-Type"))
      head.content_type = lowered(trim(value.substr(0, value.find(';'))));
    else if (equals_ignoring_case(name, "Upgrade"))
      head.upgrade = lowered(value);
  }
  return head;
}

/// Bytes of a chunked body (RFC 9112 §7.1), or nullopt if its end is not there.
std::optional<std::size_t> chunked_size(std::string_view text) {
  std::string_view rest = text;
  while (const auto line = next_line(rest)) {
    const auto size = to_size(*line, 16);
    if (!size.has_value())
      return text.size();  // no chunk: Wireshark stops trying
    if (*size == 0) {
      if (!next_line(rest).has_value())
        return std::nullopt;
      return text.size() - rest.size();
    }
    if (rest.size() <= *size)
      return std::nullopt;
    rest.remove_prefix(std::min(*size + 2, rest.size()));
  }
  return std::nullopt;
}

}  // namespace

/// By the port; else by a first line that names HTTP.
bool ColumnDissector::is_http(Bytes bytes, const SegmentFacts& segment) {
  if (is_http_port(segment.server_port) || is_http_port(segment.source_port) ||
      is_http_port(segment.destination_port)) {
    return true;
  }
  std::string_view text = as_text(bytes);
  const auto line = next_line(text);
  return line.has_value() && line->size() > 8 &&
         (equals_ignoring_case(line->substr(line->size() - 8, 7), "HTTP/1.") ||
          equals_ignoring_case(line->substr(0, 7), "HTTP/1."));
}

Wanted ColumnDissector::dissect(Bytes bytes, const SegmentFacts& segment, Columns& columns) {
  if (!is_http_ && !is_http(bytes, segment))
    return {};
  is_http_ = true;
  const std::size_t size = bytes.size();
  while (!bytes.empty()) {
    const std::size_t offset = size - bytes.size();
    if (is_upgraded_) {
      Wanted wanted;
      if (is_websocket_)
        wanted = dissect_frames(bytes, segment.is_cut, columns);
      if (wanted.size != 0)
        wanted.offset += offset;
      return wanted;
    }
    bool goes_on = false;
    Wanted wanted = dissect_message(bytes, segment, columns, goes_on);
    if (!goes_on) {
      if (wanted.size != 0)
        wanted.offset += offset;
      return wanted;
    }
    columns.fence();
  }
  return {};
}

Wanted ColumnDissector::dissect_message(Bytes& bytes, const SegmentFacts& segment, Columns& columns,
                                        bool& goes_on) {
  std::string_view text = as_text(bytes);
  if (text.size() > 3 && text.starts_with("\r\n"))
    text.remove_prefix(2);
  const auto call_it_continuation = [&] {
    if (!saw_request_)
      return;
    columns.set_protocol("HTTP");
    columns.info = "Continuation";
  };
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x20 || first > 0x7E) {
    call_it_continuation();
    return {};
  }
  const std::size_t skipped = bytes.size() - text.size();
  const bool may_want = !segment.is_cut;
  std::string_view rest = text;
  const bool has_line = next_line(rest).has_value();
  if (!has_line && may_want)
    return {skipped, Wanted::kOneMoreSegment};
  const Head head = read_head(text);
  const std::string_view line = has_line ? head.first_line : text;
  const bool is_response = line.starts_with("HTTP/") || line.starts_with("ICY");
  const bool is_request = !is_response && is_method(line.substr(0, line.find(' ')));
  if (!is_response && !is_request) {
    call_it_continuation();
    if (!may_want)
      columns.info += kPacketCut;
    return {};
  }
  if (has_line) {
    columns.info = escape(line) + " ";
  } else {
    call_it_continuation();
  }
  if (head.size == 0) {
    if (may_want)
      return {skipped, Wanted::kOneMoreSegment};
    if (has_line)
      columns.set_protocol("HTTP");
    columns.info += kPacketCut;
    saw_request_ |= is_request;
    return {};
  }

  const std::size_t left = text.size() - head.size;
  std::size_t body = 0;
  const std::size_t code =
      is_response && line.size() >= 12 ? to_size(line.substr(9, 3)).value_or(0) : 0;
  const bool is_tunnel = is_response && was_connect_ && code / 100 == 2;
  const bool may_have_body =
      !is_response || (!is_tunnel && !was_head_ && code / 100 != 1 && code != 204 && code != 304);
  if (may_have_body) {
    if (head.is_chunked) {
      const auto chunked = chunked_size(text.substr(head.size));
      if (!chunked.has_value() && may_want && !segment.is_last)
        return {skipped, Wanted::kOneMoreSegment};
      body = chunked.value_or(left);
    } else if (head.content_length.has_value()) {
      body = *head.content_length;
      if (body > left && may_want && !segment.is_last)
        return {skipped, static_cast<std::uint32_t>(body - left)};
      if (body > left && !may_want)
        columns.info += kPacketCut;
      body = std::min(body, left);
    } else if (is_response) {
      if (may_want && !segment.is_last)
        return {skipped, Wanted::kUntilFin};
      body = left;
    }
  }
  columns.set_protocol("HTTP");
  if (is_request) {
    saw_request_ = true;
    was_head_ = line.starts_with("HEAD ");
    was_connect_ = line.starts_with("CONNECT ");
  }
  // What a body is called depends on its type: of the many that Wireshark knows, those a server of WebSockets has.
  if (body > 0 && head.content_type.starts_with("text/"))
    columns.info += " (" + escape(head.content_type) + ")";
  if (is_response && saw_request_ && code == 101 && !head.upgrade.empty()) {
    is_upgraded_ = true;
    is_websocket_ = head.upgrade == "websocket";
  }
  is_upgraded_ |= is_tunnel;  // to what the tunnel carries, which is not our matter
  bytes = bytes.subspan(skipped + head.size + body);
  goes_on = true;
  return {};
}

Wanted ColumnDissector::dissect_frames(Bytes bytes, bool is_cut, Columns& columns) {
  const std::size_t size = bytes.size();
  while (!bytes.empty()) {
    const std::size_t offset = size - bytes.size();
    // Wireshark needs two bytes and the length, and no masking key, to know how long a frame is.
    std::array<std::byte, kMaxHeaderSize> padded{};
    std::ranges::copy(bytes.first(std::min(bytes.size(), kMaxHeaderSize - 4)), padded.begin());
    FrameHeader header;
    const std::size_t header_size = read_frame_header(padded, header);
    if (bytes.size() < 2 || bytes.size() < header_size - (header.masked ? 4 : 0)) {
      if (!is_cut)
        return {offset, Wanted::kOneMoreSegment};
      columns.info += kPacketCut;
      return {};
    }
    // It counts in 32 bits.
    const auto whole = static_cast<std::uint32_t>(header.payload_length + header_size);
    if (bytes.size() < whole && !is_cut)
      return {offset, static_cast<std::uint32_t>(whole - bytes.size())};
    columns.set_protocol("WebSocket");
    columns.info = wire_frame_info(header);
    if (bytes.size() < whole) {
      columns.info += kPacketCut;
      return {};
    }
    if (whole < 2)
      return {};
    bytes = bytes.subspan(whole);
  }
  return {};
}

}  // namespace ws
