// The access log as a source: counted and lost are together what was sent, in one transaction, through
// restarts, a full journal and whatever else comes over the socket.
#include "agent/source/access_log/access_log_source.hpp"

#include <boost/asio/co_spawn.hpp>

#include "tests/ingest/wire.hpp"
#include "tests/source/support.hpp"

namespace meterd::source {
namespace {

namespace asio = boost::asio;
using meter::Refusal;
using test::Bench;
using test::BenchOptions;
using test::Peer;
using test::q;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

BenchOptions calls_and_bytes() {
  BenchOptions options;
  options.size_max = 1U << 20;
  options.reserve = 256U << 10;
  options.meters = {test::meter_of("api.call", "calls-usd"), test::meter_of("data.bytes", "data-usd")};
  return options;
}

class AccessLogSourceTest : public ::testing::Test {
 protected:
  AccessLogSourceTest() : bench_(calls_and_bytes()) {
    rule_.socket = directory_ / "access.sock";
    rule_.event = EventName("api.call");
    rule_.subscription_field = "sub";
    rule_.worker_field = "worker";
    rule_.sequence_field = "seq";
  }
  void TearDown() override { end(); }

  void start() {
    auto dependencies = test::dependencies_of(bench_, links_);
    dependencies.take_datagram_socket = [this](const std::string& path) {
      auto socket = test::must(platform::bind_unix_datagram(path, {}, 1 << 20));
      return DatagramSocket{std::move(socket), {&access_, true, {}}};
    };
    source_ = std::make_shared<AccessLogSource>(rule_, dependencies, test::stored_of(bench_, rule_.name()));
    bench_.batcher().set_sources({source_});
    ended_ = false;
    asio::co_spawn(bench_.loop(), source_->run(), [this](const std::exception_ptr&) { ended_ = true; });
    peer_.emplace(Peer::unix_datagram(bench_.loop(), rule_.socket));
    seen_ = 0;
  }
  void end() {
    if (!source_) return;
    source_->stop();
    EXPECT_TRUE(test::run_until(bench_.loop(), [this] { return ended_; }));
    source_.reset();
    bench_.batcher().set_sources({});
  }
  // SIGKILL: what is in memory is gone; what waits in the socket, too.
  void crash() {
    end();
    bench_.restart();
    start();
  }
  void send(const std::string& datagram) {
    peer_->send(datagram);
    ++seen_;
    ASSERT_TRUE(
        test::run_until(bench_.loop(), [this] { return bench_.batcher().stats().datagrams >= seen_; }));
  }
  static std::string message(const std::string& worker, std::uint64_t number,
                             const std::string& subscription = "sub_1") {
    return R"(<190>Nov 21 23:46:41 meterd: {"sub":")" + subscription + R"(","bytes":"20","worker":")" +
           worker + R"(","seq":)" + std::to_string(number) + "}";
  }
  void send_numbers(const std::string& worker, std::initializer_list<std::uint64_t> numbers) {
    for (const auto number : numbers) send(message(worker, number));
  }
  void commit() { test::must(bench_.commit()); }
  // Until only 96 KiB are left; how many records it took.
  int fill() {
    int junk = 0;
    while (test::must(bench_.journal().space()).use.used_bytes + (96U << 10) < bench_.options.size_max)
      put_junk(junk++, std::string(8'000, 'x'));
    return junk;
  }
  void put_junk(int number, const std::string& bytes) {
    Status told = Error{Code::retry, "not told"};
    journal::Operation put = [number, bytes](journal::WriteTransaction& txn) {
      journal::UpstreamState state;
      state.set_last_error(bytes);
      return txn.put_upstream(UpstreamName("junk-" + std::to_string(number)), state);
    };
    bench_.committer().submit(std::move(put), [&](Status status) { told = std::move(status); });
    bench_.settle();
    ASSERT_TRUE(told.ok()) << told.error().message;
  }
  journal::SourceGaps gaps() const { return test::stored_of(bench_, rule_.name()).gaps; }

  struct NoLinks final : platform::Links {
    Result<platform::LinkSample> sample(const std::string&) override { return Error{Code::rejected, "none"}; }
  };
  Bench bench_;
  journal::TempDirectory directory_;
  NoLinks links_;
  ingest::Access access_{ingest::AccessRules{}};
  AccessLogRule rule_;
  std::shared_ptr<AccessLogSource> source_;
  std::optional<Peer> peer_;
  std::uint64_t seen_ = 0;
  bool ended_ = false;
};

TEST_F(AccessLogSourceTest, CountsACallForTheSubscriptionThatItNames) {
  start();
  send(message("w", 1));
  send(message("w", 2, "sub_2"));
  send(message("w", 3));
  commit();
  EXPECT_THAT(bench_.open(), UnorderedElementsAre(Pair(::testing::HasSubstr("sub_1 calls-usd"), "2"),
                                                  Pair(::testing::HasSubstr("sub_2 calls-usd"), "1")));
  EXPECT_EQ(gaps().gaps(), 0U);
  bench_.expect_sound();
}

TEST_F(AccessLogSourceTest, CountsEveryLineOfADatagramThatIsAMessage) {
  start();
  send(message("w", 1) + "\n" + message("w", 2) + "\r\n\nGET / 200\n{\n" + message("w", 3) + "\n");
  commit();
  EXPECT_EQ(bench_.accepted(), q("3"));
  EXPECT_EQ(bench_.refused(Refusal::malformed), 2U);
}

TEST_F(AccessLogSourceTest, TellsWhatWasLostWithWhatWasCounted) {
  start();
  send_numbers("w", {1, 2, 5});
  commit();
  EXPECT_EQ(bench_.accepted(), q("3"));
  ASSERT_EQ(gaps().recent_size(), 1);
  EXPECT_EQ(gaps().lost(), 2U);
  EXPECT_EQ(gaps().recent(0).lost(), 2U);
  EXPECT_EQ(gaps().recent(0).reason(), "messages lost");
  EXPECT_TRUE(gaps().recent(0).trusted());
  EXPECT_EQ(source_->report().gaps.lost(), 2U);
}

TEST_F(AccessLogSourceTest, TellsOfAWindowsLossesAtOnce) {
  start();
  send_numbers("a", {1, 3, 5, 7});
  send_numbers("b", {2});
  commit();
  EXPECT_EQ(gaps().gaps(), 1U);
  EXPECT_EQ(gaps().lost(), 4U);
}

TEST_F(AccessLogSourceTest, TellsBetweenWhenItWasLost) {
  start();
  bench_.at("2027-01-15T10:00:00Z");
  send_numbers("w", {1});
  commit();
  bench_.at("2027-01-15T11:00:00Z");
  send_numbers("w", {5});
  commit();
  ASSERT_EQ(gaps().recent_size(), 1);
  EXPECT_EQ(gaps().recent(0).from_ms(), test::utc("2027-01-15T10:00:00Z").since_epoch.count());
  EXPECT_EQ(gaps().recent(0).until_ms(), test::utc("2027-01-15T11:00:00Z").since_epoch.count());
}

TEST_F(AccessLogSourceTest, TakesBackWhatWasOnlyOvertaken) {
  start();
  send_numbers("w", {1, 3, 2});
  commit();
  EXPECT_EQ(gaps().gaps(), 0U) << "within one window nobody hears of it";
  send_numbers("w", {6});
  commit();
  EXPECT_EQ(gaps().lost(), 2U);
  send_numbers("w", {4});
  commit();
  EXPECT_EQ(gaps().lost(), 1U);
  EXPECT_EQ(bench_.accepted(), q("5"));
}

TEST_F(AccessLogSourceTest, MissesWhatACrashTookFromMemory) {
  start();
  send_numbers("w", {1, 2, 3});
  commit();
  send_numbers("w", {4, 5});
  crash();
  send_numbers("w", {6});
  commit();
  EXPECT_EQ(bench_.accepted(), q("4"));
  EXPECT_EQ(gaps().lost(), 2U);
  bench_.expect_sound();
}

TEST_F(AccessLogSourceTest, MissesWhatWasSentWhileNobodyListened) {
  start();
  send_numbers("w", {1, 2, 3});
  commit();
  crash();
  send_numbers("w", {10});
  commit();
  EXPECT_EQ(gaps().lost(), 6U);
  crash();
  send_numbers("w", {12});
  commit();
  EXPECT_EQ(gaps().lost(), 7U) << "the losses before it are still known";
  EXPECT_EQ(gaps().gaps(), 2U);
  EXPECT_EQ(bench_.accepted(), q("5"));
}

TEST_F(AccessLogSourceTest, DrainsTheSocketWhenItStops) {
  start();
  for (std::uint64_t i = 1; i <= 8; ++i) ASSERT_GT(peer_->try_send(message("w", i)), 0U);
  source_->stop();
  ASSERT_TRUE(test::run_until(bench_.loop(), [this] { return ended_; }));
  commit();
  EXPECT_EQ(bench_.accepted(), q("8"));
  EXPECT_EQ(gaps().lost(), 0U);
}

TEST_F(AccessLogSourceTest, KeepsCountsAndNumbersTogetherThroughARefusedWindow) {
  constexpr std::uint64_t kSubscriptions = 800;  // more than there is room for
  const int junk = fill();
  start();
  for (std::uint64_t i = 1; i <= kSubscriptions; ++i) send(message("w", i, "sub-" + std::to_string(i)));
  send_numbers("w", {kSubscriptions + 2});
  EXPECT_FALSE(bench_.commit().ok());
  EXPECT_THAT(test::stored_of(bench_, rule_.name()).cursors, IsEmpty());
  EXPECT_EQ(gaps().lost(), 0U);
  send_numbers("w", {kSubscriptions + 4});
  for (int i = 0; i < junk; ++i) put_junk(i, "");
  commit();
  commit();
  EXPECT_EQ(bench_.accepted(), Quantity::of(kSubscriptions + 2));
  EXPECT_EQ(gaps().lost(), 2U);
  crash();
  send_numbers("w", {kSubscriptions + 5});
  commit();
  EXPECT_EQ(gaps().lost(), 2U);
  bench_.expect_sound();
}

TEST_F(AccessLogSourceTest, MissesACallThatThereWasNoRoomFor) {
  start();
  send_numbers("w", {1});
  commit();
  bench_.batcher().set_above_watermark(true);
  send(message("w", 2, "sub_new"));
  bench_.batcher().set_above_watermark(false);
  commit();
  EXPECT_EQ(gaps().lost(), 1U) << "though no other message came so far";
  send_numbers("w", {3});
  commit();
  EXPECT_EQ(bench_.refused(Refusal::full), 1U);
  EXPECT_EQ(bench_.accepted(), q("2"));
  EXPECT_EQ(gaps().lost(), 1U);
}

TEST_F(AccessLogSourceTest, DoesNotMissACallThatIsNobodys) {
  start();
  send_numbers("w", {1});
  send(message("w", 2, ""));
  send_numbers("w", {3});
  commit();
  EXPECT_EQ(bench_.refused(Refusal::missing_subscription), 1U);
  EXPECT_EQ(gaps().lost(), 0U);
}

TEST_F(AccessLogSourceTest, RefusesAMessageWithoutItsNumber) {
  start();
  send(R"({"sub":"sub_1"})");
  commit();
  EXPECT_EQ(bench_.refused(Refusal::malformed), 1U);
  EXPECT_EQ(bench_.accepted(), q("0"));
}

TEST_F(AccessLogSourceTest, CountsForEachRuleAndLooksAtTheNumberOnce) {
  CallRule bytes;
  bytes.event = EventName("data.bytes");
  bytes.subscription_field = "sub";
  bytes.quantity_field = "bytes";
  rule_.others = {bytes};
  start();
  send_numbers("w", {1, 2, 4});
  commit();
  EXPECT_THAT(bench_.open(), UnorderedElementsAre(Pair(::testing::HasSubstr("calls-usd"), "3"),
                                                  Pair(::testing::HasSubstr("data-usd"), "60")));
  EXPECT_EQ(gaps().lost(), 1U);
  EXPECT_EQ(source_->report().event, "api.call, data.bytes");
}

TEST_F(AccessLogSourceTest, SaysThatItIsBlindWithoutNumbers) {
  start();
  EXPECT_THAT(source_->report().blind_spots, IsEmpty());
  end();
  rule_.worker_field = rule_.sequence_field = "";
  start();
  EXPECT_EQ(source_->report().blind_spots.size(), 1U);
  send(R"({"sub":"sub_1"})");
  commit();
  EXPECT_EQ(bench_.accepted(), q("1"));
  EXPECT_THAT(test::stored_of(bench_, rule_.name()).cursors, IsEmpty());
}

TEST_F(AccessLogSourceTest, WritesNothingWhileNothingComes) {
  start();
  send_numbers("w", {1});
  commit();
  const auto commits = bench_.commits();
  commit();
  EXPECT_EQ(source_->stored().cursors.size(), 1U);
  EXPECT_LE(bench_.commits(), commits + 1) << "only the one that was asked for";
}

TEST_F(AccessLogSourceTest, NeitherKeepsNorLogsWhatAMessageSays) {
  start();
  send(R"({"sub":"sub_1","path":"/secret","ip":"192.0.2.7","worker":"w","seq":1})");
  send(R"({"sub":"sub_1","path":"/secret","ip":"192.0.2.7","worker":"w","seq":)");
  commit();
  const auto stored = source_->stored().cursors.at(rule_.name()).SerializeAsString();
  for (const char* private_word : {"secret", "192.0.2.7", "sub_1"}) {
    EXPECT_EQ(stored.find(private_word), std::string::npos);
    EXPECT_EQ(bench_.log.times(private_word), 0U);
  }
}

}  // namespace
}  // namespace meterd::source
