// Ids and phases against values that another program computed:
//
//   import base64, hashlib, struct
//   def b32(b): return base64.b32encode(hashlib.sha256(b).digest()).decode().lower()
//   def field(b): return struct.pack(">I", len(b)) + b
//   def usage_id(device, epoch, upstream, subscription, item_price, day, r):
//       fields = [device.encode(), epoch, upstream.encode(), subscription.encode(), item_price.encode(),
//                 day.encode(), str(r).encode()]
//       return b32(device.encode())[:8] + "-" + b32(b"".join(map(field, fields)))[:26]
//   def device_hash(device, purpose):
//       b = device.encode() if not purpose else field(device.encode()) + field(purpose.encode())
//       return int.from_bytes(hashlib.sha256(b).digest()[:8], "big")
#include "agent/meter/identity.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace meterd::meter {
namespace {

std::string counting_epoch() {
  std::string epoch;
  for (char byte = 0; byte < 16; ++byte) epoch.push_back(byte);
  return epoch;
}

struct Fields {
  std::string device = "gw-0042";
  std::string epoch = counting_epoch();
  std::string upstream = "billing";
  std::string subscription = "sub_1";
  std::string item_price = "sms-usd";
  std::int32_t day = 20'779;  // 2026-11-22
  std::uint32_t revision = 0;
};

std::string id_of(const Fields& f) {
  const DeviceId device(f.device);
  const BucketKey bucket{
      UsageDay(f.day), {UpstreamName(f.upstream), SubscriptionId(f.subscription), ItemPriceId(f.item_price)}};
  return usage_id({device, f.epoch, bucket, f.revision}).value();
}

TEST(UsageIdentity, MatchesTheIndependentImplementation) {
  // usage_id("gw-0042", bytes(range(16)), "billing", "sub_1", "sms-usd", "20261122", 0), and with r = 12
  EXPECT_EQ(id_of({}), "a352554y-bxdhv7tpwmbaspwdwrdh4ber5i");
  EXPECT_EQ(id_of({.revision = 12}), "a352554y-idqrnfe6crc7qtjh7qqdadnxyp");
  // usage_id("gérät", b"\xff" * 16, "b", "ab", "c", "19691231", 0)
  EXPECT_EQ(id_of({"gérät", std::string(16, '\xFF'), "b", "ab", "c", -1, 0}),
            "2h6a632v-oylxyt5pfplhwynvyrz425cbok");
}

TEST(UsageIdentity, HasThirtyFiveCharactersThatStartWithTheDevicesPrefix) {
  for (const char* device : {"gw-0042", "x", "", "a device with a very long name indeed"}) {
    const std::string id = id_of({.device = device});
    EXPECT_EQ(id.size(), 35U);
    EXPECT_EQ(id.substr(0, 8), device_prefix(DeviceId(device)));
    EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567-"), std::string::npos);
  }
}

TEST(UsageIdentity, DiffersWhenAnyOneFieldDiffers) {
  std::set<std::string> ids{id_of({})};
  const std::vector<Fields> changed{{.device = "gw-0043"},
                                    {.epoch = std::string(16, 'e')},
                                    {.upstream = "billing2"},
                                    {.subscription = "sub_2"},
                                    {.item_price = "data-usd"},
                                    {.day = 20'780},
                                    {.revision = 1},
                                    {.revision = 10}};
  for (const auto& fields : changed) EXPECT_TRUE(ids.insert(id_of(fields)).second);
}

TEST(UsageIdentity, HasNoTwoReadingsOfNeighbouringFields) {
  EXPECT_NE(id_of({.subscription = "ab", .item_price = "c"}),
            id_of({.subscription = "a", .item_price = "bc"}));
  EXPECT_NE(id_of({.upstream = "x", .subscription = ""}), id_of({.upstream = "", .subscription = "x"}));
  EXPECT_NE(id_of({.subscription = std::string("a\0\0\0\x01", 5), .item_price = "b"}),
            id_of({.subscription = "a",
                   .item_price = std::string("\0\0\0\x01"
                                             "b",
                                             5)}));
}

TEST(UsageIdentity, IsTheSameEveryTime) { EXPECT_EQ(id_of({}), id_of({})); }

TEST(EventHasher, StandsForProducerAndIdTogether) {
  EventHasher hash;
  const EventHash one = hash("app", "1");
  EXPECT_EQ(EventHasher()("app", "1"), one) << "whatever was hashed before";
  EXPECT_NE(hash("app", "2"), one);
  EXPECT_NE(hash("", "1"), one);
  EXPECT_NE(hash("ab", "c"), hash("a", "bc"));
  EXPECT_EQ(hash("app", "1"), one);
  // hashlib.sha256(field(b"app") + field(b"1")).digest()[:4]
  EXPECT_EQ(std::string(one.begin(), one.begin() + 4), "\x06\x55\x71\x0B");
}

TEST(DeviceHash, MatchesTheIndependentImplementation) {
  EXPECT_EQ(device_hash(DeviceId("gw-0042"), ""), 0x06fbaef798ea8de7U);
  EXPECT_EQ(device_hash(DeviceId("gw-0042"), "phase"), 0x1b5b3dbae5d4525dU);
  EXPECT_EQ(device_hash(DeviceId("gw-0043"), ""), 0xdd8c7f799a005938U);
  EXPECT_EQ(device_hash(DeviceId("gw-0043"), "phase"), 0x518604feedcfb758U);
}

}  // namespace
}  // namespace meterd::meter
