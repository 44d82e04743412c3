#include "json.h"

#include "edge_potion.h"

namespace ep {
namespace {

constexpr uint32_t UNKNOWN = 0xFFFD;

class Json {
 public:
  explicit Json(Span text) : at_(text.data), end_(text.data + text.size) {}

  // Whether this is the next sign, but for blanks; it is passed then.
  bool takes(char sign) {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) at_++;
    if (at_ == end_ || *at_ != uint8_t(sign)) return false;
    at_++;
    return true;
  }
  bool ends() const { return at_ == end_; }

  // A string, behind its first quotation mark, into `to`; where it ends there, or null where it does not.
  char* string(char* to) {
    while (at_ < end_ && *at_ != '"') {
      uint32_t code = *at_++;
      if (code >= 0x80) {
        *to++ = char(code);  // of UTF-8 already
        continue;
      }
      if (code == '\\' && !escaped(code)) return nullptr;
      to = put(code ? code : UNKNOWN, to);
    }
    return takes('"') ? to : nullptr;
  }

 private:
  bool escaped(uint32_t& code) {
    if (at_ == end_) return false;
    switch (*at_++) {
      case '"': code = '"'; return true;
      case '\\': code = '\\'; return true;
      case '/': code = '/'; return true;
      case 'b': code = '\b'; return true;
      case 'f': code = '\f'; return true;
      case 'n': code = '\n'; return true;
      case 'r': code = '\r'; return true;
      case 't': code = '\t'; return true;
      case 'u': break;
      default: return false;
    }
    if (!unit(code)) return false;
    if (code < 0xD800 || code > 0xDFFF) return true;
    const uint8_t* behind = at_;
    uint32_t low;
    if (code < 0xDC00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
      at_ += 2;
      if (!unit(low)) return false;
      if (low >= 0xDC00 && low <= 0xDFFF) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        return true;
      }
      at_ = behind;
    }
    code = UNKNOWN;
    return true;
  }
  bool unit(uint32_t& code) {
    if (end_ - at_ < 4) return false;
    code = 0;
    for (int k = 0; k < 4; k++) {
      const uint8_t sign = *at_++, letter = sign | 0x20;
      if (sign >= '0' && sign <= '9') code = code * 16 + (sign - '0');
      else if (letter >= 'a' && letter <= 'f') code = code * 16 + (letter - 'a' + 10u);
      else return false;
    }
    return true;
  }
  static char* put(uint32_t code, char* to) {
    if (code < 0x80) return *to++ = char(code), to;
    if (code < 0x800) {
      *to++ = char(0xC0 | code >> 6);
    } else {
      if (code < 0x10000) {
        *to++ = char(0xE0 | code >> 12);
      } else {
        *to++ = char(0xF0 | code >> 18);
        *to++ = char(0x80 | (code >> 12 & 63));
      }
      *to++ = char(0x80 | (code >> 6 & 63));
    }
    *to++ = char(0x80 | (code & 63));
    return to;
  }
  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace

int read_names(Span json, size_t count, Buffer<char>& names, Buffer<uint32_t>& begins) {
  if (json.size >= UINT32_MAX) return EP_DAMAGED;
  // No string is longer in UTF-8 than in JSON, where its quotation marks are in the place of its NUL.
  if (!names.grow(json.size + 1) || !begins.grow(count)) return EP_OUT_OF_MEMORY;
  Json text(json);
  char* to = names.data();
  if (!text.takes('[')) return EP_DAMAGED;
  for (size_t name = 0; name < count; name++) {
    if ((name && !text.takes(',')) || !text.takes('"')) return EP_DAMAGED;
    begins[name] = uint32_t(to - names.data());
    to = text.string(to);
    if (!to) return EP_DAMAGED;
    *to++ = 0;
  }
  return text.takes(']') && text.ends() ? EP_OK : EP_DAMAGED;
}

// Not by strtod, which takes the decimal point from the locale.
bool read_probability(Span json, float& probability) {
  probability = 0;
  if (json.size == 4 && memcmp(json.data, "null", 4) == 0) return true;
  const uint8_t *at = json.data, *end = at + json.size;
  uint64_t digits = 0;
  int kept = 0, power = 0;  // of ten
  bool any = false, behind = false;
  for (; at < end && ((*at >= '0' && *at <= '9') || (*at == '.' && !behind)); at++) {
    if (*at == '.') {
      behind = true;
      continue;
    }
    any = true;
    if (kept < 17) {  // more than tell two floats apart
      digits = digits * 10 + (*at - '0');
      kept += digits != 0;
      power -= behind;
    } else {
      power += !behind;
    }
  }
  if (!any) return false;
  if (at < end && (*at == 'e' || *at == 'E')) {
    at++;
    const bool is_below = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    if (at == end || end - at > 4) return false;
    int exponent = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) exponent = exponent * 10 + (*at - '0');
    power += is_below ? -exponent : exponent;
  }
  if (at != end || power > 0) return false;
  double value = double(digits), ten = 1;
  for (int k = 0; k < -power && k < 300; k++) ten *= 10;
  value /= ten;
  probability = float(value);
  return value <= 1;
}

}  // namespace ep
