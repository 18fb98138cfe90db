// PEFT's rule for the patterns of rank_pattern and alpha_pattern.
#pragma once

#include <string>

namespace higgs {

// True when the regular expression (Python's kind) is the whole module path, or its ending after a dot.
// UserError, `where` in front, when it isn't one, or matching it takes unreasonably long.
bool pattern_matches(const std::string& pattern, const std::string& module_path, const std::string& where);

}  // namespace higgs
