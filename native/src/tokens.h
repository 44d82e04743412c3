// Where the ids of a text go.
#pragma once
#include "model.h"
#include "scratch.h"

namespace ep {

EP_INLINE void prefetch_row(const Model& m, int32_t id) {
  const size_t bytes = size_t(m.dim) << (m.precision == Precision::int8 ? 0 : m.precision == Precision::float16 ? 1 : 2);
  const char* row = reinterpret_cast<const char*>(m.rows) + size_t(id) * bytes;
  for (size_t at = 0; at < bytes; at += 64) prefetch(row + at);
  prefetch(row + bytes - 1);  // as rows begin anywhere in a line
}

struct Tokens {
  const Model& m;
  Scratch& scratch;
  Buffer<int32_t>& ids;
  int64_t limit;  // -1 for none
  int64_t count = 0;

  EP_INLINE bool is_full() const { return limit >= 0 && count >= limit; }
  EP_INLINE bool make_room(size_t more) { return ids.grow(size_t(count) + more); }

  // There is room for it.
  EP_INLINE void emit(int32_t id) {
    ids[size_t(count++)] = id;
    prefetch_row(m, id);
  }
};

}  // namespace ep
