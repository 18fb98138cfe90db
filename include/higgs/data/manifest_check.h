// What is wrong with a manifest as a whole, and what is in it: sample after sample, in some 100 bytes each.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "higgs/data/histogram.h"
#include "higgs/data/sample_check.h"

namespace higgs {

// Spoken so many times faster or slower than half of the manifest's texts of the script, a text is looked at.
inline constexpr double kOddRate = 2.0;
// With fewer texts of a script there is no telling what is usual.
inline constexpr std::size_t kLeastRates = 20;

struct CheckTotals {
  std::size_t num_samples = 0, num_clips = 0;
  double reply_seconds = 0.0;  // of the clips that are learnt
  std::int64_t num_tokens = 0, num_supervised = 0;
  std::map<std::string, std::size_t> errors, warnings;  // by kind
  std::set<std::string> speakers;
  Histogram seconds;                               // of the clips that are learnt
  Histogram tokens;                                // of the samples
  std::vector<Histogram> rates;                    // by script
  std::array<double, kNumScripts> median_rates{};  // 0: none

  CheckTotals();
  std::size_t num_errors() const;
  std::size_t num_warnings() const;
};

class ManifestCheck {
 public:
  // Told each problem. `line`: of the manifest.
  using Say = std::function<void(std::uint64_t line, const Problem& problem)>;
  explicit ManifestCheck(Say say) : say_(std::move(say)) {}

  // Samples in the manifest's order.
  void add(const CheckedSample& sample);
  // After the last: what only shows when all are known.
  void finish();
  // What belongs to no line.
  void add_problem(const Problem& problem) { note(0, problem); }

  const CheckTotals& totals() const { return totals_; }

 private:
  struct HashOfHash {
    std::size_t operator()(const Hash128& hash) const { return hash.low; }
  };
  struct Paced {
    float per_second;
    bool is_judged;
    std::uint64_t line;
  };
  using FirstLines = std::unordered_map<Hash128, std::uint64_t, HashOfHash>;

  void note(std::uint64_t line, const Problem& problem);
  void find_duplicates(const CheckedSample& sample);
  void judge_rates(Script script);

  Say say_;
  CheckTotals totals_;
  FirstLines sounds_, texts_;  // the line that had it first
  std::array<std::vector<Paced>, kNumScripts> paces_;
};

}  // namespace higgs
