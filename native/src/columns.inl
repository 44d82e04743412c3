// The sums of all columns: 64 at a time by `add_columns`, of narrower rows 16; the last of them overlap the ones before.
// Included once for each kind of vectors.

inline void add_sixteen(const Rows& rows, const int32_t* tokens, int64_t count, size_t column, int32_t* sums) {
  int32_t sum[16] = {};
  for (int64_t t = 0; t < count; t++) {
    const int8_t* row = rows.values + size_t(tokens[t]) * rows.width + column;
    const int16_t weight = rows.weights[tokens[t]];
    for (size_t d = 0; d < 16; d++) sum[d] += int16_t(weight * row[d]);  // 127 * 128 at most
  }
  memcpy(sums + column, sum, sizeof sum);
}

inline void add_rows(const Rows& rows, const int32_t* tokens, int64_t count, int32_t* sums) {
  const size_t width = rows.width;
  if (width >= 64) {
    for (size_t column = 0; column < width; column += 64)
      add_columns(rows, tokens, count, column + 64 <= width ? column : width - 64, sums);
  } else if (width >= 16) {
    for (size_t column = 0; column < width; column += 16)
      add_sixteen(rows, tokens, count, column + 16 <= width ? column : width - 16, sums);
  } else {
    for (size_t d = 0; d < width; d++) sums[d] = 0;
    for (int64_t t = 0; t < count; t++) {
      const int8_t* row = rows.values + size_t(tokens[t]) * width;
      const int32_t weight = rows.weights[tokens[t]];
      for (size_t d = 0; d < width; d++) sums[d] += weight * row[d];
    }
  }
}
