// The wrappers of the socket calls, and the errors that they return.
#include "server/net/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ws {
namespace {

TEST(SocketAddress, ParsesAndFormatsOnlyNumericAddresses) {
  const auto ipv4 = SocketAddress::parse("127.0.0.1", 8080);
  ASSERT_TRUE(ipv4.has_value());
  EXPECT_EQ(ipv4->to_string(), "127.0.0.1:8080");
  EXPECT_EQ(ipv4->host_bytes(), std::string_view("\x7F\x00\x00\x01", 4));
  const auto ipv6 = SocketAddress::parse("::1", 65535);
  ASSERT_TRUE(ipv6.has_value());
  EXPECT_EQ(ipv6->to_string(), "[::1]:65535");
  EXPECT_EQ(ipv6->host_bytes(), std::string(15, '\0') + '\1');
  EXPECT_EQ(SocketAddress::parse("2001:DB8:0:0::1", 80)->to_string(), "[2001:db8::1]:80");
  for (const std::string_view no :
       {"", "localhost", "127.0.0.1:80", "256.0.0.1", "[::1]", "1.2.3", "::1%lo"}) {
    EXPECT_FALSE(SocketAddress::parse(no, 1).has_value()) << no;
  }
}

TEST(ListenOn, SharesAPortOnlyWithFurtherSocketsOfTheSameServer) {
  std::error_code error;
  const Fd first = listen_on(*SocketAddress::parse("127.0.0.1", 0), error, PortSharing::kFirst);
  ASSERT_FALSE(error) << error.message();
  const SocketAddress address = local_address(first);
  const Fd second = listen_on(address, error, PortSharing::kFurther);
  EXPECT_FALSE(error) << error.message();
  for (const PortSharing sharing : {PortSharing::kNone, PortSharing::kFirst}) {
    error.clear();
    EXPECT_FALSE(listen_on(address, error, sharing).is_open());
    EXPECT_EQ(error, std::errc::address_in_use)
        << "only further sockets of the same server may join";
  }
  std::vector<Fd> clients;
  const auto comes_to = [&](const Fd& listener) {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(clients.back().get(), address.data(), address.size()), 0);
    SocketAddress peer;
    return accept_connection(listener, peer, error).is_open();
  };
  for (const Fd* const listener : {&first, &second}) {
    int connections = 1;
    while (!comes_to(*listener) && connections < 100)
      ++connections;
    EXPECT_LT(connections, 100) << "the kernel distributes the connections among both";
  }
}

TEST(ListenOn, DoesNotShareAPortByDefault) {
  std::error_code error;
  const Fd alone = listen_on(*SocketAddress::parse("127.0.0.1", 0), error);
  const SocketAddress address = local_address(alone);
  for (const PortSharing sharing :
       {PortSharing::kNone, PortSharing::kFirst, PortSharing::kFurther}) {
    error.clear();
    EXPECT_FALSE(listen_on(address, error, sharing).is_open());
    EXPECT_EQ(error, std::errc::address_in_use);
  }
}

/// Both ends of a TCP connection on loopback.
struct Connection {
  explicit Connection(std::string_view address = "127.0.0.1") {
    std::error_code error;
    listener = listen_on(*SocketAddress::parse(address, 0), error);
    EXPECT_FALSE(error) << error.message();
    const SocketAddress server = local_address(listener);
    client = Fd(::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client.get(), server.data(), server.size()), 0);
    accepted = accept_connection(listener, peer, error);
    EXPECT_TRUE(accepted.is_open()) << error.message();
  }
  /// Waits until data, FIN or a reset has arrived at the accepted end.
  void wait() const {
    pollfd entry{accepted.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&entry, 1, 10'000), 1);
  }
  void send(std::string_view text) const {
    EXPECT_EQ(::send(client.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }

  Fd listener;
  Fd client;
  Fd accepted;
  SocketAddress peer;
  std::array<std::byte, 100> buffer{};
};

TEST(Listener, AcceptsIpv4AndIpv6AndReportsThePeerAddress) {
  for (const std::string_view address : {"127.0.0.1", "::1"}) {
    const Connection connection(address);
    EXPECT_EQ(connection.peer.to_string(), local_address(connection.client).to_string());
    EXPECT_EQ(peer_address(connection.accepted).to_string(), connection.peer.to_string());
    SocketAddress peer;
    std::error_code error;
    EXPECT_FALSE(accept_connection(connection.listener, peer, error).is_open());
    EXPECT_EQ(error, std::errc::operation_would_block) << "no connection is waiting";
  }
}

TEST(Listener, PassesItsSocketOptionsToAcceptedConnections) {
  const Connection connection;
  constexpr std::pair<int, int> kOptions[] = {{IPPROTO_TCP, TCP_NODELAY},
                                              {SOL_SOCKET, SO_KEEPALIVE}};
  for (const auto& [level, option] : kOptions) {
    int value = 0;
    socklen_t size = sizeof value;
    ASSERT_EQ(::getsockopt(connection.accepted.get(), level, option, &value, &size), 0);
    EXPECT_NE(value, 0) << option;
  }
}

TEST(Listener, ReportsWhyItCannotListen) {
  const Connection connection;
  std::error_code error;
  EXPECT_FALSE(listen_on(local_address(connection.listener), error).is_open());
  EXPECT_EQ(error, std::errc::address_in_use);
  EXPECT_FALSE(listen_on(*SocketAddress::parse("192.0.2.1", 0), error).is_open());
  EXPECT_EQ(error, std::errc::address_not_available);
}

TEST(Receiving, DistinguishesDataWouldBlockFinAndReset) {
  Connection connection;
  EXPECT_EQ(receive(connection.accepted, connection.buffer).status(),
            IoResult::Status::kWouldBlock);
  connection.send("hello");
  connection.wait();
  const IoResult data = receive(connection.accepted, connection.buffer);
  EXPECT_EQ(data.status(), IoResult::Status::kDone);
  EXPECT_EQ(data.size(), 5U);
  connection.client.reset();
  connection.wait();
  EXPECT_EQ(receive(connection.accepted, connection.buffer).status(), IoResult::Status::kEnd);

  Connection lost;
  make_reset_on_close(lost.client);
  lost.client.reset();
  lost.wait();
  const IoResult error = receive(lost.accepted, lost.buffer);
  EXPECT_EQ(error.status(), IoResult::Status::kError);
  EXPECT_EQ(error.error(), std::errc::connection_reset);
}

TEST(Sending, WritesAllPiecesAndReportsTheNumberOfSentBytes) {
  const Connection connection;
  std::string one = "one";
  std::string two = "two";
  const std::array<iovec, 2> pieces = {iovec{one.data(), 3}, iovec{two.data(), 3}};
  EXPECT_EQ(send_pieces(connection.accepted, pieces).size(), 6U);
  EXPECT_EQ(send_pieces(connection.accepted, std::span(pieces).first(1)).size(), 3U);
  std::array<char, 9> received{};
  EXPECT_EQ(::recv(connection.client.get(), received.data(), 9, MSG_WAITALL), 9);
  EXPECT_EQ(std::string_view(received.data(), 9), "onetwoone");

  // The peer does not read, so the socket buffer becomes full.
  std::string much(1 << 20, 'x');
  const std::array<iovec, 1> large = {iovec{much.data(), much.size()}};
  IoResult result(1);
  for (int i = 0; i < 100 && result.status() == IoResult::Status::kDone; ++i) {
    result = send_pieces(connection.accepted, large);
  }
  EXPECT_EQ(result.status(), IoResult::Status::kWouldBlock);
}

TEST(Sending, ReturnsAnErrorWithoutSigpipeAfterAReset) {
  Connection connection;
  make_reset_on_close(connection.client);
  connection.client.reset();
  connection.wait();
  EXPECT_EQ(pending_error(connection.accepted), std::errc::connection_reset);
  std::string text = "x";
  const std::array<iovec, 1> piece = {iovec{text.data(), 1}};
  const IoResult result = send_pieces(connection.accepted, piece);
  EXPECT_EQ(result.status(), IoResult::Status::kError);
  EXPECT_EQ(result.error(), std::errc::broken_pipe);
}

TEST(FinishingWriting, SendsFinAndStillReceives) {
  Connection connection;
  finish_writing(connection.accepted);
  char c = 0;
  EXPECT_EQ(::recv(connection.client.get(), &c, 1, 0), 0) << "FIN";
  connection.send("still heard");
  connection.wait();
  EXPECT_EQ(receive(connection.accepted, connection.buffer).size(), 11U);
}

TEST(ResetOnClose, DropsQueuedBytesAndResetsThePeer) {
  Connection connection;
  std::string much(1 << 20, 'x');
  const std::array<iovec, 1> piece = {iovec{much.data(), much.size()}};
  std::size_t sent = 0;
  IoResult result(1);
  for (; result.status() == IoResult::Status::kDone; sent += result.size())
    result = send_pieces(connection.accepted, piece);
  make_reset_on_close(connection.accepted);
  connection.accepted.reset();
  // Bytes that have arrived can be read; those in the sender's queue are lost, with a reset instead of a FIN.
  std::size_t received = 0;
  while ((result = receive(connection.client, std::as_writable_bytes(std::span(much)))).status() ==
         IoResult::Status::kDone) {
    received += result.size();
  }
  EXPECT_EQ(result.status(), IoResult::Status::kError);
  EXPECT_EQ(result.error(), std::errc::connection_reset);
  EXPECT_LT(received, sent);
}

TEST(Fd, MovesOwnershipAndClosesOnAssignment) {
  Fd first(::dup(0));
  const int number = first.get();
  Fd second = std::move(first);
  EXPECT_FALSE(first.is_open());  // NOLINT(bugprone-use-after-move): tests the moved-from state
  EXPECT_EQ(second.get(), number);
  second = Fd();
  EXPECT_EQ(::dup(number), -1) << "closed when its owner was assigned another Fd";
}

}  // namespace
}  // namespace ws
