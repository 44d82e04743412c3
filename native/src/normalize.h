// UTF-8 -> items of normalized code points. Nearly all code points are normalized by themselves, in one lookup; those that
// another one may join go through the passes with it. For unigram.cpp alone.
#pragma once
#include "scratch.h"

namespace ep {

// How many bytes a longest part of bytes[0, left) has that is no UTF-8, for which U+FFFD stands: as Python replaces errors.
inline size_t bad_part(const uint8_t* bytes, size_t left) {
  const uint8_t lead = bytes[0];
  if (lead < 0xC2 || lead > 0xF4 || left < 2) return 1;
  const uint8_t least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (bytes[1] < least || bytes[1] > most) return 1;
  if (left < 3 || (bytes[2] & 0xC0) != 0x80) return 2;
  return 3;
}

// The code point at bytes[0], and how many of the `left` bytes it has.
inline uint32_t code_at(const uint8_t* bytes, size_t left, size_t& length) {
  const uint32_t lead = bytes[0];
  if (lead < 0x80) return length = 1, lead;
  const auto follows = [bytes, left](size_t k) { return k < left && (bytes[k] & 0xC0) == 0x80; };
  const auto bits = [bytes](size_t k) { return uint32_t(bytes[k] & 0x3F); };
  if (lead >= 0xC2 && lead < 0xE0) {
    if (follows(1)) return length = 2, (lead & 0x1F) << 6 | bits(1);
  } else if (lead >= 0xE0 && lead < 0xF0) {
    if (follows(1) && follows(2)) {
      const uint32_t code = (lead & 0xF) << 12 | bits(1) << 6 | bits(2);
      if (code >= 0x800 && (code < 0xD800 || code >= 0xE000)) return length = 3, code;
    }
  } else if (lead >= 0xF0 && follows(1) && follows(2) && follows(3)) {
    const uint32_t code = (lead & 7) << 18 | bits(1) << 12 | bits(2) << 6 | bits(3);
    if (lead < 0xF8 && code >= 0x10000 && code <= uint32_t(LAST_CODE_POINT)) return length = 4, code;
  }
  length = bad_part(bytes, left);
  return uint32_t(REPLACEMENT);
}

// What became of some bytes: items in scratch.items, behind a free place.
struct Items {
  size_t bytes = 0;    // that were taken
  size_t count = 0;
  uint32_t kinds = 0;  // of all items; and JOINED and HOLDS of the first and of the last character
};

constexpr uint32_t KEPT = ITEM | NO_SYMBOL | SPACE | WHITE | BLANK;  // of an item that comes out
constexpr size_t LONG_GRAPHEME = 6;  // bytes, of which each character is normalized by itself

class Normalizer {
 public:
  // Takes `most` of the bytes, and then as many as hang together with these.
  Normalizer(const Unigram& unigram, Scratch& scratch, const uint8_t* bytes, size_t size, size_t most)
      : u_(unigram), scratch_(scratch), bytes_(bytes), size_(size), most_(most) {}

  // False without memory.
  bool run(Items& items) {
    if (!make_room(0)) return false;
    const uint32_t* ascii = u_.items.data();  // of the first page, which is the first kind
    uint32_t* to = place();
    size_t at = 0, last = 0;
    while (at < size_) {
      size_t length = 1;
      const uint32_t lead = bytes_[at], code = lead < 0x80 ? lead : code_at(bytes_ + at, size_ - at, length);
      const uint32_t item = lead < 0x80 ? ascii[lead] : u_.item_of(code);
      if (!((item & FLAGGED) | (before_ & HOLDS))) {
        if (at >= most_) break;
        base_ = at;
        base_count_ = count_;
        to[count_++] = item & ITEM;
      } else {
        if (at && is_joined(item, at, last, length)) {
          if (!pass_together(at)) return false;
          to = place();
          continue;
        }
        if (!at || !(item & JOINED)) {
          if (at >= most_) break;
          base_ = at;
          base_count_ = count_;
          if (!at) kinds_ |= item & JOINED;
        }
        if (!add(item, code, at)) return false;
        to = place();
      }
      before_ = item;
      last = at;
      at += length;
    }
    items = {at, count_, kinds_ | (before_ & HOLDS)};
    return true;
  }

 private:
  // Whether a character at `at`, behind one at `last`, may hang together with what stands before it.
  bool is_joined(uint32_t item, size_t at, size_t last, size_t length) const {
    if (before_ & HOLDS || item & JOINS) return true;
    if (item & MARK && at + length - base_ < LONG_GRAPHEME) return true;
    return item & REORDERS && (last != base_ || before_ & TAILED);
  }

  // The characters from the last that nothing before it joins up to the next one; `at` is one between them, and then behind.
  bool pass_together(size_t& at) {
    Codes& codes = scratch_.codes;
    codes.count = 0;
    const size_t middle = at;
    uint32_t item = 0;
    for (at = base_; at < size_;) {
      size_t length;
      const uint32_t code = code_at(bytes_ + at, size_ - at, length), next = u_.item_of(code);
      if (at > middle && !(next & JOINED) && !(item & HOLDS)) break;
      if (!codes.add(code)) return false;
      item = next;
      at += length;
    }
    if (!run_passes(u_, 0, u_.pass_count, codes)) return false;
    count_ = base_count_;
    if (!make_room(at, codes.count)) return false;
    uint32_t* to = place();
    for (size_t k = 0; k < codes.count; k++) {
      const uint32_t plain = u_.plain_item(codes.now[k]);
      kinds_ |= plain & FLAGGED;
      to[count_++] = plain;
    }
    before_ = item & HOLDS;  // at the end of the bytes alone
    base_ = at;
    base_count_ = count_;
    return true;
  }

  bool add(uint32_t item, uint32_t code, size_t at) {
    if (!(item & SEVERAL)) {
      if (at >= most_ && !make_room(at, 1)) return false;
      place()[count_] = (item & KEPT) | (item & ITSELF ? code : 0);
      kinds_ |= item & (SPACE | WHITE | BLANK);
      count_++;
      return true;
    }
    const uint32_t* several = u_.several.data() + (item & ITEM);
    const size_t count = *several++;
    if (!make_room(at, count)) return false;
    uint32_t* to = place();
    for (size_t k = 0; k < count; k++) {
      to[count_++] = several[k];
      kinds_ |= several[k] & (SPACE | WHITE | BLANK);
    }
    return true;
  }

  // For some more items, and one for each byte that is yet to take.
  bool make_room(size_t at, size_t more = 0) { return scratch_.items.grow(1 + count_ + more + (at < most_ ? most_ - at : 0)); }

  uint32_t* place() { return scratch_.items.data() + 1; }

  const Unigram& u_;
  Scratch& scratch_;
  const uint8_t* bytes_;
  size_t size_, most_, count_ = 0;
  size_t base_ = 0, base_count_ = 0;  // of the last character that nothing before it joins
  uint32_t before_ = 0, kinds_ = 0;
};

}  // namespace ep
