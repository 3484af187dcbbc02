#include "agent/journal/schema.hpp"

namespace meterd::journal {
namespace {

// Builds a key: numbers big endian so that byte order is number order.
class KeyWriter {
 public:
  explicit KeyWriter(Kind kind) { bytes_.push_back(static_cast<char>(kind)); }
  KeyWriter& u8(std::uint8_t v) { return number(v, 1); }
  KeyWriter& u32(std::uint32_t v) { return number(v, 4); }
  KeyWriter& u64(std::uint64_t v) { return number(v, 8); }
  // The sign bit flipped: negative sorts before positive.
  KeyWriter& i32(std::int32_t v) { return u32(static_cast<std::uint32_t>(v) ^ 0x80000000U); }
  KeyWriter& i64(std::int64_t v) { return u64(static_cast<std::uint64_t>(v) ^ 0x8000000000000000U); }
  KeyWriter& text(std::string_view v) {
    check(v.size() <= 255, "a text in a journal key has at most 255 bytes");
    u8(static_cast<std::uint8_t>(v.size()));
    bytes_.append(v);
    return *this;
  }
  KeyWriter& raw(std::string_view v) {
    bytes_.append(v);
    return *this;
  }
  KeyWriter& series(const meter::SeriesKey& s) {
    return text(s.upstream.value()).text(s.subscription.value()).text(s.item_price.value());
  }
  KeyWriter& bucket(const meter::BucketKey& b) { return i32(b.day.days_since_epoch()).series(b.series); }
  std::string take() { return std::move(bytes_); }

 private:
  KeyWriter& number(std::uint64_t v, int width) {
    for (int shift = (width - 1) * 8; shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<char>((v >> static_cast<unsigned>(shift)) & 255U));
    return *this;
  }
  std::string bytes_;
};

// Reads a key; after any failure ok() is false and every further field is empty.
class KeyReader {
 public:
  KeyReader(Kind kind, std::string_view key) : rest_(key) {
    if (u8() != static_cast<std::uint8_t>(kind)) ok_ = false;
  }
  bool ok() const { return ok_ && rest_.empty(); }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  std::int32_t i32() { return static_cast<std::int32_t>(u32() ^ 0x80000000U); }
  std::int64_t i64() { return static_cast<std::int64_t>(u64() ^ 0x8000000000000000U); }
  std::string_view text() { return raw(u8()); }
  std::string_view rest() { return raw(rest_.size()); }
  std::string_view raw(std::size_t size) {
    if (rest_.size() < size) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const auto out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  meter::SeriesKey series() {
    meter::SeriesKey s;
    s.upstream = UpstreamName(text());
    s.subscription = SubscriptionId(text());
    s.item_price = ItemPriceId(text());
    return s;
  }
  meter::BucketKey bucket() {
    const UsageDay day(i32());
    return {day, series()};
  }

 private:
  std::uint64_t number(std::size_t width) {
    std::uint64_t v = 0;
    for (const char c : raw(width)) v = (v << 8U) | static_cast<unsigned char>(c);
    return v;
  }
  std::string_view rest_;
  bool ok_ = true;
};

template <class T>
Result<T> parsed(const KeyReader& reader, T value) {
  if (!reader.ok()) return Error{Code::corrupt, "a journal key does not parse"};
  return value;
}

}  // namespace

namespace {
// Longer than a date and a sequence, and behind all of them; behind any text of 255 bytes that goes on.
const std::string kBehindAll(256, '\xFF');
}  // namespace

std::string prefix(Kind kind) { return KeyWriter(kind).take(); }
std::string stamp_key() { return prefix(Kind::stamp); }
std::string general_key() { return prefix(Kind::general); }
std::string balance_key(const meter::BucketKey& bucket) {
  return KeyWriter(Kind::balance).bucket(bucket).take();
}
std::string balance_prefix(UsageDay day) {
  return KeyWriter(Kind::balance).i32(day.days_since_epoch()).take();
}
std::string seal_due_key(std::int64_t due_s, const meter::BucketKey& bucket) {
  return KeyWriter(Kind::seal_due).i64(due_s).bucket(bucket).take();
}
std::string usage_key(std::uint64_t sequence) { return KeyWriter(Kind::usage).u64(sequence).take(); }
std::string usage_id_key(const UsageId& id) { return KeyWriter(Kind::usage_id).text(id.value()).take(); }
std::string history_key(std::int64_t ended_s, std::uint64_t sequence) {
  return KeyWriter(Kind::history).i64(ended_s).u64(sequence).take();
}
std::string outbox_prefix(const UpstreamName& upstream) {
  return KeyWriter(Kind::outbox).text(upstream.value()).take();
}
std::string outbox_prefix(const UpstreamName& upstream, Lane lane) {
  return KeyWriter(Kind::outbox).text(upstream.value()).u8(static_cast<std::uint8_t>(lane)).take();
}
std::string outbox_key(const UpstreamName& upstream, const OutboxEntry& entry) {
  return KeyWriter(Kind::outbox)
      .text(upstream.value())
      .u8(static_cast<std::uint8_t>(entry.lane))
      .u32(entry.due.boot_number)
      .i64(entry.due.since_boot_ms)
      .u64(entry.sequence)
      .take();
}
std::string taken_prefix(const meter::SeriesKey& series) {
  return KeyWriter(Kind::taken_date).series(series).take();
}
std::string taken_prefix(const meter::SeriesKey& series, std::int64_t usage_date) {
  return KeyWriter(Kind::taken_date).series(series).i64(usage_date).take();
}
std::string taken_key(const meter::SeriesKey& series, std::int64_t usage_date, std::uint64_t sequence) {
  return KeyWriter(Kind::taken_date).series(series).i64(usage_date).u64(sequence).take();
}
std::string taken_behind(const UpstreamName& upstream) {
  return KeyWriter(Kind::taken_date).text(upstream.value()).u8(0xFF).raw(kBehindAll).take();
}
std::string taken_behind(const meter::SeriesKey& series) { return taken_prefix(series).append(kBehindAll); }
std::string taken_prefix(const UpstreamName& upstream, const SubscriptionId& subscription) {
  return KeyWriter(Kind::taken_date).text(upstream.value()).text(subscription.value()).take();
}
std::string by_subscription_prefix(const SubscriptionId& subscription) {
  return KeyWriter(Kind::by_subscription).text(subscription.value()).take();
}
std::string by_subscription_key(const SubscriptionId& subscription, std::uint64_t sequence) {
  return KeyWriter(Kind::by_subscription).text(subscription.value()).u64(sequence).take();
}
std::string idempotency_key(std::string_view key) {
  return KeyWriter(Kind::idempotency_key).text(key).take();
}
std::string key_expiry_prefix() { return prefix(Kind::key_expiry); }
std::string key_expiry_key(std::int64_t version, std::string_view key) {
  return KeyWriter(Kind::key_expiry).i64(version).text(key).take();
}
std::string subscription_prefix(const UpstreamName& upstream) {
  return KeyWriter(Kind::subscription).text(upstream.value()).take();
}
std::string subscription_key(const UpstreamName& upstream, const SubscriptionId& subscription) {
  return KeyWriter(Kind::subscription).text(upstream.value()).text(subscription.value()).take();
}
std::string invoice_key(std::string_view invoice) { return KeyWriter(Kind::invoice).text(invoice).take(); }
std::string invoiced_prefix(const UpstreamName& upstream, std::string_view invoice) {
  return KeyWriter(Kind::invoiced).text(upstream.value()).text(invoice).take();
}
std::string invoiced_key(const UpstreamName& upstream, std::string_view invoice, std::uint64_t sequence) {
  return KeyWriter(Kind::invoiced).text(upstream.value()).text(invoice).u64(sequence).take();
}
std::string listed_key(const SubscriptionId& subscription, const ItemPriceId& item_price) {
  return KeyWriter(Kind::listed).text(subscription.value()).text(item_price.value()).take();
}
std::string upstream_key(const UpstreamName& upstream) {
  return KeyWriter(Kind::upstream).text(upstream.value()).take();
}
std::string carry_key(const meter::SeriesKey& series) { return KeyWriter(Kind::carry).series(series).take(); }
std::string counter_key(std::string_view source) { return KeyWriter(Kind::counter).text(source).take(); }
std::string source_gaps_key(std::string_view source) {
  return KeyWriter(Kind::source_gaps).text(source).take();
}
std::string producer_key(std::string_view producer) {
  return KeyWriter(Kind::producer).text(producer).take();
}
std::string id_block_key(std::uint32_t number) { return KeyWriter(Kind::id_block).u32(number).take(); }
std::string audit_key(std::uint64_t number) { return KeyWriter(Kind::audit).u64(number).take(); }
std::string set_aside_key(std::uint64_t number, std::string_view former_key) {
  return KeyWriter(Kind::set_aside).u64(number).raw(former_key).take();
}
std::string slice_prefix(std::uint32_t boot_number) { return KeyWriter(Kind::slice).u32(boot_number).take(); }
std::string slice_key(std::uint32_t boot_number, std::uint32_t second, const meter::SeriesKey& series) {
  return KeyWriter(Kind::slice).u32(boot_number).u32(second).series(series).take();
}

Result<meter::BucketKey> parse_balance_key(std::string_view key) {
  KeyReader reader(Kind::balance, key);
  auto bucket = reader.bucket();
  return parsed(reader, std::move(bucket));
}

Result<SealDueFields> parse_seal_due_key(std::string_view key) {
  KeyReader reader(Kind::seal_due, key);
  SealDueFields out;
  out.due_s = reader.i64();
  out.bucket = reader.bucket();
  return parsed(reader, std::move(out));
}

Result<OutboxFields> parse_outbox_key(std::string_view key) {
  KeyReader reader(Kind::outbox, key);
  OutboxFields out;
  out.upstream = UpstreamName(reader.text());
  out.entry.lane = static_cast<Lane>(reader.u8());
  out.entry.due.boot_number = reader.u32();
  out.entry.due.since_boot_ms = reader.i64();
  out.entry.sequence = reader.u64();
  return parsed(reader, std::move(out));
}

Result<HistoryFields> parse_history_key(std::string_view key) {
  KeyReader reader(Kind::history, key);
  HistoryFields out;
  out.ended_s = reader.i64();
  out.sequence = reader.u64();
  return parsed(reader, out);
}

Result<TakenFields> parse_taken_key(std::string_view key) {
  KeyReader reader(Kind::taken_date, key);
  TakenFields out;
  out.series = reader.series();
  out.usage_date = reader.i64();
  out.sequence = reader.u64();
  return parsed(reader, std::move(out));
}

Result<meter::SeriesKey> parse_carry_key(std::string_view key) {
  KeyReader reader(Kind::carry, key);
  const auto series = reader.series();
  return parsed(reader, series);
}
Result<std::uint64_t> parse_by_subscription_key(std::string_view key) {
  KeyReader reader(Kind::by_subscription, key);
  (void)reader.text();
  const auto sequence = reader.u64();
  return parsed(reader, sequence);
}
Result<std::uint64_t> parse_invoiced_key(std::string_view key) {
  KeyReader reader(Kind::invoiced, key);
  (void)reader.text();
  (void)reader.text();
  const auto sequence = reader.u64();
  return parsed(reader, sequence);
}

Result<KeyExpiryFields> parse_key_expiry_key(std::string_view key) {
  KeyReader reader(Kind::key_expiry, key);
  KeyExpiryFields out;
  out.version = reader.i64();
  out.key = reader.text();
  return parsed(reader, std::move(out));
}

Result<std::string> parse_source_key(std::string_view key) {
  const bool of_gaps = !key.empty() && static_cast<Kind>(key.front()) == Kind::source_gaps;
  KeyReader reader(of_gaps ? Kind::source_gaps : Kind::counter, key);
  std::string source(reader.text());
  return parsed(reader, std::move(source));
}

Result<std::int64_t> parse_taken_date(std::string_view key) {
  auto fields = parse_taken_key(key);
  if (!fields) return fields.error();
  return fields->usage_date;
}

Result<std::uint64_t> parse_usage_key(std::string_view key) {
  KeyReader reader(Kind::usage, key);
  const auto sequence = reader.u64();
  return parsed(reader, sequence);
}

Result<SliceFields> parse_slice_key(std::string_view key) {
  KeyReader reader(Kind::slice, key);
  SliceFields out;
  out.boot_number = reader.u32();
  out.second = reader.u32();
  out.series = reader.series();
  return parsed(reader, std::move(out));
}

Result<std::uint32_t> parse_id_block_key(std::string_view key) {
  KeyReader reader(Kind::id_block, key);
  const auto number = reader.u32();
  return parsed(reader, number);
}

Result<SetAsideFields> parse_set_aside_key(std::string_view key) {
  KeyReader reader(Kind::set_aside, key);
  SetAsideFields out;
  out.number = reader.u64();
  out.former_key = reader.rest();
  return parsed(reader, std::move(out));
}

namespace {
constexpr std::size_t kPartitionBytes = 4;
constexpr std::size_t kHashBytes = 16;
}  // namespace

std::string id_block_value(const IdBlock& block) {
  std::string out;
  out.reserve(kPartitionBytes + block.hashes.size());
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((block.partition >> static_cast<unsigned>(shift)) & 255U));
  out += block.hashes;
  return out;
}

Result<IdBlock> parse_id_block(std::string_view payload) {
  if (payload.size() < kPartitionBytes || (payload.size() - kPartitionBytes) % kHashBytes != 0)
    return Error{Code::corrupt, "a block of event ids has the wrong size"};
  IdBlock out;
  for (const char c : payload.substr(0, kPartitionBytes))
    out.partition = (out.partition << 8U) | static_cast<unsigned char>(c);
  out.hashes = payload.substr(kPartitionBytes);
  return out;
}

std::string number_value(std::uint64_t number) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((number >> static_cast<unsigned>(shift)) & 255U));
  return out;
}

Result<std::uint64_t> parse_number(std::string_view payload) {
  if (payload.size() != 8) return Error{Code::corrupt, "a journal index record has the wrong size"};
  std::uint64_t v = 0;
  for (const char c : payload) v = (v << 8U) | static_cast<unsigned char>(c);
  return v;
}

}  // namespace meterd::journal
