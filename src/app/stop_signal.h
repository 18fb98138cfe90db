// SIGTERM and SIGINT ask a run to stop after its step; a second one ends it at once.
#pragma once

namespace higgs {

void install_stop_signals();
bool stop_requested();

}  // namespace higgs
