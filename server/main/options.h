// The options of a server: what Server is given, and what wsd reads from its command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/deflate/extensions.h"
#include "protocol/limits.h"
#include "server/net/address.h"

namespace ws {

/// What is logged of the bytes that cross the wire.
enum class WireDetail : std::uint8_t {
  kOff,
  kFields,  ///< a line an item
  kHex,     ///< and below it the bytes, one line a field
};

struct ServerOptions {
  SocketAddress address{};    ///< to listen on; port 0: the kernel chooses
  unsigned threads = 1;       ///< loops, 1 to 64
  bool has_affinity = false;  ///< each loop keeps to one processor; see Server::run
  std::vector<std::string> allowed_origins{};  ///< empty: all, as in the article
  std::vector<std::string> subprotocols{};
  Limits limits{};
  DeflateSettings deflate{};
  WireDetail wire_log = WireDetail::kOff;  ///< written to the log at level info
};

}  // namespace ws
