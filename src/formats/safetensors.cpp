#include "higgs/formats/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/formats/half.h"

namespace higgs {
namespace {

struct TypeRow {
  DType dtype;
  std::string_view name;
  std::size_t size;
};
constexpr std::array<TypeRow, 11> kTypes = {{{DType::kBool, "BOOL", 1},
                                             {DType::kU8, "U8", 1},
                                             {DType::kI8, "I8", 1},
                                             {DType::kI16, "I16", 2},
                                             {DType::kI32, "I32", 4},
                                             {DType::kI64, "I64", 8},
                                             {DType::kU64, "U64", 8},
                                             {DType::kF16, "F16", 2},
                                             {DType::kBF16, "BF16", 2},
                                             {DType::kF32, "F32", 4},
                                             {DType::kF64, "F64", 8}}};

const TypeRow& row(DType dtype) {
  return *std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& r) { return r.dtype == dtype; });
}

DType dtype_from(const std::string& name, const std::string& where) {
  for (const TypeRow& r : kTypes) {
    if (r.name == name) return r.dtype;
  }
  throw UserError(where + ": unknown type '" + name + "'");
}

// Shape as written, and the number of bytes it needs; overflow and negative sizes are refused.
std::uint64_t checked_bytes(const std::vector<std::int64_t>& shape, DType dtype, const std::string& where) {
  if (shape.size() > kMaxTensorRank)
    throw UserError(where + ": more than " + std::to_string(kMaxTensorRank) + " dimensions");
  std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
  bool empty = false;
  for (const std::int64_t n : shape) {
    if (n < 0) throw UserError(where + ": negative dimension");
    empty = empty || n == 0;
    // Beside a 0 too: strides are computed from the other dimensions.
    if (n != 0 && __builtin_mul_overflow(bytes, n, &bytes)) throw UserError(where + ": shape too large");
  }
  return empty ? 0 : static_cast<std::uint64_t>(bytes);
}

struct Range {
  std::uint64_t begin, end;
};

// The ranges must tile the data exactly: nothing shared, nothing left over.
void check_tiling(std::vector<Range> ranges, std::uint64_t data_size, const std::string& where) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t reached = 0;
  for (const Range& range : ranges) {
    if (range.begin != reached) {
      throw UserError(where +
                      (range.begin < reached ? ": tensors overlap" : ": bytes that no tensor covers"));
    }
    reached = range.end;
  }
  if (reached != data_size) {
    throw UserError(where + ": " + std::to_string(data_size) + " bytes of data, the header describes " +
                    std::to_string(reached) + (reached > data_size ? " (file truncated?)" : ""));
  }
}

template <typename Stored, typename Out, typename Convert>
void convert_all(std::span<const std::byte> bytes, std::vector<Out>& out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, bytes.data() + i * sizeof(Stored), sizeof value);
    out[i] = convert(value);
  }
}

template <typename Stored>
void widen(std::span<const std::byte> bytes, std::vector<std::int64_t>& out) {
  convert_all<Stored>(bytes, out, [](Stored v) { return static_cast<std::int64_t>(v); });
}

}  // namespace

std::size_t size_of(DType dtype) {
  return row(dtype).size;
}
std::string_view name_of(DType dtype) {
  return row(dtype).name;
}

std::int64_t TensorView::numel() const {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return n;
}

SafetensorsFile::SafetensorsFile(const fs::path& path, Access access) : path_(path) {
  if (access == Access::kMap) {
    mapped_ = std::make_unique<MappedFile>(path);
    parse(mapped_->bytes());
  } else {
    read_ = std::make_unique<const std::string>(read_file(path, std::numeric_limits<std::size_t>::max()));
    parse(std::as_bytes(std::span(*read_)));
  }
}

void SafetensorsFile::parse(std::span<const std::byte> bytes) {
  const std::string where = path_.string();
  std::uint64_t header_size = 0;
  if (bytes.size() < sizeof header_size) throw UserError(where + ": too short for a safetensors file");
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  if (header_size > kMaxSafetensorsHeader || header_size > bytes.size() - sizeof header_size) {
    throw UserError(where + ": not a safetensors file, or truncated in its header");
  }
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + sizeof header_size,
                                header_size);
  const auto data = bytes.subspan(sizeof header_size + header_size);
  const Json document = parse_json(header, where + ": header");
  if (!document.is_object()) throw UserError(where + ": the header is not a JSON object");

  std::vector<Range> ranges;
  for (const auto& [name, entry] : document.items()) {
    if (name == "__metadata__") {
      const JsonObject values(entry, where + ": __metadata__");
      for (const auto& [key, value] : entry.items())
        metadata_[key] = value.is_string() ? values.string(key) : value.dump();
      continue;
    }
    const JsonObject fields(entry, where + ": tensor '" + name + "'");
    TensorView view;
    view.dtype = dtype_from(fields.string("dtype"), fields.where());
    view.shape = fields.integers("shape");
    const auto offsets = fields.integers("data_offsets");
    if (offsets.size() != 2 || offsets[0] < 0 || offsets[1] < offsets[0]) {
      throw UserError(fields.where() + ": data_offsets must be two ascending numbers");
    }
    const Range range{static_cast<std::uint64_t>(offsets[0]), static_cast<std::uint64_t>(offsets[1])};
    if (range.end > data.size()) throw UserError(fields.where() + ": lies outside the file (truncated?)");
    if (range.end - range.begin != checked_bytes(view.shape, view.dtype, fields.where())) {
      throw UserError(fields.where() + ": its bytes and its shape do not agree");
    }
    view.bytes = data.subspan(range.begin, range.end - range.begin);
    ranges.push_back(range);
    tensors_.emplace(name, std::move(view));
  }
  check_tiling(std::move(ranges), data.size(), where);
}

const TensorView& SafetensorsFile::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw UserError(path().string() + ": has no tensor '" + name + "'");
  return found->second;
}

std::vector<std::int64_t> SafetensorsFile::integers(const std::string& name) const {
  const TensorView& view = at(name);
  std::vector<std::int64_t> values(static_cast<std::size_t>(view.numel()));
  switch (view.dtype) {
    case DType::kBool:
    case DType::kU8:
      widen<std::uint8_t>(view.bytes, values);
      break;
    case DType::kI8:
      widen<std::int8_t>(view.bytes, values);
      break;
    case DType::kI16:
      widen<std::int16_t>(view.bytes, values);
      break;
    case DType::kI32:
      widen<std::int32_t>(view.bytes, values);
      break;
    case DType::kI64:
      widen<std::int64_t>(view.bytes, values);
      break;
    default:
      throw UserError(path().string() + ": tensor '" + name + "' must hold integers");
  }
  return values;
}

std::vector<float> SafetensorsFile::floats(const std::string& name) const {
  const TensorView& view = at(name);
  std::vector<float> values(static_cast<std::size_t>(view.numel()));
  switch (view.dtype) {
    case DType::kF32:
      convert_all<float>(view.bytes, values, [](float v) { return v; });
      break;
    case DType::kF64:
      convert_all<double>(view.bytes, values, [](double v) { return static_cast<float>(v); });
      break;
    case DType::kBF16:
      convert_all<std::uint16_t>(view.bytes, values, bf16_to_float);
      break;
    case DType::kF16:
      convert_all<std::uint16_t>(view.bytes, values, f16_to_float);
      break;
    default:
      throw UserError(path().string() + ": tensor '" + name + "' must hold floating point numbers");
  }
  return values;
}

std::size_t TensorSpec::num_bytes() const {
  return checked_bytes(shape, dtype, name);
}

std::string safetensors_header(std::vector<TensorSpec>& specs,
                               const std::map<std::string, std::string>& metadata) {
  std::sort(specs.begin(), specs.end(), [](const TensorSpec& a, const TensorSpec& b) {
    return std::pair(size_of(b.dtype), std::string_view(a.name)) <
           std::pair(size_of(a.dtype), std::string_view(b.name));
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const TensorSpec& spec : specs) {
    const std::uint64_t end = offset + spec.num_bytes();
    header[spec.name] = {
        {"dtype", name_of(spec.dtype)}, {"shape", spec.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t header_size = text.size();
  std::string out(reinterpret_cast<const char*>(&header_size), sizeof header_size);
  return out += text;
}

std::string safetensors_bytes(std::vector<TensorToWrite> tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::map<std::string_view, std::span<const std::byte>> bytes;
  std::vector<TensorSpec> specs;
  std::size_t total = 0;
  for (const TensorToWrite& tensor : tensors) {
    HIGGS_ASSERT(bytes.emplace(tensor.name, tensor.bytes).second);
    specs.push_back({tensor.name, tensor.dtype, tensor.shape});
    HIGGS_ASSERT(tensor.bytes.size() == specs.back().num_bytes());
    total += tensor.bytes.size();
  }
  std::string out = safetensors_header(specs, metadata);
  out.reserve(out.size() + total);
  for (const TensorSpec& spec : specs) {
    const auto tensor = bytes.at(spec.name);
    out.append(reinterpret_cast<const char*>(tensor.data()), tensor.size());
  }
  return out;
}

void write_safetensors(const fs::path& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_file_atomically(path, safetensors_bytes(std::move(tensors), metadata));
}

}  // namespace higgs
