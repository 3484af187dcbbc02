#include "agent/ingest/framed_server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <set>
#include <utility>
#include <vector>

#include "agent/base/limits.hpp"
#include "agent/ingest/frame.hpp"
#include "platform/run_on.hpp"

namespace meterd::ingest {

namespace asio = boost::asio;
using Stream = asio::local::stream_protocol;

namespace {
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr Milliseconds kFrameDeadline{30'000};  // from a frame's first byte to its last
constexpr Milliseconds kSweepInterval{5'000};
constexpr Milliseconds kWriteDeadline{30'000};  // a client that does not read its acks
}  // namespace

struct FramedServer::Connection : std::enable_shared_from_this<FramedServer::Connection> {
  Connection(Stream::socket s, PermitPtr allowed, platform::Clock& clock)
      : socket(std::move(s)),
        permit(std::move(allowed)),
        room(clock.make_alarm()),
        to_write(clock.make_alarm()) {}

  struct Slot {  // one batch's place in the order of acks
    bool ready = false;
    std::string bytes;
  };

  Stream::socket socket;
  PermitPtr permit;  // the reporter's
  std::string buffer;
  std::deque<std::shared_ptr<Slot>> acks;
  std::unique_ptr<platform::Alarm> room, to_write;
  std::optional<BootTime> frame_began, write_began;
  bool reading_done = false;
  bool closed = false;

  void close() {
    closed = true;
    boost::system::error_code ignored;  // closing a broken socket has nothing left to report
    socket.close(ignored);
    room->notify();
    to_write->notify();
  }
  void put(const std::shared_ptr<Slot>& slot, const v1::Ack& ack) {
    slot->bytes = frame(ack.SerializeAsString());
    slot->ready = true;
    to_write->notify();
  }
};

struct FramedServer::Shared : std::enable_shared_from_this<FramedServer::Shared> {
  Shared(Dependencies dependencies, platform::Socket socket)
      : deps(std::move(dependencies)),
        acceptor(deps.loop, Stream(), socket.release()),
        tick(deps.clock.make_alarm()),
        sweep_alarm(deps.clock.make_alarm()) {}

  Dependencies deps;
  Stream::acceptor acceptor;
  std::unique_ptr<platform::Alarm> tick;
  std::unique_ptr<platform::Alarm> sweep_alarm;
  ProducerTable producers;
  std::set<std::shared_ptr<Connection>> connections;
  std::vector<char> scratch = std::vector<char>(kReadBytes);
  std::size_t held_bytes = 0;  // of all connections' buffers
  ConnectionStats stats;
  bool stopping = false;

  asio::awaitable<void> read_frames(std::shared_ptr<Connection> connection);
  asio::awaitable<bool> read_some(Connection& connection);
  asio::awaitable<void> write_acks(std::shared_ptr<Connection> connection);
  asio::awaitable<bool> take_frame(std::shared_ptr<Connection> connection, std::string_view payload);
  void refuse(Connection& connection, meter::Refusal refusal, const std::string& why);
  bool make_room();
};

FramedServer::FramedServer(Dependencies dependencies, platform::Socket socket)
    : shared_(std::make_shared<Shared>(std::move(dependencies), std::move(socket))) {}
FramedServer::~FramedServer() = default;

ConnectionStats FramedServer::connections() const {
  ConnectionStats out = shared_->stats;
  out.open = shared_->connections.size();
  return out;
}

asio::awaitable<void> FramedServer::run() {
  auto shared = shared_;
  while (!shared->stopping) {
    auto [error, socket] = co_await shared->acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
    if (shared->stopping) break;
    if (error) {
      // Out of descriptors, most likely: breathe, or the loop would spin.
      co_await shared->tick->wait_for(Milliseconds(100));
      continue;
    }
    auto permit = shared->deps.access.of_socket(socket.native_handle());
    if (permit == nullptr) {
      ++shared->stats.refused_peer;
      shared->deps.log.warning("ingest_peer_refused",
                               {{"do", "add the reporter's group to [access] groups, or allow it there"}});
      continue;
    }
    if (shared->connections.size() >= limits::kProducerConnectionsMax && !shared->make_room()) continue;
    boost::system::error_code failed;
    socket.non_blocking(true, failed);
    if (failed) continue;
    auto connection = std::make_shared<Connection>(std::move(socket), std::move(permit), shared->deps.clock);
    shared->connections.insert(connection);
    ++shared->stats.accepted;
    asio::co_spawn(shared->deps.loop, shared->read_frames(connection), asio::detached);
    asio::co_spawn(shared->deps.loop, shared->write_acks(connection), asio::detached);
  }
  // The connections' coroutines are this one's: whoever waits for it waits for their last acks.
  while (!shared->connections.empty()) co_await shared->tick->wait_for(kSweepInterval);
}

asio::awaitable<void> FramedServer::sweep() {
  auto shared = shared_;
  while (!shared->stopping) {
    co_await shared->sweep_alarm->wait_for(kSweepInterval);
    const auto now = shared->deps.clock.boot();
    const auto connections = shared->connections;
    for (const auto& connection : connections) {
      const bool late_frame = connection->frame_began && now - *connection->frame_began > kFrameDeadline;
      const bool late_write = connection->write_began && now - *connection->write_began > kWriteDeadline;
      if (connection->closed || (!late_frame && !late_write)) continue;
      ++shared->stats.late;
      connection->close();
    }
  }
}

void FramedServer::stop() {
  shared_->stopping = true;
  shared_->sweep_alarm->notify();
  boost::system::error_code ignored;  // the acceptor may be closed already
  shared_->acceptor.close(ignored);
  for (const auto& connection : shared_->connections) {
    boost::system::error_code gone;  // the peer may have left
    connection->socket.shutdown(Stream::socket::shutdown_receive, gone);
  }
}

void FramedServer::close() {
  const auto connections = shared_->connections;
  for (const auto& connection : connections) connection->close();
}

// At the limit: the connection that waits for nothing and sends nothing makes room for a new one. False: all
// of them are at work, and it is the new one that must come again.
bool FramedServer::Shared::make_room() {
  for (const auto& connection : connections) {
    if (connection->closed || connection->frame_began || !connection->acks.empty()) continue;
    deps.log.warning("ingest_idle_connection_closed", {{"limit", limits::kProducerConnectionsMax}});
    connection->close();
    ++stats.displaced;
    return true;
  }
  ++stats.refused_full;
  deps.log.warning("ingest_connection_refused", {{"limit", limits::kProducerConnectionsMax}});
  return false;
}

asio::awaitable<void> FramedServer::Shared::read_frames(std::shared_ptr<Connection> connection) {
  auto self = shared_from_this();
  while (!connection->closed && !stopping) {
    auto part = next_frame(connection->buffer);
    if (!part) {
      refuse(*connection,
             part.error().code == Code::full ? meter::Refusal::too_large : meter::Refusal::malformed,
             part.error().message);
      break;
    }
    if (part->has_value()) {
      connection->frame_began.reset();
      const bool went_on = co_await take_frame(connection, (*part)->payload);
      connection->buffer.erase(0, (*part)->consumed);
      held_bytes -= (*part)->consumed;
      if (!went_on) break;
      continue;
    }
    auto& buffer = connection->buffer;
    if (buffer.empty() && buffer.capacity() > kReadBytes) buffer = {};
    if (!buffer.empty() && !connection->frame_began) connection->frame_began = deps.clock.boot();
    if (!co_await read_some(*connection)) {
      if (!buffer.empty() && !stopping)
        deps.batcher.stats().refuse(meter::Refusal::malformed);  // half a frame
      break;
    }
    if (held_bytes > limits::kFramesHeldBytesMax && buffer.size() > kReadBytes) {
      refuse(*connection, meter::Refusal::full,
             "full: too many large frames at once; send smaller batches, or this one again later");
      break;
    }
  }
  held_bytes -= std::exchange(connection->buffer, {}).size();
  connection->reading_done = true;
  connection->frame_began.reset();
  connection->to_write->notify();
}

// Into one buffer for all: a connection that says nothing holds none. False: it has ended.
asio::awaitable<bool> FramedServer::Shared::read_some(Connection& connection) {
  for (;;) {
    boost::system::error_code error;
    const auto got = connection.socket.read_some(asio::buffer(scratch), error);
    if (!error) {
      connection.buffer.append(scratch.data(), got);
      held_bytes += got;
      co_return true;
    }
    if (error != asio::error::would_block) co_return false;
    auto [failed] =
        co_await connection.socket.async_wait(Stream::socket::wait_read, asio::as_tuple(asio::use_awaitable));
    if (failed) co_return false;
  }
}

void FramedServer::Shared::refuse(Connection& connection, meter::Refusal refusal, const std::string& why) {
  deps.batcher.stats().refuse(refusal);
  v1::Ack ack;
  ack.set_error(why);
  auto slot = std::make_shared<Connection::Slot>();
  connection.acks.push_back(slot);
  connection.put(slot, ack);
}

// False: the stream cannot go on.
asio::awaitable<bool> FramedServer::Shared::take_frame(std::shared_ptr<Connection> connection,
                                                       std::string_view payload) {
  while (connection->acks.size() >= limits::kFramesInFlightMax && !connection->closed)
    co_await connection->room->wait_for(kSweepInterval);
  v1::Batch batch;
  if (!batch.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    refuse(*connection, meter::Refusal::malformed, "malformed: the frame does not hold a meterd.v1.Batch");
    co_return false;
  }
  auto slot = std::make_shared<Connection::Slot>();
  connection->acks.push_back(slot);
  auto why = refuse_batch(batch);
  if (!why && batch.ack() == v1::RECEIVED && deps.batcher.stuck_for() > Milliseconds(0))
    why = BatchRefusal{meter::Refusal::full,
                       "full: the journal has no room at the moment; report the batch again later"};
  if (why) {
    deps.batcher.stats().refuse(why->refusal);
    v1::Ack ack;
    ack.set_error(why->message);
    connection->put(slot, ack);
    co_return true;
  }
  const auto* permit = connection->permit->everything ? nullptr : connection->permit.get();
  const auto producer = producer_of(batch, permit);
  if (batch.sequence() != 0 && !producers.knows(producer)) {
    const auto read = [&journal = deps.journal, producer] { return read_producer(journal, producer); };
    auto stored = co_await platform::run_on(deps.reader, read);
    const bool has_room = producers.has_room(permit);
    if (!stored || !has_room) {
      if (!has_room && permit != nullptr) deps.batcher.note_beyond_share(permit->who);
      deps.batcher.stats().refuse(meter::Refusal::full);
      v1::Ack ack;
      ack.set_error(
          has_room ? "full: the journal cannot be read; report the batch again later"
                   : "full: too many producers, of all or of this reporter's share; name the ones there are");
      connection->put(slot, ack);
      co_return true;
    }
    producers.learn(producer, *stored, permit);  // keeps what another connection learnt meanwhile
  }
  auto pending = std::make_shared<PendingAck>(count_batch(batch, deps.batcher, producers, permit));
  if (!pending->needs_commit) {
    connection->put(slot, pending->ack);
    co_return true;
  }
  deps.batcher.commit_soon(
      [connection, slot, pending](const Status& committed, const WindowOutcome& outcome) {
        settle_ack(*pending, committed, outcome);
        connection->put(slot, pending->ack);
      });
  co_return true;
}

asio::awaitable<void> FramedServer::Shared::write_acks(std::shared_ptr<Connection> connection) {
  auto self = shared_from_this();
  std::string out;
  while (!connection->closed) {
    out.clear();
    while (!connection->acks.empty() && connection->acks.front()->ready) {
      out += connection->acks.front()->bytes;
      connection->acks.pop_front();
    }
    if (out.empty()) {
      if (connection->reading_done && connection->acks.empty()) break;
      co_await connection->to_write->wait_for(Milliseconds(60'000));
      continue;
    }
    connection->room->notify();
    connection->write_began = deps.clock.boot();
    auto [error, sent] = co_await asio::async_write(connection->socket, asio::buffer(out),
                                                    asio::as_tuple(asio::use_awaitable));
    connection->write_began.reset();
    if (error) break;
  }
  connection->close();
  self->connections.erase(connection);
  if (stopping) tick->notify();
}

}  // namespace meterd::ingest
