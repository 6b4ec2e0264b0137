// wsload's chat: some connections speak, and all others hear each of them, in order, though not all in one order.
// A message is answered once all have heard it; that is counted by each thread for its own listeners, and the last
// thread tells the speaker's.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "tools/wsload_schedule.h"
#include "tools/wsload_worker.h"

namespace ws::load {

class ChatWorker;

/// What the threads of a chat have in common.
struct ChatBoard {
  ChatBoard(const Plan& plan, const Messages& messages);
  struct Said {
    std::atomic<Nanoseconds> at{0};
    std::atomic<unsigned> threads_left{0};  ///< in which not all have heard it
  };
  std::vector<Said> said;                ///< by the message's number
  std::vector<ChatWorker*> workers;      ///< set before the threads start
  std::atomic<unsigned> silent{0};       ///< threads that will say nothing more
  std::atomic<std::int64_t> pending{0};  ///< messages on their way
};

class ChatWorker final : public Worker {
 public:
  ChatWorker(const Plan& plan, const Messages& messages, Stage& stage, ChatBoard& board,
             unsigned number);
  /// Messages that all have heard, from any thread.
  [[nodiscard]] std::uint64_t heard() const { return heard_.load(std::memory_order_relaxed); }

 private:
  struct Listener {
    std::uint64_t number = 0;         ///< of the message whose answer is half received
    std::vector<std::uint32_t> next;  ///< of each speaker: the place in its cycle that comes next
  };

  void begin() override;
  void take(Link& link, std::span<std::byte> in, Nanoseconds now) override;
  void send(Link& link) override;
  Nanoseconds turn(Nanoseconds now) override;
  bool is_done(Nanoseconds now) override;
  void give_up(Nanoseconds now) override;

  bool take_expected(Link& link, std::span<std::byte>& in, Nanoseconds now);
  void take_parsed(Link& link, std::span<std::byte> in, Nanoseconds now);
  void deliver(Link& link, std::uint64_t message, Nanoseconds now);
  void all_heard(std::size_t speaker);
  void refill(Link& link, Nanoseconds now);
  [[nodiscard]] Link& link_of(std::size_t speaker) { return links()[speaker / plan().threads]; }
  [[nodiscard]] unsigned listeners(unsigned thread, std::size_t speaker) const;
  [[nodiscard]] std::uint64_t quota(const Link& link) const;

  ChatBoard& board_;
  std::size_t speakers_;  ///< of this thread: its first links
  std::vector<Listener> listeners_;
  std::vector<unsigned>
      left_;  ///< of each message: listeners of this thread that have not heard it
  std::vector<std::uint64_t> said_;  ///< by each speaker of this thread
  Schedule schedule_;
  std::uint64_t scheduled_ = 0;
  bool is_silent_ = false;
  std::atomic<std::uint64_t> heard_{0};
  std::mutex mutex_;
  std::vector<std::size_t>
      mailbox_;  ///< speakers of this thread of whom another message was heard by all
  std::vector<std::size_t> mail_;
  std::vector<std::size_t>
      answered_;  ///< speakers who may say more, one entry for each message heard
};

}  // namespace ws::load
