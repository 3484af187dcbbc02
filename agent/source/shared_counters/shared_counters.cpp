#include "agent/source/shared_counters/shared_counters.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <optional>
#include <utility>

#include "agent/source/shared_counters/answers.hpp"
#include "platform/packets.hpp"
#include "platform/run_on.hpp"

namespace meterd::source {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

namespace {

constexpr Milliseconds kHarvestInterval{100};
constexpr Milliseconds kWatchInterval{10'000};
constexpr Milliseconds kBindAgain{10'000};
constexpr std::size_t kConnectionsMax = 256;

std::span<const char> bytes_of(const meterd_packet& packet) {
  return {reinterpret_cast<const char*>(&packet), sizeof packet};
}

}  // namespace

struct SharedCounters::Shared : std::enable_shared_from_this<SharedCounters::Shared> {
  Shared(SharedCountersRule r, const Dependencies& dependencies, Stored stored)
      : deps(dependencies),
        rule(r),
        clients(std::move(r), dependencies, *dependencies.memory, std::move(stored)),
        tick(deps.clock.make_alarm()),
        watch_tick(deps.clock.make_alarm()) {
    bind();
  }

  struct Connection {
    Descriptor socket;
    Clients::Peer peer;
  };

  Dependencies deps;
  SharedCountersRule rule;
  Clients clients;
  std::unique_ptr<platform::Alarm> tick, watch_tick;
  std::optional<Descriptor> listening;
  std::set<std::shared_ptr<Connection>> connections;
  std::optional<BootTime> harvested_at;
  std::string trouble;
  std::size_t refused = 0;  // connections
  bool watching = false;
  bool stopping = false;

  void bind();
  bool accept();  // false: there was nothing to accept, or no descriptor for it
  std::optional<Clients::Answer> refuse_connection(std::uint32_t user, const ingest::PermitPtr& permit);
  asio::awaitable<void> serve(std::shared_ptr<Connection> connection);
  bool take_packet(Connection& connection);
  asio::awaitable<void> watch();
  void close_all();
};

SharedCounters::SharedCounters(SharedCountersRule rule, const Dependencies& dependencies, Stored stored)
    : shared_(std::make_shared<Shared>(std::move(rule), dependencies, std::move(stored))) {}
SharedCounters::~SharedCounters() = default;

std::string SharedCounters::name() const { return shared_->rule.name(); }

void SharedCounters::harvest(ingest::Batcher& batcher, const platform::WallReading& now) {
  const auto at = shared_->deps.clock.boot();
  const bool just_done = shared_->harvested_at && at - *shared_->harvested_at < kHarvestInterval;
  if (just_done && !shared_->stopping) return;
  shared_->harvested_at = at;
  shared_->clients.harvest(batcher, now, shared_->stopping);
}

asio::awaitable<void> SharedCounters::run() {
  auto shared = shared_;
  shared->watching = true;
  asio::co_spawn(shared->deps.loop, shared->watch(), asio::detached);
  while (!shared->stopping) {
    if (!shared->listening) shared->bind();
    if (!shared->listening) {
      co_await shared->tick->wait_for(kBindAgain);
      continue;
    }
    auto [error] =
        co_await shared->listening->async_wait(Descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (shared->stopping) break;
    // Out of descriptors, most likely: breathe, or the loop would spin.
    if (error || !shared->accept()) co_await shared->tick->wait_for(kHarvestInterval);
  }
  while (shared->watching || !shared->connections.empty()) co_await shared->tick->wait_for(kWatchInterval);
}

void SharedCounters::stop() {
  shared_->stopping = true;
  shared_->close_all();
  shared_->tick->notify();
  shared_->watch_tick->notify();
}

void SharedCounters::Shared::close_all() {
  boost::system::error_code ignored;  // what is closed already has nothing left to report
  if (listening) listening->close(ignored);
  const auto all = connections;
  for (const auto& connection : all) connection->socket.close(ignored);
}

void SharedCounters::Shared::bind() {
  auto socket = deps.listen_packets(rule.socket);
  if (socket) {
    listening.emplace(deps.loop, socket->release());
    trouble.clear();
    return;
  }
  if (trouble.empty())
    deps.log.error("counters_socket_refused",
                   {{"socket", rule.socket},
                    {"error", socket.error().message},
                    {"do", "end what holds it, or give another as [ingest] counters in meterd.toml"}});
  trouble = socket.error().message;
}

bool SharedCounters::Shared::accept() {
  auto socket = platform::accept_packets(listening->native_handle());
  if (!socket) return false;
  const auto user = platform::peer_of(socket->fd());
  if (!user) return true;
  auto permit = deps.access->of(*user);
  if (const auto told = refuse_connection(user->user, permit)) {
    (void)platform::send_packet(socket->fd(), bytes_of(told->packet), nullptr);
    return true;
  }
  auto connection =
      std::make_shared<Connection>(Connection{Descriptor(deps.loop, socket->release()), Clients::Peer{}});
  connection->peer.user = user->user;
  connection->peer.permit = std::move(permit);
  connections.insert(connection);
  asio::co_spawn(deps.loop, serve(connection), asio::detached);
  return true;
}

std::optional<Clients::Answer> SharedCounters::Shared::refuse_connection(std::uint32_t user,
                                                                         const ingest::PermitPtr& permit) {
  if (!permit) {
    deps.batcher.refuse_reporter("user " + std::to_string(user));
    return refusal(EACCES, "this user may not count anything: allow it in [access] of meterd.toml");
  }
  std::size_t of_user = 0;
  for (const auto& one : connections) of_user += one->peer.user == user ? 1U : 0U;
  if (of_user < rule.clients_per_user && connections.size() < kConnectionsMax) return std::nullopt;
  if (refused++ == 0)
    deps.log.warning("counters_connection_refused", {{"user", user}, {"connections", of_user}});
  return refusal(
      ENOSPC,
      "this user has as many clients as it may: end some, or raise [ingest] counter_clients_per_user");
}

asio::awaitable<void> SharedCounters::Shared::serve(std::shared_ptr<Connection> connection) {
  auto self = shared_from_this();
  for (;;) {
    auto [error] =
        co_await connection->socket.async_wait(Descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (error || stopping || !take_packet(*connection)) break;
  }
  boost::system::error_code ignored;  // the peer is gone, or goes now
  connection->socket.close(ignored);
  clients.leave(connection->peer);
  connections.erase(connection);
  (stopping ? tick : watch_tick)->notify();
}

// False: the connection has ended.
bool SharedCounters::Shared::take_packet(Connection& connection) {
  meterd_packet request{};
  const int fd = connection.socket.native_handle();
  auto packet = platform::receive_packet(fd, {reinterpret_cast<char*>(&request), sizeof request});
  if (!packet) return packet.error().code == Code::retry;
  if (packet->size != sizeof request || packet->truncated) return false;
  const auto answer = clients.answer(connection.peer, request, std::move(packet->passed));
  return platform::send_packet(fd, bytes_of(answer.packet), answer.passed ? &*answer.passed : nullptr).ok();
}

asio::awaitable<void> SharedCounters::Shared::watch() {
  auto self = shared_from_this();
  while (!stopping) {
    const auto regions = clients.unattended();
    for (const auto& region : regions) {
      const auto ask = [region, memory = deps.memory] { return memory->is_in_use(region->kept()); };
      region->set_asked(true);
      const bool in_use = co_await platform::run_on(deps.reader, ask);
      region->set_asked(false);
      if (!in_use) clients.let_go(region);
    }
    co_await watch_tick->wait_for(kWatchInterval);
  }
  watching = false;
  tick->notify();
}

Report SharedCounters::report() const {
  Report out{name(), "shared counters", {}, shared_->trouble, {}, {}, shared_->clients.gaps()};
  if (!out.trouble.empty()) {
    out.advice = "end what holds the socket, or give another as [ingest] counters";
  } else if (shared_->clients.holds_back()) {
    out.trouble =
        "what some counters count is taken by no meter, not allowed to their app, or there is no room for it";
    out.advice =
        "give their events a [[meter]], or their user an [[access.allow]], again; it waits in their memory";
  }
  return out;
}

bool SharedCounters::is_shown() const {
  return shared_->clients.regions() > 0 || shared_->clients.gaps().gaps() > 0 || !shared_->trouble.empty();
}

Stored SharedCounters::stored() const { return shared_->clients.stored(); }

}  // namespace meterd::source
