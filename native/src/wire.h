// Protobuf's wire format, read in place: fields of a message one after another, never beyond its end.
#pragma once
#include "memory.h"

namespace ep {

struct Field {
  uint32_t number = 0;
  uint64_t value = 0;  // of a varint
  Span bytes;          // of what has a length: text, bytes, a message, packed numbers
  bool is_varint = false;
};

class Message {
 public:
  explicit Message(Span bytes) : at_(bytes.data), end_(bytes.data + bytes.size) {}

  // The next field that is a varint or has a length; false at the end, or where the message is damaged.
  bool next(Field& field) {
    while (at_ < end_) {
      uint64_t key;
      if (!varint(key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return fail();
      field = Field{};
      field.number = static_cast<uint32_t>(key >> 3);
      uint64_t size;
      switch (key & 7) {
        case 0:
          field.is_varint = true;
          return varint(field.value) || fail();
        case 1:
          if (!skip(8)) return fail();
          break;
        case 2:
          if (!varint(size) || size > static_cast<uint64_t>(end_ - at_)) return fail();
          field.bytes = {at_, static_cast<size_t>(size)};
          at_ += size;
          return true;
        case 5:
          if (!skip(4)) return fail();
          break;
        default:
          return fail();
      }
    }
    return false;
  }
  bool damaged() const { return damaged_; }

  // One of the numbers in a packed field, or in whatever else holds varints.
  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && at_ < end_; shift += 7) {
      const uint8_t byte = *at_++;
      if (shift == 63 && byte > 1) return false;
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool at_end() const { return at_ == end_; }

 private:
  bool skip(size_t count) {
    if (static_cast<size_t>(end_ - at_) < count) return false;
    at_ += count;
    return true;
  }
  bool fail() {
    damaged_ = true;
    at_ = end_;
    return false;
  }
  const uint8_t* at_;
  const uint8_t* end_;
  bool damaged_ = false;
};

}  // namespace ep
