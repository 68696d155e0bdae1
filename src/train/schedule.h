// The learning rate over a run, as a share of its peak.
#pragma once

#include <cstdint>
#include <string>

namespace sambay {

// linear and cosine fall from the end of the warm-up to the end of the run; wsd (warm-up, stable,
// decay) stays at 1 and falls linearly over the last `decay` units; constant never falls.
enum class Decay : uint8_t { constant, linear, cosine, wsd };

const char* name(Decay decay);
// Throws Error naming `where` and the decays that exist.
Decay parse_decay(const std::string& text, const std::string& where);

// Lengths in one unit, tokens or steps, whichever the caller counts in.
struct Schedule {
  Decay kind = Decay::linear;
  double warmup = 0;
  double decay = 0;  // wsd only
  double total = 0;
  double floor = 0;  // the share that is left at the end

  // `done` in [0, total]; a loop asks at the middle of a step, so that neither its first nor its
  // last step is wasted on a rate of zero.
  double multiplier(double done) const;
};

}  // namespace sambay
