// Batches of the loader are those that make_batch makes, in order, whoever made them.
#include "higgs/data/batch_loader.h"

#include <gtest/gtest.h>

#include <set>

#include "fake_tokenizer.h"
#include "higgs/audio/waveform.h"
#include "support/paths.h"

namespace higgs {
namespace {

class BatchLoaderTest : public ::testing::Test {
 protected:
  BatchLoaderTest()
      : store([]() -> std::unique_ptr<AudioTokenizer> { throw UserError("no codec"); }, "", 8, 1024) {
    ids.audio_in = tokenizer.id_of("<|AUDIO|>");
    ids.audio_out = tokenizer.id_of("<|AUDIO_OUT|>");
    ids.num_codebooks = 8;
    ids.codebook_size = 1024;
    ids.stream_bos = 1024;
    ids.stream_eos = 1025;
    fs::copy_file(test::golden("e2e/codes/c0.safetensors"), folder / "c0.safetensors");
  }

  static std::string turn(const std::string& role, const std::string& content) {
    return R"({"role":")" + role + R"(","content":)" + content + "}";
  }
  static std::string clip(const std::string& url) {
    return R"({"type":"audio","audio_url":")" + url + R"("})";
  }

  // Texts of different lengths, so that no two samples are alike.
  Dataset texts(std::size_t count) {
    std::string lines;
    for (std::size_t i = 0; i < count; ++i) {
      lines += R"({"messages":[)" + turn("user", "\"" + std::string(1 + 7 * i % 31, 'a' + i % 26) + "\"") +
               "," + turn("assistant", clip("c0.safetensors")) + "]}\n";
    }
    return load(lines);
  }

  Dataset load(const std::string& lines) {
    write_file_atomically(folder / "m.jsonl", lines);
    return Dataset::load(folder / "m.jsonl", tokenizer, store, ids, {});
  }

  test::TemporaryFolder folder;
  test::FakeTokenizer tokenizer;
  CodeStore store;
  SpecialIds ids;
};

void expect_equal(const PackedBatch& a, const PackedBatch& b) {
  EXPECT_EQ(a.cu_seqlens, b.cu_seqlens);
  for (const auto& [x, y] :
       {std::pair{&a.text_ids, &b.text_ids}, std::pair{&a.audio_ids, &b.audio_ids},
        std::pair{&a.index.sample, &b.index.sample}, std::pair{&a.text_target_rows, &b.text_target_rows}}) {
    EXPECT_TRUE(x->equal(*y));
  }
}

TEST_F(BatchLoaderTest, GivesWhatThePlanSaysWhateverTheNumberOfWorkers) {
  const Dataset dataset = texts(23);
  StepPlanner planner(dataset.lengths(), 3, {2, 2, 2}, 60);
  for (const int workers : {0, 1, 4}) {
    std::set<std::size_t> seen;
    for (const int rank : {0, 1}) {
      BatchLoader loader(dataset, ids, planner, rank, at::kCPU, {workers, 1 << 20}, /*first_step=*/1);
      for (std::int64_t step = 1; step < planner.total_steps(); ++step) {
        const StepPlan plan = planner.plan(step);
        const LoadedStep loaded = loader.next();
        const auto& micros = plan.ranks[static_cast<std::size_t>(rank)];
        ASSERT_EQ(loaded.batches.size(), micros.size());
        EXPECT_EQ(loaded.imbalance, plan.imbalance());
        for (std::size_t i = 0; i < micros.size(); ++i) {
          expect_equal(loaded.batches[i], make_batch(dataset, micros[i], ids));
          EXPECT_EQ(loaded.batches[i].index.sample[0].item<int>(), micros[i].places[0]);
        }
      }
    }
  }
}

// A recording that the audio tower hears is read when its batch is made.
TEST_F(BatchLoaderTest, AClipThatVanishesIsNamed) {
  ids.whisper = WhisperOptions{};
  ids.encode_audio_in = false;
  write_wav(folder / "heard.wav", {std::vector<float>(1600, 0.1f), 16000});
  const Dataset dataset = load(R"({"messages":[)" + turn("user", "[" + clip("heard.wav") + "]") + "," +
                               turn("assistant", "\"yes\"") + "]}\n");
  StepPlanner planner(dataset.lengths(), 0, {1, 1, 1}, 2);
  fs::remove(folder / "heard.wav");
  BatchLoader loader(dataset, ids, planner, 0, at::kCPU, {2, 1 << 20}, 0);
  const std::string message = test::user_error([&] { loader.next(); });
  EXPECT_NE(message.find("heard.wav"), std::string::npos) << message;
}

TEST(PrefetchBytes, AreShared) {
  const std::size_t alone = default_prefetch_bytes(1), eighth = default_prefetch_bytes(8);
  EXPECT_GE(alone, eighth);
  EXPECT_GE(eighth, std::size_t{64} << 20);
  EXPECT_LE(alone, std::size_t{2} << 30);
}

}  // namespace
}  // namespace higgs
