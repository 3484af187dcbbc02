// Pages of the collection of usages, compared with a plain sort of all that is there.
#include <algorithm>
#include <random>

#include "tests/base/seed.hpp"
#include "tests/journal/caller_fixture.hpp"
#include "tests/support/rounds.hpp"

namespace meterd::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Order = UsageQuery::Order;
using Place = UsageQuery::Place;

class UsageList : public CallerTest {
 protected:
  // By going from page to page.
  std::vector<std::string> ids(UsageQuery query) {
    std::vector<std::string> out;
    pages_ = 0;
    do {
      const auto page = must(read_usages(*journal_, query));
      EXPECT_LE(page.usages.size(), query.limit);
      for (const auto& one : page.usages) out.push_back(one.record.id());
      query.after = page.next;
      ++pages_;
    } while (query.after && pages_ < 10'000);
    return out;
  }
  static UsageQuery in_order(Order order) {
    UsageQuery query;
    query.order = order;
    return query;
  }
  static UsageQuery of(const std::string& subscription, Order order = Order::created) {
    auto query = in_order(order);
    query.subscription.is = subscription;
    return query;
  }
  std::size_t pages_ = 0;
};

TEST_F(UsageList, IsEmptyOfAnEmptyJournal) {
  for (const auto order : {Order::created, Order::date, Order::date_descending}) {
    EXPECT_THAT(ids(in_order(order)), IsEmpty());
    EXPECT_THAT(ids(of("sub_1", order)), IsEmpty());
    EXPECT_EQ(pages_, 1U) << "and says that there is no more";
  }
}

TEST_F(UsageList, HasEachOrderWithAndWithoutASubscription) {
  create("a", kMidnight + 9);
  create("b", kMidnight + 5, {.subscription = "sub_2"});
  create("c", kMidnight + 7, {.item_price = "data-usd"});
  create("d", kMidnight + 8, {.upstream = "marketplace"});
  EXPECT_THAT(ids(in_order(Order::created)), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(ids(in_order(Order::date)), ElementsAre("b", "c", "d", "a"));
  EXPECT_THAT(ids(in_order(Order::date_descending)), ElementsAre("a", "d", "c", "b"));
  EXPECT_THAT(ids(of("sub_1")), ElementsAre("a", "c", "d"));
  EXPECT_THAT(ids(of("sub_1", Order::date)), ElementsAre("c", "d", "a"));
  EXPECT_THAT(ids(of("sub_1", Order::date_descending)), ElementsAre("a", "d", "c"));
  EXPECT_THAT(ids(of("sub_2", Order::date)), ElementsAre("b"));
  EXPECT_THAT(ids(of("sub_3", Order::date)), IsEmpty());
  EXPECT_THAT(ids(of("sub")), IsEmpty()) << "a subscription's name is no prefix of another";
}

TEST_F(UsageList, ShowsUsagesOfOneSecondInOrderOfCreation) {
  const auto first = create("a", kMidnight);
  create("b", kMidnight, {.item_price = "data-usd"});
  withdraw(first);
  create("c", kMidnight);
  EXPECT_THAT(ids(in_order(Order::date)), ElementsAre("b", "c"));
  EXPECT_THAT(ids(in_order(Order::date_descending)), ElementsAre("c", "b"));
}

TEST_F(UsageList, ShowsWhatIsThereAndWantedThere) {
  create("waits", kMidnight);
  park(create("parked", kMidnight + 1));
  delivered("delivered", kMidnight + 2);
  withdraw(create("withdrawn", kMidnight + 3));
  ask_to_delete(delivered("to-go", kMidnight + 4));
  deliver(ask_to_delete(delivered("gone", kMidnight + 5)));
  park(ask_to_delete(delivered("kept", kMidnight + 6)));
  std::uint64_t superseded = 0;
  const auto sealed = waiting_usage();
  step([&](WriteTransaction& w) { superseded = supersede(w, sealed); });
  EXPECT_THAT(ids(in_order(Order::date)),
              ElementsAre("waits", "parked", "delivered", "kept", stored(superseded).record.id()));
}

TEST_F(UsageList, FiltersByEachAttribute) {
  create("a-1", kMidnight + 1);
  create("a-2", kMidnight + 2, {.item_price = "data-usd"});
  create("b-1", kMidnight + 3, {.subscription = "sub_2"});
  const auto sealed = stored(waiting_usage()).record.id();
  UsageQuery query;
  query.id.is = "a-2";
  EXPECT_THAT(ids(query), ElementsAre("a-2"));
  query.item_price.is = "sms-usd";
  EXPECT_THAT(ids(query), IsEmpty()) << "all must hold";
  query = {};
  query.id.is_not = "a-1";
  query.sources = {UsageSource::api};
  EXPECT_THAT(ids(query), ElementsAre("a-2", "b-1"));
  query.id.starts_with = "a-";
  EXPECT_THAT(ids(query), ElementsAre("a-2"));
  query = {};
  query.item_price.starts_with = "data";
  EXPECT_THAT(ids(query), ElementsAre("a-2"));
  query = {};
  query.subscription.is_not = "sub_1";
  EXPECT_THAT(ids(query), ElementsAre("b-1"));
  query.subscription = {{}, {}, "sub_"};
  query.item_price.is_not = "data-usd";
  EXPECT_THAT(ids(query), ElementsAre("a-1", "b-1", sealed));
  query = {};
  query.sources = {UsageSource::bulk_operation};
  EXPECT_THAT(ids(query), ElementsAre(sealed));
  query.sources = {};
  for (const auto order : {Order::created, Order::date}) {
    query.order = order;
    EXPECT_THAT(ids(query), IsEmpty());
  }
}

TEST_F(UsageList, FiltersByDateWithBothEnds) {
  for (int i = 0; i < 6; ++i) create("u" + std::to_string(i), kMidnight + i);
  for (const auto order : {Order::created, Order::date, Order::date_descending}) {
    auto query = in_order(order);
    query.first_date = kMidnight + 2;
    query.last_date = kMidnight + 4;
    query.limit = 2;
    EXPECT_THAT(ids(query), ::testing::UnorderedElementsAre("u2", "u3", "u4"));
    query.last_date = kMidnight + 1;
    EXPECT_THAT(ids(query), IsEmpty()) << "the first date is behind the last";
    query.first_date = query.last_date = kMidnight + 5;
    EXPECT_THAT(ids(query), ElementsAre("u5"));
  }
}

TEST_F(UsageList, FiltersByInvoice) {
  const auto invoiced = create("a", kMidnight);
  create("b", kMidnight + 1);
  step([&](WriteTransaction& w) { must(w.attach(invoiced, "inv_7", "inv_7-1", now())); });
  UsageQuery query;
  query.has_invoice = true;
  EXPECT_THAT(ids(query), ElementsAre("a"));
  query.has_invoice = false;
  EXPECT_THAT(ids(query), ElementsAre("b"));
  query = {};
  query.invoice.is = "inv_7";
  EXPECT_THAT(ids(query), ElementsAre("a"));
  query.invoice = {{}, "inv_7", {}};
  EXPECT_THAT(ids(query), ElementsAre("b"));
  query.invoice = {{}, {}, "inv"};
  EXPECT_THAT(ids(query), ElementsAre("a"));
}

TEST_F(UsageList, LeavesHiddenUpstreamsOut) {
  create("a", kMidnight);
  create("b", kMidnight + 1, {.upstream = "marketplace"});
  for (const auto order : {Order::created, Order::date}) {
    auto query = in_order(order);
    query.hidden = {UpstreamName("marketplace")};
    EXPECT_THAT(ids(query), ElementsAre("a"));
    query.id.is = "b";
    EXPECT_THAT(ids(query), IsEmpty());
    query.hidden = {UpstreamName("billing")};
    EXPECT_THAT(ids(query), ElementsAre("b"));
  }
}

TEST_F(UsageList, HasNothingOfANameThatIsLongerThanAny) {
  create("a", kMidnight);
  EXPECT_THAT(ids(of(std::string(1'000, 'x'))), IsEmpty());
  EXPECT_THAT(ids(of(std::string(1'000, 'x'), Order::date)), IsEmpty());
  UsageQuery query;
  query.id.is = std::string(1'000, 'x');
  EXPECT_THAT(ids(query), IsEmpty());
}

TEST_F(UsageList, GoesOnBehindAUsageThatIsGoneMeanwhile) {
  for (const auto order : {Order::created, Order::date, Order::date_descending}) {
    const auto name = std::to_string(static_cast<int>(order));
    for (int i = 0; i < 5; ++i) create("p" + name + std::to_string(i), kMidnight + i);
    auto query = in_order(order);
    query.limit = 3;
    const auto first = must(read_usages(*journal_, query));
    ASSERT_EQ(first.usages.size(), 3U);
    ASSERT_TRUE(first.next);
    withdraw(first.usages.back().sequence);
    EXPECT_EQ(forget_all(), 1U);
    query.after = first.next;
    EXPECT_EQ(must(read_usages(*journal_, query)).usages.size(), 2U);
    for (const auto& one : must(read_usages(*journal_, in_order(Order::created))).usages)
      withdraw(one.sequence);
    forget_all();
  }
}

TEST_F(UsageList, GoesOnFromAPlaceOutsideItsDates) {
  for (int i = 0; i < 6; ++i) create("u" + std::to_string(i), kMidnight + i);
  auto query = in_order(Order::date);
  query.first_date = kMidnight + 3;
  query.last_date = kMidnight + 4;
  query.after = Place{kMidnight + 1, 2};
  EXPECT_THAT(ids(query), ElementsAre("u3", "u4"));
  query.order = Order::date_descending;
  query.after = Place{kMidnight + 5, 6};
  EXPECT_THAT(ids(query), ElementsAre("u4", "u3"));
  query.after = Place{kMidnight + 1, 2};
  EXPECT_THAT(ids(query), IsEmpty());
}

// A page looks at 5,000 records at most.
TEST_F(UsageList, GivesUpAfterABoundedNumberOfRecordsAndGoesOnWhereItStopped) {
  {
    auto write = begin();
    for (int i = 0; i < 5'200; ++i)
      must(write.create_usage(caller_usage("u" + std::to_string(i), kMidnight + i, {}), now()));
    must(write.commit());
  }
  for (const auto order : {Order::created, Order::date, Order::date_descending}) {
    for (const auto* subscription : {"", "sub_1"}) {
      auto query = in_order(order);
      if (*subscription != 0) query.subscription.is = subscription;
      query.id.starts_with = order == Order::date_descending ? "u0" : "u5199";
      const auto first = must(read_usages(*journal_, query));
      EXPECT_EQ(first.usages.size(), 0U);
      EXPECT_TRUE(first.next);
      EXPECT_THAT(ids(query), ElementsAre(*query.id.starts_with));
      EXPECT_LE(pages_, 3U);
    }
  }
}

// The reference: everything, filtered and sorted plainly.
class UsageListRandom : public UsageList {
 protected:
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_numbers_() % limit); }

  void fill() {
    static constexpr const char* kUpstreams[] = {"billing", "marketplace", "z"};
    static constexpr const char* kSubscriptions[] = {"sub_1", "sub_2", "sub_22", "a", "zz"};
    static constexpr const char* kItems[] = {"sms-usd", "data-usd", "x"};
    for (int transaction = 0; transaction < 30; ++transaction) {
      step([&](WriteTransaction& w) {
        for (int i = 0; i < 10; ++i) {
          Wanted wanted;
          wanted.upstream = kUpstreams[below(3)];
          wanted.subscription = kSubscriptions[below(5)];
          wanted.item_price = kItems[below(3)];
          const auto date = kMidnight + static_cast<std::int64_t>(below(40));
          const auto made =
              must(w.create_usage(caller_usage(std::to_string(random_numbers_()), date, wanted), now()));
          if (below(6) == 0) must(w.withdraw(made.sequence, now()));
          if (below(6) == 1) must(w.prune_usages(INT64_MAX, 1));
        }
      });
    }
    auto txn = must(journal_->begin_read());
    must(txn.scan(prefix(Kind::usage), "", [&](std::string_view key, std::string_view value) {
      UsageRecord record;
      EXPECT_TRUE(record.ParseFromString(std::string(must(unwrap(key, value)))));
      if (is_listed(record)) all_.push_back({must(parse_usage_key(key)), record});
      return true;
    }));
  }

  UsageQuery some_query() {
    UsageQuery query;
    query.order = static_cast<Order>(below(3));
    query.limit = 1 + below(below(2) == 0 ? 5 : 100);
    if (below(2) == 0)
      query.subscription.is = below(4) == 0 ? "none" : all_[below(all_.size())].record.subscription_id();
    if (below(4) == 0) query.item_price.is_not = "x";
    if (below(4) == 0) query.hidden = {UpstreamName(below(2) == 0 ? "billing" : "z")};
    if (below(3) == 0) query.first_date = kMidnight + static_cast<std::int64_t>(below(40));
    if (below(3) == 0) query.last_date = kMidnight + static_cast<std::int64_t>(below(40));
    return query;
  }

  std::vector<std::string> expected(const UsageQuery& query) const {
    std::vector<StoredUsage> fitting;
    for (const auto& one : all_) {
      const auto& r = one.record;
      if (query.subscription.is && r.subscription_id() != *query.subscription.is) continue;
      if (query.item_price.is_not && r.item_price_id() == *query.item_price.is_not) continue;
      if (query.hidden.contains(UpstreamName(r.upstream()))) continue;
      if (r.usage_date() < query.first_date || r.usage_date() > query.last_date) continue;
      fitting.push_back(one);
    }
    std::sort(fitting.begin(), fitting.end(), [&](const StoredUsage& a, const StoredUsage& b) {
      const auto place = [&](const StoredUsage& one) {
        return std::pair(query.order == Order::created ? 0 : one.record.usage_date(), one.sequence);
      };
      return query.order == Order::date_descending ? place(b) < place(a) : place(a) < place(b);
    });
    std::vector<std::string> out;
    for (const auto& one : fitting) out.push_back(one.record.id());
    return out;
  }

  std::mt19937_64 random_numbers_;
  std::vector<StoredUsage> all_;
};

TEST_F(UsageListRandom, IsThePlainSortOfEverythingThatFits) {
  random_numbers_.seed(testing::announced_seed("journal_test", 20'261'122));
  fill();
  ASSERT_GT(all_.size(), 150U);
  for (int i = 0; i < testing::rounds(1'500); ++i) {
    const auto query = some_query();
    ASSERT_EQ(ids(query), expected(query)) << "query " << i;
    if (!expected(query).empty()) {
      ASSERT_EQ(pages_, (expected(query).size() + query.limit - 1) / query.limit) << "query " << i;
    }
  }
}

}  // namespace
}  // namespace meterd::journal
