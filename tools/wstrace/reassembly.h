// Joins the segments of PDUs (HTTP messages, frames) for the rows, as Wireshark does. A PDU is shown in the row of the
// segment that completes it.
//
//      segment  [ head | begin of a PDU ]        PduTable::begin: the bytes from the PDU on are its first part
//      segment  [ middle ]                       Pdu::add: a part, in any order, repeated or overlapping
//      segment  [ end | next PDU ]               completes the PDU; the rest is dissected on its own
//
// The part that is captured last completes a PDU, even if it fills a hole in the middle. Memory is allocated only for
// captured bytes, not for a length that a packet declares. Each byte is copied at most twice: into a part after a hole,
// and into the joined bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "tools/wstrace/columns.h"

namespace ws::trace {

/// A PDU of more than one segment. Numbers are relative sequence numbers.
class Pdu {
 public:
  /// The result of `add`. The last two are Wireshark's reassembly errors for bytes of a PDU that is already complete;
  /// it does not dissect the remainder of such a packet.
  enum class Added : std::uint8_t { kIncomplete, kComplete, kOverlapsOld, kPastOldLimits };

  Pdu() = default;
  Pdu(std::uint32_t begin, std::uint32_t end) : begin_(begin), end_(end) {}

  /// Adds bytes of `packet` that begin at `seq`. `is_tail`: they are the end of the PDU and fix its size; later parts
  /// do not change it.
  Added add(std::uint32_t seq, std::span<const std::byte> bytes, bool is_tail,
            std::uint64_t packet);
  /// The bytes of a complete PDU; valid until the next call of `add`, `continue_with` or `finish`.
  [[nodiscard]] std::span<const std::byte> whole() const {
    return std::span(joined_).first(std::min(size_.value_or(0), joined_.size()));
  }
  /// Continues a PDU that seemed complete, but needs the bytes in `wanted`. `read_to`: the end of the bytes added last.
  /// `segment_end`: the end of their segment.
  void continue_with(const Wanted& wanted, std::uint32_t read_to, std::uint32_t segment_end);
  /// Frees the bytes.
  void finish();
  /// Frees the bytes, and stores no others: the PDU never becomes complete.
  void give_up();
  /// Bytes of complete chunks, as in Wanted.
  [[nodiscard]] std::size_t chunks_read() const { return chunks_read_; }
  /// Counts `size` bytes as dissected: the total limits the repeated dissection of a PDU without an end.
  void count_dissected(std::size_t size) { dissected_ += size; }

  [[nodiscard]] std::uint32_t begin() const { return begin_; }
  [[nodiscard]] std::uint32_t end() const { return end_; }
  /// Makes the whole next segment a part: the end is unknown.
  void accept_all_of_next() { accepts_all_of_next_ = true; }
  [[nodiscard]] bool accepts_all_of_next() const { return accepts_all_of_next_; }
  /// The packet that added bytes last.
  std::uint64_t last_packet = 0;

 private:
  void join(std::size_t at, std::span<const std::byte> bytes);

  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;  ///< as far as it is known
  bool accepts_all_of_next_ = false;
  bool is_complete_ = false;
  bool needs_more_ = false;   ///< complete, but the dissector needs more
  bool is_given_up_ = false;  ///< too large, or the capture lacks a part
  std::uint64_t dissected_ = 0;
  std::size_t chunks_read_ = 0;
  std::uint64_t added_packet_ = 0;  ///< the arguments of the last `add`
  std::size_t added_at_ = 0;
  std::optional<std::size_t> size_{};  ///< bytes, once the last part is captured
  std::vector<std::byte> joined_{};    ///< the bytes from `begin_` on, without a hole
  std::map<std::size_t, std::vector<std::byte>> waiting_{};  ///< parts after a hole, by offset
};

/// The PDUs of one direction of a connection.
class PduTable {
 public:
  /// Whether an earlier packet than `packet` contained a PDU that begins at `seq` and includes all bytes up to `end`.
  [[nodiscard]] bool was_seen(std::uint32_t seq, std::uint32_t end, std::uint64_t packet) const;
  /// The PDU that begins at `seq`, else the last one that begins before; null if there is none.
  Pdu* find(std::uint32_t seq);
  /// The last PDU that begins before `seq`; null if there is none.
  Pdu* find_before(std::uint32_t seq);
  /// Starts a PDU with the last `bytes` of a segment that ends at `segment_end`, unless they are too many.
  void begin(std::span<const std::byte> bytes, std::uint32_t segment_end, const Wanted& wanted,
             std::uint64_t packet);

  /// Marks the bytes from `seq` to `end` as those of a PDU that is never complete: the capture lacks a part of it.
  void skip(std::uint32_t seq, std::uint32_t end, std::uint64_t packet);

  bool lasts_until_fin = false;  ///< a message has no declared length
  std::uint64_t fin_packet = 0;  ///< the FIN that ended it; 0: none

 private:
  std::map<std::uint32_t, Pdu> pdus_;  ///< by their first sequence number
};

}  // namespace ws::trace
