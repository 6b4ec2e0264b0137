#include "server/inspect/wire_log.h"

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/inspect/wire_text.h"
#include "server/session/session_id.h"

namespace ws {
namespace {

/// The start of a line about `session`: "wire 0000000a".
std::string mark(std::uint32_t session) {
  return "wire " + std::string(SessionId(session).text());
}

std::string prefix(std::uint32_t session, const std::string& from, const std::string& to) {
  return mark(session) + " " + from + " → " + to;
}

/// `prefix` followed by the stream offset and length of an item, or of a FIN or RST (length 0): "… Seq=228 Len=18 ".
std::string position(const std::string& prefix, std::uint64_t offset, std::uint64_t size) {
  return prefix + " Seq=" + std::to_string(offset) + " Len=" + std::to_string(size) + " ";
}

}  // namespace

template <typename Act>
void WireLog::guarded(std::uint32_t session, Act act) noexcept {
  const auto found = sessions_.find(session);
  if (found == sessions_.end())
    return;
  try {
    act(found->second);
  } catch (const std::bad_alloc&) {
    sessions_.erase(found);
    log(LogLevel::kWarn,
        {"wire ", SessionId(session).text(), ": logging of this session stopped: out of memory"});
  }
}

void WireLog::opened(std::uint32_t session, const SocketAddress& client,
                     const SocketAddress& server) noexcept {
  try {
    const std::string client_text = client.to_string();
    const std::string server_text = server.to_string();
    sessions_.try_emplace(session,
                          Streams{{Sender::kClient, prefix(session, client_text, server_text)},
                                  {Sender::kServer, prefix(session, server_text, client_text)}});
  } catch (const std::bad_alloc&) {
    log(LogLevel::kWarn,
        {"wire ", SessionId(session).text(), ": this session is not logged: out of memory"});
  }
}

void WireLog::closed(std::uint32_t session) noexcept {
  guarded(session, [&](Streams& streams) {
    end(session, streams.client);
    end(session, streams.server);
  });
  sessions_.erase(session);
}

void WireLog::end() noexcept {
  while (!sessions_.empty())
    closed(sessions_.begin()->first);
}

void WireLog::received(std::uint32_t session, std::span<const std::byte> bytes) noexcept {
  guarded(session, [&](Streams& streams) {
    Call call;
    show(session, streams, Sender::kClient, bytes, call);
    write_rest(streams.client, call);
  });
}

void WireLog::sent(std::uint32_t session, std::span<const iovec> pieces,
                   std::size_t size) noexcept {
  guarded(session, [&](Streams& streams) {
    Call call;
    for (const iovec& piece : pieces) {
      const std::size_t part = std::min(size, piece.iov_len);
      show(session, streams, Sender::kServer, {static_cast<const std::byte*>(piece.iov_base), part},
           call);
      size -= part;
    }
    write_rest(streams.server, call);
  });
}

void WireLog::finish(std::uint32_t session, Sender sender) noexcept {
  guarded(session, [&](Streams& streams) {
    Stream& stream = sender == Sender::kClient ? streams.client : streams.server;
    end(session, stream);
    log_printable(LogLevel::kInfo, position(stream.prefix, stream.next, 0) + "[FIN, ACK]");
  });
}

void WireLog::reset(std::uint32_t session) noexcept {
  guarded(session, [&](Streams& streams) {
    end(session, streams.server);
    const Stream& stream = streams.server;
    log_printable(LogLevel::kInfo, position(stream.prefix, stream.next, 0) + "[RST, ACK]");
  });
}

void WireLog::lost(std::uint32_t session, std::error_code error) noexcept {
  guarded(session, [&](Streams& streams) {
    end(session, streams.client);
    const std::string why =
        error == std::errc::connection_reset ? "[RST]" : "connection lost: " + error.message();
    log_printable(LogLevel::kInfo, streams.client.prefix + " " + why);
  });
}

void WireLog::show(std::uint32_t session, Streams& streams, Sender sender,
                   std::span<const std::byte> bytes, Call& call) const {
  Stream& stream = sender == Sender::kClient ? streams.client : streams.server;
  stream.next += bytes.size();
  while (const auto item = stream.dissector.next(bytes)) {
    if (call.lines < kLinesOfACall) {
      call.lines += write(session, stream, *item);
    } else {
      if (call.items++ == 0)
        call.offset = item->offset;
      call.size += item->size;
    }
    if (item->status >= 200) {  // upgrade refused: the client's next bytes are HTTP, not frames
      if (const auto partial = streams.client.dissector.refused())
        write(session, streams.client, *partial);
    }
  }
}

void WireLog::write_rest(const Stream& stream, const Call& call) {
  if (call.items == 0)
    return;
  log_printable(LogLevel::kInfo, position(stream.prefix, call.offset, call.size) +
                                     std::to_string(call.items) + " more items, not shown");
}

void WireLog::end(std::uint32_t session, Stream& stream) const {
  if (const auto item = stream.dissector.cut())
    write(session, stream, *item);
}

std::size_t WireLog::write(std::uint32_t session, const Stream& stream,
                           const Dissected& item) const {
  std::string line = position(stream.prefix, item.offset, item.size) + wire_summary(item);
  if (const std::string fields = wire_fields(item); !fields.empty())
    line += " " + fields;
  log_printable(LogLevel::kInfo, line);
  if (!has_hex_)
    return 1;
  const std::vector<std::string> below = annotate(item);
  for (const std::string& text : below)
    log_printable(LogLevel::kInfo, mark(session) + "   " + text);
  return 1 + below.size();
}

}  // namespace ws
