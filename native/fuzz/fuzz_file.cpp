// The file reader and what it lets through: any bytes are a model or an error, and a model embeds any text.
#include <cstdint>
#include <cstring>
#include <cstdlib>

#include "edge_potion.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of just that size, so that what is read beyond it is found.
  uint8_t* file = static_cast<uint8_t*>(malloc(size ? size : 1));
  memcpy(file, data, size);
  if (ep_model* model = ep_open_memory(file, size)) {
    const char texts[] = "The cat's naïve façade, 日本語 \x01\x7f unbelievable\0\xff\xfe\0x";
    const size_t dim = size_t(ep_dim(model));
    float* vectors = static_cast<float*>(malloc(3 * dim * sizeof(float)));
    ep_embed(model, texts, sizeof texts - 1, vectors, 3, EP_MODEL_LIMIT, 1);
    free(vectors);
    ep_close(model);
  }
  free(file);
  return 0;
}
