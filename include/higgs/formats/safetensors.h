// The safetensors format: a JSON header with names, types, shapes and byte ranges, then the bytes.
// The reader maps or reads the file and checks every bound before it hands out a view.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

enum class DType { kBool, kU8, kI8, kI16, kI32, kI64, kU64, kF16, kBF16, kF32, kF64 };

std::size_t size_of(DType dtype);
std::string_view name_of(DType dtype);  // the format's own name: "BF16", "I64", ...

// A tensor inside a file; valid as long as its SafetensorsFile lives.
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  std::int64_t numel() const;
};

inline constexpr std::uint64_t kMaxSafetensorsHeader = 100u << 20;  // bytes; the reference reader's limit
inline constexpr std::size_t kMaxTensorRank = 16;

class SafetensorsFile {
 public:
  // UserError naming the path and the fault: truncated, a header of more than kMaxSafetensorsHeader bytes or
  // that parse_json() refuses (a name twice, too deep, too many values), unknown type, more than
  // kMaxTensorRank dimensions, a shape whose size overflows 64 bits, a range outside the file, overlapping or
  // leaving bytes uncovered, or not as long as its shape says.
  // kRead: copied into memory, for files that others may change or cut short meanwhile (which ends a program
  // that has them mapped).
  enum class Access { kMap, kRead };
  explicit SafetensorsFile(const fs::path& path, Access access = Access::kMap);

  const fs::path& path() const { return path_; }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }
  // UserError when the file has no such tensor.
  const TensorView& at(const std::string& name) const;

  // Values as int64, whatever integer type they are stored in; UserError for floating point.
  std::vector<std::int64_t> integers(const std::string& name) const;
  // Values as float, from F32, F16, BF16 or F64; UserError for integers.
  std::vector<float> floats(const std::string& name) const;

 private:
  void parse(std::span<const std::byte> bytes);

  fs::path path_;
  std::unique_ptr<MappedFile> mapped_;
  std::unique_ptr<const std::string> read_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// What a header says of a tensor.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;

  std::size_t num_bytes() const;
};

// The beginning of a file: length of the header, header. Sorts `specs` by alignment then name, as the
// reference writer does; the tensors' bytes follow in that order, end to end.
std::string safetensors_header(std::vector<TensorSpec>& specs,
                               const std::map<std::string, std::string>& metadata);

// A tensor to be written; `bytes` must stay alive until the call returns.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// The file's whole content.
std::string safetensors_bytes(std::vector<TensorToWrite> tensors,
                              const std::map<std::string, std::string>& metadata);

// Writes it atomically (see write_file_atomically).
void write_safetensors(const fs::path& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace higgs
