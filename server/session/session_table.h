// Who is connected: stable ids, O(1) in and out, dense iteration.
//
// A session sits in a slot for life. Its serial number, which no other session of this server has had
// (32 bits, given in the order of arrival), tells it from earlier tenants of the slot: epoll's events
// carry both. The serial is also the id that the log shows, as eight hex digits. With N loops each has a
// table, which deals out every Nth number.
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
  /// Serials are `first` (not 0), `first + stride`, ...
  explicit SessionTable(std::uint32_t first = 1, std::uint32_t stride = 1);
  ~SessionTable();
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  /// The token that the next session put in will have.
  [[nodiscard]] EventLoop::Token next_token() const;
  /// Puts in a session that was made with `next_token`.
  void put(std::unique_ptr<Session> session);
  /// The session of that slot and serial; null if it is gone.
  [[nodiscard]] Session* find(EventLoop::Token token) const;
  /// Destroys it. Its slot is free for the next one.
  void erase(EventLoop::Token token);

  /// All sessions, in no order. Valid until the next put or erase.
  [[nodiscard]] std::span<Session* const> all() const { return dense_; }
  [[nodiscard]] std::size_t size() const { return dense_.size(); }

 private:
  struct Slot {
    std::unique_ptr<Session> session;
    std::uint32_t serial = 0;
    std::uint32_t dense = 0;  ///< index into dense_
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  ///< slots without a session
  std::vector<Session*> dense_;
  std::uint32_t first_serial_;
  std::uint32_t stride_;
  std::uint32_t next_serial_;
};

}  // namespace ws
