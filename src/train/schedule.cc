#include "train/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace sambay {
namespace {

constexpr std::array all_decays = {Decay::constant, Decay::linear, Decay::cosine, Decay::wsd};

}  // namespace

const char* name(Decay decay) {
  switch (decay) {
    case Decay::constant:
      return "constant";
    case Decay::linear:
      return "linear";
    case Decay::cosine:
      return "cosine";
    case Decay::wsd:
      return "wsd";
  }
  return "?";
}

Decay parse_decay(const std::string& text, const std::string& where) {
  for (const Decay decay : all_decays) {
    if (text == name(decay)) {
      return decay;
    }
  }
  fail(where, "\"{}\": expected constant, linear, cosine or wsd", text);
}

double Schedule::multiplier(double done) const {
  if (done < warmup) {
    return done / warmup;
  }
  const double begin = kind == Decay::wsd ? total - decay : warmup;
  if (kind == Decay::constant || done <= begin || total <= begin) {
    return 1;
  }
  const double share = std::min(1.0, (done - begin) / (total - begin));
  const double left =
      kind == Decay::cosine ? 0.5 * (1 + std::cos(std::numbers::pi * share)) : 1 - share;
  return floor + (1 - floor) * left;
}

}  // namespace sambay
