#include "higgs/formats/safetensors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

#include "higgs/base/error.h"
#include "higgs/formats/half.h"
#include "support/paths.h"

namespace higgs::test {
namespace {

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values.data(), values.size()));
}

// A file made by hand: the header as given, then `data_size` bytes 0, 1, 2, ...
std::string file_with(const std::string& header, std::size_t data_size) {
  const std::uint64_t size = header.size();
  std::string bytes(reinterpret_cast<const char*>(&size), sizeof size);
  bytes += header;
  for (std::size_t i = 0; i < data_size; ++i) bytes += static_cast<char>(i);
  return bytes;
}

// A new file without syncing it; these tests write thousands. Overwriting would make the file system flush as
// well.
void put(const fs::path& path, const std::string& bytes) {
  fs::remove(path);
  std::ofstream(path, std::ios::binary) << bytes;
}

// The message with which a file of these bytes is refused, without its path.
std::string refusal(const std::string& bytes) {
  static const TemporaryFolder folder;
  const fs::path path = folder / "x.safetensors";
  put(path, bytes);
  const std::string message = user_error([&] { SafetensorsFile file(path); });
  EXPECT_EQ(message.rfind(path.string() + ": ", 0), 0u) << message;
  return message.size() > path.string().size() + 2 ? message.substr(path.string().size() + 2) : "";
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

// Reads every value of every tensor, so that a view beyond the mapping would be noticed.
std::size_t read_everything(const SafetensorsFile& file) {
  std::size_t sum = 0;
  for (const auto& [name, view] : file.tensors()) {
    EXPECT_EQ(static_cast<std::size_t>(view.numel()) * size_of(view.dtype), view.bytes.size());
    for (const std::byte byte : view.bytes) sum += std::to_integer<std::size_t>(byte);
  }
  return sum;
}

struct Sample {
  std::vector<float> weight = {1.5f, -2.0f, 0.0f, 3.25f, 5.0f, -6.5f};
  std::vector<std::int16_t> codes = {0, 1023, -7, 1025};
  std::vector<std::int64_t> ids = {128000, -100};
  std::vector<std::uint8_t> mask = {1, 0, 1};
  std::vector<double> scalar = {0.25};

  std::vector<TensorToWrite> tensors() const {
    return {
        {"mask", DType::kBool, {3}, bytes_of(mask)},     {"weight", DType::kF32, {2, 3}, bytes_of(weight)},
        {"codes", DType::kI16, {2, 2}, bytes_of(codes)}, {"empty", DType::kF32, {0, 4}, {}},
        {"ids", DType::kI64, {2}, bytes_of(ids)},        {"scalar", DType::kF64, {}, bytes_of(scalar)}};
  }
};

TEST(Safetensors, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  const Sample sample;
  write_safetensors(folder / "x.safetensors", sample.tensors(), {{"format", "pt"}, {"note", "a \"b\"\nü"}});
  const SafetensorsFile file(folder / "x.safetensors");
  EXPECT_EQ(file.tensors().size(), 6u);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"note", "a \"b\"\nü"}}));
  EXPECT_EQ(file.at("weight").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(file.floats("weight"), sample.weight);
  EXPECT_EQ(file.floats("scalar"), std::vector<float>{0.25f});
  EXPECT_TRUE(file.at("scalar").shape.empty());
  EXPECT_EQ(file.integers("codes"), (std::vector<std::int64_t>{0, 1023, -7, 1025}));
  EXPECT_EQ(file.integers("ids"), sample.ids);
  EXPECT_EQ(file.integers("mask"), (std::vector<std::int64_t>{1, 0, 1}));
  EXPECT_EQ(file.at("empty").numel(), 0);
  EXPECT_TRUE(file.floats("empty").empty());
}

TEST(Safetensors, EveryTypeKeepsItsNameAndSize) {
  for (const DType dtype : {DType::kBool, DType::kU8, DType::kI8, DType::kI16, DType::kI32, DType::kI64,
                            DType::kU64, DType::kF16, DType::kBF16, DType::kF32, DType::kF64}) {
    const TemporaryFolder folder;
    const std::vector<std::byte> bytes(3 * size_of(dtype), std::byte{0});
    write_safetensors(folder / "x", {{"t", dtype, {3}, bytes}});
    EXPECT_EQ(SafetensorsFile(folder / "x").at("t").dtype, dtype) << name_of(dtype);
  }
}

TEST(Safetensors, WidensSmallFloatsExactly) {
  const TemporaryFolder folder;
  const std::vector<std::uint16_t> bf16 = {0x3FC0, 0xC000, 0x0000, 0x7F80};  // 1.5, -2, 0, inf
  const std::vector<std::uint16_t> f16 = {0x3E00, 0xC000, 0x0001, 0x03FF, 0x7BFF, 0xFC00};
  write_safetensors(folder / "x",
                    {{"b", DType::kBF16, {4}, bytes_of(bf16)}, {"h", DType::kF16, {6}, bytes_of(f16)}});
  const SafetensorsFile file(folder / "x");
  EXPECT_EQ(file.floats("b"), (std::vector<float>{1.5f, -2.0f, 0.0f, INFINITY}));
  EXPECT_EQ(file.floats("h"), (std::vector<float>{1.5f, -2.0f, std::ldexp(1.0f, -24),
                                                  std::ldexp(1023.0f, -24), 65504.0f, -INFINITY}));
  EXPECT_TRUE(std::isnan(f16_to_float(0x7E00)));
}

TEST(Safetensors, NamesTheTensorThatIsMissingOrOfTheWrongKind) {
  const TemporaryFolder folder;
  const Sample sample;
  write_safetensors(folder / "x", sample.tensors());
  const SafetensorsFile file(folder / "x");
  const std::string path = (folder / "x").string();
  EXPECT_EQ(user_error([&] { file.at("nix"); }), path + ": has no tensor 'nix'");
  EXPECT_EQ(user_error([&] { file.integers("weight"); }), path + ": tensor 'weight' must hold integers");
  EXPECT_EQ(user_error([&] { file.floats("ids"); }),
            path + ": tensor 'ids' must hold floating point numbers");
  EXPECT_TRUE(file.contains("ids"));
  EXPECT_FALSE(file.contains("nix"));
}

TEST(Safetensors, BytesDoNotDependOnTheOrderGiven) {
  const Sample sample;
  auto reversed = sample.tensors();
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(safetensors_bytes(sample.tensors(), {}), safetensors_bytes(reversed, {}));
}

// What Python's safetensors 0.8 `save` writes for {"b": int16 [2], "a": float32 [1], "z": float32 []} with
// metadata.
TEST(Safetensors, WritesTheBytesOfTheReferenceWriter) {
  const std::vector<std::int16_t> b = {1, 2};
  const std::vector<float> a = {1.0f}, z = {2.0f};
  std::string header =
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
      R"("z":{"dtype":"F32","shape":[],"data_offsets":[4,8]},"b":{"dtype":"I16","shape":[2],"data_offsets":[8,12]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string expected = file_with(header, 0) + std::string("\0\0\x80\x3f\0\0\0\x40\x01\0\x02\0", 12);
  EXPECT_EQ(safetensors_bytes({{"b", DType::kI16, {2}, bytes_of(b)},
                               {"z", DType::kF32, {}, bytes_of(z)},
                               {"a", DType::kF32, {1}, bytes_of(a)}},
                              {{"k", "v"}}),
            expected);
}

TEST(Safetensors, ReadsAFileWithoutTensors) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x", file_with("{}", 0));
  EXPECT_TRUE(SafetensorsFile(folder / "x").tensors().empty());
}

TEST(Safetensors, TakesTensorsAtAnyAlignmentAndOrder) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x", file_with("{" + tensor("late", "F32", "[1]", "[1,5]") + "," +
                                                    tensor("none", "F32", "[0]", "[1,1]") + "," +
                                                    tensor("early", "U8", "[1]", "[0,1]") + "}",
                                                5));
  const SafetensorsFile file(folder / "x");
  float expected;
  std::memcpy(&expected, "\x01\x02\x03\x04", 4);
  EXPECT_EQ(file.floats("late"), std::vector<float>{expected});
  EXPECT_EQ(file.at("none").numel(), 0);
}

TEST(SafetensorsRefuses, AFileTruncatedAnywhere) {
  const std::string whole = safetensors_bytes(Sample().tensors(), {});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(refusal(whole.substr(0, size)), "") << "first " << size << " bytes";
  }
  EXPECT_EQ(refusal(""), "too short for a safetensors file");
  EXPECT_NE(refusal(whole.substr(0, 100)).find("truncated in its header"), std::string::npos);
  EXPECT_NE(refusal(whole.substr(0, whole.size() - 1)).find("truncated"), std::string::npos);
}

TEST(SafetensorsRefuses, BytesBehindTheLastTensor) {
  EXPECT_NE(refusal(safetensors_bytes(Sample().tensors(), {}) + "x").find("the header describes"),
            std::string::npos);
}

TEST(SafetensorsRefuses, AHeaderLongerThanTheFile) {
  for (const std::uint64_t size :
       {std::uint64_t{3}, std::uint64_t{1} << 40, ~std::uint64_t{0}, ~std::uint64_t{7}}) {
    std::string bytes(reinterpret_cast<const char*>(&size), sizeof size);
    EXPECT_NE(refusal(bytes + "{}"), "") << size;
  }
}

TEST(SafetensorsRefuses, AHeaderThatIsNoJsonObject) {
  EXPECT_NE(refusal(file_with("{\"a\"", 0)).find("header: not valid JSON"), std::string::npos);
  EXPECT_NE(refusal(file_with("[]", 0)).find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal(file_with(std::string(100000, '['), 0)).find("nested deeper"), std::string::npos);
  EXPECT_NE(refusal(file_with("{\"a\":3}", 0)).find("tensor 'a': must be a JSON object"), std::string::npos);
  EXPECT_NE(refusal(file_with("{\"__metadata__\":3}", 0)).find("__metadata__"), std::string::npos);
  EXPECT_NE(refusal(file_with("", 0)), "");
}

TEST(SafetensorsRefuses, AFieldThatIsMissingOrOfTheWrongKind) {
  EXPECT_NE(
      refusal(file_with(R"({"t":{"shape":[1],"data_offsets":[0,1]}})", 1)).find("key 'dtype' is missing"),
      std::string::npos);
  EXPECT_NE(refusal(file_with("{" + tensor("t", "U8", "[1.5]", "[0,1]") + "}", 1)).find("key 'shape'"),
            std::string::npos);
  EXPECT_NE(refusal(file_with("{" + tensor("t", "U8", "1", "[0,1]") + "}", 1)).find("key 'shape'"),
            std::string::npos);
  EXPECT_NE(refusal(file_with("{" + tensor("t", "U8", "[1]", "[1,0]") + "}", 1))
                .find("tensor 't': data_offsets must be two ascending numbers"),
            std::string::npos);
  for (const char* offsets : {"[0]", "[0,1,1]", "[1,0]", "[-1,0]", "3", "[0,\"1\"]"}) {
    EXPECT_NE(refusal(file_with("{" + tensor("t", "U8", "[1]", offsets) + "}", 1)).find("data_offsets"),
              std::string::npos)
        << offsets;
  }
}

TEST(SafetensorsRefuses, AnUnknownType) {
  EXPECT_EQ(refusal(file_with("{" + tensor("t", "F12", "[1]", "[0,1]") + "}", 1)),
            "tensor 't': unknown type 'F12'");
}

TEST(SafetensorsRefuses, OverlappingTensors) {
  EXPECT_EQ(refusal(file_with(
                "{" + tensor("a", "U8", "[4]", "[0,4]") + "," + tensor("b", "U8", "[4]", "[2,6]") + "}", 6)),
            "tensors overlap");
  EXPECT_EQ(refusal(file_with(
                "{" + tensor("a", "U8", "[4]", "[0,4]") + "," + tensor("b", "U8", "[4]", "[0,4]") + "}", 4)),
            "tensors overlap");
}

TEST(SafetensorsRefuses, BytesThatNoTensorCovers) {
  EXPECT_EQ(refusal(file_with(
                "{" + tensor("a", "U8", "[2]", "[0,2]") + "," + tensor("b", "U8", "[2]", "[4,6]") + "}", 6)),
            "bytes that no tensor covers");
}

TEST(SafetensorsRefuses, ARangeOutsideTheFile) {
  EXPECT_NE(
      refusal(file_with("{" + tensor("t", "U8", "[9]", "[0,9]") + "}", 8)).find("lies outside the file"),
      std::string::npos);
  EXPECT_NE(
      refusal(file_with("{" + tensor("t", "U8", "[1]", "[9223372036854775806,9223372036854775807]") + "}", 8))
          .find("lies outside the file"),
      std::string::npos);
  EXPECT_NE(refusal(file_with("{" + tensor("t", "U8", "[8]", "[0,18446744073709551615]") + "}", 8)), "");
}

TEST(SafetensorsRefuses, AShapeThatIsNegativeOrDoesNotFitItsBytes) {
  EXPECT_EQ(refusal(file_with("{" + tensor("t", "U8", "[-2,-4]", "[0,8]") + "}", 8)),
            "tensor 't': negative dimension");
  EXPECT_NE(refusal(file_with("{" + tensor("t", "F32", "[3]", "[0,8]") + "}", 8)).find("do not agree"),
            std::string::npos);
  EXPECT_NE(refusal(file_with("{" + tensor("t", "U8", "[18446744073709551615]", "[0,8]") + "}", 8)), "");
}

TEST(SafetensorsRefuses, AShapeWhoseProductWrapsAround) {
  // 2^32 * 2^32 * 4 bytes is 0 modulo 2^64.
  EXPECT_EQ(refusal(file_with("{" + tensor("t", "F32", "[4294967296,4294967296]", "[0,0]") + "}", 0)),
            "tensor 't': shape too large");
  EXPECT_EQ(refusal(file_with("{" + tensor("t", "F32", "[4611686018427387905]", "[0,4]") + "}", 4)),
            "tensor 't': shape too large");
  const std::string many = "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]";
  EXPECT_NE(
      refusal(file_with("{" + tensor("t", "U8", many, "[0,1]") + "}", 1)).find("more than 16 dimensions"),
      std::string::npos);
}

// Libraries compute strides from the dimensions beside a 0.
TEST(SafetensorsRefuses, AShapeThatWrapsAroundBesideAZero) {
  const std::string huge = "4611686018427387904";
  for (const std::string& shape : {"[0," + huge + "," + huge + "]", "[" + huge + "," + huge + ",0]"}) {
    EXPECT_EQ(refusal(file_with("{" + tensor("a", "F32", shape, "[0,0]") + "}", 0)),
              "tensor 'a': shape too large");
  }
}

TEST(SafetensorsRefuses, ATensorNamedTwice) {
  EXPECT_EQ(refusal(file_with(
                "{" + tensor("t", "U8", "[1]", "[0,1]") + "," + tensor("t", "U8", "[1]", "[1,2]") + "}", 2)),
            "header: key 't' stands twice");
}

// Any change of a good file is either read within its bounds or refused with a UserError, never anything
// else.
TEST(Safetensors, RandomChangesAreReadOrRefused) {
  const TemporaryFolder folder;
  const fs::path path = folder / "x";
  const std::string whole = safetensors_bytes(Sample().tensors(), {{"format", "pt"}});
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  const std::string interesting = "0123456789-[]{}\",:eE. \\\x7f";
  int num_read = 0, num_refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = whole;
    for (std::size_t change = 0, n = 1 + below(4); change < n; ++change) {
      const std::size_t at = below(bytes.size());
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(below(256));
          break;
        case 1:
          bytes[at] = interesting[below(interesting.size())];
          break;
        case 2:
          bytes.erase(at, 1 + below(8));
          break;
        default:
          bytes.insert(at, 1, interesting[below(interesting.size())]);
          break;
      }
      if (bytes.empty()) bytes = "x";
    }
    put(path, bytes);
    try {
      const SafetensorsFile file(path);
      read_everything(file);
      ++num_read;
    } catch (const UserError&) {
      ++num_refused;
    }
  }
  EXPECT_GT(num_read, 50) << "the changes are too coarse to test the reader's acceptance";
  EXPECT_GT(num_refused, 1000);
}

}  // namespace
}  // namespace higgs::test
