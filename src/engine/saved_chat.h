// A conversation as a file, to go on with later as if it had never stopped.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/generator.h"
#include "formats/safetensors.h"

namespace sambay {

// How answers are generated, as far as a conversation may change it as it goes.
struct AnswerSettings {
  SamplingOptions sampling = {};
  int64_t max_tokens = 512;
  std::vector<std::string> stop_texts = {};
  std::optional<int64_t> max_thinking_tokens = {};
};

struct ChatMessage {
  std::string role, content;
  bool operator==(const ChatMessage&) const = default;
};

// Whom a conversation was with. All of it must be the same for the conversation to go on.
struct ChatPartner {
  std::string model;      // its config's name
  std::string weights;    // fingerprint of config and weights
  std::string tokenizer;  // fingerprint
  std::string dtype;      // of matrices and activations
  std::string format;     // how questions are put: "template", "marks" or "text"
  bool operator==(const ChatPartner&) const = default;
};

struct SavedChat {
  ChatPartner partner;
  AnswerSettings settings;
  std::vector<ChatMessage> messages;
  bool unfinished = false;  // the last answer was cut off
  SessionImage session;

  // All but the session's ids and state. `where` stands for the file in errors.
  nlohmann::json to_json() const;
  static SavedChat from_json(const nlohmann::json& json, const std::string& where);
};

// A safetensors file: tensors "ids" and "state", everything else as JSON in its metadata. Atomic.
// Throws Error.
void write_chat(const std::filesystem::path& file, const SavedChat& chat);
// Throws Error naming the file and what in it is missing, unknown or damaged.
SavedChat read_chat(const std::filesystem::path& file);
// The same of an open file.
SavedChat parse_chat(const Safetensors& file);

}  // namespace sambay
