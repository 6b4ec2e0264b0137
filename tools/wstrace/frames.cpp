#include "tools/wstrace/frames.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "protocol/text.h"

namespace ws::trace {
namespace {

/// The 64-bit offset closest to `near` whose low 32 bits are `seq`: sequence numbers wrap around, offsets do not.
std::uint64_t unwrap(std::uint32_t seq, std::uint64_t near) {
  const auto distance = static_cast<std::int32_t>(seq - static_cast<std::uint32_t>(near));
  return near + static_cast<std::uint64_t>(std::int64_t{distance});
}

std::string endpoint(const std::string& address, std::uint16_t port) {
  const bool is_ipv6 = address.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

/// Whether a stream that is captured from the middle may contain frames here: reserved bits 0, a known opcode.
bool may_be_frame(std::span<const std::byte> bytes) {
  FrameHeader header;
  if (read_frame_header(bytes, header) == 0)
    return false;
  const auto opcode = static_cast<unsigned>(header.opcode);
  return !header.rsv1 && !header.rsv2 && !header.rsv3 &&
         (opcode <= 2 || (opcode >= 8 && opcode <= 10 && header.fin));
}

/// Whether a frame may begin here, after missing bytes: the first two bytes are valid for this sender. RSV1 is allowed
/// only with FIN; otherwise text that begins with "A" (0x41) would look like a compressed fragment.
bool may_be_frame_after_gap(std::span<const std::byte> bytes, Sender sender) {
  const auto first = std::to_integer<unsigned>(bytes[0]);
  const unsigned opcode = first & 0x0FU;
  const bool is_fin = (first & 0x80U) != 0;
  const bool is_control = opcode >= 8 && opcode <= 10 && is_fin;
  const unsigned reserved = (first >> 4U) & 7U;
  const bool is_compressed = reserved == 4 && is_fin && (opcode == 1 || opcode == 2);
  if ((opcode > 2 && !is_control) || (reserved != 0 && !is_compressed))
    return false;
  if (bytes.size() == 1)
    return true;
  const auto second = std::to_integer<unsigned>(bytes[1]);
  const bool is_masked = (second & 0x80U) != 0;
  return is_masked == (sender == Sender::kClient) && (!is_control || (second & 0x7FU) <= 125);
}

/// Whether a head of HTTP/1 may begin here.
bool may_be_head(std::string_view text) {
  constexpr std::string_view kResponse = "HTTP/1";
  if (text.size() >= 4 && text.substr(0, kResponse.size()) == kResponse.substr(0, text.size()))
    return true;
  const std::size_t blank = text.find(' ');
  const std::string_view method = text.substr(0, blank);
  return blank != std::string_view::npos && method.size() >= 3 &&
         std::ranges::all_of(method, [](char c) { return c >= 'A' && c <= 'Z'; }) &&
         (blank + 1 == text.size() || text[blank + 1] == '/');
}

}  // namespace

StreamFollower::Connection& StreamFollower::find(const Packet& packet, const TcpRow& row) {
  const auto found = connections_.find(row.connection->number);
  if (found != connections_.end())
    return found->second;
  const TcpSegment& tcp = *packet.tcp;
  const bool is_first_server = is_from_client(tcp, row) == row.is_reply;
  const Sender first = is_first_server ? Sender::kServer : Sender::kClient;
  const Sender second = is_first_server ? Sender::kClient : Sender::kServer;
  Connection connection{row.connection->number, {Stream(first, keep_), Stream(second, keep_)}};
  const std::string source = endpoint(packet.source, tcp.source_port);
  const std::string destination = endpoint(packet.destination, tcp.destination_port);
  Stream& sent = connection.streams[row.is_reply ? 1 : 0];
  Stream& answered = connection.streams[row.is_reply ? 0 : 1];
  sent.source = answered.destination = source;
  sent.destination = answered.source = destination;
  return connections_.emplace(row.connection->number, std::move(connection)).first->second;
}

void StreamFollower::take(const Packet& packet, const TcpRow& row, const Visit& visit) {
  Connection& connection = find(packet, row);
  Stream& sent = connection.streams[row.is_reply ? 1 : 0];
  Stream& answered = connection.streams[row.is_reply ? 0 : 1];
  const TcpSegment& tcp = *packet.tcp;
  const bool is_syn = (tcp.flags & tcp_flag::kSyn) != 0;
  sent.is_beginning_known |= is_syn;
  sent.last_packet = packet.number;

  if (tcp.length > 0 && (tcp.flags & tcp_flag::kRst) == 0) {
    const std::uint64_t offset = unwrap(row.seq + (is_syn ? 1U : 0U), sent.next);
    const bool is_known =
        static_cast<std::int64_t>(offset) > 0;  // else it is before the start of the stream
    if (is_known && !sent.has_begun && !sent.is_beginning_known)
      sent.next = offset;
    if (is_known) {
      add(connection, sent, offset, {packet.number, offset + tcp.length, tcp.payload}, visit);
    }
  }

  if ((tcp.flags & tcp_flag::kAck) != 0)
    answered.acked = std::max(answered.acked, unwrap(row.ack, answered.acked));
  for (Stream* stream : {&sent, &answered}) {
    if (stream->waiting.empty() || stream->acked <= stream->next) {
      stream->acked_packets = 0;
    } else if (++stream->acked_packets > kPatience) {
      give_up_gap(connection, *stream, visit);
    }
  }
}

/// Adds a segment to its stream: drops bytes that were delivered already, buffers a segment that follows a gap.
void StreamFollower::add(Connection& connection, Stream& stream, std::uint64_t offset,
                         const Segment& segment, const Visit& visit) {
  if (offset <= stream.next) {
    deliver(connection, stream, offset, segment, visit);
    deliver_waiting(connection, stream, visit);
    return;
  }
  const auto [place, is_new] = stream.waiting.try_emplace(offset);
  Waiting& kept = place->second;
  if (is_new)
    stream.waiting_size += kWaitingCost;
  if (is_new || segment.bytes.size() > kept.bytes.size()) {
    stream.waiting_size += segment.bytes.size() - kept.bytes.size();
    kept.packet = segment.packet;
    kept.bytes.assign(segment.bytes.begin(), segment.bytes.end());
  }
  kept.end = std::max(kept.end, segment.end);
  while (stream.waiting_size > kMaxWaiting)
    give_up_gap(connection, stream, visit);
}

/// Dissects the new bytes of a segment that follows no gap, and records which bytes the snaplen has cut.
void StreamFollower::deliver(Connection& connection, Stream& stream, std::uint64_t offset,
                             const Segment& segment, const Visit& visit) {
  const std::uint64_t old = stream.next - offset;
  if (old < segment.bytes.size()) {
    dissect(connection, stream, segment.packet,
            segment.bytes.subspan(static_cast<std::size_t>(old)), visit);
  }
  if (segment.end > stream.cut_end) {
    stream.cut_end = segment.end;
    stream.cut_packet = segment.packet;
  }
}

/// Delivers the buffered segments that no longer follow a gap, and skips the bytes that the snaplen has cut.
void StreamFollower::deliver_waiting(Connection& connection, Stream& stream, const Visit& visit) {
  for (;;) {
    const auto first = stream.waiting.begin();
    if (first != stream.waiting.end() && first->first <= stream.next) {
      const auto node = stream.waiting.extract(first);
      const Waiting& segment = node.mapped();
      stream.waiting_size -= segment.bytes.size() + kWaitingCost;
      deliver(connection, stream, node.key(), {segment.packet, segment.end, segment.bytes}, visit);
    } else if (stream.next < stream.cut_end) {
      const std::uint64_t end =
          first == stream.waiting.end() ? stream.cut_end : std::min(stream.cut_end, first->first);
      skip_missing(connection, stream, end - stream.next, stream.cut_packet, true, visit);
    } else {
      return;
    }
  }
}

void StreamFollower::dissect(Connection& connection, Stream& stream, std::uint64_t packet,
                             std::span<const std::byte> bytes, const Visit& visit) {
  if (!stream.has_begun && !stream.is_beginning_known) {
    stream.dissector.skip(stream.next - 1);
    if (may_be_frame(bytes))
      stream.dissector.expect_frames();
  } else if (stream.needs_resync) {
    resynchronize(connection, stream, bytes);
  }
  stream.has_begun = true;
  stream.next += bytes.size();
  stream.item_packet = std::max(stream.item_packet, packet);
  while (const auto item = stream.dissector.next(bytes)) {
    show(connection, stream, stream.item_packet, *item, visit);
    if (item->type == Dissected::Type::kHead)
      handle_head(connection, stream, *item, visit);
    stream.item_packet = bytes.empty() ? 0 : packet;
  }
}

/// After missing bytes: checks whether a segment begins like a frame or like a head. Otherwise treats it as data, and
/// checks the next segment.
void StreamFollower::resynchronize(const Connection& connection, Stream& stream,
                                   std::span<const std::byte> bytes) {
  if (connection.is_not_http)
    return;
  if (!stream.has_only_heads && may_be_frame_after_gap(bytes, stream.sender)) {
    stream.dissector.expect_frames();
  } else if (!connection.is_upgraded && may_be_head(as_text(bytes))) {
    stream.dissector.expect_heads();
  } else {
    stream.dissector.expect_data();
    return;
  }
  stream.needs_resync = false;
}

/// Updates the state of the connection after a head, which may be incomplete.
void StreamFollower::handle_head(Connection& connection, Stream& stream, const Dissected& item,
                                 const Visit& visit) {
  const std::string_view text = as_text(item.bytes);
  connection.is_not_http |= item.error != Error::kNone;
  if (stream.sender == Sender::kClient) {
    stream.has_only_heads = !item.is_whole && text.size() >= 4 && !text.starts_with("GET ");
    return;
  }
  constexpr std::size_t kVersion = 9;  // "HTTP/1.1 "
  const std::string_view status = text.substr(std::min(text.size(), kVersion), 3);
  if (item.error != Error::kNone || status.size() < 3)
    return;
  const bool is_upgrade = status == "101";
  connection.is_upgraded |= is_upgrade;
  stream.has_only_heads = !is_upgrade;
  if (status.starts_with('1'))
    return;
  Stream& other = connection.streams[&stream == &connection.streams[0] ? 1 : 0];
  if (const auto partial = other.dissector.refused())
    show(connection, other, std::exchange(other.item_packet, 0), *partial, visit);
}

void StreamFollower::give_up_gap(Connection& connection, Stream& stream, const Visit& visit) {
  stream.acked_packets = 0;
  if (stream.waiting.empty())
    return;
  skip_missing(connection, stream, stream.waiting.begin()->first - stream.next, stream.last_packet,
               false, visit);
  deliver_waiting(connection, stream, visit);
}

/// Reports and skips missing bytes. `packet`: the one that reveals that they are missing.
void StreamFollower::skip_missing(Connection& connection, Stream& stream, std::uint64_t size,
                                  std::uint64_t packet, bool is_cut, const Visit& visit) {
  if (const auto item = stream.dissector.cut()) {
    show(connection, stream, stream.item_packet, *item, visit);
    if (item->type == Dissected::Type::kHead)
      handle_head(connection, stream, *item, visit);
  }
  stream.item_packet = 0;
  Dissected nothing;
  nothing.offset = stream.next;
  visit({packet, connection.number, stream.source, stream.destination, size, is_cut, nothing});
  if (!stream.has_begun && !stream.is_beginning_known)
    stream.dissector.skip(stream.next - 1);
  stream.needs_resync = !stream.dissector.skip(size) || stream.needs_resync;
  stream.next += size;
  stream.has_begun = true;
}

void StreamFollower::finish(const Visit& visit) {
  for (auto& [key, connection] : connections_) {
    for (Stream& stream : connection.streams) {
      while (!stream.waiting.empty())
        give_up_gap(connection, stream, visit);
      if (const auto item = stream.dissector.cut())
        show(connection, stream, stream.item_packet, *item, visit);
    }
  }
}

void StreamFollower::show(const Connection& connection, const Stream& stream, std::uint64_t packet,
                          const Dissected& item, const Visit& visit) {
  visit({packet, connection.number, stream.source, stream.destination, 0, false, item});
}

bool StreamItem::is_shown() const {
  if (missing != 0 || item.type == Dissected::Type::kFrame)
    return true;
  // A head with an error belongs to another protocol.
  return item.type == Dissected::Type::kHead && item.error == Error::kNone &&
         (item.is_whole || may_be_head(as_text(item.bytes)));
}

}  // namespace ws::trace
