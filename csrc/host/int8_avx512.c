#include "int8_network.h"
const npgru_form_int8 npgru_int8_avx512;
int32_t npgru_has_avx512(void) { return 0; }
