#include "agent/journal/page_walk.hpp"

#include <algorithm>
#include <cstring>

#include "agent/journal/schema.hpp"

namespace meterd::journal {
namespace {

constexpr std::size_t kDamagesListed = 100;
constexpr std::uint16_t kDepthMax = 32;  // LMDB's own

struct Range {  // of keys
  std::string from;
  std::optional<std::string> to;
  bool holds(std::string_view key) const { return key >= from && (!to || key < *to); }
};

class Walk {
 public:
  Walk(const PageFile& file, const VisitRecord& visit) : file_(file), layout_(file.layout()), visit_(visit) {}

  Result<WalkReport> run() {
    report_.file_bytes = file_.file_bytes();
    report_.page_bytes = layout_.page_bytes;
    if (auto meta = newest_meta()) {
      report_.txnid = meta->txnid;
      meta_ = *meta;
      report_.last_page = meta_.last_page;
      // Never more than the file has, and the pages that its last commits did not write.
      const auto in_file = file_.file_bytes() / layout_.page_bytes;
      const auto pages = static_cast<std::size_t>(std::min(meta_.last_page + 1, in_file + kMetaPages));
      report_.reached.resize(pages);
      report_.free.resize(pages);
      for (std::size_t page = 0; page < kMetaPages && page < pages; ++page) report_.reached[page] = true;
      report_.pages_reached = kMetaPages;
      walk_tree(meta_.main, true);
      const auto before = report_.damages;
      walk_tree(meta_.free_list, false);
      report_.free_list_is_whole = report_.damages == before;
      // Each page that was ever used is in a tree or free: the last one too.
      if (report_.is_sound() && highest_ != meta_.last_page)
        damage(report_.txnid % kMetaPages, "its last page is in no tree and not free");
    }
    if (failed_) return *failed_;
    return std::move(report_);
  }

 private:
  void damage(std::uint64_t page, std::string what, const Range* range = nullptr) {
    ++report_.damages;
    if (report_.damage.size() >= kDamagesListed) return;
    PageDamage found{page, std::move(what), false, {}, {}};
    if (in_main_ && range != nullptr) {
      found.holds_records = true;
      found.from = range->from;
      found.to = range->to;
    }
    report_.damage.push_back(std::move(found));
  }
  // What a read gave: true if there is nothing to complain about.
  bool fine(const Status& status, std::uint64_t page, const Range* range) {
    if (status) return true;
    if (status.error().code == Code::io) failed_ = status.error();
    damage(page, status.error().message, range);
    return false;
  }

  // As LMDB chooses; and, beyond LMDB, only if both are what the last two commits left behind.
  std::optional<Meta> newest_meta() {
    std::optional<Meta> metas[kMetaPages];
    for (std::uint64_t number = 0; number < kMetaPages; ++number) {
      auto meta = file_.meta(number);
      if (meta)
        metas[number] = *meta;
      else if (!fine(meta.error(), number, nullptr))
        report_.newest_meta_is_lost = true;
    }
    if (!metas[0] || !metas[1]) return metas[0] ? metas[0] : metas[1];
    const auto newest = metas[0]->txnid < metas[1]->txnid ? 1U : 0U;
    const auto& older = *metas[1 - newest];
    if (metas[newest]->txnid - older.txnid != (metas[newest]->txnid == 0 ? 0U : 1U)) {
      damage(newest, "its transaction does not follow the other meta page's");
      report_.newest_meta_is_lost = true;
    }
    // The older one may be a newer one whose number was damaged: then its free list gives it away.
    if (const auto freed = last_freed(older); freed > older.txnid) {
      damage(1 - newest, "its free list is of a later transaction than it says");
      report_.newest_meta_is_lost = true;
    }
    return metas[newest];
  }

  // The last key of the free list; 0 where it has none or cannot be read (its pages may have been used
  // again).
  std::uint64_t last_freed(const Meta& meta) {
    std::uint64_t number = meta.free_list.root;
    for (int depth = 0; depth < kDepthMax && number != layout_.no_page(); ++depth) {
      std::string bytes;
      if (!file_.read(number, 1, bytes)) return 0;
      auto page = TreePage::read(bytes, number, layout_);
      if (!page || page->nodes().empty()) return 0;
      const Node& last = page->nodes().back();
      if (page->is_leaf()) return last.key.size() == layout_.word_bytes ? word_at(last.key, 0, layout_) : 0;
      number = last.page;
    }
    return 0;
  }

  void walk_tree(const Tree& tree, bool main) {
    in_main_ = main;
    tree_ = &tree;
    found_ = {};
    const auto before = report_.damages;
    const Range all;
    if (tree.root == layout_.no_page()) {
      found_.root = tree.root;
    } else if (tree.depth == 0 || tree.depth > kDepthMax) {
      return damage(report_.txnid % kMetaPages, "the depth of its tree is impossible", &all);
    } else {
      buffers_.resize(std::max<std::size_t>(buffers_.size(), tree.depth));
      walk_page(tree.root, 1, all);
      found_.depth = tree.depth;
    }
    if (report_.damages != before) return;
    if (found_.entries != tree.entries || found_.branch_pages != tree.branch_pages ||
        found_.leaf_pages != tree.leaf_pages || found_.overflow_pages != tree.overflow_pages ||
        found_.depth != tree.depth)
      damage(report_.txnid % kMetaPages, "the tree does not have the records and pages that it counts", &all);
  }

  bool mark(std::vector<bool>& where, std::uint64_t number) {
    if (number < kMetaPages || number > meta_.last_page) return false;
    ++(&where == &report_.free ? report_.pages_free : report_.pages_reached);
    highest_ = std::max(highest_, number);
    // Beyond the file's end: whoever reads it finds out. A page that is free was never written, maybe.
    if (number >= where.size()) return true;
    const auto page = static_cast<std::size_t>(number);
    if (report_.reached[page] || report_.free[page]) return false;
    where[page] = true;
    return true;
  }

  void walk_page(std::uint64_t number, std::uint16_t depth, const Range& range) {
    if (failed_) return;
    if (!mark(report_.reached, number))
      return damage(number, "it is pointed at twice, or cannot be one of the tree's pages", &range);
    auto& bytes = buffers_[depth - 1U];
    if (!fine(file_.read(number, 1, bytes), number, &range)) return;
    auto page = TreePage::read(bytes, number, layout_);
    if (!page) return damage(number, page.error().message, &range);
    const std::size_t least = !page->is_leaf() && in_main_ ? 2 : 1;
    if (page->is_leaf() != (depth == tree_->depth) || page->nodes().size() < least)
      return damage(number, "it does not fit its place in the tree", &range);
    if (page->is_leaf())
      walk_leaf(number, *page, range);
    else
      walk_branch(number, *page, depth, range);
  }

  void walk_branch(std::uint64_t number, const TreePage& page, std::uint16_t depth, const Range& range) {
    ++found_.branch_pages;
    const auto& nodes = page.nodes();
    std::vector<std::string> bounds{range.from};  // the first node's key means nothing
    for (std::size_t i = 1; i < nodes.size(); ++i) {
      auto key = ordered(nodes[i].key);
      if (!key || !range.holds(*key) || *key <= bounds.back())
        return damage(number, "its keys are out of order", &range);
      bounds.push_back(std::move(*key));
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      Range below{bounds[i], range.to};
      if (i + 1 < nodes.size()) below.to = bounds[i + 1];
      walk_page(nodes[i].page, static_cast<std::uint16_t>(depth + 1), below);
    }
  }

  // As text that sorts as LMDB sorts: the free list's keys are numbers.
  std::optional<std::string> ordered(std::string_view key) const {
    if (in_main_) return std::string(key);
    if (key.size() != layout_.word_bytes) return std::nullopt;
    return number_value(word_at(key, 0, layout_));
  }

  void walk_leaf(std::uint64_t number, const TreePage& page, const Range& range) {
    ++found_.leaf_pages;
    found_.entries += page.nodes().size();
    std::optional<std::string> last;
    for (const Node& node : page.nodes()) {
      std::string_view value = node.value;
      if (node.large) {
        if (!large_value(node, range)) continue;
        value = large_;
      }
      const bool readable = !in_main_ || unwrap(node.key, value).ok();
      if (in_main_) visit(node.key, value, readable);
      if (!readable) continue;  // its key may be what is wrong with it
      auto key = ordered(node.key);
      if (!key || !range.holds(*key) || (last && *key <= *last))
        return damage(number, "its keys are out of order", &range);
      last = std::move(key);
      if (!in_main_) walk_freed(number, word_at(node.key, 0, layout_), value);
    }
  }

  bool large_value(const Node& node, const Range& range) {
    auto count = file_.read_large(node, large_);
    if (!count) return fine(count.error(), node.page, &range);
    found_.overflow_pages += *count;
    bool apart = node.page <= meta_.last_page && *count <= meta_.last_page + 1 - node.page;
    for (std::uint64_t i = 0; i < *count && node.page + i < report_.reached.size() && apart; ++i)
      apart = mark(report_.reached, node.page + i);
    if (!apart) {
      damage(node.page, "a large value lies upon pages in use, or beyond the end", &range);
      return false;
    }
    return true;
  }

  void visit(std::string_view key, std::string_view value, bool readable) {
    ++report_.records;
    report_.unreadable_records += readable ? 0 : 1;
    if (visit_) visit_(key, value, readable);
  }

  // What one transaction freed.
  void walk_freed(std::uint64_t number, std::uint64_t txnid, std::string_view value) {
    const std::size_t word = layout_.word_bytes;
    const auto count = value.size() < word ? 0 : word_at(value, 0, layout_);
    if (value.size() < word || value.size() % word != 0 || txnid == 0 || txnid > report_.txnid ||
        (count != 0 && count != value.size() / word - 1))  // LMDB reserves lists that it then leaves empty
      return damage(number, "a list of free pages is impossible");
    std::uint64_t last = UINT64_MAX;
    for (std::size_t i = 1; i <= count; ++i) {
      const auto page = word_at(value, i * word, layout_);
      if (page >= last || !mark(report_.free, page))
        return damage(number, "its free pages are in use, out of order, or beyond the end");
      last = page;
    }
  }

  const PageFile& file_;
  const PageLayout layout_;
  const VisitRecord& visit_;
  WalkReport report_;
  Meta meta_;
  std::uint64_t highest_ = kMetaPages - 1;
  bool in_main_ = true;
  const Tree* tree_ = nullptr;
  Tree found_;
  std::vector<std::string> buffers_;  // one page for each level
  std::string large_;
  std::optional<Error> failed_;
};

}  // namespace

Result<WalkReport> walk_pages(const PageFile& file, const VisitRecord& visit) {
  return Walk(file, visit).run();
}

}  // namespace meterd::journal
