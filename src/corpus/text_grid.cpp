// The short form of a TextGrid is the long one without its labels: numbers, quoted texts and flags in a fixed
// order. So both are read by their values alone, as Praat does.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "higgs/corpus/plain_text.h"
#include "higgs/corpus/transcripts.h"

namespace higgs {
namespace {

// The values of a file of Praat: what stands free, between white space; `[1]:`, `xmin`, `=` and comments (!)
// don't count.
class Values {
 public:
  Values(std::string_view text, const std::string& name) : text_(text), name_(&name) {}

  std::string text() {
    for (;;) {
      if (!skip_space()) refuse("ends where a text in quotes was expected; is it cut short?");
      if (text_[0] == '"') return quoted();
      skip_word();
    }
  }

  double number() {
    for (;;) {
      if (!skip_space()) refuse("ends where a number was expected; is it cut short?");
      const char c = text_[0];
      if (c == '"') refuse("a text stands where a number was expected");
      const std::string_view word = skip_word();
      if (!(c == '-' || c == '+' || (c >= '0' && c <= '9'))) continue;
      double value = 0.0;
      const auto [end, error] = std::from_chars(word.data() + (c == '+'), word.data() + word.size(), value);
      if (error != std::errc() || end != word.data() + word.size() || !(std::abs(value) <= kMaxTime)) {
        refuse("'" + std::string(word.substr(0, 40)) + "' is not a number that a TextGrid may hold");
      }
      return value;
    }
  }

  std::size_t count() {
    const double value = number();
    if (value < 0.0 || value != std::floor(value)) refuse("a count must be a whole number");
    return static_cast<std::size_t>(value);
  }

  // Whether the next word is the flag <exists>.
  bool exists() {
    for (;;) {
      if (!skip_space()) refuse("ends where <exists> was expected; is it cut short?");
      if (text_[0] == '"') refuse("a text stands where <exists> was expected");
      const std::string_view word = skip_word();
      if (word == "<exists>") return true;
      if (word.starts_with('<')) return false;
    }
  }

  std::string where() const { return *name_ + ":" + std::to_string(line_); }
  [[noreturn]] void refuse(const std::string& what) const { throw UserError(where() + ": " + what); }

 private:
  bool skip_space() {
    while (!text_.empty()) {
      const char c = text_[0];
      if (c == '!') {  // to the end of the line
        text_.remove_prefix(std::min(text_.find_first_of("\r\n"), text_.size()));
        continue;
      }
      if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return true;
      if (c == '\n' || (c == '\r' && !text_.starts_with("\r\n"))) ++line_;
      text_.remove_prefix(1);
    }
    return false;
  }

  std::string_view skip_word() {
    const std::string_view word = text_.substr(0, std::min(text_.find_first_of(" \t\r\n"), text_.size()));
    text_.remove_prefix(word.size());
    return word;
  }

  std::string quoted() {
    std::string value;
    const std::string begin = where();
    text_.remove_prefix(1);
    for (;;) {
      const std::size_t end = text_.find('"');
      if (end == std::string_view::npos) throw UserError(begin + ": a quote is not closed; is it cut short?");
      value += text_.substr(0, end);
      text_.remove_prefix(end + 1);
      if (!text_.starts_with('"')) break;
      value += '"';
      text_.remove_prefix(1);
    }
    line_ += split_lines(value + "x").size() - 1;
    return value;
  }

  std::string_view text_;
  const std::string* name_;
  std::size_t line_ = 1;
};

struct Tier {
  std::string name;
  std::vector<Segment> segments;  // with a text
};

// What aligners write for silence.
bool is_silence(const std::string& text) {
  static const std::set<std::string> marks = {"", "<eps>", "sil", "sp", "<p:>", "<sil>", "silence"};
  return marks.count(lower(text)) != 0;
}

Tier read_intervals(Values& values, Findings& findings) {
  Tier tier;
  tier.name = one_line(values.text());
  values.number();
  values.number();
  for (std::size_t left = values.count(); left > 0; --left) {
    Segment segment;
    segment.begin = values.number();
    segment.where = values.where();
    segment.end = values.number();
    segment.text = one_line(values.text());
    if (is_silence(segment.text)) continue;
    if (!(segment.begin < segment.end)) {
      findings.mistake(segment.where + ": an interval must end after it begins");
      continue;
    }
    tier.segments.push_back(std::move(segment));
  }
  return tier;
}

std::vector<Tier> read_tiers(Values& values, Findings& findings) {
  if (values.text() != "ooTextFile" || values.text() != "TextGrid") {
    values.refuse("is not a TextGrid in Praat's text format; save it with Save as text file");
  }
  values.number();
  values.number();
  std::vector<Tier> tiers;
  if (!values.exists()) return tiers;
  for (std::size_t left = values.count(); left > 0; --left) {
    const std::string kind = values.text();
    if (kind == "IntervalTier") {
      tiers.push_back(read_intervals(values, findings));
    } else if (kind == "TextTier") {  // points in time: nothing that is said lasts in it
      values.text();
      values.number();
      values.number();
      for (std::size_t points = values.count(); points > 0; --points) {
        values.number();
        values.text();
      }
    } else {
      values.refuse("a tier must be an IntervalTier or a TextTier, not '" + kind.substr(0, 40) + "'");
    }
  }
  return tiers;
}

std::string list_names(const std::vector<Tier>& tiers) {
  std::string names;
  for (const Tier& tier : tiers) names += (names.empty() ? "" : ", ") + tier.name;
  return names.substr(0, 300);
}

bool is_of_phones(const std::string& name) {
  const std::string last = lower(name.substr(name.rfind(' ') == std::string::npos ? 0 : name.rfind(' ') + 1));
  return last == "phones" || last == "phone" || last == "phonemes" || last == "syllables";
}

}  // namespace

std::vector<Segment> parse_text_grid(std::string_view text, const std::string& name, const std::string& tier,
                                     Findings& findings) {
  Values values(text, name);
  std::vector<Tier> tiers = read_tiers(values, findings);
  const std::string names = list_names(tiers);
  std::erase_if(tiers, [&](const Tier& t) {
    return t.segments.empty() || (tier.empty() ? is_of_phones(t.name) : t.name != tier);
  });
  if (tiers.empty()) {
    throw UserError(name + ": no interval tier with text" + (tier.empty() ? "" : " called '" + tier + "'") +
                    "; its tiers are: " + names);
  }
  std::vector<Segment> segments;
  for (Tier& each : tiers) {
    std::string speaker = each.name;
    constexpr std::string_view kWords = " - words";
    const bool is_aligned = speaker.ends_with(kWords);
    if (is_aligned) speaker.resize(speaker.size() - kWords.size());
    if (tiers.size() == 1 && !is_aligned) speaker.clear();
    for (Segment& segment : each.segments) {
      segment.speaker = speaker;
      segments.push_back(std::move(segment));
    }
  }
  return segments;
}

}  // namespace higgs
