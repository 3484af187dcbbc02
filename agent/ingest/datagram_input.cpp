#include "agent/ingest/datagram_input.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/base/limits.hpp"
#include "agent/ingest/statsd.hpp"

namespace meterd::ingest {

namespace asio = boost::asio;

namespace {
constexpr std::size_t kDatagramsPerCall = 64;
constexpr std::size_t kDatagramBytes = 8 * 1024;  // longer ones are refused whole: half a line must not count
constexpr int kCallsPerTurn = 8;
constexpr int kTurnsAtStop = 64;

DatagramInput::TakeLine statsd_lines(Batcher& batcher) {
  return [&batcher](std::string_view line, const meter::Permit* permit, const platform::WallReading& now) {
    meter::EventView event;
    event.permit = permit;
    if (const auto refusal = parse_statsd_line(line, event))
      batcher.stats().refuse(*refusal);
    else
      (void)batcher.count(event, now);  // a refusal is counted there
  };
}

}  // namespace

struct DatagramInput::Impl {
  Impl(const asio::any_io_executor& loop, platform::Socket socket, Batcher& b, const DatagramAccess& a,
       TakeLine take)
      : descriptor(loop, socket.release()),
        reader(kDatagramsPerCall, kDatagramBytes),
        batcher(b),
        access(a),
        senders(*a.access),
        take_line(std::move(take)) {}
  asio::posix::stream_descriptor descriptor;
  platform::DatagramReader reader;
  Batcher& batcher;
  DatagramAccess access;
  SenderAccess senders;
  TakeLine take_line;
  bool stopping = false;
  std::uint32_t dropped = 0;  // as last seen: the kernel's count runs on
};

DatagramInput::DatagramInput(asio::any_io_executor loop, platform::Socket socket, Batcher& batcher,
                             const DatagramAccess& access, TakeLine take_line)
    : impl_(std::make_unique<Impl>(loop, std::move(socket), batcher, access, std::move(take_line))) {}

DatagramInput::DatagramInput(asio::any_io_executor loop, platform::Socket socket, Batcher& batcher,
                             const DatagramAccess& access)
    : DatagramInput(std::move(loop), std::move(socket), batcher, access, statsd_lines(batcher)) {}

DatagramInput::~DatagramInput() = default;

void DatagramInput::stop() {
  impl_->stopping = true;
  impl_->descriptor.cancel();
}

asio::awaitable<void> DatagramInput::run() {
  while (!impl_->stopping) {
    auto [error] = co_await impl_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                                         asio::as_tuple(asio::use_awaitable));
    if (error && !impl_->stopping) continue;  // cancelled for another reason: wait again
    while (!impl_->stopping && drain_turn())
      co_await asio::post(impl_->descriptor.get_executor(), asio::use_awaitable);
  }
  for (int turn = 0; turn < kTurnsAtStop && drain_turn(); ++turn) {
  }
}

void DatagramInput::count_dropped() {
  const auto dropped = platform::datagrams_dropped(impl_->descriptor.native_handle());
  impl_->batcher.stats().datagrams_dropped += dropped - impl_->dropped;
  impl_->dropped = dropped;
}

// True if more may wait.
bool DatagramInput::drain_turn() {
  for (int call = 0; call < kCallsPerTurn; ++call) {
    const auto now = impl_->batcher.now();
    auto got = impl_->reader.drain(impl_->descriptor.native_handle(),
                                   [&](const platform::Datagram& datagram) { take_datagram(datagram, now); });
    if (!got || *got < kDatagramsPerCall) {
      count_dropped();  // nothing is thrown away but before a full buffer, which is read afterwards: here
      return false;
    }
  }
  return true;
}

void DatagramInput::take_datagram(const platform::Datagram& datagram, const platform::WallReading& now) {
  auto& stats = impl_->batcher.stats();
  ++stats.datagrams;
  const auto* permit = impl_->access.by_sender ? impl_->senders.of(datagram.sender, impl_->batcher.boot())
                                               : impl_->access.permit.get();
  if (permit == nullptr) {
    impl_->batcher.refuse_reporter(datagram.sender ? "user " + std::to_string(datagram.sender->user)
                                                   : "nobody");
    return;
  }
  if (datagram.truncated) {
    stats.refuse(meter::Refusal::too_large);
    return;
  }
  auto bytes = datagram.bytes;
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    auto line = bytes.substr(0, end);
    bytes = end == std::string_view::npos ? std::string_view{} : bytes.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) impl_->take_line(line, permit->everything ? nullptr : permit, now);
  }
}

}  // namespace meterd::ingest
