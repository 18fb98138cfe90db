// What is said in a sample, and by whom: turns, special tokens, the pace of speech.
#include <algorithm>

#include "higgs/corpus/plain_text.h"
#include "higgs/data/prompt.h"
#include "sample_problems.h"

namespace higgs {
namespace {

// Shorter stretches say little about pace: a word's last sound may be as long as the rest.
constexpr double kLeastPaced = 1.0;

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  std::size_t end = std::min(text.size(), kLongest);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return "'" + std::string(text.substr(0, end)) + (end < text.size() ? "..." : "") + "'";
}

bool holds_clip(const Message& message) {
  return std::any_of(message.contents.begin(), message.contents.end(),
                     [](const Content& content) { return content.audio.has_value() && !content.dropped; });
}

// Without what stands in brackets: [SPEAKER0], [laugh], <SE>, <|...|>.
std::string without_tags(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const char close = text.front() == '[' ? ']' : text.front() == '<' ? '>' : '\0';
    const std::size_t end = close == '\0' ? std::string_view::npos : text.find(close);
    if (end == std::string_view::npos) {
      out += text.front();
      text.remove_prefix(1);
    } else {
      text.remove_prefix(end + 1);
    }
  }
  return out;
}

// What the clip of a turn says: the user turn that it answers, else the text beside it.
std::string spoken_text(const ChatMLSample& chat, std::size_t turn) {
  std::size_t asked = turn;
  while (asked > 0 && chat.messages[asked].role == "assistant" &&
         (asked == turn || !holds_clip(chat.messages[asked])))
    --asked;
  std::string text;
  if (chat.messages[asked].role == "user") text = text_of(chat.messages[asked]);
  if (text.empty()) text = text_of(chat.messages[turn]);
  return without_tags(text);
}

bool is_scene_mark(std::string_view token) {
  return token == "<|scene_desc_start|>" || token == "<|scene_desc_end|>";
}

void check_tokens_of(const Content& content, const Message& message, const CheckOptions& options,
                     CheckedSample& out) {
  std::string_view text = content.text;
  for (std::size_t begin = text.find("<|"); begin != std::string_view::npos; begin = text.find("<|")) {
    text.remove_prefix(begin);
    const std::size_t end = text.find("|>", 2);
    if (end == std::string_view::npos) return;
    const std::string_view token = text.substr(0, end + 2);
    text.remove_prefix(2);
    if (options.base && !options.base->tokenizer->find(token)) continue;
    if (message.role == "system" && is_scene_mark(token)) continue;
    if (token == "<|AUDIO|>" || token == "<|AUDIO_OUT|>") {
      add_error(out, "audio_token_in_text",
                "a text holds " + std::string(token) +
                    " literally, for which there is no clip; take it out, "
                    "or make it an audio content");
    } else {
      add_warning(out, "special_token",
                  "a text holds " + in_quotes(token) +
                      ", which the model takes for a special token; take it "
                      "out unless it is meant so");
    }
  }
}

}  // namespace

void add_warning(CheckedSample& out, const char* kind, std::string message) {
  out.problems.push_back({kind, Grade::kWarning, std::move(message)});
}
void add_error(CheckedSample& out, const char* kind, std::string message) {
  out.problems.push_back({kind, Grade::kError, std::move(message)});
}

bool is_learnt(const ChatMLSample& chat, std::size_t turn) {
  return chat.messages[turn].role == "assistant" &&
         (!chat.start_index || static_cast<std::int64_t>(turn) >= *chat.start_index);
}

void check_turns(const ChatMLSample& chat, CheckedSample& out) {
  bool any_learnt = false;
  for (std::size_t turn = 0; turn < chat.messages.size(); ++turn) {
    const Message& message = chat.messages[turn];
    any_learnt = any_learnt || is_learnt(chat, turn);
    if (message.role != "system" && message.role != "user" && message.role != "assistant") {
      add_error(out, "role",
                "message " + std::to_string(turn + 1) + " has the role " + in_quotes(message.role) +
                    ", which the model doesn't know; write system, user or assistant");
    }
    if (std::any_of(message.contents.begin(), message.contents.end(),
                    [](const Content& content) { return content.dropped; })) {
      add_warning(out, "content_type",
                  "message " + std::to_string(turn + 1) +
                      " has a content whose type is neither text nor audio, which is left out; give one of "
                      "the two");
    }
  }
  if (chat.messages.empty() || chat.messages.back().role != "assistant") {
    add_error(out, "no_reply",
              "the last turn isn't the assistant's, so there is nothing to be said; add the clip");
  } else if (!any_learnt) {
    add_error(out, "nothing_learnt",
              "start_index " + std::to_string(*chat.start_index) + " leaves no turn to be learnt of " +
                  std::to_string(chat.messages.size()) + "; it counts messages from 0");
  } else if (!holds_clip(chat.messages.back())) {
    add_warning(out, "no_final_audio",
                "the last turn holds no clip: the model learns to answer in writing; add the clip that says "
                "it, unless that is meant");
  }
}

void check_special_tokens(const ChatMLSample& chat, const CheckOptions& options, CheckedSample& out) {
  bool hears = false;
  for (const Message& message : chat.messages) {
    hears = hears || (message.role != "assistant" && holds_clip(message));
    for (const Content& content : message.contents) {
      if (!content.audio && !content.dropped) check_tokens_of(content, message, options, out);
    }
  }
  if (hears && options.base && options.base->is_hf) {
    add_warning(out, "heard_on_hf",
                "a clip in a user or system turn (<|AUDIO|>) on a base in the HF layout: it can be trained, "
                "but transformers can't serve it; give a reference as an assistant turn (prepare --form "
                "clone), or use a base in boson's layout");
  }
}

RateLimits rate_limits(Script script) {
  switch (script) {
    case Script::kHan:
      return {1.0, 10.0};  // a syllable each
    case Script::kHangul:
      return {1.5, 12.0};  // a syllable each
    case Script::kKana:
      return {1.5, 15.0};  // a mora each, fewer where Han stands between
    case Script::kArabic:
    case Script::kDevanagari:
      return {2.5, 25.0};  // vowels are not, or in one letter with their consonant, written
    default:
      return {3.0, 30.0};  // audiobooks have 11 to 15
  }
}

void check_speech(const ChatMLSample& chat, const std::vector<double>& voiced, CheckedSample& out) {
  std::string key;
  for (std::size_t turn = 0; turn < chat.messages.size(); ++turn) {
    if (chat.messages[turn].role != "assistant" || !holds_clip(chat.messages[turn])) continue;
    const std::string text = spoken_text(chat, turn);
    if (is_learnt(chat, turn)) key += sentence_key(text) + "\n";
    const WrittenText written = written_text(text);
    if (written.num_characters == 0) {
      add_warning(out, "no_text",
                  "message " + std::to_string(turn + 1) +
                      " is a clip without a text before it; write what it says into the user turn");
    } else if (voiced[turn] >= kLeastPaced) {
      const RateLimits limits = rate_limits(written.script);
      SpeechRate rate{written.script, static_cast<double>(written.num_characters) / voiced[turn], false};
      if (rate.per_second < limits.least || rate.per_second > limits.most) {
        rate.is_judged = true;
        add_warning(out, "speech_rate",
                    formatted("%.1f", rate.per_second) + " characters a second (" + name_of(rate.script) +
                        ", " + std::to_string(written.num_characters) + " in " +
                        formatted("%.1f", voiced[turn]) +
                        " s), more or less than one can speak; the text may be of another clip, or the clip "
                        "cut: " +
                        in_quotes(text));
      }
      out.rates.push_back(rate);
    }
  }
  if (key.find_first_not_of('\n') == std::string::npos) return;
  out.text = Hasher().update(std::string_view(out.speaker)).update(std::string_view(key)).digest();
}

}  // namespace higgs
