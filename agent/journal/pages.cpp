#include "agent/journal/pages.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace meterd::journal {
namespace {

constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kVersion = 1;
constexpr std::uint16_t kBranch = 0x01;
constexpr std::uint16_t kLeaf = 0x02;
constexpr std::uint16_t kOverflow = 0x04;
constexpr std::uint16_t kMeta = 0x08;
constexpr std::uint16_t kLargeValue = 0x01;
constexpr std::size_t kNodeHeader = 8;
constexpr std::size_t kSmallestPage = 512;
constexpr std::size_t kLargestPage = 65'536;
constexpr std::uint16_t kIntegerKeys = 0x08;

template <class T>
T at(std::string_view bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::size_t tree_bytes(const PageLayout& layout) { return 8 + 5 * layout.word_bytes; }
std::size_t meta_bytes(const PageLayout& layout) {
  return 8 + 4 * layout.word_bytes + 2 * tree_bytes(layout);
}

Tree tree_at(std::string_view bytes, std::size_t offset, const PageLayout& layout) {
  const auto word = [&](std::size_t index) {
    return word_at(bytes, offset + 8 + index * layout.word_bytes, layout);
  };
  Tree tree;
  tree.pad = at<std::uint32_t>(bytes, offset);
  tree.flags = at<std::uint16_t>(bytes, offset + 4);
  tree.depth = at<std::uint16_t>(bytes, offset + 6);
  tree.branch_pages = word(0);
  tree.leaf_pages = word(1);
  tree.overflow_pages = word(2);
  tree.entries = word(3);
  tree.root = word(4);
  return tree;
}

struct Header {
  std::uint64_t number;
  std::uint16_t flags, lower, upper;
};

Header header_of(std::string_view bytes, const PageLayout& layout) {
  const std::size_t word = layout.word_bytes;
  return {word_at(bytes, 0, layout), at<std::uint16_t>(bytes, word + 2), at<std::uint16_t>(bytes, word + 4),
          at<std::uint16_t>(bytes, word + 6)};
}

// nullopt: it does not lie between `from` and the page's end, or is none that meterd's data can have.
std::optional<Node> node_at(std::string_view bytes, std::size_t offset, bool leaf, const PageLayout& layout) {
  if (offset % 2 != 0 || offset + kNodeHeader > bytes.size()) return std::nullopt;
  const std::uint64_t low = at<std::uint16_t>(bytes, offset);
  const std::uint64_t high = at<std::uint16_t>(bytes, offset + 2);
  const std::uint64_t flags = at<std::uint16_t>(bytes, offset + 4);
  const std::size_t key_bytes = at<std::uint16_t>(bytes, offset + 6);
  const std::size_t room = bytes.size() - offset - kNodeHeader;
  if (key_bytes > room) return std::nullopt;
  Node node;
  node.key = bytes.substr(offset + kNodeHeader, key_bytes);
  std::size_t value_bytes = 0;
  if (!leaf) {
    node.page = low | high << 16U | (layout.word_bytes == 8 ? flags << 32U : 0);
  } else {
    if ((flags & ~kLargeValue) != 0) return std::nullopt;  // no named databases, no duplicates
    node.size = low | high << 16U;
    node.large = flags == kLargeValue;
    value_bytes = node.large ? layout.word_bytes : static_cast<std::size_t>(node.size);  // of 32 bits
    if (value_bytes > room - key_bytes) return std::nullopt;
    const std::size_t value_at = offset + kNodeHeader + key_bytes;
    if (node.large)
      node.page = word_at(bytes, value_at, layout);
    else
      node.value = bytes.substr(value_at, value_bytes);
  }
  node.node_bytes = (kNodeHeader + key_bytes + value_bytes + 1) & ~std::size_t{1};
  if (offset + node.node_bytes > bytes.size()) return std::nullopt;
  return node;
}

Error damaged(const char* what) { return {Code::corrupt, what}; }

}  // namespace

std::uint64_t word_at(std::string_view bytes, std::size_t offset, const PageLayout& layout) {
  return layout.word_bytes == 8 ? at<std::uint64_t>(bytes, offset) : at<std::uint32_t>(bytes, offset);
}

Result<TreePage> TreePage::read(std::string_view bytes, std::uint64_t number, const PageLayout& layout) {
  const Header header = header_of(bytes, layout);
  if (header.number != number) return damaged("it has another page's number");
  if (header.flags != kBranch && header.flags != kLeaf) return damaged("it is no page of the tree");
  const std::size_t first = layout.header_bytes();
  if (header.lower < first || header.lower > header.upper || header.upper > bytes.size() ||
      (header.lower - first) % 2 != 0)
    return damaged("its bounds are impossible");
  TreePage page;
  page.leaf_ = header.flags == kLeaf;
  const std::size_t count = (header.lower - first) / 2;
  page.nodes_.reserve(count);
  std::vector<std::pair<std::size_t, std::size_t>> places;
  places.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t offset = at<std::uint16_t>(bytes, first + 2 * i);
    auto node = node_at(bytes, offset, page.leaf_, layout);
    if (!node) return damaged("a node does not lie within it");
    places.emplace_back(offset, node->node_bytes);
    page.nodes_.push_back(*node);
  }
  // LMDB keeps the nodes together at the page's end: each begins where another ends.
  std::sort(places.begin(), places.end());
  std::size_t next = header.upper;
  for (const auto& [offset, size] : places) {
    if (offset != next) return damaged("its nodes do not lie side by side");
    next = offset + size;
  }
  if (next != bytes.size()) return damaged("its nodes do not fill it to the end");
  return page;
}

std::vector<Node> TreePage::salvage(std::string_view bytes, const PageLayout& layout) {
  const Header header = header_of(bytes, layout);
  std::vector<Node> out;
  // Below `upper` may lie what was deleted, and behind `lower` offsets of it.
  const std::size_t end = std::min<std::size_t>({header.lower, header.upper, bytes.size()});
  for (std::size_t i = layout.header_bytes(); i + 2 <= end; i += 2) {
    const std::size_t offset = at<std::uint16_t>(bytes, i);
    if (offset < header.upper) continue;
    if (auto node = node_at(bytes, offset, true, layout)) out.push_back(*node);
  }
  return out;
}

Result<PageFile> PageFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0) {
    const Error failed{Code::io, "cannot read " + path + ": " + std::strerror(errno)};
    if (fd >= 0) ::close(fd);
    return failed;
  }
  PageFile file(fd, static_cast<std::uint64_t>(info.st_size));
  // What follows counts pages and bytes within the file in std::size_t.
  if (file.file_bytes_ > std::numeric_limits<std::size_t>::max() / 2)
    return Error{Code::invalid, path + " is larger than a " + std::to_string(sizeof(void*) * 8) +
                                    "-bit machine can map; open it on a 64-bit one"};
  if (auto found = file.find_layout(); !found) return found.error();
  return file;
}

PageFile::PageFile(PageFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), file_bytes_(other.file_bytes_), layout_(other.layout_) {}

PageFile::~PageFile() {
  if (fd_ >= 0) ::close(fd_);
}

// From the first meta page that has LMDB's magic number. Where the second one begins is the first one's word:
// with that damaged, every size that is possible is tried.
Status PageFile::find_layout() {
  for (const std::size_t word : {sizeof(void*), 12 - sizeof(void*)}) {
    PageLayout layout{word, kSmallestPage};
    for (std::size_t offset = 0; offset <= kLargestPage; offset = offset == 0 ? kSmallestPage : offset * 2) {
      std::string bytes(layout.header_bytes() + meta_bytes(layout), '\0');
      if (::pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
          static_cast<ssize_t>(bytes.size()))
        continue;
      if (at<std::uint32_t>(bytes, layout.header_bytes()) != kMagic) continue;
      const std::size_t size = tree_at(bytes, layout.header_bytes() + 8 + 2 * word, layout).pad;
      if (!std::has_single_bit(size) || size < kSmallestPage || size > kLargestPage) continue;
      if (offset != 0 && offset != size) continue;
      layout_ = {word, size};
      return {};
    }
  }
  return damaged("it is no data file of LMDB 0.9: neither of its first two pages is");
}

Status PageFile::read(std::uint64_t number, std::uint64_t count, std::string& out) const {
  const std::uint64_t pages = file_bytes_ / layout_.page_bytes;
  if (number > pages || count > pages - number) return damaged("the file was cut short");
  out.resize(static_cast<std::size_t>(count) * layout_.page_bytes);
  std::size_t done = 0;
  while (done < out.size()) {
    const auto got = ::pread(fd_, out.data() + done, out.size() - done,
                             static_cast<off_t>(number * layout_.page_bytes + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{Code::io, std::string("cannot read data.mdb: ") + std::strerror(errno)};
    if (got == 0) return damaged("the file was cut short");
    done += static_cast<std::size_t>(got);
  }
  return {};
}

Result<Meta> PageFile::meta(std::uint64_t number) const {
  std::string bytes;
  if (auto s = read(number, 1, bytes); !s) return s.error();
  const Header header = header_of(bytes, layout_);
  if (header.number != number || header.flags != kMeta) return damaged("it is no meta page");
  const std::size_t start = layout_.header_bytes();
  const std::size_t word = layout_.word_bytes;
  if (at<std::uint32_t>(bytes, start) != kMagic) return damaged("it has no magic number");
  if (at<std::uint32_t>(bytes, start + 4) != kVersion)
    return damaged("it has another version than LMDB 0.9's");
  const std::size_t trees = start + 8 + 2 * word;
  Meta meta;
  meta.free_list = tree_at(bytes, trees, layout_);
  meta.main = tree_at(bytes, trees + tree_bytes(layout_), layout_);
  meta.last_page = word_at(bytes, trees + 2 * tree_bytes(layout_), layout_);
  meta.txnid = word_at(bytes, trees + 2 * tree_bytes(layout_) + word, layout_);
  if (meta.free_list.pad != layout_.page_bytes) return damaged("it has another page size");
  if (meta.free_list.flags != kIntegerKeys || meta.main.flags != 0)
    return damaged("its flags are not a journal's");
  if (meta.last_page < kMetaPages - 1 || meta.last_page >= layout_.no_page() / layout_.page_bytes)
    return damaged("its last page is impossible");
  // A commit writes the meta page that its number names; a file without commits has zeros in both.
  if (meta.txnid != 0 && meta.txnid % kMetaPages != number)
    return damaged("its transaction belongs to the other meta page");
  return meta;
}

Result<std::uint64_t> PageFile::read_large(const Node& node, std::string& out) const {
  const auto needed = (layout_.header_bytes() + node.size + layout_.page_bytes - 1) / layout_.page_bytes;
  if (auto s = read(node.page, needed, out); !s) return s.error();
  const Header header = header_of(out, layout_);
  if (header.number != node.page || header.flags != kOverflow)
    return damaged("it is no page of a large value");
  const std::uint64_t count = at<std::uint32_t>(out, layout_.word_bytes + 4);
  if (count < needed) return damaged("it is a large value of another length");
  out.erase(0, layout_.header_bytes());
  out.resize(static_cast<std::size_t>(node.size));
  return count;
}

}  // namespace meterd::journal
