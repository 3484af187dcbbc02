// Memory whose names are damaged or gone: what its app still knows is counted, the rest is shown.
#include "tests/source/shared_counters_fixture.hpp"

namespace meterd::source {
namespace {

TEST_F(SharedCountersTest, AsksAnAppAgainWhatItCountsWhereTheNamesAreDamaged) {
  App app(clients(), kUser);
  app.hello();
  auto* counter = app.counter("sms.sent", "sub_1");
  auto* other = app.counter("sms.sent", "sub_2");
  const auto id = app.memory.begin()->first;
  counter->fetch_add(3);
  other->fetch_add(1);
  interval();
  const auto names = directory_ / "counters/" + platform::text_of(id) + ".names";
  for (const std::size_t at : {kRecordBytes + 10, std::size_t{5}}) {  // a slot's name, then the head
    auto bytes = journal::file_bytes(names);
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    journal::write_file(names, bytes);
    counter->fetch_add(4);
    restart();
    EXPECT_EQ(bench_.log.times("event=counter_names_damaged"), at == 5 ? 2U : 1U);
    interval();
    app.connect_again(clients());
    EXPECT_EQ(app.hello().code, static_cast<std::uint32_t>(ESTALE));
    app.client = {};
    app.hello();
    EXPECT_EQ(app.hand_back(id).kind, METERD_WELCOME);
    EXPECT_EQ(app.name(id, 0, {"sms.sent", "sub_1"}).kind, METERD_SLOT);
    EXPECT_EQ(app.name(id, 1, {"sms.sent", "sub_2"}).kind, METERD_SLOT);
    interval();
    interval();
  }
  EXPECT_EQ(counted(), "11");
  EXPECT_EQ(counted("sub_2"), "1");
  EXPECT_EQ(reasons(), "");
}

TEST_F(SharedCountersTest, DropsMemoryWhoseNamesAreGone) {
  auto app = std::make_unique<App>(clients(), kUser);
  app->hello();
  app->counter("sms.sent", "sub_1")->fetch_add(3);
  interval();
  const auto id = app->memory.begin()->first;
  std::filesystem::remove(directory_ / "counters/" + platform::text_of(id) + ".names");
  restart();
  app->begin_anew(clients());
  EXPECT_EQ(app->hand_back(id).kind, METERD_WELCOME);
  EXPECT_EQ(app->name(id, 0, {"sms.sent", "sub_1"}).kind, METERD_SLOT) << "the app knows them";
  app->counter("sms.sent", "sub_1")->fetch_add(4);
  app.reset();
  look();
  for (int i = 0; i < 3; ++i) interval();
  EXPECT_EQ(counted(), "7");
  EXPECT_EQ(reasons(), "");
  EXPECT_EQ(files(), 0U);
  EXPECT_EQ(cursors(), 0U);
}

TEST_F(SharedCountersTest, ShowsWhatIsInMemoryThatNobodyNamed) {
  auto app = std::make_unique<App>(clients(), kUser);
  app->hello();
  app->counter("sms.sent", "sub_1")->fetch_add(3);
  std::filesystem::remove(directory_ / "counters/" + platform::text_of(app->memory.begin()->first) +
                          ".names");
  app.reset();
  restart();  // nothing was committed
  look();
  for (int i = 0; i < 3; ++i) interval();
  EXPECT_EQ(reasons(), "how far an app's counter was counted is not known any more: counters of user 0: 3\n");
  EXPECT_EQ(files(), 0U);
  EXPECT_EQ(cursors(), 0U);
}

TEST_F(SharedCountersTest, ShowsWhatCannotBeReadOfAnAppThatEnded) {
  auto app = std::make_unique<App>(clients(), kUser);
  app->hello();
  app->counter("sms.sent", "sub_1")->fetch_add(3);
  const auto names = directory_ / "counters/" + platform::text_of(app->memory.begin()->first) + ".names";
  auto bytes = journal::file_bytes(names);
  bytes[kRecordBytes + 10] = static_cast<char>(bytes[kRecordBytes + 10] ^ 1);
  journal::write_file(names, bytes);
  app.reset();
  restart();
  look();
  for (int i = 0; i < 3; ++i) interval();
  EXPECT_EQ(reasons(), "what an app counted cannot be read: counters of user 1001: 3\n");
  EXPECT_EQ(files(), 0U);
}

}  // namespace
}  // namespace meterd::source
