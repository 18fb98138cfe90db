// Numbers as text.
#pragma once

#include <string>

namespace higgs {

// printf's text of one number, cut at some 90 characters.
std::string formatted(const char* format, double value);

}  // namespace higgs
