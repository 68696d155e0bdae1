#include "formats/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/json_fields.h"
#include "formats/json_field.h"
#include "formats/normalizer_json.h"

namespace sambay {

const char* const gpt2_split_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

using Json = nlohmann::json;

constexpr int32_t max_ids = 1 << 22;
// Ids may leave gaps, but with one number a file must not ask for much more memory than it takes.
constexpr size_t max_ids_a_token = 16;

struct ByteLevelAlphabet {
  std::array<uint32_t, 256> letter_of{};  // code points
  std::array<int, 256> id_of{};
  std::unordered_map<uint32_t, unsigned char> byte_of;
};

bool printable_latin1(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

const ByteLevelAlphabet& alphabet() {
  static const ByteLevelAlphabet made = [] {
    ByteLevelAlphabet a;
    int printable = 0, other = 0;
    for (int byte = 0; byte < 256; ++byte) {
      printable += printable_latin1(byte) ? 1 : 0;
    }
    for (int byte = 0, next = 0; byte < 256; ++byte) {
      const auto at = static_cast<size_t>(byte);
      const bool plain = printable_latin1(byte);
      a.letter_of[at] = static_cast<uint32_t>(plain ? byte : 256 + other);
      a.id_of[at] = plain ? next++ : printable + other++;
      a.byte_of.emplace(a.letter_of[at], static_cast<unsigned char>(byte));
    }
    return a;
  }();
  return made;
}

int32_t id_of(const JsonField& field, int32_t end) {
  if (!field.value().is_number_integer() || field.value() < 0 || field.value() >= end) {
    field.fail_here("expected an id from 0 to {}, got {}", end - 1, field.shown());
  }
  return field.value().get<int32_t>();
}

class Reader {
 public:
  Reader(const Json& json, std::string_view file) : root_(json, file) {}

  TokenizerSpec read() {
    root_.object();
    spec_.normalizer = read_normalizer(root_["normalizer"]);
    const JsonField model = root_["model"];
    model.expect_type("BPE");
    expect_plain_model(model);
    spec_.ignore_merges = model["ignore_merges"].boolean(false);
    const size_t tokens = model["vocab"].size() + root_["added_tokens"].size();
    end_id_ = static_cast<int32_t>(std::min<size_t>(max_ids_a_token * tokens, max_ids));
    read_vocab(model["vocab"]);
    read_merges(model["merges"]);
    read_added(root_["added_tokens"]);
    read_pre_tokenizer(root_["pre_tokenizer"]);
    root_["decoder"].expect_type("ByteLevel");
    if (!byte_level_) {
      root_["pre_tokenizer"].fail_here("expected ByteLevel at the end");
    }
    return std::move(spec_);
  }

 private:
  static void expect_plain_model(const JsonField& model) {
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (const JsonField affix = model[key]; !affix.is_null() && !affix.string().empty()) {
        affix.fail_here("expected null or \"\", got {}", affix.shown());
      }
    }
    if (model["byte_fallback"].boolean(false)) {
      model["byte_fallback"].fail_here("expected false: bytes are letters already");
    }
    if (!model["dropout"].is_null()) {
      model["dropout"].fail_here("expected null, got {}", model["dropout"].shown());
    }
  }

  void read_vocab(const JsonField& vocab) {
    for (const auto& [name, value] : vocab.object().items()) {
      const JsonField entry(value, vocab, name);
      const int32_t id = id_of(entry, end_id_);
      place(entry, name, id);
      id_of_.emplace(name, id);
    }
    for (int byte = 0; byte < 256; ++byte) {
      const char one = static_cast<char>(byte);
      if (!id_of_.contains(to_byte_level({&one, 1}))) {
        vocab.fail_here("no token for byte 0x{:02x}", byte);
      }
    }
  }

  void place(const JsonField& entry, const std::string& name, int32_t id) {
    const auto at = static_cast<size_t>(id);
    if (spec_.vocab.size() <= at) {
      spec_.vocab.resize(at + 1);
      placed_.resize(at + 1);
    }
    if (placed_[at]) {
      entry.fail_here("id {} belongs to another token already", id);
    }
    placed_[at] = true;
    auto bytes = from_byte_level(name);
    const bool as_written = !bytes;
    spec_.vocab[at] = {std::move(bytes).value_or(name), as_written};
  }

  int32_t known(const JsonField& entry, const std::string& name) const {
    const auto found = id_of_.find(name);
    if (found == id_of_.end()) {
      entry.fail_here("{} is not in the vocabulary", Json(name).dump());
    }
    return found->second;
  }

  void read_merges(const JsonField& merges) {
    size_t ways = 0;
    for (const auto& token : spec_.vocab) {
      ways += token.bytes.empty() ? 0 : token.bytes.size() - 1;
    }
    if (merges.size() > ways) {
      merges.fail_here("{} merges: the tokens can be cut in two in {} ways", merges.size(), ways);
    }
    spec_.merges.reserve(merges.size());
    merges.for_each([&](const JsonField& entry) {
      std::string left, right;
      if (entry.is_array() && entry.size() == 2) {
        left = entry.at(0).string();
        right = entry.at(1).string();
      } else if (entry.is_string()) {
        const std::string& both = entry.string();
        const size_t space = both.find(' ');
        left = both.substr(0, space);
        right = space == std::string::npos ? "" : both.substr(space + 1);
      }
      if (left.empty() || right.empty()) {
        entry.fail_here("expected two tokens, as \"a b\" or [\"a\", \"b\"]");
      }
      spec_.merges.push_back({known(entry, left), known(entry, right), known(entry, left + right)});
    });
  }

  void read_added(const JsonField& added) {
    if (added.is_null()) {
      return;
    }
    added.for_each([&](const JsonField& entry) {
      AddedToken token;
      token.id = id_of(entry["id"], end_id_);
      token.content = entry["content"].string();
      token.special = entry["special"].boolean(false);
      token.lstrip = entry["lstrip"].boolean(false);
      token.rstrip = entry["rstrip"].boolean(false);
      token.single_word = entry["single_word"].boolean(false);
      token.normalized = entry["normalized"].boolean(!token.special);
      if (token.content.empty()) {
        entry["content"].fail_here("expected at least one character");
      }
      const auto [known_as, fresh] = id_of_.emplace(token.content, token.id);
      if (fresh) {
        place(entry["id"], token.content, token.id);
        spec_.vocab[static_cast<size_t>(token.id)].literal = true;
      } else if (known_as->second != token.id) {
        entry["id"].fail_here("{} has id {} already", Json(token.content).dump(), known_as->second);
      }
      spec_.added.push_back(std::move(token));
    });
  }

  void read_pre_tokenizer(const JsonField& step) {
    const std::string& type = step["type"].string();
    if (byte_level_) {
      step.fail_here("expected nothing after ByteLevel");
    }
    if (type == "Sequence") {
      if (in_sequence_) {
        step.fail_here("expected no Sequence within a Sequence");
      }
      in_sequence_ = true;
      step["pretokenizers"].for_each([&](const JsonField& inner) { read_pre_tokenizer(inner); });
    } else if (type == "ByteLevel") {
      if (step["add_prefix_space"].boolean(true)) {
        step["add_prefix_space"].fail_here("expected false");
      }
      if (step["use_regex"].boolean(true)) {
        spec_.splits.push_back({gpt2_split_pattern, true, true});
      }
      byte_level_ = true;
    } else if (type == "Digits") {
      const bool individual = step["individual_digits"].boolean(false);
      spec_.splits.push_back({individual ? "\\p{N}" : "\\p{N}+", true, true});
    } else if (type == "Split") {
      read_split(step);
    } else {
      step["type"].fail_here("expected Split, Digits, ByteLevel or a Sequence of them, got {}",
                             step["type"].shown());
    }
  }

  void read_split(const JsonField& step) {
    const JsonField pattern = step["pattern"];
    SplitRule rule;
    if (const JsonField literal = pattern["String"]; !literal.is_null()) {
      rule.pattern = quoted(literal.string());
    } else {
      rule.pattern = pattern["Regex"].string();
    }
    const JsonField behavior = step["behavior"];
    if (behavior.string() == "Removed") {
      rule.keep_matches = step["invert"].boolean(false);
      rule.keep_gaps = !rule.keep_matches;
    } else if (behavior.string() != "Isolated") {
      behavior.fail_here("expected Isolated or Removed, got {}", behavior.shown());
    }
    spec_.splits.push_back(std::move(rule));
  }

  static std::string quoted(std::string_view literal) {
    std::string out;
    for (const char c : literal) {
      if (std::string_view("\\^$.|?*+()[]{}-#").find(c) != std::string_view::npos) {
        out += '\\';
      }
      out += c;
    }
    return out;
  }

  JsonField root_;
  TokenizerSpec spec_;
  int32_t end_id_ = 0;
  std::vector<bool> placed_;
  std::unordered_map<std::string, int32_t> id_of_;
  bool byte_level_ = false, in_sequence_ = false;
};

}  // namespace

int byte_level_id(unsigned char byte) {
  return alphabet().id_of[byte];
}

std::string to_byte_level(std::string_view bytes) {
  std::string name;
  for (const char c : bytes) {
    const uint32_t letter = alphabet().letter_of[static_cast<unsigned char>(c)];
    if (letter < 0x80) {
      name += static_cast<char>(letter);
    } else {
      name += static_cast<char>(0xc0U | letter >> 6);
      name += static_cast<char>(0x80U | (letter & 0x3fU));
    }
  }
  return name;
}

std::optional<std::string> from_byte_level(std::string_view name) {
  // All letters of the alphabet are below U+0800, so one or two bytes of UTF-8 each.
  std::string bytes;
  for (size_t i = 0; i < name.size();) {
    const auto first = static_cast<unsigned char>(name[i]);
    uint32_t letter = first;
    size_t length = 1;
    if (first >= 0xc0 && first < 0xe0 && i + 1 < name.size()) {
      letter = (first & 0x1fU) << 6 | (static_cast<unsigned char>(name[i + 1]) & 0x3fU);
      length = 2;
    }
    const auto byte = alphabet().byte_of.find(letter);
    if (byte == alphabet().byte_of.end() || (first >= 0x80) != (length == 2)) {
      return std::nullopt;
    }
    bytes += static_cast<char>(byte->second);
    i += length;
  }
  return bytes;
}

TokenizerSpec parse_tokenizer_json(std::string_view json, std::string_view tag) {
  const Json root = parse_json(json, std::string(tag));
  return Reader(root, tag).read();
}

TokenizerSpec read_tokenizer_json(const std::filesystem::path& path) {
  const Json root = read_json(path);
  return Reader(root, path.string()).read();
}

std::string to_tokenizer_json(const TokenizerSpec& spec) {
  const auto name_of = [&](int32_t id) {
    const VocabEntry& entry = spec.vocab[static_cast<size_t>(id)];
    return Json(entry.literal ? entry.bytes : to_byte_level(entry.bytes)).dump();
  };
  std::string vocab, merges;
  for (size_t id = 0; id < spec.vocab.size(); ++id) {
    if (!spec.vocab[id].bytes.empty()) {
      vocab +=
          fmt::format("{}{}:{}", vocab.empty() ? "" : ",", name_of(static_cast<int32_t>(id)), id);
    }
  }
  for (const Merge& merge : spec.merges) {
    merges += fmt::format("{}[{},{}]", merges.empty() ? "" : ",", name_of(merge.left),
                          name_of(merge.right));
  }
  Json added = Json::array(), steps = Json::array();
  for (const AddedToken& token : spec.added) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", token.single_word},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  for (const SplitRule& rule : spec.splits) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", rule.pattern}}},
                     {"behavior", rule.keep_matches && rule.keep_gaps ? "Isolated" : "Removed"},
                     {"invert", !rule.keep_gaps}});
  }
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", false}};
  steps.push_back(byte_level);
  const Json splits = {{"type", "Sequence"}, {"pretokenizers", steps}};
  return fmt::format(
      R"({{"version":"1.0","truncation":null,"padding":null,"added_tokens":{},"normalizer":{},)"
      R"("pre_tokenizer":{},"post_processor":null,"decoder":{},"model":{{"type":"BPE",)"
      R"("dropout":null,"unk_token":null,"continuing_subword_prefix":null,)"
      R"("end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":{},)"
      R"("vocab":{{{}}},"merges":[{}]}}}})",
      added.dump(), write_normalizer(spec.normalizer).dump(), splits.dump(), byte_level.dump(),
      spec.ignore_merges, vocab, merges);
}

std::string fingerprint(const TokenizerSpec& spec) {
  uint64_t h = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : to_tokenizer_json(spec)) {
    h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return fmt::format("{:016x}", h);
}

}  // namespace sambay
