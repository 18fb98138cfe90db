// Clips and manifests that vanish or change.
#include <atomic>
#include <thread>

#include "scene.h"

namespace higgs::test {
namespace {

void vanish_during(Scene& scene) {
  scene.expect_equal(scene.train_disturbed([&] { fs::remove_all(scene.data()); }));
}

void change_during(Scene& scene) {
  scene.expect_equal(scene.train_disturbed([&] {
    for (int i = 0; i < scene.num_clips(); ++i) write_text(scene.clip(i), "no longer a recording");
    write_text(scene.manifest(), "{}\n");
  }));
}

void cut_during(Scene& scene) {
  scene.expect_equal(scene.train_disturbed([&] {
    for (int i = 0; i < scene.num_clips(); ++i) fs::resize_file(scene.clip(i), 0);
    fs::resize_file(scene.manifest(), 0);
  }));
}

// Written by something else all the while: what is read is refused with its line, or was read whole. Never a
// crash.
void rewritten_while_read(Scene& scene) {
  // So long that it takes a while to read; what follows the recording is not part of it.
  const std::string bytes = text_of(scene.clip(1)) + std::string(32 << 20, '\0');
  std::atomic<bool> done = false;
  std::thread writer([&] {
    while (!done) {
      fs::resize_file(scene.clip(1), 0);
      write_text(scene.clip(1), bytes);
      sleep_seconds(2e-4);
    }
  });
  int refused = 0;
  for (int i = 0; i < 6; ++i) {
    fs::remove_all(scene.output());
    fs::remove_all(scene.cache());
    const ProcessResult result = scene.train({"--max_steps", "1"});
    scene.check(result.exit_code == 0 || result.exit_code == 2, ending_text(result) + "\n" + result.err);
    if (result.exit_code == 2) scene.expect_refused(result, {"train.jsonl:2", scene.clip(1)});
    refused += result.exit_code == 2 ? 1 : 0;
  }
  done = true;
  writer.join();
  scene.note(std::to_string(refused) + " of 6 starts refused it");
}

// Cut and written again while its clips are read and encoded, line after line.
void manifest_rewritten_while_read(Scene& scene) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += text_of(scene.manifest());
  write_text(scene.manifest(), text);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    while (!done) {
      fs::resize_file(scene.manifest(), 0);
      write_text(scene.manifest(), text);
      sleep_seconds(2e-3);
    }
  });
  for (int i = 0; i < 4; ++i) {
    fs::remove_all(scene.output());
    const ProcessResult result = scene.train({"--max_steps", "1", "--val_split", "0"});
    // The validation manifest is the same file: read at another time, it may hold other lines.
    scene.check(result.exit_code == 0 || result.exit_code == 2, ending_text(result) + "\n" + result.err);
    if (result.exit_code == 2) scene.expect_refused(result, {"train.jsonl"});
  }
  done = true;
  writer.join();
}

void missing_at_the_start(Scene& scene) {
  fs::remove(scene.clip(2));
  scene.expect_refused(scene.train(), {"train.jsonl:3", scene.clip(2)});
  scene.check(!fs::exists(scene.output()), "something was written");
}

void a_folder_at_the_start(Scene& scene) {
  fs::remove(scene.clip(0));
  fs::create_directories(scene.clip(0));
  scene.expect_refused(scene.train(), {"train.jsonl:1", scene.clip(0)});
  scene.check(!fs::exists(scene.output()), "something was written");
}

// Between a stop and the next start; nothing of the run may change by the refusal.
void between(Scene& scene, const std::function<void()>& disturb, const std::vector<std::string>& parts) {
  scene.train_half();
  const auto before = snapshot(scene.output());
  const std::string manifest = text_of(scene.manifest()), clip = text_of(scene.clip(1));
  disturb();
  scene.expect_refused(scene.train(), parts);
  scene.check(snapshot(scene.output()) == before, "the refused start changed the run's folder");
  write_text(scene.manifest(), manifest);
  fs::remove_all(scene.clip(1));
  write_text(scene.clip(1), clip);
  scene.expect_equal(scene.train());
}

void vanish_between(Scene& scene) {
  between(scene, [&] { fs::remove(scene.clip(1)); }, {"train.jsonl:2", scene.clip(1)});
}

void junk_between(Scene& scene) {
  between(scene, [&] { write_text(scene.clip(1), "no longer a recording"); },
          {"train.jsonl:2", scene.clip(1)});
}

void another_recording_between(Scene& scene) {
  between(scene, [&] { write_text(scene.clip(1), text_of(scene.clip(3))); },
          {"checkpoints/step-", "another run"});
}

void shorter_manifest_between(Scene& scene) {
  between(scene,
          [&] {
            const std::string text = text_of(scene.manifest());
            write_text(scene.manifest(), text.substr(text.find('\n') + 1));
          },
          {"checkpoints/step-", "another run"});
}

void reordered_manifest_between(Scene& scene) {
  between(scene,
          [&] {
            const std::vector<std::string> lines = lines_of(text_of(scene.manifest()));
            write_text(scene.manifest(),
                       lines[1] + "\n" + lines[0] + "\n" + lines[2] + "\n" + lines[3] + "\n");
          },
          {"checkpoints/step-", "another run"});
}

void no_manifest_between(Scene& scene) {
  between(scene, [&] { fs::remove(scene.manifest()); }, {"train.jsonl"});
}

// The codes are in the cache by what the clip holds, wherever it lies.
void moved_between(Scene& scene) {
  scene.train_half();
  const std::string text = text_of(scene.manifest());
  fs::rename(scene.data(), scene.folder() / "moved");
  fs::create_directories(scene.data());
  std::string moved = text;
  for (std::size_t at = 0; (at = moved.find("clips/", at)) != std::string::npos; at += 16) {
    moved.insert(at, "../moved/");
  }
  write_text(scene.manifest(), moved);
  const ProcessResult result = scene.train();
  scene.expect_equal(result);
  scene.check(result.err.find(" 0 clips encoded") != std::string::npos, "clips were encoded again");
}

}  // namespace

std::vector<Scenario> clip_scenarios() {
  return {{"clips and manifest vanish during the run", vanish_during},
          {"clips and manifest change during the run", change_during},
          {"clips and manifest are cut to nothing during the run", cut_during},
          {"a clip is rewritten while it is read", rewritten_while_read},
          {"the manifest is rewritten while it is read", manifest_rewritten_while_read},
          {"a clip is missing at the start", missing_at_the_start},
          {"a clip is a folder at the start", a_folder_at_the_start},
          {"a clip vanishes between two starts", vanish_between},
          {"a clip becomes junk between two starts", junk_between},
          {"a clip becomes another recording between two starts", another_recording_between},
          {"the manifest loses a line between two starts", shorter_manifest_between},
          {"the manifest changes its order between two starts", reordered_manifest_between},
          {"the manifest vanishes between two starts", no_manifest_between},
          {"the clips move between two starts", moved_between}};
}

}  // namespace higgs::test
