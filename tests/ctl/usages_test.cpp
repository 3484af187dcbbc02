// The built meterctl: usages page by page, invoices, statements into a file, and withdrawals.
#include "tests/ctl/meterctl_test.hpp"

namespace meterd::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class MeterctlUsages : public MeterctlTest {
 protected:
  // `count` usages, and where to go on.
  static FakeDaemon::Reply page(int count, const std::string& next) {
    std::string body = R"({"usages":[)";
    for (int i = 0; i < count; ++i)
      body += std::string(i > 0 ? "," : "") + R"({"usage":{"id":"u)" + next + std::to_string(i) +
              R"("},"upstream":"billing","state":"waiting","billing":"open"})";
    return FakeDaemon::json(body + "]" + (next.empty() ? "" : R"(,"next_offset":"[\")" + next + R"(\"]")") +
                            "}");
  }
  static FakeDaemon::Reply refusal() {
    return FakeDaemon::json(R"({"error":{"code":"rejected","message":"It may not be."}})", 409);
  }
  static FakeDaemon::Reply pdf(const std::string& body) {
    return FakeDaemon::bytes(
        "HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 12\r\n\r\n" + body);
  }

  std::string file_ = (directory_ / "inv_1.pdf").string();
};

TEST_F(MeterctlUsages, AreAskedForWithTheApisOwnFilters) {
  const auto done =
      run({page(0, "")}, {"usages", "--subscription", "sub&1", "--item-price", "sms-usd", "--invoice",
                          "inv_1", "--source", "api", "--from", "2026-11-01", "--to", "2026-11-30"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.out, "no such usages\n");
  EXPECT_THAT(requests_.at(0),
              StartsWith("GET /operator/usages?subscription_id%5Bis%5D=sub%261&item_price_id%5Bis%5D=sms-usd&"
                         "invoice_id%5Bis%5D=inv_1&source%5Bis%5D=api&usage_date%5Bafter%5D=1793491199&"
                         "usage_date%5Bbefore%5D=1796083200&limit=100 HTTP"));
}

TEST_F(MeterctlUsages, AreDatedFromTheFirstDayThatThereIs) {
  run({page(0, "")}, {"usages", "--from", "1970-01-01", "--to", "9999-12-31"});
  EXPECT_THAT(requests_.at(0),
              StartsWith("GET /operator/usages?usage_date%5Bbefore%5D=9999999999&limit=100 HTTP"));
}

TEST_F(MeterctlUsages, GoOnUntilThereAreNoMore) {
  const auto done = run({page(100, "7"), page(3, "")}, {"usages", "--limit", "250"});
  EXPECT_THAT(done.out, StartsWith("103 usages\n"));
  EXPECT_THAT(done.out, Not(HasSubstr("There are more")));
  ASSERT_THAT(requests_, SizeIs(2));
  EXPECT_THAT(requests_[0], StartsWith("GET /operator/usages?limit=100 HTTP"));
  EXPECT_THAT(requests_[1], StartsWith("GET /operator/usages?limit=100&offset=%5B%227%22%5D HTTP"));
}

TEST_F(MeterctlUsages, StopAtTheLimitAndSayThatThereAreMore) {
  const auto done = run({page(100, "7"), page(1, "8")}, {"usages", "--limit", "101"});
  EXPECT_THAT(done.out, StartsWith("101 usages\n"));
  EXPECT_THAT(done.out, HasSubstr("There are more"));
  ASSERT_THAT(requests_, SizeIs(2));
  EXPECT_THAT(requests_[1], HasSubstr("?limit=1&offset="));
}

TEST_F(MeterctlUsages, AreOneJsonObjectOfAllPages) {
  auto done = run({page(1, "7"), page(1, "")}, {"usages", "--json"});
  EXPECT_THAT(done.out, StartsWith(R"({"usages":[{"usage":{"id":"u70"},)"));
  EXPECT_THAT(done.out, ::testing::EndsWith(R"("billing":"open"}]})"
                                            "\n"));
  done = run({page(1, "7")}, {"usages", "--limit", "1", "--json"});
  EXPECT_THAT(done.out, HasSubstr(R"("next_offset":"[\"7\"]")"));
}

TEST_F(MeterctlUsages, AreNotShownByHalfIfALaterPageFails) {
  const auto done = run({page(1, "7"), FakeDaemon::hang_up()}, {"usages"});
  EXPECT_EQ(done.exit_code, 3);
  EXPECT_EQ(done.out, "");
}

TEST_F(MeterctlUsages, ThatTheDaemonRefusesAreOne) {
  const std::vector<std::vector<std::string>> verbs{{"usages", "--source", "nobody"},
                                                    {"invoice", "void", "--invoice", "i"},
                                                    {"withdraw", "i", "--reason", "r"},
                                                    {"credit", "i", "--quantity", "1", "--reason", "r"},
                                                    {"statement", file_, "--invoice", "i"}};
  for (const auto& arguments : verbs) {
    const auto done = run({refusal()}, arguments);
    EXPECT_EQ(done.exit_code, 1) << arguments[0];
    EXPECT_EQ(done.err, "meterctl: It may not be. (rejected)\n");
    const auto odd = run({FakeDaemon::json("{}")}, arguments);
    EXPECT_EQ(odd.exit_code, 1) << arguments[0];
    EXPECT_EQ(odd.out, "");
  }
}

TEST_F(MeterctlUsages, WithAWrongCommandLineAskNobody) {
  const std::vector<std::vector<std::string>> wrong{
      {"usages", "--from", "yesterday"},
      {"usages", "--to", "2026-02-30"},
      {"usages", "--limit", "0"},
      {"usages", "--limit", "10001"},
      {"usages", "--subscription", ""},
      {"invoice", "pay", "--invoice", "i"},
      {"invoice", "close", "--subscription", "s", "--until", "2026-11-30"},
      {"invoice", "close", "--invoice", "i", "--until", "2026-11-30"},
      {"invoice", "open", "--invoice", "i", "--subscription", "s"},
      {"invoice", "delete", "--invoice", "i", "--subscription", "s"},
      {"statement", file_},
      {"statement", file_, "--from", "2026-11-01"},
      {"statement", file_, "--to", "2026-11-01"},
      {"statement", file_, "--subscription", "s"},
      {"statement", file_, "--invoice", "i", "--from", "2026-11-01", "--to", "2026-11-30"},
      {"statement", file_, "--invoice", "i", "--subscription", "s"},
      {"withdraw", "i"},
      {"withdraw", "i", "--reason", ""},
      {"credit", "i", "--quantity", "1"},
      {"credit", "i", "--reason", "r"},
      {"credit", "--quantity", "1", "--reason", "r"},
      {"credit", "i", "--quantity", "1", "--reason", "r", "--id", ""}};
  for (const auto& arguments : wrong) {
    EXPECT_EQ(run({}, arguments).exit_code, 2) << ::testing::PrintToString(arguments);
    EXPECT_THAT(requests_, SizeIs(0));
  }
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(MeterctlUsages, AreInvoicedWithWhatWasGiven) {
  const auto closed = FakeDaemon::json(R"({"invoice":{"id":"inv 1","state":"closed","lines":[],"late":1}})");
  auto done = run({closed}, {"invoice", "close", "--invoice", "inv 1", "--subscription", "sub_1",
                             "--item-price", "sms-usd", "--until", "2026-12-01T00:00:00+01:00"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("1 usage came too late"));
  EXPECT_THAT(
      requests_.at(0),
      StartsWith("POST /operator/invoice?verb=close&invoice=inv%201&subscription=sub_1&item_price=sms-usd&"
                 "until=2026-12-01T00%3A00%3A00%2B01%3A00 HTTP"));
  const auto gone = FakeDaemon::json(R"({"invoice":{"id":"inv_1","state":"void"}})");
  done = run({gone}, {"invoice", "delete", "--invoice", "inv_1"});
  EXPECT_THAT(done.out, StartsWith("invoice inv_1: deleted\n"));
  EXPECT_THAT(requests_.at(0), StartsWith("POST /operator/invoice?verb=delete&invoice=inv_1 HTTP"));
}

TEST_F(MeterctlUsages, ArePrintedIntoAFile) {
  auto done = run({pdf("%PDF-1.4 abc")}, {"statement", file_, "--invoice", "inv 1"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("12 bytes"));
  EXPECT_EQ(read(file_), "%PDF-1.4 abc");
  EXPECT_FALSE(std::filesystem::exists(file_ + ".part"));
  EXPECT_THAT(requests_.at(0), StartsWith("GET /operator/statement?invoice=inv%201 HTTP"));
  done = run({pdf("%PDF-1.4 def")}, {"statement", file_, "--from", "2026-11-01", "--to", "2026-11-30",
                                     "--subscription", "sub_1", "--json"});
  EXPECT_EQ(done.out, R"({"file":")" + file_ + R"(","bytes":12})" + "\n");
  EXPECT_EQ(read(file_), "%PDF-1.4 def");
  EXPECT_THAT(requests_.at(0),
              StartsWith("GET /operator/statement?from=2026-11-01&to=2026-11-30&subscription=sub_1 HTTP"));
}

TEST_F(MeterctlUsages, StayInTheOldFileIfTheNewOneIsCutShortOrNoPdf) {
  std::ofstream(file_) << "the last good one";
  EXPECT_EQ(run({pdf("%PDF-1.4 ab")}, {"statement", file_, "--invoice", "i"}).exit_code, 3);
  EXPECT_EQ(run({pdf("<html></html")}, {"statement", file_, "--invoice", "i"}).exit_code, 1);
  EXPECT_EQ(read(file_), "the last good one");
  EXPECT_FALSE(std::filesystem::exists(file_ + ".part"));
}

TEST_F(MeterctlUsages, AreGivenUpWithTheReason) {
  const auto gone = FakeDaemon::json(R"({"usage":{"id":"u_1","quantity":"5","item_price_id":"sms-usd"}})");
  const auto done = run({gone}, {"withdraw", "u_1", "--reason", "wrong SIM & note"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, StartsWith("given up: u_1, 5 of sms-usd"));
  EXPECT_THAT(requests_.at(0),
              StartsWith("POST /operator/withdraw?id=u_1&reason=wrong%20SIM%20%26%20note HTTP"));
}

TEST_F(MeterctlUsages, AreTriedAgainWithAReasonOrNone) {
  const auto waiting = FakeDaemon::json(
      R"({"usage":{"id":"u_1","quantity":"5","item_price_id":"sms-usd"},"state":"waiting"})");
  auto done = run({waiting}, {"retry", "u_1"});
  EXPECT_EQ(done.out, "u_1, 5 of sms-usd: waiting, it is sent again\n");
  EXPECT_THAT(requests_.at(0), StartsWith("POST /operator/retry?id=u_1 HTTP"));
  run({waiting}, {"retry", "u_1", "--reason", "item price added"});
  EXPECT_THAT(requests_.at(0), StartsWith("POST /operator/retry?id=u_1&reason=item%20price%20added HTTP"));
  EXPECT_EQ(run({}, {"retry", "u_1", "--reason", ""}).exit_code, 2);
}

TEST_F(MeterctlUsages, AreCreditedWithTheReasonAndAnIdOfOnesOwn) {
  const auto given = FakeDaemon::json(
      R"({"usage":{"id":"c_1","quantity":"-2.5","item_price_id":"sms","note":"credit of u_1: x"},"state":"waiting"})");
  auto done = run({given}, {"credit", "u_1", "--quantity", "2.5", "--reason", "twice & more", "--id", "c/1"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.out, "c_1, -2.5 of sms: waiting; credit of u_1: x\n");
  EXPECT_THAT(
      requests_.at(0),
      StartsWith("POST /operator/credit?of=u_1&quantity=2.5&reason=twice%20%26%20more&id=c%2F1 HTTP"));
  done = run({given}, {"credit", "u_1", "--quantity", "2.5", "--reason", "r"});
  EXPECT_THAT(requests_.at(0), StartsWith("POST /operator/credit?of=u_1&quantity=2.5&reason=r HTTP"));
}

TEST_F(MeterctlUsages, AndEveryVerbHaveAHelpOfTheScreensWidth) {
  for (const auto* verb : {"usages", "invoice", "statement", "withdraw", "credit", "status"}) {
    const auto done = run({}, {verb, "--help"});
    EXPECT_EQ(done.exit_code, 0);
    for (std::size_t from = 0, end = 0; from < done.out.size(); from = end + 1) {
      end = std::min(done.out.find('\n', from), done.out.size());
      EXPECT_LE(end - from, 80U) << done.out.substr(from, end - from);
    }
  }
}

}  // namespace
}  // namespace meterd::test
