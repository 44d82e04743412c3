// Text -> token ids. Included once for each kind of processor, after `classify`.
#include "pieces.inl"
#include "unicode.inl"
#include "words.inl"

// The words of a stretch, each step for all of them, as each waits for memory: their hashes, the places these lead to, and
// what stands there.
inline int64_t stretch_tokens(Words& tokens, const uint8_t* s, size_t size, const uint8_t* readable) {
  const Model& m = tokens.m;
  Scratch& scratch = tokens.scratch;
  bool changed;
  const size_t count = words_of(m, s, size, readable, scratch, changed);
  const uint32_t *starts = scratch.starts.data(), *stops = scratch.stops.data();
  uint64_t *keys = scratch.keys.data(), *slots = scratch.slots.data();
  for (size_t k = 0; k < count; k++) {
    const size_t letters = stops[k] - starts[k];
    keys[k] = letters > size_t(m.longest_word) ? 0 : key_of(m, s + starts[k], letters, readable);
    prefetch_bucket(m.pieces, keys[k]);
  }
  for (size_t k = 0; k < count; k++) {
    slots[k] = m.pieces.slot_of(keys[k]);
    prefetch_slot(m.pieces, slots[k]);
  }
  for (size_t k = 0; k < count && !tokens.is_full(); k++) {
    const uint8_t* word = s + starts[k];
    const size_t letters = stops[k] - starts[k];
    if (changed && is_changed(m, word, letters)) {
      if (const int64_t failed = words_aside(tokens, word, letters)) return failed;
      if (!tokens.make_room(size)) return -1;
    } else if (letters > size_t(m.longest_word)) {
      tokens.emit(m.unknown);
    } else if (!tokens.word([&m, word](size_t j) { return m.codes[word[j]]; }, letters, keys[k], slots[k])) {
      return -1;
    }
  }
  return 0;
}

int64_t tokenize(const Model& m, Scratch& scratch, const Text& text, int which, int64_t limit) {
  if (m.family == Family::unigram) return tokenize_unigram(m, scratch, text, which, limit);
  Words tokens{{m, scratch, scratch.tokens[which], limit}};
  if (!scratch.starts.grow(STRETCH + 1) || !scratch.stops.grow(STRETCH + 1) || !scratch.keys.grow(STRETCH + 1) ||
      !scratch.slots.grow(STRETCH + 1))
    return -1;
  for (size_t at = 0; at < text.size && !tokens.is_full();) {
    if (scratch.stopped()) return -2;
    size_t end = stretch_end(m, text, at);
    int64_t failed;
    if (end > at) {
      if (!tokens.make_room(end - at)) return -1;  // a byte is a token at most, where it is not changed
      failed = stretch_tokens(tokens, text.data + at, end - at, text.readable);
    } else {
      end = word_end(m, text, at + STRETCH);
      failed = words_aside(tokens, text.data + at, end - at);
    }
    if (failed) return failed;
    at = end;
  }
  return tokens.is_full() ? limit : tokens.count;
}
