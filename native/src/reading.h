// What the parts of the file reader have in common: the file's metadata and tables by name, and errors that say what is wrong.
#pragma once
#include "model.h"

namespace ep {

enum TensorType { FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7, FLOAT16 = 10, DOUBLE = 11 };  // TensorProto.DataType
constexpr int64_t MOST_ROWS = int64_t(1) << 28;

inline bool is(Span text, const char* word) {
  const size_t size = strlen(word);
  return text.size == size && memcmp(text.data, word, size) == 0;
}

struct Tensor {
  Span name, raw;
  int type = 0;
  int64_t dims[4] = {};
  int rank = 0;
  bool elsewhere = false;  // its numbers are in another file, or not in raw_data
};

// A table that was asked for; without data where the file holds none of that name.
struct Table {
  const uint8_t* data = nullptr;
  int64_t rows = 0, columns = 0;  // columns are 1 of what has one axis
  int type = 0;
};

class Reading {
 public:
  Reading(Span file, Model& to, char* error, size_t error_size)
      : model(to), file_(file), error_(error), error_size_(error_size) {}

  // Finds metadata and tables, and whether the nodes are still those that the file was made with. Like all that follows: an
  // ep_status, and a sentence where it is not EP_OK.
  int open();
  int check_structure();

  // `type` 0 is any.
  int take(const char* name, int type, int rank, Table& table);
  int need(const char* name, int type, int rank, Table& table);
  // The three of a perfect hash; `what` the sentence calls them by.
  int need_hash(const char* multipliers, const char* keys, const char* values, const char* what, PerfectHash& hash,
                int64_t& slots);

  Span told(const char* key) const { return model.metadata_of(key); }
  bool number(const char* key, int64_t least, int64_t most, int64_t& number) const;
  int need_number(const char* key, int64_t least, int64_t most, int64_t& to) {
    return number(key, least, most, to) ? 0 : missing(key);
  }
  int need_flag(const char* key, bool& flag);

  int fail(int status, const char* begin, const char* name = "", const char* end = "");
  int damaged(const char* what);
  int missing(const char* key);
  int no_memory();

  Model& model;

 private:
  int add_metadata(Span entry);
  int add_tables();
  int read_tensor(Span bytes, Tensor& tensor);
  int add_dim(Tensor& tensor, uint64_t value);

  Span file_, graph_;
  char* error_;
  size_t error_size_;
  Buffer<Tensor> tables_;
  size_t table_count_ = 0;
};

inline bool are_below(const uint8_t* numbers, int64_t count, int64_t bound) {
  for (int64_t place = 0; place < count; place++)
    if (load<uint32_t>(numbers, size_t(place)) >= uint32_t(bound)) return false;
  return true;
}

// The parts, in the order in which they are read.
int read_wordpiece(Reading& reading);
int read_unigram(Reading& reading);
int read_phrases(Reading& reading);
int read_head(Reading& reading);

}  // namespace ep
