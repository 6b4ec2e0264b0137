#include "tools/wstrace_rows.h"

#include <algorithm>
#include <utility>

namespace ws {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kMaxInfo = 4095;
/// A PDU whose first segment is larger is not put together, nor one whose end nobody knows.
constexpr std::uint32_t kMaxPending = 1024 * 1024;
/// A head is read anew with each segment that it goes on in: so many bytes in all, and nobody sends such. A head of
/// 8 KiB that comes byte by byte takes half of it.
constexpr std::uint64_t kMaxLookedAt = 64 * 1024 * 1024;
constexpr std::uint32_t kFarAway = 0x40000000;  ///< where a PDU ends that lasts until the FIN

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
    row.info = columns.fenced + columns.info + std::string(kPacketCut);
    return row;
  }
  take_fin(packet, *tcp, columns);
  if (!packet.tcp->payload.empty() && (packet.tcp->flags & tcp_flag::kRst) == 0)
    take_payload(packet, *tcp, columns);
  row.protocol = columns.protocol;
  row.info = columns.fenced + columns.info;
  if (row.info.size() > kMaxInfo) {
    std::size_t size = kMaxInfo;
    while ((static_cast<unsigned char>(row.info[size]) & 0xC0U) == 0x80U)
      --size;  // inside a character, which Wireshark leaves cut
    row.info.resize(size);
  }
  return row;
}

/// Adds what a segment brings and was not there; true if nothing is missing up to `end`.
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

/// The bytes from `begin` on, up to the first gap.
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

void RowWriter::take_payload(const Packet& packet, const TcpRow& tcp, Columns& columns) {
  Memory& memory = memories_[tcp.connection];
  std::map<std::uint32_t, Pdu>& pdus = memory.pdus[tcp.is_reply ? 1 : 0];
  Bytes bytes = packet.tcp->payload;
  std::uint32_t seq = tcp.seq + ((packet.tcp->flags & tcp_flag::kSyn) != 0 ? 1U : 0U);
  const auto next = static_cast<std::uint32_t>(seq + packet.tcp->length);
  if (bytes.size() < packet.tcp->length) {  // cut by the capture: nothing can be put together
    dissect(bytes, packet, tcp, columns);
    return;
  }

  bool is_first = true;
  for (;;) {
    const auto same = pdus.find(seq);
    if (same != pdus.end() && !is_before(same->second.end, next) &&
        same->second.last_packet != packet.number) {
      return;  // a PDU that begins here has been seen
    }
    if ((tcp.notes & (tcp_note::kSpuriousRetransmission | tcp_note::kRetransmission)) != 0)
      return;
    Pdu* pdu = nullptr;
    if (same != pdus.end()) {
      pdu = &same->second;
    } else if (const auto after = pdus.upper_bound(seq - 1); after != pdus.begin()) {
      pdu = &std::prev(after)->second;
    }

    Wanted wanted;
    bool is_dissected = false;
    bool is_complete = false;
    std::uint32_t taken = 0;
    std::uint32_t following = 0;
    if (pdu != nullptr && !is_before(seq, pdu->begin) && is_before(seq, pdu->end)) {
      pdu->last_packet = packet.number;
      taken = pdu->takes_all_of_next ? static_cast<std::uint32_t>(bytes.size())
                                     : std::min(next - seq, pdu->end - seq);
      is_complete = !pdu->is_done && add(*pdu, seq - pdu->begin, bytes.first(taken)) &&
                    !is_before(next, pdu->end);
      if (is_complete && pdu->takes_all_of_next) {
        pdu->takes_all_of_next = false;
        if (is_before(pdu->end, next))
          pdu->end = next;
      }
      if (is_before(pdu->end, next) && taken > 0)
        following = pdu->end - seq;
    } else {
      pdu = nullptr;
      wanted = dissect(bytes, packet, tcp, columns);
      is_dissected = true;
      if (wanted.size != 0) {
        const std::uint32_t begin = seq + static_cast<std::uint32_t>(wanted.offset);
        if (next - begin <= kMaxPending) {
          Pdu fresh{.begin = begin, .last_packet = packet.number};
          fresh.takes_all_of_next = wanted.size == Wanted::kOneMoreSegment;
          fresh.end = next + (wanted.size == Wanted::kOneMoreSegment ? 1
                              : wanted.size == Wanted::kUntilFin     ? kFarAway
                                                                     : wanted.size);
          add(fresh, 0, bytes.subspan(wanted.offset));
          pdus[begin] = std::move(fresh);
        }
      }
    }

    if (is_complete) {
      const std::vector<std::byte> whole = assemble(*pdu);
      pdu->looked_at += whole.size();
      wanted = dissect(whole, packet, tcp, columns);
      is_dissected = true;
      if (wanted.size == 0) {
        pdu->is_done = true;
        pdu->parts.clear();
      } else {
        if (wanted.offset != 0 &&
            is_before(seq, pdu->begin + static_cast<std::uint32_t>(wanted.offset))) {
          // Some of it was understood; the rest begins a PDU of its own.
          const std::uint32_t begin = pdu->begin + static_cast<std::uint32_t>(wanted.offset);
          Pdu rest{.begin = begin, .end = pdu->end, .last_packet = packet.number};
          add(rest, 0, Bytes(whole).subspan(wanted.offset));
          pdu->end = begin;
          pdu->is_done = true;
          pdu->parts.clear();
          pdu = &(pdus[begin] = std::move(rest));
        }
        if (wanted.size == Wanted::kOneMoreSegment &&
            (pdu->complete > kMaxPending || pdu->looked_at > kMaxLookedAt)) {
          pdu->is_done = true;  // a head without an end
          pdu->parts.clear();
        } else if (wanted.size == Wanted::kOneMoreSegment) {
          pdu->end = std::max(next, pdu->end) + 1;
          pdu->takes_all_of_next = true;
        } else if (wanted.size == Wanted::kUntilFin) {
          pdu->end = pdu->begin + kFarAway;
        } else if (!is_before(seq + taken, pdu->end)) {
          pdu->end = seq + taken + wanted.size;
        } else {
          pdu->end += wanted.size;
        }
        following = 0;
        bytes = bytes.subspan(taken);
        seq += taken;
        if (!bytes.empty())
          continue;
      }
    }

    if ((!is_dissected || wanted.size != 0) && wanted.offset == 0) {
      columns.set_protocol("TCP");
      if (is_first)
        columns.info += (columns.fenced + columns.info).empty()
                            ? "[TCP segment of a reassembled PDU]"
                            : " [TCP segment of a reassembled PDU]";
    }
    if (following == 0)
      return;
    columns.fence();
    columns.has_fixed_protocol = true;
    is_first = false;
    bytes = bytes.subspan(following);
    seq += following;
  }
}

/// The FIN ends a message whose length nobody told.
void RowWriter::take_fin(const Packet& packet, const TcpRow& tcp, Columns& columns) {
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
  // What comes late might mislead whoever reads on, and a keep-alive's byte is garbage: Wireshark shows bytes.
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
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t since = time_ns < 0 ? -time_ns : time_ns;
  std::string fraction = std::to_string(since % kSecond / (digits == 9 ? 1 : 1000));
  fraction.insert(0, static_cast<std::size_t>(digits) - fraction.size(), '0');
  return (time_ns < 0 ? "-" : "") + std::to_string(since / kSecond) + "." + fraction;
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

}  // namespace ws
