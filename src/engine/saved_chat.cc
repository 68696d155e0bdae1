#include "engine/saved_chat.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/json_fields.h"

namespace sambay {
namespace {

using nlohmann::json;

constexpr const char* format_name = "sambay-chat";
constexpr int64_t format_version = 1;
constexpr int64_t max_count = int64_t{1} << 40;

json to_json(const SamplingOptions& o) {
  return {{"temperature", o.temperature},
          {"top_k", o.top_k},
          {"top_p", o.top_p},
          {"min_p", o.min_p},
          {"repetition_penalty", o.repetition_penalty},
          {"seed", o.seed}};
}

json to_json(const AnswerSettings& settings) {
  json out = {{"sampling", to_json(settings.sampling)},
              {"max_tokens", settings.max_tokens},
              {"stop_texts", settings.stop_texts}};
  if (settings.max_thinking_tokens) {
    out["max_thinking_tokens"] = *settings.max_thinking_tokens;
  }
  return out;
}

SamplingOptions read_sampling(const json& from, const std::string& where) {
  JsonFields fields(from, where);
  const auto number = [&](const char* field) {
    const auto value = fields.required<double>(field);
    if (std::abs(value) > std::numeric_limits<float>::max()) {
      fail(where, "{}: {} is too large", field, value);
    }
    return static_cast<float>(value);
  };
  SamplingOptions options{
      .temperature = number("temperature"),
      .top_k = static_cast<int32_t>(fields.integer("top_k", 0, INT32_MAX)),
      .top_p = number("top_p"),
      .min_p = number("min_p"),
      .repetition_penalty = number("repetition_penalty"),
      .seed = fields.required<uint64_t>("seed"),
  };
  fields.no_others();
  try {
    check_options(options);
  } catch (const Error& error) {
    fail(where, "{}", error.what());
  }
  return options;
}

std::vector<std::string> read_texts(const json& from, const std::string& where) {
  if (!from.is_array() || !std::ranges::all_of(from, [](const json& t) { return t.is_string(); })) {
    fail(where, "expected a list of texts");
  }
  return from.get<std::vector<std::string>>();
}

AnswerSettings read_settings(const json& from, const std::string& where) {
  JsonFields fields(from, where);
  AnswerSettings settings;
  settings.sampling = read_sampling(fields.raw("sampling"), where + ": sampling");
  settings.max_tokens = fields.integer("max_tokens", 1, max_count);
  settings.stop_texts = read_texts(fields.raw("stop_texts"), where + ": stop_texts");
  if (fields.has("max_thinking_tokens")) {
    settings.max_thinking_tokens = fields.integer("max_thinking_tokens", 1, max_count);
  }
  fields.no_others();
  return settings;
}

std::vector<ChatMessage> read_messages(const json& from, const std::string& where) {
  if (!from.is_array()) {
    fail(where, "expected a list");
  }
  std::vector<ChatMessage> messages;
  for (const json& entry : from) {
    JsonFields fields(entry, fmt::format("{}[{}]", where, messages.size()));
    messages.push_back(
        {fields.required<std::string>("role"), fields.required<std::string>("content")});
    fields.no_others();
  }
  return messages;
}

template <class T>
Tensor row_of(const std::vector<T>& values, DType dtype) {
  // Only read from.
  return Tensor::borrow(const_cast<T*>(values.data()), {std::ssize(values)}, dtype);
}

// The bytes of a tensor of one dimension.
std::span<const std::byte> bytes_of(const Tensor& tensor, const char* name, DType dtype,
                                    const std::string& where) {
  if (tensor.rank() != 1 || tensor.dtype() != dtype) {
    fail(where, "{}: expected one dimension of {}, got {} of {}", name, sambay::name(dtype),
         tensor.shape().text(), sambay::name(tensor.dtype()));
  }
  return {static_cast<const std::byte*>(tensor.raw()), tensor.bytes()};
}

}  // namespace

json SavedChat::to_json() const {
  json said = json::array();
  for (const ChatMessage& message : messages) {
    said.push_back({{"role", message.role}, {"content", message.content}});
  }
  json out = {{"format", format_name},
              {"version", format_version},
              {"partner",
               {{"model", partner.model},
                {"weights", partner.weights},
                {"tokenizer", partner.tokenizer},
                {"dtype", partner.dtype},
                {"format", partner.format}}},
              {"settings", sambay::to_json(settings)},
              {"messages", said},
              {"unfinished", unfinished}};
  if (const auto& random = session.random) {
    out["random"] = {
        {"seed", random->seed}, {"stream", random->stream}, {"position", random->position}};
  }
  return out;
}

SavedChat SavedChat::from_json(const json& from, const std::string& where) {
  JsonFields fields(from, where);
  if (fields.required<std::string>("format") != format_name ||
      fields.required<int64_t>("version") != format_version) {
    fail(where, "format: expected {}, version {}", format_name, format_version);
  }
  SavedChat chat;
  JsonFields partner(fields.raw("partner"), where + ": partner");
  for (const auto& [name, field] :
       {std::pair("model", &chat.partner.model), std::pair("weights", &chat.partner.weights),
        std::pair("tokenizer", &chat.partner.tokenizer), std::pair("dtype", &chat.partner.dtype),
        std::pair("format", &chat.partner.format)}) {
    *field = partner.required<std::string>(name);
  }
  partner.no_others();
  chat.settings = read_settings(fields.raw("settings"), where + ": settings");
  chat.messages = read_messages(fields.raw("messages"), where + ": messages");
  chat.unfinished = fields.required<bool>("unfinished");
  if (fields.has("random")) {
    JsonFields random(fields.raw("random"), where + ": random");
    chat.session.random = {random.required<uint64_t>("seed"), random.required<uint64_t>("stream"),
                           random.required<uint64_t>("position")};
    random.no_others();
  }
  fields.no_others();
  return chat;
}

void write_chat(const std::filesystem::path& file, const SavedChat& chat) {
  write_safetensors(file,
                    {{"ids", row_of(chat.session.ids, DType::i32)},
                     {"state", row_of(chat.session.state, DType::u8)}},
                    {{"format", format_name}, {"chat", chat.to_json().dump()}});
}

SavedChat read_chat(const std::filesystem::path& file) {
  return parse_chat(Safetensors::open(file));
}

SavedChat parse_chat(const Safetensors& file) {
  const std::string& where = file.where();
  const auto text = file.metadata().find("chat");
  if (text == file.metadata().end() || file.names().size() != 2) {
    fail(where, "not a saved chat");
  }
  SavedChat chat = SavedChat::from_json(parse_json(text->second, where), where);
  const Tensor ids = file.get("ids"), state = file.view("state");
  const auto id_bytes = bytes_of(ids, "ids", DType::i32, where);
  const auto state_bytes = bytes_of(state, "state", DType::u8, where);
  chat.session.ids.resize(static_cast<size_t>(ids.elements()));
  std::copy(id_bytes.begin(), id_bytes.end(),
            std::as_writable_bytes(std::span(chat.session.ids)).begin());
  chat.session.state.assign(state_bytes.begin(), state_bytes.end());
  return chat;
}

}  // namespace sambay
