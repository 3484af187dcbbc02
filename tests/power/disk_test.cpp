// The model must be as hostile as it says, or a campaign that finds nothing says nothing.
#include "tests/power/disk.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <set>

namespace meterd::power {
namespace {

constexpr int kData = 1'001, kSynced = 1'002, kFolder = 1'003;  // no real descriptors

class DiskModel : public ::testing::Test {
 protected:
  DiskModel() { disk_.opened(kFolder, "/d", O_DIRECTORY); }
  void open_data() {
    disk_.opened(kData, "/d/data.mdb", O_RDWR);
    disk_.opened(kSynced, "/d/data.mdb", O_WRONLY | O_DSYNC);
    disk_.synced(kFolder);
  }
  // Of data.mdb, in a hundred images of one kind; "absent" where it is not there.
  std::set<std::string> contents(Cut cut) {
    std::set<std::string> out;
    for (int i = 0; i < 100; ++i) {
      const auto image = disk_.image(cut, random_);
      const auto found = image.files.find("data.mdb");
      out.insert(found == image.files.end() ? "absent" : found->second);
    }
    return out;
  }
  int calls_ = 0;
  Disk disk_{"/d", [this](const char*) { ++calls_; }};
  Generator random_{1};
};

std::string sector(char of) { return std::string(512, of); }

TEST_F(DiskModel, HasWhatWasSyncedInEveryImage) {
  open_data();
  disk_.wrote(kData, 0, sector('a') + sector('b'));
  disk_.synced(kData);
  for (const Cut cut : {Cut::nothing, Cut::everything, Cut::prefix, Cut::last_only, Cut::subset})
    EXPECT_THAT(contents(cut), ::testing::ElementsAre(sector('a') + sector('b')));
}

TEST_F(DiskModel, HasEveryMixtureOfUnsyncedSectorsAndNoPartOfOne) {
  open_data();
  disk_.wrote(kData, 0, sector('a') + sector('b'));
  disk_.synced(kData);
  disk_.wrote(kData, 0, sector('A') + sector('B'));
  EXPECT_THAT(contents(Cut::nothing), ::testing::ElementsAre(sector('a') + sector('b')));
  EXPECT_THAT(contents(Cut::everything), ::testing::ElementsAre(sector('A') + sector('B')));
  EXPECT_THAT(contents(Cut::subset),
              ::testing::UnorderedElementsAre(sector('a') + sector('b'), sector('A') + sector('b'),
                                              sector('a') + sector('B'), sector('A') + sector('B')));
}

TEST_F(DiskModel, SavesOnlyTheSectorsThatASynchronousWriteTouched) {
  open_data();
  disk_.wrote(kData, 0, sector('a') + sector('b'));
  disk_.wrote(kSynced, 10, "meta");
  const auto saved = contents(Cut::nothing);
  ASSERT_EQ(saved.size(), 1U);
  EXPECT_EQ(*saved.begin(), sector('a').replace(10, 4, "meta"));
}

TEST_F(DiskModel, MayGrowAFileWithoutItsContent) {
  open_data();
  disk_.wrote(kData, 0, sector('a') + sector('b'));
  const auto left = contents(Cut::subset);
  EXPECT_THAT(left, ::testing::Contains(""));
  EXPECT_THAT(left, ::testing::Contains(std::string(1'024, '\0')));
  EXPECT_THAT(left, ::testing::Contains(std::string(1'024, '\xA5')));
}

TEST_F(DiskModel, MayForgetANameUntilItsDirectoryIsSynced) {
  disk_.opened(kData, "/d/data.mdb", O_RDWR);
  disk_.wrote(kData, 0, sector('a'));
  disk_.synced(kData);
  EXPECT_THAT(contents(Cut::nothing), ::testing::ElementsAre("absent"));
  EXPECT_THAT(contents(Cut::subset), ::testing::UnorderedElementsAre("absent", sector('a')));
  disk_.synced(kFolder);
  EXPECT_THAT(contents(Cut::nothing), ::testing::ElementsAre(sector('a')));
}

TEST_F(DiskModel, RenamesAFileOrDoesNot) {
  disk_.opened(kData, "/d/making/data.mdb", O_RDWR);
  disk_.wrote(kData, 0, sector('a'));
  disk_.synced(kData);
  disk_.synced(kFolder);
  disk_.renamed("/d/making/data.mdb", "/d/data.mdb");
  for (int i = 0; i < 100; ++i) {
    const auto image = disk_.image(Cut::subset, random_);
    EXPECT_EQ(image.files.count("data.mdb") + image.files.count("making/data.mdb"), 1U);
  }
  EXPECT_THAT(contents(Cut::subset), ::testing::UnorderedElementsAre("absent", sector('a')));
}

TEST_F(DiskModel, TellsOfEachCallThatChangesOrSyncs) {
  open_data();  // the name, and the directory's sync
  disk_.wrote(kData, 0, "x");
  disk_.reserved(kData);
  disk_.synced(kData);
  disk_.wrote(2'000, 0, "of another file");
  EXPECT_EQ(calls_, 5);
}

}  // namespace
}  // namespace meterd::power
