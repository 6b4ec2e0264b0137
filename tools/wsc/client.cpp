#include "tools/wsc/client.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <system_error>

#include <openssl/rand.h>

#include "protocol/frame/close.h"
#include "protocol/frame/utf8.h"
#include "protocol/inspect/escape.h"
#include "protocol/text.h"

namespace ws::client {
namespace {

/// For the body of a refused handshake: bytes to show, seconds to wait for it.
constexpr std::size_t kShownBody = std::size_t{4} * 1024;
constexpr double kBodyTimeout = 2;
/// Unsent bytes, in addition to one message, above which a server that sends but does not read is abandoned.
constexpr std::size_t kMaxUnsent = std::size_t{4} * 1024 * 1024;

Failure abnormal_closure(const std::string& why) {
  return {ExitCode::kLost, "closed: " + describe_close_code(close_code::kAbnormal) + "; " + why};
}

void fill_with_random(std::span<std::byte> bytes) {
  const auto size = static_cast<int>(bytes.size());
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), size) != 1) {
    throw Failure(ExitCode::kLost, "OpenSSL cannot generate random bytes");
  }
}

/// [6455-5.3-KEY] strong random numbers: the author of the payload must not be able to predict the key
MaskingKey random_masking_key() {
  MaskingKey key{};
  fill_with_random(key);
  return key;
}

/// An eventfd that the signal handler writes to: poll() also reports a signal that arrived just before the call.
int interrupt_fd = -1;

extern "C" void on_interrupt(int /*signal*/) {
  const int saved = errno;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(interrupt_fd, &one, sizeof(one));
  errno = saved;
}

/// Makes SIGINT and SIGTERM start the closing handshake. The same signal again kills the process (SA_RESETHAND), even
/// while it is blocked in a write to standard output.
Fd catch_interrupts() {
  Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.is_open())
    throw std::system_error(errno, std::system_category(), "eventfd");
  interrupt_fd = fd.get();
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  return fd;
}

void release_interrupts() {
  static_cast<void>(std::signal(SIGINT, SIG_DFL));
  static_cast<void>(std::signal(SIGTERM, SIG_DFL));
}

}  // namespace

Client::Client(const ClientOptions& options)
    : options_(options),
      socket_(options.handshake.uri, options.connect_timeout, address_),
      deflate_(options.handshake.deflate, nullptr),
      settings_{.role = Role::kClient,
                .limits = {.message = options.max_message},
                .new_masking_key = random_masking_key,
                .deflate = &deflate_},
      connection_(settings_) {
  if (options.is_verbose)
    frame_log_.emplace();
}

ExitCode Client::run() {
  std::string early = open();
  interrupts_ = catch_interrupts();
  if (options_.echoes)
    has_input_ = false;
  if (options_.message.has_value()) {
    connection_.send(options_.is_binary ? Opcode::kBinary : Opcode::kText,
                     {as_bytes(*options_.message)}, out_);
    options_.message.reset();
    has_input_ = false;
    is_sending_file_ = true;
  }
  expect_frames(std::as_writable_bytes(std::span(early)));
  while (turn()) {
  }
  return exit_code_;
}

/// Performs the opening handshake; sends nothing else before the 101 is received. [6455-4.1-WAIT] Returns the bytes
/// that followed the 101 in the same read: the first frames.
std::string Client::open() {
  ClientHandshake& handshake = options_.handshake;
  fill_with_random(handshake.nonce);  // [6455-4.1-NONCE]
  handshake.write_request(out_);
  if (options_.is_verbose) {
    out_.for_each_piece([this](Output::Bytes piece) {
      say("connected to " + address_ + quote("> ", as_text(piece)));
    });
  }

  const auto deadline = in_seconds(options_.connect_timeout);
  std::string bytes;
  HttpResponse response;
  HttpResponse::Status status = HttpResponse::Status::kNeedMore;
  const auto show_head = [&] {
    if (options_.is_verbose)
      say("the server answered" + quote("< ", std::string_view(bytes).substr(0, response.size())));
  };
  while (status == HttpResponse::Status::kNeedMore) {
    socket_.send(out_);
    pollfd entry = socket_.entry(out_);
    if (!poll_until({&entry, 1}, deadline)) {
      throw Failure(ExitCode::kLost,
                    "the server did not answer the opening handshake within --connect-timeout");
    }
    const auto received = socket_.receive(buffer_);
    if (!received) {
      throw Failure(ExitCode::kLost,
                    describe_tcp_end(" during the opening handshake", socket_.end()));
    }
    bytes += as_text(*received);
    status = response.parse(bytes, settings_.limits);
    // [9110-15.2-INTERIM] read on to the final response
    while (status == HttpResponse::Status::kComplete && response.is_interim()) {
      show_head();
      bytes.erase(0, response.size());
      response.reset();
      status = response.parse(bytes, settings_.limits);
    }
  }
  show_head();

  const ClientHandshake::Established established =
      status == HttpResponse::Status::kError
          ? ClientHandshake::Established{.error = response.error()}
          : handshake.validate_response(response);
  if (established.error == Error::kStatus)
    refuse(response, bytes);
  if (established.error != Error::kNone) {  // [6455-7.2.1-HANDSHAKE]
    throw Failure(ExitCode::kRefused,
                  "wrong answer to the opening handshake: " + cite(established.error));
  }
  if (!options_.is_verbose && ::isatty(STDERR_FILENO) == 1)
    say("connected");
  if (!established.subprotocol.empty())
    say("the server chose the subprotocol " + established.subprotocol);
  if (established.deflate.has_value()) {
    connection_.use_deflate(*established.deflate);
  } else if (handshake.deflate.is_enabled) {
    say("the server declined permessage-deflate");
  }
  return bytes.substr(response.size());
}

/// Throws a Failure for a status other than 101. Its text contains the fields that say where or when to try again, and
/// the start of the body.
void Client::refuse(const HttpResponse& response, std::string& bytes) {
  std::string text = "the server refused the opening handshake: ";
  text += std::to_string(response.status()) + " " + escape_for_terminal(response.reason());
  for (const char* const name : {"Location", "WWW-Authenticate", "Retry-After"}) {
    for (const std::string_view value : response.values(name))
      text += quote("  ", std::string(name) + ": " + std::string(value));
  }
  std::size_t length = kShownBody;
  if (const auto field = response.find("Content-Length"))
    std::from_chars(field->data(), field->data() + field->size(), length);
  const std::size_t head = response.size();
  const std::size_t end = head + std::min(length, kShownBody);
  // From here on `bytes` may be reallocated: do not use `response`, which has views into it.
  const auto deadline = in_seconds(kBodyTimeout);
  pollfd entry = socket_.entry(out_);
  while (bytes.size() < end && poll_until({&entry, 1}, deadline)) {
    const auto received = socket_.receive(buffer_);
    if (!received)
      break;
    bytes += as_text(*received);
  }
  const std::string body = quote("  ", std::string_view(bytes).substr(head, end - head));
  throw Failure(ExitCode::kRefused, text + body);
}

/// One loop iteration: waits for events or the deadline, and handles them. Returns false at the end of the session.
bool Client::turn() {
  send_output();
  // The time for the server's Close begins when the server has received the file, or nearly so.
  if (is_sending_file_ && out_.empty()) {
    is_sending_file_ = false;
    end_input();
  }
  // [6455-7.1.7-FAIL] we end TCP if the connection failed; [6455-7.1.1-WAIT] otherwise the server does
  if (has_failed_ && out_.empty())
    socket_.finish_writing();

  const bool takes_input = has_input_ && connection_.is_open() && out_.empty();
  std::array<pollfd, 4> entries = {{
      {takes_input ? STDIN_FILENO : -1, POLLIN, 0},  // poll() ignores -1
      {has_output_ ? STDOUT_FILENO : -1, 0, 0},      // POLLERR: our output has no reader any more
      socket_.entry(out_),
      {interrupts_.get(), POLLIN, 0},
  }};
  if (!poll_until(entries, deadline_))
    return pass_deadline();

  if (entries[3].revents != 0) {
    interrupts_.reset();
    start_close(close_code::kGoingAway);
  }
  if (entries[1].revents != 0) {
    has_output_ = false;
    start_close(close_code::kGoingAway);
  }
  if ((entries[2].revents & ~POLLOUT) != 0) {
    const auto received = socket_.receive(buffer_);
    if (received) {
      expect_frames(*received);
    } else {
      if (frame_log_.has_value())
        frame_log_->ended();
      if (connection_.is_finished())
        return false;
      throw abnormal_closure(describe_tcp_end("", socket_.end()));  // [6455-7.2.1-LOST]
    }
  }
  if (entries[0].revents != 0)
    read_input();
  return true;
}

void Client::send_output() {
  socket_.send(out_, frame_log_.has_value() ? &*frame_log_ : nullptr);
}

void Client::expect_frames(std::span<std::byte> in) {
  for (;;) {
    const bool we_began = connection_.awaits_close();
    const std::span<const std::byte> before = in;
    const Event event = connection_.next(in, out_);
    if (event.type == Event::Type::kFailed)
      in = {};  // [6455-5.5.1-DISCARD] logged below, but not parsed
    // Frames from a server are not masked, so `next` did not change the bytes that it consumed.
    if (frame_log_.has_value())
      frame_log_->received(before.first(before.size() - in.size()));
    switch (event.type) {
      case Event::Type::kNeedMore:
        // A server makes us queue pongs, and with --echo messages.
        if (socket_.unsent(out_) > options_.max_message + kMaxUnsent) {
          throw abnormal_closure("the server sends but does not read our answers");
        }
        return;
      case Event::Type::kText:
      case Event::Type::kBinary:
        if (options_.echoes) {
          const bool is_text = event.type == Event::Type::kText;
          connection_.send(is_text ? Opcode::kText : Opcode::kBinary, {event.payload}, out_);
        } else {
          print(event);
        }
        break;
      case Event::Type::kPing:
        break;  // the pong is queued already
      case Event::Type::kPong:
        if (options_.has_commands)
          say("pong \"" + escape_for_terminal(as_text(event.payload)) + "\"");
        break;
      case Event::Type::kClose:
      case Event::Type::kFailed:
        handle_end(event, we_began);
        break;
    }
  }
}

/// Reports the server's Close, or its protocol violation. `we_began`: our Close was sent before the server's.
void Client::handle_end(const Event& event, bool we_began) {
  if (is_sending_file_) {
    is_sending_file_ = false;
    say("the file was not sent completely: the server has closed the connection");
    has_refused_lines_ = true;
  }
  send_output();  // our Close, so that -v shows it before the report
  std::string text;
  if (event.type == Event::Type::kFailed) {
    has_failed_ = true;
    // [6455-7.1.7-REPORT]
    text = "protocol error by the server: " + cite(event.error) + "; ";
  }
  text += we_began || has_failed_ ? "closed: " : "closed by the server: ";
  text += describe_close_code(event.code);
  if (!event.payload.empty())
    text += ", \"" + escape_for_terminal(as_text(event.payload)) + "\"";
  say(text);

  const bool is_normal = event.code == close_code::kNormal ||
                         event.code == close_code::kGoingAway ||
                         event.code == close_code::kNoStatus;
  if (!is_normal) {
    exit_code_ = ExitCode::kOtherCode;
  } else if (has_refused_lines_) {
    exit_code_ = ExitCode::kUsage;
  }
  await_end();
}

/// Handles the deadline of the current stage. Returns false at the end of the session; throws if no Close was received.
bool Client::pass_deadline() {
  if (connection_.is_open()) {
    start_close(close_code::kNormal);  // the time of --wait has passed
    return true;
  }
  if (connection_.is_finished()) {
    // [6455-7.1.1-TIMEOUT]
    say("the server did not close the TCP connection within --close-timeout");
    return false;
  }
  throw abnormal_closure("the server did not answer our Close within --close-timeout");
}

void Client::end_input() {
  has_input_ = false;
  if (options_.wait == 0)
    start_close(close_code::kNormal);
  if (options_.wait > 0)
    deadline_ = in_seconds(options_.wait);
}

void Client::start_close(std::uint16_t code, std::string_view reason) {
  if (connection_.close(code, reason, out_))
    await_end();
}

/// Sets the deadline for the server's Close, or after it for the FIN. From now on SIGINT or SIGTERM kills the process.
void Client::await_end() {
  deadline_ = in_seconds(options_.close_timeout);
  release_interrupts();
}

// --- input and output lines ----------------------------------------------------------------------

void Client::read_input() {
  const ssize_t size = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (size < 0)
    throw Failure(ExitCode::kLost, "cannot read standard input" + because(errno));
  if (size == 0) {
    if (!line_.empty() || is_line_too_long_)
      read_line();  // the last line may lack a line feed
    end_input();
    return;
  }
  std::string_view rest = as_text(std::span(buffer_).first(static_cast<std::size_t>(size)));
  // One byte more than a message: the CR before a line feed.
  const std::uint64_t most = options_.max_message + 1;
  while (!rest.empty()) {
    const std::size_t end = rest.find(options_.is_null_terminated ? '\0' : '\n');
    const std::string_view part = rest.substr(0, end);
    is_line_too_long_ = is_line_too_long_ || part.size() > most - line_.size();
    if (!is_line_too_long_)
      line_ += part;
    if (end == std::string_view::npos)
      return;
    if (!options_.is_null_terminated && line_.ends_with('\r'))
      line_.pop_back();
    read_line();
    rest.remove_prefix(end + 1);
  }
}

/// Sends the complete line in `line_` or runs it as a command; prints an error if that fails.
void Client::read_line() {
  const bool is_text = !options_.is_binary;
  std::string_view reason;
  if (is_line_too_long_ || line_.size() > options_.max_message) {
    reason = "it is longer than --max-message";
  } else if (options_.has_commands && line_.starts_with('/')) {
    reason = run_command(line_);
  } else if (is_text && !is_utf8(as_bytes(line_))) {
    reason = "it is not UTF-8; use --binary to send it";  // [6455-5.6-TEXT]
  } else {
    connection_.send(is_text ? Opcode::kText : Opcode::kBinary, {as_bytes(line_)}, out_);
  }
  if (!reason.empty()) {
    say((options_.is_null_terminated ? "message " : "line ") + std::to_string(line_number_) +
        " was not sent: " + std::string(reason));
    has_refused_lines_ = true;
  }
  ++line_number_;
  is_line_too_long_ = false;
  line_.clear();
}

/// Returns "" on success, else an error message.
std::string_view Client::run_command(std::string_view line) {
  // Removes the next word, and the blanks after it, from `line`; returns the word.
  const auto read_word = [&line] {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.find_first_not_of(' ', word.size()), line.size()));
    return word;
  };
  const std::string_view command = read_word();
  if (command == "/ping" || command == "/pong") {
    if (line.size() > kMaxControlPayload)
      return "a control frame carries at most 125 bytes";
    connection_.send_control(command == "/ping" ? Opcode::kPing : Opcode::kPong, as_bytes(line),
                             out_);
    return {};
  }
  if (command != "/close")
    return "unknown command; the commands are /ping [TEXT], /pong [TEXT], /close [CODE [REASON]]";

  std::uint16_t code = close_code::kNormal;
  if (const std::string_view word = read_word(); !word.empty()) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), code);
    if (error != std::errc() || end != word.data() + word.size() || !may_be_sent(code))
      return "a Close must not have this code; allowed are 1000 to 1003, 1007 to 1014, 3000 to "
             "4999";
  }
  if (!is_utf8(as_bytes(line)) || line.size() > kMaxCloseReason)
    return "a Close reason must be UTF-8 of at most 123 bytes";
  start_close(code, line);
  return {};
}

/// Prints a message as one line. On a terminal, control characters are escaped and binary messages are in hex; a file
/// or pipe receives the payload unchanged.
void Client::print(const Event& message) {
  if (!has_output_)
    return;
  static const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  std::string text(as_text(message.payload));
  if (is_terminal) {
    const bool is_text = message.type == Event::Type::kText;
    text = is_text ? escape_for_terminal(text) : "(binary) " + to_hex(message.payload);
  }
  text += options_.is_null_terminated ? '\0' : '\n';

  const auto began = Clock::now();
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t size = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (size >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(size));
    } else if (errno == EPIPE) {
      has_output_ = false;
      return start_close(close_code::kGoingAway);
    } else if (errno == EAGAIN) {  // another process made the shared file non-blocking
      pollfd entry{STDOUT_FILENO, POLLOUT, 0};
      poll_until({&entry, 1}, kNever);
    } else if (errno != EINTR) {
      throw Failure(ExitCode::kLost, "cannot write to standard output" + because(errno));
    }
  }
  // Time lost to a slow reader of our output must not count against the server.
  if (deadline_ != kNever)
    deadline_ += Clock::now() - began;
}

}  // namespace ws::client
