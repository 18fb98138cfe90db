// Folders that can't be written, are full, or vanish.
#include <sys/stat.h>
#include <unistd.h>

#include "scene.h"

namespace higgs::test {
namespace {

// Mounted for the length of a scenario.
class Mounted {
 public:
  explicit Mounted(const fs::path& folder) : folder_(folder) {}
  ~Mounted() { unmount(folder_); }

 private:
  fs::path folder_;
};

void read_only_output(Scene& scene) {
  if (!scene.can_mount()) return scene.skip(scene.mount_fault());
  scene.train_half();
  const auto before = snapshot(scene.output());
  {
    const Mounted mounted(scene.output());
    if (const auto fault = make_read_only(scene.output())) return scene.skip(*fault);
    scene.expect_refused(scene.train(), {scene.output(), "Read-only file system"});
  }
  scene.check(snapshot(scene.output()) == before, "the refused start changed the run's folder");
  scene.expect_equal(scene.train());
}

void read_only_parent(Scene& scene) {
  if (!scene.can_mount()) return scene.skip(scene.mount_fault());
  const fs::path parent = scene.folder() / "shelf";
  fs::create_directories(parent);
  const Mounted mounted(parent);
  if (const auto fault = make_read_only(parent)) return scene.skip(*fault);
  scene.expect_refused(scene.train({"--output_dir", parent / "new"}),
                       {parent / "new", "Read-only file system"});
}

// As a user who may not write there.
void foreign_output(Scene& scene) {
  const fs::path shelf = scene.folder() / "shelf";
  fs::create_directories(shelf);
  ::chmod(shelf.c_str(), 0555);
  Arguments command = scene.command({"--output_dir", shelf / "new"});
  if (::geteuid() == 0) {
    // Root without its right to write everywhere.
    if (::chown(shelf.c_str(), 65534, 65534) != 0) return scene.skip("no right to give a folder away");
    const Arguments without = {"setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner",
                               "--inh-caps", "-all"};
    if (run_process(without + Arguments{command[0], "--version"}).exit_code != 0) {
      return scene.skip("no way to give up root's rights (setpriv)");
    }
    command = without + command;
  }
  scene.expect_refused(run_job(1, command, scene.environment()), {shelf / "new", "Permission denied"});
}

void output_is_a_file(Scene& scene) {
  write_text(scene.output(), "in the way");
  scene.expect_refused(scene.train(), {scene.output()});
  scene.check(text_of(scene.output()) == "in the way", "the file was changed");
}

// Real: the disk is a file system in memory that is too small.
void full_disk(Scene& scene) {
  if (!scene.can_mount()) return scene.skip(scene.mount_fault());
  const Mounted mounted(scene.output());
  if (const auto fault = mount_in_memory(scene.output(), 4000)) return scene.skip(*fault);
  const ProcessResult result = scene.train({"--keep_last", "0", "--overwrite"});
  scene.expect_refused(result, {scene.output()}, 1);
  scene.check(result.err.find("No space left") != std::string::npos ||
                  result.err.find("are free") != std::string::npos,
              "doesn't say that the disk is full");
  scene.expect_whole_checkpoints();
  if (const auto fault = change_size(scene.output(), 200000)) return scene.skip(*fault);
  scene.expect_equal(scene.train({"--keep_last", "0"}));
}

// A limit on the size of files, as quotas have it.
void limited_files(Scene& scene) {
  scene.train_half();
  std::uintmax_t largest = 0;
  for (const auto& entry : fs::recursive_directory_iterator(scene.output() / "checkpoints")) {
    if (entry.is_regular_file()) largest = std::max(largest, entry.file_size());
  }
  const std::string blocks = std::to_string(largest / 2 / 512);
  const ProcessResult result = run_job(
      1, Arguments{"sh", "-c", "trap '' XFSZ; ulimit -f " + blocks + "; exec \"$@\"", "sh"} + scene.command(),
      scene.environment());
  scene.expect_refused(result, {scene.output(), "File too large"}, 1);
  scene.expect_whole_checkpoints();
  scene.expect_equal(scene.train());
}

void output_vanishes(Scene& scene) {
  const ProcessResult result = scene.train_disturbed([&] {
    std::error_code error;  // the run may make files there meanwhile
    while (fs::exists(scene.output())) fs::remove_all(scene.output(), error);
  });
  // What was removed is lost; the run may make the folder again, or say that it is gone.
  if (result.exit_code != 0) scene.expect_refused(result, {scene.output()}, 1);
  if (result.exit_code == 0) scene.note("made the folder again");
  scene.check(result.exit_code == 0 || !fs::exists(scene.output() / "adapter"),
              "a failed run left an adapter");
}

void full_cache(Scene& scene) {
  if (!scene.can_mount()) return scene.skip(scene.mount_fault());
  const Mounted mounted(scene.cache());
  if (const auto fault = mount_in_memory(scene.cache(), 4)) return scene.skip(*fault);
  const ProcessResult result = scene.train();
  scene.expect_equal(result);
  scene.check(result.err.find("codes are not cached") != std::string::npos,
              "doesn't say that the cache is full");
}

void read_only_cache(Scene& scene) {
  if (!scene.can_mount()) return scene.skip(scene.mount_fault());
  fs::create_directories(scene.cache());
  const Mounted mounted(scene.cache());
  if (const auto fault = make_read_only(scene.cache())) return scene.skip(*fault);
  const ProcessResult result = scene.train();
  scene.expect_equal(result);
  scene.check(result.err.find("codes are not cached") != std::string::npos,
              "doesn't say that nothing is cached");
}

// Every file of the cache is damaged in its own way: found out, and the clip is encoded again.
void damaged_cache(Scene& scene, const std::function<std::string(const std::string&)>& damage) {
  scene.train({"--max_steps", "1"});
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(scene.cache())) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  scene.check(static_cast<int>(files.size()) == scene.num_clips(),
              "the cache doesn't hold a file for each clip");
  for (const fs::path& file : files) write_text(file, damage(text_of(file)));
  fs::remove_all(scene.output());
  const ProcessResult result = scene.train();
  scene.expect_equal(result);
  scene.check(result.err.find("encoding the clip again") != std::string::npos, "the damage wasn't noticed");
  const ProcessResult again = scene.train({"--overwrite", "--max_steps", "1"});
  scene.check(again.err.find("encoding the clip again") == std::string::npos,
              "the damaged files weren't replaced");
}

void cut_cache(Scene& scene) {
  damaged_cache(scene, [](const std::string& bytes) { return bytes.substr(0, bytes.size() / 2); });
}
void empty_cache_files(Scene& scene) {
  damaged_cache(scene, [](const std::string&) { return ""; });
}
void zeroed_cache(Scene& scene) {
  damaged_cache(scene, [](const std::string& bytes) { return std::string(bytes.size(), '\0'); });
}
// Still codes, but other ones.
void changed_cache(Scene& scene) {
  damaged_cache(scene, [](std::string bytes) {
    bytes[bytes.size() - 20] = static_cast<char>(bytes[bytes.size() - 20] ^ 1);
    return bytes;
  });
}

}  // namespace

std::vector<Scenario> folder_scenarios() {
  return {{"a read-only output folder", read_only_output},
          {"an output folder in a read-only one", read_only_parent},
          {"an output folder in another user's", foreign_output},
          {"an output folder that is a file", output_is_a_file},
          {"a full disk", full_disk},
          {"a limit on the size of files", limited_files},
          {"the output folder vanishes during the run", output_vanishes},
          {"a full code cache", full_cache},
          {"a read-only code cache", read_only_cache},
          {"files of the code cache cut to half", cut_cache},
          {"files of the code cache without a byte", empty_cache_files},
          {"files of the code cache all zeros", zeroed_cache},
          {"files of the code cache with a bit flipped", changed_cache}};
}

}  // namespace higgs::test
