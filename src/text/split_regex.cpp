#define PCRE2_CODE_UNIT_WIDTH 8
#include "higgs/text/split_regex.h"

#include <pcre2.h>

#include "higgs/base/error.h"
#include "higgs/text/unicode.h"

namespace higgs {
namespace {

std::string message_of(int code) {
  unsigned char text[256];
  if (pcre2_get_error_message(code, text, sizeof text) < 0) return "error " + std::to_string(code);
  return reinterpret_cast<const char*>(text);
}

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
using MatchData = std::unique_ptr<pcre2_match_data, FreeMatchData>;

}  // namespace

struct SplitRegex::Program {
  pcre2_code* code = nullptr;
  pcre2_match_context* limits = pcre2_match_context_create(nullptr);

  Program() {
    pcre2_set_match_limit(limits, kMaxSteps);
    pcre2_set_heap_limit(limits, kMaxHeap);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }

  // Looks for the next match at or after `offset`.
  bool next(std::string_view text, std::size_t offset, pcre2_match_data* data,
            const std::string& where) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int found = pcre2_match(code, subject, text.size(), offset, PCRE2_NO_UTF_CHECK, data, limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter keeps its stack on the heap
      found =
          pcre2_match(code, subject, text.size(), offset, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, limits);
    }
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found < 0) {
      throw UserError(where + ": a text of " + std::to_string(text.size()) +
                      " bytes cannot be cut by the pattern (" + message_of(found) + "); shorten the text");
    }
    return true;
  }
};

SplitRegex::SplitRegex(std::string_view pattern, const std::string& where)
    : program_(std::make_unique<Program>()), where_(where) {
  if (pattern.size() > kMaxPattern) {
    throw UserError(where + ": a pattern of " + std::to_string(pattern.size()) + " bytes, at most " +
                    std::to_string(kMaxPattern) + " are allowed");
  }
  const std::string translated = oniguruma_to_pcre2(pattern, where);
  int error = 0;
  std::size_t offset = 0;
  std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  program_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                 PCRE2_UTF | PCRE2_UCP, &error, &offset, context.get());
  if (program_->code == nullptr) {
    throw UserError(where + ": the pattern '" + std::string(pattern) +
                    "' cannot be compiled: " + message_of(error));
  }
  pcre2_jit_compile(program_->code, PCRE2_JIT_COMPLETE);  // without a JIT the interpreter serves
}

SplitRegex::~SplitRegex() = default;
SplitRegex::SplitRegex(SplitRegex&&) noexcept = default;

std::vector<std::string_view> SplitRegex::split(std::string_view text) const {
  const MatchData data(pcre2_match_data_create_from_pattern(program_->code, nullptr));
  const std::size_t* bounds = pcre2_get_ovector_pointer(data.get());
  std::vector<std::string_view> pieces;
  const auto add = [&](std::size_t begin, std::size_t end) {
    if (begin < end) pieces.push_back(text.substr(begin, end - begin));
  };
  std::size_t done = 0;
  for (std::size_t offset = 0; offset < text.size();) {
    if (!program_->next(text, offset, data.get(), where_)) break;
    const std::size_t begin = bounds[0], end = bounds[1];
    add(done, begin);
    add(begin, end);
    done = end;
    // An empty match cuts, and the search goes on behind the next character.
    offset = end > begin || end == text.size() ? end : end + first_character(text.substr(end)).size;
  }
  add(done, text.size());
  return pieces;
}

bool SplitRegex::matches(std::string_view text) const {
  const MatchData data(pcre2_match_data_create_from_pattern(program_->code, nullptr));
  return program_->next(text, 0, data.get(), where_);
}

}  // namespace higgs
