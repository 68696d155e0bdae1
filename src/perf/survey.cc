#include "perf/survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "model/dry_run.h"

namespace sambay {
namespace {

// What lies ahead, and how far it is done.
class Agenda {
 public:
  Agenda(Rig& rig, const SurveyOptions& options, const ops::Ceilings& ceilings,
         const SurveyProgress& progress)
      : ceilings_(ceilings),
        peak_(matrix_peak(ceilings, rig.precision())),
        least_seconds_(options.perf.seconds),
        progress_(progress) {
    const auto dry = [&](int64_t tokens) {
      return dry_generation(rig.decoder().config(), rig.precision(), tokens, options.chunk);
    };
    for (const int64_t tokens : options.prompts) {
      items_.push_back({fmt::format("prompt of {}", tokens)});
      add_runs(dry(tokens).prefill);
    }
    for (const int64_t batch : options.batches) {
      items_.push_back({fmt::format("decoding, batch {}", batch)});
      for (const int64_t position : options.positions) {
        add_runs(of_batch(dry(position).decode, batch));
      }
    }
    for (const Item& item : items_) {
      all_ += item.seconds;
    }
    tell(0);
  }

  // More of the present item, in parts of one run of it.
  void advance(double runs) {
    Item& item = items_[present_];
    item.runs_done += runs;
    tell(item.seconds * std::min(1.0, item.runs_done / static_cast<double>(item.runs)));
  }
  void next() {
    done_ += items_[present_++].seconds;
    tell(0);
  }

 private:
  struct Item {
    std::string what;
    double seconds = 0;  // of all runs
    int64_t runs = 0;
    double runs_done = 0;
  };

  // A step of several sequences reads weights once.
  static Cost of_batch(const Cost& one, int64_t batch) {
    Cost cost;
    cost.weight_bytes = one.weight_bytes;
    cost.state_bytes = one.state_bytes * static_cast<double>(batch);
    cost.matrix_flops = one.matrix_flops * static_cast<double>(batch);
    return cost;
  }
  void add_runs(const Cost& cost) {
    const double run =
        std::max(read_bytes(cost) / ceilings_.read_bytes_per_second, cost.matrix_flops / peak_);
    const int64_t runs = expected_runs(least_seconds_, run);
    items_.back().runs += runs;
    items_.back().seconds += run * static_cast<double>(runs);
  }
  void tell(double of_present) const {
    if (progress_ && present_ < items_.size()) {
      progress_(done_ + of_present, all_, items_[present_].what);
    }
  }

  ops::Ceilings ceilings_;
  double peak_;
  double least_seconds_;
  const SurveyProgress& progress_;
  std::vector<Item> items_;
  size_t present_ = 0;
  double done_ = 0, all_ = 0;
};

double first_token_seconds(Rig& rig) {
  std::vector<SequenceState> state;
  state.emplace_back(rig.decoder().state_spec(rig.precision()), rig.arena());
  const auto begin = std::chrono::steady_clock::now();
  rig.forward(state, 1, 1);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

Survey measure_survey(Rig& rig, const SurveyOptions& options, CeilingWatch& ceilings,
                      const SurveyProgress& progress) {
  Survey survey;
  survey.first_token_seconds = first_token_seconds(rig);
  SurveyOptions asked = options;
  if (asked.positions.empty()) {
    asked.batches.clear();
  }
  ceilings.sample();
  Agenda agenda(rig, asked, ceilings.best(), progress);
  for (const int64_t tokens : asked.prompts) {
    survey.prompts.push_back(
        measure_prefill(rig, tokens, asked.chunk, asked.perf, ceilings, [&](int64_t fed) {
          agenda.advance(static_cast<double>(fed) / static_cast<double>(tokens));
        }));
    agenda.next();
  }
  for (const int64_t batch : asked.batches) {
    const auto steps = measure_decode(rig, asked.positions, batch, asked.perf, ceilings);
    survey.steps.insert(survey.steps.end(), steps.begin(), steps.end());
    agenda.next();
  }
  return survey;
}

}  // namespace sambay
