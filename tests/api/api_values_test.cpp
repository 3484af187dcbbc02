// The API's pure parts: the status and the listings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "agent/api/http.hpp"
#include "agent/api/listings.hpp"
#include "agent/api/status.hpp"
#include "tests/api/status_samples.hpp"

namespace meterd::api {
namespace {

namespace json = boost::json;
using meter::Refusal;
using test::busy_status;
using test::healthy_status;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<std::string> keys_of(const json::value& object) {
  std::vector<std::string> out;
  for (const auto& member : object.as_object()) out.emplace_back(member.key());
  return out;
}

TEST(StatusJson, ParsesBackWithTheKeysOfTheContract) {
  auto s = healthy_status();
  s.ingest.refuse(Refusal::full, 3);
  s.attention.push_back({"journal", "what \"quoted\"", "how\nto"});
  const auto value = json::parse(to_json(s));
  EXPECT_THAT(keys_of(value),
              UnorderedElementsAre("version", "device", "state", "uptime_seconds", "process", "clock",
                                   "counting", "journal", "buckets", "upstreams", "attention"));
  EXPECT_EQ(value.at("uptime_seconds").as_int64(), 61);
  EXPECT_EQ(value.at("clock").at("time").as_string(), "2027-01-15T08:00:00Z");
  EXPECT_TRUE(value.at("clock").at("trusted").as_bool());
  const auto& counting = value.at("counting");
  EXPECT_THAT(keys_of(counting),
              UnorderedElementsAre("events", "duplicates", "sequence_gaps", "counter_resets", "datagrams",
                                   "datagrams_dropped", "refused", "remembered_ids", "loss_window_ms",
                                   "uncommitted", "inputs", "sources", "producers_connected"));
  EXPECT_EQ(json::serialize(counting.at("refused")), R"({"full":3})") << "only reasons that occurred";
  EXPECT_EQ(counting.at("loss_window_ms").as_int64(), 10'000);
  EXPECT_EQ(value.at("journal").at("epoch").as_string(), "00ab");
  EXPECT_EQ(value.at("journal").at("conservation_error").to_number<int>(), 0);
  EXPECT_EQ(value.at("journal").at("flash_bytes_per_day_max").as_int64(), 8'640LL * 20'480);
  EXPECT_TRUE(value.at("buckets").at("next_seal").is_null());
  EXPECT_EQ(value.at("attention").at(0).at("what").as_string(), "what \"quoted\"");
  EXPECT_EQ(value.at("attention").at(0).at("do").as_string(), "how\nto");
}

TEST(StatusJson, TellsThePresentRateOfWritesIfItIsMoreThanTheIntervals) {
  const auto flash = [](const Status& s) {
    return json::parse(to_json(s)).at("journal").at("flash_bytes_per_day_max").as_int64();
  };
  constexpr std::int64_t kByInterval = 8'640LL * 20'480;
  auto s = healthy_status();
  s.uptime = Seconds(86'400);
  s.commits.commits = 100'000;
  EXPECT_EQ(flash(s), 100'000LL * 20'480)
      << "not counted by the kernel: as many as a commit is known to cost";
  s.process = platform::ProcessUse{};
  s.process->written_bytes = 1'000'000'000;
  s.written_before = 1;
  EXPECT_EQ(flash(s), 999'999'999) << "measured, without what was written before it counted";
  s.process->written_bytes = 1'000;
  EXPECT_EQ(flash(s), kByInterval) << "what is to be expected stays";
  s.written_before = 2'000;
  EXPECT_EQ(flash(s), kByInterval);
  s.process->written_bytes = UINT64_C(4'000'000'000'000'000);  // ten years at 12 MB/s
  s.uptime = Seconds(10 * 365 * 86'400);
  EXPECT_EQ(flash(s) / 1'000'000, 1'095'890) << "does not overflow";
}

TEST(StatusJson, TellsLatenciesAsBoundsInMilliseconds) {
  const auto journal = [](const Status& s) { return json::parse(to_json(s)).at("journal"); };
  EXPECT_TRUE(journal(healthy_status()).at("commit_p50_ms").is_null());
  EXPECT_EQ(journal(busy_status()).at("commit_p50_ms").as_int64(), 10);
  EXPECT_EQ(journal(busy_status()).at("commit_p99_ms").as_int64(), 2'500);
  auto s = healthy_status();
  s.commits.durable.observe(Microseconds(1));
  EXPECT_EQ(journal(s).at("commit_p50_ms").as_int64(), 1) << "half a millisecond, rounded up";
}

TEST(StatusJson, TellsWhenItStartedOnlyByATrustedClock) {
  const auto started = [](const Status& s) { return json::parse(to_json(s)).at("process").at("started"); };
  auto s = healthy_status();
  EXPECT_EQ(started(s).as_string(), "2027-01-15T07:58:58Z");
  s.clock.trusted = false;
  EXPECT_TRUE(started(s).is_null());
}

TEST(StatusJson, NamesTheStateOfEachUpstream) {
  const auto state_of = [](const Status& s) {
    return std::string(json::parse(to_json(s)).at("upstreams").at(0).at("state").as_string());
  };
  auto s = healthy_status();
  EXPECT_EQ(state_of(s), "ok");
  s.upstreams[0].paused_for = Milliseconds(5'000);
  EXPECT_EQ(state_of(s), "paused");
  s.upstreams[0].state.set_retry_after(true);
  EXPECT_EQ(state_of(s), "throttled");
  s.upstreams[0].state.set_unauthorised(true);
  EXPECT_EQ(state_of(s), "unauthorised");
}

TEST(StatusJson, TellsWhatIsDeclaredForUsagesInDoubt) {
  auto s = healthy_status();
  const auto policy = [&] { return json::parse(to_json(s)).at("upstreams").at(0).at("in_doubt_policy"); };
  EXPECT_TRUE(policy().is_null()) << "it is asked again";
  s.upstreams[0].in_doubt_policy = "hold";
  EXPECT_EQ(policy(), "hold");
}

std::vector<std::string> attention(const Status& s) {
  std::vector<std::string> out;
  for (const auto& one : find_attention(s)) {
    EXPECT_FALSE(one.how.empty()) << one.what;
    out.push_back(one.what);
  }
  return out;
}

TEST(Attention, IsNotNeededByAHealthyDaemon) { EXPECT_THAT(attention(healthy_status()), IsEmpty()); }

TEST(Attention, NamesEachThingThatNeedsAPerson) {
  const auto only = [](auto change) {
    auto s = healthy_status();
    change(s);
    const auto found = attention(s);
    return found.size() == 1 ? found[0] : std::to_string(found.size()) + " of them";
  };
  EXPECT_THAT(only([](Status& s) { s.commits.conservation_errors = 1; }), HasSubstr("do not balance"));
  EXPECT_THAT(only([](Status& s) { s.stuck_for = Milliseconds(1); }), HasSubstr("no room"));
  EXPECT_THAT(only([](Status& s) { s.space.use.used_bytes = 1'000'001; }), HasSubstr("watermark"));
  // Just below it callers of the Usages API, who have half of the room, are refused already.
  EXPECT_THAT(
      only([](Status& s) { s.space.use.used_bytes = 1'000'000 - 2 * journal::kRoomPerNewBucket + 1; }),
      HasSubstr("watermark"));
  EXPECT_EQ(only([](Status& s) { s.space.use.used_bytes = 1'000'000 - 2 * journal::kRoomPerNewBucket; }),
            "0 of them");
  EXPECT_THAT(only([](Status& s) { s.overview.set_aside = 2; }), HasSubstr("2 journal records"));
  EXPECT_THAT(only([](Status& s) { s.upstreams[0].state.set_unauthorised(true); }),
              HasSubstr("refuses our credentials"));
  EXPECT_THAT(only([](Status& s) { s.upstreams[0].state.set_parked(4); }), HasSubstr("4 usages are parked"));
  EXPECT_THAT(only([](Status& s) { s.upstreams[0].state.set_in_doubt(5); }),
              HasSubstr("5 usages are in doubt"));
  EXPECT_THAT(only([](Status& s) {
                s.upstreams[0].configured = false;
                s.upstreams[0].open_buckets = 7;
              }),
              HasSubstr("7 buckets are open for billing, which is not configured"));
  EXPECT_EQ(only([](Status& s) { s.upstreams[0].open_buckets = 7; }), "0 of them") << "they will be sealed";
  EXPECT_THAT(only([](Status& s) { s.clock.trusted = false; }), HasSubstr("not trusted"));
  EXPECT_THAT(only([](Status& s) { s.overview.undated_slices = 6; }), HasSubstr("6 slices"));
}

journal::StoredUsage waiting_usage() {
  journal::StoredUsage usage;
  auto& r = usage.record;
  r.set_id("abc-1");
  r.set_upstream("billing");
  r.set_subscription_id("sub_1");
  r.set_item_price_id("sms-usd");
  r.set_usage_date(1'800'000'000);
  r.set_quantity("0.1");
  r.set_attempts(2);
  r.set_last_error("503");
  r.set_due_boot(7);
  r.set_due_ms(90'000);
  return usage;
}

TEST(Listings, OutboxHasTheKeysOfTheContract) {
  const journal::Moment now{WallTime::from_seconds(1'800'000'000), {7, 60'000}};
  const auto value = json::parse(outbox_json({waiting_usage()}, {}, now));
  EXPECT_THAT(keys_of(value), ::testing::Contains("outbox"));
  const auto& row = value.at("outbox").at(0);
  EXPECT_THAT(keys_of(row), ::testing::IsSupersetOf({"id", "upstream", "subscription_id", "item_price_id",
                                                     "usage_date", "quantity", "amount", "state", "attempts",
                                                     "next_attempt", "last_error", "deletes"}));
  EXPECT_EQ(row.at("quantity").as_string(), "0.1");
  EXPECT_TRUE(row.at("amount").is_null());
  EXPECT_EQ(row.at("state").as_string(), "waiting");
  EXPECT_EQ(row.at("next_attempt").as_string(), "2027-01-15T08:00:30Z")
      << "thirty seconds of boot time ahead";
}

TEST(Listings, OutboxSaysNoNextAttemptForWhatIsDueOrOfAnotherBoot) {
  for (const auto& boot : {journal::Due{7, 90'000}, journal::Due{8, 1'000}}) {
    const journal::Moment now{WallTime::from_seconds(1'800'000'000), boot};
    EXPECT_TRUE(
        json::parse(outbox_json({waiting_usage()}, {}, now)).at("outbox").at(0).at("next_attempt").is_null());
  }
}

TEST(Listings, BucketsHaveTheKeysOfTheContract) {
  journal::BucketRow row;
  row.key = {UsageDay(20'000),
             {UpstreamName("billing"), SubscriptionId("sub \"1\""), ItemPriceId("sms-usd")}};
  row.quantity = Quantity::of(9'007'199'254'740'993);
  row.events = 4;
  const auto value = json::parse(buckets_json({row}, {})).at("buckets").at(0);
  EXPECT_THAT(keys_of(value), ::testing::IsSupersetOf({"upstream", "subscription_id", "item_price_id",
                                                       "usage_day", "quantity", "events"}));
  EXPECT_EQ(value.at("quantity").as_string(), "9007199254740993") << "a string: no double may touch it";
  EXPECT_EQ(value.at("subscription_id").as_string(), "sub \"1\"");
  EXPECT_EQ(value.at("usage_day").as_string(), "2024-10-04");
}

TEST(Listings, VerifyListsItsProblems) {
  journal::CheckReport report;
  report.problems = {"a \"b\""};
  report.set_aside_records = {"usage number 17"};
  report.accepted = Quantity::of(3);
  const auto value = json::parse(verify_json(report));
  EXPECT_EQ(value.at("problems").at(0).as_string(), "a \"b\"");
  EXPECT_EQ(value.at("set_aside_records").at(0).as_string(), "usage number 17");
  EXPECT_EQ(value.at("accepted").as_string(), "3");
}

TEST(ErrorResponse, IsJsonWhateverItsMessageHolds) {
  const auto response = error_response(503, "full", "a \"quote\", a \\ and a\nline");
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(json::parse(response.body).at("error").at("message").as_string(), "a \"quote\", a \\ and a line");
}

}  // namespace
}  // namespace meterd::api
