// What boots counted that never saw trusted time: held, or dated by the declared policy or by an operator.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "tests/ingest/bench.hpp"

namespace meterd::ingest {
namespace {

using test::Bench;
using test::BenchOptions;
using test::meter_of;
using test::must;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr Milliseconds kHour{3'600'000};

UsageDay day_of(const char* iso) { return must(UsageDay::parse(iso)); }

// Each boot begins with 1970 and one minute since boot.
class EarlierBoots : public ::testing::Test {
 protected:
  EarlierBoots() : EarlierBoots(BenchOptions{}) {}
  explicit EarlierBoots(const BenchOptions& options) : bench_(options) { begin(); }

  void begin() {
    bench_.clock().set_trusted(false);
    bench_.at("1970-01-01T00:01:00Z");
  }
  void count_for(Milliseconds time, std::string_view quantity) {
    bench_.advance(time);
    EXPECT_FALSE(bench_.sms(quantity).refusal);
    must(bench_.commit());
  }
  void reboot() {
    bench_.reboot("boot-" + std::to_string(++boots_));
    begin();
  }
  void trust(std::string_view now) {
    bench_.at(now);
    bench_.clock().set_trusted(true);
    bench_.advance(Milliseconds(60'000));
  }
  Result<Batcher::Dated> date(std::uint32_t boot, UsageDay day) {
    std::optional<Result<Batcher::Dated>> out;
    boost::asio::co_spawn(bench_.loop(), ask(boot, day, out), boost::asio::detached);
    bench_.settle();
    if (!out) return Error{Code::retry, "no answer"};
    return *out;
  }
  boost::asio::awaitable<void> ask(std::uint32_t boot, UsageDay day,
                                   std::optional<Result<Batcher::Dated>>& out) {
    out = co_await bench_.batcher().date_boot(boot, day, "user 7");
  }
  std::vector<std::string> audited() const {
    std::vector<std::string> out;
    for (const auto& act : must(journal::read_audit(bench_.journal(), 10)))
      out.push_back(act.by() + ", " + act.act() + ": " + act.detail());
    return out;
  }

  Bench bench_;
  int boots_ = 1;
};

TEST_F(EarlierBoots, AreHeldAndShownWithTheTimeTheyRan) {
  count_for(2 * kHour, "5");
  reboot();
  trust("2027-01-16T12:00:00Z");
  EXPECT_THAT(bench_.open(), IsEmpty());
  const auto rows = must(journal::read_undated(bench_.journal(), 10));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].boot_number, 1U);
  EXPECT_EQ(rows[0].seconds, 2 * 3'600U + 2 * 60);
}

TEST_F(EarlierBoots, AreDatedByAnOperatorWithAnAudit) {
  count_for(kHour, "5");
  count_for(kHour, "7");
  reboot();
  count_for(kHour, "1");
  reboot();
  trust("2027-01-16T12:00:00Z");
  const auto dated = must(date(1, day_of("2027-01-14")));
  EXPECT_EQ(dated.slices, 2U);
  EXPECT_EQ(dated.events, 2U);
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-14 sub_1 sms-usd", "12")));
  EXPECT_EQ(bench_.undated_slices(), 1U) << "of the other boot";
  EXPECT_THAT(audited(), ElementsAre("user 7, date: 2 events in 2 slices of boot 1 to 2027-01-14"));
  EXPECT_EQ(must(date(1, day_of("2027-01-15"))).slices, 0U) << "nothing dated is dated again";
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-14 sub_1 sms-usd", "12")));
  bench_.expect_sound();
}

TEST_F(EarlierBoots, AreDatedToAPossibleDayOnly) {
  count_for(kHour, "5");
  reboot();
  count_for(kHour, "1");
  EXPECT_EQ(date(2, day_of("2027-01-16")).error().code, Code::invalid) << "the present boot";
  EXPECT_EQ(date(9, day_of("2027-01-16")).error().code, Code::invalid) << "no boot yet";
  trust("2027-01-16T12:00:00Z");
  EXPECT_EQ(date(1, day_of("2027-01-18")).error().code, Code::invalid) << "not today anywhere";
  EXPECT_EQ(date(1, day_of("2025-11-01")).error().code, Code::invalid) << "before accept_past";
  EXPECT_EQ(bench_.undated_slices(), 1U);
  EXPECT_THAT(audited(), IsEmpty());
  EXPECT_EQ(must(date(1, day_of("2027-01-17"))).slices, 1U) << "it has begun further east";
}

TEST_F(EarlierBoots, AreDatedWithoutATrustedClockToo) {
  count_for(kHour, "5");
  reboot();
  EXPECT_EQ(must(date(1, day_of("2027-01-14"))).events, 1U);
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-14 sub_1 sms-usd", "5")));
}

TEST_F(EarlierBoots, OfManySlicesAreDatedInSeveralCommits) {
  for (int i = 0; i < 1'200; ++i) {
    bench_.advance(Milliseconds(60'000));
    EXPECT_FALSE(bench_.sms("1").refusal);
  }
  must(bench_.commit());
  reboot();
  trust("2027-01-16T12:00:00Z");
  EXPECT_EQ(must(date(1, day_of("2027-01-14"))).slices, 1'200U);
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-14 sub_1 sms-usd", "1200")));
  EXPECT_EQ(audited().size(), 2U);
}

class DatedAtTheBootsEnd : public EarlierBoots {
 protected:
  DatedAtTheBootsEnd() : EarlierBoots(options()) {}
  static BenchOptions options() {
    BenchOptions out;
    out.rules.date_earlier_boots = true;
    out.meters = {meter_of("sms.sent", "berlin", "Europe/Berlin")};
    return out;
  }
};

// Boot 3 begins at 10:59 UTC. Boot 2 has run for 10 h 02 min, so it began at 00:57; boot 1 for 3 h 02 min:
// 21:55 of the day before, 22:55 in Berlin. Its second slice, an hour later, is past midnight there.
TEST_F(DatedAtTheBootsEnd, EachLastedUntilTheNextOneBegan) {
  EXPECT_FALSE(bench_.sms("1").refusal);
  count_for(Milliseconds(0), "0.5");
  count_for(3 * kHour, "2");
  reboot();
  count_for(10 * kHour, "4");
  reboot();
  EXPECT_FALSE(bench_.sms("8").refusal);
  trust("2027-01-16T11:00:00Z");
  EXPECT_EQ(bench_.undated_slices(), 0U);
  EXPECT_THAT(bench_.open(),
              ElementsAre(Pair("2027-01-15 sub_1 berlin", "1.5"), Pair("2027-01-16 sub_1 berlin", "14")));
  EXPECT_THAT(audited(), ElementsAre(AllOf(HasSubstr("policy, date: 1 events in 1 slices of boot 2"),
                                           HasSubstr("begun at 2027-01-16T00:57:00Z")),
                                     AllOf(HasSubstr("policy, date: 3 events in 2 slices of boot 1"),
                                           HasSubstr("begun at 2027-01-15T21:55:00Z"))));
  bench_.expect_sound();
}

TEST_F(DatedAtTheBootsEnd, ByPiecesAllOfABootGetsOneEstimate) {
  for (int i = 0; i < 1'500; ++i) {  // 25 hours
    EXPECT_FALSE(bench_.sms("1").refusal);
    bench_.advance(Milliseconds(60'000));
  }
  must(bench_.commit());
  reboot();
  trust("2027-01-16T23:00:00Z");  // boot 2 began at 22:59 UTC, 23:59 in Berlin; boot 1 25 hours and 1 minute
                                  // before
  EXPECT_EQ(bench_.undated_slices(), 0U);
  EXPECT_THAT(bench_.open(),
              ElementsAre(Pair("2027-01-15 sub_1 berlin", "61"), Pair("2027-01-16 sub_1 berlin", "1439")));
}

TEST_F(EarlierBoots, AreSealedInTheirTimeIfDatedUnderAClockThatIsAhead) {
  count_for(kHour, "5");
  reboot();
  bench_.at("2090-01-01T00:00:00Z");
  ASSERT_TRUE(date(1, day_of("2027-01-15")).ok());
  const auto due = must(journal::read_next_seal(bench_.journal()));
  ASSERT_TRUE(due.has_value());
  EXPECT_LT(WallTime::from_seconds(*due), test::utc("2027-01-17T00:00:00Z"));
}

}  // namespace
}  // namespace meterd::ingest
