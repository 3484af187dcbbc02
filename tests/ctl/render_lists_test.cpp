// The other verbs' texts: pure functions of the daemon's JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "agent/ctl/render.hpp"
#include "tests/ctl/rendered.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;
using test::text_of;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kLongId(100, 'x');
const std::string kLongQuantity(40, '8');

json::object bucket(std::string_view subscription, std::string_view quantity,
                    std::string_view day = "2026-11-22") {
  return {{"upstream", "billing"},
          {"subscription_id", subscription},
          {"item_price_id", "sms-usd"},
          {"usage_day", day},
          {"quantity", quantity},
          {"events", 12},
          {"seal_due", "2026-11-23T00:05:10Z"}};
}

TEST(RenderBuckets, AreGroupedByUpstreamDayAndSeal) {
  const json::object answer{
      {"buckets", {bucket("sub_1", "12.5"), bucket("sub_1", "1", "2026-11-21"), bucket("sub_22", "7")}}};
  EXPECT_EQ(text_of(render_buckets(answer)),
            "billing  day 2026-11-21  seal due 2026-11-23T00:05:10Z\n"
            "  SUBSCRIPTION  ITEM PRICE  QUANTITY  EVENTS\n"
            "  sub_1         sms-usd            1      12\n"
            "\n"
            "billing  day 2026-11-22  seal due 2026-11-23T00:05:10Z\n"
            "  SUBSCRIPTION  ITEM PRICE  QUANTITY  EVENTS\n"
            "  sub_1         sms-usd         12.5      12\n"
            "  sub_22        sms-usd            7      12\n");
}

TEST(RenderBuckets, KeepWholeQuantitiesBesideLongIds) {
  const json::object answer{{"buckets", {bucket(kLongId, kLongQuantity)}}};
  EXPECT_THAT(text_of(render_buckets(answer)), HasSubstr(kLongQuantity));
}

TEST(RenderLists, SayThatTheyAreEmpty) {
  EXPECT_THAT(text_of(render_buckets(json::parse(R"({"buckets":[]})"))), HasSubstr("no open buckets"));
  EXPECT_THAT(text_of(render_balances(json::parse(R"({"balances":[]})"))), HasSubstr("no balances"));
  const auto outbox = render_outbox(json::parse(R"({"outbox":[]})"));
  EXPECT_THAT(text_of(outbox), HasSubstr("the outbox is empty"));
  EXPECT_FALSE(outbox->attention);
}

TEST(RenderBuckets, ShowWhatHasNoDayYet) {
  const json::object answer{{"buckets", json::array{}},
                            {"undated",
                             {{{"boot", 3},
                               {"upstream", "billing"},
                               {"subscription_id", "sub_1"},
                               {"item_price_id", "sms-usd"},
                               {"quantity", "7"},
                               {"events", 5},
                               {"seconds", 11'100}}}}};
  EXPECT_THAT(text_of(render_buckets(answer)),
              HasSubstr("sub_1         sms-usd            7       5     3  3 h 5 min"));
}

TEST(RenderDate, SaysWhatIsDatedNow) {
  const json::object answer{{"boot", 3}, {"usage_day", "2026-11-22"}, {"slices", 2}, {"events", 5}};
  EXPECT_EQ(text_of(render_date(answer)), "5 events of boot 3 are dated 2026-11-22\n");
  const json::object one{{"boot", 3}, {"usage_day", "2026-11-22"}, {"slices", 1}, {"events", 1}};
  EXPECT_EQ(text_of(render_date(one)), "1 event of boot 3 is dated 2026-11-22\n");
}

TEST(RenderAudit, SaysWhenWhoAndWhat) {
  const json::object act{{"at", "2026-11-22T01:02:03Z"},
                         {"clock_trusted", false},
                         {"by", "user 0"},
                         {"act", "date"},
                         {"detail", "5 events in 2 slices of boot 3 to 2026-11-22"}};
  EXPECT_EQ(text_of(render_audit(json::object{{"audit", {act}}})),
            "2026-11-22T01:02:03Z (clock not trusted)  user 0  date\n"
            "  5 events in 2 slices of boot 3 to 2026-11-22\n");
  EXPECT_THAT(text_of(render_audit(json::object{{"audit", json::array{}}})), HasSubstr("nobody"));
}

TEST(RenderLists, SayWhenTheyWereCut) {
  json::object answer{{"buckets", {bucket("sub_1", "1")}}, {"truncated", true}};
  EXPECT_THAT(text_of(render_buckets(answer)), HasSubstr("There are more"));
  answer["truncated"] = false;
  EXPECT_THAT(text_of(render_buckets(answer)), Not(HasSubstr("There are more")));
}

TEST(RenderLists, RefuseWhatIsNoList) {
  for (const auto* body :
       {"null", "{}", R"({"buckets":{},"balances":1,"outbox":"","sealed":"","problems":0})",
        R"({"buckets":[1],"balances":[null],"outbox":["x"]})"}) {
    const auto answer = json::parse(body);
    for (const auto render : {render_buckets, render_balances, render_outbox, render_flush, render_verify,
                              render_audit, render_date})
      EXPECT_FALSE(render(answer).ok()) << body;
  }
}

json::object usage(std::string_view id, std::string_view state) {
  return {{"id", id},
          {"upstream", "billing"},
          {"subscription_id", "sub_1"},
          {"item_price_id", "sms-usd"},
          {"usage_date", 1'795'309'933},
          {"quantity", "12.5"},
          {"amount", nullptr},
          {"state", state},
          {"attempts", 2},
          {"next_attempt", nullptr},
          {"last_error", ""}};
}

TEST(RenderOutbox, PutsWhatNeedsAPersonFirst) {
  auto parked = usage("id-2", "parked");
  parked["last_error"] = "400 param_wrong_value: item_price_id";
  auto later = usage("id-1", "waiting");
  later["next_attempt"] = "2026-11-22T01:10:00Z";
  const auto rendered = render_outbox(json::object{{"outbox", {later, usage("id-3", "in_doubt"), parked}}});
  EXPECT_TRUE(rendered->attention);
  EXPECT_THAT(text_of(rendered), ::testing::StartsWith("3 usages: 1 waiting, 1 in doubt, 1 parked\n"
                                                       "\n"
                                                       "id-2  parked  12.5\n"
                                                       "  billing  sub_1  sms-usd  2026-11-22T01:12:13Z\n"
                                                       "  2 attempts\n"
                                                       "  last error: 400 param_wrong_value: item_price_id\n"
                                                       "\n"
                                                       "id-3  in doubt  12.5\n"
                                                       "  billing  sub_1  sms-usd  2026-11-22T01:12:13Z\n"
                                                       "  2 attempts\n"
                                                       "\n"
                                                       "id-1  waiting  12.5\n"
                                                       "  billing  sub_1  sms-usd  2026-11-22T01:12:13Z\n"
                                                       "  2 attempts, next 2026-11-22T01:10:00Z\n"));
  EXPECT_THAT(rendered->text, HasSubstr("Parked: the upstream refused it for good"));
  EXPECT_THAT(rendered->text, HasSubstr("In doubt: it was sent"));
}

TEST(RenderOutbox, NeedsNobodyWhileAllIsWaiting) {
  const auto rendered = render_outbox(json::object{{"outbox", {usage(kLongId, "waiting")}}});
  EXPECT_FALSE(rendered->attention);
  const auto text = text_of(rendered);
  EXPECT_THAT(text, HasSubstr("2 attempts, due now\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), 'x'), 100) << "an id is never cut";
}

TEST(RenderOutbox, PassesNoTerminalSequencesOfAnUpstreamOn) {
  auto row = usage("id", "parked");
  row["last_error"] = "\x1b]0;title\x07\n\x1b[31mred";
  const auto text = text_of(render_outbox(json::object{{"outbox", {row}}}));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\x07'), std::string::npos);
}

TEST(RenderBalances, ShowWhatBecameOfWhatWasAccepted) {
  json::object row{{"upstream", "billing"},
                   {"subscription_id", "sub_1"},
                   {"item_price_id", "sms-usd"},
                   {"usage_day", "2026-11-22"},
                   {"accepted", "12.5"},
                   {"open", "2.5"},
                   {"waiting", "0"},
                   {"in_doubt", "1"},
                   {"parked", "0"},
                   {"delivered", "9"},
                   {"withdrawn", "0"},
                   {"set_aside", "0"}};
  EXPECT_EQ(text_of(render_balances(json::object{{"balances", {row}}})),
            "billing  sub_1  sms-usd  2026-11-22\n"
            "  accepted 12.5 = open 2.5 + in doubt 1 + delivered 9\n");
  row["open"] = "2";
  EXPECT_THAT(text_of(render_balances(json::object{{"balances", {row}}})),
              HasSubstr("DOES NOT BALANCE: off by 0.5"));
  for (const auto* part :
       {"accepted", "open", "waiting", "in_doubt", "parked", "delivered", "withdrawn", "set_aside"})
    row[part] = std::string(80, '9');
  row["subscription_id"] = kLongId;
  EXPECT_THAT(text_of(render_balances(json::object{{"balances", {row}}})), Not(HasSubstr("ERROR")));
}

TEST(RenderVerify, NeedsAPersonOnlyIfThereAreProblems) {
  json::object answer{
      {"balances", 10},           {"usages", 20},  {"accepted", "5"},  {"open", "2"},      {"waiting", "0"},
      {"in_doubt", "0"},          {"parked", "0"}, {"delivered", "3"}, {"withdrawn", "0"}, {"set_aside", "0"},
      {"problems", json::array{}}};
  const auto sound = render_verify(answer);
  EXPECT_EQ(text_of(sound),
            "checked 10 balances and 20 usages of the journal\n"
            "accepted 5 = open 2 + delivered 3\n"
            "no problems: everything adds up\n");
  EXPECT_FALSE(sound->attention);
  answer["problems"] = json::array{"balance of " + kLongId + ": off by 1"};
  const auto broken = render_verify(answer);
  EXPECT_THAT(text_of(broken), HasSubstr("1 problem:\n"));
  EXPECT_TRUE(broken->attention);
  answer["problems"] = json::array{};
  answer["set_aside_records"] = json::array{"balance of billing/sub_1/sms-usd/2026-11-22"};
  const auto aside = render_verify(answer);
  EXPECT_THAT(text_of(aside),
              HasSubstr("1 record could not be read and was set aside:\n  balance of billing"));
  EXPECT_TRUE(aside->attention);
}

TEST(RenderFlush, SaysWhatWasSealedAndWhoIsSentTo) {
  EXPECT_EQ(text_of(render_flush(json::parse(R"({"sealed":2,"cleared":["billing","marketplace"]})"))),
            "committed; 2 buckets sealed\n"
            "backoff cleared: billing, marketplace (a Retry-After still holds)\n");
  EXPECT_EQ(text_of(render_flush(json::parse(R"({"sealed":1,"cleared":[]})"))),
            "committed; 1 bucket sealed\nno upstream to send to\n");
}

TEST(RenderFlush, SaysWhyNotEveryBucketWasSealed) {
  const auto refused = render_flush(
      json::parse(R"({"sealed":2,"cleared":["billing"],"refused":"upstream old is not configured"})"));
  EXPECT_THAT(text_of(refused), HasSubstr("committed; 2 buckets sealed\n"));
  EXPECT_THAT(text_of(refused), HasSubstr("not every bucket was sealed: upstream old is not configured\n"));
  EXPECT_TRUE(refused->attention);
  EXPECT_FALSE(render_flush(json::parse(R"({"sealed":2,"cleared":["billing"]})"))->attention);
}

}  // namespace
}  // namespace meterd::ctl
