#include "tests/power/disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace meterd::power {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr const char* kMapped = "lock.mdb";

std::uint64_t end_of_sector(std::uint64_t offset) { return (offset / kSector + 1) * kSector; }

void apply(std::string& content, std::uint64_t offset, std::string_view bytes, char filler = 0) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size(), filler);
  std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
}

bool is_mapped(const std::string& name) { return name.ends_with(kMapped); }

}  // namespace

const char* name_of(Cut cut) {
  constexpr const char* kNames[kCuts] = {"nothing", "everything", "prefix", "last-only", "subset"};
  return kNames[static_cast<int>(cut)];
}

void File::write(std::uint64_t offset, std::string_view bytes) {
  ++writes_;
  length_ = std::max(length_, offset + bytes.size());
  while (!bytes.empty()) {
    const auto size = std::min<std::uint64_t>(end_of_sector(offset) - offset, bytes.size());
    pending_.push_back({offset, std::string(bytes.substr(0, size)), writes_});
    offset += size;
    bytes.remove_prefix(size);
  }
}

void File::sync() {
  for (const auto& piece : pending_) apply(synced_, piece.offset, piece.bytes);
  pending_.clear();
}

void File::sync_range(std::uint64_t offset, std::size_t size) {
  const auto first = offset / kSector * kSector;
  const auto end = end_of_sector(offset + size - 1);
  std::vector<Piece> rest;
  for (auto& piece : pending_) {
    if (piece.offset >= first && piece.offset < end)
      apply(synced_, piece.offset, piece.bytes);
    else
      rest.push_back(std::move(piece));
  }
  pending_ = std::move(rest);
}

std::vector<const File::Piece*> File::chosen(Cut cut, Generator& random) const {
  std::vector<const Piece*> out;
  if (pending_.empty() || cut == Cut::nothing) return out;
  const auto prefix = below(random, pending_.size() + 1);
  const auto chance = 1 + below(random, 9);  // of ten
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const bool wanted = cut == Cut::everything || (cut == Cut::prefix && i < prefix) ||
                        (cut == Cut::last_only && pending_[i].write == pending_.back().write) ||
                        (cut == Cut::subset && below(random, 10) < chance);
    if (wanted) out.push_back(&pending_[i]);
  }
  return out;
}

std::string File::content(Cut cut, Generator& random) const {
  std::string out = synced_;
  const char filler = below(random, 2) == 0 ? '\0' : '\xA5';
  for (const Piece* piece : chosen(cut, random)) apply(out, piece->offset, piece->bytes, filler);
  if (cut == Cut::nothing || cut == Cut::everything || length_ <= synced_.size()) return out;
  switch (below(random, 4)) {
    case 0:  // the new length did not reach the disk, whatever was written there
      out.resize(synced_.size());
      break;
    case 1:  // it did, without all of the content
      out.resize(length_, filler);
      break;
    case 2:
      out.resize(synced_.size() + below(random, length_ - synced_.size() + 1), filler);
      break;
    default:
      break;
  }
  return out;
}

Disk::Disk(std::string directory, std::function<void(const char*)> on_call)
    : directory_(std::move(directory)), on_call_(std::move(on_call)) {}

bool Disk::is_below(const std::string& path) const {
  return path.size() > directory_.size() && path.starts_with(directory_) && path[directory_.size()] == '/';
}

void Disk::apply(Names& names, const NameChange& change) {
  std::shared_ptr<File> file = change.file;
  if (!change.from.empty()) {
    file = names[change.from];
    names.erase(change.from);
  }
  if (!change.to.empty()) names[change.to] = file;
}

void Disk::change_name(NameChange change) {
  apply(names_, change);
  name_changes_.push_back(std::move(change));
}

void Disk::opened(int fd, const std::string& path, int flags) {
  if (path == directory_) {
    open_[fd] = {};
    return;
  }
  if (!is_below(path)) return;
  struct stat info {};
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    open_[fd] = {};
    return;
  }
  const auto name = name_of(path);
  const bool made = !names_.contains(name);
  if (made) change_name({"", name, std::make_shared<File>()});
  open_[fd] = {names_[name], (flags & O_DSYNC) != 0};
  if (made) on_call_("open");
}

void Disk::closed(int fd) { open_.erase(fd); }

void Disk::wrote(int fd, std::uint64_t offset, std::string_view bytes) {
  const auto found = open_.find(fd);
  if (found == open_.end() || found->second.file == nullptr) return;
  auto& [file, synced_writes] = found->second;
  file->write(offset, bytes);
  on_call_("write");
  if (!synced_writes) return;
  file->sync_range(offset, bytes.size());
  ++sync_epoch_;
}

void Disk::reserved(int fd) {
  if (open_.contains(fd)) on_call_("allocate");
}

void Disk::synced(int fd) {
  const auto found = open_.find(fd);
  if (found == open_.end()) return;
  on_call_("sync");
  ++sync_epoch_;
  if (found->second.file != nullptr) {
    found->second.file->sync();
    return;
  }
  durable_names_ = names_;
  name_changes_.clear();
}

void Disk::renamed(const std::string& from, const std::string& to) {
  if (!is_below(from) || !is_below(to)) return;
  change_name({name_of(from), name_of(to), nullptr});
  on_call_("rename");
}

void Disk::removed(const std::string& path) {
  if (!is_below(path)) return;
  change_name({name_of(path), "", nullptr});
  on_call_("unlink");
}

Image Disk::image(Cut cut, Generator& random) const {
  Names names = durable_names_;
  const auto changes = cut == Cut::nothing      ? 0
                       : cut == Cut::everything ? name_changes_.size()
                                                : below(random, name_changes_.size() + 1);
  for (std::size_t i = 0; i < changes; ++i) apply(names, name_changes_[i]);
  Image image;
  for (const auto& [name, file] : names)
    if (!is_mapped(name)) image.files[name] = file->content(cut, random);
  if (below(random, 4) != 0) image.files[kMapped] = lock_content(random);
  return image;
}

std::string Disk::lock_content(Generator& random) const {
  switch (below(random, 4)) {
    case 0:
      return {};
    case 1:
      return std::string(8'192, '\0');
    case 2:
      return std::string(below(random, 20'000), '\xA5');
    default: {
      std::ifstream file(directory_ + "/" + kMapped, std::ios::binary);
      std::string now(16'384, '\0');
      file.read(now.data(), static_cast<std::streamsize>(now.size()));
      return now;
    }
  }
}

void put_on_disk(const Image& image, const std::string& directory) {
  std::filesystem::create_directories(directory);
  std::vector<std::filesystem::path> gone;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (!image.files.contains(entry.path().lexically_relative(directory).string()))
      gone.push_back(entry.path());
  for (auto path = gone.rbegin(); path != gone.rend(); ++path) {  // a directory after what is in it
    std::error_code not_empty;
    std::filesystem::remove(*path, not_empty);
  }
  for (const auto& [name, content] : image.files) {
    const auto path = directory + "/" + name;
    if (name.find('/') != std::string::npos)
      std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) throw std::runtime_error("cannot write the image");
    const auto written = ::pwrite(fd, content.data(), content.size(), 0);
    const bool whole = written == static_cast<ssize_t>(content.size()) &&
                       ::ftruncate(fd, static_cast<off_t>(content.size())) == 0;
    ::close(fd);
    if (!whole) throw std::runtime_error("cannot write the image");
  }
}

}  // namespace meterd::power
