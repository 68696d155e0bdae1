#include "train/metrics.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "support/temp_dir.h"
#include "train/plot.h"

namespace sambay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

StepMetrics at(int64_t step) {
  StepMetrics metrics;
  metrics.step = step;
  metrics.loss = 10.0 - static_cast<double>(step);
  return metrics;
}

TEST(Metrics, ReadsBackWhatWasWritten) {
  const testing::TempDir run;
  MetricsWriter writer(run.path(), 0);
  for (int64_t step = 1; step <= 3; ++step) {
    StepMetrics metrics = at(step);
    if (step == 2) {
      metrics.validation_loss = 0.5;
    }
    writer.write(metrics);
  }
  EXPECT_THAT(read_curve(run.path(), "loss"), ElementsAre(Pair(1, 9), Pair(2, 8), Pair(3, 7)));
  EXPECT_THAT(read_curve(run.path(), "validation_loss"), ElementsAre(Pair(2, 0.5)));
  EXPECT_THROW(read_curve(run.path(), "accuracy"), Error);
}

TEST(Metrics, ResumingDropsLaterStepsAndATornLine) {
  const testing::TempDir run;
  {
    MetricsWriter writer(run.path(), 0);
    for (int64_t step = 1; step <= 4; ++step) {
      writer.write(at(step));
    }
  }
  std::ofstream(run / "metrics.jsonl", std::ios::app) << "{\"step\": 5, \"lo";
  MetricsWriter writer(run.path(), 2);
  writer.write(at(3));
  EXPECT_THAT(read_curve(run.path(), "loss"), ElementsAre(Pair(1, 9), Pair(2, 8), Pair(3, 7)));
}

TEST(TensorBoard, RecordCarriesTheMaskedChecksumsOfTheFormat) {
  // CRC-32C of "123456789" is 0xe3069283 (RFC 3720's polynomial): rotated right by 15 and shifted.
  const std::string record = tf_record("123456789");
  ASSERT_EQ(record.size(), 8 + 4 + 9 + 4);
  EXPECT_EQ(record.substr(0, 8), std::string("\x09\0\0\0\0\0\0\0", 8));
  const uint32_t crc = 0xe3069283U;
  const uint32_t masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
  uint32_t stored = 0;
  for (size_t i = 0; i < 4; ++i) {
    stored |= static_cast<uint32_t>(static_cast<unsigned char>(record[21 + i])) << (8 * i);
  }
  EXPECT_EQ(stored, masked);
}

TEST(TensorBoard, EventFileOpensWithItsVersion) {
  const testing::TempDir folder;
  EventWriter writer(folder.path());
  writer.write(7, {{"loss", 2.5}});
  const std::string text = read_text(writer.path());
  EXPECT_THAT(text, HasSubstr("brain.Event:2"));
  // Summary.Value {tag: "loss" (1), simple_value: 2.5 (2)} on the wire.
  EXPECT_THAT(text, HasSubstr(std::string("\x0a\x04loss\x15\x00\x00\x20\x40", 11)));
  EXPECT_NE(EventWriter(folder.path()).path(), writer.path());
}

TEST(Plot, ScriptHoldsOneCurveForEachRun) {
  const testing::TempDir folder;
  std::filesystem::create_directories(folder / "it's");
  MetricsWriter(folder / "it's", 0).write(at(1));
  const std::string script = plot_script(
      {.runs = {folder / "it's", folder / "it's/metrics.jsonl"}, .out = folder / "curve.svg"});
  EXPECT_THAT(script, HasSubstr("$run0 << END\n1 9\nEND\n"));
  EXPECT_THAT(script, HasSubstr("$run1 using 1:2"));
  EXPECT_THAT(script, HasSubstr("title 'it''s'"));
  EXPECT_THAT(script, Not(HasSubstr("logscale")));
  EXPECT_THAT(plot_script({.runs = {folder / "it's"}, .out = folder / "curve.svg", .log = true}),
              HasSubstr("set logscale y\n"));
}

TEST(Plot, RefusesAnotherEnding) {
  const testing::TempDir folder;
  MetricsWriter(folder.path(), 0).write(at(1));
  EXPECT_THROW(plot_curves({.runs = {folder.path()}, .out = folder / "curve.gif"}), Error);
}

TEST(Plot, AMissingGnuplotIsAClearError) {
  const testing::TempDir folder;
  MetricsWriter(folder.path(), 0).write(at(1));
  const std::string path = std::getenv("PATH");
  setenv("PATH", folder.path().c_str(), 1);
  try {
    plot_curves({.runs = {folder.path()}, .out = folder / "curve.svg"});
    ADD_FAILURE() << "expected an Error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[plot] gnuplot is not installed (Debian: gnuplot-nox)");
  }
  setenv("PATH", path.c_str(), 1);
}

}  // namespace
}  // namespace sambay
