// The built meterctl against scripted answers: exit codes, what it sends, what it says when things go wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>

#include "tests/ctl/fake_daemon.hpp"
#include "tests/ctl/program.hpp"

namespace meterd::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kCounted = R"({"counted":1,"duplicates":0,"errors":[]})";
constexpr std::string_view kQuiet =
    R"({"state":"running","counting":{"events":1},"upstreams":[],"attention":[]})";
constexpr std::string_view kNeedy =
    R"({"counting":{},"attention":[{"what":"a usage is parked","do":"see outbox"}]})";

Finished meterctl(const std::string& socket, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {METERD_CTL, "--socket", socket});
  auto finished = run_program(arguments);
  for (const auto* text : {&finished.out, &finished.err})
    for (std::size_t from = 0, end = 0; from < text->size(); from = end + 1) {
      end = std::min(text->find('\n', from), text->size());
      if (arguments.back() != "--json") {
        EXPECT_LE(end - from, 80U) << text->substr(from, end - from);
      }
    }
  return finished;
}

struct Spoken {
  Finished finished;
  std::vector<std::string> requests;
};
Spoken speak(std::deque<FakeDaemon::Reply> script, std::vector<std::string> arguments) {
  FakeDaemon daemon(std::move(script));
  auto finished = meterctl(daemon.socket(), std::move(arguments));
  return {std::move(finished), daemon.requests()};
}

// The value of a string member in a request's body.
std::string member(const std::string& request, const std::string& name) {
  const auto at = request.find("\"" + name + "\":\"");
  if (at == std::string::npos) return {};
  const auto from = at + name.size() + 4;
  return request.substr(from, request.find('"', from) - from);
}

struct Socketless : ::testing::Test {
  std::filesystem::path directory = make_socket_directory();
  std::string path = (directory / "api.sock").string();
  ~Socketless() override { std::filesystem::remove_all(directory); }
};

TEST_F(Socketless, IsThreeAndSaysHowToStartTheDaemon) {
  for (const auto* verb : {"status", "buckets", "outbox", "flush", "verify"}) {
    const auto done = meterctl(path, {verb});
    EXPECT_EQ(done.exit_code, 3) << verb;
    EXPECT_EQ(done.out, "");
    EXPECT_THAT(done.err, StartsWith("meterctl: meterd is not reachable"));
    EXPECT_THAT(done.err, HasSubstr("systemctl start"));
  }
  const auto report = meterctl(path, {"report", "sms.sent"});
  EXPECT_EQ(report.exit_code, 3);
  EXPECT_THAT(report.err, Not(HasSubstr("--id"))) << "nothing was sent: nothing can be counted twice";
}

TEST_F(Socketless, IsThreeForASocketThatNobodyListensOn) {
  ::close(listen_on(path, 1));
  const auto done = meterctl(path, {"status"});
  EXPECT_EQ(done.exit_code, 3);
  EXPECT_THAT(done.err, HasSubstr("nobody"));
}

TEST_F(Socketless, IsThreeAtTheDeadlineWhileTheListenersQueueIsFull) {
  const int listener = listen_on(path, 0);
  std::vector<int> queued;
  for (int fd = connect_now(path); fd >= 0; fd = connect_now(path)) queued.push_back(fd);
  const auto start = std::chrono::steady_clock::now();
  const auto done = meterctl(path, {"status", "--timeout", "200ms"});
  EXPECT_EQ(done.exit_code, 3);
  EXPECT_THAT(done.err, HasSubstr("within 200 ms"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  for (const int fd : queued) ::close(fd);
  ::close(listener);
}

TEST(Meterctl, WaitsForAListenerWhoseQueueIsFullForAMoment) {
  FakeDaemon daemon({FakeDaemon::json(kQuiet)},
                    {.backlog = 0, .opens_after = std::chrono::milliseconds(200)});
  std::vector<int> queued;
  for (int fd = connect_now(daemon.socket()); fd >= 0; fd = connect_now(daemon.socket()))
    queued.push_back(fd);
  EXPECT_FALSE(queued.empty());
  for (const int fd : queued) ::close(fd);  // they stay in the queue until they are accepted
  EXPECT_EQ(connect_now(daemon.socket()), -1) << "the queue must be full for this test";
  EXPECT_EQ(meterctl(daemon.socket(), {"status"}).exit_code, 0);
}

TEST(Meterctl, IsThreeAtTheDeadlineForADaemonThatNeverAnswers) {
  const auto start = std::chrono::steady_clock::now();
  const auto spoken = speak({FakeDaemon::silence()}, {"--timeout", "200ms", "status"});
  EXPECT_EQ(spoken.finished.exit_code, 3);
  EXPECT_THAT(spoken.finished.err, HasSubstr("did not answer within 200 ms"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(Meterctl, IsTwoForAWrongCommandLineAndAsksNobody) {
  const std::vector<std::vector<std::string>> wrong{{},
                                                    {"no-such-verb"},
                                                    {"report"},
                                                    {"status", "--no-such-option"},
                                                    {"status", "outbox"},
                                                    {"report", "sms.sent", "--ack", "perhaps"},
                                                    {"status", "--timeout", "soon"},
                                                    {"status", "--timeout", "0s"},
                                                    {"status", "--timeout", "10"}};
  for (const auto& arguments : wrong) {
    const auto spoken = speak({}, arguments);
    EXPECT_EQ(spoken.finished.exit_code, 2) << ::testing::PrintToString(arguments);
    EXPECT_NE(spoken.finished.err, "");
    EXPECT_TRUE(spoken.requests.empty());
  }
  EXPECT_EQ(meterctl("/" + std::string(200, 'p'), {"status"}).exit_code, 2);
  EXPECT_EQ(meterctl("", {"status"}).exit_code, 2);
}

TEST(Meterctl, NamesTheVerbThatThereIsNotAndSaysHowToListThem) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> said{
      {{"frob", "--quantity", "2"}, "there is no verb frob."},
      {{"help"}, "there is no verb help."},
      {{"--frob"}, "there is no option --frob."},
      {{}, "which verb?"}};
  for (const auto& [arguments, what] : said) {
    const auto done = meterctl("unused", arguments);
    EXPECT_EQ(done.exit_code, 2);
    EXPECT_EQ(done.out, "");
    EXPECT_THAT(done.err, StartsWith("meterctl: " + what + " meterctl --help lists them"));
  }
  EXPECT_THAT(meterctl("unused", {"report"}).err, HasSubstr("EVENT is required"));
}

TEST(Meterctl, PrintsItsHelp) {
  const auto done = meterctl("unused", {"--help"});
  EXPECT_EQ(done.exit_code, 0);
  for (const auto* verb : {"status", "report", "buckets", "outbox", "flush", "verify"}) {
    EXPECT_THAT(done.out, HasSubstr(verb));
    EXPECT_EQ(meterctl("unused", {verb, "--help"}).exit_code, 0);
  }
}

TEST(Meterctl, IsOneForAnAnswerThatIsNoAnswer) {
  const std::vector<FakeDaemon::Reply> garbage{FakeDaemon::bytes("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
                                               FakeDaemon::bytes(std::string(100'000, 'x')),
                                               FakeDaemon::json("<html>log in</html>"),
                                               FakeDaemon::json(""),
                                               FakeDaemon::json("[1,2"),
                                               FakeDaemon::json("{}"),
                                               FakeDaemon::json(std::string(1000, '['))};
  for (const auto& reply : garbage)
    for (const auto* verb : {"status", "buckets", "outbox", "flush", "verify"}) {
      const auto spoken = speak({reply}, {verb});
      EXPECT_EQ(spoken.finished.exit_code, 1) << verb << ": " << reply.bytes.substr(0, 200);
      EXPECT_EQ(spoken.finished.out, "");
      EXPECT_THAT(spoken.finished.err, StartsWith("meterctl: "));
    }
}

TEST(Meterctl, IsThreeForAnAnswerThatBreaksOff) {
  const auto whole = FakeDaemon::json(kQuiet).bytes;
  for (const std::size_t length : {std::size_t{0}, std::size_t{10}, whole.size() - 1}) {
    const auto spoken = speak({FakeDaemon::bytes(whole.substr(0, length))}, {"status"});
    EXPECT_EQ(spoken.finished.exit_code, 3) << length;
    EXPECT_THAT(spoken.finished.err, HasSubstr("closed the connection"));
  }
}

TEST(Meterctl, IsOneWithTheDaemonsReasonForARefusal) {
  const auto spoken = speak(
      {FakeDaemon::json(R"({"error":{"code":"clock_untrusted","message":"Wait for the clock."}})", 409)},
      {"flush"});
  EXPECT_EQ(spoken.finished.exit_code, 1);
  EXPECT_EQ(spoken.finished.err, "meterctl: Wait for the clock. (clock_untrusted)\n");
}

TEST(Meterctl, SaysWhatToDoAboutAFullDisk) {
  const auto spoken =
      speak({FakeDaemon::json(
                R"({"error":{"code":"full","message":"journal commit: No space left on device"}})", 503)},
            {"flush", "--now"});
  EXPECT_EQ(spoken.finished.exit_code, 1);
  EXPECT_THAT(spoken.finished.err,
              StartsWith("meterctl: journal commit: No space left on device (full). Free"));
}

TEST(Meterctl, AsksForWhatTheVerbIsAbout) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> verbs{
      {{"status"}, "GET /status "},
      {{"buckets"}, "GET /operator/buckets "},
      {{"buckets", "--balances"}, "GET /operator/balances "},
      {{"outbox"}, "GET /operator/outbox "},
      {{"flush"}, "POST /operator/flush "},
      {{"flush", "--now"}, "POST /operator/flush?seal=now "},
      {{"date", "3", "--day", "2026-11-22"}, "POST /operator/date?boot=3&day=2026-11-22 "},
      {{"date", "3&seal=now", "--day", "x y"}, "POST /operator/date?boot=none&day=none "},
      {{"audit"}, "GET /operator/audit "},
      {{"verify"}, "GET /operator/verify "}};
  for (const auto& [arguments, line] : verbs) {
    const auto spoken = speak({FakeDaemon::json(kQuiet)}, arguments);
    ASSERT_EQ(spoken.requests.size(), 1U);
    EXPECT_THAT(spoken.requests[0], StartsWith(line));
  }
}

TEST(MeterctlStatus, IsFourIfSomebodyMustLook) {
  EXPECT_EQ(speak({FakeDaemon::json(kQuiet)}, {"status"}).finished.exit_code, 0);
  const auto needy = speak({FakeDaemon::json(kNeedy)}, {"status"}).finished;
  EXPECT_EQ(needy.exit_code, 4);
  EXPECT_THAT(needy.out, HasSubstr("* a usage is parked -> see outbox\n"));
  const auto json = speak({FakeDaemon::json(kNeedy)}, {"status", "--json"}).finished;
  EXPECT_EQ(json.exit_code, 4);
  EXPECT_EQ(json.out, std::string(kNeedy) + "\n");
}

TEST(MeterctlOutbox, IsFourOnlyForParkedAndInDoubt) {
  const auto exit_code = [](const std::string& state) {
    const auto body = R"({"outbox":[{"id":"i","state":")" + state + R"("}]})";
    return speak({FakeDaemon::json(body)}, {"outbox"}).finished.exit_code;
  };
  EXPECT_EQ(exit_code("waiting"), 0);
  EXPECT_EQ(exit_code("in_doubt"), 4);
  EXPECT_EQ(exit_code("parked"), 4);
}

TEST(MeterctlVerify, IsFourIfThereAreProblems) {
  EXPECT_EQ(speak({FakeDaemon::json(R"({"problems":[]})")}, {"verify"}).finished.exit_code, 0);
  EXPECT_EQ(speak({FakeDaemon::json(R"({"problems":["off by 1"]})")}, {"verify"}).finished.exit_code, 4);
}

TEST(MeterctlReport, SendsACloudEvent) {
  const auto spoken = speak({FakeDaemon::json(kCounted)},
                            {"report", "sms.sent", "--subscription", "sub_1", "--quantity", "0.5", "--id",
                             "e\"1", "--time", "2026-11-22T01:02:03Z", "--source", "app"});
  EXPECT_EQ(spoken.finished.exit_code, 0) << spoken.finished.err;
  EXPECT_EQ(spoken.finished.out, "counted\n");
  ASSERT_EQ(spoken.requests.size(), 1U);
  EXPECT_THAT(spoken.requests[0], StartsWith("POST /events?ack=committed HTTP/1.1\r\n"));
  EXPECT_THAT(spoken.requests[0], HasSubstr("Content-Type: application/cloudevents+json\r\n"));
  EXPECT_THAT(spoken.requests[0],
              ::testing::EndsWith(
                  R"({"specversion":"1.0","id":"e\"1","source":"app","type":"sms.sent",)"
                  R"("subscription":"sub_1","time":"2026-11-22T01:02:03Z","data":{"quantity":"0.5"}})"));
}

TEST(MeterctlReport, SaysThatAReceivedEventMayBeLost) {
  const auto spoken = speak({FakeDaemon::json(kCounted)}, {"report", "sms.sent", "--ack", "received"});
  EXPECT_EQ(spoken.finished.out, "counted (received: may be lost within the loss window)\n");
  EXPECT_THAT(spoken.requests.at(0), StartsWith("POST /events?ack=received "));
  EXPECT_THAT(spoken.requests[0], Not(HasSubstr("subscription")));
  EXPECT_EQ(member(spoken.requests[0], "quantity"), "1");
}

TEST(MeterctlReport, IsFineForWhatWasCountedAlready) {
  const auto spoken =
      speak({FakeDaemon::json(R"({"counted":0,"duplicates":1,"errors":[]})")}, {"report", "sms.sent"});
  EXPECT_EQ(spoken.finished.exit_code, 0);
  EXPECT_EQ(spoken.finished.out, "already counted\n");
}

TEST(MeterctlReport, IsOneWithTheReasonForARefusal) {
  const auto answer = FakeDaemon::json(
      R"({"counted":0,"duplicates":0,"errors":[{"position":0,"code":"unknown_event","message":"No [[meter]] has it."}]})",
      400);
  const auto spoken = speak({answer}, {"report", "sms.snet"});
  EXPECT_EQ(spoken.finished.exit_code, 1);
  EXPECT_EQ(spoken.finished.out, "");
  EXPECT_EQ(spoken.finished.err, "meterctl: not counted: No [[meter]] has it. (unknown_event)\n");
}

TEST(MeterctlReport, MakesAnotherIdEachTime) {
  const auto first = speak({FakeDaemon::json(kCounted)}, {"report", "sms.sent"});
  const auto second = speak({FakeDaemon::json(kCounted)}, {"report", "sms.sent"});
  EXPECT_EQ(member(first.requests.at(0), "id").size(), 36U);
  EXPECT_NE(member(first.requests.at(0), "id"), member(second.requests.at(0), "id"));
}

TEST(MeterctlReport, KeepsTheIdWhenItTriesABrokenConnectionOnceMore) {
  const auto spoken = speak({FakeDaemon::hang_up(), FakeDaemon::json(R"({"counted":0,"duplicates":1})")},
                            {"report", "sms.sent", "--json"});
  EXPECT_EQ(spoken.finished.exit_code, 0);
  ASSERT_EQ(spoken.requests.size(), 2U);
  EXPECT_EQ(spoken.requests[0], spoken.requests[1]);
  EXPECT_EQ(spoken.finished.out,
            R"({"counted":0,"duplicates":1,"id":")" + member(spoken.requests[0], "id") + "\"}\n");
}

TEST(MeterctlReport, NamesTheIdWhereItIsOpenWhetherTheEventCounts) {
  const std::vector<std::pair<std::deque<FakeDaemon::Reply>, int>> lost{
      {{FakeDaemon::hang_up(), FakeDaemon::hang_up()}, 3},
      {{FakeDaemon::silence()}, 3},
      {{FakeDaemon::bytes("garbage\r\n\r\n")}, 1},
      {{FakeDaemon::json("{}")}, 1},
      {{FakeDaemon::json(R"({"error":{"code":"retry","message":"The commit failed."}})", 503)}, 1}};
  for (const auto& [script, exit_code] : lost) {
    const auto spoken = speak(script, {"report", "sms.sent", "--timeout", "300ms"});
    EXPECT_EQ(spoken.finished.exit_code, exit_code);
    EXPECT_THAT(spoken.finished.err, HasSubstr("--id")) << "the line may break before the id";
    EXPECT_THAT(spoken.finished.err, HasSubstr(member(spoken.requests.at(0), "id")));
    EXPECT_LE(spoken.requests.size(), 2U) << "once more, not for ever";
  }
}

}  // namespace
}  // namespace meterd::test
