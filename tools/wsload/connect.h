// wsload's connect mode: each link connects, upgrades, performs the closing handshake, and starts again.
#pragma once

#include <cstdint>

#include "tools/wsload/worker.h"

namespace ws::load {

class ConnectWorker final : public Worker {
 public:
  using Worker::Worker;

 private:
  void begin() override {
    for (Link& link : links())
      again(link, times().start);
  }
  void opened(Link& link) override {
    record(link.since, monotonic_now());
    close(link);
  }
  void closed(Link& link) override {
    --running_;
    link.number += plan().connections;  // of the next connection; selects its source address
    add_answers(1);
    again(link, monotonic_now());
  }
  void take(Link& /*link*/, std::span<std::byte> /*in*/, Nanoseconds /*now*/) override {}
  void send(Link& /*link*/) override {}
  Nanoseconds turn(Nanoseconds /*now*/) override { return INT64_MAX; }
  bool is_done(Nanoseconds /*now*/) override { return running_ == 0; }

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
};

}  // namespace ws::load
