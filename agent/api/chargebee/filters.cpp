#include "agent/api/chargebee/filters.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "agent/api/chargebee/attributes.hpp"
#include "agent/base/text.hpp"

namespace meterd::api::chargebee {
namespace {

using journal::TextFilter;
using journal::UsageQuery;
using journal::UsageSource;
using Wrong = std::optional<ApiError>;

constexpr std::size_t kLimitMax = 100;
constexpr std::size_t kOffsetMax = 1000;
constexpr std::string_view kBlank = "cannot be blank";

enum class Kind : std::uint8_t { id, subscription, item_price, invoice, date, source };
struct Attribute {
  std::string_view name;
  Kind kind;
  std::array<std::string_view, 4> operators;
};
constexpr std::array<Attribute, 6> kAttributes{{
    {"id", Kind::id, {"is", "is_not", "starts_with"}},
    {"subscription_id", Kind::subscription, {"is", "is_not", "starts_with"}},
    {"item_price_id", Kind::item_price, {"is", "is_not", "starts_with"}},
    {"invoice_id", Kind::invoice, {"is", "is_not", "starts_with", "is_present"}},
    {"usage_date", Kind::date, {"after", "before", "on", "between"}},
    {"source", Kind::source, {"is", "is_not", "in", "not_in"}},
}};

const Attribute* attribute_of(std::string_view name) {
  const auto* const found = std::find_if(kAttributes.begin(), kAttributes.end(),
                                         [name](const Attribute& one) { return one.name == name; });
  return found == kAttributes.end() ? nullptr : found;
}

bool has_operator(const Attribute& attribute, std::string_view name) {
  return !name.empty() &&
         std::find(attribute.operators.begin(), attribute.operators.end(), name) != attribute.operators.end();
}

// "a[b][c]" to "c", where every bracket holds an operator of the attribute. Empty: it is not of that form.
std::string_view operator_in(const Attribute& attribute, std::string_view brackets) {
  std::string_view last;
  while (!brackets.empty()) {
    const auto end = brackets.find(']');
    if (brackets.front() != '[' || end == std::string_view::npos) return {};
    last = brackets.substr(1, end - 1);
    if (!has_operator(attribute, last)) return {};
    brackets.remove_prefix(end + 1);
  }
  return last;
}

std::string operators_of(const Attribute& attribute) {
  std::string out = "is filtered by";
  for (const auto one : attribute.operators)
    if (!one.empty()) out += " " + std::string(attribute.name) + "[" + std::string(one) + "]";
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// "[a, b]" to its items. nullopt: it is not in brackets.
std::optional<std::vector<std::string_view>> items_of(std::string_view text) {
  text = trimmed(text);
  if (text.size() < 2 || !text.starts_with('[') || !text.ends_with(']')) return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::vector<std::string_view> out;
  for (auto comma = text.find(','); comma != std::string_view::npos; comma = text.find(',')) {
    out.push_back(trimmed(text.substr(0, comma)));
    text.remove_prefix(comma + 1);
  }
  out.push_back(trimmed(text));
  return out;
}

std::optional<UsageSource> source_of(std::string_view name) {
  if (name == "api") return UsageSource::api;
  if (name == "bulk_operation") return UsageSource::bulk_operation;
  if (name == "admin_console") return UsageSource::admin_console;
  return std::nullopt;
}

// An item is bare, or quoted as the vendor's SDKs do it: those for Java quote timestamps too.
std::string_view unquoted(std::string_view item) {
  const bool quoted = item.size() >= 2 && item.starts_with('"') && item.ends_with('"');
  return quoted ? item.substr(1, item.size() - 2) : item;
}

class Filters {
 public:
  explicit Filters(UsageQuery& query) : query_(query) {}

  Wrong read(std::string_view param, std::string_view value) {
    param_ = param;
    if (value.empty()) return wrong(kBlank);
    if (param == "limit") return limit(value);
    if (param == "offset") {
      offset_ = value;
      return value.size() > kOffsetMax ? wrong(at_most(kOffsetMax)) : std::nullopt;
    }
    const auto bracket = std::min(param.find('['), param.size());
    const auto name = param.substr(0, bracket);
    if (name == "sort_by") return sort(param.substr(bracket), value);
    const auto* const attribute = attribute_of(name);
    if (attribute == nullptr) return wrong("is not a parameter of this call");
    const auto op = operator_in(*attribute, param.substr(bracket));
    if (op.empty()) return wrong(operators_of(*attribute));
    const std::pair<Kind, std::string_view> filter{attribute->kind, op};
    if (std::find(seen_.begin(), seen_.end(), filter) != seen_.end()) return wrong("is given more than once");
    seen_.push_back(filter);
    return apply(attribute->kind, op, value);
  }

  // The page's place means something only in its order.
  Wrong finish() {
    if (wanted_invoice_ == Invoice::both) query_.sources.clear();  // with and without one: none is
    if (!offset_) return std::nullopt;
    param_ = "offset";
    query_.after = place_of(*offset_);
    if (query_.after) return std::nullopt;
    return wrong("is not a next_offset of this list: send it unchanged, with the same sort_by");
  }

 private:
  enum class Invoice : std::uint8_t { any, absent, present, both };

  Wrong wrong(std::string_view message) const { return wrong_value(param_, message); }

  Wrong limit(std::string_view value) {
    const auto number = parse_unsigned(value);
    if (!number || *number < 1 || *number > kLimitMax) return wrong("must be a whole number from 1 to 100");
    query_.limit = static_cast<std::size_t>(*number);
    return std::nullopt;
  }

  Wrong sort(std::string_view order, std::string_view value) {
    if (order != "[asc]" && order != "[desc]") return wrong("is sort_by[asc] or sort_by[desc]");
    if (value != "usage_date") return wrong("must be usage_date");
    if (query_.order != UsageQuery::Order::created) return wrong("is given more than once");
    query_.order = order == "[asc]" ? UsageQuery::Order::date : UsageQuery::Order::date_descending;
    return std::nullopt;
  }

  Wrong apply(Kind kind, std::string_view op, std::string_view value) {
    switch (kind) {
      case Kind::id:
        return text(query_.id, op, value);
      case Kind::subscription:
        return text(query_.subscription, op, value);
      case Kind::item_price:
        return text(query_.item_price, op, value);
      case Kind::invoice:
        return invoice(op, value);
      case Kind::date:
        return date(op, value);
      case Kind::source:
        return source(op, value);
    }
    return std::nullopt;
  }

  Wrong text(TextFilter& filter, std::string_view op, std::string_view value) const {
    if (auto bad = check_id(param_, value, kIdCharactersMax)) return bad;
    (op == "is" ? filter.is : op == "is_not" ? filter.is_not : filter.starts_with) = value;
    return std::nullopt;
  }

  Wrong invoice(std::string_view op, std::string_view value) {
    if (op == "is_present") {
      if (value != "true" && value != "false") return wrong("must be true or false");
      want_invoice(value == "true");
      return std::nullopt;
    }
    if (value == "null" && op != "starts_with") {
      want_invoice(op == "is_not");
      return std::nullopt;
    }
    return text(query_.invoice, op, value);
  }

  void want_invoice(bool present) {
    const auto wanted = present ? Invoice::present : Invoice::absent;
    wanted_invoice_ = wanted_invoice_ == Invoice::any || wanted_invoice_ == wanted ? wanted : Invoice::both;
    query_.has_invoice = present;
  }

  Wrong date(std::string_view op, std::string_view value) {
    if (op == "between") {
      const auto ends = items_of(value);
      const auto first = ends && ends->size() == 2 ? seconds_of(unquoted(ends->front())) : std::nullopt;
      const auto last = first ? seconds_of(unquoted(ends->back())) : std::nullopt;
      if (!last) return wrong("must be two timestamps in seconds, such as [1601718000,1601719000]");
      narrow(*first, *last);
      return std::nullopt;
    }
    const auto seconds = seconds_of(value);
    if (!seconds) return wrong("must be a timestamp in seconds, of at most 10 digits");
    if (op == "after") narrow(*seconds + 1, query_.last_date);
    if (op == "before") narrow(query_.first_date, *seconds - 1);
    if (op == "on") narrow(*seconds, *seconds);
    return std::nullopt;
  }

  void narrow(std::int64_t first, std::int64_t last) {
    query_.first_date = std::max(query_.first_date, first);
    query_.last_date = std::min(query_.last_date, last);
  }

  Wrong source(std::string_view op, std::string_view value) {
    std::vector<UsageSource> named;
    if (op == "is" || op == "is_not") {
      const auto one = source_of(value);
      if (!one) return wrong("must be api, bulk_operation or admin_console");
      named.push_back(*one);
    } else {
      const auto items = items_of(value);
      if (!items) return wrong("must be a list, such as [api,bulk_operation]");
      for (const auto item : *items) {
        const auto one = source_of(unquoted(item));
        if (!one) return wrong("must be a list of api, bulk_operation and admin_console");
        named.push_back(*one);
      }
    }
    const bool wanted = op == "is" || op == "in";
    std::erase_if(query_.sources, [&](UsageSource one) {
      return (std::find(named.begin(), named.end(), one) != named.end()) != wanted;
    });
    return std::nullopt;
  }

  // Only what offset_of() writes is taken.
  std::optional<UsageQuery::Place> place_of(std::string_view offset) const {
    const auto items = items_of(offset);
    if (!items || items->size() != 2) return std::nullopt;
    UsageQuery::Place place;
    auto date = items->front().substr(std::min<std::size_t>(1, items->front().size()));
    if (date.starts_with('-')) date.remove_prefix(1);
    const auto seconds = seconds_of(date.substr(0, date.find('"')));
    const auto sequence = items->back();
    const auto number =
        sequence.size() > 2 ? parse_unsigned(sequence.substr(1, sequence.size() - 2)) : std::nullopt;
    if (!seconds || !number || (*seconds == 0) != (query_.order == UsageQuery::Order::created))
      return std::nullopt;
    place = {*seconds, *number};
    return offset_of(query_.order, place) == offset ? std::optional(place) : std::nullopt;
  }

  UsageQuery& query_;
  std::string_view param_;
  std::optional<std::string_view> offset_;
  std::vector<std::pair<Kind, std::string_view>> seen_;
  Invoice wanted_invoice_ = Invoice::any;
};

}  // namespace

Wrong read_filters(const Parameters& parameters, UsageQuery& out) {
  Filters filters(out);
  for (const auto& [name, value] : parameters)
    if (auto wrong = filters.read(name, value)) return wrong;
  return filters.finish();
}

std::string offset_of(UsageQuery::Order order, const UsageQuery::Place& last) {
  const bool by_date = order != UsageQuery::Order::created;
  const std::string sign = order == UsageQuery::Order::date_descending ? "-" : "";
  return "[\"" + sign + std::to_string(by_date ? last.date : 0) + "\",\"" + std::to_string(last.sequence) +
         "\"]";
}

}  // namespace meterd::api::chargebee
