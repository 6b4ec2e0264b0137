// What wstrace prints of rows and frames: text for people, JSON for programs.
#pragma once

#include <string>

#include "tools/wstrace_frames.h"
#include "tools/wstrace_rows.h"

namespace ws::trace {

/// The line of `wsd --wire-log` without its session, with the packet in which it ended; then the bytes, annotated.
[[nodiscard]] std::string to_text(const StreamItem& item);
/// One object, without a line end.
[[nodiscard]] std::string to_json(const StreamItem& item);
[[nodiscard]] std::string to_json(const Row& row, int time_digits);

}  // namespace ws::trace
