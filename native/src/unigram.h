// A Unigram tokenizer's tables, where they lie in its file, and what is made of them once.
#pragma once
#include "memory.h"

namespace ep {

constexpr int32_t LAST_CODE_POINT = 0x10FFFF, REPLACEMENT = 0xFFFD;
constexpr int PAGE = 256, PAGES_OF = (LAST_CODE_POINT + 1) / PAGE;
constexpr uint64_t BASE = 0x9E3779B97F4A7C15, SALT = 0xD1B54A32D192ED03;  // of the hash of a piece, and of pairs

// As exporters/text_hash.py makes it: a key leads to one slot, where the whole key is compared.
struct PerfectHash {
  const uint8_t* multipliers = nullptr;  // (buckets,) int64
  const uint8_t* keys = nullptr;         // (2^slot_bits,) int64
  const uint8_t* values = nullptr;       // (2^slot_bits,) int32
  uint64_t bucket_mask = 0;
  int slot_bits = 0;

  EP_INLINE uint64_t slot_of(uint64_t key) const {
    return (key * load<uint64_t>(multipliers, key & bucket_mask)) >> (64 - slot_bits);
  }
};

// A number for each code point, in pages of which most are alike.
struct Paged {
  const uint8_t* page_of = nullptr;  // (4352,) int32
  const uint8_t* numbers = nullptr;  // (pages * 256,) int32

  EP_INLINE int32_t of(uint32_t code) const {
    return load<int32_t>(numbers, size_t(load<int32_t>(page_of, code / PAGE)) * PAGE + code % PAGE);
  }
};

// One step of the normalizer, over code points.
struct Pass {
  enum Kind { map, graphemes, order, compose };
  Kind kind = map;
  Paged entries, classes;
  const uint8_t* codes = nullptr;  // int32, of which entries name stretches
  PerfectHash hash;                // of graphemes of two or three code points -> entry; of pairs -> composite
};
constexpr int MOST_PASSES = 16;
constexpr uint32_t CLASS = 255, SECOND = 256;  // of `compose`: the class, and whether it is the second of some pair

// An item is a symbol of the trie, or a code point that is in no piece; and what it is to the pre-tokenizer. The items of
// all code points, each by itself, are made once, and have more flags: whether it may be normalized by itself.
constexpr uint32_t ITEM = (1 << 21) - 1, NO_SYMBOL = 1 << 21;
constexpr uint32_t SPACE = 1 << 22, WHITE = 1 << 23, BLANK = 1 << 24;  // U+0020; Unicode's; what begins a word
constexpr uint32_t ITSELF = 1 << 25;   // beside NO_SYMBOL: the code point stays what it is
constexpr uint32_t SEVERAL = 1 << 26;  // items, or none: where in `several` their number stands, and they after it
// What may be joined with what stands before it: always; as a mark of a grapheme, if that has few bytes; as a mark that is
// put in order, where another stands before it.
constexpr uint32_t JOINS = 1 << 27, MARK = 1 << 28, REORDERS = 1 << 29;
constexpr uint32_t HOLDS = 1 << 30;         // what may be joined with whatever stands behind it
constexpr uint32_t TAILED = uint32_t(1) << 31;  // what ends in a mark while it is normalized
constexpr uint32_t JOINED = JOINS | MARK | REORDERS, FLAGGED = ~(ITEM | TAILED);

constexpr uint32_t SPACE_CODE = 0x20, BLANK_CODE = 0x2581;

EP_INLINE bool is_white(uint32_t code) {  // White_Space of Unicode, which has not changed since 2013
  return (code >= 9 && code <= 13) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
         code == 0x3000;
}

struct Unigram {
  Pass passes[MOST_PASSES];
  int pass_count = 0;
  bool collapses = false, strips_left = false, strips_right = false;  // spaces that stand together; white at the ends
  bool splits_white = false, splits_blanks = false, prepends = false;
  bool has_chunks = false;  // what stands between spaces of ASCII is words by itself, mostly

  Paged symbols;
  const uint8_t* units = nullptr;     // (nodes,) int64: base, and check in the high half
  const uint8_t* ids = nullptr;       // (nodes,) int32
  const uint8_t* whole_ids = nullptr; // (nodes,) int32
  const uint8_t* scores = nullptr;    // (nodes,) float64
  const uint8_t* byte_ids = nullptr;  // (256,) int32; none without byte fallback
  uint32_t nodes = 0;
  int32_t longest_piece = 0;
  double unknown_score = 0;
  uint32_t blank = 0;   // the item of U+2581
  int32_t nul = -1;     // what stands for NUL in a text: -1 for nothing, 0 for itself

  Buffer<uint32_t> page_of;   // (4352,) where the page of a code point begins in `items`
  Buffer<uint32_t> items;     // of every code point by itself
  Buffer<uint32_t> several;
  Buffer<uint32_t> code_of;   // (symbols + 1,)
  uint64_t number = 0;        // of all models in this process its own

  EP_INLINE uint32_t item_of(uint32_t code) const { return items[page_of[code / PAGE] + code % PAGE]; }

  // Of a code point that is normalized.
  EP_INLINE uint32_t plain_item(uint32_t code) const {
    const uint32_t symbol = uint32_t(symbols.of(code == SPACE_CODE ? BLANK_CODE : code));
    const uint32_t item = symbol ? symbol : NO_SYMBOL | (code == SPACE_CODE ? BLANK_CODE : code);
    if (code == SPACE_CODE) return item | SPACE | WHITE | BLANK;
    return item | (is_white(code) ? WHITE : 0) | (code == BLANK_CODE ? BLANK : 0);
  }
};

}  // namespace ep
