// websocketpp: peer_websocketpp PORT. Its configuration without locks, since there is one thread, without logs, and
// with a read buffer of 64 KiB, and an Asio without locks. It does not compile as C++20.
#define BOOST_ASIO_DISABLE_THREADS
#include <malloc.h>

#include <cstdint>
#include <cstdlib>
#include <set>

#include <websocketpp/concurrency/none.hpp>
#include <websocketpp/config/asio_no_tls.hpp>
#include <websocketpp/logger/stub.hpp>
#include <websocketpp/server.hpp>

namespace {

struct Config : websocketpp::config::asio {
  using type = Config;
  using base = websocketpp::config::asio;
  using concurrency_type = websocketpp::concurrency::none;
  using alog_type = websocketpp::log::stub;
  using elog_type = websocketpp::log::stub;
  using request_type = base::request_type;
  using response_type = base::response_type;
  using message_type = base::message_type;
  using con_msg_manager_type = base::con_msg_manager_type;
  using endpoint_msg_manager_type = base::endpoint_msg_manager_type;
  struct transport_config : base::transport_config {
    using concurrency_type = type::concurrency_type;
    using alog_type = type::alog_type;
    using elog_type = type::elog_type;
    using request_type = type::request_type;
    using response_type = type::response_type;
    static bool const enable_multithreading = false;
  };
  using transport_type = websocketpp::transport::asio::endpoint<transport_config>;
  static const std::size_t connection_read_buffer_size = std::size_t{64} * 1024;
};

using Server = websocketpp::server<Config>;

}  // namespace

int main(int argc, char** argv) {
  // Messages come and go at the end of the heap: trimmed each time, it is paged in anew.
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  Server server;
  std::set<websocketpp::connection_hdl, std::owner_less<websocketpp::connection_hdl>> members;
  websocketpp::lib::error_code ignored;
  server.init_asio();
  server.set_reuse_addr(true);
  server.set_max_message_size(std::size_t{16} * 1024 * 1024);
  server.set_tcp_pre_init_handler([&server](websocketpp::connection_hdl connection) {
    websocketpp::lib::asio::error_code error;
    server.get_con_from_hdl(connection)
        ->get_raw_socket()
        .set_option(websocketpp::lib::asio::ip::tcp::no_delay(true), error);
  });
  server.set_open_handler([&](websocketpp::connection_hdl connection) {
    if (server.get_con_from_hdl(connection)->get_resource() == "/chat")
      members.insert(connection);
  });
  server.set_close_handler(
      [&](websocketpp::connection_hdl connection) { members.erase(connection); });
  server.set_message_handler(
      [&](websocketpp::connection_hdl connection, const Server::message_ptr& message) {
        if (members.empty() || members.count(connection) == 0) {
          server.send(connection, message, ignored);  // as it is: its payload is copied once less
          return;
        }
        // A message that is prepared once goes to all as it is.
        const Server::message_ptr prepared =
            server.get_con_from_hdl(connection)
                ->get_message(message->get_opcode(), message->get_payload().size());
        prepared->set_payload(message->get_payload());
        for (const auto& member : members) {
          if (member.lock() != connection.lock())
            server.send(member, prepared, ignored);
        }
      });
  const auto port = static_cast<std::uint16_t>(std::strtoul(argv[argc - 1], nullptr, 10));
  namespace ip = websocketpp::lib::asio::ip;
  server.listen(ip::tcp::endpoint(ip::address_v4::loopback(), port));
  server.start_accept();
  server.run();
}
