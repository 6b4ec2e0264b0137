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
#include "tools/wstrace/reassembly.h"
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
  /// State of a connection.
  struct Memory {
    ColumnDissector dissector;
    PduTable pdus[2];  ///< per direction
  };

  /// The part of a segment's payload that is not dissected yet.
  struct Rest {
    std::span<const std::byte> bytes;
    std::uint32_t seq = 0;  ///< of the first byte
    std::uint32_t end = 0;  ///< of the byte after the last one
    bool is_first = true;   ///< no PDU of the segment was named before
    void skip(std::uint32_t size) {
      bytes = bytes.subspan(size);
      seq += size;
    }
  };

  void add_payload(const Packet& packet, const TcpRow& tcp, Columns& columns);
  void begin_pdu(PduTable& pdus, Rest& rest, const Packet& packet, const TcpRow& tcp,
                 Columns& columns);
  void extend(PduTable& pdus, Pdu& pdu, Rest& rest, const Packet& packet, const TcpRow& tcp,
              Columns& columns);
  bool handle_fin(const Packet& packet, const TcpRow& tcp, Columns& columns);
  Wanted dissect(std::span<const std::byte> bytes, const Packet& packet, const TcpRow& tcp,
                 Columns& columns, std::size_t chunks_read = 0);

  std::map<const TcpConnection*, Memory> memories_;
  std::optional<std::int64_t> start_;
};

}  // namespace ws::trace
