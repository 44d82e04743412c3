// The two things that a file tells of its head in JSON: the names of labels, and a probability.
#pragma once
#include "memory.h"

namespace ep {

// A list of `count` strings: each a C string in `names`, which begins where `begins` tells. EP_DAMAGED where it is no such
// list. NUL and halves of surrogate pairs become U+FFFD.
int read_names(Span json, size_t count, Buffer<char>& names, Buffer<uint32_t>& begins);

// A number from 0 to 1, or null, for which 0 is given; false where it is neither.
bool read_probability(Span json, float& probability);

}  // namespace ep
