// A network and a clock in memory, all chances of which are drawn from one seed: no kernel, no thread, no sleep.
//
// simulated_net.cpp defines every function of fd.cpp, socket.cpp and event_loop.cpp in server/net/. A program that is
// built from it and links the static fbf_server gets these, since the linker takes a member out of an archive only for a
// symbol that is still undefined. If a function is missing here, its member comes in after all, and the link fails with
// two definitions of the others.
//
//      client ── unsent │ on the wire │ arrived ──receive──▶ server
//      client ◀───────────────────── on the wire │ ◀──send── server
//
// Each turn of the loop, while a real one would wait: bytes, FINs and resets move, a random number of them; the clock
// moves; the test's clients act. Then a random part of what is ready is dispatched in random order: the loop is
// level-triggered, so the others are found ready again.
//
// Descriptors from kFirstDescriptor on are the world's. All others are the kernel's (a worker keeps /dev/null open).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/net/event_loop.h"
#include "server/net/socket.h"
#include "tests/support/dice.h"

namespace ws::test {

/// What a client is told. Each call is one event of the world.
class Peer {
 public:
  virtual void receive(std::string_view bytes) = 0;
  virtual void receive_fin() = 0;
  /// Nothing comes after it; what was on the wire is lost.
  virtual void receive_reset() = 0;

 protected:
  ~Peer() = default;
};

class ByteQueue {
 public:
  void append(std::string_view bytes) { bytes_.append(bytes); }
  [[nodiscard]] std::string take(std::size_t size);
  [[nodiscard]] std::size_t size() const { return bytes_.size() - begin_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  void clear() { take(size()).clear(); }

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
};

/// One TCP connection. What is public is the client's.
class Connection {
 public:
  /// `window`: bytes that may be under way in either direction.
  Connection(Peer& peer, std::size_t window) : peer_(&peer), window_(window) {}

  void send(std::string_view bytes) { unsent_.append(bytes); }
  void finish_writing() { is_finishing_ = true; }
  /// The peer is told nothing more.
  void reset();
  /// Receives nothing before that turn of the loop.
  void read_from(std::uint64_t turn) { reads_from_ = turn; }
  /// The server's side has all that was sent.
  [[nodiscard]] bool has_arrived() const { return unsent_.empty() && to_server_.empty(); }

 private:
  friend class World;
  [[nodiscard]] std::size_t space() const { return window_ - to_client_.size(); }
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] bool is_under_way() const {
    return !unsent_.empty() || !to_server_.empty() || !to_client_.empty();
  }

  Peer* peer_;  ///< null: the client has reset the connection, or was told its end
  std::size_t window_;
  std::uint64_t reads_from_ = 0;
  // Client to server.
  ByteQueue unsent_;
  ByteQueue to_server_;  ///< on the wire
  ByteQueue arrived_;    ///< not yet read by the server
  bool is_finishing_ = false;
  bool has_fin_arrived_ = false;
  bool has_reset_arrived_ = false;
  bool is_error_told_ = false;  ///< the server has been told of the reset: by one call, as in Linux
  std::size_t hangups_ = 0;     ///< times that its reset was reported
  // Server to client.
  ByteQueue to_client_;
  bool is_closed_ = false;  ///< by the server
  bool has_sent_fin_ = false;
  bool has_sent_reset_ = false;
  bool resets_on_close_ = false;
};

/// One at a time: the functions that it stands in for have no other way to find it. It outlives the server.
class World {
 public:
  static constexpr int kFirstDescriptor = 1'000'000;

  explicit World(std::uint64_t seed);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  [[nodiscard]] static World& current();

  Dice dice;
  /// Called in each turn of the loop, for the clients to act.
  std::function<void()> turn;

  /// Connects to what listens.
  std::shared_ptr<Connection> connect(Peer& peer, std::size_t window);
  /// Lets the loop's next turn throw std::runtime_error with `what`, unless something failed before.
  void fail(std::string what);
  /// One more event: it counts, and goes into the digest.
  void note(std::string_view kind, std::uint64_t a, std::uint64_t b = 0);

  [[nodiscard]] std::uint64_t turns() const { return turns_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  /// Of all events, with their times.
  [[nodiscard]] std::uint64_t digest() const { return digest_; }
  [[nodiscard]] std::int64_t now() const { return now_; }
  [[nodiscard]] std::size_t open_descriptors() const;

  /// How often the world did what a server must cope with; a test that asserts on them knows that it was put to the test.
  struct Tally {
    std::size_t short_writes = 0;
    std::size_t refused_writes = 0;
    std::size_t stale = 0;   ///< readiness that had nothing to read
    std::size_t unread = 0;  ///< times that a server stopped reading from an open connection
  };
  Tally tally;

  // --- The server's calls: what simulated_net.cpp makes of the functions of server/net/.

  int open_descriptor(std::shared_ptr<Connection> connection);
  void close(int descriptor);
  void watch(int descriptor, std::uint32_t events, EventLoop::Token token);
  void wake() { is_woken_ = true; }
  void rest() { is_woken_ = false; }
  [[nodiscard]] int accept();
  [[nodiscard]] std::int64_t receive(int descriptor, std::span<std::byte> buffer);
  [[nodiscard]] std::int64_t send(int descriptor, std::span<const std::byte> bytes);
  void finish_writing(int descriptor);
  void reset_on_close(int descriptor);
  [[nodiscard]] int take_error(int descriptor);
  struct Ready {
    EventLoop::Token token;
    std::uint32_t events;
  };
  /// What epoll_wait would return; `timeout` in ms, -1: none.
  [[nodiscard]] std::vector<Ready> wait(int timeout);
  void throw_failure() const;

 private:
  struct Descriptor {
    bool is_open = false;
    std::shared_ptr<Connection> connection;  ///< null: a listener, or one of the loop's own
    bool is_watched = false;
    std::uint32_t events = 0;
    EventLoop::Token token{};
  };
  [[nodiscard]] Descriptor& find(int descriptor);
  [[nodiscard]] Connection& connection(int descriptor) { return *find(descriptor).connection; }
  [[nodiscard]] std::uint32_t readiness(const Descriptor& descriptor) const;
  [[nodiscard]] std::size_t part_of(std::size_t size);
  void move_to_server(Connection& connection);
  void move_to_client(Connection& connection);

  std::vector<Descriptor> descriptors_;
  std::vector<std::shared_ptr<Connection>> connections_;  ///< that are not over
  std::vector<std::shared_ptr<Connection>> waiting_;      ///< to be accepted
  static constexpr std::size_t kMostHangups = 20;
  bool is_woken_ = false;
  std::int64_t now_ = 1'000'000;
  std::uint64_t turns_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t digest_ = 14695981039346656037U;
  std::string failure_;
};

}  // namespace ws::test
