// Input from a server to a client.
#include "tests/fuzz/connection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ws::fuzz::check_connection(ws::Role::kClient, {data, size});
  return 0;
}
