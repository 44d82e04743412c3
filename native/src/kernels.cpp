// Which kernels this processor takes; asked once.
#include "kernels.h"

namespace ep {
namespace {

const Kernels& chosen() {
#if defined(__wasm__)
  return *kernels_128();  // which it is compiled for: plain loops would be a sixth of what is downloaded
#else
  const char* wanted = getenv("EDGE_POTION_KERNELS");
  const Kernels* all[] = {avx512_kernels(), avx2_kernels(), kernels_128(), &scalar_kernels()};
  if (wanted)
    for (const Kernels* each : all)
      if (each && strcmp(each->name, wanted) == 0) return *each;
  for (const Kernels* each : all)
    if (each) return *each;
  return scalar_kernels();
#endif
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& best = chosen();
  return best;
}

}  // namespace ep
