// An owning file descriptor. Only system calls and close_descriptor use the descriptor as a bare int.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace ws {

/// Closes `fd`. Linux frees the descriptor even if close() fails, so there is nothing to retry. Defined in fd.cpp, so
/// that a simulated network can replace it (see socket.h).
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
  /// Closes the descriptor, if one is open.
  void reset() {
    if (fd_ >= 0)
      close_descriptor(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

/// Opens /dev/null for each of the descriptors 0, 1 and 2 that is closed. Otherwise a socket could get number 1 or 2,
/// and text for standard output or standard error would be sent to its peer.
inline void hold_standard_descriptors() {
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO)
    fd = ::open("/dev/null", O_RDWR);
  ::close(fd);
}

}  // namespace ws
