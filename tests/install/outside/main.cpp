// A user of the installed libraries: parses the header of the masked "Hello" of RFC 6455 §5.7.
#include <array>
#include <cstddef>

#include "protocol/frame/connection.h"

#ifndef FBF_FAST
#error "the headers do not know what the library was built with"
#endif

int main() {
  constexpr std::array hello{std::byte{0x81}, std::byte{0x85}, std::byte{0x37},
                             std::byte{0xFA}, std::byte{0x21}, std::byte{0x3D}};
  ws::FrameHeader header;
  const auto result = ws::parse_frame_header(hello, ws::Role::kServer, header);
  return result.size == hello.size() && header.payload_length == 5 ? 0 : 1;
}
