// The text of wsload's reports, literally.
#include "tools/wsload/report.h"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace ws::load;

/// Three latencies of 1, 2 and 4 µs; half a second.
Results example() {
  Results results;
  results.seconds = 0.5;
  results.messages = 1'234'567;
  for (const std::int64_t value : {1000, 2000, 4000})
    results.latencies.record(value);
  results.cpu = 0.36;
  results.busiest_cpu = 0.3;
  return results;
}

TEST(Table, AlignsTheTextsOfAnEcho) {
  Plan plan;
  plan.connections = 1200;
  plan.threads = 2;
  plan.outstanding = 16;
  EXPECT_EQ(to_table(plan, example()),
            "echo, 1,200 connections in 2 threads, payload 20 B (binary); at most 16 outstanding\n"
            "measured          0.50 s\n"
            "messages          1,234,567, 2,469,134 a second\n"
            "payload           49.4 MB/s echoed or delivered\n"
            "latency, µs       min 1.0  p50 2.0  p90 4.0  p99 4.0  p99.9 4.0  max 4.0  mean 2.3\n"
            "wsload's CPU      0.36 s; the busiest thread used 60 % of a core\n");
}

TEST(Table, ShowsAChatAtARateAndTheMeasuredServer) {
  Plan plan;
  plan.mode = Mode::kChat;
  plan.filling = Filling::kAscii;
  plan.connections = 10;
  plan.speakers = 3;
  plan.rate = 250;
  plan.outstanding = 64;
  Results results = example();
  results.messages = 900;
  results.heard = 100;
  results.unanswered = 25;
  results.lateness.record(500);
  results.server = CpuTime{.user = 0.2, .system = 0.07};
  results.memory_before = std::uint64_t{2} << 20U;
  results.memory_after = (std::uint64_t{2} << 20U) + 4096;
  EXPECT_EQ(
      to_table(plan, results),
      "chat, 10 connections in 1 thread, 3 of them speaking, payload 20 B (ascii); 250.0 "
      "messages a second offered\n"
      "measured          0.50 s\n"
      "deliveries        900, 1,800 a second\n"
      "received by all   100 messages\n"
      "payload           0.0 MB/s echoed or delivered\n"
      "unanswered        25 messages: the server did not keep up with the rate\n"
      "latency, µs       min 1.0  p50 2.0  p90 4.0  p99 4.0  p99.9 4.0  max 4.0  mean 2.3\n"
      "sent late, µs     min 0.5  p50 0.5  p90 0.5  p99 0.5  p99.9 0.5  max 0.5  mean 0.5\n"
      "wsload's CPU      0.36 s; the busiest thread used 60 % of a core\n"
      "server's CPU      0.27 s (user 0.20, system 0.07), 54 % of a core; 300.000 µs a delivery\n"
      "server's memory   2,052 KiB, 410 B more for each connection\n");
}

TEST(Table, NamesWsloadAsTheBottleneck) {
  Plan plan;
  plan.mode = Mode::kConnect;
  plan.connections = 4;
  Results results = example();
  results.messages = 7;
  results.busiest_cpu = 0.45;
  results.server = CpuTime{.user = 0.1, .system = 0.04};
  results.memory_after = 1 << 20U;
  EXPECT_EQ(
      to_table(plan, results),
      "connect, 4 connections in 1 thread\n"
      "measured          0.50 s\n"
      "connections       7, 14 a second\n"
      "latency, µs       min 1.0  p50 2.0  p90 4.0  p99 4.0  p99.9 4.0  max 4.0  mean 2.3\n"
      "wsload's CPU      0.36 s; the busiest thread used 90 % of a core\n"
      "server's CPU      0.14 s (user 0.10, system 0.04), 28 % of a core; 20000.000 µs a "
      "connection\n"
      "server's memory   1,024 KiB\n"
      "wsload was the bottleneck: one of its threads was busy for at least 90 % of the time.\n"
      "The server may be faster than measured: use more --threads, or give wsload a core of its\n"
      "own. The server's CPU time is valid.\n");
}

TEST(Table, SaysThatMessagesAreCompressed) {
  Plan plan;
  plan.handshake.deflate.is_enabled = true;
  EXPECT_TRUE(to_table(plan, example())
                  .starts_with("echo, 1 connection in 1 thread, payload 20 B (binary, compressed); "
                               "at most 1 outstanding\n"));
}

TEST(Table, ShowsPingsWithoutAnAnswer) {
  Plan plan;
  plan.mode = Mode::kIdle;
  plan.rate = 4;
  Results results;
  results.unanswered = 1;
  EXPECT_EQ(to_table(plan, results),
            "idle, 1 connection in 1 thread, payload 20 B (binary); 4.0 messages a second offered\n"
            "measured          0.00 s\n"
            "pings             0, 0 a second\n"
            "unanswered        1 message: the server did not keep up with the rate\n"
            "latency, µs       min 0.0  p50 0.0  p90 0.0  p99 0.0  p99.9 0.0  max 0.0  mean 0.0\n"
            "sent late, µs     min 0.0  p50 0.0  p90 0.0  p99 0.0  p99.9 0.0  max 0.0  mean 0.0\n"
            "wsload's CPU      0.00 s; the busiest thread used 0 % of a core\n");
}

TEST(Json, HasAllResults) {
  Plan plan;
  plan.connections = 3;
  plan.threads = 2;
  plan.rate = 1.5;
  plan.outstanding = UINT64_MAX;
  Results results = example();
  results.lateness.record(1234);
  results.not_opened.add("403 \\x1b");
  results.not_opened.add("503 \"Busy\"\tnow", 2);
  results.server = CpuTime{.user = 0.25, .system = 0.5};
  results.memory_before = 5;
  results.memory_after = 6;
  EXPECT_EQ(
      to_json(plan, results),
      "{\"mode\": \"echo\", \"threads\": 2, \"connections\": 3, \"speakers\": 0, \"size\": 20, "
      "\"payload\": \"binary\", \"deflate\": false, \"outstanding\": 0, \"offered_per_second\": "
      "1.500, \"seconds\": "
      "0.500000, \"messages\": 1234567, \"messages_per_second\": 2469134.000, \"heard_by_all\": 0, "
      "\"unanswered\": 0, \"not_opened\": 3, \"not_opened_reasons\": {\"503 \\\"Busy\\\"\\tnow\": "
      "2, "
      "\"403 \\\\x1b\": 1}, \"latency_us\": {\"count\": 3, \"min\": 1.000, \"p50\": 2.000, "
      "\"p90\": "
      "4.000, \"p99\": 4.000, \"p99.9\": 4.000, \"max\": 4.000, \"mean\": 2.333}, "
      "\"sent_late_us\": {\"count\": 1, \"min\": 1.234, \"p50\": 1.234, \"p90\": 1.234, \"p99\": "
      "1.234, \"p99.9\": 1.234, \"max\": 1.234, \"mean\": 1.234}, \"load_cpu_seconds\": 0.360000, "
      "\"load_busiest_thread\": 0.6000, \"load_was_bottleneck\": false, \"server\": "
      "{\"user_seconds\": 0.25, \"system_seconds\": 0.50, \"us_per_message\": 0.607500, "
      "\"memory_before\": 5, \"memory_after\": 6}}\n");
}

TEST(Json, HasTheSpeakersOfAChatAndNoServer) {
  Plan plan;
  plan.mode = Mode::kChat;
  plan.filling = Filling::kChinese;
  plan.connections = 5;
  plan.speakers = 2;
  plan.outstanding = 7;
  plan.handshake.deflate.is_enabled = true;
  Results results;
  results.seconds = 1;
  results.messages = 8;
  results.heard = 2;
  results.unanswered = 9;
  const std::string json = to_json(plan, results);
  EXPECT_TRUE(json.starts_with(
      "{\"mode\": \"chat\", \"threads\": 1, \"connections\": 5, \"speakers\": 2, \"size\": 20, "
      "\"payload\": \"chinese\", \"deflate\": true, \"outstanding\": 7, \"offered_per_second\": "
      "0.000, \"seconds\": "
      "1.000000, \"messages\": 8, \"messages_per_second\": 8.000, \"heard_by_all\": 2, "
      "\"unanswered\": 9, \"not_opened\": 0, \"not_opened_reasons\": {}, "))
      << json;
  EXPECT_TRUE(json.ends_with(
      "\"sent_late_us\": null, \"load_cpu_seconds\": 0.000000, \"load_busiest_thread\": 0.0000, "
      "\"load_was_bottleneck\": false, \"server\": null}\n"))
      << json;
}

TEST(Table, SaysWhyConnectionsDidNotOpen) {
  Plan plan;
  Results results = example();
  results.not_opened.add("timeout", 1200);
  results.not_opened.add("503");
  results.not_opened.add("404");
  const std::string table = to_table(plan, results);
  EXPECT_NE(table.find("echoed or delivered\n"
                       "not opened        1,202 connections\n"
                       "                  1,200 × timeout\n"
                       "                  1 × 404\n"
                       "                  1 × 503\n"
                       "latency, µs"),
            std::string::npos)
      << table;
}

TEST(Reasons, ArePrintedWithTheMostFrequentFirst) {
  Reasons reasons;
  EXPECT_EQ(to_line(reasons), "");
  EXPECT_EQ(to_rows(reasons), "");
  reasons.add("503");
  EXPECT_EQ(to_line(reasons), "503");
  reasons.add("404", 2);
  EXPECT_EQ(to_line(reasons), "2 × 404; 1 × 503");
}

TEST(Reasons, CountsTheOthersTogetherAfterTwentyTexts) {
  Reasons one;
  Reasons two;
  for (int i = 0; i < 15; ++i) {
    one.add("one " + std::to_string(i));
    two.add("two " + std::to_string(i), 3);
  }
  two.add("one 3", 100);
  one.add(two);
  EXPECT_EQ(one.total(), 15 + 15 * 3 + 100);
  const auto sorted = one.sorted();
  ASSERT_EQ(sorted.size(), 21);
  EXPECT_EQ(sorted[0], Reasons::Entry("one 3", 101));
  EXPECT_EQ(sorted[1], Reasons::Entry("other reasons", 30));
  EXPECT_EQ(sorted[2], Reasons::Entry("two 0", 3));
  EXPECT_EQ(sorted[20], Reasons::Entry("one 9", 1));
}

TEST(Numbers, HaveThousandsSeparatorsAndPluralNouns) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
  EXPECT_EQ(counted(0, "message"), "0 messages");
  EXPECT_EQ(counted(1, "message"), "1 message");
  EXPECT_EQ(counted(1000, "message"), "1,000 messages");
}

}  // namespace
