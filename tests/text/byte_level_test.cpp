// Against ids and texts that the two public implementations gave.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "text/tiny_tokenizer.h"

namespace higgs::test {
namespace {

std::vector<Json> read_lines(const fs::path& path) {
  std::ifstream file(path);
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(parse_json(line, path.string() + ":" + std::to_string(lines.size() + 1)));
  }
  return lines;
}

// What the Python class does to a decoded text when it is asked for clean_up_tokenization_spaces. This
// program never does (it loses spaces); the golden's cleaned texts are compared through it.
std::string cleaned_up(std::string text) {
  using Pair = std::pair<std::string, std::string>;
  for (const auto& [spaced, joined] : {Pair{" .", "."}, Pair{" ?", "?"}, Pair{" !", "!"}, Pair{" ,", ","},
                                       Pair{" ' ", "'"}, Pair{" n't", "n't"}, Pair{" 'm", "'m"},
                                       Pair{" 's", "'s"}, Pair{" 've", "'ve"}, Pair{" 're", "'re"}}) {
    for (std::size_t at = 0; (at = text.find(spaced, at)) != std::string::npos; at += joined.size()) {
      text.replace(at, spaced.size(), joined);
    }
  }
  return text;
}

// The whole Llama 3.1 vocabulary, which is not part of the repository.
class LlamaVocabulary : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto packed = external("data/tokenizer/tokenizer.json.gz");
    if (!packed) return;
    const TemporaryFolder folder;
    const std::string command =
        "gzip -dc '" + packed->string() + "' > '" + (folder / "tokenizer.json").string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    tokenizer_ = load_tokenizer(folder.path());
  }
  static void TearDownTestSuite() { tokenizer_.reset(); }
  void SetUp() override {
    if (!tokenizer_) GTEST_SKIP() << "data/tokenizer/tokenizer.json.gz is not here";
  }
  static inline std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(LlamaVocabulary, EncodesAsTheReference) {
  const std::vector<Json> lines = read_lines(golden("boson/text/text.jsonl"));
  ASSERT_EQ(lines.size(), 376u);
  for (const Json& line : lines) {
    EXPECT_EQ(tokenizer_->encode(line["text"].get<std::string>()), line["ids"].get<Ids>()) << line["id"];
  }
}

TEST_F(LlamaVocabulary, DecodesAsTheReference) {
  int cleaned = 0, skipped = 0;
  for (const Json& line : read_lines(golden("boson/text/text.jsonl"))) {
    const Ids ids = line["ids"].get<Ids>();
    const std::string text = line["text"];
    EXPECT_EQ(tokenizer_->decode(ids, false), line.value("decoded_no_cleanup", text)) << line["id"];
    EXPECT_EQ(tokenizer_->decode(ids, true), line.value("decoded_skip_special", text)) << line["id"];
    EXPECT_EQ(cleaned_up(tokenizer_->decode(ids, false)), line.value("decoded_cleanup", text)) << line["id"];
    cleaned += line.contains("decoded_cleanup");
    skipped += line.contains("decoded_skip_special");
  }
  EXPECT_EQ(cleaned, 9);
  EXPECT_EQ(skipped, 104);
}

TEST_F(LlamaVocabulary, DecodesArbitraryIdsAsTheReference) {
  const std::vector<Json> lines = read_lines(golden("boson/text/decode_ids.jsonl"));
  ASSERT_EQ(lines.size(), 316u);
  for (const Json& line : lines) {
    const std::string text = tokenizer_->decode(line["ids"].get<Ids>(), false);
    EXPECT_EQ(text, line["decoded_no_cleanup"].get<std::string>()) << line["id"];
    EXPECT_EQ(cleaned_up(text), line["decoded_cleanup"].get<std::string>()) << line["id"];
  }
}

TEST_F(LlamaVocabulary, FindsSpecialTokens) {
  EXPECT_EQ(tokenizer_->vocab_size(), 128256);
  EXPECT_EQ(tokenizer_->id_of("<|AUDIO_OUT|>"), 128016);
  EXPECT_EQ(tokenizer_->id_of("<|eot_id|>"), 128009);
}

TEST_F(LlamaVocabulary, EncodesTheSecondReferencesStringsAndChats) {
  const Json expected = read_json_file(golden("hf/tokenizer_golden.json"));
  std::size_t compared = 0;
  for (const char* kind : {"strings", "chats"}) {
    for (const Json& row : expected[kind]) {
      EXPECT_EQ(tokenizer_->encode(row["text"].get<std::string>()), row["ids_full_vocabulary"].get<Ids>())
          << row["text"];
      ++compared;
    }
  }
  EXPECT_EQ(compared, 31u);
}

TEST(ReducedVocabulary, EncodesStringsAndChatsAsTheReference) {
  const auto tokenizer = load_tokenizer(golden("hf/model"));
  EXPECT_EQ(tokenizer->vocab_size(), 2048);
  const Json expected = read_json_file(golden("hf/tokenizer_golden.json"));
  ASSERT_GE(expected["strings"].size(), 29u);
  for (const char* kind : {"strings", "chats"}) {
    for (const Json& row : expected[kind]) {
      const std::string text = row["text"];
      EXPECT_EQ(tokenizer->encode(text), row["ids"].get<Ids>()) << text;
      EXPECT_EQ(tokenizer->decode(row["ids"].get<Ids>(), false), text);
    }
  }
}

TEST(ByteLevel, BytesThatAreNoUtf8AreEncodedAsReplacements) {
  const auto tokenizer = load_tokenizer(golden("hf/model"));
  EXPECT_EQ(tokenizer->encode("a\xFF\xE2\x82z"), tokenizer->encode("a\uFFFD\uFFFDz"));
  EXPECT_EQ(tokenizer->encode(std::string("\0", 1)).size(), 1u);
}

TEST(ByteLevel, DecodingReplacesHalfCharactersAndDropsUnknownIds) {
  const auto tokenizer = load(tiny_tokenizer({}, Json::array()));
  EXPECT_EQ(tokenizer->decode(Ids{0xC3, 0xA9, -1, 1 << 20, 'a', 0xE2, 0x82, 'b'}, false), "éa\uFFFDb");
  EXPECT_EQ(tokenizer->decode(Ids{}, true), "");
}

TEST(ByteLevel, SplitsOfASequenceApplyOneAfterTheOther) {
  Json file = tiny_tokenizer({"ab", "ba", "Ġa"}, {"a b", "b a", "Ġ a"});
  const auto split = [](const std::string& pattern) {
    return Json{
        {"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  };
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {split("a"), split("ab"), bytes}}};
  EXPECT_EQ(load(file)->encode("ab a"), (Ids{'a', 'b', ' ', 'a'}));  // nothing is left to merge
  file["pre_tokenizer"] = bytes;
  EXPECT_EQ(load(file)->encode("ab a"), (Ids{256, 258}));
}

TEST(ByteLevel, WithoutASplitGpt2sPatternCuts) {
  // "a'sa": the pattern isolates 's, so that "sa" does not merge.
  const auto tokenizer = load(tiny_tokenizer({"sa", "'s"}, {"s a", "' s"}));
  EXPECT_EQ(tokenizer->encode("a'sa"), (Ids{'a', 257, 'a'}));
}

}  // namespace
}  // namespace higgs::test
