// The document that an upstream prints: its link is followed, to anywhere, without our credentials.
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StatementTest : public CoreTest {
 protected:
  void link(const std::string& url) {
    device.billing.script.push_back(
        json_answer(200, boost::json::serialize(boost::json::object{{"download", {{"download_url", url}}}})));
  }
  void serve(unsigned status, const std::string& body) {
    device.billing.downloads.emplace_back(upstream::HttpResponse{status, {}, body});
  }
  void redirect(const std::string& to) {
    device.billing.downloads.emplace_back(upstream::HttpResponse{302, {{"location", to}}, ""});
  }
  std::string refusal() {
    const auto document = device.statement("inv_1");
    return document ? "a document"
                    : std::string(name_of(document.error().code)) + ": " + document.error().message;
  }
};

TEST_F(StatementTest, IsFetchedWithTheWholeLinkAndWithoutCredentials) {
  link("https://Files.example.test/a/b.pdf?X-Amz-Expires=599&sig=a%2Fb#page=2");
  serve(200, "%PDF-1.7 whole");
  const auto document = device.statement("inv_1");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(*document, "%PDF-1.7 whole");
  EXPECT_THAT(device.billing.fetched,
              ElementsAre("https://files.example.test:443/a/b.pdf?X-Amz-Expires=599&sig=a%2Fb"));
  EXPECT_THAT(device.billing.bodies, ElementsAre("disposition_type=attachment&invoice%5Bid%5D=inv_1"));
}

TEST_F(StatementTest, FollowsAFewRedirects) {
  link("https://a.test");
  redirect("https://b.test:8443/x");
  redirect("/y?z");
  redirect("https://c.test?y=1");
  serve(200, "%PDF-");
  EXPECT_TRUE(device.statement("inv_1").ok());
  EXPECT_THAT(device.billing.fetched, ElementsAre("https://a.test:443/", "https://b.test:8443/x",
                                                  "https://b.test:8443/y?z", "https://c.test:443/?y=1"));
}

TEST_F(StatementTest, GivesUpOnRedirectsWithoutEnd) {
  link("https://a.test/");
  for (int i = 0; i < 5; ++i) redirect("https://a.test/");
  EXPECT_THAT(refusal(), HasSubstr("rejected: the upstream's link leads from one place to the next"));
  EXPECT_EQ(device.billing.fetched.size(), 4U);
}

TEST_F(StatementTest, IsNeverFetchedInPlainTextForAnUpstreamThatIsNot) {
  link("http://a.test/x.pdf");
  EXPECT_THAT(refusal(), HasSubstr("not https"));
  link("https://a.test/");
  redirect("http://a.test/");
  EXPECT_THAT(refusal(), HasSubstr("not https"));
  link("file:///etc/passwd");
  EXPECT_THAT(refusal(), HasSubstr("cannot be followed"));
  EXPECT_THAT(device.billing.fetched, ElementsAre("https://a.test:443/"));
}

TEST_F(StatementTest, WhatIsNoDocumentIsNotGivenOut) {
  link("https://a.test/");
  serve(200, "<html>Sign in</html>");
  EXPECT_THAT(refusal(), HasSubstr("but no PDF"));
  link("https://a.test/");
  serve(403, "<Error>expired</Error>");
  EXPECT_THAT(refusal(), HasSubstr("403"));
  link("https://a.test/");
  device.billing.downloads.emplace_back(
      upstream::TransportError{upstream::TransportError::Stage::tls, "unknown authority"});
  EXPECT_THAT(refusal(), HasSubstr("retry: the document could not be fetched from a.test: tls: unknown"));
}

TEST_F(StatementTest, TheUpstreamsRefusalIsTold) {
  device.billing.script.push_back(vendor_error(404, "resource_not_found"));
  EXPECT_THAT(refusal(), HasSubstr("rejected: the upstream says: 404 resource_not_found"));
  device.billing.script.push_back(vendor_error(429, "api_request_limit_exceeded"));
  EXPECT_THAT(refusal(), HasSubstr("retry: "));
  EXPECT_THAT(device.billing.fetched, IsEmpty());
}

}  // namespace
}  // namespace meterd::testing
