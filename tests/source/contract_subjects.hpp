// The kinds of sources as subjects of the contract.
#pragma once

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "agent/source/access_log/access_log_source.hpp"
#include "agent/source/interface/interface_source.hpp"
#include "agent/source/modem/modem_source.hpp"
#include "agent/source/nftables/nftables_source.hpp"
#include "agent/source/shared_counters/shared_counters.hpp"
#include "platform/fake/nft_tables.hpp"
#include "platform/packets.hpp"
#include "tests/ingest/wire.hpp"
#include "tests/source/contract.hpp"
#include "tests/source/nftables_support.hpp"

namespace meterd::source {

// Owns the source while it runs.
inline boost::asio::awaitable<void> run_to_its_end(std::shared_ptr<Source> source) { co_await source->run(); }

inline std::shared_ptr<Source> at_work(test::Bench& bench, std::shared_ptr<Source> source) {
  boost::asio::co_spawn(bench.loop(), run_to_its_end(source), boost::asio::detached);
  bench.settle();
  return source;
}

class SetLinks final : public platform::Links {
 public:
  std::optional<platform::LinkSample> now = platform::LinkSample{2, 1'000, 500};
  Result<platform::LinkSample> sample(const std::string&) override {
    if (!now) return Error{Code::rejected, "there is no such interface"};
    return *now;
  }
};

class InterfaceSubject final : public Subject {
 public:
  std::shared_ptr<Source> make(test::Bench& bench, Stored stored) override {
    return at_work(bench, std::make_shared<InterfaceSource>(rule_, test::dependencies_of(bench, links_),
                                                            std::move(stored)));
  }
  void happen(test::Bench&, std::uint64_t units) override { links_.now->rx_bytes += units; }
  bool break_down() override {
    links_.now.reset();
    return true;
  }
  std::string name() const override { return rule_.name(); }
  std::string kind() const override { return "interface"; }
  std::string event() const override { return "data.bytes"; }

 private:
  InterfaceRule rule_{"wwan0", EventName("data.bytes"), SubscriptionId("sub_1")};
  SetLinks links_;
};

class NftablesSubject final : public Subject {
 public:
  NftablesSubject() { kernel_.count(test::address("10.0.0.2"), 1'000); }
  std::shared_ptr<Source> make(test::Bench& bench, Stored stored) override {
    auto needs = test::dependencies_of(bench, links_);
    needs.nft_tables = &kernel_;
    return at_work(bench, std::make_shared<NftablesSource>(rule_, needs, std::move(stored)));
  }
  void happen(test::Bench&, std::uint64_t units) override { kernel_.count(test::address("10.0.0.2"), units); }
  bool break_down() override {
    kernel_.refuses = Error{Code::rejected, "there is no such table"};
    return true;
  }
  std::string name() const override { return rule_.name(); }
  std::string kind() const override { return "nftables"; }
  std::string event() const override { return "data.bytes"; }

 private:
  NftablesRule rule_ = test::nftables_rule({{"10.0.0.2", "sub_1"}});
  platform::FakeNftTables kernel_;
  SetLinks links_;
};

// A message for each unit, numbered as nginx's workers do it.
class AccessLogSubject final : public Subject {
 public:
  AccessLogSubject() {
    rule_.socket = directory_ / "access.sock";
    rule_.event = EventName("sms.sent");
    rule_.subscription = SubscriptionId("sub_1");
    rule_.worker_field = "worker";
    rule_.sequence_field = "seq";
  }
  std::shared_ptr<Source> make(test::Bench& bench, Stored stored) override {
    auto needs = test::dependencies_of(bench, links_);
    needs.take_datagram_socket = [this](const std::string& path) {
      std::filesystem::remove(path);  // of the one before, which nobody reads any more
      return DatagramSocket{test::must(platform::bind_unix_datagram(path, {}, 1 << 20)),
                            {&access_, true, {}}};
    };
    return at_work(bench, std::make_shared<AccessLogSource>(rule_, needs, std::move(stored)));
  }
  void happen(test::Bench& bench, std::uint64_t units) override {
    auto sender = test::Peer::unix_datagram(bench.loop(), rule_.socket);
    for (; units > 0; --units) {
      const auto seen = bench.batcher().stats().datagrams;
      sender.send(R"({"worker":"w-1","seq":)" + std::to_string(++sequence_) + "}");
      ASSERT_TRUE(test::run_until(bench.loop(), [&] { return bench.batcher().stats().datagrams > seen; }));
    }
  }
  std::string name() const override { return rule_.name(); }
  std::string kind() const override { return "access-log"; }
  std::string event() const override { return "sms.sent"; }

 private:
  journal::TempDirectory directory_;
  ingest::Access access_{{}};
  AccessLogRule rule_;
  SetLinks links_;
  std::uint64_t sequence_ = 0;
};

// A short message for each unit.
class ModemSubject final : public Subject {
 public:
  std::shared_ptr<Source> make(test::Bench& bench, Stored stored) override {
    auto needs = test::dependencies_of(bench, links_);
    needs.make_modem_messages = [this](const std::string&) { return std::make_unique<Messages>(watcher_); };
    auto made = at_work(bench, std::make_shared<ModemSource>(rule_, needs, std::move(stored)));
    watcher_->run_began("run-1");
    list();
    return made;
  }
  void happen(test::Bench&, std::uint64_t units) override {
    for (; units > 0; --units) watcher_->seen(messages_.emplace_back(message(++number_)));
  }
  bool break_down() override {
    watcher_->no_manager();
    return true;
  }
  std::string doubt_of(std::uint64_t, std::uint64_t) const override { return {}; }
  std::string name() const override { return rule_.name(); }
  std::string kind() const override { return "modem-manager"; }
  std::string event() const override { return "sms.sent"; }

 private:
  class Messages final : public platform::ModemMessages {
   public:
    explicit Messages(platform::ModemWatcher*& watcher) : watcher_(watcher) {}
    boost::asio::awaitable<void> watch(platform::ModemWatcher& told) override {
      watcher_ = &told;
      co_return;
    }
    void list_again() override {}
    void stop() override {}

   private:
    platform::ModemWatcher*& watcher_;
  };
  static platform::ModemMessage message(int number) {
    return {"/sms/" + std::to_string(number),
            "490154203237518",
            platform::MessageState::sent,
            platform::PduType::submit,
            1,
            "+15550100",
            "",
            "text " + std::to_string(number),
            ""};
  }
  void list() {
    std::vector<std::string> paths;
    for (const auto& one : messages_) paths.push_back(one.path);
    watcher_->listing(paths);
    for (const auto& one : messages_) watcher_->seen(one);
    watcher_->listed({{"490154203237518", true}});
  }

  ModemRule rule_{EventName("sms.sent"), SubscriptionId("sub_1"), "sent", {}};
  SetLinks links_;
  platform::ModemWatcher* watcher_ = nullptr;
  std::vector<platform::ModemMessage> messages_;
  int number_ = 0;
};

// An app that asked for one counter once, and adds to it whichever meterd reads.
class SharedCountersSubject final : public Subject {
 public:
  ~SharedCountersSubject() override {
    if (slots_ != nullptr) munmap(slots_, METERD_REGION_BYTES);
  }
  std::shared_ptr<Source> make(test::Bench& bench, Stored stored) override {
    memory_ = platform::make_shared_memory(directory_ / "counters");
    auto needs = test::dependencies_of(bench, links_);
    needs.memory = memory_.get();
    needs.access = &access_;
    needs.listen_packets = [](const std::string& path) { return platform::listen_unix_packets(path, {}); };
    auto made = at_work(bench, std::make_shared<SharedCounters>(rule_, needs, std::move(stored)));
    if (slots_ == nullptr) begin(bench);
    return made;
  }
  void happen(test::Bench&, std::uint64_t units) override {
    reinterpret_cast<std::atomic<std::uint64_t>*>(slots_)->fetch_add(units);
  }
  std::string name() const override { return rule_.name(); }
  // Nothing tells how far memory was counted, but that memory's own cursor.
  std::string doubt_of(std::uint64_t before, std::uint64_t since) const override {
    return std::to_string(before + since);
  }
  bool has_cursors_in_a_copy() const override { return false; }
  std::string kind() const override { return "shared counters"; }
  std::string event() const override { return ""; }

 private:
  void begin(test::Bench& bench) {
    const platform::Socket app(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    rule_.socket.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(connect(app.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    (void)ask(bench, app, METERD_HELLO);
    const auto slot = ask(bench, app, METERD_WANT);
    slots_ = mmap(nullptr, METERD_REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, slot.passed.fd(), 0);
    ASSERT_NE(slots_, MAP_FAILED);
  }
  static platform::Packet ask(test::Bench& bench, const platform::Socket& app, meterd_packet_kind kind) {
    meterd_packet packet{};
    packet.magic = METERD_PACKET_MAGIC;
    packet.version = METERD_PACKET_VERSION;
    packet.kind = kind;
    std::string_view("sms.sent").copy(packet.event, sizeof packet.event);
    std::string_view("sub_1").copy(packet.subscription, sizeof packet.subscription);
    const std::span<char> bytes(reinterpret_cast<char*>(&packet), sizeof packet);
    test::must(platform::send_packet(app.fd(), bytes, nullptr));
    platform::Packet out;
    EXPECT_TRUE(test::run_until(bench.loop(), [&] {
      bench.settle();
      auto answer = platform::receive_packet(app.fd(), bytes);
      if (answer) out = std::move(*answer);
      return answer.ok();
    }));
    return out;
  }

  journal::TempDirectory directory_;
  ingest::Access access_{{}};
  SharedCountersRule rule_{directory_ / "counters.sock", 10'000, 64, 1'000'000'000, {}, {}};
  SetLinks links_;
  std::unique_ptr<platform::SharedMemory> memory_;
  void* slots_ = nullptr;
};

}  // namespace meterd::source
