#include "mapping.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

namespace ep {

bool Mapping::open(const char* path) {
  wchar_t wide[32768];
  if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, 32768)) return false;
  const HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING, 0, nullptr);
  if (file == INVALID_HANDLE_VALUE) return false;
  LARGE_INTEGER size;
  HANDLE mapping = nullptr;
  if (GetFileSizeEx(file, &size) && size.QuadPart > 0) mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  CloseHandle(file);
  if (!mapping) return false;
  const void* data = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
  CloseHandle(mapping);
  if (!data) return false;
  bytes_ = {static_cast<const uint8_t*>(data), static_cast<size_t>(size.QuadPart)};
  return true;
}

Mapping::~Mapping() {
  if (bytes_.data) UnmapViewOfFile(bytes_.data);
}

}  // namespace ep

#elif defined(__wasm__)

namespace ep {  // a page has no files: it opens from memory

bool Mapping::open(const char*) { return false; }
Mapping::~Mapping() {}

}  // namespace ep

#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ep {

bool Mapping::open(const char* path) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  struct stat about;
  void* data = MAP_FAILED;
  if (fstat(file, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0)
    data = mmap(nullptr, size_t(about.st_size), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (data == MAP_FAILED) return false;
  bytes_ = {static_cast<const uint8_t*>(data), size_t(about.st_size)};
  return true;
}

Mapping::~Mapping() {
  if (bytes_.data) munmap(const_cast<uint8_t*>(bytes_.data), bytes_.size);
}

}  // namespace ep
#endif
