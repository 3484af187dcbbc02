// Interface byte counters: every byte once, through resets, reboots, a full journal and an interface that
// goes away.
#include "agent/source/interface/interface_source.hpp"

#include "tests/source/support.hpp"

namespace meterd::source {
namespace {

using platform::LinkSample;
using test::Bench;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

journal::CounterCursor cursor(const LinkSample& sample, const std::string& boot = "boot-1") {
  journal::CounterCursor out;
  out.set_boot_id(boot);
  out.set_link_index(sample.index);
  out.set_rx_bytes(sample.rx_bytes);
  out.set_tx_bytes(sample.tx_bytes);
  out.set_resets(4);
  return out;
}

struct StepCase {
  std::string name;
  std::optional<journal::CounterCursor> before;
  LinkSample sample;
  std::string boot = "boot-1";
  std::uint64_t rx = 0, tx = 0;
  bool reset = false;
};

class CounterStepTable : public ::testing::TestWithParam<StepCase> {};

TEST_P(CounterStepTable, CountsEveryByteOnce) {
  const auto& c = GetParam();
  const auto step = counter_step(c.before, c.sample, c.boot);
  EXPECT_EQ(step.rx, c.rx);
  EXPECT_EQ(step.tx, c.tx);
  EXPECT_EQ(step.reset, c.reset);
  EXPECT_EQ(step.next.boot_id(), c.boot);
  EXPECT_EQ(step.next.link_index(), c.sample.index);
  EXPECT_EQ(step.next.rx_bytes(), c.sample.rx_bytes);
  EXPECT_EQ(step.next.tx_bytes(), c.sample.tx_bytes);
  EXPECT_EQ(step.next.resets(), (c.before ? 4U : 0U) + (c.reset ? 1U : 0U));
}

constexpr std::uint64_t kBig = 1ULL << 40;
const StepCase kSteps[] = {
    {"first_sight_is_a_starting_point", std::nullopt, {2, 1'000, 500}},
    {"delta", cursor({2, 1'000, 500}), {2, 1'600, 700}, "boot-1", 600, 200},
    {"nothing_new", cursor({2, 1'000, 500}), {2, 1'000, 500}},
    {"beyond_32_bits", cursor({2, kBig, kBig}), {2, kBig + (1ULL << 33), kBig + 1}, "boot-1", 1ULL << 33, 1},
    {"both_lower_is_a_reset", cursor({2, 1'000, 500}), {2, 30, 20}, "boot-1", 30, 20, true},
    // A driver that starts again starts both counters.
    {"one_direction_lower_is_a_reset", cursor({2, 1'000, 500}), {2, 30, 700}, "boot-1", 30, 200, true},
    {"reset_to_zero", cursor({2, 1'000, 500}), {2, 0, 0}, "boot-1", 0, 0, true},
    {"other_boot_starts_from_zero", cursor({2, 1'000, 500}), {2, 5'000, 900}, "boot-2", 5'000, 900, true},
    {"other_index_starts_from_zero", cursor({2, 1'000, 500}), {7, 5'000, 900}, "boot-1", 5'000, 900, true},
};
INSTANTIATE_TEST_SUITE_P(Table, CounterStepTable, ::testing::ValuesIn(kSteps),
                         [](const auto& parameter) { return parameter.param.name; });

class FakeLinks final : public platform::Links {
 public:
  std::optional<LinkSample> now = LinkSample{2, 1'000, 500};
  int asked = 0;
  Result<LinkSample> sample(const std::string& name) override {
    ++asked;
    EXPECT_EQ(name, "wwan0");
    if (!now) return Error{Code::rejected, "no interface wwan0"};
    return *now;
  }
};

class InterfaceSourceTest : public ::testing::Test {
 protected:
  void SetUp() override { attach(); }
  void attach() {
    source_ = std::make_shared<InterfaceSource>(rule_, test::dependencies_of(bench_, links_),
                                                test::stored_of(bench_, kSource));
    bench_.batcher().set_sources({source_});
  }
  void interval() { bench_.advance(Milliseconds(10'000)); }
  void traffic(std::uint64_t rx, std::uint64_t tx) {
    links_.now->rx_bytes += rx;
    links_.now->tx_bytes += tx;
  }
  std::uint64_t stored_rx() {
    return test::must(journal::read_counter(bench_.journal(), kSource))
        .value_or(journal::CounterCursor{})
        .rx_bytes();
  }

  static constexpr const char* kSource = "interface:wwan0:data.bytes";
  InterfaceRule rule_{"wwan0", EventName("data.bytes"), SubscriptionId("sub_1")};
  FakeLinks links_;
  Bench bench_;
  std::shared_ptr<InterfaceSource> source_;
};

TEST_F(InterfaceSourceTest, StoresItsStartingPointAndCountsNothing) {
  interval();
  EXPECT_THAT(bench_.open(), IsEmpty());
  EXPECT_EQ(stored_rx(), 1'000U);
}

TEST_F(InterfaceSourceTest, CountsWhatPassedSinceTheCursor) {
  interval();
  traffic(100, 10);
  interval();
  traffic(1, 1);
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "112")));
  EXPECT_EQ(stored_rx(), 1'101U);
}

TEST_F(InterfaceSourceTest, StoresTheCursorInTheTransactionOfItsDelta) {
  interval();
  traffic(100, 10);
  interval();
  traffic(1'000, 0);
  bench_.restart();  // before the next commit
  EXPECT_EQ(stored_rx(), 1'100U);
  attach();
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "1110")));
  bench_.expect_sound();
}

TEST_F(InterfaceSourceTest, CountsFromZeroAfterAReboot) {
  interval();
  bench_.reboot("boot-2");
  links_.now = LinkSample{3, 70, 7};
  attach();
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "77")));
  EXPECT_EQ(bench_.batcher().stats().counter_resets, 1U);
  const auto gaps = test::stored_of(bench_, kSource).gaps;
  ASSERT_EQ(gaps.recent_size(), 1);
  EXPECT_EQ(gaps.recent(0).reason(), "the device was started again");
  EXPECT_GT(gaps.recent(0).from_ms(), 0) << "the last reading that was committed";
  EXPECT_GT(gaps.recent(0).until_ms(), gaps.recent(0).from_ms());
}

TEST_F(InterfaceSourceTest, WritesNothingWhenNothingPassed) {
  interval();
  const auto before = bench_.commits();
  bench_.advance(Milliseconds(3'600'000));
  EXPECT_EQ(bench_.commits(), before);
  EXPECT_GT(links_.asked, 300);
}

TEST_F(InterfaceSourceTest, GoesOnWhereItWasWhenItsInterfaceComesBack) {
  interval();
  const auto gone = links_.now;
  links_.now.reset();
  bench_.advance(Milliseconds(600'000));
  EXPECT_EQ(bench_.log.times("event=interface_unreadable"), 1U) << "said once";
  links_.now = gone;
  traffic(5, 0);
  interval();
  EXPECT_EQ(bench_.log.times("event=interface_back"), 1U);
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "5")));
}

TEST_F(InterfaceSourceTest, CountsANewInterfaceOfItsNameFromZero) {
  interval();
  links_.now.reset();
  interval();
  links_.now = LinkSample{9, 40, 2};
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "42")));
  EXPECT_EQ(source_->report().gaps.gaps(), 1U) << "what passed since the last reading is in no counter";
}

TEST_F(InterfaceSourceTest, IsNotRefusedAboveTheWatermarkSinceNobodyReportsItsBytesAgain) {
  interval();
  bench_.batcher().set_above_watermark(true);
  bench_.batcher().limit_places(0);
  EXPECT_EQ(bench_.sms().refusal, meter::Refusal::full);
  traffic(100, 0);
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "100")));
  EXPECT_EQ(stored_rx(), 1'100U);
}

TEST_F(InterfaceSourceTest, CountsTheLastBytesWhenTheDaemonStops) {
  interval();
  traffic(9, 0);
  bench_.stop();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 data-usd", "9")));
}

TEST(InterfaceSourceDirection, CountsOnlyTheConfiguredOne) {
  Bench bench;
  FakeLinks links;
  const InterfaceRule rule{"wwan0", EventName("data.bytes"), SubscriptionId("rx"), "rx"};
  bench.batcher().set_sources(
      {std::make_shared<InterfaceSource>(rule, test::dependencies_of(bench, links), Stored{})});
  bench.advance(Milliseconds(10'000));
  links.now->rx_bytes += 3;
  links.now->tx_bytes += 1'000;
  bench.advance(Milliseconds(10'000));
  EXPECT_THAT(bench.open(), ElementsAre(Pair("2027-01-15 rx data-usd", "3")));
}

}  // namespace
}  // namespace meterd::source
