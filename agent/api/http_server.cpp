#include "agent/api/http_server.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <list>
#include <optional>

#include "agent/api/body_stream.hpp"
#include "agent/api/request_reader.hpp"
#include "agent/base/limits.hpp"

namespace meterd::api {

namespace asio = boost::asio;
using boost::system::error_code;
using Stream = asio::generic::stream_protocol::socket;
using Phase = RequestReader::Phase;
using Step = RequestReader::Step;

namespace {

constexpr Milliseconds kIdle{75'000};        // between requests on a kept connection
constexpr Milliseconds kHeaderTime{30'000};  // from a request's first byte
constexpr Milliseconds kBodyTime{30'000};    // from its header's end
constexpr Milliseconds kWriteTime{30'000};   // for an answer
constexpr Milliseconds kLingerTime{2'000};   // for what a refused client still sends
constexpr std::size_t kLingerBytes = 1 << 20;
constexpr Milliseconds kFullBreath{10};
constexpr Milliseconds kAcceptBreath{100};  // no file descriptor, or no memory
constexpr Milliseconds kSweepInterval{1'000};
constexpr Milliseconds kNothingToSweep{3'600'000};
constexpr std::size_t kOneBufferMax = 16 * 1024;  // a longer body is not copied behind its head

}  // namespace

struct HttpServer::Connection {
  Connection(Stream s, bool over_unix, ingest::PermitPtr permit, BodyBudget& bodies)
      : socket(std::move(s)), is_unix(over_unix), reader(bodies) {
    reader.request().over_tcp = !over_unix;
    const bool everything = permit != nullptr && permit->everything;
    reader.request().local = over_unix && everything;
    if (!everything) reader.request().only = std::move(permit);
  }
  Stream socket;
  bool is_unix;
  bool answering = false;     // and so not closed for want of places
  Phase phase = Phase::idle;  // what `deadline` is for, while it reads
  bool closed = false;
  std::optional<BootTime> deadline;
  RequestReader reader;
  std::string out;

  void close() {
    closed = true;
    error_code ignored;  // closing a broken socket has nothing left to report
    socket.close(ignored);
  }
};

struct HttpServer::Shared : std::enable_shared_from_this<HttpServer::Shared> {
  struct Door {
    Door(const asio::any_io_executor& loop, Listener listener)
        : descriptor(loop, listener.socket.release()),
          is_unix(listener.is_unix),
          permit(listener.is_unix ? nullptr : std::move(listener.permit)) {}
    asio::posix::stream_descriptor descriptor;
    bool is_unix;
    ingest::PermitPtr permit;
  };
  using Connections = std::list<std::shared_ptr<Connection>>;

  explicit Shared(Dependencies d)
      : deps(std::move(d)), sweep_alarm(deps.clock.make_alarm()), now(deps.clock.boot()) {}

  asio::awaitable<void> accept(Door& door);
  asio::awaitable<void> sweep();
  asio::awaitable<void> serve(Connections::iterator place);
  asio::awaitable<bool> read_some(Connection& connection);
  asio::awaitable<bool> write(Connection& connection, std::string_view body);
  asio::awaitable<bool> write_stream(Connection& connection, BodyStream& body);
  asio::awaitable<void> linger(Connection& connection);
  void begin(Connections::iterator place, Phase phase);
  bool has_place(bool is_unix);
  void turn_away(Connection& connection, Response why);
  void adopt(int fd, const Door& door);
  // Deadlines are counted from the last sweep: at most a second early, so they get a second more.
  void within(Connection& connection, Milliseconds time) {
    connection.deadline = now + time + kSweepInterval;
  }

  Dependencies deps;
  std::vector<std::unique_ptr<Door>> doors;
  BodyBudget bodies{limits::kHttpBodiesBytesMax};
  Connections connections;  // those that read stand in the order in which they began their phase
  std::size_t tcp_connections = 0;
  std::unique_ptr<platform::Alarm> sweep_alarm;
  BootTime now;  // as of the last sweep
  ConnectionStats stats;
  std::map<unsigned, std::uint64_t> answers;
  bool stopping = false;
  platform::TaskGroup* tasks = nullptr;
};

HttpServer::HttpServer(Dependencies dependencies, std::vector<Listener> listeners)
    : shared_(std::make_shared<Shared>(std::move(dependencies))) {
  for (auto& listener : listeners)
    shared_->doors.push_back(std::make_unique<Shared::Door>(shared_->deps.loop, std::move(listener)));
}
HttpServer::~HttpServer() = default;

void HttpServer::start(platform::TaskGroup& tasks) {
  shared_->tasks = &tasks;
  for (auto& door : shared_->doors) tasks.spawn(shared_->accept(*door));
  tasks.spawn(shared_->sweep());
}

void HttpServer::stop() {
  shared_->stopping = true;
  shared_->sweep_alarm->notify();
  for (auto& door : shared_->doors) door->descriptor.cancel();
  for (const auto& connection : shared_->connections)
    if (!connection->answering && connection->phase != Phase::body) connection->close();
}

void HttpServer::close() {
  for (const auto& connection : shared_->connections) connection->close();
}

ConnectionStats HttpServer::connections() const {
  ConnectionStats out = shared_->stats;
  out.open = shared_->connections.size();
  return out;
}

const std::map<unsigned, std::uint64_t>& HttpServer::answers() const { return shared_->answers; }

asio::awaitable<void> HttpServer::Shared::accept(Door& door) {
  auto self = shared_from_this();
  auto breath = deps.clock.make_alarm();
  bool was_full = false;
  while (!stopping) {
    auto [error] = co_await door.descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                                       asio::as_tuple(asio::use_awaitable));
    if (error) continue;  // cancelled by stop(), or a spurious wake-up
    const bool full = !has_place(door.is_unix);
    if (full && !was_full) deps.log.warning("api_connections_full", {{"limit", limits::kHttpConnectionsMax}});
    was_full = full;
    if (full) {  // the kernel keeps who asks until one of the answers is out
      co_await breath->wait_for(kFullBreath);
      continue;
    }
    const int fd = ::accept4(door.descriptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        co_await breath->wait_for(kAcceptBreath);
      continue;
    }
    adopt(fd, door);
  }
}

void HttpServer::Shared::adopt(int fd, const Door& door) {
  const bool is_unix = door.is_unix;
  const auto peer = is_unix ? platform::peer_of(fd) : std::nullopt;
  auto permit = peer ? deps.access.of(*peer) : door.permit;
  const int family = is_unix ? AF_UNIX : AF_INET;
  const int on = 1;  // an answer is one write: nothing is gained by holding it back
  if (!is_unix) (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Stream stream(deps.loop, asio::generic::stream_protocol(family, 0), fd);
  error_code failed;
  stream.non_blocking(true, failed);
  if (failed) return;
  if (connections.empty()) {
    now = deps.clock.boot();
    sweep_alarm->notify();
  }
  connections.push_back(std::make_shared<Connection>(std::move(stream), is_unix, std::move(permit), bodies));
  if (peer) connections.back()->reader.request().peer = "user " + std::to_string(peer->user);
  ++stats.accepted;
  tcp_connections += is_unix ? 0 : 1;
  within(*connections.back(), kIdle);
  tasks->spawn(serve(std::prev(connections.end())));
}

// Anyone on the device reaches loopback TCP: half of the places are kept for the unix socket and meterctl. At
// the limit the connection goes that has waited longest for a request, or for the rest of a header or a body;
// while all are being answered there is no place.
bool HttpServer::Shared::has_place(bool is_unix) {
  const bool tcp_full = !is_unix && tcp_connections >= limits::kHttpConnectionsMax / 2;
  if (!tcp_full && connections.size() < limits::kHttpConnectionsMax) return true;
  for (const auto& connection : connections) {
    if (connection->answering || connection->closed || (tcp_full && connection->is_unix)) continue;
    auto why = error_response(503, "busy", "Too many connections are open: send it again.");
    why.headers.emplace_back("Retry-After", "1");
    turn_away(*connection, std::move(why));
    ++stats.displaced;
    return true;
  }
  return false;
}

// Ends a connection that is not being answered. Who has begun a request is told why in one attempt, so that
// nobody is waited for; the first bytes of an answer always fit.
void HttpServer::Shared::turn_away(Connection& connection, Response why) {
  if (connection.phase != Phase::idle) {
    connection.reader.refuse(std::move(why));
    const auto answer = deps.shape(connection.reader.request(), connection.reader.refusal());
    ++answers[answer.status];
    connection.out.clear();
    append_head(connection.out, answer, connection.reader.frame());
    if (!connection.reader.is_head()) connection.out += answer.body;
    error_code ignored;  // the peer may have gone
    connection.socket.write_some(asio::buffer(connection.out), ignored);
  }
  connection.close();
}

asio::awaitable<void> HttpServer::Shared::sweep() {
  auto self = shared_from_this();
  while (!stopping || !connections.empty()) {
    co_await sweep_alarm->wait_for(connections.empty() ? kNothingToSweep : kSweepInterval);
    now = deps.clock.boot();
    for (const auto& connection : connections) {
      if (connection->closed || !connection->deadline || now < *connection->deadline) continue;
      if (connection->answering || connection->phase != Phase::idle) ++stats.late;
      if (connection->answering)
        connection->close();
      else
        turn_away(*connection, error_response(408, "late", "The request did not come whole in time."));
    }
  }
}

// The whole life of a connection.
asio::awaitable<void> HttpServer::Shared::serve(Connections::iterator place) {
  auto self = shared_from_this();
  const auto connection = *place;
  auto& reader = connection->reader;
  bool keep = true;
  while (keep && !connection->closed) {
    auto step = reader.step();
    if (step == Step::admit) {
      auto refusal = deps.admission(reader.request());
      if (refusal) step = reader.refuse(std::move(*refusal));
      reader.request().admitted = !refusal;
      if (!refusal) continue;
    }
    // Each part of a request that is waited for has its own time, from when it began.
    const bool reads = step == Step::more || step == Step::invite;
    if (reads && reader.phase() != connection->phase) begin(place, reader.phase());
    if (step == Step::more) {
      keep = co_await read_some(*connection);
      continue;
    }
    if (step == Step::invite) {
      connection->out = "HTTP/1.1 100 Continue\r\n\r\n";
      keep = co_await write(*connection, {}) && co_await read_some(*connection);
      continue;
    }
    connection->answering = true;
    auto frame = reader.frame();
    Response answer;
    if (step == Step::request) {
      connection->deadline.reset();  // a commit may take long on a slow disk
      answer = co_await deps.handler(reader.request());
      reader.release_body();  // the answer may take its time
    } else {
      answer = deps.shape(reader.request(), reader.refusal());
    }
    if (answer.stream &&
        frame.version == 10)  // there the end of a body cannot be told from a broken connection
      answer = error_response(505, "http_version", "Ask with HTTP/1.1.");
    ++answers[answer.status];
    keep = frame.keep_alive = frame.keep_alive && !stopping;
    within(*connection, kWriteTime);
    connection->out.clear();
    append_head(connection->out, answer, frame);
    bool sent = co_await write(*connection, reader.is_head() ? std::string_view() : answer.body);
    if (sent && answer.stream && !reader.is_head()) sent = co_await write_stream(*connection, *answer.stream);
    if (sent && step == Step::refused) co_await linger(*connection);
    keep = keep && sent;
    if (!keep) break;
    reader.next();
    begin(place, Phase::idle);
  }
  connection->close();
  tcp_connections -= connection->is_unix ? 0 : 1;
  connections.erase(place);
  if (stopping) sweep_alarm->notify();
}

void HttpServer::Shared::begin(Connections::iterator place, Phase phase) {
  (*place)->phase = phase;
  (*place)->answering = false;
  within(**place, phase == Phase::idle ? kIdle : phase == Phase::header ? kHeaderTime : kBodyTime);
  connections.splice(connections.end(), connections, place);
}

asio::awaitable<bool> HttpServer::Shared::read_some(Connection& connection) {
  const auto room = connection.reader.room();
  auto [error, got] = co_await connection.socket.async_read_some(asio::buffer(room.data(), room.size()),
                                                                 asio::as_tuple(asio::use_awaitable));
  if (error == asio::error::eof && !connection.closed)  // it may still be reading
    turn_away(connection, error_response(400, "cut_short", "The request ended before it was whole."));
  if (error || connection.closed) co_return false;
  connection.reader.received(got);
  co_return true;
}

// Sends connection.out and the body behind it. Most answers go in one call, without a wait.
asio::awaitable<bool> HttpServer::Shared::write(Connection& connection, std::string_view body) {
  if (body.size() <= kOneBufferMax) {
    connection.out += body;
    body = {};
  }
  std::string_view head = connection.out;
  error_code error;
  const auto sent = connection.socket.write_some(asio::buffer(head), error);
  if (error == asio::error::would_block) error = {};
  if (error) co_return false;
  head.remove_prefix(sent);
  if (head.empty() && body.empty()) co_return true;
  const std::array<asio::const_buffer, 2> rest{asio::buffer(head), asio::buffer(body)};
  auto [failed, written] =
      co_await asio::async_write(connection.socket, rest, asio::as_tuple(asio::use_awaitable));
  co_return !failed;
}

// In chunks. Each has its own time to be taken: a client that stops reading holds up what makes the body for
// no longer. Without the last, empty chunk the client knows that it has not got the whole.
asio::awaitable<bool> HttpServer::Shared::write_stream(Connection& connection, BodyStream& body) {
  std::string_view between;  // a chunk's end goes with the next one's size
  for (;;) {
    connection.deadline.reset();
    const auto piece = co_await body.next();
    if (!piece || connection.closed) co_return false;
    within(connection, kWriteTime);
    std::array<char, 20> size{};
    std::snprintf(size.data(), size.size(), "%zx\r\n", piece->size());
    connection.out = between;
    connection.out += size.data();
    if (piece->empty()) connection.out += "\r\n";
    if (!co_await write(connection, *piece)) co_return false;
    if (piece->empty()) co_return true;
    between = "\r\n";
  }
}

// A client that is still sending would lose the answer to a reset: what it sends is thrown away for a moment.
asio::awaitable<void> HttpServer::Shared::linger(Connection& connection) {
  error_code ignored;  // the peer may have gone
  connection.socket.shutdown(Stream::shutdown_send, ignored);
  within(connection, kLingerTime);
  connection.phase = Phase::idle;
  connection.answering = false;
  std::array<char, 4096> nowhere{};
  for (std::size_t passed = 0; passed < kLingerBytes;) {
    auto [error, got] = co_await connection.socket.async_read_some(asio::buffer(nowhere),
                                                                   asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
    passed += got;
  }
}

}  // namespace meterd::api
