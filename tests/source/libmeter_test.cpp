// libmeter against meterd's own sockets: the source that serves counters and the framed socket, in one
// process.
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/thread_pool.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <meter.hpp>
#include <thread>

#include "agent/ingest/framed_server.hpp"
#include "agent/source/shared_counters/shared_counters.hpp"
#include "platform/packets.hpp"
#include "platform/task_group.hpp"
#include "tests/ingest/wire.hpp"
#include "tests/source/libmeter_c.h"
#include "tests/source/support.hpp"

namespace meterd::source {
namespace {

class NoLinks final : public platform::Links {
  Result<platform::LinkSample> sample(const std::string&) override {
    return Error{Code::rejected, "no interface"};
  }
};

class LibmeterTest : public ::testing::Test {
 protected:
  LibmeterTest() { start(); }
  ~LibmeterTest() override { end(); }

  void start() {
    memory_ = platform::make_shared_memory(directory_ / "counters");
    auto dependencies = test::dependencies_of(bench_, links_);
    dependencies.memory = memory_.get();
    dependencies.access = &access_;
    dependencies.listen_packets = [](const std::string& path) {
      return platform::listen_unix_packets(path, {});
    };
    rule_.socket = directory_ / "counters.sock";
    source_ = std::make_shared<SharedCounters>(rule_, dependencies, test::stored_of(bench_, "shared"));
    bench_.batcher().set_sources({source_});
    framed_ = std::make_unique<ingest::FramedServer>(
        ingest::FramedServer::Dependencies{bench_.loop().get_executor(), reader_.get_executor(),
                                           bench_.journal(), bench_.batcher(), bench_.clock(), bench_.log,
                                           access_},
        test::must(platform::listen_unix(directory_ / "ingest.sock", {})));
    tasks_ = std::make_unique<platform::TaskGroup>(bench_.loop().get_executor(), bench_.clock());
    tasks_->spawn(source_->run());
    tasks_->spawn(framed_->run());
    bench_.settle();
  }
  void end() {
    source_->stop();
    framed_->stop();
    framed_->close();
    bench_.advance(Milliseconds(5'000));
    EXPECT_TRUE(test::run_until(bench_.loop(), [this] {
      bench_.advance(Milliseconds(1'000));
      return tasks_->running() == 0;
    }));
    framed_.reset();
    tasks_.reset();
    bench_.batcher().set_sources({});
    source_.reset();
  }
  void restart() {
    end();
    bench_.restart();
    start();
  }
  // What an app does, on a thread of its own; meterd's loop runs meanwhile.
  template <class Call>
  auto app(Call call) {
    auto result = std::async(std::launch::async, std::move(call));
    EXPECT_TRUE(test::run_until(bench_.loop(), [&] {
      bench_.settle();
      return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }));
    return result.get();
  }
  std::string counted() {
    bench_.advance(Milliseconds(10'000));
    const auto open = bench_.open();
    const auto found = open.find("2027-01-15 sub_1 sms-usd");
    return found == open.end() ? "0" : found->second;
  }
  libmeter::Meter make() const { return libmeter::Meter(directory_ / "."); }

  journal::TempDirectory directory_;
  NoLinks links_;
  SharedCountersRule rule_;
  const ingest::Access access_{{}};
  test::Bench bench_;
  boost::asio::thread_pool reader_{1};
  std::unique_ptr<platform::SharedMemory> memory_;
  std::shared_ptr<SharedCounters> source_;
  std::unique_ptr<ingest::FramedServer> framed_;
  std::unique_ptr<platform::TaskGroup> tasks_;
};

struct Refused {
  int code = 0;
  std::string what;
};
template <class Call>
Refused refused(Call call) {
  try {
    call();
    return {};
  } catch (const libmeter::Error& error) {
    return {error.code().value(), error.what()};
  }
}

TEST_F(LibmeterTest, CountsFromCAndFromCpp) {
  auto meter = make();
  const auto counter = app([&] { return meter.counter("sms.sent", "sub_1"); });
  counter.add(5);
  const auto path = directory_ / ".";
  EXPECT_EQ(app([&] { return count_in_c(path.c_str(), "sms.sent", "sub_1", 3); }), 0);
  EXPECT_EQ(counted(), "8");
}

TEST_F(LibmeterTest, CountsFromManyThreadsThatAskForTheSameCounter) {
  auto meter = make();
  app([&] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int k = 0; k < 1'000; ++k) meter.counter("sms.sent", "sub_1").add(1);
      });
    for (auto& thread : threads) thread.join();
    return 0;
  });
  EXPECT_EQ(counted(), "4000");
}

TEST_F(LibmeterTest, GoesOnInTheSameMemoryWhenMeterdIsStartedAgain) {
  auto meter = make();
  const auto counter = app([&] { return meter.counter("sms.sent", "sub_1"); });
  counter.add(5);
  restart();
  counter.add(6);
  app([&] { return meter.counter("sms.sent", "sub_2"); }).add(1);
  app([&] { return meter.counter("sms.sent", "sub_1"); }).add(7);
  EXPECT_EQ(counted(), "18");
}

TEST_F(LibmeterTest, DropsWhatAMeterdThatWasKilledHadOnlyBegunToMakeOrNotWhollyDropped) {
  end();
  const auto made = directory_ / "counters";
  std::filesystem::create_directory(made);
  const auto name = [&](char digit) { return made + "/" + std::string(32, digit); };
  const auto make_file = [](const std::string& path, std::size_t size) {
    std::ofstream(path).close();
    std::filesystem::resize_file(path, size);
  };
  make_file(name('1') + ".names", 0);
  make_file(name('2') + ".names", kNamesBytes);
  make_file(name('3') + ".names", kNamesBytes);
  make_file(name('3'), 0);
  make_file(name('4') + ".names", kNamesBytes);
  make_file(name('4'), METERD_REGION_BYTES);
  make_file(made + "/operators.names", 1);  // nothing of ours
  bench_.restart();
  start();
  std::vector<std::string> left;
  for (const auto& one : std::filesystem::directory_iterator(made)) left.push_back(one.path().filename());
  EXPECT_EQ(left, std::vector<std::string>{"operators.names"});
  EXPECT_EQ(bench_.log.times("event=counter_names_damaged"), 0U) << "a kill is no damage";
}

TEST_F(LibmeterTest, GivesItsMemoryBackToAMeterdThatLostIt) {
  auto meter = make();
  const auto counter = app([&] { return meter.counter("sms.sent", "sub_1"); });
  counter.add(5);
  EXPECT_EQ(counted(), "5");
  source_->stop();  // the last harvest
  EXPECT_EQ(counted(), "5");
  counter.add(6);
  std::filesystem::remove_all(directory_ / "counters");
  restart();
  counter.add(7);
  app([&] { return meter.counter("sms.sent", "sub_2"); }).add(1);
  EXPECT_EQ(counted(), "18");
}

// Memory that was given back is kept by its app alone; what the app was given since is found by the next
// meterd, which therefore knows the app, and not all that it has.
TEST_F(LibmeterTest, GivesBackAlsoTheMemoryThatMeterdDoesNotMiss) {
  auto meter = make();
  const auto counter = app([&] { return meter.counter("sms.sent", "sub_1"); });
  counter.add(5);
  EXPECT_EQ(counted(), "5");
  std::filesystem::remove_all(directory_ / "counters");
  restart();
  app([&] { return meter.counter("sms.sent", "sub_2"); }).add(1);
  EXPECT_EQ(counted(), "5");
  restart();
  counter.add(6);
  app([&] { return meter.counter("sms.sent", "sub_3"); }).add(1);
  EXPECT_EQ(counted(), "11");
}

TEST_F(LibmeterTest, SaysOnceThatCountersWereNotTakenBack) {
  auto meter = make();
  const auto name_of = [](int i) { return "sub_" + std::to_string(i); };
  const auto first = app([&] { return meter.counter("sms.sent", "sub_1"); });
  const auto last = app([&] {
    for (int i = 2; i <= 2'048; ++i) meter.counter("sms.sent", name_of(i));
    return meter.counter("sms.sent", name_of(2'049));
  });
  first.add(5);
  last.add(6);
  EXPECT_EQ(counted(), "5");
  source_->stop();  // the last harvest
  counted();
  std::filesystem::remove_all(directory_ / "counters");
  rule_.counters_per_user = 1'000;
  rule_.clients_per_user = 1;
  restart();
  first.add(1);
  last.add(1);
  const auto ask = [&](int i) {
    return app([&] { return refused([&] { meter.counter("sms.sent", name_of(i)); }); });
  };
  const auto told = ask(0);
  EXPECT_EQ(told.code, ESTALE);
  EXPECT_THAT(told.what, ::testing::HasSubstr("counters_per_user"));
  EXPECT_EQ(ask(2'049).code, 0) << "once";
  EXPECT_EQ(ask(1).code, ENOSPC) << "that counter is none any more";
  counted();
  const auto& gaps = source_->report().gaps;
  EXPECT_EQ(gaps.gaps(), 1U);
  EXPECT_THAT(gaps.recent(0).reason(), ::testing::HasSubstr("was refused"));
  EXPECT_EQ(gaps.recent(0).lost_max(), "1") << "of one of the three regions";
}

TEST_F(LibmeterTest, CountsWhatTheChildOfAForkAdds) {
  auto meter = make();
  const auto counter = app([&] { return meter.counter("sms.sent", "sub_1"); });
  counter.add(1);
  const auto status = app([&] {
    const pid_t child = fork();
    if (child == 0) {
      counter.add(2);
      meter_t* own = meter_open((directory_ / ".").c_str());  // and one of its own
      meter_counter_t* another = meter_counter(own, "sms.sent", "sub_1");
      if (another != nullptr) meter_add(another, 4);
      meter.counter("sms.sent", "sub_2").add(8);  // over a connection of its own
      _exit(another != nullptr ? 0 : 1);
    }
    int ended = 0;
    waitpid(child, &ended, 0);
    return ended;
  });
  EXPECT_EQ(status, 0);
  app([&] { return meter.counter("sms.sent", "sub_3"); }).add(1);
  EXPECT_EQ(counted(), "7");
  EXPECT_EQ(bench_.open()["2027-01-15 sub_2 sms-usd"], "8");
}

TEST_F(LibmeterTest, SaysWhatToDoWhenACounterIsRefused) {
  auto meter = make();
  const auto ask = [&](const std::string& event, const std::string& subscription) {
    return app([&] { return refused([&] { meter.counter(event, subscription); }); });
  };
  EXPECT_EQ(ask("no.such", "sub_1").code, ENOENT);
  EXPECT_THAT(ask("no.such", "sub_1").what, ::testing::HasSubstr("[[meter]]"));
  EXPECT_EQ(ask("sms.sent", "").code, EINVAL);
  EXPECT_EQ(ask("", "sub_1").code, EINVAL);
  EXPECT_EQ(ask(std::string(101, 'a'), "sub_1").code, EINVAL);
  libmeter::Meter nobody(directory_ / "nothing");
  EXPECT_EQ(refused([&] { nobody.counter("sms.sent", "sub_1"); }).code, ECONNREFUSED);
  EXPECT_EQ(refused([&] { libmeter::Meter far(std::string(200, 'a')); }).code, ENAMETOOLONG);
}

TEST_F(LibmeterTest, IsToldWhyItMayNotConnect) {
  end();
  rule_.clients_per_user = 1;
  start();
  auto one = make();
  app([&] { return one.counter("sms.sent", "sub_1"); });
  auto another = make();
  const auto told = app([&] { return refused([&] { another.counter("sms.sent", "sub_1"); }); });
  EXPECT_EQ(told.code, ENOSPC);
  EXPECT_THAT(told.what, ::testing::HasSubstr("counter_clients_per_user"));
}

meter_event event_of(const char* event) {
  meter_event out;
  std::memset(&out, 0, sizeof out);
  out.event = event;
  out.subscription = "sub_1";
  return out;
}

TEST_F(LibmeterTest, ReportsAnEventOnceUnderItsId) {
  auto meter = make();
  auto event = event_of("sms.sent");
  event.quantity = "2.5";
  event.producer = "app";
  event.id = "message-1";
  const auto report = [&] { return app([&] { return refused([&] { meter.report(event); }); }).code; };
  EXPECT_EQ(report(), 0);
  EXPECT_EQ(report(), 0) << "it is counted already";
  restart();
  EXPECT_EQ(report(), 0);
  event.id = "message-2";
  event.received = 1;
  EXPECT_EQ(report(), 0);
  EXPECT_EQ(counted(), "5");
}

TEST_F(LibmeterTest, SaysWhatToDoWhenAnEventIsRefused) {
  auto meter = make();
  const auto report = [&](const meter_event& event) {
    return app([&] { return refused([&] { meter.report(event); }); });
  };
  EXPECT_EQ(report(event_of("no.such")).code, ENOENT);
  EXPECT_THAT(report(event_of("no.such")).what, ::testing::HasSubstr("[[meter]]"));
  auto event = event_of("sms.sent");
  for (const char* quantity : {"-1", "", "x", "0"}) {
    event.quantity = quantity;
    EXPECT_EQ(report(event).code, EINVAL) << quantity;
    EXPECT_THAT(report(event).what, ::testing::HasSubstr("quantity")) << quantity;
  }
  event = event_of("sms.sent");
  event.time_ms = 1'000;
  EXPECT_EQ(report(event).code, ERANGE);
  bench_.clock().set_trusted(false);
  EXPECT_EQ(report(event).code, EAGAIN);
  bench_.clock().set_trusted(true);
  EXPECT_EQ(report(event_of("sms.sent")).code, 0) << "the connection stands";
  EXPECT_EQ(counted(), "1");
}

}  // namespace
}  // namespace meterd::source
