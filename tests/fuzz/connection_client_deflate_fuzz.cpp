// Input from a server to a client, with permessage-deflate.
#include "tests/fuzz/connection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ws::fuzz::check_deflating_connection(ws::Role::kClient, {data, size});
  return 0;
}
