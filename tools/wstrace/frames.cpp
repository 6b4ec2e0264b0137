#include "tools/wstrace/frames.h"

#include <algorithm>

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
    if (is_known)
      add(connection, sent, offset, tcp.payload, visit);
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
                         std::span<const std::byte> bytes, const Visit& visit) {
  if (offset > stream.next) {
    const auto [place, is_new] = stream.waiting.try_emplace(offset);
    std::vector<std::byte>& kept = place->second;
    if (is_new)
      stream.waiting_size += kWaitingCost;
    if (bytes.size() > kept.size()) {
      stream.waiting_size += bytes.size() - kept.size();
      kept.assign(bytes.begin(), bytes.end());
    }
    while (stream.waiting_size > kMaxWaiting)
      give_up_gap(connection, stream, visit);
    return;
  }
  const std::uint64_t old = stream.next - offset;
  if (old >= bytes.size())
    return;
  deliver(connection, stream, bytes.subspan(static_cast<std::size_t>(old)), visit);
  deliver_waiting(connection, stream, visit);
}

void StreamFollower::deliver(Connection& connection, Stream& stream,
                             std::span<const std::byte> bytes, const Visit& visit) {
  if (!stream.has_begun && !stream.is_beginning_known) {
    stream.dissector.skip(stream.next - 1);
    if (may_be_frame(bytes))
      stream.dissector.expect_frames();
  }
  stream.has_begun = true;
  stream.next += bytes.size();
  while (const auto item = stream.dissector.next(bytes)) {
    show(connection, stream, *item, visit);
    if (item->status < 200)
      continue;
    Stream& other = connection.streams[&stream == &connection.streams[0] ? 1 : 0];
    if (const auto partial = other.dissector.refused())
      show(connection, other, *partial, visit);
  }
}

void StreamFollower::deliver_waiting(Connection& connection, Stream& stream, const Visit& visit) {
  while (!stream.waiting.empty() && stream.waiting.begin()->first <= stream.next) {
    const auto first = stream.waiting.extract(stream.waiting.begin());
    const std::uint64_t old = stream.next - first.key();
    stream.waiting_size -= first.mapped().size() + kWaitingCost;
    if (old < first.mapped().size()) {
      const auto bytes = std::span<const std::byte>(first.mapped());
      deliver(connection, stream, bytes.subspan(static_cast<std::size_t>(old)), visit);
    }
  }
}

void StreamFollower::give_up_gap(Connection& connection, Stream& stream, const Visit& visit) {
  stream.acked_packets = 0;
  if (stream.waiting.empty())
    return;
  if (const auto item = stream.dissector.cut())
    show(connection, stream, *item, visit);
  const std::uint64_t missing = stream.waiting.begin()->first - stream.next;
  Dissected nothing;
  nothing.offset = stream.next;
  visit(
      {stream.last_packet, connection.number, stream.source, stream.destination, missing, nothing});
  stream.dissector.skip(missing);
  stream.next += missing;
  stream.has_begun = true;
  deliver_waiting(connection, stream, visit);
}

void StreamFollower::finish(const Visit& visit) {
  for (auto& [key, connection] : connections_) {
    for (Stream& stream : connection.streams) {
      while (!stream.waiting.empty())
        give_up_gap(connection, stream, visit);
      if (const auto item = stream.dissector.cut())
        show(connection, stream, *item, visit);
    }
  }
}

void StreamFollower::show(const Connection& connection, const Stream& stream, const Dissected& item,
                          const Visit& visit) {
  visit({stream.last_packet, connection.number, stream.source, stream.destination, 0, item});
}

}  // namespace ws::trace
