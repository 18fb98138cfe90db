#include "mutate.h"

#include <algorithm>

namespace higgs::fuzz {
namespace {

constexpr unsigned char kTelling[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '{',
                                      '}',  '[',  ']',  '0',  '9',  '-', '.'};

}  // namespace

// splitmix64
std::size_t Mutator::below(std::size_t limit) {
  state_ += 0x9e3779b97f4a7c15U;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return static_cast<std::size_t>((z ^ (z >> 31)) % limit);
}

std::size_t Mutator::place(const std::string& bytes) {
  return below(2) == 0 ? below(std::min<std::size_t>(bytes.size(), 64)) : below(bytes.size());
}

void Mutator::damage_once(std::string& bytes) {
  if (bytes.empty()) return;
  const std::size_t at = place(bytes);
  const std::size_t length = 1 + below(std::min<std::size_t>(bytes.size() - at, 1 + below(256)));
  switch (below(7)) {
    case 0:
      for (std::size_t i = 0; i <= below(8); ++i) {
        char& c = bytes[place(bytes)];
        c = static_cast<char>(c ^ (1 << below(8)));
      }
      return;
    case 1:
      bytes.resize(below(bytes.size()));
      return;
    case 2:
      for (std::size_t i = at; i < std::min(bytes.size(), at + 1 + below(8)); ++i) {
        bytes[i] = static_cast<char>(below(2) == 0 ? kTelling[below(sizeof kTelling)] : below(256));
      }
      return;
    case 3: {
      const std::size_t other = below(bytes.size() - length + 1);
      for (std::size_t i = 0; i < length; ++i) std::swap(bytes[at + i], bytes[other + i]);
      return;
    }
    case 4:
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), length, '\0');
      return;
    case 5:
      bytes.insert(below(bytes.size() + 1), bytes.substr(at, length));
      return;
    default:
      bytes.erase(at, length);
  }
}

std::string Mutator::damaged(std::string bytes) {
  const std::size_t times = 1 + below(3);
  for (std::size_t i = 0; i < times; ++i) damage_once(bytes);
  return bytes;
}

}  // namespace higgs::fuzz
