#include "nn/mixer.h"

#include <algorithm>

namespace sambay {

std::string MemorySpec::text() const {
  return kind == Kind::rows ? fmt::format("rows of {}", width)
                            : fmt::format("keys and values of {} heads of {}", kv_heads, head_dim);
}

bool MixerCall::writes_port(std::string_view port) const {
  return std::find(write.begin(), write.end(), port) != write.end();
}

}  // namespace sambay
