#include "server/room.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "server/session.h"

namespace ws {
namespace {

/// A block of this size leaves in the middle of a turn; one of this capacity is kept for the next turn.
constexpr std::size_t kFlushAt = 256 * 1024;

}  // namespace

void Room::join(Session& session) {
  const std::size_t edition = deflate_ != nullptr && session.takes_shared_deflate() ? 1 : 0;
  const std::shared_ptr<Block>& block = blocks_[edition];
  members_.push_back({&session, edition, block == nullptr ? 0 : block->size(), kNone});
  session.member = static_cast<std::uint32_t>(members_.size() - 1);
  takers_ += edition;
}

void Room::leave(Session& session) {
  if (session.member == Session::kNoMember)
    return;
  // The last of the dense array takes the gap.
  Member& gap = members_[session.member];
  takers_ -= gap.edition;
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
  const auto size = static_cast<std::size_t>(header.payload_length);
  const auto compressed =
      takers_ > 0 ? compress(opcode, parts, size) : std::span<const std::byte>{};

  if (said_.size() == said_.capacity())
    said_.reserve(2 * said_.size() + 16);  // so that push_back below cannot throw
  const std::size_t editions = takers_ > 0 ? 2 : 1;
  const std::array sizes = {header_bytes.size() + size,
                            compressed.empty() ? header_bytes.size() + size : compressed.size()};
  for (std::size_t i = 0; i < editions; ++i) {
    if (blocks_[i] == nullptr)
      blocks_[i] = std::make_shared<Block>(budget_);
    if (!blocks_[i]->reserve(sizes[i]))
      return false;
  }
  Member& member = members_[speaker.member];
  Said& said = said_.emplace_back();
  said.previous = std::exchange(member.last_said, static_cast<std::uint32_t>(said_.size() - 1));
  bool is_much = false;
  for (std::size_t i = 0; i < editions; ++i) {
    Block& block = *blocks_[i];
    const std::size_t begin = block.size();
    if (i == 1 && !compressed.empty()) {
      block.append(compressed);
    } else {
      block.append(header_bytes);
      for (const auto part : parts)
        block.append(part);
    }
    said.ranges[i] = {begin, block.size()};
    is_much |= block.size() >= kFlushAt;
  }
  if (is_much)
    flush();
  return true;
}
// endregion

// region room-compress
/// The message as a compressed frame, valid until the next call; empty if it is better sent as it is. Without
/// context, and so the same for everyone.
std::span<const std::byte> Room::compress(Opcode opcode,
                                          std::initializer_list<std::span<const std::byte>> parts,
                                          std::size_t size) {
  const DeflateSettings& settings = deflate_->settings();
  Deflater* const deflater =
      size < settings.threshold ? nullptr : deflate_->deflater(settings.window_bits);
  if (deflater == nullptr)
    return {};
  compressed_.clear();
  const auto room = compressed_.extend(max_compressed_frame(size));
  FrameHeader header{.opcode = opcode};
  const std::size_t frame_size = deflater->write_frame(header, parts, room);
  return header.payload_length < size ? room.first(frame_size) : std::span<const std::byte>{};
}
// endregion

// region room-ranges-for
/// The block from where `member` joined, without what it said itself; neighbours are joined.
std::span<const Range> Room::ranges_for(const Member& member) {
  ranges_.clear();
  const std::shared_ptr<Block>& block = blocks_[member.edition];
  std::size_t end = block == nullptr ? 0 : block->size();
  // Its own entries are chained from the newest to the oldest, so the ranges come out last first.
  for (std::uint32_t i = member.last_said; i != kNone; i = said_[i].previous) {
    const Range range = said_[i].ranges[member.edition];
    if (range.end < end)
      ranges_.push_back({range.end, end});
    end = range.begin;
  }
  if (member.joined_at < end)
    ranges_.push_back({member.joined_at, end});
  std::ranges::reverse(ranges_);
  return ranges_;
}
// endregion

// region room-flush
void Room::flush() {
  compressed_.clear();  // a large one's memory is not kept
  if (said_.empty())
    return;
  for (Member& member : members_) {
    try {
      const auto ranges = ranges_for(member);
      if (!ranges.empty())
        member.session->send_shared(blocks_[member.edition], ranges);
    } catch (const std::bad_alloc&) {
      member.session->reset("out of memory");  // the others lose nothing
    }
    member.joined_at = 0;
    member.last_said = kNone;
  }
  said_.clear();
  for (std::shared_ptr<Block>& block : blocks_) {
    // Whoever could not take it all holds the block now, which nobody may change any more.
    if (block.use_count() > 1) {
      block.reset();
    } else if (block != nullptr) {
      block->recycle(kFlushAt);
    }
  }
}
// endregion

}  // namespace ws
