// The doctor's findings and plan as text.
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

json::object finding(std::string_view result, std::string_view what, std::string_view what_to_do) {
  return {{"check", "billing"}, {"result", result}, {"what", what}, {"do", what_to_do}};
}

json::object answer(const json::array& findings) {
  const json::object plan{{"upstream", "billing"},
                          {"item_prices", 2},
                          {"usages_per_day", 192},
                          {"requests_per_day", 192},
                          {"seal_seconds", 900},
                          {"after_interval_seconds", 0},
                          {"lifetime_limit", 5000},
                          {"runs_out", "2026-12-18T00:00:00Z"},
                          {"deadlines", {{{"after_seconds", 1800}, {"what", "the key is forgotten"}}}},
                          {"most_used", {{{"subscription_id", "sub_1"}, {"usages", 3}}}}};
  return {{"findings", findings},
          {"plan", {{"flash_bytes_per_day_max", 176'947'200}, {"upstreams", {plan}}}}};
}

TEST(RenderDoctor, PutsWhatToDoBelowWhatIsWrong) {
  const auto rendered = render_doctor(
      answer({finding("fine", "the key is known", ""), finding("attention", "bad_key: 401", "give a key")}));
  EXPECT_EQ(text_of(rendered),
            "fine       billing: the key is known\n"
            "ATTENTION  billing: bad_key: 401\n"
            "           -> give a key\n"
            "\n"
            "What this configuration comes to:\n"
            "  flash: at most 177 MB a day\n"
            "  billing: for each subscription up to 192 usages in 192 requests a day, 0 s\n"
            "    after each interval of 15 min\n"
            "    after 30 min: the key is forgotten\n"
            "    most used: sub_1, 3 of 5000 usages; at the earliest all by\n"
            "      2026-12-18T00:00:00Z\n");
  EXPECT_TRUE(rendered->attention);
}

TEST(RenderDoctor, IsContentWhereEverythingIsFine) {
  EXPECT_FALSE(render_doctor(answer({finding("fine", "x", "")}))->attention);
}

TEST(RenderDoctor, SaysWhereNothingIsMetered) {
  auto none = answer({finding("fine", "x", "")});
  none["plan"].at("upstreams").at(0).as_object()["item_prices"] = 0;
  EXPECT_THAT(text_of(render_doctor(none)), HasSubstr("  billing: no meter counts for it\n"));
}

TEST(RenderDoctor, FoldsWhatIsLong) {
  const std::string long_text = "word " + std::string(200, 'x') + " word";
  EXPECT_THAT(text_of(render_doctor(answer({finding("attention", long_text, long_text)}))),
              HasSubstr("ATTENTION  billing: word"));
}

TEST(RenderDoctor, ConcludesNothingFromSomethingElse) {
  EXPECT_EQ(render_doctor(json::parse("{}")).error().code, Code::corrupt);
}

}  // namespace
}  // namespace meterd::ctl
