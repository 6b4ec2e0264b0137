#include "server/room.h"

#include <algorithm>
#include <array>
#include <new>

#include "server/session.h"

namespace ws {
namespace {

/// A block of this size leaves in the middle of a turn; one of this capacity is kept for the next turn.
constexpr std::size_t kFlushAt = 256 * 1024;

}  // namespace

void Room::join(Session& session) {
  members_.push_back({&session, block_ == nullptr ? 0 : block_->size(), kNone});
  session.member = static_cast<std::uint32_t>(members_.size() - 1);
}

void Room::leave(Session& session) {
  if (session.member == Session::kNoMember)
    return;
  // The last of the dense array takes the gap.
  Member& gap = members_[session.member];
  gap = members_.back();
  gap.session->member = session.member;
  members_.pop_back();
  session.member = Session::kNoMember;
}

// region room-say
bool Room::say(const Session& speaker, Opcode opcode,
               std::initializer_list<std::span<const std::byte>> parts) {
  FrameHeader header{.opcode = opcode};
  for (const auto part : parts)
    header.payload_length += part.size();
  std::array<std::byte, kMaxHeaderSize> bytes;
  const auto header_bytes = std::span(bytes).first(serialize_frame_header(header, bytes));

  if (block_ == nullptr)
    block_ = std::make_shared<Block>(budget_);
  const std::size_t size = header_bytes.size() + static_cast<std::size_t>(header.payload_length);
  if (said_.size() == said_.capacity())
    said_.reserve(2 * said_.size() + 16);  // so that push_back below cannot throw
  if (!block_->reserve(size))
    return false;
  const std::size_t begin = block_->size();
  block_->append(header_bytes);
  for (const auto part : parts)
    block_->append(part);

  Member& member = members_[speaker.member];
  said_.push_back({{begin, block_->size()}, member.last_said});
  member.last_said = static_cast<std::uint32_t>(said_.size() - 1);
  if (block_->size() >= kFlushAt)
    flush();
  return true;
}
// endregion

// region room-ranges-for
/// The block from where `member` joined, without what it said itself; neighbours are joined.
std::span<const Range> Room::ranges_for(const Member& member) {
  ranges_.clear();
  std::size_t end = block_->size();
  // Its own entries are chained from the newest to the oldest, so the ranges come out last first.
  for (std::uint32_t i = member.last_said; i != kNone; i = said_[i].previous) {
    if (said_[i].range.end < end)
      ranges_.push_back({said_[i].range.end, end});
    end = said_[i].range.begin;
  }
  if (member.joined_at < end)
    ranges_.push_back({member.joined_at, end});
  std::ranges::reverse(ranges_);
  return ranges_;
}
// endregion

// region room-flush
void Room::flush() {
  if (block_ == nullptr || block_->size() == 0)
    return;
  for (Member& member : members_) {
    try {
      const auto ranges = ranges_for(member);
      if (!ranges.empty())
        member.session->send_shared(block_, ranges);
    } catch (const std::bad_alloc&) {
      member.session->reset("out of memory");  // the others lose nothing
    }
    member.joined_at = 0;
    member.last_said = kNone;
  }
  said_.clear();
  // Whoever could not take it all holds the block now, which nobody may change any more.
  if (block_.use_count() > 1) {
    block_.reset();
  } else {
    block_->recycle(kFlushAt);
  }
}
// endregion

}  // namespace ws
