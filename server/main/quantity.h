#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace ws {

/// A unit in the value of an option: `--max-message 64KiB`, `--close-timeout 500ms`. All programs use the same units.
/// CLI11's AsNumberWithUnit does not suffice: it shows limits and defaults without units.
struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

struct QuantityType {
  const char* name;  ///< in --help and in errors
  std::span<const Unit> units;
};

inline constexpr Unit kNoUnit[] = {{"", 1}};
inline constexpr Unit kBytes[] = {
    {"", 1}, {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
inline constexpr Unit kMilliseconds[] = {{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}};

inline constexpr QuantityType kNumber{"NUMBER", kNoUnit};
inline constexpr QuantityType kSize{"SIZE", kBytes};
inline constexpr QuantityType kTime{"TIME", kMilliseconds};
inline constexpr const char* kUnitsHelp =
    "SIZE is a number of bytes, or a number with KiB, MiB or GiB: 64KiB. TIME is a number with ms, "
    "s, min or h: 500ms.";

inline constexpr std::uint64_t kDay = 86'400'000;  ///< in milliseconds: the maximum of most times

/// Parses a number with a unit: "64KiB" with kBytes is 65536. 0 needs no unit. nullopt if malformed or too large.
std::optional<std::uint64_t> parse_quantity(std::string_view text, std::span<const Unit> units);

/// Formats `number` in the largest unit that divides it: 65536 with kBytes is "64KiB".
std::string to_text(std::uint64_t number, std::span<const Unit> units);

struct QuantityRange {
  std::uint64_t least;
  std::uint64_t most;
};

/// Adds an option to `app`. The app refuses a value outside `range`, and calls `set` with any other value, in bytes, in
/// milliseconds or as a plain number. `initial` is the default that --help shows.
CLI::Option* add_quantity(CLI::App& app, const std::string& name, const QuantityType& type,
                          QuantityRange range, std::uint64_t initial, const std::string& help,
                          std::function<void(std::uint64_t)> set);

}  // namespace ws
