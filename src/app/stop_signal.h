// SIGTERM and SIGINT ask a run to stop after its step; a second one ends it at once.
#pragma once

namespace higgs {

void install_stop_signals();
bool stop_requested();
// Throws Stopped then: for what comes before the first step.
void stop_if_requested();

}  // namespace higgs
