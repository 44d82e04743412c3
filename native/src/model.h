// A text graph's tables, where they lie in its file, and the numbers that it was made with.
#pragma once
#include "memory.h"
#include "unigram.h"

namespace ep {

// An item is a code point and its class, as exporters/text_tables.py has it.
constexpr int32_t CODES = (1 << 22) - 1, WORD = 1 << 22, ISOLATED = 2 << 22, KINDS = WORD | ISOLATED;
constexpr int32_t CHANGED = 4 << 22;  // a byte whose word is decoded and normalized first
constexpr int MOST_DIGITS = 3, DIGIT_BASE = 128;
constexpr int SLOTS = 3;
constexpr float NORM_EPS = 1e-12f;
constexpr int64_t MOST_DIMS = 4096;

// Of a head, as exporters/head.py has it.
constexpr int32_t MOST_LABELS = 1024, LABELS_TOGETHER = 16;
constexpr int64_t MOST_TOKENS = 32768;  // a text is cut there, so that sums of its rows stay within int32
constexpr float VECTOR_STEPS = 16384;   // to which the values of a vector of unit length are rounded

enum class Precision { int8, float16, float32 };

// Two pieces that follow one another and have a row of their own, behind the pieces'; none where `count` is 0. They are laid
// out anew: the file's perfect hash asks memory three times for each of a text's pairs.
struct Phrases {
  struct Pair {
    uint64_t key;
    int32_t row;  // 0 where there is no pair
  };
  int32_t count = 0;
  Buffer<Pair> pairs;  // by the highest bits of their keys, or at the next place that was free
  int pair_bits = 0;
  Buffer<uint64_t> filter;  // two bits of a word for each pair: so few words that a processor keeps them near
  int filter_bits = 0;

  EP_INLINE size_t place_of(uint64_t key) const { return size_t(key >> (64 - pair_bits)); }
  EP_INLINE size_t after(size_t place) const { return (place + 1) & ((size_t(1) << pair_bits) - 1); }
  // 0 where the pair is none.
  EP_INLINE int32_t row_of(uint64_t key) const {
    size_t place = place_of(key);
    while (pairs[place].row && pairs[place].key != key) place = after(place);
    return pairs[place].row;
  }

  EP_INLINE size_t word_of(uint32_t half) const { return half >> (32 - filter_bits); }
  EP_INLINE uint64_t bits_of(uint32_t half) const {
    const uint32_t rest = half << filter_bits;
    return uint64_t(1) << (rest >> 26) | uint64_t(1) << (rest >> 20 & 63);
  }
  // By the low half of a key: true of all pairs, and of few others.
  EP_INLINE bool may_hold(uint32_t half) const { return !(bits_of(half) & ~filter[word_of(half)]); }
};

// What a classifier decides with; without labels where the model is none.
struct Head {
  int32_t labels = 0;
  bool multi_label = false;
  float threshold = 0;         // below it the answer is none of the labels
  Buffer<char> names;          // of the labels, a C string each
  Buffer<uint32_t> begins;     // (labels,) where each begins
  Buffer<int16_t> dense;       // (pairs of dimensions, width, 2)
  int32_t width = 0;           // labels, rounded up to LABELS_TOGETHER
  int32_t pairs = 0;           // of dimensions, an even number
  Buffer<double> scales;       // (3, labels): of the layer, of the rows, and the bias
  PerfectHash grams;           // -> their rows; nowhere where the head has none
  const uint8_t* rows = nullptr;         // (grams + 1, labels) int8
  const uint8_t* row_weights = nullptr;  // (grams + 1,) u8
};

enum class Family { wordpiece, unigram };

struct Model {
  Family family = Family::wordpiece;  // or WordLevel, whose pieces are whole words
  Unigram unigram;

  // Characters of WordPiece.
  int32_t items[256];   // of each byte
  uint32_t codes[256];  // of an ASCII byte, 0 for NUL
  uint8_t kinds[256];   // of each byte: 1 in a word, 2 apart, 4 changed
  // Which bytes below 128 are in a word, apart, changed: bit (byte >> 4) of the entry (byte & 15).
  uint8_t word_set[16] = {}, isolated_set[16] = {}, changed_set[16] = {};
  const uint8_t* utf8 = nullptr;     // (4 * 256,) int32
  const uint8_t* page_of = nullptr;  // (4352,) int32
  const uint8_t* slots = nullptr;    // (pages * 256, 3) int32

  PerfectHash pieces;  // -> their ids
  Phrases phrases;
  int longest_piece = 0, longest_word = 0;
  int32_t unknown = 0;
  int32_t max_tokens = -1;      // -1 for never
  uint64_t* up = nullptr;       // BASE^j, j <= longest_word and longest_piece
  uint64_t* down = nullptr;     // BASE^-j

  // Pooling.
  Precision precision = Precision::int8;
  const uint8_t* rows = nullptr;  // (vocabulary + phrases + 1, dim), the last of them zeros
  const uint8_t* row_digits[MOST_DIGITS] = {};  // u8, one a row
  int digits = 0;
  const uint8_t* row_factors = nullptr;  // float32, one a row, of floats whose rows have their own
  const uint8_t* is_known = nullptr;     // int32, one a row, where vectors are means
  float* column_weights = nullptr;       // (dim,), of int8
  float scale = 1;
  bool normalize = true;
  int32_t dim = 0, vocabulary = 0;

  Head head;

  Span metadata_of(const char* key) const;  // its value, a C string in `words`; empty where there is none
  Buffer<char> words;                       // key, NUL, value, NUL, ... of metadata_props
  size_t words_size = 0;

  ~Model() {
    free(up);
    free(down);
    free(column_weights);
  }
};

// Fills `model` from an ONNX file in memory, which must outlive it. An ep_status, and a sentence in `error`.
int read_model(Span file, Model& model, char* error, size_t error_size);

}  // namespace ep
