// Sessions that hear each other. What is said in one turn of the loop is encoded once, in one block; at the
// end of the turn each member is sent the parts of it that are for him: one write a member, however much was
// said.
//
//      block      │ A: "x" │ A: "y" │ B: "z" │ A: "w" │      one server frame each
//      for A                        └────────┘               what he said himself is left out
//      for C      └──────────────────────────────────┘
//
// For those that take it there is a second edition, compressed without context: once for all of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "protocol/deflate.h"
#include "protocol/frame.h"
#include "protocol/limits.h"
#include "protocol/output.h"
#include "server/outbox.h"

namespace ws {

class Session;

class Room {
 public:
  /// `deflate` may be null: there is no second edition.
  explicit Room(Budget& budget, DeflatePool* deflate = nullptr)
      : budget_(budget), deflate_(deflate) {}

  /// O(1). A newcomer hears what is said from now on. `session.member` belongs to the room meanwhile.
  void join(Session& session);
  /// O(1). What it said is still heard; nothing happens if it is not in the room, since joining may fail
  /// for want of memory. Not during `flush`: sessions are buried later.
  void leave(Session& session);
  [[nodiscard]] std::size_t size() const { return members_.size(); }

  /// Says a message, its payload the `parts` in order, to all but `speaker`. Each hears all messages in the
  /// order of the calls. False, and nothing said, if the budget does not allow it.
  [[nodiscard]] bool say(const Session& speaker, Opcode opcode,
                         std::initializer_list<std::span<const std::byte>> parts);
  /// Sends what was said. The endpoint calls it at the end of the turn; `say` does when it is much.
  void flush();

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Member {
    Session* session;
    std::size_t edition;      ///< 0: plain; 1: compressed
    std::size_t joined_at;    ///< the block's size when it joined
    std::uint32_t last_said;  ///< its newest entry of said_; kNone: none
  };
  struct Said {
    std::array<Range, 2> ranges;  ///< in either edition's block; meaningless where there is none
    std::uint32_t previous;       ///< the speaker's entry before
  };
  [[nodiscard]] std::span<const std::byte> compress(
      Opcode opcode, std::initializer_list<std::span<const std::byte>> parts, std::size_t size);
  [[nodiscard]] std::span<const Range> ranges_for(const Member& member);

  Budget& budget_;
  DeflatePool* deflate_;
  std::vector<Member> members_;
  std::size_t takers_ = 0;                        ///< members of the compressed edition
  std::array<std::shared_ptr<Block>, 2> blocks_;  ///< null: nothing was said in this turn
  Output compressed_;                             ///< scratch of compress
  std::vector<Said> said_;
  std::vector<Range> ranges_;  ///< scratch of ranges_for
};

}  // namespace ws
