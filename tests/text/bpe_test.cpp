#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "text/tiny_tokenizer.h"

namespace higgs::test {
namespace {

TEST(Bpe, MergesByRankAndThenFromTheLeft) {
  // "abc": bc outranks ab. "aaa": the left pair goes first.
  const auto tokenizer = load(tiny_tokenizer({"bc", "ab", "aa"}, {"b c", "a b", "a a"}));
  EXPECT_EQ(tokenizer->encode("abc"), (Ids{'a', 256}));
  EXPECT_EQ(tokenizer->encode("abd"), (Ids{257, 'd'}));
  EXPECT_EQ(tokenizer->encode("aaa"), (Ids{258, 'a'}));
}

TEST(Bpe, AMergeThatLostItsLeftPartIsNotMade) {
  // abab: ab+ab -> abab; "ba" was proposed first but its parts are gone.
  const auto tokenizer = load(tiny_tokenizer({"ab", "ba", "abab"}, {"a b", "b a", "ab ab"}));
  EXPECT_EQ(tokenizer->encode("abab"), (Ids{258}));
  EXPECT_EQ(tokenizer->encode("baba"), (Ids{'b', 256, 'a'}));
}

TEST(Bpe, MergesAsStringsAndAsPairsAreTheSame) {
  const auto strings = load(tiny_tokenizer({"ab", "abc"}, {"#version: 0.2", "a b", "ab c"}));
  const auto pairs =
      load(tiny_tokenizer({"ab", "abc"}, Json::array({Json::array({"a", "b"}), Json::array({"ab", "c"})})));
  EXPECT_EQ(strings->encode("abcab"), (Ids{257, 256}));
  EXPECT_EQ(pairs->encode("abcab"), (Ids{257, 256}));
}

TEST(Bpe, IgnoreMergesTakesAWholeWordOfTheVocabulary) {
  Json file = tiny_tokenizer({"ab", "xyz"}, {"a b"});  // no merges lead to xyz
  EXPECT_EQ(load(file)->encode("xyz"), (Ids{'x', 'y', 'z'}));
  file["model"]["ignore_merges"] = true;
  EXPECT_EQ(load(file)->encode("xyz"), (Ids{257}));
  EXPECT_EQ(load(file)->encode("xyzab"), (Ids{'x', 'y', 'z', 256}));
}

TEST(Bpe, AByteTheVocabularyLacksIsDroppedAsTheReferenceDoes) {
  Json file = tiny_tokenizer({}, Json::array());
  file["model"]["vocab"].erase("q");
  EXPECT_EQ(load(file)->encode("aqb"), (Ids{'a', 'b'}));
}

TEST(Bpe, AnUnknownTokenMattersOnlyWhenBytesAreMissing) {
  Json file = tiny_tokenizer({}, Json::array());
  file["model"]["unk_token"] = "a";
  EXPECT_EQ(load(file)->encode("q"), (Ids{'q'}));
  file["model"]["vocab"].erase("q");
  EXPECT_NE(user_error([&] { load(file); }).find("unk_token"), std::string::npos);
}

TEST(Bpe, AWordOfAMegabyteIsEncodedInSeconds) {
  const auto tokenizer = load(tiny_tokenizer({"aa", "aaaa"}, {"a a", "aa aa"}));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a')), Ids(1 << 18, 257));
  // Quadratic merging would take hours.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST(Bpe, OneTokenizerServesManyThreads) {
  const auto tokenizer = load_tokenizer(golden("hf/model"));
  const std::string text = "The quick brown fox, 12345 times; <|eot_id|> naïve 对，这就是我\n\n";
  const Ids expected = tokenizer->encode(text);
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) count += tokenizer->encode(text) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Bpe, FindsTokensByTheirTextInTheVocabulary) {
  const auto tokenizer = load(tiny_tokenizer({"Ġa", "字"}, {"Ġ a"}));
  EXPECT_EQ(tokenizer->find("Ġa"), 256);
  EXPECT_EQ(tokenizer->find("字"), 257);  // not written in the byte alphabet
  EXPECT_EQ(tokenizer->find("no such"), std::nullopt);
  EXPECT_EQ(tokenizer->vocab_size(), 258);
  EXPECT_EQ(tokenizer->decode(Ids{256, 257}, false), " a字");
  EXPECT_NE(user_error([&] { tokenizer->id_of("no such"); }).find("'no such'"), std::string::npos);
}

}  // namespace
}  // namespace higgs::test
