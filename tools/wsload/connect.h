// wsload's connect mode: each link connects, upgrades, performs the closing handshake, and starts again. A connection
// that does not open counts as one of --messages.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tools/wsload/worker.h"

namespace ws::load {

class ConnectWorker final : public Worker {
 public:
  using Worker::Worker;

 private:
  /// After a connection has failed to open, its link waits for this time.
  static constexpr Nanoseconds kPause = kSecond / 100;

  void begin() override {
    for (Link& link : links())
      again(link, times().start);
  }
  void opened(Link& link) override {
    record(link.since, monotonic_now());
    close(link);
  }
  void closed(Link& link) override {
    count_end(link);
    add_answers(1);
    again(link, monotonic_now());
  }
  void not_opened(Link& link) override {
    count_end(link);
    pausing_.push_back(link.slot);
  }
  void take(Link& /*link*/, std::span<std::byte> /*in*/, Nanoseconds /*now*/) override {}
  void send(Link& /*link*/) override {}
  Nanoseconds turn(Nanoseconds now) override {
    if (now >= resume_at_) {
      for (const std::uint32_t slot : std::exchange(pausing_, {}))
        again(links()[slot], now);
      resume_at_ = now + kPause;
    }
    return pausing_.empty() ? INT64_MAX : resume_at_;
  }
  bool is_done(Nanoseconds /*now*/) override { return running_ == 0 && pausing_.empty(); }
  bool give_up(Nanoseconds /*now*/) override { return false; }  // each connection has deadlines

  void count_end(Link& link) {
    --running_;
    // The number of the next connection on this link, which selects its source address.
    link.number += plan().connections;
  }
  void again(Link& link, Nanoseconds now) {
    const bool has_quota = plan().messages != 0;
    if (now >= times().end ||
        (has_quota && begun_ == share(plan().messages, number(), plan().threads))) {
      return;
    }
    ++begun_;
    ++running_;
    connect(link);
  }

  std::uint64_t begun_ = 0;
  std::uint64_t running_ = 0;
  std::vector<std::uint32_t> pausing_;  ///< slots
  Nanoseconds resume_at_ = 0;
};

}  // namespace ws::load
