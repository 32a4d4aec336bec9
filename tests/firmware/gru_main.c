/* Steps of the GRU from gates of the whole int16 range: the vectors' cell against the cell that all cores have, on the very
   products with the state that the step leaves in its scratch. */
#include "board.h"
#include "gru_cell.h"

enum { H = NPGRU_UNITS, N_STEPS = 4000 };
static int16_t gx[NPGRU_GRU_ROWS + 8], gh[NPGRU_GRU_ROWS + 8];
static npgru_state h[H], expected[H];
static uint32_t noise_state = 7;

/* 16 bits of noise, or fewer, or an end of the range. */
static int16_t noise(void)
{
    noise_state = 1664525u * noise_state + 1013904223u;
    const int16_t bits = (int16_t)(noise_state >> 16);
    const uint32_t kind = noise_state >> 11 & 31;
    return (int16_t)(kind < 16 ? bits >> kind : kind == 16 ? INT16_MIN : kind == 17 ? INT16_MAX : bits);
}

int main(void)
{
    uint32_t different = 0, largest = 0;
    for (int32_t k = 0; k < N_STEPS; k++) {
        for (int32_t i = 0; i < 3 * H; i++) gx[i] = noise();
        for (int32_t i = 0; i < H; i++) h[i] = noise(), expected[i] = h[i];
        npgru_gru_step_fast(&npgru_model.gru, gx, gh, h);
        npgru_gru_cell(H, gx, gh, expected);
        for (int32_t i = 0; i < H; i++) different += h[i] != expected[i];
        for (int32_t i = 0; i < 3 * H; i++) largest = gh[i] > (int32_t)largest ? (uint32_t)gh[i] : largest;
    }
    board_print_number("different", different);
    board_print_number("largest_product", largest);
    return 0;
}
