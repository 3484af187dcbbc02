#include "agent/api/basic_auth.hpp"

#include <gtest/gtest.h>

#include <string>

namespace meterd::api {
namespace {

// Of RFC 7617's kind: the credentials in base64 were made by another tool.
TEST(BasicAuth, AllowsTheKeyAsTheUserWithAnEmptyPassword) {
  const BasicAuth auth("test_key");
  EXPECT_TRUE(auth.allows("Basic dGVzdF9rZXk6"));
  EXPECT_TRUE(auth.allows("basic  dGVzdF9rZXk6")) << "the scheme's case and spaces do not matter";
}

TEST(BasicAuth, RefusesEverythingElse) {
  const BasicAuth auth("test_key");
  for (const char* given :
       {"", "Basic", "Basic ", "Basic dGVzdF9rZXk=" /* no colon */, "Basic dGVzdF9rZXk6cHc=" /* a password */,
        "Basic dGVzdF9rZXk7", "Basic OnRlc3Rfa2V5" /* as the password */, "Bearer dGVzdF9rZXk6",
        "dGVzdF9rZXk6", "Basic dGVzdF9rZXk6 ", "Basic dgvzdf9rzxk6"})
    EXPECT_FALSE(auth.allows(given)) << given;
}

TEST(BasicAuth, WithoutAKeyAllowsNobody) {
  BasicAuth auth;
  EXPECT_FALSE(auth.has_key());
  EXPECT_FALSE(auth.allows("Basic Og==")) << "an empty user is not an empty key";
  auth.set_key("");
  EXPECT_FALSE(auth.allows("Basic Og=="));
  auth.set_key("test_key");
  EXPECT_TRUE(auth.allows("Basic dGVzdF9rZXk6"));
  auth.set_key("");
  EXPECT_FALSE(auth.allows("Basic dGVzdF9rZXk6"));
}

}  // namespace
}  // namespace meterd::api
