#include "perf/throughput.h"

#include <algorithm>

#include "base/gnuplot.h"

namespace sambay {
namespace {

// Sequences with room for the whole generation, their prompt being read.
std::vector<SequenceState> begin_generation(Rig& rig, const ThroughputOptions& options,
                                            int64_t batch) {
  std::vector<SequenceState> states;
  for (int64_t s = 0; s < batch; ++s) {
    states.push_back(rig.sequence(options.prompt + options.generated));
    Rig::stand_at(states.back(), options.prompt - std::min(options.prompt, options.chunk));
  }
  return states;
}

// Feeds the last piece of a prompt to the first sequence.
void read_last_piece(Rig& rig, std::vector<SequenceState>& states,
                     const ThroughputOptions& options) {
  std::vector<SequenceState> first;
  first.push_back(std::move(states[0]));
  rig.forward(first, std::min(options.prompt, options.chunk), 1);
  states[0] = std::move(first[0]);
}

void stand_all_at(std::vector<SequenceState>& states, int64_t position) {
  for (auto& state : states) {
    Rig::stand_at(state, position);
  }
}

// Asked of a run without memory.
double peak_bytes(const ModelConfig& config, const Precision& precision,
                  const ThroughputOptions& options, int64_t batch) {
  Rig rig(config, precision, Device::meta);
  auto states = begin_generation(rig, options, batch);
  read_last_piece(rig, states, options);
  stand_all_at(states, options.prompt + options.generated - 1);
  rig.forward(states, 1, 1);
  return static_cast<double>(rig.arena().peak_bytes());
}

int64_t largest_batch(const ModelConfig& config, const Precision& precision,
                      const ThroughputOptions& options) {
  const auto fits = [&](int64_t batch) {
    return peak_bytes(config, precision, options, batch) <= options.memory_bytes;
  };
  if (!fits(1)) {
    fail("bench", "{}: one sequence of {} tokens does not fit in {} MiB", config.name,
         options.prompt + options.generated, static_cast<int64_t>(options.memory_bytes) >> 20);
  }
  int64_t low = 1, high = 2;
  for (; fits(high); high *= 2) {
    low = high;
  }
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

std::vector<int64_t> batches_up_to(int64_t most) {
  std::vector<int64_t> batches;
  for (int64_t batch = 1; batch < most; batch *= 2) {
    batches.push_back(batch);
  }
  batches.push_back(most);
  return batches;
}

// Seconds of all steps, from the first generated token to the last.
double generation_seconds(Rig& rig, std::vector<SequenceState>& states,
                          const ThroughputOptions& options) {
  const int64_t pieces = options.positions - 1;
  double total = 0, before = 0;
  for (int64_t i = 0; i <= pieces; ++i) {
    const int64_t position = options.prompt + (options.generated - 1) * i / pieces;
    stand_all_at(states, position);
    const double now = time_runs(options.perf.seconds, [&] {
                         stand_all_at(states, position);
                         rig.forward(states, 1, 1);
                       }).median;
    if (i > 0) {
      total +=
          (before + now) / 2 * static_cast<double>(options.generated) / static_cast<double>(pieces);
    }
    before = now;
  }
  return total;
}

}  // namespace

const ThroughputPoint& ThroughputCurve::best() const {
  return *std::ranges::max_element(points, {}, &ThroughputPoint::tokens_per_second);
}

ThroughputCurve measure_throughput(const ModelConfig& config, const Precision& precision,
                                   const ThroughputOptions& options) {
  check(options.positions > 1, "steps are timed at both ends");
  ThroughputCurve curve{.name = config.name, .points = {}};
  curve.fitting_batch = largest_batch(config, precision, options);
  const int64_t most = options.max_batch > 0 ? std::min(options.max_batch, curve.fitting_batch)
                                             : curve.fitting_batch;
  Rig rig(config, precision);
  curve.parameters = rig.decoder().params().elements();
  double prompt_seconds = 0;
  for (const int64_t batch : batches_up_to(most)) {
    rig.arena().reset_peak();
    auto states = begin_generation(rig, options, batch);
    if (batch == 1) {
      prompt_seconds = time_runs(0, [&] {
                         states[0].reset();
                         rig.prefill(states, options.prompt, options.chunk);
                       }).median;
    }
    const double prompts = prompt_seconds * static_cast<double>(batch);
    const double latency = prompts + generation_seconds(rig, states, options);
    curve.points.push_back(
        {.batch = batch,
         .latency = latency,
         .prompt_share = prompts / latency,
         .peak_bytes = static_cast<double>(rig.arena().peak_bytes()),
         .tokens_per_second = static_cast<double>(batch * options.generated) / latency});
  }
  return curve;
}

void plot_throughput(const std::vector<ThroughputCurve>& curves, const std::filesystem::path& out) {
  std::string data, plots;
  for (size_t i = 0; i < curves.size(); ++i) {
    data += fmt::format("$curve{} << END\n", i);
    for (const ThroughputPoint& point : curves[i].points) {
      data += fmt::format("{} {} {}\n", point.tokens_per_second, point.latency, point.batch);
    }
    data += "END\n";
    plots += fmt::format(
        "{} $curve{} using 1:2 with linespoints linetype {} linewidth 1.5 pointtype 7 title {}, "
        "$curve{} using 1:2:3 with labels offset 0,1 notitle",
        i == 0 ? "plot" : ",", i, i + 1, gnuplot_quoted(curves[i].name), i);
  }
  run_gnuplot(fmt::format("{}set xlabel 'throughput (generated tokens/s)'\n"
                          "set ylabel 'latency of a generation (s)'\n"
                          "set key top left noenhanced\nset grid\nset yrange [0:*]\nset xrange "
                          "[0:*]\n{}{}\n",
                          gnuplot_output(out), data, plots),
              out);
}

}  // namespace sambay
