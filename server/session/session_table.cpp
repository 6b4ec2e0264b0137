#include "server/session/session_table.h"

#include "server/session/session.h"

namespace ws {
namespace {

/// Reserves space for at least `size` elements. Doubles the capacity, because reserve() alone adds only the requested
/// space.
template <typename Element>
void make_room(std::vector<Element>& vector, std::size_t size) {
  if (size > vector.capacity())
    vector.reserve(2 * size);
}

}  // namespace

SessionTable::SessionTable(std::uint32_t first, std::uint32_t stride)
    : first_(first), stride_(stride), next_(first) {}

SessionTable::~SessionTable() = default;

EventLoop::Token SessionTable::next_token() const {
  const auto slot = free_.empty() ? static_cast<std::uint32_t>(slots_.size()) : free_.back();
  return {slot, next_};
}

void SessionTable::put(std::unique_ptr<Session> session) {
  const EventLoop::Token token = next_token();
  // Reserve first, so that a failed allocation changes nothing. `free_` has space for all slots: erase cannot throw.
  make_room(dense_, dense_.size() + 1);
  if (free_.empty()) {
    make_room(free_, slots_.size() + 1);
    slots_.emplace_back();
  } else {
    free_.pop_back();
  }
  Slot& slot = slots_[token.slot];
  slot.generation = token.generation;
  slot.dense = static_cast<std::uint32_t>(dense_.size());
  dense_.push_back(session.get());
  slot.session = std::move(session);
  // After UINT32_MAX, start again with `first_`.
  next_ = next_ > UINT32_MAX - stride_ ? first_ : next_ + stride_;
}

Session* SessionTable::find(EventLoop::Token token) const {
  if (token.slot >= slots_.size() || slots_[token.slot].generation != token.generation)
    return nullptr;
  return slots_[token.slot].session.get();
}

void SessionTable::erase(EventLoop::Token token) {
  if (find(token) == nullptr)
    return;
  Slot& slot = slots_[token.slot];
  // Move the last element of the dense array into the gap.
  Session* const last = dense_.back();
  dense_[slot.dense] = last;
  slots_[last->token().slot].dense = slot.dense;
  dense_.pop_back();
  slot.session = nullptr;
  free_.push_back(token.slot);
}

}  // namespace ws
