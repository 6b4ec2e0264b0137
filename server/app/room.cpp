#include "server/app/room.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "protocol/frame/message.h"
#include "server/session/session.h"
#include "server/session/session_table.h"

namespace ws {
namespace {

/// A batch of at least this many bytes is sent before the end of the iteration. Blocks up to this capacity are kept for
/// reuse.
constexpr std::size_t kFlushAt = 256 * 1024;
/// Limit of the mailbox of a part, in bytes.
constexpr std::size_t kMailbox = 4 * kFlushAt;

/// Bytes of `batch` that count toward the limit of a mailbox.
std::size_t cost(const Batch& batch) {
  std::size_t bytes = batch.entries.size() * sizeof(Batch::Entry);
  for (std::size_t i = 0; i < batch.editions; ++i)
    bytes += batch.blocks[i]->size();
  return bytes;
}

}  // namespace

Room::Room(RoomParts& parts, SessionContext& context, const SessionTable& sessions)
    : parts_(parts),
      part_(parts.parts.size()),
      context_(context),
      sessions_(sessions),
      mailbox_(context.loop, kMailbox) {
  parts.parts.push_back(this);
}

void Room::join(Session& session) {
  const std::size_t edition = session.accepts_shared_deflate() ? 1 : 0;
  members_.push_back({&session, edition, parts_.ordered, kNone});
  session.member = static_cast<std::uint32_t>(members_.size() - 1);
  parts_.deflate_members += edition;
}

void Room::leave(Session& session) {
  if (session.member == Session::kNoMember)
    return;
  // Move the last member into the gap.
  Member& gap = members_[session.member];
  parts_.deflate_members -= gap.edition;
  gap = members_.back();
  gap.session->member = session.member;
  members_.pop_back();
  session.member = Session::kNoMember;
}

bool Room::broadcast(Session& speaker, Opcode opcode,
                     std::initializer_list<std::span<const std::byte>> parts) {
  FrameHeader header{.opcode = opcode};
  for (const auto part : parts)
    header.payload_length += part.size();
  std::array<std::byte, kMaxHeaderSize> bytes;
  const auto header_bytes = std::span(bytes).first(serialize_frame_header(header, bytes));
  const auto size = static_cast<std::size_t>(header.payload_length);

  if (batch_ == nullptr)
    batch_ = std::make_shared<Batch>();
  Batch& batch = *batch_;
  // The first message of a batch decides whether the batch has a compressed edition. Without this edition, all members
  // receive the plain one.
  const std::size_t editions = batch.editions != 0          ? batch.editions
                               : parts_.deflate_members > 0 ? 2
                                                            : 1;
  const auto compressed =
      editions > 1 ? compress(opcode, parts, size) : std::span<const std::byte>{};
  // Reserve space, so that emplace_back below cannot throw.
  if (batch.entries.size() == batch.entries.capacity())
    batch.entries.reserve(2 * batch.entries.size() + 16);
  const std::array sizes = {header_bytes.size() + size,
                            compressed.empty() ? header_bytes.size() + size : compressed.size()};
  for (std::size_t i = 0; i < editions; ++i) {
    if (batch.blocks[i] == nullptr)
      batch.blocks[i] = std::make_shared<Block>(context_.budget);
    if (!batch.blocks[i]->reserve(sizes[i])) {
      if (batch.editions == 0)
        batch_ = nullptr;  // frees the memory that the other edition has reserved
      return false;
    }
  }

  batch.editions = editions;
  Batch::Entry& entry = batch.entries.emplace_back();
  entry.speaker = speaker.token();
  for (std::size_t i = 0; i < editions; ++i) {
    Block& block = *batch.blocks[i];
    const std::size_t begin = block.size();
    if (i == 1 && !compressed.empty()) {
      block.append(compressed);
    } else {
      block.append(header_bytes);
      for (const auto part : parts)
        block.append(part);
    }
    entry.ranges[i] = {begin, block.size()};
  }
  if (is_home())
    count_ordered(1);
  if (batch.size() >= kFlushAt)
    flush();
  if (is_behind_)
    speaker.hold();
  return true;
}

/// Returns the message as a compressed frame, which is valid until the next call; empty if the plain frame should be
/// sent. Compresses without context, so that the frame is the same for all members.
std::span<const std::byte> Room::compress(Opcode opcode,
                                          std::initializer_list<std::span<const std::byte>> parts,
                                          std::size_t size) {
  const DeflateSettings& settings = context_.deflate.settings();
  Deflater* const deflater =
      size < settings.threshold ? nullptr : context_.deflate.deflater(settings.window_bits);
  if (deflater == nullptr)
    return {};
  compressed_.clear();
  const auto room = compressed_.extend(max_compressed_frame(size));
  FrameHeader header{.opcode = opcode};
  const std::size_t frame_size = write_compressed_frame(*deflater, header, parts, room);
  return header.payload_length < size ? room.first(frame_size) : std::span<const std::byte>{};
}

/// Returns the ranges of the batch that `member` receives: all messages since its join, except its own. Adjacent ranges
/// are merged.
std::span<const Range> Room::ranges_for(const Batch& batch, const Member& member) {
  ranges_.clear();
  const std::size_t edition = std::min(member.edition, batch.editions - 1);
  std::size_t end = batch.blocks[edition]->size();
  // The entries of a member are linked from newest to oldest, so the ranges are built in reverse order.
  for (std::uint32_t i = member.newest_entry; i != kNone; i = batch.entries[i].previous) {
    const Range range = batch.entries[i].ranges[edition];
    if (range.end < end)
      ranges_.push_back({range.end, end});
    end = range.begin;
  }
  std::size_t begin = 0;
  if (member.joined_at > batch.first) {
    const std::uint64_t missed = member.joined_at - batch.first;
    begin = missed < batch.entries.size() ? batch.entries[missed].ranges[edition].begin : end;
  }
  if (begin < end)
    ranges_.push_back({begin, end});
  std::ranges::reverse(ranges_);
  return ranges_;
}

void Room::end_iteration() {
  compressed_.clear();  // frees the buffer if it is large
  if (!is_home()) {
    mailbox_.take([this](std::shared_ptr<Batch>& batch) { deliver(*batch); });
  } else if (parts_.parts.size() > 1 && may_send()) {
    mailbox_.take([this](std::shared_ptr<Batch>& batch) { order(batch); });
  }
  flush();
}

void Room::flush() {
  if (batch_ != nullptr && batch_->editions != 0) {
    if (!may_send()) {
      is_behind_ = true;
      return;
    }
    send();
  }
  if (!std::exchange(is_behind_, false))
    return;
  for (const Member& member : members_) {
    try {
      member.session->release();
    } catch (const std::bad_alloc&) {
      member.session->reset("out of memory");
    }
  }
}

void Room::send() {
  Batch& batch = *batch_;
  if (is_home())
    batch.first = parts_.ordered - batch.entries.size();
  for (Room* const room : receivers())
    room->mailbox_.post(batch_, cost(batch));
  if (is_home())
    deliver(batch);
  if (!receivers().empty()) {
    batch_ = nullptr;
    return;
  }
  batch.entries.clear();
  batch.editions = 0;
  for (std::shared_ptr<Block>& block : batch.blocks) {
    // Members with unsent data still hold a reference to the block, so it must not be changed.
    if (block.use_count() > 1) {
      block.reset();
    } else if (block != nullptr) {
      block->recycle(kFlushAt);
    }
  }
}

/// Sends each member of this part its ranges of the batch.
void Room::deliver(Batch& batch) {
  for (std::uint32_t i = 0; i < batch.entries.size(); ++i) {
    Batch::Entry& entry = batch.entries[i];
    const Session* const speaker =
        sessions_.find(entry.speaker);  // null: in another loop, or ended
    if (speaker != nullptr && speaker->member != Session::kNoMember)
      entry.previous = std::exchange(members_[speaker->member].newest_entry, i);
  }
  for (Member& member : members_) {
    try {
      const auto ranges = ranges_for(batch, member);
      if (!ranges.empty())
        member.session->send_shared(batch.blocks[std::min(member.edition, batch.editions - 1)],
                                    ranges);
    } catch (const std::bad_alloc&) {
      member.session->reset("out of memory");  // the other members are not affected
    }
    member.newest_entry = kNone;
  }
}

// --- Several parts

/// The parts to which this part sends batches: all other parts if this is the home, only the home if not.
std::span<Room* const> Room::receivers() const {
  const std::span<Room* const> all = parts_.parts;
  return is_home() ? all.subspan(1) : all.first(1);
}

/// True if the mailbox of each receiver has space. If a mailbox is full, its next `take` wakes this loop.
bool Room::may_send() {
  return std::ranges::all_of(receivers(),
                             [&](Room* room) { return room->mailbox_.has_space(context_.loop); });
}

/// Called only at the home. Appends the batch of another part to the current batch.
void Room::order(std::shared_ptr<Batch>& batch) {
  const std::size_t messages = batch->entries.size();
  if (batch_ == nullptr || batch_->editions == 0) {
    batch_ = std::move(batch);
  } else if (!append(*batch)) {
    send();
    batch_ = std::move(batch);
  }
  count_ordered(messages);
  if (batch_->size() >= kFlushAt)
    send();
}

/// Appends a copy of `other` to the current batch. Returns false and copies nothing if there is not enough memory.
bool Room::append(const Batch& other) {
  Batch& batch = *batch_;
  const auto edition_of_other = [&](std::size_t i) { return std::min(i, other.editions - 1); };
  try {
    const std::size_t messages_of_both = batch.entries.size() + other.entries.size();
    if (messages_of_both > batch.entries.capacity())
      batch.entries.reserve(2 * messages_of_both);
    for (std::size_t i = 0; i < batch.editions; ++i) {
      if (!batch.blocks[i]->reserve(other.blocks[edition_of_other(i)]->size()))
        return false;
    }
  } catch (const std::bad_alloc&) {
    return false;
  }
  const std::size_t messages = batch.entries.size();
  batch.entries.insert(batch.entries.end(), other.entries.begin(), other.entries.end());
  for (std::size_t i = 0; i < batch.editions; ++i) {
    const std::size_t j = edition_of_other(i);
    const std::size_t base = batch.blocks[i]->size();
    batch.blocks[i]->append(other.blocks[j]->bytes());
    for (std::size_t k = 0; k < other.entries.size(); ++k) {
      const Range range = other.entries[k].ranges[j];
      batch.entries[messages + k].ranges[i] = {base + range.begin, base + range.end};
    }
  }
  return true;
}

/// Called only at the home. Adds `messages` to the number of messages that were put in order.
void Room::count_ordered(std::size_t messages) {
  parts_.ordered.store(parts_.ordered.load(std::memory_order_relaxed) + messages,
                       std::memory_order_release);
}

}  // namespace ws
