#include "agent/journal/portable.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "agent/base/limits.hpp"
#include "agent/journal/records.hpp"

namespace meterd::journal {
namespace {

constexpr std::string_view kStreamMagic = "meterd-portable\n";
constexpr std::uint64_t kStreamVersion = 1;
constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::size_t kKeyMax = 511;              // LMDB's
constexpr std::uint64_t kValueMax = 16ULL << 20;  // no record comes near it
constexpr std::size_t kImportedPerCommit = 5'000;
constexpr std::uint64_t kImportMapMin = 64ULL << 20;

void put_number(std::string& out, std::uint64_t number, unsigned bytes) {
  for (unsigned i = bytes; i > 0; --i) out.push_back(static_cast<char>(number >> (8 * (i - 1)) & 255U));
}

class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) { piece_.reserve(2 * kPieceBytes); }

  void put(std::string_view bytes) { piece_ += bytes; }
  void put(std::uint64_t number, unsigned bytes) { put_number(piece_, number, bytes); }
  Status pass() { return piece_.size() < kPieceBytes ? Status() : flush(); }
  Status end(std::uint64_t records) {
    put(0, 2);
    put(records, 8);
    const auto checksum = crc32c(piece_, checksum_);
    put(checksum, 4);
    return flush();
  }

 private:
  Status flush() {
    checksum_ = crc32c(piece_, checksum_);
    for (std::string_view rest = piece_; !rest.empty();) {
      const auto wrote = ::write(fd_, rest.data(), rest.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0 && errno == EPIPE) return Error{Code::cancelled, "the reader of the copy has gone"};
      if (wrote < 0) return Error{Code::io, std::string("cannot write the copy: ") + std::strerror(errno)};
      rest.remove_prefix(static_cast<std::size_t>(wrote));
    }
    piece_.clear();
    return {};
  }

  int fd_;
  std::string piece_;
  std::uint32_t checksum_ = 0;
};

// Reads what is there, and never asks for memory that the file does not fill.
class Reader {
 public:
  explicit Reader(const std::string& path) : file_(path, std::ios::binary) {
    std::error_code failed;
    left_ = std::filesystem::file_size(path, failed);
    if (failed) left_ = 0;
  }

  // false: the file ends before, or cannot be read.
  bool read(std::uint64_t size, std::string& out) {
    if (size > left_) return false;
    out.resize(static_cast<std::size_t>(size));
    file_.read(out.data(), static_cast<std::streamsize>(size));
    if (!file_) {
      failed_ = true;
      return false;
    }
    left_ -= size;
    checksum_ = crc32c(out, checksum_);
    return true;
  }
  std::optional<std::uint64_t> number(unsigned bytes) {
    if (!read(bytes, number_)) return std::nullopt;
    std::uint64_t out = 0;
    for (const char c : number_) out = out << 8U | static_cast<unsigned char>(c);
    return out;
  }
  std::uint32_t checksum() const { return checksum_; }
  bool is_at_end() const { return left_ == 0; }
  // Why read() gave nothing.
  Error ended() const {
    if (failed_) return {Code::io, "it cannot be read to its end: the disk that it is on fails"};
    return {Code::corrupt, "it was cut short"};
  }

 private:
  std::ifstream file_;
  std::uint64_t left_ = 0;
  std::uint32_t checksum_ = 0;
  std::string number_;
  bool failed_ = false;
};

Status read_head(Reader& from) {
  std::string magic;
  if (!from.read(kStreamMagic.size(), magic) || magic != kStreamMagic)
    return Error{Code::corrupt, "it is no portable backup"};
  const auto version = from.number(1);
  if (!version) return from.ended();
  if (*version > kStreamVersion)
    return Error{Code::invalid, "it was written by a newer meterd (stream " + std::to_string(*version) +
                                    "): use that version's meterctl"};
  return {};
}

Status check_end(Reader& from, std::uint64_t records) {
  const auto count = from.number(8);
  const auto computed = from.checksum();
  const auto stored = from.number(4);
  if (!count || !stored) return from.ended();
  if (*count != records || *stored != computed || !from.is_at_end())
    return Error{Code::corrupt, "it is damaged: it is not what was written"};
  return {};
}

// LMDB's file is of this machine; all else in the stamp stays.
Result<std::string> stamp_for_here(std::string_view value) {
  const auto payload = unwrap(stamp_key(), value);
  v0::Stamp stamp;
  if (!payload || !stamp.ParseFromArray(payload->data(), static_cast<int>(payload->size())))
    return Error{Code::corrupt, "its stamp cannot be read"};
  stamp.set_word_bits(sizeof(void*) * 8);
  if (auto known = check_stamp(stamp); !known) return known.error();
  return wrap(stamp_key(), stamp.SerializeAsString());
}

class Import {
 public:
  explicit Import(Environment& to) : to_(to) {}

  Status take(std::string_view key, std::string_view value) {
    if (!txn_) {
      auto begun = to_.begin_write();
      if (!begun) return begun.error();
      txn_.emplace(std::move(*begun));
    }
    std::string stamp;
    if (key == stamp_key()) {
      auto here = stamp_for_here(value);
      if (!here) return here.error();
      value = stamp = std::move(*here);
      stamped_ = true;
    }
    if (auto s = txn_->append(key, value); !s) return s;
    if (++in_transaction_ < kImportedPerCommit) return {};
    return commit();
  }
  Status commit() {
    in_transaction_ = 0;
    if (!txn_) return {};
    auto done = txn_->commit();
    txn_.reset();
    return done;
  }
  bool stamped() const { return stamped_; }

 private:
  Environment& to_;
  std::optional<Transaction> txn_;
  std::size_t in_transaction_ = 0;
  bool stamped_ = false;
};

// On pages a record takes at most twice what it takes in the stream.
std::uint64_t map_bytes_for(const std::string& path) {
  std::error_code failed;
  const auto bytes = std::filesystem::file_size(path, failed);
  return failed
             ? kImportMapMin
             : std::clamp(2 * std::uint64_t{bytes} + kImportMapMin, kImportMapMin, limits::map_bytes_max());
}

}  // namespace

Status write_portable(const Transaction& txn, int fd) {
  Writer out(fd);
  out.put(kStreamMagic);
  out.put(kStreamVersion, 1);
  std::uint64_t records = 0;
  Status written;
  auto scanned = txn.scan("", "", [&](std::string_view key, std::string_view value) {
    out.put(key.size(), 2);
    out.put(key);
    out.put(value.size(), 4);
    out.put(value);
    ++records;
    written = out.pass();
    return written.ok();
  });
  if (!scanned) return scanned;
  return written ? out.end(records) : written;
}

bool is_portable(const std::string& path) {
  Reader from(path);
  std::string magic;
  return from.read(kStreamMagic.size(), magic) && magic == kStreamMagic;
}

Result<std::uint64_t> read_portable(const std::string& path, const TakeRecord& take) {
  Reader from(path);
  if (auto known = read_head(from); !known) return known.error();
  std::string key;
  std::string value;
  for (std::uint64_t records = 0;; ++records) {
    const auto key_bytes = from.number(2);
    if (!key_bytes) return from.ended();
    if (*key_bytes == 0) {
      if (auto ended = check_end(from, records); !ended) return ended.error();
      return records;
    }
    if (*key_bytes > kKeyMax) return Error{Code::corrupt, "it is damaged: a key is too long"};
    if (!from.read(*key_bytes, key)) return from.ended();
    const auto value_bytes = from.number(4);
    if (value_bytes && *value_bytes > kValueMax)
      return Error{Code::corrupt, "it is damaged: a record is too long"};
    if (!value_bytes || !from.read(*value_bytes, value)) return from.ended();
    if (!take) continue;
    if (auto taken = take(key, value); !taken) return taken.error();
  }
}

Status import_portable(const std::string& path, const std::string& directory) {
  const auto map_bytes = map_bytes_for(path);
  auto to = Environment::open({directory, map_bytes});
  if (!to) return to.error();
  Import import(**to);
  const auto read = read_portable(path, [&](auto key, auto value) { return import.take(key, value); });
  auto done = read ? import.commit() : Status(read.error());
  if (done && !import.stamped()) return Error{Code::corrupt, "it holds no journal of meterd"};
  if (!done && done.error().code == Code::full && map_bytes == limits::map_bytes_max())
    return Error{Code::full, done.error().message + ": its journal needs more than the " +
                                 std::to_string(map_bytes >> 20U) + " MiB that this machine can map"};
  return done;
}

}  // namespace meterd::journal
