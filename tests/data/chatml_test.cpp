#include "higgs/data/chatml.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/fake_tokenizer.h"
#include "support/paths.h"

namespace higgs::test {
namespace {

using Ids = std::vector<std::int64_t>;

TokenizedSample tokens_of(const std::string& line) {
  const FakeTokenizer tokenizer;
  return tokenize(parse_chatml(line, "m:1"), tokenizer, "m:1");
}

// The text of the ids, and of the supervised ones with '.' for each that is not.
std::string input_text(const TokenizedSample& sample) {
  return FakeTokenizer().decode(sample.input_ids, false);
}

std::string supervised_text(const TokenizedSample& sample) {
  std::string text;
  EXPECT_EQ(sample.input_ids.size(), sample.label_ids.size());
  for (std::size_t i = 0; i < sample.label_ids.size(); ++i) {
    if (sample.label_ids[i] == kIgnore) continue;
    EXPECT_EQ(sample.label_ids[i], sample.input_ids[i]);
    text += FakeTokenizer().decode(std::span(&sample.label_ids[i], 1), false);
  }
  return text;
}

const char* const kDialogue =
    R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":["one",)"
    R"({"audio_url":"a.wav"}]},{"role":"assistant","content":"two"},{"role":"user","content":)"
    R"({"type":"audio","audio_url":"b.wav"}},{"role":"assistant","content":"end"}])";

TEST(ChatMLTokens, TurnsHaveHeadersMarksAndEomOnlyBetweenAssistantTurns) {
  EXPECT_EQ(input_text(tokens_of(std::string(kDialogue) + "}")),
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n"
            "one<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|><|eom_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\ntwo<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\n<|audio_bos|><|AUDIO|><|audio_eos|><|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nend<|eot_id|>");
}

TEST(ChatMLTokens, AssistantContentsAndTheirEndAreSupervised) {
  EXPECT_EQ(supervised_text(tokens_of(std::string(kDialogue) + "}")),
            "one<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|><|eom_id|>two<|eot_id|>end<|eot_id|>");
}

TEST(ChatMLTokens, SupervisionBeginsAtStartIndexCountedFromZero) {
  const auto from = [](const std::string& index) {
    return supervised_text(tokens_of(std::string(kDialogue) + ",\"start_index\":" + index + "}"));
  };
  EXPECT_EQ(from("2"), "two<|eot_id|>end<|eot_id|>");
  EXPECT_EQ(from("4"), "end<|eot_id|>");
  EXPECT_EQ(from("5"), "");
  EXPECT_EQ(from("-3"), from("null"));
  EXPECT_EQ(from("true"), from("1"));
}

TEST(ChatMLTokens, ARecipientStandsBeforeTheContentAndIsAlwaysSupervised) {
  const TokenizedSample sample =
      tokens_of(R"({"start_index":9,"messages":[{"role":"assistant","content":"x","recipient":"browser"}]})");
  EXPECT_EQ(
      input_text(sample),
      "<|begin_of_text|><|start_header_id|>assistant<|end_header_id|>\n\nbrowser<|recipient|>x<|eot_id|>");
  EXPECT_EQ(supervised_text(sample), "browser<|recipient|>");
}

TEST(ChatMLTokens, AnyRoleNameHasItsHeaderAndNoOtherRoleIsSupervised) {
  const TokenizedSample sample =
      tokens_of(R"({"messages":[{"role":"tool","content":"a"},{"role":"Assistant","content":"b"}]})");
  EXPECT_EQ(input_text(sample),
            "<|begin_of_text|><|start_header_id|>tool<|end_header_id|>\n\na<|eot_id|>"
            "<|start_header_id|>Assistant<|end_header_id|>\n\nb<|eot_id|>");
  EXPECT_EQ(supervised_text(sample), "");
}

TEST(ChatMLTokens, EveryContentIsEncodedOnItsOwnAndConstantPiecesOnlyOnce) {
  const FakeTokenizer tokenizer;
  const SampleTokenizer samples(tokenizer);
  tokenizer.encoded.clear();
  const ChatMLSample sample =
      parse_chatml(R"({"messages":[{"role":"user","content":["a","b",{"text":"c"}]}]})", "m:1");
  samples.tokenize(sample, "m:1");
  EXPECT_EQ(tokenizer.encoded, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(ChatMLTokens, NoMessagesGiveNoTokens) {
  EXPECT_TRUE(tokens_of(R"({"messages":[]})").input_ids.empty());
}

TEST(ChatMLTokens, ContentsOfAnUnknownTypeAreLeftOut) {
  const TokenizedSample sample = tokens_of(
      R"({"messages":[{"role":"user","content":[{"text":"a","type":"t"},{"audio_url":"u","type":"v"}]}]})");
  EXPECT_EQ(input_text(sample), "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n<|eot_id|>");
  EXPECT_TRUE(sample.audios.empty());
}

TEST(ChatMLTokens, WhatTheTokenizerRefusesIsReportedWithItsLine) {
  EXPECT_EQ(user_error([] { tokens_of(R"({"messages":[{"role":"user","content":"<refuse>"}]})"); }),
            "m:1: refused by the tokenizer");
}

TEST(ChatMLParse, NanAndInfinityAreNumbersOnlyOutsideStrings) {
  const ChatMLSample sample = parse_chatml(
      R"({"start_index":NaN,"x":[NaN,-Infinity],"messages":[{"role":"user","content":["NaN \" Infinity",)"
      R"({"audio_url":"NaN\\","offset":-Infinity,"duration":Infinity}]}]})",
      "m:1");
  EXPECT_FALSE(sample.start_index);
  const std::vector<Content>& contents = sample.messages.at(0).contents;
  EXPECT_EQ(contents.at(0).text, "NaN \" Infinity");
  EXPECT_EQ(contents.at(1).audio->audio_url, "NaN\\");
  EXPECT_EQ(contents.at(1).audio->offset, -INFINITY);
  EXPECT_EQ(contents.at(1).audio->duration, INFINITY);
}

TEST(ChatMLParse, NanAndInfinityInsideAWordAreNotJson) {
  for (const char* value : {"1NaN", "xNaN", "1Infinity", "Infinity1", "-NaN", "NaNNaN"}) {
    const std::string line = std::string(R"({"messages":[],"x":)") + value + "}";
    EXPECT_NE(user_error([&] { parse_chatml(line, "m:1"); }).find("m:1: not valid JSON"), std::string::npos)
        << value;
  }
}

TEST(ChatMLParse, StartIndexMustFitAndInfinityDoesNot) {
  for (const char* value : {"Infinity", "1.5", "9223372036854775808", "1e3", "\"1\"", "[1]"}) {
    const std::string line = std::string(R"({"messages":[],"start_index":)") + value + "}";
    EXPECT_EQ(user_error([&] { parse_chatml(line, "m:1"); }).find("m:1: key 'start_index' must be"), 0u)
        << value;
  }
}

TEST(ChatMLParse, KeysTwiceAndDeepNestingAreRefused) {
  EXPECT_NE(user_error([] { parse_chatml(R"({"messages":[],"messages":[]})", "m:1"); }).find("'messages'"),
            std::string::npos);
  const std::string deep = R"({"messages":[],"x":)" + std::string(100000, '[');
  EXPECT_NE(user_error([&] { parse_chatml(deep, "m:1"); }).find("nested deeper"), std::string::npos);
}

TEST(ChatMLParse, ATopThatIsNoObjectIsRefused) {
  for (const char* line : {"[]", "\"x\"", "3", "null", "NaN", ""}) {
    EXPECT_EQ(user_error([&] { parse_chatml(line, "m:1"); }).find("m:1: "), 0u) << line;
  }
}

TEST(ChatMLParse, AStrangeKeyStaysOneShortLineInTheError) {
  const std::string line =
      R"({"messages":[{"role":"user","content":"x","a\nb)" + std::string(10000, 'k') + R"(":1}]})";
  const std::string reason = user_error([&] { parse_chatml(line, "m:1"); });
  EXPECT_EQ(reason.find("m:1: message 1: unknown key 'a\\nbkkk"), 0u) << reason;
  EXPECT_EQ(reason.find('\n'), std::string::npos);
  EXPECT_LT(reason.size(), 200u);
}

TEST(ChatMLParse, ATopLevelContentListIsRefusedAndAnyOtherContentPassedOver) {
  EXPECT_NE(
      user_error([] { parse_chatml(R"({"messages":[],"content":["a","b"]})", "m:1"); }).find("'content'"),
      std::string::npos);
  for (const char* value : {"\"x\"", "[]", "[\"a\"]", "{}", "null", "7"}) {
    EXPECT_NO_THROW(parse_chatml(std::string(R"({"messages":[],"content":)") + value + "}", "m:1")) << value;
  }
}

class Placeholders : public testing::Test {
 protected:
  void check(const std::string& messages) {
    const TokenizedSample sample = tokens_of(R"({"messages":[)" + messages + "]}");
    check_placeholders(sample, *tokenizer_.find("<|AUDIO|>"), *tokenizer_.find("<|AUDIO_OUT|>"), "m:4");
  }
  FakeTokenizer tokenizer_;
};

TEST_F(Placeholders, EachWithItsClipPass) {
  check(R"({"role":"user","content":[{"audio_url":"a"}]},{"role":"assistant","content":{"audio_url":"b"}})");
  check(R"({"role":"user","content":"no clip"})");
}

TEST_F(Placeholders, LiteralTokensInTextAreRefused) {
  for (const char* token : {"<|AUDIO|>", "<|AUDIO_OUT|>"}) {
    const std::string message = std::string(R"({"role":"user","content":"say )") + token + "\"}";
    EXPECT_EQ(
        user_error([&] { check(message); }),
        "m:4: 1 <|AUDIO|> or <|AUDIO_OUT|> tokens for 0 clips: a text holds such a token literally; take "
        "it out");
  }
}

TEST_F(Placeholders, AClipOfARoleThatTakesNoneIsRefused) {
  EXPECT_NE(user_error([&] { check(R"({"role":"tool","content":[{"audio_url":"a"}]})"); }).find("role"),
            std::string::npos);
}

TEST_F(Placeholders, ATextThatSaysItIsAudioHasNoClip) {
  EXPECT_NE(
      user_error([&] { check(R"({"role":"user","content":{"text":"x","type":"audio"}})"); }).find("'text'"),
      std::string::npos);
}

}  // namespace
}  // namespace higgs::test
