// The TrueType files whose used letters are embedded in a document. Debian: fonts-dejavu-core.
#pragma once

#include <string>

namespace meterd::statement {

struct FontFiles {
  std::string regular = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
  std::string bold = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf";
};

}  // namespace meterd::statement
