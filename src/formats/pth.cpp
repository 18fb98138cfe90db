#include "higgs/formats/pth.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "higgs/base/error.h"
#include "pickle.h"
#include "zip_archive.h"

namespace higgs {
namespace {

using pth::kMaxCopies, pth::kMaxDepth, pth::kMaxKey, pth::kMaxNames, pth::kMaxVisits;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Number of elements and, of those that exist, the highest index into the storage; false on overflow.
bool extent(const pickle::Tensor& tensor, std::uint64_t& numel, std::uint64_t& last) {
  std::int64_t bytes = static_cast<std::int64_t>(size_of(tensor.storage.dtype));
  numel = 1;
  last = tensor.offset;
  bool fits = true;
  const bool empty = std::count(tensor.shape.begin(), tensor.shape.end(), 0) != 0;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    const auto size = static_cast<std::uint64_t>(tensor.shape[i]);
    if (size == 0) continue;  // the other dimensions must fit all the same: strides are computed from them
    std::uint64_t reach = 0;
    fits = fits && !__builtin_mul_overflow(bytes, tensor.shape[i], &bytes);
    fits = fits && !__builtin_mul_overflow(numel, size, &numel);
    if (empty) continue;
    fits = fits && !__builtin_mul_overflow(size - 1, static_cast<std::uint64_t>(tensor.strides[i]), &reach);
    fits = fits && !__builtin_add_overflow(last, reach, &last);
  }
  if (empty) numel = 0;
  return fits;
}

bool is_contiguous(const pickle::Tensor& tensor) {
  std::int64_t stride = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != stride) return false;
    stride *= tensor.shape[i];
  }
  return true;
}

// Row-major, dimension by dimension; `from` points at the first element.
std::byte* copy_elements(const pickle::Tensor& tensor, std::size_t dim, std::size_t element,
                         const std::byte* from, std::byte* to) {
  if (dim == tensor.shape.size()) {
    std::memcpy(to, from, element);
    return to + element;
  }
  const std::size_t step = static_cast<std::size_t>(tensor.strides[dim]) * element;
  for (std::int64_t i = 0; i < tensor.shape[dim]; ++i) {
    to = copy_elements(tensor, dim + 1, element, from + static_cast<std::size_t>(i) * step, to);
  }
  return to;
}

class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& where)
      : where_(where), room_(kMaxCopies * file.size()), records_(zip::read_directory(file, where)) {
    const std::string suffix = "/data.pkl";
    for (const auto& [name, record] : records_) {
      if (!name.ends_with(suffix)) continue;
      if (!prefix_.empty()) fail("holds two pickles");
      prefix_ = name.substr(0, name.size() - suffix.size() + 1);
    }
    if (prefix_.empty()) fail("is a zip archive without a data.pkl; torch.save writes one");
    if (records_.count(prefix_ + "byteorder") != 0 && text_of(checked("byteorder")) != "little") {
      fail("holds big-endian numbers; save it on a little-endian machine");
    }
    document_ = pickle::parse(checked("data.pkl"), where_ + ": data.pkl");
  }

  void read(std::map<std::string, TensorView>& tensors, std::deque<std::vector<std::byte>>& copies) {
    if (document_.values[document_.top].kind != pickle::Kind::kDict) {
      fail("its top is no dict of tensors; save a state_dict");
    }
    visit(document_.top, "", 0, tensors, copies);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw UserError(where_ + ": " + what); }

  // A record whose checksum, where the writer computed one, has been compared.
  std::span<const std::byte> checked(const std::string& name) {
    const auto found = records_.find(prefix_ + name);
    if (found == records_.end()) fail("record '" + zip::printable(name) + "' is missing");
    const zip::Record& record = found->second;
    if (verified_.insert(name).second && record.crc != 0 && zip::crc32(record.bytes) != record.crc) {
      fail("record '" + zip::printable(name) + "' is damaged (wrong checksum); get the file again");
    }
    return record.bytes;
  }

  void visit(pickle::Ref ref, const std::string& name, int depth, std::map<std::string, TensorView>& tensors,
             std::deque<std::vector<std::byte>>& copies) {
    const pickle::Value& value = document_.values[ref];
    if (++visits_ > kMaxVisits || depth > kMaxDepth) fail("data.pkl: dicts nested too deep, or too large");
    const auto enter = [&](pickle::Ref item, std::string_view key) {
      const std::string joined = name.empty() ? std::string(key) : name + "." + std::string(key);
      visit(item, joined, depth + 1, tensors, copies);
    };
    if (value.kind == pickle::Kind::kDict) {
      for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) {
        enter(value.items[i + 1], key_text(document_.values[value.items[i]]));
      }
    } else if (value.kind == pickle::Kind::kList || value.kind == pickle::Kind::kTuple) {
      for (std::size_t i = 0; i < value.items.size(); ++i) enter(value.items[i], std::to_string(i));
    } else if (value.kind == pickle::Kind::kTensor) {
      names_ += name.size();
      if (names_ > kMaxNames) fail("data.pkl: names of more than " + std::to_string(kMaxNames) + " bytes");
      const auto& tensor = document_.tensors[static_cast<std::size_t>(value.number)];
      if (!tensors.emplace(name, view_of(tensor, name, copies)).second) {
        fail("tensor '" + zip::printable(name) + "' is there twice");
      }
    }
  }

  std::string key_text(const pickle::Value& key) const {
    if (key.kind == pickle::Kind::kInteger) return std::to_string(key.number);
    if (key.kind != pickle::Kind::kText || key.text.size() > kMaxKey) {
      fail("data.pkl: a key that is no name of at most " + std::to_string(kMaxKey) + " bytes");
    }
    return std::string(key.text);
  }

  TensorView view_of(const pickle::Tensor& tensor, const std::string& name,
                     std::deque<std::vector<std::byte>>& copies) {
    const std::string what = "tensor '" + zip::printable(name) + "' ";
    const auto record = checked("data/" + std::string(tensor.storage.key.substr(0, kMaxKey)));
    const std::size_t element = size_of(tensor.storage.dtype);
    if (record.size() % element != 0 || record.size() / element != tensor.storage.numel) {
      fail(what + "has a storage of " + std::to_string(record.size()) + " bytes, not of " +
           std::to_string(tensor.storage.numel) + " elements as the pickle says");
    }
    TensorView view{tensor.storage.dtype, tensor.shape, {}};
    std::uint64_t numel = 0, last = 0;
    if (!extent(tensor, numel, last) || (numel > 0 && last >= tensor.storage.numel)) {
      fail(what + "reaches beyond its storage");
    }
    if (numel == 0) return view;
    if (numel * element > room_)
      fail(what + "and others are views of one storage too often; save them apart");
    room_ -= numel * element;
    if (is_contiguous(tensor)) {
      view.bytes = record.subspan(tensor.offset * element, numel * element);
      return view;
    }
    if (numel > tensor.storage.numel) fail(what + "repeats elements of its storage; save it contiguous");
    copies.emplace_back(numel * element);
    copy_elements(tensor, 0, element, record.data() + tensor.offset * element, copies.back().data());
    view.bytes = copies.back();
    return view;
  }

  const std::string& where_;
  std::uint64_t room_;  // bytes that tensors may still have: whoever reads them copies them
  std::map<std::string, zip::Record> records_;
  std::string prefix_;
  pickle::Document document_;
  std::set<std::string> verified_;
  std::size_t visits_ = 0, names_ = 0;
};

}  // namespace

PthFile::PthFile(const fs::path& path) : where_(path.string()), file_(std::make_unique<MappedFile>(path)) {
  read(file_->bytes());
}

PthFile::PthFile(std::span<const std::byte> bytes, std::string where) : where_(std::move(where)) {
  read(bytes);
}

void PthFile::read(std::span<const std::byte> bytes) {
  Reader(bytes, where_).read(tensors_, copies_);
}

const TensorView& PthFile::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw UserError(where_ + ": has no tensor '" + name + "'");
  return found->second;
}

}  // namespace higgs
