// Text files as documents.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "data/shards.h"
#include "text/tokenizer.h"

namespace sambay {

// What makes a document of a .txt file: the whole file, or each run of lines between blank ones.
enum class DocumentBorder : uint8_t { file, blank_line };

// Calls visit(text) for each document of a .txt or .jsonl file (the string "text" of each line),
// perhaps packed (.txt.gz); empty documents are left out. Throws Error naming the file if it is
// damaged or truncated, and the line if the text is not UTF-8 or a line is not such an object; also
// if there is no document at all.
void for_each_document(const std::filesystem::path& file, DocumentBorder border,
                       const std::function<void(std::string_view text)>& visit);
// The same of a file in memory.
void for_each_document(std::string bytes, const std::filesystem::path& name, DocumentBorder border,
                       const std::function<void(std::string_view text)>& visit);

// Adds each document, closed by `end_id`, to the shard; returns the bytes of text.
int64_t pack_documents(const std::filesystem::path& file, DocumentBorder border,
                       const Tokenizer& tokenizer, int32_t end_id, ShardWriter& writer);

}  // namespace sambay
