// The bag of a text -> its vector. int8: exact whole sums, rounded once, so every processor gives the same bits. Floats are added
// in one order, so they do, too. Included once for each kind of processor, after `add_rows`.

constexpr int64_t ROWS_A_PART = 32;
constexpr int64_t MOST_AT_ONCE = 131072;  // rows of which an int32 sum of products of at most 127 * 128 cannot overflow

// Without a branch, so that compilers find vectors in it. To multiply by a power of two is exact, also of what float16 has no
// leading bit for; infinity and NaN stay what they are.
inline float from_float16(uint16_t half) {
  constexpr uint32_t INFINITE = 0x1Fu << 23;  // float16's largest exponent, where float32 has its own
  const uint32_t sign = uint32_t(half & 0x8000) << 16, size = uint32_t(half & 0x7FFF) << 13;
  const float value = load<float>(&size) * 5.192296858534828e33f;  // 2^112, between the biases of the exponents
  const uint32_t bits = load<uint32_t>(&value) | sign | (size >= INFINITE ? 0x7F800000 : 0);
  return load<float>(&bits);
}

inline void add_float_rows(const Model& m, const int32_t* bag, int64_t count, float* sums) {
  const size_t dim = size_t(m.dim);
  for (size_t d = 0; d < dim; d++) sums[d] = 0;
  for (int64_t t = 0; t < count; t++) {
    const size_t row = size_t(bag[t]);
    const float factor = m.row_factors ? load<float>(m.row_factors, row) : 1;
    if (m.precision == Precision::float32) {
      const uint8_t* values = m.rows + row * dim * 4;
      for (size_t d = 0; d < dim; d++) sums[d] += load<float>(values, d) * factor;
    } else {
      const uint8_t* values = m.rows + row * dim * 2;
      for (size_t d = 0; d < dim; d++) sums[d] += from_float16(load<uint16_t>(values, d)) * factor;
    }
  }
}

// In parts, as each sum is rounded: of a thousand rows, one after the other, more than golden.json allows is lost.
inline void float_sums(const Model& m, const int32_t* bag, int64_t count, float* sums) {
  add_float_rows(m, bag, count < ROWS_A_PART ? count : ROWS_A_PART, sums);
  alignas(64) float part[MOST_DIMS];
  for (int64_t begin = ROWS_A_PART; begin < count; begin += ROWS_A_PART) {
    add_float_rows(m, bag + begin, count - begin < ROWS_A_PART ? count - begin : ROWS_A_PART, part);
    for (size_t d = 0; d < size_t(m.dim); d++) sums[d] += part[d];
  }
}

inline bool int_sums(const Model& m, Scratch& scratch, const int32_t* bag, int64_t count, float* sums) {
  const size_t dim = size_t(m.dim);
  alignas(64) int32_t parts[MOST_DIMS];
  for (int place = 0; place < m.digits; place++) {
    const Rows rows = {reinterpret_cast<const int8_t*>(m.rows), dim, m.row_digits[place]};
    if (count <= MOST_AT_ONCE) {
      add_rows(rows, bag, count, parts);
      if (place == 0)
        for (size_t d = 0; d < dim; d++) sums[d] = float(parts[d]);
      else
        for (size_t d = 0; d < dim; d++) sums[d] = sums[d] * float(DIGIT_BASE) + float(parts[d]);
      continue;
    }
    if (!scratch.totals.grow(dim)) return false;
    int64_t* totals = scratch.totals.data();
    for (size_t d = 0; d < dim; d++) totals[d] = 0;
    for (int64_t begin = 0; begin < count; begin += MOST_AT_ONCE) {
      add_rows(rows, bag + begin, count - begin < MOST_AT_ONCE ? count - begin : MOST_AT_ONCE, parts);
      for (size_t d = 0; d < dim; d++) totals[d] += parts[d];
    }
    for (size_t d = 0; d < dim; d++) sums[d] = (place ? sums[d] * float(DIGIT_BASE) : 0) + float(totals[d]);
  }
  for (size_t d = 0; d < dim; d++) sums[d] *= m.column_weights[d];
  return true;
}

// A sum of squares is finite where each of its numbers is.
inline bool is_finite(double value) { return value - value == 0; }

EP_APART bool sums_of(const Model& m, Scratch& scratch, const int32_t* bag, int64_t count, float* sums) {
  if (m.precision == Precision::int8) return int_sums(m, scratch, bag, count, sums);
  float_sums(m, bag, count, sums);
  return true;
}

// Of whole numbers the squares add up without rounding, in any order.
inline double sum_of_squares(const float* values, size_t dim) {
  double squares[4] = {};
  size_t d = 0;
  for (; d + 4 <= dim; d += 4)
    for (size_t k = 0; k < 4; k++) squares[k] += double(values[d + k]) * double(values[d + k]);
  for (; d < dim; d++) squares[0] += double(values[d]) * double(values[d]);
  return (squares[0] + squares[1]) + (squares[2] + squares[3]);
}

// Both are false where a number is NaN or inf.
EP_APART bool to_unit_length(float* sums, size_t dim) {
  const double all = sum_of_squares(sums, dim);
  if (!is_finite(all)) return false;
  float norm = float(square_root(all));
  if (!(norm > NORM_EPS)) norm = NORM_EPS;
  for (size_t d = 0; d < dim; d++) sums[d] /= norm;
  return true;
}
EP_APART bool to_means(const Model& m, const int32_t* bag, int64_t count, float* sums) {
  int64_t known = 0;
  for (int64_t t = 0; t < count; t++) known += load<int32_t>(m.is_known, size_t(bag[t]));
  const float rows_known = float(known > 1 ? known : 1);
  for (size_t d = 0; d < size_t(m.dim); d++) sums[d] = sums[d] / rows_known * m.scale;
  return is_finite(sum_of_squares(sums, size_t(m.dim)));
}

int64_t pool(const Model& m, Scratch& scratch, const int32_t* bag, int64_t count, float* vector) {
  if (!sums_of(m, scratch, bag, count, vector)) return -1;
  const bool is_finite = m.normalize ? to_unit_length(vector, size_t(m.dim)) : to_means(m, bag, count, vector);
  return is_finite ? 0 : -3;
}
