#include "higgs/dist/ranks.h"

#include <ATen/Parallel.h>

#include "higgs/base/ending.h"
#include "higgs/base/log.h"
#include "higgs/dist/placement.h"

namespace higgs {

int run_ranks(const LaunchInfo& launch, std::int64_t timeout_seconds,
              const std::function<int(Collective& ranks)>& work) {
  log::set_quiet(launch.rank != 0);
  log::allow_live_line(launch.world_size == 1);
  const std::string widened = widen_binding(launch);
  if (!widened.empty()) log::info(widened);
  if (const int threads = num_compute_threads(launch); threads > 0) at::set_num_threads(threads);
  Collective ranks(launch, timeout_seconds);
  if (launch.world_size == 1) return work(ranks);
  int exit_code = 1;
  try {
    exit_code = work(ranks);
    ranks.barrier();
  } catch (const LostRank& error) {
    ranks.fail(1, error.what(), /*secondary=*/true);
  } catch (...) {
    const Ending ending = ending_of(std::current_exception());
    ranks.fail(ending.exit_code, ending.text, /*secondary=*/false);
  }
  return exit_code;
}

}  // namespace higgs
