// What Twilio's answers mean: pure functions, used by v1.cpp and preview.cpp and by nobody else.
#pragma once

#include "agent/upstream/upstream.hpp"

namespace meterd::upstream::twilio {

inline constexpr unsigned kAccepted = 202;

// Of an exchange that brought no 202. Never accepted.
Verdict judge_refusal(const Exchange& exchange);
std::vector<Verdict> judge_items(const std::vector<meter::Usage>& usages, const Exchange& exchange);
Verdict judge_quantity(const Exchange& exchange);
Diagnosis judge_probe(const SubscriptionId& installation, const Exchange& exchange);
// Whether a 202 can be Preview's own.
bool may_be_previews(const HttpResponse& response);
// "403 20403: message", if the answer is an error in the vendor's shape.
std::optional<std::string> vendor_error_in(const HttpResponse& response);

// A usage of these is never looked up nor deleted upstream.
class NoReadBack : public Upstream {
 public:
  HttpRequest encode_retrieve(const meter::Usage& usage) const override;
  HttpRequest encode_delete(const meter::Usage& usage, const std::string& key) const override;
  ReadBack judge_retrieve(const meter::Usage& usage, const Exchange& exchange) const override;
  Verdict judge_delete(const meter::Usage& usage, const Exchange& exchange) const override;
  Diagnosis judge_probe(const SubscriptionId& installation, const Exchange& exchange) const override;
};

// What stands for an installation where none is known: nobody's.
inline const SubscriptionId kNobody{"XE00000000000000000000000000000000"};

}  // namespace meterd::upstream::twilio
