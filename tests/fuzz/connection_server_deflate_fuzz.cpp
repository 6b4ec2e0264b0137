// Input from a client to a server, with permessage-deflate.
#include "tests/fuzz/connection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ws::fuzz::check_deflating_connection(ws::Role::kServer, {data, size});
  return 0;
}
