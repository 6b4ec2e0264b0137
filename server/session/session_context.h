// The state that the sessions of one loop share, and the memory budgets that all loops share.
#pragma once

#include <cstddef>
#include <string_view>
#include <system_error>
#include <vector>

#include "protocol/budget.h"
#include "protocol/deflate/deflate.h"
#include "protocol/frame/connection.h"
#include "protocol/http/http_message.h"
#include "protocol/limits.h"
#include "server/http/router.h"
#include "server/log/log_limit.h"
#include "server/net/event_loop.h"
#include "server/net/timers.h"
#include "server/net/transport.h"
#include "server/session/cork.h"

namespace ws {

/// The memory that the sessions of all loops may hold.
struct Budgets {
  explicit Budgets(const Limits& limits)
      : buffered(limits.buffered),
        compression(limits.buffered / 4 * 3, &buffered),
        reserve(limits.buffered / 2, &compression) {}
  Budget buffered;
  /// The part of `buffered` that permessage-deflate may use: three quarters, because memory must remain for messages.
  Budget compression;
  /// The part of `compression` that sessions with context takeover may keep between messages: half of `buffered`. It is
  /// charged when takeover is negotiated, so that these sessions always have their windows.
  Budget reserve;
};

/// A session that ended in this loop iteration. `error` is set if a system call failed, `why` if we reset the
/// connection. Both are empty after any other end.
struct EndedSession {
  EventLoop::Token token;
  std::error_code error{};
  std::string_view why{};
};

/// The state that the sessions of one loop share. Must outlive the sessions.
struct SessionContext {
  SessionContext(const Limits& limits, const Router& router_to_use, Budgets& budgets,
                 const DeflateSettings& deflate_settings = {});

  Budget& budget;
  DeflatePool deflate;
  ConnectionSettings settings;
  const Router& router;
  EventLoop loop;
  std::vector<std::byte> receive_buffer;
  Cork cork;
  HttpRequest request;              ///< for heads that arrive in one read
  std::vector<EndedSession> ended;  ///< to be erased at the end of the loop iteration
  bool is_stopping = false;         ///< true: new requests are answered with 503
  Tap* tap = nullptr;               ///< null: no tap

  struct Timer : TimerNode {};
  LogLimit failures{LogLevel::kWarn, "failed sessions"};
  Timer failures_end;  ///< set to `failures.end()` if lines were left out
};

}  // namespace ws
