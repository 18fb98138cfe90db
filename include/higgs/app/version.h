#pragma once

namespace higgs {

const char* version();  // "0.1.0", as in CMakeLists.txt

}  // namespace higgs
