// A server and 100 clients in one thread, on a simulated network and clock. The network splits, delays and blocks the
// bytes; each message must arrive once and in order, and each connection must end without a reset by the server.
//
// All random numbers come from one seed. A failure prints the seed, the number of the event and the client's story;
// FBF_SEED=N runs only this seed, with the same events.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/text.h"
#include "server/main/worker.h"
#include "tests/support/bytes.h"
#include "tests/support/client.h"
#include "tests/support/simulated_net.h"

namespace ws::test {
namespace {

constexpr std::uint64_t kEvents = 100'000;
constexpr std::size_t kClients = 100;
constexpr std::size_t kChatQueue = 64 * 1024;  ///< limits.chat_queue of the server
/// A client that waits for longer fails the test. Shorter than the deadlines of the server, which could hide a stuck
/// session.
constexpr std::int64_t kPatienceMs = 60'000;
constexpr std::uint32_t kDeadlineMs = 600'000;
constexpr std::uint16_t kRelayCloses = 4000;  ///< close code of the relay

enum class Path { kEcho, kChat, kRelay };
constexpr std::string_view kPaths[] = {"/echo/raw", "/chat", "/relay"};

/// The messages that one client has sent, with the numbers 0 to `sent` - 1. All clients can read it.
struct Speaker {
  Path path;
  std::uint32_t sent = 0;
  std::vector<std::size_t> bytes_before{0};  ///< payload bytes before each message
  std::uint32_t heard = 0;                   ///< messages that at least one client has received
  bool is_reliable = true;  ///< false: it ended before the server had to read all of its messages
};
using Speakers = std::vector<Speaker>;

std::string payload_of(std::size_t speaker, std::uint32_t number, std::size_t size) {
  std::string payload = std::to_string(speaker) + "#" + std::to_string(number) + ":";
  for (std::size_t i = 0; payload.size() < size; ++i)
    payload += static_cast<char>('a' + (speaker * 7 + number * 13 + i) % 26);
  return payload;
}

class Client final : public Peer {
 public:
  enum class State { kConnecting, kOpen, kClosing, kAnswered, kFinished, kBroken, kOver };
  enum class End { kClose, kFin, kReset, kError };

  Client(World& world, Speakers& speakers, Path path, std::size_t window)
      : world_(world),
        speakers_(speakers),
        id_(speakers.size()),
        path_(path),
        since_(world.now()),
        connection_(world.connect(*this, window)) {
    speakers.push_back({path});
    for (const Speaker& speaker : speakers)
      already_heard_.push_back(speaker.heard);
    send(upgrade_request(kPaths[static_cast<std::size_t>(path)]));
    tell("connects to " + std::string(kPaths[static_cast<std::size_t>(path)]) + ", window " +
         std::to_string(window));
    if (world.dice.one_in(4))
      speak();  // a client should wait for the 101; the server also accepts messages from one that does not
  }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] Path path() const { return path_; }
  [[nodiscard]] std::size_t times_unread() const { return connection_->times_unread(); }
  /// True if it waits only for messages of others.
  [[nodiscard]] bool is_satisfied() const {
    return state_ == State::kOver || (state_ == State::kOpen && connection_->has_arrived() &&
                                      expected_.empty() && pongs_.empty());
  }
  [[nodiscard]] std::string story() const {
    std::string text = "client " + std::to_string(id_) + ":";
    for (const std::string& line : story_)
      text += "\n    " + line;
    return text;
  }

  void act() {
    if (state_ == State::kOver)
      return;
    if (is_satisfied())
      since_ = world_.now();
    if (world_.now() - since_ > kPatienceMs)
      fail("timed out waiting for " + std::to_string(expected_.size()) + " echoes, " +
           std::to_string(pongs_.size()) + " pongs");
  }
  void speak() {
    Dice& dice = world_.dice;
    const std::size_t burst = dice.one_in(6) ? 1 + dice.below(40) : 1 + dice.below(2);
    for (std::size_t i = 0; i < burst; ++i)
      send_message();
    since_ = std::max(since_, world_.now());
  }
  /// Reads nothing for a while.
  void look_away() {
    const std::uint64_t turns = 50 + world_.dice.below(800);
    tell("reads nothing for " + std::to_string(turns) + " iterations");
    connection_->read_from(world_.turns() + turns);
  }
  void end(End how) {
    since_ = world_.now();
    switch (how) {
      case End::kClose:
        tell("sends Close 1000");
        send(client_frame(0x88, hex("03 e8")));
        state_ = State::kClosing;
        return;
      case End::kFin:
        tell("sends FIN");
        connection_->finish_writing();
        state_ = State::kFinished;
        return;
      case End::kError:
        tell("sends a frame without a mask");
        send(server_frame(0x81, "?"));
        state_ = State::kBroken;
        return;
      case End::kReset:
        tell("resets");
        connection_->reset();
        speakers_[id_].is_reliable = false;
        state_ = State::kOver;
    }
  }
  /// Describes the first message that it should have received but has not; empty if none is missing. Call it when no
  /// messages are in transit.
  [[nodiscard]] std::string missing() const {
    if (path_ == Path::kEcho)
      return {};  // is_satisfied: it waits for no echo
    for (std::size_t i = 0; i < speakers_.size(); ++i) {
      const Speaker& speaker = speakers_[i];
      const bool is_own = path_ == Path::kChat && i == id_;
      if (speaker.path == path_ && !is_own && speaker.is_reliable && next_of(i) != speaker.sent)
        return "message " + std::to_string(next_of(i)) + " of client " + std::to_string(i) +
               ", which sent " + std::to_string(speaker.sent);
    }
    return {};
  }
  void check_heard() {
    if (const std::string message = missing(); !message.empty())
      fail("has not received " + message);
  }

  bool is_disconnected_ = false;  ///< with 1008, for reading too slowly
  bool is_stopped_ = false;       ///< with 1001
  std::size_t pings_ = 0;
  std::int64_t newest_ = 0;  ///< when its newest message arrived

 private:
  void tell(std::string line) {
    story_.push_back(std::to_string(world_.events()) + ", " + std::to_string(world_.now()) +
                     " ms: " + std::move(line));
    if (story_.size() > 60)
      story_.pop_front();
  }
  void fail(const std::string& what) { world_.fail(what + "\n" + story()); }
  void send(std::string_view bytes) { connection_->send(bytes); }

  void send_message() {
    Dice& dice = world_.dice;
    Speaker& self = speakers_[id_];
    const std::size_t most = dice.one_in(path_ == Path::kChat ? 600 : 60) ? 80'000
                             : dice.one_in(path_ == Path::kEcho ? 5 : 10) ? 5'000
                                                                          : 200;
    const std::string payload = payload_of(id_, self.sent, dice.below(most));
    const unsigned opcode = path_ != Path::kChat && dice.one_in(2) ? 2 : 1;
    tell("sends message " + std::to_string(self.sent) + ", " + std::to_string(payload.size()) +
         " bytes");
    ++self.sent;
    self.bytes_before.push_back(self.bytes_before.back() + payload.size());
    if (path_ == Path::kEcho)
      expected_.emplace_back(opcode, payload);
    std::vector<std::size_t> cuts;
    if (dice.one_in(3))
      cuts = dice.cuts(payload.size(), std::max<std::size_t>(payload.size() / 2, 1));
    cuts.push_back(payload.size());
    std::size_t from = 0;
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      if (dice.one_in(8))
        send_ping();
      const unsigned fin = i + 1 == cuts.size() ? 0x80 : 0;
      send(client_frame(fin | (i == 0 ? opcode : 0),
                        std::string_view(payload).substr(from, cuts[i] - from)));
      from = cuts[i];
    }
  }
  void send_ping() {
    pongs_.push_back("ping " + std::to_string(next_ping_++));
    send(client_frame(0x89, pongs_.back()));
  }

  // --- Receiving

  void receive(std::string_view bytes) override {
    received_.append(bytes);
    if (!is_upgraded_)
      read_answer();
    while (is_upgraded_ && read_frame()) {
    }
    received_.erase(0, read_);
    read_ = 0;
  }

  void read_answer() {
    const std::size_t end = received_.find("\r\n\r\n");
    if (end == std::string::npos)
      return;
    if (is_stopping_allowed && received_.starts_with("HTTP/1.1 503 ")) {
      tell("is refused");
      is_refused_ = true;
      return;
    }
    if (!received_.starts_with("HTTP/1.1 101 ") ||
        received_.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == std::string::npos)
      return fail("receives a wrong answer: " + dump(received_));
    tell("receives the 101");
    read_ = end + 4;
    is_upgraded_ = true;
    if (state_ == State::kConnecting)
      state_ = State::kOpen;
    // It must receive all messages that are sent from now on. It may receive some that were sent before.
    for (std::size_t i = 0; i < speakers_.size(); ++i)
      must_hear_from_.push_back(i == id_ ? 0 : speakers_[i].sent);
  }

  /// Decodes one frame of a server, RFC 6455 §5.2. False if it is not complete.
  bool read_frame() {
    const std::string_view in = std::string_view(received_).substr(read_);
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(in[i]); };
    if (in.size() < 2)
      return false;
    std::size_t length = byte(1) & 0x7FU;
    const std::size_t form = length == 127 ? 8 : length == 126 ? 2 : 0;
    if (in.size() < 2 + form)
      return false;
    if (form > 0)
      length = 0;
    for (std::size_t i = 0; i < form; ++i)
      length = length * 256 + byte(2 + i);
    if ((byte(1) & 0x80U) != 0 || (byte(0) & 0x70U) != 0 || (byte(0) & 0x80U) == 0) {
      fail("receives an invalid frame header:\n" + dump(received_, read_));
      return false;
    }
    if (in.size() < 2 + form + length)
      return false;
    read_ += 2 + form + length;
    handle_frame(byte(0) & 0xFU, in.substr(2 + form, length));
    return true;
  }

  void handle_frame(unsigned opcode, std::string_view payload) {
    since_ = world_.now();
    if (has_received_close_)
      return fail("receives a frame after the Close");
    switch (opcode) {
      case 0x1:
      case 0x2:
        return handle_message(opcode, payload);
      case 0x8:
        return handle_close(payload);
      case 0x9:;
        ++pings_;
        if (state_ == State::kOpen)
          send(client_frame(0x8A, payload));
        return;
      case 0xA:
        if (pongs_.empty() || pongs_.front() != payload)
          return fail("receives the pong '" + std::string(payload) + "'");
        pongs_.pop_front();
        return;
      default:
        fail("receives opcode " + std::to_string(opcode));
    }
  }

  void handle_message(unsigned opcode, std::string_view payload) {
    newest_ = world_.now();
    if (path_ == Path::kEcho) {
      if (expected_.empty() || expected_.front() != std::pair(opcode, std::string(payload)))
        return fail("receives an echo that is not the next one: " + dump(payload));
      tell("receives the echo of " + std::string(payload.substr(0, payload.find(':'))));
      expected_.pop_front();
      return;
    }
    if (path_ == Path::kChat) {
      if (!std::exchange(is_welcome_, true)) {
        if (payload != "Welcome to broadcast chat!")
          fail("is not welcomed: " + dump(payload));
        return;
      }
      constexpr std::string_view kPrefix = "Broadcast: ";
      if (!payload.starts_with(kPrefix))
        return fail("receives a message that is not a broadcast: " + dump(payload));
      payload.remove_prefix(kPrefix.size());
    }
    hear(payload);
  }

  /// Checks a message of the chat or the relay. The first message of each speaker may have been sent before this client
  /// received its 101; the others follow without gaps.
  void hear(std::string_view payload) {
    std::size_t from = 0;
    std::uint32_t number = 0;
    if (std::sscanf(std::string(payload.substr(0, 24)).c_str(), "%zu#%u:", &from, &number) != 2 ||
        from >= speakers_.size() || payload != payload_of(from, number, payload.size()))
      return fail("receives a message that no client sent: " + dump(payload));
    const std::string name = "message " + std::to_string(number) + " of " + std::to_string(from);
    tell("receives " + name);
    Speaker& speaker = speakers_[from];
    if (speaker.path != path_ || (path_ == Path::kChat && from == id_) || number >= speaker.sent)
      return fail("receives " + name + ", which is not for it");
    const auto known = heard_.find(from);
    const std::uint32_t least = from < already_heard_.size() ? already_heard_[from] : 0;
    const std::uint32_t most = from < must_hear_from_.size() ? must_hear_from_[from] : 0;
    if (known != heard_.end() ? number != known->second : number < least || number > most)
      return fail("receives " + name + " out of order, the next one is " +
                  std::to_string(known != heard_.end() ? known->second : most));
    heard_[from] = number + 1;
    newest_size_ = payload.size();
    speaker.heard = std::max(speaker.heard, number + 1);
  }
  /// The number of the next message that this client must receive from `speaker`.
  [[nodiscard]] std::uint32_t next_of(std::size_t speaker) const {
    const auto known = heard_.find(speaker);
    if (known != heard_.end())
      return known->second;
    return speaker < must_hear_from_.size() ? must_hear_from_[speaker] : 0;
  }

  /// Maximum number of bytes that the server had queued for this chat member when it disconnected it, counted as for
  /// `chat_queue`. The client has since received the frame that was then partly written.
  [[nodiscard]] std::size_t most_queued() const {
    constexpr std::size_t kMostOfAMessage = 256;  // prefix, frame header, overhead of the outbox
    constexpr std::size_t kPongs = 8 * 1024;      // sent before the Close as well
    std::size_t bytes = newest_size_ + kPongs;
    for (std::size_t i = 0; i < speakers_.size(); ++i) {
      const Speaker& speaker = speakers_[i];
      if (speaker.path != path_ || i == id_)
        continue;
      const auto known = heard_.find(i);
      const std::uint32_t least = i < already_heard_.size() ? already_heard_[i] : 0;
      const std::uint32_t next = known != heard_.end() ? known->second : least;
      bytes += speaker.bytes_before[speaker.sent] - speaker.bytes_before[next] +
               (speaker.sent - next) * kMostOfAMessage;
    }
    return bytes;
  }

  void handle_close(std::string_view payload) {
    has_received_close_ = true;
    const unsigned code = payload.size() < 2 ? 1005
                                             : static_cast<unsigned char>(payload[0]) * 256U +
                                                   static_cast<unsigned char>(payload[1]);
    tell("receives Close " + std::to_string(code));
    is_stopped_ = code == 1001;
    is_disconnected_ = code == 1008;
    const bool is_due = code == 1000           ? state_ == State::kClosing
                        : code == 1002         ? state_ == State::kBroken
                        : code == kRelayCloses ? path_ == Path::kRelay
                        : code == 1008         ? path_ == Path::kChat && most_queued() > kChatQueue
                                               : code == 1001 && is_stopping_allowed;
    if (!is_due)
      return fail("receives Close " + std::to_string(code) + ", which is not due");
    if (is_disconnected_ || code == kRelayCloses) {
      speakers_[id_].is_reliable = false;  // the server need not deliver its last messages
    } else if (code != 1001 || !is_stop_hasty) {
      check_answered();
    }
    if (state_ == State::kOpen || state_ == State::kConnecting) {
      send(client_frame(0x88, payload.substr(0, 2)));
      state_ = State::kAnswered;
    }
  }
  void check_answered() {
    if (!expected_.empty() || !pongs_.empty())
      fail("receives the end of the connection with " + std::to_string(expected_.size()) +
           " echoes and " + std::to_string(pongs_.size()) + " pongs missing");
  }

  void receive_fin() override {
    tell("receives FIN");
    if (!received_.empty() && !is_refused_)
      fail("receives a FIN within a frame");
    if (state_ == State::kFinished) {
      if (!has_received_close_)
        check_answered();
    } else if (!has_received_close_ && !is_refused_) {
      fail("receives a FIN without a Close");
    }
    connection_->finish_writing();
    state_ = State::kOver;
  }
  void receive_reset() override {
    fail("receives a reset");
    state_ = State::kOver;
  }

 public:
  static inline bool is_stopping_allowed = false;  ///< the test has asked the server to stop
  static inline bool is_stop_hasty = false;  ///< it asks before all messages have been delivered

 private:
  World& world_;
  Speakers& speakers_;
  std::size_t id_;
  Path path_;
  std::int64_t since_;  ///< when it last received a frame, or waited for nothing
  std::shared_ptr<SimulatedConnection> connection_;
  State state_ = State::kConnecting;
  std::deque<std::string> story_;

  std::string received_;
  std::size_t read_ = 0;  ///< bytes of `received_` that were handled
  bool is_upgraded_ = false;
  bool is_refused_ = false;  ///< with 503
  bool is_welcome_ = false;
  bool has_received_close_ = false;
  std::size_t newest_size_ = 0;                            ///< bytes of the newest message
  std::deque<std::pair<unsigned, std::string>> expected_;  ///< echoes, with their opcodes
  std::deque<std::string> pongs_;
  std::size_t next_ping_ = 0;
  std::vector<std::uint32_t> already_heard_;   ///< Speaker::heard, when this client connected
  std::vector<std::uint32_t> must_hear_from_;  ///< Speaker::sent, when this client got its 101
  std::map<std::size_t, std::uint32_t> heard_;
};

/// Sends each message to all sessions, one after the other, so that the cork changes its owner each time. Holds some
/// senders, and releases or closes them in a later iteration.
class Relay final : public Endpoint {
 public:
  explicit Relay(World& world) : world_(world) {}

  void opened(Session& session, const Opening&) override { sessions_.push_back(&session); }
  void message(Session& sender, Opcode opcode, std::span<std::byte> payload) override {
    for (Session* const session : sessions_)
      session->send(opcode, payload);
    if (sender.is_open() && !sender.is_held() && world_.dice.one_in(8)) {
      sender.hold();
      held_.emplace_back(&sender, world_.turns() + world_.dice.below(100));
    }
  }
  void closed(Session& session, const Ending&) override {
    if (std::erase(sessions_, &session) != 1)
      world_.fail("closed() of the relay is called twice for a session");
    std::erase_if(held_, [&](const auto& held) { return held.first == &session; });
  }
  void iteration_ended() override {
    for (auto& [session, until] : std::exchange(held_, {})) {
      if (until > world_.turns())
        held_.emplace_back(session, until);
      else if (world_.dice.one_in(8))
        session->close(kRelayCloses, "");
      else
        session->release();
    }
  }

 private:
  World& world_;
  std::vector<Session*> sessions_;
  std::vector<std::pair<Session*, std::uint64_t>> held_;  ///< and the iteration of its release
};

/// The result of one seed.
struct Outcome {
  std::uint64_t events = 0;
  std::uint64_t digest = 0;
  World::Tally tally{};
  std::size_t connections = 0;
  bool has_pings = false;
  std::size_t pings = 0;
  std::size_t paused = 0;  ///< times that the server stopped reading from an echo client
  std::size_t disconnected = 0;
  std::size_t stopped = 0;
  std::size_t held = 0;  ///< bytes of the budget, at the end
  std::size_t open_descriptors = 0;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed)
      : world_(seed), has_pings_(seed % 2 == 0), is_hasty_(seed % 3 == 0) {
    Client::is_stop_hasty = is_hasty_;
    Client::is_stopping_allowed = false;
    for (std::size_t i = 0; i < kClients; ++i)
      add_client();
  }

  Outcome run() {
    Limits limits;
    limits.outbox_high = 8 * 1024;
    limits.outbox_low = 2 * 1024;
    limits.chat_queue = kChatQueue;
    limits.ping_ms = has_pings_ ? 2'000 : 0;
    limits.handshake_ms = limits.close_ms = limits.drain_ms = limits.pong_ms = kDeadlineMs;
    limits.read_ms = limits.write_ms = limits.stop_ms = kDeadlineMs;
    Outcome outcome;
    {
      Relay relay(world_);
      ServerState shared(limits, 10'000);
      shared.workers.push_back(std::make_unique<Worker>(shared, ServerOptions{.limits = limits}));
      shared.loops_with_websockets = 1;
      Worker& worker = *shared.workers.front();
      worker.add_echo_and_chat();
      worker.add("/relay", relay);
      SocketAddress address;
      EXPECT_FALSE(worker.listen(address, PortSharing::kNone));
      world_.turn = [&] { turn(worker); };
      worker.run();
      shared.workers.clear();
      outcome.held = shared.budgets.buffered.used();
    }
    outcome.has_pings = has_pings_;
    outcome.events = world_.events();
    outcome.digest = world_.digest();
    outcome.tally = world_.tally;
    outcome.connections = speakers_.size();
    for (const auto& client : clients_)
      count(*client, outcome);
    for (const auto& client : gone_)
      count(*client, outcome);
    outcome.open_descriptors = world_.open_descriptors();
    return outcome;
  }
  [[nodiscard]] std::uint64_t events() const { return world_.events(); }

 private:
  static void count(const Client& client, Outcome& outcome) {
    outcome.pings += client.pings_;
    outcome.paused += client.path() == Path::kEcho ? client.times_unread() : 0;
    outcome.disconnected += client.is_disconnected_ ? 1 : 0;
    outcome.stopped += client.is_stopped_ ? 1 : 0;
  }

  void add_client() {
    const Path path = world_.dice.one_in(2)   ? Path::kEcho
                      : world_.dice.one_in(3) ? Path::kRelay
                                              : Path::kChat;
    const std::size_t windows[] = {700, 4096, 20'000, 100'000};
    clients_.push_back(
        std::make_unique<Client>(world_, speakers_, path, world_.dice.one_of(windows)));
  }

  void turn(Worker& worker) {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i]->state() == Client::State::kOver && !is_finishing_) {
        gone_.push_back(std::move(clients_[i]));
        std::swap(clients_[i], clients_.back());
        clients_.pop_back();
        add_client();
      }
      clients_[i]->act();
    }
    if (world_.events() < kEvents) {
      if (!world_.dice.one_in(3))
        return;
      Client& client = *clients_[world_.dice.below(clients_.size())];
      if (client.state() == Client::State::kOpen)
        act(client);
    } else {
      finish(worker);
    }
  }
  void act(Client& client) {
    Dice& dice = world_.dice;
    if (dice.one_in(25)) {
      const Client::End ends[] = {Client::End::kClose, Client::End::kFin, Client::End::kReset,
                                  Client::End::kReset, Client::End::kError};
      client.end(dice.one_of(ends));
    } else if (dice.one_in(15)) {
      client.look_away();
    } else {
      client.speak();
    }
  }
  /// Waits until all messages have arrived, checks that none is missing, and stops the server.
  void finish(Worker& worker) {
    is_finishing_ = true;
    if (Client::is_stopping_allowed)
      return;
    if (!is_hasty_) {
      bool is_quiet = true;
      std::int64_t newest = 0;
      for (const auto& client : clients_) {
        newest = std::max(newest, client->newest_);
        if (client->state() != Client::State::kOver)
          is_quiet = is_quiet && client->is_satisfied() && client->missing().empty();
      }
      if (!is_quiet && world_.now() - newest < kPatienceMs)
        return;
      for (const auto& client : clients_) {
        if (client->state() != Client::State::kOver)
          client->check_heard();
      }
    }
    Client::is_stopping_allowed = true;
    worker.ask(Worker::kStop);
  }

  World world_;
  bool has_pings_;  ///< not with all seeds: the timer of a ping would wake a stuck session
  bool is_hasty_;   ///< stops the server while messages are in transit
  Speakers speakers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Client>> gone_;
  bool is_finishing_ = false;
};

Outcome run(std::uint64_t seed) {
  Simulation simulation(seed);
  try {
    return simulation.run();
  } catch (const std::exception& failure) {
    ADD_FAILURE() << "seed " << seed << ", event " << simulation.events() << ": " << failure.what();
    return {};
  }
}

void expect_good(const Outcome& outcome) {
  EXPECT_GE(outcome.events, kEvents);
  EXPECT_EQ(outcome.open_descriptors, 0U);
  EXPECT_EQ(outcome.held, 0U) << "bytes of the budget";
  // The simulation contained enough difficult events to test the server.
  EXPECT_GT(outcome.connections, kClients + 50) << "connections in total";
  EXPECT_GT(outcome.stopped, kClients / 2) << "Closes with 1001";
  EXPECT_GT(outcome.disconnected, 0U) << "Closes with 1008";
  EXPECT_EQ(outcome.pings > 10, outcome.has_pings);
  EXPECT_GT(outcome.tally.short_writes, 100U);
  EXPECT_GT(outcome.tally.refused_writes, 100U);
  EXPECT_GT(outcome.tally.no_buffers, 100U);
  EXPECT_GT(outcome.paused, 10U);
  EXPECT_GT(outcome.tally.stale, 0U);
}

TEST(Simulation, EachMessageArrivesOnceAndInOrder) {
  std::vector<std::uint64_t> seeds = {1, 2, 3, 4, 5};
  if (const char* const seed = std::getenv("FBF_SEED"); seed != nullptr)
    seeds = {std::strtoull(seed, nullptr, 10)};
  std::set<std::uint64_t> digests;
  for (const std::uint64_t seed : seeds) {
    const Outcome outcome = run(seed);
    if (HasFailure())
      return;
    SCOPED_TRACE("seed " + std::to_string(seed));
    expect_good(outcome);
    digests.insert(outcome.digest);
  }
  EXPECT_EQ(digests.size(), seeds.size()) << "each seed gives different events";
}

TEST(Simulation, HasTheSameEventsWithTheSameSeed) {
  EXPECT_EQ(run(7).digest, run(7).digest);
}

/// Requests an upgrade and records the received bytes.
class Visitor final : public Peer {
 public:
  explicit Visitor(World& world) : connection_(world.connect(*this, 4096)) {
    connection_->send(upgrade_request("/echo"));
  }
  void receive(std::string_view bytes) override { received.append(bytes); }
  void receive_fin() override { end(); }
  void receive_reset() override { end(); }

  std::string received;
  bool is_over = false;

 private:
  void end() {
    connection_->finish_writing();
    is_over = true;
  }

  std::shared_ptr<SimulatedConnection> connection_;
};

/// Serves clients with one loop.
class AcceptTest : public testing::Test {
 protected:
  void serve(const std::function<bool()>& is_done) {
    const Limits limits;
    ServerState shared(limits, 1000);
    shared.workers.push_back(std::make_unique<Worker>(shared, ServerOptions{.limits = limits}));
    shared.loops_with_websockets = 1;
    Worker& worker = *shared.workers.front();
    worker.add_echo_and_chat();
    SocketAddress address;
    ASSERT_FALSE(worker.listen(address, PortSharing::kNone));
    world_.turn = [&] {
      if (is_done())
        worker.ask(Worker::kStop);
      if (world_.turns() > 10'000)
        world_.fail("a client waits forever");
    };
    worker.run();
  }
  World world_{1};
};
constexpr int kOutOfResources[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS};

class OutOfResources : public AcceptTest, public testing::WithParamInterface<int> {};

TEST_P(OutOfResources, ClosesTheWaitingConnectionAndServesTheNext) {
  world_.accept_errors = {GetParam()};
  Visitor first(world_);
  std::unique_ptr<Visitor> second;
  serve([&] {
    if (first.is_over && second == nullptr)
      second = std::make_unique<Visitor>(world_);
    return second != nullptr && !second->received.empty();
  });
  EXPECT_EQ(first.received, "") << "accepted with the spare descriptor and closed";
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(second->received.starts_with("HTTP/1.1 101 ")) << second->received;
}

TEST_P(OutOfResources, PausesTheListenersIfTheSpareDescriptorDoesNotHelp) {
  world_.accept_errors = {GetParam(), GetParam()};
  const std::int64_t start = world_.now();
  Visitor visitor(world_);
  std::int64_t answered = 0;
  serve([&] {
    if (answered == 0 && !visitor.received.empty())
      answered = world_.now();
    return answered != 0;
  });
  EXPECT_TRUE(visitor.received.starts_with("HTTP/1.1 101 ")) << visitor.received;
  EXPECT_GE(answered - start, 100);
}

INSTANTIATE_TEST_SUITE_P(Accept, OutOfResources, testing::ValuesIn(kOutOfResources));

TEST_F(AcceptTest, TriesAgainAfterTheErrorOfAConnectionThatEndedInTheQueue) {
  world_.accept_errors = {EPROTO, EPERM, EHOSTUNREACH};
  Visitor visitor(world_);
  serve([&] { return !visitor.received.empty(); });
  EXPECT_TRUE(visitor.received.starts_with("HTTP/1.1 101 ")) << visitor.received;
}

TEST(Accept, ClosesAndUncountsAConnectionThatEpollCannotWatch) {
  World world(1);
  const Limits limits;
  ServerState shared(limits, 1);  // the second is refused if the first is still counted
  shared.workers.push_back(std::make_unique<Worker>(shared, ServerOptions{.limits = limits}));
  shared.loops_with_websockets = 1;
  Worker& worker = *shared.workers.front();
  worker.add_echo_and_chat();
  SocketAddress address;
  ASSERT_FALSE(worker.listen(address, PortSharing::kNone));
  world.unwatchable = 1;
  Visitor first(world);
  std::unique_ptr<Visitor> second;
  world.turn = [&] {
    if (first.is_over && second == nullptr)
      second = std::make_unique<Visitor>(world);
    if (second != nullptr && !second->received.empty())
      worker.ask(Worker::kStop);
    if (world.turns() > 10'000)
      world.fail("a client waits forever");
  };
  worker.run();
  shared.workers.clear();
  EXPECT_EQ(first.received, "");
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(second->received.starts_with("HTTP/1.1 101 ")) << second->received;
  EXPECT_EQ(world.open_descriptors(), 0U);
  EXPECT_EQ(shared.budgets.buffered.used(), 0U);
}

}  // namespace
}  // namespace ws::test
