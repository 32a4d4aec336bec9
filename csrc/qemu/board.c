/* Start, semihosting, counter and stack of an emulated Cortex-M: see board.h.
   QEMU's -icount shift=6 lets 64 ns pass with every instruction; SysTick counts ticks of BOARD_TICK_PS picoseconds. */
#include "board.h"

#ifndef BOARD_TICK_PS
#define BOARD_TICK_PS 40000                              /* 25 MHz */
#endif
#define INSTRUCTION_PS 64000u
#define SYSTICK ((volatile uint32_t *)0xE000E010)        /* control, reload, value */
#define TICKS_PER_WRAP 0x1000000u
#define PAINT 0xC5C5C5C5u
#define OWN_WORDS 16                                     /* of stack that painting itself may use */

extern uint32_t bss_start[], bss_end[], stack_limit[], stack_top[];
int main(void);
void board_reset(void);

/* ---- Semihosting ---- */

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE0 = 4, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT_EXTENDED = 0x20 };

static int32_t semihost(int32_t operation, const void *argument)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static size_t length(const char *text)
{
    size_t n = 0;
    while (text[n] != 0) n++;
    return n;
}

void board_print(const char *text) { (void)semihost(SYS_WRITE0, text); }

void board_exit(int32_t code)
{
    const uint32_t block[2] = { 0x20026, (uint32_t)code };             /* ADP_Stopped_ApplicationExit */
    for (;;) (void)semihost(SYS_EXIT_EXTENDED, block);
}

static void fail(const char *what, const char *detail)
{
    board_print(what);
    board_print(detail);
    board_print("\n");
    board_exit(1);
}

int32_t board_open(const char *name, const char *mode)
{
    const uintptr_t block[3] = { (uintptr_t)name, mode[0] == 'w' ? 5u : 1u, length(name) };
    const int32_t file = semihost(SYS_OPEN, block);
    if (file < 0) fail("cannot open ", name);
    return file;
}

size_t board_read(int32_t file, void *data, size_t n_bytes)
{
    const uintptr_t block[3] = { (uintptr_t)file, (uintptr_t)data, n_bytes };
    return n_bytes - (size_t)semihost(SYS_READ, block);                /* it returns what is missing */
}

void board_write(int32_t file, const void *data, size_t n_bytes)
{
    const uintptr_t block[3] = { (uintptr_t)file, (uintptr_t)data, n_bytes };
    if (semihost(SYS_WRITE, block) != 0) fail("cannot write", "");
}

void board_close(int32_t file)
{
    const uintptr_t block[1] = { (uintptr_t)file };
    (void)semihost(SYS_CLOSE, block);
}

void board_print_number(const char *name, uint64_t value)
{
    char digits[22] = "";
    size_t first = sizeof digits - 2;
    digits[first] = '\n';
    do digits[--first] = (char)('0' + value % 10); while ((value /= 10) != 0);
    board_print(name);
    board_print(" ");
    board_print(digits + first);
}

/* ---- Counting ---- */

static volatile uint32_t n_wraps;
static uint64_t own_ticks;                                             /* between two readings with nothing in between */

static void systick_wraps(void) { n_wraps++; }

__attribute__((noinline)) uint64_t board_ticks(void)
{
    uint32_t wraps, value;
    do {
        wraps = n_wraps;
        value = SYSTICK[2];
    } while (wraps != n_wraps);
    return (uint64_t)wraps * TICKS_PER_WRAP + TICKS_PER_WRAP - value;
}

uint64_t board_instructions_since(uint64_t ticks)
{
    return (board_ticks() - ticks - own_ticks) * BOARD_TICK_PS / INSTRUCTION_PS;
}

void board_start_counting(void)
{
    n_wraps = 0;
    SYSTICK[1] = TICKS_PER_WRAP - 1;
    SYSTICK[2] = 0;
    SYSTICK[0] = 7;                                                    /* on, with interrupt, the core's clock */
    while (SYSTICK[2] == 0) { }
    own_ticks = board_ticks();
    own_ticks = board_ticks() - own_ticks;
}

/* ---- Stack ---- */

static uint32_t *painted_from;

static uint32_t *stack_pointer(void)
{
    uint32_t *sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

__attribute__((noinline)) void board_paint_stack(void)
{
    SYSTICK[0] = 0;                                                    /* its interrupt would use the stack too */
    painted_from = stack_pointer();
    for (volatile uint32_t *p = stack_limit; p < painted_from - OWN_WORDS; p++) *p = PAINT;
}

size_t board_stack_used(void)
{
    const uint32_t *p = stack_limit;
    while (p < painted_from - OWN_WORDS && *p == PAINT) p++;
    return (size_t)(painted_from - p) * sizeof *p;
}

/* ---- Start ---- */

static void fault(void) { fail("fault", ""); }

void board_reset(void)
{
    for (volatile uint32_t *p = bss_start; p < bss_end; p++) *p = 0;
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;                    /* CPACR: floating point and Helium on */
    __asm__ volatile("dsb\n\tisb");
#endif
    board_exit(main());
}

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) static const union { uint32_t *stack; handler run; } vectors[16] = {
    { .stack = stack_top }, { .run = board_reset },
    { .run = fault }, { .run = fault }, { .run = fault }, { .run = fault }, { .run = fault }, { .run = fault },
    { .run = fault }, { .run = fault }, { .run = fault }, { .run = fault }, { .run = fault }, { .run = fault },
    { .run = fault }, { .run = systick_wraps },
};
