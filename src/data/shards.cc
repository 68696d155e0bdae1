#include "data/shards.h"

#include <algorithm>

#include "base/error.h"

namespace sambay {

struct Shard::File {
  Tensor tokens, documents, targets_from;
  std::span<const int32_t> token_span;
  std::span<const int64_t> offsets;
  std::span<const int32_t> from;
};

namespace {

template <class T>
std::span<const T> vector_of(const Tensor& tensor, const std::string& where) {
  if (tensor.rank() != 1 || tensor.dtype() != DTypeOf<T>::value) {
    fail(where, "expected a vector of {}, got {} {}", name(DTypeOf<T>::value),
         tensor.shape().text(), name(tensor.dtype()));
  }
  return {tensor.data<T>(), static_cast<size_t>(tensor.elements())};
}

}  // namespace

Shard Shard::open(const std::filesystem::path& file) {
  return parse(Safetensors::open(file));
}

Shard Shard::parse(const Safetensors& file) {
  const std::string& where = file.where();
  auto out = std::make_shared<File>();
  out->tokens = file.get("tokens");
  out->documents = file.get("documents");
  out->token_span = vector_of<int32_t>(out->tokens, where + ": tokens");
  out->offsets = vector_of<int64_t>(out->documents, where + ": documents");
  const auto& offsets = out->offsets;
  if (out->token_span.empty() || offsets.size() < 2) {
    fail(where, "no documents: expected at least one");
  }
  if (offsets.front() != 0 || offsets.back() != static_cast<int64_t>(out->token_span.size()) ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    fail(where + ": documents", "expected ascending offsets from 0 to {}", out->token_span.size());
  }
  if (file.contains("targets_from")) {
    out->targets_from = file.get("targets_from");
    out->from = vector_of<int32_t>(out->targets_from, where + ": targets_from");
    if (out->from.size() + 1 != offsets.size()) {
      fail(where + ": targets_from", "expected {} values, got {}", offsets.size() - 1,
           out->from.size());
    }
  }
  Shard shard;
  shard.file_ = std::move(out);
  return shard;
}

int64_t Shard::documents() const {
  return static_cast<int64_t>(file_->offsets.size()) - 1;
}

int64_t Shard::tokens() const {
  return static_cast<int64_t>(file_->token_span.size());
}

std::span<const int32_t> Shard::document(int64_t index) const {
  const auto begin = file_->offsets[static_cast<size_t>(index)];
  const auto end = file_->offsets[static_cast<size_t>(index) + 1];
  return file_->token_span.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

int32_t Shard::targets_from(int64_t index) const {
  return file_->from.empty() ? 0 : file_->from[static_cast<size_t>(index)];
}

void ShardWriter::add(std::span<const int32_t> tokens, int32_t targets_from) {
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  offsets_.push_back(static_cast<int64_t>(tokens_.size()));
  targets_from_.push_back(targets_from);
}

void ShardWriter::write(const std::filesystem::path& file, const std::string& tokenizer) const {
  if (tokens_.empty()) {
    fail(file.string(), "no tokens to write: the data is empty");
  }
  const auto vector = [](auto& values) {
    using T = std::remove_cvref_t<decltype(values[0])>;
    return Tensor::borrow(const_cast<T*>(values.data()), {static_cast<int64_t>(values.size())},
                          DTypeOf<T>::value);
  };
  std::vector<NamedTensor> tensors = {{"tokens", vector(tokens_)}, {"documents", vector(offsets_)}};
  if (std::any_of(targets_from_.begin(), targets_from_.end(), [](int32_t t) { return t != 0; })) {
    tensors.push_back({"targets_from", vector(targets_from_)});
  }
  write_safetensors(file, tensors, {{"tokenizer", tokenizer}});
}

}  // namespace sambay
