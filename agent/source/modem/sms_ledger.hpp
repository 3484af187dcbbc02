// Decides which message counts, when, and with how many segments. Pure bookkeeping: its record is what the
// cursor stores, in the transaction of the counts.
//
// Within one run of ModemManager a message is its object path: paths are numbered upwards and never come
// again. A run's end, and a modem that is disabled or unplugged, make the paths begin anew, and what the
// modem has stored appears again: there a message is a fingerprint, 16 bytes of an HMAC under the journal's
// epoch over its type, time, number and content. What has no storage is in ModemManager's memory only and
// appears once (its own mm_base_sms_get_storage() is how ModemManager tells, too). Rules:
//   it counts once, when its state becomes received or sent; reports, drafts and failures never do;
//   first seen before that state: new, whatever its fingerprint says (the same text to the same number);
//   first seen in it at a modem that was never listed before: a starting point, not counted;
//   first seen in it, stored, the fingerprint carried from before: the same one, which uses up one carrying;
//   first seen in it, stored, another path has the fingerprint: a listing tells whether that is still there.
// A stored message that is in no listing any more is carried, since its modem may show it again, also after
// another SIM was in it. It will not come again, and is forgotten, once Deleted says so; and where one modem
// is all there ever was, when a message of a lower path is still listed: then the modem went on.
// What was carried while nobody looked may have been deleted. A message without a time that is taken for it
// is not counted, and told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "meterd/journal/v0/records.pb.h"
#include "platform/modem_messages.hpp"

namespace meterd::source {

inline constexpr std::size_t kMessagesMax = 500;  // remembered: present ones and carried ones
inline constexpr std::size_t kModemsMax = 16;     // that were ever listed
inline constexpr int kUncountedMax = 500;         // one by one; beyond, they are added up

class SmsLedger {
 public:
  struct Rules {
    bool sent = true, received = false;
    std::string key;  // of the fingerprints
  };
  SmsLedger(Rules rules, journal::v0::ModemCursor stored);

  void begin_run(const std::string& run);
  void see(const platform::ModemMessage& message);
  void erase(const std::string& path);
  void list(const std::vector<std::string>& paths);  // of all messages, before the new ones of them are seen
  void know(const std::vector<platform::Modem>& modems);  // after all their messages were seen
  bool wants_listing() const { return !doubtful_.empty(); }

  // The segments of the message that is counted next.
  std::optional<std::uint64_t> next() const;
  void counted();

  // Something is not in the journal that must be; what can wait for the next such thing is not.
  bool changed() const { return changed_; }
  const journal::v0::ModemCursor& record() const { return record_; }
  void written() { changed_ = false; }
  // How many stored messages were forgotten beyond kMessagesMax since this was asked last: shown once more,
  // they would count once more.
  std::size_t take_forgotten() { return std::exchange(forgotten_, 0); }
  // The segments of messages that were taken for others, which may have been deleted while nobody looked.
  std::uint64_t take_taken() { return std::exchange(taken_, 0); }

 private:
  using Known = journal::v0::ModemCursor::Known;
  struct Doubtful {  // the same as another, or shown again in its place
    Known known;
    std::uint64_t segments = 0;
    bool is_dated = false;
    bool is_deleted = false;
  };
  bool concerns(const platform::ModemMessage& message) const;
  std::string fingerprint(const platform::ModemMessage& message) const;
  std::string identity(const std::string& modem) const;
  bool knows_modem(const std::string& modem) const;
  Known* find(const std::string& path);
  bool take_carried(const std::string& fingerprint);
  bool is_shown_again(const Doubtful& one);
  void carry(int index);
  std::uint64_t first_that_stayed(const std::set<std::string>& present) const;
  bool resembles_another(const std::string& fingerprint) const;
  void decide(Doubtful one, bool may_count);
  void owe(std::uint64_t segments);
  void stay_within_limit();

  Rules rules_;
  journal::v0::ModemCursor record_;
  std::vector<Doubtful> doubtful_;
  bool listed_ = false;                 // since our start
  std::vector<std::string> unwatched_;  // fingerprints of what was carried before that
  std::uint64_t taken_ = 0;
  bool changed_ = false;
  std::size_t forgotten_ = 0;
};

}  // namespace meterd::source
