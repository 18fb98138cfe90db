#include "higgs/text/chunks.h"

#include <algorithm>
#include <array>

#include "higgs/text/unicode.h"

namespace higgs {
namespace {

bool is_one_of(char32_t code, std::u32string_view all) {
  return all.find(code) != std::u32string_view::npos;
}

// White space that a line may be broken at: the no-break spaces are left out.
bool is_space(char32_t code) {
  return code == ' ' || (code >= '\t' && code <= '\r') || code == 0x85 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A && code != 0x2007) || code == 0x2028 || code == 0x2029 ||
         code == 0x205F || code == 0x3000;
}
bool is_digit(char32_t code) {
  return code >= '0' && code <= '9';
}
bool is_small_letter(char32_t code) {
  return (code >= 'a' && code <= 'z') || (code >= 0xDF && code <= 0xFF && code != 0xF7) ||
         (code >= 0x430 && code <= 0x45F);
}
bool is_letter(char32_t code) {  // as far as it matters before a full stop
  return ((code | 0x20) >= 'a' && (code | 0x20) <= 'z') || (code >= 0xC0 && code < 0x2000);
}
// Ends a sentence when white space or nothing follows, or whatever follows.
bool is_stop(char32_t code) {
  return is_one_of(code, U".!?\u2026\u061F\u0964");
}
bool is_wide_stop(char32_t code) {
  return is_one_of(code, U"\u3002\uFF01\uFF1F\uFF61");
}
bool is_pause(char32_t code) {
  return is_one_of(code, U",;:\u060C\u061B");
}
bool is_wide_pause(char32_t code) {
  return is_one_of(code, U"\uFF0C\uFF1B\uFF1A\u3001");
}
bool is_closer(char32_t code) {
  return is_one_of(code, U"\"')]}\u2019\u201D\u00BB\u203A\u300D\u300F\uFF09\u3011\u300B");
}

struct Character {
  char32_t code;
  std::size_t begin, end;  // bytes
};

std::vector<Character> characters_of(std::string_view text) {
  std::vector<Character> characters;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Character character = first_character(text.substr(at));
    characters.push_back({character.valid ? character.code : 0xFFFD, at, at + character.size});
    at += character.size;
  }
  return characters;
}

// Whether the full stop at `stop` belongs to the word before it.
bool is_abbreviation(const std::vector<Character>& all, std::size_t stop) {
  static constexpr std::array kWords = {"mr",     "mrs", "ms",  "dr",  "prof", "st",  "sr",   "jr", "vs",
                                        "rev",    "hon", "gen", "col", "lt",   "sgt", "capt", "cf", "ca",
                                        "approx", "fig", "vol", "pp",  "eg",   "ie",  "hr",   "fr", "nr",
                                        "bzw",    "vgl", "sog", "mme", "mlle", "sra", "dra",  "av", "ing"};
  std::size_t begin = stop;
  while (begin > 0 && (is_letter(all[begin - 1].code) || all[begin - 1].code == '.')) --begin;
  const bool after_digit = begin > 0 && is_digit(all[begin - 1].code);
  if (begin == stop) {  // "3." may count; "1990." ends a sentence
    std::size_t first = stop;
    while (first > 0 && is_digit(all[first - 1].code)) --first;
    return stop > first && stop - first <= 2 && (first == 0 || is_space(all[first - 1].code));
  }
  if (after_digit) return false;
  std::string word;
  bool has_inner_stop = false;
  for (std::size_t i = begin; i < stop; ++i) {
    has_inner_stop = has_inner_stop || all[i].code == '.';
    word += all[i].code < 0x80 ? static_cast<char>(all[i].code | 0x20) : '?';
  }
  if (has_inner_stop) return true;            // "e.g.", "U.S."
  if (stop - begin == 1) return word != "i";  // an initial: "J."; not "So do I."
  return std::ranges::find(kWords, word) != kWords.end();
}

enum Rank { kNone, kSpace, kPause, kSentence };

// Behind which characters the text may be cut, and how well. A cut before white space is marked at its first
// character's predecessor.
std::vector<Rank> cuts_of(const std::vector<Character>& all) {
  const std::size_t n = all.size();
  std::vector<Rank> cuts(n, kNone);
  const auto space_at = [&](std::size_t i) { return i >= n || is_space(all[i].code); };
  for (std::size_t i = 0; i < n;) {
    const char32_t code = all[i].code;
    if (is_space(code)) {
      std::size_t end = i, lines = 0;
      for (; end < n && is_space(all[end].code); ++end)
        lines += all[end].code == '\n' || all[end].code == 0x2029;
      if (i > 0) cuts[i - 1] = std::max(cuts[i - 1], lines > 1 ? kSentence : kSpace);
      i = end;
      continue;
    }
    const bool stop = is_stop(code), wide = is_wide_stop(code) || is_wide_pause(code);
    if (!stop && !wide && !is_pause(code)) {
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    if (stop || is_wide_stop(code)) {
      while (end < n && (is_stop(all[end].code) || is_wide_stop(all[end].code))) ++end;
    }
    const bool one_dot = code == '.' && end == i + 1;
    while (end < n && is_closer(all[end].code)) ++end;
    Rank rank = is_pause(code) || is_wide_pause(code) ? kPause : kSentence;
    std::size_t next = end;  // the first character behind white space
    while (next < n && is_space(all[next].code)) ++next;
    if (stop && next < n && is_small_letter(all[next].code)) rank = kSpace;
    if (one_dot && is_abbreviation(all, i)) rank = kNone;
    if (one_dot && i >= 2 && (all[i - 1].code | 0x20) == 'o' && (all[i - 2].code | 0x20) == 'n' &&
        (i == 2 || !is_letter(all[i - 3].code)) && next < n && is_digit(all[next].code)) {
      rank = kNone;  // "No. 5"
    }
    if (wide || space_at(end)) cuts[end - 1] = std::max(cuts[end - 1], rank);
    if (rank == kNone && end < n) {  // nor at the space behind it
      i = next;
      continue;
    }
    i = end;
  }
  return cuts;
}

std::string trimmed(std::string_view text, const std::vector<Character>& all, std::size_t begin,
                    std::size_t end) {
  while (begin < end && is_space(all[begin].code)) ++begin;
  while (begin < end && is_space(all[end - 1].code)) --end;
  return begin == end ? std::string()
                      : std::string(text.substr(all[begin].begin, all[end - 1].end - all[begin].begin));
}

// Chunks of a text of one speaker.
std::vector<std::string> plain_chunks(std::string_view text, std::size_t max_chars) {
  const std::vector<Character> all = characters_of(text);
  const std::vector<Rank> cuts = cuts_of(all);
  std::vector<std::string> chunks;
  for (std::size_t begin = 0; begin < all.size();) {
    if (is_space(all[begin].code)) {
      ++begin;
      continue;
    }
    std::size_t last = all.size() - 1;
    if (all.size() - begin > max_chars) {
      std::size_t best = begin;
      Rank rank = kNone;
      for (std::size_t i = begin; i < begin + max_chars; ++i) {
        if (cuts[i] != kNone && cuts[i] >= rank) rank = cuts[best = i];
      }
      if (rank == kNone) {
        best = begin + max_chars;
        while (best < last && cuts[best] == kNone) ++best;
      }
      last = best;
    }
    std::string chunk = trimmed(text, all, begin, last + 1);
    if (!chunk.empty()) chunks.push_back(std::move(chunk));
    begin = last + 1;
  }
  return chunks;
}

std::size_t count_characters(std::string_view text) {
  return characters_of(text).size();
}

struct Tag {
  std::size_t begin, end;  // bytes
  std::size_t speaker;
};

std::vector<Tag> tags_of(std::string_view text) {
  constexpr std::string_view kStart = "[SPEAKER";
  std::vector<Tag> tags;
  for (std::size_t at = text.find(kStart); at != std::string_view::npos; at = text.find(kStart, at + 1)) {
    std::size_t end = at + kStart.size(), number = 0;
    const std::size_t digits = end;
    for (; end < text.size() && is_digit(static_cast<unsigned char>(text[end])) && end - digits < 3; ++end)
      number = 10 * number + static_cast<std::size_t>(text[end] - '0');
    const std::size_t count = end - digits;
    if (count == 0 || count > 2 || end == text.size() || text[end] != ']') continue;
    tags.push_back({at, end + 1, number});
  }
  return tags;
}

// Turns with their tags; what stands before the first one is a turn without.
struct Turn {
  std::string_view tag, text;
};

std::vector<Turn> turns_of(std::string_view text, const std::vector<Tag>& tags) {
  std::vector<Turn> turns;
  if (tags.front().begin > 0) turns.push_back({{}, text.substr(0, tags.front().begin)});
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const std::size_t end = i + 1 < tags.size() ? tags[i + 1].begin : text.size();
    turns.push_back({text.substr(tags[i].begin, tags[i].end - tags[i].begin),
                     text.substr(tags[i].end, end - tags[i].end)});
  }
  return turns;
}

std::vector<std::string> dialogue_chunks(std::string_view text, const std::vector<Tag>& tags,
                                         std::size_t max_chars) {
  std::vector<std::string> chunks;
  std::size_t in_last = max_chars;  // characters of the last chunk; full
  for (const Turn& turn : turns_of(text, tags)) {
    const std::size_t tag = turn.tag.size() + (turn.tag.empty() ? 0 : 1);
    const std::vector<std::string> pieces = plain_chunks(turn.text, max_chars > tag ? max_chars - tag : 1);
    for (const std::string& piece : pieces) {
      const std::string said = turn.tag.empty() ? piece : std::string(turn.tag) + " " + piece;
      const std::size_t length = count_characters(said);
      if (!chunks.empty() && pieces.size() == 1 && in_last + 1 + length <= max_chars) {
        chunks.back() += "\n" + said;
        in_last += 1 + length;
      } else {
        chunks.push_back(said);
        in_last = length;
      }
    }
  }
  return chunks;
}

}  // namespace

std::vector<std::string> text_chunks(std::string_view text, std::size_t max_chars) {
  if (max_chars == 0 || count_characters(text) <= max_chars) return {std::string(text)};
  const std::vector<Tag> tags = tags_of(text);
  std::vector<std::string> chunks =
      tags.empty() ? plain_chunks(text, max_chars) : dialogue_chunks(text, tags, max_chars);
  if (chunks.empty()) chunks.emplace_back(text);
  return chunks;
}

std::size_t num_speakers(std::string_view text) {
  std::size_t count = 0;
  for (const Tag& tag : tags_of(text)) count = std::max(count, tag.speaker + 1);
  return count;
}

}  // namespace higgs
