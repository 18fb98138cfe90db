// ChatML lines -> token ids and labels, as boson_multimodal's prepare_chatml_sample makes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/base/file.h"
#include "higgs/text/tokenizer.h"

namespace higgs {

// Label of a position that is not supervised.
inline constexpr std::int64_t kIgnore = -100;

// A clip as a manifest names it.
struct AudioContent {
  std::string audio_url;                 // path (relative to the manifest), or "" / "placeholder" with raw_audio
  std::optional<std::string> raw_audio;  // base64 of a file's bytes
  std::optional<double> offset;          // seconds
  std::optional<double> duration;        // seconds
  std::optional<std::int64_t> row_id;
};

// One content of a message: text, or audio.
struct Content {
  std::string text;
  std::optional<AudioContent> audio;
  bool dropped = false;  // a type that is neither "text" nor "audio": accepted, and left out, as the reference does
};

struct Message {
  std::string role;
  std::vector<Content> contents;
  std::string recipient;  // "" when there is none
};

struct ChatMLSample {
  std::vector<Message> messages;
  std::optional<std::int64_t> start_index;
  std::string speaker;  // `speaker`, else `misc.speaker` (as text), else ""
};

// Token ids with their labels, clips in the order of their placeholder tokens.
struct TokenizedSample {
  std::vector<std::int64_t> input_ids;
  std::vector<std::int64_t> label_ids;  // same length; kIgnore where not supervised
  std::vector<AudioContent> audios;
  std::string speaker;
};

// Parses one manifest line. `where` = manifest:line begins each UserError. Accepts what the reference accepts
// (unknown top-level keys, NaN as null, ...), refuses with a reason what it refuses or crashes on.
ChatMLSample parse_chatml(std::string_view line, const std::string& where);

// Tokens of a sample. The number of <|AUDIO|> + <|AUDIO_OUT|> ids may differ from audios.size() when text holds
// such a token literally: check_placeholders() refuses that.
TokenizedSample tokenize(const ChatMLSample& sample, const Tokenizer& tokenizer, const std::string& where);

// UserError unless every placeholder id has its clip.
void check_placeholders(const TokenizedSample& sample, std::int64_t audio_in_id, std::int64_t audio_out_id,
                        const std::string& where);

}  // namespace higgs
