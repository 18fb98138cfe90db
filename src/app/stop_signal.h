// SIGTERM, SIGINT, SIGHUP (unless it is ignored, as under nohup) and SIGUSR1 (which mpirun and SLURM pass on
// at once) ask a run to stop after its step; another one, more than a second later, ends it where it is.
#pragma once

namespace higgs {

void install_stop_signals();
bool stop_requested();
// Throws Stopped then: for what comes before the first step.
void stop_if_requested();

}  // namespace higgs
