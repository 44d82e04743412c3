// The tables of phrases, laid out anew.
#include "edge_potion.h"
#include "reading.h"

namespace ep {
namespace {

constexpr int32_t PHRASES_A_WORD = 8;  // of the filter, at most
constexpr size_t MOST_STEPS = 1024;    // from where a phrase should lie to where there is room: of hashes a few dozen at most

int bits_for(int64_t count) {
  int bits = 1;
  while (int64_t(1) << bits <= count) bits++;
  return bits;
}

// For 2^bits things that are 0.
template <class T>
bool make_room(Buffer<T>& buffer, int bits) {
  if (!buffer.grow(size_t(1) << bits)) return false;
  memset(static_cast<void*>(buffer.data()), 0, sizeof(T) << bits);
  return true;
}

int wrong_count(Reading& reading) { return reading.damaged("its tables of phrases hold not as many as it says"); }

int lay_out(Reading& reading, const PerfectHash& hash, int64_t slots) {
  const Model& model = reading.model;
  Phrases& phrases = reading.model.phrases;
  phrases.filter_bits = bits_for(phrases.count / PHRASES_A_WORD);
  phrases.pair_bits = bits_for(int64_t(phrases.count) * 3);
  if (!make_room(phrases.filter, phrases.filter_bits) || !make_room(phrases.pairs, phrases.pair_bits)) return reading.no_memory();
  int64_t found = 0;
  for (size_t slot = 0; slot < size_t(slots); slot++) {
    const uint64_t key = load<uint64_t>(hash.keys, slot);
    if (hash.slot_of(key) != slot) continue;  // nothing is there
    const int64_t row = load<int32_t>(hash.values, slot);
    if (row < model.vocabulary || row >= int64_t(model.vocabulary) + phrases.count)
      return reading.damaged("its phrase_rows are not those of its phrases");
    if (++found > phrases.count) break;
    size_t place = phrases.place_of(key);
    for (size_t steps = 0; phrases.pairs[place].row; place = phrases.after(place))
      if (++steps > MOST_STEPS) return reading.damaged("its phrase_keys are not those of phrases");
    phrases.pairs[place] = {key, int32_t(row)};
    phrases.filter[phrases.word_of(uint32_t(key))] |= phrases.bits_of(uint32_t(key));
  }
  return found == phrases.count ? EP_OK : wrong_count(reading);
}

}  // namespace

int read_phrases(Reading& reading) {
  const Phrases& phrases = reading.model.phrases;
  if (!phrases.count) {
    Table multipliers, keys, rows;
    if (int status = reading.take("phrase_multipliers", INT64, 1, multipliers)) return status;
    if (int status = reading.take("phrase_keys", INT64, 1, keys)) return status;
    if (int status = reading.take("phrase_rows", INT32, 1, rows)) return status;
    if (multipliers.data || keys.data || rows.data) return reading.damaged("it holds tables of phrases, and does not say so");
    return EP_OK;
  }
  PerfectHash hash;
  int64_t slots;
  if (int status = reading.need_hash("phrase_multipliers", "phrase_keys", "phrase_rows", "phrases", hash, slots)) return status;
  return slots < phrases.count ? wrong_count(reading) : lay_out(reading, hash, slots);
}

}  // namespace ep
