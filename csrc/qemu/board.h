/* An emulated Cortex-M in QEMU: files of the host by semihosting, exact counts of instructions, the depth of the stack. */
#ifndef NPGRU_BOARD_H
#define NPGRU_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Files of the host, relative to where QEMU runs. Anything that fails ends the program with a message. */
int32_t board_open(const char *name, const char *mode);                    /* "rb" or "wb" */
size_t board_read(int32_t file, void *data, size_t n_bytes);               /* fewer than n_bytes: the file's end */
void board_write(int32_t file, const void *data, size_t n_bytes);
void board_close(int32_t file);

void board_print(const char *text);
void board_print_number(const char *name, uint64_t value);                 /* a line "name value" */
void board_exit(int32_t code);

/* Instructions, exact to 2, under -icount shift=6: start the counter once, take the ticks before, ask after. */
void board_start_counting(void);
uint64_t board_ticks(void);
uint64_t board_instructions_since(uint64_t ticks);                         /* without the two calls themselves */

/* Bytes of stack used below the caller of board_paint_stack, between the two calls, at least 64; it ends the counting. */
void board_paint_stack(void);
size_t board_stack_used(void);

#endif
