// Lines of manifests, to be read from another folder.
#pragma once

#include <string>
#include <vector>

namespace higgs {

// `lines`: "manifest.jsonl:12" each, as Manifest::where() names them. Their text, one a line, with the clips'
// relative paths made absolute. UserError when a manifest or a line isn't there any more.
std::string lines_with_full_paths(const std::vector<std::string>& lines);

}  // namespace higgs
