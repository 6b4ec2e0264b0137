// Formats rows and frames as text or as JSON.
#pragma once

#include <string>

#include "tools/wstrace/frames.h"
#include "tools/wstrace/rows.h"

namespace ws::trace {

/// A line as in `wsd --wire-log`, with the number of the item's last packet instead of the session; then the item's
/// bytes, annotated.
[[nodiscard]] std::string to_text(const StreamItem& item);
/// One JSON object, without a line feed.
[[nodiscard]] std::string to_json(const StreamItem& item);
[[nodiscard]] std::string to_json(const Row& row, int time_digits);

}  // namespace ws::trace
