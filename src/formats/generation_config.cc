#include "formats/generation_config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/files.h"
#include "base/json_fields.h"

namespace sambay {
namespace {

using Json = nlohmann::json;

// Change nothing that is generated: who wrote the file, caches, what is returned, and settings of
// beam search, which only counts when num_beams does.
constexpr std::array ignored = {"_from_model_config",
                                "assistant_confidence_threshold",
                                "assistant_early_exit",
                                "assistant_lookbehind",
                                "bos_token_id",
                                "cache_config",
                                "cache_implementation",
                                "compile_config",
                                "decoder_start_token_id",
                                "disable_compile",
                                "early_stopping",
                                "is_assistant",
                                "length_penalty",
                                "low_memory",
                                "max_matching_ngram_size",
                                "num_assistant_tokens",
                                "num_assistant_tokens_schedule",
                                "output_attentions",
                                "output_hidden_states",
                                "output_logits",
                                "output_scores",
                                "pad_token_id",
                                "prefill_chunk_size",
                                "prompt_lookup_num_tokens",
                                "renormalize_logits",
                                "return_dict_in_generate",
                                "return_legacy_cache",
                                "target_lookbehind",
                                "transformers_version",
                                "use_cache"};

// Fields and the value, beside null, with which they change nothing.
constexpr std::array<std::pair<const char*, const char*>, 24> neutral = {
    {{"bad_words_ids", "[]"},
     {"begin_suppress_tokens", "[]"},
     {"constraints", "[]"},
     {"diversity_penalty", "0.0"},
     {"dola_layers", "null"},
     {"encoder_no_repeat_ngram_size", "0"},
     {"encoder_repetition_penalty", "1.0"},
     {"epsilon_cutoff", "0.0"},
     {"eta_cutoff", "0.0"},
     {"exponential_decay_length_penalty", "null"},
     {"force_words_ids", "[]"},
     {"forced_bos_token_id", "null"},
     {"forced_eos_token_id", "null"},
     {"guidance_scale", "1.0"},
     {"max_time", "null"},
     {"min_length", "0"},
     {"min_new_tokens", "0"},
     {"no_repeat_ngram_size", "0"},
     {"num_beam_groups", "1"},
     {"num_beams", "1"},
     {"num_return_sequences", "1"},
     {"penalty_alpha", "0.0"},
     {"suppress_tokens", "[]"},
     {"typical_p", "1.0"}}};
constexpr std::array switches = {"remove_invalid_values", "token_healing"};

void check_other_field(const std::string& name, const Json& value, const std::string& tag) {
  const auto is_named = [&name](const char* known) { return name == known; };
  if (value.is_null() || std::any_of(ignored.begin(), ignored.end(), is_named)) {
    return;
  }
  if (std::any_of(switches.begin(), switches.end(), is_named) && value == false) {
    return;
  }
  for (const auto& [known, harmless] : neutral) {
    if (name == known) {
      if (value != Json::parse(harmless)) {
        fail(tag, "{}: {} is not supported: expected {}", name, value.dump().substr(0, 60),
             harmless);
      }
      return;
    }
  }
  fail(tag, "{}: {} is not supported", name, value.dump().substr(0, 60));
}

class Reader {
 public:
  Reader(const Json& json, const std::string& tag) : fields_(json, tag), json_(&json) {}

  GenerationConfig read() {
    GenerationConfig config;
    if (is_given("do_sample")) {
      config.do_sample = fields_.required<bool>("do_sample");
    }
    config.temperature = number("temperature", config.temperature, 0, 1e6);
    config.top_p = number("top_p", config.top_p, 0, 1);
    config.min_p = number("min_p", config.min_p, 0, 1);
    config.repetition_penalty = number("repetition_penalty", config.repetition_penalty, 1e-6, 1e6);
    if (is_given("top_k")) {
      config.top_k = static_cast<int32_t>(fields_.integer("top_k", 0, INT32_MAX));
    }
    if (is_given("max_new_tokens")) {
      config.max_new_tokens = fields_.integer("max_new_tokens", 1, INT64_MAX);
    }
    if (is_given("max_length")) {
      config.max_length = fields_.integer("max_length", 1, INT64_MAX);
    }
    read_list("eos_token_id", [&](const Json& id) {
      if (!id.is_number_integer() || id < 0 || id > INT32_MAX) {
        fail(fields_.where(), "eos_token_id: {} is no token id", id.dump().substr(0, 60));
      }
      config.eos_token_ids.push_back(id.get<int32_t>());
    });
    read_list("stop_strings", [&](const Json& text) {
      if (!text.is_string() || text.get_ref<const std::string&>().empty()) {
        fail(fields_.where(), "stop_strings: {} is no text", text.dump().substr(0, 60));
      }
      config.stop_strings.push_back(text.get<std::string>());
    });
    for (const auto& [name, value] : json_->items()) {
      if (!read_.contains(name)) {
        check_other_field(name, value, fields_.where());
      }
    }
    return config;
  }

 private:
  bool is_given(const std::string& name) {
    read_.insert(name);
    return json_->contains(name) && !(*json_)[name].is_null();
  }
  double number(const std::string& name, double otherwise, double low, double high) {
    if (!is_given(name)) {
      return otherwise;
    }
    const auto value = fields_.required<double>(name);
    if (!(value >= low && value <= high)) {
      fail(fields_.where(), "{}: {} is not from {} to {}", name, value, low, high);
    }
    return value;
  }
  // One value or a list of them.
  template <class Each>
  void read_list(const std::string& name, const Each& each) {
    if (!is_given(name)) {
      return;
    }
    const Json& value = (*json_)[name];
    if (!value.is_array()) {
      each(value);
      return;
    }
    for (const Json& item : value) {
      each(item);
    }
  }

  JsonFields fields_;
  const Json* json_;
  std::set<std::string> read_;
};

}  // namespace

GenerationConfig parse_generation_config(std::string_view text, const std::string& tag) {
  const Json json = parse_json(text, tag);
  return Reader(json, tag).read();
}

GenerationConfig read_generation_config(const std::filesystem::path& path) {
  return parse_generation_config(read_text(path), path.string());
}

}  // namespace sambay
