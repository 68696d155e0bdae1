#include "base/progress.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

using ::testing::HasSubstr;

TEST(Progress, ALineSaysHowFarHowFastAndHowLong) {
  ProgressLine line{"training", "tokens", "loss 2.31", 400, 1000, 0, 4.0, 10, false};
  EXPECT_EQ(text(line),
            "training [####......] 400/1000 tokens  40%  100 tokens/s  6s left  loss 2.31");
  line.bar_width = 0;
  line.note = "";
  line.last = true;
  line.done = 1000;
  EXPECT_EQ(text(line), "training 1000/1000 tokens  100%  250 tokens/s  in 4s");
  line.total = 0;
  EXPECT_EQ(text(line), "training 1000 tokens  250 tokens/s  in 4s");
  line.begun = 600;
  EXPECT_EQ(text(line), "training 1000 tokens  100 tokens/s  in 4s");
}

TEST(Progress, TheBarIsFullOnlyAtTheEnd) {
  ProgressLine line{"x", "", "", 999, 1000, 0, 0, 10, false};
  EXPECT_EQ(text(line), "x [#########.] 999/1000  99%");
  line.done = 2000;
  EXPECT_EQ(text(line), "x [##########] 2000/1000  100%");
}

TEST(Progress, DurationsReadWell) {
  EXPECT_EQ(duration_text(0.95), "950ms");
  EXPECT_EQ(duration_text(42.9), "42s");
  EXPECT_EQ(duration_text(185), "3m 05s");
  EXPECT_EQ(duration_text(7630), "2h 07m");
}

std::string printed(bool quiet, std::chrono::milliseconds interval) {
  const testing::TempDir dir;
  FILE* out = std::fopen((dir / "out").c_str(), "w");
  {
    Progress progress("reading", 3,
                      {.unit = "files", .quiet = quiet, .out = out, .plain_interval = interval});
    for (int i = 1; i <= 3; ++i) {
      progress.update(i, "note " + std::to_string(i));
    }
    progress.finish("done");
  }
  std::fclose(out);
  return read_text(dir / "out");
}

TEST(Progress, WithoutATerminalLinesArePlainAndRare) {
  const std::string all = printed(false, std::chrono::milliseconds(0));
  EXPECT_THAT(all, HasSubstr("note 1\n"));
  EXPECT_THAT(all, HasSubstr("note 3\n"));
  EXPECT_EQ(all.find('\r'), std::string::npos);
  const std::string rare = printed(false, std::chrono::hours(1));
  EXPECT_EQ(std::count(rare.begin(), rare.end(), '\n'), 1);
  EXPECT_THAT(rare, HasSubstr("3/3 files"));
  EXPECT_THAT(rare, HasSubstr("done\n"));
}

TEST(Progress, QuietPrintsNothing) {
  EXPECT_EQ(printed(true, std::chrono::milliseconds(0)), "");
}

}  // namespace
}  // namespace sambay
