#include "server/main/quantity.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include <CLI/CLI.hpp>

namespace ws {

std::optional<std::uint64_t> parse_quantity(std::string_view text, std::span<const Unit> units) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const auto unit = std::ranges::find(units, std::string_view(rest, end), &Unit::name);
  if (error == std::errc() && number == 0 && rest == end)
    return 0;
  if (error != std::errc() || unit == units.end() || number > UINT64_MAX / unit->factor)
    return std::nullopt;
  return number * unit->factor;
}

std::string to_text(std::uint64_t number, std::span<const Unit> units) {
  if (number == 0)
    return "0";
  const Unit* best = &units[0];
  for (const Unit& unit : units) {
    if (number % unit.factor == 0 && !unit.name.empty())
      best = &unit;
  }
  return std::to_string(number / best->factor) + std::string(best->name);
}

CLI::Option* add_quantity(CLI::App& app, const std::string& name, const QuantityType& type,
                          QuantityRange range, std::uint64_t initial, const std::string& help,
                          std::function<void(std::uint64_t)> set) {
  const auto parse = [name, type, range, set = std::move(set)](const std::string& text) {
    const auto value = parse_quantity(text, type.units);
    if (!value.has_value() || *value < range.least || *value > range.most) {
      throw CLI::ValidationError(name.substr(name.find("--")),
                                 "'" + text + "' is not a " + type.name + " between " +
                                     to_text(range.least, type.units) + " and " +
                                     to_text(range.most, type.units));
    }
    set(*value);
  };
  return app.add_option_function<std::string>(name, parse, help)
      ->default_str(to_text(initial, type.units))
      ->type_name(type.name);
}

}  // namespace ws
