// HTTP values: what an answer's headers say.
#include "agent/upstream/http.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace meterd::upstream {
namespace {

struct RetryAfterCase {
  const char* value;
  const char* date;
  std::optional<std::int64_t> seconds;
};

TEST(HttpResponse, HasTheDateOfTheOtherSide) {
  const auto date_of = [](const char* text) { return HttpResponse{200, {{"date", text}}, ""}.date(); };
  EXPECT_EQ(date_of("Sun, 06 Nov 1994 08:49:37 GMT"), WallTime::from_seconds(784'111'777));
  EXPECT_FALSE(date_of("yesterday").has_value());
  EXPECT_FALSE(HttpResponse{}.date().has_value());
}

TEST(HttpResponse, ReadsRetryAfterInEveryForm) {
  constexpr const char* kDate = "Sun, 06 Nov 1994 08:49:37 GMT";
  const RetryAfterCase cases[] = {
      {"7", "", 7},
      {"0", "", 0},
      {"86400", "", 86'400},
      {"86401", "", 86'400},
      {"99999999999999999999999", "", 86'400},
      {"-5", "", {}},
      {"+5", "", {}},
      {"1.5", "", {}},
      {"soon", "", {}},
      {"", "", {}},
      {"Sun, 06 Nov 1994 08:50:07 GMT", kDate, 30},
      {"Sun, 06 Nov 1994 08:49:37 GMT", kDate, 0},
      {"Mon, 07 Nov 1994 08:49:38 GMT", kDate, 86'400},  // capped
      {"Sat, 31 Dec 9999 23:59:59 GMT", kDate, 86'400},
      {"Sun, 06 Nov 1994 08:49:36 GMT", kDate, {}},  // in the past
      {"Sun, 06 Nov 1994 08:50:07 GMT", "", {}},     // no Date to take it against: our clock may be wrong
      {"Sun, 06 Nov 1994 08:50:07 GMT", "yesterday", {}},
      {"Sun, 31 Feb 1994 08:50:07 GMT", kDate, {}},
      {"Sun, 06 Nov 1994 25:50:07 GMT", kDate, {}},
      {"Sun, 06 Nov 1994 08:50:07 PST", kDate, {}},
      {"Sun, 06 Nox 1994 08:50:07 GMT", kDate, {}},
      {"Sunday, 06-Nov-94 08:50:07 GMT", kDate, {}},  // obsolete form
  };
  for (const auto& c : cases) {
    HttpResponse answer{429, {{"retry-after", c.value}}, ""};
    if (*c.date != '\0') answer.headers.emplace_back("date", c.date);
    const auto wait = answer.retry_after();
    EXPECT_EQ(wait.has_value(), c.seconds.has_value()) << c.value;
    EXPECT_EQ(wait.value_or(Milliseconds(0)), Seconds(c.seconds.value_or(0))) << c.value;
  }
  EXPECT_FALSE((HttpResponse{429, {{"date", kDate}}, ""}).retry_after());
}

TEST(HttpResponse, FindsAHeaderByItsLowerCaseName) {
  const HttpResponse answer{200, {{"a", "1"}, {"b", "2"}, {"a", "3"}}, ""};
  EXPECT_EQ(*answer.header("a"), "1");
  EXPECT_EQ(answer.header("c"), nullptr);
}

TEST(TransportError, MayHaveArrivedFromTheFirstByteOn) {
  using Stage = TransportError::Stage;
  for (const auto stage : {Stage::resolve, Stage::connect, Stage::tls})
    EXPECT_FALSE((TransportError{stage, ""}).may_have_arrived()) << name_of(stage);
  for (const auto stage : {Stage::send, Stage::receive})
    EXPECT_TRUE((TransportError{stage, ""}).may_have_arrived()) << name_of(stage);
}

}  // namespace
}  // namespace meterd::upstream
