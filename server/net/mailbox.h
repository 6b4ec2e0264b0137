// How one loop hands work to another: a bounded list under a lock, which the reader takes whole.
//
//      loop A ──post──▶ │ mail │ mail │ mail │ ──take──▶ loop B
//                       has_room: no ── A does something else; B's take wakes it
//
// Invariants:
//  1. The reader is woken when mail comes into an empty box, and so once for as much as it then takes.
//  2. Whoever was told that there is no room is woken when there is. Nobody ever blocks, so that two loops which
//     fill each other's boxes cannot wait for each other as long as each goes on taking.
//  3. After `has_room` a sender may post, however much: a box holds its limit, and one mail of each sender more. One
//     that hands on what lies in a box of its own may post as often as that holds mails.
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
  /// `reader`: whose box it is. `limit`: of the sum of the costs.
  Mailbox(EventLoop& reader, std::size_t limit) : reader_(reader), limit_(limit) {
    mail_.reserve(2 * (limit / kLeastCost + kMostLoops));  // what one holds, handed on to another
    taken_.reserve(mail_.capacity());
    waiting_.reserve(kMostLoops);
  }

  /// False if the box is full; `sender` is then woken when it no longer is.
  [[nodiscard]] bool has_room(EventLoop& sender) {
    const std::lock_guard lock(mutex_);
    if (cost_ < limit_)
      return true;
    if (std::ranges::find(waiting_, &sender) == waiting_.end())
      waiting_.push_back(&sender);
    return false;
  }

  /// Puts `mail` behind what is there.
  void post(Mail mail, std::size_t cost) {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      was_empty = mail_.empty();
      mail_.push_back(std::move(mail));
      cost_ += std::max(cost, kLeastCost);
    }
    if (was_empty)
      reader_.wake();
  }

  /// Takes all that is there, and calls `act` for each mail. For the reader alone.
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
  // So that the lists' memory can be had beforehand, since whoever posts has no way to fail: for a full box, and behind
  // it what another of the same limit held, which is what the home of a room may hand on in one turn.
  static constexpr std::size_t kLeastCost = 4096;

  EventLoop& reader_;
  std::size_t limit_;
  std::mutex mutex_;  ///< for what is below
  std::vector<Mail> mail_;
  std::size_t cost_ = 0;
  std::vector<EventLoop*> waiting_;
  std::vector<Mail> taken_;  ///< the reader's
};

}  // namespace ws
