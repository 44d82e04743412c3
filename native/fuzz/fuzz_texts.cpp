// Texts of any bytes: joined, by pointer and as ids they give the same, with every kind of kernel.
// The model is named by EDGE_POTION_MODEL.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "edge_potion.h"
#include "kernels.h"

namespace {

ep_model* model() {
  static ep_model* opened = [] {
    const char* path = getenv("EDGE_POTION_MODEL");
    ep_model* made = path ? ep_open(path) : nullptr;
    if (!made) {
      fprintf(stderr, "EDGE_POTION_MODEL: %s\n", path ? ep_last_error() : "name a text graph");
      exit(2);
    }
    return made;
  }();
  return opened;
}

void require(bool holds) {
  if (!holds) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<char> text(reinterpret_cast<const char*>(data), reinterpret_cast<const char*>(data) + size);
  size_t count = 1;
  for (char letter : text) count += letter == 0;
  const size_t dim = size_t(ep_dim(model()));
  std::vector<float> joined(count * dim), apart(count * dim);
  require(ep_embed(model(), text.data(), size, joined.data(), count, EP_MODEL_LIMIT, 1) == int64_t(count));
  std::vector<const char*> places;
  std::vector<size_t> lengths;
  for (size_t begin = 0, at = 0; at <= size; at++) {
    if (at < size && text[at]) continue;
    places.push_back(text.data() + begin);
    lengths.push_back(at - begin);
    begin = at + 1;
  }
  require(ep_embed_texts(model(), places.data(), lengths.data(), count, apart.data(), EP_MODEL_LIMIT, 2) == int64_t(count));
  require(memcmp(joined.data(), apart.data(), joined.size() * sizeof(float)) == 0);
  std::vector<int32_t> ids(16);
  for (size_t i = 0; i < count; i++) {
    const int64_t found = ep_token_ids(model(), places[i], lengths[i], EP_MODEL_LIMIT, ids.data(), ids.size());
    require(found >= 0 && (ep_max_tokens(model()) < 0 || found <= ep_max_tokens(model())));
    for (size_t k = 0; k < ids.size() && k < size_t(found); k++) require(ids[k] >= 0 && ids[k] < ep_vocabulary_size(model()));
  }
  return 0;
}
