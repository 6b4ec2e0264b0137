// A file descriptor with one owner. No bare descriptor crosses a function boundary here except into a
// system call.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace ws {

/// Closes `fd`. Linux frees the descriptor even where close() fails, so there is nothing to retry. In a .cpp, like every
/// system call on a socket, so that a program can link another definition (see socket.h).
void close_descriptor(int fd);

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  /// Closes it, if it is open.
  void reset() {
    if (fd_ >= 0)
      close_descriptor(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

/// Opens whichever of 0, 1 and 2 is closed. Else the next socket would become it, and get what we print.
inline void hold_standard_descriptors() {
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO)
    fd = ::open("/dev/null", O_RDWR);
  ::close(fd);
}

}  // namespace ws
