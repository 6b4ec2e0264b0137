// The rows that Wireshark would show: one a packet, in its columns and its words.
//
// Wireshark, as it comes, dissects segments in the order of the capture and does not wait for what is out of order;
// a PDU that goes on in later segments is named where it ends. So do these rows. What the streams say once they are
// put in order is the matter of wstrace_frames.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/wstrace_columns.h"
#include "tools/wstrace_packet.h"
#include "tools/wstrace_tcp.h"

namespace ws::trace {

struct Row {
  std::uint64_t number = 0;
  std::int64_t time_ns = 0;  ///< since the first packet
  std::string source{};
  std::string destination{};
  std::string protocol{};
  std::size_t length = 0;
  std::string info{};  ///< printable UTF-8, as are the others: text from outside is escaped
};

/// Seconds, "1.234567", with `digits` behind the point.
[[nodiscard]] std::string time_text(std::int64_t time_ns, int digits);
/// As `tshark -r FILE` prints it, without the line end. `time_digits`: 6 or 9.
[[nodiscard]] std::string to_line(const Row& row, int time_digits);

class RowWriter {
 public:
  /// `tcp`: what the tracker found, if the packet has a segment.
  Row take(const Packet& packet, const std::optional<TcpRow>& tcp);

 private:
  /// A PDU that is in more than one segment. Numbers are relative sequence numbers.
  struct Pdu {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;           ///< as far as it is known
    bool takes_all_of_next = false;  ///< the end is not known: one more segment, whatever is in it
    bool is_done = false;
    std::uint64_t last_packet = 0;
    std::uint64_t looked_at = 0;  ///< bytes, each as often as it was
    std::uint32_t complete = 0;   ///< bytes from `begin` on that are there without a gap
    /// What came, by offset; disjoint. No length that a packet declares allocates anything.
    std::map<std::uint32_t, std::vector<std::byte>> parts{};
  };
  using Pdus = std::map<std::uint32_t, Pdu>;  ///< of one direction, by `begin`
  /// What is remembered of a connection. Of each direction: whether a message lasts until the FIN, and the PDUs.
  struct Memory {
    ColumnDissector dissector;
    bool until_fin[2] = {false, false};
    Pdus pdus[2];
  };

  /// What of a segment's payload is not dissected yet.
  struct Rest {
    std::span<const std::byte> bytes;
    std::uint32_t seq = 0;  ///< of the first of them
    std::uint32_t end = 0;  ///< behind the last of them
    void skip(std::uint32_t size) {
      bytes = bytes.subspan(size);
      seq += size;
    }
  };

  void take_payload(const Packet& packet, const TcpRow& tcp, Columns& columns);
  static bool was_seen(const Pdus& pdus, const Rest& rest, std::uint64_t packet);
  static Pdu* find_pdu(Pdus& pdus, std::uint32_t seq);
  Wanted begin_pdu(Pdus& pdus, const Rest& rest, const Packet& packet, const TcpRow& tcp,
                   Columns& columns);
  static bool extend(Pdu& pdu, const Rest& rest, std::uint32_t taken);
  static Pdu& split_off(Pdus& pdus, Pdu& pdu, std::span<const std::byte> whole, std::size_t offset);
  static void expect_more(Pdu& pdu, std::uint32_t wanted, std::uint32_t read_to,
                          std::uint32_t segment_end);
  static void finish(Pdu& pdu);
  void take_fin(const Packet& packet, const TcpRow& tcp, Columns& columns);
  Wanted dissect(std::span<const std::byte> bytes, const Packet& packet, const TcpRow& tcp,
                 Columns& columns);
  static bool add(Pdu& pdu, std::uint32_t at, std::span<const std::byte> bytes);
  static std::vector<std::byte> assemble(const Pdu& pdu);

  std::map<const TcpConnection*, Memory> memories_;
  std::optional<std::int64_t> start_;
};

}  // namespace ws::trace
