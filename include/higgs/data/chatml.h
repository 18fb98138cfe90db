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
  std::string audio_url;  // path (relative to the manifest), or "" / "placeholder" with raw_audio
  std::optional<std::string> raw_audio;  // base64 of a file's bytes
  std::optional<double> offset;          // seconds
  std::optional<double> duration;        // seconds
  std::optional<std::int64_t> row_id;
  // Of a text object whose `type` says "audio": the reference takes it for a clip, though there is none.
  std::optional<std::string> text;
};

// One content of a message: text, or audio.
struct Content {
  std::string text;
  std::optional<AudioContent> audio;
  bool dropped =
      false;  // a type that is neither "text" nor "audio": accepted, and left out, as the reference does
};

struct Message {
  std::string role;
  std::vector<Content> contents;
  std::string recipient;  // "" when there is none
};

struct ChatMLSample {
  std::vector<Message> messages;
  std::optional<std::int64_t> start_index;
  // `speaker`, else `misc.speaker` (its JSON when that is no string).
  std::optional<std::string> speaker;
  // `language`, else `misc.language`, where it is a string.
  std::optional<std::string> language;
};

// Token ids with their labels, clips in the order of their placeholder tokens.
struct TokenizedSample {
  std::vector<std::int64_t> input_ids;
  std::vector<std::int64_t> label_ids;  // same length; kIgnore where not supervised
  std::vector<AudioContent> audios;
  std::optional<std::string> speaker;
};

// Parses one manifest line. `where` = manifest:line begins each UserError. Accepts what the reference accepts
// (unknown top-level keys, NaN as null, ...), refuses with a reason what it refuses or crashes on.
// Messages and contents are counted from 1 in the errors.
ChatMLSample parse_chatml(std::string_view line, const std::string& where);

// Samples -> tokens, with the ids of the pieces that never change encoded once. `tokenizer` must outlive it;
// one object serves any number of threads.
class SampleTokenizer {
 public:
  explicit SampleTokenizer(const Tokenizer& tokenizer);

  // The number of <|AUDIO|> + <|AUDIO_OUT|> ids may differ from audios.size() when a text holds such a token
  // literally, or a clip stands in a message of another role than system, user and assistant:
  // check_placeholders() refuses that. UserErrors of the tokenizer come back with `where` in front.
  TokenizedSample tokenize(const ChatMLSample& sample, const std::string& where) const;

 private:
  using Ids = std::vector<std::int64_t>;
  struct RoleHeader {
    std::string role;
    Ids first;  // of the first message: with <|begin_of_text|>
    Ids later;
  };

  void append_header(const Message& message, bool first, TokenizedSample& out) const;
  void append_content(const Content& content, const std::string& role, bool supervised,
                      TokenizedSample& out) const;

  const Tokenizer* tokenizer_;
  std::vector<RoleHeader> headers_;  // system, user, assistant
  Ids audio_in_, audio_out_;         // a placeholder between its two marks
  Ids end_of_turn_, end_of_message_;
};

// One sample; for many, keep a SampleTokenizer.
TokenizedSample tokenize(const ChatMLSample& sample, const Tokenizer& tokenizer, const std::string& where);

// UserError unless every placeholder id has its clip, and every clip its placeholder.
void check_placeholders(const TokenizedSample& sample, std::int64_t audio_in_id, std::int64_t audio_out_id,
                        const std::string& where);

}  // namespace higgs
