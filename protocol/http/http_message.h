// The head of an HTTP/1.1 message, the request's and the response's: RFC 9112 §2-§5.
//
//      GET /echo HTTP/1.1 CRLF             start line: method SP target SP version
//      Host: localhost:8080 CRLF           field lines: name ":" OWS value OWS
//      Upgrade: websocket CRLF
//      CRLF                                an empty line ends the head
//
// Strict where leniency has been exploited (request smuggling): a bare CR or LF, a NUL, folding, a
// blank before the colon, contradictory lengths are refused. Lenient where RFC 9112 asks for it:
// one empty line before the request, absolute-form targets, any case in field names.
//
// Invariants:
//  1. The caller keeps the bytes: `parse` is given all of them since the head began, each time
//     more; it goes on where it had stopped, so that a head in single bytes still takes linear
//     time.
//  2. Each limit is judged as early as it can be, and in the order of the bytes: how the bytes are
//     cut changes no answer. No more than the limits (about 41 KiB by default) need ever be kept.
//  3. Names and values are views into the bytes of the last call of `parse`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "protocol/error.h"
#include "protocol/limits.h"

namespace ws {

class HttpHead {
 public:
  enum class Status : std::uint8_t { kNeedMore, kComplete, kError };

  /// `bytes`: all that came since the head began, possibly with what follows it. After kComplete or
  /// kError, call `reset` first.
  Status parse(std::string_view bytes, const Limits& limits);
  /// Forgets everything, keeps the memory.
  void reset();

  [[nodiscard]] Error error() const { return error_; }
  /// Bytes of the head with its last empty line, once complete: what follows is not HTTP.
  [[nodiscard]] std::size_t size() const { return position_; }

  [[nodiscard]] std::size_t field_count() const { return fields_.size(); }
  [[nodiscard]] std::string_view field_name(std::size_t i) const { return text(fields_[i].name); }
  [[nodiscard]] std::string_view field_value(std::size_t i) const { return text(fields_[i].value); }
  /// How many field lines have that name, in any case.
  [[nodiscard]] std::size_t count(std::string_view name) const;
  /// The first value of that name; nullopt if there is none.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  /// The values of all field lines of that name, in order.
  [[nodiscard]] std::vector<std::string_view> values(std::string_view name) const;
  /// True if `element` is in the list that all field lines of that name make up, in any case.
  [[nodiscard]] bool lists(std::string_view name, std::string_view element) const;

 protected:
  struct Slice {
    std::size_t begin = 0;
    std::size_t size = 0;
  };
  HttpHead() = default;
  ~HttpHead() = default;
  [[nodiscard]] std::string_view text(Slice slice) const {
    return bytes_.substr(slice.begin, slice.size);
  }
  /// `part` is a view into bytes_.
  [[nodiscard]] Slice slice(std::string_view part) const {
    return {static_cast<std::size_t>(part.data() - bytes_.data()), part.size()};
  }

 private:
  virtual Error take_start_line(std::string_view line) = 0;
  /// Judged once all fields are known.
  [[nodiscard]] virtual Error judge() const = 0;
  Error take_line(std::string_view line, const Limits& limits);
  Error take_field(std::string_view line);
  [[nodiscard]] Error judge_unfinished(std::size_t pending, const Limits& limits) const;

  struct Field {
    Slice name;
    Slice value;
  };
  std::string_view bytes_;
  std::size_t position_ = 0;  ///< start of the line that is being read
  std::size_t scanned_ = 0;   ///< no LF from position_ to here
  std::size_t field_bytes_ = 0;
  std::vector<Field> fields_;
  Error error_ = Error::kNone;
  bool has_start_line_ = false;
  bool skipped_empty_line_ = false;
  bool is_complete_ = false;
};

/// A request's head. RFC 9112 §3.
class HttpRequest final : public HttpHead {
 public:
  [[nodiscard]] std::string_view method() const { return text(method_); }
  /// As it came, in origin-form, absolute-form, authority-form or "*".
  [[nodiscard]] std::string_view target() const { return text(target_); }
  /// The path of the target, without its query; "*" for that; empty in authority-form.
  [[nodiscard]] std::string_view path() const { return text(path_); }
  /// 0 for HTTP/1.0, 1 for HTTP/1.1 and above.
  [[nodiscard]] int minor_version() const { return minor_version_; }
  /// True if a body follows, by Content-Length or Transfer-Encoding. RFC 9112 §6.3
  [[nodiscard]] bool has_body() const;

 private:
  Error take_start_line(std::string_view line) override;
  [[nodiscard]] Error judge() const override;
  Error take_target(std::string_view target);

  Slice method_;
  Slice target_;
  Slice path_;
  int minor_version_ = 1;
};

/// A response's head. RFC 9112 §4.
class HttpResponse final : public HttpHead {
 public:
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] std::string_view reason() const { return text(reason_); }

 private:
  Error take_start_line(std::string_view line) override;
  [[nodiscard]] Error judge() const override { return Error::kNone; }

  int status_ = 0;
  Slice reason_;
};

}  // namespace ws
