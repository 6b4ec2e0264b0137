// Passes work from one loop to another, through a bounded list under a mutex. The reader takes the whole list at once.
//
//      loop A ──post──▶ │ mail │ mail │ mail │ ──take──▶ loop B
//                       if has_space returns false, A does other work until B's take wakes A
//
// Invariants:
//  1. Only a post into an empty mailbox wakes the reader, so the reader is woken once for all mails of its next `take`.
//  2. If has_space returned false, the next `take` wakes the sender. No call waits for space, so two loops that fill
//     each other's mailboxes cannot deadlock.
//  3. If has_space returned true, a sender may post one mail of any cost, so a mailbox may exceed its limit by one mail
//     per sender. A sender that forwards the mails of its own mailbox may call has_space once per `take`, not per mail.
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
    mail_.reserve(2 * (limit / kMinCost + kMaxLoops));  // twice: see kMinCost
    taken_.reserve(mail_.capacity());
    waiting_.reserve(kMaxLoops);
  }

  /// If the mailbox is full, returns false, and the next `take` wakes `sender`.
  [[nodiscard]] bool has_space(EventLoop& sender) {
    const std::lock_guard lock(mutex_);
    if (cost_ < limit_)
      return true;
    if (std::ranges::find(waiting_, &sender) == waiting_.end())
      waiting_.push_back(&sender);
    return false;
  }

  /// Appends `mail`. Call `has_space` first; see invariant 3.
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

  /// Removes all mails and calls `act` for each. Only the reader may call `take`.
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
  // Minimum cost of a mail. It bounds the number of mails, so that the constructor can reserve all memory and `post`
  // cannot fail. The constructor reserves space for two full mailboxes: a sender may forward all mails of its own full
  // mailbox into this one when this one is almost full.
  static constexpr std::size_t kMinCost = 4096;

  EventLoop& reader_;
  std::size_t limit_;
  std::mutex mutex_;  ///< guards mail_, cost_ and waiting_
  std::vector<Mail> mail_;
  std::size_t cost_ = 0;
  std::vector<EventLoop*> waiting_;
  std::vector<Mail> taken_;  ///< the mails that `take` handles; used only by the reader
};

}  // namespace ws
