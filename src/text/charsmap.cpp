#include "charsmap.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "higgs/base/error.h"

namespace higgs {
namespace {

// Fields of sentencepiece_model.proto.
constexpr std::uint64_t kNormalizerSpec = 3, kDenormalizerSpec = 5;  // of the model
constexpr std::uint64_t kPrecompiledCharsmap = 2;                    // of these

// Walks the fields of a protobuf message.
class Message {
 public:
  struct Field {
    std::uint64_t number = 0;
    std::string_view bytes;  // of a field with a length, else empty
  };

  Message(std::string_view bytes, const std::string& where) : left_(bytes), where_(where) {}

  std::optional<Field> next() {
    if (left_.empty()) return std::nullopt;
    const std::uint64_t tag = varint();
    Field field{tag >> 3U, {}};
    switch (tag & 7U) {
      case 0:
        varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        take(4);
        break;
      default:
        fail();
    }
    return field;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80U) return value;
    }
    fail();
  }
  std::string_view take(std::uint64_t count) {
    if (count > left_.size()) fail();
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  [[noreturn]] void fail() const {
    throw UserError(where_ + ": is no sentencepiece model, or a damaged one; copy it anew");
  }

  std::string_view left_;
  const std::string& where_;
};

// A unit of the double array (Darts-clone): offset to its children, label, and whether a value hangs on it.
struct Unit {
  std::uint32_t bits;
  bool has_value() const { return (bits >> 8U & 1U) != 0; }
  bool is_value() const { return bits >> 31U != 0; }
  std::uint32_t value() const { return bits & 0x7FFFFFFFU; }
  std::uint64_t offset() const { return std::uint64_t{bits >> 10U} << ((bits & 1U << 9U) >> 6U); }
};

// Size of the trie in bytes, the trie, then texts that end with a zero.
bool leads_nowhere_else(std::string_view map) {
  std::uint32_t trie_size = 0;
  if (map.size() <= sizeof trie_size) return false;
  std::memcpy(&trie_size, map.data(), sizeof trie_size);
  map.remove_prefix(sizeof trie_size);
  if (trie_size == 0 || trie_size % sizeof(Unit) != 0 || trie_size >= map.size()) return false;
  std::vector<Unit> units(trie_size / sizeof(Unit));
  std::memcpy(units.data(), map.data(), trie_size);
  const std::string_view texts = map.substr(trie_size);
  if (texts.back() != '\0') return false;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (i > 0 && units[i].is_value()) continue;            // no label is like this one's: no step ends here
    const std::uint64_t children = i ^ units[i].offset();  // each at this place with the text's byte xored in
    if ((children | 0xFFU) >= units.size()) return false;
    if (units[i].has_value() && units[children].value() >= texts.size()) return false;
  }
  return true;
}

}  // namespace

void check_charsmaps(std::string_view model, const std::string& where) {
  Message fields(model, where);
  while (const auto spec = fields.next()) {
    if (spec->number != kNormalizerSpec && spec->number != kDenormalizerSpec) continue;
    Message inner(spec->bytes, where);
    while (const auto field = inner.next()) {
      if (field->number == kPrecompiledCharsmap && !field->bytes.empty() &&
          !leads_nowhere_else(field->bytes)) {
        throw UserError(where + ": its character map is damaged; copy it anew");
      }
    }
  }
}

}  // namespace higgs
