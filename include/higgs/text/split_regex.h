// The regular expression that cuts text into words before byte-level BPE.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace higgs {

// A pattern as tokenizer.json writes it, in the Ruby dialect of Oniguruma, matched by PCRE2. The two agree on
// what tokenizers use; constructs on which they differ are translated, or refused by name.
// One object may serve many threads.
class SplitRegex {
 public:
  static constexpr std::size_t kMaxPattern = 4096;       // bytes
  static constexpr std::uint32_t kMaxSteps = 2'000'000;  // of the matcher, for one match
  static constexpr std::uint32_t kMaxHeap = 256 << 10;   // KiB, for one match

  // UserError that begins with `where` when the pattern cannot be used, or is longer than kMaxPattern.
  SplitRegex(std::string_view pattern, const std::string& where);
  ~SplitRegex();
  SplitRegex(SplitRegex&&) noexcept;

  // Cuts valid UTF-8 at both ends of every match: matches and what lies between them, in order, none empty.
  // UserError when a match takes more than kMaxSteps or kMaxHeap.
  std::vector<std::string_view> split(std::string_view text) const;
  // Whether the pattern matches somewhere in valid UTF-8.
  bool matches(std::string_view text) const;

 private:
  struct Program;
  std::unique_ptr<Program> program_;
  std::string where_;
};

// The pattern in PCRE2's dialect.
std::string oniguruma_to_pcre2(std::string_view pattern, const std::string& where);

}  // namespace higgs
