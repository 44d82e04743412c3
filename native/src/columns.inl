// The sums of all columns: 64 at a time by `add_columns`, the rest by themselves. Included once for each kind of vectors.

inline void add_rows(const Model& m, const uint8_t* weights, const int32_t* tokens, int64_t count, int32_t* sums) {
  const size_t dim = size_t(m.dim), even = dim / 64 * 64;
  for (size_t column = 0; column < even; column += 64) add_columns(m, weights, tokens, count, column, sums);
  if (even == dim) return;
  for (size_t d = even; d < dim; d++) sums[d] = 0;
  for (int64_t t = 0; t < count; t++) {
    const int8_t* row = reinterpret_cast<const int8_t*>(m.rows) + size_t(tokens[t]) * dim;
    const int32_t weight = weights[tokens[t]];
    for (size_t d = even; d < dim; d++) sums[d] += weight * row[d];
  }
}
