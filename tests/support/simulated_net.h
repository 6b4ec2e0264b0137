// A simulated network and clock. All random numbers come from one seed: the same seed gives the same events. It uses no
// socket and no thread, and no real time except in the Date field of refusals.
//
// simulated_net.cpp defines all functions of fd.cpp, socket.cpp and event_loop.cpp in server/net/. In a program that
// links it beside the static fbf_server these definitions are used: the linker extracts a member of an archive only for
// a symbol that is still undefined. If a function is missing here, the linker extracts its member too, and reports the
// others as defined twice.
//
//      client ── unsent │ on the wire │ arrived ──receive──▶ server
//      client ◀───────────────────── on the wire │ ◀──send── server
//
// In each iteration of the loop, instead of epoll_wait: the clients act; some bytes, FINs and resets move; the clock
// moves. Some of the ready descriptors are then dispatched in random order. The others are reported in a later
// iteration, because the loop is level-triggered.
//
// Descriptors from kFirstDescriptor on are simulated. The others are the kernel's: a worker opens /dev/null.
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

/// The functions of a client that the network calls.
class Peer {
 public:
  virtual void receive(std::string_view bytes) = 0;
  virtual void receive_fin() = 0;
  /// The last call. Bytes that were on the wire are lost.
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

/// One TCP connection. Its public functions are for the client.
class SimulatedConnection {
 public:
  /// `window`: the most bytes under way in each direction.
  SimulatedConnection(Peer& peer, std::size_t window) : peer_(&peer), window_(window) {}

  void send(std::string_view bytes) { unsent_.append(bytes); }
  void finish_writing() { is_finishing_ = true; }
  /// The peer gets no further calls.
  void reset();
  /// Receives nothing before this iteration of the loop.
  void read_from(std::uint64_t turn) { reads_from_ = turn; }
  /// Times that the server stopped reading before it sent FIN.
  [[nodiscard]] std::size_t times_unread() const { return times_unread_; }
  /// All bytes have reached the server's socket.
  [[nodiscard]] bool has_arrived() const { return unsent_.empty() && to_server_.empty(); }

 private:
  friend class World;
  [[nodiscard]] std::size_t space() const { return window_ - to_client_.size(); }
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] bool is_under_way() const {
    return !unsent_.empty() || !to_server_.empty() || !to_client_.empty();
  }

  Peer* peer_;  ///< null after a reset, and after the client received the server's FIN
  std::size_t window_;
  std::uint64_t reads_from_ = 0;
  // Client to server.
  ByteQueue unsent_;
  ByteQueue to_server_;  ///< on the wire
  ByteQueue arrived_;    ///< not yet read by the server
  bool is_finishing_ = false;
  bool has_fin_arrived_ = false;
  bool has_reset_arrived_ = false;
  bool is_error_told_ = false;  ///< one call has reported the reset to the server, as in Linux
  std::size_t hangups_ = 0;     ///< times that the reset was reported while the server did not read
  std::size_t times_unread_ = 0;
  // Server to client.
  ByteQueue to_client_;
  std::uint32_t acknowledged_ = 0;  ///< bytes that the client received
  bool is_closed_ = false;          ///< by the server
  bool has_sent_fin_ = false;
  bool has_sent_reset_ = false;
  bool resets_on_close_ = false;
  bool is_blocked_ = false;            ///< the last write was not accepted whole
  std::int64_t no_buffers_until_ = 0;  ///< after ENOBUFS: no write before
};

/// The network and the clock. There is one at a time, which the functions of server/net/ find by `current`. It outlives
/// the server.
class World {
 public:
  static constexpr int kFirstDescriptor = 1'000'000;

  explicit World(std::uint64_t seed);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  [[nodiscard]] static World& current();

  Dice dice;
  /// Called in each iteration of the loop: the clients act.
  std::function<void()> turn;

  /// Connects to the listener.
  std::shared_ptr<SimulatedConnection> connect(Peer& peer, std::size_t window);
  /// Makes run_once throw std::runtime_error before it returns. The text is that of the first call.
  void fail(std::string what);
  /// Counts one event and adds it to the digest.
  void note(std::string_view kind, std::uint64_t a, std::uint64_t b = 0);

  [[nodiscard]] std::uint64_t turns() const { return turns_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  /// Of all events, with their times.
  [[nodiscard]] std::uint64_t digest() const { return digest_; }
  [[nodiscard]] std::int64_t now() const { return now_; }
  [[nodiscard]] std::size_t open_descriptors() const;

  /// Counts of the difficult cases. A test asserts on them, so that it cannot pass without difficult cases.
  struct Tally {
    std::size_t short_writes = 0;
    std::size_t refused_writes = 0;
    std::size_t no_buffers = 0;  ///< writes that failed with ENOBUFS
    std::size_t stale = 0;       ///< reported as readable without anything to read
  };
  Tally tally;
  std::vector<int> accept_errors;  ///< of the next calls of accept, from the last one on
  std::size_t unwatchable = 0;     ///< connections whose EventLoop::add is still to fail

  // --- For the functions of server/net/. They return what the system calls return: a size, or a negative errno.

  int open_descriptor(std::shared_ptr<SimulatedConnection> connection);
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
  [[nodiscard]] Acknowledged acknowledged(int descriptor);
  struct Ready {
    EventLoop::Token token;
    std::uint32_t events;
  };
  /// Like epoll_wait; `timeout` in ms, -1: none.
  [[nodiscard]] std::vector<Ready> wait(int timeout);
  void throw_failure() const;

 private:
  struct Descriptor {
    bool is_open = false;
    std::shared_ptr<SimulatedConnection>
        connection;  ///< null: a listener, or the loop's own descriptor
    bool is_watched = false;
    std::uint32_t events = 0;
    EventLoop::Token token{};
  };
  [[nodiscard]] Descriptor& find(int descriptor);
  [[nodiscard]] SimulatedConnection& connection(int descriptor) {
    return *find(descriptor).connection;
  }
  [[nodiscard]] std::uint32_t readiness(const Descriptor& descriptor) const;
  [[nodiscard]] std::size_t part_of(std::size_t size);
  void move_to_server(SimulatedConnection& connection);
  void move_to_client(SimulatedConnection& connection);

  std::vector<Descriptor> descriptors_;
  std::vector<std::shared_ptr<SimulatedConnection>> connections_;  ///< that are not over
  std::vector<std::shared_ptr<SimulatedConnection>> waiting_;      ///< to be accepted
  bool is_woken_ = false;
  std::int64_t now_ = 1'000'000;
  std::uint64_t turns_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t digest_ = 14695981039346656037U;
  std::string failure_;
};

}  // namespace ws::test
