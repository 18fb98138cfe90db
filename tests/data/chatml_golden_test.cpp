// What boson_multimodal's prepare_chatml_sample made of 97 lines, accepted and refused.
#include <gtest/gtest.h>

#include <map>

#include "data/chatml_cases.h"
#include "data/fake_tokenizer.h"

namespace higgs::test {
namespace {

TEST(ChatMLGolden, ClipsAndSpeakerOfEveryAcceptedLineAreTheReferences) {
  const FakeTokenizer tokenizer;
  int accepted = 0;
  for (const ChatMLCase& golden_case : chatml_cases()) {
    if (golden_case.expected.at("status") != "ok") continue;
    SCOPED_TRACE(golden_case.name);
    ++accepted;
    const TokenizedSample sample = tokenize(parse_chatml(golden_case.line, "m:1"), tokenizer, "m:1");
    EXPECT_EQ(as_json(sample.audios), golden_case.expected.at("audio_contents"));
    const Json& speaker = golden_case.expected.at("speaker_id");
    ASSERT_EQ(sample.speaker.has_value(), !speaker.is_null());
    if (speaker.is_string()) {
      EXPECT_EQ(*sample.speaker, speaker.get<std::string>());
    } else if (!speaker.is_null()) {
      EXPECT_EQ(parse_json(*sample.speaker, "speaker"), speaker);
    }
  }
  EXPECT_EQ(accepted, 68);
}

// The key, or the thing, that the reason must name.
const std::map<std::string, std::string>& reasons() {
  static const std::map<std::string, std::string> table = {
      {"bad_speaker_int", "m:7: key 'speaker' must be a string or null, not a number"},
      {"bad_speaker_list", "m:7: key 'speaker' must be a string or null, not a list"},
      {"bad_start_index_float", "m:7: key 'start_index' must be an integer"},
      {"bad_start_index_string", "m:7: key 'start_index' must be an integer or null, not a string"},
      {"bad_no_messages", "m:7: key 'messages' is missing"},
      {"bad_messages_null", "m:7: key 'messages' must be a list, not null"},
      {"bad_messages_string", "m:7: key 'messages' must be a list, not a string"},
      {"bad_content_null", "m:7: message 1: key 'content' must be"},
      {"bad_content_int", "m:7: message 1: key 'content' must be"},
      {"bad_no_content", "m:7: message 1: key 'content' is missing"},
      {"bad_no_role", "m:7: message 1: key 'role' is missing"},
      {"bad_role_null", "m:7: message 1: key 'role' must be a string, not null"},
      {"bad_role_int", "m:7: message 1: key 'role' must be a string, not a number"},
      {"bad_message_extra_key", "m:7: message 1: unknown key 'name'; known here are role, content"},
      {"bad_content_extra_key", "m:7: message 1: unknown key 'lang'; known here are text, type"},
      {"bad_content_list_extra_key", "m:7: message 1, content 1: unknown key 'lang'"},
      {"bad_audio_text_both", "m:7: message 1: keys 'audio_url' and 'text' exclude each other"},
      {"bad_audio_missing_url", "m:7: message 1, content 1: key 'text' or 'audio_url' is missing"},
      {"bad_audio_url_null", "m:7: message 1, content 1: key 'audio_url' must be a string, not null"},
      {"bad_audio_row_id_string", "m:7: message 2: key 'row_id' must be an integer"},
      {"bad_audio_type_text", "m:7: message 2: key 'type' says \"text\""},
      {"bad_recipient_user", "m:7: message 1: key 'recipient' is only for messages of the role"},
      {"bad_recipient_int", "m:7: message 2: key 'recipient' must be a string or null, not a number"},
      {"bad_misc_string", "m:7: key 'misc' must be an object or null, not a string"},
      {"bad_nested_list_content", "m:7: message 1, content 1: a content must be a string, a text or"},
      {"content_list_null_element", "m:7: message 1, content 1: a content must be a string, a text or"},
      {"bad_message_null", "m:7: message 1: a message must be an object, not null"},
      {"bad_message_string", "m:7: message 1: a message must be an object, not a string"},
      {"nan_content_nested", "m:7: message 1: key 'content' must be"}};
  return table;
}

TEST(ChatMLGolden, EveryLineTheReferenceRefusesOrCrashesOnIsRefusedWithAReason) {
  std::size_t refused = 0;
  for (const ChatMLCase& golden_case : chatml_cases()) {
    if (golden_case.expected.at("status") == "ok") continue;
    SCOPED_TRACE(golden_case.name);
    ++refused;
    const std::string reason = user_error([&] { parse_chatml(golden_case.line, "m:7"); });
    ASSERT_EQ(reasons().count(golden_case.name), 1u);
    EXPECT_EQ(reason.find(reasons().at(golden_case.name)), 0u) << reason;
    EXPECT_EQ(reason.find('\n'), std::string::npos);
  }
  EXPECT_EQ(refused, reasons().size());
}

// The ids are those of the whole Llama vocabulary, which is not ours to publish.
TEST(ChatMLGolden, IdsAndLabelsOfEveryAcceptedLineAreTheReferences) {
  const std::unique_ptr<Tokenizer> tokenizer = llama_tokenizer();
  if (!tokenizer) GTEST_SKIP() << kNoLlamaTokenizer;
  const SampleTokenizer samples(*tokenizer);
  int compared = 0;
  for (const ChatMLCase& golden_case : chatml_cases()) {
    if (golden_case.expected.at("status") != "ok") continue;
    SCOPED_TRACE(golden_case.name);
    const TokenizedSample sample = samples.tokenize(parse_chatml(golden_case.line, "m:1"), "m:1");
    EXPECT_EQ(Json(sample.input_ids), golden_case.expected.at("input_tokens"));
    EXPECT_EQ(Json(sample.label_ids), golden_case.expected.at("label_tokens"));
    ++compared;
  }
  EXPECT_EQ(compared, 68);
}

TEST(ChatMLGolden, ALineCutAnywhereOrWithAForeignByteEndsInAUserErrorAtWorst) {
  int refused = 0;
  for (const ChatMLCase& golden_case : chatml_cases()) {
    for (std::size_t i = 0; i < golden_case.line.size(); ++i) {
      std::string changed = golden_case.line;
      changed[i] = static_cast<char>(i * 37 + 129);
      for (const std::string& line : {golden_case.line.substr(0, i), changed}) {
        try {
          parse_chatml(line, "m:1");
        } catch (const UserError& error) {
          ++refused;
          ASSERT_EQ(std::string(error.what()).find("m:1: "), 0u) << error.what();
        }
      }
    }
  }
  EXPECT_GT(refused, 22000);
}

}  // namespace
}  // namespace higgs::test
