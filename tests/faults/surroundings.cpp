// What happens around a run; see --help.
#include <algorithm>
#include <random>

#include "scene.h"

namespace higgs::test {
namespace {

constexpr ProgramText kText = {"faults_surroundings",
                               "Trains on clips while the world around the run changes: clips and manifests "
                               "that vanish, change or turn to junk\n"
                               "before, during and between two starts; output folders that are read-only, "
                               "full, limited, somebody else's or gone; a\n"
                               "code cache that is full or damaged; a clock that jumps by years; output that "
                               "nobody reads. The run goes on and ends\n"
                               "bit for bit as one never disturbed, or ends with one line that says what and "
                               "where, and can be continued. What\n"
                               "needs rights that are missing here (mounting) is skipped, with the reason.",
                               "scenarios drawn; 0: all of them", 0, false};

int run(const Options& options) {
  Report report(options);
  Scene scene(options, report);
  std::vector<Scenario> all = clip_scenarios();
  for (const auto& more : {folder_scenarios(), machine_scenarios()})
    all.insert(all.end(), more.begin(), more.end());
  std::mt19937_64 random(options.seed);
  if (options.count > 0) {
    std::shuffle(all.begin(), all.end(), random);
    all.resize(std::min(all.size(), static_cast<std::size_t>(options.count)));
  }
  for (const Scenario& scenario : all) {
    const int failures = report.num_failures();
    try {
      scene.begin(scenario.name);
      scenario.run(scene);
    } catch (const std::exception& error) {
      report.fail(std::string(scenario.name) + ": " + error.what());
    }
    if (report.num_failures() == failures) report.say(std::string(scenario.name) + ": as it must be");
  }
  report.figures = {{"count", all.size()}, {"mismatches", report.num_failures()}};
  return report.finish();
}

}  // namespace
}  // namespace higgs::test

int main(int argc, char** argv) {
  return higgs::test::run(higgs::test::parse_options(argc, argv, higgs::test::kText));
}
