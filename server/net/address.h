// An IPv4 or IPv6 address with its port, in the form that the socket calls expect. It makes no system call: socket.h
// has those that ask for the addresses of a socket.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ws {

class SocketAddress {
 public:
  SocketAddress() = default;
  /// From a numeric address, "127.0.0.1" or "::1"; nullopt if it is neither.
  static std::optional<SocketAddress> parse(std::string_view address, std::uint16_t port);

  /// "127.0.0.1:8080" or "[::1]:8080".
  [[nodiscard]] std::string to_string() const;
  /// Without the port: 4 or 16 bytes.
  [[nodiscard]] std::string_view host_bytes() const;

  [[nodiscard]] int family() const { return storage_.ss_family; }
  sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage_); }
  [[nodiscard]] const sockaddr* data() const {
    return reinterpret_cast<const sockaddr*>(&storage_);
  }
  [[nodiscard]] socklen_t size() const;

 private:
  sockaddr_storage storage_{};
};

}  // namespace ws
