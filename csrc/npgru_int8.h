/* npgru: the one header a firmware includes. C99, no malloc, no float, no globals.
   Statuses, parameter structs and prototypes of every kernel that runs on the device. */
#ifndef NPGRU_INT8_H
#define NPGRU_INT8_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    NPGRU_OK = 0,
    NPGRU_BAD_SHAPE = 1,  /* a size is out of the range its struct states */
    NPGRU_BAD_RANGE = 2   /* a parameter other than a size is */
} npgru_status;

#ifdef __cplusplus
}
#endif
#endif
