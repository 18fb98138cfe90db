#include <cctype>
#include <optional>

#include "higgs/corpus/plain_text.h"
#include "higgs/corpus/transcripts.h"

namespace higgs {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Takes a number of at most nine digits from the beginning.
std::optional<int> take_number(std::string_view& text) {
  std::size_t size = 0;
  int value = 0;
  while (size < text.size() && is_digit(text[size])) {
    if (size == 9) return std::nullopt;
    value = value * 10 + (text[size++] - '0');
  }
  if (size == 0) return std::nullopt;
  text.remove_prefix(size);
  return value;
}

void skip_blanks(std::string_view& text) {
  while (!text.empty() && (text[0] == ' ' || text[0] == '\t')) text.remove_prefix(1);
}

// "[h:]mm:ss[.,]fff" from the beginning.
std::optional<double> take_time(std::string_view& text) {
  skip_blanks(text);
  double seconds = 0.0;
  for (int part = 0;; ++part) {
    const auto number = take_number(text);
    if (!number || part > 2) return std::nullopt;
    seconds = seconds * 60.0 + *number;
    if (!text.starts_with(':')) {
      if (part == 0) return std::nullopt;
      break;
    }
    text.remove_prefix(1);
  }
  if (!text.starts_with('.') && !text.starts_with(',')) return seconds;
  text.remove_prefix(1);
  for (double scale = 0.1; !text.empty() && is_digit(text[0]); scale /= 10.0, text.remove_prefix(1)) {
    seconds += scale * (text[0] - '0');
  }
  return seconds;
}

struct Times {
  double begin, end;
};

std::optional<Times> parse_times(std::string_view line) {
  const auto begin = take_time(line);
  skip_blanks(line);
  if (!begin || !line.starts_with("-->")) return std::nullopt;
  line.remove_prefix(3);
  const auto end = take_time(line);
  if (!end || !(line.empty() || line[0] == ' ' || line[0] == '\t')) return std::nullopt;
  if (*begin > kMaxTime || *end > kMaxTime) return std::nullopt;
  return Times{*begin, *end};
}

// What a cue's text says, without marks.
struct CueText {
  std::string text, speaker;
  bool has_two_speakers = false;
};

void take_voice(std::string_view tag, CueText& cue) {  // "v Name", "v.loud Name"
  const std::size_t space = tag.find_first_of(" \t");
  const std::string name = space == std::string_view::npos ? "" : one_line(tag.substr(space));
  if (name.empty()) return;
  cue.has_two_speakers = cue.has_two_speakers || (!cue.speaker.empty() && cue.speaker != name);
  cue.speaker = name;
}

// Takes a tag (<i>, </c>, <00:01.000>, {\an8}) from the beginning; false when what stands there is text.
bool take_tag(std::string_view& text, CueText& cue) {
  const bool is_style = text.starts_with("{\\");
  if (!is_style && (text[0] != '<' || text.size() < 2)) return false;
  const char next = text[1];
  if (!is_style && !std::isalnum(static_cast<unsigned char>(next)) && next != '/') return false;
  // A tag doesn't hold another's beginning; so the search stays short.
  const std::size_t end = text.find_first_of(is_style ? "}\n{" : ">\n<", 1);
  if (end == std::string_view::npos || text[end] != (is_style ? '}' : '>')) return false;
  const std::string_view tag = text.substr(1, end - 1);
  if (tag.starts_with("v ") || tag.starts_with("v.") || tag.starts_with("v\t")) take_voice(tag, cue);
  text.remove_prefix(end + 1);
  return true;
}

bool take_entity(std::string_view& text, std::string& out) {
  static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&nbsp;", " "}, {"&lrm;", ""}, {"&rlm;", ""}};
  for (const auto& [entity, meaning] : kEntities) {
    if (!text.starts_with(entity)) continue;
    out += meaning;
    text.remove_prefix(entity.size());
    return true;
  }
  return false;
}

CueText parse_cue(std::string_view text) {
  CueText cue;
  std::string plain;
  while (!text.empty()) {
    if (take_tag(text, cue) || (text[0] == '&' && take_entity(text, plain))) continue;
    plain += text[0];
    text.remove_prefix(1);
  }
  cue.text = one_line(plain);
  const std::size_t close = cue.text.find("]: ");
  if (cue.speaker.empty() && cue.text.starts_with('[') && close != std::string::npos) {
    cue.speaker = one_line(std::string_view(cue.text).substr(1, close - 1));
    cue.text = cue.text.substr(close + 3);
  }
  return cue;
}

bool is_blank(std::string_view line) {
  return one_line(line).empty();
}

// Lines [begin, end): a block between blank lines.
struct Block {
  std::size_t begin, end;
};

void read_block(const std::vector<std::string_view>& lines, const Block& block, const std::string& name,
                bool is_vtt, std::vector<Segment>& segments, Findings& findings) {
  std::size_t time_line = block.begin;
  while (time_line < block.end && lines[time_line].find("-->") == std::string_view::npos) ++time_line;
  const auto where = [&](std::size_t line) { return name + ":" + std::to_string(line + 1); };
  if (time_line == block.end) {  // a header, a note or a style sheet
    if (!is_vtt) {
      findings.mistake(where(block.begin) +
                       ": no line with times (00:00:01,000 --> 00:00:02,000); add it, or "
                       "take out the blank line before");
    }
    return;
  }
  const auto times = parse_times(lines[time_line]);
  if (!times) {
    findings.mistake(where(time_line) + ": times must be like 00:00:01,000 --> 00:00:02,000");
    return;
  }
  std::string text;
  for (std::size_t i = time_line + 1; i < block.end; ++i) text += std::string(lines[i]) + "\n";
  CueText cue = parse_cue(text);
  if (cue.has_two_speakers) {
    findings.mistake(where(time_line) + ": two voices in one cue; give each a cue of its own");
    return;
  }
  segments.push_back({times->begin, times->end, cue.text, cue.speaker, {}, where(time_line)});
}

}  // namespace

std::vector<Segment> parse_subtitles(std::string_view text, const std::string& name, Findings& findings) {
  const std::vector<std::string_view> lines = split_lines(text);
  const bool is_vtt = !lines.empty() && lines[0].starts_with("WEBVTT");
  if (text.find("-->") == std::string_view::npos) {
    throw UserError(name + ": holds no cue (00:00:01,000 --> 00:00:02,000 and text below it)");
  }
  std::vector<Segment> segments;
  for (std::size_t i = 0; i < lines.size();) {
    while (i < lines.size() && is_blank(lines[i])) ++i;
    Block block{i, i};
    while (block.end < lines.size() && !is_blank(lines[block.end])) ++block.end;
    if (block.end > block.begin) read_block(lines, block, name, is_vtt, segments, findings);
    i = block.end;
  }
  return segments;
}

}  // namespace higgs
