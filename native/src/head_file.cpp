// The tables of a classifier's head, whose layer is laid out anew.
#include "edge_potion.h"
#include "json.h"
#include "reading.h"

namespace ep {
namespace {

constexpr int HEAD_FORMAT = 1;  // of the tables ("head_format")
constexpr uint8_t LARGEST_WEIGHT = 127;
// The product of a column and of a vector, of VECTOR_STEPS and what rounding adds, is below 2^31.
constexpr double LARGEST_STEP = 32767, LONGEST_COLUMN = 130000;
constexpr double LARGEST_SCALE = 1e12;  // times an int32, still a float
constexpr const char* SCALES[3] = {"head_dense_scale", "head_row_scale", "head_bias"};
constexpr const char* GRAMS[5] = {"head_rows", "head_row_weights", "head_multipliers", "head_keys", "head_places"};

int read_grams(Reading& reading, int64_t labels, bool& there) {
  Head& head = reading.model.head;
  constexpr int TYPES[5] = {INT8, UINT8, INT64, INT64, INT32};
  there = false;
  for (int k = 0; k < 5; k++) {
    Table table;
    if (int status = reading.take(GRAMS[k], TYPES[k], k ? 1 : 2, table)) return status;
    there = there || table.data;
  }
  if (!there) return EP_OK;
  Table rows, weights;
  int64_t slots;
  if (int status = reading.need(GRAMS[0], INT8, 2, rows)) return status;
  if (int status = reading.need(GRAMS[1], UINT8, 1, weights)) return status;
  if (rows.columns != labels || weights.rows != rows.rows)
    return reading.damaged("its head_rows are not one column a label and one weight a row");
  uint8_t all = 0;
  for (int64_t row = 0; row < rows.rows; row++) all |= weights.data[row];
  if (all > LARGEST_WEIGHT) return reading.damaged("its head_row_weights are above 127");
  if (int status = reading.need_hash(GRAMS[2], GRAMS[3], GRAMS[4], "grams", head.grams, slots)) return status;
  if (!are_below(head.grams.values, slots, rows.rows)) return reading.damaged("its head_places point beyond its head_rows");
  head.rows = rows.data;
  head.row_weights = weights.data;
  return EP_OK;
}

int read_scales(Reading& reading, size_t labels, bool has_grams) {
  if (!reading.model.head.scales.grow(3 * labels)) return reading.no_memory();
  double* to = reading.model.head.scales.data();
  for (int k = 0; k < 3; k++, to += labels) {
    const bool needed = k != 1 || has_grams;  // those of the rows
    Table scales;
    if (int status = needed ? reading.need(SCALES[k], DOUBLE, 1, scales) : 0) return status;
    if (needed && scales.rows != int64_t(labels)) return reading.fail(EP_DAMAGED, "the file's ", SCALES[k], " is not one a label");
    for (size_t label = 0; label < labels; label++) {
      to[label] = needed ? load<double>(scales.data, label) : 0;
      if (!(to[label] >= -LARGEST_SCALE && to[label] <= LARGEST_SCALE))
        return reading.fail(EP_DAMAGED, "the file's ", SCALES[k], " holds NaN, inf or what no head of ours has");
    }
  }
  return EP_OK;
}

// As whole numbers, two dimensions of a label beside each other, filled up with zeros.
int lay_out_dense(Reading& reading, const Table& dense) {
  Head& head = reading.model.head;
  const size_t labels = size_t(dense.columns);
  head.labels = int32_t(labels);
  head.width = (head.labels + LABELS_TOGETHER - 1) / LABELS_TOGETHER * LABELS_TOGETHER;
  head.pairs = (reading.model.dim + 3) / 4 * 2;
  const size_t size = 2 * size_t(head.pairs) * size_t(head.width);
  if (!head.dense.grow(size)) return reading.no_memory();
  memset(head.dense.data(), 0, size * sizeof(int16_t));
  double squares[MOST_LABELS] = {};
  for (size_t d = 0; d < size_t(dense.rows); d++) {
    for (size_t label = 0; label < labels; label++) {
      const double step = load<double>(dense.data, d * labels + label);
      if (!(step >= -LARGEST_STEP && step <= LARGEST_STEP) || double(int32_t(step)) != step)
        return reading.damaged("its head_dense holds what is no whole number of int16");
      head.dense[2 * (d / 2 * size_t(head.width) + label) + d % 2] = int16_t(step);
      squares[label] += step * step;
    }
  }
  for (double square : squares)
    if (square > LONGEST_COLUMN * LONGEST_COLUMN) return reading.damaged("its head_dense holds a column whose sums are beyond int32");
  return EP_OK;
}

}  // namespace

// The tables are there or none is.
int read_head(Reading& reading) {
  Model& model = reading.model;
  Table dense;
  if (int status = reading.take("head_dense", DOUBLE, 2, dense)) return status;
  if (!dense.data) return reading.told("head_format").data ? reading.need("head_dense", DOUBLE, 2, dense) : EP_OK;
  int64_t number;
  if (int status = reading.need_number("head_format", 0, INT32_MAX, number)) return status;
  if (number != HEAD_FORMAT)
    return reading.fail(EP_NOT_OURS, "the file's head is of another version than this engine's; take an engine as new as the file");
  Head& head = model.head;
  if (int status = reading.need_flag("multi_label", head.multi_label)) return status;
  if (!read_probability(reading.told("threshold"), head.threshold)) return reading.missing("threshold");
  if (dense.rows != model.dim || dense.columns > MOST_LABELS) return reading.damaged("its head_dense is not one row a dimension");
  const int status = read_names(reading.told("labels"), size_t(dense.columns), head.names, head.begins);
  if (status) return status == EP_DAMAGED ? reading.missing("labels") : reading.no_memory();
  bool has_grams;
  if (int failed = read_grams(reading, dense.columns, has_grams)) return failed;
  if (int failed = read_scales(reading, size_t(dense.columns), has_grams)) return failed;
  return lay_out_dense(reading, dense);
}

}  // namespace ep
