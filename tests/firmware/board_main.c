/* What tests/test_emulator.py checks of a board: loops and a stack of known size, memory, files. */
#include "board.h"

static volatile uint32_t zeroed[1000], written[3] = { 1, 2, 3 };

static void loop(uint32_t n)                             /* 10 n instructions and the loop's own */
{
    for (; n != 0; n--)
        __asm__ volatile("nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop");
}

static uint64_t instructions_of(uint32_t n)
{
    const uint64_t start = board_ticks();
    loop(n);
    return board_instructions_since(start);
}

__attribute__((noinline)) static void use_stack(void)
{
    volatile uint32_t x[250];
    for (int i = 0; i < 250; i++) x[i] = (uint32_t)i;
    (void)x[0];
}

int main(void)
{
    uint32_t sum = 0, echoed[4] = { 0 };
    for (int i = 0; i < 1000; i++) sum += zeroed[i];
    board_print_number("sum", sum + written[0] + written[1] + written[2]);
    board_start_counting();
    const uint64_t start = board_ticks();
    board_print_number("nothing", board_instructions_since(start));
    const uint64_t n[3] = { instructions_of(1000), instructions_of(2000), instructions_of(2001000) };
    board_print_number("thousand", n[1] - n[0]);
    board_print_number("million", n[2] - n[1]);           /* SysTick wraps once or twice in there */
    board_paint_stack();
    use_stack();
    board_print_number("stack", board_stack_used());
    const int32_t in = board_open("in.bin", "rb"), out = board_open("out.bin", "wb");
    board_print_number("read", board_read(in, echoed, sizeof echoed));
    board_write(out, echoed, 7);
    board_close(in);
    board_close(out);
    return EXIT_CODE;
}
