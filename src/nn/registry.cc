// Every kind of mixer, one line each.
#include <fmt/ranges.h>

#include <array>

#include "base/json_fields.h"
#include "nn/mixers/attention.h"
#include "nn/mixers/diff_attention.h"
#include "nn/mixers/gmu.h"
#include "nn/mixers/mamba.h"

namespace sambay {
namespace {

struct Kind {
  std::string_view name;
  std::unique_ptr<Mixer> (*make)(JsonFields& fields, const MixerContext& context,
                                 const ParamScope& scope);
  nlohmann::json (*example)(int64_t width);
};

constexpr auto kinds = std::to_array<Kind>({
    {"attention", make_attention, example_attention},
    {"diff_attention", make_diff_attention, example_diff_attention},
    {"gmu", make_gmu, example_gmu},
    {"mamba", make_mamba, example_mamba},
});

const Kind* find_kind(std::string_view name) {
  for (const Kind& kind : kinds) {
    if (kind.name == name) {
      return &kind;
    }
  }
  return nullptr;
}

void check_reads(const Mixer& mixer, const MixerContext& context, const std::string& where) {
  const std::vector<Port> ports = mixer.reads();
  for (const auto& [name, memory] : context.reads) {
    const Port* found = nullptr;
    for (const Port& port : ports) {
      found = port.name == name ? &port : found;
    }
    if (found == nullptr) {
      fail(where, "reads {}: there is no such port", name);
    }
    if (found->memory != memory) {
      fail(where, "reads {}: expected {}, got {}", name, found->memory.text(), memory.text());
    }
  }
}

}  // namespace

std::unique_ptr<Mixer> make_mixer(const nlohmann::json& options, const MixerContext& context,
                                  const ParamScope& scope, const std::string& where) {
  JsonFields fields(options, where);
  const auto name = fields.required<std::string>("kind");
  const Kind* kind = find_kind(name);
  if (kind == nullptr) {
    fail(where, "kind: '{}' is not one of {}", name, fmt::join(mixer_kinds(), ", "));
  }
  auto mixer = kind->make(fields, context, scope);
  fields.no_others();
  check_reads(*mixer, context, where);
  return mixer;
}

std::vector<std::string> mixer_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kinds) {
    names.emplace_back(kind.name);
  }
  return names;
}

nlohmann::json example_options(std::string_view kind, int64_t width) {
  const Kind* found = find_kind(kind);
  check(found != nullptr, "examples are asked for by kinds in the registry");
  nlohmann::json options = found->example(width);
  options["kind"] = kind;
  return options;
}

}  // namespace sambay
