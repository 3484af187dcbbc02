#include "agent/app/config_values.hpp"

#include <gtest/gtest.h>

#include "agent/app/config_toml.hpp"
#include "agent/base/limits.hpp"

namespace meterd::app {
namespace {

std::int64_t milliseconds(const char* text) {
  const auto duration = parse_duration(text);
  return duration ? duration->count() : -1;
}

TEST(ConfigDuration, HasOneNumberAndOneUnit) {
  EXPECT_EQ(milliseconds("250ms"), 250);
  EXPECT_EQ(milliseconds("10s"), 10'000);
  EXPECT_EQ(milliseconds("5m"), 300'000);
  EXPECT_EQ(milliseconds("30m"), 1'800'000);
  EXPECT_EQ(milliseconds("1h"), 3'600'000);
  EXPECT_EQ(milliseconds("1d"), 86'400'000);
  EXPECT_EQ(milliseconds("400d"), 34'560'000'000);
  EXPECT_EQ(milliseconds("10y"), 315'360'000'000);
  EXPECT_EQ(milliseconds("100y"), 3'153'600'000'000);
  EXPECT_EQ(milliseconds("0s"), 0);
  for (const char* wrong :
       {"", "5", "s", "-5s", "+5s", "5 s", " 5s", "5s ", "1.5s", "1h30m", "5S", "5min", "101y",
        "99999999999999999999s", "9223372036854775807ms", "18446744073709551615ms"})
    EXPECT_EQ(milliseconds(wrong), -1) << wrong;
}

TEST(ConfigDuration, IsWrittenInTheLargestExactUnit) {
  for (const char* text :
       {"0s", "1ms", "1500ms", "10s", "90s", "5m", "90m", "1h", "25h", "1d", "400d", "10y"})
    EXPECT_EQ(duration_text(*parse_duration(text)), text);
  EXPECT_EQ(duration_text(*parse_duration("24h")), "1d");
}

TEST(ConfigSize, IsInBinaryUnits) {
  EXPECT_EQ(*parse_size("64KiB"), 65'536U);
  EXPECT_EQ(*parse_size("64MiB"), 67'108'864U);
  EXPECT_EQ(*parse_size("2GiB"), 2'147'483'648U);
  for (const char* wrong : {"", "64", "64M", "64MB", "MiB", "-1MiB", "1.5MiB", "64 MiB", "99999999999GiB"})
    EXPECT_FALSE(parse_size(wrong)) << wrong;
  for (const char* text : {"0KiB", "1KiB", "1025KiB", "64MiB", "3GiB"})
    EXPECT_EQ(size_text(*parse_size(text)), text);
  EXPECT_EQ(size_text(*parse_size("1024KiB")), "1MiB");
}

TEST(ConfigSize, OfAJournalFitsTheAddressSpace) {
  EXPECT_EQ(limits::map_bytes_max(4), 1ULL << 30);
  EXPECT_GT(limits::map_bytes_max(8), 1ULL << 32);
}

TEST(ConfigUrl, IsSplitIntoItsParts) {
  const auto url = parse_url("https://Acme.Chargebee.com/api/v2/");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "acme.chargebee.com");
  EXPECT_EQ(url->port, "443");
  EXPECT_EQ(url->base_path, "/api/v2");

  const auto local = parse_url("http://[::1]:8480");
  ASSERT_TRUE(local);
  EXPECT_FALSE(local->tls);
  EXPECT_EQ(local->host, "::1");
  EXPECT_EQ(local->port, "8480");
  EXPECT_EQ(local->base_path, "");
}

TEST(ConfigUrl, IsWrittenBackTheSame) {
  for (const char* text : {"https://acme.chargebee.com/api/v2", "http://127.0.0.1:8480",
                           "http://[::1]:8480/a", "https://host:80", "http://host", "https://host/a%20b"})
    EXPECT_EQ(url_text(*parse_url(text)), text);
}

TEST(ConfigUrl, RefusesWhatIsNotOneBase) {
  for (const char* wrong : {"",
                            "acme.com",
                            "ftp://acme.com",
                            "https://",
                            "https:///path",
                            "https://user@acme.com",
                            "https://u:p@acme.com",
                            "https://acme.com?x=1",
                            "https://acme.com/#a",
                            "https://acme.com:0",
                            "https://acme.com:65536",
                            "https://acme.com:",
                            "https://acme.com:4x",
                            "https://a b.com",
                            "https://acme.com/a b",
                            "https://acme.com/%zz",
                            "https://[::1",
                            "https://[acme]",
                            "https://::1",
                            "https://acme.com/\r\nX: y",
                            "https://\xC3\xA4.com"})
    EXPECT_FALSE(parse_url(wrong)) << wrong;
}

TEST(ConfigUrl, DoesNotRepeatAPasswordInItsError) {
  const auto url = parse_url("https://live_secret:@acme.com");
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().message.find("live_secret"), std::string::npos);
}

TEST(ConfigSocket, IsUnixUdpOrTcp) {
  const auto file = parse_socket("unix:/run/meterd/api.sock");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->kind, SocketAddress::Kind::unix_path);
  EXPECT_EQ(file->path, "/run/meterd/api.sock");
  const auto udp = parse_socket("udp:127.0.0.1:8125");
  ASSERT_TRUE(udp);
  EXPECT_EQ(udp->kind, SocketAddress::Kind::udp);
  EXPECT_EQ(udp->host, "127.0.0.1");
  EXPECT_EQ(udp->port, 8125);
  const auto tcp = parse_socket("[::1]:8480");
  ASSERT_TRUE(tcp);
  EXPECT_EQ(tcp->kind, SocketAddress::Kind::tcp);
  EXPECT_EQ(tcp->host, "::1");
  EXPECT_EQ(tcp->port, 8480);
}

TEST(ConfigSocket, RefusesWhatCannotBeBound) {
  for (const char* wrong :
       {"", "unix:", "unix:api.sock", "unix:/", "unix:/run/", "udp:", "8480", ":8480", "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "localhost:8480", "127.1:8480", "::1:8480",
        "[127.0.0.1]:8480", "[::1]", "[::1]8480", "tcp:127.0.0.1:8480"})
    EXPECT_FALSE(parse_socket(wrong)) << wrong;
  EXPECT_TRUE(parse_socket("unix:/" + std::string(106, 'a')));
  EXPECT_FALSE(parse_socket("unix:/" + std::string(107, 'a')));
}

TEST(ConfigSocket, KnowsLoopbackFromTheRest) {
  for (const char* yes : {"127.0.0.1", "127.1.2.3", "::1"}) EXPECT_TRUE(is_loopback_address(yes)) << yes;
  for (const char* no :
       {"0.0.0.0", "::", "10.0.0.1", "127.evil.com", "::2", "::ffff:127.0.0.1", "localhost", ""})
    EXPECT_FALSE(is_loopback_address(no)) << no;
}

TEST(ConfigToml, QuotesEveryStringSoThatItReadsBack) {
  const std::string text = "a\"b\\c\n\t\x01\x7F \xC3\xA4";
  TomlNode root;
  TomlSyntaxError error;
  ASSERT_TRUE(parse_toml("k = " + toml_quote(text), root, error)) << error.message;
  ASSERT_NE(root.find("k"), nullptr);
  EXPECT_EQ(root.find("k")->text, text);
}

TEST(ConfigToml, KnowsTheLineOfEveryKey) {
  TomlNode root;
  TomlSyntaxError error;
  ASSERT_TRUE(parse_toml("[a]\nb = 1\n\n[[c]]\nd = 2\n[[c]]\n\ne = [\n 1,\n 2]\n", root, error))
      << error.message;
  EXPECT_EQ(root.find("a")->find("b")->line, 2);
  const auto& tables = root.find("c")->children;
  ASSERT_EQ(tables.size(), 2U);
  EXPECT_EQ(tables[0].line, 4);
  EXPECT_EQ(tables[0].find("d")->line, 5);
  EXPECT_EQ(tables[1].line, 6);
  EXPECT_EQ(tables[1].find("e")->line, 8);
  EXPECT_EQ(tables[1].find("e")->children[1].line, 10);
}

}  // namespace
}  // namespace meterd::app
