// Stored usages as the Usages API answers them: compared with the seed's own samples, member by member.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "agent/api/chargebee/answers.hpp"

namespace meterd::api::chargebee {
namespace {

namespace json = boost::json;
using journal::StoredUsage;
using journal::UsageRecord;

UsageRecord sample() {
  UsageRecord record;
  record.set_id("usage_XpbBrciSCKqKcLS");
  record.set_upstream("billing");
  record.set_subscription_id("__test__XpbBrciSCKqKXhP");
  record.set_item_price_id("silver-usd");
  record.set_usage_date(1'601'718'989);
  record.set_quantity("5");
  record.set_note("Day 1 usage from __test__XpbBrciSCKqKUcN");
  record.set_created_at_ms(1'601'708'189'380);
  record.set_resource_version(1'601'708'189'381);
  record.set_source(journal::v0::API);
  return record;
}

TEST(UsageAnswer, IsTheSeedsSample) {
  EXPECT_EQ(json::parse(usage_answer(sample())), json::parse(R"({"usage":{"created_at":1601708189,
      "id":"usage_XpbBrciSCKqKcLS","item_price_id":"silver-usd",
      "note":"Day 1 usage from __test__XpbBrciSCKqKUcN","object":"usage","quantity":"5",
      "resource_version":1601708189381,"source":"api","subscription_id":"__test__XpbBrciSCKqKXhP",
      "updated_at":1601708189,"usage_date":1601718989}})"));
}

TEST(UsageAnswer, HasEveryAttributeThatIsThere) {
  auto record = sample();
  record.set_invoice_id("inv_1");
  record.set_line_item_id("li_1");
  auto* field = record.add_custom_fields();
  field->set_name("cf_site");
  field->set_value("Süd \"1\"");
  field = record.add_custom_fields();
  field->set_name("cf_a");
  field->set_value("x");
  const auto value = json::parse(usage_answer(record)).at("usage");
  EXPECT_EQ(value.at("invoice_id").as_string(), "inv_1");
  EXPECT_EQ(value.at("line_item_id").as_string(), "li_1");
  EXPECT_EQ(value.at("cf_site").as_string(), "Süd \"1\"");
  EXPECT_EQ(value.at("cf_a").as_string(), "x");
  EXPECT_EQ(value.as_object().size(), 15U);
}

TEST(UsageAnswer, LeavesOutWhatIsAbsent) {
  UsageRecord record;
  record.set_id("u");
  record.set_subscription_id("s");
  record.set_item_price_id("i");
  EXPECT_EQ(json::parse(usage_answer(record)), json::parse(R"({"usage":{"created_at":0,"id":"u",
      "item_price_id":"i","object":"usage","quantity":"0","source":"bulk_operation","subscription_id":"s",
      "usage_date":0}})"))
      << "a usage of before there were versions";
}

TEST(UsageAnswer, GivesTheQuantityAsTheCallerWroteIt) {
  auto record = sample();
  record.set_given_quantity("5.00");
  EXPECT_EQ(json::parse(usage_answer(record)).at("usage").at("quantity").as_string(), "5.00");
}

TEST(UsageAnswer, NamesTheSource) {
  const auto source_of = [](journal::v0::UsageSource source) {
    auto record = sample();
    record.set_source(source);
    return std::string(json::parse(usage_answer(record)).at("usage").at("source").as_string());
  };
  EXPECT_EQ(source_of(journal::v0::API), "api");
  EXPECT_EQ(source_of(journal::v0::BULK_OPERATION), "bulk_operation");
  EXPECT_EQ(source_of(journal::v0::ADMIN_CONSOLE), "admin_console");
}

TEST(UsageAnswer, EscapesText) {
  auto record = sample();
  record.set_note("a\"b\\c\nd\te\x01\xC3\xBC");
  EXPECT_EQ(json::parse(usage_answer(record)).at("usage").at("note").as_string(),
            "a\"b\\c\nd\te\x01\xC3\xBC");
}

TEST(ListAnswer, IsAPageInItsOrder) {
  auto second = sample();
  second.set_id("u2");
  const std::vector<StoredUsage> page{{7, sample()}, {9, second}};
  const auto value = json::parse(list_answer(page, R"(["1601718989","9"])"));
  ASSERT_EQ(value.at("list").as_array().size(), 2U);
  EXPECT_EQ(value.at("list").at(0), json::parse(usage_answer(sample())));
  EXPECT_EQ(value.at("list").at(1), json::parse(usage_answer(second)));
  EXPECT_EQ(value.at("next_offset").as_string(), R"(["1601718989","9"])");
  EXPECT_EQ(value.as_object().size(), 2U);
}

TEST(ListAnswer, HasNoNextOffsetOnTheLastPage) {
  EXPECT_EQ(list_answer({}, ""), R"({"list":[]})");
  const std::vector<StoredUsage> page{{7, sample()}};
  EXPECT_EQ(json::parse(list_answer(page, "")).as_object().size(), 1U);
}

TEST(DownloadAnswer, IsTheSeedsResource) {
  EXPECT_EQ(json::parse(download_answer("http://127.0.0.1:8480/d?a=\"1\"", 1'610'087'383)),
            json::parse(R"({"download":{"download_url":"http://127.0.0.1:8480/d?a=\"1\"","object":"download",
      "valid_till":1610087383}})"));
}

}  // namespace
}  // namespace meterd::api::chargebee
