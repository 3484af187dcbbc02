// The built meterctl: reconcile asks on until nothing is held and everything is compared, and tells each
// difference.
#include "tests/ctl/meterctl_test.hpp"

namespace meterd::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class MeterctlReconcile : public MeterctlTest {
 protected:
  static FakeDaemon::Reply answer(const std::string& members) {
    return FakeDaemon::json(
        R"({"upstreams":[{"upstream":"billing","error":"","retry_after_ms":0,"looked_up":2,)"
        R"("delivered":1,"waiting":1,"parked":0,)" +
        members + "}]}");
  }
  static FakeDaemon::Reply reconciled() { return answer(R"("in_doubt":0,"held":false,"more":false)"); }
  static FakeDaemon::Reply compared(const std::string& members, const std::string& differences = "") {
    return FakeDaemon::json(
        R"({"upstream":"billing","run":7,"comparable":true,"subscriptions":1,"usages":50,)"
        R"("forgotten":2,"invoices_noted":3,"differences":[)" +
        differences + "]," + members + "}");
  }
  static FakeDaemon::Reply equal() { return compared(R"("more":false,"error":"","retry_after_ms":0)"); }
  static std::string difference(const std::string& kind, const std::string& id) {
    return R"({"kind":")" + kind + R"(","subscription_id":"sub_1","id":")" + id + R"(","detail":"is so"})";
  }
};

TEST_F(MeterctlReconcile, AsksOnWhileOnlyTimeIsMissingAndAddsUp) {
  const auto done = run({answer(R"("in_doubt":0,"held":true,"more":true)"), reconciled(),
                         compared(R"("more":true,"error":"","retry_after_ms":0)"), equal()},
                        {"reconcile"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  ASSERT_THAT(requests_, SizeIs(4));
  EXPECT_THAT(requests_[0], StartsWith("POST /operator/reconcile HTTP"));
  EXPECT_THAT(requests_[2], StartsWith("POST /operator/compare?upstream=billing HTTP"));
  EXPECT_THAT(requests_[3], StartsWith("POST /operator/compare?upstream=billing&run=7 HTTP"));
  EXPECT_THAT(done.out, HasSubstr("4 looked up: 2 had been billed"));
  EXPECT_THAT(done.out, HasSubstr("compared: 2 subscriptions, 100 usages, 6 invoice ids noted, 4 made by"));
  EXPECT_THAT(done.out, HasSubstr("0 missing upstream, 0 altered or not ours, 0 delivered but not billed"));
}

TEST_F(MeterctlReconcile, IsFourWhileHeldOrInDoubt) {
  auto done = run({answer(R"("in_doubt":0,"held":true,"more":false)")}, {"reconcile", "billing"});
  EXPECT_EQ(done.exit_code, 4);
  EXPECT_THAT(done.out, HasSubstr("STILL HELD"));
  EXPECT_THAT(requests_.at(0), StartsWith("POST /operator/reconcile?upstream=billing HTTP"));
  EXPECT_THAT(requests_, SizeIs(1));  // what is held is not compared
  done = run({answer(R"("in_doubt":1,"held":false,"more":false)"), equal()}, {"reconcile", "--json"});
  EXPECT_EQ(done.exit_code, 4);
  EXPECT_THAT(done.out, HasSubstr(R"("in_doubt":1)"));
}

TEST_F(MeterctlReconcile, IsFourWithADifferenceAndNamesEach) {
  const auto all = difference("missing", "u1") + "," + difference("altered", "u2") + "," +
                   difference("not_billed", "u3") + "," + difference("altered", "u4");
  const auto script = [&] {
    return std::deque<FakeDaemon::Reply>{reconciled(),
                                         compared(R"("more":false,"error":"","retry_after_ms":0)", all)};
  };
  auto done = run(script(), {"reconcile"});
  EXPECT_EQ(done.exit_code, 4);
  EXPECT_THAT(done.out, HasSubstr("1 missing upstream, 2 altered or not ours, 1 delivered but not billed"));
  for (const auto* line : {"missing upstream: u1 of sub_1 is so", "altered or not ours: u2 of sub_1 is so",
                           "delivered but not billed: u3 of sub_1 is so"})
    EXPECT_THAT(done.out, HasSubstr(line));
  done = run(script(), {"reconcile", "--json"});
  EXPECT_EQ(done.exit_code, 4);
  EXPECT_THAT(done.out, AllOf(HasSubstr(R"("missing":1)"), HasSubstr(R"("altered":2)"),
                              HasSubstr(R"("not_billed":1)"), HasSubstr(R"("id":"u3")")));
}

TEST_F(MeterctlReconcile, WaitsForAThrottledUpstreamAndGoesOn) {
  const auto done = run({reconciled(), compared(R"("more":true,"error":"429","retry_after_ms":20)"), equal()},
                        {"reconcile"});
  EXPECT_EQ(done.exit_code, 0) << done.out;
  EXPECT_THAT(done.err, HasSubstr("asked again in 1 s"));
  EXPECT_THAT(done.out, Not(HasSubstr("NOT COMPARED")));
}

TEST_F(MeterctlReconcile, SaysThatItWasNotComparedToItsEnd) {
  const auto done =
      run({reconciled(), compared(R"("more":true,"error":"connect: refused","retry_after_ms":0)")},
          {"reconcile"});
  EXPECT_EQ(done.exit_code, 4);
  EXPECT_THAT(done.out, HasSubstr("NOT COMPARED TO ITS END: connect: refused"));
}

TEST_F(MeterctlReconcile, OfAnUpstreamThatListsNothingSaysNoMore) {
  const auto done = run({reconciled(), FakeDaemon::json(R"({"upstream":"ledger","run":1,"comparable":false,)"
                                                        R"("more":false,"differences":[]})")},
                        {"reconcile"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, Not(HasSubstr("compared")));
}

TEST_F(MeterctlReconcile, ShowsWhatWasReconciledThoughComparingFailed) {
  const auto done =
      run({reconciled(), FakeDaemon::json(R"({"error":{"code":"io","message":"The disk."}})", 500)},
          {"reconcile"});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("The disk."));
  EXPECT_THAT(done.out, HasSubstr("reconciled, nothing is held"));
}

}  // namespace
}  // namespace meterd::test
