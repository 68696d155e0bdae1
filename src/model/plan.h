// Which rows each layer works on, derived from the end (docs/design.md, idea 2).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ops/segments.h"

namespace sambay {

// What a layer's place in the wiring asks of it.
struct LayerNeeds {
  // It keeps state or makes a memory from every row, so its input is needed at every row.
  bool every_input_row = false;
  std::vector<std::string> reads;  // memories of kind rows: read at the rows of its input
  // Memories that exist only where its output is wanted.
  std::vector<std::string> writes_at_output;
};

struct LayerRows {
  Segments input;   // of the layer and of its mixer
  Segments output;  // suffixes of them: what the mixer returns, the MLP and the residual stream
};

struct RowPlan {
  std::vector<LayerRows> layers;
  // Of each memory of kind rows that is read: the union of its readers' rows.
  std::map<std::string, Segments> memories;
};

// wanted: how many last rows of each segment the last layer's output is asked for.
RowPlan plan_rows(const std::vector<LayerNeeds>& layers, const Segments& all,
                  const std::vector<int32_t>& wanted);

}  // namespace sambay
