// TlsConnection and TlsContext against OpenSSL's client, in one process and without sockets.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "protocol/output.h"
#include "protocol/text.h"
#include "server/tls/tls_connection.h"
#include "server/tls/tls_context.h"
#include "tests/support/bytes.h"

namespace ws::test {
namespace {

namespace fs = std::filesystem;

struct Deleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* connection) const { SSL_free(connection); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};
template <typename Type>
using Owned = std::unique_ptr<Type, Deleter>;

/// A key and a certificate for localhost, in files that are deleted at the end.
class Files {
 public:
  explicit Files(long valid_seconds = 3600) {
    std::string name = (fs::temp_directory_path() / "tls-test-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
    const Owned<X509> x509(X509_new());
    X509_set_version(x509.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509.get()), -7200);
    X509_gmtime_adj(X509_getm_notAfter(x509.get()), valid_seconds);
    X509_set_pubkey(x509.get(), key.get());
    X509_NAME* const subject = X509_get_subject_name(x509.get());
    const Bytes host = "localhost";
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(host.data()), -1, -1, 0);
    X509_set_issuer_name(x509.get(), subject);
    X509_sign(x509.get(), key.get(), EVP_sha256());
    PEM_write_X509(open(certificate()).get(), x509.get());
    PEM_write_PrivateKey(open(this->key()).get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    ::chmod(this->key().c_str(), 0600);
    PEM_write_PrivateKey(open(encrypted_key()).get(), key.get(), EVP_aes_128_cbc(),
                         reinterpret_cast<const unsigned char*>("secret"), 6, nullptr, nullptr);
  }
  ~Files() { fs::remove_all(directory_); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  [[nodiscard]] std::string certificate() const { return directory_ + "/certificate.pem"; }
  [[nodiscard]] std::string key() const { return directory_ + "/key.pem"; }
  [[nodiscard]] std::string encrypted_key() const { return directory_ + "/encrypted.pem"; }
  [[nodiscard]] std::string missing() const { return directory_ + "/missing.pem"; }

  static Owned<std::FILE> open(const std::string& name) {
    return Owned<std::FILE>(std::fopen(name.c_str(), "w"));
  }

 private:
  std::string directory_;
};

const Files& files() {
  static const Files the_files;
  return the_files;
}

std::shared_ptr<const TlsContext> context(std::shared_ptr<TicketKeys> tickets) {
  auto loaded = TlsContext::load(files().certificate(), files().key(), std::move(tickets));
  EXPECT_EQ(loaded.error, "");
  return loaded.context;
}

std::shared_ptr<const TlsContext> context() {
  static const auto the_context = context(std::make_shared<TicketKeys>());
  return the_context;
}

/// OpenSSL's client.
class Client {
 public:
  explicit Client(int version = TLS1_3_VERSION) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    if (version < TLS1_2_VERSION)
      SSL_CTX_set_security_level(context_.get(), 0);
    tls_.reset(SSL_new(context_.get()));
    SSL_set_connect_state(tls_.get());
    SSL_set_bio(tls_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  }

  [[nodiscard]] SSL* tls() const { return tls_.get(); }
  void offer(const std::vector<std::string>& protocols) {
    Bytes list;
    for (const std::string& protocol : protocols)
      list += static_cast<char>(protocol.size()) + protocol;
    SSL_set_alpn_protos(tls_.get(), reinterpret_cast<const unsigned char*>(list.data()),
                        static_cast<unsigned>(list.size()));
  }

  /// Passes `bytes` from the server to the client, and returns what the client sends. Received plaintext: `received`.
  Bytes exchange(const Bytes& bytes) {
    BIO_write(SSL_get_rbio(tls_.get()), bytes.data(), static_cast<int>(bytes.size()));
    char buffer[20'000];
    int size = 0;
    ERR_clear_error();
    while ((size = SSL_read(tls_.get(), buffer, sizeof buffer)) > 0)
      received.append(buffer, static_cast<std::size_t>(size));
    error = SSL_get_error(tls_.get(), size);
    reason = ERR_GET_REASON(ERR_peek_error());
    ERR_clear_error();
    return output();
  }
  /// What the client sends to deliver `plain`.
  Bytes send(const Bytes& plain) {
    EXPECT_EQ(SSL_write(tls_.get(), plain.data(), static_cast<int>(plain.size())),
              static_cast<int>(plain.size()));
    return output();
  }
  Bytes output() {
    Bytes bytes(static_cast<std::size_t>(BIO_pending(SSL_get_wbio(tls_.get()))), '\0');
    BIO_read(SSL_get_wbio(tls_.get()), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }

  Bytes received;
  int error = 0;   ///< of SSL_get_error
  int reason = 0;  ///< of OpenSSL's first error

 private:
  Owned<SSL_CTX> context_;
  Owned<SSL> tls_;
};

/// A connection of the server whose output is collected.
class Server {
 public:
  explicit Server(const TlsContext& with = *context()) : connection(with, buffers()) {}

  /// Passes `bytes` to the connection, in parts of at most `part` bytes. Returns what it sends.
  Bytes receive(const Bytes& bytes, std::size_t part = SIZE_MAX) {
    Bytes out;
    for (std::size_t i = 0; i < bytes.size(); i += std::min(part, bytes.size() - i)) {
      const Bytes cut = bytes.substr(i, part);
      std::vector<std::byte> plain(cut.size() + kMaxTlsRecord);
      std::size_t size = 0;
      status = connection.decrypt(std::as_bytes(std::span(cut)), plain, size);
      received += as_text(std::span(plain).first(size));
      out += take();
    }
    return out;
  }
  Bytes send(const Bytes& plain) {
    const iovec piece = {const_cast<char*>(plain.data()), plain.size()};
    taken = connection.encrypt({&piece, 1});
    return take();
  }
  /// What must be sent; the "socket" accepts all of it.
  Bytes take() {
    const Bytes out(as_text(connection.to_send()));
    if (!out.empty())
      connection.sent(out.size());
    return out;
  }

  static TlsBuffers& buffers() {
    static TlsBuffers the_buffers;
    return the_buffers;
  }

  TlsConnection connection;
  TlsConnection::Status status = TlsConnection::Status::kOpen;
  Bytes received;
  std::size_t taken = 0;
};

using Status = TlsConnection::Status;

/// The handshake, with what the server receives cut into parts. Returns false if one of the sides has failed.
bool shake_hands(Client& client, Server& server, std::size_t part = SIZE_MAX) {
  Bytes to_server = client.exchange("");
  for (int i = 0; i < 4 && !to_server.empty(); ++i)
    to_server = client.exchange(server.receive(to_server, part));
  return server.connection.is_established() && SSL_is_init_finished(client.tls()) == 1;
}

void encrypt_hello(TlsConnection& connection) {
  Bytes text = "hello";
  const iovec piece = {text.data(), text.size()};
  EXPECT_EQ(connection.encrypt({&piece, 1}), 5U);
}

std::size_t count_records(const Bytes& bytes) {
  const auto byte = [&bytes](std::size_t at) -> std::size_t {
    return static_cast<unsigned char>(bytes[at]);
  };
  std::size_t count = 0;
  for (std::size_t i = 0; i + 5 <= bytes.size(); ++count)
    i += 5 + byte(i + 3) * 256 + byte(i + 4);
  return count;
}

class Versions : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Tls, Versions, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                           return version.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

TEST_P(Versions, CarryDataBothWaysHoweverTheBytesAreCut) {
  for (const std::size_t part :
       {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{100}, SIZE_MAX}) {
    SCOPED_TRACE(part);
    Client client(GetParam());
    Server server;
    ASSERT_TRUE(shake_hands(client, server, part));
    EXPECT_EQ(SSL_version(client.tls()), GetParam());
    const Bytes large(40'000, 'x');
    const Bytes hello = client.send("hello");
    server.receive(hello + client.send(large), part);
    EXPECT_TRUE(server.received == "hello" + large);
    client.exchange(server.send("Echo: hello"));
    EXPECT_EQ(client.received, "Echo: hello");
    EXPECT_EQ(server.status, Status::kOpen);
  }
}

TEST_P(Versions, EndWithCloseNotifyOfBothSides) {
  Client client(GetParam());
  Server server;
  ASSERT_TRUE(shake_hands(client, server));
  EXPECT_FALSE(server.connection.is_closed_by_peer());
  const Bytes last = client.send("last words");
  SSL_shutdown(client.tls());
  server.receive(last + client.output());
  EXPECT_EQ(server.received, "last words");
  EXPECT_EQ(server.status, Status::kClosed);
  EXPECT_TRUE(server.connection.is_closed_by_peer());
  // The other direction is still open.
  client.exchange(server.send("goodbye"));
  EXPECT_EQ(client.received, "goodbye");
  server.connection.close();
  client.exchange(server.take());
  EXPECT_EQ(client.error, SSL_ERROR_ZERO_RETURN);
  server.connection.close();
  EXPECT_EQ(server.take(), "") << "a second close_notify";
}

TEST_P(Versions, FailOnAChangedByteWithAnAlert) {
  Client client(GetParam());
  Server server;
  ASSERT_TRUE(shake_hands(client, server));
  Bytes changed = client.send("hello");
  changed.back() = static_cast<char>(changed.back() ^ 1);
  const Bytes alert = server.receive(changed);
  EXPECT_EQ(server.received, "");
  EXPECT_EQ(server.status, Status::kFailed);
  EXPECT_EQ(server.connection.failure(), "decryption failed or bad record mac");
  client.exchange(alert);
  EXPECT_EQ(client.reason, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
  EXPECT_EQ(server.send("more"), "");
  EXPECT_EQ(server.taken, 0U);
  server.receive("more");
  EXPECT_EQ(server.status, Status::kFailed);
}

TEST(TlsHandshake, RefusesTls11) {
  Client client(TLS1_1_VERSION);
  Server server;
  EXPECT_FALSE(shake_hands(client, server));
  EXPECT_EQ(server.status, Status::kFailed);
  EXPECT_EQ(client.reason, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
}

TEST(TlsHandshake, RefusesRenegotiation) {
  Client client(TLS1_2_VERSION);
  Server server;
  ASSERT_TRUE(shake_hands(client, server));
  ASSERT_EQ(SSL_renegotiate(client.tls()), 1);
  SSL_do_handshake(client.tls());
  client.exchange(server.receive(client.output()));
  EXPECT_EQ(client.reason, SSL_R_NO_RENEGOTIATION);
}

TEST(TlsHandshake, ChoosesOnlyHttp11) {
  struct Row {
    std::vector<std::string> offered;
    bool is_accepted;
    std::string chosen;
  };
  const Row rows[] = {
      {{}, true, ""},
      {{"http/1.1"}, true, "http/1.1"},
      {{"h2", "http/1.1"}, true, "http/1.1"},
      {{"http/1.1", "h2"}, true, "http/1.1"},
      {{"h2"}, false, ""},
      {{"http/1.0", "http/1.", "http/1.11"}, false, ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(testing::PrintToString(row.offered));
    Client client;
    Server server;
    if (!row.offered.empty())
      client.offer(row.offered);
    EXPECT_EQ(shake_hands(client, server), row.is_accepted);
    if (!row.is_accepted) {
      EXPECT_EQ(client.reason, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    }
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(client.tls(), &chosen, &size);
    EXPECT_EQ(Bytes(reinterpret_cast<const char*>(chosen), size), row.chosen);
  }
}

TEST(TlsHandshake, RefusesCiphersThatAreNotAead) {
  for (const char* const cipher : {"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"}) {
    SCOPED_TRACE(cipher);
    Client client(TLS1_2_VERSION);
    Server server;
    ASSERT_EQ(SSL_set_cipher_list(client.tls(), cipher), 1);
    EXPECT_FALSE(shake_hands(client, server));
  }
}

TEST(TlsHandshake, NoticesAnHttpRequestWithoutTls) {
  for (const char* const request : {"GET / HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\n\r\n", "P"}) {
    Server server;
    EXPECT_EQ(server.receive(request), "");
    EXPECT_EQ(server.status, Status::kPlainText);
  }
  Server server;
  server.receive("\x16\x03\x01");
  EXPECT_EQ(server.status, Status::kOpen);
  server.receive("G");  // the length of a record, not the first byte
  EXPECT_EQ(server.status, Status::kOpen);
  Server other;
  other.receive(Bytes("\0\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(other.status, Status::kFailed);
}

TEST(TlsHandshake, SendsNothingBeforeItIsComplete) {
  Server server;
  EXPECT_EQ(server.send("early"), "");
  EXPECT_EQ(server.taken, 0U);
  server.connection.close();
  EXPECT_EQ(server.take(), "");
}

TEST(TlsOutput, TakesABatchInFullRecords) {
  Client client;
  Server server;
  ASSERT_TRUE(shake_hands(client, server));
  Bytes payload(TlsConnection::kMaxBatch + 1, 'x');
  for (std::size_t i = 0; i < payload.size(); ++i)
    payload[i] = static_cast<char>(i * 7 + i / 256);
  // However the bytes are divided into pieces.
  for (const std::size_t size :
       {std::size_t{1000}, std::size_t{16'384}, std::size_t{16'385}, payload.size()}) {
    SCOPED_TRACE(size);
    std::vector<iovec> pieces;
    for (std::size_t i = 0; i < payload.size(); i += size)
      pieces.push_back({payload.data() + i, std::min(size, payload.size() - i)});
    EXPECT_EQ(server.connection.encrypt(pieces), TlsConnection::kMaxBatch);
    const Bytes out = server.take();
    EXPECT_EQ(count_records(out), 4U);
    client.received.clear();
    client.exchange(out);
    EXPECT_TRUE(client.received == payload.substr(0, TlsConnection::kMaxBatch));
  }
}

TEST(TlsOutput, GathersSmallPiecesInOneRecord) {
  Client client;
  Server server;
  ASSERT_TRUE(shake_hands(client, server));
  Bytes one = "one, ";
  Bytes two = "two, ";
  Bytes three = "three";
  const iovec pieces[] = {
      {one.data(), one.size()}, {two.data(), two.size()}, {three.data(), three.size()}};
  EXPECT_EQ(server.connection.encrypt(pieces), 15U);
  const Bytes out = server.take();
  EXPECT_EQ(count_records(out), 1U);
  client.exchange(out);
  EXPECT_EQ(client.received, "one, two, three");
}

TEST(TlsOutput, IsWholeIfTheClientAsksForSmallRecords) {
  Client client;
  Server server;
  ASSERT_EQ(SSL_set_tlsext_max_fragment_length(client.tls(), TLSEXT_max_fragment_length_512), 1);
  ASSERT_TRUE(shake_hands(client, server));
  Bytes payload(50'000, 'x');
  for (std::size_t i = 0; i < payload.size(); ++i)
    payload[i] = static_cast<char>(i * 7 + i / 256);
  const iovec pieces[] = {{payload.data(), 1000}, {payload.data() + 1000, payload.size() - 1000}};
  EXPECT_EQ(server.connection.encrypt(pieces), payload.size());
  client.exchange(server.take());
  EXPECT_TRUE(client.received == payload);
}

TEST(TlsOutput, SkipsBytesInAnyPiece) {
  Bytes one = "one";
  Bytes two = "two";
  const iovec pieces[] = {{one.data(), one.size()}, {two.data(), two.size()}};
  for (std::size_t skip = 0; skip <= 7; ++skip) {
    SCOPED_TRACE(skip);
    Client client;
    Server server;
    ASSERT_TRUE(shake_hands(client, server));
    const Bytes expected = Bytes("onetwo").substr(std::min<std::size_t>(skip, 6));
    EXPECT_EQ(server.connection.encrypt(pieces, skip), expected.size());
    client.exchange(server.take());
    EXPECT_EQ(client.received, expected);
  }
}

TEST(TlsOutput, KeepsWhatTheSocketDidNotAccept) {
  Client client;
  Server server;
  TlsConnection& connection = server.connection;
  ASSERT_TRUE(shake_hands(client, server));
  encrypt_hello(connection);
  const Bytes whole(as_text(connection.to_send()));
  EXPECT_FALSE(connection.has_unsent());
  connection.sent(10);
  EXPECT_TRUE(connection.has_unsent());
  EXPECT_EQ(connection.unsent(), whole.size() - 10);
  EXPECT_EQ(as_text(connection.to_send()), whole.substr(10));
  // Another connection of the loop uses the buffers in between.
  Client other_client;
  Server other;
  ASSERT_TRUE(shake_hands(other_client, other));
  EXPECT_EQ(as_text(connection.to_send()), whole.substr(10));
  connection.sent(1);
  EXPECT_EQ(as_text(connection.to_send()), whole.substr(11));
  client.exchange(whole.substr(0, 11) + server.take());
  EXPECT_FALSE(connection.has_unsent());
  EXPECT_EQ(client.received, "hello");
}

TEST(TlsOutput, KeepsNewAnswersAfterUnsentOutput) {
  Client client(TLS1_2_VERSION);
  Server server;
  TlsConnection& connection = server.connection;
  ASSERT_TRUE(shake_hands(client, server));
  encrypt_hello(connection);
  Bytes all(as_text(connection.to_send()));
  connection.sent(3);
  ASSERT_EQ(SSL_renegotiate(client.tls()), 1);
  SSL_do_handshake(client.tls());
  const Bytes hello = client.output();
  std::vector<std::byte> plain(hello.size() + kMaxTlsRecord);
  std::size_t size = 0;
  EXPECT_EQ(connection.decrypt(std::as_bytes(std::span(hello)), plain, size), Status::kOpen);
  // Another connection finds the loop's buffer empty.
  Client other_client;
  Server other;
  ASSERT_TRUE(shake_hands(other_client, other));
  all.resize(3);
  client.exchange(all + server.take());
  EXPECT_EQ(client.received, "hello");
  EXPECT_EQ(client.reason, SSL_R_NO_RENEGOTIATION);
}

TEST(TlsOutput, AnswersAKeyUpdate) {
  Client client;
  Server server;
  ASSERT_TRUE(shake_hands(client, server));
  ASSERT_EQ(SSL_key_update(client.tls(), SSL_KEY_UPDATE_REQUESTED), 1);
  EXPECT_EQ(server.receive(client.send("with the new key")), "");
  EXPECT_EQ(server.received, "with the new key");
  // OpenSSL answers with the next data: a peer that updates its key again and again gets one answer.
  const Bytes answer = server.send("also with a new key");
  EXPECT_EQ(count_records(answer), 2U);
  client.exchange(answer);
  EXPECT_EQ(client.received, "also with a new key");
}

/// Connects with the session of an earlier connection. Returns true if it was resumed. Stores the newest in `session`.
bool resumes(const TlsContext& with, Owned<SSL_SESSION>& session, int version) {
  Client client(version);
  Server server(with);
  if (session != nullptr)
    SSL_set_session(client.tls(), session.get());
  EXPECT_TRUE(shake_hands(client, server));
  client.exchange(server.send("a ticket of TLS 1.3 comes before it"));
  session.reset(SSL_get1_session(client.tls()));
  SSL_shutdown(client.tls());  // OpenSSL resumes no session that was not shut down
  return SSL_session_reused(client.tls()) == 1;
}

TEST_P(Versions, ResumeASessionWithATicketForAnHourAtLeast) {
  auto now = std::make_shared<std::time_t>(1'000'000'000);
  const auto keys = std::make_shared<TicketKeys>([now] { return *now; });
  const auto first_loop = context(keys);
  const auto reloaded = context(keys);  // the certificate was read again: the tickets stay good
  Owned<SSL_SESSION> session;
  EXPECT_FALSE(resumes(*first_loop, session, GetParam()));
  EXPECT_TRUE(resumes(*first_loop, session, GetParam()));
  EXPECT_TRUE(resumes(*reloaded, session, GetParam()));
  *now += TicketKeys::kPeriod + 1;
  EXPECT_TRUE(resumes(*first_loop, session, GetParam())) << "with the previous key";
  *now += TicketKeys::kPeriod;
  EXPECT_TRUE(resumes(*first_loop, session, GetParam()))
      << "the last connection got a ticket with the new key";
  *now += 2 * TicketKeys::kPeriod;
  EXPECT_FALSE(resumes(*first_loop, session, GetParam())) << "the key is too old";
  const auto others = context(std::make_shared<TicketKeys>());
  EXPECT_FALSE(resumes(*others, session, GetParam())) << "a ticket of another server";
}

TEST(TicketKeys, AreUsedForAnHourAndAcceptedForOneMore) {
  auto now = std::make_shared<std::time_t>(1'000'000'000);
  TicketKeys keys([now] { return *now; });
  const TicketKeys::Key first = keys.current().value();
  *now += TicketKeys::kPeriod - 1;
  EXPECT_EQ(keys.current()->name, first.name);
  bool is_current = false;
  ASSERT_TRUE(keys.find(first.name.data(), is_current).has_value());
  EXPECT_TRUE(is_current);
  *now += 1;
  const TicketKeys::Key second = keys.current().value();
  EXPECT_NE(second.name, first.name);
  EXPECT_NE(second.encryption, first.encryption);
  EXPECT_NE(second.mac, first.mac);
  ASSERT_TRUE(keys.find(first.name.data(), is_current).has_value());
  EXPECT_EQ(keys.find(first.name.data(), is_current)->mac, first.mac);
  EXPECT_FALSE(is_current);
  *now += TicketKeys::kPeriod - 1;
  EXPECT_TRUE(keys.find(first.name.data(), is_current).has_value());
  *now += 1;
  EXPECT_FALSE(keys.find(first.name.data(), is_current).has_value());
}

// --- The files

std::string error_of(const std::string& certificate, const std::string& key) {
  const auto loaded = TlsContext::load(certificate, key, std::make_shared<TicketKeys>());
  EXPECT_EQ(loaded.context, nullptr);
  return loaded.error;
}

TEST(TlsFiles, ThatCannotBeUsedAreNamed) {
  const Files other;
  const std::string certificate = files().certificate();
  const std::string key = files().key();
  const std::string missing = files().missing();
  EXPECT_EQ(error_of(missing, key),
            "cannot read the certificate " + missing + ": No such file or directory");
  EXPECT_EQ(error_of(certificate, missing),
            "cannot read the key " + missing + ": No such file or directory");
  EXPECT_EQ(error_of(key, key), key + " has no certificate in PEM format (OpenSSL: no start line)");
  EXPECT_EQ(error_of(certificate, certificate),
            "the key " + certificate + " is not a private key in PEM format");
  EXPECT_EQ(error_of(certificate, files().encrypted_key()),
            "the key " + files().encrypted_key() +
                " is encrypted, which wsd does not support; decrypt it with: openssl pkey -in " +
                files().encrypted_key() + " -out NEW_FILE");
  EXPECT_EQ(error_of(certificate, other.key()),
            "the key " + other.key() + " does not belong to the certificate " + certificate);
  const Owned<EVP_PKEY> rsa(EVP_RSA_gen(2048));
  PEM_write_PrivateKey(Files::open(other.key()).get(), rsa.get(), nullptr, nullptr, 0, nullptr,
                       nullptr);
  EXPECT_EQ(error_of(certificate, other.key()),
            "the key " + other.key() + " does not belong to the certificate " + certificate)
      << "a key of another type";
}

TEST(TlsFiles, ThatAreDoubtfulAreUsedWithAWarning) {
  const Files expired(-60);
  ::chmod(expired.key().c_str(), 0640);
  const auto loaded =
      TlsContext::load(expired.certificate(), expired.key(), std::make_shared<TicketKeys>());
  EXPECT_NE(loaded.context, nullptr);
  EXPECT_EQ(loaded.warnings,
            (std::vector<std::string>{
                "the key " + expired.key() +
                    " can be read by other users; fix it with: chmod 600 " + expired.key(),
                "the certificate " + expired.certificate() + " has expired"}));
  EXPECT_EQ(TlsContext::load(files().certificate(), files().key(), std::make_shared<TicketKeys>())
                .warnings,
            std::vector<std::string>{});
}

}  // namespace
}  // namespace ws::test
