#include "higgs/corpus/split.h"

#include <gtest/gtest.h>

#include <set>

#include "found.h"
#include "higgs/corpus/plain_text.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::Found;

Utterance clip(const std::string& audio, const std::string& text, const std::string& speaker = "ann",
               double seconds = 5.0) {
  return {audio, std::nullopt, std::nullopt, seconds, {{speaker, text}}, audio};
}

std::vector<Utterance> clips(int count, const std::vector<std::string>& speakers = {"ann"}) {
  std::vector<Utterance> all;
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    all.push_back(
        clip(number + ".wav", "text " + number, speakers[static_cast<std::size_t>(i) % speakers.size()]));
  }
  return all;
}

std::size_t count(const Split& split, Side side) {
  return static_cast<std::size_t>(std::count(split.sides.begin(), split.sides.end(), side));
}

TEST(Split, HoldsOutTheShareAndTheSeedDecides) {
  Found found;
  const auto all = clips(200);
  HoldOutOptions options;
  const Split split = split_utterances(all, options, found.findings);
  EXPECT_EQ(count(split, Side::kVal), 10u);
  EXPECT_EQ(split_utterances(all, options, found.findings).sides, split.sides);
  options.seed = 1;
  EXPECT_NE(split_utterances(all, options, found.findings).sides, split.sides);
  options.val_split = 0.0;
  EXPECT_EQ(count(split_utterances(all, options, found.findings), Side::kVal), 0u);
}

TEST(Split, FilesInAnotherOrderGoToTheSameSides) {
  Found found;
  auto all = clips(100);
  const Split before = split_utterances(all, {}, found.findings);
  std::reverse(all.begin(), all.end());
  auto sides = split_utterances(all, {}, found.findings).sides;
  std::reverse(sides.begin(), sides.end());
  EXPECT_EQ(sides, before.sides);
}

TEST(Split, NoTextIsOnBothSides) {
  Found found;
  std::vector<Utterance> all;
  for (int i = 0; i < 300; ++i) {
    const std::string number = std::to_string(i % 60);
    all.push_back(clip(std::to_string(i) + ".wav", i % 2 ? "Text, " + number + "!" : "text " + number));
  }
  HoldOutOptions options;
  options.val_split = 0.2;
  const Split split = split_utterances(all, options, found.findings);
  EXPECT_GE(count(split, Side::kVal), 60u);
  std::set<std::string> texts[2];
  for (std::size_t i = 0; i < all.size(); ++i) {
    texts[split.sides[i] == Side::kVal].insert(sentence_key(all[i].turns[0].text));
  }
  for (const std::string& text : texts[1]) EXPECT_EQ(texts[0].count(text), 0u) << text;
}

TEST(Split, NoSoundIsOnBothSides) {
  Found found;
  std::vector<Utterance> all;
  for (int i = 0; i < 200; ++i) {  // stretches that overlap in pairs
    Utterance utterance = clip("long.wav", "text " + std::to_string(i));
    utterance.offset = i / 2 * 10.0 + i % 2 * 3.0;
    utterance.duration = 5.0;
    all.push_back(utterance);
  }
  HoldOutOptions options;
  options.val_split = 0.3;
  const Split split = split_utterances(all, options, found.findings);
  for (std::size_t i = 0; i < all.size(); i += 2) EXPECT_EQ(split.sides[i], split.sides[i + 1]) << i;
  EXPECT_GE(count(split, Side::kVal), 60u);
  EXPECT_LE(count(split, Side::kVal), 62u);
}

TEST(Split, SomethingIsLeftToTrainOn) {
  Found found;
  HoldOutOptions options;
  options.val_split = 0.9;
  EXPECT_EQ(count(split_utterances(clips(1), options, found.findings), Side::kTrain), 1u);
  EXPECT_EQ(count(split_utterances(clips(2), options, found.findings), Side::kTrain), 1u);
}

TEST(Split, WholeSpeakersAreHeldOutWithoutTheTextsOfOthers) {
  Found found;
  auto all = clips(40, {"a", "b", "c", "d"});
  for (std::size_t i = 0; i < 4; ++i)
    all.push_back(clip("same.wav" + std::to_string(i), "The same.", all[i].speaker()));
  HoldOutOptions options;
  options.val_speakers = 1;
  const Split split = split_utterances(all, options, found.findings);
  EXPECT_EQ(count(split, Side::kVal), 10u);
  EXPECT_EQ(count(split, Side::kNeither), 1u);
  std::set<std::string> held_out, trained;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (split.sides[i] != Side::kNeither)
      (split.sides[i] == Side::kVal ? held_out : trained).insert(all[i].speaker());
  }
  EXPECT_EQ(held_out.size(), 1u);
  EXPECT_EQ(trained.size(), 3u);
  EXPECT_EQ(found.count("a held-out speaker's text that others speak in training"), 1u);
}

TEST(Split, RefusesTooFewSpeakersAndSharedTexts) {
  Found found;
  HoldOutOptions options;
  options.val_speakers = 1;
  EXPECT_NE(test::user_error([&] {
              split_utterances(clips(9), options, found.findings);
            }).find("there are 1 speakers"),
            std::string::npos);
  const std::vector<Utterance> same = {clip("1.wav", "Hi.", "a"), clip("2.wav", "hi", "b")};
  EXPECT_NE(
      test::user_error([&] { split_utterances(same, options, found.findings); }).find("use --val_split"),
      std::string::npos);
}

TEST(References, AreAnotherClipOfTheSpeakerOnTheSameSide) {
  Found found;
  auto all = clips(120, {"a", "b", "c"});
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i % 5 == 0) all[i].seconds = i % 2 ? 2.0 : 16.0;       // no reference
    if (i % 7 == 0) all[i].turns[0].text = "Same as others.";  // nor one with the target's text
  }
  HoldOutOptions options;
  options.val_split = 0.1;
  options.for_cloning = true;
  const Split split = split_utterances(all, options, found.findings);
  const auto references = draw_references(all, split, 0);
  std::set<std::size_t> used;
  std::size_t num_val = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!references[i]) continue;
    const Utterance& reference = all[*references[i]];
    used.insert(*references[i]);
    num_val += split.sides[i] == Side::kVal ? 1 : 0;
    EXPECT_NE(*references[i], i);
    EXPECT_EQ(reference.speaker(), all[i].speaker());
    EXPECT_NE(reference.turns[0].text, all[i].turns[0].text);
    EXPECT_EQ(split.sides[*references[i]], split.sides[i]);
    EXPECT_GE(reference.seconds, kMinReference);
    EXPECT_LE(reference.seconds, kMaxReference);
  }
  EXPECT_GE(num_val, 2u);
  EXPECT_GT(used.size(), 30u) << "not always the same one";
  EXPECT_EQ(draw_references(all, split, 0), references);
  EXPECT_NE(draw_references(all, split, 1), references);
}

TEST(References, ASpeakerWithOneClipHasNone) {
  Found found;
  const std::vector<Utterance> all = {clip("1.wav", "One."), clip("2.wav", "Two.", "bob"),
                                      clip("3.wav", "Three.", "bob"), clip("4.wav", "Four.", "eve"),
                                      clip("4.wav", "Four again.", "eve")};
  HoldOutOptions options;
  options.val_split = 0.0;
  const auto references = draw_references(all, split_utterances(all, options, found.findings), 0);
  EXPECT_FALSE(references[0]);
  EXPECT_EQ(references[1], std::optional<std::size_t>(2));
  EXPECT_FALSE(references[3]) << "the same recording";
}

TEST(References, ValidationHasTwoClipsOfASpeakerOrNone) {
  Found found;
  const auto all = clips(60, {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"});
  HoldOutOptions options;
  options.for_cloning = true;
  const Split split = split_utterances(all, options, found.findings);
  std::map<std::string, int> held_out;
  for (std::size_t i = 0; i < all.size(); ++i)
    held_out[all[i].speaker()] += split.sides[i] == Side::kVal ? 1 : 0;
  int num_val = 0;
  for (const auto& [speaker, number] : held_out) {
    EXPECT_NE(number, 1) << speaker;
    num_val += number;
  }
  EXPECT_GE(num_val, 3);
}

TEST(References, ShortClipsDontCountForTheTwo) {
  Found found;
  auto all = clips(40);
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i].seconds = i % 8 == 0 ? 5.0 : 1.5;  // five can be references
  HoldOutOptions options;
  options.for_cloning = true;
  const Split split = split_utterances(all, options, found.findings);
  EXPECT_GE(count(split, Side::kVal), 2u);
  for (const auto& reference : draw_references(all, split, 0)) EXPECT_TRUE(reference);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].seconds = i < 3 ? 5.0 : 1.5;  // too few for both sides
  EXPECT_EQ(count(split_utterances(all, options, found.findings), Side::kVal), 0u);
}

TEST(Split, SpeakersOfOneClipCanBeHeldOut) {
  Found found;
  std::vector<Utterance> all;
  for (int i = 0; i < 40; ++i)
    all.push_back(clip(std::to_string(i), std::to_string(i), "s" + std::to_string(i)));
  EXPECT_EQ(count(split_utterances(all, {}, found.findings), Side::kVal), 2u);
}

}  // namespace
}  // namespace higgs
