// Event files for TensorBoard, read by a reader of its own and by the stock package where it is installed.
#include "higgs/report/tensorboard.h"

#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <cstdlib>

#include "events.h"
#include "higgs/base/error.h"

namespace higgs::test {
namespace {

using Json = nlohmann::json;

class Events : public ::testing::Test {
 protected:
  // One process after the other: the first points' step, and the steps that each does.
  void run(std::int64_t begin, std::int64_t first, std::int64_t last, double factor) {
    EventFile file(folder);
    file.begin_at(begin);
    for (std::int64_t step = first; step <= last; ++step) {
      file.add_scalars(step, {{"train/loss", factor * static_cast<double>(step)}, {"train/grad_norm", 0.0}});
      EXPECT_EQ(file.flush(), "");
    }
  }
  const TemporaryFolder scratch;
  const fs::path folder = scratch / "run/tensorboard";
};

TEST_F(Events, BeginWithVersionAndStart) {
  run(0, 1, 1, 0.5);
  const Json all = read_events(folder);
  ASSERT_EQ(all["files"].size(), 1u);
  const Json& events = all["files"][0]["events"];
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0]["file_version"], "brain.Event:2");
  EXPECT_EQ(events[1]["session"], 1);
  EXPECT_EQ(events[1]["step"], 0);
  EXPECT_EQ(events[2]["step"], 1);
  EXPECT_EQ(events[2]["scalars"], Json::parse(R"([["train/loss",0.5],["train/grad_norm",0.0]])"));
  const double now = static_cast<double>(::time(nullptr));
  for (const Json& event : events) EXPECT_NEAR(event["wall_time"].get<double>(), now, 60.0);
  EXPECT_EQ(all["files"][0]["name"].get<std::string>().rfind("events.out.tfevents.", 0), 0u);
}

TEST_F(Events, HoldWhatFloatsHold) {
  const double values[] = {0.0, -1.5, 1e-40, 3e38};
  {
    EventFile file(folder);
    for (int i = 0; i < 4; ++i) file.add_scalars((std::int64_t{1} << 40) + i, {{"x", values[i]}});
  }
  const Json points = read_events(folder)["points"]["x"];
  ASSERT_EQ(points.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(points[i][0], (std::int64_t{1} << 40) + static_cast<std::int64_t>(i));
    const auto as_float = static_cast<double>(static_cast<float>(values[i]));
    EXPECT_EQ(points[i][1].get<double>(), as_float);
  }
}

TEST_F(Events, HoldSoundThatCanBePlayed) {
  {
    EventFile file(folder);
    file.add_audio("audition/0", 20, std::vector<float>{0.0f, 0.5f, -1.0f, 2.0f}, 24000);
    EXPECT_THROW(file.add_audio("audition/1", 20, std::vector<float>{NAN}, 24000), RunError);
  }
  const Json sounds = read_events(folder)["sounds"];
  ASSERT_EQ(sounds.size(), 1u) << sounds;
  const Json& sound = sounds["audition/0"][0][1];
  EXPECT_EQ(sounds["audition/0"][0][0], 20);
  EXPECT_EQ(sound["sample_rate"], 24000.0);
  EXPECT_EQ(sound["num_channels"], 1);
  EXPECT_EQ(sound["length_frames"], 4);
  EXPECT_EQ(sound["content_type"], "audio/wav");
  EXPECT_EQ(sound["plugin"], Json({"audio", "100b", 3})) << "WAV, a sequence of blobs";
  EXPECT_EQ(sound["wav"]["rate"], 24000);
  EXPECT_EQ(sound["wav"]["samples"], Json({0, 16384, -32768, 32767}));
}

TEST_F(Events, ARestartTakesBackWhatComesAgain) {
  run(0, 1, 5, 1.0);
  run(4, 4, 6, 10.0);
  const Json all = read_events(folder);
  EXPECT_EQ(all["files"].size(), 2u);
  EXPECT_EQ(all["points"]["train/loss"], Json::parse("[[1,1.0],[2,2.0],[3,3.0],[4,40.0],[5,50.0],[6,60.0]]"));
}

// Files are read in the order of their names.
TEST_F(Events, LaterFilesHaveLaterNamesWhateverTheClockSays) {
  fs::create_directories(folder);
  write_text(folder / "events.out.tfevents.4000000000.elsewhere.7.0", "");
  run(0, 1, 1, 1.0);
  run(2, 2, 2, 2.0);
  const Json files = read_events(folder)["files"];
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0]["events"].size(), 0u);
  EXPECT_EQ(files[1]["events"][1]["step"], 0);
  EXPECT_EQ(files[2]["events"][1]["step"], 2);
}

TEST_F(Events, NothingIsMadeWithoutAPoint) {
  {
    EventFile file(folder);
    file.begin_at(7);
    EXPECT_EQ(file.flush(), "");
    file.sync();
  }
  EXPECT_FALSE(fs::exists(folder));
}

// Files of more than `bytes` can't be written; as when the disk is full, the last write is cut short.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(Events, AFullDiskLosesNothingOnceItTakesMore) {
  std::string cause;
  {
    EventFile file(folder);
    {
      const FullDisk full(1000);
      for (int step = 1; step <= 50; ++step) {
        file.add_scalars(step, {{"train/loss", 1.0}});
        if (cause.empty()) cause = file.flush();
      }
    }
    EXPECT_EQ(file.flush(), "");
  }
  EXPECT_NE(cause.find("cannot be written"), std::string::npos) << cause;
  EXPECT_NE(cause.find(folder.string()), std::string::npos) << cause;
  EXPECT_EQ(read_events(folder)["points"]["train/loss"].size(), 50u);
}

TEST_F(Events, WhatWaitsForAFullDiskIsBounded) {
  constexpr std::size_t kSamples = 1 << 20;
  const std::vector<float> sound(kSamples, 0.25f);
  {
    EventFile file(folder);
    {
      const FullDisk full(1000);
      for (int step = 1; step <= 12; ++step) {  // 2 MB each
        file.add_audio("audition/0", step, sound, 24000);
        EXPECT_NE(file.flush(), "");
      }
    }
    file.add_scalars(13, {{"train/loss", 1.0}});
  }
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) bytes += entry.file_size();
  EXPECT_LE(bytes, EventFile::kMostWaiting + 2000);
  EXPECT_GT(bytes, EventFile::kMostWaiting - 2 * kSamples - 2000);
}

// `python3 -m pip install tensorboard`, or tests/parity/run --only tensorboard, which installs it.
TEST_F(Events, AreReadByTheStockPackage) {
  run(0, 1, 5, 1.0);
  run(4, 4, 6, 10.0);
  {
    EventFile file(folder);
    file.begin_at(7);
    std::vector<float> sound(2400);
    for (std::size_t i = 0; i < sound.size(); ++i) sound[i] = 0.3f * std::sin(0.05f * static_cast<float>(i));
    file.add_audio("audition/0", 7, sound, 24000);
  }
  const char* python = std::getenv("HIGGS_TENSORBOARD_PYTHON");
  const ProcessResult result = run_process(
      {python != nullptr ? python : "python3", source_dir() / "tests/report/stock_tensorboard.py", folder});
  if (result.exit_code == 77) GTEST_SKIP() << result.err;
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json points = Json::parse("[[1,1.0],[2,2.0],[3,3.0],[4,40.0],[5,50.0],[6,60.0]]");
  const Json all = Json::parse(result.out);
  for (const char* reader : {"EventAccumulator", "data server", "Python loader"}) {
    const Json& seen = all.at(reader);
    EXPECT_EQ(seen["scalars"], Json({"train/grad_norm", "train/loss"})) << reader;
    EXPECT_EQ(seen["points"], points) << reader;
    EXPECT_EQ(seen["audio"], Json({"audition/0"})) << reader;
    EXPECT_EQ(seen["sound"], Json({{"step", 7}, {"type", "audio/wav"}, {"frames", 2400}, {"rate", 24000}}))
        << reader;
  }
}

}  // namespace
}  // namespace higgs::test
