/* Holds vectors to golden.bin as a device without JSON does: read_golden golden.bin int8 vectors.f32 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *load(const char *name, long *size) {
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END) || (*size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) exit(2);
    unsigned char *content = malloc(*size + 1);
    if (!content || fread(content, 1, *size, file) != (size_t)*size) exit(2);
    fclose(file);
    return content;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    long size, found_size;
    unsigned char *content = load(argv[1], &size), *found_bytes = load(argv[3], &found_size);
    const uint32_t *word = (const uint32_t *)content; /* little-endian, as nearly every device is */
    const float *real = (const float *)content;
    if (size < 80 || memcmp(content, "EPGOLDEN", 8) || word[2] != 1 || word[18] != (uint32_t)size) return 2;
    uint32_t texts = word[3], dim = word[4], is_unit = word[5], short_text = word[7];
    const uint32_t *starts = word + word[12] / 4, *known = word + word[14] / 4;
    const float *wanted = real + word[17] / 4, *found = (const float *)found_bytes, *bound = NULL;
    for (uint32_t at = 0; at < word[11]; at++)
        if (!strcmp((const char *)content + 80 + 32 * at, argv[2])) bound = real + (80 + 32 * at + 12) / 4;
    if (!bound || found_size != (long)(texts * dim * 4)) return 2;
    uint32_t stray = 0;
    for (uint32_t at = 0; at < texts; at++, found += dim, wanted += dim) {
        double dot = 0, aa = 0, bb = 0;
        for (uint32_t column = 0; column < dim; column++) {
            dot += (double)found[column] * wanted[column];
            aa += (double)found[column] * found[column];
            bb += (double)wanted[column] * wanted[column];
        }
        double cosine = aa * bb > 0 ? dot / sqrt(aa * bb) : aa == bb;
        int is_right = cosine >= bound[known[at] < short_text ? 3 : 2] && (!is_unit || fabs(sqrt(aa) - sqrt(bb)) <= real[10]);
        stray += !is_right;
    }
    const unsigned char *joined = content + word[13];
    uint32_t nuls = 0, bytes = starts[texts] - 1, first = starts[1] - starts[0] - 1;
    for (uint32_t at = 0; at < bytes; at++) nuls += !joined[at];
    printf("%u texts of %u bytes with %u NUL, the first has %u; %u stray\n", texts, bytes, nuls, first, stray);
    return stray > 0;
}
