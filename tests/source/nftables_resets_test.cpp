// A day in which something happens to the counters every second: tables and sets replaced, reboots, crashes,
// elements deleted. What the source counted, and what it said it may have lost, must hold the truth, at every
// reading.
#include <random>

#include "tests/base/seed.hpp"
#include "tests/source/nftables_fixture.hpp"
#include "tests/support/rounds.hpp"

namespace meterd::source {
namespace {

using test::NftablesBench;

constexpr std::uint64_t kRate = 125'000;  // bytes a second, of all together
constexpr int kDaySeconds = 24 * 3'600;
const std::vector<std::pair<std::string, std::string>> kSubscribers{
    {"10.0.0.2", "sub_1"}, {"10.0.0.3", "sub_2"}, {"10.0.0.4", "sub_3"}};

enum class Kernel : std::uint8_t {
  honest,
  keeps_handles,  // a table that is made anew has the handle of the old one: its end cannot be seen
};

class Day {
 public:
  Day(std::uint64_t seed, Kernel kernel) : draws_(seed), kernel_(kernel), at_(rule()) {
    at_.interval();  // first sight
    noted_ = at_.gaps();
  }

  // How many readings counted more than had passed since the one before, or less than what they say is
  // missing.
  int run(int seconds) {
    for (int second = 0; second < seconds; ++second) {
      happen();
      pass(Milliseconds(500));
      traffic();
      pass(Milliseconds(500));
    }
    at_.bench.expect_sound();
    return wrong_;
  }
  std::uint64_t gaps() const { return noted_; }
  const Quantity& truth() const { return truth_; }
  const Quantity& counted() const { return counted_; }

 private:
  static NftablesRule rule() {
    auto rule = test::nftables_rule(kSubscribers);
    rule.bytes_per_second_max = Quantity::of(kRate);
    return rule;
  }
  std::uint64_t below(std::uint64_t end) { return draws_() % end; }

  void happen() {
    auto& tables = at_.kernel;
    const auto handle = tables.table;
    switch (below(8)) {
      case 0:
      case 1:
        tables.replace_table();
        break;
      case 2:
        ++tables.object;
        tables.elements.clear();
        break;
      case 3:
        if (below(60) != 0) break;
        at_.reboot("boot-" + std::to_string(++boots_));
        tables.elements.clear();
        break;
      case 4:
        if (below(20) == 0) at_.restart();
        break;
      default:
        break;
    }
    if (kernel_ == Kernel::keeps_handles) {
      tables.table = handle;
      tables.object = 2;
    }
  }

  void traffic() {
    std::uint64_t left = kRate;
    for (const auto& [key, subscription] : kSubscribers) {
      if (below(4) == 0) continue;  // silent, or not there at all
      const auto bytes = below(left + 1);
      left -= bytes;
      at_.traffic(key, bytes);
      truth_ += Quantity::of(bytes);
    }
  }

  void pass(Milliseconds time) {
    const auto reads = at_.kernel.reads;
    at_.bench.advance(time);
    if (at_.kernel.reads != reads) judge();
  }

  void judge() {
    ASSERT_TRUE(at_.bench.commit());
    const auto report = at_.report().gaps;
    Quantity may_be_lost;
    for (auto i = report.recent_size() - static_cast<int>(report.gaps() - noted_); i < report.recent_size();
         ++i)
      may_be_lost += test::must(Quantity::parse_total(report.recent(i).lost_max()));
    noted_ = report.gaps();
    const auto counted = at_.bench.accepted();
    const auto missing = (truth_ - judged_) - (counted - counted_);
    if (missing.is_negative() || missing > may_be_lost) ++wrong_;
    judged_ = truth_;
    counted_ = counted;
  }

  std::mt19937_64 draws_;
  Kernel kernel_;
  NftablesBench at_;
  Quantity truth_, judged_, counted_;
  std::uint64_t noted_ = 0;
  int boots_ = 1;
  int wrong_ = 0;
};

TEST(NftablesDayOfResets, HoldsTheTruthWithinWhatItSaysItMayHaveLost) {
  const auto seed = testing::announced_seed("source_test", 20'270'115);
  Day day(seed, Kernel::honest);
  EXPECT_EQ(day.run(testing::rounds(kDaySeconds)), 0) << "seed " << seed;
  EXPECT_GT(day.gaps(), testing::rounds(5'000U));
  EXPECT_LT(day.counted(), day.truth()) << "nothing was lost: the day was no test";
}

TEST(NftablesDayOfResets, WouldNoticeARuleThatTakesANewTableForTheOldOne) {
  Day day(7, Kernel::keeps_handles);
  EXPECT_GT(day.run(3'600), 0);
}

}  // namespace
}  // namespace meterd::source
