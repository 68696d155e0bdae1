// Who writes and who reads which memory: checked once, when a decoder is made.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/plan.h"
#include "nn/mixer.h"

namespace sambay {

class Wiring {
 public:
  // The memories that a layer's spec names, by port. Throws Error unless an earlier layer writes
  // each of them.
  std::map<std::string, MemorySpec> reads(const LayerSpec& spec, const std::string& where) const;

  // Enters a layer whose mixer was made with reads(). Throws Error if the mixer reads a port that
  // the spec does not name, if the layer lacks one that the spec writes, or if a memory has a
  // writer already. `writes`: the ports of mixer and MLP.
  LayerNeeds add(const LayerSpec& spec, const Mixer& mixer, const std::vector<Port>& writes,
                 const std::string& where);

 private:
  std::map<std::string, MemorySpec> written_;
};

}  // namespace sambay
