// Base64 (RFC 4648): clips inside a manifest, and inside a page.
#pragma once

#include <string>
#include <string_view>

namespace higgs {

// With padding.
std::string encode_base64(std::string_view bytes);

// White space is passed over. UserError, `where` in front, for other characters or wrong padding.
std::string decode_base64(std::string_view text, const std::string& where);

}  // namespace higgs
