// Parses the head of an HTTP/1.1 request or response incrementally: RFC 9112 §2-§5.
//
//      GET /echo HTTP/1.1 CRLF             start line: method SP target SP version
//      Host: localhost:8080 CRLF           field lines: name ":" OWS value OWS
//      Upgrade: websocket CRLF
//      CRLF                                an empty line ends the head
//
// The parser is strict where lenient parsers have been exploited (request smuggling): it refuses a bare CR or LF, a
// NUL, folding, whitespace before the colon and contradictory lengths. Where RFC 9112 asks for leniency, the parser
// accepts one empty line before the request, absolute-form targets, and any case in field names.
//
// Invariants:
//  1. The caller stores the bytes and passes all of them, from the start of the head, to each call of `parse`. Parsing
//     resumes where it stopped, so that the total time is linear even if the head arrives byte by byte.
//  2. Limits are checked as early as possible and in the order of the bytes, so that the result does not depend on how
//     the bytes are split into calls. The caller never has to store more than the limits allow (about 40 KiB by
//     default).
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
  /// The members of Limits that a head can exceed.
  enum class Limit : std::uint8_t { kNone, kRequestLine, kFieldLine, kFields, kFieldBytes };

  /// `bytes` must contain all bytes received since the start of the head, and may contain bytes after the head. After
  /// kComplete or kError, call `reset` before parsing another head.
  Status parse(std::string_view bytes, const Limits& limits);
  /// Prepares for another head; keeps the allocated memory.
  void reset();

  [[nodiscard]] Error error() const { return error_; }
  /// The limit that was exceeded, if `error` is kRequestLineTooLong or kFieldsTooLarge.
  [[nodiscard]] Limit exceeded_limit() const { return exceeded_limit_; }
  /// The name of the field that exceeded kFieldLine or kFieldBytes, or of the last field before kFields was exceeded.
  /// May contain any bytes, and may be incomplete, since the limit may be exceeded before the end of the name.
  [[nodiscard]] std::string_view exceeding_field() const { return text(exceeding_field_); }
  /// Size of a complete head in bytes, including the empty line at its end.
  [[nodiscard]] std::size_t size() const { return position_; }

  [[nodiscard]] std::size_t field_count() const { return fields_.size(); }
  [[nodiscard]] std::string_view field_name(std::size_t i) const { return text(fields_[i].name); }
  [[nodiscard]] std::string_view field_value(std::size_t i) const { return text(fields_[i].value); }

  // The following functions look fields up by name and ignore the case of `name`.
  /// The number of field lines with this name.
  [[nodiscard]] std::size_t count(std::string_view name) const;
  /// The value of the first field line with this name, or nullopt.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  /// The values of all field lines with this name, in order.
  [[nodiscard]] std::vector<std::string_view> values(std::string_view name) const;
  /// True if a field with this name has `element` in its comma-separated list. Ignores the case of `element`.
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
  /// `part` must be a view into bytes_.
  [[nodiscard]] Slice slice(std::string_view part) const {
    return {static_cast<std::size_t>(part.data() - bytes_.data()), part.size()};
  }

 private:
  virtual Error parse_start_line(std::string_view line) = 0;
  /// Validates the fields when the head is complete.
  [[nodiscard]] virtual Error validate() const = 0;
  Error parse_line(std::string_view line, const Limits& limits);
  Error parse_field(std::string_view line);
  Error check_limits(std::string_view line, const Limits& limits);

  struct Field {
    Slice name;
    Slice value;
  };
  std::string_view bytes_;
  std::size_t position_ = 0;  ///< start of the current line
  std::size_t scanned_ = 0;   ///< end of the bytes already searched for LF
  std::size_t field_bytes_ = 0;
  std::vector<Field> fields_;
  Error error_ = Error::kNone;
  Slice exceeding_field_;
  Limit exceeded_limit_ = Limit::kNone;
  bool has_start_line_ = false;
  bool skipped_empty_line_ = false;
  bool is_complete_ = false;
};

/// The head of a request. RFC 9112 §3
class HttpRequest final : public HttpHead {
 public:
  [[nodiscard]] std::string_view method() const { return text(method_); }
  /// The target as received: origin-form, absolute-form, authority-form or "*".
  [[nodiscard]] std::string_view target() const { return text(target_); }
  /// The path of the target without the query; "*" for the target "*"; empty for authority-form. Percent-encoding is
  /// valid but not decoded.
  [[nodiscard]] std::string_view path() const { return text(path_); }
  /// 0 for HTTP/1.0, 1 for HTTP/1.1 to HTTP/1.9.
  [[nodiscard]] int minor_version() const { return minor_version_; }
  /// True if Content-Length or Transfer-Encoding announces a body. RFC 9112 §6.3
  [[nodiscard]] bool has_body() const;

 private:
  Error parse_start_line(std::string_view line) override;
  [[nodiscard]] Error validate() const override;
  Error parse_target(std::string_view target);

  Slice method_;
  Slice target_;
  Slice path_;
  int minor_version_ = 1;
};

/// The head of a response. RFC 9112 §4
class HttpResponse final : public HttpHead {
 public:
  [[nodiscard]] int status() const { return status_; }
  /// True for 1xx, except 101: the final response follows. RFC 9110 §15.2
  [[nodiscard]] bool is_interim() const { return status_ / 100 == 1 && status_ != 101; }
  [[nodiscard]] std::string_view reason() const { return text(reason_); }

 private:
  Error parse_start_line(std::string_view line) override;
  [[nodiscard]] Error validate() const override { return Error::kNone; }

  int status_ = 0;
  Slice reason_;
};

}  // namespace ws
