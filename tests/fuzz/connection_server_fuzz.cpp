// Input from a client to a server.
#include "tests/fuzz/connection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ws::fuzz::check_connection(ws::Role::kServer, {data, size});
  return 0;
}
