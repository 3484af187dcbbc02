// statsd lines: what counts, and why the rest does not.
#include "agent/ingest/statsd.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/base/limits.hpp"

namespace meterd::ingest {
namespace {

using meter::Refusal;

struct Good {
  std::string line, name, subscription, quantity;
};

class StatsdLine : public ::testing::TestWithParam<Good> {};

TEST_P(StatsdLine, IsAnEvent) {
  meter::EventView event;
  ASSERT_FALSE(parse_statsd_line(GetParam().line, event)) << GetParam().line;
  EXPECT_EQ(event.name, GetParam().name);
  EXPECT_EQ(event.subscription, GetParam().subscription);
  EXPECT_EQ(event.quantity.text(), GetParam().quantity);
  EXPECT_FALSE(event.time.has_value());
  EXPECT_EQ(event.id, "");
}

INSTANTIATE_TEST_SUITE_P(
    Table, StatsdLine,
    ::testing::Values(Good{"sms.sent:1|c", "sms.sent", "", "1"},
                      Good{"sms.sent:1|c|#subscription:sub_1", "sms.sent", "sub_1", "1"},
                      Good{"sms.sent:3|c|@1|#subscription:sub_1", "sms.sent", "sub_1", "3"},
                      Good{"sms.sent:3|c|#subscription:sub_1|@1.0", "sms.sent", "sub_1", "3"},
                      Good{"sms.sent:1|c|#region:eu,subscription:sub_1,x", "sms.sent", "sub_1", "1"},
                      Good{"sms.sent:1|c|#subscription:a,subscription:b", "sms.sent", "b", "1"},
                      Good{"sms.sent:1|c|#subscription:urn:sub:1", "sms.sent", "urn:sub:1", "1"},
                      Good{"sms.sent:1|c|#subscription:", "sms.sent", "", "1"},
                      Good{"sms.sent:1|c|#", "sms.sent", "", "1"},
                      // Exact: neither digit is lost, whatever a floating number would hold.
                      Good{"data.mib:0.1|c", "data.mib", "", "0.1"},
                      Good{"data.mib:9007199254740993|c", "data.mib", "", "9007199254740993"},
                      Good{"data.mib:0.00000000000000000000000000000000000001|c", "data.mib", "",
                           "0.00000000000000000000000000000000000001"},
                      // The parser gives what is written; the batcher refuses what is not above zero.
                      Good{"sms.sent:0|c", "sms.sent", "", "0"}, Good{"sms.sent:-5|c", "sms.sent", "", "-5"},
                      // Names are not judged here: no meter has them.
                      Good{std::string("a\0b:1|c", 7), std::string("a\0b", 3), "", "1"},
                      Good{"\xff\xfe:1|c|#subscription:\xc3\x28", "\xff\xfe", "\xc3\x28", "1"},
                      Good{std::string(limits::kEventNameMax, 'n') + ":1|c",
                           std::string(limits::kEventNameMax, 'n'), "", "1"}));

struct Bad {
  std::string line;
  Refusal why;
};

class StatsdLineRefused : public ::testing::TestWithParam<Bad> {};

TEST_P(StatsdLineRefused, SaysWhy) {
  meter::EventView event;
  const auto refusal = parse_statsd_line(GetParam().line, event);
  ASSERT_TRUE(refusal.has_value()) << GetParam().line;
  EXPECT_EQ(name_of(*refusal), name_of(GetParam().why)) << GetParam().line;
}

INSTANTIATE_TEST_SUITE_P(
    Table, StatsdLineRefused,
    ::testing::Values(
        Bad{"", Refusal::malformed}, Bad{":", Refusal::malformed}, Bad{":1|c", Refusal::malformed},
        Bad{"sms.sent", Refusal::malformed}, Bad{"sms.sent|c", Refusal::malformed},
        Bad{"sms.sent:1", Refusal::malformed}, Bad{"sms.sent:1|", Refusal::malformed},
        Bad{"GET / HTTP/1.1", Refusal::malformed}, Bad{"sms.sent:1 |c |", Refusal::malformed},
        // Gauges, timers, histograms, sets and distributions are not counts.
        Bad{"sms.sent:1|g", Refusal::malformed}, Bad{"sms.sent:+1|g", Refusal::malformed},
        Bad{"sms.sent:12|ms", Refusal::malformed}, Bad{"sms.sent:1|h", Refusal::malformed},
        Bad{"sms.sent:u1|s", Refusal::malformed}, Bad{"sms.sent:1|d", Refusal::malformed},
        Bad{"sms.sent:1|C", Refusal::malformed}, Bad{"sms.sent:1|cc", Refusal::malformed},
        // A sampled count is an estimate.
        Bad{"sms.sent:1|c|@0.1", Refusal::malformed},
        Bad{"sms.sent:1|c|@0.1|#subscription:s", Refusal::malformed},
        Bad{"sms.sent:1|c|#subscription:s|@0.5", Refusal::malformed},
        Bad{"sms.sent:1|c|@", Refusal::malformed}, Bad{"sms.sent:1|c|T1656581400", Refusal::malformed},
        Bad{"sms.sent:1|c||#a:b", Refusal::malformed}, Bad{"sms.sent:|c", Refusal::bad_quantity},
        Bad{"sms.sent: 1|c", Refusal::bad_quantity}, Bad{"sms.sent:+1|c", Refusal::bad_quantity},
        Bad{"sms.sent:1e3|c", Refusal::bad_quantity}, Bad{"sms.sent:1,5|c", Refusal::bad_quantity},
        Bad{"sms.sent:.5|c", Refusal::bad_quantity}, Bad{"sms.sent:nan|c", Refusal::bad_quantity},
        Bad{"sms.sent:0x10|c", Refusal::bad_quantity}, Bad{"sms.sent:1:2|c", Refusal::bad_quantity},
        Bad{std::string("sms.sent:1\0|c", 13), Refusal::bad_quantity},
        Bad{"sms.sent:" + std::string(41, '1') + "|c", Refusal::bad_quantity},
        Bad{std::string(limits::kEventNameMax + 1, 'n') + ":1|c", Refusal::bad_id},
        Bad{std::string("\0\0\0\0", 4), Refusal::malformed}, Bad{"\xff\xff\xff", Refusal::malformed},
        Bad{"sms.sent:1|c|#" + std::string(limits::kDatagramBytesMax, 't'), Refusal::too_large}));

}  // namespace
}  // namespace meterd::ingest
