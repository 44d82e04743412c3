// The normalizer of a Unigram tokenizer: code points -> code points, pass after pass.
#pragma once
#include "unigram.h"

namespace ep {

// Code points, and room for the next pass.
struct Codes {
  Buffer<uint32_t> now, next;
  size_t count = 0;

  EP_INLINE bool add(uint32_t code) {
    if (!now.grow(count + 1)) return false;
    now[count++] = code;
    return true;
  }
};

// Passes from `begin` up to `end`, over what nothing stands beside that could join it. False without memory.
bool run_passes(const Unigram& unigram, int begin, int end, Codes& codes);

EP_INLINE size_t utf8_length(uint32_t code) { return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4; }
EP_INLINE size_t to_utf8(uint32_t code, uint8_t bytes[4]) {
  const size_t length = utf8_length(code);
  for (size_t k = length - 1; k; k--, code >>= 6) bytes[k] = uint8_t(0x80 | (code & 0x3F));
  bytes[0] = uint8_t(code | (length == 1 ? 0 : 0xF00 >> length));
  return length;
}

// Of a class of `graphemes`, what it means.
enum GraphemeClass : uint32_t {
  JOINS_BEFORE = 1, PREPEND = 2, CONTROL = 4, PICTOGRAPH = 8, ZWJ = 16, EXTEND = 32, CONSONANT = 64, LINKER = 128,
  CONJUNCT_EXTEND = 256, HANGUL_L = 512, HANGUL_V = 1024, HANGUL_T = 2048, HANGUL_LV = 4096, HANGUL_LVT = 8192, CR = 16384,
  LF = 32768
};

}  // namespace ep
