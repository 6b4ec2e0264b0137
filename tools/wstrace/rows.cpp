#include "tools/wstrace/rows.h"

#include <algorithm>
#include <utility>

namespace ws::trace {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kMaxInfo = 4095;
/// Limit in bytes for the first segment of a PDU, and for a PDU whose end is unknown. Larger ones are not reassembled.
constexpr std::uint32_t kMaxPending = 1024 * 1024;
/// A head is parsed again with each segment that continues it: limits the total of bytes parsed. A head of 8 KiB that
/// arrives byte by byte needs half of this.
constexpr std::uint64_t kMaxLookedAt = 64 * 1024 * 1024;
constexpr std::uint32_t kFarAway = 0x40000000;  ///< assumed size of a PDU that lasts until the FIN

/// Marks a row whose bytes belong to an incomplete PDU. The text is added only for the first PDU of a row.
void name_segment(Columns& columns, bool is_first) {
  columns.set_protocol("TCP");
  if (!is_first)
    return;
  const bool is_empty = columns.fenced.empty() && columns.info.empty();
  columns.info +=
      is_empty ? "[TCP segment of a reassembled PDU]" : " [TCP segment of a reassembled PDU]";
}

}  // namespace

Row RowWriter::take(const Packet& packet, const std::optional<TcpRow>& tcp) {
  if (!start_.has_value())
    start_ = packet.time_ns;
  Row row{packet.number,      packet.time_ns - *start_, packet.source,
          packet.destination, packet.protocol,          packet.length,
          packet.info};
  if (!tcp.has_value())
    return row;
  Columns columns{
      .protocol = "TCP", .fenced = tcp_notes(*tcp), .info = tcp_info(*packet.tcp, *tcp)};
  const std::size_t options =
      packet.tcp->header_length - std::min<std::size_t>(packet.tcp->header_length, 20);
  if (packet.tcp->options.size() < options && packet.length > 0) {
    row.info = columns.info + std::string(kPacketCut);
    return row;
  }
  handle_fin(packet, *tcp, columns);
  if (!packet.tcp->payload.empty() && (packet.tcp->flags & tcp_flag::kRst) == 0)
    add_payload(packet, *tcp, columns);
  row.protocol = columns.protocol;
  row.info = columns.fenced + columns.info;
  if (row.info.size() > kMaxInfo) {
    std::size_t size = kMaxInfo;
    while ((static_cast<unsigned char>(row.info[size]) & 0xC0U) == 0x80U)
      --size;  // do not split a character (Wireshark does)
    row.info.resize(size);
  }
  return row;
}

/// Adds those of the bytes that are new. Returns true if no byte up to `end` is missing.
bool RowWriter::add(Pdu& pdu, std::uint32_t at, Bytes bytes) {
  while (!bytes.empty()) {
    const auto after = pdu.parts.upper_bound(at);
    std::vector<std::byte>* touched = nullptr;  // the part that ends where the bytes begin
    if (after != pdu.parts.begin()) {
      auto& [offset, part] = *std::prev(after);
      const std::size_t covered = offset + part.size();
      if (covered > at) {
        const std::size_t old = std::min(covered - at, bytes.size());
        bytes = bytes.subspan(old);
        at += static_cast<std::uint32_t>(old);
        continue;
      }
      if (covered == at)
        touched = &part;
    }
    const std::size_t room = after == pdu.parts.end() ? bytes.size() : after->first - at;
    const Bytes fresh = bytes.first(std::min(room, bytes.size()));
    std::vector<std::byte>& part = touched != nullptr ? *touched : pdu.parts[at];
    part.insert(part.end(), fresh.begin(), fresh.end());
    bytes = bytes.subspan(fresh.size());
    at += static_cast<std::uint32_t>(fresh.size());
  }
  auto part = pdu.parts.upper_bound(pdu.complete);
  if (part != pdu.parts.begin())
    --part;
  for (; part != pdu.parts.end() && part->first <= pdu.complete; ++part) {
    pdu.complete =
        std::max(pdu.complete, part->first + static_cast<std::uint32_t>(part->second.size()));
  }
  return pdu.complete >= pdu.end - pdu.begin;
}

/// The contiguous bytes from `begin` on.
std::vector<std::byte> RowWriter::assemble(const Pdu& pdu) {
  std::vector<std::byte> whole;
  whole.reserve(pdu.complete);
  for (const auto& [offset, part] : pdu.parts) {
    if (offset != whole.size())
      break;
    whole.insert(whole.end(), part.begin(), part.end());
  }
  return whole;
}

void RowWriter::add_payload(const Packet& packet, const TcpRow& tcp, Columns& columns) {
  const TcpSegment& segment = *packet.tcp;
  if (segment.payload.size() < segment.length) {  // truncated by the capture: no reassembly
    dissect(segment.payload, packet, tcp, columns);
    return;
  }
  const std::uint32_t begin = tcp.seq + ((segment.flags & tcp_flag::kSyn) != 0 ? 1U : 0U);
  Rest rest{.bytes = segment.payload,
            .seq = begin,
            .end = static_cast<std::uint32_t>(begin + segment.length)};
  Pdus& pdus = memories_[tcp.connection].pdus[tcp.is_reply ? 1 : 0];
  constexpr unsigned kSentAgain = tcp_note::kSpuriousRetransmission | tcp_note::kRetransmission;
  bool is_first = true;
  while ((tcp.notes & kSentAgain) == 0 && !was_seen(pdus, rest, packet.number)) {
    Pdu* pdu = find_pdu(pdus, rest.seq);
    if (pdu == nullptr) {
      const Wanted wanted = begin_pdu(pdus, rest, packet, tcp, columns);
      if (wanted.size != 0 && wanted.offset == 0)
        name_segment(columns, is_first);
      return;
    }
    pdu->last_packet = packet.number;
    const std::uint32_t size = rest.end - rest.seq;
    const std::uint32_t taken =
        pdu->accepts_all_of_next ? size : std::min(size, pdu->end - rest.seq);
    if (extend(*pdu, rest, taken)) {
      const std::vector<std::byte> whole = assemble(*pdu);
      pdu->looked_at += whole.size();
      const Wanted wanted = dissect(whole, packet, tcp, columns);
      if (wanted.size != 0) {
        // If some PDUs were complete, the remaining bytes become a new PDU.
        const auto wanted_from = pdu->begin + static_cast<std::uint32_t>(wanted.offset);
        if (wanted.offset != 0 && is_before(rest.seq, wanted_from))
          pdu = &split_off(pdus, *pdu, whole, wanted.offset);
        expect_more(*pdu, wanted.size, rest.seq + taken, rest.end);
        rest.skip(taken);
        if (!rest.bytes.empty())
          continue;
        if (wanted.offset == 0)
          name_segment(columns, is_first);
        return;
      }
      finish(*pdu);
    } else {
      name_segment(columns, is_first);
    }
    if (taken == 0 || !is_before(pdu->end, rest.end))
      return;
    rest.skip(pdu->end - rest.seq);  // continue with the bytes after the PDU
    columns.fence();
    columns.has_fixed_protocol = true;
    is_first = false;
  }
}

/// Whether an earlier packet contained a PDU that begins here and includes all these bytes.
bool RowWriter::was_seen(const Pdus& pdus, const Rest& rest, std::uint64_t packet) {
  const auto same = pdus.find(rest.seq);
  return same != pdus.end() && !is_before(same->second.end, rest.end) &&
         same->second.last_packet != packet;
}

/// The PDU that contains the byte at `seq`; null if there is none.
RowWriter::Pdu* RowWriter::find_pdu(Pdus& pdus, std::uint32_t seq) {
  auto found = pdus.find(seq);
  if (found == pdus.end()) {
    found = pdus.upper_bound(seq - 1);
    if (found == pdus.begin())
      return nullptr;
    --found;
  }
  Pdu& pdu = found->second;
  return !is_before(seq, pdu.begin) && is_before(seq, pdu.end) ? &pdu : nullptr;
}

/// Dissects bytes that belong to no PDU yet. If they are incomplete, starts a PDU with them.
Wanted RowWriter::begin_pdu(Pdus& pdus, const Rest& rest, const Packet& packet, const TcpRow& tcp,
                            Columns& columns) {
  const Wanted wanted = dissect(rest.bytes, packet, tcp, columns);
  const std::uint32_t begin = rest.seq + static_cast<std::uint32_t>(wanted.offset);
  if (wanted.size == 0 || rest.end - begin > kMaxPending)
    return wanted;
  Pdu pdu{.begin = begin, .last_packet = packet.number};
  pdu.accepts_all_of_next = wanted.size == Wanted::kOneMoreSegment;
  pdu.end = rest.end + (wanted.size == Wanted::kOneMoreSegment ? 1
                        : wanted.size == Wanted::kUntilFin     ? kFarAway
                                                               : wanted.size);
  add(pdu, 0, rest.bytes.subspan(wanted.offset));
  pdus[begin] = std::move(pdu);
  return wanted;
}

/// Adds the first `taken` bytes. Returns true if the PDU is now complete up to its known end.
bool RowWriter::extend(Pdu& pdu, const Rest& rest, std::uint32_t taken) {
  if (pdu.is_done || !add(pdu, rest.seq - pdu.begin, rest.bytes.first(taken)) ||
      is_before(rest.end, pdu.end)) {
    return false;
  }
  if (std::exchange(pdu.accepts_all_of_next, false) && is_before(pdu.end, rest.end))
    pdu.end = rest.end;
  return true;
}

/// Ends the PDU after `offset` bytes, and starts another one with the remaining bytes of `whole`. Returns the new PDU.
RowWriter::Pdu& RowWriter::split_off(Pdus& pdus, Pdu& pdu, Bytes whole, std::size_t offset) {
  const std::uint32_t begin = pdu.begin + static_cast<std::uint32_t>(offset);
  Pdu other{.begin = begin, .end = pdu.end, .last_packet = pdu.last_packet};
  add(other, 0, whole.subspan(offset));
  pdu.end = begin;
  finish(pdu);
  return pdus[begin] = std::move(other);
}

/// Moves the end of a PDU that needs `wanted` more bytes (as in Wanted::size), or stops its reassembly. `read_to`: the
/// end of the bytes added last.
void RowWriter::expect_more(Pdu& pdu, std::uint32_t wanted, std::uint32_t read_to,
                            std::uint32_t segment_end) {
  if (wanted == Wanted::kOneMoreSegment) {
    if (pdu.complete > kMaxPending || pdu.looked_at > kMaxLookedAt) {
      finish(pdu);  // a head without an end
      return;
    }
    pdu.end = std::max(segment_end, pdu.end) + 1;
    pdu.accepts_all_of_next = true;
  } else if (wanted == Wanted::kUntilFin) {
    pdu.end = pdu.begin + kFarAway;
  } else if (!is_before(read_to, pdu.end)) {
    pdu.end = read_to + wanted;
  } else {
    pdu.end += wanted;
  }
}

/// Stops the reassembly of a PDU.
void RowWriter::finish(Pdu& pdu) {
  pdu.is_done = true;
  pdu.parts.clear();
}

/// Dissects a message that the FIN completes: it has no declared length.
void RowWriter::handle_fin(const Packet& packet, const TcpRow& tcp, Columns& columns) {
  if ((packet.tcp->flags & tcp_flag::kFin) == 0)
    return;
  Memory& memory = memories_[tcp.connection];
  if (!std::exchange(memory.until_fin[tcp.is_reply ? 1 : 0], false))
    return;
  std::map<std::uint32_t, Pdu>& pdus = memory.pdus[tcp.is_reply ? 1 : 0];
  const auto after = pdus.upper_bound(tcp.seq - 1);
  if (after == pdus.begin())
    return;
  Pdu& pdu = std::prev(after)->second;
  if (pdu.is_done || is_before(pdu.end, tcp.seq))
    return;
  std::vector<std::byte> whole = assemble(pdu);
  whole.insert(whole.end(), packet.tcp->payload.begin(), packet.tcp->payload.end());
  pdu.is_done = true;
  dissect(whole, packet, tcp, columns);
}

Wanted RowWriter::dissect(Bytes bytes, const Packet& packet, const TcpRow& tcp, Columns& columns) {
  // Like Wireshark, do not dissect late segments, which would disturb the state, or the garbage byte of a keep-alive.
  constexpr unsigned kNotDissected =
      tcp_note::kRetransmission | tcp_note::kOutOfOrder | tcp_note::kKeepAlive;
  if ((tcp.notes & kNotDissected) != 0)
    return {};
  Memory& memory = memories_[tcp.connection];
  const TcpSegment& segment = *packet.tcp;
  const Wanted wanted = memory.dissector.dissect(bytes,
                                                 {.source_port = segment.source_port,
                                                  .destination_port = segment.destination_port,
                                                  .server_port = tcp.connection->server_port,
                                                  .is_cut = segment.payload.size() < segment.length,
                                                  .is_last = (segment.flags & tcp_flag::kFin) != 0},
                                                 columns);
  memory.until_fin[tcp.is_reply ? 1 : 0] |= wanted.size == Wanted::kUntilFin;
  return wanted;
}

std::string time_text(std::int64_t time_ns, int digits) {
  if (digits == CapturedPacket::kNoTime)
    return "";
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t since = time_ns < 0 ? -time_ns : time_ns;
  std::string fraction = std::to_string(since % kSecond);
  fraction.insert(0, 9 - fraction.size(), '0');
  fraction.resize(static_cast<std::size_t>(digits));
  return (time_ns < 0 ? "-" : "") + std::to_string(since / kSecond) +
         (digits > 0 ? "." + fraction : "");
}

std::string to_line(const Row& row, int time_digits) {
  const auto pad_left = [](const std::string& text, std::size_t width) {
    return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
  };
  std::string destination = row.destination;
  if (destination.size() < 12)
    destination.append(12 - destination.size(), ' ');
  return pad_left(std::to_string(row.number), 5) + " " +
         pad_left(time_text(row.time_ns, time_digits), 10) + " " + pad_left(row.source, 12) +
         " → " + destination + " " + row.protocol + " " + std::to_string(row.length) + " " +
         row.info;
}

}  // namespace ws::trace
