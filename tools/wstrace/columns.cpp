#include "tools/wstrace/columns.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "protocol/frame/frame.h"
#include "protocol/inspect/escape.h"
#include "protocol/inspect/wire_text.h"
#include "protocol/text.h"
#include "tools/wstrace/packet.h"

namespace ws::trace {
namespace {

using Bytes = std::span<const std::byte>;

/// The ports on which Wireshark expects HTTP without looking at the data.
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

/// Removes the next line from `text` and returns it without its line end; nullopt if the line is incomplete.
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

}  // namespace

/// The parts of an HTTP head that determine the columns and the end of the message.
struct MessageHead {
  std::string_view first_line;  ///< incomplete if has_line is false
  bool has_line = false;        ///< the first line is complete
  std::optional<std::size_t> content_length;
  bool is_chunked = false;
  std::string content_type;
  std::string upgrade;
  std::size_t size = 0;  ///< bytes, including the empty line; 0: the head is incomplete

  [[nodiscard]] bool is_response() const {
    return first_line.starts_with("HTTP/") || first_line.starts_with("ICY");
  }
  [[nodiscard]] bool is_request() const {
    return !is_response() && is_method(first_line.substr(0, first_line.find(' ')));
  }
  /// The status code of a response, else 0.
  [[nodiscard]] std::size_t status() const {
    return is_response() && first_line.size() >= 12 ? to_size(first_line.substr(9, 3)).value_or(0)
                                                    : 0;
  }
};

namespace {

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

/// `is_cut`: the text ends because the capture lacks the rest; its last line counts.
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
    read_field(rest, head);
  return head;
}

/// Whether the bytes end inside the name of a field, after another line of a head. There Wireshark reads past the end.
bool ends_in_field_name(std::string_view text) {
  constexpr std::string_view kSeparators = "()<>@,;\\\"/[]?={} ";
  for (bool is_in_head = false;; is_in_head = true) {
    const std::size_t end = text.find('\n');
    const bool is_whole = end != std::string_view::npos || text.ends_with('\r');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    MessageHead head;
    head.first_line = line;
    if (line.empty() && is_whole)
      return false;
    if (!head.is_response() && !head.is_request()) {
      const auto stop = std::ranges::find_if(line, [&](char c) {
        return c == ':' || c < 0x20 || c > 0x7E || kSeparators.find(c) != std::string_view::npos;
      });
      const bool is_separated = stop != line.end() && *stop >= 0x20 && *stop <= 0x7E;
      if (!is_separated)
        return is_in_head && !is_whole;
      if (*stop != ':')
        return false;
    }
    if (end == std::string_view::npos || end + 1 == text.size())
      return false;
    text.remove_prefix(end + 1);
  }
}

/// Bytes of a chunked body (RFC 9112 §7.1); nullopt if it is incomplete.
std::optional<std::size_t> chunked_size(std::string_view text) {
  std::string_view rest = text;
  while (const auto line = next_line(rest)) {
    const auto size = to_size(*line, 16);
    if (!size.has_value())
      return text.size();  // not a chunk: Wireshark counts all bytes as the body
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

/// The length of a message body.
struct Body {
  std::size_t size = 0;      ///< bytes present
  std::uint32_t wanted = 0;  ///< bytes needed before the message can be shown, as in Wanted::size
  bool is_cut = false;       ///< the capture lacks its end
  bool is_empty = false;     ///< chunked, and its first chunk is the last
};

/// The body of a message. `rest`: the bytes after the head. RFC 9112 §6.3, as implemented by Wireshark.
Body find_body(const MessageHead& head, std::string_view rest, const SegmentFacts& segment) {
  const bool is_cut = segment.missing > 0;
  const bool may_want = !is_cut && !segment.is_last;
  if (head.is_chunked) {
    const auto size = chunked_size(rest);
    if (!size.has_value() && may_want)
      return {.wanted = Wanted::kOneMoreSegment};
    std::string_view chunks = rest;
    const auto first = next_line(chunks);
    return {.size = size.value_or(rest.size()),
            .is_cut = is_cut && !size.has_value(),
            .is_empty = first.has_value() && to_size(*first, 16) == std::size_t{0}};
  }
  if (head.content_length.has_value()) {
    const std::size_t size = *head.content_length;
    if (size <= rest.size())
      return {.size = size};
    if (may_want)
      return {.wanted = static_cast<std::uint32_t>(size - rest.size())};
    return {.size = rest.size(), .is_cut = is_cut};
  }
  if (!head.is_response())
    return {};
  if (may_want)
    return {.wanted = Wanted::kUntilFin};
  return {.size = rest.size(), .is_cut = is_cut};
}

}  // namespace

/// Recognizes HTTP by the ports, or by a first line with "HTTP/1.".
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
        wanted = dissect_frames(bytes, segment.missing, columns);
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
  if (segment.missing > 0)
    columns.info += kPacketCut;
  return {};
}

Wanted ColumnDissector::dissect_message(Bytes& bytes, const SegmentFacts& segment, Columns& columns,
                                        bool& goes_on) {
  std::string_view text = as_text(bytes);
  if (text.size() > 3 && text.starts_with("\r\n"))
    text.remove_prefix(2);
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x20 || first > 0x7E) {
    name_continuation(columns);
    return {};
  }
  const std::size_t skipped = bytes.size() - text.size();
  const bool is_cut = segment.missing > 0;
  const MessageHead head = read_head(text, is_cut);
  if (!head.has_line && !is_cut)
    return {skipped, Wanted::kOneMoreSegment};
  if (!head.is_response() && !head.is_request()) {
    name_continuation(columns);
    if (is_cut)
      columns.info += kPacketCut;
    else if (ends_in_field_name(text))
      columns.info += "[Malformed Packet]";
    return {};
  }
  if (head.has_line) {
    columns.info = escape(head.first_line) + " ";
  } else {
    name_continuation(columns);
  }
  if (head.size == 0) {
    if (!is_cut)
      return {skipped, Wanted::kOneMoreSegment};
    dissect_cut_head(head, text, columns);
    return {};
  }

  Body body;
  if (may_have_body(head))
    body = find_body(head, text.substr(head.size), segment);
  if (body.wanted != 0)
    return {skipped, body.wanted};
  columns.set_protocol("HTTP");
  remember(head);
  // Wireshark names many types of bodies; text is enough for the responses of WebSocket servers.
  if (body.size > 0 && !body.is_empty && head.content_type.starts_with("text/"))
    columns.info += " (" + escape(head.content_type) + ")";
  if (body.is_cut && body.size > 0) {
    columns.info += kPacketCut;
    return {};
  }
  bytes = bytes.subspan(skipped + head.size + body.size);
  goes_on = true;
  return {};
}

/// Names a head whose end the capture lacks. The fields before the end count, even for an upgrade.
void ColumnDissector::dissect_cut_head(const MessageHead& head, std::string_view text,
                                       Columns& columns) {
  if (head.has_line)
    columns.set_protocol("HTTP");
  columns.info += kPacketCut;
  if (head.is_request())
    remember_request(head);
  else if (!ends_in_field_name(text))
    remember(head);
}

/// Bytes that do not begin a message: after a request, Wireshark shows them as "Continuation".
void ColumnDissector::name_continuation(Columns& columns) const {
  if (!saw_request_)
    return;
  columns.set_protocol("HTTP");
  columns.info = "Continuation";
}

bool ColumnDissector::may_have_body(const MessageHead& head) const {
  if (!head.is_response())
    return true;
  const std::size_t status = head.status();
  const bool is_tunnel = was_connect_ && status / 100 == 2;
  return !is_tunnel && !was_head_ && status / 100 != 1 && status != 204 && status != 304;
}

/// Updates the state on which later messages depend. `head` is complete.
void ColumnDissector::remember(const MessageHead& head) {
  if (head.is_request())
    return remember_request(head);
  const std::size_t status = head.status();
  if (saw_request_ && status == 101 && !head.upgrade.empty()) {
    is_upgraded_ = true;
    is_websocket_ = std::string_view("websocket").starts_with(head.upgrade);
  }
  is_upgraded_ |=
      was_connect_ && status / 100 == 2;  // to the protocol in the tunnel, which is not shown
}

void ColumnDissector::remember_request(const MessageHead& head) {
  saw_request_ = true;
  was_head_ = head.first_line.starts_with("HEAD ");
  was_connect_ = head.first_line.starts_with("CONNECT ");
}

/// `missing`: bytes after `bytes` that the segment has, but not the capture.
Wanted ColumnDissector::dissect_frames(Bytes bytes, std::size_t missing, Columns& columns) {
  constexpr std::string_view kUnreassembled = "[BoundErrorUnreassembled Packet]";
  const bool is_cut = missing > 0;
  const std::size_t size = bytes.size();
  while (!bytes.empty()) {
    const std::size_t offset = size - bytes.size();
    // Like Wireshark, compute the frame's size from the header without the masking key.
    std::array<std::byte, kMaxHeaderSize> padded{};
    std::ranges::copy(bytes.first(std::min(bytes.size(), kMaxHeaderSize - 4)), padded.begin());
    FrameHeader header;
    const std::size_t header_size = read_frame_header(padded, header);
    const std::size_t fixed_size = header_size - (header.masked ? 4 : 0);
    if (bytes.size() < 2 || bytes.size() < fixed_size) {
      if (!is_cut)
        return {offset, Wanted::kOneMoreSegment};
      columns.info += bytes.size() + missing < 2 ? kUnreassembled : kPacketCut;
      return {};
    }
    // Wireshark computes this size in 32 bits.
    const auto whole = static_cast<std::uint32_t>(header.payload_length + header_size);
    if (bytes.size() < whole && !is_cut)
      return {offset, static_cast<std::uint32_t>(whole - bytes.size())};
    columns.set_protocol("WebSocket");
    columns.info = wire_frame_info(header);
    if (bytes.size() < whole) {
      const std::size_t in_segment = bytes.size() + missing;
      columns.info += whole > in_segment ? kUnreassembled : kPacketCut;
      return {0, whole > in_segment ? static_cast<std::uint32_t>(whole - in_segment) : 0};
    }
    if (whole < 2)
      return {};
    bytes = bytes.subspan(whole);
  }
  if (is_cut)
    columns.info += kPacketCut;
  return {};
}

}  // namespace ws::trace
