// The client's TLS against the billing sandbox, with certificates made for the occasion: only a trusted,
// current one for the right host is accepted, and the refusal tells which of these failed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/upstream/chargebee/chargebee.hpp"
#include "tests/upstream/client_run.hpp"

namespace meterd::upstream {
namespace {

using test::ClientRun;
using test::loss_of;
using test::plain_options;
using test::response_of;
using test::Sandbox;
using test::ScriptedServer;
using test::text_of;
using ::testing::HasSubstr;
using Stage = TransportError::Stage;
namespace fs = std::filesystem;

constexpr const char* kOpenssl = METERD_OPENSSL;
constexpr const char* kLongAgo = "20000101000000Z";
constexpr const char* kFarAhead = "21000101000000Z";
const HttpRequest kList{"GET", "/api/v2/usages?subscription_id%5Bis%5D=sub_1", {}, ""};

// A certificate authority in a directory of its own, removed with it.
class Authority {
 public:
  Authority() {
    std::string name = fs::temp_directory_path() / "meterd-tls-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    std::ofstream(path("index"));
    std::ofstream(path("config"))
        << "[ca]\ndefault_ca = test\n[test]\ndatabase = " << path("index") << "\nnew_certs_dir = " << name
        << "\nrand_serial = yes\ndefault_md = sha256\npolicy = any\n"
           "copy_extensions = copy\nunique_subject = no\n[any]\ncommonName = supplied\n";
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             path("authority.key"), "-out", path("authority.pem"), "-subj", "/CN=test authority", "-days",
             "36500"});
  }
  ~Authority() { fs::remove_all(directory_); }
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  std::string path(const std::string& name) const { return directory_ / name; }
  std::string certificates() const { return path("authority.pem"); }

  // Writes NAME.pem and NAME.key for these alternative names.
  void issue(const std::string& name, const std::string& names, const char* from = kLongAgo,
             const char* until = kFarAhead) const {
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             path(name + ".key"), "-out", path(name + ".request"), "-subj", "/CN=" + name, "-addext",
             "subjectAltName=" + names});
    openssl({"ca", "-batch", "-notext", "-config", path("config"), "-cert", certificates(), "-keyfile",
             path("authority.key"), "-in", path(name + ".request"), "-out", path(name + ".pem"), "-startdate",
             from, "-enddate", until});
  }

  // Writes NAME.pem: what this authority's own certificate was before it was renewed with the same name and
  // key.
  void issue_own(const std::string& name, const char* from, const char* until) const {
    openssl({"req", "-new", "-key", path("authority.key"), "-out", path(name + ".request"), "-subj",
             "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE"});
    openssl({"ca", "-selfsign", "-batch", "-notext", "-config", path("config"), "-keyfile",
             path("authority.key"), "-in", path(name + ".request"), "-out", path(name + ".pem"), "-startdate",
             from, "-enddate", until});
  }

 private:
  void openssl(std::vector<std::string> arguments) const {
    // Through a shell for the one thing that the tests do not want to read: openssl's progress.
    std::string command = std::string("exec ") + kOpenssl;
    for (const auto& argument : arguments) command += " '" + argument + "'";
    command += " 2>" + path("log");
    ASSERT_EQ(test::run_process({"/bin/sh", "-c", command}), 0) << "see openssl " << arguments.at(0);
  }

  fs::path directory_;
};

class HttpClientTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    authority_ = std::make_unique<Authority>();
    authority_->issue("right", "DNS:localhost,IP:127.0.0.1");
    authority_->issue("other", "DNS:billing.example,IP:127.0.0.9");
    authority_->issue("expired", "DNS:localhost,IP:127.0.0.1", kLongAgo, "20010101000000Z");
    authority_->issue("later", "DNS:localhost,IP:127.0.0.1", "20390601000000Z", "20410601000000Z");
    authority_->issue("early", "DNS:localhost,IP:127.0.0.1", "20990101000000Z");
  }
  static void TearDownTestSuite() { authority_.reset(); }

  void SetUp() override { trust(authority_->certificates()); }

  static void trust(const std::string& file) {
    ::setenv("SSL_CERT_FILE", file.c_str(), 1);
    ::setenv("SSL_CERT_DIR", "/nonexistent", 1);
  }

  static std::vector<std::string> serving(const std::string& name) {
    return {"--tls-cert", authority_->path(name + ".pem"), "--tls-key", authority_->path(name + ".key")};
  }

  static HttpClientOptions options_for(const std::string& port, const std::string& host) {
    auto options = plain_options(port);
    options.tls = true;
    options.host = host;
    return options;
  }

  static Exchange list_usages(const HttpClientOptions& options) {
    ClientRun run(options);
    return run.exchange(kList);
  }

  // The refusal's text; the request itself must never have left.
  static std::string refusal(const Exchange& exchange) {
    if (loss_of(exchange) == nullptr) return "not refused: " + text_of(exchange);
    EXPECT_EQ(name_of(loss_of(exchange)->stage), "tls");
    EXPECT_FALSE(loss_of(exchange)->may_have_arrived());
    return loss_of(exchange)->detail;
  }

  static std::unique_ptr<Authority> authority_;
};

std::unique_ptr<Authority> HttpClientTls::authority_;

TEST_F(HttpClientTls, AcceptsATrustedCertificateForTheHost) {
  Sandbox sandbox(serving("right"));
  for (const auto* host : {"localhost", "127.0.0.1"}) {
    ClientRun run(options_for(sandbox.port(), host));
    for (int i = 0; i < 3; ++i) {  // the second and third on the kept connection, session tickets or not
      const Exchange exchange = run.exchange(kList);
      ASSERT_NE(response_of(exchange), nullptr) << host << ": " << text_of(exchange);
      EXPECT_EQ(response_of(exchange)->status, 200U);
    }
  }
}

TEST_F(HttpClientTls, KeepsAndReopensItsConnection) {
  Sandbox sandbox([] {
    auto arguments = serving("right");
    arguments.insert(arguments.end(),
                     {"--faults", R"({"script":["ok","ok","reset_after","ok","drop_after"]})"});
    return arguments;
  }());
  const auto api = chargebee::make("/api/v2");
  ClientRun run(options_for(sandbox.port(), "localhost"));
  for (int i = 0; i < 4; ++i) {
    meter::Usage usage;
    usage.id = UsageId("u" + std::to_string(i));
    usage.series = {UpstreamName("billing"), SubscriptionId("s"), ItemPriceId("p")};
    usage.usage_date = 1'601'718'989 + i;
    usage.quantity = Quantity::of(1);
    const Verdict verdict = api->judge_create(usage, run.exchange(api->encode_create(usage)));
    ASSERT_EQ(verdict.outcome, Outcome::accepted) << i << " " << verdict.detail;
    EXPECT_THAT(verdict.receipt, HasSubstr(i < 2 ? "replayed=false" : "replayed=true"));
  }
}

TEST_F(HttpClientTls, RefusesAnAuthorityThatNobodyTrusts) {
  Sandbox sandbox(serving("right"));
  const Authority other;
  trust(other.certificates());
  EXPECT_THAT(refusal(list_usages(options_for(sandbox.port(), "localhost"))), HasSubstr("not trusted"));
  trust("/nonexistent");
  EXPECT_THAT(refusal(list_usages(options_for(sandbox.port(), "localhost"))), HasSubstr("not trusted"));
  trust(authority_->certificates());  // noticed without a restart
  EXPECT_NE(response_of(list_usages(options_for(sandbox.port(), "localhost"))), nullptr);
}

TEST_F(HttpClientTls, RefusesACertificateForAnotherHost) {
  Sandbox sandbox(serving("other"));
  for (const auto* host : {"localhost", "127.0.0.1"})
    EXPECT_THAT(refusal(list_usages(options_for(sandbox.port(), host))), HasSubstr("for another host"))
        << host;
}

TEST_F(HttpClientTls, SaysThatTheClockMayBeWrong) {
  Sandbox expired(serving("expired"));
  EXPECT_THAT(refusal(list_usages(options_for(expired.port(), "localhost"))),
              ::testing::AllOf(HasSubstr("expired"), HasSubstr("clock")));
  Sandbox early(serving("early"));
  EXPECT_THAT(refusal(list_usages(options_for(early.port(), "localhost"))),
              ::testing::AllOf(HasSubstr("not yet valid"), HasSubstr("clock")));
  Sandbox other(serving("other"));
  for (const auto& [sandbox, of_time] : {std::pair(&expired, true), {&early, true}, {&other, false}}) {
    const auto lost = std::get<TransportError>(list_usages(options_for(sandbox->port(), "localhost")));
    EXPECT_EQ(lost.is_of_certificate_time, of_time) << lost.detail;
  }
}

// On a 32-bit machine OpenSSL itself could not: its time_t ends in 2038.
TEST_F(HttpClientTls, JudgesCertificatesByTheClientsClockBeyond2038Too) {
  Sandbox sandbox(serving("later"));
  auto options = options_for(sandbox.port(), "localhost");
  const auto at = [&options](const char* time) {
    const auto wall = parse_rfc3339(time);
    EXPECT_TRUE(wall) << time;
    options.wall = [now = *wall] { return now; };
    return options;
  };
  EXPECT_NE(response_of(list_usages(at("2040-01-01T00:00:00Z"))), nullptr);
  EXPECT_NE(response_of(list_usages(at("2039-06-01T00:00:00Z"))), nullptr);  // its first second and its last
  EXPECT_NE(response_of(list_usages(at("2041-06-01T00:00:00Z"))), nullptr);
  EXPECT_THAT(refusal(list_usages(at("2039-05-31T23:59:59Z"))), HasSubstr("not yet valid"));
  EXPECT_THAT(refusal(list_usages(at("2041-06-01T00:00:01Z"))), HasSubstr("expired"));
  options.wall = {};  // OpenSSL's own
  EXPECT_THAT(refusal(list_usages(options)), HasSubstr("not yet valid"));
}

TEST_F(HttpClientTls, TakesTheAuthorityThatIsValidOfTwoWithOneName) {
  authority_->issue_own("before", kLongAgo, "20010101000000Z");
  const std::string both = authority_->path("both.pem");
  std::ofstream(both) << std::ifstream(authority_->path("before.pem")).rdbuf()
                      << std::ifstream(authority_->certificates()).rdbuf();
  trust(both);
  Sandbox sandbox(serving("right"));
  auto options = options_for(sandbox.port(), "localhost");
  options.wall = [] { return *parse_rfc3339("2030-01-01T00:00:00Z"); };
  EXPECT_NE(response_of(list_usages(options)), nullptr);
  trust(authority_->path("before.pem"));  // alone it is not enough
  EXPECT_THAT(refusal(list_usages(options)), HasSubstr("expired"));
}

TEST_F(HttpClientTls, RefusesAServerWithoutTls) {
  boost::asio::io_context context;
  ScriptedServer plain(context, {}, "HTTP/1.1 400 Bad Request\r\n\r\n");
  const auto client = make_http_client(context.get_executor(), options_for(plain.port(), "127.0.0.1"));
  EXPECT_THAT(refusal(test::run_exchange(context, *client, kList, true)), HasSubstr("not a TLS server"));
}

TEST_F(HttpClientTls, AHandshakeWithoutAnAnswerEndsAtItsDeadline) {
  boost::asio::io_context context;
  ScriptedServer silent(context, {});
  auto options = options_for(silent.port(), "127.0.0.1");
  options.connect_deadline = Milliseconds(200);
  const auto client = make_http_client(context.get_executor(), options);
  EXPECT_EQ(refusal(test::run_exchange(context, *client, kList, true)), "no answer within the deadline");
}

TEST_F(HttpClientTls, RefusesProtocolsOlderThan12) {
  // openssl's own server, held to TLS 1.1 at the lowest security level, where it still speaks it.
  test::ChildProcess server({kOpenssl, "s_server", "-accept", "127.0.0.1:0", "-cert",
                             authority_->path("right.pem"), "-key", authority_->path("right.key"), "-tls1_1",
                             "-cipher", "ALL:@SECLEVEL=0", "-www"});
  std::string line;
  while (line.find("ACCEPT 127.0.0.1:") == std::string::npos) {
    const auto next = server.read_line();
    ASSERT_TRUE(next) << "openssl s_server did not start";
    line = *next;
  }
  const std::string why = refusal(list_usages(options_for(line.substr(line.rfind(':') + 1), "localhost")));
  EXPECT_THAT(why, HasSubstr("version"));
}

}  // namespace
}  // namespace meterd::upstream
