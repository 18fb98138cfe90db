// Expected ids were read off the tokenizers library (0.23) with the same files.
#include <gtest/gtest.h>

#include "text/tiny_tokenizer.h"

namespace higgs::test {
namespace {

Json with_tokens(const std::vector<std::string>& contents, const std::string& flag = "") {
  Json file = tiny_tokenizer({}, Json::array());
  for (const std::string& content : contents) {
    Json token = added_token(content, kFirstMerged + static_cast<std::int64_t>(file["added_tokens"].size()));
    if (!flag.empty()) token[flag] = true;
    file["added_tokens"].push_back(token);
  }
  return file;
}

TEST(AddedTokens, TheLeftmostMatchWinsAndThenTheLongest) {
  const auto tokenizer = load(with_tokens({"<a>", "<a><b>", "b>c", "<a"}));
  EXPECT_EQ(tokenizer->encode("x<a>y"), (Ids{'x', 256, 'y'}));
  EXPECT_EQ(tokenizer->encode("<a><b>c"), (Ids{257, 'c'}));
  EXPECT_EQ(tokenizer->encode("<b>c"), (Ids{'<', 258}));
  EXPECT_EQ(tokenizer->encode("<a<a>"), (Ids{259, 256}));
}

TEST(AddedTokens, NormalizedTokensAreLookedForAfterTheOthers) {
  Json file = with_tokens({"abc", "c d"});
  file["added_tokens"][0]["normalized"] = true;
  EXPECT_EQ(load(file)->encode("abc d"), (Ids{'a', 'b', 257}));
  EXPECT_EQ(load(file)->encode("abc"), (Ids{256}));
  file = with_tokens({"ab", "ax", "bc"});
  file["added_tokens"][0]["normalized"] = true;
  EXPECT_EQ(load(file)->encode("abc"), (Ids{'a', 258}));
}

TEST(AddedTokens, StripFlagsTakeTheWhiteSpaceBesideTheToken) {
  const auto left = load(with_tokens({"<l>"}, "lstrip"));
  EXPECT_EQ(left->encode("a \n<l> b"), (Ids{'a', 256, ' ', 'b'}));
  const auto right = load(with_tokens({"<r>"}, "rstrip"));
  EXPECT_EQ(right->encode("a <r>\xC2\x85 b"), (Ids{'a', ' ', 256, 'b'}));
  const auto both = load(with_tokens({"<r>", " s"}, "rstrip"));
  EXPECT_EQ(both->encode("<r> s"), (Ids{256, 257}));  // the space counts for both
  // U+180E is no white space.
  EXPECT_EQ(right->encode("<r>\xE1\xA0\x8E"), (Ids{256, 0xE1, 0xA0, 0x8E}));
}

TEST(AddedTokens, SingleWordTokensStandAlone) {
  const auto tokenizer = load(with_tokens({"ab"}, "single_word"));
  EXPECT_EQ(tokenizer->encode("ab"), (Ids{256}));
  EXPECT_EQ(tokenizer->encode("-ab."), (Ids{'-', 256, '.'}));
  EXPECT_EQ(tokenizer->encode("xab"), (Ids{'x', 'a', 'b'}));
  EXPECT_EQ(tokenizer->encode("ab_"), (Ids{'a', 'b', '_'}));
  EXPECT_EQ(tokenizer->encode("ab\xCC\x81"), (Ids{'a', 'b', 0xCC, 0x81}));  // a combining mark
  EXPECT_EQ(tokenizer->encode("ab\xC2\xB2"), (Ids{256, 0xC2, 0xB2}));       // superscript two
}

TEST(AddedTokens, ATokenOfTheVocabularyKeepsItsId) {
  Json file = tiny_tokenizer({}, Json::array());
  file["added_tokens"].push_back(added_token("a", 'a', false));
  file["added_tokens"].push_back(added_token("<next>", 256));
  EXPECT_EQ(load(file)->encode("ba<next>"), (Ids{'b', 'a', 256}));
}

TEST(AddedTokens, AnIdThatIsNotTheTokensPlaceIsRefused) {
  Json file = with_tokens({"<a>"});
  file["added_tokens"][0]["id"] = 300;
  const std::string message = user_error([&] { load(file); });
  EXPECT_NE(message.find("'<a>' has id 300, by its place it would be 256"), std::string::npos) << message;
}

TEST(AddedTokens, SkippingLeavesOutSpecialTokensOnly) {
  Json file = with_tokens({"<s>", "<plain>"});
  file["added_tokens"][1]["special"] = false;
  const auto tokenizer = load(file);
  EXPECT_EQ(tokenizer->decode(Ids{256, 'a', 257}, false), "<s>a<plain>");
  EXPECT_EQ(tokenizer->decode(Ids{256, 'a', 257}, true), "a<plain>");
}

TEST(AddedTokens, TokenizerConfigAddsItsTokensAndNamedSpecialOnes) {
  const TemporaryFolder folder;
  write_text(folder / "tokenizer.json", tiny_tokenizer({"END", "PAD"}, Json::array()).dump());
  Json listed = added_token("<new>", 258);
  listed.erase("id");
  const Json config = {{"eos_token", "END"},
                       {"bos_token", "<unknown>"},
                       {"pad_token", {{"content", "PAD"}, {"lstrip", true}}},
                       {"added_tokens_decoder", {{"258", listed}}}};
  write_text(folder / "tokenizer_config.json", config.dump());
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode("aEND<new> PAD"), (Ids{'a', 256, 258, 257}));
  EXPECT_EQ(tokenizer->find("<unknown>"), std::nullopt);
  EXPECT_EQ(tokenizer->vocab_size(), 259);
}

}  // namespace
}  // namespace higgs::test
