// An IPv4 or IPv6 address with a port, in the form that the socket calls expect.
// To read the addresses of a socket, call local_address or peer_address (socket.h).
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ws {

class SocketAddress {
 public:
  SocketAddress() = default;
  /// Parses a numeric address such as "127.0.0.1" or "::1"; nullopt if it is neither IPv4 nor IPv6.
  static std::optional<SocketAddress> parse(std::string_view address, std::uint16_t port);

  /// "127.0.0.1:8080", "[::1]:8080" or, with a zone, "[fe80::1%eth0]:8080".
  [[nodiscard]] std::string to_string() const;
  /// The address without the port, in network byte order: 4 or 16 bytes. The result is a view into this object.
  [[nodiscard]] std::string_view host_bytes() const;

  [[nodiscard]] std::uint16_t port() const;
  void set_port(std::uint16_t port);
  [[nodiscard]] int family() const { return storage_.ss_family; }
  sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage_); }
  [[nodiscard]] const sockaddr* data() const {
    return reinterpret_cast<const sockaddr*>(&storage_);
  }
  [[nodiscard]] socklen_t size() const;

 private:
  sockaddr_storage storage_{};
};

/// All addresses of `host`: a name, or a numeric address, which may have a zone ("fe80::1%eth0"). Blocks until the
/// system's resolver has answered. If there is none, `error` is the reason, such as "Name or service not known".
[[nodiscard]] std::vector<SocketAddress> resolve(const std::string& host, std::uint16_t port,
                                                 std::string& error);

}  // namespace ws
