// The phrases among a text's tokens: two that follow one another, and have a row of their own. In two steps, so that there is
// other work to do while memory answers the first. Included once for each kind of processor, after tokenize.inl.

// The keys of those pairs of tokens that may be phrases, into scratch.keys. Most are none, which the filter tells by the low
// half of their keys.
int64_t pairs(const Model& m, Scratch& scratch, const int32_t* tokens, int64_t count) {
  if (count < 2) return 0;
  const size_t size = size_t(count) - 1;
  if (!scratch.keys.grow(size) || !scratch.halves.grow(size)) return -1;
  uint32_t* halves = scratch.halves.data();
  for (size_t t = 0; t < size; t++)  // apart, so that compilers find vectors in it
    halves[t] = (uint32_t(tokens[t]) + 1) * uint32_t(BASE) + (uint32_t(tokens[t + 1]) + 1) * uint32_t(SALT);
  size_t some = 0;
  for (size_t t = 0; t < size; t++) {
    const uint32_t half = halves[t];
    halves[some] = uint32_t(t);
    some += m.phrases.may_hold(half);
  }
  uint64_t* keys = scratch.keys.data();
  for (size_t k = 0; k < some; k++) {
    const int32_t* pair = tokens + halves[k];
    keys[k] = (uint64_t(pair[0]) + 1) * BASE + (uint64_t(pair[1]) + 1) * SALT;
    prefetch(m.phrases.pairs.data() + m.phrases.place_of(keys[k]));
  }
  return int64_t(some);
}

// The rows of those of `some` such pairs that are phrases, behind the text's `count` tokens in scratch.tokens[which].
int64_t phrases(const Model& m, Scratch& scratch, int64_t some, int64_t count, int which) {
  if (!scratch.tokens[which].grow(size_t(count + some))) return -1;
  const uint64_t* keys = scratch.keys.data();
  int32_t* rows = scratch.tokens[which].data() + count;
  int64_t found = 0;
  for (size_t k = 0; k < size_t(some); k++) {
    const int32_t row = m.phrases.row_of(keys[k]);
    if (!row) continue;
    rows[found++] = row;
    prefetch_row(m, row);
  }
  return found;
}
