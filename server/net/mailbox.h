// Passes work from one loop to another: a bounded list under a mutex. The reader takes the whole list at once.
//
//      loop A ──post──▶ │ mail │ mail │ mail │ ──take──▶ loop B
//                       has_space false ── A does other work until take wakes it
//
// Invariants:
//  1. Posting into an empty mailbox wakes the reader: once for all mails that its next `take` returns.
//  2. A sender that has_space refused is woken by the next `take`. No call waits for space, so two loops that fill each
//     other's mailboxes cannot deadlock.
//  3. After has_space returned true, a sender may post one mail of any cost: a mailbox may exceed its limit by one mail
//     per sender. A sender that forwards its own mailbox may post every mail in it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "server/net/event_loop.h"

namespace ws {

template <typename Mail>
class Mailbox {
 public:
  /// `reader`: the loop that calls `take`. `limit`: maximum sum of the costs of the queued mails, but see invariant 3.
  Mailbox(EventLoop& reader, std::size_t limit) : reader_(reader), limit_(limit) {
    mail_.reserve(2 * (limit / kMinCost + kMaxLoops));  // its own mails, and forwarded ones
    taken_.reserve(mail_.capacity());
    waiting_.reserve(kMaxLoops);
  }

  /// False if the mailbox is full; the next `take` then wakes `sender`.
  [[nodiscard]] bool has_space(EventLoop& sender) {
    const std::lock_guard lock(mutex_);
    if (cost_ < limit_)
      return true;
    if (std::ranges::find(waiting_, &sender) == waiting_.end())
      waiting_.push_back(&sender);
    return false;
  }

  /// Appends `mail`. See invariant 3.
  void post(Mail mail, std::size_t cost) {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      was_empty = mail_.empty();
      mail_.push_back(std::move(mail));
      cost_ += std::max(cost, kMinCost);
    }
    if (was_empty)
      reader_.wake();
  }

  /// Removes all mails and calls `act` for each. Only the reader may call it.
  template <typename Act>
  void take(Act act) {
    {
      const std::lock_guard lock(mutex_);
      mail_.swap(taken_);
      cost_ = 0;
      for (EventLoop* const sender : waiting_)
        sender->wake();
      waiting_.clear();
    }
    for (Mail& mail : taken_)
      act(mail);
    taken_.clear();
  }

 private:
  // Minimum cost of a mail. It bounds the number of mails, so that all memory is reserved and `post` cannot fail: for a
  // full mailbox, plus another full one, which the home of a room may forward in one iteration.
  static constexpr std::size_t kMinCost = 4096;

  EventLoop& reader_;
  std::size_t limit_;
  std::mutex mutex_;  ///< guards mail_, cost_ and waiting_
  std::vector<Mail> mail_;
  std::size_t cost_ = 0;
  std::vector<EventLoop*> waiting_;
  std::vector<Mail> taken_;  ///< used only by the reader
};

}  // namespace ws
