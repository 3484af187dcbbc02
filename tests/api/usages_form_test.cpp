// Parameters and errors of the Usages API: what a form may be, and how a refusal is written.
#include <boost/json.hpp>

#include "agent/api/chargebee/error.hpp"
#include "agent/api/chargebee/form.hpp"
#include "tests/api/usages_fixture.hpp"

namespace meterd::api::chargebee {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Parameters parsed(std::string_view body) {
  Parameters out;
  const auto wrong = read_form(body, out);
  EXPECT_FALSE(wrong.has_value()) << wrong->message;
  return out;
}

std::string refused(std::string_view body) {
  Parameters out;
  const auto wrong = read_form(body, out);
  return wrong ? summary(*wrong) : "taken";
}

TEST(UsagesForm, HasNamesAndValuesInOrder) {
  EXPECT_THAT(parsed(""), IsEmpty());
  EXPECT_THAT(parsed("b=2&a=1"), ElementsAre(Pair("b", "2"), Pair("a", "1")));
  EXPECT_THAT(parsed("a"), ElementsAre(Pair("a", "")));
  EXPECT_THAT(parsed("a=&b=c=d"), ElementsAre(Pair("a", ""), Pair("b", "c=d")));
}

TEST(UsagesForm, DecodesPlusAndPercent) {
  EXPECT_THAT(parsed("note=Day+1+%26+%C3%BCn%C3%AFcode%2b&invoice%5Bid%5D=inv+1"),
              ElementsAre(Pair("note",
                               "Day 1 & \xC3\xBCn\xC3\xAF"
                               "code+"),
                          Pair("invoice[id]", "inv 1")));
}

TEST(UsagesForm, DecodesNamesAsItDoesValues) {
  EXPECT_THAT(parsed("a+b%2b=1"), ElementsAre(Pair("a b+", "1")));
}

TEST(UsagesForm, RefusesWhatIsMalformed) {
  for (const auto* body : {"a=%", "a=%4", "a=%4g", "%zz=1", "a=1&b=%-1"})
    EXPECT_EQ(refused(body), "400 invalid_request") << body;
  for (const auto* body : {"&", "=", "=1", "a=1&&b=2", "&a=1", "a=1&"})
    EXPECT_EQ(refused(body), "400 invalid_request") << body;
}

TEST(UsagesForm, RefusesWhatIsNotUtf8) {
  for (const auto* value : {"%FF", "%C3", "%C0%80", "%ED%A0%80", "%F5%80%80%80", "%E2%82"})
    EXPECT_EQ(refused("a=" + std::string(value)), "400 param_wrong_value a") << value;
  EXPECT_EQ(refused("%FF=1"), "400 invalid_request");
}

TEST(UsagesForm, TakesTabsAndLineEndsButNoOtherControlCharacters) {
  EXPECT_THAT(parsed("a=%09x%0D%0Ay"), ElementsAre(Pair("a", "\tx\r\ny")));
  for (const auto* value : {"%00", "%01", "%08", "%0B", "%1B", "%1F", "%7F"})
    EXPECT_EQ(refused("a=" + std::string(value)), "400 param_wrong_value a") << value;
  for (const auto* name : {"%0A", "a%09", "a%00"})
    EXPECT_EQ(refused(std::string(name) + "=1"), "400 invalid_request") << name;
}

TEST(UsagesForm, RefusesANameThatComesTwice) {
  EXPECT_EQ(refused("a=1&b=2&a=1"), "400 param_wrong_value a");
  EXPECT_EQ(refused("a=1&%61=2"), "400 param_wrong_value a") << "by the decoded name";
  EXPECT_EQ(refused("a=1&A=2"), "taken");
}

TEST(UsagesForm, HasAtMostAHundredParameters) {
  std::string body = "p0=";
  for (std::size_t i = 1; i < kFormParametersMax; ++i) body += "&p" + std::to_string(i) + "=";
  EXPECT_EQ(parsed(body).size(), kFormParametersMax);
  EXPECT_EQ(refused(body + "&q=1"), "400 invalid_request");
}

TEST(UsagesForm, CountsCodePoints) {
  EXPECT_EQ(characters(""), 0U);
  EXPECT_EQ(characters("abc"), 3U);
  EXPECT_EQ(characters("\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80"), 3U);
}

// As curl sends the seed's own sample of a list.
TEST(RequestTarget, TakesRawBracketsInTheQueryOnly) {
  Request request;
  ASSERT_TRUE(read_target("/a?source[in]=[\"api\",\"x\"]&id=\xC3\xA9|{}", request));
  EXPECT_EQ(request.parameter("source[in]"), "[\"api\",\"x\"]");
  EXPECT_EQ(request.parameter("id"), "\xC3\xA9|{}");
  ASSERT_TRUE(read_target("/a%5B?b[is]=[1,%5D&c=[", request));
  EXPECT_EQ(request.path, "/a[");
  EXPECT_THAT(request.query, ElementsAre(Pair("b[is]", "[1,]"), Pair("c", "[")));
  for (const auto* target : {"/a[b]", "/a[?b[is]=1", "/a?b= "})
    EXPECT_FALSE(read_target(target, request)) << target;
}

TEST(UsagesError, IsTheVendorsJson) {
  const auto answer = to_response(wrong_value("invoice[id]", "must \"be\" \xC3\xBC"));
  EXPECT_EQ(answer.status, 400U);
  EXPECT_STREQ(answer.content_type, "application/json");
  EXPECT_EQ(json::parse(answer.body), json::parse(R"({"message":"invoice[id] : must \"be\" ü",
      "type":"invalid_request","api_error_code":"param_wrong_value","param":"invoice[id]",
      "http_status_code":400})"));
  EXPECT_THAT(answer.headers, IsEmpty());
}

TEST(UsagesError, LeavesOutWhatThereIsNot) {
  EXPECT_EQ(
      json::parse(to_response({401, "api_authentication_failed", "no"}).body),
      json::parse(R"({"message":"no","api_error_code":"api_authentication_failed","http_status_code":401})"));
}

TEST(UsagesError, HasTheVendorsTypes) {
  const auto type_of = [](const char* code) {
    const auto value = json::parse(to_response({400, code, "m"}).body);
    const auto* type = value.as_object().if_contains("type");
    return type == nullptr ? std::string("none") : std::string(type->as_string());
  };
  for (const auto* code : {"param_wrong_value", "duplicate_entry", "resource_limit_exhausted",
                           "invalid_request", "resource_not_found", "http_method_not_supported",
                           "invalid_state_for_request", "unable_to_process_request"})
    EXPECT_EQ(type_of(code), "invalid_request") << code;
  for (const auto* code : {"api_request_limit_exceeded", "lock_timeout", "internal_error",
                           "internal_temporary_error", "site_not_ready", "request_blocked"})
    EXPECT_EQ(type_of(code), "operation_failed") << code;
  for (const auto* code : {"api_authentication_failed", "api_authorization_failed", "site_not_found"})
    EXPECT_EQ(type_of(code), "none") << code;
}

TEST(UsagesError, SaysALongNameOnlyInPart) {
  const auto error = wrong_value("x" + times(100, "\xC3\xBC"), "is unknown");
  EXPECT_EQ(error.param, "x" + times(49, "\xC3\xBC") + "...") << "cut between two characters";
  EXPECT_EQ(error.message, error.param + " : is unknown");
  EXPECT_EQ(wrong_value(times(100, "x"), "m").param, times(100, "x"));
}

struct Reshaped {
  unsigned status;
  const char* code;
};
class UsagesReshape : public ::testing::TestWithParam<Reshaped> {};

TEST_P(UsagesReshape, GivesTheVendorsCodeAndKeepsTheStatus) {
  auto own = error_response(GetParam().status, "code", "Say \"this\".");
  own.headers.emplace_back("Retry-After", "5");
  const auto answer = reshape(own);
  EXPECT_EQ(answer.status, GetParam().status);
  EXPECT_THAT(answer.headers, ElementsAre(Pair("Retry-After", "5")));
  const auto value = json::parse(answer.body);
  EXPECT_EQ(value.at("message").as_string(), "Say \"this\".");
  EXPECT_EQ(value.at("api_error_code").as_string(), GetParam().code);
  EXPECT_EQ(value.at("http_status_code").as_int64(), GetParam().status);
  EXPECT_FALSE(value.as_object().contains("error"));
}

INSTANTIATE_TEST_SUITE_P(
    Table, UsagesReshape,
    ::testing::Values(Reshaped{400, "invalid_request"}, Reshaped{401, "api_authentication_failed"},
                      Reshaped{403, "api_authorization_failed"}, Reshaped{404, "resource_not_found"},
                      Reshaped{405, "http_method_not_supported"}, Reshaped{408, "internal_temporary_error"},
                      Reshaped{409, "invalid_state_for_request"}, Reshaped{413, "invalid_request"},
                      Reshaped{415, "invalid_request"}, Reshaped{417, "invalid_request"},
                      Reshaped{421, "request_blocked"}, Reshaped{422, "unable_to_process_request"},
                      Reshaped{429, "api_request_limit_exceeded"}, Reshaped{431, "invalid_request"},
                      Reshaped{500, "internal_error"}, Reshaped{503, "internal_temporary_error"},
                      Reshaped{505, "invalid_request"}));

TEST(UsagesReshape, LeavesWhatIsNoErrorOrTheVendorsAlready) {
  Response fine;
  fine.body = R"({"error":{"code":"c","message":"m"}})";
  EXPECT_EQ(reshape(fine).body, fine.body);
  const auto vendors = to_response({400, "duplicate_entry", "id : is taken", "id"});
  EXPECT_EQ(reshape(vendors).body, vendors.body);
}

TEST(UsagesReshape, KeepsAllow) {
  const ApiError refused{405, "http_method_not_supported", "Use POST.", {}, "POST"};
  EXPECT_THAT(to_response(refused).headers, ElementsAre(Pair("Allow", "POST")));
  auto own = error_response(405, "method_not_allowed", "Use GET.");
  own.headers.emplace_back("Allow", "GET");
  EXPECT_THAT(reshape(own).headers, ElementsAre(Pair("Allow", "GET")));
}

TEST(UsagesReshape, SaysSomethingOfABodyThatIsNotOurs) {
  for (const auto* body : {"", "text", "[]", "{}", R"({"error":5})", R"({"error":{"message":5}})"}) {
    Response answer;
    answer.status = 503;
    answer.body = body;
    const auto value = json::parse(reshape(answer).body);
    EXPECT_FALSE(value.at("message").as_string().empty()) << body;
    EXPECT_EQ(value.at("api_error_code").as_string(), "internal_temporary_error") << body;
  }
}

}  // namespace
}  // namespace meterd::api::chargebee
