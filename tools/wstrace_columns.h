// What a payload means, in the words of Wireshark's columns: HTTP heads and bodies, then WebSocket frames. RFC 9112,
// RFC 6455 §5.2.
//
// Given the bytes of a segment, or of several that it asked to be put together, it sets the Protocol and the Info
// column, or says how much more it wants. It is as lenient as Wireshark, which shows what no server would accept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ws::trace {

/// What is being written into a row. Behind a fence the Info column is only added to.
struct Columns {
  std::string protocol{};
  std::string fenced{};
  std::string info{};
  bool has_fixed_protocol = false;

  void set_protocol(std::string_view name) {
    if (!has_fixed_protocol)
      protocol = name;
  }
  void fence() {
    fenced += info;
    info.clear();
  }
};

/// How much more is wanted, and from which byte on.
struct Wanted {
  static constexpr std::uint32_t kOneMoreSegment = 0x0fffffff;
  static constexpr std::uint32_t kUntilFin = 0x0ffffffe;
  std::size_t offset = 0;
  std::uint32_t size = 0;  ///< 0: nothing; or one of those
};

/// What is known of the segment that the bytes end in.
struct SegmentFacts {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint16_t server_port = 0;  ///< 0: not known
  bool is_cut = false;            ///< by the capture: more cannot be had
  bool is_last = false;           ///< has FIN
};

struct MessageHead;

/// One connection's conversation.
class ColumnDissector {
 public:
  Wanted dissect(std::span<const std::byte> bytes, const SegmentFacts& segment, Columns& columns);

 private:
  Wanted dissect_message(std::span<const std::byte>& bytes, const SegmentFacts& segment,
                         Columns& columns, bool& goes_on);
  void name_continuation(Columns& columns) const;
  [[nodiscard]] bool may_have_body(const MessageHead& head) const;
  void remember(const MessageHead& head);
  static Wanted dissect_frames(std::span<const std::byte> bytes, bool is_cut, Columns& columns);
  [[nodiscard]] static bool is_http(std::span<const std::byte> bytes, const SegmentFacts& segment);

  bool is_http_ = false;
  bool saw_request_ = false;  ///< and so what comes in either direction is HTTP
  bool was_head_ = false;     ///< the last request was a HEAD: no body answers it
  bool was_connect_ = false;  ///< ... or a CONNECT
  bool is_upgraded_ = false;
  bool is_websocket_ = false;
};

}  // namespace ws::trace
