// Unigram: a text -> token ids. What stands between spaces is a word by itself, mostly, whose ids are remembered by its bytes;
// what is not goes item by item.
#include "cached.h"
#include "kernels.h"
#include "lattice.h"
#include "normalize.h"

namespace ep {
namespace {

constexpr size_t TOGETHER = 32;  // words that are looked for in the cache at a time
constexpr size_t STRETCH = 4096;  // bytes that are normalized at a time

// A word between spaces.
struct Between {
  size_t begin, end;
  WordKey key;
  CachedPair* pair;  // where it is remembered, or will be
};

class UnigramText {
 public:
  UnigramText(Tokens& tokens, const Text& text)
      : tokens_(tokens), m_(tokens.m), u_(tokens.m.unigram), scratch_(tokens.scratch), words_(tokens), text_(text) {}

  // 0; or -1 without memory, -2 when the call was stopped.
  int64_t run() {
    if (!u_.has_chunks) {
      if (const int64_t failed = pass(text_.size)) return failed;
      return words_.end() ? 0 : -1;
    }
    if (!cache_.open(m_, scratch_)) return -1;
    size_t begin = word_from(0);
    while (begin < text_.size && !words_.is_full()) {
      if (scratch_.stopped()) return -2;
      if (const int64_t failed = is_clean_ ? words(begin) : pass(space_from(begin))) return failed;
      begin = word_from(at_);
    }
    const bool are_dropped = is_clean_ && (u_.splits_white || u_.strips_right);  // what is left are spaces
    if (!are_dropped && !words_.is_full())
      if (const int64_t failed = pass(text_.size)) return failed;
    return words_.end() ? 0 : -1;
  }

 private:
  size_t word_from(size_t at) const {
    while (at < text_.size && text_.data[at] == SPACE_CODE) at++;
    return at;
  }
  size_t space_from(size_t at) const {
    constexpr uint64_t ONES = 0x0101010101010101;
    for (; at < text_.size; at += 8) {
      if (size_t(text_.readable - text_.data) < at + 8) break;
      const uint64_t other = load<uint64_t>(text_.data + at) ^ ONES * SPACE_CODE, spaces = (other - ONES) & ~other & ONES << 7;
      if (!spaces) continue;
      at += size_t(lowest_bit(spaces)) / 8;
      return at < text_.size ? at : text_.size;
    }
    while (at < text_.size && text_.data[at] != SPACE_CODE) at++;
    return at < text_.size ? at : text_.size;
  }

  // Some words from one on.
  int64_t words(size_t begin) {
    Between some[TOGETHER];
    size_t count = 0;
    for (; count < TOGETHER && begin < text_.size; count++) {
      const size_t end = space_from(begin);
      const WordKey key = WordKey::of(text_.data + begin, end - begin, text_.readable);
      some[count] = {begin, end, key, &cache_.of(key)};
      prefetch(some[count].pair);
      begin = word_from(end);
    }
    for (size_t k = 0; k < count && is_clean_ && !words_.is_full(); k++)
      if (const int64_t failed = word(some[k])) return failed;
    return 0;
  }

  // What stands between spaces: it is remembered, or would be; or it is odd, and goes item by item.
  int64_t word(const Between& one) {
    size_t spaces = one.begin - at_;
    if (u_.collapses && spaces > 1) spaces = 1;
    if (u_.splits_white || (u_.strips_left && !has_begun_)) spaces = 0;
    const bool has_blank = spaces || (u_.prepends && (u_.splits_white || !has_begun_));
    if (const CachedWord* cached = Cache::found(*one.pair, one.key, has_blank)) {
      if (!blanks(spaces) || !tokens_.make_room(WORD_IDS)) return -1;
      for (size_t k = 0; k < cached->count; k++) tokens_.emit(cached->ids[k]);
    } else {
      const size_t size = one.end - one.begin;
      if (size > STRETCH) return pass(one.end);
      Items items;
      if (!Normalizer(u_, scratch_, text_.data + one.begin, size, size).run(items)) return -1;
      if (!items.count || items.kinds & (SPACE | WHITE | BLANK | JOINED | HOLDS)) return pass(one.end);
      if (!blanks(spaces)) return -1;
      uint32_t* first = scratch_.items.data();
      *first = u_.blank & (ITEM | NO_SYMBOL);
      const int64_t before = tokens_.count;
      if (!words_.word(first + !has_blank, items.count + has_blank)) return -1;
      Cache::keep(*one.pair, one.key, has_blank, tokens_.ids.data() + before, size_t(tokens_.count - before));
    }
    has_begun_ = true;
    at_ = one.end;
    return 0;
  }

  // The words of spaces of which the last begins another one.
  bool blanks(size_t spaces) {
    const uint32_t blank = u_.blank & (ITEM | NO_SYMBOL);
    for (; spaces > 1 && !words_.is_full(); spaces--)
      if (!words_.word(&blank, 1)) return false;
    return true;
  }

  // The bytes up to a place, and those that hang together with them, item by item.
  int64_t pass(size_t end) {
    while (at_ < end && !words_.is_full()) {
      if (scratch_.stopped()) return -2;
      Items items;
      const size_t most = end - at_ < STRETCH ? end - at_ : STRETCH;
      if (!Normalizer(u_, scratch_, text_.data + at_, text_.size - at_, most).run(items)) return -1;
      at_ += items.bytes;
      for (size_t k = 1; k <= items.count; k++)
        if (!take(scratch_.items[k])) return -1;
    }
    is_clean_ = at_ == end && has_begun_ && !held_ && !(last_ & (SPACE | WHITE | BLANK));
    after_space_ = after_space_ && !is_clean_;
    return !is_clean_ || !u_.has_chunks || words_.end() ? 0 : -1;
  }

  // Spaces that stand together become one; white at the ends is dropped. False without memory.
  bool take(uint32_t item) {
    if (u_.collapses && item & SPACE && after_space_) return true;
    after_space_ = item & SPACE;
    last_ = item;
    if (item & WHITE) {
      if (u_.strips_left && !has_begun_) return true;
      if (u_.strips_right) {
        if (!scratch_.held.grow(held_ + 1)) return false;
        scratch_.held[held_++] = item;
        return true;
      }
    }
    for (size_t k = 0; k < held_; k++)
      if (!split(scratch_.held[k])) return false;
    held_ = 0;
    return split(item);
  }

  // Texts -> words.
  bool split(uint32_t item) {
    const bool is_first = !has_begun_;
    has_begun_ = true;
    if (u_.splits_white && item & WHITE) return words_.end();
    if (words_.is_open()) {
      if (item & BLANK && u_.splits_blanks && !words_.end()) return false;
    } else if (u_.prepends && (u_.splits_white || is_first) && !(item & BLANK)) {
      if (!words_.add(u_.blank)) return false;
    }
    return words_.add(item);
  }

  Tokens& tokens_;
  const Model& m_;
  const Unigram& u_;
  Scratch& scratch_;
  Segmenter words_;
  Cache cache_;
  const Text& text_;
  size_t at_ = 0;             // where the bytes begin that have not come through
  bool is_clean_ = true;      // nothing is kept back, no word is open, and what came last is no space
  bool after_space_ = false;
  bool has_begun_ = false;    // anything has come to the pre-tokenizer
  size_t held_ = 0;
  uint32_t last_ = 0;         // the item that came last
};

}  // namespace

int64_t tokenize_unigram(const Model& m, Scratch& scratch, const Text& text, int which, int64_t limit) {
  Tokens tokens{m, scratch, scratch.tokens[which], limit};
  if (const int64_t failed = UnigramText(tokens, text).run()) return failed;
  return tokens.is_full() ? limit : tokens.count;
}

}  // namespace ep
