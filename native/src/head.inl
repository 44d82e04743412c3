// A text's bag and grams -> its logits. All of it is whole numbers up to one rounding, so that every processor gives the same bits:
// those of the text graph (exporters/head.py). Included once for each kind of processor, after pool.inl and `add_pairs`.

// The rows that a text's grams have: of each token alone, and of each two that follow one another. As with words, each step
// is taken for all of them, as each waits for memory.
int64_t grams(const Model& m, Scratch& scratch, const int32_t* tokens, int64_t count, int which) {
  const PerfectHash& hash = m.head.grams;
  const size_t size = count ? size_t(2 * count - 1) : 0;
  if (!hash.keys || !size) return 0;
  if (!scratch.keys.grow(size) || !scratch.slots.grow(size) || !scratch.rows[which].grow(size)) return -1;
  uint64_t *keys = scratch.keys.data(), *slots = scratch.slots.data();
  for (size_t t = 0; t < size_t(count); t++) keys[2 * t] = (uint64_t(tokens[t]) + 1) * BASE + SALT;
  for (size_t t = 1; t < size_t(count); t++) keys[2 * t - 1] = keys[2 * t - 2] + (uint64_t(tokens[t]) + 1) * SALT;
  for (size_t k = 0; k < size; k++) prefetch_bucket(hash, keys[k]);
  for (size_t k = 0; k < size; k++) {
    slots[k] = slot_of(hash, keys[k]);
    prefetch_slot(hash, slots[k]);
  }
  int32_t* rows = scratch.rows[which].data();
  int64_t found = 0;
  for (size_t k = 0; k < size; k++) {
    rows[found] = value_at(hash, slots[k]);
    found += holds(hash, slots[k], keys[k]);
  }
  for (int64_t k = 0; k < found; k++) {
    const size_t row = size_t(rows[k]);
    prefetch(m.head.row_weights + row);
    for (size_t at = 0; at < size_t(m.head.labels); at += 64) prefetch(m.head.rows + row * size_t(m.head.labels) + at);
  }
  return found;
}

// The whole number nearest to each value times VECTOR_STEPS, the even one of two: what is added leaves no bit for a fraction.
inline void to_steps(const float* unit, size_t dim, int16_t* steps) {
  constexpr float MAGIC = 12582912;  // 1.5 * 2^23
  for (size_t d = 0; d < dim; d++) {
    const float sum = unit[d] * VECTOR_STEPS + MAGIC;
    steps[d] = int16_t(load<int32_t>(&sum) - load<int32_t>(&MAGIC));
  }
}

// The layer on the vector: its sums fit int32, whatever those on the way to them do.
inline void layer_sums(const Head& head, const int16_t* steps, int32_t* sums) {
  const size_t width = size_t(head.width), pairs = size_t(head.pairs);
  for (size_t label = 0; label < width;) {
    const int16_t* dense = head.dense.data() + 2 * label;
    int32_t* to = sums + label;
    switch ((width - label) / LABELS_TOGETHER) {
      case 1: add_pairs<1>(dense, width, steps, pairs, to), label += LABELS_TOGETHER; break;
      case 2: add_pairs<2>(dense, width, steps, pairs, to), label += 2 * LABELS_TOGETHER; break;
      case 3: add_pairs<3>(dense, width, steps, pairs, to), label += 3 * LABELS_TOGETHER; break;
      default: add_pairs<4>(dense, width, steps, pairs, to), label += 4 * LABELS_TOGETHER; break;
    }
  }
}

int64_t classify(const Model& m, Scratch& scratch, const int32_t* bag, int64_t count, int64_t tokens, const int32_t* rows,
                 int64_t found, float* vector, float* logits) {
  const Head& head = m.head;
  const size_t dim = size_t(m.dim), labels = size_t(head.labels);
  alignas(64) float room[MOST_DIMS];
  float* unit = vector && m.normalize ? vector : room;
  if (!sums_of(m, scratch, bag, count, unit)) return -1;
  if (vector && vector != unit) {
    memcpy(vector, unit, dim * sizeof(float));
    if (!to_means(m, bag, count, vector)) return -3;
  }
  if (!to_unit_length(unit, dim)) return -3;

  alignas(64) int16_t steps[MOST_DIMS + 4];
  for (size_t d = dim; d < 2 * size_t(head.pairs); d++) steps[d] = 0;
  to_steps(unit, dim, steps);
  alignas(64) int32_t layer[MOST_LABELS], sums[MOST_LABELS];
  layer_sums(head, steps, layer);
  const double *layer_scale = head.scales.data(), *row_scale = layer_scale + labels, *bias = row_scale + labels;
  if (!head.rows) {
    for (size_t c = 0; c < labels; c++) logits[c] = float(double(layer[c]) * layer_scale[c] + bias[c]);
    return 0;
  }
  const Rows table = {reinterpret_cast<const int8_t*>(head.rows), labels, head.row_weights};
  add_rows(table, rows, found, sums);
  const double root = square_root(double(tokens > 1 ? tokens : 1));
  for (size_t c = 0; c < labels; c++)
    logits[c] = float((double(layer[c]) * layer_scale[c] + double(sums[c]) * row_scale[c] / root) + bias[c]);
  return 0;
}
