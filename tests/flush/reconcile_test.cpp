// What becomes of a bucket's usages that came with a copied journal, case by case.
#include "agent/flush/reconcile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace meterd::flush {
namespace {

using ::testing::ElementsAre;
using Found = upstream::ReadBack::Found;

Quantity q(const char* text) { return *Quantity::parse(text); }

Looked waiting(const char* quantity, Found found, std::optional<Quantity> theirs = std::nullopt) {
  return {q(quantity), false, found, std::move(theirs)};
}
Looked open(const char* quantity, Found found, std::optional<Quantity> theirs = std::nullopt) {
  return {q(quantity), true, found, std::move(theirs)};
}

TEST(JudgeCopies, WhatIsFoundAsItIsIsBilled) {
  EXPECT_THAT(judge_copies({waiting("5", Found::same, q("5"))}, {}), ElementsAre(Fate::settle));
  EXPECT_THAT(judge_copies({open("5", Found::same, q("5"))}, {}), ElementsAre(Fate::settle));
}

TEST(JudgeCopies, WhatIsNotFoundIsSentUnderItsOwnId) {
  EXPECT_THAT(judge_copies({waiting("5", Found::absent), open("2", Found::absent)}, {}),
              ElementsAre(Fate::wait, Fate::wait));
}

TEST(JudgeCopies, SomethingElseUnderAUsagesIdIsParked) {
  EXPECT_THAT(judge_copies({waiting("5", Found::different, q("6"))}, {}), ElementsAre(Fate::park));
  EXPECT_THAT(judge_copies({open("5", Found::different)}, {}), ElementsAre(Fate::park));
}

TEST(JudgeCopies, WhatWasOpenIsContainedInMoreAndNotInLess) {
  EXPECT_THAT(judge_copies({open("5", Found::different, q("8"))}, {}), ElementsAre(Fate::settle));
  EXPECT_THAT(judge_copies({open("5", Found::different, q("5"))}, {}),
              ElementsAre(Fate::settle));  // another second
  EXPECT_THAT(judge_copies({open("5", Found::different, q("4.9"))}, {}), ElementsAre(Fate::doubt));
}

TEST(JudgeCopies, WhatTheOriginalBilledLaterIsNoMatterToWhatWasFound) {
  EXPECT_THAT(judge_copies({waiting("5", Found::same, q("5")), open("2", Found::different, q("3"))},
                           {q("5"), q("2")}),
              ElementsAre(Fate::settle, Fate::settle));
}

TEST(JudgeCopies, AUsageThatALaterRevisionMayHaveReplacedIsInDoubt) {
  EXPECT_THAT(judge_copies({waiting("5", Found::absent)}, {q("5")}), ElementsAre(Fate::doubt));
  EXPECT_THAT(judge_copies({waiting("5", Found::absent)}, {q("6")}), ElementsAre(Fate::wait));
}

TEST(JudgeCopies, AUsageThatMayHaveTakenTheIdOfWhatWasOpenPutsBothInDoubt) {
  EXPECT_THAT(judge_copies({waiting("5", Found::absent), open("2", Found::different, q("5"))}, {}),
              ElementsAre(Fate::doubt, Fate::doubt));
  EXPECT_THAT(judge_copies({waiting("5", Found::absent), open("2", Found::different, q("4"))}, {}),
              ElementsAre(Fate::wait, Fate::settle));
}

TEST(JudgeCopies, WhatWasOpenAndMayHaveGoneUnderALaterRevisionIsInDoubt) {
  EXPECT_THAT(judge_copies({open("5", Found::absent)}, {q("7")}), ElementsAre(Fate::doubt));
  EXPECT_THAT(judge_copies({open("5", Found::absent)}, {q("4")}), ElementsAre(Fate::wait));
}

}  // namespace
}  // namespace meterd::flush
