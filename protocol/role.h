// Our role on a connection. A client masks its frames, a server does not: RFC 6455 §5.1.
#pragma once

#include <cstdint>

namespace ws {

enum class Role : std::uint8_t { kServer, kClient };

}  // namespace ws
