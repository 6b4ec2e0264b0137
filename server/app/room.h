// Sessions that hear each other. What is said in one turn of the loop is encoded once, in one block; at the
// end of the turn each member is sent the parts of it that are for him: one write a member, however much was
// said.
//
//      block      │ A: "x" │ A: "y" │ B: "z" │ A: "w" │      one server frame each
//      for A                        └────────┘               what he said himself is left out
//      for C      └──────────────────────────────────┘
//
// For those that take it there is a second edition, compressed without context: once for all of them.
//
// With several loops each has a part of the room, with the members that are its sessions. The room belongs to the
// loop of the first part, the home, which puts all that is said in one order; the others hand it what was said in
// their turns, and get back what the room says in its:
//
//      part 1 ──"B: z"──▶ home: │ A: "x" │ B: "z" │ ──▶ its members
//      part 1 ◀───────────────── the same turn
//      its members
//
// Invariants:
//  1. Every member hears all messages that it did not say, once, in the order in which the home put them.
//  2. A newcomer hears what is put in that order from then on, so nothing that anybody has heard already; and what is
//     said by whoever knows that it is there.
//  3. Where a part cannot hand over what was said, since the other loop is behind, whoever speaks is held: a mailbox
//     does not grow without bound, nor does a turn that waits. No part waits with taking what is handed to it for
//     another but the home, and that for parts which do not: no two wait for each other.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "protocol/deflate/deflate.h"
#include "protocol/frame/frame.h"
#include "protocol/limits.h"
#include "protocol/output.h"
#include "server/net/event_loop.h"
#include "server/net/mailbox.h"
#include "server/session/outbox.h"

namespace ws {

class Room;
class Session;
class SessionTable;
struct SessionContext;

/// What the parts of a room share. They are added before the loops run.
struct RoomParts {
  std::vector<Room*> parts{};  ///< the first is the home
  /// Messages that the home has put in order; it alone adds to them.
  std::atomic<std::uint64_t> ordered{0};
  std::atomic<std::size_t> takers{0};  ///< members of the compressed edition
};

/// What was said in one turn of a loop. Once it was handed to another loop nobody changes it, but for `previous`.
struct Turn {
  struct Said {
    EventLoop::Token speaker;     ///< with a serial that no session of any loop has had
    std::array<Range, 2> ranges;  ///< in either edition's block; meaningless where there is none
    std::uint32_t previous;       ///< the speaker's entry before; set and read by his own loop
  };

  [[nodiscard]] std::size_t size() const { return editions == 0 ? 0 : blocks[0]->size(); }

  std::size_t editions = 0;  ///< 0: nothing was said
  std::array<std::shared_ptr<Block>, 2> blocks{};
  std::vector<Said> said{};
  /// How many messages the room had put in order before the first of these. The home sets it.
  std::uint64_t first = 0;
};

/// One loop's part of a room, with one loop the whole of it.
class Room {
 public:
  /// Adds itself to `parts`. The context's deflate pool makes the second edition, if it is enabled.
  Room(RoomParts& parts, SessionContext& context, const SessionTable& sessions);
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  /// O(1). A newcomer hears what is said from now on. `session.member` belongs to the room meanwhile.
  void join(Session& session);
  /// O(1). What it said is still heard; nothing happens if it is not in the room, since joining may fail
  /// for want of memory. Not during `say` and `end_turn`: sessions are buried later.
  void leave(Session& session);
  /// Members of this part.
  [[nodiscard]] std::size_t size() const { return members_.size(); }

  /// Says a message, its payload the `parts` in order, to all but `speaker`. Each hears all messages of one part in
  /// the order of the calls. False, and nothing said, if the budget does not allow it. The speaker may be held.
  [[nodiscard]] bool say(Session& speaker, Opcode opcode,
                         std::initializer_list<std::span<const std::byte>> parts);
  /// Sends what was said, here and in other parts. The endpoint calls it at the end of the turn.
  void end_turn();

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Member {
    Session* session;
    std::size_t edition;      ///< 0: plain; 1: compressed
    std::uint64_t joined_at;  ///< how many messages had been put in order when it joined
    std::uint32_t last_said;  ///< its newest entry in the turn that is delivered; kNone: none
  };
  [[nodiscard]] std::span<const std::byte> compress(
      Opcode opcode, std::initializer_list<std::span<const std::byte>> parts, std::size_t size);
  [[nodiscard]] bool is_home() const { return part_ == 0; }
  [[nodiscard]] std::span<Room* const> receivers() const;
  [[nodiscard]] bool may_send();
  void flush();
  void send();
  void order(std::shared_ptr<Turn>& turn);
  void count_ordered(std::size_t messages);
  [[nodiscard]] bool append(const Turn& turn);
  void deliver(Turn& turn);
  [[nodiscard]] std::span<const Range> ranges_for(const Turn& turn, const Member& member);

  RoomParts& parts_;
  std::size_t part_;  ///< this one's index
  SessionContext& context_;
  const SessionTable& sessions_;
  Mailbox<std::shared_ptr<Turn>> mailbox_;
  std::vector<Member> members_;
  std::shared_ptr<Turn> turn_;  ///< null, or without editions: nothing was said
  bool is_behind_ = false;      ///< `turn_` waits for a receiver, and who speaks is held
  Output compressed_;           ///< scratch of compress
  std::vector<Range> ranges_;   ///< scratch of ranges_for
};

}  // namespace ws
