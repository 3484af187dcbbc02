// What nfnetlink says, in each of the shapes that a kernel may give it: made here, as no kernel makes all of
// them.
#include "platform/linux/nft_messages.hpp"

#include <endian.h>
#include <gmock/gmock.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <array>
#include <cstring>

namespace meterd::platform {
namespace {

#pragma GCC diagnostic ignored "-Wold-style-cast"

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Message {
 public:
  Message() : header_(mnl_nlmsg_put_header(bytes_.data())) {
    mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg));
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  void text(std::uint16_t type, const char* value) { mnl_attr_put_strz(header_, type, value); }
  void number(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(header_, type, htobe32(value)); }
  void number64(std::uint16_t type, std::uint64_t value) { mnl_attr_put_u64(header_, type, htobe64(value)); }
  template <class Fill>
  void nest(std::uint16_t type, Fill fill) {
    auto* begun = mnl_attr_nest_start(header_, type);
    fill();
    mnl_attr_nest_end(header_, begun);
  }
  void counter(std::uint16_t type, std::uint64_t bytes, std::uint64_t packets, const char* name = "counter") {
    nest(type, [&] {
      text(NFTA_EXPR_NAME, name);
      nest(NFTA_EXPR_DATA, [&] {
        number64(NFTA_COUNTER_BYTES, bytes);
        number64(NFTA_COUNTER_PACKETS, packets);
      });
    });
  }
  void key(const char* four) {
    nest(NFTA_SET_ELEM_KEY, [&] { mnl_attr_put(header_, NFTA_DATA_VALUE, 4, four); });
  }
  template <class Fill>
  void element(Fill fill) {
    nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] { nest(NFTA_LIST_ELEM, fill); });
  }
  nlmsghdr* get() { return header_; }

 private:
  alignas(nlmsghdr) std::array<char, 8'192> bytes_{};
  nlmsghdr* header_;
};

NftReading elements_of(Message& message) {
  NftReading reading;
  EXPECT_TRUE(nft_elements(message.get(), 4, reading));
  return reading;
}

TEST(NftMessages, TakeTheCounterOfAnElement) {
  Message message;
  message.element([&] {
    message.key("\x0a\0\0\x02");
    message.counter(NFTA_SET_ELEM_EXPR, 1'500, 3);
  });
  const auto reading = elements_of(message);
  ASSERT_EQ(reading.elements.size(), 1U);
  EXPECT_EQ(reading.elements[0].key.bytes[0], 10);
  EXPECT_EQ(reading.elements[0].bytes, 1'500U);
  EXPECT_EQ(reading.elements[0].packets, 3U);
}

TEST(NftMessages, FindTheCounterAmongOtherExpressions) {
  Message message;
  message.element([&] {
    message.key("\x0a\0\0\x02");
    message.nest(NFTA_SET_ELEM_EXPRESSIONS, [&] {
      message.counter(NFTA_LIST_ELEM, 9, 9, "quota");
      message.counter(NFTA_LIST_ELEM, 1'500, 3);
    });
  });
  EXPECT_EQ(elements_of(message).elements.at(0).bytes, 1'500U);
}

TEST(NftMessages, CountElementsThatHaveNoCounterAndPassTheEndsOfIntervalsBy) {
  Message message;
  message.element([&] { message.key("\x0a\0\0\x02"); });
  message.element([&] {
    message.key("\x0a\0\0\x03");
    message.number(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
  });
  const auto reading = elements_of(message);
  EXPECT_THAT(reading.elements, IsEmpty());
  EXPECT_EQ(reading.without_counter, 1U);
}

TEST(NftMessages, CountTheCatchAllElementApart) {
  Message message;
  message.element([&] {
    message.number(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_CATCHALL);
    message.counter(NFTA_SET_ELEM_EXPR, 1'500, 3);
  });
  const auto reading = elements_of(message);
  EXPECT_THAT(reading.elements, IsEmpty());
  EXPECT_EQ(reading.without_key, 1U);
}

TEST(NftMessages, SayWhichKeysASetHas) {
  const auto shape_of = [](std::uint32_t type, std::uint32_t length) {
    Message message;
    message.number64(NFTA_SET_HANDLE, 12);
    message.number(NFTA_SET_KEY_TYPE, type);
    message.number(NFTA_SET_KEY_LEN, length);
    return nft_set_shape(message.get());
  };
  EXPECT_EQ(shape_of(7, 4)->keys, NftKeyKind::ipv4);
  EXPECT_EQ(shape_of(8, 16)->keys, NftKeyKind::ipv6);
  EXPECT_EQ(shape_of(19, 4)->keys, NftKeyKind::mark);
  EXPECT_EQ(shape_of(13, 2)->keys, NftKeyKind::none) << "ports";
  EXPECT_EQ(shape_of(7 << 6 | 13, 8)->keys, NftKeyKind::none) << "a concatenation";
  EXPECT_EQ(shape_of(7, 4)->handle, 12U);
}

TEST(NftMessages, TakeANamedCounterOnlyWhole) {
  NftReading reading;
  Message whole;
  whole.number64(NFTA_OBJ_HANDLE, 5);
  whole.nest(NFTA_OBJ_DATA, [&] {
    whole.number64(NFTA_COUNTER_BYTES, 700);
    whole.number64(NFTA_COUNTER_PACKETS, 7);
  });
  EXPECT_TRUE(nft_named_counter(whole.get(), reading));
  EXPECT_EQ(reading.object, 5U);
  EXPECT_EQ(reading.elements.at(0).bytes, 700U);
  Message half;
  half.number64(NFTA_OBJ_HANDLE, 5);
  half.nest(NFTA_OBJ_DATA, [&] { half.number64(NFTA_COUNTER_BYTES, 700); });
  EXPECT_FALSE(nft_named_counter(half.get(), reading));
}

TEST(NftMessages, NameAFlowtablesInterfacesAndWhetherTheHardwareForwards) {
  Message message;
  message.text(NFTA_FLOWTABLE_TABLE, "fw");
  message.text(NFTA_FLOWTABLE_NAME, "fast");
  message.number(NFTA_FLOWTABLE_FLAGS, NFT_FLOWTABLE_HW_OFFLOAD);
  message.nest(NFTA_FLOWTABLE_HOOK, [&] {
    message.number(NFTA_FLOWTABLE_HOOK_NUM, 0);
    message.nest(NFTA_FLOWTABLE_HOOK_DEVS, [&] {
      message.text(NFTA_DEVICE_NAME, "wwan0");
      message.text(NFTA_DEVICE_NAME, "eth0");
    });
  });
  const auto found = nft_flowtable(message.get());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->table, "fw");
  EXPECT_EQ(found->name, "fast");
  EXPECT_THAT(found->interfaces, ElementsAre("eth0", "wwan0"));
  EXPECT_TRUE(found->hardware);
}

// Whatever arrives: nothing is read behind its end (the sanitizers' business), and nothing is made up.
TEST(NftMessages, AreReadToTheirEndAndNoFurther) {
  for (std::uint32_t cut = 0; cut < 120; ++cut) {
    Message message;
    message.element([&] {
      message.key("\x0a\0\0\x02");
      message.counter(NFTA_SET_ELEM_EXPR, 1'500, 3);
    });
    if (cut >= message.get()->nlmsg_len) break;
    message.get()->nlmsg_len -= cut;
    NftReading reading;
    nft_elements(message.get(), 4, reading);
    for (const auto& element : reading.elements) EXPECT_EQ(element.bytes, 1'500U);
    nft_flowtable(message.get());
    nft_set_shape(message.get());
  }
}

}  // namespace
}  // namespace meterd::platform
