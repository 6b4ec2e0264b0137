#include "server/net/fd.h"

namespace ws {

void close_descriptor(int fd) {
  ::close(fd);
}

}  // namespace ws
