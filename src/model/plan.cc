#include "model/plan.h"

#include <algorithm>

namespace sambay {
namespace {

using Counts = std::vector<int32_t>;  // last rows of each segment

void unite(Counts& into, const Counts& other) {
  into.resize(other.size(), 0);
  for (size_t s = 0; s < other.size(); ++s) {
    into[s] = std::max(into[s], other[s]);
  }
}

}  // namespace

RowPlan plan_rows(const std::vector<LayerNeeds>& layers, const Segments& all,
                  const std::vector<int32_t>& wanted) {
  Counts every;
  for (int s = 0; s < all.count(); ++s) {
    every.push_back(static_cast<int32_t>(all.rows(s)));
  }
  RowPlan plan;
  plan.layers.resize(layers.size());
  std::map<std::string, Counts> asked_of_memory;
  Counts asked = wanted;
  for (size_t i = layers.size(); i-- > 0;) {
    const LayerNeeds& layer = layers[i];
    for (const auto& memory : layer.writes_at_output) {
      if (const auto readers = asked_of_memory.find(memory); readers != asked_of_memory.end()) {
        unite(asked, readers->second);
      }
    }
    plan.layers[i].output = suffix(all, asked);
    if (layer.every_input_row) {
      asked = every;
    }
    plan.layers[i].input = suffix(all, asked);
    for (const auto& memory : layer.reads) {
      unite(asked_of_memory[memory], asked);
    }
  }
  for (const auto& [memory, counts] : asked_of_memory) {
    plan.memories.emplace(memory, suffix(all, counts));
  }
  return plan;
}

}  // namespace sambay
