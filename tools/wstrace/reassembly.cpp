#include "tools/wstrace/reassembly.h"

#include <algorithm>
#include <utility>

#include "tools/wstrace/tcp.h"

namespace ws::trace {
namespace {

using Bytes = std::span<const std::byte>;

/// Limit in bytes for the first segment of a PDU, and for a PDU whose end is unknown. Larger ones are not reassembled.
constexpr std::size_t kMaxPending = 1024 * 1024;
/// Limit for the bytes that are dissected for one PDU, since a head is parsed again with each segment that continues
/// it. A head of 8 KiB that arrives byte by byte needs half of this.
constexpr std::uint64_t kMaxDissected = 64 * 1024 * 1024;
constexpr std::uint32_t kFarAway = 0x40000000;  ///< assumed size of a PDU that lasts until the FIN

}  // namespace

/// Appends the bytes to the joined ones, or stores them if they follow a hole.
void Pdu::join(std::size_t at, Bytes bytes) {
  if (at > joined_.size()) {
    std::vector<std::byte>& part = waiting_[at];
    if (bytes.size() > part.size())
      part.assign(bytes.begin(), bytes.end());
    return;
  }
  const auto append = [this](std::size_t from, Bytes more) {
    const std::size_t old = joined_.size() - from;
    if (old < more.size())
      joined_.insert(joined_.end(), more.begin() + static_cast<std::ptrdiff_t>(old), more.end());
  };
  append(at, bytes);
  while (!waiting_.empty() && waiting_.begin()->first <= joined_.size()) {
    const auto first = waiting_.extract(waiting_.begin());
    append(first.key(), first.mapped());
  }
}

Pdu::Added Pdu::add(std::uint32_t seq, Bytes bytes, bool is_tail, std::uint64_t packet) {
  if (is_given_up_)
    return Added::kIncomplete;
  const std::size_t at = seq - begin_;
  if (added_packet_ == packet && added_at_ == at)  // the segment of a FIN
    return is_complete_ ? Added::kComplete : Added::kIncomplete;
  added_packet_ = packet;
  added_at_ = at;
  const std::size_t end = at + bytes.size();
  if (is_complete_) {
    if (end < *size_ || !needs_more_)
      return at >= *size_ ? Added::kPastOldLimits : Added::kOverlapsOld;
    is_complete_ = needs_more_ = false;
    size_.reset();
  }
  if (is_tail && !size_.has_value())
    size_ = end;
  join(at, bytes);
  if (is_tail && std::exchange(accepts_all_of_next_, false))
    end_ = begin_ + static_cast<std::uint32_t>(end);
  is_complete_ = size_.has_value() && joined_.size() >= *size_;
  return is_complete_ ? Added::kComplete : Added::kIncomplete;
}

void Pdu::continue_with(const Wanted& wanted, std::uint32_t read_to, std::uint32_t segment_end) {
  needs_more_ = true;
  chunks_read_ = wanted.offset == 0 ? wanted.chunks_read : 0;
  if (wanted.size == Wanted::kOneMoreSegment) {
    if (joined_.size() > kMaxPending || dissected_ > kMaxDissected) {
      give_up();  // a head without an end
      return;
    }
    end_ = (is_before(end_, segment_end) ? segment_end : end_) + 1;
    accepts_all_of_next_ = true;
  } else if (wanted.size == Wanted::kUntilFin) {
    end_ = begin_ + kFarAway;
  } else if (!is_before(read_to, end_)) {
    end_ = read_to + wanted.size;
  } else {
    end_ += wanted.size;
  }
}

void Pdu::finish() {
  std::vector<std::byte>().swap(joined_);
  waiting_.clear();
}

void Pdu::give_up() {
  finish();
  is_given_up_ = true;
}

bool PduTable::was_seen(std::uint32_t seq, std::uint32_t end, std::uint64_t packet) const {
  const auto same = pdus_.find(seq);
  return same != pdus_.end() && !is_before(same->second.end(), end) &&
         same->second.last_packet != packet;
}

Pdu* PduTable::find(std::uint32_t seq) {
  const auto same = pdus_.find(seq);
  return same != pdus_.end() ? &same->second : find_before(seq);
}

Pdu* PduTable::find_before(std::uint32_t seq) {
  const auto after = pdus_.upper_bound(seq - 1);
  return after == pdus_.begin() ? nullptr : &std::prev(after)->second;
}

void PduTable::begin(Bytes bytes, std::uint32_t segment_end, const Wanted& wanted,
                     std::uint64_t packet) {
  lasts_until_fin |= wanted.size == Wanted::kUntilFin;
  if (bytes.size() > kMaxPending)
    return;
  const std::uint32_t more = wanted.size == Wanted::kOneMoreSegment ? 1
                             : wanted.size == Wanted::kUntilFin     ? kFarAway
                                                                    : wanted.size;
  const std::uint32_t begin = segment_end - static_cast<std::uint32_t>(bytes.size());
  Pdu pdu(begin, segment_end + more);
  pdu.last_packet = packet;
  pdu.add(begin, bytes, false, packet);
  if (wanted.size == Wanted::kOneMoreSegment)
    pdu.accept_all_of_next();
  pdus_[begin] = std::move(pdu);
}

void PduTable::skip(std::uint32_t seq, std::uint32_t end, std::uint64_t packet) {
  Pdu pdu(seq, end);
  pdu.last_packet = packet;
  pdu.give_up();
  pdus_[seq] = std::move(pdu);
}

}  // namespace ws::trace
