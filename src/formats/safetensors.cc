#include "formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"

namespace sambay {
namespace {

constexpr size_t length_bytes = 8;
constexpr uint64_t max_header_bytes = 100'000'000;  // the limit of the format's own reader
constexpr size_t alignment = 64;
constexpr uint64_t max_dimension = uint64_t{1} << 48;
constexpr const char* metadata_key = "__metadata__";

struct DTypeName {
  const char* text;
  DType dtype;
};
constexpr DTypeName dtype_names[] = {
    {"F64", DType::f64}, {"F32", DType::f32}, {"F16", DType::f16}, {"BF16", DType::bf16},
    {"I64", DType::i64}, {"I32", DType::i32}, {"U8", DType::u8}};

const char* file_name(DType dtype) {
  return std::ranges::find(dtype_names, dtype, &DTypeName::dtype)->text;
}

struct Entry {
  DType dtype = DType::f32;
  Shape shape;
  uint64_t begin = 0, end = 0;  // from the first byte after the header
};

// JSON whose objects name no key twice and nest no deeper than a header does.
nlohmann::json parse_header(std::string_view text, const std::string& where) {
  constexpr int max_depth = 3;
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > max_depth) {
      fail(where, "header: nested deeper than {}", max_depth);
    }
    if (event == Event::object_start) {
      keys.emplace_back();
    } else if (event == Event::object_end) {
      keys.pop_back();
    } else if (event == Event::key && !keys.back().insert(value.get<std::string>()).second) {
      fail(where, "header: {} stands twice", value.dump());
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, watch);
  } catch (const nlohmann::json::exception& e) {
    fail(where, "header: not JSON ({})", e.what());
  }
}

uint64_t natural(const nlohmann::json& value, uint64_t limit, const std::string& where,
                 const char* field) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > limit) {
    fail(where, "{}: {} is not a whole number from 0 to {}", field, value.dump().substr(0, 60),
         limit);
  }
  return value.get<uint64_t>();
}

Shape parse_shape(const nlohmann::json& value, const std::string& where) {
  if (!value.is_array() || value.size() > Shape::max_rank) {
    fail(where, "shape: expected a list of at most {} sizes, got {}", Shape::max_rank,
         value.dump().substr(0, 60));
  }
  std::vector<int64_t> dims;
  uint64_t product = 1;
  for (const auto& item : value) {
    const uint64_t dim = natural(item, max_dimension, where, "shape");
    if (__builtin_mul_overflow(product, std::max<uint64_t>(dim, 1), &product) ||
        product > max_dimension) {
      fail(where, "shape: {} is larger than any file", value.dump());
    }
    dims.push_back(static_cast<int64_t>(dim));
  }
  return Shape(std::span<const int64_t>(dims));
}

Entry parse_entry(const nlohmann::json& value, uint64_t data_bytes, const std::string& where) {
  JsonFields fields(value, where);
  Entry entry;
  const auto dtype = fields.required<std::string>("dtype");
  const auto* known = std::ranges::find(dtype_names, dtype, &DTypeName::text);
  if (known == std::end(dtype_names)) {
    fail(where, "dtype: {} is not one of F64, F32, F16, BF16, I64, I32, U8", dtype);
  }
  entry.dtype = known->dtype;
  entry.shape = parse_shape(fields.raw("shape"), where);
  const auto& offsets = fields.raw("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2) {
    fail(where, "data_offsets: expected [begin, end], got {}", offsets.dump().substr(0, 60));
  }
  entry.begin = natural(offsets[0], data_bytes, where, "data_offsets");
  entry.end = natural(offsets[1], data_bytes, where, "data_offsets");
  fields.no_others();
  const uint64_t bytes = static_cast<uint64_t>(entry.shape.elements()) * size_of(entry.dtype);
  if (entry.begin > entry.end || entry.end - entry.begin != bytes) {
    fail(where, "data_offsets: [{}, {}] does not hold the {} bytes of {} {}", entry.begin,
         entry.end, bytes, dtype, entry.shape.text());
  }
  return entry;
}

std::map<std::string, std::string> parse_metadata(const nlohmann::json& value,
                                                  const std::string& where) {
  JsonFields fields(value, where + ": " + metadata_key);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    metadata.emplace(key, fields.required<std::string>(key));
  }
  return metadata;
}

// The tensors cover the data from its first to its last byte, each byte once.
void check_cover(const std::map<std::string, Entry>& entries, uint64_t data_bytes,
                 const std::string& where) {
  std::vector<std::pair<const Entry*, const std::string*>> order;
  for (const auto& [name, entry] : entries) {
    order.emplace_back(&entry, &name);
  }
  std::ranges::sort(order, [](const auto& a, const auto& b) {
    return std::pair(a.first->begin, a.first->end) < std::pair(b.first->begin, b.first->end);
  });
  uint64_t covered = 0;
  for (const auto& [entry, name] : order) {
    if (entry->begin != covered) {
      fail(where, "{}: begins at byte {} where {} was expected ({})", *name, entry->begin, covered,
           entry->begin < covered ? "overlap" : "hole");
    }
    covered = entry->end;
  }
  if (covered != data_bytes) {
    fail(where, "{} bytes of data where the header speaks of {}", data_bytes, covered);
  }
}

}  // namespace

struct Safetensors::File {
  std::string where;
  std::shared_ptr<const void> owner;  // of the data
  std::span<const std::byte> data;    // behind the header
  std::map<std::string, Entry> entries;
  std::map<std::string, std::string> metadata;

  const Entry& entry(const std::string& name) const {
    const auto found = entries.find(name);
    if (found == entries.end()) {
      fail(where, "{}: no such tensor", name);
    }
    return found->second;
  }
  const std::byte* begin_of(const Entry& entry) const { return data.data() + entry.begin; }
};

namespace {

bool is_multiple(const std::byte* data, size_t size) {
  return reinterpret_cast<uintptr_t>(data) % size == 0;
}

Tensor copied(const std::byte* data, const Entry& entry) {
  Tensor copy = Tensor::empty(entry.shape, entry.dtype);
  std::memcpy(copy.raw(), data, entry.end - entry.begin);
  return copy;
}

}  // namespace

Safetensors Safetensors::open(const std::filesystem::path& path) {
  const auto map = std::make_shared<const MappedFile>(path);
  return parse(map->bytes(), path.string(), map);
}

Safetensors Safetensors::parse(std::span<const std::byte> bytes, std::string where,
                               std::shared_ptr<const void> owner) {
  if (bytes.size() < length_bytes) {
    fail(where, "{} bytes are too few for a safetensors file", bytes.size());
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), length_bytes);
  bytes = bytes.subspan(length_bytes);
  if (header_bytes > max_header_bytes) {
    fail(where, "header: {} bytes are more than {}", header_bytes, max_header_bytes);
  }
  if (header_bytes > bytes.size()) {
    fail(where, "header: truncated, {} bytes of {}", bytes.size(), header_bytes);
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), header_bytes);
  const auto header = parse_header(text, where);
  if (!header.is_object()) {
    fail(where, "header: expected an object, got {}", header.type_name());
  }
  auto file = std::make_shared<File>();
  file->owner = std::move(owner);
  file->data = bytes.subspan(header_bytes);
  for (const auto& [name, value] : header.items()) {
    if (name == metadata_key) {
      file->metadata = parse_metadata(value, where);
    } else {
      file->entries.emplace(name, parse_entry(value, file->data.size(), where + ": " + name));
    }
  }
  check_cover(file->entries, file->data.size(), where);
  file->where = std::move(where);
  Safetensors out;
  out.file_ = std::move(file);
  return out;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : file_->entries) {
    names.push_back(name);
  }
  return names;
}

bool Safetensors::contains(const std::string& name) const {
  return file_->entries.contains(name);
}

Tensor Safetensors::get(const std::string& name) const {
  const Entry& entry = file_->entry(name);
  const auto* data = file_->begin_of(entry);
  return is_multiple(data, alignment) ? view(name) : copied(data, entry);
}

Tensor Safetensors::view(const std::string& name) const {
  const Entry& entry = file_->entry(name);
  const auto* data = file_->begin_of(entry);
  if (!is_multiple(data, size_of(entry.dtype))) {
    return copied(data, entry);
  }
  return Tensor::borrow(const_cast<std::byte*>(data), entry.shape, entry.dtype, file_);
}

const std::map<std::string, std::string>& Safetensors::metadata() const {
  return file_->metadata;
}

const std::string& Safetensors::where() const {
  return file_->where;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSource> sources;
  for (const auto& [name, tensor] : tensors) {
    check(tensor.device() == Device::cpu, "only tensors in memory are written");
    sources.push_back({name, tensor.dtype(), tensor.shape(), [&tensor = tensor](FileWriter& file) {
                         const Tensor whole = tensor.contiguous() ? tensor : tensor.clone();
                         file.write({static_cast<const std::byte*>(whole.raw()), whole.bytes()});
                       }});
  }
  stream_safetensors(path, sources, metadata);
}

namespace {

class CountingWriter final : public FileWriter {
 public:
  explicit CountingWriter(FileWriter& file) : file_(file) {}
  using FileWriter::write;
  void write(std::span<const std::byte> bytes) override {
    file_.write(bytes);
    count += bytes.size();
  }
  size_t count = 0;

 private:
  FileWriter& file_;
};

// The header of the tensors that follow each other in this order, padded with blanks.
std::string header_text(const std::vector<const TensorSource*>& order,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) {
    header[metadata_key] = metadata;
  }
  uint64_t offset = 0;
  for (const auto* tensor : order) {
    check(!header.contains(tensor->name), "tensors of a file have different names");
    auto shape = nlohmann::json::array();
    for (int i = 0; i < tensor->shape.rank(); ++i) {
      shape.push_back(tensor->shape[i]);
    }
    header[tensor->name] = {{"dtype", file_name(tensor->dtype)},
                            {"shape", shape},
                            {"data_offsets", {offset, offset + tensor->bytes()}}};
    offset += tensor->bytes();
  }
  std::string text = header.dump();
  text.resize((length_bytes + text.size() + alignment - 1) / alignment * alignment - length_bytes,
              ' ');
  return text;
}

}  // namespace

void stream_safetensors(const std::filesystem::path& path, std::span<const TensorSource> tensors,
                        const std::map<std::string, std::string>& metadata) {
  // Whole cache lines first, then wider elements first: every tensor that can be aligned is.
  std::vector<const TensorSource*> order;
  for (const auto& tensor : tensors) {
    order.push_back(&tensor);
  }
  std::ranges::stable_sort(order, std::greater{}, [](const TensorSource* tensor) {
    return std::pair(tensor->bytes() % alignment == 0, size_of(tensor->dtype));
  });
  const std::string header = header_text(order, metadata);
  const uint64_t header_bytes = header.size();
  write_atomically(path, [&](FileWriter& file) {
    file.write(std::as_bytes(std::span(&header_bytes, 1)));
    file.write(header);
    for (const auto* tensor : order) {
      CountingWriter counted(file);
      tensor->write(counted);
      check(counted.count == tensor->bytes(), "a tensor's source writes all of its bytes");
    }
  });
}

}  // namespace sambay
