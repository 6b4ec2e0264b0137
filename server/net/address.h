// An IPv4 or IPv6 address with a port, in the form that the socket calls expect. This class makes no system calls.
// To read the addresses of a socket, call local_address or peer_address (socket.h).
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
  /// Parses a numeric address such as "127.0.0.1" or "::1"; nullopt if it is neither IPv4 nor IPv6.
  static std::optional<SocketAddress> parse(std::string_view address, std::uint16_t port);

  /// "127.0.0.1:8080" or "[::1]:8080".
  [[nodiscard]] std::string to_string() const;
  /// The address without the port, in network byte order: 4 or 16 bytes. The result is a view into this object.
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
