// The phrases among a text's tokens: two that follow one another, and have a row of their own. In two steps, so that there is
// other work to do while memory answers the first. Included once for each kind of processor, after tokenize.inl.

// Which pairs of a text's tokens may be phrases: their keys, and the places where these lead to, into scratch.keys and
// scratch.slots. Most are none, which the filter tells without a look into the file.
int64_t pairs(const Model& m, Scratch& scratch, const int32_t* tokens, int64_t count) {
  if (count < 2) return 0;
  if (!scratch.keys.grow(size_t(count)) || !scratch.slots.grow(size_t(count))) return -1;
  uint64_t *keys = scratch.keys.data(), *slots = scratch.slots.data();
  size_t some = 0;
  for (size_t t = 0; t + 1 < size_t(count); t++) {
    const uint64_t key = (uint64_t(tokens[t]) + 1) * BASE + (uint64_t(tokens[t + 1]) + 1) * SALT;
    keys[some] = key;
    some += m.phrases.may_hold(key);
  }
  for (size_t k = 0; k < some; k++) {
    slots[k] = slot_of(m.phrases.rows, keys[k]);
    prefetch_slot(m.phrases.rows, slots[k]);
  }
  return int64_t(some);
}

// The rows of those of `some` such pairs that are phrases, behind the text's `count` tokens in scratch.tokens[which].
int64_t phrases(const Model& m, Scratch& scratch, int64_t some, int64_t count, int which) {
  const PerfectHash& hash = m.phrases.rows;
  if (!scratch.tokens[which].grow(size_t(count + some))) return -1;
  const uint64_t *keys = scratch.keys.data(), *slots = scratch.slots.data();
  int32_t* rows = scratch.tokens[which].data() + count;
  int64_t found = 0;
  for (size_t k = 0; k < size_t(some); k++) {
    rows[found] = value_at(hash, slots[k]);
    found += holds(hash, slots[k], keys[k]);
  }
  for (int64_t k = 0; k < found; k++) prefetch_row(m, rows[k]);
  return found;
}
