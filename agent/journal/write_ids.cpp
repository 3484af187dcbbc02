// Remembering event ids: blocks of hashes, appended, dated, forgotten.
#include <algorithm>
#include <utility>

#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

namespace {

// LMDB keeps a value of up to 126 hashes in its tree and one of up to 254 in exactly one page of its own.
constexpr std::size_t kIdsInTree = 126;
constexpr std::size_t kIdsInPage = 254;
constexpr std::size_t kPrefetched = 8;

std::string_view view(const meter::EventHash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

bool holds(std::string_view hashes, std::string_view hash) {
  for (std::size_t at = 0; at < hashes.size(); at += hash.size())
    if (hashes.substr(at, hash.size()) == hash) return true;
  return false;
}

}  // namespace

Result<std::optional<IdBlock>> WriteTransaction::id_block(std::uint32_t number) const {
  const auto key = id_block_key(number);
  auto raw = txn_.get(key);
  if (!raw) return raw.error();
  if (!raw->has_value()) return std::optional<IdBlock>{};
  auto payload = unwrap(key, **raw);
  if (!payload) return payload.error();
  auto block = parse_id_block(*payload);
  if (!block) return block.error();
  return std::optional<IdBlock>(*block);
}

Status WriteTransaction::put_id_block(std::uint32_t number, std::uint32_t partition,
                                      std::string_view hashes) {
  const auto key = id_block_key(number);
  return txn_.put(key, wrap(key, id_block_value({partition, hashes})));
}

// An unreadable block is set aside, with what it remembered, and shown.
Result<bool> WriteTransaction::remembers(const meter::EventHash& hash, const IdWindow& window,
                                         const NewIds& fresh) {
  Status failed;
  std::vector<std::uint32_t> unreadable;
  const bool found = ids_->find(hash, id_blocks_, [&](std::uint32_t number) {
    if (number == fresh.block) return holds(fresh.hashes, view(hash));
    auto block = id_block(number);
    if (!block && block.error().code == Code::corrupt) {
      unreadable.push_back(number);
      return false;
    }
    if (!block) failed = block.error();
    if (!block || !block->has_value()) return false;
    const auto partition = (*block)->partition;
    return (partition >= window.oldest || partition == kUndatedIds) && holds((*block)->hashes, view(hash));
  });
  if (!failed) return failed.error();
  for (const auto number : unreadable)
    if (auto s = set_aside(id_block_key(number)); !s) return s.error();
  return found;
}

Result<std::vector<bool>> WriteTransaction::remember_ids(std::span<const meter::EventHash> hashes,
                                                         const IdWindow& window) {
  check(ids_ != nullptr, "only the committer's transactions remember ids");
  const auto partition = window.dated ? window.today : kUndatedIds;
  std::vector<bool> known;
  known.reserve(hashes.size());
  auto fresh = begin_new_ids(partition);
  if (!fresh) return fresh.error();
  const auto first = fresh->block;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const auto& hash = hashes[i];
    if (i + kPrefetched < hashes.size()) ids_->prefetch(hashes[i + kPrefetched]);
    auto remembered = remembers(hash, window, *fresh);
    if (!remembered) return remembered.error();
    known.push_back(*remembered);
    if (*remembered) continue;
    if (fresh->hashes.size() == fresh->full_bytes) {
      if (auto s = put_id_block(fresh->block, partition, fresh->hashes); !s) return s.error();
      *fresh = {id_blocks_.next++, kIdsInPage * hash.size(), {}};
    }
    fresh->hashes += view(hash);
    ids_->insert(hash, fresh->block, id_blocks_);
    ++id_blocks_.ids;
  }
  if (fresh->hashes.empty()) --id_blocks_.next;  // it was for nothing
  if (std::find(known.begin(), known.end(), false) == known.end()) return known;
  if (auto s = put_id_block(fresh->block, partition, fresh->hashes); !s) return s.error();
  if (!window.dated && id_blocks_.undated == 0) id_blocks_.undated = first;
  return known;
}

// The last block goes on while it fits into the tree; many small commits do not become many records.
Result<WriteTransaction::NewIds> WriteTransaction::begin_new_ids(std::uint32_t partition) {
  if (id_blocks_.next > id_blocks_.oldest) {
    const auto last = id_blocks_.next - 1;
    auto block = id_block(last);
    if (!block && block.error().code != Code::corrupt) return block.error();
    const auto full_bytes = kIdsInTree * sizeof(meter::EventHash);
    if (block && block->has_value() && (*block)->partition == partition &&
        (*block)->hashes.size() < full_bytes)
      return NewIds{last, full_bytes, std::string((*block)->hashes)};
  }
  return NewIds{id_blocks_.next++, kIdsInPage * sizeof(meter::EventHash), {}};
}

Result<std::size_t> WriteTransaction::date_ids(const IdWindow& window, std::size_t at_most) {
  std::size_t dated = 0;
  while (id_blocks_.undated != 0 && dated < at_most) {
    const auto number = id_blocks_.undated;
    auto block = id_block(number);
    if (!block && block.error().code != Code::corrupt) return block.error();
    if (block && block->has_value() && (*block)->partition == kUndatedIds) {
      if (auto s = put_id_block(number, window.today, std::string((*block)->hashes)); !s) return s.error();
      ++dated;
    }
    id_blocks_.undated = number + 1 < id_blocks_.next ? number + 1 : 0;
  }
  return dated;
}

Result<std::size_t> WriteTransaction::forget_ids(std::uint32_t oldest_kept, std::size_t at_most) {
  std::size_t forgotten = 0;
  while (id_blocks_.oldest < id_blocks_.next && forgotten < at_most) {
    const auto key = id_block_key(id_blocks_.oldest);
    auto block = id_block(id_blocks_.oldest);
    if (!block && block.error().code == Code::corrupt) {
      if (auto s = set_aside(key); !s) return s.error();
    } else if (!block) {
      return block.error();
    } else if (block->has_value()) {
      if ((*block)->partition >= oldest_kept) break;  // an undated one too
      id_blocks_.ids -= (*block)->hashes.size() / sizeof(meter::EventHash);
      if (auto s = txn_.erase(key); !s) return s.error();
      ++forgotten;
    }
    ++id_blocks_.oldest;
  }
  return forgotten;
}

Status WriteTransaction::load_ids() {
  std::vector<std::string> unreadable;
  auto& blocks = id_blocks_;
  bool first = true;
  auto scanned = txn_.scan(prefix(Kind::id_block), "", [&](std::string_view key, std::string_view value) {
    auto number = parse_id_block_key(key);
    auto payload = unwrap(key, value);
    auto block = payload ? parse_id_block(*payload) : Result<IdBlock>(payload.error());
    if (!number || !block) {
      unreadable.emplace_back(key);
      return true;
    }
    if (std::exchange(first, false)) blocks.oldest = *number;
    blocks.next = *number + 1;
    if (block->partition == kUndatedIds && blocks.undated == 0) blocks.undated = *number;
    for (std::size_t at = 0; at < block->hashes.size(); at += sizeof(meter::EventHash)) {
      meter::EventHash hash{};
      std::copy_n(block->hashes.begin() + static_cast<std::ptrdiff_t>(at), hash.size(), hash.begin());
      ids_->insert(hash, *number, blocks);
      ++blocks.ids;
    }
    return true;
  });
  if (!scanned) return scanned;
  for (const auto& key : unreadable)
    if (auto s = set_aside(key); !s) return s;
  unreadable_ids_ = !unreadable.empty();
  return {};
}

}  // namespace meterd::journal
