#include "agent/source/access_log/access_log_source.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace meterd::source {

namespace asio = boost::asio;
using meter::Refusal;

AccessLogSource::AccessLogSource(AccessLogRule rule, const Dependencies& dependencies, Stored stored)
    : rule_(std::move(rule)),
      batcher_(dependencies.batcher),
      calls_(rule_),
      gaps_(name(), std::move(stored.gaps)) {
  if (const auto found = stored.cursors.find(name()); found != stored.cursors.end())
    cursor_ = std::move(found->second);
  sequences_ = Sequences(cursor_.access_log(), stored.of_a_copy);
  if (!dependencies.take_datagram_socket) return;
  auto taken = dependencies.take_datagram_socket(rule_.socket);
  if (taken.socket.fd() < 0) return;
  closed_ = taken.closed;
  input_ = std::make_unique<ingest::DatagramInput>(
      dependencies.loop, std::move(taken.socket), batcher_, taken.access,
      [this](std::string_view line, const meter::Permit* permit, const platform::WallReading& now) {
        take_line(line, permit, now);
      });
}

asio::awaitable<void> AccessLogSource::run() {
  if (input_) co_await input_->run();
}

void AccessLogSource::stop() {
  if (input_) input_->stop();
}

void AccessLogSource::take_line(std::string_view line, const meter::Permit* permit,
                                const platform::WallReading& now) {
  const bool is_read = calls_.read(line);
  const auto sender = is_read && calls_.has_sequence() ? calls_.sender() : std::nullopt;
  if (!is_read || (calls_.has_sequence() && !sender)) return batcher_.stats().refuse(Refusal::malformed);
  bool is_full = false;
  for (std::size_t i = 0; i < calls_.calls().size(); ++i) {
    auto call = calls_.judge(i);
    if (call.verdict == CallReader::Verdict::refused) batcher_.stats().refuse(call.refusal);
    if (call.verdict != CallReader::Verdict::counts) continue;
    call.event.permit = permit;
    const auto counted = batcher_.count(call.event, now);  // a refusal is counted there
    is_full = is_full || counted.refusal == Refusal::full;
  }
  // Nobody sends it again: a call that there was no room for is lost. It is told as soon as there is room:
  // the worker's next message may never come.
  if (sender) take_number(*sender, is_full, now);
}

void AccessLogSource::take_number(const CallReader::Sender& sender, bool is_lost,
                                  const platform::WallReading& now) {
  auto step = sequences_.take(sender.worker, sender.number, now);
  if (step.is_found && !is_lost) ++missed_.found;
  if (!step.is_found && is_lost) ++step.lost;
  if (step.lost == 0 && step.doubtful == 0) return;
  const bool is_first = missed_.lost == 0 && missed_.doubtful == 0;
  missed_.from_ms = is_first ? step.since_ms : std::min(missed_.from_ms, step.since_ms);
  missed_.until_ms = now.time.since_epoch.count();
  missed_.trusted = now.trusted;
  missed_.lost += step.lost;
  missed_.doubtful += step.doubtful;
}

void AccessLogSource::harvest(ingest::Batcher& batcher, const platform::WallReading& now) {
  if (!sequences_.is_changed() && !cursor_.copied()) return;
  if (cursor_.copied()) gaps_.note(batcher, put_back_gap(cursor_.read_ms(), now));
  *cursor_.mutable_access_log() = sequences_.take_cursor();
  cursor_.set_read_ms(now.time.since_epoch.count());
  cursor_.clear_copied();
  batcher.note_counter(name(), cursor_);
  note_missed(batcher);
}

void AccessLogSource::note_missed(ingest::Batcher& batcher) {
  const auto missed = std::exchange(missed_, {});
  journal::Gap gap;
  gap.set_from_ms(missed.from_ms);
  gap.set_until_ms(missed.until_ms);
  gap.set_trusted(missed.trusted);
  if (missed.doubtful > 0) {
    gap.set_reason("the first messages of workers since the journal was put back: lost, or counted before");
    gap.set_lost_max(std::to_string(missed.doubtful));
    gaps_.note(batcher, gap);
    gap.clear_lost_max();
  }
  if (missed.lost > missed.found) {
    gap.set_reason("messages lost");
    gap.set_lost(missed.lost - missed.found);
    gaps_.note(batcher, std::move(gap));
  } else if (missed.found > missed.lost) {
    gaps_.take_back(batcher, missed.found - missed.lost);
  }
}

Report AccessLogSource::report() const {
  Report out{name(), "access-log", {}, {}, {}, {}, gaps_.totals()};
  std::set<EventName> events;
  for (const auto& call : calls_.calls()) events.insert(call.event);
  for (const auto& event : events) out.event += (out.event.empty() ? "" : ", ") + event.value();
  if (!input_) {
    out.trouble = "its socket is not open";
    out.advice = "restart meterd";
  } else if (closed_) {
    out.trouble = "the mode of its socket keeps out who may write to it";
    out.advice = "set SocketMode=0666 in the unit that makes it; meterd looks who sends";
  }
  if (!calls_.has_sequence())
    out.blind_spots.emplace_back("messages that are lost on the way: give worker_field and sequence_field");
  return out;
}

Stored AccessLogSource::stored() const {
  Stored out{{}, gaps_.totals()};
  if (cursor_.has_access_log()) out.cursors.emplace(name(), cursor_);
  return out;
}

}  // namespace meterd::source
