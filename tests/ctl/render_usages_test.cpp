// Texts about single usages and invoices: pure functions of the daemon's JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "agent/ctl/render.hpp"
#include "tests/ctl/rendered.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;
using test::text_of;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

json::object usage(std::string_view state, std::string_view billing) {
  return {{"usage",
           {{"id", "usage_1"},
            {"usage_date", 1795322730},
            {"subscription_id", "sub_1"},
            {"item_price_id", "sms-usd"},
            {"quantity", "5"},
            {"source", "api"},
            {"object", "usage"}}},
          {"upstream", "billing"},
          {"state", state},
          {"billing", billing}};
}

std::string shown(const json::object& row) { return text_of(render_usages(json::object{{"usages", {row}}})); }

json::object invoice_with(const json::object& members) {
  json::object invoice{
      {"id", "inv_1"},       {"subscription_id", "sub_1"}, {"item_price_id", ""},   {"from", 0},
      {"until", 1796083200}, {"state", "closed"},          {"lines", json::array{}}};
  for (const auto& [name, value] : members) invoice[name] = value;
  return {{"invoice", invoice}};
}

TEST(RenderUsages, AreBlocksWithWhatBecameOfThem) {
  auto second = usage("in_doubt", "invoiced");
  auto& attributes = second["usage"].get_object();
  attributes["id"] = "usage_2";
  attributes["invoice_id"] = "inv_1";
  attributes["line_item_id"] = "inv_1-1";
  attributes["note"] = "Day 1";
  const json::object answer{{"usages", {usage("waiting", "open"), second}}};
  EXPECT_EQ(text_of(render_usages(answer)),
            "2 usages\n"
            "\n"
            "usage_1  waiting  5\n"
            "  sub_1  sms-usd  2026-11-22T04:45:30Z  api  billing\n"
            "  not invoiced yet\n"
            "\n"
            "usage_2  in doubt  5\n"
            "  sub_1  sms-usd  2026-11-22T04:45:30Z  api  billing\n"
            "  on invoice inv_1, line inv_1-1\n"
            "  note: Day 1\n");
  EXPECT_FALSE(render_usages(answer)->attention);
}

TEST(RenderUsages, SayWhyOneIsNeverInvoiced) {
  EXPECT_THAT(shown(usage("delivered", "never: late")), HasSubstr("never invoiced: it came too late"));
  EXPECT_THAT(shown(usage("delivered", "never: not active")),
              HasSubstr("never invoiced: its subscription was not active then"));
  EXPECT_THAT(shown(usage("delivered", "something_new")), HasSubstr("something new"));
}

TEST(RenderUsages, SayWhatTheyCostAndWhatWasGivenBack) {
  auto row = usage("delivered", "on arrival");
  EXPECT_THAT(shown(row), Not(AnyOf(HasSubstr("amount"), HasSubstr("credited"))));
  for (const char* name : {"amount", "unit_price", "carry_in", "carry_out", "credited"}) row[name] = nullptr;
  EXPECT_THAT(shown(row), Not(AnyOf(HasSubstr("amount"), HasSubstr("credited"))));
  row["amount"] = "3";
  row["unit_price"] = "0.75";
  row["carry_in"] = "0.25";
  row["carry_out"] = "1";
  row["credited"] = "2.5";
  EXPECT_THAT(shown(row), HasSubstr("  amount 3 = 5 at 0.75 + carry in 0.25 - carry out 1\n"
                                    "  credited: 2.5\n"
                                    "  billed as it arrives\n"));
  row["rounding"] = "up";
  row["counted"] = "5";
  EXPECT_THAT(shown(row), HasSubstr("  3 blocks of 5 counted by up: "));
  row["amount"] = "1";
  EXPECT_THAT(shown(row), HasSubstr("  1 block of 5 counted by up: "));
}

TEST(RenderUsages, SayThatThereAreMoreOrNone) {
  const json::object more{{"usages", {usage("waiting", "open")}}, {"next_offset", "[\"0\",\"1\"]"}};
  EXPECT_THAT(text_of(render_usages(more)), HasSubstr("There are more"));
  EXPECT_THAT(shown(usage("waiting", "open")), Not(HasSubstr("There are more")));
  EXPECT_EQ(text_of(render_usages(json::parse(R"({"usages":[]})"))), "no such usages\n");
}

TEST(RenderUsages, StayWithinTheScreenWithTheLongestAndWorstTexts) {
  auto row = usage("parked", "invoiced");
  for (const auto* name :
       {"id", "subscription_id", "item_price_id", "invoice_id", "line_item_id", "quantity", "note"})
    row["usage"].get_object()[name] = std::string(500, 'x') + "\x1b[2J";
  const auto text = shown(row);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("parked"));
}

TEST(RenderUsages, ConcludeNothingFromAnotherShape) {
  for (const auto* text : {"{}", "[]", R"({"usages":1})", R"({"usages":[1]})"}) {
    EXPECT_FALSE(render_usages(json::parse(text))) << text;
    EXPECT_FALSE(render_invoice(json::parse(text), false)) << text;
    EXPECT_FALSE(render_withdrawn(json::parse(text))) << text;
    EXPECT_FALSE(render_credited(json::parse(text))) << text;
  }
  EXPECT_THAT(text_of(render_usages(json::parse(R"({"usages":[{}]})"))), HasSubstr("-  -  -"));
}

TEST(RenderInvoice, HasItsTermAndItsLinesAndWhatIsNeverBilled) {
  const auto answer = invoice_with(
      {{"from", 1793491200},
       {"lines",
        {{{"item_price_id", "sms-usd"}, {"line_item_id", "inv_1-1"}, {"quantity", "12"}, {"usages", 3}}}},
       {"late", 2},
       {"inactive", 1}});
  EXPECT_EQ(text_of(render_invoice(answer, false)),
            "invoice inv_1: closed\n"
            "  sub_1  all item prices\n"
            "  from 2026-11-01T00:00:00Z  until 2026-12-01T00:00:00Z\n"
            "  LINE     ITEM PRICE  QUANTITY  USAGES\n"
            "  inv_1-1  sms-usd           12       3\n"
            "2 usages came too late for their term and are never invoiced.\n"
            "1 usage is dated when the subscription was not active and is never invoiced.\n");
}

TEST(RenderInvoice, SaysOneAsOne) {
  const auto text = text_of(render_invoice(invoice_with({{"late", 1}, {"inactive", 2}}), false));
  EXPECT_THAT(text, HasSubstr("1 usage came too late for its term and is never invoiced.\n"));
  EXPECT_THAT(text, HasSubstr("2 usages are dated when the subscription was not active and are never"));
}

TEST(RenderInvoice, WithoutUsagesHasNoLines) {
  const auto text = text_of(render_invoice(invoice_with({{"item_price_id", "sms-usd"}}), false));
  EXPECT_EQ(text,
            "invoice inv_1: closed\n"
            "  sub_1  sms-usd\n"
            "  until 2026-12-01T00:00:00Z\n"
            "  no lines\n");
}

TEST(RenderInvoice, SaysThatItsUsagesAreFreeOrStillCome) {
  const auto state = [](const char* name, bool deleted) {
    return text_of(render_invoice(invoice_with({{"state", name}}), deleted));
  };
  EXPECT_THAT(state("open", false),
              HasSubstr("  no lines\nThis is how it stands: usages may still be added"));
  EXPECT_THAT(state("void", false), HasSubstr("invoice inv_1: void\n"));
  EXPECT_THAT(state("void", true), HasSubstr("invoice inv_1: deleted\n"));
  for (const bool deleted : {false, true})
    EXPECT_THAT(state("void", deleted), HasSubstr("on no invoice now"));
}

TEST(RenderWithdrawn, SaysWhatWasGivenUpAndWhatTheUpstreamIsAsked) {
  const auto row = usage("waiting", "open");
  EXPECT_EQ(text_of(render_withdrawn(row)),
            "given up: usage_1, 5 of sms-usd; where the upstream has it and gives it back, it\n"
            "  is deleted there\n");
}

}  // namespace
}  // namespace meterd::ctl
