// A clock that jumps, and output that goes nowhere.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>

#include "scene.h"
#include "shim_control.h"

namespace higgs::test {
namespace {

void jumping_clock(Scene& scene) {
  const fs::path state = scene.folder() / "clock";
  write_text(state, std::string(8, '\0'));
  const Environment variables = {{"LD_PRELOAD", shim_library("clock_shim")}, {"CLOCK_SHIM_STATE", state}};
  const ProcessResult half = scene.train({"--max_steps", "24"}, variables);
  scene.expect_equal(half);
  scene.check(text_of(state) != std::string(8, '\0'), "nobody asked for the time");
  double last = 0;
  for (const std::string& line : lines_of(text_of(scene.output() / "metrics.jsonl"))) {
    const Json entry = Json::parse(line);
    if (entry["kind"] != "train") continue;
    const double seconds = entry["seconds"], speed = entry["tokens_per_second"];
    scene.check(seconds >= last && seconds < 600 && std::isfinite(speed) && speed > 0,
                "follows the clock: " + line);
    last = seconds;
  }
}

// The same through a shell that closes or redirects before it starts the program.
ProcessResult with_shell(Scene& scene, const std::string& script) {
  return run_job(1, Arguments{"sh", "-c", script, "sh"} + scene.command(), scene.environment());
}

void closed_output(Scene& scene) {
  scene.expect_equal(with_shell(scene, "exec \"$@\" >&-"));
}

// Files that the program opens take the numbers 1 and 2; what it says must not end up in them.
void closed_output_and_error(Scene& scene) {
  scene.expect_equal(with_shell(scene, "exec \"$@\" <&- >&- 2>&-"));
}

void output_to_a_full_device(Scene& scene) {
  if (!fs::exists("/dev/full")) return scene.skip("no /dev/full here");
  scene.expect_equal(with_shell(scene, "exec \"$@\" >/dev/full 2>&1"));
}

// Who read the output is gone, as when a terminal or `tee` ends: the run either goes on, or can be continued.
void reader_of_the_output_is_gone(Scene& scene) {
  const ProcessResult result =
      with_shell(scene, "{ \"$@\" 2>&1; echo $? >" + (scene.folder() / "code").string() + "; } | true");
  const std::string code = text_of(scene.folder() / "code");
  scene.note("ended with " + code.substr(0, code.find('\n')));
  if (code == "0\n") return scene.expect_equal(ProcessResult{0, 0, "", ""});
  scene.check(false,
              "the run ended with " + code.substr(0, code.find('\n')) + " because nobody reads what it says");
  scene.expect_equal(scene.train(fs::exists(scene.output()) ? Arguments{"--overwrite"} : Arguments{}));
  (void)result;
}

}  // namespace

std::vector<Scenario> machine_scenarios() {
  return {{"a clock that jumps by years", jumping_clock},
          {"standard output closed", closed_output},
          {"standard input, output and error closed", closed_output_and_error},
          {"output to a full device", output_to_a_full_device},
          {"nobody reads the output", reader_of_the_output_is_gone}};
}

}  // namespace higgs::test
