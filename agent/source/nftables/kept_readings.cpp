#include "agent/source/nftables/kept_readings.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace meterd::source {
namespace {

using Seen = ElementReading::Seen;

std::size_t key_bytes_of(const NftablesRule& rule) {
  if (!rule.is_set) return 0;
  return rule.keys == platform::NftKeyKind::ipv6 ? 16 : 4;
}

}  // namespace

KeptReadings::KeptReadings(const NftablesRule& rule, const Cursors& stored)
    : name_(rule.name()), key_bytes_(key_bytes_of(rule)) {
  if (rule.is_set)
    for (const auto& one : rule.subscribers) keys_.push_back(one.key);
  else
    keys_.emplace_back();
  readings_.resize(keys_.size());
  changed_.resize(pages(), false);
  const auto found = stored.find(name_);
  if (found == stored.end() || !found->second.has_nft()) {
    // Pages alone do not say of which counters they are: whether those went on cannot be known.
    damaged_ = !stored.empty();
  } else {
    const auto& head = found->second;
    copied_ = head.copied();
    last_ = ReadingMoment{head.nft().boot_id(),
                          head.nft().counters(),
                          {{Milliseconds(head.read_ms())}, head.nft().trusted()},
                          {Milliseconds(head.nft().boot_ms())}};
    for (std::uint32_t i = 0; i < head.nft().pages(); ++i) {
      const auto page = stored.find(page_name(i));
      if (page == stored.end() || !take_page(page->second)) damaged_ = true;
    }
  }
  // Subscribers that came or went moved the others: what is written next replaces all of it.
  Cursors now = cursors();
  for (const auto& [name, cursor] : stored) {
    if (name == name_) continue;
    if (!now.contains(name)) obsolete_.push_back(name);
  }
  for (std::size_t i = 0; i < pages(); ++i) {
    const auto page = stored.find(page_name(i));
    changed_[i] =
        page == stored.end() || page->second.SerializeAsString() != now[page_name(i)].SerializeAsString();
  }
}

bool KeptReadings::take_page(const journal::CounterCursor& page) {
  const auto& nft = page.nft();
  const auto count = static_cast<std::size_t>(nft.bytes_size());
  if (static_cast<std::size_t>(nft.packets_and_one_size()) != count ||
      nft.keys().size() != count * key_bytes_)
    return false;
  for (std::size_t i = 0; i < count; ++i) {
    platform::NftKey key;
    std::memcpy(key.bytes.data(), nft.keys().data() + i * key_bytes_, key_bytes_);
    const auto at = std::lower_bound(keys_.begin(), keys_.end(), key);
    if (at == keys_.end() || *at != key) continue;  // is no subscriber any more
    const auto packets = nft.packets_and_one(static_cast<int>(i));
    auto& reading = readings_[static_cast<std::size_t>(at - keys_.begin())];
    reading = {Seen::absent, 0, 0};
    if (packets > 0) reading = {Seen::present, nft.bytes(static_cast<int>(i)), packets - 1};
  }
  return true;
}

void KeptReadings::set(std::size_t subscriber, const ElementReading& reading) {
  if (readings_[subscriber] == reading) return;
  readings_[subscriber] = reading;
  changed_[subscriber / kElementsPerPage] = true;
}

void KeptReadings::read_at(ReadingMoment moment) {
  // Which counters they are must be known with what they count.
  write_head_ = std::exchange(copied_, false) || write_head_ || !last_ || last_->boot_id != moment.boot_id ||
                last_->counters != moment.counters;
  last_ = std::move(moment);
}

void KeptReadings::write(ingest::Batcher& batcher) {
  bool any = write_head_ || !obsolete_.empty();
  for (std::size_t i = 0; i < changed_.size(); ++i) {
    if (!changed_[i]) continue;
    changed_[i] = false;
    any = true;
    batcher.note_counter(page_name(i), page(i));
  }
  for (const auto& name : obsolete_) batcher.forget_counter(name);
  obsolete_.clear();
  write_head_ = false;
  if (any) batcher.note_counter(name_, head());
}

journal::CounterCursor KeptReadings::head() const {
  journal::CounterCursor out;
  out.set_read_ms(last_->wall.time.since_epoch.count());
  out.set_copied(copied_);
  auto& nft = *out.mutable_nft();
  nft.set_boot_id(last_->boot_id);
  nft.set_counters(last_->counters);
  nft.set_trusted(last_->wall.trusted);
  nft.set_boot_ms(last_->boot.since_boot.count());
  nft.set_pages(static_cast<std::uint32_t>(pages()));
  return out;
}

// A subscriber who is unknown is left out: none is once a reading was taken.
journal::CounterCursor KeptReadings::page(std::size_t number) const {
  journal::CounterCursor out;
  auto& nft = *out.mutable_nft();
  const auto end = std::min((number + 1) * kElementsPerPage, readings_.size());
  for (std::size_t i = number * kElementsPerPage; i < end; ++i) {
    const auto& reading = readings_[i];
    if (reading.seen == Seen::unknown) continue;
    nft.mutable_keys()->append(reinterpret_cast<const char*>(keys_[i].bytes.data()), key_bytes_);
    nft.add_bytes(reading.bytes);
    nft.add_packets_and_one(reading.seen == Seen::present ? reading.packets + 1 : 0);
  }
  return out;
}

Cursors KeptReadings::cursors() const {
  Cursors out;
  if (!last_) return out;
  out.emplace(name_, head());
  for (std::size_t i = 0; i < pages(); ++i) out.emplace(page_name(i), page(i));
  return out;
}

}  // namespace meterd::source
