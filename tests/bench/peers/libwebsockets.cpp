// libwebsockets: peer_libwebsockets PORT. A read buffer of 128 KiB; when the socket can be written to, all that waits
// is written until the library says that it is choked, as its authors allow.
#include <libwebsockets.h>
#include <malloc.h>

#include <cstdlib>
#include <deque>
#include <string>

namespace {

struct Message {
  std::string bytes = std::string(LWS_PRE, '\0');  ///< the library puts its header there
  bool is_binary = false;
};
struct Session {
  Message incoming;
  std::deque<Message> queue;
};

unsigned char* writable(Message& message) {
  return reinterpret_cast<unsigned char*>(message.bytes.data()) + LWS_PRE;
}

int callback(lws* connection, lws_callback_reasons reason, void* user, void* in, size_t size) {
  if (reason == LWS_CALLBACK_ESTABLISHED) {
    *static_cast<Session**>(user) = new Session;
    return 0;
  }
  if (reason != LWS_CALLBACK_RECEIVE && reason != LWS_CALLBACK_SERVER_WRITEABLE &&
      reason != LWS_CALLBACK_CLOSED) {
    return 0;
  }
  Session& session = **static_cast<Session**>(user);
  if (reason == LWS_CALLBACK_CLOSED) {
    delete &session;
  } else if (reason == LWS_CALLBACK_RECEIVE) {
    const size_t left = lws_remaining_packet_payload(connection);
    session.incoming.bytes.reserve(session.incoming.bytes.size() + size + left);
    session.incoming.bytes.append(static_cast<const char*>(in), size);
    if (lws_is_final_fragment(connection) == 0 || left != 0)
      return 0;
    session.incoming.is_binary = lws_frame_is_binary(connection) != 0;
    session.queue.push_back(std::move(session.incoming));
    session.incoming = {};
    lws_callback_on_writable(connection);
  } else {
    while (!session.queue.empty()) {
      Message& message = session.queue.front();
      if (lws_write(connection, writable(message), message.bytes.size() - LWS_PRE,
                    message.is_binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT) < 0) {
        return -1;
      }
      session.queue.pop_front();
      if (!session.queue.empty() && lws_send_pipe_choked(connection) != 0) {
        lws_callback_on_writable(connection);
        break;
      }
    }
  }
  return 0;
}

}  // namespace

int main(int, char** argv) {
  // Messages come and go at the end of the heap: trimmed each time, it is paged in anew.
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  lws_set_log_level(0, nullptr);
  lws_protocols protocols[2]{};
  protocols[0].name = "echo";
  protocols[0].callback = callback;
  protocols[0].per_session_data_size = sizeof(Session*);
  protocols[0].rx_buffer_size = std::size_t{128} * 1024;
  lws_context_creation_info info{};
  while (argv[1] != nullptr)
    ++argv;
  info.port = std::atoi(argv[0]);
  info.iface = "127.0.0.1";
  info.protocols = protocols;
  info.pt_serv_buf_size = 128 * 1024;
  // With IPv6 on, it listens on [::], whatever interface it is told.
  info.options = LWS_SERVER_OPTION_VALIDATE_UTF8 | LWS_SERVER_OPTION_DISABLE_IPV6;
  lws_context* context = lws_create_context(&info);
  if (context == nullptr)
    return 1;
  while (lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
}
