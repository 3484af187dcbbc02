// CloudEvents read from JSON: what each attribute may be, and what is said of one that may not.
#include "agent/api/cloud_event.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace meterd::api {
namespace {

using meter::Refusal;
using ::testing::HasSubstr;

std::string event_with(const std::string& members) {
  return R"({"specversion":"1.0","type":"sms.sent","source":"app","id":"e-1")" + members + "}";
}

struct Good {
  std::string body, subscription, quantity, time;
};
class CloudEventGood : public ::testing::TestWithParam<Good> {};

TEST_P(CloudEventGood, IsAnEvent) {
  CloudEventReader reader;
  const auto broken = reader.read_one(GetParam().body);
  ASSERT_FALSE(broken.has_value()) << broken->message;
  ASSERT_EQ(reader.events().size(), 1U) << reader.errors().at(0).message;
  const auto& event = reader.events().at(0);
  EXPECT_EQ(event.view().name, "sms.sent");
  EXPECT_EQ(event.view().producer, "app");
  EXPECT_EQ(event.view().id, "e-1");
  EXPECT_EQ(event.view().subscription, GetParam().subscription);
  EXPECT_EQ(event.view().quantity.text(), GetParam().quantity);
  EXPECT_EQ(event.time ? rfc3339(*event.time) : "", GetParam().time);
}

INSTANTIATE_TEST_SUITE_P(
    Table, CloudEventGood,
    ::testing::Values(
        Good{event_with(""), "", "1", ""}, Good{event_with(R"(,"subscription":"sub_1")"), "sub_1", "1", ""},
        Good{event_with(R"(,"subject":"sub_2")"), "sub_2", "1", ""},
        Good{event_with(R"(,"subject":"sub_2","subscription":"sub_1")"), "sub_1", "1", ""},
        Good{event_with(R"(,"data":{})"), "", "1", ""},
        Good{event_with(R"(,"data":{"quantity":"0.1","unit":"MiB"})"), "", "0.1", ""},
        Good{event_with(R"(,"data":{"quantity":18446744073709551615})"), "", "18446744073709551615", ""},
        Good{event_with(R"(,"data":{"quantity":7})"), "", "7", ""},
        Good{event_with(R"(,"time":"2026-11-22T01:02:03Z")"), "", "1", "2026-11-22T01:02:03Z"},
        Good{event_with(R"(,"time":"2026-11-22T01:02:03.500+01:00")"), "", "1", "2026-11-22T00:02:03Z"},
        Good{event_with(R"(,"datacontenttype":"application/json","extension":5)"), "", "1", ""},
        Good{event_with(R"(,"datacontenttype":"text/plain")"), "", "1", ""},
        Good{
            event_with(R"(,"datacontenttype":"application/vnd.x+json; charset=utf-8","data":{"quantity":2})"),
            "", "2", ""},
        // Only data's own quantity counts, wherever else the name stands.
        Good{event_with(R"(,"quantity":7,"data":{"more":{"quantity":8},"list":[{"quantity":9}]})"), "", "1",
             ""},
        Good{event_with(R"(,"data":{"quantity":"3"},"more":{"quantity":"8"})"), "", "3", ""},
        Good{event_with(R"(,"more":{"a":1,"a":2},"data":{"\u0071uantity":"\u0034"})"), "", "4", ""},
        Good{event_with(R"(,"subject":"s\u00fcb \"1\"")"),
             "s\xc3\xbc"
             "b \"1\"",
             "1", ""},
        Good{event_with(R"(,"data_base64":null)"), "", "1", ""},
        // The JSON format lets an unset attribute be null.
        Good{event_with(R"(,"subject":null,"time":null,"subscription":null,"data":null)"), "", "1", ""}));

struct Bad {
  std::string body;
  Refusal why;
  std::string says;
};
class CloudEventBad : public ::testing::TestWithParam<Bad> {};

TEST_P(CloudEventBad, SaysWhatIsWrong) {
  CloudEventReader reader;
  auto error = reader.read_one(GetParam().body);
  EXPECT_TRUE(reader.events().empty());
  if (!error && !reader.errors().empty()) error = reader.errors().at(0);
  ASSERT_TRUE(error.has_value()) << GetParam().body;
  EXPECT_EQ(name_of(error->refusal), name_of(GetParam().why));
  EXPECT_THAT(error->message, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Table, CloudEventBad,
    ::testing::Values(
        Bad{"", Refusal::malformed, "JSON"}, Bad{"{", Refusal::malformed, "JSON"},
        Bad{std::string(4, '\0'), Refusal::malformed, "JSON"}, Bad{"\xff", Refusal::malformed, "JSON"},
        Bad{std::string(100'000, '['), Refusal::malformed, "JSON"}, Bad{"[]", Refusal::malformed, "object"},
        Bad{"7", Refusal::malformed, "object"}, Bad{"{}", Refusal::malformed, "specversion"},
        Bad{R"({"specversion":"0.3","type":"a","source":"s","id":"1"})", Refusal::malformed, "specversion"},
        Bad{R"({"specversion":1.0,"type":"a","source":"s","id":"1"})", Refusal::malformed, "specversion"},
        Bad{R"({"specversion":"1.0","source":"s","id":"1"})", Refusal::malformed, "type"},
        Bad{R"({"specversion":"1.0","type":"","source":"s","id":"1"})", Refusal::malformed, "type"},
        Bad{R"({"specversion":"1.0","type":"a","source":"s"})", Refusal::malformed, "id and source"},
        Bad{R"({"specversion":"1.0","type":"a","id":"1"})", Refusal::malformed, "id and source"},
        Bad{R"({"specversion":"1.0","type":"a","source":"s","id":1})", Refusal::malformed, "id and source"},
        Bad{event_with(R"(,"subscription":5)"), Refusal::malformed, "subscription"},
        Bad{event_with(R"(,"time":"yesterday")"), Refusal::malformed, "time"},
        Bad{event_with(R"(,"time":1800000000)"), Refusal::malformed, "time"},
        Bad{event_with(R"(,"time":"")"), Refusal::malformed, "time"},
        Bad{event_with(R"(,"id":"e-2")"), Refusal::malformed, "\"id\" once"},
        Bad{event_with(R"(,"\u0069d":"e-2")"), Refusal::malformed, "\"id\" once"},
        Bad{event_with(R"(,"data":{},"data":{"quantity":"5"})"), Refusal::malformed, "\"data\" once"},
        Bad{event_with(R"(,"data":{"quantity":"5","quantity":"6"})"), Refusal::malformed,
            "\"quantity\" once"},
        Bad{event_with(R"(,"subject":null,"subject":"s")"), Refusal::malformed, "\"subject\" once"},
        Bad{event_with(R"(,"data_base64":"eyJxdWFudGl0eSI6NX0=")"), Refusal::malformed, "data_base64"},
        Bad{event_with(R"(,"datacontenttype":"text/plain","data":"5")"), Refusal::malformed,
            "datacontenttype"},
        Bad{event_with(R"(,"datacontenttype":5,"data":{"quantity":"5"})"), Refusal::malformed,
            "datacontenttype"},
        Bad{event_with("") + "x", Refusal::malformed, "JSON"},
        Bad{event_with(",\"x\":\"\xc3(\""), Refusal::malformed, "UTF-8"},
        Bad{event_with(",\"x\":" + std::string(17, '[') + std::string(17, ']')), Refusal::malformed, "deep"},
        Bad{event_with(R"(,"data":{"quantity":-5})"), Refusal::bad_quantity, "string"},
        Bad{event_with(R"(,"data":{"quantity":["5"]})"), Refusal::bad_quantity, "string"},
        Bad{event_with(R"(,"data":"5")"), Refusal::bad_quantity, "string"},
        Bad{event_with(R"(,"data":{"quantity":1)" + std::string(400, '0') + "}"), Refusal::bad_quantity,
            "string"},
        // A fraction is not exact in JSON: it must be a string.
        Bad{event_with(R"(,"data":{"quantity":0.5})"), Refusal::bad_quantity, "string"},
        Bad{event_with(R"(,"data":{"quantity":1e3})"), Refusal::bad_quantity, "string"},
        Bad{event_with(R"(,"data":{"quantity":18446744073709551616})"), Refusal::bad_quantity, "string"},
        Bad{event_with(R"(,"data":{"quantity":""})"), Refusal::bad_quantity, ""},
        Bad{event_with(R"(,"data":{"quantity":"5 "})"), Refusal::bad_quantity, ""},
        Bad{event_with(R"(,"data":{"quantity":true})"), Refusal::bad_quantity, ""},
        Bad{event_with(R"(,"data":{"quantity":null})"), Refusal::bad_quantity, ""},
        Bad{event_with(R"(,"data":[5])"), Refusal::bad_quantity, ""},
        Bad{event_with(R"(,"data":{"quantity":")" + std::string(41, '9') + "\"}"), Refusal::bad_quantity,
            ""}));

TEST(CloudEventReader, KeepsNothingOfWhatItReadBefore) {
  CloudEventReader reader;
  ASSERT_FALSE(reader.read_one(event_with(R"(,"subject":"s","data":{"quantity":"5"})")));
  ASSERT_TRUE(reader.read_one("{")) << "half a body";
  EXPECT_TRUE(reader.events().empty());
  ASSERT_FALSE(reader.read_batch("[" + event_with("") + ",{}]"));
  ASSERT_EQ(reader.events().size(), 1U);
  EXPECT_EQ(reader.events()[0].subscription, "");
  EXPECT_EQ(reader.events()[0].quantity.text(), "1");
  ASSERT_EQ(reader.errors().size(), 1U);
  EXPECT_EQ(reader.errors()[0].position, 1U);
}

TEST(CloudEventReader, KeepsUnescapedStringsOfAWholeBatchApart) {
  CloudEventReader reader;
  std::string batch = "[";
  for (int i = 0; i < 100; ++i)
    batch += std::string(i == 0 ? "" : ",") +
             R"({"specversion":"1.0","type":"sms.sent","source":"\u0061pp","id":"\u0065-)" +
             std::to_string(i) + "\"}";
  ASSERT_FALSE(reader.read_batch(batch + "]"));
  ASSERT_EQ(reader.events().size(), 100U);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(reader.events()[i].id, "e-" + std::to_string(i));
    EXPECT_EQ(reader.events()[i].source, "app");
    EXPECT_EQ(reader.events()[i].position, i);
  }
}

}  // namespace
}  // namespace meterd::api
