// wsload's chat mode: some connections (speakers) send, all others (listeners) receive each message. The messages of
// one speaker arrive in order; two listeners may see the messages of two speakers in different order.
// A message is answered when all listeners have received it. Each thread counts for its own listeners; the last thread
// notifies the speaker's thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "tools/wsload/schedule.h"
#include "tools/wsload/worker.h"

namespace ws::load {

class ChatWorker;

/// State shared by the threads of a chat.
struct ChatBoard {
  ChatBoard(const Plan& plan, const Messages& messages);
  struct Said {
    std::atomic<Nanoseconds> at{0};         ///< when it was sent; open loop: when it was due
    std::atomic<unsigned> threads_left{0};  ///< threads with listeners that lack the message
  };
  std::vector<Said> said;                ///< by message number
  std::vector<ChatWorker*> workers;      ///< set before the threads start
  std::atomic<unsigned> silent{0};       ///< threads that will send no more messages
  std::atomic<std::int64_t> pending{0};  ///< messages due and not answered
};

class ChatWorker final : public Worker {
 public:
  ChatWorker(const Plan& plan, const Messages& messages, Stage& stage, ChatBoard& board,
             unsigned number);
  /// Messages that all listeners have received. May be called from any thread.
  [[nodiscard]] std::uint64_t heard() const { return heard_.load(std::memory_order_relaxed); }

 private:
  struct Listener {
    std::uint64_t number = 0;         ///< of the message that is partly received
    std::vector<std::uint32_t> next;  ///< per speaker: position in its cycle of the next message
  };

  void begin() override;
  void take(Link& link, std::span<std::byte> in, Nanoseconds now) override;
  void send(Link& link) override;
  [[nodiscard]] Messages::Stream stream(const Link& link) const override;
  Nanoseconds turn(Nanoseconds now) override;
  bool is_done(Nanoseconds now) override;
  bool give_up(Nanoseconds now) override;
  [[nodiscard]] std::uint64_t progress() const override { return answers() + heard(); }

  bool handle_expected(Link& link, std::span<std::byte>& in, Nanoseconds now);
  void handle_parsed(Link& link, std::span<std::byte> in, Nanoseconds now);
  void deliver(Link& link, std::uint64_t message, Nanoseconds now);
  void all_heard(std::size_t speaker);
  void prepare(Layout members);
  void read_mail();
  void refill(Link& link, Nanoseconds now);
  [[nodiscard]] Link& link_of(std::size_t speaker) { return links()[places_[speaker].slot]; }
  [[nodiscard]] unsigned listeners(unsigned thread, std::size_t speaker) const;
  [[nodiscard]] std::uint64_t quota(const Link& link) const;

  ChatBoard& board_;
  Layout members_;                     ///< the open connections of all threads
  std::vector<Layout::Place> places_;  ///< of all speakers
  std::size_t speakers_ = 0;           ///< number of speakers in this thread: its first links
  std::vector<Listener> listeners_;
  std::vector<unsigned> left_;  ///< per message: listeners in this thread that have not received it
  std::vector<std::uint64_t> said_;  ///< per speaker in this thread: messages passed to `send`
  Schedule schedule_;
  std::uint64_t scheduled_ = 0;
  bool is_silent_ = false;
  std::atomic<std::uint64_t> heard_{0};
  std::mutex mutex_;
  std::vector<std::size_t>
      mailbox_;  ///< from other threads: a speaker of this thread for each answered message
  std::vector<std::size_t> mail_;
  std::vector<std::size_t>
      answered_;  ///< speakers that may send more, one entry per answered message
};

}  // namespace ws::load
