// What torch.save pickles for a state dict, interpreted by an allow-list of opcodes and globals. Nothing in a
// pickle is ever run: a global is a name to compare, and a name that isn't known is an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/formats/safetensors.h"

namespace higgs::pickle {

using Ref = std::uint32_t;  // index into Document::values

enum class Kind { kNone, kBool, kInteger, kReal, kText, kTuple, kList, kDict, kGlobal, kStorage, kTensor };

enum class Global { kOrderedDict, kRebuildTensor, kRebuildParameter, kStorageType };

// An array of numbers that stands in a record of its own.
struct Storage {
  DType dtype = DType::kF32;
  std::string_view key;
  std::uint64_t numel = 0;
};

// A view of a storage, in elements; not checked against the storage's size.
struct Tensor {
  Storage storage;
  std::uint64_t offset = 0;
  std::vector<std::int64_t> shape, strides;
};

struct Value {
  Kind kind = Kind::kNone;
  Global global = Global::kOrderedDict;
  DType dtype = DType::kF32;    // of a storage type
  std::int64_t number = 0;      // of an integer or bool; of a storage or tensor its index in the document
  std::string_view text = {};   // points into the pickle
  std::vector<Ref> items = {};  // of a dict: key, value, key, value, ...
};

struct Document {
  std::vector<Value> values;
  std::vector<Storage> storages;
  std::vector<Tensor> tensors;
  Ref top = 0;
};

// UserError, `where` and the offset in front, naming the opcode or global that isn't allowed, or the fault.
Document parse(std::span<const std::byte> bytes, const std::string& where);

}  // namespace higgs::pickle
