// wstrace, which prints captures like Wireshark, as rows or frame by frame: options and main().
#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "server/main/quantity.h"
#include "server/net/fd.h"
#include "tools/wstrace/capture.h"
#include "tools/wstrace/check.h"
#include "tools/wstrace/frames.h"
#include "tools/wstrace/packet.h"
#include "tools/wstrace/rows.h"
#include "tools/wstrace/tcp.h"
#include "tools/wstrace/text.h"

namespace ws::trace {
namespace {

constexpr const char* kFooter = R"(
Without other options wstrace prints the same as `tshark -r FILE`: one row per packet,
with the columns and words of Wireshark 4.0.

  wstrace captures/article.pcap                  the rows
  wstrace --frames captures/article.pcap         each head and frame, byte by byte
  wstrace -i lo -f 'tcp port 8080' --frames      the same, live, until Ctrl-C
  wstrace --check captures/documented-trace.tsv captures/article.pcap

Exit codes:
  0  the capture was read to its end; with --check: all rows are equal
  1  the capture or TABLE could not be read, or is truncated or damaged (the packets
     before the damage are shown); or standard output or FILE could not be written
  2  bad options
  3  --check found a difference)";

/// Flushes standard output. Throws TraceFailure if writing failed, for example on a full disk.
void flush_output() {
  std::cout.flush();
  if (!std::cout)
    throw TraceFailure("cannot write to standard output: " + std::system_category().message(errno));
}

enum ExitCode : int { kEqual = 0, kFailed = 1, kUsage = 2, kDifferent = 3 };

struct Options {
  std::string file{};
  std::string interface {};
  std::string filter{};
  std::string write{};
  std::string document{};
  bool may_piggyback = false;
  bool shows_frames = false;
  bool is_json = false;
  std::size_t payload_bytes = 256;
};

/// Parses the command line into `options`. Returns an exit code if the program must exit at once.
std::optional<int> parse_options(int argc, char** argv, Options& options) {
  CLI::App app(
      "Shows captures of WebSocket connections as Wireshark does.\n"
      "SIZE is a number of bytes, or a number with KiB, MiB or GiB: 64KiB.",
      "wstrace");
  app.set_version_flag("--version", "wstrace " FBF_VERSION);
  app.footer(kFooter);
  const auto file = app.add_option(
      "file", options.file, "capture file (pcap or pcapng, also in gzip); - is standard input");
  file->type_name("");
  const auto interface =
      app.add_option("-i,--interface", options.interface, "capture live on this interface");
  interface->type_name("NAME")->excludes(file);
  app.add_option("-f,--filter", options.filter,
                 "capture only packets that match FILTER; see pcap-filter(7)")
      ->type_name("FILTER")
      ->needs(interface);
  app.add_option("-w,--write", options.write, "also write the captured packets to this pcap file")
      ->type_name("FILE")
      ->needs(interface);
  const auto frames =
      app.add_flag("--frames", options.shows_frames,
                   "show HTTP heads and frames instead of rows, with their stream\n"
                   "offset (Wireshark's relative sequence number), fields and bytes");
  add_quantity(app, "--bytes", kSize, {0, std::uint64_t{1} << 30U}, options.payload_bytes,
               "maximum number of payload bytes that --frames shows per frame",
               [&options](std::uint64_t bytes) { options.payload_bytes = bytes; })
      ->needs(frames);
  const auto json = app.add_flag("--json", options.is_json, "print one JSON object per line");
  const auto check =
      app.add_option("--check", options.document,
                     "compare the rows with a documented trace; print which column of\n"
                     "which row differs, and what the difference means");
  check->type_name("TABLE")->excludes(frames)->excludes(json);
  app.add_flag("--allow-piggyback", options.may_piggyback,
               "with --check: also accept ACKs that the server sends together with data,\n"
               "instead of in a packet of their own")
      ->needs(check);
  try {
    app.parse(argc, argv);
    if (options.file.empty() && options.interface.empty())
      throw CLI::RequiredError("a capture, or -i NAME,");
  } catch (const CLI::Success& request) {  // --help, --version
    app.exit(request);
    flush_output();
    return kEqual;
  } catch (const CLI::ParseError& error) {
    std::cerr << "wstrace: " << error.what() << " (wstrace --help lists the options)\n";
    return kUsage;
  }
  return std::nullopt;
}

/// The running live capture, for the signal handler.
Capture* live_capture = nullptr;

void stop_live_capture(int /*signal*/) {
  live_capture->stop();
}

/// Copies TSval and TSecr (RFC 7323 §3.2) to `row`.
void read_timestamps(const TcpSegment& tcp, CheckedRow& row) {
  if (const auto timestamps = tcp_timestamps(tcp)) {
    row.has_timestamps = true;
    row.ts_value = timestamps->first;
    row.ts_echo = timestamps->second;
  }
}

class Reader {
 public:
  Reader(const Options& options, std::vector<DocumentRow> document)
      : options_(options), follower_(options.payload_bytes), document_(std::move(document)) {}

  void take(const Packet& packet, int time_digits) {
    std::optional<TcpRow> tcp;
    if (packet.tcp.has_value())
      tcp = tracker_.take(packet);
    if (options_.shows_frames) {
      if (tcp.has_value())
        follower_.take(packet, *tcp, [this](const StreamItem& item) { show(item); });
      return;
    }
    const Row row = rows_.take(packet, tcp);
    if (!document_.empty()) {
      CheckedRow checked{.row = row};
      if (tcp.has_value()) {
        checked.is_from_client = is_from_client(*packet.tcp, *tcp);
        read_timestamps(*packet.tcp, checked);
      }
      if (checked_.size() <= kMaxCheckedPackets)
        checked_.push_back(checked);
    } else if (options_.is_json) {
      std::cout << to_json(row, time_digits) << '\n';
    } else {
      std::cout << to_line(row, time_digits) << '\n';
    }
  }

  /// Handles the end of the capture. Returns the exit code.
  int finish() {
    if (options_.shows_frames)
      follower_.finish([this](const StreamItem& item) { show(item); });
    if (document_.empty())
      return kEqual;
    if (checked_.size() > kMaxCheckedPackets) {
      throw TraceFailure("the capture has more than " + std::to_string(kMaxCheckedPackets) +
                         " packets: too many to compare");
    }
    const CheckResult result = check(std::move(document_), checked_, options_.may_piggyback);
    for (const std::string& difference : result.differences)
      std::cout << difference << '\n';
    std::cout << result.equal << " of " << result.rows << " rows equal\n";
    return result.differences.empty() ? kEqual : kDifferent;
  }

 private:
  void show(const StreamItem& item) const {
    if (!item.is_shown())
      return;
    if (options_.is_json) {
      std::cout << to_json(item) << '\n';
    } else {
      std::cout << to_text(item);
    }
  }

  const Options& options_;
  TcpTracker tracker_;
  RowWriter rows_;
  StreamFollower follower_;
  std::vector<DocumentRow> document_;  ///< the rows of --check; else empty
  std::vector<CheckedRow> checked_;
};

int run(const Options& options) {
  // Read before capturing, so that an error does not cost a live capture.
  std::vector<DocumentRow> document;
  if (!options.document.empty())
    document = read_document(options.document);
  const bool is_live = !options.interface.empty();
  Capture capture = is_live ? Capture::open_interface(options.interface, options.filter)
                            : Capture::open_file(options.file);
  if (const auto type = capture.link_type(); type.has_value() && !is_known_link_type(*type)) {
    throw TraceFailure(options.file + options.interface + ": link type " + std::to_string(*type) +
                       " is not supported (only Ethernet, Linux cooked, loopback and raw IP)");
  }
  if (!options.write.empty())
    capture.write_to(options.write);
  if (is_live) {
    live_capture = &capture;
    struct sigaction action {};
    action.sa_handler = stop_live_capture;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    std::cerr << "capturing on " << options.interface << std::endl;
  }

  Reader reader(options, std::move(document));
  std::uint64_t number = 0;
  std::string trouble;
  try {
    while (const auto captured = capture.next()) {
      reader.take(dissect_packet(*captured, ++number), captured->time_digits);
      if (is_live || !std::cout)
        flush_output();
    }
  } catch (const TraceFailure& failure) {
    trouble = failure.what();
  }
  const int status = reader.finish();
  flush_output();
  if (trouble.empty())
    return status;
  throw TraceFailure((is_live ? options.interface : options.file) + ": " + trouble + " (after " +
                     std::to_string(number) + " packets)");
}

}  // namespace
}  // namespace ws::trace

int main(int argc, char** argv) {
  try {
    ws::hold_standard_descriptors();
    ws::trace::Options options;
    if (const auto code = ws::trace::parse_options(argc, argv, options))
      return *code;
    return ws::trace::run(options);
  } catch (const std::exception& error) {
    std::cout.flush();
    std::cerr << "wstrace: " << error.what() << '\n';
    return ws::trace::kFailed;
  }
}
