// report.html: a run's loss curves, tables and auditions in one self-contained page.
#pragma once

#include <string>

#include "higgs/base/file.h"

namespace higgs {

// `metrics`: the text of metrics.jsonl; lines that aren't JSON are passed over. The sound of auditions is
// read below `run_folder`.
std::string html_report(const std::string& metrics, const fs::path& run_folder);

}  // namespace higgs
