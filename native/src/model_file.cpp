// The file reader: an ONNX file -> Model. Nothing in the file is trusted; what does not fit is an error that says so. Here is
// what all models have; the rest is in a file for each family of tokenizers, for phrases and for heads.
#include "edge_potion.h"
#include "reading.h"

namespace ep {
namespace {

// Of the tables, as metadata_props tell ("text_tables").
constexpr int FORMAT = 1, FORMAT_WITH_PHRASES = 2, FORMAT_WITH_FAMILIES = 3;
constexpr uint8_t LARGEST_WEIGHT = 127;  // of a row of int8

int read_facts(Reading& reading) {
  Model& model = reading.model;
  int64_t number;
  if (!reading.told("text_tables").data)
    return reading.fail(EP_NOT_OURS, "the file does not say how its tables are read: it is no text graph of edge-potion, or of a "
                                     "version before the native engine; export the model again");
  if (!reading.number("text_tables", FORMAT, FORMAT_WITH_FAMILIES, number))
    return reading.fail(EP_NOT_OURS, "the file's tables are of another version than this engine's; take an engine as new as the file");
  const bool has_families = number == FORMAT_WITH_FAMILIES;
  if (has_families) {
    if (!is(reading.told("tokenizer"), "unigram"))
      return reading.fail(EP_NOT_OURS, "the file's tokenizer is of a kind that this engine does not know; take an engine as new as the file");
    model.family = Family::unigram;
  }
  const bool has_phrases = number == FORMAT_WITH_PHRASES || (has_families && reading.told("phrases").data);
  if (has_phrases || has_families) {
    if (int status = reading.need_number("tokens", 1, MOST_ROWS, number)) return status;
    model.vocabulary = int32_t(number);
  }
  if (has_phrases) {
    if (int status = reading.need_number("phrases", 1, MOST_ROWS, number)) return status;
    model.phrases.count = int32_t(number);
  }
  if (int status = reading.need_number("unknown_id", 0, MOST_ROWS, number)) return status;
  model.unknown = int32_t(number);
  if (is(reading.told("max_tokens"), "null")) {
    model.max_tokens = -1;
  } else {
    if (int status = reading.need_number("max_tokens", 1, INT32_MAX, number)) return status;
    model.max_tokens = int32_t(number);
  }
  return reading.need_flag("normalize", model.normalize);
}

int read_rows(Reading& reading, Table& rows) {
  Model& model = reading.model;
  if (int status = reading.need("table_rows", 0, 2, rows)) return status;
  if (!model.vocabulary)
    model.vocabulary = int32_t(rows.rows - 1);
  else if (rows.rows != int64_t(model.vocabulary) + model.phrases.count + 1)
    return reading.damaged("its table has not a row for each of its tokens and phrases");
  if (model.unknown >= model.vocabulary) return reading.damaged("its unknown_id points beyond its table");
  model.rows = rows.data;
  model.dim = int32_t(rows.columns);
  return EP_OK;
}

int read_int8(Reading& reading, int64_t rows) {
  constexpr const char* NAMES[MOST_DIGITS] = {"row_weights", "row_weights_1", "row_weights_2"};
  Model& model = reading.model;
  model.precision = Precision::int8;
  for (int place = 0; place < MOST_DIGITS; place++) {
    Table digits;
    if (int status = reading.take(NAMES[place], UINT8, 1, digits)) return status;
    if (!digits.data) break;
    if (digits.rows != rows) return reading.damaged("its row_weights are not one a row");
    uint8_t all = 0;
    for (int64_t row = 0; row < rows; row++) all |= digits.data[row];
    if (all > LARGEST_WEIGHT) return reading.damaged("its row_weights are above 127");
    model.row_digits[place] = digits.data;
    model.digits = place + 1;
  }
  Table needed, columns;
  if (int status = model.digits ? 0 : reading.need(NAMES[0], UINT8, 1, needed)) return status;
  if (int status = reading.need("column_weights", FLOAT, 1, columns)) return status;
  if (columns.rows != model.dim) return reading.damaged("its column_weights are not one a column");
  model.column_weights = static_cast<float*>(malloc(size_t(model.dim) * sizeof(float)));
  if (!model.column_weights) return reading.no_memory();
  memcpy(model.column_weights, columns.data, size_t(model.dim) * sizeof(float));
  return EP_OK;
}

int read_floats(Reading& reading, const Table& rows) {
  Model& model = reading.model;
  if (rows.type == FLOAT) model.precision = Precision::float32;
  else if (rows.type == FLOAT16) model.precision = Precision::float16;
  else return reading.damaged("its table is of no precision that we know");
  Table factors;
  if (int status = reading.take("row_factors", FLOAT, 1, factors)) return status;
  if (factors.data && factors.rows != rows.rows) return reading.damaged("its row_factors are not one a row");
  model.row_factors = factors.data;
  return EP_OK;
}

int read_pooling(Reading& reading, const Table& rows) {
  Model& model = reading.model;
  if (int status = rows.type == INT8 ? read_int8(reading, rows.rows) : read_floats(reading, rows)) return status;
  if (model.normalize) return EP_OK;
  Table known, scale;
  if (int status = reading.need("is_known", INT32, 1, known)) return status;
  if (int status = reading.need("scale", FLOAT, 1, scale)) return status;
  if (known.rows != rows.rows || scale.rows != 1) return reading.damaged("its is_known are not one a row");
  model.is_known = known.data;
  model.scale = load<float>(scale.data);
  return EP_OK;
}

}  // namespace

Span Model::metadata_of(const char* key) const {
  const char* at = words.data();
  const char* end = at ? at + words_size : at;
  while (at < end) {
    const char* value = at + strlen(at) + 1;
    const size_t size = strlen(value);
    if (strcmp(at, key) == 0) return {reinterpret_cast<const uint8_t*>(value), size};
    at = value + size + 1;
  }
  return {};
}

int read_model(Span file, Model& model, char* error, size_t error_size) {
  Reading reading(file, model, error, error_size);
  Table rows;
  if (int status = reading.open()) return status;
  if (int status = read_facts(reading)) return status;
  if (int status = reading.check_structure()) return status;
  if (int status = read_rows(reading, rows)) return status;
  if (int status = model.family == Family::unigram ? read_unigram(reading) : read_wordpiece(reading)) return status;
  if (int status = read_phrases(reading)) return status;
  if (int status = read_pooling(reading, rows)) return status;
  return read_head(reading);
}

}  // namespace ep
