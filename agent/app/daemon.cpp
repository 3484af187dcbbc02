#include "agent/app/daemon.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <utility>

#include "agent/api/backup.hpp"
#include "agent/api/http_server.hpp"
#include "agent/api/routes.hpp"
#include "agent/app/access_log_sockets.hpp"
#include "agent/app/clients.hpp"
#include "agent/app/config_values.hpp"
#include "agent/app/core.hpp"
#include "agent/app/version.hpp"
#include "agent/ingest/datagram_input.hpp"
#include "agent/ingest/framed_server.hpp"
#include "agent/meter/identity.hpp"
#include "agent/upstream/http.hpp"
#include "platform/linux/linux.hpp"
#include "platform/run_on.hpp"

namespace meterd::app {

namespace asio = boost::asio;

namespace {

constexpr int kReceiveBufferBytes =
    4 << 20;  // at 4 MiB loopback UDP loses nothing at 900,000 lines/s (measured)
constexpr Milliseconds kStopDeadline{5'000};
constexpr int kKernelDefaultQueue = 10;

// Nobody learns the machine's id from it.
std::string machine_of_this_device() {
  const auto id = platform::read_lasting_machine_id();
  if (id.empty()) return {};
  std::string bytes;
  for (auto hash = meter::device_hash(DeviceId(id), "journal"); bytes.size() < 8; hash >>= 8U)
    bytes.push_back(static_cast<char>(hash & 255U));
  return journal::hex_of(bytes);
}

class Daemon {
 public:
  Daemon(Config config, const Start& start, Log& log)
      : config_(std::move(config)),
        start_(start),
        log_(log),
        access_(config_.access),
        sockets_({config_.access.groups, access_.names_others()},
                 platform::InheritedSockets::of_this_process()),
        journal_thread_(1),
        reader_thread_(1),
        random_(platform::make_random()),
        disk_(platform::make_disk()),
        links_(platform::make_links()),
        nft_tables_(platform::make_nft_tables()),
        notify_(platform::make_notify()),
        process_(platform::make_process()),
        memory_(platform::make_shared_memory(config_.counters.directory())) {}

  int run() {
    if (const int failed = open_journal(); failed != 0) return failed;
    if (const auto refused = access_logs_.bind(config_, kReceiveBufferBytes))
      return refuse_socket(refused->address, refused->error);
    if (const int failed = make_core(); failed != 0) return failed;
    if (const int failed = bind_sockets(); failed != 0) return failed;
    if (sockets_.left() > 0)
      log_.warning(
          "inherited_sockets_unused",
          {{"count", sockets_.left()}, {"do", "let meterd.socket and meterd.toml name the same sockets"}});
    for (const auto& path : sockets_.closed())
      log_.warning(
          "socket_closed_to_others",
          {{"socket", path},
           {"do", "[[access.allow]] lets others report: set SocketMode=0666 in the unit that makes it"}});
    core_->start();
    for (auto& input : datagrams_) tasks_->spawn(input->run());
    tasks_->spawn(framed_->run());
    tasks_->spawn(framed_->sweep());
    http_->start(*tasks_);
    tasks_->spawn(clock_->watch(log_));
    asio::co_spawn(loop_, wait_for_signals(), asio::detached);
    if (const auto watchdog = notify_->watchdog())
      asio::co_spawn(loop_, feed_watchdog(*watchdog), asio::detached);
    notify_->ready();
    log_.info("started", {{"version", kVersion},
                          {"device", config_.device_id.value()},
                          {"journal", config_.journal_directory}});
    loop_.run();
    // Whatever uses the journal ends before it is closed.
    backups_.reset();
    journal_thread_.join();
    reader_thread_.join();
    log_.info("stopped", {{"exit", exit_}});
    return exit_;
  }

 private:
  int open_journal() {
    const journal::JournalOptions options{config_.journal_directory,
                                          config_.journal_size_max,
                                          config_.journal_reserve,
                                          platform::read_boot_id(),
                                          platform::read_wall(),
                                          machine_of_this_device(),
                                          meter::device_prefix(config_.device_id)};
    auto opened = journal::Journal::open(options, *disk_, *random_);
    if (!opened) return refuse("journal_refused", opened.error(), kExitJournal);
    journal_ = std::move(*opened);
    if (const auto aside = journal_->set_aside_at_open(); aside + journal_->healed_at_open() > 0)
      log_.error("records_damaged", {{"set_aside", aside},
                                     {"put_back", journal_->healed_at_open()},
                                     {"do", "see with meterctl verify what they affect; check the disk"}});
    if (const auto from = journal_->migrated_from())
      log_.info("journal_migrated", {{"from", *from}, {"to", journal::kFormat}});
    if (!journal_->found_copied().empty())
      log_.error("journal_is_copy",
                 {{"reason", journal_->found_copied()},
                  {"do", "run meterctl reconcile; counting goes on, and nothing is sent before"}});
    const auto trusted_from = std::max(platform::build_date(), journal_->last_trusted_at_open());
    clock_ = platform::make_clock(
        loop_.get_executor(),
        {journal_->trusted_offset_at_open(), config_.clock_trust == ClockTrust::always, trusted_from});
    tasks_ = std::make_unique<platform::TaskGroup>(loop_.get_executor(), *clock_);
    return 0;
  }

  int make_core() {
    const Surroundings surroundings{
        loop_.get_executor(),
        journal_thread_.get_executor(),
        reader_thread_.get_executor(),
        *clock_,
        *random_,
        *links_,
        log_,
        [this](const UpstreamConfig& upstream) { return make_client(loop_.get_executor(), upstream); },
        [this](const Error&) {
          exit_ = kExitFailed;
          loop_.stop();
        },
        process_.get(),
        [this](const upstream::HttpClientOptions& options) {
          return make_client(loop_.get_executor(), options);
        },
        nft_tables_.get(),
        [this](const std::string& path) { return access_logs_.take(path); },
        memory_.get(),
        &access_,
        [this](const std::string& path) { return sockets_.listen_unix_packets(path); },
        [this](const std::string& only) {
          return platform::make_modem_messages(loop_.get_executor(), *clock_, only);
        }};
    auto core = Core::make(config_, *journal_, surroundings);
    if (!core)
      return refuse("not_started", core.error(),
                    core.error().code == Code::invalid ? kExitConfiguration : kExitJournal);
    core_ = std::move(*core);
    return 0;
  }

  int bind_sockets() {
    inputs_ = access_logs_.addresses();
    bool unix_datagrams = !inputs_.empty();
    for (const auto& address : config_.statsd) {
      auto parsed = parse_socket(address);
      if (!parsed) return refuse("not_started", parsed.error(), kExitConfiguration);
      const bool is_unix = parsed->kind == SocketAddress::Kind::unix_path;
      unix_datagrams |= is_unix;
      auto socket = is_unix ? sockets_.bind_unix_datagram(parsed->path, kReceiveBufferBytes)
                            : sockets_.bind_udp(parsed->host, parsed->port, kReceiveBufferBytes);
      if (!socket) return refuse_socket(address, socket.error());
      const ingest::DatagramAccess allowed{&access_, is_unix, access_.of_input(address)};
      datagrams_.push_back(std::make_unique<ingest::DatagramInput>(loop_.get_executor(), std::move(*socket),
                                                                   core_->batcher(), allowed));
      inputs_.push_back(address);
    }
    if (unix_datagrams && platform::unix_datagram_queue_length() == kKernelDefaultQueue)
      log_.warning("short_datagram_queue",
                   {{"net.unix.max_dgram_qlen", kKernelDefaultQueue},
                    {"do", "set it to 512 before meterd starts: senders block or lose lines"}});
    auto framed = sockets_.listen_unix(config_.ingest_socket);
    if (!framed) return refuse_socket("unix:" + config_.ingest_socket, framed.error());
    framed_ = std::make_unique<ingest::FramedServer>(
        ingest::FramedServer::Dependencies{loop_.get_executor(), reader_thread_.get_executor(), *journal_,
                                           core_->batcher(), *clock_, log_, access_},
        std::move(*framed));
    inputs_.push_back("unix:" + config_.ingest_socket);
    return bind_api();
  }

  int bind_api() {
    std::vector<api::HttpServer::Listener> listeners;
    for (const auto& address : config_.api_listen) {
      auto parsed = parse_socket(address);
      if (!parsed) return refuse("not_started", parsed.error(), kExitConfiguration);
      const bool is_unix = parsed->kind == SocketAddress::Kind::unix_path;
      auto socket =
          is_unix ? sockets_.listen_unix(parsed->path) : sockets_.listen_tcp(parsed->host, parsed->port);
      if (!socket) return refuse_socket(address, socket.error());
      listeners.push_back({std::move(*socket), is_unix, access_.of_input(address)});
    }
    set_keys();
    backups_ = std::make_unique<api::Backups>(api::Backups::Dependencies{
        loop_.get_executor(), *journal_, *clock_, log_, [this] { return core_->refuses_new(); }});
    api::Routes::Dependencies dependencies{core_->batcher(),
                                           *journal_,
                                           reader_thread_.get_executor(),
                                           *clock_,
                                           [this] { return status(); },
                                           [this](bool seal_now) { return core_->flush(seal_now); },
                                           api_key_,
                                           twilio_key_,
                                           [this](journal::CopyForm form) { return backups_->begin(form); },
                                           operator_upstreams()};
    routes_ = std::make_unique<api::Routes>(std::move(dependencies), core_->collection());
    http_ = std::make_unique<api::HttpServer>(
        api::HttpServer::Dependencies{
            loop_.get_executor(), *clock_, log_, access_,
            [this](const api::Request& request) { return routes_->admit(request); },
            [this](const api::Request& request) { return routes_->answer(request); }, api::Routes::shape},
        std::move(listeners));
    return 0;
  }

  api::OperatorUpstreams::Dependencies operator_upstreams() {
    return {[this](std::optional<UpstreamName> only, std::string by, Milliseconds at_most) {
              return core_->inquiries().reconcile(std::move(only), std::move(by), at_most);
            },
            [this](UpstreamName upstream, std::uint64_t run, Milliseconds at_most) {
              return core_->inquiries().compare(std::move(upstream), run, at_most);
            },
            [this](UpstreamName upstream, std::string invoice) {
              return core_->inquiries().statement(std::move(upstream), std::move(invoice));
            },
            [this](Milliseconds at_most) { return core_->inquiries().examine(at_most); },
            [this] { return status(); }};
  }

  asio::awaitable<Result<api::Status>> status() {
    for (auto& input : datagrams_) input->count_dropped();
    auto status = co_await core_->status();
    if (!status) co_return status;
    status->version = kVersion;
    status->inputs = inputs_;
    status->producers = framed_->connections();
    status->http = http_->connections();
    status->http_answers = http_->answers();
    co_return status;
  }

  // What is told is progress: the loop turns, and the journal's thread has ended what it had to do.
  asio::awaitable<void> feed_watchdog(Milliseconds at_least_every) {
    const auto alarm = clock_->make_alarm();
    const auto come_by = [] { return true; };
    for (;;) {
      co_await platform::run_on(journal_thread_.get_executor(), come_by);
      notify_->alive();
      co_await alarm->wait_for(at_least_every / 3);
    }
  }

  asio::awaitable<void> wait_for_signals() {
    for (;;) {
      auto [error, number] = co_await signals_.async_wait(asio::as_tuple(asio::use_awaitable));
      if (error) continue;
      if (number != SIGHUP) break;
      reload_wanted_ = true;
      if (!reloading_) asio::co_spawn(loop_, reload_while_wanted(), asio::detached);
    }
    co_await stop();
  }

  // Beside the waiting for signals: a stop does not wait for it.
  asio::awaitable<void> reload_while_wanted() {
    reloading_ = true;
    while (std::exchange(reload_wanted_, false) && !stopping_) {
      notify_->reloading();
      const Status reloaded = co_await reload();
      if (stopping_) break;
      notify_->ready();
      if (reloaded)
        log_.answer(Level::info, "reloaded",
                    {{"meters", config_.meters.size()}, {"upstreams", config_.upstreams.size()}});
      else
        log_.answer(Level::error, "reload_refused",
                    {{"error", reloaded.error().message},
                     {"do", "nothing has changed: correct meterd.toml and reload again, or restart"}});
    }
    reloading_ = false;
  }

  // The file and its secrets are read on the reader thread: nothing blocks the loop.
  asio::awaitable<Status> reload() {
    const auto load = [this] { return load_config(start_.config_path, start_.sources); };
    auto loaded = co_await platform::run_on(reader_thread_.get_executor(), load);
    if (!loaded) co_return loaded.error();
    Config next = std::move(*loaded);
    const Status reloaded = co_await core_->reload(next);
    if (!reloaded) co_return reloaded;
    for (const auto& warning : next.warnings) log_.warning("configuration", {{"what", warning}});
    config_ = std::move(next);
    set_keys();
    co_return reloaded;
  }

  void set_keys() {
    api_key_.set_key(config_.chargebee_key.reveal());
    twilio_key_.set_credentials(config_.twilio_account, config_.twilio_token.reveal());
  }

  // Polite, in the direction of the flow: first no more events, then their commit, then the flush's last
  // exchange.
  asio::awaitable<void> stop() {
    stopping_ = true;
    log_.info("stopping");
    notify_->stopping();
    for (auto& input : datagrams_) input->stop();
    framed_->stop();
    backups_->close();
    core_->inquiries().stop();
    http_->stop();
    clock_->stop();
    // The inputs end while the batcher still commits: what they take in their last moment is answered truly.
    if (!co_await tasks_->join(kStopDeadline)) {
      framed_->close();
      http_->close();
      (void)co_await tasks_->join(kStopDeadline);  // what is left is refused by the batcher once it has ended
    }
    (void)co_await core_->stop(
        kStopDeadline);  // an exchange that does not end is cut; a restart asks again by id
    if (core_->batcher().holds_uncommitted()) {
      log_.error("stopped_with_uncommitted_events",
                 {{"do", "the journal had no room; free space before the next start"}});
      exit_ = kExitFailed;
    }
    loop_.stop();
  }

  int refuse_socket(const std::string& address, const Error& error) {
    log_.error("socket_refused", {{"socket", address},
                                  {"error", error.message},
                                  {"do", "end what holds it, or give another in meterd.toml"}});
    return kExitSocket;
  }

  int refuse(std::string_view event, const Error& error, int code) {
    log_.error(event, {{"error", error.message}, {"do", "do what the error says, then start meterd again"}});
    return code;
  }

  Config config_;  // in force
  const Start& start_;
  Log& log_;
  const ingest::Access access_;
  platform::SocketBinder sockets_;
  AccessLogSockets access_logs_{sockets_, access_};
  asio::io_context loop_{1};
  // From here on a signal waits for its turn: none ends the process while it starts.
  asio::signal_set signals_{loop_, SIGTERM, SIGINT, SIGHUP};
  asio::thread_pool journal_thread_;
  asio::thread_pool reader_thread_;
  std::unique_ptr<platform::Random> random_;
  std::unique_ptr<platform::Disk> disk_;
  std::unique_ptr<platform::Links> links_;
  std::unique_ptr<platform::NftTables> nft_tables_;
  std::unique_ptr<platform::Notify> notify_;
  std::unique_ptr<platform::Process> process_;
  std::unique_ptr<platform::SharedMemory> memory_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<platform::DeviceClock> clock_;
  std::unique_ptr<platform::TaskGroup> tasks_;
  std::unique_ptr<Core> core_;
  std::vector<std::unique_ptr<ingest::DatagramInput>> datagrams_;
  std::unique_ptr<ingest::FramedServer> framed_;
  api::BasicAuth api_key_, twilio_key_;  // of reporters over TCP
  std::unique_ptr<api::Backups> backups_;
  std::unique_ptr<api::Routes> routes_;
  std::unique_ptr<api::HttpServer> http_;
  std::vector<std::string> inputs_;
  bool reload_wanted_ = false, reloading_ = false, stopping_ = false;
  int exit_ = kExitFine;
};

}  // namespace

int run_daemon(Config config, const Start& start, Log& log) {
  return Daemon(std::move(config), start, log).run();
}

}  // namespace meterd::app
