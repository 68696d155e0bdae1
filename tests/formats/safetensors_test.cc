#include "formats/safetensors.h"

#include <gmock/gmock.h>

#include <cstring>

#include "base/files.h"
#include "support/fault.h"
#include "support/temp_dir.h"

namespace sambay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string file_of(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string out(sizeof length, '\0');
  std::memcpy(out.data(), &length, sizeof length);
  return out + header + std::string(data_bytes, '\1');
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// What opening a file of these bytes says; empty if it opens.
std::string fault(const std::string& bytes) {
  std::string message =
      testing::fault([&] { Safetensors::parse(bytes_of(bytes), "x.safetensors"); });
  EXPECT_THAT(message, ::testing::AnyOf("", HasSubstr("x.safetensors")));
  return message;
}

std::string fault_of_header(const std::string& header, size_t data_bytes = 8) {
  return fault(file_of(header, data_bytes));
}

constexpr const char* good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

TEST(Safetensors, ReturnsWhatWasWritten) {
  const testing::TempDir folder;
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<int32_t> b = {-1, 7};
  const std::vector<Bf16> c(32, to_bf16(0.5F));
  write_safetensors(folder / "f",
                    {{"a", Tensor::from<float>(a, {2, 3})},
                     {"b", Tensor::from<int32_t>(b, {2})},
                     {"c", Tensor::from<Bf16>(c, {32})},
                     {"columns", Tensor::from<float>(a, {2, 3}).slice(1, 1, 3)},
                     {"none", Tensor::empty({0, 4}, DType::u8)}},
                    {{"step", "12"}});
  const auto file = Safetensors::open(folder / "f");
  EXPECT_THAT(file.names(), ElementsAre("a", "b", "c", "columns", "none"));
  EXPECT_EQ(file.metadata().at("step"), "12");
  EXPECT_EQ(file.get("a").shape(), (Shape{2, 3}));
  EXPECT_EQ(std::memcmp(file.get("a").data<float>(), a.data(), 24), 0);
  EXPECT_EQ(std::memcmp(file.get("b").data<int32_t>(), b.data(), 8), 0);
  EXPECT_EQ(std::memcmp(file.get("c").data<Bf16>(), c.data(), 64), 0);
  const Tensor columns = file.get("columns");
  EXPECT_THAT(std::vector<float>(columns.data<float>(), columns.data<float>() + 4),
              ElementsAre(2, 3, 5, 6));
  EXPECT_EQ(file.get("none").shape(), (Shape{0, 4}));
  EXPECT_THROW(file.get("d"), Error);
}

TEST(Safetensors, GivesAlignedTensorsWhateverTheFileLooksLike) {
  const testing::TempDir folder;
  std::vector<NamedTensor> tensors;
  for (const int64_t n : {3, 16, 5, 64, 1}) {
    tensors.push_back({std::to_string(n), Tensor::zeros({n}, DType::f32)});
  }
  write_safetensors(folder / "own", tensors);
  write_atomically(folder / "foreign", file_of(good, 8));
  for (const char* name : {"own", "foreign"}) {
    const auto file = Safetensors::open(folder / name);
    for (const auto& tensor : file.names()) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(file.get(tensor).raw()) % 64, 0U) << tensor;
    }
  }
}

TEST(Safetensors, TensorsOutliveTheirFileObject) {
  const testing::TempDir folder;
  write_safetensors(folder / "f", {{"a", Tensor::zeros({1024}, DType::f32)}});
  const Tensor a = Safetensors::open(folder / "f").get("a");
  EXPECT_EQ(a.data<float>()[1023], 0.0F);
}

TEST(Safetensors, ReadsBytesWhereTheyStandAndKeepsTheirOwner) {
  auto owner = std::make_shared<const std::string>(
      file_of(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})", 8));
  const std::weak_ptr<const std::string> kept = owner;
  const std::string& bytes = *owner;
  Tensor a = Safetensors::parse(bytes_of(bytes), "memory", std::move(owner)).view("a");
  EXPECT_FALSE(kept.expired());
  EXPECT_EQ(a.raw(), bytes.data() + bytes.size() - 8);
  a = Tensor();
  EXPECT_TRUE(kept.expired());
}

TEST(Safetensors, RefusesTruncatedFiles) {
  const std::string whole = file_of(good, 8);
  EXPECT_EQ(fault(whole), "");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(fault(whole.substr(0, size)), "") << size;
  }
  EXPECT_THAT(fault(whole + "x"), HasSubstr("9 bytes of data"));
}

TEST(Safetensors, NamesTheFileThatIsFaulty) {
  const testing::TempDir folder;
  const auto path = folder / "f";
  write_atomically(path, file_of(good, 9));
  EXPECT_THAT(testing::fault([&] { Safetensors::open(path); }), HasSubstr(path.string()));
}

TEST(Safetensors, RefusesHeadersThatLieAboutTheirLength) {
  std::string bytes = file_of(good, 8);
  const uint64_t huge = ~uint64_t{0};
  std::memcpy(bytes.data(), &huge, sizeof huge);
  EXPECT_THAT(fault(bytes), HasSubstr("more than 100000000"));
  const uint64_t beyond = bytes.size() - 7;
  std::memcpy(bytes.data(), &beyond, sizeof beyond);
  EXPECT_THAT(fault(bytes), HasSubstr("truncated"));
}

TEST(Safetensors, RefusesHeadersThatAreNotWhatTheFormatSays) {
  const auto entry = [](const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return fault_of_header(R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape +
                           R"(,"data_offsets":)" + offsets + "}}");
  };
  EXPECT_EQ(entry(R"("F32")", "[2]", "[0,8]"), "");
  EXPECT_THAT(entry(R"("F8")", "[2]", "[0,8]"), HasSubstr("dtype"));
  EXPECT_THAT(entry("3", "[2]", "[0,8]"), HasSubstr("dtype"));
  EXPECT_THAT(entry(R"("F32")", "2", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(entry(R"("F32")", "[-2]", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(entry(R"("F32")", "[2.0]", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(entry(R"("F32")", "[1,1,1,1,2]", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(entry(R"("F32")", "[9223372036854775808]", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(entry(R"("U8")", "[4294967296,4294967296,8]", "[0,8]"), HasSubstr("shape"));
  EXPECT_THAT(entry(R"("U8")", "[0,281474976710656,281474976710656]", "[0,0]"), HasSubstr("shape"));
  EXPECT_THAT(entry(R"("F32")", "[2]", "[8]"), HasSubstr("data_offsets"));
  EXPECT_THAT(entry(R"("F32")", "[2]", "[-8,0]"), HasSubstr("data_offsets"));
  EXPECT_THAT(entry(R"("F32")", "[2]", "[8,0]"), HasSubstr("data_offsets"));
  EXPECT_THAT(entry(R"("F32")", "[2]", "[0,4]"), HasSubstr("data_offsets"));
  EXPECT_THAT(entry(R"("F32")", "[2]", "[4,12]"), HasSubstr("data_offsets"));
  EXPECT_THAT(entry(R"("F32")", "[2]", "[18446744073709551608,0]"), HasSubstr("data_offsets"));
  EXPECT_THAT(entry(R"("F32")", "[2]", "[9223372036854775808,9223372036854775816]"),
              HasSubstr("data_offsets"));
}

TEST(Safetensors, RefusesJsonThatIsNotAHeader) {
  EXPECT_THAT(fault_of_header("{"), HasSubstr("not JSON"));
  EXPECT_THAT(fault_of_header("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(fault_of_header(std::string(10000, '[')), HasSubstr("nested"));
  EXPECT_THAT(fault_of_header(R"({"a":3})"), HasSubstr("expected an object"));
  EXPECT_THAT(fault_of_header(R"({"__metadata__":{"a":3}})"), HasSubstr("__metadata__"));
  EXPECT_THAT(
      fault_of_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"colour":"red"}})"),
      HasSubstr("colour"));
}

TEST(Safetensors, RefusesDuplicatesOverlapsAndHoles) {
  const auto two = [](const std::string& name, const std::string& first,
                      const std::string& second) {
    return fault_of_header(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first + R"(},")" +
                           name + R"(":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}");
  };
  EXPECT_EQ(two("b", "[0,4]", "[4,8]"), "");
  EXPECT_EQ(two("b", "[4,8]", "[0,4]"), "");
  EXPECT_THAT(two("a", "[0,4]", "[4,8]"), HasSubstr("twice"));
  EXPECT_THAT(two("b", "[0,4]", "[0,4]"), HasSubstr("overlap"));
  EXPECT_THAT(two("b", "[0,4]", "[3,7]"), HasSubstr("overlap"));
  EXPECT_THAT(two("b", "[1,5]", "[4,8]"), HasSubstr("hole"));
}

TEST(Safetensors, WritesAllOrNothing) {
  const testing::TempDir folder;
  write_safetensors(folder / "f", {{"a", Tensor::zeros({4}, DType::f32)}});
  EXPECT_THROW(write_safetensors(folder / "no" / "f", {{"a", Tensor::zeros({4}, DType::f32)}}),
               Error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()),
                          std::filesystem::directory_iterator()),
            1);
}

}  // namespace
}  // namespace sambay
