// Boost.Beast: peer_beast PORT. One thread, so no strand and no lock; sockets know their executor's type, so that no
// call goes through a table; the buffer is the session's and is reused; one read and one write of a session at a time,
// as Beast demands.
#define BOOST_ASIO_DISABLE_THREADS
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;

namespace {

using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;

class Session;
std::set<Session*> members;  // of /chat

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(Socket socket) : stream_(std::move(socket)) {
    // A socket's own type instead of beast::tcp_stream, and no timeouts: both would cost a timer an operation.
    stream_.set_option(websocket::stream_base::timeout{websocket::stream_base::none(),
                                                       websocket::stream_base::none(), false});
    websocket::permessage_deflate off;
    off.server_enable = false;
    stream_.set_option(off);
    stream_.read_message_max(std::size_t{16} * 1024 * 1024);
    stream_.auto_fragment(false);
    stream_.write_buffer_bytes(std::size_t{64} * 1024);
  }
  ~Session() { members.erase(this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    beast::http::async_read(stream_.next_layer(), buffer_, request_,
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (!error)
                                self->upgrade();
                            });
  }

 private:
  void upgrade() {
    const bool is_chat = request_.target() == "/chat";
    stream_.async_accept(request_, [self = shared_from_this(), is_chat](error_code error) {
      if (error)
        return;
      if (is_chat)
        members.insert(self.get());
      self->request_ = {};
      self->read(is_chat);
    });
  }
  void read(bool is_chat) {
    stream_.async_read(buffer_,
                       [self = shared_from_this(), is_chat](error_code error, std::size_t) {
                         if (error)
                           return;
                         if (is_chat) {
                           self->say();
                           self->read(true);
                         } else {
                           self->echo();
                         }
                       });
  }
  void echo() {
    stream_.text(stream_.got_text());
    stream_.async_write(buffer_.data(), [self = shared_from_this()](error_code error, std::size_t) {
      if (error)
        return;
      self->buffer_.consume(self->buffer_.size());
      self->read(false);
    });
  }
  void say() {
    const auto message =
        std::make_shared<const std::string>(beast::buffers_to_string(buffer_.data()));
    buffer_.consume(buffer_.size());
    for (Session* member : members) {
      if (member == this)
        continue;
      member->queue_.push_back(message);
      if (member->queue_.size() == 1)
        member->send();
    }
  }
  void send() {
    stream_.text(true);
    stream_.async_write(asio::buffer(*queue_.front()),
                        [self = shared_from_this()](error_code error, std::size_t) {
                          if (error)
                            return;
                          self->queue_.pop_front();
                          if (!self->queue_.empty())
                            self->send();
                        });
  }

  websocket::stream<Socket> stream_;
  beast::flat_buffer buffer_;
  beast::http::request<beast::http::empty_body> request_;
  std::deque<std::shared_ptr<const std::string>> queue_;
};

void accept(Acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, Socket socket) {
    if (!error) {
      socket.set_option(asio::ip::tcp::no_delay(true), error);
      std::make_shared<Session>(std::move(socket))->start();
    }
    accept(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = static_cast<std::uint16_t>(std::strtoul(argv[argc - 1], nullptr, 10));
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  Acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), port});
  accept(acceptor);
  context.run();
}
