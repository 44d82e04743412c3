// Bytes as they lie in a file, read without regard to alignment; and room that grows without exceptions.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "processor.h"

namespace ep {

template <class T>
EP_INLINE T load(const void* at, size_t place = 0) {
  T value;
  memcpy(&value, static_cast<const char*>(at) + place * sizeof(T), sizeof(T));
  return value;
}

struct Span {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

// An array that only grows. `grow` says whether there is room; what was in it stays.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { free(data_); }

  EP_INLINE bool grow(size_t count) {
    if (count <= room_) return true;
    size_t room = room_ * 2 > count ? room_ * 2 : count;
    if (room > SIZE_MAX / sizeof(T)) return false;
    void* larger = realloc(data_, room * sizeof(T));
    if (!larger) return false;
    data_ = static_cast<T*>(larger);
    room_ = room;
    return true;
  }
  EP_INLINE T* data() { return data_; }
  EP_INLINE const T* data() const { return data_; }
  EP_INLINE T& operator[](size_t place) { return data_[place]; }
  EP_INLINE const T& operator[](size_t place) const { return data_[place]; }
  EP_INLINE size_t room() const { return room_; }
  void swap(Buffer& other) {
    T* const data = data_;
    const size_t room = room_;
    data_ = other.data_, room_ = other.room_;
    other.data_ = data, other.room_ = room;
  }

 private:
  T* data_ = nullptr;
  size_t room_ = 0;
};

// A sentence of three parts in room of `size`, cut where it does not fit: printf would be half of a small library.
inline void join_words(char* to, size_t size, const char* begin, const char* middle = "", const char* end = "") {
  size_t at = 0;
  for (const char* part : {begin, middle, end})
    for (; *part && at + 1 < size; part++) to[at++] = *part;
  if (size) to[at] = 0;
}

}  // namespace ep
