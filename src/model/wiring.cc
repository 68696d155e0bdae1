#include "model/wiring.h"

#include <algorithm>

namespace sambay {
namespace {

const Port& find_port(const std::vector<Port>& ports, const std::string& name,
                      const std::string& where) {
  const auto found = std::ranges::find(ports, name, &Port::name);
  if (found == ports.end()) {
    std::string known;
    for (const auto& port : ports) {
      known += (known.empty() ? "" : ", ") + port.name;
    }
    fail(where, "{}: no such port; this layer has {}", name, known.empty() ? "none" : known);
  }
  return *found;
}

}  // namespace

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
  const auto ports = mixer.reads();
  for (const auto& port : ports) {
    if (!spec.reads.contains(port.name)) {
      fail(where + ".reads", "{}: missing, it needs a memory of {}", port.name, port.memory.text());
    }
  }
  for (const auto& [name, memory] : spec.reads) {
    const Port& port = find_port(ports, name, where + ".reads");
    if (!(port.memory == written_.at(memory))) {
      fail(where + ".reads", "{}: expected a memory of {}, {} has {}", name, port.memory.text(),
           memory, written_.at(memory).text());
    }
    if (port.memory.kind == MemorySpec::Kind::rows) {
      needs.reads.push_back(memory);
    }
  }
  for (const auto& [name, memory] : spec.writes) {
    const Port& port = find_port(writes, name, where + ".writes");
    if (!written_.emplace(memory, port.memory).second) {
      fail(where + ".writes", "{}: the memory {} has a writer already", name, memory);
    }
    if (port.at_every_row) {
      needs.every_input_row = true;
    } else {
      needs.writes_at_output.push_back(memory);
    }
  }
  return needs;
}

}  // namespace sambay
