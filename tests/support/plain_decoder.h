// A second decoder of the frames after the handshake. Tests compare the first one with it.
//
// Written only from RFC 6455, and RFC 7692 for compressed messages: it shares no code and no tables with protocol/. It
// decodes a whole stream at once, copies freely, validates a text again with each frame, throws on the first error, and
// is slow. In return, each rule is one line that can be compared with the standard.
//
// Where the standard leaves a choice, it does as protocol/frame/connection.h documents: a rule about one byte of the
// header is checked at that byte, a rule about the whole header at its last byte, and text at each byte that has
// arrived; the message limit is checked before the limit of fragments. A compressed message is validated as far as the
// bytes that have arrived can be inflated.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/plain_inflate.h"

namespace ws::plain {

struct Settings {
  bool is_from_client = true;  ///< the sender of the stream: a client masks, a server does not
  std::uint64_t largest_message = 16 * 1024 * 1024;
  std::uint64_t most_frames = 131'072;  ///< of one message
  /// For permessage-deflate, if it was negotiated:
  struct Deflate {
    bool keeps_context = true;
    std::uint64_t largest_compressed = 32 * 1024 * 1024;
  };
  std::optional<Deflate> deflate{};
};

struct Event {
  enum class Kind { kText, kBinary, kPing, kPong, kClose, kFailed };
  Kind kind;
  std::string payload;  ///< of a Close: its reason
  unsigned code = 0;    ///< of a Close: its code, 1005 if it had none; of kFailed: the one to send
  friend bool operator==(const Event&, const Event&) = default;
};

struct Frame {
  unsigned byte0 = 0;
  bool is_masked = false;
  std::string payload;
};

struct Failed {  // thrown
  unsigned code;
};
struct Ended {};  // thrown: the stream ends here

/// The bytes that have not been read.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool is_empty() const { return rest_.empty(); }

  /// The next `size` bytes, most significant first.
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (const char byte : exactly(size))
      value = value * 256 + static_cast<unsigned char>(byte);
    return value;
  }
  std::string_view exactly(std::size_t size) {
    if (rest_.size() < size)
      throw Ended{};
    return at_most(size);
  }
  std::string_view at_most(std::uint64_t size) {
    const std::string_view part = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(part.size());
    return part;
  }

 private:
  std::string_view rest_;
};

// §5.3: octet i of the payload is XORed with octet i MOD 4 of the key.
inline std::string unmask(std::string_view payload, std::string_view key) {
  std::string plain;
  for (std::size_t i = 0; i < payload.size(); ++i)
    plain += static_cast<char>(payload[i] ^ key[i % 4]);
  return plain;
}

// RFC 3629 §3, by the code points of the characters.
enum class Utf8 { kWhole, kUnfinished, kBroken };
inline Utf8 judge_utf8(std::string_view text) {
  Reader in(text);
  while (!in.is_empty()) {
    const std::uint64_t first = in.number(1);
    unsigned more = 0;         // octets after the first one
    std::uint64_t lowest = 0;  // code point that needs this many
    std::uint64_t value = 0;
    if (first < 0b1000'0000) {
      value = first;
    } else if (first / 0b10'0000 == 0b110) {
      more = 1, lowest = 0x80, value = first % 0b10'0000;
    } else if (first / 0b1'0000 == 0b1110) {
      more = 2, lowest = 0x800, value = first % 0b1'0000;
    } else if (first / 0b1000 == 0b11110) {
      more = 3, lowest = 0x10000, value = first % 0b1000;
    } else {
      return Utf8::kBroken;
    }
    for (; more > 0 && !in.is_empty(); --more) {
      const std::uint64_t next = in.number(1);
      if (next / 0b100'0000 != 0b10)
        return Utf8::kBroken;
      value = value * 0b100'0000 + next % 0b100'0000;
    }
    // With the missing octets, the code point can be any from `from` to `to`.
    std::uint64_t from = value;
    std::uint64_t to = value;
    for (unsigned i = 0; i < more; ++i) {
      from = from * 0b100'0000;
      to = to * 0b100'0000 + 0b11'1111;
    }
    from = std::max(from, lowest);
    to = std::min<std::uint64_t>(to, 0x10FFFF);
    if (from > to || (from >= 0xD800 && to <= 0xDFFF))
      return Utf8::kBroken;
    if (more > 0)
      return Utf8::kUnfinished;
  }
  return Utf8::kWhole;
}

// §7.4.1 and §7.4.2, and the registry that §11.7 opens.
inline bool is_code_of_a_close_frame(std::uint64_t code) {
  switch (code) {
    case 1000:
    case 1001:
    case 1002:
    case 1003:
    case 1007:
    case 1008:
    case 1009:
    case 1010:
    case 1011:
    case 1012:  // IANA: service restart
    case 1013:  // IANA: try again later
    case 1014:  // IANA: bad gateway
      return true;
    default:
      return code >= 3000 && code < 5000;
  }
}

class Decoder {
 public:
  explicit Decoder(const Settings& settings)
      : settings_(settings),
        context_(settings.deflate.has_value() && settings.deflate->keeps_context) {}

  std::vector<Event> decode(std::string_view stream) {
    Reader in(stream);
    try {
      while (!is_closed_)
        read_frame(in);
    } catch (const Failed& failed) {
      events_.push_back({Event::Kind::kFailed, "", failed.code});
    } catch (const Ended&) {
    }
    return std::move(events_);
  }

 private:
  void read_frame(Reader& in) {
    const std::uint64_t byte0 = in.number(1);
    const bool fin = byte0 >= 0x80;
    const std::uint64_t opcode = byte0 % 0x10;
    if (byte0 / 0x10 % 0x4 != 0)
      throw Failed{1002};  // §5.2: RSV2 or RSV3, which no extension defines
    const bool rsv1 = byte0 / 0x40 % 2 != 0;
    if (rsv1 && (!settings_.deflate.has_value() || (opcode != 0x1 && opcode != 0x2)))
      throw Failed{1002};  // §5.2, and RFC 7692 §6: not on a control frame or a continuation
    if ((opcode > 0x2 && opcode < 0x8) || opcode > 0xA)
      throw Failed{1002};  // §5.2: a reserved opcode
    const bool is_control = opcode >= 0x8;
    if (is_control && !fin)
      throw Failed{1002};  // §5.5

    const std::uint64_t byte1 = in.number(1);
    const bool is_masked = byte1 >= 0x80;
    if (is_masked != settings_.is_from_client)
      throw Failed{1002};  // §5.1
    std::uint64_t length = byte1 % 0x80;
    if (is_control && length > 125)
      throw Failed{1002};  // §5.5
    if (length == 126) {
      length = in.number(2);
      if (length <= 125)
        throw Failed{1002};  // §5.2: the minimal number of bytes
    } else if (length == 127) {
      length = in.number(8);
      if (length <= 65535 || length > 0x7FFF'FFFF'FFFF'FFFF)
        throw Failed{1002};  // §5.2: the same; and the most significant bit is 0
    }
    const std::string_view key = is_masked ? in.exactly(4) : std::string_view("\0\0\0\0", 4);

    if (is_control) {
      take_control(opcode, unmask(in.exactly(static_cast<std::size_t>(length)), key));
      return;
    }
    begin_data(opcode, rsv1, length);
    const std::string_view there = in.at_most(length);
    read_data(unmask(there, key));
    if (there.size() < length)
      throw Ended{};
    if (fin)
      end_message();
  }

  // §5.4: the first frame of a message names its type, and every later one is a continuation.
  void begin_data(std::uint64_t opcode, bool rsv1, std::uint64_t length) {
    if ((opcode == 0x0) != is_in_message_)
      throw Failed{1002};
    if (!is_in_message_) {
      octets_ = "";
      frames_ = 0;
      is_text_ = opcode == 0x1;
      is_compressed_ = rsv1;
      is_in_message_ = true;
    }
    const std::uint64_t most =
        is_compressed_ ? settings_.deflate->largest_compressed : settings_.largest_message;
    if (length > most || octets_.size() > most - length)
      throw Failed{1009};  // §7.4.1
    ++frames_;
    if (frames_ > 1 && frames_ > settings_.most_frames)
      throw Failed{1008};  // §7.4.1
  }

  void read_data(const std::string& payload) {
    octets_ += payload;
    if (!is_compressed_) {
      judge_text(octets_);
      return;
    }
    const auto most = static_cast<std::size_t>(settings_.largest_message);
    const Inflated inflated = context_.look_at(octets_, most + 1);
    judge_text(inflated.text.substr(0, most));
    if (inflated.text.size() > most)
      throw Failed{1009};
    if (inflated.is_broken)
      throw Failed{1007};
  }

  void judge_text(const std::string& text) {
    message_ = text;
    if (is_text_ && judge_utf8(message_) == Utf8::kBroken)
      throw Failed{1007};  // §8.1
  }

  void end_message() {
    is_in_message_ = false;
    if (is_compressed_ &&
        context_.end(octets_, static_cast<std::size_t>(settings_.largest_message) + 1) ==
            Ending::kBroken)
      throw Failed{1007};  // RFC 7692 §7.2.2: the message ends inside a block
    if (is_text_ && judge_utf8(message_) != Utf8::kWhole)
      throw Failed{1007};  // §8.1
    events_.push_back({is_text_ ? Event::Kind::kText : Event::Kind::kBinary, message_});
  }

  void take_control(std::uint64_t opcode, const std::string& payload) {
    if (opcode == 0x9) {
      events_.push_back({Event::Kind::kPing, payload});
    } else if (opcode == 0xA) {
      events_.push_back({Event::Kind::kPong, payload});
    } else {
      is_closed_ = true;
      take_close(payload);
    }
  }

  // §5.5.1: no payload, or a code of two bytes and a reason.
  void take_close(const std::string& payload) {
    if (payload.empty()) {
      events_.push_back({Event::Kind::kClose, "", 1005});
      return;
    }
    if (payload.size() == 1)
      throw Failed{1002};
    Reader in(payload);
    const auto code = static_cast<unsigned>(in.number(2));
    const std::string reason(in.at_most(payload.size()));
    if (!is_code_of_a_close_frame(code))
      throw Failed{1002};
    if (judge_utf8(reason) != Utf8::kWhole)
      throw Failed{1007};
    events_.push_back({Event::Kind::kClose, reason, code});
  }

  const Settings settings_;
  std::vector<Event> events_;
  bool is_closed_ = false;
  bool is_in_message_ = false;
  bool is_text_ = false;
  bool is_compressed_ = false;
  std::uint64_t frames_ = 0;  // of the message
  std::string octets_;        // the payloads of its frames
  std::string message_;       // the octets, inflated if compressed
  Context context_;
};

inline std::vector<Event> decode(std::string_view stream, const Settings& settings = {}) {
  return Decoder(settings).decode(stream);
}

/// Splits the bytes that an endpoint sent into frames, without validation. Throws Ended if the last one is cut.
inline std::vector<Frame> read_frames(std::string_view sent) {
  std::vector<Frame> frames;
  Reader in(sent);
  while (!in.is_empty()) {
    Frame frame;
    frame.byte0 = static_cast<unsigned>(in.number(1));
    const std::uint64_t byte1 = in.number(1);
    frame.is_masked = byte1 >= 0x80;
    std::uint64_t length = byte1 % 0x80;
    if (length >= 126)
      length = in.number(length == 126 ? 2 : 8);
    const std::string_view key = frame.is_masked ? in.exactly(4) : std::string_view("\0\0\0\0", 4);
    frame.payload = unmask(in.exactly(static_cast<std::size_t>(length)), key);
    frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace ws::plain
