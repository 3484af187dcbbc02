// The source on a batcher and a journal: counts and record in one transaction, what is refused, and what it
// says of itself.
#include "agent/source/modem/modem_source.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "tests/source/support.hpp"

namespace meterd::source {
namespace {

using platform::MessageState;
using platform::ModemMessage;
using platform::PduType;
using test::Bench;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

class FakeModemMessages final : public platform::ModemMessages {
 public:
  platform::ModemWatcher** watcher = nullptr;
  int* listings = nullptr;
  boost::asio::awaitable<void> watch(platform::ModemWatcher& told) override {
    *watcher = &told;
    co_return;
  }
  void list_again() override { ++*listings; }
  void stop() override {}
};

ModemMessage sent(int number, std::string text = "hello") {
  return {"/org/freedesktop/ModemManager1/SMS/" + std::to_string(number),
          "490154203237518",
          MessageState::sent,
          PduType::submit,
          1,
          "+15550100",
          "",
          std::move(text),
          ""};
}

class ModemSourceTest : public ::testing::Test {
 protected:
  ModemSourceTest() { attach(); }
  void attach() {
    auto dependencies = test::dependencies_of(bench_, links_);
    dependencies.make_modem_messages = [this](const std::string& only) {
      only_ = only;
      auto made = std::make_unique<FakeModemMessages>();
      made->watcher = &watcher_;
      made->listings = &listings_;
      return made;
    };
    source_ = std::make_shared<ModemSource>(rule_, dependencies, test::stored_of(bench_, rule_.name()));
    bench_.batcher().set_sources({source_});
    boost::asio::co_spawn(bench_.loop(), source_->run(), boost::asio::detached);
    bench_.settle();
  }
  void begin() {
    watcher_->run_began("run-1");
    watcher_->listing({});
    watcher_->listed({{"490154203237518", true}});
  }
  void interval() { bench_.advance(Milliseconds(10'000)); }

  class NoLinks final : public platform::Links {
    Result<platform::LinkSample> sample(const std::string&) override { return Error{Code::rejected, "none"}; }
  };
  ModemRule rule_{EventName("sms.sent"), SubscriptionId("sub_1"), "sent", {}};
  NoLinks links_;
  Bench bench_;
  std::string only_;
  platform::ModemWatcher* watcher_ = nullptr;
  int listings_ = 0;
  std::shared_ptr<ModemSource> source_;
};

TEST_F(ModemSourceTest, CountsSegments) {
  begin();
  watcher_->seen(sent(0));
  watcher_->seen(sent(1, std::string(307, 'a')));
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "4")));
  bench_.expect_sound();
}

TEST_F(ModemSourceTest, StoresItsRecordInTheTransactionOfItsCounts) {
  begin();
  watcher_->seen(sent(0));
  interval();
  watcher_->seen(sent(1, "not committed"));
  bench_.restart();
  attach();
  watcher_->run_began("run-1");
  watcher_->listing({sent(0).path, sent(1).path});
  watcher_->seen(sent(0));
  watcher_->seen(sent(1, "not committed"));
  watcher_->listed({{"490154203237518", true}});
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "2")));
}

TEST_F(ModemSourceTest, KeepsItsStartingPointThroughARestart) {
  begin();
  interval();
  bench_.restart();
  attach();
  watcher_->run_began("run-1");
  watcher_->seen(sent(0));
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "1")));
}

TEST_F(ModemSourceTest, KeepsWhatNoMeterTakesUntilOneDoes) {
  rule_.event = EventName("sms.other");
  attach();
  begin();
  watcher_->seen(sent(0));
  watcher_->deleted(sent(0).path);
  interval();
  EXPECT_THAT(bench_.open(), IsEmpty());
  bench_.options.meters.push_back(test::meter_of("sms.other", "other-usd"));
  bench_.restart();
  attach();
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 other-usd", "1")));
}

TEST_F(ModemSourceTest, IsNotRefusedAboveTheWatermark) {
  begin();
  bench_.batcher().set_above_watermark(true);
  bench_.batcher().limit_places(0);
  watcher_->seen(sent(0));
  interval();
  EXPECT_THAT(bench_.open(), ElementsAre(Pair("2027-01-15 sub_1 sms-usd", "1")));
}

TEST_F(ModemSourceTest, WritesNothingWhenNothingIsNew) {
  begin();
  watcher_->seen(sent(0));
  interval();
  const auto before = bench_.commits();
  for (int i = 0; i < 10; ++i) {
    watcher_->seen(sent(0));
    watcher_->listing({sent(0).path});
    watcher_->listed({{"490154203237518", true}});
    interval();
  }
  EXPECT_EQ(bench_.commits(), before);
}

TEST_F(ModemSourceTest, AsksForAListingWhenItCannotTellTwoMessagesApart) {
  begin();
  watcher_->seen(sent(0));
  EXPECT_EQ(listings_, 0);
  watcher_->seen(sent(1));
  EXPECT_EQ(listings_, 1);
}

TEST_F(ModemSourceTest, RecordsWhatCouldNotBeRead) {
  begin();
  watcher_->missed(false);
  watcher_->missed(true);  // a received one, which is not counted here
  interval();
  const auto gaps = source_->report().gaps;
  ASSERT_EQ(gaps.gaps(), 1U);
  EXPECT_THAT(gaps.recent(0).reason(), HasSubstr("may have been sent"));
  EXPECT_EQ(test::stored_of(bench_, rule_.name()).gaps.gaps(), 1U);

  rule_.direction = "received";
  attach();
  begin();
  watcher_->missed(true);
  interval();
  EXPECT_EQ(source_->report().gaps.lost(), 1U);
}

TEST_F(ModemSourceTest, SaysOnceWhyItCountsNothing) {
  EXPECT_THAT(source_->report().trouble, HasSubstr("not answered"));
  for (int i = 0; i < 3; ++i) watcher_->no_bus("Connection refused");
  EXPECT_THAT(source_->report().trouble, HasSubstr("bus cannot be reached"));
  for (int i = 0; i < 3; ++i) watcher_->no_manager();
  EXPECT_THAT(source_->report().trouble, HasSubstr("ModemManager is not running"));
  watcher_->run_began("run-1");
  watcher_->listed({});
  EXPECT_THAT(source_->report().trouble, HasSubstr("no modem"));
  watcher_->listed({{"490154203237518", false}});
  EXPECT_THAT(source_->report().trouble, HasSubstr("not enabled"));
  EXPECT_THAT(source_->report().advice, Not(IsEmpty()));
  watcher_->listed({{"490154203237518", true}});
  EXPECT_THAT(source_->report().trouble, IsEmpty());
  EXPECT_EQ(bench_.log.times("event=messages_unreadable"), 4U);
  EXPECT_EQ(bench_.log.times("event=messages_readable"), 1U);
  EXPECT_THAT(bench_.log.text, Not(HasSubstr("490154203237518")));
}

TEST_F(ModemSourceTest, AsksForItsModemOnly) {
  rule_.modem = "490154203237518";
  attach();
  EXPECT_EQ(only_, "490154203237518");
}

// The name is stored, logged and shown. Another digest would be another source: what it knew would be
// forgotten.
TEST(ModemRuleName, TellsModemsApartWithoutNamingThem) {
  const auto name_of = [](const char* modem) {
    return ModemRule{EventName("sms.sent"), SubscriptionId("sub_1"), "sent", modem}.name();
  };
  EXPECT_EQ(name_of(""), "modem-manager:sms.sent:sent");
  EXPECT_EQ(name_of("490154203237518"), "modem-manager:sms.sent:sent:modem-c635bd");
  EXPECT_NE(name_of("490154203237518"), name_of("490154203237526"));
}

TEST_F(ModemSourceTest, DoesWithoutABusInTheSimulator) {
  ModemSource source(rule_, test::dependencies_of(bench_, links_), {});
  boost::asio::co_spawn(bench_.loop(), source.run(), boost::asio::detached);
  bench_.settle();
  EXPECT_THAT(source.report().trouble, HasSubstr("bus"));
  source.stop();
}

}  // namespace
}  // namespace meterd::source
