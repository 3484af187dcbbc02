// The pure parts of the nftables source: what a step counts, what a gap can have lost, whose element is
// whose, and how the last readings are kept.
#include <gmock/gmock.h>

#include "agent/source/nftables/element_step.hpp"
#include "agent/source/nftables/gap_bounds.hpp"
#include "agent/source/nftables/kept_readings.hpp"
#include "agent/source/nftables/sample.hpp"
#include "tests/source/nftables_support.hpp"

namespace meterd::source {

void PrintTo(const ElementStep& step, std::ostream* out) {
  *out << step.bytes << " bytes, end " << static_cast<int>(step.end);
}

namespace {

using platform::NftKeyKind;
using test::address;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Seen = ElementReading::Seen;
using End = ElementStep::End;

constexpr ElementReading kUnknown{};
constexpr ElementReading kAbsent{Seen::absent, 0, 0};
constexpr ElementReading at(std::uint64_t bytes, std::uint64_t packets) {
  return {Seen::present, bytes, packets};
}

struct StepCase {
  std::string name;
  ElementReading before, now;
  bool same_counters = true;
  ElementStep step;
};

class ElementStepTable : public ::testing::TestWithParam<StepCase> {};

TEST_P(ElementStepTable, CountsNoByteTwiceAndGuessesNone) {
  const auto& c = GetParam();
  EXPECT_EQ(element_step(c.before, c.now, c.same_counters), c.step);
}

const StepCase kSteps[] = {
    {"first_sight_is_a_starting_point", kUnknown, at(1'000, 5), true, {0, End::none}},
    {"first_sight_after_a_reboot_too", kUnknown, at(1'000, 5), false, {0, End::none}},
    {"first_sight_of_nothing", kUnknown, kAbsent, true, {0, End::none}},
    {"a_new_element_is_counted_from_zero", kAbsent, at(700, 2), true, {700, End::none}},
    {"a_new_element_of_a_new_table_too", kAbsent, at(700, 2), false, {700, End::none}},
    {"difference", at(1'000, 5), at(1'600, 9), true, {600, End::none}},
    {"nothing_new", at(1'000, 5), at(1'000, 5), true, {0, End::none}},
    {"beyond_32_bits",
     at(1ULL << 40U, 5),
     at((1ULL << 40U) + (1ULL << 33U), 6),
     true,
     {1ULL << 33U, End::none}},
    {"lower_bytes_are_a_reset", at(1'000, 5), at(999, 5), true, {999, End::reset}},
    {"lower_packets_are_a_reset", at(1'000, 5), at(2'000, 4), true, {2'000, End::reset}},
    {"lower_bytes_with_more_packets_are_a_reset", at(1'000, 5), at(900, 9), true, {900, End::reset}},
    {"reset_to_zero", at(1'000, 5), at(0, 0), true, {0, End::reset}},
    // A difference modulo 2^64 would be 11 bytes; nothing tells it from a reset.
    {"a_wrap_is_a_reset", at(UINT64_MAX - 5, 5), at(5, 6), true, {5, End::reset}},
    {"the_highest_value_counts", at(0, 0), at(UINT64_MAX, 1), true, {UINT64_MAX, End::none}},
    {"another_table_begins_at_zero", at(1'000, 5), at(30, 1), false, {30, End::replaced}},
    {"another_table_may_have_been_loaded_with_its_counts",
     at(1'000, 5),
     at(5'000, 50),
     false,
     {4'000, End::replaced, 1'000}},
    {"of_another_table_fewer_packets_began_at_zero",
     at(1'000, 5),
     at(5'000, 4),
     false,
     {5'000, End::replaced}},
    {"another_table_that_goes_on_from_nothing", at(0, 0), at(700, 2), false, {700, End::replaced}},
    {"gone", at(1'000, 5), kAbsent, true, {0, End::gone}},
    {"gone_with_its_table", at(1'000, 5), kAbsent, false, {0, End::gone}},
    {"gone_before_it_counted", at(0, 0), kAbsent, true, {0, End::gone}},
    {"still_gone", kAbsent, kAbsent, true, {0, End::none}},
};
INSTANTIATE_TEST_SUITE_P(Table, ElementStepTable, ::testing::ValuesIn(kSteps),
                         [](const auto& parameter) { return parameter.param.name; });

ReadingMoment moment(std::int64_t wall, std::int64_t boot, bool trusted = true,
                     const char* boot_id = "boot-1") {
  return {boot_id, "table 1", {{Milliseconds(wall)}, trusted}, {Milliseconds(boot)}};
}

TEST(GapBounds, AreTheDeclaredRateForAsLongAsTheGapLasted) {
  const auto rate = Quantity::of(1'000);
  EXPECT_EQ(lost_at_most(rate, moment(5'000, 100), moment(15'000, 10'100)), "10000");
  EXPECT_EQ(lost_at_most(rate, moment(5'000, 100), moment(5'001, 101)), "1000") << "a begun second is whole";
}

TEST(GapBounds, TakeTheTimeSinceBootOfTheWallClockWithinOneBoot) {
  EXPECT_EQ(lost_at_most(Quantity::of(10), moment(9'000'000, 100, false), moment(1, 2'100, false)), "20");
}

TEST(GapBounds, AreUnknownAcrossABootThatNobodyTimed) {
  const auto rate = Quantity::of(10);
  EXPECT_EQ(lost_at_most(rate, moment(1'000, 900'000), moment(61'000, 5, true, "boot-2")), "600");
  EXPECT_EQ(lost_at_most(rate, moment(1'000, 900'000, false), moment(61'000, 5, true, "boot-2")), "");
  EXPECT_EQ(lost_at_most(rate, moment(1'000, 900'000), moment(61'000, 5, false, "boot-2")), "");
  EXPECT_EQ(lost_at_most(rate, moment(61'000, 900'000), moment(1'000, 5, true, "boot-2")), "")
      << "a clock that was set back tells nothing";
}

TEST(GapBounds, AreUnknownWithoutADeclaredRate) {
  EXPECT_EQ(lost_at_most(std::nullopt, moment(0, 0), moment(1'000, 1'000)), "");
}

TEST(ElementKeys, AreReadAsTheKernelHasThem) {
  const auto v4 = parse_element_key("10.0.0.2");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->kind, NftKeyKind::ipv4);
  EXPECT_EQ(v4->key.bytes[0], 10);
  EXPECT_EQ(v4->key.bytes[3], 2);
  EXPECT_EQ(parse_element_key("2001:db8::1")->kind, NftKeyKind::ipv6);
  EXPECT_EQ(parse_element_key("0x7"), parse_element_key("7"));
  EXPECT_EQ(parse_element_key("7")->kind, NftKeyKind::mark);
  for (const char* wrong :
       {"", "10.0.0", "10.0.0.0/24", "eth0", "0x", "-7", "7 ", "4294967296", "0x100000000"})
    EXPECT_EQ(parse_element_key(wrong), std::nullopt) << wrong;
}

TEST(ElementKeys, AreWrittenAsTheyAreRead) {
  for (const char* text : {"10.0.0.2", "2001:db8::1", "7", "4294967295"})
    EXPECT_EQ(text_of(*parse_element_key(text)), text);
}

TEST(SampleOfASet, HasTheSubscribersInOrderAndTheOthersAsASum) {
  const auto rule = test::nftables_rule({{"10.0.0.9", "sub_9"}, {"10.0.0.1", "sub_1"}});
  platform::NftReading reading;
  reading.elements = {
      {address("10.0.0.7"), 70, 7}, {address("10.0.0.9"), 90, 9}, {address("10.0.0.8"), 80, 8}};
  reading.without_key = 1;
  Sample sample;
  put_in_order(reading, rule.subscribers, sample);
  EXPECT_THAT(sample.readings, ElementsAre(kAbsent, at(90, 9)));
  EXPECT_EQ(sample.unmapped_elements, 3U);
  EXPECT_EQ(sample.unmapped_bytes, 150U);
}

class KeptReadingsTest : public ::testing::Test {
 protected:
  static NftablesRule rule_of(int subscribers, int first = 0) {
    std::vector<std::pair<std::string, std::string>> all;
    for (int i = first; i < first + subscribers; ++i)
      all.emplace_back("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250), "sub_1");
    return test::nftables_rule(all);
  }
  static KeptReadings filled(const NftablesRule& rule) {
    KeptReadings kept(rule, {});
    kept.read_at(moment(7'000, 600));
    for (std::size_t i = 0; i < kept.size(); ++i) kept.set(i, i % 3 == 0 ? kAbsent : at(i * 1'000, i));
    return kept;
  }
};

TEST_F(KeptReadingsTest, AreReadBackAsTheyWereWritten) {
  const auto rule = rule_of(200);
  const auto before = filled(rule);
  const auto stored = before.cursors();
  EXPECT_EQ(stored.size(), 5U) << "four pages, and what is of all of them";
  const KeptReadings after(rule, stored);
  ASSERT_TRUE(after.last());
  EXPECT_EQ(after.last()->boot_id, "boot-1");
  EXPECT_EQ(after.last()->wall.time.since_epoch.count(), 7'000);
  EXPECT_TRUE(after.last()->wall.trusted);
  EXPECT_EQ(after.last()->boot.since_boot.count(), 600);
  EXPECT_FALSE(after.is_damaged());
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i], before[i]) << i;
}

TEST_F(KeptReadingsTest, FollowASubscriberWhoMovedToAnotherPage) {
  const auto stored = filled(rule_of(200)).cursors();
  const KeptReadings fewer(rule_of(100, 70), stored);
  EXPECT_EQ(fewer[0], at(70'000, 70));
  EXPECT_EQ(fewer[99], at(169'000, 169));
  const KeptReadings more(rule_of(10, 195), stored);
  EXPECT_EQ(more[4], at(199'000, 199));
  EXPECT_EQ(more[5], kUnknown) << "a new subscriber";
}

TEST_F(KeptReadingsTest, SayWhenAPageOfThemIsMissing) {
  auto stored = filled(rule_of(200)).cursors();
  stored.erase(rule_of(1).name() + "/1");
  const KeptReadings kept(rule_of(200), stored);
  EXPECT_TRUE(kept.is_damaged());
  EXPECT_EQ(kept[64], kUnknown);
  EXPECT_EQ(kept[128], at(128'000, 128));
}

TEST_F(KeptReadingsTest, AreNothingWithoutTheirHead) {
  auto stored = filled(rule_of(200)).cursors();
  stored.erase(rule_of(1).name());
  const KeptReadings kept(rule_of(200), stored);
  EXPECT_TRUE(kept.is_damaged());
  EXPECT_FALSE(kept.last());
  EXPECT_EQ(kept[1], kUnknown);
}

TEST_F(KeptReadingsTest, StayBelowTwoThousandBytesAPage) {
  std::vector<std::pair<std::string, std::string>> all;
  for (int i = 1; i <= 64; ++i) all.emplace_back("2001:db8::" + std::to_string(i), "sub_1");
  const auto rule = test::nftables_rule(all);
  KeptReadings kept(rule, {});
  kept.read_at(moment(7'000, 600));
  for (std::size_t i = 0; i < kept.size(); ++i) kept.set(i, at(1ULL << 48U, 1ULL << 40U));  // 280 TB each
  // LMDB gives a value above about 2 KB pages of its own, 4 KB each.
  EXPECT_LE(kept.cursors().at(rule.name() + "/0").ByteSizeLong(), 1'990U);
}

}  // namespace
}  // namespace meterd::source
