// Typed access to the journal's records within one transaction: keys and checksums from schema.hpp, values
// from records.proto. Used by the journal's own parts only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/base/usage_day.hpp"
#include "agent/journal/lmdb.hpp"
#include "agent/journal/schema.hpp"
#include "meterd/journal/v0/records.pb.h"

namespace meterd::journal {

struct Moment;

// Code::invalid: written by a newer meterd, or on another architecture.
Status check_stamp(const v0::Stamp& stamp);
v0::Stamp make_stamp(const std::string& epoch, WallTime now);  // of this program's format and machine

// nullopt: no such record. Code::corrupt: there is one and it cannot be read.
template <class Message>
Result<std::optional<Message>> load(const Transaction& txn, const std::string& key) {
  auto raw = txn.get(key);
  if (!raw) return raw.error();
  if (!raw->has_value()) return std::optional<Message>{};
  auto payload = unwrap(key, **raw);
  if (!payload) return payload.error();
  Message message;
  if (!message.ParseFromArray(payload->data(), static_cast<int>(payload->size())))
    return Error{Code::corrupt, "a journal record does not parse"};
  return std::optional<Message>(std::move(message));
}

template <class Message>
Status store(Transaction& txn, const std::string& key, const Message& message) {
  return txn.put(key, wrap(key, message.SerializeAsString()));
}

// In milliseconds, as a usage's ended_at_ms; 0: the clock was not trusted, date_history() gives it a time.
std::int64_t end_of(const Moment& now);

bool is_history(const v0::Usage& record);  // has a place there: pruning may forget it one day

inline Status store_number(Transaction& txn, const std::string& key, std::uint64_t number) {
  return txn.put(key, wrap(key, number_value(number)));
}

inline Status store_empty(Transaction& txn, const std::string& key) { return txn.put(key, wrap(key, {})); }

inline Result<std::optional<std::uint64_t>> load_number(const Transaction& txn, const std::string& key) {
  auto raw = txn.get(key);
  if (!raw) return raw.error();
  if (!raw->has_value()) return std::optional<std::uint64_t>{};
  auto payload = unwrap(key, **raw);
  if (!payload) return payload.error();
  auto number = parse_number(*payload);
  if (!number) return number.error();
  return std::optional<std::uint64_t>(*number);
}

}  // namespace meterd::journal
