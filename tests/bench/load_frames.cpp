// Reports batches over the framed socket and waits for every acknowledgement (level committed).
//
//   load_frames --socket PATH [--producers 1] [--in-flight 1] [--batch 100] [--keys 30] [--seconds S]
//   [--batches N]
//               [--turn T] [--ids 1]
//
// Batches are sequenced, or with --ids 1 each event has an id. It ends after S seconds or N batches in all,
// whichever is first. T must differ between runs against one journal: it makes the sequences rise and the ids
// new. Everything is encoded beforehand; while it runs, only the sequence or the ids are written into the
// frame. Prints {"events", "batches", "counted", "duplicates", "seconds", "p50_us", ...}: of the
// acknowledgements.
#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstring>
#include <deque>

#include "meterd/v1/ingest.pb.h"
#include "tests/bench/support.hpp"

namespace meterd::bench {
namespace {

constexpr std::string_view kMagic("mtr\x01", 4);
constexpr std::size_t kHeaderBytes = 8;
constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kFramesEncoded = 64;
// From 2^56 to 2^63 a sequence takes nine bytes, so that one can be written over another.
constexpr std::uint64_t kFirstSequence = std::uint64_t{1} << 56U;
constexpr std::size_t kSequenceBytes = 9;

struct Plan {
  std::size_t producers, in_flight, events_each, keys;
  std::int64_t batches, ends_ns;
  std::uint64_t turn;
  bool ids;
};

struct Tally {
  std::uint64_t batches = 0, counted = 0, duplicates = 0;
  std::vector<std::int64_t> waited_ns;
};

void put_varint(char* at, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i, value >>= 7U)
    at[i] = static_cast<char>((value & 0x7FU) | (i + 1 < bytes ? 0x80U : 0U));
}

void put_hex(char* at, std::uint64_t value) {
  for (std::size_t i = kIdBytes; i > 0; --i, value >>= 4U) at[i - 1] = "0123456789abcdef"[value & 15U];
}

// A frame that is ready to be sent but for its sequence or its ids.
class Frame {
 public:
  Frame(const v1::Batch& batch, bool ids) : bytes_(kMagic) {
    const auto payload = batch.SerializeAsString();
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<char>((payload.size() >> shift) & 0xFFU));
    bytes_ += payload;
    if (!ids) {
      std::string sequence(1 + kSequenceBytes, '\x10');  // field 2, a varint
      put_varint(sequence.data() + 1, batch.sequence(), kSequenceBytes);
      places_.push_back(bytes_.find(sequence) + 1);
      return;
    }
    std::size_t at = 0;
    for (const auto& event : batch.events()) {
      at = bytes_.find(event.id(), at);
      places_.push_back(at);
      at += kIdBytes;
    }
  }
  void set_sequence(std::uint64_t sequence) { put_varint(&bytes_[places_[0]], sequence, kSequenceBytes); }
  void set_ids(std::uint64_t first) {
    for (std::size_t i = 0; i < places_.size(); ++i) put_hex(&bytes_[places_[i]], first + i);
  }
  std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::vector<std::size_t> places_;
};

class Producer {
 public:
  Producer(const Plan& plan, std::size_t number, const std::string& path, Tally& tally)
      : plan_(plan), tally_(tally), fd_(connect_unix(path, SOCK_STREAM)) {
    // The events of a turn are this producer's own: its number and the turn are above what it counts up.
    next_ =
        plan.ids ? (plan.turn << 48U) + (std::uint64_t{number} << 40U) : kFirstSequence + (plan.turn << 40U);
    const auto order = shuffled(plan.keys);
    std::size_t key = number * plan.events_each;
    for (std::size_t f = 0; f < kFramesEncoded; ++f) {
      v1::Batch batch;
      batch.set_producer("bench-" + std::to_string(number));
      if (!plan.ids) batch.set_sequence(kFirstSequence);
      for (std::size_t i = 0; i < plan.events_each; ++i, ++key) {
        auto& event = *batch.add_events();
        event.set_name("api.call");
        event.set_subscription(subscription_name(order[key % order.size()]));
        event.set_quantity("1");
        if (plan.ids) event.set_id(std::string(kIdBytes, 'x'));
      }
      frames_.emplace_back(batch, plan.ids);
    }
  }

  int fd() const { return fd_; }
  bool waits() const { return !sent_ns_.empty(); }

  // Sends until `in_flight` batches are under way or `left` is used up.
  void send_more(std::int64_t& left) {
    out_.clear();
    for (; left > 0 && sent_ns_.size() < plan_.in_flight; --left) {
      auto& frame = frames_[frame_++ % frames_.size()];
      if (plan_.ids)
        frame.set_ids(next_);
      else
        frame.set_sequence(next_);
      next_ += plan_.events_each;
      out_ += frame.bytes();
      sent_ns_.push_back(now_ns());
    }
    send_all(fd_, out_);
  }

  void receive() {
    char buffer[16 * 1024];
    const auto got = recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) fail("the framed socket was closed");
    in_.append(buffer, static_cast<std::size_t>(got));
    while (take_ack()) {
    }
  }

 private:
  bool take_ack() {
    if (in_.size() < kHeaderBytes) return false;
    std::uint32_t size = 0;
    for (std::size_t i = 4; i < kHeaderBytes; ++i) size = (size << 8U) | static_cast<unsigned char>(in_[i]);
    if (in_.size() < kHeaderBytes + size) return false;
    v1::Ack ack;
    if (!in_.starts_with(kMagic) || !ack.ParseFromArray(in_.data() + kHeaderBytes, static_cast<int>(size)))
      fail("an acknowledgement was not understood");
    if (!ack.error().empty()) fail("refused: " + ack.error());
    if (ack.errors_size() > 0) fail("an event was refused: " + ack.errors(0).code());
    in_.erase(0, kHeaderBytes + size);
    tally_.waited_ns.push_back(now_ns() - sent_ns_.front());
    sent_ns_.pop_front();
    ++tally_.batches;
    tally_.counted += ack.counted();
    tally_.duplicates += ack.duplicates();
    return true;
  }

  const Plan& plan_;
  Tally& tally_;
  int fd_;
  std::uint64_t next_ = 0;
  std::vector<Frame> frames_;
  std::size_t frame_ = 0;
  std::deque<std::int64_t> sent_ns_;
  std::string in_, out_;
};

void drive(std::vector<Producer>& producers, const Plan& plan) {
  auto left = plan.batches;
  for (auto& producer : producers) producer.send_more(left);
  std::vector<pollfd> waits(producers.size());
  for (;;) {
    bool any = false;
    for (std::size_t i = 0; i < producers.size(); ++i) {
      waits[i] = {producers[i].waits() ? producers[i].fd() : -1, POLLIN, 0};
      any = any || producers[i].waits();
    }
    if (!any) return;
    if (poll(waits.data(), waits.size(), 30'000) <= 0) fail("no acknowledgement within 30 s");
    if (now_ns() >= plan.ends_ns) left = 0;
    for (std::size_t i = 0; i < producers.size(); ++i) {
      if (waits[i].revents == 0) continue;
      producers[i].receive();
      producers[i].send_more(left);
    }
  }
}

int run(int argc, char** argv) {
  const Options options(
      argc, argv, {"socket", "producers", "in-flight", "batch", "keys", "seconds", "batches", "turn", "ids"});
  const auto size = [&](std::string_view name, std::int64_t fallback) {
    return static_cast<std::size_t>(options.number(name, fallback));
  };
  Plan plan{size("producers", 1), size("in-flight", 1), size("batch", 100), size("keys", 30), 0, 0, 0, false};
  plan.batches = options.number("batches", INT64_MAX);
  plan.turn = static_cast<std::uint64_t>(options.number("turn", 0));
  plan.ids = options.number("ids", 0) != 0;
  Tally tally;
  std::vector<Producer> producers;
  producers.reserve(plan.producers);
  for (std::size_t i = 0; i < plan.producers; ++i)
    producers.emplace_back(plan, i, options.text("socket"), tally);
  const auto began = now_ns();
  plan.ends_ns = began + options.number("seconds", 600) * 1'000'000'000;
  drive(producers, plan);
  const double seconds = static_cast<double>(now_ns() - began) / 1e9;
  JsonLine()
      .add("events", tally.batches * plan.events_each)
      .add("batches", tally.batches)
      .add("counted", tally.counted)
      .add("duplicates", tally.duplicates)
      .add("seconds", seconds)
      .add(spread_of(tally.waited_ns))
      .print();
  return 0;
}

}  // namespace
}  // namespace meterd::bench

int main(int argc, char** argv) { return meterd::bench::run(argc, argv); }
