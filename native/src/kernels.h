// The hot path for one kind of processor, and which of them this one takes.
#pragma once
#include "model.h"
#include "scratch.h"

namespace ep {

// A text by place, and how far past it memory may be read (its own end at least).
struct Text {
  const uint8_t* data;
  size_t size;
  const uint8_t* readable;
};

struct Kernels {
  const char* name;
  // Token ids of a text into scratch.tokens[which], cut at `limit` (-1 for never); how many, -1 without memory, -2
  // when it was stopped.
  int64_t (*tokenize)(const Model&, Scratch&, const Text&, int which, int64_t limit);
  // The vector of `count` tokens: 0, -1 without memory, -3 where the table gives NaN or inf.
  int64_t (*pool)(const Model&, Scratch&, const int32_t* tokens, int64_t count, float* vector);
};

const Kernels& scalar_kernels();
const Kernels* avx2_kernels();    // null where the library was built without, or the processor has none
const Kernels* avx512_kernels();
const Kernels* kernels_128();  // NEON, or WebAssembly SIMD
const Kernels& kernels();  // the fastest here; EDGE_POTION_KERNELS names another

}  // namespace ep
