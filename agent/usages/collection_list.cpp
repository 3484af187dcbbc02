// The collection's lists. A filter that few usages fit looks at many records: in parts, each in a read of its
// own, so that other reads come in between.
#include <iterator>
#include <utility>

#include "agent/usages/collection.hpp"
#include "platform/run_on.hpp"

namespace meterd::usages {

namespace asio = boost::asio;

namespace {

constexpr int kPartsMax = 200;  // of 5,000 records

class Listing {
 public:
  explicit Listing(journal::UsageQuery query) : query_(std::move(query)), limit_(query_.limit) {}

  // Looks at one more part; true: page() is made.
  Result<bool> look(const journal::Journal& journal) {
    const bool is_full = page_.usages.size() == limit_;  // and only whether there is one more is asked
    query_.limit = is_full ? 1 : limit_ - page_.usages.size();
    auto part = journal::read_usages(journal, query_);
    if (!part) return part.error();
    if (is_full && !part->usages.empty()) {
      page_.next = query_.after;
      return true;
    }
    if (page_.usages.empty()) {
      page_.usages = std::move(part->usages);
    } else {
      std::move(part->usages.begin(), part->usages.end(), std::back_inserter(page_.usages));
    }
    page_.next = query_.after = part->next;
    return !part->gave_up || ++parts_ == kPartsMax;
  }
  journal::UsagePage& page() { return page_; }

 private:
  journal::UsageQuery query_;
  std::size_t limit_;
  journal::UsagePage page_;
  int parts_ = 0;
};

}  // namespace

asio::awaitable<Result<std::string>> Collection::list(journal::UsageQuery query, Print print) {
  query.hidden = rules_->hidden;
  const auto listing = std::make_shared<Listing>(std::move(query));
  std::string text;
  const auto look = [this, listing, &text, &print]() -> Result<bool> {
    auto done = listing->look(deps_.journal);
    if (done && *done) text = print(listing->page());
    return done;
  };
  for (;;) {
    auto done = co_await platform::run_on(deps_.reader, look);
    if (!done) co_return done.error();
    if (*done) co_return text;
  }
}

asio::awaitable<Result<journal::UsagePage>> Collection::list(journal::UsageQuery query) {
  query.hidden = rules_->hidden;
  return list_every(std::move(query));
}

asio::awaitable<Result<journal::UsagePage>> Collection::list_every(journal::UsageQuery query) {
  const auto listing = std::make_shared<Listing>(std::move(query));
  const auto look = [this, listing] { return listing->look(deps_.journal); };
  for (;;) {
    auto done = co_await platform::run_on(deps_.reader, look);
    if (!done) co_return done.error();
    if (*done) co_return std::move(listing->page());
  }
}

}  // namespace meterd::usages
