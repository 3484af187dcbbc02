// Memory that an app gives back to a meterd that lost its hold on it, and what counts in it. What is refused
// for good is not counted: its app is told, and what is in it is shown.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/source/shared_counters/answers.hpp"

namespace meterd::source {
namespace {

constexpr std::size_t kRefusedShownMax = 256;  // of one user, since our start

// What may pass is EAGAIN: the app asks again, and its units wait.
int errno_of(const Error& error) { return error.code == Code::rejected ? EPERM : EAGAIN; }

std::uint64_t units_lost_in(const platform::MemoryFile& memory, const Region::Cursors& cursors) {
  SlotValues values;
  values.read([&](std::span<char> into) { return memory.read_at(0, into); },
              std::vector<std::uint64_t>(METERD_REGION_SLOTS), true);
  std::uint64_t out = 0;
  for (std::uint32_t slot = 0; slot < values.size(); ++slot) {
    const auto value = values.at(slot).value_or(0);
    std::uint64_t counted = 0;
    const auto page = cursors.find(slot / kPageSlots);
    const auto place = static_cast<int>(slot % kPageSlots);
    if (page != cursors.end() && place < page->second.shared().counted_size())
      counted = page->second.shared().counted(place);
    if (value <= counted) continue;
    const auto units = value - counted;
    out = units > UINT64_MAX - out ? UINT64_MAX : out + units;
  }
  return out;
}

}  // namespace

// Memory that an app has and we know nothing of any more, or not what is in it.
Clients::Answer Clients::take_back(Peer& peer, const Id& id, platform::MemoryFile memory) {
  if (const auto owner = owner_of(id)) return take_over(peer, owner, id, memory);
  if (is_held(memory)) return refuse_back(peer, EACCES, "this memory has another name");
  auto recognised = memory_.recognise(std::move(memory), kSizes.memory);
  if (!recognised) return refuse_back(peer, errno_of(recognised.error()), recognised.error().message);
  auto cursors = unclaimed_.extract(id);
  auto answer =
      take_unclaimed(peer, id, std::move(*recognised), cursors ? cursors.mapped() : Region::Cursors{});
  if (cursors && answer.packet.kind == METERD_REFUSED) unclaimed_.insert(std::move(cursors));
  return answer;
}

// Of a process that shares it with the one that has it now, or had it before.
Clients::Answer Clients::take_over(Peer& peer, const std::shared_ptr<Client>& owner, const Id& id,
                                   const platform::MemoryFile& memory) {
  const auto region = *std::find_if(owner->regions.begin(), owner->regions.end(),
                                    [&](const auto& one) { return one->id() == id; });
  if (owner->user != peer.user || !memory_.same_memory(region->kept(), memory))
    return refuse_back(peer, EACCES, "this memory is somebody else's");
  if (region->is_unused()) return refuse_back(peer, EPERM, "this memory was counted to its end");
  if (owner != peer.client && owner->connections > 0) {  // they are one client
    leave(peer);
    ++owner->connections;
    peer.client = owner;
  } else if (owner != peer.client) {
    take_from(*owner, region);
    give_to(*peer.client, region);
    drop_empty();
  }
  return taken_back(peer, *region);
}

Clients::Answer Clients::take_unclaimed(Peer& peer, const Id& id, platform::MemoryFile memory,
                                        const Region::Cursors& cursors) {
  if (!cursors.empty() && cursors.begin()->second.shared().user() != peer.user) {
    show_refused(peer, id, memory, cursors);
    return refuse_back(peer, EACCES, "this memory is somebody else's");
  }
  if (auto s = may_have_another(peer.user); !s) {
    show_refused(peer, id, memory, cursors);
    return refuse_back(peer, ENOSPC, s.error().message);
  }
  auto kept = memory_.take_back(id, std::move(memory), kSizes);
  if (!kept) return refuse_back(peer, EAGAIN, kept.error().message);
  const RegionHead head{peer.user, peer.client->id, {}, clock_.boot(), false};
  if (auto s = kept->names.write_at(0, head_record(kept->id, head)); !s) {
    (void)memory_.drop(*kept);  // given again, and kept under the same id then
    return refuse_back(peer, EAGAIN, s.error().message);
  }
  const auto region = std::make_shared<Region>(std::move(*kept), head, std::vector<CounterName>{}, cursors,
                                               clock_.boot(), false);
  peer.client->regions.push_back(region);
  log_.info("counters_taken_back", {{"user", peer.user}});
  return taken_back(peer, *region);
}

Clients::Answer Clients::taken_back(Peer& peer, const Region& region) {
  peer.given.insert(region.id());
  auto out = welcome(peer.client->id);
  if (!region.has_nameless()) out.packet.slot = static_cast<std::uint32_t>(region.used());
  return out;
}

Clients::Answer Clients::refuse_back(const Peer& peer, int code, const std::string& text) {
  log_.warning("counters_not_taken_back", {{"user", peer.user}, {"error", text}});
  return refusal(code, text);
}

// Its app goes on in other memory. Once for each.
void Clients::show_refused(const Peer& peer, const Id& id, const platform::MemoryFile& memory,
                           const Region::Cursors& cursors) {
  auto& shown = refused_[peer.user];
  if (shown.size() >= kRefusedShownMax || !shown.insert(id).second) return;
  const auto lost = units_lost_in(memory, cursors);
  if (lost == 0) return;
  const auto now = batcher_.now();
  journal::Gap gap;
  if (!cursors.empty()) gap.set_from_ms(cursors.begin()->second.read_ms());
  gap.set_until_ms(now.time.since_epoch.count());
  gap.set_trusted(now.trusted);
  gap.set_reason("memory that an app gave back was refused");
  gap.set_what("counters of user " + std::to_string(peer.user));
  gap.set_lost_max(std::to_string(lost));
  gaps_.note(batcher_, std::move(gap));
}

// No meter need take the name: what it counts waits for one, as it does in memory that was found.
Clients::Answer Clients::name_slot(Peer& peer, const meterd_packet& request, CounterName name) {
  const auto& regions = peer.client->regions;
  const auto found = std::find_if(regions.begin(), regions.end(), [&](const auto& region) {
    return std::equal(region->id().begin(), region->id().end(), request.region);
  });
  if (found == regions.end()) return refusal(EINVAL, "this client has no such memory");
  const auto region = *found;
  // The kernel may say that nobody writes it, and then nobody may be given it.
  if (region->is_asked() || region->is_unused())
    return refusal(EAGAIN, "meterd looks whether this memory is in use: ask again");
  auto refused = refuse_name(peer, name);
  const bool is_new = request.slot >= region->used();
  if (!refused && is_new && counters_of(peer.user) >= rule_.counters_per_user + METERD_REGION_SLOTS)
    refused = refusal(ENOSPC, "this user has as many counters as it may");
  if (refused) {
    region->keep_nameless(request.slot);
    return refuse_back(peer, static_cast<int>(refused->packet.code), refused->packet.text);
  }
  if (auto s = region->put(request.slot, name); !s)
    return refuse_back(peer, s.error().code == Code::io ? EAGAIN : EINVAL, s.error().message);
  peer.client->counters.try_emplace(std::move(name), region, request.slot);
  return slot_answer(peer, *region, request.slot);
}

}  // namespace meterd::source
