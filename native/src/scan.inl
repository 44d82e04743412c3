// Rows of int8 with a scale each -> how near each is to a query of int16. The sums are whole numbers that fit int32, so that
// every processor gives the same bits. Included once for each kind of processor, after `dot_products`, a function apart: where
// GCC puts it into the loop that fetches ahead, vectors of 512 bits are slow.

void scan(const int8_t* rows, size_t count, size_t width, const int16_t* query, const float* scales, float query_scale,
          float* scores) {
  constexpr size_t LINE = 64;
  constexpr size_t AHEAD = 4096;  // bytes: a page, beyond which a processor fetches nothing of its own accord
  for (size_t begin = 0; begin < count; begin += ROWS_TOGETHER) {
    const size_t there = count - begin < ROWS_TOGETHER ? count - begin : ROWS_TOGETHER;
    const int8_t* row[ROWS_TOGETHER];
    for (size_t k = 0; k < ROWS_TOGETHER; k++) row[k] = rows + (begin + (k < there ? k : 0)) * width;
    const size_t rest = (count - begin) * width;
    for (size_t byte = AHEAD; byte < AHEAD + ROWS_TOGETHER * width && byte < rest; byte += LINE) prefetch(row[0] + byte);
    int32_t sums[ROWS_TOGETHER];
    dot_products(row, width, query, sums);
    for (size_t k = 0; k < there; k++) {
      const float score = float(sums[k]) * load<float>(scales, begin + k) * query_scale;
      memcpy(scores + begin + k, &score, sizeof score);
    }
  }
}
