// Keys and values as bytes: order, round trips, checksums.
#include "agent/journal/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace meterd::journal {
namespace {

meter::BucketKey bucket(std::int32_t days, const char* upstream = "u", const char* subscription = "s",
                        const char* item_price = "i") {
  return {UsageDay(days), {UpstreamName(upstream), SubscriptionId(subscription), ItemPriceId(item_price)}};
}

const std::vector<std::int32_t> kDays{
    std::numeric_limits<std::int32_t>::min(), -20'000, -1, 0, 1, 255, 256, 20'779,
    std::numeric_limits<std::int32_t>::max()};

TEST(BalanceKey, SortsByDayFirstNegativeDaysIncluded) {
  std::vector<std::string> keys;
  for (const auto days : kDays) {
    keys.push_back(balance_key(bucket(days, "a", "z", "z")));
    keys.push_back(balance_key(bucket(days, "b", "a", "a")));
  }
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_TRUE(keys[0].starts_with(balance_prefix(UsageDay(kDays[0]))));
  EXPECT_FALSE(keys[2].starts_with(balance_prefix(UsageDay(kDays[0]))));
}

TEST(BalanceKey, ParsesBackToItsBucket) {
  for (const auto days : kDays)
    for (const auto& key :
         {bucket(days), bucket(days, "billing", "sub_1", "sms-usd"), bucket(days, "ü", "\x01", "€")}) {
      const auto parsed = parse_balance_key(balance_key(key));
      ASSERT_TRUE(parsed.ok());
      EXPECT_EQ(*parsed, key);
    }
}

TEST(BalanceKey, HasNoTwoReadingsOfNeighbouringTexts) {
  EXPECT_NE(balance_key(bucket(0, "u", "ab", "c")), balance_key(bucket(0, "u", "a", "bc")));
}

TEST(BalanceKey, FitsLmdbWithNamesOfTheLargestLength) {
  const std::string upstream(32, 'u');
  const std::string longest(100, 'x');
  EXPECT_LE(seal_due_key(0, bucket(0, upstream.c_str(), longest.c_str(), longest.c_str())).size(), 510U);
}

TEST(SealDueKey, SortsByTimeAndParsesBack) {
  std::vector<std::string> keys;
  for (const std::int64_t due :
       {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1'795'400'000}, INT64_MAX}) {
    keys.push_back(seal_due_key(due, bucket(5)));
    const auto fields = parse_seal_due_key(keys.back());
    ASSERT_TRUE(fields.ok());
    EXPECT_EQ(fields->due_s, due);
    EXPECT_EQ(fields->bucket, bucket(5));
  }
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
}

TEST(OutboxKey, SortsByUpstreamLaneBootTimeAndJournalOrder) {
  const UpstreamName a("a");
  const UpstreamName b("b");
  const std::vector<std::string> keys{outbox_key(a, {Lane::ready, {}, 7}),
                                      outbox_key(a, {Lane::ready, {}, 300}),
                                      outbox_key(a, {Lane::delayed, {1, 9'000}, 1}),
                                      outbox_key(a, {Lane::delayed, {2, 100}, 9}),
                                      outbox_key(a, {Lane::delayed, {2, 5'000}, 2}),
                                      outbox_key(a, {Lane::delayed, {2, 5'000}, 3}),
                                      outbox_key(a, {Lane::in_doubt, {}, 0}),
                                      outbox_key(a, {Lane::parked, {}, 0}),
                                      outbox_key(b, {Lane::ready, {}, 1})};
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  const auto fields = parse_outbox_key(keys[4]);
  ASSERT_TRUE(fields.ok());
  EXPECT_EQ(fields->upstream, a);
  EXPECT_EQ(fields->entry.lane, Lane::delayed);
  EXPECT_EQ(fields->entry.due.boot_number, 2U);
  EXPECT_EQ(fields->entry.due.since_boot_ms, 5'000);
  EXPECT_EQ(fields->entry.sequence, 2U);
  EXPECT_TRUE(keys[4].starts_with(outbox_prefix(a, Lane::delayed)));
  EXPECT_FALSE(keys[8].starts_with(outbox_prefix(a)));
}

TEST(OutboxPrefix, KeepsUpstreamsApartWhoseNamesStartAlike) {
  EXPECT_FALSE(outbox_key(UpstreamName("billing2"), {}).starts_with(outbox_prefix(UpstreamName("billing"))));
}

TEST(OtherKeys, ParseBackToTheirFields) {
  const auto history = parse_history_key(history_key(-5, UINT64_MAX));
  ASSERT_TRUE(history.ok());
  EXPECT_EQ(history->ended_s, -5);
  EXPECT_EQ(history->sequence, UINT64_MAX);
  EXPECT_EQ(*parse_usage_key(usage_key(0x0102030405060708)), 0x0102030405060708U);
  EXPECT_EQ(*parse_taken_date(taken_key(bucket(0).series, -7, 5)), -7);
  const auto slice = parse_slice_key(slice_key(3, 60, bucket(0).series));
  ASSERT_TRUE(slice.ok());
  EXPECT_EQ(slice->boot_number, 3U);
  EXPECT_EQ(slice->second, 60U);
  EXPECT_EQ(slice->series, bucket(0).series);
  EXPECT_EQ(*parse_id_block_key(id_block_key(0x01020304)), 0x01020304U);
}

TEST(ParsedKeys, OfAnotherKindCutOrTooLongAreCorrupt) {
  const std::string good = balance_key(bucket(5));
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto parsed = parse_balance_key(good.substr(0, size));
    ASSERT_FALSE(parsed.ok()) << size;
    EXPECT_EQ(parsed.error().code, Code::corrupt);
  }
  EXPECT_FALSE(parse_balance_key(good + "x").ok());
  EXPECT_FALSE(parse_balance_key("U" + good.substr(1)).ok());
  EXPECT_FALSE(parse_seal_due_key(good).ok());
  EXPECT_FALSE(parse_outbox_key(good).ok());
  EXPECT_FALSE(parse_history_key(usage_key(1)).ok());
  EXPECT_FALSE(parse_taken_date(good).ok());
  EXPECT_FALSE(parse_slice_key(good).ok());
  EXPECT_FALSE(parse_id_block_key(id_block_key(1) + "x").ok());
}

TEST(IdBlockValue, IsItsPartitionAndWholeHashes) {
  const std::string hashes = std::string(16, 'a') + std::string(16, 'b');
  const std::string value = id_block_value({0x01020304, hashes});
  EXPECT_EQ(value, "\x01\x02\x03\x04" + hashes);
  const auto block = parse_id_block(value);
  ASSERT_TRUE(block.ok());
  EXPECT_EQ(block->partition, 0x01020304U);
  EXPECT_EQ(block->hashes, hashes);
  EXPECT_EQ(parse_id_block(value.substr(0, value.size() - 1)).error().code, Code::corrupt);
  EXPECT_EQ(parse_id_block("123").error().code, Code::corrupt);
}

TEST(NumberValue, IsEightBytesBigEndian) {
  EXPECT_EQ(number_value(0x0102030405060708), "\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(*parse_number(number_value(UINT64_MAX)), UINT64_MAX);
  EXPECT_EQ(parse_number("1234567").error().code, Code::corrupt);
  EXPECT_EQ(parse_number("").error().code, Code::corrupt);
}

TEST(Envelope, IsTheCastagnoliChecksumOfTheTestVector) {
  // CRC-32C("123456789") = E3069283, the check value of the catalogue of parametrised CRC algorithms.
  EXPECT_EQ(wrap("1234", "56789"),
            "\xE3\x06\x92\x83"
            "56789");
}

TEST(Envelope, GivesThePayloadBack) {
  for (const auto& payload : {std::string(), std::string("x"), std::string(10'000, '\0')})
    EXPECT_EQ(*unwrap("key", wrap("key", payload)), payload);
}

TEST(Envelope, CoversTheKeySoThatAValueUnderAnotherKeyIsCorrupt) {
  const std::string value = wrap(usage_key(1), "payload");
  EXPECT_EQ(unwrap(usage_key(2), value).error().code, Code::corrupt);
  EXPECT_TRUE(unwrap(usage_key(1), value).ok());
}

TEST(Envelope, ShowsEveryFlippedBitAndEveryLostByte) {
  const std::string good = wrap("key", "payload");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_FALSE(unwrap("key", bad).ok()) << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    ASSERT_FALSE(unwrap("key", good.substr(0, size)).ok()) << size;
}

TEST(KeyTextDeathTest, OfMoreThan255BytesIsABrokenInvariant) {
  EXPECT_DEATH(producer_key(std::string(256, 'p')), "at most 255 bytes");
}

}  // namespace
}  // namespace meterd::journal
