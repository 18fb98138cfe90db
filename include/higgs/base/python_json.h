// JSON as Python's json module writes and reads it: with NaN and Infinity beside numbers.
#pragma once

#include <string>
#include <string_view>

#include "higgs/base/json.h"

namespace higgs {

// parse_json() that takes NaN for null, as the reference does, and Infinity for a number that only
// with_infinity() tells from others.
Json parse_python_json(std::string_view text, const std::string& where);

// A number of such a document: infinite where the text says Infinity.
double with_infinity(double number);

}  // namespace higgs
