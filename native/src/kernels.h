// The hot path for one kind of processor, and which of them this one takes.
#pragma once
#include "model.h"
#include "scratch.h"
#include "tokens.h"

namespace ep {

// A text by place, and how far past it memory may be read (its own end at least).
struct Text {
  const uint8_t* data;
  size_t size;
  const uint8_t* readable;
};

// Of a table of int8, and a weight of each in 0..127.
struct Rows {
  const int8_t* values;
  size_t width;
  const uint8_t* weights;
};

constexpr size_t ROWS_TOGETHER = 4;  // are scanned at once: what is loaded of the query serves them all

// What `tokenize` gives, of Unigram: the same for every kind of processor.
int64_t tokenize_unigram(const Model&, Scratch&, const Text&, int which, int64_t limit);

struct Kernels {
  const char* name;
  // Token ids of a text into scratch.tokens[which], cut at `limit` (-1 for never); how many, -1 without memory, -2
  // when it was stopped.
  int64_t (*tokenize)(const Model&, Scratch&, const Text&, int which, int64_t limit);
  // Of a model with phrases: the keys of pairs of tokens that may be some, into scratch.keys; how many, -1 without memory.
  int64_t (*pairs)(const Model&, Scratch&, const int32_t* tokens, int64_t count);
  // The rows of the phrases among these `some` pairs, behind the `count` tokens in scratch.tokens[which]; how many, -1
  // without memory.
  int64_t (*phrases)(const Model&, Scratch&, int64_t some, int64_t count, int which);
  // The vector of a bag of `count` rows, a text's tokens and phrases: 0, -1 without memory, -3 where the table gives NaN or
  // inf.
  int64_t (*pool)(const Model&, Scratch&, const int32_t* bag, int64_t count, float* vector);
  // Of a classifier: which rows of the head a text's grams have, into scratch.rows[which]; how many, -1 without memory.
  int64_t (*grams)(const Model&, Scratch&, const int32_t* tokens, int64_t count, int which);
  // The logits of a text by its bag, whose first are its `tokens`, MOST_TOKENS at most, and by those rows; and its vector,
  // where that is not null. What it returns is as with `pool`.
  int64_t (*classify)(const Model&, Scratch&, const int32_t* bag, int64_t count, int64_t tokens, const int32_t* rows,
                      int64_t found, float* vector, float* logits);
  // As ep_scan() says, of arguments that were checked.
  void (*scan)(const int8_t* rows, size_t count, size_t width, const int16_t* query, const float* scales, float query_scale,
               float* scores);
};

const Kernels& scalar_kernels();
const Kernels* avx2_kernels();    // null where the library was built without, or the processor has none
const Kernels* avx512_kernels();
const Kernels* kernels_128();  // NEON, or WebAssembly SIMD
const Kernels& kernels();  // the fastest here; EDGE_POTION_KERNELS names another

}  // namespace ep
