// Samples of a data set by what they have in common (a speaker, a language), for a sampler that draws from
// all groups equally often. Torch-free.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace higgs {

enum class GroupBy { kNone, kSpeaker, kLanguage };

class Groups {
 public:
  // `number_of(i)`: the number of sample i's group. Groups are those that have a sample, by their numbers.
  // Takes 4 bytes a sample.
  Groups(std::size_t num_samples, const std::function<std::uint32_t(std::size_t)>& number_of);

  std::size_t size() const { return numbers_.size(); }
  std::size_t num_samples() const { return members_.size(); }
  std::uint32_t number(std::size_t group) const { return numbers_[group]; }
  std::size_t count(std::size_t group) const { return starts_[group + 1] - starts_[group]; }
  // The `i`-th sample of a group, ascending.
  std::size_t member(std::size_t group, std::size_t i) const { return members_[starts_[group] + i]; }
  // Hash of which samples are together.
  std::string fingerprint() const;

 private:
  std::vector<std::uint32_t> numbers_;  // of each group, ascending
  std::vector<std::size_t> starts_;     // of each group in members_, and their end
  std::vector<std::uint32_t> members_;
};

}  // namespace higgs
