// Unigram: a text -> token ids. What stands between spaces is a word by itself, mostly, whose ids are remembered by its bytes;
// what is not goes item by item.
#include "cached.h"
#include "kernels.h"
#include "lattice.h"
#include "normalize.h"

namespace ep {
namespace {

constexpr size_t TOGETHER = 32;
constexpr size_t STRETCH = 4096;  // bytes that are normalized at a time

// A word between spaces, before its ids are told.
struct Gathered {
  size_t begin, end;
  WordKey key;
  CachedPair* pair;     // where it is remembered, or will be
  size_t spaces;        // before it
  size_t known;         // ids that were remembered; 0 where it was not
  size_t items, count;  // where its items lie
  uint32_t node, child;
  bool has_blank, is_walked;
  int32_t ids[WORD_IDS];
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

  // Some words from one on, each step for all of them; and what stands before the next space, where that is odd.
  int64_t words(size_t begin) {
    size_t count = 0, some = 0, items = 0;
    for (; count < TOGETHER && begin < text_.size; count++) {
      Gathered& word = gathered_[count];
      word.begin = begin;
      word.end = space_from(begin);
      word.key = WordKey::of(text_.data + begin, word.end - begin, text_.readable);
      prefetch(word.pair = &cache_.of(word.key));
      begin = word_from(word.end);
    }
    bool is_odd = false;
    for (; some < count; some++) {
      if (const int64_t failed = gather(gathered_[some], items, is_odd)) return failed;
      if (is_odd) break;
    }
    find_whole(some);
    for (size_t j = 0; j < some && !words_.is_full(); j++)
      if (!tell(gathered_[j])) return -1;
    return is_odd && !words_.is_full() ? pass(gathered_[some].end) : 0;
  }

  // What stands between spaces and is a word: remembered, or its items from a place in scratch.items on. It is odd where it is
  // not, or may be more.
  int64_t gather(Gathered& word, size_t& items, bool& is_odd) {
    size_t spaces = word.begin - at_;
    if (u_.collapses && spaces > 1) spaces = 1;
    if (u_.splits_white || (u_.strips_left && !has_begun_)) spaces = 0;
    word.spaces = spaces;
    word.has_blank = spaces || (u_.prepends && (u_.splits_white || !has_begun_));
    word.is_walked = false;
    word.known = 0;
    if (const CachedWord* cached = Cache::found(*word.pair, word.key, word.has_blank)) {
      word.known = cached->count;
      memcpy(word.ids, cached->ids, sizeof word.ids);  // another word may come to lie there
    } else {
      const size_t size = word.end - word.begin;
      Items found;
      if (!Normalizer(u_, scratch_, text_.data + word.begin, size, size, items).run(found)) return -1;
      is_odd = !found.count || found.kinds & (SPACE | WHITE | BLANK | JOINED | HOLDS);
      if (is_odd) return 0;
      scratch_.items[items] = u_.blank & (ITEM | NO_SYMBOL);
      word.items = items + !word.has_blank;
      word.count = found.count + word.has_blank;
      items += 1 + found.count;
    }
    has_begun_ = true;
    at_ = word.end;
    return 0;
  }

  // Which of those words are one token. All are walked side by side, as each step waits for memory.
  void find_whole(size_t some) {
    uint8_t going[TOGETHER];
    size_t left = 0;
    const uint32_t base = load<uint32_t>(u_.units);
    for (size_t j = 0; j < some; j++) {
      Gathered& word = gathered_[j];
      if (word.known || word.count > size_t(u_.longest_piece)) continue;
      word.node = 0;
      word.child = base + scratch_.items[word.items];
      going[left++] = uint8_t(j);
    }
    for (size_t depth = 1; left; depth++) {
      size_t still = 0;
      for (size_t j = 0; j < left; j++) {
        Gathered& word = gathered_[going[j]];
        const uint32_t child = word.child < u_.nodes ? word.child : 0;
        if (load<uint32_t>(u_.units, 2 * size_t(child) + 1) != word.node) continue;
        word.node = child;
        if (depth == word.count) {
          word.is_walked = true;
          prefetch(u_.whole_ids + 4 * size_t(child));
          continue;
        }
        word.child = load<uint32_t>(u_.units, 2 * size_t(child)) + scratch_.items[word.items + depth];
        if (word.child < u_.nodes) prefetch(u_.units + 8 * size_t(word.child));
        going[still++] = going[j];
      }
      left = still;
    }
  }

  bool tell(const Gathered& word) {
    if (!blanks(word.spaces) || !tokens_.make_room(WORD_IDS)) return false;
    if (word.known) {
      for (size_t k = 0; k < word.known; k++) tokens_.emit(word.ids[k]);
      return true;
    }
    const int64_t before = tokens_.count;
    const int32_t whole = word.is_walked ? load<int32_t>(u_.whole_ids, word.node) : -1;
    if (whole >= 0) tokens_.emit(whole);
    else if (!words_.word(scratch_.items.data() + word.items, word.count)) return false;
    Cache::keep(*word.pair, word.key, word.has_blank, tokens_.ids.data() + before, size_t(tokens_.count - before));
    return true;
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
  Gathered gathered_[TOGETHER];
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
