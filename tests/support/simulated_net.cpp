#include "tests/support/simulated_net.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace ws::test {
namespace {

World* the_world = nullptr;

}  // namespace

// --- The client's side

std::string ByteQueue::take(std::size_t size) {
  std::string part = bytes_.substr(begin_, size);
  begin_ += part.size();
  if (begin_ * 2 >= bytes_.size()) {
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
  return part;
}

void SimulatedConnection::reset() {
  peer_ = nullptr;
  to_client_.clear();
  unsent_.clear();
}

bool SimulatedConnection::is_over() const {
  return is_closed_ && peer_ == nullptr && unsent_.empty() && to_server_.empty();
}

std::shared_ptr<SimulatedConnection> World::connect(Peer& peer, std::size_t window) {
  auto connection = std::make_shared<SimulatedConnection>(peer, window);
  connections_.push_back(connection);
  waiting_.push_back(connection);
  return connection;
}

// --- The network

World::World(std::uint64_t seed) : dice(seed) {
  if (the_world != nullptr)
    throw std::logic_error("a World already exists");
  the_world = this;
}

World::~World() {
  the_world = nullptr;
}

World& World::current() {
  return *the_world;
}

void World::fail(std::string what) {
  if (failure_.empty())
    failure_ = std::move(what);
}

void World::throw_failure() const {
  if (!failure_.empty())
    throw std::runtime_error(failure_);
}

void World::note(std::string_view kind, std::uint64_t a, std::uint64_t b) {
  ++events_;
  const auto add = [&](std::uint64_t value) { digest_ = (digest_ ^ value) * 1099511628211U; };
  for (const char c : kind)
    add(static_cast<unsigned char>(c));
  add(a);
  add(b);
  add(static_cast<std::uint64_t>(now_));
}

/// How many bytes of `size` move at a time: often all, often a few.
std::size_t World::part_of(std::size_t size) {
  switch (dice.below(4)) {
    case 0:
      return 1 + dice.below(std::min<std::size_t>(size, 16));
    case 1:
      return 1 + dice.below(size);
    default:
      return size;
  }
}

void World::move_to_server(SimulatedConnection& connection) {
  const std::size_t under_way = connection.to_server_.size() + connection.arrived_.size();
  if (under_way < connection.window_)
    connection.to_server_.append(connection.unsent_.take(connection.window_ - under_way));
  if (!connection.to_server_.empty()) {
    const std::size_t size = part_of(connection.to_server_.size());
    const std::string bytes = connection.to_server_.take(size);
    note("arrives", size);
    if (!connection.is_closed_) {
      connection.arrived_.append(bytes);
    } else if (connection.peer_ != nullptr) {
      connection.has_sent_reset_ = true;  // RFC 9293 §3.5.2: the connection does not exist any more
    }
    return;
  }
  const bool is_ending = connection.is_finishing_ && !connection.has_fin_arrived_;
  if (connection.peer_ == nullptr && !connection.has_reset_arrived_ && !is_ending &&
      !connection.has_fin_arrived_) {
    note("reset arrives", connection.arrived_.size());
    connection.has_reset_arrived_ = true;
    return;
  }
  if (is_ending && connection.unsent_.empty()) {
    note("FIN arrives", connection.arrived_.size());
    connection.has_fin_arrived_ = true;
  }
}

void World::move_to_client(SimulatedConnection& connection) {
  if (connection.peer_ == nullptr || connection.reads_from_ > turns_)
    return;
  if (connection.has_sent_reset_) {
    note("reset comes", connection.to_client_.size());
    Peer& peer = *connection.peer_;
    connection.reset();
    connection.to_server_.clear();
    connection.has_reset_arrived_ = true;  // both sides know
    peer.receive_reset();
    return;
  }
  if (!connection.to_client_.empty()) {
    const std::size_t size = part_of(connection.to_client_.size());
    note("comes", size);
    connection.acknowledged_ += static_cast<std::uint32_t>(size);
    connection.peer_->receive(connection.to_client_.take(size));
    return;
  }
  if (connection.has_sent_fin_) {
    note("FIN comes", 0);
    Peer& peer = *std::exchange(connection.peer_, nullptr);
    peer.receive_fin();
  }
}

// --- What the server calls

World::Descriptor& World::find(int descriptor) {
  const auto index = static_cast<std::size_t>(descriptor - kFirstDescriptor);
  if (descriptor < kFirstDescriptor || index >= descriptors_.size() || !descriptors_[index].is_open)
    throw std::logic_error("no such descriptor: " + std::to_string(descriptor));
  return descriptors_[index];
}

/// The lowest number that is free, as in POSIX.
int World::open_descriptor(std::shared_ptr<SimulatedConnection> connection) {
  auto free = std::ranges::find(descriptors_, false, &Descriptor::is_open);
  if (free == descriptors_.end())
    free = descriptors_.emplace(free);
  *free = {.is_open = true, .connection = std::move(connection)};
  return kFirstDescriptor + static_cast<int>(free - descriptors_.begin());
}

std::size_t World::open_descriptors() const {
  return static_cast<std::size_t>(std::ranges::count(descriptors_, true, &Descriptor::is_open));
}

void World::close(int descriptor) {
  Descriptor& closed = find(descriptor);
  if (closed.connection != nullptr) {
    SimulatedConnection& connection = *closed.connection;
    connection.is_closed_ = true;
    note("close", static_cast<std::uint64_t>(descriptor), connection.to_client_.size());
    // RFC 9293 §3.6.1, and Linux: close() with unread bytes is a reset.
    if (connection.resets_on_close_ || !connection.arrived_.empty())
      connection.has_sent_reset_ = true;
    connection.has_sent_fin_ = true;
    connection.arrived_.clear();
  }
  closed = {};
}

void World::watch(int descriptor, std::uint32_t events, EventLoop::Token token) {
  Descriptor& watched = find(descriptor);
  if (watched.connection != nullptr && !watched.connection->has_sent_fin_ &&
      (watched.events & EPOLLIN) != 0 && (events & EPOLLIN) == 0)
    ++watched.connection->times_unread_;
  watched.is_watched = true;
  watched.events = events;
  watched.token = token;
}

/// A waiting connection, or -EAGAIN.
int World::accept() {
  if (!accept_errors.empty() && !waiting_.empty()) {
    const int error = accept_errors.back();
    accept_errors.pop_back();
    return -error;
  }
  if (waiting_.empty())
    return -EAGAIN;
  const auto first = waiting_.begin();
  std::shared_ptr<SimulatedConnection> connection = std::move(*first);
  waiting_.erase(first);
  return open_descriptor(std::move(connection));
}

std::int64_t World::receive(int descriptor, std::span<std::byte> buffer) {
  SimulatedConnection& from = connection(descriptor);
  if (from.arrived_.empty()) {
    if (from.has_reset_arrived_ && !std::exchange(from.is_error_told_, true))
      return -ECONNRESET;
    return from.has_fin_arrived_ || from.has_reset_arrived_ ? 0 : -EAGAIN;
  }
  const std::string bytes =
      from.arrived_.take(part_of(std::min(buffer.size(), from.arrived_.size())));
  std::ranges::copy(std::as_bytes(std::span(bytes)), buffer.begin());
  return static_cast<std::int64_t>(bytes.size());
}

std::int64_t World::send(int descriptor, std::span<const std::byte> bytes) {
  SimulatedConnection& to = connection(descriptor);
  if (to.has_sent_fin_) {
    fail("the server writes after its FIN");
    return -EPIPE;
  }
  if (to.has_reset_arrived_)
    return std::exchange(to.is_error_told_, true) ? -EPIPE : -ECONNRESET;
  to.is_blocked_ = false;
  // The Close of a slow reader may be written at once, if no broadcast before it was written in part.
  if (now_ < to.no_buffers_until_ && bytes[0] != std::byte{0x88})
    fail("the server writes again too soon after ENOBUFS");
  to.no_buffers_until_ = 0;
  if (dice.one_in(50)) {
    ++tally.no_buffers;
    to.no_buffers_until_ = now_ + 20;
    return -ENOBUFS;
  }
  if (to.peer_ == nullptr)
    return static_cast<std::int64_t>(bytes.size());  // the client's reset is still on its way
  if (to.space() == 0 || dice.one_in(20)) {
    ++tally.refused_writes;
    to.is_blocked_ = true;
    return dice.one_in(4) ? -EINTR : -EAGAIN;
  }
  std::size_t size = std::min(bytes.size(), to.space());
  if (dice.one_in(10))
    size = part_of(size);
  to.is_blocked_ = size < bytes.size();
  if (to.is_blocked_)
    ++tally.short_writes;
  to.to_client_.append({reinterpret_cast<const char*>(bytes.data()), size});
  return static_cast<std::int64_t>(size);
}

void World::finish_writing(int descriptor) {
  SimulatedConnection& finished = connection(descriptor);
  if (std::exchange(finished.has_sent_fin_, true))
    fail("the server sends a second FIN");
}

void World::reset_on_close(int descriptor) {
  connection(descriptor).resets_on_close_ = true;
}

int World::take_error(int descriptor) {
  SimulatedConnection& asked = connection(descriptor);
  return asked.has_reset_arrived_ && !std::exchange(asked.is_error_told_, true) ? ECONNRESET : 0;
}

Acknowledged World::acknowledged(int descriptor) {
  const SimulatedConnection& asked = connection(descriptor);
  return {.bytes = asked.acknowledged_, .is_all = asked.to_client_.empty()};
}

/// epoll(7): EPOLLERR and EPOLLHUP are reported even if they were not requested.
std::uint32_t World::readiness(const Descriptor& descriptor) const {
  if (descriptor.connection == nullptr) {
    if (descriptor.token.slot == EventLoop::kWakeSlot)
      return is_woken_ ? descriptor.events : 0;
    return waiting_.empty() ? 0 : descriptor.events;
  }
  const SimulatedConnection& connection = *descriptor.connection;
  std::uint32_t events = 0;
  if (!connection.arrived_.empty() || connection.has_fin_arrived_ || connection.has_reset_arrived_)
    events |= EPOLLIN;
  if (connection.space() > 0)
    events |= EPOLLOUT;
  if (connection.has_reset_arrived_ || (connection.has_fin_arrived_ && connection.has_sent_fin_))
    events |= EPOLLHUP;
  if (connection.has_reset_arrived_ && !connection.is_error_told_)
    events |= EPOLLERR;
  return events & (descriptor.events | EPOLLHUP | EPOLLERR);
}

std::vector<World::Ready> World::wait(int timeout) {
  ++turns_;
  turn();
  for (std::size_t moves = 1 + dice.below(100); moves > 0 && !connections_.empty(); --moves) {
    const auto connection = connections_[dice.below(connections_.size())];
    if (dice.one_in(2))
      move_to_server(*connection);
    else
      move_to_client(*connection);
  }
  std::erase_if(connections_, [](const auto& connection) { return connection->is_over(); });
  throw_failure();

  std::vector<Ready> ready;
  for (const Descriptor& descriptor : descriptors_) {
    if (!descriptor.is_watched)
      continue;
    if (descriptor.connection != nullptr && descriptor.connection->is_blocked_ &&
        (descriptor.events & EPOLLOUT) == 0)
      fail("the server does not wait until it can write the remaining bytes");
    if (descriptor.connection != nullptr && descriptor.connection->no_buffers_until_ != 0 &&
        (descriptor.events & EPOLLOUT) != 0)
      fail("the server would spin: after ENOBUFS the socket stays writable");
    std::uint32_t events = readiness(descriptor);
    if (descriptor.connection != nullptr && descriptor.events == EPOLLIN && events == 0 &&
        dice.one_in(2000)) {
      events = EPOLLIN;  // select(2): reported data may be gone before it is read
      ++tally.stale;
    }
    if (events == 0 || dice.one_in(4))
      continue;
    ready.push_back({descriptor.token, events});
    // While the server reads, the error is reported until all bytes have been read.
    if ((events & EPOLLERR) != 0 && (descriptor.events & EPOLLIN) == 0 &&
        ++descriptor.connection->hangups_ > 1)
      fail("the server does not close a connection that was reset");
  }
  for (std::size_t i = ready.size(); i > 1; --i)
    std::swap(ready[i - 1], ready[dice.below(i)]);

  // The clock mostly moves by a few milliseconds. It jumps while nothing is under way, and sometimes for no reason.
  if (dice.one_in(500)) {
    now_ += static_cast<std::int64_t>(500 + dice.below(2500));
  } else if (ready.empty() && timeout > 0 &&
             std::ranges::none_of(
                 connections_, [](const auto& connection) { return connection->is_under_way(); })) {
    now_ += std::min(timeout, 100);
  } else {
    now_ += static_cast<std::int64_t>(dice.below(4));
  }
  return ready;
}

}  // namespace ws::test

// --- fd.cpp, socket.cpp, event_loop.cpp

namespace ws {
namespace {

using test::World;

std::error_code to_error(int number) {
  return {number, std::system_category()};
}

SocketAddress simulated_address(std::uint16_t port) {
  return *SocketAddress::parse("192.0.2.1", port);
}

}  // namespace

void close_descriptor(int fd) {
  if (fd < World::kFirstDescriptor)
    ::close(fd);
  else
    World::current().close(fd);
}

Fd listen_on(const SocketAddress&, std::error_code&, PortSharing) {
  return Fd(World::current().open_descriptor(nullptr));
}

void prefer_processor(const Fd&, int) {}

Fd accept_connection(const Fd&, SocketAddress& peer, std::error_code& error) {
  const int result = World::current().accept();
  if (result < 0) {
    error = to_error(-result);
    return {};
  }
  peer = simulated_address(50'000);
  return Fd(result);
}

IoResult receive(const Fd& fd, std::span<std::byte> buffer) {
  return IoResult(World::current().receive(fd.get(), buffer));
}

IoResult send_bytes(const Fd& fd, std::span<const std::byte> bytes) {
  return IoResult(World::current().send(fd.get(), bytes));
}

IoResult send_pieces(const Fd& fd, std::span<const iovec> pieces) {
  std::string bytes;
  for (const iovec& piece : pieces)
    bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  return send_bytes(fd, std::as_bytes(std::span(bytes)));
}

void finish_writing(const Fd& fd) {
  World::current().finish_writing(fd.get());
}

void make_reset_on_close(const Fd& fd) {
  World::current().reset_on_close(fd.get());
}

std::error_code pending_error(const Fd& fd) {
  return to_error(World::current().take_error(fd.get()));
}

Acknowledged acknowledged_output(const Fd& fd) {
  return World::current().acknowledged(fd.get());
}

SocketAddress local_address(const Fd&) {
  return simulated_address(8080);
}

SocketAddress peer_address(const Fd&) {
  return simulated_address(50'000);
}

EventLoop::EventLoop()
    : epoll_(World::current().open_descriptor(nullptr)),
      wake_(World::current().open_descriptor(nullptr)),
      now_(World::current().now()),
      timers_(now_) {
  error_ = add(wake_, EPOLLIN, {kWakeSlot, 0});
}

std::error_code EventLoop::add(const Fd& fd, std::uint32_t events, Token token) {
  World& world = World::current();
  if (token.slot < kFirstReserved && world.unwatchable > 0) {
    --world.unwatchable;
    return std::make_error_code(std::errc::no_space_on_device);  // epoll_ctl(2): ENOSPC
  }
  return change(fd, events, token);
}

std::error_code EventLoop::change(const Fd& fd, std::uint32_t events, Token token) {
  World::current().watch(fd.get(), events, token);
  return {};
}

void EventLoop::wake() {
  World::current().wake();
}

inline void EventLoop::dispatch(Handler& handler, Token token, std::uint32_t events) {
  World& world = World::current();
  if (token.slot == kWakeSlot)
    return world.rest();
  world.note("ready", token.generation, events);
  if (handler.on_ready(token, events)) {
    idle_calls_ = 0;
  } else if (++idle_calls_ == kBusyWait) {
    world.fail("a busy wait");
  }
}

void EventLoop::run(Handler& handler) {
  while (!is_stopped_)
    run_once(handler);
}

/// The five steps of the loop, on the world's network and clock.
void EventLoop::run_once(Handler& handler) {
  World& world = World::current();
  thread_ = std::this_thread::get_id();
  const auto events = world.wait(ready_.empty() ? timers_.wait_ms(now_) : 0);
  now_ = world.now();
  for (const World::Ready& ready : events)
    dispatch(handler, ready.token, ready.events);
  dispatching_.swap(ready_);
  for (const Token token : dispatching_)
    dispatch(handler, token, 0);
  dispatching_.clear();
  timers_.advance(now_, [&](TimerNode& node) { handler.on_timer(node); });
  handler.on_iteration_end();
  world.throw_failure();
}

}  // namespace ws
