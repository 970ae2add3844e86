// What libFuzzer calls. Bytes go to Swift one by one, so that the drivers handle no pointers.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void fuzz_push(uint8_t byte);
void fuzz_select(void);
void fuzz_run(void);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    const char *target = getenv("FUZZ_TARGET");
    for (; target != NULL && *target != 0; target++) fuzz_push((uint8_t)*target);
    fuzz_select();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) fuzz_push(data[i]);
    fuzz_run();
    return 0;
}
