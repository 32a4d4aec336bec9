/* Host-only twins of device kernels: the same integers, many frames at once. Not for firmware. */
#ifndef NPGRU_HOST_H
#define NPGRU_HOST_H

#include "npgru_int8.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __cplusplus
}
#endif
#endif
