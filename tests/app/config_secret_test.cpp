// Secrets come from files, credentials and the environment, and never leave through a message.
#include <cstdlib>

#include "tests/app/config_fixture.hpp"

namespace meterd::app {
namespace {

constexpr const char* kValue = "live_do-not-show-me";

class ConfigSecret : public ConfigFixture {
 protected:
  static std::string upstream(const std::string& key) {
    return "[[upstream]]\nurl = \"https://acme.chargebee.com\"\nkey = " + key + "\n";
  }
  std::string revealed(const std::string& key) const {
    const auto config = load(upstream(key));
    return config ? config->upstreams.front().key.reveal() : "does not load: " + config.error().message;
  }
};

TEST_F(ConfigSecret, IsReadFromAFileACredentialOrTheEnvironment) {
  const auto file = write("key", kValue);
  EXPECT_EQ(revealed("{ file = \"" + file + "\" }"), kValue);
  pass_credential("chargebee-key", kValue);
  EXPECT_EQ(revealed("{ credential = \"chargebee-key\" }"), kValue);
  setenv("METERD_TEST_KEY", kValue, 1);
  EXPECT_EQ(revealed("{ env = \"METERD_TEST_KEY\" }"), kValue);
  unsetenv("METERD_TEST_KEY");
}

TEST_F(ConfigSecret, LosesOneTrailingNewlineAndNoMore) {
  const auto file = write("key", std::string(kValue) + "\n");
  EXPECT_EQ(revealed("{ file = \"" + file + "\" }"), kValue);
  write("key", std::string(kValue) + "\n\n");
  EXPECT_EQ(
      errors(upstream("{ file = \"" + file + "\" }")),
      "meterd.toml:3: upstream.key: the secret has a character that no key has (a space, a line break, not "
      "ASCII)");
}

TEST_F(ConfigSecret, ThatIsMissingSaysWhatToDo) {
  EXPECT_EQ(
      errors(upstream("{ file = \"" + path("absent") + "\" }")),
      "meterd.toml:3: upstream.key: absent cannot be read: No such file or directory; create it, readable by "
      "the daemon's user only");
  EXPECT_EQ(errors(upstream("{ file = \"key\" }")),
            "meterd.toml:3: upstream.key: a secret's file needs an absolute path");
  EXPECT_EQ(
      errors(upstream("{ credential = \"chargebee-key\" }")),
      "meterd.toml:3: upstream.key: no credentials were passed ($CREDENTIALS_DIRECTORY is not set); start "
      "meterd by a unit with LoadCredential=chargebee-key:PATH, or use { file = ... }");
  EXPECT_EQ(
      errors(upstream("{ env = \"METERD_TEST_ABSENT\" }")),
      "meterd.toml:3: upstream.key: the environment variable METERD_TEST_ABSENT is not set or empty; set it "
      "where meterd is started");
  sources_.credentials_directory = directory_;
  EXPECT_EQ(errors(upstream("{ credential = \"chargebee-key\" }")),
            "meterd.toml:3: upstream.key: chargebee-key cannot be read: No such file or directory; add "
            "LoadCredential=chargebee-key:PATH to the unit");
  EXPECT_EQ(errors(upstream("{ credential = \"../key\" }")),
            "meterd.toml:3: upstream.key: a credential is named without a path");
  EXPECT_NE(errors(upstream("{ file = \"" + write("empty", "\n") + "\" }")).find("the secret is empty"),
            std::string::npos);
  EXPECT_NE(errors(upstream("{ file = \"" + directory_ + "\" }")).find("cannot be read"), std::string::npos);
}

TEST_F(ConfigSecret, ThatEveryoneCanReadIsAWarning) {
  const auto file = write("key", kValue);
  EXPECT_EQ(warnings(upstream("{ file = \"" + file + "\" }")), "");
  std::filesystem::permissions(file, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  EXPECT_EQ(warnings(upstream("{ file = \"" + file + "\" }")),
            "meterd.toml:3: upstream.key: every user of this system can read key; run: chmod o-rwx key\n");
}

TEST_F(ConfigSecret, WrittenIntoTheFileIsRefusedWithoutRepeatingIt) {
  const std::string value = kValue;
  const std::vector<std::string> documents = {
      upstream("\"" + value + "\""),
      upstream("[\"" + value + "\"]"),
      upstream("{ value = \"" + value + "\" }"),
      upstream("{ file = [\"" + value + "\"] }"),
      upstream("{ file = \"/a\", env = \"" + value + "\" }"),
      upstream("{ " + value + " = 1 }"),
      "[api]\nchargebee_key = \"" + value + "\"\n",
      upstream(value),
      upstream("'" + value),
      upstream("{ " + value + " }"),
      "[[upstream]]\nurl = \"https://" + value + ":@acme.chargebee.com\"\n",
      "[[upstream]]\nkind = \"twilio-v1\"\nurl = \"https://a.com\"\ntoken = \"" + value + "\"\n",
      "[api]\ntwilio_account = \"" + value + "\"\n",
      "[api]\npublic_url = \"http://" + value + ":@localhost\"\n",
  };
  for (const auto& document : documents) {
    const auto text = errors(document);
    EXPECT_FALSE(text.empty()) << document;
    EXPECT_EQ(text.find(value), std::string::npos) << text;
  }
}

TEST_F(ConfigSecret, IsNeverInTheDescriptionNorInAnErrorElsewhere) {
  pass_credential("k", kValue);
  const std::string text =
      upstream("{ credential = \"k\" }") + "[api]\nchargebee_key = { credential = \"k\" }\n" +
      "twilio_account = \"AC0123456789abcdef0123456789abcdef\"\n" + "twilio_token = { credential = \"k\" }\n";
  const auto config = load(text);
  ASSERT_TRUE(config) << config.error().message;
  const auto described = describe(*config);
  EXPECT_EQ(described.find(kValue), std::string::npos);
  EXPECT_NE(described.find("\nkey = { credential = \"k\" }\n"), std::string::npos) << described;
  EXPECT_NE(described.find("\nchargebee_key = { credential = \"k\" }\n"), std::string::npos);
  EXPECT_NE(described.find("\ntwilio_token = { credential = \"k\" }\n"), std::string::npos);
  EXPECT_EQ(errors(text + "surprise = 1\n").find(kValue), std::string::npos);
}

}  // namespace
}  // namespace meterd::app
