#include "formats/tokenizer_config.h"

#include "base/files.h"
#include "base/json_fields.h"

namespace sambay {
namespace {

using Json = nlohmann::json;

std::string text_field(const Json& object, const char* field, const std::string& where) {
  if (!object.contains(field) || !object[field].is_string()) {
    fail(where, "{}: expected a text", field);
  }
  return object[field].get<std::string>();
}

void read_templates(const Json& json, const std::string& tag, TokenizerConfig& config) {
  if (json.is_string()) {
    config.chat_templates.emplace_back("default", json.get<std::string>());
    return;
  }
  if (!json.is_array()) {
    fail(tag, "chat_template: expected a text or a list of named templates");
  }
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string where = fmt::format("{}: chat_template[{}]", tag, i);
    if (!json[i].is_object()) {
      fail(where, "expected an object");
    }
    config.chat_templates.emplace_back(text_field(json[i], "name", where),
                                       text_field(json[i], "template", where));
  }
}

}  // namespace

std::string TokenizerConfig::special_token(std::string_view name) const {
  for (const auto& [known, content] : special_tokens) {
    if (known == name) {
      return content;
    }
  }
  return {};
}

TokenizerConfig parse_tokenizer_config(std::string_view text, const std::string& tag) {
  const Json json = parse_json(text, tag);
  JsonFields fields(json, tag);
  TokenizerConfig config;
  if (json.contains("chat_template") && !json["chat_template"].is_null()) {
    read_templates(json["chat_template"], tag, config);
  }
  for (const char* name : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                           "cls_token", "mask_token"}) {
    if (!json.contains(name) || json[name].is_null()) {
      continue;
    }
    const Json& token = json[name];
    if (!token.is_string() && !token.is_object()) {
      fail(tag, "{}: expected a text or an object with its content", name);
    }
    config.special_tokens.emplace_back(
        name, token.is_string() ? token.get<std::string>()
                                : text_field(token, "content", fmt::format("{}: {}", tag, name)));
  }
  if (json.contains("add_bos_token") && !json["add_bos_token"].is_null()) {
    config.add_bos_token = fields.required<bool>("add_bos_token");
  }
  return config;
}

TokenizerConfig read_tokenizer_config(const std::filesystem::path& path) {
  return parse_tokenizer_config(read_text(path), path.string());
}

}  // namespace sambay
