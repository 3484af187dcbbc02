#include "agent/journal/fsck.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "agent/base/limits.hpp"
#include "agent/journal/audit.hpp"
#include "agent/journal/files.hpp"
#include "agent/journal/lock.hpp"
#include "agent/journal/migrate.hpp"
#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {
namespace {

constexpr std::size_t kUnreadableListed = 100;
constexpr std::size_t kRecordsPerCommit = 5'000;
constexpr std::uint64_t kMapMin = 64ULL << 20;

Result<PageFile> open_file(const std::string& path) {
  auto file = PageFile::open(path);
  if (!file || file->layout().word_bytes == sizeof(void*)) return file;
  return Error{Code::invalid, path + ": " + of_another_architecture(file->layout().word_bytes * 8)};
}

class Salvager {
 public:
  Salvager(const PageFile& file, Environment& to, Mark mark) : file_(file), to_(to), mark_(std::move(mark)) {}

  Result<Salvage> run() {
    auto report = walk_pages(file_, [&](auto key, auto value, bool readable) {
      if (readable)
        keep(key, value);
      else
        taken_.emplace_back(key, value);
    });
    if (!report) return report.error();
    if (report->reached.empty()) return Error{Code::corrupt, "neither of the two meta pages can be read"};
    out_.may_lack_last_commit = report->newest_meta_is_lost;
    for (const auto& damage : report->damage)
      if (damage.holds_records) take_page(damage.page, out_.of_damaged_pages);
    take_unreached(*report);
    if (auto s = commit(); !s) return s.error();
    if (auto s = find_stamp(); !s) return s.error();
    if (auto s = restore(); !s) return s.error();
    return out_;
  }

 private:
  // The stamp is written last: before that the new file is no journal to anybody.
  void keep(std::string_view key, std::string_view value) {
    if (failed_) return;
    if (key == stamp_key()) {
      stamp_ = value;
      return;
    }
    if (!txn_) {
      auto begun = to_.begin_write();
      if (!begun) {
        failed_ = begun.error();
        return;
      }
      txn_.emplace(std::move(*begun));
    }
    if (auto s = txn_->put(key, value); !s) failed_ = s.error();
    ++out_.records;
    if (++in_transaction_ == kRecordsPerCommit)
      if (auto s = commit(); !s) failed_ = s.error();
  }

  Status commit() {
    in_transaction_ = 0;
    if (failed_) return *failed_;
    if (!txn_) return {};
    auto done = txn_->commit();
    txn_.reset();
    return done;
  }

  Result<bool> has(std::string_view key) {
    if (key == stamp_key()) return !stamp_.empty();
    if (!txn_) {
      auto begun = to_.begin_write();
      if (!begun) return begun.error();
      txn_.emplace(std::move(*begun));
    }
    auto there = txn_->get(key);
    if (!there) return there.error();
    return there->has_value();
  }

  // Whatever of a leaf's records holds its checksum and is not there yet.
  void take_page(std::uint64_t number, std::uint64_t& count) {
    std::string bytes;
    std::string large;
    if (!file_.read(number, 1, bytes)) return;
    for (const Node& node : TreePage::salvage(bytes, file_.layout())) {
      std::string_view value = node.value;
      if (node.large) {
        if (!file_.read_large(node, large)) continue;
        value = large;
      }
      if (node.key.empty() || !unwrap(node.key, value)) continue;
      const auto there = has(node.key);
      if (!there) failed_ = there.error();
      if (!there || *there) continue;
      keep(node.key, value);
      ++count;
    }
  }

  // With a whole list of free pages, a page that is neither free nor reached is one that the damage hides,
  // and holds what the newest commit left there. Without, it may as well be of any earlier commit: taking it
  // could bring back what was billed since.
  void take_unreached(const WalkReport& report) {
    if (report.is_sound()) return;
    for (std::size_t page = kMetaPages; page < report.reached.size(); ++page) {
      if (report.reached[page] || report.free[page]) continue;
      if (report.free_list_is_whole)
        take_page(page, out_.of_unreached_pages);
      else
        ++out_.left_out_pages;
    }
  }

  // But for its format it never changes, so that one of any earlier commit is right; and the mark names what
  // matters of it, where the format is taken to be the present one.
  Status find_stamp() {
    if (stamp_.empty()) look_for_stamp();
    if (stamp_.empty() && mark_.identity)
      if (const auto epoch = bytes_of(mark_.identity->epoch))
        stamp_ = wrap(stamp_key(), make_stamp(*epoch, {}).SerializeAsString());
    if (stamp_.empty())
      return Error{
          Code::corrupt,
          "the journal's stamp is nowhere in it: without it usages would get other ids and be billed again"};
    v0::Stamp stamp;
    const auto payload = unwrap(stamp_key(), stamp_);
    if (!payload || !stamp.ParseFromArray(payload->data(), static_cast<int>(payload->size())))
      return Error{Code::corrupt, "the journal's stamp does not parse"};
    if (auto known = check_stamp(stamp); !known) return known;
    return migrate(stamp);
  }

  // What is made again follows from records of the present format.
  Status migrate(const v0::Stamp& stamp) {
    if (stamp.format() == kFormat) return {};
    auto txn = to_.begin_write();
    if (!txn) return txn.error();
    if (auto done = migrate_records(*txn, stamp.format()); !done) return done;
    auto migrated = make_stamp(stamp.epoch(), WallTime{Milliseconds(stamp.created_at_ms())});
    stamp_ = wrap(stamp_key(), migrated.SerializeAsString());
    return txn->commit();
  }

  void look_for_stamp() {
    out_.stamp_was_lost = true;
    std::string bytes;
    const auto pages = file_.file_bytes() / file_.layout().page_bytes;
    for (std::uint64_t page = kMetaPages; page < pages && stamp_.empty(); ++page) {
      if (!file_.read(page, 1, bytes)) continue;
      for (const Node& node : TreePage::salvage(bytes, file_.layout()))
        if (node.key == stamp_key() && !node.large && unwrap(node.key, node.value)) stamp_ = node.value;
    }
  }

  Status restore() {
    WriteTransaction::RestorePlace place;
    bool more = true;
    for (bool first = true; more; first = false) {
      auto txn = to_.begin_write();
      if (!txn) return txn.error();
      WriteTransaction write(std::move(*txn));
      if (first) {
        if (auto s = write.set_taken_aside(taken_); !s) return s;
        out_.set_aside = taken_.size() - write.healed();
        out_.records += write.healed();
      }
      auto step = write.restore_some(place, kRecordsPerCommit / 10);
      if (!step) return step.error();
      more = *step;
      if (auto s = write.commit(); !s) return s;
    }
    auto txn = to_.begin_write();
    if (!txn) return txn.error();
    if (auto s = txn->put(stamp_key(), stamp_); !s) return s;
    ++out_.records;
    return txn->commit();
  }

  const PageFile& file_;
  Environment& to_;
  const Mark mark_;
  Salvage out_;
  WriteTransaction::Taken taken_;
  std::string stamp_;
  std::optional<Transaction> txn_;
  std::size_t in_transaction_ = 0;
  std::optional<Error> failed_;
};

// Under the lock of the directory, in which nothing else is.
Result<Salvage> salvage_into(const PageFile& file, const std::string& data_path, const DirectoryLock& lock,
                             const std::string& to_directory) {
  Result<Salvage> out = Error{Code::io, "not done"};
  {
    const auto map_bytes = std::clamp(file.file_bytes() * 2, kMapMin, limits::map_bytes_max());
    auto to = Environment::open({to_directory, map_bytes});
    if (!to) return to.error();
    const auto from_directory = std::filesystem::path(data_path).parent_path().string();
    out = Salvager(file, **to, read_mark(from_directory)).run();
  }
  if (!out) return out;
  // As after a restore: whoever opens it knows that it is a copy.
  if (auto s = lock.write({true, true}); !s) return s.error();
  auto inspected = inspect_file(to_directory + "/data.mdb");
  if (!inspected) return inspected.error();
  out->check = std::move(inspected->report);
  return out;
}

}  // namespace

std::string describe_loss(const PageDamage& damage) {
  if (!damage.holds_records) return {};
  const auto from = damage.from.empty() ? std::string("the first record") : describe_key(damage.from);
  const auto to = damage.to ? "before " + describe_key(*damage.to) : std::string("the last record");
  return "records from " + from + " to " + to;
}

Result<Examination> examine(const std::string& data_path) {
  auto file = open_file(data_path);
  if (!file) return file.error();
  Examination out;
  auto report = walk_pages(*file, [&](auto key, auto, bool readable) {
    if (!readable && out.unreadable.size() < kUnreadableListed) out.unreadable.push_back(describe_key(key));
  });
  if (!report) return report.error();
  out.pages = std::move(*report);
  if (!out.pages.is_sound() || out.pages.unreadable_records > 0) return out;
  auto inspected = inspect_file(data_path);
  if (!inspected) return inspected.error();
  out.check = std::move(inspected->report);
  auto holdings = read_holdings(data_path);
  if (!holdings) return holdings.error();
  out.holdings = std::move(*holdings);
  return out;
}

Result<Salvage> salvage(const std::string& data_path, const std::string& to_directory) {
  auto file = open_file(data_path);
  if (!file) return file.error();
  const auto made = NewDirectory::make(to_directory);
  if (!made) return made.error();
  const Error not_empty{Code::rejected,
                        to_directory + " is not empty; name a directory that is not there yet"};
  if (!made->was_empty()) return not_empty;
  auto lock = DirectoryLock::take(to_directory);
  if (!lock) {
    made->take_back();
    return lock.error();
  }
  if (!lock->is_alone()) return not_empty;  // another one was made in it meanwhile, and stays
  auto out = salvage_into(*file, data_path, *lock, to_directory);
  if (out) return out;
  // Half of a journal could pass for an empty one.
  for (const char* name : {"/data.mdb", "/lock.mdb", "/meterd.lock"})
    (void)::unlink((to_directory + name).c_str());
  made->take_back();
  return out;
}

}  // namespace meterd::journal
