// One byte of a real journal's file is changed, each in its turn, and the journal is opened as the daemon
// opens it. Whatever happens must be one of: nothing that was meant is changed; the record is set aside,
// shown, and everything else is as before; the file is refused. Never a crash, a changed quantity, a revision
// or number that comes again, or a usage that is sent again.
#include <google/protobuf/stubs/logging.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <random>

#include "agent/journal/records.hpp"
#include "tests/base/seed.hpp"
#include "tests/journal/journal_fixture.hpp"
#include "tests/support/rounds.hpp"

namespace meterd::journal {
namespace {

enum class Outcome : std::uint8_t { pending, unharmed, set_aside, refused, wrong, crashed };

// What a journal means, apart from how it is stored.
struct Meaning {
  struct Sheet {
    Quantity accepted, open, sent;  // sent: what usages carry, by whatever state, and what is set aside
    std::uint32_t next_revision = 0;
  };
  std::map<meter::BucketKey, Sheet> sheets;
  std::map<std::string, std::string> usages;  // by id: the record, byte for byte
  std::map<std::uint64_t, std::string> to_send;
  std::uint64_t next_sequence = 0;
  std::uint32_t boot_number = 0;
  std::map<std::string, std::string> records;  // all of them
};

class JournalDamage : public JournalTest {
 protected:
  std::string data() const { return options_.directory + "/data.mdb"; }

  void SetUp() override {
    options_.file_check = FileCheck::here;
    open();
    make_history();
    std::vector<meter::EventHash> hashes(254);
    for (std::size_t i = 0; i < hashes.size(); ++i) hashes[i] = {static_cast<std::uint8_t>(i), 7};
    step([&](WriteTransaction& w) { must(w.remember_ids(hashes, {1, 1, true})); });
    step([&](WriteTransaction& w) { must(w.remember_ids({hashes.data(), 1}, {1, 1, true})); });
    before_ = meaning();
    journal_.reset();
    whole_ = file_bytes(data());
    mark_ = file_bytes(options_.directory + "/meterd.lock");
  }

  void make_history() {
    for (int i = 0; i < 12; ++i) {
      const auto item = "item-" + std::to_string(i);
      const auto sequence = waiting_usage(item.c_str(), i % 3 == 0 ? "marketplace" : "billing");
      step([&](WriteTransaction& w) {
        if (i % 4 == 0) must(w.deliver(sequence, "receipt", now()));
        if (i % 4 == 0) must(w.attach(sequence, "inv_1", "inv_1-1", now()));
        if (i % 4 == 1) must(w.park(sequence, "refused", now()));
        if (i == 2) must(w.hold_in_doubt(sequence, "unknown"));
        if (i == 3) supersede(w, sequence);
        if (i == 6) must(w.retry(sequence, due(100'000), "503"));
        must(w.add(bucket(item.c_str(), "2026-11-23"), tally("2.5", 3), opening(6'000 + i)));
      });
    }
    step([&](WriteTransaction& w) {
      must(w.add_to_slice({1, 60, series()}, tally("4"), "UTC"));
      v0::ProducerCursor reached;
      reached.set_sequence(17);
      must(w.put_producer("modem", reached));
      must(w.put_counter("wwan0", {}));
      must(w.put_last_trusted(now()));
    });
  }

  Meaning meaning() const {
    Meaning out;
    auto txn = must(journal_->begin_read());
    must(txn.scan("", "", [&](std::string_view key, std::string_view value) {
      out.records.emplace(key, value);
      const auto payload = must(unwrap(key, value));
      if (const auto bucket = parse_balance_key(key)) {
        const auto b = must(decode_balance(payload));
        out.sheets[*bucket] = {b.accepted, b.open, b.accepted - b.open, b.next_revision};
      }
      if (parse_usage_key(key)) {
        UsageRecord record;
        EXPECT_TRUE(record.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
        out.usages[record.id()] = payload;
      }
      if (key == general_key()) {
        v0::General general;
        EXPECT_TRUE(general.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
        out.next_sequence = general.next_sequence();
        out.boot_number = general.boot_number();
      }
      return true;
    }));
    auto write = WriteTransaction(must(journal_->begin_write()));
    for (const char* name : {"billing", "marketplace"})
      for (const auto& stored : must(write.begin_attempts(UpstreamName(name), now(200'000), 100)))
        out.to_send[stored.sequence] = stored.record.id() + stored.record.request().body();
    return out;
  }

  // Why it is wrong, or empty.
  std::string wrong_with(const Meaning& after, bool damaged) {
    const auto found = report();
    if (!found.problems.empty()) return "verify: " + found.problems.front();
    if (!damaged) return after.records == before_.records ? "" : "records changed without a word";
    if (found.set_aside_records.empty() || must(read_overview(*journal_)).set_aside == 0)
      return "nothing is shown";
    if (after.next_sequence < before_.next_sequence) return "numbers come again";
    if (after.boot_number < before_.boot_number) return "a boot's number comes again";
    for (const auto& [sequence, sent] : after.to_send) {
      const auto at = before_.to_send.find(sequence);
      if (at == before_.to_send.end() || at->second != sent) return "something else is sent";
    }
    return sums_wrong_with(after);
  }

  std::string sums_wrong_with(const Meaning& after) const {
    for (const auto& [id, record] : after.usages) {
      const auto at = before_.usages.find(id);
      if (at == before_.usages.end() || at->second != record) return "a usage that was not there";
    }
    const auto asides = after.records.lower_bound(prefix(Kind::set_aside));
    for (const auto& [bucket, sheet] : before_.sheets) {
      const auto at = after.sheets.find(bucket);
      const bool kept = at != after.sheets.end() && at->second.accepted == sheet.accepted &&
                        at->second.open == sheet.open && at->second.sent == sheet.sent;
      // Else its record is the one that was set aside: made again from its usages, without what was open.
      const bool lost = asides != after.records.end() && asides->first.starts_with(prefix(Kind::set_aside)) &&
                        after.sheets.size() >= before_.sheets.size() && at != after.sheets.end() &&
                        at->second.sent == sheet.sent && at->second.open.is_zero();
      if (!kept && !lost) return "a balance changed";
      if (at->second.next_revision < sheet.next_revision) return "a revision comes again";
    }
    return {};
  }

  Outcome judge(std::size_t offset, std::uint8_t mask, std::string& why) {
    auto bytes = whole_;
    bytes[offset] = static_cast<char>(static_cast<std::uint8_t>(bytes[offset]) ^ mask);
    write_file(data(), bytes);
    write_file(options_.directory + "/meterd.lock", mark_);
    auto opened = try_open();
    if (!opened) {
      why = opened.error().message;
      const bool told = opened.error().code == Code::corrupt && !why.empty() && file_bytes(data()) == bytes;
      return told ? Outcome::refused : Outcome::wrong;
    }
    journal_ = std::move(*opened);
    const bool damaged = journal_->set_aside_at_open() > 0;
    why = wrong_with(meaning(), damaged);
    journal_.reset();
    if (!why.empty()) return Outcome::wrong;
    return damaged ? Outcome::set_aside : Outcome::unharmed;
  }

  struct Change {
    std::size_t offset;
    std::uint8_t mask;
  };
  // Each in a child process, many to a child: one that crashes takes only itself.
  std::map<Outcome, std::size_t> judge_all(const std::vector<Change>& changes, bool complain) {
    const auto size = changes.size();
    auto* outcomes = static_cast<Outcome*>(
        ::mmap(nullptr, size + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (std::size_t next = 0; next < size;) {
      const pid_t child = ::fork();
      if (child == 0) judge_from(changes, next, outcomes, complain);
      int ended = 0;
      ::waitpid(child, &ended, 0);
      for (; next < size && outcomes[next] != Outcome::pending; ++next) continue;
      if (next < size) outcomes[next++] = Outcome::crashed;
    }
    std::map<Outcome, std::size_t> counts;
    for (std::size_t i = 0; i < size; ++i) {
      ++counts[outcomes[i]];
      if (complain && outcomes[i] == Outcome::crashed)
        ADD_FAILURE() << "crashed: byte " << changes[i].offset << " ^ " << int{changes[i].mask};
    }
    ::munmap(outcomes, size + 1);
    return counts;
  }
  [[noreturn]] void judge_from(const std::vector<Change>& changes, std::size_t next, Outcome* outcomes,
                               bool complain) {
    google::protobuf::SetLogHandler(nullptr);
    if (!complain && std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(1);
    for (; next < changes.size(); ++next) {
      std::string why;
      Outcome outcome = Outcome::wrong;
      try {
        outcome = judge(changes[next].offset, changes[next].mask, why);
      } catch (const std::exception& error) {
        why = error.what();
      }
      if (complain && outcome == Outcome::wrong)
        std::cerr << "byte " << changes[next].offset << " ^ " << int{changes[next].mask} << ": " << why
                  << "\n";
      outcomes[next] = outcome;
    }
    ::_exit(0);
  }

  // One byte in so many, of those that are not zero; of the others, which are mostly room that nothing uses,
  // fewer.
  std::vector<Change> every_byte(std::mt19937_64& random, std::size_t one_in) const {
    std::vector<Change> out;
    for (std::size_t i = 0; i < whole_.size(); ++i)
      if (random() % (whole_[i] != 0 ? one_in : one_in * 8) == 0)
        out.push_back({i, static_cast<std::uint8_t>(1 + random() % 255)});
    return out;
  }

  Meaning before_;
  std::string whole_;
  std::string mark_;
};

TEST_F(JournalDamage, OfAnyByteIsHarmlessSetAsideOrRefused) {
  std::mt19937_64 random(meterd::testing::announced_seed("journal_test", 20'261'122));
  const char* all = std::getenv("METERD_EVERY_BYTE");
  const auto changes = every_byte(random, all != nullptr ? 1 : 160 / meterd::testing::rounds(10));
  const auto counts = judge_all(changes, true);
  const auto count = [&](Outcome outcome) { return counts.contains(outcome) ? counts.at(outcome) : 0; };
  std::cout << changes.size() << " changed bytes: " << count(Outcome::unharmed) << " harmless, "
            << count(Outcome::set_aside) << " set aside, " << count(Outcome::refused) << " refused\n";
  EXPECT_EQ(count(Outcome::wrong), 0U);
  EXPECT_EQ(count(Outcome::crashed), 0U);
  EXPECT_GT(count(Outcome::set_aside), meterd::testing::rounds(50U));
  EXPECT_GT(count(Outcome::refused), meterd::testing::rounds(20U));
}

// The control: without the walk the same changes crash LMDB, or change what is billed without a word.
TEST_F(JournalDamage, WouldGoUnnoticedWithoutTheWalk) {
  std::mt19937_64 random(meterd::testing::announced_seed("journal_test", 20'261'122));
  options_.file_check = FileCheck::none;
  auto counts = judge_all(every_byte(random, 64), false);
  EXPECT_GT(counts[Outcome::wrong] + counts[Outcome::crashed], 10U);
}

}  // namespace
}  // namespace meterd::journal
