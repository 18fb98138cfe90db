// Base64 (RFC 4648) of clips that stand inside a manifest.
#pragma once

#include <string>
#include <string_view>

namespace higgs {

// White space is passed over. UserError, `where` in front, for other characters or wrong padding.
std::string decode_base64(std::string_view text, const std::string& where);

}  // namespace higgs
