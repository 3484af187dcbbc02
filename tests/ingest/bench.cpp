#include "tests/ingest/bench.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>

#include "agent/journal/lock.hpp"
#include "agent/meter/identity.hpp"

namespace meterd::test {

namespace asio = boost::asio;

std::size_t RecordingLog::times(std::string_view piece) const {
  std::size_t found = 0;
  for (auto at = text.find(piece); at != std::string::npos; at = text.find(piece, at + 1)) ++found;
  return found;
}

// Coroutines that wait on the loop own alarms of the clock: the clock goes last.
Bench::Life::~Life() {
  batcher.reset();
  committer.reset();
  journal.reset();
  loop.reset();
}

Bench::Bench(BenchOptions given) : options(std::move(given)) {
  options.seal_rules.resize(options.meters.size());
  begin(std::nullopt);
}
Bench::~Bench() = default;

ingest::Batcher::Settings Bench::settings() {
  const auto seal = [this](journal::WriteTransaction& txn, const meter::BucketKey& bucket) {
    return seal_early(txn, bucket);
  };
  options.seal_rules.resize(options.meters.size());  // a test may have changed the meters
  return {std::make_shared<meter::Catalog>(options.meters, options.subscriptions), options.seal_rules, seal,
          options.rules};
}

void Bench::begin(const std::optional<Instant>& at) {
  life_ = std::make_unique<Life>();
  auto& life = *life_;
  life.loop = std::make_unique<asio::io_context>(1);
  life.clock = std::make_unique<platform::FakeClock>(*life.loop);
  life.clock->set_boot_id(boot_id_);
  if (at) {
    life.clock->advance(at->boot - life.clock->boot());
    life.clock->set_wall(at->wall);
    life.clock->set_trusted(at->trusted);
  }
  const journal::JournalOptions journal_options{directory_ / "journal", options.size_max, options.reserve,
                                                boot_id_, life.clock->wall().time};
  life.journal = must(journal::Journal::open(journal_options, disk_, random_));
  const asio::any_io_executor loop = life.loop->get_executor();
  const journal::Committer::Executors executors{loop, options.journal ? options.journal : loop};
  life.committer = std::make_unique<journal::Committer>(
      *life.journal, executors, log, [](const Error& error) { ADD_FAILURE() << "fatal: " << error.message; });
  life.batcher = std::make_unique<ingest::Batcher>(
      ingest::Batcher::Dependencies{*life.journal, *life.committer, *life.clock, log, DeviceId("gw-0042")},
      settings());
  asio::co_spawn(*life.loop, life.batcher->run(), asio::detached);
  settle();
}

void Bench::restart() {
  const auto wall = clock().wall();
  const Instant now{wall.time, clock().boot(), wall.trusted};
  life_.reset();
  begin(now);
}

void Bench::reboot(const std::string& boot) {
  const auto wall = clock().wall();
  boot_id_ = boot;
  life_.reset();
  begin(Instant{wall.time, BootTime{Milliseconds(60'000)}, wall.trusted});
}

void Bench::back_up() {
  const int fd = ::open((directory_ / "backup").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  must(journal().copy_to(fd));
  ::close(fd);
}

void Bench::put_back() {
  const auto wall = clock().wall();
  const Instant now{wall.time, clock().boot(), wall.trusted};
  life_.reset();
  const auto kept = directory_ / "journal";
  std::filesystem::remove_all(kept);
  std::filesystem::create_directories(kept);
  std::filesystem::copy_file(directory_ / "backup", kept + "/data.mdb");
  must(must(journal::DirectoryLock::take(kept)).write({true, true}));
  begin(now);
}

void Bench::stop() {
  batcher().stop();
  settle();
}

ingest::Batcher::Counted Bench::sms(std::string_view quantity, std::string_view subscription) {
  meter::EventView event;
  event.name = "sms.sent";
  event.subscription = subscription;
  event.quantity = q(quantity);
  return count(event);
}

ingest::Batcher::Counted Bench::with_id(std::string_view id, std::optional<WallTime> time) {
  meter::EventView event;
  event.name = "sms.sent";
  event.subscription = "sub_1";
  event.quantity = Quantity::of(1);
  event.time = time;
  event.producer = "app";
  event.id = id;
  return count(event);
}

Status Bench::commit() {
  std::optional<Status> told;
  batcher().commit_soon([&](const Status& status, const ingest::WindowOutcome& found) {
    told = status;
    outcome = found;
  });
  settle();
  if (!told) return Error{Code::retry, "nobody told the waiter"};
  return *told;
}

std::map<std::string, std::string> Bench::open() const {
  std::map<std::string, std::string> out;
  for (const auto& row : must(journal::read_buckets(journal(), 10'000)))
    out[row.key.day.iso() + " " + row.key.series.subscription.value() + " " +
        row.key.series.item_price.value()] = row.quantity.text();
  return out;
}

std::vector<std::string> Bench::sealed() const {
  std::vector<std::string> out;
  for (const auto& usage : must(journal::read_outbox(journal(), 10'000)))
    out.push_back(usage.record.quantity());
  return out;
}

// As the sealer does it, without an upstream's encoding.
Status Bench::seal_early(journal::WriteTransaction& txn, const meter::BucketKey& bucket) {
  auto balance = txn.balance(bucket);
  if (!balance) return balance.error();
  const auto first = std::int64_t{bucket.day.days_since_epoch()} * 86'400;
  auto date = txn.free_date(bucket.series, {first, first + 86'399, first + 1'000});
  if (!date) return date.error();
  meter::Usage usage;
  usage.id = meter::usage_id({DeviceId("gw-0042"), journal().epoch(), bucket, balance->next_revision});
  usage.series = bucket.series;
  usage.day = bucket.day;
  usage.revision = balance->next_revision;
  usage.usage_date = date->value();
  usage.quantity = balance->open;
  usage.events = balance->open_events;
  journal::RequestRecord request;
  request.set_method("POST");
  const auto sealed = txn.seal(
      usage, request, {clock().wall().time, {journal().boot_number(), clock().boot().since_boot.count()}});
  return sealed ? Status() : sealed.error();
}

}  // namespace meterd::test
