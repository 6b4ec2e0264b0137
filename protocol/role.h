// Which end of a connection we are. A client masks what it sends, a server does not: RFC 6455 §5.1.
#pragma once

#include <cstdint>

namespace ws {

enum class Role : std::uint8_t { kServer, kClient };

}  // namespace ws
