#include "reading.h"

#include "edge_potion.h"
#include "sha256.h"
#include "wire.h"

namespace ep {
namespace {

constexpr size_t MOST_TABLES = 256;  // ours has a few dozen

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

}  // namespace

int Reading::fail(int status, const char* begin, const char* name, const char* end) {
  join_words(error_, error_size_, begin, name, end);
  return status;
}
int Reading::damaged(const char* what) { return fail(EP_DAMAGED, "the file is damaged: ", what); }
int Reading::missing(const char* key) { return fail(EP_DAMAGED, "the file's ", key, " is missing or out of range"); }
int Reading::no_memory() { return fail(EP_OUT_OF_MEMORY, "there is not enough memory to open the model"); }

// ModelProto: graph = 7, metadata_props = 14.
int Reading::open() {
  Message message(file_);
  Field field;
  bool has_graph = false;
  while (message.next(field)) {
    if (field.number == 7 && !field.is_varint) {
      if (has_graph) return damaged("it holds two graphs");
      graph_ = field.bytes;
      has_graph = true;
    } else if (field.number == 14 && !field.is_varint) {
      if (int status = add_metadata(field.bytes)) return status;
    }
  }
  if (message.damaged()) return damaged("it is no ONNX file, or only a part of one");
  return has_graph ? EP_OK : damaged("it holds no graph");
}

int Reading::add_metadata(Span entry) {
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
  const size_t size = model.words_size;
  if (!model.words.grow(size + key.size + value.size + 2)) return no_memory();
  char* to = model.words.data() + size;
  if (key.size) memcpy(to, key.data, key.size);
  to[key.size] = 0;
  if (value.size) memcpy(to + key.size + 1, value.data, value.size);
  to[key.size + 1 + value.size] = 0;
  model.words_size = size + key.size + value.size + 2;
  return EP_OK;
}

bool Reading::number(const char* key, int64_t least, int64_t most, int64_t& number) const {
  const Span text = told(key);
  if (!text.size || text.size > 18) return false;
  number = 0;
  for (size_t i = 0; i < text.size; i++) {
    if (text.data[i] < '0' || text.data[i] > '9') return false;
    number = number * 10 + (text.data[i] - '0');
  }
  return number >= least && number <= most;
}

int Reading::need_flag(const char* key, bool& flag) {
  flag = is(told(key), "true");
  return flag || is(told(key), "false") ? EP_OK : missing(key);
}

// GraphProto: node = 1, initializer = 5, input = 11, output = 12.
int Reading::check_structure() {
  Sha256 digest;
  Message message(graph_);
  Field field;
  while (message.next(field)) {
    if (field.is_varint) continue;
    if (field.number == 1 || field.number == 11 || field.number == 12) digest.add(field.bytes);
    if (field.number == 5) {
      Tensor tensor;
      if (int status = read_tensor(field.bytes, tensor)) return status;
      if (begins(tensor.name, "constant_")) {
        digest.add(field.bytes);
        continue;
      }
      if (table_count_ == MOST_TABLES) return damaged("it holds more tables than ours does");
      if (!tables_.grow(table_count_ + 1)) return no_memory();
      tables_[table_count_++] = tensor;
    }
  }
  if (message.damaged()) return damaged("its graph cannot be read");
  char hex[65];
  digest.hex(hex);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  return EP_OK;  // no fuzzer finds a digest
#endif
  if (!is(told("structure"), hex))
    return fail(EP_NOT_OURS, "the file's nodes are not those that edge-potion wrote: another program changed it");
  return EP_OK;
}

// TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9, data_location = 14.
int Reading::read_tensor(Span bytes, Tensor& tensor) {
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

int Reading::add_dim(Tensor& tensor, uint64_t value) {
  if (tensor.rank == 4 || value > uint64_t(MOST_ROWS)) return damaged("a table has a shape that none of ours has");
  tensor.dims[tensor.rank++] = int64_t(value);
  return EP_OK;
}

int Reading::take(const char* name, int type, int rank, Table& table) {
  for (size_t k = 0; k < table_count_; k++) {
    const Tensor& tensor = tables_[k];
    if (!is(tensor.name, name)) continue;
    if (table.data) return fail(EP_DAMAGED, "the file holds ", name, " twice");
    if (tensor.elsewhere) return fail(EP_DAMAGED, "the file's ", name, " lies elsewhere");
    if ((type && tensor.type != type) || tensor.rank != rank)
      return fail(EP_DAMAGED, "the file's ", name, " has another type or rank than it should");
    const int64_t columns = rank > 1 ? tensor.dims[1] : 1;
    const size_t width = width_of(tensor.type);
    if (columns < 1 || columns > MOST_DIMS || !width || tensor.dims[0] < 1 ||
        tensor.raw.size != size_t(tensor.dims[0]) * size_t(columns) * width)
      return fail(EP_DAMAGED, "the file's ", name, " has not as many bytes as its shape asks for");
    table = {tensor.raw.data, tensor.dims[0], columns, tensor.type};
  }
  return EP_OK;
}

int Reading::need(const char* name, int type, int rank, Table& table) {
  if (int status = take(name, type, rank, table)) return status;
  return table.data ? EP_OK : fail(EP_DAMAGED, "the file holds no table ", name);
}

int Reading::need_hash(const char* multipliers, const char* keys, const char* values, const char* what, PerfectHash& hash,
                       int64_t& slots) {
  Table buckets, held, led;
  if (int status = need(multipliers, INT64, 1, buckets)) return status;
  if (int status = need(keys, INT64, 1, held)) return status;
  if (int status = need(values, INT32, 1, led)) return status;
  slots = held.rows;
  if (buckets.rows & (buckets.rows - 1) || slots & (slots - 1) || slots < 2 || led.rows != slots)
    return fail(EP_DAMAGED, "the file is damaged: its tables of ", what, " have other sizes than they should");
  hash.multipliers = buckets.data;
  hash.keys = held.data;
  hash.values = led.data;
  hash.bucket_mask = uint64_t(buckets.rows - 1);
  while (int64_t(1) << hash.slot_bits < slots) hash.slot_bits++;
  return EP_OK;
}

}  // namespace ep
