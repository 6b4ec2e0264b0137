#include "tools/wstrace/rows.h"

#include <algorithm>
#include <utility>

namespace ws::trace {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kMaxInfo = 4095;

/// Marks a row whose bytes belong to an incomplete PDU. The text is added only for the first PDU of a row.
void name_segment(Columns& columns, bool is_first) {
  columns.set_protocol("TCP");
  if (!is_first)
    return;
  const bool is_empty = columns.fenced.empty() && columns.info.empty();
  columns.info +=
      is_empty ? "[TCP segment of a reassembled PDU]" : " [TCP segment of a reassembled PDU]";
}

/// Shows the reassembly error of a packet with bytes of a PDU that is already complete. Returns true if there is one.
bool name_error(Pdu::Added added, Columns& columns) {
  if (added == Pdu::Added::kOverlapsOld) {
    columns.info +=
        "[Reassembly error, protocol TCP: New fragment overlaps old data (retransmission?)]";
  } else if (added == Pdu::Added::kPastOldLimits) {
    columns.info += "[Reassembly error, protocol TCP: New fragment past old data limits]";
  } else {
    return false;
  }
  return true;
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
  const bool is_finished =
      (packet.tcp->flags & tcp_flag::kFin) != 0 && handle_fin(packet, *tcp, columns);
  if (!is_finished && !packet.tcp->payload.empty() && (packet.tcp->flags & tcp_flag::kRst) == 0)
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

/// Dissects the payload, alone or joined with earlier segments.
void RowWriter::add_payload(const Packet& packet, const TcpRow& tcp, Columns& columns) {
  const TcpSegment& segment = *packet.tcp;
  const std::uint32_t begin = tcp.seq + ((segment.flags & tcp_flag::kSyn) != 0 ? 1U : 0U);
  Rest rest{.bytes = segment.payload,
            .seq = begin,
            .end = static_cast<std::uint32_t>(begin + segment.length)};
  PduTable& pdus = memories_[tcp.connection].pdus[tcp.is_reply ? 1 : 0];
  if (segment.payload.size() <
      segment.length) {  // truncated by the capture: not joined with others
    const Wanted wanted = dissect(segment.payload, packet, tcp, columns);
    if (wanted.size != 0)
      pdus.skip(rest.seq, rest.end + wanted.size, packet.number);
    return;
  }
  constexpr unsigned kSentAgain = tcp_note::kSpuriousRetransmission | tcp_note::kRetransmission;
  while (!rest.bytes.empty() && (tcp.notes & kSentAgain) == 0 &&
         !pdus.was_seen(rest.seq, rest.end, packet.number)) {
    Pdu* const pdu = pdus.find(rest.seq);
    if (pdu != nullptr && is_before(rest.seq, pdu->end())) {
      extend(pdus, *pdu, rest, packet, tcp, columns);
    } else {
      begin_pdu(pdus, rest, packet, tcp, columns);
    }
  }
}

/// Dissects bytes that belong to no PDU yet. If they are incomplete, starts a PDU with them.
void RowWriter::begin_pdu(PduTable& pdus, Rest& rest, const Packet& packet, const TcpRow& tcp,
                          Columns& columns) {
  const Wanted wanted = dissect(rest.bytes, packet, tcp, columns);
  if (wanted.size != 0) {
    pdus.begin(rest.bytes.subspan(wanted.offset), rest.end, wanted, packet.number);
    if (wanted.offset == 0)
      name_segment(columns, rest.is_first);
  }
  rest.bytes = {};
}

/// Adds the first bytes of `rest` to the PDU that they continue, and dissects the PDU if it is complete now. Removes
/// the handled bytes from `rest`.
void RowWriter::extend(PduTable& pdus, Pdu& pdu, Rest& rest, const Packet& packet,
                       const TcpRow& tcp, Columns& columns) {
  pdu.last_packet = packet.number;
  const std::uint32_t size = rest.end - rest.seq;
  const std::uint32_t taken =
      pdu.accepts_all_of_next() ? size : std::min(size, pdu.end() - rest.seq);
  const Pdu::Added added =
      pdu.add(rest.seq, rest.bytes.first(taken), !is_before(rest.end, pdu.end()), packet.number);
  if (name_error(added, columns)) {
    rest.bytes = {};
    return;
  }
  if (added == Pdu::Added::kIncomplete) {
    name_segment(columns, rest.is_first);
  } else {
    const std::size_t whole = pdu.whole().size();
    pdu.count_dissected(whole - std::min(whole, pdu.chunks_read()));
    const Wanted wanted = dissect(pdu.whole(), packet, tcp, columns, pdu.chunks_read());
    if (wanted.size != 0 && wanted.offset <= whole - taken) {
      pdus.lasts_until_fin |= wanted.size == Wanted::kUntilFin;
      pdu.continue_with(wanted, rest.seq + taken, rest.end);
      rest.skip(taken);
      if (rest.bytes.empty() && wanted.offset == 0)
        name_segment(columns, rest.is_first);
      return;
    }
    pdu.finish();
    // If some PDUs were complete, the remaining bytes become a new PDU.
    if (wanted.size != 0)
      pdus.begin(rest.bytes.last(std::min(whole - wanted.offset, rest.bytes.size())), rest.end,
                 wanted, packet.number);
  }
  if (!is_before(pdu.end(), rest.end)) {
    rest.bytes = {};
    return;
  }
  rest.skip(pdu.end() - rest.seq);  // continue with the bytes after the PDU
  rest.is_first = false;
  columns.fence();
  columns.has_fixed_protocol = true;
}

/// Completes a message that lasts until the FIN: it has no declared length. Returns true if the row is finished.
bool RowWriter::handle_fin(const Packet& packet, const TcpRow& tcp, Columns& columns) {
  PduTable& pdus = memories_[tcp.connection].pdus[tcp.is_reply ? 1 : 0];
  if (!pdus.lasts_until_fin || pdus.fin_packet != 0)
    return false;
  pdus.fin_packet = packet.number;
  Pdu* const pdu = pdus.find_before(tcp.seq);
  if (pdu == nullptr)
    return false;
  const Pdu::Added added = pdu->add(tcp.seq, packet.tcp->payload, true, packet.number);
  if (added == Pdu::Added::kComplete) {
    dissect(pdu->whole(), packet, tcp, columns);
    pdu->finish();
  }
  return name_error(added, columns) || added == Pdu::Added::kComplete;
}

Wanted RowWriter::dissect(Bytes bytes, const Packet& packet, const TcpRow& tcp, Columns& columns,
                          std::size_t chunks_read) {
  // Like Wireshark, do not dissect late segments, which would disturb the state, or the garbage byte of a keep-alive.
  constexpr unsigned kNotDissected =
      tcp_note::kRetransmission | tcp_note::kOutOfOrder | tcp_note::kKeepAlive;
  if ((tcp.notes & kNotDissected) != 0)
    return {};
  Memory& memory = memories_[tcp.connection];
  const TcpSegment& segment = *packet.tcp;
  return memory.dissector.dissect(bytes,
                                  {.source_port = segment.source_port,
                                   .destination_port = segment.destination_port,
                                   .server_port = tcp.connection->server_port,
                                   .missing = segment.length - segment.payload.size(),
                                   .is_last = (segment.flags & tcp_flag::kFin) != 0,
                                   .chunks_read = chunks_read},
                                  columns);
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
