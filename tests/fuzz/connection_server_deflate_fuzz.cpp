// What a client sends a server with which it has agreed on permessage-deflate.
#include "tests/fuzz/connection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ws::fuzz::check_deflating_connection(ws::Role::kServer, {data, size});
  return 0;
}
