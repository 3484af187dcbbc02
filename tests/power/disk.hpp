// A model of the disk below one directory: what was written, and what of it is surely there. It makes the
// images that a power cut could leave at this moment. The rules, each at least as hostile as a real disk:
//   - a sector of 512 bytes is written as a whole or not at all; unsynced ones reach the disk in any order,
//   or never;
//   - a file's new length may be there without its content, which is then zeros or junk, and the other way
//   round;
//   - fsync and fdatasync save one file; a write to an O_DSYNC descriptor saves the sectors that it touched;
//   - names (made, renamed, removed) reach the disk in their order, at the latest with an fsync of a
//   directory.
// lock.mdb is mapped, so what is in it cannot be seen: images have it absent, empty, as junk or as it is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/power/wrapped_calls.hpp"

namespace meterd::power {

using Generator = std::mt19937_64;

inline std::size_t below(Generator& random, std::size_t limit) {
  return static_cast<std::size_t>(random() % limit);
}

struct Image {
  std::map<std::string, std::string> files;  // by name below the directory
};

enum class Cut {
  nothing,  // only what is surely there
  everything,
  prefix,     // the writes in their order, up to one
  last_only,  // the last write overtook the others: mostly the meta page
  subset,     // random sectors
};
inline constexpr int kCuts = 5;
const char* name_of(Cut cut);

class File {
 public:
  void write(std::uint64_t offset, std::string_view bytes);
  void sync();
  void sync_range(std::uint64_t offset, std::size_t size);
  bool dirty() const { return !pending_.empty(); }
  std::string content(Cut cut, Generator& random) const;

 private:
  struct Piece {  // lies within one sector
    std::uint64_t offset = 0;
    std::string bytes;
    std::uint64_t write = 0;  // which call it belongs to
  };
  std::vector<const Piece*> chosen(Cut cut, Generator& random) const;

  std::string synced_;
  std::uint64_t length_ = 0;  // as the process sees it
  std::vector<Piece> pending_;
  std::uint64_t writes_ = 0;
};

class Disk final : public Observer {
 public:
  // `on_call`: called at each call that changes or syncs something, when its effect may have begun and is not
  // sure.
  Disk(std::string directory, std::function<void(const char* call)> on_call);

  Image image(Cut cut, Generator& random) const;
  // Rises whenever something became sure, so that images of one epoch differ only in what is pending.
  std::uint64_t sync_epoch() const { return sync_epoch_; }

  void opened(int fd, const std::string& path, int flags) override;
  void closed(int fd) override;
  void wrote(int fd, std::uint64_t offset, std::string_view bytes) override;
  void reserved(int fd) override;
  void synced(int fd) override;
  void renamed(const std::string& from, const std::string& to) override;
  void removed(const std::string& path) override;

 private:
  using Names = std::map<std::string, std::shared_ptr<File>>;
  struct Open {
    std::shared_ptr<File> file;  // nullptr: a directory
    bool synced_writes = false;
  };
  struct NameChange {
    std::string from, to;        // to: empty when removed; from: empty when made
    std::shared_ptr<File> file;  // when made
  };
  bool is_below(const std::string& path) const;
  std::string name_of(const std::string& path) const { return path.substr(directory_.size() + 1); }
  void change_name(NameChange change);
  static void apply(Names& names, const NameChange& change);
  std::string lock_content(Generator& random) const;

  std::string directory_;
  std::function<void(const char*)> on_call_;
  std::map<int, Open> open_;
  Names names_;
  Names durable_names_;
  std::vector<NameChange> name_changes_;  // pending, in order
  std::uint64_t sync_epoch_ = 0;
};

// Makes `directory` hold exactly the image.
void put_on_disk(const Image& image, const std::string& directory);

}  // namespace meterd::power
