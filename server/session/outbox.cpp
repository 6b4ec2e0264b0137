#include "server/session/outbox.h"

#include <algorithm>

#include "protocol/frame/frame.h"

namespace ws {

/// Reserves space for one more segment; false if the budget does not allow it.
bool Outbox::reserve_segment() {
  if (segments_.size() < segments_.capacity())
    return true;
  const std::size_t capacity = segments_.capacity();
  const std::size_t more = std::max<std::size_t>(capacity, 1);
  if (budget_.room() < more * sizeof(Segment))
    return false;
  segments_.reserve(capacity + more);
  charge_.force_to(segments_.capacity() * sizeof(Segment));
  return true;
}

bool Outbox::append(const Output& out, std::size_t sent) {
  const std::size_t size = out.size() - sent;
  if (size == 0)
    return true;
  // Do not extend a tail that was sent in part: its sent bytes would stay in memory.
  const bool extends = tail_ != nullptr && segments_.back().begin == 0;
  const std::shared_ptr<Block> block = extends ? tail_ : std::make_shared<Block>(budget_);
  if ((!extends && !reserve_segment()) || !block->reserve(size))
    return false;
  const std::size_t begin = block->size();
  out.for_each_piece([&](std::span<const std::byte> piece) {
    const std::size_t skipped = std::min(sent, piece.size());
    sent -= skipped;
    block->append(piece.subspan(skipped));
  });
  if (extends) {
    segments_.back().end = block->size();
  } else {
    segments_.push_back({block, begin, begin, block->size(), false});
    tail_ = block;
  }
  queued_ += size;
  return true;
}

bool Outbox::append(const std::shared_ptr<const Block>& block, Range range, std::size_t sent) {
  if (!reserve_segment())
    return false;
  const std::size_t size = range.end - range.begin;
  Segment segment{block, range.begin, range.begin + sent, range.end, true};
  if (size < block->size() / 2) {
    const auto copy = std::make_shared<Block>(budget_);
    if (!copy->reserve(size))
      return false;
    copy->append(block->bytes().subspan(range.begin, size));
    segment = {copy, 0, sent, size, true};
  }
  segments_.push_back(segment);
  tail_ = nullptr;
  queued_ += size - sent;
  return true;
}

void Outbox::drop_broadcasts(std::size_t encrypted) {
  std::size_t kept = 0;
  for (std::size_t i = first_; i < segments_.size(); ++i) {
    Segment& segment = segments_[i];
    if (segment.is_broadcast) {
      // Find the end of a frame that was sent in part. Our frames are unmasked, so parse them in the client's role.
      std::size_t end = segment.start;
      while (end < segment.begin + (i == first_ ? encrypted : 0)) {
        FrameHeader header;
        const HeaderResult result =
            parse_frame_header(segment.block->bytes().subspan(end), Role::kClient, header, true);
        end += result.size + static_cast<std::size_t>(header.payload_length);
      }
      segment.end = end;
    }
    if (segment.begin < segment.end) {
      std::swap(segments_[kept], segment);
      ++kept;
    }
  }
  segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(kept), segments_.end());
  first_ = 0;
  if (segments_.empty() || segments_.back().block != tail_)
    tail_ = nullptr;
  queued_ = 0;
  for (const Segment& segment : segments_)
    queued_ += segment.end - segment.begin;
}

std::size_t Outbox::pieces(std::span<iovec> pieces) const {
  std::size_t count = 0;
  for (std::size_t i = first_; i < segments_.size() && count < pieces.size(); ++i, ++count) {
    const Segment& segment = segments_[i];
    const auto bytes = segment.block->bytes().subspan(segment.begin, segment.end - segment.begin);
    pieces[count] = {const_cast<std::byte*>(bytes.data()), bytes.size()};  // sendmsg only reads it
  }
  return count;
}

void Outbox::consume(std::size_t size) {
  queued_ -= size;
  while (size > 0) {
    Segment& segment = segments_[first_];
    const std::size_t part = std::min(size, segment.end - segment.begin);
    segment.begin += part;
    size -= part;
    if (segment.begin == segment.end) {
      segment.block = nullptr;
      ++first_;
    }
  }
  if (queued_ == 0) {
    segments_.clear();
    tail_ = nullptr;
    first_ = 0;
  } else if (first_ > 64 && first_ > segments_.size() / 2) {
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

}  // namespace ws
