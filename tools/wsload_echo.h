// wsload's echo, and its idle connections, which are an echo of pings. What comes back on a connection is known byte by
// byte, wherever reads cut it: it is compared as it comes.
#pragma once

#include <cstdint>
#include <vector>

#include "tools/wsload_schedule.h"
#include "tools/wsload_worker.h"

namespace ws::load {

class EchoWorker final : public Worker {
 public:
  EchoWorker(const Plan& plan, const Messages& messages, Stage& stage, unsigned number);

 private:
  void begin() override;
  void take(Link& link, std::span<std::byte> in, Nanoseconds now) override;
  void send(Link& link) override;
  Nanoseconds turn(Nanoseconds now) override;
  bool is_done(Nanoseconds now) override;
  void give_up(Nanoseconds now) override;

  std::size_t take_expected(Link& link, std::span<const std::byte> in, Nanoseconds now);
  void take_parsed(Link& link, std::span<std::byte> in, Nanoseconds now);
  void count(Link& link, std::uint64_t answers, Nanoseconds now);
  void refill(Link& link, Nanoseconds now);
  /// When the message that is the connection's `index`th was due.
  [[nodiscard]] Nanoseconds due_at(const Link& link, std::uint64_t index) const;
  /// In its cycle a connection begins elsewhere than the next one, so that a mix-up of two is seen.
  [[nodiscard]] std::uint64_t first(const Link& link) const {
    return link.number * 31 % messages().cycle();
  }
  [[nodiscard]] std::uint64_t answer_number(const Link& link) const {
    return (first(link) + link.answered) % messages().cycle();
  }

  Schedule schedule_;
  std::uint64_t scheduled_ = 0;       ///< messages of this thread that were due, at an offered rate
  std::uint64_t pending_ = 0;         ///< due, and not answered
  std::uint64_t ring_;                ///< a power of two: times kept for a connection
  std::vector<Nanoseconds> sent_at_;  ///< closed loop: of each connection a ring
};

}  // namespace ws::load
