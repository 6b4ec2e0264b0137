// wsload's echo mode, and its idle mode, which is an echo of pings. All bytes that a connection will receive are known
// in advance, so each read is compared directly, without parsing frames.
#pragma once

#include <cstdint>
#include <vector>

#include "tools/wsload/schedule.h"
#include "tools/wsload/worker.h"

namespace ws::load {

class EchoWorker final : public Worker {
 public:
  EchoWorker(const Plan& plan, const Messages& messages, Stage& stage, unsigned number);

 private:
  void opened(Link& link) override { restart(link); }
  void begin() override;
  void take(Link& link, std::span<std::byte> in, Nanoseconds now) override;
  void send(Link& link) override;
  Nanoseconds turn(Nanoseconds now) override;
  bool is_done(Nanoseconds now) override;
  bool give_up(Nanoseconds now) override;

  std::size_t handle_expected(Link& link, std::span<const std::byte> in, Nanoseconds now);
  void handle_parsed(Link& link, std::span<std::byte> in, Nanoseconds now);
  void count(Link& link, std::uint64_t answers, Nanoseconds now);
  /// Resets the counters of the round.
  void restart(Link& link) {
    link.due = link.answered = 0;
    link.sent = messages().stream(0).position(first(link));
  }
  void refill(Link& link, Nanoseconds now);
  /// Open loop: number of messages that this thread sends.
  [[nodiscard]] std::uint64_t quota() const;
  /// When message `index` of the connection was sent; open loop: when it was due.
  [[nodiscard]] Nanoseconds due_at(const Link& link, std::uint64_t index) const;
  /// Where in the cycle a connection starts. It differs between neighbours, so that mixed-up connections are detected.
  [[nodiscard]] std::uint64_t first(const Link& link) const {
    return link.number * 31 % messages().cycle();
  }
  [[nodiscard]] std::uint64_t answer_number(const Link& link) const {
    return (first(link) + link.answered) % messages().cycle();
  }

  Schedule schedule_;
  std::uint64_t scheduled_ = 0;       ///< open loop: messages of this thread that became due
  std::uint64_t pending_ = 0;         ///< messages due and not answered
  std::uint64_t ring_;                ///< closed loop: entries in a ring, a power of two
  std::vector<Nanoseconds> sent_at_;  ///< closed loop: a ring of send times per connection
};

}  // namespace ws::load
