// A command's work, on every rank of the job.
#pragma once

#include <functional>

#include "higgs/dist/collective.h"

namespace higgs {

// Places the process (placement.h), joins the other ranks, runs `work` and returns its exit code when all
// have done theirs. What `work` throws on one rank ends the job on all, with one line. With one process, the
// exception comes out of here.
int run_ranks(const LaunchInfo& launch, std::int64_t timeout_seconds,
              const std::function<int(Collective& ranks)>& work);

}  // namespace higgs
