#include "formats/normalizer_json.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace sambay {
namespace {

using Json = nlohmann::json;
using Kind = NormalizerStep::Kind;

constexpr std::array<std::pair<Kind, const char*>, 9> types = {{
    {Kind::nfc, "NFC"},
    {Kind::nfd, "NFD"},
    {Kind::nfkc, "NFKC"},
    {Kind::nfkd, "NFKD"},
    {Kind::lowercase, "Lowercase"},
    {Kind::strip, "Strip"},
    {Kind::strip_accents, "StripAccents"},
    {Kind::prepend, "Prepend"},
    {Kind::replace, "Replace"},
}};

void read_pattern(const JsonField& pattern, NormalizerStep& step) {
  const JsonField literal = pattern["String"];
  step.is_regex = literal.is_null();
  const JsonField chosen = step.is_regex ? pattern["Regex"] : literal;
  step.pattern = chosen.string();
  if (step.pattern.empty()) {
    chosen.fail_here("expected at least one character");
  }
}

NormalizerStep read_step(const JsonField& field) {
  const JsonField type = field["type"];
  const std::string& name = type.string();
  const auto* const found =
      std::find_if(types.begin(), types.end(), [&](const auto& t) { return t.second == name; });
  if (found == types.end()) {
    type.fail_here(
        "expected NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Prepend, Replace or a "
        "Sequence of them, got {}",
        type.shown());
  }
  NormalizerStep step{.kind = found->first};
  if (step.kind == Kind::strip) {
    step.strip_left = field["strip_left"].boolean();
    step.strip_right = field["strip_right"].boolean();
  } else if (step.kind == Kind::prepend) {
    step.content = field["prepend"].string();
  } else if (step.kind == Kind::replace) {
    read_pattern(field["pattern"], step);
    step.content = field["content"].string();
  }
  return step;
}

void read_into(const JsonField& field, std::vector<NormalizerStep>& steps) {
  if (field["type"].is_string() && field["type"].string() == "Sequence") {
    field["normalizers"].for_each([&](const JsonField& inner) { read_into(inner, steps); });
  } else {
    steps.push_back(read_step(field));
  }
}

Json write_step(const NormalizerStep& step) {
  const auto* const type =
      std::find_if(types.begin(), types.end(), [&](const auto& t) { return t.first == step.kind; });
  Json json = {{"type", type->second}};
  if (step.kind == Kind::strip) {
    json["strip_left"] = step.strip_left;
    json["strip_right"] = step.strip_right;
  } else if (step.kind == Kind::prepend) {
    json["prepend"] = step.content;
  } else if (step.kind == Kind::replace) {
    json["pattern"] = {{step.is_regex ? "Regex" : "String", step.pattern}};
    json["content"] = step.content;
  }
  return json;
}

}  // namespace

std::vector<NormalizerStep> read_normalizer(const JsonField& field) {
  std::vector<NormalizerStep> steps;
  if (!field.is_null()) {
    read_into(field, steps);
  }
  return steps;
}

Json write_normalizer(const std::vector<NormalizerStep>& steps) {
  if (steps.size() <= 1) {
    return steps.empty() ? Json() : write_step(steps[0]);
  }
  Json list = Json::array();
  for (const NormalizerStep& step : steps) {
    list.push_back(write_step(step));
  }
  return {{"type", "Sequence"}, {"normalizers", list}};
}

}  // namespace sambay
