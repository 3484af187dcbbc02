// Counters in shared memory, in one process: what meter_add() costs beside a bare addition, and what reading
// 10,000 counters costs meterd. The two sides of an addition take turns, round by round.
//
//     count_memory --directory DIR --counters N --round N
//
// This program is linked with meterd's source of counters: how long a reading takes shows in nothing that
// meterd says of itself.
#include <meter.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cstring>
#include <memory>
#include <thread>

#include "agent/source/shared_counters/clients.hpp"
#include "platform/fake/clock.hpp"
#include "platform/linux/linux.hpp"
#include "tests/bench/support.hpp"

namespace meterd::bench {
namespace {

constexpr std::uint64_t kAdditions = 20'000'000;
constexpr int kReadings = 200;

template <class Add>
double ns_each(std::size_t threads, Add add) {
  std::vector<std::thread> all;
  std::atomic<std::size_t> ready{0};
  std::atomic<std::int64_t> spent{0};
  for (std::size_t i = 0; i < threads; ++i)
    all.emplace_back([&, i] {
      ++ready;
      while (ready < threads) {
      }
      const auto began = now_ns();
      for (std::uint64_t n = 0; n < kAdditions; ++n) add(i);
      spent += now_ns() - began;
    });
  for (auto& thread : all) thread.join();
  return static_cast<double>(spent) / static_cast<double>(kAdditions * threads);
}

// A source with that many counters of one app, and the app's memory.
class Harvest {
 public:
  Harvest(const std::string& directory, std::size_t counters)
      : memory_(platform::make_shared_memory(directory + "/counters")),
        disk_(platform::make_disk()),
        random_(platform::make_random()),
        links_(platform::make_links()),
        clock_(loop_),
        journal_(open(directory)),
        committer_(*journal_, {loop_.get_executor(), loop_.get_executor()}, log_, [](const Error&) {}),
        batcher_({*journal_, committer_, clock_, log_, DeviceId("bench")}, settings()) {
    const source::SharedCountersRule rule{"unused", 1'000'000, 64, 1'000'000'000, {}, {}};
    clients_ = std::make_unique<source::Clients>(
        rule,
        source::Dependencies{loop_.get_executor(), loop_.get_executor(), batcher_, clock_, log_, *links_},
        *memory_, source::Stored{});
    peer_.permit = std::make_shared<const meter::Permit>(meter::Permit{"bench", {}, true});
    ask(METERD_HELLO, "");
    for (std::size_t i = 0; i < counters; ++i) slots_.push_back(ask(METERD_WANT, subscription_name(i)));
  }

  const std::vector<meter_counter_t*>& slots() const { return slots_; }
  double reading_us() {
    clock_.pass(Milliseconds(1'000));
    const auto began = now_ns();
    clients_->harvest(batcher_, clock_.wall(), false);
    return static_cast<double>(now_ns() - began) / 1'000;
  }

 private:
  meter_counter_t* ask(meterd_packet_kind kind, const std::string& subscription) {
    meterd_packet packet{};
    packet.magic = METERD_PACKET_MAGIC;
    packet.version = METERD_PACKET_VERSION;
    packet.kind = kind;
    std::strcpy(packet.event, "api.calls");
    subscription.copy(packet.subscription, sizeof packet.subscription - 1);
    auto answer = clients_->answer(peer_, packet, {});
    if (answer.packet.kind == METERD_REFUSED) fail(answer.packet.text);
    if (answer.passed)
      mapped_ = static_cast<meter_counter_t*>(
          mmap(nullptr, METERD_REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, answer.passed->fd(), 0));
    return mapped_ + answer.packet.slot;
  }
  std::unique_ptr<journal::Journal> open(const std::string& directory) {
    auto opened = journal::Journal::open(
        {directory + "/journal", 64U << 20, 8U << 20, "boot", clock_.wall().time}, *disk_, *random_);
    if (!opened) fail(opened.error().message);
    return std::move(*opened);
  }
  static ingest::Batcher::Settings settings() {
    auto zone = meter::TimeZone::load("UTC");
    if (!zone) fail("no UTC");
    const std::vector<meter::MeterRule> rules{{EventName("api.calls"), UpstreamName("billing"),
                                               ItemPriceId("calls-usd"), std::nullopt, std::move(*zone)}};
    return {std::make_shared<meter::Catalog>(rules, std::vector<meter::SubscriptionRule>{}),
            std::vector<meter::SealRule>(1),
            {},
            {}};
  }

  boost::asio::io_context loop_{1};
  NullLog log_;
  std::unique_ptr<platform::SharedMemory> memory_;
  std::unique_ptr<platform::Disk> disk_;
  std::unique_ptr<platform::Random> random_;
  std::unique_ptr<platform::Links> links_;
  platform::FakeClock clock_;
  std::unique_ptr<journal::Journal> journal_;
  journal::Committer committer_;
  ingest::Batcher batcher_;
  std::unique_ptr<source::Clients> clients_;
  source::Clients::Peer peer_;
  meter_counter_t* mapped_ = nullptr;
  std::vector<meter_counter_t*> slots_;
};

struct alignas(64) Bare {
  std::atomic<std::uint64_t> units{0};
};

void print_round(Harvest& harvest, int round) {
  static Bare bare[2];
  meter_counter_t* counters[2] = {harvest.slots()[0], harvest.slots()[1]};
  const auto add_bare = [](std::size_t i) { bare[i].units.fetch_add(1, std::memory_order_relaxed); };
  const auto add_meter = [&](std::size_t i) { meter_add(counters[i], 1); };
  double ns[2][2] = {};
  for (std::size_t threads = 1; threads <= 2; ++threads)
    for (int turn = 0; turn < 2; ++turn) {
      const bool meter = (turn + round) % 2 == 0;
      ns[threads - 1][meter ? 1 : 0] = meter ? ns_each(threads, add_meter) : ns_each(threads, add_bare);
    }
  harvest.reading_us();  // what was added above
  std::vector<double> idle, changed;
  for (int i = 0; i < kReadings; ++i) {
    idle.push_back(harvest.reading_us());
    for (auto* slot : harvest.slots()) meter_add(slot, 1);
    changed.push_back(harvest.reading_us());
  }
  std::sort(idle.begin(), idle.end());
  std::sort(changed.begin(), changed.end());
  JsonLine()
      .add("bare_1", ns[0][0])
      .add("meter_1", ns[0][1])
      .add("bare_2", ns[1][0])
      .add("meter_2", ns[1][1])
      .add("idle_us", idle[kReadings / 2])
      .add("changed_us", changed[kReadings / 2])
      .print();
}

}  // namespace
}  // namespace meterd::bench

int main(int argc, char** argv) {
  const meterd::bench::Options options(argc, argv, {"round", "directory", "counters"});
  meterd::bench::Harvest harvest(options.text("directory"),
                                 static_cast<std::size_t>(options.number("counters", 10'000)));
  meterd::bench::print_round(harvest, static_cast<int>(options.number("round", 0)));
}
