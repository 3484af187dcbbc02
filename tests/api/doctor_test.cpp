// What is found wrong, from everything that was looked at; and what the plan's JSON says.
#include "agent/api/doctor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/api/status_samples.hpp"

namespace meterd::api {
namespace {

using FindingKind = upstream::Diagnosis::Finding;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ExaminedUpstream billing(FindingKind finding = FindingKind::fine, const std::string& detail = "detail") {
  ExaminedUpstream one{
      "billing", "chargebee", {finding, detail, finding == FindingKind::fine ? "" : "advice"}};
  one.plan.lifetime_limit = 5'000;
  one.plan.lasts = Seconds(5'000 * 900);
  one.plan.seal_interval = Seconds(900);
  return one;
}

Finding only(const std::vector<Finding>& findings, const std::string& check) {
  Finding out;
  int count = 0;
  for (const auto& one : findings)
    if (one.check == check && ++count == 1) out = one;
  EXPECT_EQ(count, 1) << check;
  return out;
}

TEST(Doctor, SaysOfEachPartThatItIsFine) {
  const auto findings = diagnose(test::healthy_status(), {billing()});
  std::vector<std::string> checks;
  for (const auto& one : findings) {
    EXPECT_TRUE(one.is_fine) << one.what;
    EXPECT_EQ(one.how, "");
    checks.push_back(one.check);
  }
  EXPECT_THAT(checks, ElementsAre("clock", "journal", "counting", "billing"));
}

TEST(Doctor, NamesWhatASourceDoesNotSee) {
  auto status = test::healthy_status();
  source::Report source;
  source.name = "nftables:inet:meterd:subscribers:data.bytes";
  source.blind_spots = {"flowtable fw/fast"};
  status.sources = {source};
  const auto finding = only(diagnose(status, {}), "counting");
  EXPECT_FALSE(finding.is_fine);
  EXPECT_THAT(finding.what, HasSubstr("data.bytes does not count: flowtable fw/fast"));
  EXPECT_NE(finding.how, "");
}

TEST(Doctor, ShowsWhatTheStatusShowsWhereItBelongs) {
  auto status = test::healthy_status();
  status.upstreams.at(0).state.set_parked(2);
  status.ingest.datagrams_dropped = 3;
  status.clock.trusted = false;
  status.overview.set_aside = 4;
  status.attention = find_attention(status);
  const auto findings = diagnose(status, {});
  const auto name = status.upstreams.at(0).name;
  for (const auto& check : {name, std::string("counting"), std::string("clock"), std::string("journal")})
    EXPECT_FALSE(only(findings, check).is_fine) << check;
}

TEST(Doctor, KnowsUpstreamsWhoseNamesHoldOthersAndWords) {
  auto status = test::healthy_status();
  const auto named = [&](const std::string& name, std::uint64_t parked) {
    auto one = status.upstreams.at(0);
    one.name = name;
    one.state.set_parked(parked);
    return one;
  };
  status.upstreams = {named("journal", 0), named("marketplace", 0), named("old-marketplace", 1)};
  status.overview.set_aside = 1;
  status.attention = find_attention(status);
  auto marketplace = billing();
  marketplace.name = "marketplace";
  const auto findings = diagnose(status, {marketplace});
  EXPECT_TRUE(only(findings, "marketplace").is_fine);
  EXPECT_FALSE(only(findings, "old-marketplace").is_fine);
  EXPECT_FALSE(only(findings, "journal").is_fine);
}

TEST(Doctor, ComparesTheClockWithTheUpstreams) {
  auto late = billing();
  late.clock_ahead = -Milliseconds(7'200'000);
  const auto finding = only(diagnose(test::healthy_status(), {late}), "clock");
  EXPECT_FALSE(finding.is_fine);
  EXPECT_THAT(finding.what, HasSubstr("120 min behind billing's"));
  late.clock_ahead = Milliseconds(300'000);
  EXPECT_TRUE(only(diagnose(test::healthy_status(), {late}), "clock").is_fine) << "an answer takes its time";
  late.clock_ahead = Milliseconds(300'001);
  EXPECT_THAT(only(diagnose(test::healthy_status(), {late}), "clock").what, HasSubstr("ahead of"));
}

TEST(Doctor, BlamesTheClockForTlsWhereItIsNotTrusted) {
  const auto expired = billing(FindingKind::tls_time, "tls: the certificate looks not yet valid");
  auto status = test::healthy_status();
  EXPECT_THAT(only(diagnose(status, {expired}), "billing").how, HasSubstr("advice"));
  status.clock.trusted = false;
  const auto finding = only(diagnose(status, {expired}), "billing");
  EXPECT_THAT(finding.what, StartsWith("tls_time: tls: "));
  EXPECT_THAT(finding.how, HasSubstr("not trusted: set the right time"));
}

TEST(Doctor, WarnsOfALifetimeOfWhichFourFifthsAreUsed) {
  auto one = billing();
  one.lifetimes = {2, {{SubscriptionId("sub_1"), 3'999}, {SubscriptionId("sub_2"), 1}}};
  EXPECT_TRUE(only(diagnose(test::healthy_status(), {one}), "billing").is_fine);
  one.lifetimes.most.front().usages = 4'000;
  const auto findings = diagnose(test::healthy_status(), {one});
  EXPECT_THAT(findings.back().what, HasSubstr("sub_1 has had 4000 of the 5000"));
  EXPECT_FALSE(findings.back().is_fine);
}

TEST(Doctor, TellsWhenALifetimeIsUsedAtTheEarliest) {
  auto one = billing();
  one.lifetimes = {1, {{SubscriptionId("sub_1"), 4'900}}};
  auto status = test::healthy_status();
  const auto runs_out = [&] {
    const auto answer = boost::json::parse(doctor_json(status, {one}));
    return answer.at("plan").at("upstreams").at(0).at("runs_out");
  };
  EXPECT_EQ(runs_out().as_string(), rfc3339(status.clock.time + Seconds(100 * 900)));
  one.lifetimes.most.front().usages = 6'000;
  EXPECT_EQ(runs_out().as_string(), rfc3339(status.clock.time)) << "it is over";
  status.clock.trusted = false;
  EXPECT_TRUE(runs_out().is_null());
}

}  // namespace
}  // namespace meterd::api
