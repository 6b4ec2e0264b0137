#include "tools/wstrace/check.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "tools/wstrace/tcp.h"

namespace ws::trace {
namespace {

constexpr std::string_view kColumns = "no\tphase\tsource\tdestination\tprotocol\tlength\tinfo";

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return parts;
    text.remove_prefix(end + 1);
  }
}

/// Reads the next line; it ends in LF or CRLF.
bool read_line(std::istream& file, std::string& line) {
  if (!std::getline(file, line))
    return false;
  if (line.ends_with('\r'))
    line.pop_back();
  return true;
}

std::string without_blanks_at_end(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

/// A part of an Info column: a number such as "Seq=0", a text in brackets, or a word.
struct Part {
  std::string name;   ///< such as "Seq"; or "bracketed", "text"
  std::string value;  ///< the whole part, including its name
};
std::vector<Part> parts_of(const std::string& info) {
  std::vector<Part> parts;
  std::string_view rest = info;
  while (!rest.empty()) {
    if (rest.front() == ' ') {
      rest.remove_prefix(1);
      continue;
    }
    std::size_t end = rest.front() == '[' ? rest.find(']') : rest.find(' ');
    if (end != std::string_view::npos && rest.front() == '[')
      ++end;
    const std::string_view part = rest.substr(0, end);
    const std::size_t equals = part.find('=');
    const std::string_view name = part.front() == '['                ? "bracketed"
                                  : equals != std::string_view::npos ? part.substr(0, equals)
                                                                     : "text";
    parts.push_back({std::string(name), std::string(part)});
    rest.remove_prefix(part.size());
  }
  return parts;
}

bool is_clock(const Part& part) {
  return part.name == "TSval" || part.name == "TSecr";
}

/// The Info column without timestamps, which differ between runs: "TSval=… TSecr=…".
std::string comparable(const std::string& info) {
  std::string text;
  for (const Part& part : parts_of(info)) {
    text += is_clock(part) ? part.name + "=…" : part.value;
    text += ' ';
  }
  return text;
}

std::string meaning_of_part(const std::string& name) {
  static const std::map<std::string, std::string> kMeanings = {
      {"Seq", "the sender sent more or fewer bytes before this packet than documented"},
      {"Ack",
       "the sender had received more or fewer bytes than documented when it sent this packet"},
      {"Win",
       "the sender's receive buffer has a different size than documented (net.ipv4.tcp_rmem)"},
      {"Len", "the packet has more or fewer bytes than documented"},
      {"MSS",
       "the interface has a different MTU than documented (the loopback interface has 65536)"},
      {"WS", "the window scale depends on net.ipv4.tcp_rmem"},
      {"SACK_PERM", "net.ipv4.tcp_sack has a different value than on the documented machine"},
      {"TSval", "only the document or only the capture has timestamps (net.ipv4.tcp_timestamps)"},
      {"TSecr", "only the document or only the capture has timestamps (net.ipv4.tcp_timestamps)"},
      {"bracketed",
       "the packet is of a different kind than documented, or Wireshark added a note only in the "
       "document "
       "or only in the capture"},
      {"text", "the text differs from the document"}};
  const auto found = kMeanings.find(name);
  return found == kMeanings.end() ? "only the document or only the capture has this TCP option"
                                  : found->second;
}

/// Describes the first part in which two Info columns differ, and what the difference means.
std::string describe_info(const std::string& documented, const std::string& captured) {
  const std::vector<Part> wanted = parts_of(documented);
  const std::vector<Part> found = parts_of(captured);
  for (std::size_t i = 0; i < std::max(wanted.size(), found.size()); ++i) {
    const bool is_equal = i < wanted.size() && i < found.size() &&
                          (wanted[i].value == found[i].value ||
                           (is_clock(wanted[i]) && wanted[i].name == found[i].name));
    if (is_equal)
      continue;
    const Part& named = i < wanted.size() ? wanted[i] : found[i];
    return (i < wanted.size() ? wanted[i].value : "nothing more") + " documented, " +
           (i < found.size() ? found[i].value : "nothing more") +
           " captured: " + meaning_of_part(named.name);
  }
  return "only the spaces differ";
}

/// The phase of each row: "connect" until the first WebSocket frame, "data" until the first Close, then "close".
std::vector<std::string> phases_of(const std::vector<CheckedRow>& captured) {
  std::vector<std::string> phases;
  std::string phase = "connect";
  for (const CheckedRow& row : captured) {
    if (row.row.protocol == "WebSocket") {
      if (row.row.info.find("Connection Close") != std::string::npos)
        phase = "close";
      else if (phase == "connect")
        phase = "data";
    }
    phases.push_back(phase);
  }
  return phases;
}

struct Column {
  std::string_view name;
  const std::string& documented;
  std::string captured;
  std::string_view meaning;
};

/// The text by which `align` compares rows.
std::string essence(const std::string& protocol, const std::string& length,
                    const std::string& info) {
  return protocol + " " + length + " " + comparable(info);
}

/// For each row of the document, the matching row of the capture: their longest common subsequence.
std::vector<std::optional<std::size_t>> align(const std::vector<DocumentRow>& document,
                                              const std::vector<CheckedRow>& captured) {
  const std::size_t rows = document.size();
  const std::size_t columns = captured.size();
  std::vector<std::string> wanted;
  wanted.reserve(rows);
  for (const DocumentRow& row : document)
    wanted.push_back(essence(row.protocol, row.length, row.info));
  std::vector<std::string> found;
  found.reserve(columns);
  for (const CheckedRow& row : captured)
    found.push_back(essence(row.row.protocol, std::to_string(row.row.length), row.row.info));

  std::vector<std::vector<std::uint32_t>> longest(rows + 1,
                                                  std::vector<std::uint32_t>(columns + 1));
  for (std::size_t i = rows; i-- > 0;) {
    for (std::size_t j = columns; j-- > 0;) {
      longest[i][j] = wanted[i] == found[j] ? longest[i + 1][j + 1] + 1
                                            : std::max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  std::vector<std::optional<std::size_t>> matches(rows);
  for (std::size_t i = 0, j = 0; i < rows && j < columns;) {
    if (wanted[i] == found[j]) {
      matches[i++] = j++;
    } else if (longest[i + 1][j] >= longest[i][j + 1]) {
      ++i;
    } else {
      ++j;
    }
  }
  return matches;
}

std::string row_name(const DocumentRow& row) {
  return "row " + std::to_string(row.position);
}

/// Reports rows that only the document or only the capture has.
void compare_counts(const std::vector<DocumentRow>& document,
                    const std::vector<CheckedRow>& captured, CheckResult& result) {
  const auto matches = align(document, captured);
  std::set<std::size_t> matched;
  for (std::size_t i = 0; i < document.size(); ++i) {
    if (matches[i].has_value()) {
      matched.insert(*matches[i]);
      ++result.equal;
    } else {
      result.differences.push_back(row_name(document[i]) + ": missing: " + document[i].protocol +
                                   " " + document[i].length + " " + document[i].info);
    }
  }
  for (std::size_t j = 0; j < captured.size(); ++j) {
    if (!matched.contains(j)) {
      const Row& row = captured[j].row;
      result.differences.push_back("packet " + std::to_string(row.number) +
                                   ": not documented: " + row.protocol + " " +
                                   std::to_string(row.length) + " " + row.info);
    }
  }
}

/// Checks TSecr, and with `has_waits` the server's delays (see wstrace_check.h). Adds rows with an error to `bad`.
void compare_clock(const std::vector<DocumentRow>& document,
                   const std::vector<CheckedRow>& captured, bool has_waits, CheckResult& result,
                   std::set<std::size_t>& bad) {
  const auto complain = [&](std::size_t i, const std::string& what) {
    bad.insert(i);
    result.differences.push_back(row_name(document[i]) + ": " + what);
  };
  // Delayed ACKs decide which TSval is echoed. It must have been sent, and must not be older than the previous one.
  std::vector<std::uint32_t> sent[2] = {{0}, {0}};
  std::uint32_t echoed[2] = {0, 0};  // 0: no TSecr yet
  for (std::size_t i = 0; i < captured.size(); ++i) {
    const CheckedRow& row = captured[i];
    if (!row.has_timestamps)
      continue;
    const std::size_t from = row.is_from_client ? 1 : 0;
    const auto& others = sent[1 - from];
    if (std::ranges::find(others, row.ts_echo) == others.end() ||
        (row.ts_echo != 0 && echoed[from] != 0 && is_before(row.ts_echo, echoed[from]))) {
      complain(i, "info: TSecr=" + std::to_string(row.ts_echo) +
                      " captured: the peer has not sent this value, or an earlier row already "
                      "echoed a newer one (the peer's last TSval is " +
                      std::to_string(others.back()) +
                      "); the rows are from different connections, or a packet is missing");
    }
    echoed[from] = row.ts_echo;
    sent[from].push_back(row.ts_value);
  }
  if (!has_waits)
    return;

  // The server's delays, from request to answer, by the times of the capture.
  const Waits waits;
  const auto check_delay = [&](bool (*is_answer)(const Row&), std::int64_t least, std::int64_t most,
                               const char* what) {
    for (std::size_t i = 1; i < captured.size(); ++i) {
      if (captured[i].is_from_client || !is_answer(captured[i].row))
        continue;
      std::size_t asked = i;
      while (asked > 0 &&
             (!captured[asked].is_from_client || captured[asked].row.protocol == "TCP"))
        --asked;
      const std::int64_t wait = (captured[i].row.time_ns - captured[asked].row.time_ns) / 1'000'000;
      if (wait < least || wait > most) {
        complain(i, "time: " + std::to_string(wait) + " ms after the request, but " +
                        std::to_string(least) + " to " + std::to_string(most) +
                        " ms are expected: " + what);
      }
      return;
    }
  };
  check_delay(
      [](const Row& row) { return row.protocol == "HTTP"; }, waits.least_before_handshake,
      waits.most_before_handshake,
      "if the server answers earlier, the kernel does not send the ACK as a packet of its own "
      "(row 9), but with row 10");
  check_delay([](const Row& row) { return row.protocol == "WebSocket"; }, waits.least_before_echo,
              waits.most_before_echo,
              "if the server answers after more than 40 ms, the kernel acknowledges the Close in a "
              "packet of its own");
}

}  // namespace

std::vector<DocumentRow> read_document(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    throw TraceFailure(path + ": cannot be read");
  std::string line;
  if (!read_line(file, line) || line != kColumns)
    throw TraceFailure(
        path +
        ": the first line must contain the column names \"no\", \"phase\", \"source\", "
        "\"destination\", \"protocol\", \"length\" and \"info\", separated by tabs");
  std::vector<DocumentRow> rows;
  while (read_line(file, line)) {
    const std::vector<std::string> cells = split(line, '\t');
    if (cells.size() != 7) {
      throw TraceFailure(path + ": line " + std::to_string(rows.size() + 2) + " has " +
                         std::to_string(cells.size()) + " columns instead of 7");
    }
    if (rows.size() == kMaxDocumentRows)
      throw TraceFailure(path + ": the table has more than " + std::to_string(kMaxDocumentRows) +
                         " rows");
    rows.push_back({rows.size() + 1, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5],
                    without_blanks_at_end(cells[6])});
  }
  if (rows.empty())
    throw TraceFailure(path + ": the table has no rows");
  return rows;
}

CheckResult check(std::vector<DocumentRow> document, const std::vector<CheckedRow>& captured,
                  bool may_piggyback) {
  CheckResult result;
  bool is_piggybacked = false;
  if (may_piggyback && captured.size() + 1 == document.size()) {
    // Remove the server's bare ACK between a client's frame and the answer.
    for (std::size_t i = 1; i + 1 < document.size() && !is_piggybacked; ++i) {
      if (document[i].protocol == "TCP" && document[i - 1].protocol == "WebSocket" &&
          document[i + 1].protocol == "WebSocket" &&
          document[i].info.find("[ACK]") != std::string::npos) {
        document.erase(document.begin() + static_cast<std::ptrdiff_t>(i));
        is_piggybacked = true;
      }
    }
  }
  result.rows = document.size();
  if (document.size() != captured.size()) {
    compare_counts(document, captured, result);
    return result;
  }

  const std::vector<std::string> phases = phases_of(captured);
  std::set<std::size_t> bad;
  for (std::size_t i = 0; i < document.size(); ++i) {
    const DocumentRow& wanted = document[i];
    const Row& found = captured[i].row;
    // After a missing row, the capture's numbers are one less than the document's: do not compare them.
    const std::string number =
        is_piggybacked ? std::to_string(wanted.position) : std::to_string(found.number);
    const std::array<Column, 6> columns = {
        {{"no", wanted.number, number, "the packets are in a different order than documented"},
         {"phase", wanted.phase, phases[i],
          "the phase \"data\" begins with the first frame, the phase \"close\" with the first "
          "Close"},
         {"source", wanted.source, found.source,
          "the packet was sent by a different host than documented"},
         {"destination", wanted.destination, found.destination,
          "the packet was sent to a different host than documented"},
         {"protocol", wanted.protocol, found.protocol,
          "the packet carries a different protocol than documented, or its message is completed by "
          "another packet than documented"},
         {"length", wanted.length, std::to_string(found.length),
          "the packet has more or fewer bytes than documented, including 66 bytes of Ethernet, "
          "IPv4 and TCP headers"}}};
    for (const Column& column : columns) {
      if (column.documented == column.captured)
        continue;
      bad.insert(i);
      result.differences.push_back(row_name(wanted) + ": " + std::string(column.name) + ": " +
                                   column.documented + " documented, " + column.captured +
                                   " captured: " + std::string(column.meaning));
    }
    if (comparable(wanted.info) != comparable(found.info)) {
      bad.insert(i);
      result.differences.push_back(row_name(wanted) + ": info: " +
                                   describe_info(wanted.info, without_blanks_at_end(found.info)));
    }
  }
  compare_clock(document, captured, !is_piggybacked, result, bad);
  result.equal = document.size() - bad.size();
  return result;
}

}  // namespace ws::trace
