#include "higgs/data/groups.h"

#include <limits>
#include <map>
#include <span>
#include <utility>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"

namespace higgs {

Groups::Groups(std::size_t num_samples, const std::function<std::uint32_t(std::size_t)>& number_of)
    : members_(num_samples) {
  HIGGS_ASSERT(num_samples > 0 && num_samples <= std::numeric_limits<std::uint32_t>::max());
  std::map<std::uint32_t, std::size_t> next;  // first how many, then where the next member goes
  for (std::size_t i = 0; i < num_samples; ++i) ++next[number_of(i)];
  std::size_t start = 0;
  for (auto& [number, count] : next) {
    numbers_.push_back(number);
    starts_.push_back(start);
    start += std::exchange(count, start);
  }
  starts_.push_back(start);
  for (std::size_t i = 0; i < num_samples; ++i)
    members_[next[number_of(i)]++] = static_cast<std::uint32_t>(i);
}

std::string Groups::fingerprint() const {
  return Hasher()
      .update(std::as_bytes(std::span(starts_)))
      .update(std::as_bytes(std::span(members_)))
      .hex()
      .substr(0, 16);
}

}  // namespace higgs
