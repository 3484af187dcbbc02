// Hostile clocks, from the event to the bill: whatever the wall clock said before it was trusted, each
// quantity is billed on the day on which it was counted as the synchronised clock has it, or is held and
// shown.
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kDay = 86'400;
constexpr Seconds kHour{3'600};

WallTime utc(const char* text) { return *parse_rfc3339(text); }

// What counts is kept by the true day; what was billed, by the day of its usage_date.
using Days = std::map<std::string, Quantity>;

class HostileClock : public ::testing::Test {
 protected:
  void boot(const std::string& zone, WallTime truth) {
    auto config = small_config(directory_.path());
    for (auto& meter : config.meters) meter.time_zone = zone;
    zone_ = *meter::TimeZone::load(zone);
    device_.emplace(std::move(config));
    device_->clock->set_trusted(false);
    began_ = truth - device_->clock->boot().since_boot;
    device_->start();
  }
  WallTime truth() const { return began_ + device_->clock->boot().since_boot; }
  void count() {
    const auto quantity = Quantity::of(++counted_);
    ASSERT_FALSE(device_->report("sms.sent", "sub_1", quantity.text()).refusal);
    ASSERT_TRUE(device_->commit());
    true_days_[zone_.day_of(truth()).iso()] += quantity;
  }
  void trust() {
    device_->clock->set_wall(truth());
    device_->clock->set_trusted(true);
    device_->advance(Seconds(60));
  }
  Days billed() const {
    Days out;
    for (const auto& [id, record] : device_->billing.records) {
      const auto at = WallTime::from_seconds(std::stoll(record.usage_date));
      out[zone_.day_of(at).iso()] += *Quantity::parse(record.quantity);
    }
    return out;
  }

  TempDirectory directory_;
  std::optional<Device> device_;
  meter::TimeZone zone_;
  WallTime began_;
  std::uint32_t counted_ = 0;
  Days true_days_;
};

struct Case {
  const char* zone;
  const char* truth;  // at the boot
  Seconds until_trust;
};

// An hour between counts, from 20 minutes past: none of them is within a minute of a midnight.
class BeforeTrust : public HostileClock, public ::testing::WithParamInterface<Case> {};

TEST_P(BeforeTrust, StepsOfTheWallClockMoveNothingToAnotherDay) {
  const auto& given = GetParam();
  boot(given.zone, utc(given.truth));
  device_->clock->set_wall(WallTime::from_seconds(0));
  std::size_t step = 0;
  for (Seconds passed{0}; passed < given.until_trust; passed += kHour) {
    count();
    device_->advance(kHour);
    constexpr std::int64_t kSteps[] = {1, -1, 3'600, -3'600, kDay, -kDay, 3'650 * kDay, -3'650 * kDay, 7};
    device_->clock->set_wall(device_->clock->wall().time + Seconds(kSteps[step++ % std::size(kSteps)]));
  }
  EXPECT_THAT(device_->balances(), IsEmpty()) << "nothing is dated before the clock is trusted";
  trust();
  count();
  device_->advance(Seconds(2 * kDay));
  EXPECT_EQ(billed(), true_days_);
  EXPECT_THAT(device_->verify().problems, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    EveryZone, BeforeTrust,
    ::testing::Values(
        Case{"UTC", "2027-01-15T22:20:00Z", Seconds(2 * 3'600)},
        Case{"UTC", "2027-01-15T22:20:00Z", Seconds(3 * kDay)},
        // The night with 23 hours, and the one with 25; midnight is at 23:00 and 22:00 UTC.
        Case{"Europe/Berlin", "2027-03-27T12:20:00Z", Seconds(2 * kDay)},
        Case{"Europe/Berlin", "2027-10-30T12:20:00Z", Seconds(2 * kDay)},
        // Where 32 bits end, and beyond: what zones do then follows from the rule at their data's end.
        Case{"UTC", "2038-01-17T22:20:00Z", Seconds(3 * kDay)},
        Case{"Europe/Berlin", "2040-03-24T12:20:00Z", Seconds(2 * kDay)},
        Case{"Europe/Berlin", "2040-10-27T12:20:00Z", Seconds(2 * kDay)},
        Case{"Asia/Kathmandu", "2027-01-15T12:20:00Z", Seconds(2 * kDay)}));

TEST_F(HostileClock, ASuspendedDeviceKeepsItsDays) {
  boot("UTC", utc("2027-01-15T22:20:00Z"));
  count();
  device_->clock->set_boot(device_->clock->boot() +
                           Seconds(5 * kDay));  // CLOCK_BOOTTIME goes on; the wall does not
  count();
  trust();
  device_->advance(Seconds(2 * kDay));
  EXPECT_EQ(billed(), true_days_);
  EXPECT_THAT(billed(), SizeIs(2));
}

TEST_F(HostileClock, NothingDatedIsDatedAgain) {
  boot("UTC", utc("2027-01-15T12:20:00Z"));
  count();
  trust();
  ASSERT_THAT(device_->balances(), SizeIs(1));
  const auto day = device_->balances()[0].key.day;
  for (const auto step : {Seconds(-3 * kDay), Seconds(40 * kDay)}) {
    device_->clock->set_trusted(false);
    device_->clock->set_wall(truth() + step);
    device_->advance(kHour);
    device_->clock->set_trusted(true);  // and somebody vouches for it
    device_->advance(Seconds(60));
    ASSERT_THAT(device_->balances(), SizeIs(1));
    EXPECT_EQ(device_->balances()[0].key.day, day);
  }
}

TEST_F(HostileClock, AnUntrustedClockThatRanAheadSealsNothing) {
  boot("UTC", utc("2027-01-15T12:20:00Z"));
  trust();
  count();
  device_->clock->set_trusted(false);
  device_->clock->set_wall(truth() + Seconds(40 * kDay));
  device_->advance(kHour);
  EXPECT_THAT(device_->balances()[0].balance.open, Quantity::of(1))
      << "its usage would be dated by that clock";
  EXPECT_THAT(device_->outbox(), IsEmpty());
  EXPECT_FALSE(device_->flush(true));
  trust();
  device_->advance(kHour);
  EXPECT_EQ(billed(), true_days_);
}

TEST_F(HostileClock, UntrustedTimeDelaysTheSealAndNothingElse) {
  boot("UTC", utc("2027-01-15T12:20:00Z"));
  trust();
  count();
  device_->billing.poisoned = "sub_1";
  device_->advance(kHour);  // sealed, and refused several times
  ASSERT_THAT(device_->outbox(), SizeIs(1));
  ASSERT_THAT(device_->billing.records, IsEmpty());
  device_->clock->set_trusted(false);
  device_->clock->set_wall(WallTime::from_seconds(0));
  device_->billing.poisoned.clear();
  count();
  device_->advance(kHour);
  EXPECT_THAT(device_->billing.records, SizeIs(1)) << "what is sealed is sent, by time since boot";
  EXPECT_EQ(device_->status().overview.undated_slices, 1U) << "and what is counted is kept";
  trust();
  device_->advance(Seconds(2 * kDay));
  EXPECT_EQ(billed(), true_days_);
}

TEST_F(HostileClock, ABootWithoutTrustIsHeldThenBilledOnTheDayItIsGiven) {
  boot("UTC", utc("2027-01-15T12:20:00Z"));
  count();
  device_->crash();  // the power goes
  device_->clock->set_boot_id("boot-2");
  device_->clock->set_boot(BootTime{Milliseconds(5'000)});
  device_->start();
  began_ = utc("2027-01-18T08:00:00Z");
  trust();
  device_->advance(Seconds(2 * kDay));
  EXPECT_THAT(billed(), IsEmpty());
  const auto attention = device_->status().attention;
  ASSERT_THAT(attention, SizeIs(1));
  EXPECT_THAT(attention[0].how, ::testing::HasSubstr("meterctl date"));
  ASSERT_TRUE(device_->date(1, *UsageDay::parse("2027-01-15")));
  device_->advance(Seconds(kDay));
  EXPECT_EQ(billed(), true_days_);
  EXPECT_THAT(device_->status().attention, IsEmpty());
}

}  // namespace
}  // namespace meterd::testing
