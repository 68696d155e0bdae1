#include "autograd/functions.h"

namespace sambay {
namespace {

// body's inputs as leaves of a pass of its own.
std::vector<Var> leaves(Tape& tape, std::span<const Var> inputs) {
  std::vector<Var> out(inputs.begin(), inputs.end());
  for (Var& var : out) {
    if (var.tracked()) {
      var = tape.leaf(var.value);
    }
  }
  return out;
}

void run_again(Exec exec, Tape& outer, const std::vector<Var>& inputs,
               const std::vector<Var>& outputs, const Recomputed& body) {
  Tape inner(outer.arena());
  exec.tape = &inner;
  const std::vector<Var> again = leaves(inner, inputs);
  const std::vector<Var> results = body(exec, again);
  std::vector<Var> seeds;
  std::vector<Tensor> gradients;
  for (size_t i = 0; i < results.size(); ++i) {
    if (outer.received(outputs[i])) {
      seeds.push_back(results[i]);
      gradients.push_back(outer.gradient(outputs[i]));
    }
  }
  inner.backward(seeds, gradients);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inner.received(again[i])) {
      outer.accumulate(inputs[i], inner.gradient(again[i]));
    }
  }
}

}  // namespace

std::vector<Var> recompute(Exec& exec, std::span<const Var> inputs, const Recomputed& body) {
  if (!exec.recording()) {
    return body(exec, inputs);
  }
  // Recorded on a tape that is thrown away: that keeps the inputs from being written to and tells
  // which outputs depend on anything that wants a gradient.
  Tape& tape = *exec.tape;
  Tape discarded(tape.arena());
  Exec trial = exec;
  trial.tape = &discarded;
  std::vector<Var> outputs = body(trial, leaves(discarded, inputs));
  std::vector<Var> handles;
  for (Var& output : outputs) {
    output = output.tracked() ? tape.track(output.value) : Var{output.value};
    handles.push_back(handle(output));
  }
  tape.record(handles, [exec, &tape, kept = std::vector<Var>(inputs.begin(), inputs.end()), handles,
                        body] { run_again(exec, tape, kept, handles, body); });
  return outputs;
}

}  // namespace sambay
