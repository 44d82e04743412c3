// The file reader: an ONNX file -> Model. Nothing in the file is trusted; what does not fit is an error that says so.
#include "edge_potion.h"
#include "json.h"
#include "model.h"
#include "sha256.h"
#include "wire.h"

namespace ep {
namespace {

// Of the tables, as metadata_props tell ("text_tables").
constexpr int FORMAT = 1, FORMAT_WITH_PHRASES = 2;
constexpr int HEAD_FORMAT = 1;  // of those of a head ("head_format")
constexpr int FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7, FLOAT16 = 10, DOUBLE = 11;  // TensorProto.DataType
constexpr int64_t MOST_ROWS = int64_t(1) << 28;
constexpr int32_t PHRASES_A_WORD = 8;  // of the filter, at most
constexpr size_t MOST_STEPS = 1024;    // from where a phrase should lie to where there is room: of hashes a few dozen at most
constexpr uint8_t LARGEST_WEIGHT = 127;  // of a row of int8
constexpr int MOST_LETTERS = 100000;  // of a word
// Of a head. The product of a column and of a vector, of VECTOR_STEPS and what rounding adds, is below 2^31.
constexpr double LARGEST_STEP = 32767, LONGEST_COLUMN = 130000;
constexpr double LARGEST_SCALE = 1e12;  // times an int32, still a float

struct Tensor {
  Span name, raw;
  int type = 0;
  int64_t dims[4] = {};
  int rank = 0;
  bool elsewhere = false;  // its numbers are in another file, or not in raw_data
};

bool is(Span text, const char* word) {
  const size_t size = strlen(word);
  return text.size == size && memcmp(text.data, word, size) == 0;
}

bool begins(Span text, const char* word) {
  const size_t size = strlen(word);
  return text.size >= size && memcmp(text.data, word, size) == 0;
}

size_t width_of(int type) {
  switch (type) {
    case UINT8: case INT8: return 1;
    case FLOAT16: return 2;
    case FLOAT: case INT32: return 4;
    case INT64: case DOUBLE: return 8;
    default: return 0;
  }
}

class Reader {
 public:
  Reader(Span file, Model& model, char* error, size_t error_size)
      : file_(file), model_(model), error_(error), error_size_(error_size) {}

  int read() {
    Span graph;
    if (int status = find_parts(graph)) return status;
    if (int status = check_making(graph)) return status;
    if (int status = read_tables(graph)) return status;
    if (int status = check_characters()) return status;
    if (int status = check_pieces()) return status;
    if (int status = check_phrases()) return status;
    if (int status = check_pooling()) return status;
    return check_head();
  }

 private:
  int fail(int status, const char* begin, const char* name = "", const char* end = "") {
    join_words(error_, error_size_, begin, name, end);
    return status;
  }
  int damaged(const char* what) { return fail(EP_DAMAGED, "the file is damaged: ", what); }

  // ModelProto: graph = 7, metadata_props = 14.
  int find_parts(Span& graph) {
    Message message(file_);
    Field field;
    bool has_graph = false;
    while (message.next(field)) {
      if (field.number == 7 && !field.is_varint) {
        if (has_graph) return damaged("it holds two graphs");
        graph = field.bytes;
        has_graph = true;
      } else if (field.number == 14 && !field.is_varint) {
        if (int status = add_metadata(field.bytes)) return status;
      }
    }
    if (message.damaged()) return damaged("it is no ONNX file, or only a part of one");
    return has_graph ? EP_OK : damaged("it holds no graph");
  }

  int add_metadata(Span entry) {
    Message message(entry);
    Field field;
    Span key, value;
    while (message.next(field)) {
      if (field.number == 1 && !field.is_varint) key = field.bytes;
      if (field.number == 2 && !field.is_varint) value = field.bytes;
    }
    if (message.damaged()) return damaged("its metadata cannot be read");
    if ((key.size && memchr(key.data, 0, key.size)) || (value.size && memchr(value.data, 0, value.size)))
      return EP_OK;  // no C string, and none of ours
    const size_t size = model_.words_size;
    if (!model_.words.grow(size + key.size + value.size + 2)) return no_memory();
    char* to = model_.words.data() + size;
    if (key.size) memcpy(to, key.data, key.size);
    to[key.size] = 0;
    if (value.size) memcpy(to + key.size + 1, value.data, value.size);
    to[key.size + 1 + value.size] = 0;
    model_.words_size = size + key.size + value.size + 2;
    return EP_OK;
  }
  int no_memory() { return fail(EP_OUT_OF_MEMORY, "there is not enough memory to open the model"); }

  bool number_of(const char* key, int64_t least, int64_t most, int64_t& number) {
    const Span text = model_.metadata_of(key);
    if (!text.size || text.size > 18) return false;
    number = 0;
    for (size_t i = 0; i < text.size; i++) {
      if (text.data[i] < '0' || text.data[i] > '9') return false;
      number = number * 10 + (text.data[i] - '0');
    }
    return number >= least && number <= most;
  }

  // What the file says of its making, and whether its nodes are still those.
  int check_making(Span graph) {
    int64_t number;
    if (!model_.metadata_of("text_tables").data)
      return fail(EP_NOT_OURS, "the file does not say how its tables are read: it is no text graph of edge-potion, or of a "
                               "version before the native engine; export the model again");
    if (!number_of("text_tables", FORMAT, FORMAT_WITH_PHRASES, number))
      return fail(EP_NOT_OURS, "the file's tables are of another version than this engine's; take an engine as new as the file");
    if (number == FORMAT_WITH_PHRASES) {
      if (!number_of("tokens", 1, MOST_ROWS, number)) return missing("tokens");
      model_.vocabulary = int32_t(number);
      if (!number_of("phrases", 1, MOST_ROWS, number)) return missing("phrases");
      model_.phrases.count = int32_t(number);
    }
    if (!number_of("longest_piece", 1, MOST_LETTERS, number)) return missing("longest_piece");
    model_.longest_piece = int(number);
    if (!number_of("longest_word", 1, MOST_LETTERS, number)) return missing("longest_word");
    model_.longest_word = int(number);
    if (!number_of("unknown_id", 0, MOST_ROWS, number)) return missing("unknown_id");
    model_.unknown = int32_t(number);
    if (is(model_.metadata_of("max_tokens"), "null")) {
      model_.max_tokens = -1;
    } else {
      if (!number_of("max_tokens", 1, INT32_MAX, number)) return missing("max_tokens");
      model_.max_tokens = int32_t(number);
    }
    model_.normalize = is(model_.metadata_of("normalize"), "true");
    if (!model_.normalize && !is(model_.metadata_of("normalize"), "false")) return missing("normalize");

    Sha256 digest;
    Message message(graph);
    Field field;
    while (message.next(field)) {
      if (field.is_varint) continue;
      if (field.number == 1 || field.number == 11 || field.number == 12) digest.add(field.bytes);  // node, input, output
      if (field.number == 5) {                         // an initializer
        Tensor tensor;
        if (int status = read_tensor(field.bytes, tensor)) return status;
        if (begins(tensor.name, "constant_")) digest.add(field.bytes);
      }
    }
    if (message.damaged()) return damaged("its graph cannot be read");
    char hex[65];
    digest.hex(hex);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return EP_OK;  // no fuzzer finds a digest
#endif
    if (!is(model_.metadata_of("structure"), hex))
      return fail(EP_NOT_OURS, "the file's nodes are not those that edge-potion wrote: another program changed it");
    return EP_OK;
  }
  int missing(const char* key) { return fail(EP_DAMAGED, "the file's ", key, " is missing or out of range"); }

  // TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9, data_location = 14.
  int read_tensor(Span bytes, Tensor& tensor) {
    Message message(bytes);
    Field field;
    while (message.next(field)) {
      switch (field.number) {
        case 1:
          if (field.is_varint) {
            if (int status = add_dim(tensor, field.value)) return status;
          } else {
            Message packed(field.bytes);
            while (!packed.at_end()) {
              uint64_t value;
              if (!packed.varint(value)) return damaged("a table's shape cannot be read");
              if (int status = add_dim(tensor, value)) return status;
            }
          }
          break;
        case 2:
          if (field.is_varint) tensor.type = field.value > 100 ? 0 : int(field.value);
          break;
        case 8: tensor.name = field.bytes; break;
        case 9: tensor.raw = field.bytes; break;
        case 13: tensor.elsewhere = true; break;
        case 14: tensor.elsewhere = tensor.elsewhere || field.value; break;
        default: break;
      }
    }
    return message.damaged() ? damaged("a table cannot be read") : EP_OK;
  }
  int add_dim(Tensor& tensor, uint64_t value) {
    if (tensor.rank == 4 || value > uint64_t(MOST_ROWS)) return damaged("a table has a shape that none of ours has");
    tensor.dims[tensor.rank++] = int64_t(value);
    return EP_OK;
  }

  struct Table {
    const char* name;
    int type, rank;
    Span* to;
    int64_t* first;   // where its shape goes
    int64_t* second;
  };

  int read_tables(Span graph) {
    Message message(graph);
    Field field;
    while (message.next(field)) {
      if (field.number != 5 || field.is_varint) continue;
      Tensor tensor;
      if (int status = read_tensor(field.bytes, tensor)) return status;
      if (begins(tensor.name, "constant_")) continue;
      if (is(tensor.name, "table_rows")) rows_type_ = tensor.type;
      for (const Table& table : tables_) {
        if (!is(tensor.name, table.name)) continue;
        if (table.to->data) return fail(EP_DAMAGED, "the file holds ", table.name, " twice");
        if (tensor.elsewhere) return fail(EP_DAMAGED, "the file's ", table.name, " lies elsewhere");
        if ((table.type && tensor.type != table.type) || tensor.rank != table.rank)
          return fail(EP_DAMAGED, "the file's ", table.name, " has another type or rank than it should");
        const int64_t second = tensor.rank > 1 ? tensor.dims[1] : 1;
        const size_t width = width_of(tensor.type);
        if (second < 1 || second > MOST_DIMS || !width || tensor.dims[0] < 1 ||
            tensor.raw.size != size_t(tensor.dims[0]) * size_t(second) * width)
          return fail(EP_DAMAGED, "the file's ", table.name, " has not as many bytes as its shape asks for");
        *table.to = tensor.raw;
        if (table.first) *table.first = tensor.dims[0];
        if (table.second) *table.second = second;
      }
    }
    return message.damaged() ? damaged("its graph cannot be read") : EP_OK;
  }

  int need(const Span& table, const char* name) {
    return table.data ? EP_OK : fail(EP_DAMAGED, "the file holds no table ", name);
  }

  int check_characters() {
    if (int status = need(byte_items_, "byte_items")) return status;
    if (int status = need(utf8_, "utf8")) return status;
    if (int status = need(page_of_, "page_of")) return status;
    if (int status = need(slots_, "slots")) return status;
    if (bytes_ != 256 || utf8s_ != 4 * 256 || pages_of_ != PAGES_OF || slot_rows_ % PAGE || slot_width_ != SLOTS)
      return damaged("its tables of characters have other shapes than they should");
    memset(model_.word_set, 0, 16);
    memset(model_.isolated_set, 0, 16);
    memset(model_.changed_set, 0, 16);
    for (int byte = 0; byte < 256; byte++) {
      const int32_t item = load<int32_t>(byte_items_.data, byte), kind = item & KINDS;
      if (item < 0 || kind == KINDS || (item & ~(CODES | KINDS | CHANGED)) || (item & CHANGED && kind != WORD) ||
          (byte >= 128 && item != (CHANGED | WORD)) || (byte == 0 && item != ISOLATED))
        return damaged("its byte_items hold what none of ours does");
      model_.items[byte] = item;
      model_.codes[byte] = uint32_t(item & CODES);
      model_.kinds[byte] = uint8_t(item >> 22);
      if (byte >= 128) continue;
      const uint8_t bit = uint8_t(1 << (byte >> 4));
      if (kind == WORD) model_.word_set[byte & 15] |= bit;
      if (kind == ISOLATED) model_.isolated_set[byte & 15] |= bit;
      if (item & CHANGED) model_.changed_set[byte & 15] |= bit;
    }
    const int32_t pages = int32_t(slot_rows_ / PAGE);
    for (int page = 0; page < PAGES_OF; page++) {
      const int32_t at = load<int32_t>(page_of_.data, page);
      if (at < 0 || at >= pages) return damaged("its page_of points beyond its pages");
    }
    model_.utf8 = utf8_.data;
    model_.page_of = page_of_.data;
    model_.slots = slots_.data;
    return EP_OK;
  }

  int check_pieces() {
    if (int status = need(multipliers_, "piece_multipliers")) return status;
    if (int status = need(keys_, "piece_keys")) return status;
    if (int status = need(ids_, "piece_ids")) return status;
    if (int status = need(rows_, "table_rows")) return status;
    if (!model_.phrases.count)
      model_.vocabulary = int32_t(row_count_ - 1);
    else if (row_count_ != int64_t(model_.vocabulary) + model_.phrases.count + 1)
      return damaged("its table has not a row for each of its tokens and phrases");
    if (!take_hash(model_.pieces, multipliers_, buckets_, keys_, keys_count_, ids_, ids_count_))
      return damaged("its tables of pieces have other sizes than they should");
    if (!are_below(ids_, ids_count_, model_.vocabulary)) return damaged("its piece_ids point beyond its table");
    if (model_.unknown >= model_.vocabulary) return damaged("its unknown_id points beyond its table");
    return make_powers();
  }

  static bool take_hash(PerfectHash& hash, Span multipliers, int64_t buckets, Span keys, int64_t slots, Span values, int64_t values_count) {
    if (buckets & (buckets - 1) || slots & (slots - 1) || slots < 2 || values_count != slots) return false;
    hash.multipliers = multipliers.data;
    hash.keys = keys.data;
    hash.values = values.data;
    hash.bucket_mask = uint64_t(buckets - 1);
    while (int64_t(1) << hash.slot_bits < slots) hash.slot_bits++;
    return true;
  }
  static bool are_below(Span numbers, int64_t count, int64_t bound) {
    for (int64_t place = 0; place < count; place++)
      if (load<uint32_t>(numbers.data, size_t(place)) >= uint32_t(bound)) return false;
    return true;
  }

  int make_powers() {
    const size_t longest = size_t(model_.longest_word > model_.longest_piece ? model_.longest_word : model_.longest_piece);
    const size_t count = longest + 16;  // kernels take steps of eight letters
    model_.up = static_cast<uint64_t*>(malloc(count * sizeof(uint64_t)));
    model_.down = static_cast<uint64_t*>(malloc(count * sizeof(uint64_t)));
    if (!model_.up || !model_.down) return no_memory();
    uint64_t inverse = BASE;  // Newton: each step doubles the bits that are right
    for (int step = 0; step < 6; step++) inverse *= 2 - BASE * inverse;
    model_.up[0] = model_.down[0] = 1;
    for (size_t j = 1; j < count; j++) {
      model_.up[j] = model_.up[j - 1] * BASE;
      model_.down[j] = model_.down[j - 1] * inverse;
    }
    return EP_OK;
  }

  int check_phrases() {
    Phrases& phrases = model_.phrases;
    if (!phrases.count) {
      if (phrase_multipliers_.data || phrase_keys_.data || phrase_rows_.data)
        return damaged("it holds tables of phrases, and does not say so");
      return EP_OK;
    }
    if (int status = need(phrase_multipliers_, "phrase_multipliers")) return status;
    if (int status = need(phrase_keys_, "phrase_keys")) return status;
    if (int status = need(phrase_rows_, "phrase_rows")) return status;
    PerfectHash hash;
    if (!take_hash(hash, phrase_multipliers_, phrase_buckets_, phrase_keys_, phrase_slots_, phrase_rows_, phrase_rows_count_))
      return damaged("its tables of phrases have other sizes than they should");
    return phrase_slots_ < phrases.count ? wrong_count_of_phrases() : lay_out_phrases(hash);
  }

  int lay_out_phrases(const PerfectHash& hash) {
    Phrases& phrases = model_.phrases;
    phrases.filter_bits = bits_for(phrases.count / PHRASES_A_WORD);
    phrases.pair_bits = bits_for(int64_t(phrases.count) * 3);
    if (!make_room(phrases.filter, phrases.filter_bits) || !make_room(phrases.pairs, phrases.pair_bits)) return no_memory();
    int64_t found = 0;
    for (size_t slot = 0; slot < size_t(phrase_slots_); slot++) {
      const uint64_t key = load<uint64_t>(hash.keys, slot);
      if (hash.slot_of(key) != slot) continue;  // nothing is there
      const int64_t row = load<int32_t>(hash.values, slot);
      if (row < model_.vocabulary || row >= row_count_ - 1) return damaged("its phrase_rows are not those of its phrases");
      if (++found > phrases.count) break;
      size_t place = phrases.place_of(key);
      for (size_t steps = 0; phrases.pairs[place].row; place = phrases.after(place))
        if (++steps > MOST_STEPS) return damaged("its phrase_keys are not those of phrases");
      phrases.pairs[place] = {key, int32_t(row)};
      phrases.filter[phrases.word_of(uint32_t(key))] |= phrases.bits_of(uint32_t(key));
    }
    return found == phrases.count ? EP_OK : wrong_count_of_phrases();
  }
  int wrong_count_of_phrases() { return damaged("its tables of phrases hold not as many as it says"); }
  static int bits_for(int64_t count) {
    int bits = 1;
    while (int64_t(1) << bits <= count) bits++;
    return bits;
  }
  // For 2^bits things that are 0.
  template <class T>
  static bool make_room(Buffer<T>& buffer, int bits) {
    if (!buffer.grow(size_t(1) << bits)) return false;
    memset(static_cast<void*>(buffer.data()), 0, sizeof(T) << bits);
    return true;
  }

  int check_pooling() {
    model_.rows = rows_.data;
    model_.dim = int32_t(width_);
    if (rows_type_ == INT8) return check_int8();
    if (rows_type_ == FLOAT) model_.precision = Precision::float32;
    else if (rows_type_ == FLOAT16) model_.precision = Precision::float16;
    else return damaged("its table is of no precision that we know");
    if (factors_.data) {
      if (factor_count_ != row_count_) return damaged("its row_factors are not one a row");
      model_.row_factors = factors_.data;
    }
    return check_means();
  }

  int check_int8() {
    model_.precision = Precision::int8;
    for (int place = 0; place < MOST_DIGITS && digits_[place].data; place++) {
      if (digit_count_[place] != row_count_) return damaged("its row_weights are not one a row");
      uint8_t all = 0;
      for (int64_t row = 0; row < row_count_; row++) all |= digits_[place].data[row];
      if (all > LARGEST_WEIGHT) return damaged("its row_weights are above 127");
      model_.row_digits[place] = digits_[place].data;
      model_.digits = place + 1;
    }
    if (!model_.digits) return need(digits_[0], "row_weights");
    if (int status = need(columns_, "column_weights")) return status;
    if (column_count_ != width_) return damaged("its column_weights are not one a column");
    model_.column_weights = static_cast<float*>(malloc(size_t(width_) * sizeof(float)));
    if (!model_.column_weights) return no_memory();
    memcpy(model_.column_weights, columns_.data, size_t(width_) * sizeof(float));
    return check_means();
  }

  int check_means() {
    if (model_.normalize) return EP_OK;
    if (int status = need(known_, "is_known")) return status;
    if (int status = need(scale_, "scale")) return status;
    if (known_count_ != row_count_ || scale_count_ != 1) return damaged("its is_known are not one a row");
    model_.is_known = known_.data;
    model_.scale = load<float>(scale_.data);
    return EP_OK;
  }

  // A classifier's, whose tables are there or none is.
  int check_head() {
    if (!dense_.data) {
      if (model_.metadata_of("head_format").data) return need(dense_, "head_dense");
      return EP_OK;
    }
    int64_t number;
    if (!number_of("head_format", 0, INT32_MAX, number)) return missing("head_format");
    if (number != HEAD_FORMAT)
      return fail(EP_NOT_OURS, "the file's head is of another version than this engine's; take an engine as new as the file");
    Head& head = model_.head;
    head.multi_label = is(model_.metadata_of("multi_label"), "true");
    if (!head.multi_label && !is(model_.metadata_of("multi_label"), "false")) return missing("multi_label");
    if (!read_probability(model_.metadata_of("threshold"), head.threshold)) return missing("threshold");
    if (dense_rows_ != width_ || labels_ > MOST_LABELS) return damaged("its head_dense is not one row a dimension");
    const int status = read_names(model_.metadata_of("labels"), size_t(labels_), head.names, head.begins);
    if (status) return status == EP_DAMAGED ? missing("labels") : no_memory();
    if (int status = take_scales()) return status;
    if (int status = check_grams()) return status;
    return lay_out_dense();
  }

  int take_scales() {
    const size_t labels = size_t(labels_);
    if (!model_.head.scales.grow(3 * labels)) return no_memory();
    double* to = model_.head.scales.data();
    for (int k = 0; k < 3; k++, to += labels) {
      const bool needed = k != 1 || gram_rows_.data;  // those of the rows
      if (needed && !scales_[k].data) return need(scales_[k], SCALES[k]);
      if (needed && scales_count_[k] != labels_) return fail(EP_DAMAGED, "the file's ", SCALES[k], " is not one a label");
      for (size_t label = 0; label < labels; label++) {
        to[label] = needed ? load<double>(scales_[k].data, label) : 0;
        if (!(to[label] >= -LARGEST_SCALE && to[label] <= LARGEST_SCALE))
          return fail(EP_DAMAGED, "the file's ", SCALES[k], " holds NaN, inf or what no head of ours has");
      }
    }
    return EP_OK;
  }

  int check_grams() {
    Head& head = model_.head;
    if (!gram_rows_.data && !gram_weights_.data && !gram_multipliers_.data && !gram_keys_.data && !places_.data) return EP_OK;
    if (int status = need(gram_rows_, "head_rows")) return status;
    if (int status = need(gram_weights_, "head_row_weights")) return status;
    if (int status = need(gram_multipliers_, "head_multipliers")) return status;
    if (int status = need(gram_keys_, "head_keys")) return status;
    if (int status = need(places_, "head_places")) return status;
    if (gram_width_ != labels_ || gram_weight_count_ != gram_row_count_)
      return damaged("its head_rows are not one column a label and one weight a row");
    uint8_t all = 0;
    for (int64_t row = 0; row < gram_row_count_; row++) all |= gram_weights_.data[row];
    if (all > LARGEST_WEIGHT) return damaged("its head_row_weights are above 127");
    if (!take_hash(head.grams, gram_multipliers_, gram_buckets_, gram_keys_, gram_slots_, places_, places_count_))
      return damaged("its tables of grams have other sizes than they should");
    if (!are_below(places_, places_count_, gram_row_count_)) return damaged("its head_places point beyond its head_rows");
    head.rows = gram_rows_.data;
    head.row_weights = gram_weights_.data;
    return EP_OK;
  }

  // As whole numbers, two dimensions of a label beside each other, filled up with zeros.
  int lay_out_dense() {
    Head& head = model_.head;
    head.labels = int32_t(labels_);
    head.width = (head.labels + LABELS_TOGETHER - 1) / LABELS_TOGETHER * LABELS_TOGETHER;
    head.pairs = (model_.dim + 3) / 4 * 2;
    const size_t size = 2 * size_t(head.pairs) * size_t(head.width);
    if (!head.dense.grow(size)) return no_memory();
    memset(head.dense.data(), 0, size * sizeof(int16_t));
    double squares[MOST_LABELS] = {};
    for (size_t d = 0; d < size_t(width_); d++) {
      for (size_t label = 0; label < size_t(labels_); label++) {
        const double step = load<double>(dense_.data, d * size_t(labels_) + label);
        if (!(step >= -LARGEST_STEP && step <= LARGEST_STEP) || double(int32_t(step)) != step)
          return damaged("its head_dense holds what is no whole number of int16");
        head.dense[2 * (d / 2 * size_t(head.width) + label) + d % 2] = int16_t(step);
        squares[label] += step * step;
      }
    }
    for (double square : squares)
      if (square > LONGEST_COLUMN * LONGEST_COLUMN) return damaged("its head_dense holds a column whose sums are beyond int32");
    return EP_OK;
  }

  Span file_;
  Model& model_;
  char* error_;
  size_t error_size_;
  Span byte_items_, utf8_, page_of_, slots_, multipliers_, keys_, ids_, rows_, digits_[MOST_DIGITS], factors_, known_,
      columns_, scale_, phrase_multipliers_, phrase_keys_, phrase_rows_, dense_, gram_rows_, gram_weights_, gram_multipliers_, gram_keys_, places_, scales_[3];
  int64_t bytes_ = 0, utf8s_ = 0, pages_of_ = 0, slot_rows_ = 0, slot_width_ = 0, buckets_ = 0, keys_count_ = 0,
          ids_count_ = 0, row_count_ = 0, width_ = 0, digit_count_[MOST_DIGITS] = {}, factor_count_ = 0, known_count_ = 0,
          column_count_ = 0, scale_count_ = 0, phrase_buckets_ = 0, phrase_slots_ = 0, phrase_rows_count_ = 0, dense_rows_ = 0, labels_ = 0, gram_row_count_ = 0, gram_width_ = 0,
          gram_weight_count_ = 0, gram_buckets_ = 0, gram_slots_ = 0, places_count_ = 0, scales_count_[3] = {};
  int rows_type_ = 0;
  static constexpr const char* SCALES[3] = {"head_dense_scale", "head_row_scale", "head_bias"};
  const Table tables_[27] = {
      {"byte_items", INT32, 1, &byte_items_, &bytes_, nullptr},
      {"utf8", INT32, 1, &utf8_, &utf8s_, nullptr},
      {"page_of", INT32, 1, &page_of_, &pages_of_, nullptr},
      {"slots", INT32, 2, &slots_, &slot_rows_, &slot_width_},
      {"piece_multipliers", INT64, 1, &multipliers_, &buckets_, nullptr},
      {"piece_keys", INT64, 1, &keys_, &keys_count_, nullptr},
      {"piece_ids", INT32, 1, &ids_, &ids_count_, nullptr},
      {"table_rows", 0, 2, &rows_, &row_count_, &width_},
      {"row_weights", UINT8, 1, &digits_[0], &digit_count_[0], nullptr},
      {"row_weights_1", UINT8, 1, &digits_[1], &digit_count_[1], nullptr},
      {"row_weights_2", UINT8, 1, &digits_[2], &digit_count_[2], nullptr},
      {"row_factors", FLOAT, 1, &factors_, &factor_count_, nullptr},
      {"is_known", INT32, 1, &known_, &known_count_, nullptr},
      {"column_weights", FLOAT, 1, &columns_, &column_count_, nullptr},
      {"scale", FLOAT, 1, &scale_, &scale_count_, nullptr},
      {"phrase_multipliers", INT64, 1, &phrase_multipliers_, &phrase_buckets_, nullptr},
      {"phrase_keys", INT64, 1, &phrase_keys_, &phrase_slots_, nullptr},
      {"phrase_rows", INT32, 1, &phrase_rows_, &phrase_rows_count_, nullptr},
      {"head_dense", DOUBLE, 2, &dense_, &dense_rows_, &labels_},
      {"head_rows", INT8, 2, &gram_rows_, &gram_row_count_, &gram_width_},
      {"head_row_weights", UINT8, 1, &gram_weights_, &gram_weight_count_, nullptr},
      {"head_multipliers", INT64, 1, &gram_multipliers_, &gram_buckets_, nullptr},
      {"head_keys", INT64, 1, &gram_keys_, &gram_slots_, nullptr},
      {"head_places", INT32, 1, &places_, &places_count_, nullptr},
      {SCALES[0], DOUBLE, 1, &scales_[0], &scales_count_[0], nullptr},
      {SCALES[1], DOUBLE, 1, &scales_[1], &scales_count_[1], nullptr},
      {SCALES[2], DOUBLE, 1, &scales_[2], &scales_count_[2], nullptr},
  };
};

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
  return Reader(file, model, error, error_size).read();
}

}  // namespace ep
