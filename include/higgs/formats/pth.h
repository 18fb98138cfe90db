// What torch.save writes for a state dict (`.pth`, `pytorch_model.bin`): a zip archive with a pickle that
// names the tensors, and a record for each storage. Read by our own bounded reader: nothing in the file is
// ever run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "higgs/base/file.h"
#include "higgs/formats/safetensors.h"

namespace higgs {

// Bounds for hostile files, whose dicts may hold one another many times over. The pickle itself may have 64
// MiB, two million values and tensors of 16 dimensions; the archive a million records.
namespace pth {
inline constexpr int kMaxDepth = 8;                  // dicts and lists within one another
inline constexpr std::size_t kMaxVisits = 1u << 20;  // values on the way to all tensors
inline constexpr std::size_t kMaxKey = 512;          // bytes
inline constexpr std::size_t kMaxNames = 64u << 20;  // bytes of all tensors' names
inline constexpr std::uint64_t kMaxCopies = 4;       // bytes of all tensors, as a multiple of the file's
}  // namespace pth

class PthFile {
 public:
  // Maps the file. UserError naming the path and the fault: not a zip archive, truncated, a compressed
  // record, a wrong checksum, big-endian, an opcode or global that weights don't need (with its offset), a
  // storage missing or of another size, a tensor outside its storage.
  explicit PthFile(const fs::path& path);
  // The same from bytes that outlive it; `where` begins every message.
  PthFile(std::span<const std::byte> bytes, std::string where);

  const std::string& where() const { return where_; }
  // Contiguous, row-major. A tensor in a dict within the dict is named OUTER.INNER, one in a list LIST.INDEX;
  // what is no tensor is left out. Tensors that share a storage share bytes.
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }
  // UserError when the file has no such tensor.
  const TensorView& at(const std::string& name) const;

 private:
  void read(std::span<const std::byte> bytes);

  std::string where_;
  std::unique_ptr<MappedFile> file_;
  std::map<std::string, TensorView> tensors_;
  std::deque<std::vector<std::byte>> copies_;  // of tensors that were not contiguous
};

}  // namespace higgs
