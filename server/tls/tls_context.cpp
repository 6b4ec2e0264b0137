#include "server/tls/tls_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>
#include <system_error>

namespace ws {
namespace {

// Mozilla's "intermediate" recommendation, version 5.7, for TLS 1.2. All are AEADs with forward secrecy, as are all ciphers of
// TLS 1.3, for which we keep OpenSSL's defaults.
constexpr const char* kTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr std::string_view kHttp11 = "http/1.1";

template <typename Type, void (*kFree)(Type*)>
struct FreeWith {
  void operator()(Type* object) const { kFree(object); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY, EVP_PKEY_free>>;
struct CloseFile {
  void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

std::string last_system_error() {
  return std::error_code(errno, std::system_category()).message();
}

/// The first error that OpenSSL has queued, as text: later ones are less exact.
std::string tls_error() {
  const char* const reason = ERR_reason_error_string(ERR_peek_error());
  return reason == nullptr ? "unknown error" : reason;
}

/// Chooses HTTP/1.1, the only protocol of this server, if the client offers it. A client that offers only others gets the
/// alert no_application_protocol. RFC 7301 §3.2
int choose_protocol(SSL* /*connection*/, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void* /*unused*/) {
  for (unsigned i = 0; i < offered_size; i += 1U + offered[i]) {
    const unsigned length = offered[i];
    if (length != kHttp11.size() || i + 1 + length > offered_size)
      continue;
    if (std::memcmp(offered + i + 1, kHttp11.data(), length) == 0) {
      *chosen = offered + i + 1;
      *size = offered[i];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// OpenSSL calls it to encrypt (`is_new`) or decrypt a ticket: sets the cipher and the MAC. Returns 1, or 2 if the client
/// should get a new ticket, 0 if the key is unknown (then the handshake is a full one), and -1 after an error.
int use_ticket_key(SSL* connection, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                   EVP_MAC_CTX* mac, int is_new) noexcept {
  auto& keys = *static_cast<TicketKeys*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
  bool is_current = true;
  std::optional<TicketKeys::Key> key = is_new != 0 ? keys.current() : keys.find(name, is_current);
  if (!key.has_value())
    return is_new != 0 ? -1 : 0;
  const EVP_CIPHER* const algorithm = EVP_aes_256_cbc();
  if (is_new != 0) {
    std::ranges::copy(key->name, name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(algorithm)) != 1)
      return -1;
  }
  if (EVP_CipherInit_ex(cipher, algorithm, nullptr, key->encryption.data(), iv, is_new) != 1)
    return -1;
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac.data(), key->mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, parameters) != 1)
    return -1;
  OPENSSL_cleanse(&*key, sizeof *key);
  return is_current ? 1 : 2;
}

/// OpenSSL asks for the password of an encrypted key: notes that it asked, and gives none.
int refuse_password(char* /*password*/, int /*size*/, int /*is_writing*/, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

/// Reads a private key. On failure returns null and sets `error`.
Key read_key(const std::string& name, std::string& error) {
  const File file(std::fopen(name.c_str(), "re"));
  if (file == nullptr) {
    error = "cannot read the key " + name + ": " + last_system_error();
    return nullptr;
  }
  bool was_asked = false;
  Key key(PEM_read_PrivateKey(file.get(), nullptr, refuse_password, &was_asked));
  if (key == nullptr) {
    error =
        was_asked
            ? "the key " + name +
                  " is encrypted, which wsd does not support; decrypt it with: openssl pkey -in " +
                  name + " -out NEW_FILE"
            : "the key " + name + " is not a private key in PEM format";
  }
  return key;
}

bool is_readable_by_others(const std::string& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

}  // namespace

// --- TicketKeys

/// Makes a new key if the newest is older than kPeriod, and erases the previous one if it is older than 2 kPeriod. Returns
/// false if no random bytes are available.
bool TicketKeys::rotate() {
  const std::time_t now = clock_();
  const auto is_older = [now](const std::optional<Key>& key, std::time_t age) {
    return !key.has_value() || now - key->made_at >= age;
  };
  if (is_older(newest_, kPeriod)) {
    Key key{};
    key.made_at = now;
    if (RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) != 1 ||
        RAND_priv_bytes(key.encryption.data(), static_cast<int>(key.encryption.size())) != 1 ||
        RAND_priv_bytes(key.mac.data(), static_cast<int>(key.mac.size())) != 1)
      return false;
    previous_ = newest_;
    newest_ = key;
  }
  if (previous_.has_value() && is_older(previous_, 2 * kPeriod)) {
    OPENSSL_cleanse(&*previous_, sizeof *previous_);
    previous_.reset();
  }
  return true;
}

std::optional<TicketKeys::Key> TicketKeys::current() {
  const std::lock_guard lock(mutex_);
  return rotate() ? newest_ : std::nullopt;
}

std::optional<TicketKeys::Key> TicketKeys::find(const unsigned char* name, bool& is_current) {
  const std::lock_guard lock(mutex_);
  if (!rotate())
    return std::nullopt;
  for (const std::optional<Key>* key : {&newest_, &previous_}) {
    if (key->has_value() && std::memcmp((*key)->name.data(), name, kNameSize) == 0) {
      is_current = key == &newest_;
      return *key;
    }
  }
  return std::nullopt;
}

// --- TlsContext

void TlsContext::Free::operator()(ssl_ctx_st* context) const noexcept {
  SSL_CTX_free(context);
}

TlsContext::Loaded TlsContext::load(const std::string& certificate_file,
                                    const std::string& key_file,
                                    std::shared_ptr<TicketKeys> tickets) {
  Loaded loaded;
  ERR_clear_error();
  std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr)
    throw std::bad_alloc();
  SSL_CTX* const tls = context.get();
  SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
  SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // No partial writes: our output accepts all bytes, also if the client asked for small records (RFC 6066 §4).
  SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_dh_auto(tls, 1);
  // A session is resumed with a ticket. Without the cache, the server keeps no memory for clients that have gone.
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_app_data(tls, tickets.get());
  SSL_CTX_set_tlsext_ticket_key_evp_cb(tls, use_ticket_key);
  SSL_CTX_set_alpn_select_cb(tls, choose_protocol, nullptr);
  if (SSL_CTX_set_cipher_list(tls, kTls12Ciphers) != 1 ||
      SSL_CTX_set1_groups_list(tls, kGroups) != 1) {
    loaded.error = "this OpenSSL does not know the ciphers of wsd: " + tls_error();
    return loaded;
  }

  if (!File(std::fopen(certificate_file.c_str(), "re"))) {
    loaded.error = "cannot read the certificate " + certificate_file + ": " + last_system_error();
    return loaded;
  }
  if (SSL_CTX_use_certificate_chain_file(tls, certificate_file.c_str()) != 1) {
    loaded.error =
        certificate_file + " has no certificate in PEM format (OpenSSL: " + tls_error() + ")";
    return loaded;
  }
  const Key key = read_key(key_file, loaded.error);
  if (key == nullptr)
    return loaded;
  // SSL_CTX_use_PrivateKey accepts a key of another type, and then finds no certificate for it.
  if (X509_check_private_key(SSL_CTX_get0_certificate(tls), key.get()) != 1 ||
      SSL_CTX_use_PrivateKey(tls, key.get()) != 1) {
    loaded.error =
        "the key " + key_file + " does not belong to the certificate " + certificate_file;
    return loaded;
  }

  if (is_readable_by_others(key_file)) {
    loaded.warnings.push_back("the key " + key_file +
                              " can be read by other users; fix it with: chmod 600 " + key_file);
  }
  if (X509_cmp_current_time(X509_get0_notAfter(SSL_CTX_get0_certificate(tls))) < 0)
    loaded.warnings.push_back("the certificate " + certificate_file + " has expired");
  loaded.context.reset(new TlsContext(std::move(context), std::move(tickets)));
  return loaded;
}

ssl_st* TlsContext::new_connection() const {
  SSL* const connection = SSL_new(context_.get());
  if (connection == nullptr)
    throw std::bad_alloc();
  SSL_set_accept_state(connection);
  return connection;
}

}  // namespace ws
