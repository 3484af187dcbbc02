// The calls of the Usages API: the seed's own samples, each parameter at its limit and beyond, and what
// clients really send.
#include "agent/api/chargebee/calls.hpp"
#include "agent/base/text.hpp"
#include "tests/api/usages_fixture.hpp"

namespace meterd::api::chargebee {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr const char* kUsages = "/api/v2/subscriptions/sub_1/usages";
constexpr const char* kDelete = "/api/v2/subscriptions/sub_1/delete_usage";
constexpr const char* kPdf = "/api/v2/usages/pdf";
constexpr const char* kRequired = "item_price_id=silver-usd&quantity=5&usage_date=1601718989";

// A create with one parameter more, or with one of the required ones replaced.
std::string form_with(const std::string& name, const std::string& value) {
  std::string out;
  struct Usual {
    const char *name, *value;
  };
  for (const auto& [key, usual] :
       {Usual{"item_price_id", "silver-usd"}, Usual{"quantity", "5"}, Usual{"usage_date", "1601718989"}})
    if (name != key) out += std::string(key) + "=" + usual + "&";
  return out + name + "=" + value;
}

std::string created(const std::string& name, const std::string& value) {
  return summary(post(kUsages, form_with(name, value)));
}

template <class Expected>
Expected as(Call call) {
  auto* found = std::get_if<Expected>(&call);
  EXPECT_NE(found, nullptr) << summary(call) << ": " << message_of(call);
  return found == nullptr ? Expected{} : std::move(*found);
}

TEST(CreateCall, IsTheSeedsSample) {
  const auto call = as<Create>(post("/api/v2/subscriptions/__test__XpbBrciSCKqKXhP/usages",
                                    "item_price_id=silver-usd&usage_date=1601718989&note=Day 1 usage from "
                                    "__test__XpbBrciSCKqKUcN&quantity=5"));
  const auto& draft = call.draft;
  EXPECT_EQ(draft.subscription, SubscriptionId("__test__XpbBrciSCKqKXhP"));
  EXPECT_EQ(draft.item_price, ItemPriceId("silver-usd"));
  EXPECT_FALSE(draft.id.has_value());
  EXPECT_EQ(draft.usage_date, 1601718989);
  EXPECT_EQ(draft.quantity, Quantity::of(5));
  EXPECT_EQ(draft.given_quantity, "5");
  EXPECT_EQ(draft.note, "Day 1 usage from __test__XpbBrciSCKqKUcN");
  EXPECT_THAT(draft.custom_fields, IsEmpty());
  EXPECT_EQ(call.key.key + call.key.request_digest, "");
}

TEST(CreateCall, IsWhatTheNodeSdkSends) {
  const auto draft = as<Create>(post(kUsages,
                                     "id=u1&item_price_id=silver-usd&usage_date=1601718989&quantity=0.1&"
                                     "note=Day+1+%26+%C3%BCn%C3%AFcode"))
                         .draft;
  EXPECT_EQ(draft.id, UsageId("u1"));
  EXPECT_EQ(draft.quantity, *Quantity::parse("0.1"));
  EXPECT_EQ(draft.note,
            "Day 1 & \xC3\xBCn\xC3\xAF"
            "code");
}

TEST(CreateCall, TakesASubscriptionWithASlash) {
  for (const auto* target : {"/api/v2/subscriptions/a/b/usages", "/api/v2/subscriptions/a%2Fb/usages"})
    EXPECT_EQ(as<Create>(post(target, kRequired)).draft.subscription, SubscriptionId("a/b")) << target;
  EXPECT_EQ(as<Create>(post("/api/v2/subscriptions/usages/usages", kRequired)).draft.subscription,
            SubscriptionId("usages"));
  EXPECT_EQ(as<Create>(post("/api/v2/subscriptions/a%20%C3%BC+/usages", kRequired)).draft.subscription,
            SubscriptionId("a \xC3\xBC+"));
}

TEST(CreateCall, LimitsTheSubscription) {
  const auto with = [](const std::string& id) {
    return summary(post("/api/v2/subscriptions/" + id + "/usages", kRequired));
  };
  EXPECT_EQ(with(times(100, "x")), "create");
  EXPECT_EQ(with(times(101, "x")), "400 param_wrong_value subscription_id");
  EXPECT_EQ(with(times(100, "%C3%BC")), "create");
  EXPECT_EQ(with(times(67, "%E2%82%AC")), "400 param_wrong_value subscription_id") << "201 bytes";
  EXPECT_EQ(with("%FF"), "400 param_wrong_value subscription_id");
  EXPECT_EQ(with("a%0A"), "400 param_wrong_value subscription_id");
}

TEST(CreateCall, LimitsTheIds) {
  for (const auto* name : {"id", "item_price_id"}) {
    const auto wrong = "400 param_wrong_value " + std::string(name);
    EXPECT_EQ(created(name, times(100, "x")), "create");
    EXPECT_EQ(created(name, times(101, "x")), wrong);
    EXPECT_EQ(created(name, times(100, "%C3%BC")), "create");
    EXPECT_EQ(created(name, times(50, "%F0%9F%98%80")), "create") << "200 bytes";
    EXPECT_EQ(created(name, times(51, "%F0%9F%98%80")), wrong) << "204 bytes";
    for (const auto* value : {"", "a%0Ab", "a%09b", "%00", "%FF"})
      EXPECT_EQ(created(name, value), wrong) << value;
  }
}

TEST(CreateCall, TakesAnExactQuantityAboveZero) {
  for (const auto* value : {"1", "0.1", "5.00", "007", "12.355", "0.00000000000000000000000000000000000001",
                            "9999999999999999999999999999999999999999"}) {
    const auto draft = as<Create>(post(kUsages, form_with("quantity", value))).draft;
    EXPECT_EQ(draft.given_quantity, value);
    EXPECT_EQ(draft.quantity, *Quantity::parse(value)) << value;
  }
  for (const auto* value : {"", "0", "0.000", "-1", "-0", "%2B1", "1e3", "1,5", ".5", "+1", "1+", "five",
                            "0x1", "99999999999999999999999999999999999999990"})
    EXPECT_EQ(created("quantity", value), "400 param_wrong_value quantity") << value;
  EXPECT_THAT(message_of(post(kUsages, form_with("quantity", "0"))), HasSubstr("greater than zero"));
}

TEST(CreateCall, TakesADateInWholeSeconds) {
  EXPECT_EQ(as<Create>(post(kUsages, form_with("usage_date", "1"))).draft.usage_date, 1);
  EXPECT_EQ(as<Create>(post(kUsages, form_with("usage_date", "9999999999"))).draft.usage_date, 9'999'999'999);
  for (const auto* value : {"", "0", "-1", "10000000000", "1601718989000", "1601718989.0", "%201601718989",
                            "2020-10-03", "1e9", "18446744073709551617"})
    EXPECT_EQ(created("usage_date", value), "400 param_wrong_value usage_date") << value;
}

TEST(CreateCall, LimitsTheNoteInCharacters) {
  EXPECT_EQ(created("note", times(500, "x")), "create");
  EXPECT_EQ(created("note", times(500, "%F0%9F%98%80")), "create");
  EXPECT_EQ(created("note", times(501, "x")), "400 param_wrong_value note");
  EXPECT_EQ(created("note", times(501, "%C3%BC")), "400 param_wrong_value note");
  EXPECT_EQ(as<Create>(post(kUsages, form_with("note", "a%0D%0A%09b"))).draft.note, "a\r\n\tb");
  EXPECT_EQ(as<Create>(post(kUsages, form_with("note", ""))).draft.note, "");
  for (const auto* value : {"%00", "%1B", "%7F", "%FF"})
    EXPECT_EQ(created("note", value), "400 param_wrong_value note") << value;
}

TEST(CreateCall, KeepsCustomFieldsInOrder) {
  const auto name = "cf_" + times(50, "x");
  const auto draft =
      as<Create>(post(kUsages, "cf_b=2&" + std::string(kRequired) + "&cf_a_1=S%C3%BCd+1&cf_c=&" + name + "=" +
                                   times(250, "%C3%BC")))
          .draft;
  EXPECT_THAT(draft.custom_fields, ElementsAre(Pair("cf_b", "2"),
                                               Pair("cf_a_1",
                                                    "S\xC3\xBC"
                                                    "d 1"),
                                               Pair(name, times(250, "\xC3\xBC"))))
      << "an empty one is none";
}

TEST(CreateCall, LimitsCustomFields) {
  for (const auto& name : {std::string("cf_"), "cf_" + times(51, "x"), std::string("cf_A"),
                           std::string("cf_a-b"), std::string("cf_a.b"), std::string("cf_a[b]")})
    EXPECT_EQ(created(name, "1"), "400 param_wrong_value " + name);
  EXPECT_EQ(created("cf_a", times(251, "x")), "400 param_wrong_value cf_a");
  std::string form = kRequired;
  for (int i = 1; i <= 20; ++i) form += "&cf_" + std::to_string(i) + "=1";
  EXPECT_EQ(as<Create>(post(kUsages, form)).draft.custom_fields.size(), 20U);
  EXPECT_EQ(summary(post(kUsages, form + "&cf_21=1")), "400 param_wrong_value cf_21");
}

TEST(CreateCall, NamesWhatIsMissing) {
  EXPECT_EQ(summary(post(kUsages, "")), "400 param_wrong_value item_price_id");
  EXPECT_EQ(summary(post(kUsages, "quantity=1&usage_date=1")), "400 param_wrong_value item_price_id");
  EXPECT_EQ(summary(post(kUsages, "item_price_id=a&usage_date=1")), "400 param_wrong_value quantity");
  EXPECT_EQ(summary(post(kUsages, "item_price_id=a&quantity=1")), "400 param_wrong_value usage_date");
  EXPECT_EQ(message_of(post(kUsages, "item_price_id=a&quantity=1")), "usage_date : cannot be blank");
}

TEST(CreateCall, SaysGetToASampleOfRetrieveThatIsReadLiterally) {
  const auto call = post(kUsages, "id=usage_XpbBrciSCKqL5vm");
  EXPECT_EQ(summary(call), "400 param_wrong_value item_price_id");
  EXPECT_THAT(message_of(call), HasSubstr("use GET"));
}

TEST(CreateCall, RefusesAnUnknownParameter) {
  for (const auto* name : {"subscription_id", "source", "invoice_id", "dedupe_option", "Quantity",
                           "quantity[]", "created_at", "cf"})
    EXPECT_EQ(created(name, "x"), "400 param_wrong_value " + std::string(name));
}

TEST(CreateCall, RefusesAParameterThatComesTwice) {
  EXPECT_EQ(summary(post(kUsages, std::string(kRequired) + "&quantity=6")), "400 param_wrong_value quantity");
}

TEST(CreateCall, RefusesWhatStandsInTheQuery) {
  EXPECT_EQ(summary(post(std::string(kUsages) + "?id=u1", kRequired)), "400 invalid_request");
  EXPECT_EQ(summary(post(std::string(kUsages) + "?", kRequired)), "create");
}

TEST(CreateCall, TakesAFormOnly) {
  auto request = request_of("POST", kUsages, kRequired);
  for (const auto* type : {"", "application/json", "multipart/form-data; boundary=x", "text/plain",
                           "application/x-www-form-urlencodedx"}) {
    request.content_type = type;
    EXPECT_EQ(summary(parse_call(request)), "400 invalid_request") << type;
  }
  for (const auto* type : {kFormType, "Application/X-WWW-Form-Urlencoded ; charset=UTF-8"}) {
    request.content_type = type;
    EXPECT_EQ(summary(parse_call(request)), "create") << type;
  }
  request.content_type.clear();
  request.body.clear();
  EXPECT_EQ(summary(parse_call(request)), "400 param_wrong_value item_price_id") << "nothing needs no type";
}

TEST(RetrieveCall, HasItsIdInTheQuery) {
  for (const auto* method : {"GET", "HEAD"}) {
    const auto call = as<Retrieve>(parse_call(request_of(method, std::string(kUsages) + "?id=u+1%2F%C3%BC")));
    EXPECT_EQ(call.subscription, SubscriptionId("sub_1"));
    EXPECT_EQ(call.id, UsageId("u 1/\xC3\xBC"));
  }
}

TEST(RetrieveCall, RefusesAnythingElse) {
  const auto with = [](const std::string& query) { return summary(get(kUsages + query)); };
  EXPECT_EQ(with(""), "400 param_wrong_value id");
  EXPECT_EQ(with("?"), "400 param_wrong_value id");
  EXPECT_EQ(with("?id="), "400 param_wrong_value id");
  EXPECT_EQ(with("?id=" + times(100, "x")), "retrieve");
  EXPECT_EQ(with("?id=" + times(101, "x")), "400 param_wrong_value id");
  EXPECT_EQ(with("?id=%FF"), "400 param_wrong_value id");
  EXPECT_EQ(with("?id=a%09"), "400 param_wrong_value id");
  EXPECT_EQ(with("?id=a&id=b"), "400 param_wrong_value id");
  EXPECT_EQ(with("?id=a&x=b"), "400 param_wrong_value x");
  EXPECT_EQ(with("?id=a&&"), "400 invalid_request");
  EXPECT_EQ(summary(parse_call(request_of("GET", std::string(kUsages) + "?id=a", "id=a"))),
            "400 invalid_request");
}

TEST(DeleteCall, HasItsIdInTheForm) {
  const auto call = as<Delete>(post(kDelete, "id=usage_XpbBrciSCKqKlkY"));
  EXPECT_EQ(call.subscription, SubscriptionId("sub_1"));
  EXPECT_EQ(call.id, UsageId("usage_XpbBrciSCKqKlkY"));
  EXPECT_EQ(as<Delete>(post("/api/v2/subscriptions/a/b/delete_usage", "id=u")).subscription,
            SubscriptionId("a/b"));
}

TEST(DeleteCall, RefusesAnythingElse) {
  EXPECT_EQ(summary(post(kDelete, "")), "400 param_wrong_value id");
  EXPECT_EQ(summary(post(kDelete, "id=")), "400 param_wrong_value id");
  EXPECT_EQ(summary(post(kDelete, "id=" + times(101, "x"))), "400 param_wrong_value id");
  EXPECT_EQ(summary(post(kDelete, "id=a&quantity=1")), "400 param_wrong_value quantity");
  EXPECT_EQ(summary(post(std::string(kDelete) + "?id=a", "")), "400 invalid_request");
}

TEST(PdfCall, IsTheSeedsSample) {
  const auto call = as<Pdf>(post(kPdf, "disposition_type=INLINE&invoice[id]=__demo_inv__1"));
  EXPECT_EQ(call.invoice, "__demo_inv__1");
  EXPECT_FALSE(call.as_attachment);
  EXPECT_EQ(as<Pdf>(post(kPdf, "invoice%5Bid%5D=inv+1")).invoice, "inv 1");
}

TEST(PdfCall, IsAnAttachmentUnlessInline) {
  const auto as_attachment = [](const std::string& type) {
    return as<Pdf>(post(kPdf, "invoice[id]=i" + type)).as_attachment;
  };
  EXPECT_TRUE(as_attachment(""));
  EXPECT_TRUE(as_attachment("&disposition_type=attachment"));
  EXPECT_TRUE(as_attachment("&disposition_type=Attachment"));
  EXPECT_FALSE(as_attachment("&disposition_type=inline"));
  for (const auto* type : {"", "in-line", "inlined", "attach"})
    EXPECT_EQ(summary(post(kPdf, "invoice[id]=i&disposition_type=" + std::string(type))),
              "400 param_wrong_value disposition_type")
        << type;
}

TEST(PdfCall, NeedsAnInvoice) {
  EXPECT_EQ(summary(post(kPdf, "")), "400 param_wrong_value invoice[id]");
  EXPECT_EQ(summary(post(kPdf, "invoice[id]=")), "400 param_wrong_value invoice[id]");
  EXPECT_EQ(summary(post(kPdf, "invoice[id]=" + times(50, "%C3%BC"))), "pdf");
  EXPECT_EQ(summary(post(kPdf, "invoice[id]=" + times(51, "x"))), "400 param_wrong_value invoice[id]");
  EXPECT_EQ(summary(post(kPdf, "invoice[id]=i&invoice[number]=1")), "400 param_wrong_value invoice[number]");
  EXPECT_EQ(summary(post(kPdf, "invoice=i")), "400 param_wrong_value invoice");
}

TEST(ApiPath, IsRefusedIfThereIsNone) {
  for (const auto* path : {"/", "/api/v2", "/api/v2/", "/api/v2/usages/", "/api/v2/usages/x",
                           "/api/v2/usages/pdf/", "/api/v2/customers", "/api/v2/subscriptions/usages",
                           "/api/v2/subscriptions//usages", "/api/v2/subscriptions/delete_usage",
                           "/api/v2/subscriptions/sub_1", "/api/v2/subscriptions/sub_1/usages/",
                           "/api/v2/subscriptions/sub_1/usagesx", "/api/v1/usages", "/api/v2/Usages"}) {
    EXPECT_EQ(summary(get(path)), "404 resource_not_found") << path;
    EXPECT_EQ(methods_of(path), "") << path;
  }
}

TEST(ApiPath, SaysWhichMethodsItHas) {
  struct Case {
    const char *path, *allow;
  };
  for (const auto& one : {Case{kUsages, "GET, HEAD, POST"}, Case{kDelete, "POST"},
                          Case{"/api/v2/usages", "GET, HEAD"}, Case{kPdf, "POST"}}) {
    EXPECT_EQ(methods_of(one.path), one.allow);
    for (const std::string method :
         {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "HEA", ","}) {
      const auto call = parse_call(request_of(method, one.path));
      const bool allowed =
          (", " + std::string(one.allow) + ", ").find(", " + method + ", ") != std::string::npos;
      EXPECT_EQ(summary(call) == "405 http_method_not_supported", !allowed) << method << " " << one.path;
      if (const auto* error = std::get_if<ApiError>(&call); error != nullptr && !allowed) {
        EXPECT_EQ(error->allow, one.allow);
      }
    }
  }
}

usages::IdempotencyKey key_of(const Call& call) {
  if (const auto* create = std::get_if<Create>(&call)) return create->key;
  if (const auto* gone = std::get_if<Delete>(&call)) return gone->key;
  if (const auto* pdf = std::get_if<Pdf>(&call)) return pdf->key;
  return {};
}

Request keyed(const std::string& target, const std::string& body, const std::string& key) {
  auto request = request_of("POST", target, body);
  request.headers.emplace_back("chargebee-idempotency-key", key);
  return request;
}

TEST(IdempotencyHeader, ComesWithADigestOfTheRequest) {
  const auto key = key_of(parse_call(keyed(kUsages, kRequired, "k 1")));
  EXPECT_EQ(key.key, "k 1");
  EXPECT_EQ(key.request_digest.size(), 32U);
  EXPECT_EQ(key_of(parse_call(keyed(kUsages, kRequired, "k 2"))).request_digest, key.request_digest)
      << "the request's, not the key's";
  for (const auto& other : {keyed("/api/v2/subscriptions/sub_2/usages", kRequired, "k"),
                            keyed(kUsages, kRequired + std::string("&note=1"), "k"),
                            keyed(kDelete, "id=u", "k"), keyed(kPdf, "invoice[id]=i", "k")}) {
    const auto digest = key_of(parse_call(other)).request_digest;
    EXPECT_EQ(digest.size(), 32U);
    EXPECT_NE(digest, key.request_digest);
  }
}

TEST(IdempotencyHeader, HasADigestThatIsFixedForEver) {
  std::string hex;
  for (const char c : key_of(parse_call(keyed(kDelete, "id=u", "k"))).request_digest) {
    constexpr const char* kHex = "0123456789abcdef";
    hex += kHex[static_cast<unsigned char>(c) >> 4U];
    hex += kHex[static_cast<unsigned char>(c) & 15U];
  }
  EXPECT_EQ(hex, "6e1e9a22b45f3396cd2e557b804ae14e627fb31fbbad88f88dfacc7a2db2d8fd");
}

TEST(IdempotencyHeader, HasOneToAHundredPrintableCharacters) {
  const auto with = [](const std::string& key) { return summary(parse_call(keyed(kDelete, "id=u", key))); };
  EXPECT_EQ(with("!~"), "delete");
  EXPECT_EQ(with(times(100, "x")), "delete");
  for (const auto& key : {std::string(), times(101, "x"), std::string("a\tb"), std::string("\xC3\xBC"),
                          std::string("\x7F"), std::string(1, '\0')})
    EXPECT_EQ(with(key), "400 param_wrong_value chargebee-idempotency-key") << key;
  auto twice = keyed(kDelete, "id=u", "k");
  twice.headers.emplace_back("chargebee-idempotency-key", "k");
  EXPECT_EQ(summary(parse_call(twice)), "400 param_wrong_value chargebee-idempotency-key");
}

TEST(IdempotencyHeader, IsNotLookedAtByAGet) {
  auto request = request_of("GET", std::string(kUsages) + "?id=u");
  request.headers.emplace_back("chargebee-idempotency-key", "");
  EXPECT_EQ(summary(parse_call(request)), "retrieve");
}

}  // namespace
}  // namespace meterd::api::chargebee
