// What boson_multimodal made of the 97 lines as prompts (extract_generation_prompt_from_input_tokens), and of
// ChatMLSample objects that no JSON line can be (goldens boson/chatml).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "data/chatml_cases.h"
#include "data/fake_tokenizer.h"
#include "higgs/data/prompt.h"

namespace higgs::test {
namespace {

using Ids = std::vector<std::int64_t>;

// A prompt ends with the assistant's header. This program puts <|audio_out_bos|> behind it, because what
// follows is always a frame.
TEST(ChatMLGolden, PromptAndAnswerOfEveryAcceptedLineAreTheReferences) {
  const std::unique_ptr<Tokenizer> tokenizer = llama_tokenizer();
  if (!tokenizer) GTEST_SKIP() << kNoLlamaTokenizer;
  const std::int64_t audio_out = tokenizer->id_of("<|AUDIO_OUT|>");
  // The reference decodes the line and encodes the text again, which joins words across contents. Ours keeps
  // the ids that training sees: the same text.
  const std::set<std::string> joined_again = {"content_list_of_str", "content_list_mixed"};
  int prompts = 0, without = 0;
  for (const ChatMLCase& golden_case : chatml_cases()) {
    if (golden_case.expected.at("status") != "ok") continue;
    SCOPED_TRACE(golden_case.name);
    const ChatMLSample chat = parse_chatml(golden_case.line, "m:1");
    const Json& want = golden_case.expected.at("generation_prompt");
    if (want.is_null()) {
      ++without;
      EXPECT_EQ(user_error([&] { prompt_of_sample(chat, "m:1"); }), "m:1: has no assistant turn to generate");
      continue;
    }
    ++prompts;
    Ids prompt = tokenize_prompt(prompt_of_sample(chat, "m:1"), *tokenizer, "m:1").input_ids;
    EXPECT_EQ(prompt.back(), tokenizer->id_of("<|audio_out_bos|>"));
    prompt.pop_back();
    if (joined_again.contains(golden_case.name)) {
      EXPECT_EQ(tokenizer->decode(prompt, false),
                tokenizer->decode(want.at("prompt_tokens").get<Ids>(), false));
    } else {
      EXPECT_EQ(Json(prompt), want.at("prompt_tokens"));
    }
    // The rest of the line, up to its <|eot_id|>, is the answer that the reference quotes.
    const Ids all = tokenize(chat, *tokenizer, "m:1").input_ids;
    ASSERT_LT(prompt.size(), all.size());
    const Ids answer(all.begin() + static_cast<std::ptrdiff_t>(prompt.size()),
                     std::find(all.begin() + static_cast<std::ptrdiff_t>(prompt.size()), all.end(),
                               tokenizer->id_of("<|eot_id|>")));
    EXPECT_EQ(tokenizer->decode(answer, false), want.at("reference_answer"));
    EXPECT_EQ(std::ranges::count(answer, audio_out), want.at("num_audios_in_reference").get<int>());
  }
  EXPECT_EQ(prompts, 65);
  EXPECT_EQ(without, 3);
}

// The object's fields as this program's own types. A content that the reference passes over in an object
// (null, a number, a tuple; a JSON line with one is refused by both) is a message without contents.
// `start_index` 1.5 supervises turns from 2 on. A numeric speaker is its JSON.
ChatMLSample sample_of(const std::string& name, const Json& object) {
  ChatMLSample sample;
  for (const Json& message : object.at("messages")) {
    const Json& content = message.at("content");
    const bool passed_over =
        !content.is_string() && !content.is_object() && (!content.is_array() || name == "obj_content_tuple");
    Json line = {{"messages", Json::array({message})}};
    if (passed_over) line["messages"][0]["content"] = Json::array();
    // "text" objects and clips carry every field of their dataclass: the line's parser reads them.
    sample.messages.push_back(parse_chatml(line.dump(), name).messages.at(0));
  }
  const Json& start = object.at("start_index");
  if (!start.is_null()) sample.start_index = static_cast<std::int64_t>(std::ceil(start.get<double>()));
  if (!object.at("speaker").is_null()) sample.speaker = object.at("speaker").dump();
  return sample;
}

TEST(ChatMLGolden, ObjectsThatNoLineCanBeAreTheReferences) {
  const std::unique_ptr<Tokenizer> llama = llama_tokenizer();
  const FakeTokenizer fake;
  const Tokenizer& tokenizer = llama ? *llama : static_cast<const Tokenizer&>(fake);
  int accepted = 0, refused = 0;
  for (const std::string& line : lines_of(text_of(golden("boson/chatml/objects.jsonl")))) {
    const Json want = parse_json(line, "objects.jsonl");
    const std::string name = want.at("name");
    SCOPED_TRACE(name);
    if (want.at("status") == "raises") {
      ++refused;
      EXPECT_EQ(
          user_error([&] { parse_chatml(want.at("sample").dump(), "m:1"); }).find("m:1: message 1: key '"),
          0u);
      continue;
    }
    ++accepted;
    const ChatMLSample chat = sample_of(name, want.at("sample"));
    const TokenizedSample sample = tokenize(chat, tokenizer, "m:1");
    EXPECT_EQ(as_json(sample.audios), want.at("audio_contents"));
    EXPECT_EQ(sample.speaker ? parse_json(*sample.speaker, "speaker") : Json(nullptr), want.at("speaker_id"));
    if (!llama) continue;  // the ids are those of the whole Llama vocabulary
    EXPECT_EQ(Json(sample.input_ids), want.at("input_tokens"));
    EXPECT_EQ(Json(sample.label_ids), want.at("label_tokens"));
  }
  EXPECT_EQ(accepted, 6);
  EXPECT_EQ(refused, 2);
}

}  // namespace
}  // namespace higgs::test
