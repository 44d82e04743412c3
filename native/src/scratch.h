// What one worker needs while it embeds: grows to the largest text that it met, and is used again.
#pragma once
#include <atomic>

#include "memory.h"
#include "passes.h"

namespace ep {

// A place in a word of Unigram: the best way to it, its last piece by where it begins and by its node.
struct Place {
  double score;
  uint32_t start;
  uint32_t node;
};

struct Scratch {
  Buffer<uint32_t> starts, stops;  // of the words of a stretch
  Buffer<uint64_t> keys, slots;    // of those words, or of pairs or grams: their hashes, and where these lead to
  Buffer<uint32_t> halves;         // of the keys of all pairs; then, which of them are looked up
  Buffer<uint32_t> letters;        // of a word that is normalized
  Buffer<uint64_t> sums;           // of the hash of a word that is cut
  Buffer<int32_t> pieces;          // of that word
  Buffer<int32_t> tokens[2];       // of a text, with its phrases behind them, and of the next one
  Buffer<int32_t> rows[2];         // of a head, for these texts
  Buffer<int64_t> totals;          // of a text of very many tokens
  Buffer<uint8_t> text;            // without the NULs that it held

  // Of Unigram.
  Buffer<uint32_t> items, held, word;  // of some bytes; white that the end of the text may drop; of a word that is gathered
  Codes codes;                         // that are normalized together
  Buffer<Place> places;                // of a word
  Buffer<uint32_t> path;               // the places where its pieces end
  Buffer<uint8_t> cached;              // words that were met, and their ids
  uint64_t cached_of = 0;              // of which model

  // Whether the call is to end: someone has counted on since it began.
  const std::atomic<uint32_t>* halts = nullptr;
  uint32_t halts_before = 0;
  EP_INLINE bool stopped() const { return halts && halts->load(std::memory_order_relaxed) != halts_before; }
};

}  // namespace ep
