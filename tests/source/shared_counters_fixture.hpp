// Counters in shared memory without sockets: real memory in a directory of the test's own, apps that map it
// as libmeter does, and a journal under a virtual clock. A restart is a SIGKILL: what is in memory stays.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "agent/source/shared_counters/clients.hpp"
#include "tests/source/stored_memory.hpp"
#include "tests/source/support.hpp"

namespace meterd::source {

class NoLinks final : public platform::Links {
  Result<platform::LinkSample> sample(const std::string&) override {
    return Error{Code::rejected, "no interface"};
  }
};

class SharedCountersTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kUser = 1'001;

  // One process that counts: a connection, and the memory it was given.
  class App {
   public:
    App(const std::shared_ptr<Clients>& clients, std::uint32_t user, ingest::PermitPtr permit = everything())
        : clients_(clients) {
      peer_.user = user;
      peer_.permit = std::move(permit);
    }
    App(const App&) = delete;
    App& operator=(const App&) = delete;
    ~App() { end(); }

    meterd_packet hello() {
      auto answer = ask(METERD_HELLO, {}, -1);
      if (answer.kind == METERD_WELCOME) std::copy_n(answer.client, client.size(), client.begin());
      return answer;
    }
    // Its counter; null: refused with `code`.
    std::atomic<std::uint64_t>* counter(const std::string& event, const std::string& subscription) {
      const auto answer = ask(METERD_WANT, {event, subscription}, -1);
      code = answer.code;
      if (answer.kind != METERD_SLOT) return nullptr;
      Clients::Id id{};
      std::copy_n(answer.region, id.size(), id.begin());
      return reinterpret_cast<std::atomic<std::uint64_t>*>(memory[id].first +
                                                           std::size_t{answer.slot} * METERD_SLOT_BYTES);
    }
    // As libmeter does when its meterd does not know it any more.
    void begin_anew(const std::shared_ptr<Clients>& clients) {
      connect_again(clients);
      client = {};
      hello();
    }
    // As libmeter does when its meterd is another one.
    void connect_again(const std::shared_ptr<Clients>& clients) {
      clients_ = clients;
      peer_.client.reset();
      peer_.given.clear();
    }
    meterd_packet hand_back(const Clients::Id& id) {
      platform::MemoryFile own(dup(memory[id].second.fd()));
      return ask(METERD_HAND_BACK, {}, -1, id, std::move(own));
    }
    meterd_packet name(const Clients::Id& id, std::uint32_t slot, const CounterName& name) {
      return ask(METERD_NAME, name, static_cast<int>(slot), id);
    }
    // As the child of a fork() has the memory of its parent.
    Clients::Id borrow(const App& from) {
      const auto& [id, mapped] = *from.memory.begin();
      memory[id] = {nullptr, platform::MemoryFile(dup(mapped.second.fd()))};
      return id;
    }
    void permit(ingest::PermitPtr permit) { peer_.permit = std::move(permit); }
    // Of a meterd that is not there any more nobody takes leave.
    void leave() {
      if (const auto clients = clients_.lock()) clients->leave(peer_);
    }
    void unmap() {
      for (auto& [id, mapped] : memory)
        if (mapped.first != nullptr) munmap(mapped.first, METERD_REGION_BYTES);
      memory.clear();
    }
    // As a process ends: its memory first, then its socket.
    void end() {
      unmap();
      if (peer_.client) leave();
    }

    Clients::Id client{};
    std::uint32_t code = 0;
    std::map<Clients::Id, std::pair<char*, platform::MemoryFile>> memory;

   private:
    meterd_packet ask(meterd_packet_kind kind, const CounterName& name, int slot,
                      const Clients::Id& region = {}, platform::MemoryFile passed = {}) {
      meterd_packet packet{};
      packet.magic = METERD_PACKET_MAGIC;
      packet.version = METERD_PACKET_VERSION;
      packet.kind = kind;
      packet.slot = static_cast<std::uint32_t>(slot);
      std::copy(client.begin(), client.end(), packet.client);
      std::copy(region.begin(), region.end(), packet.region);
      name.event.copy(packet.event, sizeof packet.event - 1);
      name.subscription.copy(packet.subscription, sizeof packet.subscription - 1);
      const auto clients = clients_.lock();
      check(clients != nullptr, "an app asks a meterd that is there");
      auto answer = clients->answer(peer_, packet, std::move(passed));
      Clients::Id id{};
      std::copy_n(answer.packet.region, id.size(), id.begin());
      if (answer.passed && !memory.contains(id)) {
        void* mapped =
            mmap(nullptr, METERD_REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, answer.passed->fd(), 0);
        EXPECT_NE(mapped, MAP_FAILED);
        memory[id] = {static_cast<char*>(mapped), std::move(*answer.passed)};
      }
      return answer.packet;
    }

    std::weak_ptr<Clients> clients_;
    Clients::Peer peer_;
  };

  static ingest::PermitPtr everything() {
    return std::make_shared<const meter::Permit>(meter::Permit{"anybody", {}, true});
  }

  SharedCountersTest() { begin(); }

  void begin() {
    const auto directory = directory_ / "counters";
    if (!memory_ && has_store_) memory_ = std::make_unique<test::StoredMemory>(directory, store_);
    if (!memory_) memory_ = platform::make_shared_memory(directory);
    auto dependencies = test::dependencies_of(bench_, links_);
    dependencies.memory = memory_.get();
    source_ = std::make_shared<Harvested>();
    source_->clients =
        std::make_shared<Clients>(rule_, dependencies, *memory_, test::stored_of(bench_, "shared"));
    bench_.batcher().set_sources({source_});
  }
  const std::shared_ptr<Clients>& clients() const { return source_->clients; }
  // What only our process knew is gone.
  void restart() {
    bench_.restart();
    memory_.reset();
    begin();
  }
  // As a stop does where nobody keeps it: its apps have it still.
  void lose_memory() {
    source_->last = true;
    interval();
    std::filesystem::remove_all(directory_ / "counters");
    store_.clear();
    restart();
  }
  void put_meters(std::vector<meter::MeterRule> meters) {
    bench_.options.meters = std::move(meters);
    bench_.batcher().at_turn([this](const Status& turn) {
      ASSERT_TRUE(turn.ok());
      bench_.batcher().adopt(bench_.settings());
    });
    bench_.settle();
  }
  void interval() { bench_.advance(Milliseconds(10'000)); }
  // Asks the kernel, as the source's own coroutine does.
  void look() {
    for (const auto& region : clients()->unattended())
      if (!memory_->is_in_use(region->kept())) clients()->let_go(region);
  }
  std::string counted(const std::string& subscription = "sub_1") {
    const auto open = bench_.open();
    const auto found = open.find("2027-01-15 " + subscription + " sms-usd");
    return found == open.end() ? "0" : found->second;
  }
  std::size_t files() const {
    std::error_code none;
    const std::filesystem::directory_iterator at(directory_ / "counters", none);
    return none ? 0 : static_cast<std::size_t>(std::distance(at, std::filesystem::directory_iterator()));
  }
  std::size_t cursors() const { return test::stored_of(bench_, "shared").cursors.size(); }
  std::string reasons() {
    std::string out;
    for (const auto& gap : clients()->gaps().recent())
      out += gap.reason() + ": " + gap.what() + ": " + gap.lost_max() + "\n";
    return out;
  }

  struct Harvested final : ingest::Harvested {
    std::shared_ptr<Clients> clients;
    bool last = false;
    void harvest(ingest::Batcher& batcher, const platform::WallReading& now) override {
      clients->harvest(batcher, now, last);
    }
  };

  journal::TempDirectory directory_;
  NoLinks links_;
  SharedCountersRule rule_{"unused", 10'000, 64, 1'000'000, {}, {}};
  test::Bench bench_;
  bool has_store_ = false;
  test::StoredMemory::Store store_;
  std::unique_ptr<platform::SharedMemory> memory_;
  std::shared_ptr<Harvested> source_;
};

}  // namespace meterd::source
