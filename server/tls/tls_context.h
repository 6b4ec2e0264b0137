// The TLS settings of a server: certificate, private key, protocol versions, ciphers and the keys of session tickets. All
// loops share one TlsContext. TLS 1.3: RFC 8446; TLS 1.2: RFC 5246. [6455-10.6-TLS]
//
// OpenSSL implements TLS. Only server/tls/ includes <openssl/ssl.h>.
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

struct ssl_ctx_st;  // OpenSSL's SSL_CTX
struct ssl_st;      // OpenSSL's SSL

namespace ws {

/// The keys that encrypt session tickets (RFC 5077 §4). Each key is used for an hour, and its tickets are accepted for
/// one hour more. The next use after that erases it: a later intruder cannot decrypt recorded sessions with it. Any
/// thread may call the functions.
class TicketKeys {
 public:
  static constexpr std::time_t kPeriod = 3600;  ///< seconds
  static constexpr std::size_t kNameSize = 16;
  struct Key {
    std::array<unsigned char, kNameSize> name;  ///< sent in the ticket, in the clear
    std::array<unsigned char, 32> encryption;   ///< AES-256-CBC
    std::array<unsigned char, 32> mac;          ///< HMAC-SHA256
    std::time_t made_at;
  };
  /// `clock`: seconds; a test may pass its own.
  explicit TicketKeys(std::function<std::time_t()> clock = [] { return std::time(nullptr); })
      : clock_(std::move(clock)) {}

  /// The key for a new ticket; nullopt if there are no random bytes.
  [[nodiscard]] std::optional<Key> current();
  /// The key with this name, unless it is too old. `is_current` is set to false if the client should get a new ticket.
  [[nodiscard]] std::optional<Key> find(const unsigned char* name, bool& is_current);

 private:
  bool rotate();

  std::function<std::time_t()> clock_;
  std::mutex mutex_;
  std::optional<Key> newest_;
  std::optional<Key> previous_;
};

class TlsContext {
 public:
  struct Loaded {
    std::shared_ptr<const TlsContext> context{};  ///< null: see `error`
    std::string error{};                          ///< one line for the user
    std::vector<std::string> warnings{};          ///< one line each
  };
  /// Reads the server's certificate with its chain, and its private key, from two PEM files. Errors: a file
  /// that cannot be read, an encrypted key, or a key that does not match the certificate. Warnings: an expired certificate,
  /// or a key that other users of this machine may read.
  [[nodiscard]] static Loaded load(const std::string& certificate_file, const std::string& key_file,
                                   std::shared_ptr<TicketKeys> tickets);

  /// A new connection of this server. Throws std::bad_alloc.
  [[nodiscard]] ssl_st* new_connection() const;

 private:
  struct Free {
    void operator()(ssl_ctx_st* context) const noexcept;
  };
  TlsContext(std::unique_ptr<ssl_ctx_st, Free> context, std::shared_ptr<TicketKeys> tickets)
      : context_(std::move(context)), tickets_(std::move(tickets)) {}

  std::unique_ptr<ssl_ctx_st, Free> context_;
  std::shared_ptr<TicketKeys> tickets_;
};

}  // namespace ws
