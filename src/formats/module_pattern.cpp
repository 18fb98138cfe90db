#define PCRE2_CODE_UNIT_WIDTH 8
#include "module_pattern.h"

#include <pcre2.h>

#include <memory>

#include "higgs/base/error.h"

namespace higgs {
namespace {

constexpr std::size_t kMaxPattern = 256;
constexpr std::uint32_t kMaxSteps = 200000;  // a path has some fifty characters

using Code = std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)>;
using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;
using MatchContext = std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)>;

PCRE2_SPTR units(const std::string& text) {
  return reinterpret_cast<PCRE2_SPTR>(text.c_str());
}

}  // namespace

bool pattern_matches(const std::string& pattern, const std::string& module_path, const std::string& where) {
  if (pattern.size() > kMaxPattern) {
    throw UserError(where + " '" + pattern.substr(0, 32) + "...' is longer than " +
                    std::to_string(kMaxPattern) + " characters");
  }
  const std::string whole = "(.*\\.)?(" + pattern + ")$";
  int error = 0;
  std::size_t offset = 0;
  const Code code(
      pcre2_compile(units(whole), whole.size(), PCRE2_ANCHORED | PCRE2_UTF, &error, &offset, nullptr),
      pcre2_code_free);
  if (!code) throw UserError(where + " '" + pattern + "' is not a valid regular expression");
  const MatchData data(pcre2_match_data_create_from_pattern(code.get(), nullptr), pcre2_match_data_free);
  const MatchContext limits(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(limits.get(), kMaxSteps);
  const int found =
      pcre2_match(code.get(), units(module_path), module_path.size(), 0, 0, data.get(), limits.get());
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0) throw UserError(where + " '" + pattern + "' takes too long to match; simplify it");
  return true;
}

}  // namespace higgs
