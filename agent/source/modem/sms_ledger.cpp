#include "agent/source/modem/sms_ledger.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "agent/base/text.hpp"
#include "agent/source/modem/segments.hpp"

namespace meterd::source {
namespace {

using platform::MessageState;
using platform::ModemMessage;
using platform::PduType;

constexpr std::size_t kFingerprintBytes = 16;
constexpr std::string_view kPathPrefix = "/org/freedesktop/ModemManager1/SMS/";

std::string short_path(const std::string& path) {
  return path.starts_with(kPathPrefix) ? path.substr(kPathPrefix.size()) : path;
}

bool is_final(const ModemMessage& message) {
  return message.state == MessageState::received || message.state == MessageState::sent;
}

void append_field(std::string& out, std::string_view field) {
  const auto size = static_cast<std::uint32_t>(field.size());
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((size >> unsigned(shift)) & 255U));
  out.append(field);
}

std::string keyed_digest(const std::string& key, const std::string& fields) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(fields.data()), fields.size(), digest.data(), &size);
  return {digest.begin(), digest.begin() + kFingerprintBytes};
}

}  // namespace

SmsLedger::SmsLedger(Rules rules, journal::v0::ModemCursor stored)
    : rules_(std::move(rules)), record_(std::move(stored)) {
  for (const auto& one : record_.carried()) unwatched_.push_back(one.fingerprint());
}

void SmsLedger::begin_run(const std::string& run) {
  if (record_.run() == run) return;
  while (record_.messages_size() > 0) carry(0);
  record_.set_run(run);
  record_.set_passed(0);
  doubtful_.clear();  // they are stored: the new run shows them, and they are judged then
}

// Whether it is, or may become, a message of a direction that counts.
bool SmsLedger::concerns(const ModemMessage& message) const {
  bool to_us = message.type == PduType::deliver || message.type == PduType::cdma_deliver;
  bool from_us = message.type == PduType::submit || message.type == PduType::cdma_submit;
  if (message.type == PduType::unknown) to_us = from_us = true;
  if (message.state == MessageState::received) from_us = false;
  if (message.state == MessageState::sent) to_us = false;
  return (to_us && rules_.received) || (from_us && rules_.sent);
}

std::string SmsLedger::fingerprint(const ModemMessage& message) const {
  std::string fields;
  append_field(fields, std::to_string(static_cast<std::uint32_t>(message.type)));
  append_field(fields, message.timestamp);
  append_field(fields, message.number);
  append_field(fields, message.text);
  append_field(fields, message.data);
  return keyed_digest(rules_.key, fields);
}

std::string SmsLedger::identity(const std::string& modem) const {
  std::string fields;
  append_field(fields, "modem");
  append_field(fields, modem);
  return keyed_digest(rules_.key, fields);
}

bool SmsLedger::knows_modem(const std::string& modem) const {
  const auto& known = record_.modems();
  return std::find(known.begin(), known.end(), identity(modem)) != known.end();
}

SmsLedger::Known* SmsLedger::find(const std::string& path) {
  auto& messages = *record_.mutable_messages();
  const auto at =
      std::find_if(messages.begin(), messages.end(), [&](const Known& one) { return one.path() == path; });
  return at == messages.end() ? nullptr : &*at;
}

bool SmsLedger::take_carried(const std::string& fingerprint) {
  auto& carried = *record_.mutable_carried();
  const auto at = std::find_if(carried.begin(), carried.end(),
                               [&](const Known& one) { return one.fingerprint() == fingerprint; });
  if (at == carried.end()) return false;
  carried.erase(at);
  return true;
}

bool SmsLedger::is_shown_again(const Doubtful& one) {
  const auto& fingerprint = one.known.fingerprint();
  if (!take_carried(fingerprint)) return false;
  const auto at = std::find(unwatched_.begin(), unwatched_.end(), fingerprint);
  if (at == unwatched_.end()) return true;
  unwatched_.erase(at);
  if (!one.is_dated) taken_ += one.segments;
  return true;
}

void SmsLedger::carry(int index) {
  auto& messages = *record_.mutable_messages();
  auto& one = *messages.Mutable(index);
  if (one.stored()) {
    if (!listed_) unwatched_.push_back(one.fingerprint());
    one.clear_path();
    *record_.add_carried() = std::move(one);
  }
  messages.DeleteSubrange(index, 1);
}

bool SmsLedger::resembles_another(const std::string& fingerprint) const {
  const auto& messages = record_.messages();
  return std::any_of(messages.begin(), messages.end(),
                     [&](const Known& one) { return one.fingerprint() == fingerprint; });
}

void SmsLedger::see(const ModemMessage& message) {
  if (!concerns(message)) return;
  const auto path = short_path(message.path);
  const auto at_path = [&](const auto& one) { return one.known.path() == path; };
  if (std::any_of(doubtful_.begin(), doubtful_.end(), at_path)) return;
  auto* known = find(path);
  const bool is_stored = message.storage != platform::kNotStored;
  if (known != nullptr && !known->fingerprint().empty()) {
    if (is_stored && !known->stored()) {
      known->set_stored(true);
      changed_ = true;
    }
    return;
  }
  if (known != nullptr && !is_final(message)) return;
  if (known == nullptr && parse_unsigned(path).value_or(UINT64_MAX) < record_.passed()) return;
  if (!is_final(message)) {
    record_.add_messages()->set_path(path);
    changed_ = true;
    return stay_within_limit();
  }
  Doubtful one;
  one.known.set_path(path);
  one.known.set_fingerprint(fingerprint(message));
  one.known.set_stored(is_stored);
  one.segments =
      message.data.empty() ? segments_of_text(message.text) : segments_of_data(message.data.size());
  one.is_dated = !message.timestamp.empty();
  if (known != nullptr) {
    *known = std::move(one.known);
    owe(one.segments);
  } else if (!knows_modem(message.modem)) {
    decide(std::move(one), false);
  } else if (!is_stored) {
    decide(std::move(one), true);
  } else if (is_shown_again(one)) {
    decide(std::move(one), false);
  } else if (resembles_another(one.known.fingerprint()) && doubtful_.size() < kMessagesMax) {
    doubtful_.push_back(std::move(one));
  } else {
    decide(std::move(one), true);
  }
}

void SmsLedger::decide(Doubtful one, bool may_count) {
  if (!one.is_deleted) *record_.add_messages() = std::move(one.known);
  if (may_count) owe(one.segments);
  changed_ = true;
  stay_within_limit();
}

void SmsLedger::owe(std::uint64_t segments) {
  auto& uncounted = *record_.mutable_uncounted();
  if (uncounted.size() < kUncountedMax)
    uncounted.Add(segments);
  else
    uncounted[kUncountedMax - 1] += segments;
  changed_ = true;
}

void SmsLedger::erase(const std::string& path) {
  const auto name = short_path(path);
  for (auto& one : doubtful_)
    if (one.known.path() == name) one.is_deleted = true;
  auto& messages = *record_.mutable_messages();
  const auto at =
      std::find_if(messages.begin(), messages.end(), [&](const Known& one) { return one.path() == name; });
  if (at == messages.end()) return;
  changed_ |= at->stored();
  messages.erase(at);
}

// The first of those that are still there. Nothing after it can come again under another path: whatever makes
// paths begin anew takes all of a modem's along. Of several modems nobody knows whose a message was.
std::uint64_t SmsLedger::first_that_stayed(const std::set<std::string>& present) const {
  std::uint64_t out = UINT64_MAX;
  if (record_.modems_size() != 1) return out;
  for (const auto& one : record_.messages())
    if (present.contains(one.path())) out = std::min(out, parse_unsigned(one.path()).value_or(UINT64_MAX));
  return out;
}

void SmsLedger::list(const std::vector<std::string>& paths) {
  std::set<std::string> present;
  for (const auto& path : paths) present.insert(short_path(path));
  const auto stayed = first_that_stayed(present);
  for (int i = 0; i < record_.messages_size();) {
    const auto& one = record_.messages(i);
    const bool is_unstored = !one.fingerprint().empty() && !one.stored();
    if (is_unstored || present.contains(one.path())) {
      ++i;
      continue;
    }
    const bool is_deleted = parse_unsigned(one.path()).value_or(0) > stayed;
    if (is_deleted) record_.mutable_messages(i)->set_stored(false);
    carry(i);
  }
  listed_ = true;
  std::vector<Doubtful> later;  // a listing from before they came decides nothing
  for (auto& one : std::exchange(doubtful_, {})) {
    if (!one.is_deleted && !present.contains(one.known.path())) {
      later.push_back(std::move(one));
      continue;
    }
    const bool is_same = is_shown_again(one);
    decide(std::move(one), !is_same);
  }
  doubtful_ = std::move(later);
  stay_within_limit();
}

void SmsLedger::know(const std::vector<platform::Modem>& modems) {
  for (const auto& modem : modems) {
    if (!modem.ready || knows_modem(modem.identity)) continue;
    auto& known = *record_.mutable_modems();
    if (static_cast<std::size_t>(known.size()) >= kModemsMax) known.DeleteSubrange(0, 1);
    *known.Add() = identity(modem.identity);
    changed_ = true;
  }
}

std::optional<std::uint64_t> SmsLedger::next() const {
  if (record_.uncounted().empty()) return std::nullopt;
  return record_.uncounted(0);
}

void SmsLedger::counted() {
  auto& uncounted = *record_.mutable_uncounted();
  uncounted.erase(uncounted.begin());
  changed_ = true;
}

// The oldest go, a quarter at a time: first those that no other run can show, since no modem has them; last
// those that are neither received nor sent so far.
void SmsLedger::stay_within_limit() {
  auto& carried = *record_.mutable_carried();
  auto& messages = *record_.mutable_messages();
  const auto size = static_cast<std::size_t>(carried.size() + messages.size());
  if (size <= kMessagesMax) return;
  std::size_t surplus = size - kMessagesMax / 4 * 3;
  const auto drop = [&](bool finals, bool stored) {
    const auto goes = [&](const Known& one) {
      if (surplus == 0 || one.fingerprint().empty() == finals || one.stored() != stored) return false;
      --surplus;
      if (stored || !finals) ++forgotten_;
      // Its path must not be new when it is seen next.
      if (const auto number = parse_unsigned(one.path()); finals && number)
        record_.set_passed(std::max(record_.passed(), *number + 1));
      return true;
    };
    carried.erase(std::remove_if(carried.begin(), carried.end(), goes), carried.end());
    messages.erase(std::remove_if(messages.begin(), messages.end(), goes), messages.end());
  };
  drop(true, false);
  drop(true, true);
  drop(false, false);
}

}  // namespace meterd::source
