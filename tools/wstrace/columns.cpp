#include "tools/wstrace/columns.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "protocol/frame/frame.h"
#include "protocol/inspect/escape.h"
#include "protocol/inspect/wire_text.h"
#include "protocol/text.h"
#include "tools/wstrace/message_head.h"
#include "tools/wstrace/packet.h"

namespace ws::trace {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kMalformed = "[Malformed Packet]";

/// The ports on which Wireshark expects HTTP without looking at the data.
bool is_http_port(std::uint16_t port) {
  constexpr std::array kPorts = {80, 1900, 2710, 2869, 3128, 3132, 5985, 8080, 8088, 11371};
  return std::ranges::find(kPorts, port) != kPorts.end();
}

/// Moves `at` over the whole chunks of a body (RFC 9112 §7.1), and to the end of a chunk whose size is known. Returns
/// true if the body ends in `text`.
bool skip_chunks(std::string_view text, std::size_t& at) {
  while (at < text.size()) {
    std::string_view rest = text.substr(at);
    const auto line = next_line(rest);
    if (!line.has_value())
      return false;
    const auto size = to_size(*line, 16);
    if (!size.has_value()) {
      at = text.size();  // not a chunk: Wireshark counts all bytes as the body
      return true;
    }
    if (*size == 0 && !next_line(rest).has_value())
      return false;
    at = text.size() - rest.size();
    if (*size == 0)
      return true;
    at += *size + 2;
  }
  return false;
}

/// The length of a message body.
struct Body {
  std::size_t size = 0;      ///< bytes present
  std::uint32_t wanted = 0;  ///< bytes needed before the message can be shown, as in Wanted::size
  bool is_cut = false;       ///< the capture lacks its end
  bool is_malformed = false;
  bool is_empty = false;        ///< chunked, and its first chunk is the last
  std::size_t chunks_read = 0;  ///< as in Wanted
};

/// The body of a message. `rest`: the bytes after the head. RFC 9112 §6.3, as implemented by Wireshark.
Body find_body(const MessageHead& head, std::string_view rest, const SegmentFacts& segment) {
  const bool is_cut = segment.missing > 0;
  const bool may_want = !is_cut && !segment.is_last;
  if (head.is_chunked) {
    std::string_view chunks = rest;
    const auto first = next_line(chunks);
    std::size_t read = segment.chunks_read;
    const bool is_whole = skip_chunks(rest, read);
    std::string_view last = rest.substr(std::min(read, rest.size()));
    if (!is_whole && may_want && next_line(last).has_value() && last == "\r")
      return {.is_malformed = true};  // Wireshark looks for the last LF past the end
    if (!is_whole && may_want)
      return {.wanted = Wanted::kOneMoreSegment, .chunks_read = read};
    return {.size = is_whole ? read : rest.size(),
            .is_cut = is_cut && !is_whole,
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

Wanted ColumnDissector::dissect(Bytes bytes, SegmentFacts segment, Columns& columns) {
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
    segment.chunks_read = 0;
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
    const LateHead late = read_late_head(text);
    if (is_cut)
      columns.info += kPacketCut;
    else if (late.ends_in_name)
      columns.info += kMalformed;
    else if (late.has_body && late.content_type.starts_with("text/"))
      columns.info += " (" + escape(late.content_type) + ")";
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
    return {skipped, body.wanted, body.chunks_read};
  if (body.is_malformed) {
    columns.info += kMalformed;
    return {};
  }
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

/// Names a head whose end is not captured. Uses the captured fields, even for an upgrade.
void ColumnDissector::dissect_cut_head(const MessageHead& head, std::string_view text,
                                       Columns& columns) {
  if (head.has_line)
    columns.set_protocol("HTTP");
  if (head.is_request())
    remember_request(head);
  else if (!read_late_head(text).ends_in_name)
    remember(head);
  if (!is_upgraded_ || is_websocket_)  // else the bytes belong to a protocol that is not shown
    columns.info += kPacketCut;
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
  if (saw_request_ && status == 101 && head.upgrade.has_value()) {
    is_upgraded_ = true;
    is_websocket_ = head.upgrade == "websocket";
  }
  is_upgraded_ |=
      was_connect_ && status / 100 == 2;  // to the protocol in the tunnel, which is not shown
}

void ColumnDissector::remember_request(const MessageHead& head) {
  saw_request_ = true;
  was_head_ = head.first_line.starts_with("HEAD ");
  was_connect_ = head.first_line.starts_with("CONNECT ");
}

/// `missing`: bytes of the segment after `bytes` that are not captured.
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
