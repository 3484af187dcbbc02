// What an app asks for, answered: who it is, and its counters.
#include "agent/source/shared_counters/answers.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::source {
namespace {

// Of all users: two descriptors each, of those that the process may have (app/main.cpp).
constexpr std::size_t kRegionsMax = 256;

std::string text_in(const char* bytes, std::size_t size) { return {bytes, strnlen(bytes, size)}; }

int errno_of(meter::Refusal refusal) {
  return refusal == meter::Refusal::missing_subscription ? EINVAL : ENOENT;
}

}  // namespace

Clients::Answer Clients::answer(Peer& peer, const meterd_packet& request, platform::MemoryFile passed) {
  if (request.magic != METERD_PACKET_MAGIC || request.version != METERD_PACKET_VERSION)
    return refusal(EPROTO, "this meterd speaks another version: install the libmeter that came with it");
  Id client{};
  std::copy_n(request.client, client.size(), client.begin());
  if (request.kind == METERD_HELLO) return hello(peer, client);
  if (!peer.client) return refusal(EPROTO, "a connection begins with HELLO");
  Id region{};
  std::copy_n(request.region, region.size(), region.begin());
  CounterName name{text_in(request.event, sizeof request.event),
                   text_in(request.subscription, sizeof request.subscription)};
  switch (request.kind) {
    case METERD_WANT:
      return want(peer, std::move(name));
    case METERD_HAND_BACK:
      return take_back(peer, region, std::move(passed));
    case METERD_NAME:
      return name_slot(peer, request, std::move(name));
    default:
      return refusal(EPROTO, "this request is not known: install the libmeter that came with this meterd");
  }
}

Clients::Answer Clients::hello(Peer& peer, const Id& id) {
  leave(peer);
  std::shared_ptr<Client> client;
  if (id != Id{}) {
    const auto found = clients_.find(id);
    if (found != clients_.end() && found->second->user == peer.user) client = found->second;
    const bool readable = client && std::none_of(client->regions.begin(), client->regions.end(),
                                                 [](const auto& region) { return region->has_nameless(); });
    if (!readable) return refusal(ESTALE, "this client is not known any more: begin anew");
  } else {
    client = new_client(peer.user);
    if (!client)
      return refusal(
          ENOSPC,
          "this user has as many clients as it may: end some, or raise [ingest] counter_clients_per_user");
  }
  ++client->connections;
  client->permit = peer.permit;
  peer.client = client;
  peer.given.clear();
  return welcome(client->id);
}

std::shared_ptr<Clients::Client> Clients::new_client(std::uint32_t user) {
  // Whose names are missing gives its memory back as another.
  const auto goes = [](const Client& client) {
    return client.connections == 0 && std::any_of(client.regions.begin(), client.regions.end(),
                                                  [](const auto& region) { return region->has_nameless(); });
  };
  const auto count = std::count_if(clients_.begin(), clients_.end(), [&](const auto& one) {
    return one.second->user == user && !goes(*one.second);
  });
  if (static_cast<std::uint64_t>(count) >= rule_.clients_per_user) return nullptr;
  return client_of(memory_.random_id(), user);
}

void Clients::leave(Peer& peer) {
  if (!peer.client) return;
  --peer.client->connections;
  peer.client.reset();
  drop_empty();
}

std::optional<Clients::Answer> Clients::refuse_name(const Peer& peer, const CounterName& name) const {
  const auto fits = [](const std::string& text) { return is_clean_text(text, METERD_COUNTER_NAME_MAX); };
  if (!fits(name.event) || (!name.subscription.empty() && !fits(name.subscription)))
    return refusal(EINVAL, "event and subscription are clean UTF-8 of at most 100 bytes");
  if (!peer.permit || !peer.permit->allows(name.event, name.subscription)) {
    batcher_.refuse_reporter(peer.permit ? peer.permit->who : "user " + std::to_string(peer.user));
    return refusal(EACCES, "this user may not count that: allow it in [access] of meterd.toml");
  }
  return std::nullopt;
}

std::optional<Clients::Answer> Clients::refuse_without_meter(const CounterName& name) const {
  if (const auto refused = batcher_.would_refuse(name.event, name.subscription))
    return refusal(errno_of(*refused),
                   std::string(meter::name_of(*refused)) + ": " + std::string(meter::advice_for(*refused)));
  return std::nullopt;
}

Clients::Answer Clients::want(Peer& peer, CounterName name) {
  auto& client = *peer.client;
  if (auto refused = refuse_name(peer, name)) return std::move(*refused);
  if (auto refused = refuse_without_meter(name)) return std::move(*refused);
  if (const auto known = client.counters.find(name);
      known != client.counters.end() && !known->second.first->is_asked())
    return slot_answer(peer, *known->second.first, known->second.second);
  if (counters_of(peer.user) >= rule_.counters_per_user)
    return refusal(
        ENOSPC, "this user has as many counters as it may: end an app, or raise [ingest] counters_per_user");
  auto region = room(client);
  if (!region) return refusal(region.error().code == Code::full ? ENOSPC : EIO, region.error().message);
  const auto slot = (*region)->add(name);
  if (!slot) return refusal(slot.error().code == Code::full ? ENOSPC : EIO, slot.error().message);
  client.counters.insert_or_assign(std::move(name), std::pair{*region, *slot});
  return slot_answer(peer, **region, *slot);
}

Status Clients::may_have_another(std::uint32_t user) const {
  if (regions_of(user) >= rule_.regions_per_user())
    return Error{Code::full,
                 "this user has as much memory for counters as it may: end an app, or raise [ingest] "
                 "counters_per_user"};
  if (regions() >= kRegionsMax)
    return Error{Code::full,
                 "meterd has as many descriptors of memory for counters as it may, of all users: end apps "
                 "that have counters"};
  return {};
}

Result<std::shared_ptr<Region>> Clients::room(Client& client) {
  for (const auto& region : client.regions)
    if (region->has_room()) return region;
  if (auto s = may_have_another(client.user); !s) return s.error();
  auto kept = memory_.make(kSizes);
  if (!kept) return kept.error();
  const RegionHead head{client.user, client.id, batcher_.lineage(), clock_.boot(), false};
  if (auto s = kept->names.write_at(0, head_record(kept->id, head)); !s) {
    (void)memory_.drop(*kept);
    return s.error();
  }
  auto region = std::make_shared<Region>(std::move(*kept), head, std::vector<CounterName>{},
                                         Region::Cursors{}, clock_.boot(), true);
  client.regions.push_back(region);
  return region;
}

Clients::Answer Clients::slot_answer(Peer& peer, const Region& region, std::uint32_t slot) {
  auto out = answer_of(METERD_SLOT);
  std::copy(region.id().begin(), region.id().end(), out.packet.region);
  out.packet.slot = slot;
  if (peer.given.contains(region.id())) return out;
  auto shared = memory_.share(region.kept());
  if (!shared) return refusal(EMFILE, shared.error().message);
  out.passed = std::move(*shared);
  peer.given.insert(region.id());
  return out;
}

}  // namespace meterd::source
