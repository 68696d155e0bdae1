#include "train/loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/log.h"
#include "base/progress.h"
#include "base/signals.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class Run {
 public:
  Run(const Recipe& recipe, const TrainOptions& options)
      : recipe_(recipe),
        options_(options),
        checkpoints_(options.out / "checkpoints"),
        loader_(recipe.data.sources, recipe.data.rows, recipe.data.row_length, recipe.seed,
                recipe.data.whole_documents),
        trainer_(recipe, arena_),
        batches_(static_cast<size_t>(recipe.micro_batches())) {
    continue_from_checkpoint();
    read_validation();
    fs::create_directories(options_.out);
    metrics_.emplace(options_.out, trainer_.steps_done());
  }

  TrainResult train() {
    install_stop_handler();
    Progress progress("training", recipe_.steps * recipe_.batch_tokens,
                      {.unit = "tokens", .quiet = options_.quiet, .begun = trainer_.tokens_done()});
    TrainResult result;
    while (trainer_.steps_done() < recipe_.steps && !stop_requested()) {
      const StepMetrics metrics = step();
      progress.update(metrics.tokens, note(metrics));
      result.loss = metrics.loss;
      if (metrics.validation_loss) {
        result.validation_loss = metrics.validation_loss;
      }
      if (due(recipe_.checkpoint_every)) {
        save();
      }
    }
    save();
    result.steps = trainer_.steps_done();
    result.tokens = trainer_.tokens_done();
    result.finished = result.steps == recipe_.steps;
    if (result.finished) {
      export_model();
    }
    progress.finish();
    return result;
  }

 private:
  void continue_from_checkpoint() {
    const auto found = latest_checkpoint(checkpoints_);
    if (found && !options_.resume) {
      fail(options_.out.string(),
           "holds a run of {} steps: continue it with --resume or choose "
           "another folder",
           found->state.step);
    }
    if (found) {
      trainer_.restore(*found);
      loader_.restore(found->state.data_position);
      log().info("continuing after step {}", found->state.step);
    }
  }

  void read_validation() {
    if (recipe_.data.validation.empty()) {
      return;
    }
    const int64_t rows = std::min(recipe_.data.rows, recipe_.data.validation_rows);
    BatchLoader loader({{recipe_.data.validation, 1}}, rows, recipe_.data.row_length, 0,
                       recipe_.data.whole_documents);
    for (int64_t done = 0; done < recipe_.data.validation_rows; done += rows) {
      validation_.push_back(loader.next());
    }
  }

  // Whether something that happens every so many steps happens now; the end is seen to elsewhere.
  bool due(int64_t every) const { return every > 0 && trainer_.steps_done() % every == 0; }

  StepMetrics step() {
    const auto begin = Clock::now();
    size_t tokens = 0;  // fewer than the batch has room for where rows hold whole documents
    for (TokenBatch& batch : batches_) {
      batch = loader_.next();
      tokens += batch.ids.size();
    }
    const Trainer::Report report = trainer_.step(batches_);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (!std::isfinite(report.loss) || !std::isfinite(report.gradient_norm)) {
      stop_on_nonfinite(report);
    }
    StepMetrics metrics;
    metrics.step = trainer_.steps_done();
    metrics.tokens = trainer_.tokens_done();
    metrics.loss = report.loss;
    metrics.learning_rate = report.learning_rate;
    metrics.gradient_norm = report.gradient_norm;
    metrics.tokens_per_second = static_cast<double>(tokens) / seconds;
    if (options_.matrix_peak > 0) {
      metrics.peak_share = report.cost.matrix_flops / seconds / options_.matrix_peak;
    }
    if (!validation_.empty() &&
        (due(recipe_.validate_every) || trainer_.steps_done() == recipe_.steps)) {
      metrics.validation_loss = trainer_.validate(validation_);
    }
    metrics_->write(metrics);
    if (options_.on_step) {
      options_.on_step(metrics);
    }
    return metrics;
  }

  [[noreturn]] void stop_on_nonfinite(const Trainer::Report& report) const {
    const auto last = latest_checkpoint(checkpoints_);
    fail("train", "step {}: loss {}, gradient norm {}: stopped; the last checkpoint is {}",
         trainer_.steps_done() + 1, report.loss, report.gradient_norm,
         last ? last->folder.string() : "none");
  }

  void save() {
    save_checkpoint(
        checkpoints_,
        {trainer_.steps_done(), trainer_.tokens_done(), loader_.position(), recipe_.source},
        trainer_.optimizer(), recipe_.keep);
  }

  void export_model() {
    const fs::path model = options_.out / "model";
    fs::remove_all(model);  // of an earlier end of this run
    trainer_.export_model(model);
    if (!recipe_.tokenizer.empty()) {
      fs::copy_file(recipe_.tokenizer, model / "tokenizer.json",
                    fs::copy_options::overwrite_existing);
    }
  }

  std::string note(const StepMetrics& metrics) const {
    std::string text = fmt::format("loss {:.4f}", metrics.loss);
    if (options_.matrix_peak > 0) {
      text += fmt::format("  {:.0f}% of peak", 100 * metrics.peak_share);
    }
    return text;
  }

  const Recipe& recipe_;
  const TrainOptions& options_;
  fs::path checkpoints_;
  Arena arena_;
  BatchLoader loader_;
  Trainer trainer_;
  std::vector<TokenBatch> batches_, validation_;
  std::optional<MetricsWriter> metrics_;
};

}  // namespace

TrainResult train(const Recipe& recipe, const TrainOptions& options) {
  if (!recipe.tokenizer.empty() && !fs::is_regular_file(recipe.tokenizer)) {
    fail(recipe.tokenizer.string(), "no such tokenizer");
  }
  return Run(recipe, options).train();
}

}  // namespace sambay
