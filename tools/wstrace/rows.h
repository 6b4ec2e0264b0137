// Generates the rows that Wireshark shows: one per packet, with the same columns and wording.
//
// By default, Wireshark dissects segments in the order of the capture, without reordering. A PDU of several segments is
// named in the row of its last segment. (wstrace_frames.h, in contrast, reorders segments.)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/wstrace/columns.h"
#include "tools/wstrace/packet.h"
#include "tools/wstrace/tcp.h"

namespace ws::trace {

struct Row {
  std::uint64_t number = 0;
  std::int64_t time_ns = 0;  ///< since the first packet
  std::string source{};
  std::string destination{};
  std::string protocol{};
  std::size_t length = 0;
  std::string info{};  ///< printable UTF-8, like the other columns: external text is escaped
};

/// Seconds with `digits` decimals (0 to 9), such as "1.234567"; empty for CapturedPacket::kNoTime.
[[nodiscard]] std::string time_text(std::int64_t time_ns, int digits);
/// The row as `tshark -r FILE` prints it, without the line feed. `time_digits`: see `time_text`.
[[nodiscard]] std::string to_line(const Row& row, int time_digits);

class RowWriter {
 public:
  /// Returns the row of the next packet. `tcp`: the result of TcpTracker, if the packet has a TCP segment.
  Row take(const Packet& packet, const std::optional<TcpRow>& tcp);

 private:
  /// A PDU of more than one segment. Numbers are relative sequence numbers.
  struct Pdu {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;             ///< as far as it is known
    bool accepts_all_of_next = false;  ///< the end is unknown: add the whole next segment
    bool is_done = false;
    std::uint64_t last_packet = 0;
    std::uint64_t looked_at = 0;  ///< bytes dissected, including repetitions
    std::uint32_t complete = 0;   ///< contiguous bytes from `begin` on
    /// Received bytes by offset, without overlaps. A length declared in a packet allocates no memory.
    std::map<std::uint32_t, std::vector<std::byte>> parts{};
  };
  using Pdus = std::map<std::uint32_t, Pdu>;  ///< of one direction, by `begin`
  /// State of a connection. Per direction: whether a message lasts until the FIN, and the PDUs.
  struct Memory {
    ColumnDissector dissector;
    bool until_fin[2] = {false, false};
    Pdus pdus[2];
  };

  /// The part of a segment's payload that is not dissected yet.
  struct Rest {
    std::span<const std::byte> bytes;
    std::uint32_t seq = 0;  ///< of the first byte
    std::uint32_t end = 0;  ///< of the byte after the last one
    void skip(std::uint32_t size) {
      bytes = bytes.subspan(size);
      seq += size;
    }
  };

  void add_payload(const Packet& packet, const TcpRow& tcp, Columns& columns);
  static bool was_seen(const Pdus& pdus, const Rest& rest, std::uint64_t packet);
  static Pdu* find_pdu(Pdus& pdus, std::uint32_t seq);
  Wanted begin_pdu(Pdus& pdus, const Rest& rest, const Packet& packet, const TcpRow& tcp,
                   Columns& columns);
  static bool extend(Pdu& pdu, const Rest& rest, std::uint32_t taken);
  static Pdu& split_off(Pdus& pdus, Pdu& pdu, std::span<const std::byte> whole, std::size_t offset);
  static void expect_more(Pdu& pdu, std::uint32_t wanted, std::uint32_t read_to,
                          std::uint32_t segment_end);
  static void finish(Pdu& pdu);
  void handle_fin(const Packet& packet, const TcpRow& tcp, Columns& columns);
  Wanted dissect(std::span<const std::byte> bytes, const Packet& packet, const TcpRow& tcp,
                 Columns& columns);
  static bool add(Pdu& pdu, std::uint32_t at, std::span<const std::byte> bytes);
  static std::vector<std::byte> assemble(const Pdu& pdu);

  std::map<const TcpConnection*, Memory> memories_;
  std::optional<std::int64_t> start_;
};

}  // namespace ws::trace
