#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace higgs {

// Lets a hash table of std::string be asked with a std::string_view, without a copy.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

}  // namespace higgs
