// Items of a word -> the ids of its best pieces, as Viterbi finds them; sums of float64 in one order, so that ties fall as
// `tokenizers` breaks them. For unigram.cpp alone.
#pragma once
#include "tokens.h"

namespace ep {

constexpr size_t LONG_WORD = 4096;  // items, behind which the best way is told as far as it is certain
constexpr double NOWHERE = -INFINITY;
constexpr uint32_t UNKNOWN = UINT32_MAX;  // the node of what is in no piece
constexpr size_t AHEAD = 64;        // items from which the trie is fetched before it is walked

// 0 where there is none: the root is nobody's child.
inline uint32_t child_of(const Unigram& u, uint32_t node, uint32_t item) {
  const uint32_t child = load<uint32_t>(u.units, 2 * size_t(node)) + item;
  return child < u.nodes && load<uint32_t>(u.units, 2 * size_t(child) + 1) == node ? child : 0;
}

class Segmenter {
 public:
  explicit Segmenter(Tokens& tokens) : tokens_(tokens), m_(tokens.m), u_(tokens.m.unigram), scratch_(tokens.scratch) {}

  // Whether what follows can change nothing that is kept.
  bool is_full() const { return tokens_.limit >= 0 && (run_ ? run_begin_ : tokens_.count) >= tokens_.limit; }

  // A word whose items lie at hand, of symbols and NO_SYMBOL alone. False without memory.
  bool word(const uint32_t* items, size_t count) {
    if (!scratch_.places.grow(count + 1) || !tokens_.make_room(tokens_of(count))) return false;
    Place* places = scratch_.places.data();
    places[0].score = 0;
    for (size_t k = 1; k <= count; k++) places[k].score = NOWHERE;
    fetch(items, count < AHEAD ? count : AHEAD);
    const Walked first = walk(items, count, 0, places);
    if (first.end == count) {
      const int32_t id = load<int32_t>(u_.whole_ids, first.node);
      if (id >= 0) return tokens_.emit(id), true;
    }
    for (size_t at = 1; at < count; at++) walk(items, count, at, places);
    return tell(items, places, count);
  }

  // A word item by item, however many it has.
  bool add(uint32_t item) {
    if (!scratch_.word.grow(size_ + 1)) return false;
    scratch_.word[size_++] = item & (ITEM | NO_SYMBOL);
    return size_ < next_ || tell_certain();
  }
  bool is_open() const { return size_; }
  bool end() {
    if (!size_) return true;
    const size_t count = size_;
    bool good;
    if (!is_cut_) {
      good = word(scratch_.word.data(), count);
    } else {
      good = walk_up_to(count) && tokens_.make_room(tokens_of(count)) &&
             tell(scratch_.word.data(), scratch_.places.data(), count);
    }
    size_ = walked_ = 0;
    next_ = LONG_WORD;
    is_cut_ = false;
    return good;
  }

 private:
  size_t tokens_of(size_t items) const { return u_.byte_ids ? 4 * items : items; }

  // Without a branch, as nobody can foresee it.
  static EP_INLINE void better(Place& place, double all, size_t at, uint32_t node) {
    const double old = place.score;
    const uint64_t mask = 0 - uint64_t(all > old), link = uint64_t(node) << 32 | at;
    uint64_t kept;
    memcpy(&kept, &place.start, 8);
    kept = (kept & ~mask) | (link & mask);
    memcpy(&place.start, &kept, 8);
    place.score = all > old ? all : old;
  }

  // The nodes two and three items below the root, from each of some items on.
  EP_INLINE void fetch(const uint32_t* items, size_t count) const {
    uint32_t below[AHEAD];
    const auto child = [&](uint32_t node, uint32_t item) {
      const uint32_t at = load<uint32_t>(u_.units, 2 * size_t(node)) + item;
      return at < u_.nodes ? at : 0;
    };
    const auto fetched = [this](uint32_t node) {
      prefetch(u_.units + 8 * size_t(node));
      prefetch(u_.scores + 8 * size_t(node));
      return node;
    };
    for (size_t k = 0; k + 1 < count; k++) below[k] = fetched(child(child(0, items[k]), items[k + 1]));
    for (size_t k = 0; k + 2 < count; k++) fetched(child(below[k], items[k + 2]));
  }

  struct Walked {
    size_t end;
    uint32_t node;
  };
  // All pieces from an item on. Ties are the earlier item's, so `>`.
  EP_INLINE Walked walk(const uint32_t* items, size_t count, size_t at, Place* places) const {
    const uint8_t *units = u_.units, *scores = u_.scores;
    const double before = places[at].score;
    const size_t most = count - at > size_t(u_.longest_piece) ? at + size_t(u_.longest_piece) : count;
    bool is_single = false;
    uint32_t node = 0, base = load<uint32_t>(units);
    size_t end = at;
    for (; end < most; end++) {
      const uint32_t child = base + items[end];
      if (child >= u_.nodes || load<uint32_t>(units, 2 * size_t(child) + 1) != node) break;
      const double score = load<double>(scores, child);
      base = load<uint32_t>(units, 2 * size_t(child));
      if (end == at) is_single = score > NOWHERE;
      better(places[end + 1], before + score, at, child);
      node = child;
    }
    const double unknown = before + u_.unknown_score;
    if (!is_single && unknown > places[at + 1].score) places[at + 1] = {unknown, uint32_t(at), UNKNOWN};
    return {end, node};
  }

  // Of a word that is gathered.
  bool walk_up_to(size_t end) {
    const size_t before = is_cut_ ? known_ : 0;
    if (!scratch_.places.grow(size_ + 1)) return false;
    Place* places = scratch_.places.data();
    places[0].score = is_cut_ ? places[0].score : 0;
    for (size_t k = before + 1; k <= size_; k++) places[k].score = NOWHERE;
    known_ = size_;
    for (; walked_ < end; walked_++) walk(scratch_.word.data(), size_, walked_, places);
    is_cut_ = true;
    return true;
  }

  // The best ways to all places that are reached, where no more pieces can come: as far as they are one, they are told.
  bool tell_certain() {
    const size_t longest = size_t(u_.longest_piece);
    if (size_ <= 2 * longest) return next_ = 4 * longest, true;
    if (!walk_up_to(size_ - longest)) return false;
    const Place* places = scratch_.places.data();
    size_t common = walked_;
    for (size_t end = walked_ + 1; end <= size_; end++) {
      if (places[end].score == NOWHERE) continue;
      for (size_t other = end; other != common;) {
        if (other > common) other = places[other].start;
        else common = places[common].start;
      }
    }
    next_ = 2 * size_;  // where nothing is certain, that costs no more than the word
    if (!common) return true;
    if (!tokens_.make_room(tokens_of(common)) || !tell(scratch_.word.data(), places, common, false)) return false;
    uint32_t* word = scratch_.word.data();
    memmove(word, word + common, (size_ - common) * sizeof *word);
    Place* all = scratch_.places.data();
    memmove(static_cast<void*>(all), all + common, (size_ - common + 1) * sizeof *all);
    size_ -= common, walked_ -= common, known_ -= common;
    for (size_t k = 1; k <= size_; k++) all[k].start -= uint32_t(common);
    next_ = size_ + LONG_WORD;
    return true;
  }

  // The pieces of the best way to a place, for which there is room. Where the word ends there, so does a run.
  bool tell(const uint32_t* items, const Place* places, size_t end, bool ends = true) {
    if (!scratch_.path.grow(end)) return false;
    uint32_t* path = scratch_.path.data();
    size_t count = 0;
    for (size_t at = end; at; at = places[at].start) path[count++] = uint32_t(at);
    while (count) {
      const size_t at = path[--count];
      const uint32_t node = places[at].node;
      const int32_t id = node == UNKNOWN ? m_.unknown : load<int32_t>(u_.ids, size_t(node));
      if (id == m_.unknown) {
        for (size_t k = places[at].start; k < at; k++) add_unknown(items[k]);
      } else {
        end_run();
        tokens_.emit(id);
      }
    }
    if (ends) end_run();
    return true;
  }

  // Neighbours that are unknown are one string: a piece where it happens to be one, else its bytes, else unknown. Its bytes
  // are told meanwhile, and taken back.
  void add_unknown(uint32_t item) {
    if (!run_) {
      run_begin_ = tokens_.count;
      run_node_ = 0;
      has_bytes_ = u_.byte_ids != nullptr;
    }
    run_++;
    const uint32_t child = run_node_ < 0 ? 0 : child_of(u_, uint32_t(run_node_), item);
    run_node_ = child ? int32_t(child) : -1;
    if (!has_bytes_) return;
    const uint32_t code = item & NO_SYMBOL ? item & ITEM : u_.code_of[item];
    uint8_t bytes[4];
    const size_t length = to_utf8(code, bytes);
    for (size_t k = 0; k < length; k++) {
      const int32_t id = load<int32_t>(u_.byte_ids, bytes[k]);
      if (id < 0) return has_bytes_ = false, void();
      tokens_.emit(id);
    }
  }
  void end_run() {
    if (!run_) return;
    run_ = 0;
    const int32_t id = run_node_ > 0 ? load<int32_t>(u_.ids, size_t(run_node_)) : -1;
    if (id < 0 && has_bytes_) return;
    tokens_.count = run_begin_;
    tokens_.emit(id < 0 ? m_.unknown : id);
  }

  Tokens& tokens_;
  const Model& m_;
  const Unigram& u_;
  Scratch& scratch_;
  // Of a word that is gathered: its items, how many of them pieces were looked for from, and how far places are known.
  size_t size_ = 0, walked_ = 0, known_ = 0, next_ = LONG_WORD;
  bool is_cut_ = false;
  // Of a run of unknown items: how many, the tokens before it, its node in the trie (-1 where it left it).
  size_t run_ = 0;
  int64_t run_begin_ = 0;
  int32_t run_node_ = -1;
  bool has_bytes_ = false;
};

}  // namespace ep
