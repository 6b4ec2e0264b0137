#include "tools/wstrace/tcp.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>
#include <utility>

namespace ws::trace {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

/// Calls `visit(kind, data)` with each TCP option. RFC 9293 §3.2
template <typename Visit>
void for_each_option(std::span<const std::byte> options, Visit visit) {
  while (!options.empty()) {
    const auto kind = std::to_integer<unsigned>(options[0]);
    if (kind == 0)  // end of the option list
      return;
    if (kind == 1) {  // no-operation: padding
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2)
      return;
    const auto size = std::to_integer<std::size_t>(options[1]);
    if (size < 2 || size > options.size())
      return;
    visit(kind, options.subspan(2, size - 2));
    options = options.subspan(size);
  }
}

namespace tcp_option {
constexpr unsigned kMaximumSegmentSize = 2;
constexpr unsigned kWindowScale = 3;  // RFC 7323 §2
constexpr unsigned kSackPermitted = 4;
constexpr unsigned kSack = 5;           // RFC 2018
constexpr unsigned kTimestamps = 8;     // RFC 7323 §3
constexpr unsigned kMd5Signature = 19;  // RFC 2385
constexpr unsigned kUserTimeout = 28;   // RFC 5482
constexpr unsigned kFastOpen = 34;      // RFC 7413
constexpr unsigned kExperiment1 = 253;  // RFC 6994
constexpr unsigned kExperiment2 = 254;
constexpr unsigned kFastOpenExperiment = 0xF989;  // the experiment's id, RFC 7413 appendix A
}  // namespace tcp_option

/// Wireshark's text for an experimental option, which begins with an id of 16 bits. RFC 6994 §3
std::string experiment_text(std::span<const std::byte> data) {
  if (data.size() < 2)
    return "";
  const std::uint32_t id = read_number(data.first(2));
  if (id == tcp_option::kFastOpenExperiment)
    return data.size() == 2 ? " TFO=R" : " TFO=C";
  std::array<char, sizeof " ExID=FFFF"> text{};
  static_cast<void>(std::snprintf(text.data(), text.size(), " ExID=%X", id));
  return text.data();
}

bool has(const TcpSegment& tcp, unsigned flags) {
  return (tcp.flags & flags) != 0;
}

/// Notes on windows, gaps, keep-alives and duplicate ACKs, by the rules of Wireshark.
void compare_ack(const TcpSegment& tcp, TcpRow& row) {
  TcpFlow& sent = row.sent();
  const TcpFlow& answered = row.answered();
  const bool is_bare =
      tcp.length == 0 && !has(tcp, tcp_flag::kSyn | tcp_flag::kFin | tcp_flag::kRst);
  const bool repeats = is_bare && tcp.seq == sent.next && tcp.ack == sent.last_ack;

  if (tcp.length == 1 && tcp.seq == sent.next && answered.window == 0) {
    row.notes |= tcp_note::kZeroWindowProbe;
    return;
  }
  if (tcp.window == 0 && !has(tcp, tcp_flag::kSyn | tcp_flag::kFin | tcp_flag::kRst))
    row.notes |= tcp_note::kZeroWindow;
  if (sent.next != 0 && is_before(sent.next, tcp.seq) && !has(tcp, tcp_flag::kRst))
    row.notes |= tcp_note::kLostSegment;
  if (tcp.length <= 1 && tcp.seq == sent.next - 1 &&
      !has(tcp, tcp_flag::kSyn | tcp_flag::kFin | tcp_flag::kRst)) {
    row.notes |= tcp_note::kKeepAlive;
  }
  if (repeats && tcp.window != 0 && tcp.window != sent.window)
    row.notes |= tcp_note::kWindowUpdate;
  if (tcp.length > 0 && answered.window_scale != TcpFlow::kUnknownScale &&
      !has(tcp, tcp_flag::kSyn | tcp_flag::kFin | tcp_flag::kRst)) {
    const int scale = answered.awaits_first_ack ? 0 : std::max(answered.window_scale, 0);
    const std::uint32_t edge = answered.last_ack + (answered.window << scale);
    if (tcp.seq + static_cast<std::uint32_t>(tcp.length) == edge)
      row.notes |= tcp_note::kWindowFull;
  }
  if (!repeats || tcp.window != sent.window)
    return;
  if (tcp.window != 0 && (answered.last_notes & tcp_note::kKeepAlive) != 0) {
    row.notes |= tcp_note::kKeepAliveAck;
  } else if (tcp.window == 0 && (answered.last_notes & tcp_note::kZeroWindowProbe) != 0) {
    row.notes |= tcp_note::kZeroWindowProbeAck;
  } else if (tcp.window != 0) {
    sent.duplicate_acks = sent.duplicate_acks < 0 ? 1 : sent.duplicate_acks + 1;
    row.notes |= tcp_note::kDuplicateAck;
    row.duplicate_number = sent.duplicate_acks;
    row.duplicate_of = sent.first_ack_packet;
  }
}

/// Notes an ACK of bytes that the capture lacks.
void compare_acked(const TcpSegment& tcp, TcpRow& row) {
  TcpFlow& answered = row.answered();
  if (answered.contiguous == 0 || !is_before(answered.contiguous, tcp.ack) ||
      !has(tcp, tcp_flag::kAck)) {
    return;
  }
  // Noted once per gap.
  if (is_before(answered.contiguous, answered.next)) {
    answered.contiguous = answered.next;
    row.notes |= tcp_note::kAckedLostSegment;
  } else {
    if (answered.duplicate_acks == 0)
      row.notes |= tcp_note::kAckedLostSegment;
    answered.duplicate_acks = -1;
  }
}

/// Notes data, SYN or FIN with an old sequence number: retransmitted, or out of order.
void compare_repeated(const TcpSegment& tcp, std::int64_t now, TcpRow& row) {
  const TcpFlow& sent = row.sent();
  const TcpFlow& answered = row.answered();
  const auto length = static_cast<std::uint32_t>(tcp.length);
  if ((length == 0 && !has(tcp, tcp_flag::kSyn | tcp_flag::kFin)) ||
      (row.notes & tcp_note::kKeepAlive) != 0) {
    return;
  }
  // A segment that begins with the byte of a zero window probe is new.
  const bool is_old =
      sent.next != 0 && is_before(tcp.seq, sent.next) && !(length > 1 && tcp.seq == sent.next - 1);
  if (length > 0 && answered.last_ack != 0 && !is_before(answered.last_ack, tcp.seq + length)) {
    row.notes |= tcp_note::kSpuriousRetransmission;
    return;
  }
  if (!is_old)
    return;

  constexpr std::int64_t kFast = 20 * kMillisecond;
  constexpr std::int64_t kReordered = 3 * kMillisecond;
  const std::int64_t patience =
      row.connection->round_trip_ns == 0 ? kReordered : row.connection->round_trip_ns;
  const std::uint32_t end =
      tcp.seq + length + (has(tcp, tcp_flag::kSyn | tcp_flag::kFin) ? 1U : 0U);
  const auto since = [now](std::int64_t then) {
    // Unsigned: if the clock was set back, the age is nearly 2^64, not negative.
    return static_cast<std::uint64_t>(now - then);
  };
  // After an ACK of unseen bytes (-1), the capture may lack any number of duplicate ACKs.
  const bool are_duplicates = answered.duplicate_acks >= 2 || answered.duplicate_acks < 0;
  if (are_duplicates && answered.last_ack == tcp.seq && since(answered.last_ack_at) < kFast) {
    row.notes |= tcp_note::kFastRetransmission;
  } else if (since(sent.next_at) < static_cast<std::uint64_t>(patience) && sent.next != end) {
    row.notes |= tcp_note::kOutOfOrder;
  } else {
    row.notes |= tcp_note::kRetransmission;
  }
}

void remember(const TcpSegment& tcp, std::int64_t now, const TcpRow& row) {
  TcpFlow& sent = row.sent();
  const std::uint32_t end = tcp.seq + static_cast<std::uint32_t>(tcp.length) +
                            (has(tcp, tcp_flag::kSyn | tcp_flag::kFin) ? 1U : 0U);
  const bool is_probe = (row.notes & tcp_note::kZeroWindowProbe) != 0;
  if ((is_before(sent.next, end) || sent.next == 0) && !is_probe) {
    sent.next = end;
    sent.next_at = now;
  }
  if ((tcp.seq == sent.contiguous || sent.contiguous == 0) && !is_probe)
    sent.contiguous = sent.next;
  sent.window = tcp.window;
  sent.last_ack = tcp.ack;
  sent.last_ack_at = now;
  sent.last_notes = row.notes;
}

/// Reads the window scale. Windows are scaled only if both SYNs have the option. RFC 7323 §2.2
void read_window_scale(const TcpSegment& tcp, const TcpRow& row) {
  TcpFlow& sent = row.sent();
  TcpFlow& answered = row.answered();
  for_each_option(tcp.options, [&](unsigned kind, std::span<const std::byte> data) {
    if (kind == tcp_option::kWindowScale && data.size() == 1)
      sent.window_scale = std::min(std::to_integer<int>(data[0]), 14);
  });
  if (!has(tcp, tcp_flag::kSyn))
    return;
  if (sent.window_scale == TcpFlow::kUnknownScale) {
    sent.window_scale = answered.window_scale = TcpFlow::kNoScale;
  } else if (has(tcp, tcp_flag::kAck) && answered.window_scale == TcpFlow::kNoScale) {
    sent.window_scale = TcpFlow::kNoScale;
  }
}

}  // namespace

TcpConnection& TcpTracker::begin(const Key& key, const Packet& packet) {
  std::unique_ptr<TcpConnection>& place = connections_[key];
  if (place != nullptr)
    replaced_.push_back(std::move(place));
  place = std::make_unique<TcpConnection>();
  place->number = count_++;
  place->first_source = packet.source;
  place->first_port = packet.tcp->source_port;
  return *place;
}

/// Finds the connection and the direction. A SYN with another sequence number starts a new connection.
TcpRow TcpTracker::find(const Packet& packet) {
  const TcpSegment& tcp = *packet.tcp;
  const auto here = std::pair(packet.source, tcp.source_port);
  const auto there = std::pair(packet.destination, tcp.destination_port);
  const auto& [low, high] = std::minmax(here, there);
  const Key key(low.first, low.second, high.first, high.second);

  TcpRow row;
  const auto found = connections_.find(key);
  row.connection = found != connections_.end() ? found->second.get() : &begin(key, packet);
  const auto find_direction = [&] {
    row.is_reply = here != std::pair(row.connection->first_source, row.connection->first_port);
  };
  find_direction();
  if (!has(tcp, tcp_flag::kSyn) || !row.sent().has_base)
    return row;
  const bool is_ack = has(tcp, tcp_flag::kAck);
  if (row.sent().base != tcp.seq) {
    row.notes |= tcp_note::kPortsReused;
    if (is_ack) {
      row.sent().base = tcp.seq;
    } else {
      row.connection = &begin(key, packet);
      find_direction();
    }
  } else if (!is_ack) {
    row.sent().next = row.sent().contiguous;  // a RST may have changed it
  }
  return row;
}

TcpRow TcpTracker::take(const Packet& packet) {
  const TcpSegment& tcp = *packet.tcp;
  const bool is_syn = has(tcp, tcp_flag::kSyn);
  const bool is_ack = has(tcp, tcp_flag::kAck);
  TcpRow row = find(packet);
  TcpFlow& sent = row.sent();
  TcpFlow& answered = row.answered();
  if (!sent.has_base) {
    sent.base = is_syn ? tcp.seq : tcp.seq - 1;
    sent.has_base = true;
  }
  if (!answered.has_base && is_ack) {
    answered.base = tcp.ack - 1;
    answered.has_base = true;
  }

  compare_ack(tcp, row);
  if (tcp.ack != sent.last_ack) {
    sent.first_ack_packet = packet.number;
    sent.duplicate_acks = 0;
  }
  compare_acked(tcp, row);
  compare_repeated(tcp, packet.time_ns, row);
  remember(tcp, packet.time_ns, row);

  row.seq = tcp.seq - sent.base;
  row.ack = is_ack ? tcp.ack - answered.base : tcp.ack;
  row.window = is_syn ? tcp.window : std::uint32_t{tcp.window} << std::max(sent.window_scale, 0);
  if (is_syn) {
    row.connection->server_port = is_ack ? tcp.source_port : tcp.destination_port;
    if (!is_ack)
      row.connection->syn_at = packet.time_ns;
    sent.awaits_first_ack = true;
  } else if (is_ack) {
    if (row.connection->syn_at != 0 && row.connection->round_trip_ns == 0)
      row.connection->round_trip_ns = packet.time_ns - row.connection->syn_at;
    sent.awaits_first_ack = false;
  }
  read_window_scale(tcp, row);
  return row;
}

bool is_from_client(const TcpSegment& tcp, const TcpRow& row) {
  const std::uint16_t server_port = row.connection->server_port;
  return server_port != 0 ? tcp.source_port != server_port
                          : tcp.source_port >= tcp.destination_port;
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> tcp_timestamps(const TcpSegment& tcp) {
  std::optional<std::pair<std::uint32_t, std::uint32_t>> found;
  for_each_option(tcp.options, [&](unsigned kind, std::span<const std::byte> data) {
    if (kind == tcp_option::kTimestamps && data.size() == 8)
      found = {read_number(data.first(4)), read_number(data.subspan(4))};
  });
  return found;
}

std::string tcp_flags(unsigned flags) {
  constexpr std::array<std::string_view, 9> kNames = {"FIN", "SYN", "RST", "PSH", "ACK",
                                                      "URG", "ECE", "CWR", "AE"};
  std::string text;
  const auto add = [&text](std::string_view name) {
    if (!text.empty())
      text += ", ";
    text += name;
  };
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if ((flags >> i & 1U) != 0)
      add(kNames[i]);
  }
  if ((flags & 0xE00U) != 0)
    add("Reserved");
  return text.empty() ? "<None>" : text;
}

std::string tcp_info(const TcpSegment& tcp, const TcpRow& row) {
  std::string text = std::to_string(tcp.source_port) + " → " +
                     std::to_string(tcp.destination_port) + " [" + tcp_flags(tcp.flags) + "]";
  const auto add = [&text](std::string_view name, std::uint64_t value) {
    text += ' ';
    text += name;
    text += '=';
    text += std::to_string(value);
  };
  add("Seq", row.seq);
  if (has(tcp, tcp_flag::kAck))
    add("Ack", row.ack);
  add("Win", row.window);
  if (tcp.header_length < 20) {
    return text + ", bogus TCP header length (" + std::to_string(tcp.header_length) +
           ", must be at least 20)";
  }
  if (has(tcp, tcp_flag::kUrg))
    add("Urg", tcp.urgent_pointer);
  add("Len", tcp.length);
  for_each_option(tcp.options, [&](unsigned kind, std::span<const std::byte> data) {
    if (kind == tcp_option::kMaximumSegmentSize && data.size() == 2) {
      add("MSS", read_number(data));
    } else if (kind == tcp_option::kWindowScale && data.size() == 1) {
      add("WS", std::uint64_t{1} << std::min(std::to_integer<unsigned>(data[0]), 14U));
    } else if (kind == tcp_option::kSackPermitted) {
      text += " SACK_PERM";
    } else if (kind == tcp_option::kTimestamps && data.size() == 8) {
      add("TSval", read_number(data.first(4)));
      add("TSecr", read_number(data.subspan(4)));
    } else if (kind == tcp_option::kSack) {
      for (; data.size() >= 8; data = data.subspan(8)) {
        add("SLE", read_number(data.first(4)) - row.answered().base);
        add("SRE", read_number(data.subspan(4, 4)) - row.answered().base);
      }
    } else if (kind == tcp_option::kMd5Signature) {
      text += " MD5";
    } else if (kind == tcp_option::kUserTimeout && data.size() == 2) {
      add("USER_TO", read_number(data) & 0x7FFFU);  // the first bit is the unit: seconds or minutes
    } else if (kind == tcp_option::kFastOpen) {
      text += data.empty() ? " TFO=R" : " TFO=C";  // a request for a cookie, or a cookie
    } else if (kind == tcp_option::kExperiment1 || kind == tcp_option::kExperiment2) {
      text += experiment_text(data);
    }
  });
  return text;
}

std::string tcp_notes(const TcpRow& row) {
  constexpr std::array<std::string_view, 15> kTexts = {
      "Port numbers reused",  "Retransmission",
      "Fast Retransmission",  "Spurious Retransmission",
      "Out-Of-Order",         "Previous segment not captured",
      "ACKed unseen segment", "Window Update",
      "Window Full",          "Keep-Alive",
      "Keep-Alive ACK",       "Dup ACK ",
      "ZeroWindowProbe",      "ZeroWindow",
      "ZeroWindowProbeAck"};
  std::string text;
  for (std::size_t i = kTexts.size(); i-- > 0;) {  // Wireshark prepends each note
    if ((row.notes >> i & 1U) == 0)
      continue;
    text += "[TCP ";
    text += kTexts[i];
    if (1U << i == tcp_note::kDuplicateAck)
      text += std::to_string(row.duplicate_of) + "#" + std::to_string(row.duplicate_number);
    text += "] ";
  }
  return text;
}

}  // namespace ws::trace
