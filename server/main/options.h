// The options of a Server. wsd reads them from its command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/deflate/extensions.h"
#include "protocol/limits.h"
#include "server/net/address.h"

namespace ws {

/// How much of the traffic is logged.
enum class WireDetail : std::uint8_t {
  kOff,
  kFields,  ///< one line per item: a head, a frame or data
  kHex,     ///< like kFields, and a hex dump of each item
};

/// A TLS listener on each address of the server. Both files are in PEM format.
struct TlsOptions {
  std::string certificate_file;  ///< the server's certificate, then the intermediate ones
  std::string key_file;
  std::uint16_t port = 8443;  ///< 0: the kernel chooses one
};

struct ServerOptions {
  /// To listen on, all with the same port; if it is 0, the kernel chooses one. At least one address.
  std::vector<SocketAddress> addresses{};
  std::optional<TlsOptions> tls{};  ///< nullopt: no TLS
  bool has_plain = true;            ///< false: listen for TLS only
  unsigned threads = 1;             ///< number of loops, 1 to 64
  bool has_affinity = false;        ///< each loop stays on one processor; see Server::run
  std::vector<std::string> allowed_origins{};  ///< if empty: all that are not malformed
  std::vector<std::string> subprotocols{};
  Limits limits{};
  DeflateSettings deflate{};
  WireDetail wire_log = WireDetail::kOff;  ///< logged at level info
};

}  // namespace ws
