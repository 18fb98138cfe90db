// Pieces of the report's page.
#pragma once

#include <string>
#include <string_view>

namespace higgs {

// For an element's text or a quoted attribute.
std::string html_escaped(std::string_view text);

}  // namespace higgs
