// Writes a safetensors file that needn't fit into memory: header first, then one tensor after another.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "higgs/formats/safetensors.h"

namespace higgs {

class SafetensorsWriter {
 public:
  // Opens a temporary file beside `path` and writes the header. RunError naming the path when that fails,
  // here and below. `specs` are sorted as safetensors_header() does.
  SafetensorsWriter(const fs::path& path, std::vector<TensorSpec> specs,
                    const std::map<std::string, std::string>& metadata = {});
  ~SafetensorsWriter();  // removes the temporary file unless finished
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  // The order in which write() wants the tensors.
  const std::vector<TensorSpec>& specs() const { return specs_; }
  // The next tensor's bytes, all of them.
  void write(std::span<const std::byte> bytes);
  // After the last tensor: syncs the file and renames it to its path.
  void finish();

 private:
  void append(std::span<const std::byte> bytes);
  [[noreturn]] void fail(const char* what) const;
  fs::path path_, temporary_;
  std::vector<TensorSpec> specs_;
  std::size_t next_ = 0;
  int fd_ = -1;
};

}  // namespace higgs
