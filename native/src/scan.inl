// Rows of int8 with a scale each -> how near each is to a query of int16. The sums are whole numbers that fit int32, so that
// every processor gives the same bits. Included once for each kind of processor, after `dot_products`.

void scan(const int8_t* rows, size_t count, size_t width, const int16_t* query, const float* scales, float query_scale,
          float* scores) {
  constexpr size_t TOGETHER = 4, LINE = 64;
  constexpr size_t AHEAD = 4096;  // bytes: a page, beyond which a processor fetches nothing of its own accord
  int32_t sums[TOGETHER];
  for (size_t begin = 0; begin < count;) {
    const size_t some = count - begin < TOGETHER ? 1 : TOGETHER;
    const int8_t* at = rows + begin * width;
    const size_t size = some * width, rest = (count - begin) * width;
    for (size_t byte = AHEAD; byte < AHEAD + size && byte < rest; byte += LINE) prefetch(at + byte);
    if (some == TOGETHER)
      dot_products<TOGETHER>(at, width, query, sums);
    else
      dot_products<1>(at, width, query, sums);
    for (size_t k = 0; k < some; k++) {
      const float score = float(sums[k]) * load<float>(scales, begin + k) * query_scale;
      memcpy(scores + begin + k, &score, sizeof score);
    }
    begin += some;
  }
}
