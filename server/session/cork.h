// The cork collects the output of a session, so that the answers to one read leave in one write.
//
// Each loop has one cork. Its owner is the session whose output it holds. The cork is flushed after the owner's event,
// when it is full, before another session uses it (Session::acquire_cork), and at the end of each loop iteration.
#pragma once

#include <cstddef>

#include "protocol/output.h"

namespace ws {

class Session;

class Cork {
 public:
  /// Null: the cork is not in use.
  [[nodiscard]] Session* owner() const { return owner_; }
  void set_owner(Session* session) { owner_ = session; }
  /// True if the cork must be flushed now: it holds at least kFlushAt bytes, or refers to lent bytes, which the next
  /// read may overwrite.
  [[nodiscard]] bool is_full() const { return output.lends() || output.size() >= kFlushAt; }

  Output output;

 private:
  static constexpr std::size_t kFlushAt = 64 * 1024;
  Session* owner_ = nullptr;
};

}  // namespace ws
