// The cork: while one read of a session is handled, its answers gather here and leave in one write.
//
// The loop has one, so it has one owner at a time: the session whose output is in it. Before another session writes
// into it, the owner is uncorked (Session::take_cork). It is also flushed when it is full, and uncorked at the end of
// each loop iteration.
#pragma once

#include <cstddef>

#include "protocol/output.h"

namespace ws {

class Session;

class Cork {
 public:
  /// Null: nothing is corked.
  [[nodiscard]] Session* owner() const { return owner_; }
  void set_owner(Session* session) { owner_ = session; }
  /// It must be flushed now: it holds much, or refers to bytes that the next read overwrites.
  [[nodiscard]] bool is_full() const { return output.lends() || output.size() >= kFlushAt; }

  Output output;

 private:
  static constexpr std::size_t kFlushAt = 64 * 1024;
  Session* owner_ = nullptr;
};

}  // namespace ws
