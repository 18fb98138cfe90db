// report.html: loss curves of a run in one self-contained page.
#pragma once

#include <string>

namespace higgs {

// `metrics`: the text of metrics.jsonl; lines that aren't JSON are passed over.
std::string html_report(const std::string& metrics);

}  // namespace higgs
