// The contract of a token mixer: what it declares, what a call gives it, what it returns.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/functions.h"
#include "nn/param.h"
#include "nn/state.h"

namespace sambay {

// What layers hand to later layers beside the residual stream.
struct MemorySpec {
  enum class Kind : uint8_t { rows, kv };
  Kind kind = Kind::rows;
  int64_t width = 0;     // rows: (T, width), used at the same position only
  int64_t kv_heads = 0;  // kv: keys and values of every token of the sequence
  int64_t head_dim = 0;
  bool operator==(const MemorySpec&) const = default;
  std::string text() const;
};

// A memory in one forward pass. rows: `rows` laid out as `segments`. kv: fresh keys and values laid
// out as `segments` or, when sequences carry state, the spans of all their tokens so far.
struct Memory {
  Segments segments = {};
  Var rows = {};
  Var k = {}, v = {};
  std::shared_ptr<const ops::KvSpans> spans = {};
};

// A named end where a memory is written or read: "scan", "kv", "heads", "up"; "kv", "memory".
struct Port {
  std::string name;
  MemorySpec memory;
  // The memory is made from every input row whatever output is wanted ("scan", "kv"); otherwise it
  // exists at the wanted rows only ("heads", "up").
  bool at_every_row = false;
};

struct MixerCall {
  Segments rows;                         // of h
  Segments wanted;                       // of the result: a suffix of each segment of `rows`
  std::span<LayerState* const> states;   // one a segment, or empty: then nothing is carried over
  std::map<std::string, Memory> reads;   // by port; already at the rows of h (kind rows)
  std::map<std::string, Memory> writes;  // by port; filled for the ports in `write`
  std::vector<std::string> write;

  bool writes_port(std::string_view port) const;
};

// Immutable after construction but for its parameters' storage.
class Mixer {
 public:
  virtual ~Mixer() = default;
  // Empty: the mixer needs no row but those that are wanted.
  virtual StateSpec state_spec(const Precision& precision) const = 0;
  virtual std::vector<Port> reads() const { return {}; }
  virtual std::vector<Port> writes() const { return {}; }
  // h (rows, D) in compute -> (wanted rows, D) in compute.
  virtual Var forward(Exec& exec, const Var& h, MixerCall& call) const = 0;
};

// What a factory may know of the model around the mixer.
struct MixerContext {
  int64_t width = 0;                        // D
  std::map<std::string, MemorySpec> reads;  // by port: what the layer is wired to read
};

// Builds the mixer that options["kind"] names, its parameters under `scope`. Throws Error with
// `where`
// ("config.json: layers[3].mixer") for an unknown kind, a missing or unknown option, or a bad
// value.
std::unique_ptr<Mixer> make_mixer(const nlohmann::json& options, const MixerContext& context,
                                  const ParamScope& scope, const std::string& where);
// The kinds in the registry.
std::vector<std::string> mixer_kinds();
// Small valid options of a kind for contract tests, of an input width.
nlohmann::json example_options(std::string_view kind, int64_t width);

}  // namespace sambay
