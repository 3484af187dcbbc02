// The filters of "list usages": each operator on each attribute, through the target as it comes on the wire.
#include "agent/api/chargebee/filters.hpp"
#include "agent/base/text.hpp"
#include "tests/api/usages_fixture.hpp"

namespace meterd::api::chargebee {
namespace {

using journal::UsageQuery;
using journal::UsageSource;
using Order = UsageQuery::Order;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kEver = std::numeric_limits<std::int64_t>::max();

Call list_of(const std::string& query) { return get("/api/v2/usages?" + query); }

UsageQuery query_of(const std::string& query) {
  auto call = list_of(query);
  const auto* list = std::get_if<List>(&call);
  EXPECT_NE(list, nullptr) << query << ": " << message_of(call);
  return list == nullptr ? UsageQuery{} : list->query;
}

std::string refused(const std::string& query) { return summary(list_of(query)); }

std::vector<std::int64_t> dates_of(const std::string& query) {
  const auto out = query_of(query);
  return {out.first_date, out.last_date};
}

TEST(ListFilter, AsksForAllWithoutFilters) {
  for (const auto* target : {"/api/v2/usages", "/api/v2/usages?"}) {
    const auto call = get(target);
    ASSERT_EQ(summary(call), "list") << target;
    const auto& query = std::get<List>(call).query;
    EXPECT_FALSE(query.id.is || query.subscription.is || query.item_price.is || query.invoice.is);
    EXPECT_FALSE(query.has_invoice.has_value());
    EXPECT_EQ(query.first_date, 0);
    EXPECT_EQ(query.last_date, kEver);
    EXPECT_EQ(query.sources.size(), 3U);
    EXPECT_EQ(query.order, Order::created);
    EXPECT_EQ(query.limit, 10U);
    EXPECT_FALSE(query.after.has_value());
    EXPECT_THAT(query.hidden, IsEmpty());
  }
}

TEST(ListFilter, HasThreeOperatorsOnEachId) {
  struct Case {
    const char* name;
    journal::TextFilter UsageQuery::*filter;
  };
  for (const auto& [name, filter] :
       {Case{"id", &UsageQuery::id}, Case{"subscription_id", &UsageQuery::subscription},
        Case{"item_price_id", &UsageQuery::item_price}, Case{"invoice_id", &UsageQuery::invoice}}) {
    const std::string attribute(name);
    const auto query = query_of(attribute + "[is]=a+b%2B%C3%BC&" + attribute + "%5Bis_not%5D=c&" + attribute +
                                "[starts_with]=d");
    EXPECT_EQ((query.*filter).is, "a b+\xC3\xBC") << name;
    EXPECT_EQ((query.*filter).is_not, "c") << name;
    EXPECT_EQ((query.*filter).starts_with, "d") << name;
    EXPECT_FALSE(query.has_invoice.has_value());
    const auto one = query_of(attribute + "[starts_with]=d");
    EXPECT_FALSE((one.*filter).is || (one.*filter).is_not) << name;
  }
}

TEST(ListFilter, LimitsATextToTheIdsLength) {
  for (const auto* param :
       {"id[is]", "subscription_id[is_not]", "item_price_id[starts_with]", "invoice_id[is]"}) {
    const std::string begin = std::string(param) + "=";
    EXPECT_EQ(refused(begin + times(100, "%C3%BC")), "list") << param;
    EXPECT_EQ(refused(begin + times(101, "x")), "400 param_wrong_value " + std::string(param));
    EXPECT_EQ(refused(begin + "a%0Ab"), "400 param_wrong_value " + std::string(param));
    EXPECT_EQ(refused(begin + "%FF"), "400 param_wrong_value " + std::string(param));
  }
}

TEST(ListFilter, TakesDatesBySecond) {
  EXPECT_THAT(dates_of("usage_date[after]=1601220958"), ElementsAre(1601220959, kEver));
  EXPECT_THAT(dates_of("usage_date[before]=1601220958"), ElementsAre(0, 1601220957));
  EXPECT_THAT(dates_of("usage_date[on]=1601220958"), ElementsAre(1601220958, 1601220958));
  EXPECT_THAT(dates_of("usage_date[between]=[1601718000,1601719000]"), ElementsAre(1601718000, 1601719000));
  EXPECT_THAT(dates_of("usage_date[between]=%5B%221601718000%22,%221601719000%22%5D"),
              ElementsAre(1601718000, 1601719000));
  EXPECT_THAT(dates_of("usage_date%5Bbetween%5D=+%5B+1601718000+%2C+1601719000+%5D+"),
              ElementsAre(1601718000, 1601719000));
  EXPECT_THAT(dates_of("usage_date[after]=0&usage_date[before]=9999999999"), ElementsAre(1, 9999999998));
}

TEST(ListFilter, HoldsAllFiltersOfADateAtOnce) {
  EXPECT_THAT(dates_of("usage_date[after]=10&usage_date[before]=20&usage_date[between]=[5,15]"),
              ElementsAre(11, 15));
  EXPECT_THAT(dates_of("usage_date[on]=12&usage_date[between]=[5,15]"), ElementsAre(12, 12));
  const auto none = query_of("usage_date[after]=20&usage_date[before]=10");
  EXPECT_GT(none.first_date, none.last_date) << "an empty list, and no error";
  EXPECT_THAT(dates_of("usage_date[between]=[20,10]"), ElementsAre(20, 10));
}

TEST(ListFilter, RefusesABadDate) {
  for (const auto* value : {"", "x", "-1", "1.5", "+1", "1e9", "%201", "12345678901", "99999999999999999999",
                            "2020-10-03", "[1]"})
    for (const auto* param : {"usage_date[after]", "usage_date[before]", "usage_date[on]"})
      EXPECT_EQ(refused(std::string(param) + "=" + value), "400 param_wrong_value " + std::string(param))
          << value;
  for (const auto* value : {"", "[]", "[1]", "[1,2,3]", "1,2", "[1,]", "[,2]", "[1,x]", "[x,1]", "[1,2", "[",
                            "[[1,2]]", "[1;2]", "[%221,2%22]"})
    EXPECT_EQ(refused("usage_date[between]=" + std::string(value)),
              "400 param_wrong_value usage_date[between]")
        << value;
}

TEST(ListFilter, KnowsWhetherThereIsAnInvoice) {
  EXPECT_EQ(query_of("invoice_id[is_present]=true").has_invoice, true);
  EXPECT_EQ(query_of("invoice_id[is_present]=false").has_invoice, false);
  EXPECT_EQ(query_of("invoice_id[is]=null").has_invoice, false);
  EXPECT_EQ(query_of("invoice_id[is_not]=null").has_invoice, true);
  EXPECT_FALSE(query_of("invoice_id[is]=null").invoice.is.has_value());
  EXPECT_EQ(query_of("invoice_id[starts_with]=null").invoice.starts_with, "null");
  EXPECT_EQ(query_of("id[is]=null").id.is, "null") << "only an invoice can be absent";
  for (const auto* value : {"", "TRUE", "1", "yes", "null"})
    EXPECT_EQ(refused("invoice_id[is_present]=" + std::string(value)),
              "400 param_wrong_value invoice_id[is_present]")
        << value;
}

TEST(ListFilter, GivesAnEmptyListForAnInvoiceThatIsThereAndIsNot) {
  EXPECT_THAT(query_of("invoice_id[is]=null&invoice_id[is_present]=true").sources, IsEmpty());
  EXPECT_THAT(query_of("invoice_id[is_present]=false&invoice_id[is_not]=null").sources, IsEmpty());
  EXPECT_THAT(query_of("invoice_id[is]=null&invoice_id[is_not]=null&invoice_id[is_present]=true").sources,
              IsEmpty());
  EXPECT_EQ(query_of("invoice_id[is]=null&invoice_id[is_present]=false").sources.size(), 3U);
}

TEST(ListFilter, TakesSourcesByNameAndByList) {
  const auto sources = [](const std::string& query) { return query_of(query).sources; };
  constexpr auto kApi = UsageSource::api;
  constexpr auto kBulk = UsageSource::bulk_operation;
  constexpr auto kAdmin = UsageSource::admin_console;
  EXPECT_THAT(sources("source[is]=api"), ElementsAre(kApi));
  EXPECT_THAT(sources("source[is]=bulk_operation"), ElementsAre(kBulk));
  EXPECT_THAT(sources("source[is]=admin_console"), ElementsAre(kAdmin));
  EXPECT_THAT(sources("source[is_not]=api"), ElementsAre(kBulk, kAdmin));
  EXPECT_THAT(sources("source[in]=[api,bulk_operation]"), ElementsAre(kBulk, kApi));
  EXPECT_THAT(sources("source%5Bin%5D=%5B%22api%22%2C%22bulk_operation%22%5D"), ElementsAre(kBulk, kApi));
  EXPECT_THAT(sources("source[in]=[+api+,+%22admin_console%22+]"), ElementsAre(kApi, kAdmin));
  EXPECT_THAT(sources("source[in]=[api]"), ElementsAre(kApi));
  EXPECT_THAT(sources("source[in]=[api,api]"), ElementsAre(kApi));
  EXPECT_THAT(sources("source[not_in]=[api,bulk_operation]"), ElementsAre(kAdmin));
  EXPECT_THAT(sources("source[in]=[api,bulk_operation]&source[is_not]=api"), ElementsAre(kBulk));
  EXPECT_THAT(sources("source[is]=api&source[not_in]=[api]"), IsEmpty()) << "an empty list, and no error";
}

TEST(ListFilter, RefusesABadSource) {
  for (const auto* value : {"", "API", "web", "[api]", "%22api%22"})
    for (const auto* param : {"source[is]", "source[is_not]"})
      EXPECT_EQ(refused(std::string(param) + "=" + value), "400 param_wrong_value " + std::string(param))
          << value;
  for (const auto* value : {"", "[]", "[web]", "api,bulk_operation", "api", "[api,]", "[api", "api]",
                            "[api,,api]", "[%22api]", "[api%22]", "[%22]", "[%22%22]", "['api']"})
    for (const auto* param : {"source[in]", "source[not_in]"})
      EXPECT_EQ(refused(std::string(param) + "=" + value), "400 param_wrong_value " + std::string(param))
          << value;
}

TEST(ListFilter, RefusesAnOperatorThatTheAttributeDoesNotHave) {
  for (const auto* param : {"id[in]", "id[is_present]", "id[after]", "subscription_id[between]",
                            "item_price_id[not_in]", "usage_date[is]", "usage_date[starts_with]",
                            "invoice_id[in]", "source[starts_with]", "source[is_present]", "id[IS]", "id[]",
                            "id", "id[is", "id[is]x", "id]is[", "id[is][operator]", "id[operator][is]"}) {
    const auto call = list_of(std::string(param) + "=api");
    EXPECT_EQ(summary(call), "400 param_wrong_value " + std::string(param));
  }
  EXPECT_THAT(message_of(list_of("source=api")), HasSubstr("source[is_not]")) << "says which there are";
}

TEST(ListFilter, RefusesAnUnknownParameter) {
  for (const auto* param : {"quantity[is]", "note[is]", "updated_at[after]", "created_at[after]", "foo",
                            "[is]", "Limit", "limit[]", "include_deleted", "resource_version[is]"})
    EXPECT_EQ(refused(std::string(param) + "=1"), "400 param_wrong_value " + std::string(param));
}

TEST(ListFilter, RefusesWhatComesTwice) {
  EXPECT_EQ(refused("id[is]=a&id[is]=a"), "400 param_wrong_value id[is]");
  EXPECT_EQ(refused("id[is]=a&id%5Bis%5D=a"), "400 param_wrong_value id[is]");
  EXPECT_EQ(refused("limit=1&limit=1"), "400 param_wrong_value limit");
  EXPECT_EQ(refused("usage_date[after]=1&usage_date[before][after]=2"),
            "400 param_wrong_value usage_date[before][after]")
      << "by what it means";
}

TEST(ListFilter, ServesTheNodeSdksSecondOperator) {
  EXPECT_THAT(dates_of("usage_date%5Bafter%5D=1&usage_date%5Bafter%5D%5Bbefore%5D=9"), ElementsAre(2, 8));
  const auto query = query_of("id[is]=ab&id[is][starts_with]=a&id[is][starts_with][is_not]=b");
  EXPECT_EQ(query.id.is, "ab");
  EXPECT_EQ(query.id.starts_with, "a");
  EXPECT_EQ(query.id.is_not, "b");
}

TEST(ListFilter, RefusesAnEmptyValue) {
  for (const auto* param : {"id[is]", "invoice_id[is]", "limit", "offset", "sort_by[asc]", "source[in]"}) {
    const auto call = list_of(std::string(param) + "=");
    EXPECT_EQ(summary(call), "400 param_wrong_value " + std::string(param));
    EXPECT_THAT(message_of(call), HasSubstr("cannot be blank"));
  }
}

TEST(ListPage, HasOneToAHundredUsages) {
  EXPECT_EQ(query_of("limit=1").limit, 1U);
  EXPECT_EQ(query_of("limit=100").limit, 100U);
  for (const auto* value : {"0", "101", "-1", "1.0", "ten", "%201", "18446744073709551617"})
    EXPECT_EQ(refused("limit=" + std::string(value)), "400 param_wrong_value limit") << value;
}

TEST(ListPage, IsSortedByUsageDateOnly) {
  EXPECT_EQ(query_of("sort_by[asc]=usage_date").order, Order::date);
  EXPECT_EQ(query_of("sort_by%5Bdesc%5D=usage_date").order, Order::date_descending);
  EXPECT_EQ(refused("sort_by[asc]=updated_at"), "400 param_wrong_value sort_by[asc]");
  EXPECT_EQ(refused("sort_by[asc]=usage_date&sort_by[desc]=usage_date"),
            "400 param_wrong_value sort_by[desc]");
  for (const auto* param : {"sort_by", "sort_by[]", "sort_by[up]", "sort_by[asc][desc]"})
    EXPECT_EQ(refused(std::string(param) + "=usage_date"), "400 param_wrong_value " + std::string(param));
}

TEST(ListPage, GoesOnFromItsOffset) {
  struct Case {
    const char* sort;
    Order order;
    UsageQuery::Place place;
    const char* offset;
  };
  constexpr auto kLast = std::numeric_limits<std::uint64_t>::max();
  for (const auto& one :
       {Case{"", Order::created, {0, 12}, R"(["0","12"])"}, Case{"", Order::created, {0, 0}, R"(["0","0"])"},
        Case{"&sort_by[asc]=usage_date", Order::date, {1601718989, 7}, R"(["1601718989","7"])"},
        Case{"&sort_by[desc]=usage_date",
             Order::date_descending,
             {1, kLast},
             R"(["-1","18446744073709551615"])"}}) {
    EXPECT_EQ(offset_of(one.order, one.place), one.offset);
    const auto query = query_of("offset=" + percent_encode(one.offset) + one.sort);
    EXPECT_EQ(query.order, one.order);
    EXPECT_EQ(query.after, one.place) << one.offset;
  }
  EXPECT_EQ(query_of("sort_by[asc]=usage_date&offset=" + percent_encode(R"(["5","7"])")).after,
            (UsageQuery::Place{5, 7}))
      << "whichever comes first";
  EXPECT_EQ(offset_of(Order::created, {99, 12}), R"(["0","12"])");
}

TEST(ListPage, RefusesAForeignOffset) {
  for (const auto* offset : {"x",
                             "12",
                             "[]",
                             "[\"0\"]",
                             "[\"0\",\"1\",\"2\"]",
                             "[0,12]",
                             "[\"0\", \"12\"]",
                             " [\"0\",\"12\"]",
                             "[\"00\",\"12\"]",
                             "[\"0\",\"012\"]",
                             "[\"-0\",\"12\"]",
                             "[\"0\",\"-12\"]",
                             "[\"0\",\"\"]",
                             "[\"\",\"1\"]",
                             "[\"0\",\"18446744073709551616\"]",
                             "[\"1612890919000\",\"230000000081\"]",
                             "[\",\"]",
                             "[,]",
                             "[\"0\",\"]",
                             "[\"1601718989\",\"7\"]",
                             "[\"-1601718989\",\"7\"]"})
    EXPECT_EQ(refused("offset=" + percent_encode(offset)), "400 param_wrong_value offset") << offset;
  const auto by_date = [](const char* offset) {
    return refused("sort_by[asc]=usage_date&offset=" + percent_encode(offset));
  };
  EXPECT_EQ(by_date(R"(["0","12"])"), "400 param_wrong_value offset") << "of a list in another order";
  EXPECT_EQ(by_date(R"(["-5","12"])"), "400 param_wrong_value offset");
  EXPECT_EQ(by_date(R"(["1612890919000","230000000081"])"), "400 param_wrong_value offset");
  EXPECT_EQ(refused("offset=" + times(1001, "x")), "400 param_wrong_value offset");
}

TEST(ListFilter, HasRoomForEveryFilterAtOnce) {
  std::string query = "limit=5&sort_by[asc]=usage_date&offset=" + percent_encode(R"(["5","7"])");
  for (const auto* name : {"id", "subscription_id", "item_price_id", "invoice_id"})
    for (const auto* op : {"is", "is_not", "starts_with"})
      query += "&" + std::string(name) + "[" + op + "]=a";
  query += "&invoice_id[is_present]=true&usage_date[after]=1&usage_date[before]=9&usage_date[on]=5";
  query += "&usage_date[between]=[1,9]&source[is]=api&source[is_not]=bulk_operation&source[in]=[api]";
  query += "&source[not_in]=[admin_console]";
  EXPECT_EQ(refused(query), "list");
}

}  // namespace
}  // namespace meterd::api::chargebee
