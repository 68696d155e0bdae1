#include "model/wiring.h"

#include <algorithm>

namespace sambay {

std::map<std::string, MemorySpec> Wiring::reads(const LayerSpec& spec,
                                                const std::string& where) const {
  std::map<std::string, MemorySpec> specs;
  for (const auto& [port, memory] : spec.reads) {
    const auto writer = written_.find(memory);
    if (writer == written_.end()) {
      fail(where + ".reads", "{}: no earlier layer writes the memory {}", port, memory);
    }
    specs.emplace(port, writer->second);
  }
  return specs;
}

LayerNeeds Wiring::add(const LayerSpec& spec, const Mixer& mixer, const std::vector<Port>& writes,
                       const std::string& where) {
  LayerNeeds needs;
  needs.every_input_row = !mixer.state_spec({}).empty();
  for (const auto& port : mixer.reads()) {
    const auto wire = spec.reads.find(port.name);
    if (wire == spec.reads.end()) {
      fail(where + ".reads", "{}: missing, it needs {}", port.name, port.memory.text());
    }
    if (port.memory.kind == MemorySpec::Kind::rows) {
      needs.reads.push_back(wire->second);
    }
  }
  for (const auto& [name, memory] : spec.writes) {
    const auto port = std::ranges::find(writes, name, &Port::name);
    if (port == writes.end()) {
      fail(where + ".writes", "{}: this layer has no such port", name);
    }
    if (!written_.emplace(memory, port->memory).second) {
      fail(where + ".writes", "{}: the memory {} has a writer already", name, memory);
    }
    if (port->at_every_row) {
      needs.every_input_row = true;
    } else {
      needs.writes_at_output.push_back(memory);
    }
  }
  return needs;
}

}  // namespace sambay
