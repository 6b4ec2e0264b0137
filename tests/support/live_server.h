// A server for one test, with an endpoint that executes its clients' commands.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "server/main/server.h"
#include "server/session/session.h"
#include "tests/support/client.h"

namespace ws::test {

using namespace std::string_literals;

inline constexpr unsigned kTextFrame = 0x81;
inline constexpr unsigned kCloseFrame = 0x88;
inline constexpr unsigned kPingFrame = 0x89;
inline constexpr unsigned kPongFrame = 0x8A;

/// The events of an endpoint, in order. Written in the server's thread, read in the test's.
class Diary {
 public:
  void write(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
    changed_.notify_all();
  }
  /// Waits for `count` lines. After a timeout the test fails, and the lines so far are returned.
  std::vector<std::string> lines(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(RawClient::kPatience),
                                  [&] { return lines_.size() >= count; }))
        << "waited " << RawClient::kPatience << " s for " << count << " lines and found "
        << testing::PrintToString(lines_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

using Lines = std::vector<std::string>;

/// Executes the command in each message, and records all events in the diary.
class Obedient final : public Endpoint {
 public:
  int admit(const Opening& opening) override {
    if (opening.request.find("X-Status") == "401")
      return 401;
    return 101;
  }
  void opened(Session& session, const Opening& opening) override {
    diary.write("opened " + std::string(opening.request.target()) + " " +
                std::string(opening.subprotocol));
    if (opening.request.find("X-Opened") == "throw")
      throw std::runtime_error("no");
    if (opening.request.find("X-Opened") == "close")
      session.close(4001, "not you");
  }
  void message(Session& session, Opcode, std::span<std::byte> payload) override {
    const std::string text(reinterpret_cast<const char*>(payload.data()), payload.size());
    diary.write("message " + text.substr(0, 20));
    if (text == "throw")
      throw std::runtime_error("no");
    if (text == "bad_alloc")
      throw std::bad_alloc();
    if (text == "close") {
      session.close(1000, "bye");
      const bool is_refused = send(session, "late") == Session::SendResult::kRefused;
      diary.write(is_refused ? "send refused" : "send not refused");
    }
    if (text == "throw when closed")
      throws_when_closed_ = &session;
    if (text == "remember")
      remembered_ = &session;
    if (text == "forward") {
      is_in_message_ = true;
      while (remembered_->is_open())
        send(*remembered_, std::string(20000, 'x'));
      is_in_message_ = false;
    }
    if (text == "dismiss")
      remembered_->close(1000, "bye");
    if (text == "hold")
      session.hold();
    if (text == "release")
      remembered_->release();
    if (text == "hold and close") {
      session.hold();
      session.close(1000, "bye");
    }
    if (text == "pass on")
      send(*remembered_, std::string(kPassedOn, 'x'));
    if (text == "flood and hold")
      session.hold();
    if (text.starts_with("flood")) {
      while (send(session, std::string(20000, 'x')) == Session::SendResult::kQueued)
        ++flooded;
      diary.write("over high");
    }
    if (text == "halt") {
      is_halted = true;
      is_halted.notify_all();
      is_halted.wait(true);
    }
    if (text.starts_with("echo"))
      send(session, text);
  }
  void closed(Session& session, const Ending& ending) override {
    diary.write((is_in_message_ ? "closed inside a message "s : "closed "s) +
                std::to_string(ending.code) + (ending.is_error ? " error" : ""));
    if (&session == throws_when_closed_)
      throw std::runtime_error("no");
  }

  static Session::SendResult send(Session& session, const std::string& text) {
    return session.send(Opcode::kText, {std::as_bytes(std::span(text))});
  }

  static constexpr std::size_t kPassedOn = 16 * 1024 * 1024;  ///< more than a socket buffers
  Diary diary;
  std::atomic<int> flooded{0};
  std::atomic<bool> is_halted{false};  ///< by "halt", until the test clears it

 private:
  Session* remembered_ = nullptr;
  const Session* throws_when_closed_ = nullptr;
  bool is_in_message_ = false;
};

/// A server that runs while the test does.
class LiveServer {
 public:
  explicit LiveServer(const Limits& limits = {}, std::vector<std::string> subprotocols = {},
                      const DeflateSettings& deflate = {})
      : server_({.addresses = {*SocketAddress::parse("127.0.0.1", 0)},
                 .subprotocols = std::move(subprotocols),
                 .limits = limits,
                 .deflate = deflate}) {
    server_.add("/test", endpoint);
    server_.add_echo_and_chat();
    EXPECT_FALSE(server_.listen());
    thread_ = std::thread([this] { exit_status = server_.run(); });
  }
  ~LiveServer() { stop_and_wait(); }
  LiveServer(const LiveServer&) = delete;
  LiveServer& operator=(const LiveServer&) = delete;

  void stop() { server_.stop(); }
  void stop_and_wait() {
    if (!thread_.joinable())
      return;
    stop();
    thread_.join();
  }
  [[nodiscard]] const SocketAddress& address() const { return server_.address(); }
  [[nodiscard]] RawClient connect() const { return RawClient(server_.address()); }
  /// A client whose upgrade to `path` was answered 101.
  [[nodiscard]] RawClient open(std::string_view path = "/test",
                               std::string_view fields = "") const {
    RawClient client = connect();
    client.send(upgrade_request(path, fields));
    EXPECT_TRUE(client.receive_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
    return client;
  }

  Obedient endpoint;
  std::atomic<int> exit_status{-1};

 private:
  Server server_;
  std::thread thread_;
};

}  // namespace ws::test
