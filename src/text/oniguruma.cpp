#include <cctype>

#include "higgs/base/error.h"
#include "higgs/text/split_regex.h"

namespace higgs {
namespace {

// Letters and numbers of Unicode 15 and 16, which the tokenizers' library knows and PCRE2 10.42 (Unicode 14)
// does not. A newer PCRE2 has them anyway.
constexpr std::string_view kNewLetters =
    R"(\x{1C89}-\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D4A}-\x{10D65})"
    R"(\x{10D6F}-\x{10D85}\x{10EC2}-\x{10EC4}\x{1123F}-\x{11240}\x{11380}-\x{11389}\x{1138B})"
    R"(\x{1138E}\x{11390}-\x{113B5}\x{113B7}\x{113D1}\x{113D3}\x{11BC0}-\x{11BE0}\x{11F02})"
    R"(\x{11F04}-\x{11F10}\x{11F12}-\x{11F33}\x{1342F}\x{13441}-\x{13446}\x{13460}-\x{143FA})"
    R"(\x{16100}-\x{1611D}\x{16D40}-\x{16D6C}\x{18CFF}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A})"
    R"(\x{1E030}-\x{1E06D}\x{1E4D0}-\x{1E4EB}\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2B739})"
    R"(\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";
constexpr std::string_view kNewNumbers =
    R"(\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{11F50}-\x{11F59})"
    R"(\x{16130}-\x{16139}\x{16D70}-\x{16D79}\x{1CCF0}-\x{1CCF9}\x{1D2C0}-\x{1D2D3})"
    R"(\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";

bool is_ascii_alnum(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where) : pattern_(pattern), where_(where) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      if (pattern_[at_] == '\\') {
        escape();
      } else if (in_class_) {
        class_member();
      } else {
        outside();
      }
    }
    return std::move(out_);
  }

 private:
  bool follows(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  void copy(std::size_t n) {
    out_.append(pattern_.substr(at_, n));
    at_ += n;
  }

  void replace(std::size_t n, std::string_view text) {
    at_ += n;
    out_.append(text);
  }

  [[noreturn]] void refuse(std::size_t n) const {
    throw UserError(where_ + ": the pattern's '" + std::string(pattern_.substr(at_, n)) +
                    "' is not supported; use another tokenizer");
  }

  // White space, digits and word characters are spelled out: PCRE2's own differ (U+180E is a space there,
  // combining marks are no word characters; Oniguruma counts six Latin-1 numbers such as U+00B2 as such).
  void escape() {
    if (at_ + 1 >= pattern_.size()) refuse(1);
    const char c = pattern_[at_ + 1];
    if (c == 's') return replace(2, R"(\p{White_Space})");
    if (c == 'S') return replace(2, R"(\P{White_Space})");
    if (c == 'd') return replace(2, R"(\p{Nd})");
    if (c == 'D') return replace(2, R"(\P{Nd})");
    if (c == 'w') {
      constexpr std::string_view word = R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\xB2\xB3\xB9\xBC-\xBE])";
      return replace(2, in_class_ ? word.substr(1, word.size() - 2) : word);
    }
    if (c == 'v') return replace(2, R"(\x0b)");
    if (c == 'p' || c == 'P') return property();
    if (c == 'x' || c == 'r' || c == 'n' || c == 't' || c == 'f' || !is_ascii_alnum(c)) return copy(2);
    refuse(2);
  }

  void property() {
    const std::size_t end = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || end == std::string_view::npos) refuse(2);
    const std::string_view name = pattern_.substr(at_ + 3, end - at_ - 3);
    const std::string_view added = name == "L" ? kNewLetters : name == "N" ? kNewNumbers : "";
    const bool negated = pattern_[at_ + 1] == 'P';
    if (added.empty() || (in_class_ && negated)) return copy(end + 1 - at_);
    if (!in_class_) out_.append(negated ? "[^" : "[");
    out_.append("\\p{").append(name).append("}").append(added);
    if (!in_class_) out_.push_back(']');
    at_ = end + 1;
  }

  // Oniguruma nests and intersects classes; PCRE2 takes the same text for something else.
  void class_member() {
    if (follows("[")) refuse(1);
    if (follows("&&")) refuse(2);
    if (follows("]")) in_class_ = false;
    copy(1);
  }

  void outside() {
    if (follows("[")) return open_class();
    if (follows("(?")) return open_group();
    if (follows("(*") || follows("^") || follows("$")) refuse(follows("(") ? 2 : 1);
    if (follows("{,") || follows("}+")) refuse(2);
    copy(1);
  }

  void open_class() {
    in_class_ = true;
    copy(follows("[^") ? 2 : 1);
    if (follows("]")) refuse(1);
  }

  void open_group() {
    for (const std::string_view opening : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?i)"}) {
      if (follows(opening)) return copy(opening.size());
    }
    refuse(3);
  }

  std::string_view pattern_;
  const std::string& where_;
  std::string out_;
  std::size_t at_ = 0;
  bool in_class_ = false;
};

}  // namespace

std::string oniguruma_to_pcre2(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).run();
}

}  // namespace higgs
