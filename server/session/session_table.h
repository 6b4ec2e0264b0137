// The sessions of one loop: stable tokens, O(1) insertion and removal, dense iteration.
//
// A session keeps its slot until it is erased. Its generation (32 bits, in the order of arrival) distinguishes it from
// earlier sessions in the slot. An epoll event carries slot and generation as a token. The log shows the generation as
// the id of the session. With N loops, each table assigns every Nth number, so generations are unique in the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "server/net/event_loop.h"

namespace ws {

class Session;

class SessionTable {
 public:
  /// The generations are `first` (not 0), `first + stride`, ...
  explicit SessionTable(std::uint32_t first = 1, std::uint32_t stride = 1);
  ~SessionTable();
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  /// The token for the next session that is inserted.
  [[nodiscard]] EventLoop::Token next_token() const;
  /// Inserts a session that was created with `next_token`. If `put` throws, the table is unchanged.
  void put(std::unique_ptr<Session> session);
  /// The session with this slot and generation; null if it was erased.
  [[nodiscard]] Session* find(EventLoop::Token token) const;
  /// Destroys the session and frees its slot.
  void erase(EventLoop::Token token);

  /// All sessions, in no particular order. Valid until the next put or erase.
  [[nodiscard]] std::span<Session* const> all() const { return dense_; }
  [[nodiscard]] std::size_t size() const { return dense_.size(); }

 private:
  struct Slot {
    std::unique_ptr<Session> session;
    std::uint32_t generation = 0;
    std::uint32_t dense = 0;  ///< index into dense_
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  ///< slots without a session
  std::vector<Session*> dense_;
  std::uint32_t first_;
  std::uint32_t stride_;
  std::uint32_t next_;
};

}  // namespace ws
