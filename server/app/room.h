// A room: sessions that receive each other's messages. The messages of one loop iteration form a batch (`Batch`), which
// is encoded once, into one block. At the end of the iteration each member receives its ranges of the block in one
// write.
//
//      block      │ A: "x" │ A: "y" │ B: "z" │ A: "w" │      one server frame each
//      for A                        └────────┘               without its own messages
//      for C      └──────────────────────────────────┘
//
// Members that accept shared compression receive the compressed edition of the batch. It is compressed once for all of
// them, without context.
//
// With several loops, each loop has a part of the room, whose members are sessions of this loop. The loop of the first
// part is the home, which puts all messages in one order. The other parts send their batches to the home, and the home
// sends the ordered batch back to all of them:
//
//      part 1 ──"B: z"──▶ home: │ A: "x" │ B: "z" │ ──▶ its members
//      part 1 ◀───────────────── the same batch
//      its members
//
// Invariants:
//  1. Every member receives each message of the other members once, in the order of the home.
//  2. A new member receives exactly the messages that the home orders after the join. No other member received any of
//     these messages before the join.
//  3. Mailboxes and batches are bounded. While a mailbox is full, a part keeps its batch and stops reading from each
//     member that sends a message (Session::hold). The home reads its mailbox only when all other mailboxes have space.
//     The other parts always read their mailboxes, so no two loops wait for each other.
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

/// State that the parts of a room share. Parts are added before the loops run.
struct RoomParts {
  std::vector<Room*> parts{};  ///< the first is the home
  /// Number of messages that the home has put in order. Only the home changes it.
  std::atomic<std::uint64_t> ordered{0};
  std::atomic<std::size_t> deflate_members{0};  ///< members that receive the compressed edition
};

/// A batch: the messages of one loop iteration. After the home has sent a batch to other parts, only Entry::previous
/// may change.
struct Batch {
  struct Entry {
    EventLoop::Token speaker;     ///< the sender; generations are unique in all loops
    std::array<Range, 2> ranges;  ///< the message in the block of each edition
    std::uint32_t previous;       ///< the sender's previous entry; used only by the sender's loop
  };

  [[nodiscard]] std::size_t size() const { return editions == 0 ? 0 : blocks[0]->size(); }

  std::size_t editions = 0;                        ///< 1 or 2; 0: the batch is empty
  std::array<std::shared_ptr<Block>, 2> blocks{};  ///< the plain edition, the compressed one
  std::vector<Entry> entries{};
  /// Number of messages that the home put in order before this batch. The home sets it.
  std::uint64_t first = 0;
};

/// The part of a room that belongs to one loop; with one loop, the whole room.
class Room {
 public:
  /// Adds itself to `parts`. Uses the deflate pool of `context` for the compressed edition.
  Room(RoomParts& parts, SessionContext& context, const SessionTable& sessions);
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  /// Adds `session`, which receives the messages that are sent from now on. O(1). Until `leave`, only the room may
  /// change `session.member`.
  void join(Session& session);
  /// Removes `session`. Does nothing if it is not a member (`join` may have run out of memory). Messages that the
  /// session has sent are still delivered. O(1). Must not be called during `broadcast` or `end_iteration`.
  void leave(Session& session);
  /// Number of members of this part.
  [[nodiscard]] std::size_t size() const { return members_.size(); }

  /// Adds a message to the batch, for all members except `speaker`. The payload is the concatenated `parts`. Returns
  /// false and adds nothing if the budget does not allow it. Calls `speaker.hold()` if the batch waits for space in a
  /// mailbox.
  [[nodiscard]] bool broadcast(Session& speaker, Opcode opcode,
                               std::initializer_list<std::span<const std::byte>> parts);
  /// Handles the batches that other parts sent, then sends this part's batch. The home sends it to its own members and
  /// to all other parts; any other part sends it to the home. The endpoint calls this at the end of the loop iteration.
  void end_iteration();

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Member {
    Session* session;
    std::size_t edition;         ///< 0: plain; 1: compressed
    std::uint64_t joined_at;     ///< value of RoomParts::ordered at the join
    std::uint32_t newest_entry;  ///< newest entry it sent in the batch being delivered, or kNone
  };
  [[nodiscard]] std::span<const std::byte> compress(
      Opcode opcode, std::initializer_list<std::span<const std::byte>> parts, std::size_t size);
  [[nodiscard]] bool is_home() const { return part_ == 0; }
  [[nodiscard]] std::span<Room* const> receivers() const;
  [[nodiscard]] bool may_send();
  void flush();
  void send();
  void order(std::shared_ptr<Batch>& batch);
  void count_ordered(std::size_t messages);
  [[nodiscard]] bool append(const Batch& batch);
  void deliver(Batch& batch);
  [[nodiscard]] std::span<const Range> ranges_for(const Batch& batch, const Member& member);

  RoomParts& parts_;
  std::size_t part_;  ///< index of this part
  SessionContext& context_;
  const SessionTable& sessions_;
  Mailbox<std::shared_ptr<Batch>> mailbox_;
  std::vector<Member> members_;
  std::shared_ptr<Batch> batch_;  ///< the current batch; no messages if null or if `editions` is 0
  bool is_behind_ = false;        ///< `batch_` waits for space in a mailbox; senders are held
  Output compressed_;             ///< reused by `compress`
  std::vector<Range> ranges_;     ///< reused by `ranges_for`
};

}  // namespace ws
