// ChatMLSample -> token ids and labels. Every piece is encoded on its own: joining first would let the
// tokenizer merge across a border, and give other ids than the reference.
#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/data/chatml.h"

namespace higgs {
namespace {

constexpr const char* kAssistant = "assistant";

void append(std::span<const std::int64_t> ids, bool supervised, TokenizedSample& out) {
  out.input_ids.insert(out.input_ids.end(), ids.begin(), ids.end());
  if (supervised) {
    out.label_ids.insert(out.label_ids.end(), ids.begin(), ids.end());
  } else {
    out.label_ids.insert(out.label_ids.end(), ids.size(), kIgnore);
  }
}

std::string header_text(const std::string& role) {
  return "<|start_header_id|>" + role + "<|end_header_id|>\n\n";
}

}  // namespace

SampleTokenizer::SampleTokenizer(const Tokenizer& tokenizer)
    : tokenizer_(&tokenizer),
      audio_in_(tokenizer.encode("<|audio_bos|><|AUDIO|><|audio_eos|>")),
      audio_out_(tokenizer.encode("<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>")),
      end_of_turn_(tokenizer.encode("<|eot_id|>")),
      end_of_message_(tokenizer.encode("<|eom_id|>")) {
  for (const char* role : {"system", "user", kAssistant}) {
    const std::string text = header_text(role);
    headers_.push_back({role, tokenizer.encode("<|begin_of_text|>" + text), tokenizer.encode(text)});
  }
}

void SampleTokenizer::append_header(const Message& message, bool first, TokenizedSample& out) const {
  const auto known = std::find_if(headers_.begin(), headers_.end(),
                                  [&](const RoleHeader& header) { return header.role == message.role; });
  if (known != headers_.end()) {
    append(first ? known->first : known->later, false, out);
  } else {
    const std::string text = header_text(message.role);
    append(tokenizer_->encode(first ? "<|begin_of_text|>" + text : text), false, out);
  }
  // Whom an assistant turn addresses is supervised even before start_index, as in the reference.
  if (!message.recipient.empty()) append(tokenizer_->encode(message.recipient + "<|recipient|>"), true, out);
}

void SampleTokenizer::append_content(const Content& content, const std::string& role, bool supervised,
                                     TokenizedSample& out) const {
  if (content.dropped) return;
  if (!content.audio) {
    append(tokenizer_->encode(content.text), supervised, out);
    return;
  }
  out.audios.push_back(*content.audio);
  if (role == kAssistant) {
    append(audio_out_, supervised, out);
  } else if (role == "user" || role == "system") {
    append(audio_in_, false, out);
  }  // any other role: a clip without a placeholder, for check_placeholders() to refuse
}

TokenizedSample SampleTokenizer::tokenize(const ChatMLSample& sample, const std::string& where) const {
  TokenizedSample out;
  out.speaker = sample.speaker;
  const std::vector<Message>& messages = sample.messages;
  try {
    for (std::size_t turn = 0; turn < messages.size(); ++turn) {
      const Message& message = messages[turn];
      const bool assistant = message.role == kAssistant;
      const bool supervised =
          assistant && (!sample.start_index || static_cast<std::int64_t>(turn) >= *sample.start_index);
      append_header(message, turn == 0, out);
      for (const Content& content : message.contents) append_content(content, message.role, supervised, out);
      const bool same_speaker_follows =
          assistant && turn + 1 < messages.size() && messages[turn + 1].role == kAssistant;
      append(same_speaker_follows ? end_of_message_ : end_of_turn_, supervised, out);
    }
  } catch (const UserError& error) {
    throw UserError(where + ": " + error.what());
  }
  return out;
}

TokenizedSample tokenize(const ChatMLSample& sample, const Tokenizer& tokenizer, const std::string& where) {
  return SampleTokenizer(tokenizer).tokenize(sample, where);
}

void check_placeholders(const TokenizedSample& sample, std::int64_t audio_in_id, std::int64_t audio_out_id,
                        const std::string& where) {
  for (const AudioContent& audio : sample.audios) {
    if (audio.text) {
      throw UserError(where + ": a content has the key 'text' but the type \"audio\", so there is no clip; " +
                      "write \"text\", or give an 'audio_url'");
    }
  }
  const auto placeholders = static_cast<std::size_t>(
      std::count_if(sample.input_ids.begin(), sample.input_ids.end(),
                    [&](std::int64_t id) { return id == audio_in_id || id == audio_out_id; }));
  if (placeholders == sample.audios.size()) return;
  const std::string counts = std::to_string(placeholders) + " <|AUDIO|> or <|AUDIO_OUT|> tokens for " +
                             std::to_string(sample.audios.size()) + " clips: ";
  throw UserError(where + ": " + counts +
                  (placeholders > sample.audios.size()
                       ? "a text holds such a token literally; take it out"
                       : "a clip stands in a message whose role is not system, user or assistant, or the "
                         "tokenizer lacks these tokens"));
}

}  // namespace higgs
