// The pages of LMDB 0.9's data file, read from its bytes alone: pread into our own memory, and no number in
// the file is followed before it is known to be in range. So damage that would crash LMDB, or make it write
// over pages that are in use, is seen as such. Nothing here writes. Any thread.
//
//     page     = number:word pad:u16 flags:u16 (lower:u16 upper:u16 | pages:u32) offset:u16* ... node*
//     node     = lo:u16 hi:u16 flags:u16 ksize:u16 key (value | first overflow page:word)
//     meta     = magic:u32 version:u32 address:word mapsize:word tree tree last_page:word txnid:word
//     tree     = pad:u32 flags:u16 depth:u16 branch:word leaf:word overflow:word entries:word root:word
//
// in the machine's byte order; a word has 4 or 8 bytes. Pages 0 and 1 hold a meta behind the first two words
// of their header; commit n writes the one numbered n mod 2, after all the other pages of that commit. Its
// first tree is the free list: by transaction, the pages that it freed (a count, then numbers, descending).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.hpp"

namespace meterd::journal {

inline constexpr std::uint64_t kMetaPages = 2;

struct PageLayout {
  std::size_t word_bytes = sizeof(void*);
  std::size_t page_bytes = 0;
  std::size_t header_bytes() const { return word_bytes + 8; }
  std::uint64_t no_page() const { return word_bytes == 8 ? UINT64_MAX : UINT32_MAX; }
};

struct Tree {
  std::uint32_t pad = 0;  // of the free list: the page size
  std::uint16_t flags = 0;
  std::uint16_t depth = 0;
  std::uint64_t branch_pages = 0, leaf_pages = 0, overflow_pages = 0, entries = 0;
  std::uint64_t root = 0;
};

struct Meta {
  Tree free_list;
  Tree main;
  std::uint64_t last_page = 0;
  std::uint64_t txnid = 0;
};

struct Node {
  std::string_view key;
  std::string_view value;      // of a leaf, when it lies in the node
  std::uint64_t size = 0;      // of the value
  std::uint64_t page = 0;      // of a branch: the child; of a large value: where it begins
  bool large = false;          // the value is on overflow pages
  std::size_t node_bytes = 0;  // what it takes on its page
};

// A page of a tree. Views into the bytes that it was made from.
class TreePage {
 public:
  // Code::corrupt, with the reason, unless every node lies within the page and none upon another.
  static Result<TreePage> read(std::string_view bytes, std::uint64_t number, const PageLayout& layout);
  // What of a damaged page may be a leaf's node: whoever takes it asks its checksum whether it is one.
  static std::vector<Node> salvage(std::string_view bytes, const PageLayout& layout);

  bool is_leaf() const { return leaf_; }
  const std::vector<Node>& nodes() const { return nodes_; }

 private:
  bool leaf_ = false;
  std::vector<Node> nodes_;
};

class PageFile {
 public:
  // Code::invalid: written with words of another size; Code::corrupt: not a data file of LMDB 0.9.
  static Result<PageFile> open(const std::string& path);
  PageFile(PageFile&& other) noexcept;
  PageFile& operator=(PageFile&&) = delete;
  ~PageFile();

  const PageLayout& layout() const { return layout_; }
  std::uint64_t file_bytes() const { return file_bytes_; }

  // `count` pages from `number`. Code::corrupt: the file ends before; Code::io: the disk refused.
  Status read(std::uint64_t number, std::uint64_t count, std::string& out) const;
  // Code::corrupt, with the reason: it cannot be what LMDB wrote.
  Result<Meta> meta(std::uint64_t number) const;
  // A value on pages of its own, and how many they are: at least what it needs, since LMDB keeps them all
  // when a value becomes shorter within its transaction. Code::corrupt.
  Result<std::uint64_t> read_large(const Node& node, std::string& out) const;

 private:
  PageFile(int fd, std::uint64_t file_bytes) : fd_(fd), file_bytes_(file_bytes) {}
  Status find_layout();
  int fd_ = -1;
  std::uint64_t file_bytes_ = 0;
  PageLayout layout_;
};

// The word at `at` of `bytes`, which must hold it.
std::uint64_t word_at(std::string_view bytes, std::size_t at, const PageLayout& layout);

}  // namespace meterd::journal
