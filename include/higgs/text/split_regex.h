// The regular expression that cuts text into words before byte-level BPE.
#pragma once

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
  // UserError that begins with `where` when the pattern cannot be used.
  SplitRegex(std::string_view pattern, const std::string& where);
  ~SplitRegex();
  SplitRegex(SplitRegex&&) noexcept;

  // Cuts valid UTF-8 at both ends of every match: matches and what lies between them, in order, none empty.
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
